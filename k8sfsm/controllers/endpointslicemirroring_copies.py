"""What of Endpoints that users keep is copied into which slices.

Source: pkg/controller/endpointslicemirroring/reconciler.go: reconcile, reconcileByPortMapping; utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final

from attrs import define, evolve, field, frozen

from k8sfsm.controllers.endpoints_trigger import ANNOTATION as TRIGGER_TIME
from k8sfsm.controllers.endpointslice_members import (
    AddressType,
    Ports,
    identity_of,
    port_group,
    same_beyond_identity,
)
from k8sfsm.controllers.endpointslice_packing import MANAGED_BY, SERVICE_NAME
from k8sfsm.controllers.endpointslicemirroring_writes import SliceWrite, law
from k8sfsm.law import Decision
from k8sfsm.objects import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    Endpoints,
    EndpointSlice,
    EndpointSlicePort,
    EndpointSubset,
    ObjectMeta,
    OwnerReference,
)
from k8sfsm.request import Record, Step, Why
from k8sfsm.value import value

MANAGER: Final = "endpointslicemirroring-controller.k8s.io"
LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_LONGEST_PREFIX: Final = 253


@value
class Candidate:
    """The case of `address`: an address of a subset of which `copied` others have been taken."""

    address: EndpointAddress
    copied: int
    limit: int


@define
class Group:
    """The endpoints that share a family and a set of ports, and the slices that there are of them."""

    family: AddressType
    ports: Ports
    wanted: dict[str, Endpoint] = field(factory=dict)
    found: list[EndpointSlice] = field(factory=list)
    endpoints: Endpoints = field(factory=Endpoints)


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address of a text; leading zeros are allowed, IPv4 in IPv6 is IPv4. Source: netutils.ParseIPSloppy."""
    plain = text if ":" in text else ".".join(part.lstrip("0") or part[:1] for part in text.split("."))
    try:
        parsed = ip_address(plain)
    except ValueError:
        return None
    return (parsed.ipv4_mapped or parsed) if isinstance(parsed, IPv6Address) else parsed


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def room_left(candidate: Candidate) -> bool:
    """Fewer addresses of the subset have been copied than may be."""
    return candidate.copied < candidate.limit


@law.fact
def address_valid(candidate: Candidate) -> bool:
    """The address is an IP address."""
    return _parsed(candidate.address.ip) is not None


@law.fact
def invalid_addresses(case: Copying) -> int:
    """Addresses that are no IP addresses."""
    return case.fates["invalid"]


@law.fact
def surplus_addresses(case: Copying) -> int:
    """Addresses for which there is no room."""
    return case.fates["surplus"]


@law.fact
def endpoints_wanted(group: Group) -> int:
    """How many endpoints there are to be."""
    return len(group.wanted)


@law.fact
def slices_found(group: Group) -> int:
    """How many slices there are."""
    return len(group.found)


@law.fact
def same_endpoints(group: Group) -> bool:
    """The first slice has the endpoints that there are to be."""
    stored = group.found[0].endpoints
    if len(stored) != len(group.wanted):
        return False
    pairs = ((endpoint, group.wanted.get(identity_of(endpoint))) for endpoint in stored)
    return all(wanted is not None and same_beyond_identity(endpoint, wanted) for endpoint, wanted in pairs)


@law.fact
def same_labels(group: Group) -> bool:
    """The first slice has the labels of the Endpoints, its own aside."""
    labels = group.found[0].metadata.labels
    own = (MANAGED_BY, SERVICE_NAME)
    return {name: text for name, text in labels.items() if name not in own} == dict(group.endpoints.metadata.labels)


@law.fact
def same_annotations(group: Group) -> bool:
    """The first slice has the annotations of the Endpoints that are copied."""
    return dict(group.found[0].metadata.annotations) == _annotations(group.endpoints)


def _annotations(endpoints: Endpoints) -> dict[str, str]:
    annotations = endpoints.metadata.annotations
    return {name: text for name, text in annotations.items() if name not in (TRIGGER_TIME, LAST_APPLIED)}


# -- the copies ------------------------------------------------------------------------------------------------------


@frozen(slots=False)
class Copying:
    """The case of `left-out`: Endpoints that are copied, the copies that there are, and most addresses of a subset."""

    endpoints: Endpoints
    existing: tuple[EndpointSlice, ...]
    limit: int

    @cached_property
    def _counted(self) -> tuple[dict[tuple[str, str], Group], dict[str, int]]:
        """The groups by family and ports, and how many addresses are copied and left out."""
        groups: dict[tuple[str, str], Group] = {}
        fates = {"copied": 0, "invalid": 0, "surplus": 0}
        for subset in self.endpoints.subsets:
            self._copy(subset, groups, fates)
        for stored in self.existing:
            family: AddressType = "IPv6" if stored.address_type == "IPv6" else "IPv4"
            self._group(groups, family, stored.ports).found.append(stored)
        return groups, fates

    @property
    def fates(self) -> dict[str, int]:
        """How many addresses are copied, invalid, and too many."""
        return self._counted[1]

    def _group(self, groups: dict[tuple[str, str], Group], family: AddressType, ports: Ports) -> Group:
        key = (family, port_group(ports))
        if key not in groups:
            groups[key] = Group(family, ports, endpoints=self.endpoints)
        return groups[key]

    def _copy(self, subset: EndpointSubset, groups: dict[tuple[str, str], Group], fates: dict[str, int]) -> None:
        """Put the addresses of a subset into their groups."""
        ports = _ports_of(subset)
        copied = 0
        listed = ((address, True) for address in subset.addresses)
        others = ((address, False) for address in subset.not_ready_addresses)
        for address, ready in (*listed, *others):
            fate = law.decide("address", Candidate(address, copied, self.limit)).outputs["fate"]
            fates[fate] += 1
            if fate != "copied":
                continue
            copied += 1
            family, endpoint = _endpoint_of(address, ready)
            self._group(groups, family, ports).wanted[identity_of(endpoint)] = endpoint

    def events(self) -> tuple[Step, ...]:
        """Events about addresses that are not copied."""
        return tuple(
            step
            for decision in law.collect("left-out", self)
            for step in law.perform(decision, self)
            if isinstance(step, Record)
        )

    def writes(self) -> tuple[SliceWrite, ...]:
        """The writes of the slices that differ, in the order in which they are sent: new ones, changed ones, others."""
        planned: list[SliceWrite] = []
        for group in self._counted[0].values():
            decision = law.decide("group", group)
            planned += self._of_group(group, decision)
        create = [write for write in planned if write.change == "create"]
        update = [write for write in planned if write.change == "update"]
        delete = []
        for write in (each for each in planned if each.change == "delete"):
            waiting = next((new for new in create if new.slice.address_type == write.slice.address_type), None)
            reused = law.decide("reuse", Reuse(waiting)).outputs["reused"]
            if reused and waiting is not None:
                create.remove(waiting)
                meta = evolve(waiting.slice.metadata, name=write.slice.metadata.name, generate_name="")
                update.append(evolve(waiting, change="update", slice=evolve(waiting.slice, metadata=meta)))
            else:
                delete.append(write)
        return (*create, *update, *delete)

    def _of_group(self, group: Group, decision: Decision) -> Iterator[SliceWrite]:
        first, found = decision.outputs["first"], group.found
        if first in ("create", "update"):
            name = found[0].metadata.name if first == "update" else ""
            yield self._write(first, _slice(group, name, self.limit), decision.why)
        elif first == "delete":
            yield from (self._write("delete", stored, decision.why) for stored in found[:1])
        yield from (self._write("delete", stored, decision.why) for stored in found[1:])

    def _write(self, change: Any, stored: EndpointSlice, why: Why) -> SliceWrite:
        return SliceWrite(change, stored, self.endpoints, why)


@value
class Reuse:
    """The case of `reuse`: a slice of the family that is to be created, if any."""

    waiting: SliceWrite | None


@law.fact
def creation_waits(case: Reuse) -> bool:
    """A slice of the same family is to be created."""
    return case.waiting is not None


def _ports_of(subset: EndpointSubset) -> Ports:
    return tuple(
        EndpointSlicePort(name=port.name, protocol=port.protocol, port=port.port, app_protocol=port.app_protocol)
        for port in subset.ports
    )


def _endpoint_of(address: EndpointAddress, ready: bool) -> tuple[AddressType, Endpoint]:
    """Source: pkg/controller/endpointslicemirroring/utils.go: addressToEndpoint."""
    parsed = _parsed(address.ip)
    assert parsed is not None
    endpoint = Endpoint(
        addresses=(str(parsed),),
        conditions=EndpointConditions(ready=ready),
        target_ref=address.target_ref,
        node_name=address.node_name,
        hostname=address.hostname or None,
    )
    return ("IPv4" if parsed.version == 4 else "IPv6"), endpoint


def _slice(group: Group, name: str, limit: int) -> EndpointSlice:
    """A slice as it is to be; without a name a new one. Source: utils.go: newEndpointSlice."""
    meta = group.endpoints.metadata
    owner = OwnerReference(
        api_version="v1", kind="Endpoints", name=meta.name, uid=meta.uid, controller=True, block_owner_deletion=True
    )
    prefix = f"{meta.name}-" if len(meta.name) < _LONGEST_PREFIX else meta.name
    return EndpointSlice(
        metadata=ObjectMeta(
            name=name,
            generate_name="" if name else prefix,
            namespace=meta.namespace,
            labels={**meta.labels, SERVICE_NAME: meta.name, MANAGED_BY: MANAGER},
            annotations=_annotations(group.endpoints),
            owner_references=(owner,),
        ),
        address_type=group.family,
        endpoints=tuple(group.wanted.values())[:limit],
        ports=group.ports,
    )


# -- events ----------------------------------------------------------------------------------------------------------


@law.action
def record_invalid_addresses(copying: Copying, decision: Decision) -> Iterable[Step]:
    """Event InvalidIPAddress."""
    text = f"Skipped {copying.fates['invalid']} invalid IP addresses when mirroring to EndpointSlices"
    return (Record(regarding=copying.endpoints, type="Warning", reason="InvalidIPAddress", message=text),)


@law.action
def record_too_many_addresses(copying: Copying, decision: Decision) -> Iterable[Step]:
    """Event TooManyAddressesToMirror; the number counts invalid addresses too."""
    skipped = copying.fates["invalid"] + copying.fates["surplus"]
    limit = f"A max of {copying.limit} addresses can be mirrored to EndpointSlices per Endpoints subset."
    text = f"{limit} {skipped} addresses were skipped"
    return (Record(regarding=copying.endpoints, type="Warning", reason="TooManyAddressesToMirror", message=text),)
