"""What a back end is expected to do with a packet: what all do, except where `specs/kubeproxy/differences.yaml` says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Literal

from attrs import frozen

from k8sfsm.lazy import lazy
from k8sfsm.network.proxy.address import contains, is_loopback
from k8sfsm.network.proxy.endpoints import ProxyEndpoint
from k8sfsm.network.proxy.ipvs.render import Traffic
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.packet import (
    Entrance,
    Outcome,
    Packet,
    Visit,
    Walk,
    balanced,
    decide,
    marks,
    visit,
)
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.rules import law

Spare = Literal["none", "cluster-address", "public-address", "service-range", "dead-node-port", "strict-node-port"]


@frozen(slots=False)
class Expectation:
    """What a back end is expected to do with a packet. `name` of a back end, `portals`: all of the node's."""

    name: str
    packet: Packet
    portals: tuple[Portal, ...]
    place: Place

    @lazy
    def visit(self) -> Visit | None:
        """The portal that the packet enters, if any."""
        return visit(self.portals, self.packet)

    @lazy
    def rule(self) -> str:
        """The rule that makes this back end different here; ``none`` is one as well."""
        return law.decide("difference", self).rule

    def backends(self) -> Mapping[str, Fraction]:
        """How likely each endpoint is, refusals by their names."""
        instead = law.decide("difference", self).outputs["instead"]
        if instead == "nothing":
            return Walk((), decide(self.visit)).backends()
        if instead in ("one-set", "cluster"):
            return Walk((), self._of(self._set(instead))).backends()
        return {instead: Fraction(1)}

    def _set(self, instead: str) -> Sequence[ProxyEndpoint]:
        assert self.visit is not None
        portal = self.visit.portal
        if instead == "cluster":
            return portal.choice.cluster
        traffic = Traffic(portal, self.visit.entrance == "cluster-ip")
        return portal.chosen(law.decide("ipvs-endpoints", traffic).outputs["endpoints"])

    def _of(self, endpoints: Sequence[ProxyEndpoint]) -> tuple[Outcome, ...]:
        if not endpoints or self.visit is None:
            return (Outcome(chance=Fraction(1), fate="reject"),)
        return balanced(self.visit, endpoints, False)

    def masquerades(self) -> Mapping[str, bool]:
        """By endpoint that all back ends may choose, whether the source is replaced."""
        found: dict[str, bool] = {}
        for each in decide(self.visit):
            if each.endpoint and self.visit is not None:
                instead = law.decide("masquerade-difference", Source(self, each.endpoint)).outputs["instead"]
                values = {"nothing": each.masqueraded, "as-others": marks(self.visit)}
                found[each.endpoint] = values.get(instead, instead)
        return found


@frozen
class Source:
    """The source of a packet that a back end gives to an endpoint (``ip:port``)."""

    expected: Expectation
    endpoint: str

    @property
    def name(self) -> str:
        """The back end."""
        return self.expected.name

    @property
    def packet(self) -> Packet:
        """The packet."""
        return self.expected.packet

    @property
    def visit(self) -> Visit | None:
        """The portal that the packet enters."""
        return self.expected.visit


@law.fact
def backend(case: Expectation | Source) -> Literal["iptables", "nftables", "ipvs", "ebpf"]:
    """The back end."""
    return case.name  # type: ignore[return-value]


@law.fact
def way(case: Expectation | Source) -> Entrance | Literal["none"]:
    """By which kind of address the packet enters a Service; none: it does not."""
    return "none" if case.visit is None else case.visit.entrance


@law.fact
def loopback(case: Expectation) -> bool:
    """Whether the packet is for 127/8 or ::1."""
    return is_loopback(case.packet.destination)


@law.fact
def here(case: Expectation) -> bool:
    """Whether the destination is an address of the node itself."""
    return case.place.node.has(case.packet.destination)


@law.fact
def dead(case: Expectation) -> bool:
    """Whether the Service's port has no endpoint anywhere."""
    return case.visit is not None and not case.visit.portal.choice.alive


@law.fact
def walled(case: Expectation) -> bool:
    """Whether source ranges keep the packet out."""
    return case.visit is not None and not law.decide("firewall", case.visit).outputs["passes"]


@law.fact
def kept_local(case: Expectation | Source) -> bool:
    """Whether the policy for this traffic is Local."""
    if case.visit is None:
        return False
    info = case.visit.info
    return info.internal_local if case.visit.entrance == "cluster-ip" else info.external_local


@law.fact
def spare(case: Expectation) -> Spare:
    """What the destination of a packet is that enters no Service, as far as Services have to do with it."""
    packet, place = case.packet, case.place
    same = [each for each in case.portals if each.info.protocol == packet.protocol]
    if place.node.has(packet.destination):
        refusals = {each.external[1] for each in same if each.info.node_port == packet.port and packet.port}
        return "dead-node-port" if "reject" in refusals else "strict-node-port" if "drop" in refusals else "none"
    if any(each.info.cluster_ip == packet.destination for each in case.portals):
        return "cluster-address"
    if any(packet.destination in (*each.info.external_ips, *each.info.balancer_ips) for each in case.portals):
        return "public-address"
    inside = any(contains(cidr, packet.destination) for cidr in place.settings.service_cidrs)
    return "service-range" if inside else "none"


@law.fact
def loops_back(case: Source) -> bool:
    """Whether the packet's sender was chosen itself."""
    return case.endpoint.rpartition(":")[0].strip("[]") == case.packet.source


@law.fact
def endpoint_here(case: Source) -> bool:
    """Whether the endpoint runs on the node."""
    assert case.visit is not None
    node = case.expected.place.node.name
    return any(each.text == case.endpoint and each.node == node for each in case.visit.portal.choice.reachable)
