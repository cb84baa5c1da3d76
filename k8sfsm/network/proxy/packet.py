"""A packet that opens a connection, and what is to become of it whatever the back end
(`specs/kubeproxy/packet.yaml`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Literal, TypeAlias

from attrs import evolve, frozen

from k8sfsm.lazy import lazy
from k8sfsm.network.proxy.address import contains
from k8sfsm.network.proxy.endpoints import ProxyEndpoint
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.rules import law
from k8sfsm.network.proxy.services import ServicePortInfo

Origin: TypeAlias = Literal["node", "pod", "outside"]
Sender: TypeAlias = Literal["pod", "node", "outside"]
Entrance: TypeAlias = Literal["cluster-ip", "external-ip", "balancer-ip", "node-port"]
Fate: TypeAlias = Literal["endpoint", "reject", "drop", "passed"]


@frozen(kw_only=True, slots=False)
class Packet:
    """The first packet of a connection. `origin`: a process of the node itself, a pod on it, or anybody else;
    `interface`: by which it came in; `seen`: the endpoint (``ip:port``) that served this client lately, for session
    affinity.
    """

    source: str
    destination: str
    port: int
    protocol: str = "tcp"
    origin: Origin = "pod"
    interface: str = ""
    seen: str = ""


@frozen
class State:
    """A packet on its way through the rules of a node: where it goes by now, and how likely it came so far."""

    destination: str
    port: int
    chance: Fraction = Fraction(1)
    mark: int = 0
    translated: bool = False
    masqueraded: bool = False


@frozen(kw_only=True)
class Outcome:
    """What may become of a packet. `fate` ``passed``: nobody translated or refused it. `endpoint`: where it goes,
    ``ip:port``; `masqueraded`: its source becomes the node's address.
    """

    chance: Fraction
    fate: Fate
    endpoint: str = ""
    masqueraded: bool = False


@frozen(kw_only=True)
class Step:
    """A rule that a packet passes: where (`hook`, `table`, `chain`), the rule as the back end writes it, what it does,
    and how likely it is that the packet comes this way.
    """

    hook: str
    table: str
    chain: str
    rule: str
    effect: str
    chance: Fraction = Fraction(1)


@frozen
class Walk:
    """A packet's way: the rules that it passes, in order, and its possible ends."""

    steps: tuple[Step, ...]
    outcomes: tuple[Outcome, ...]

    def passed(self) -> tuple[Step, ...]:
        """The steps, each once: how likely it is that the packet passes there, whichever endpoint it is given to."""
        found: dict[tuple[str, str, str, str], Step] = {}
        for step in self.steps:
            key = (step.hook, step.table, step.chain, step.rule)
            before = found[key].chance if key in found else Fraction(0)
            found[key] = evolve(step, chance=min(Fraction(1), before + step.chance))
        return tuple(found.values())

    def backends(self) -> dict[str, Fraction]:
        """How likely each endpoint is; refusals by their names. In the order of their names."""
        found: dict[str, Fraction] = {}
        for each in self.outcomes:
            name = each.endpoint or each.fate
            found[name] = found.get(name, Fraction(0)) + each.chance
        return {name: found[name] for name in sorted(found)}

    def masqueraded(self) -> dict[str, bool]:
        """By endpoint, whether the source is replaced on the way there."""
        return {each.endpoint: each.masqueraded for each in self.outcomes if each.endpoint}


@frozen(slots=False)
class Arrival:
    """A packet that arrives at a node."""

    packet: Packet
    place: Place

    @lazy
    def sender(self) -> Sender:
        """Who sent it, as far as the node can tell (table source)."""
        found: Sender = law.decide("source", self).outputs["sender"]
        return found


@frozen(slots=False)
class Visit:
    """A packet that enters a portal by one of its addresses."""

    packet: Packet
    portal: Portal
    entrance: Entrance

    @property
    def info(self) -> ServicePortInfo:
        """The port of the Service."""
        return self.portal.info

    @property
    def place(self) -> Place:
        """The node and its proxy."""
        return self.portal.place

    @property
    def node_allowed(self) -> bool:
        """Whether the source ranges hold the node's own address."""
        return self.portal.node_allowed

    @lazy
    def arrival(self) -> Arrival:
        """The packet at the node."""
        return Arrival(self.packet, self.portal.place)


@frozen
class Delivery:
    """A packet that was given to an endpoint; `marked`: it is masqueraded already."""

    packet: Packet
    endpoint: ProxyEndpoint
    marked: bool


@law.fact
def from_pod(case: Arrival) -> bool:
    """Whether the node takes the packet for one of a pod, by its source or the interface by which it came."""
    settings = case.place.settings
    if settings.detection == "cidr":
        return contains(settings.detected, case.packet.source)
    if settings.detection == "none":
        return False
    interface = case.packet.interface
    return interface == settings.detected or (
        settings.detection == "prefix" and interface.startswith(settings.detected)
    )


@law.fact
def from_node(case: Arrival) -> bool:
    """Whether the packet's source is an address of the node."""
    return case.place.node.has(case.packet.source)


@law.fact
def sender(case: Visit) -> Sender:
    """Who sent the packet, as far as the node can tell (table source)."""
    return case.arrival.sender


@law.fact
def entrance(case: Visit) -> Entrance:
    """By which kind of address the packet enters."""
    return case.entrance


@law.fact
def ranged(case: Visit) -> bool:
    """Whether source ranges guard the load balancer's addresses."""
    return case.portal.info.firewalled


@law.fact
def source_in_ranges(case: Visit) -> bool:
    """Whether the source ranges hold the packet's source."""
    return any(contains(cidr, case.packet.source) for cidr in case.portal.info.source_ranges)


@law.fact
def source_is_balancer(case: Visit) -> bool:
    """Whether the packet has an address of the load balancer as its source."""
    return case.packet.source in case.portal.info.balancer_ips


@law.fact
def to_itself(case: Delivery) -> bool:
    """Whether the packet's sender was chosen itself."""
    return case.packet.source == case.endpoint.ip


@law.fact
def masqueraded(case: Delivery) -> bool:
    """Whether the packet gets a new source already."""
    return case.marked


def entrance_of(portal: Portal, packet: Packet) -> Entrance | None:
    """By which kind of address of a portal a packet enters; None: by none."""
    info, place = portal.info, portal.place
    if packet.protocol != info.protocol:
        return None
    if packet.port == info.port:
        if packet.destination == info.cluster_ip:
            return "cluster-ip"
        if packet.destination in info.external_ips:
            return "external-ip"
        if packet.destination in info.balancer_ips:
            return "balancer-ip"
    if packet.port == info.node_port and packet.port and place.serves_node_ports(packet.destination):
        return "node-port"
    return None


def visit(portals: Iterable[Portal], packet: Packet) -> Visit | None:
    """The portal that a packet enters, addresses before node ports; None: it enters none."""
    found = [Visit(packet, portal, way) for portal in portals if (way := entrance_of(portal, packet)) is not None]
    found.sort(key=lambda each: each.entrance == "node-port")
    return found[0] if found else None


def decide(case: Visit | None) -> tuple[Outcome, ...]:
    """What is to become of a packet; None: it enters no portal."""
    if case is None:
        return (Outcome(chance=Fraction(1), fate="passed"),)
    return _internal(case) if case.entrance == "cluster-ip" else _external(case)


def marks(case: Visit) -> bool:
    """Whether the source of a packet that enters is replaced, whichever endpoint it is given to."""
    table = "masquerade" if case.entrance == "cluster-ip" else "external-source"
    return bool(law.decide(table, case).outputs["masquerade"])


def _internal(case: Visit) -> tuple[Outcome, ...]:
    verdict, which = case.portal.internal
    if verdict != "deliver":
        return (Outcome(chance=Fraction(1), fate=verdict),)
    return balanced(case, case.portal.chosen(which), marks(case))


def _external(case: Visit) -> tuple[Outcome, ...]:
    enters, refusal, policy = case.portal.external
    if not enters:
        return (Outcome(chance=Fraction(1), fate="reject" if refusal == "reject" else "drop"),)
    if not law.decide("firewall", case).outputs["passes"]:
        return (Outcome(chance=Fraction(1), fate="drop"),)
    asked = law.decide("external-source", case).outputs["endpoints"]
    which = policy if asked == "policy" else asked
    if which == "none":
        return (Outcome(chance=Fraction(1), fate="drop"),)
    return balanced(case, case.portal.chosen(which), marks(case))


def balanced(case: Visit, endpoints: Sequence[ProxyEndpoint], marked: bool) -> tuple[Outcome, ...]:
    """A packet given to one of several endpoints, each as likely as the others; with affinity the client's own is
    kept.
    """
    packet = case.packet
    known = [each for each in endpoints if case.info.sticky_seconds and each.text == packet.seen]
    chosen = known or endpoints
    return tuple(
        Outcome(
            chance=Fraction(1, len(chosen)),
            fate="endpoint",
            endpoint=each.text,
            masqueraded=bool(law.decide("hairpin", Delivery(packet, each, marked)).outputs["masquerade"]),
        )
        for each in chosen
    )
