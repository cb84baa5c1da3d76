"""A portal: one port of a Service as one node reaches it, with the endpoints chosen and what is decided about its
packets.

All back ends render portals; the tables that they ask about one take it as their case.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from attrs import frozen

from k8sfsm.law import Count
from k8sfsm.lazy import lazy
from k8sfsm.network.proxy.address import contains
from k8sfsm.network.proxy.endpoints import Choice, ProxyEndpoint
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.rules import law
from k8sfsm.network.proxy.services import ServicePortInfo

Verdict: TypeAlias = Literal["deliver", "reject", "drop"]
Refusal: TypeAlias = Literal["none", "reject", "drop"]
Which: TypeAlias = Literal["cluster", "local", "none"]


@frozen(slots=False)
class Portal:
    """A port of a Service on a node. `endpoints`: all of its endpoints, in order."""

    info: ServicePortInfo
    endpoints: tuple[ProxyEndpoint, ...]
    place: Place

    @lazy
    def choice(self) -> Choice:
        """The endpoints that this node uses."""
        return Choice(self.info, self.endpoints, self.place.node)

    @lazy
    def internal(self) -> tuple[Verdict, Which]:
        """What becomes of packets to the cluster IP, and which endpoints get them (table internal)."""
        outputs = law.decide("internal", self).outputs
        return outputs["verdict"], outputs["endpoints"]

    @lazy
    def external(self) -> tuple[bool, Refusal, Which]:
        """Whether packets from outside enter, how the rest is refused, which endpoints strangers get (table
        external).
        """
        outputs = law.decide("external", self).outputs
        return bool(outputs["enters"]), outputs["refusal"], outputs["endpoints"]

    @lazy
    def node_allowed(self) -> bool:
        """Whether the source ranges hold the node's own address."""
        ips = self.place.node.of_family(self.place.settings.family)
        return bool(ips) and any(contains(cidr, ips[0]) for cidr in self.info.source_ranges)

    def chosen(self, which: Which) -> tuple[ProxyEndpoint, ...]:
        """The endpoints of the cluster, of this node, or none."""
        if which == "none":
            return ()
        return self.choice.cluster if which == "cluster" else self.choice.local


@law.fact
def externally_accessible(case: Portal | Choice) -> bool:
    """Whether the Service's port has a node port, an external IP or a load balancer's IP."""
    return case.info.reachable_from_outside


@law.fact
def internal_local(case: Portal | Choice) -> bool:
    """Whether traffic to the cluster IP must stay on the node (internalTrafficPolicy Local)."""
    return case.info.internal_local


@law.fact
def external_local(case: Portal | Choice) -> bool:
    """Whether traffic from outside must stay on the node (externalTrafficPolicy Local, where it counts)."""
    return case.info.external_local


@law.fact
def alive(case: Portal) -> bool:
    """Whether the Service's port has any endpoint at all (table alive)."""
    return case.choice.alive


@law.fact
def cluster_endpoints(case: Portal) -> Count:
    """How many endpoints are chosen for traffic that may go anywhere."""
    return len(case.choice.cluster)


@law.fact
def local_endpoints(case: Portal) -> Count:
    """How many endpoints are chosen for traffic that must stay on this node."""
    return len(case.choice.local)


@law.fact
def internal_verdict(case: Portal) -> Verdict:
    """What becomes of packets to the cluster IP (table internal)."""
    return case.internal[0]


@law.fact
def external_enters(case: Portal) -> bool:
    """Whether packets to external destinations are let in (table external)."""
    return case.external[0]


@law.fact
def external_refusal(case: Portal) -> Refusal:
    """How packets to external destinations are refused that nobody took (table external)."""
    return case.external[1]


@law.fact
def firewalled(case: Portal) -> bool:
    """Whether source ranges guard a load balancer's address."""
    return case.info.firewalled


@law.fact
def node_in_ranges(case: Portal) -> bool:
    """Whether the source ranges hold the node's own address."""
    return case.node_allowed


@law.fact
def node_port_open(case: Portal) -> bool:
    """Whether it has a node port."""
    return case.info.node_port != 0


@law.fact
def localhost_counted(case: Portal) -> bool:
    """Whether packets to node ports on localhost are counted by name: served there, and the kernel has nfacct."""
    return case.place.localhost and case.place.settings.packets_counted


@law.fact
def health_checked(case: Portal) -> bool:
    """Whether a load balancer asks this node for its health."""
    return case.info.health_port != 0


@law.fact
def masquerade_whose(case: Portal) -> Literal["all", "remote", "none"]:
    """Whose packets to the cluster IP get a new source (table internal-masquerade)."""
    return case.place.masquerade_whose  # type: ignore[return-value]


@law.fact
def sticky(case: Portal) -> bool:
    """Whether a client stays with its endpoint."""
    return case.info.sticky_seconds > 0


@law.fact
def detects_local(case: Portal | Place) -> bool:
    """Whether the traffic of pods is told from other traffic."""
    return (case if isinstance(case, Place) else case.place).detects
