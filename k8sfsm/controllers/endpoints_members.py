"""The addresses that a Service's pods give to its Endpoints.

Source: pkg/controller/endpoint/endpoints_controller.go: syncService, podToEndpointAddressForService.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat
from typing import Final, Literal

from k8sfsm.controllers.endpoints_addresses import family_of
from k8sfsm.controllers.endpoints_alike import Casts
from k8sfsm.controllers.endpoints_order import address_key, port_dump
from k8sfsm.controllers.endpoints_pods import (
    ALL_INTERFACES,
    Candidate,
    Target,
    has_address,
    is_published,
    port_number,
    publishes_hostname,
    selects,
)
from k8sfsm.controllers.endpoints_subsets import NO_PORT, Addresses, Group, Offer, OrderedGroup, law, offers_of
from k8sfsm.controllers.following import Difference, difference
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.objects import EndpointAddress, EndpointPort, ObjectReference, Pod, Service, changer_of
from k8sfsm.value import value

Ports = dict[str, EndpointPort]


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


def _judged(service: Service, pod: Pod, _: None) -> Member | None:
    return member_of(service, pod)


def _of_alike(member: Member, pod: Pod) -> Member:
    """What a pod gives that looks like the one which gave `member`."""
    meta, ips = pod.metadata, pod.status.pod_ips
    if len(ips) == 1:
        ip = ips[0].ip
    else:
        family = family_of(member.address.ip)
        ip = next(each.ip for each in ips if family_of(each.ip) == family)
    reference = ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid)
    address = _readdressed(member.address, ip, pod.spec.node_name, reference)
    return Member(member.ports, member.group, address_key(address), address, member.ready)


_readdressed: Final = changer_of(EndpointAddress, "ip", "node_name", "target_ref")


class Members:
    """The subsets of one version of a Service, computed again only for pods that changed."""

    def __init__(self, service: Service) -> None:
        self._casts = Casts(service, partial(_judged, service), _of_alike)
        self._listed = NO_SERIES
        self._members: dict[int, Member] = {}
        self._groups: dict[str, OrderedGroup] = {}

    def subsets(self, listed: Series, most: int | None = None) -> tuple[Offer, ...]:
        """The subsets wanted, before the capacity is looked at. `listed`: the pods of the Service's namespace.

        No more than the first `most` addresses need be told of each sort.
        """
        before, self._listed = self._listed, NO_SERIES  # nothing is known where this ends in an error
        if before is NO_SERIES:
            self._members.clear()
            self._groups.clear()
        self._follow(difference(before, listed))
        if sum(len(group.ready) + len(group.unready) for group in self._groups.values()) != len(self._members):
            return self._at_once(listed)
        self._listed = listed
        return offers_of((group for group in self._groups.values() if group.ready or group.unready), most)

    def _follow(self, pods: Difference) -> None:
        """Take out what the pods gave that went, and put in what those give that came."""
        gone: dict[tuple[str, bool], Addresses] = {}
        come: dict[tuple[str, bool], Addresses] = {}
        for pod in pods.gone:
            member = self._members.pop(id(pod), None)
            if member is not None:
                gone.setdefault((member.group, member.ready), {})[member.key] = member.address
        for place, member in self._casts.of(pods.come, repeat(None)):
            self._members[id(pods.come[place])] = member
            come.setdefault((member.group, member.ready), {})[member.key] = member.address
            if member.group not in self._groups:
                self._groups[member.group] = OrderedGroup(member.ports)
        for name, ready in {**gone, **come}:
            group = self._groups[name]
            (group.ready if ready else group.unready).change(gone.get((name, ready), {}), come.get((name, ready), {}))

    def _at_once(self, listed: Series) -> tuple[Offer, ...]:
        """The subsets where several pods have one address: the last of them counts."""
        groups: dict[str, Group] = {}
        for pod in listed:
            member = self._members.get(id(pod))
            if member is not None:
                group = groups.setdefault(member.group, Group(member.ports))
                (group.ready if member.ready else group.unready)[member.key] = member.address
        return offers_of(groups.values())
