"""The addresses that a Service's pods give to its Endpoints.

Source: pkg/controller/endpoint/endpoints_controller.go: syncService, podToEndpointAddressForService.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

from k8sfsm.controllers.endpoints_memo import Block, Blocks, Memo
from k8sfsm.controllers.endpoints_order import address_key, port_dump
from k8sfsm.controllers.endpoints_pods import (
    ALL_INTERFACES,
    Candidate,
    Target,
    family_of,
    has_address,
    is_published,
    port_number,
    publishes_hostname,
    selects,
)
from k8sfsm.controllers.endpoints_subsets import NO_PORT, Group, OrderedGroup, law, subsets_of
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.objects import EndpointAddress, EndpointPort, EndpointSubset, ObjectReference, Pod, Service
from k8sfsm.value import value

Ports = dict[str, EndpointPort]
Groups = dict[str, Group]
"""By the name of their ports."""


@value
class Member:
    """A selected pod that is published: its ports by dump, its address, and in which list it stands."""

    ports: Ports
    group: str
    key: str
    address: EndpointAddress
    ready: bool


@value
class Publication:
    """A published pod of a Service: the case of the tables about its address."""

    pod: Pod
    service: Service


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def families_given(publication: Publication) -> bool:
    """The Service says which IP families it has."""
    return bool(publication.service.spec.ip_families)


@law.fact
def has_cluster_ip(publication: Publication) -> bool:
    """The Service has a cluster IP."""
    return has_address(publication.service)


@law.fact
def publishes_unready(publication: Publication) -> bool:
    """The Service publishes addresses of pods that are not ready."""
    return publication.service.spec.publish_not_ready_addresses


@law.fact
def pod_ready(publication: Publication) -> bool:
    """The pod's Ready condition is True."""
    return is_pod_ready(publication.pod)


@law.fact
def has_ports(publication: Publication) -> bool:
    """The Service has ports."""
    return bool(publication.service.spec.ports)


@law.fact
def headless(publication: Publication) -> bool:
    """The Service's cluster IP is "None"."""
    return publication.service.spec.cluster_ip == ALL_INTERFACES


# -- members ---------------------------------------------------------------------------------------------------------


def _family(publication: Publication) -> Literal["IPv4", "IPv6"]:
    like = law.decide("family", publication).outputs["like"]
    spec = publication.service.spec
    if like == "first-family":
        return "IPv6" if spec.ip_families[0] == "IPv6" else "IPv4"
    return family_of(spec.cluster_ip if like == "cluster-ip" else publication.pod.status.pod_ip)


def _address(publication: Publication) -> EndpointAddress | None:
    pod = publication.pod
    family = _family(publication)
    ip = next((found.ip for found in pod.status.pod_ips if family_of(found.ip) == family), "")
    if not ip:
        return None
    meta = pod.metadata
    hostname = pod.spec.hostname if publishes_hostname(Candidate(pod, publication.service)) else ""
    reference = ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)
    return EndpointAddress(ip=ip, hostname=hostname, node_name=pod.spec.node_name, target_ref=reference)


def _ports(publication: Publication) -> Ports:
    how = law.decide("ports", publication).outputs["subsets"]
    if how == "none":
        return {}
    if how == "portless":
        return {port_dump(NO_PORT): NO_PORT}
    found: Ports = {}
    for port in publication.service.spec.ports:
        number = port_number(Target(publication.pod, port))
        if number is not None:
            resolved = EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)
            found[port_dump(resolved)] = resolved
    return found


def member_of(service: Service, pod: Pod) -> Member | None:
    """What the pod gives to the Service's Endpoints; None where it is not selected, not published or has no port."""
    if not selects(service, pod.metadata.labels):
        return None
    if not is_published(Candidate(pod, service, service.spec.publish_not_ready_addresses)):
        return None
    publication = Publication(pod, service)
    address = _address(publication)
    if address is None:
        return None
    ports = _ports(publication)
    if not ports:
        return None
    ready = bool(law.decide("readiness", publication).outputs["ready"])
    return Member(ports, " ".join(ports), address_key(address), address, ready)


class Members:
    """The subsets of one version of a Service, computed again only for pods that changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._members: Memo[tuple[Member | None]] = Memo(1024)
        self._groups: Blocks[Groups] = Blocks()
        self._parts: list[Groups] = []
        self._joined: dict[str, OrderedGroup] = {}

    def subsets(self, blocks: tuple[Block, ...]) -> tuple[EndpointSubset, ...]:
        """The subsets wanted, before the capacity is looked at. `blocks`: the pods of the Service's namespace."""
        self._members.limit = max(1024, 2 * sum(map(len, blocks)))
        parts = self._groups.of(blocks, self._of_block)
        self._join(self._parts, parts)
        if _size(self._joined) != sum(map(_size, parts)):  # an address in two blocks: the later one counts
            self._joined = {}
            for part in parts:
                self._join([], [part])
        self._parts = parts
        return subsets_of(group for group in self._joined.values() if group.ready or group.unready)

    def _join(self, before: list[Groups], after: list[Groups]) -> None:
        """Take out what blocks gave that are no longer there, and put in what new ones give."""
        known, left = {id(part) for part in before}, {id(part) for part in after}
        gone = _united(part for part in before if id(part) not in left)
        come = _united(part for part in after if id(part) not in known)
        for name in {**gone, **come}:
            old, new = gone.get(name, _NO_GROUP), come.get(name, _NO_GROUP)
            whole = self._joined.get(name)
            if whole is None:
                whole = self._joined[name] = OrderedGroup(new.ports)
            whole.ready.change(old.ready, new.ready)
            whole.unready.change(old.unready, new.unready)

    def _of_block(self, block: Block) -> Groups:
        groups: Groups = {}
        for (member,) in self._members.each(block, self._member):
            if member is None:
                continue
            group = groups.get(member.group)
            if group is None:
                group = groups[member.group] = Group(member.ports)
            (group.ready if member.ready else group.unready)[member.key] = member.address
        return groups

    def _member(self, pod: Pod) -> tuple[Member | None]:
        return (member_of(self._service, pod),)


_NO_GROUP: Final = Group({})


def _united(parts: Iterable[Groups]) -> Groups:
    """The groups of several blocks, those of one name together."""
    joined: Groups = {}
    for part in parts:
        for name, group in part.items():
            whole = joined.get(name)
            if whole is None:
                whole = joined[name] = Group(group.ports)
            whole.ready.update(group.ready)
            whole.unready.update(group.unready)
    return joined


def _size(groups: Mapping[str, Group]) -> int:
    return sum(len(group.ready) + len(group.unready) for group in groups.values())
