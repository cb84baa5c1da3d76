"""Endpoints as a proxy sees them, and which of them its node uses.

Source: pkg/proxy/endpointslicecache.go; pkg/proxy/topology.go: CategorizeEndpoints
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias

from attrs import frozen

from k8sfsm.law import Count
from k8sfsm.lazy import lazy
from k8sfsm.network.proxy.address import Family, host_port
from k8sfsm.network.proxy.node import ProxyNode
from k8sfsm.network.proxy.rules import law
from k8sfsm.network.proxy.services import PortKey, ServicePortInfo
from k8sfsm.objects import Endpoint, EndpointSlice, EndpointSlicePort
from k8sfsm.value import value

SERVICE_NAME = "kubernetes.io/service-name"
Mode: TypeAlias = Literal["everywhere", "same-node", "same-zone"]
Use: TypeAlias = Literal["ready", "draining", "none"]


@value(slots=False)
class ProxyEndpoint:
    """One address and port that serves a port of a Service. `node`: where it runs, "" where that is not known."""

    ip: str
    port: int
    ready: bool = True
    serving: bool = True
    terminating: bool = False
    node: str = ""
    node_hints: tuple[str, ...] = ()
    zone_hints: tuple[str, ...] = ()

    @lazy
    def text(self) -> str:
        """``ip:port``."""
        return host_port(self.ip, self.port)

    @lazy
    def use(self) -> Use:
        """What it is good for (table endpoint)."""
        found: Use = law.decide("endpoint", self).outputs["use"]
        return found


@frozen
class SliceCase:
    """An EndpointSlice, looked at for one family."""

    slice: EndpointSlice
    family: Family


@law.fact
def names_service(case: SliceCase) -> bool:
    """Whether a label names the slice's Service."""
    return bool(case.slice.metadata.labels.get(SERVICE_NAME))


@law.fact
def slice_family(case: SliceCase) -> bool:
    """Whether the slice's addresses are of the proxy's family."""
    return case.slice.address_type == case.family


@law.fact
def port_named(case: EndpointSlicePort) -> bool:
    """Whether the port has a name; the empty one is a name."""
    return case.name is not None


@law.fact
def port_numbered(case: EndpointSlicePort) -> bool:
    """Whether the port has a number."""
    return bool(case.port)


@law.fact
def ready(case: ProxyEndpoint) -> bool:
    """Whether the endpoint is ready; unknown counts as ready."""
    return case.ready


@law.fact
def serving(case: ProxyEndpoint) -> bool:
    """Whether it serves; unknown counts as serving."""
    return case.serving


@law.fact
def terminating(case: ProxyEndpoint) -> bool:
    """Whether it is shutting down."""
    return case.terminating


def _endpoint(endpoint: Endpoint, port: int) -> ProxyEndpoint:
    """The first address counts; unknown conditions count as ready, serving, not terminating."""
    hints, state = endpoint.hints, endpoint.conditions
    return ProxyEndpoint(
        ip=endpoint.addresses[0],
        port=port,
        ready=state.ready is not False,
        serving=state.serving is not False,
        terminating=bool(state.terminating),
        node=endpoint.node_name or "",
        node_hints=() if hints is None else tuple(each.name for each in hints.for_nodes),
        zone_hints=() if hints is None else tuple(each.name for each in hints.for_zones),
    )


def endpoints_of(slices: Iterable[EndpointSlice], family: Family = "IPv4") -> dict[PortKey, tuple[ProxyEndpoint, ...]]:
    """The endpoints in slices by port of a Service, each port's in the order of the text ``ip:port``."""
    found: dict[PortKey, dict[str, list[ProxyEndpoint]]] = {}
    for stored in slices:
        if not law.decide("slice", SliceCase(stored, family)).outputs["taken"]:
            continue
        service = stored.metadata.labels[SERVICE_NAME]
        for port in stored.ports:
            if not law.decide("slice-port", port).outputs["taken"]:
                continue
            key = (stored.metadata.namespace, service, port.name or "", (port.protocol or "TCP").lower())
            places = found.setdefault(key, {})
            for entry in stored.endpoints:
                if entry.addresses:
                    endpoint = _endpoint(entry, port.port or 0)
                    places.setdefault(endpoint.text, []).append(endpoint)
    return {key: tuple(_believed(places[text]) for text in sorted(places)) for key, places in found.items()}


def _believed(same: Sequence[ProxyEndpoint]) -> ProxyEndpoint:
    if len(same) == 1:
        return same[0]
    chosen: ProxyEndpoint = law.order("duplicate", same, None)[0]
    return chosen


@frozen(slots=False)
class Choice:
    """Choosing the endpoints of a port of a Service for one node. `endpoints`: all that there are, in order."""

    info: ServicePortInfo
    endpoints: tuple[ProxyEndpoint, ...]
    node: ProxyNode

    @lazy
    def ready(self) -> tuple[ProxyEndpoint, ...]:
        """Those that are ready."""
        return tuple(each for each in self.endpoints if each.use == "ready")

    @lazy
    def draining(self) -> tuple[ProxyEndpoint, ...]:
        """Those that are shutting down and still serve."""
        return tuple(each for each in self.endpoints if each.use == "draining")

    @lazy
    def uses(self) -> tuple[bool, bool]:
        """Whether endpoints of the cluster and of this node are needed (table policies)."""
        outputs = law.decide("policies", self).outputs
        return bool(outputs["cluster"]), bool(outputs["local"])

    @lazy
    def topology_mode(self) -> Mode:
        """How far hints restrict the choice (table topology)."""
        found: Mode = law.decide("topology", self).outputs["mode"]
        return found

    @lazy
    def cluster(self) -> tuple[ProxyEndpoint, ...]:
        """The endpoints for traffic that may go anywhere."""
        takes = law.decide("cluster-endpoints", self).outputs["takes"]
        if takes == "available":
            return tuple(each for each in self.ready if _is_available(each, self))
        return {"draining": self.draining, "none": ()}[takes]

    @lazy
    def local(self) -> tuple[ProxyEndpoint, ...]:
        """The endpoints for traffic that must stay on this node."""
        takes = law.decide("local-endpoints", self).outputs["takes"]
        chosen = {"ready": self.ready, "draining": self.draining, "none": ()}[takes]
        return tuple(each for each in chosen if each.node == self.node.name)

    @lazy
    def reachable(self) -> tuple[ProxyEndpoint, ...]:
        """Both together, without doubles; in order."""
        if not self.local or self.local == self.cluster:
            return self.cluster
        chosen = {id(each) for each in (*self.cluster, *self.local)}
        return tuple(each for each in self.endpoints if id(each) in chosen)

    @lazy
    def alive(self) -> bool:
        """Whether there is any endpoint at all, if only on other nodes (table alive)."""
        return bool(law.decide("alive", self).outputs["alive"])


@frozen
class HintCase:
    """A ready endpoint, and the choice that it stands in."""

    endpoint: ProxyEndpoint
    choice: Choice


def _is_available(endpoint: ProxyEndpoint, choice: Choice) -> bool:
    if choice.topology_mode == "everywhere":  # the usual case, without asking about each endpoint
        return True
    return bool(law.decide("available", HintCase(endpoint, choice)).outputs["available"])


@law.fact
def mode(case: HintCase) -> Mode:
    """How far hints restrict the choice."""
    return case.choice.topology_mode


@law.fact
def for_this_node(case: HintCase) -> bool:
    """Whether the endpoint's hints name this node."""
    return case.choice.node.name in case.endpoint.node_hints


@law.fact
def for_this_zone(case: HintCase) -> bool:
    """Whether the endpoint's hints name this node's zone."""
    return case.choice.node.zone in case.endpoint.zone_hints


@law.fact
def uses_cluster(case: Choice) -> bool:
    """Whether endpoints of the whole cluster are needed."""
    return case.uses[0]


@law.fact
def uses_local(case: Choice) -> bool:
    """Whether endpoints of this node are needed."""
    return case.uses[1]


@law.fact
def ready_endpoints(case: Choice) -> Count:
    """How many endpoints are ready."""
    return len(case.ready)


@law.fact
def ready_local_endpoints(case: Choice) -> Count:
    """How many ready endpoints are on this node."""
    return sum(1 for each in case.ready if each.node == case.node.name)


@law.fact
def usable_endpoints(case: Choice) -> Count:
    """How many endpoints are ready, or shutting down and still serving."""
    return len(case.ready) + len(case.draining)


@law.fact
def chosen_endpoints(case: Choice) -> Count:
    """How many endpoints are chosen for traffic that may go anywhere."""
    return len(case.cluster)


@law.fact
def every_node_hinted(case: Choice) -> bool:
    """Whether every ready endpoint has hints for nodes."""
    return all(each.node_hints for each in case.ready)


@law.fact
def node_hinted(case: Choice) -> bool:
    """Whether a ready endpoint's hints name this node."""
    return any(case.node.name in each.node_hints for each in case.ready)


@law.fact
def every_zone_hinted(case: Choice) -> bool:
    """Whether every ready endpoint has hints for zones."""
    return all(each.zone_hints for each in case.ready)


@law.fact
def zone_hinted(case: Choice) -> bool:
    """Whether a ready endpoint's hints name this node's zone."""
    return any(case.node.zone in each.zone_hints for each in case.ready)
