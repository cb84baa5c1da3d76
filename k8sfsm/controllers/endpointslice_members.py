"""The endpoints that a Service's pods give to its EndpointSlices, by the ports that they resolve.

Source: staging/src/k8s.io/endpointslice/reconciler.go: reconcileByAddressType;
staging/src/k8s.io/endpointslice/utils.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from attrs import field

from k8sfsm.controllers.endpoints_memo import Block, Blocks, Memo, blocks_of
from k8sfsm.controllers.endpoints_order import in_slice_port_order, slice_port_dump
from k8sfsm.controllers.endpoints_pods import (
    Candidate,
    Target,
    family_of,
    has_address,
    is_published,
    normal_ip,
    port_number,
    publishes_hostname,
    selects,
)
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Law
from k8sfsm.objects import Endpoint, EndpointConditions, EndpointSlicePort, Node, ObjectReference, Pod, Service
from k8sfsm.value import value
from k8sfsm.view import View

law = Law("endpointslice")

AddressType = Literal["IPv4", "IPv6"]
Ports = tuple[EndpointSlicePort, ...]
ZONE = "topology.kubernetes.io/zone"


@value
class Resident:
    """The case of the tables about one endpoint: a published pod and its node's zone (None: no such node)."""

    pod: Pod
    service: Service
    zone: str | None


@value
class Member:
    """What one pod gives: its group of ports, and an endpoint, or why there is none (`error`), or neither."""

    group: str
    ports: Ports
    identity: str = ""
    endpoint: Endpoint | None = None
    error: str = ""


@value
class PortGroup:
    """The endpoints that share a set of ports, by identity, in the order of the pods."""

    ports: Ports
    endpoints: dict[str, Endpoint] = field(factory=dict)


@value
class Wanted:
    """The endpoints that a Service should have in one family: groups by `port_group`, and what was left out."""

    groups: dict[str, PortGroup]
    errors: tuple[str, ...] = ()


# -- identity --------------------------------------------------------------------------------------------------------


def identity_of(endpoint: Endpoint) -> str:
    """What makes two endpoints versions of one: addresses, host name, and the pod's name; the UID does not count.

    Source: staging/src/k8s.io/endpointslice/util/endpointset.go: hashEndpoint.
    """
    reference = endpoint.target_ref
    target = "" if reference is None else f"{reference.namespace}/{reference.name}"
    return f"{' '.join(sorted(endpoint.addresses))}|{endpoint.hostname or ''}|{target}"


def same_beyond_identity(a: Endpoint, b: Endpoint) -> bool:
    """Are two versions of an endpoint the same, hints and the pod's resourceVersion aside?

    Source: staging/src/k8s.io/endpointslice/util/controller_utils.go: EndpointsEqualBeyondHash.
    """
    return (
        a.node_name == b.node_name
        and a.zone == b.zone
        and a.conditions == b.conditions
        and _without_version(a.target_ref) == _without_version(b.target_ref)
    )


def _without_version(reference: ObjectReference | None) -> tuple[str, ...] | None:
    if reference is None:
        return None
    r = reference
    return (r.kind, r.namespace, r.name, r.uid, r.api_version, r.field_path)


def port_group(ports: Ports) -> str:
    """The same text for the same set of ports."""
    return " ".join(slice_port_dump(port) for port in in_slice_port_order(ports))


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def families_given(service: Service) -> bool:
    """The Service says which IP families it has."""
    return any(family in ("IPv4", "IPv6") for family in service.spec.ip_families)


@law.fact
def has_cluster_ip(service: Service) -> bool:
    """The Service has a cluster IP."""
    return has_address(service)


@law.fact
def publishes_unready(resident: Resident) -> bool:
    """The Service publishes addresses of pods that are not ready."""
    return resident.service.spec.publish_not_ready_addresses


@law.fact
def pod_ready(resident: Resident) -> bool:
    """The pod's Ready condition is True."""
    return is_pod_ready(resident.pod)


@law.fact
def terminating(resident: Resident) -> bool:
    """The pod is being deleted."""
    return resident.pod.metadata.deletion_timestamp is not None


@law.fact
def node_known(resident: Resident) -> bool:
    """The pod's node exists."""
    return resident.zone is not None


def address_types(service: Service) -> tuple[AddressType, ...]:
    """The families in which the Service has slices; IPv4 first."""
    like = law.decide("address-types", service).outputs["like"]
    if like == "families":
        wanted: tuple[str, ...] = service.spec.ip_families
    elif like == "cluster-ip":
        wanted = (family_of(service.spec.cluster_ip),)
    else:
        wanted = ("IPv4", "IPv6")
    known: tuple[AddressType, ...] = ("IPv4", "IPv6")
    return tuple(family for family in known if family in wanted)


# -- members ---------------------------------------------------------------------------------------------------------


def _ports(pod: Pod, service: Service) -> Ports:
    found = []
    for port in service.spec.ports:
        number = port_number(Target(pod, port))
        if number is not None:
            found.append(
                EndpointSlicePort(name=port.name, protocol=port.protocol, port=number, app_protocol=port.app_protocol)
            )
    return in_slice_port_order(found)


def _endpoint(resident: Resident, family: AddressType) -> Endpoint:
    pod, service = resident.pod, resident.service
    decided = law.decide("conditions", resident).outputs
    addresses = (normal_ip(found.ip) for found in pod.status.pod_ips)
    meta = pod.metadata
    return Endpoint(
        addresses=tuple(address for kind, address in addresses if kind == family),
        conditions=EndpointConditions(
            ready=decided["ready"], serving=decided["serving"], terminating=decided["terminated"]
        ),
        target_ref=ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        node_name=pod.spec.node_name or None,
        zone=resident.zone or None,
        hostname=pod.spec.hostname if publishes_hostname(Candidate(pod, service)) else None,
    )


def member_of(resident: Resident, family: AddressType) -> Member | None:
    """What the pod gives to the Service's slices of a family; None where it is not selected or not published."""
    pod, service = resident.pod, resident.service
    if not selects(service, pod.metadata.labels) or not is_published(Candidate(pod, service)):
        return None
    ports = _ports(pod, service)
    group = port_group(ports)
    if not law.decide("node", resident).outputs["published"]:
        meta = service.metadata
        skipped = f"skipping Pod {pod.metadata.name} for Service {meta.namespace}/{meta.name}"
        return Member(group, ports, error=f"{skipped}: Node {pod.spec.node_name} Not Found")
    endpoint = _endpoint(resident, family)
    if not endpoint.addresses:
        return Member(group, ports)
    return Member(group, ports, identity_of(endpoint), endpoint)


class Members:
    """The endpoints of one version of a Service in one family, computed again only for pods that changed."""

    def __init__(self, service: Service, family: AddressType) -> None:
        self._service = service
        self._family: AddressType = family
        self._zones: Mapping[str, str] = {}
        self._members: Memo[tuple[str | None, Member | None]] = Memo(1024)
        self._blocks: Blocks[Wanted] = Blocks()

    def wanted(self, blocks: tuple[Block, ...], zones: Mapping[str, str]) -> Wanted:
        """The endpoints wanted. `blocks`: the pods of the namespace; `zones`: each node's zone ("": it has none)."""
        self._members.limit = max(1024, 2 * sum(map(len, blocks)))
        if zones is not self._zones:
            self._zones = zones
            self._blocks = Blocks()
        groups: dict[str, PortGroup] = {}
        errors: list[str] = []
        for part in self._blocks.of(blocks, self._of_block):
            errors.extend(part.errors)
            for name, group in part.groups.items():
                whole = groups.get(name)
                if whole is None:
                    whole = groups[name] = PortGroup(group.ports)
                whole.endpoints.update(group.endpoints)
        return Wanted(groups, tuple(errors))

    def _of_block(self, block: Block) -> Wanted:
        groups: dict[str, PortGroup] = {}
        errors: list[str] = []
        for member in self._members_of(block):
            if member is None:
                continue
            group = groups.get(member.group)
            if group is None:
                group = groups[member.group] = PortGroup(member.ports)
            if member.endpoint is not None:
                group.endpoints[member.identity] = member.endpoint
            elif member.error:
                errors.append(member.error)
        return Wanted(groups, tuple(errors))

    def _members_of(self, block: Block) -> list[Member | None]:
        zones = self._zones
        found = self._members.each(block, self._member)
        return [
            known[1] if known[0] == zones.get(pod.spec.node_name) else self._members.put(pod, self._member(pod))[1]
            for pod, known in zip(block, found, strict=True)
        ]

    def _member(self, pod: Pod) -> tuple[str | None, Member | None]:
        zone = self._zones.get(pod.spec.node_name)
        return zone, member_of(Resident(pod, self._service, zone), self._family)


class Zones:
    """The zone of each node that exists ("" where it has none); the same mapping as long as none changes."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._blocks: Blocks[dict[str, str]] = Blocks()

    def of(self, view: View) -> Mapping[str, str]:
        """The zones of a view's nodes."""
        found: dict[str, str] = {}
        for part in self._blocks.of(blocks_of(view, "Node"), _zones_of_block):
            found.update(part)
        if found != self._known:
            self._known = found
        return self._known


def _zones_of_block(block: Block) -> dict[str, str]:
    nodes: tuple[Node, ...] = block
    return {node.metadata.name: node.metadata.labels.get(ZONE, "") for node in nodes}
