"""Renders portals as maps, and looks connections up in them. What entries there are stands in
`specs/kubeproxy/ebpf.yaml`.

A lookup costs the same however many Services there are; one endpoint's change is one write to a map.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from attrs import define, field, frozen

from k8sfsm.network.proxy.address import contains, host_port
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.packet import Arrival, Outcome, Packet, Sender, Step, Walk
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.rules import law

Scope: TypeAlias = Literal["any", "inside", "outside"]
ANY_NODE_ADDRESS: Final = "0.0.0.0"


_LOCALHOST: Final = ("127.0.0.0/8",)


@frozen
class ServiceKey:
    """What a connection is looked up by; `scope`: whose connections the entry is for."""

    ip: str
    port: int
    protocol: str
    scope: Scope


@frozen
class Entry:
    """What becomes of a connection. `service`: number of the Service's port; `slots`: numbers of its backends;
    `sticky`: seconds that a client stays with a backend; `ranged`: source ranges are asked.
    """

    service: int
    action: Literal["balance", "reject", "drop"]
    internal: bool
    slots: tuple[int, ...] = ()
    sticky: int = 0
    ranged: bool = False


@define
class Maps:
    """The maps of a node. `backends`: number -> (ip, port); `ranges`: (service, CIDR) that may pass; `identities`:
    CIDR or address -> who that is; `port_addresses`: where node ports are served.
    """

    place: Place
    services: dict[ServiceKey, Entry] = field(factory=dict)
    backends: dict[int, tuple[str, int]] = field(factory=dict)
    ranges: dict[tuple[int, str], str] = field(factory=dict)
    identities: dict[str, Sender] = field(factory=dict)
    port_addresses: tuple[str, ...] = ()

    def dangling(self) -> Iterator[str]:
        """Entries whose backends do not exist."""
        for key, entry in self.services.items():
            for slot in entry.slots:
                if slot not in self.backends:
                    yield f"{key.ip}:{key.port}/{key.protocol}: there is no backend {slot}"

    def text(self) -> str:
        """The maps, one entry a line."""
        lines = ["services"]
        for key in sorted(self.services, key=lambda key: (key.protocol, key.ip, key.port, key.scope)):
            entry = self.services[key]
            parts = [
                entry.action,
                f"service {entry.service}",
                *(["sticky " + str(entry.sticky)] if entry.sticky else []),
            ]
            parts += ["ranged"] if entry.ranged else []
            parts += [f"slots {' '.join(map(str, entry.slots))}"] if entry.slots else []
            lines.append(f"  {key.protocol} {host_port(key.ip, key.port)} {key.scope}: {', '.join(parts)}")
        lines.append("backends")
        lines += [f"  {number}: {host_port(*self.backends[number])}" for number in sorted(self.backends)]
        lines.append("ranges")
        lines += [f"  {service} {cidr}: {who}" for (service, cidr), who in sorted(self.ranges.items())]
        lines.append("identities")
        lines += [f"  {cidr}: {who}" for cidr, who in sorted(self.identities.items())]
        return "\n".join(lines) + "\n"


@frozen
class Lookup:
    """A connection being looked up. `entry` and `scope`: what was found, once it was."""

    packet: Packet
    maps: Maps
    entry: Entry | None = None
    entry_scope: Scope = "any"

    @property
    def place(self) -> Place:
        """The node and its proxy."""
        return self.maps.place

    @property
    def masquerade_whose(self) -> str:
        """Whose packets to cluster IPs get a new source."""
        return self.place.masquerade_whose

    @property
    def hook(self) -> tuple[str, str]:
        """Where it is looked up, and what is translated there (table ebpf-hook)."""
        outputs = law.decide("ebpf-hook", self).outputs
        return outputs["hook"], outputs["translates"]


@law.fact
def packet_origin(case: Lookup) -> Literal["node", "pod", "outside"]:
    """Where the connection begins."""
    return case.packet.origin


@law.fact
def sender_known(case: Lookup) -> Sender:
    """Who the sender is by the map of identities; networks of pods before addresses of the node."""
    if case.place.settings.detection in ("bridge", "prefix"):
        return Arrival(case.packet, case.place).sender
    found = [who for cidr, who in case.maps.identities.items() if contains(cidr, case.packet.source)]
    return "pod" if "pod" in found else (found[0] if found else "outside")


@law.fact
def translates(case: Lookup) -> Literal["socket", "packet"]:
    """What is translated: the address of a socket, or packets."""
    return "socket" if case.hook[1] == "socket" else "packet"


@law.fact
def internal_traffic(case: Lookup) -> bool:
    """Whether the connection is to a cluster IP."""
    return case.entry is not None and case.entry.internal


@law.fact
def entry_scope(case: Lookup) -> Scope:
    """Whose connections the entry is for that was found."""
    return case.entry_scope


def maps_of(portals: Iterable[Portal], place: Place) -> Maps:
    """The maps of a node."""
    maps = Maps(place)
    if place.settings.detection == "cidr":
        maps.identities[place.settings.detected] = "pod"
    maps.identities.update(dict.fromkeys(place.node.addresses, "node"))
    maps.port_addresses = tuple(ip for ip in place.node.addresses if place.serves_node_ports(ip))
    maps.port_addresses += _LOCALHOST if place.serves_node_ports("127.0.0.1") else ()
    numbers: dict[tuple[str, str, int], int] = {}
    for service, portal in enumerate(portals, start=1):
        _render(maps, portal, service, numbers)
    return maps


def _render(maps: Maps, portal: Portal, service: int, numbers: dict[tuple[str, str, int], int]) -> None:
    info = portal.info
    for found in portal.choice.reachable:
        key = (info.protocol, found.ip, found.port)
        number = numbers.setdefault(key, len(numbers) + 1)
        maps.backends[number] = (found.ip, found.port)
    sets = {
        "internal": portal.chosen(portal.internal[1]),
        "policy": portal.chosen(portal.external[2]),
        "cluster": portal.choice.cluster,
        "none": (),
    }
    for decision in law.collect("ebpf-services", portal):
        row = decision.outputs
        slots = tuple(numbers[info.protocol, each.ip, each.port] for each in sets[row["traffic"]])
        for ip, port, balanced in _places(portal, row["each"]):
            ranged = balanced and info.firewalled and row["action"] != "reject"
            key_of = ServiceKey(ip, port, info.protocol, row["scope"])
            internal = row["each"] == "cluster-ip"
            maps.services[key_of] = Entry(service, row["action"], internal, slots, info.sticky_seconds, ranged)
    for cidr in info.source_ranges if info.firewalled else ():
        maps.ranges[service, cidr] = "range"
    for ip in info.balancer_ips if info.firewalled and portal.node_allowed else ():
        maps.ranges[service, ip] = "balancer"


def _places(portal: Portal, each: str) -> Sequence[tuple[str, int, bool]]:
    """(ip, port, whether a load balancer's) of the entries of a kind."""
    info = portal.info
    external = [(ip, info.port, False) for ip in info.external_ips if ip not in info.balancer_ips]
    return {
        "cluster-ip": [(info.cluster_ip, info.port, False)],
        "node-port": [(ANY_NODE_ADDRESS, info.node_port, False)],
        "public-ip": [*external, *((ip, info.port, True) for ip in info.balancer_ips)],
    }[each]


def walk(maps: Maps, packet: Packet) -> Walk:
    """The way of a connection: one lookup, and what it finds."""
    lookup = Lookup(packet, maps)
    hook, _ = lookup.hook
    wanted: Scope = law.decide("ebpf-scope", lookup).outputs["scope"]
    found = _find(maps, packet, wanted)
    if found is None:
        step = _step(hook, packet, "no entry", "goes on")
        return Walk((step,), (Outcome(chance=Fraction(1), fate="passed"),))
    key, entry = found
    name = f"{key.protocol} {host_port(key.ip, key.port)} {key.scope}"
    if entry.ranged and not _in_ranges(maps, entry, packet):
        return Walk((_step(hook, packet, name, "drop"),), (Outcome(chance=Fraction(1), fate="drop"),))
    if entry.action != "balance":
        return Walk((_step(hook, packet, name, entry.action),), (Outcome(chance=Fraction(1), fate=entry.action),))
    ends = _balanced(maps, Lookup(packet, maps, entry, key.scope), entry)
    says = f"service {entry.service}: to {', '.join(end.endpoint for end in ends)}"
    return Walk((_step(hook, packet, name, says),), ends)


def _step(hook: str, packet: Packet, rule: str, effect: str) -> Step:
    table = "socket" if hook.startswith("cgroup") else "device"
    return Step(hook=hook, table=table, chain="services", rule=rule, effect=effect)


def _find(maps: Maps, packet: Packet, wanted: Scope) -> tuple[ServiceKey, Entry] | None:
    served = any(contains(cidr, packet.destination) for cidr in maps.port_addresses)
    for ip in (packet.destination, *([ANY_NODE_ADDRESS] if served else [])):
        for scope in (wanted, "any"):
            key = ServiceKey(ip, packet.port, packet.protocol, scope)
            entry = maps.services.get(key)
            if entry is not None:
                return key, entry
    return None


def _in_ranges(maps: Maps, entry: Entry, packet: Packet) -> bool:
    return any(service == entry.service and contains(cidr, packet.source) for service, cidr in maps.ranges)


def _balanced(maps: Maps, lookup: Lookup, entry: Entry) -> tuple[Outcome, ...]:
    texts = [host_port(*maps.backends[slot]) for slot in entry.slots]
    kept = [text for text in texts if entry.sticky and text == lookup.packet.seen]
    chosen = kept or texts
    marked = bool(law.decide("ebpf-masquerade", lookup).outputs["masquerade"])
    tracked = lookup.hook[1] == "packet"
    return tuple(
        Outcome(
            chance=Fraction(1, len(chosen)),
            fate="endpoint",
            endpoint=text,
            masqueraded=marked or (tracked and text.rpartition(":")[0].strip("[]") == lookup.packet.source),
        )
        for text in chosen
    )
