"""Walks a packet through iptables rules: each chain and rule that it passes, and every end that chance may bring it to.

The rules are read as the kernel would read them; nothing here knows what kube-proxy meant by them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction
from typing import Final, Literal, TypeAlias

from attrs import evolve

from k8sfsm.network.proxy.address import address, contains, host_port
from k8sfsm.network.proxy.iptables.matching import Rule, parse
from k8sfsm.network.proxy.iptables.tables import Tables
from k8sfsm.network.proxy.node import ProxyNode
from k8sfsm.network.proxy.packet import Outcome, Packet, State, Step, Walk

End: TypeAlias = Literal["accept", "drop", "reject", "return", "on"]
_DENOMINATOR: Final = 100_000
"""Probabilities are written with ten digits; they stand for one in so many at most."""
_LOST: Final[dict[End, Literal["drop", "reject"]]] = {"drop": "drop", "reject": "reject"}


class Walker:
    """A packet on its way through `tables` and `sets` (ipsets) of a node; `steps`: the rules that it has passed."""

    def __init__(
        self, tables: Tables, packet: Packet, node: ProxyNode, sets: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self.tables = tables
        self.packet = packet
        self.node = node
        self.sets = sets or {}
        self.steps: list[Step] = []
        self.hook = ""

    def run(self) -> Walk:
        """The packet's way from its first hook to every end."""
        start = State(self.packet.destination, self.packet.port)
        outcomes = [self._outcome(state, end) for state, end in self.travel(start)]
        return Walk(tuple(self.steps), tuple(outcomes))

    def _outcome(self, state: State, end: End) -> Outcome:
        if end in _LOST:
            return Outcome(chance=state.chance, fate=_LOST[end])
        if not state.translated:
            return Outcome(chance=state.chance, fate="passed", masqueraded=state.masqueraded)
        text = host_port(state.destination, state.port)
        return Outcome(chance=state.chance, fate="endpoint", endpoint=text, masqueraded=state.masqueraded)

    def travel(self, start: State) -> Iterator[tuple[State, End]]:
        """Through the hooks: translation first, then the filters on the way that the destination then demands."""
        first = "OUTPUT" if self.packet.origin == "node" else "PREROUTING"
        for state, end in self.through(start, ((first, "nat"),)):
            if end != "accept":
                yield state, end
                continue
            yield from self.through(state, self._after(state))

    def _after(self, state: State) -> tuple[tuple[str, str], ...]:
        here = self.node.has(state.destination)
        if self.packet.origin == "node":
            loop = (("INPUT", "filter"),) if here else ()
            return (("OUTPUT", "filter"), ("POSTROUTING", "nat"), *loop)
        return (("INPUT", "filter"),) if here else (("FORWARD", "filter"), ("POSTROUTING", "nat"))

    def through(self, state: State, hooks: tuple[tuple[str, str], ...]) -> Iterator[tuple[State, End]]:
        """Through the chains of (hook, table), one after the other; where the packet gets through, the end is
        `accept`.
        """
        if not hooks:
            yield state, "accept"
            return
        (chain, table), *rest = hooks
        self.hook = chain
        for after, end in list(self._chain(state, table, chain, 0)):
            if end in ("accept", "return"):
                yield from self.through(after, tuple(rest))
            else:
                yield after, end

    def _chain(self, state: State, table: str, chain: str, index: int) -> Iterator[tuple[State, End]]:
        rules = self.tables.tables.get(table, {}).get(chain, [])
        for place in range(index, len(rules)):
            rule = parse(rules[place])
            chance = self._matches(rule, state)
            if not chance:
                continue
            taken = state if chance == 1 else evolve(state, chance=state.chance * chance)
            for after, end in self._take(rule, taken, table, chain):
                if end == "on":
                    yield from self._chain(after, table, chain, place + 1)
                else:
                    yield after, end
            if chance == 1:
                return
            state = evolve(state, chance=state.chance * (1 - chance))
        yield state, "return"

    def _take(self, rule: Rule, state: State, table: str, chain: str) -> Iterator[tuple[State, End]]:
        """What a rule does to a packet that it matches; `on`: go on with the next rule."""
        step = Step(hook=self.hook, table=table, chain=chain, rule=rule.text, effect=rule.target, chance=state.chance)
        if rule.target:
            self.steps.append(step)
        match rule.target:
            case "":
                yield state, "on"
            case "ACCEPT":
                yield state, "accept"
            case "DROP":
                yield state, "drop"
            case "REJECT":
                yield state, "reject"
            case "RETURN":
                yield state, "return"
            case "MARK":
                yield evolve(state, mark=(state.mark & ~rule.mask) ^ rule.bits), "on"
            case "MASQUERADE":
                yield evolve(state, masqueraded=True), "accept"
            case "DNAT":
                yield evolve(state, destination=rule.to_ip, port=rule.to_port, translated=True), "accept"
            case _:
                for after, end in self._chain(state, table, rule.target, 0):
                    yield after, "on" if end == "return" else end

    # -- matching -----------------------------------------------------------------------------------------------------

    def _matches(self, rule: Rule, state: State) -> Fraction:
        """How likely the rule matches: 0, 1, or what its `statistic` says."""
        if rule.port and rule.port != state.port:  # most rules are of other Services
            return Fraction(0)
        if rule.destination and not rule.destination.holds(_inside(rule.destination.value, state.destination)):
            return Fraction(0)
        for test in rule.tests:
            if not test.holds(self._holds(test.name, test.value, state)):
                return Fraction(0)
        return Fraction(rule.probability).limit_denominator(_DENOMINATOR) if rule.probability else Fraction(1)

    def _holds(self, name: str, value: str, state: State) -> bool:
        packet = self.packet
        match name:
            case "-p":
                return value == packet.protocol
            case "-s":
                return _inside(value, packet.source)
            case "-i":
                return packet.interface.startswith(value[:-1]) if value.endswith("+") else packet.interface == value
            case "--dst-type":
                return self.node.has(state.destination)
            case "--src-type":
                return self.node.has(packet.source)
            case "--ctstate":
                return "NEW" in value.split(",") or (state.translated and "DNAT" in value.split(","))
            case "--mark":
                bits, _, mask = value.partition("/")
                return state.mark & int(mask or "0xffffffff", 16) == int(bits, 16)
            case "--match-set":
                return self._in_set(value, state)
            case "recent":
                return bool(packet.seen) and self._endpoint(value) == packet.seen
        raise ValueError(f"no packet can be held against {name} {value}")

    def _in_set(self, value: str, state: State) -> bool:
        """Whether an ipset holds the packet; `value`: its name, and which parts are looked up (``dst,dst,src``)."""
        name, _, parts = value.partition(" ")
        entries = self.sets[name]
        first, *rest = parts.split(",")
        ip = state.destination if first == "dst" else self.packet.source
        if not rest:
            return ip in entries or str(state.port) in entries
        known = f"{ip},{self.packet.protocol}:{state.port}"
        if len(rest) == 1:
            return known in entries
        return f"{known},{self.packet.source}" in entries or self._in_range(entries, known)

    def _in_range(self, entries: Collection[str], known: str) -> bool:
        ranges = [each.rpartition(",")[2] for each in entries if each.startswith(f"{known},")]
        return any("/" in cidr and contains(cidr, self.packet.source) for cidr in ranges)

    def _endpoint(self, chain: str) -> str:
        """The endpoint whose clients a list remembers: the list is named after the endpoint's chain."""
        for text in self.tables.tables["nat"].get(chain, ()):
            rule = parse(text)
            if rule.target == "DNAT":
                return f"[{rule.to_ip}]:{rule.to_port}" if ":" in rule.to_ip else f"{rule.to_ip}:{rule.to_port}"
        return ""


def _inside(cidr: str, ip: str) -> bool:
    return cidr == ip or (("/" in cidr or address(cidr) is not None) and contains(cidr, ip))


def walk(tables: Tables, packet: Packet, node: ProxyNode) -> Walk:
    """The way of a packet through iptables rules on a node. Raises ValueError where a rule has a match that is not
    known.
    """
    return Walker(tables, packet, node).run()
