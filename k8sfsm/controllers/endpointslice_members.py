"""The endpoints that a Service's pods give to its EndpointSlices, by the ports that they resolve.

Source: staging/src/k8s.io/endpointslice/reconciler.go: reconcileByAddressType;
staging/src/k8s.io/endpointslice/utils.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import partial
from itertools import chain
from typing import Final, Literal

from k8sfsm.controllers.endpoints_addresses import family_of, normal_ip
from k8sfsm.controllers.endpoints_alike import Casts
from k8sfsm.controllers.endpoints_order import in_slice_port_order, slice_port_dump
from k8sfsm.controllers.endpoints_pods import (
    Candidate,
    Target,
    has_address,
    is_published,
    port_number,
    publishes_hostname,
    selects,
)
from k8sfsm.controllers.following import difference
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Law
from k8sfsm.objects import (
    Endpoint,
    EndpointConditions,
    EndpointSlicePort,
    Node,
    ObjectReference,
    Pod,
    Service,
    changer_of,
)
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


class PortGroup:
    """The endpoints that share a set of ports, by identity, kept from sync to sync.

    `places`: where each endpoint's pod stands in the order of all pods; `bare`: where those pods stand that resolve the
    ports and give no endpoint; `touched`: identities whose endpoints came, changed or went since somebody looked.
    """

    __slots__ = ("bare", "endpoints", "places", "ports", "touched")

    def __init__(self, ports: Ports) -> None:
        self.ports = ports
        self.endpoints: dict[str, Endpoint] = {}
        self.places: dict[str, int] = {}
        self.bare: set[int] = set()
        self.touched: dict[str, None] = {}

    @property
    def first(self) -> int:
        """The place of the first pod that resolves the ports; there must be one."""
        return min(chain(self.places.values(), self.bare))

    def in_order(self, identities: Iterable[str]) -> dict[str, Endpoint]:
        """Some of the endpoints in the order of their pods."""
        return {each: self.endpoints[each] for each in sorted(identities, key=self.places.__getitem__)}


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
        return Member(group, ports, error=_node_missed(pod, service))
    endpoint = _endpoint(resident, family)
    if not endpoint.addresses:
        return Member(group, ports)
    return Member(group, ports, identity_of(endpoint), endpoint)


def _node_missed(pod: Pod, service: Service) -> str:
    meta = service.metadata
    skipped = f"skipping Pod {pod.metadata.name} for Service {meta.namespace}/{meta.name}"
    return f"{skipped}: Node {pod.spec.node_name} Not Found"


def _judged(service: Service, family: AddressType, pod: Pod, zone: str | None) -> Member | None:
    return member_of(Resident(pod, service, zone), family)


def _of_alike(service: Service, family: AddressType, member: Member, pod: Pod) -> Member:
    """What a pod gives that looks like the one which gave `member`."""
    if member.error:
        return Member(member.group, member.ports, error=_node_missed(pod, service))
    if member.endpoint is None:
        return member
    meta, ips = pod.metadata, [normal_ip(each.ip) for each in pod.status.pod_ips]
    endpoint = _readdressed(
        member.endpoint,
        # Who has but one address and gives an endpoint gives that one.
        (ips[0][1],) if len(ips) == 1 else tuple([address for kind, address in ips if kind == family]),
        ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        pod.spec.node_name or None,
    )
    return Member(member.group, member.ports, identity_of(endpoint), endpoint)


_readdressed: Final = changer_of(Endpoint, "addresses", "target_ref", "node_name")


class Members:
    """The endpoints of one version of a Service in one family, computed again only for pods that changed."""

    def __init__(self, service: Service, family: AddressType) -> None:
        self._casts = Casts(service, partial(_judged, service, family), partial(_of_alike, service, family))
        self._zones: Mapping[str, str] = {}
        self._listed = NO_SERIES
        self._given: dict[int, tuple[int, Member]] = {}
        self._groups: dict[str, PortGroup] = {}
        self._errors: dict[int, str] = {}

    def wanted(self, listed: Series, zones: Mapping[str, str]) -> Wanted:
        """The endpoints wanted. `listed`: the pods of the namespace; `zones`: each node's zone ("": it has none).

        The groups are this object's own, and change when it is asked again.
        """
        before, self._listed = self._listed, NO_SERIES  # nothing is known where this ends in an error
        if before is NO_SERIES:
            self._given, self._groups, self._errors = {}, {}, {}
        old_zones, self._zones = self._zones, zones
        pods = difference(before, listed)
        self._take(pods.gone)
        self._put(pods.come, pods.places)
        if zones is not old_zones:
            moved = {node for node in {**old_zones, **zones} if old_zones.get(node) != zones.get(node)}
            self._judge_again(listed, moved)
        self._listed = listed
        groups = {name: group for name, group in self._groups.items() if group.endpoints or group.bare}
        if len(groups) > 1:
            groups = dict(sorted(groups.items(), key=lambda named: named[1].first))
        return Wanted(groups, tuple([self._errors[place] for place in sorted(self._errors)]))

    def _judge_again(self, listed: Series, nodes: AbstractSet[str]) -> None:
        """Nodes came, went or moved to other zones, and their pods with them."""
        every = zip(listed, chain.from_iterable(listed.ordinals), strict=True)
        found = [(pod, place) for pod, place in every if pod.spec.node_name in nodes]
        pods = [pod for pod, _ in found]
        self._take(pods)
        self._put(pods, [place for _, place in found])

    def _put(self, pods: Sequence[Pod], places: Sequence[int]) -> None:
        zone_of = self._zones.get
        for number, member in self._casts.of(pods, [zone_of(pod.spec.node_name) for pod in pods]):
            place = places[number]
            group = self._groups.get(member.group)
            if group is None:
                group = self._groups[member.group] = PortGroup(member.ports)
            self._given[id(pods[number])] = place, member
            if member.endpoint is None:
                group.bare.add(place)
                if member.error:
                    self._errors[place] = member.error
                continue
            group.endpoints[member.identity] = member.endpoint
            group.places[member.identity] = place
            group.touched[member.identity] = None

    def _take(self, pods: Sequence[Pod]) -> None:
        for place, member in [self._given.pop(id(pod)) for pod in pods if id(pod) in self._given]:
            group = self._groups[member.group]
            if member.endpoint is None:
                group.bare.discard(place)
                self._errors.pop(place, None)
                continue
            del group.endpoints[member.identity], group.places[member.identity]
            group.touched[member.identity] = None


class Zones:
    """The zone of each node that exists ("" where it has none); the same mapping as long as none changes."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}
        self._listed = NO_SERIES

    def of(self, view: View) -> Mapping[str, str]:
        """The zones of a view's nodes."""
        listed = view.snapshot("Node").series("in", "Node", "")
        nodes = difference(self._listed, listed)
        self._listed = listed
        come = {node.metadata.name: _zone_of(node) for node in nodes.come}
        gone = [name for name in (node.metadata.name for node in nodes.gone) if name not in come]
        if gone or any(self._known.get(name) != zone for name, zone in come.items()):
            known = {**self._known, **come}
            self._known = {name: zone for name, zone in known.items() if name not in gone} if gone else known
        return self._known


def _zone_of(node: Node) -> str:
    return node.metadata.labels.get(ZONE, "")
