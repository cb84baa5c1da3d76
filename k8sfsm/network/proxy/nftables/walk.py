"""Walks a packet through an nftables ruleset: rules are read as the kernel would read them, statement by statement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal, TypeAlias

from attrs import evolve, frozen

from k8sfsm.network.proxy.address import contains, host_port
from k8sfsm.network.proxy.nftables.ruleset import Ruleset
from k8sfsm.network.proxy.node import ProxyNode
from k8sfsm.network.proxy.packet import Outcome, Packet, State, Step, Walk

End: TypeAlias = Literal["accept", "drop", "reject", "return", "on"]
_FIELD: Final = r"(?:ip6? [sd]addr|meta l4proto|th dport)"
_STATEMENTS: Final = tuple(
    (name, re.compile(pattern))
    for name, pattern in (
        ("comment", r'comment "(?P<text>[^"]*)"'),
        ("new", r"ct state new"),
        ("translated", r"ct status dnat"),
        ("local", r"fib (?P<field>[sd]addr) type local"),
        ("vmap", rf"(?P<fields>{_FIELD}(?: \. {_FIELD})*) vmap @(?P<set>\S+)"),
        ("member", rf"(?P<fields>{_FIELD}(?: \. {_FIELD})*) @(?P<set>\S+)"),
        ("among", rf"(?P<fields>{_FIELD}) (?P<not>!= )?\{{ (?P<values>[^}}]*) \}}"),
        ("marked", r"meta mark & (?P<mask>0x[0-9a-f]+) != 0x0+"),
        ("mark", r"meta mark set meta mark (?P<how>[|^]) (?P<bits>0x[0-9a-f]+)"),
        ("random", r"numgen random mod \d+ vmap \{ (?P<choices>[^}]*) \}"),
        ("balance", r"dnat ip6? to numgen random mod \d+ map \{ (?P<choices>[^}]*) \}"),
        ("translate", r"dnat ip6? to (?P<to>\S+)"),
        ("remember", r"update @\S+ \{ ip6? saddr \}"),
        ("interface", r"iifname (?P<not>!= )?(?P<value>\S+)"),
        ("masquerade", r"masquerade fully-random"),
        ("jump", r"(?:jump|goto) (?P<chain>\S+)"),
        ("verdict", r"(?P<verdict>drop|reject|accept|return)\b"),
        ("equals", rf"(?P<fields>{_FIELD}) (?P<not>!= )?(?P<value>\S+)"),
    )
)


@frozen
class Statement:
    """A part of a rule: what it is, and its parts by name."""

    name: str
    parts: dict[str, str | None]


@lru_cache(maxsize=65536)
def statements(rule: str) -> tuple[Statement, ...]:
    """A rule taken apart. Raises ValueError where it holds something that is not known."""
    found, rest = [], rule
    while rest:
        for name, pattern in _STATEMENTS:
            match = pattern.match(rest)
            if match is not None:
                found.append(Statement(name, match.groupdict()))
                rest = rest[match.end() :].lstrip()
                break
        else:
            raise ValueError(f"{rule}: no packet can be held against {rest}")
    return tuple(found)


class _Walker:
    def __init__(self, rules: Ruleset, packet: Packet, node: ProxyNode) -> None:
        self.rules = rules
        self.packet = packet
        self.node = node
        self.steps: list[Step] = []
        self.hook = ""

    def run(self) -> Walk:
        start = State(self.packet.destination, self.packet.port)
        outcomes = tuple(self._outcome(state, end) for state, end in self._travel(start))
        return Walk(tuple(self.steps), outcomes)

    def _outcome(self, state: State, end: End) -> Outcome:
        if end in ("drop", "reject"):
            return Outcome(chance=state.chance, fate="drop" if end == "drop" else "reject")
        if not state.translated:
            return Outcome(chance=state.chance, fate="passed", masqueraded=state.masqueraded)
        text = host_port(state.destination, state.port)
        return Outcome(chance=state.chance, fate="endpoint", endpoint=text, masqueraded=state.masqueraded)

    def _travel(self, start: State) -> Iterator[tuple[State, End]]:
        first = "output" if self.packet.origin == "node" else "prerouting"
        for state, end in self._on_hook(start, first):
            if end != "accept":
                yield state, end
                continue
            yield from self._hooks(state, self._after(state))

    def _after(self, state: State) -> tuple[str, ...]:
        here = self.node.has(state.destination)
        if self.packet.origin == "node":
            return ("postrouting", "input") if here else ("postrouting",)
        return ("input",) if here else ("forward", "postrouting")

    def _hooks(self, state: State, hooks: tuple[str, ...]) -> Iterator[tuple[State, End]]:
        if not hooks:
            yield state, "accept"
            return
        for after, end in self._on_hook(state, hooks[0]):
            if end == "accept":
                yield from self._hooks(after, hooks[1:])
            else:
                yield after, end

    def _on_hook(self, state: State, hook: str) -> list[tuple[State, End]]:
        """Through the base chains of a hook, one after the other."""
        self.hook = hook
        return list(self._bases(state, self.rules.on_hook(hook)))

    def _bases(self, state: State, chains: tuple[str, ...]) -> Iterator[tuple[State, End]]:
        if not chains:
            yield state, "accept"
            return
        for after, end in list(self._chain(state, chains[0], 0)):
            if end in ("accept", "return"):
                yield from self._bases(after, chains[1:])
            else:
                yield after, end

    def _chain(self, state: State, chain: str, index: int) -> Iterator[tuple[State, End]]:
        rules = self.rules.chains.get(chain, [])
        for place in range(index, len(rules)):
            held = False
            for after, end, matched in self._rule(rules[place], state, chain):
                held = held or matched
                if not matched:
                    continue
                if end == "on":
                    yield from self._chain(after, chain, place + 1)
                else:
                    yield after, end
            if held:
                return
        yield state, "return"

    def _rule(self, rule: str, state: State, chain: str) -> Iterator[tuple[State, End, bool]]:
        """What a rule makes of a packet: the state after it, how it ends (`on`: with the next rule), whether it
        matched.
        """
        effects: list[Statement] = []
        for statement in statements(rule):
            if statement.name in _TESTS:
                if not self._holds(statement, state):
                    return
            elif statement.name not in ("comment", "remember"):
                effects.append(statement)
        found = list(self._look_up(effects, state))
        if not found:
            return
        shown = ", ".join(effect for effect, _, _ in found)
        self.steps.append(
            Step(hook=self.hook, table="kube-proxy", chain=chain, rule=rule, effect=shown, chance=state.chance)
        )
        for effect, after, end in found:
            if effect.startswith(("jump ", "goto ")):
                back: End = "on" if effect.startswith("jump ") else "return"  # what was gone to does not come back here
                for left, how in self._chain(after, effect.split(" ", 1)[1], 0):
                    yield left, back if how == "return" else how, True
            else:
                yield after, end, True

    def _look_up(self, effects: list[Statement], state: State) -> Iterator[tuple[str, State, End]]:
        """(what, the state after it, how it ends) for each way that chance may take."""
        end: End = "on"
        what = ""
        for effect in effects:
            parts = {name: text or "" for name, text in effect.parts.items()}
            match effect.name:
                case "mark":
                    bits = int(parts["bits"], 16)
                    state = evolve(state, mark=state.mark | bits if parts["how"] == "|" else state.mark ^ bits)
                    what = what or "mark"
                case "masquerade":
                    state, what, end = evolve(state, masqueraded=True), "masquerade", "accept"
                case "jump":
                    what = f"jump {parts['chain']}"
                case "verdict":
                    what, end = parts["verdict"], parts["verdict"]  # type: ignore[assignment]
                case "vmap":
                    verdict = self.rules.sets[parts["set"]].elements.get(self._key(parts["fields"], state))
                    if verdict is None:
                        return
                    what, end = verdict, "drop" if verdict == "drop" else "on"
                case "translate":
                    ip, _, port = parts["to"].rpartition(":")
                    state = evolve(state, destination=ip.strip("[]"), port=int(port), translated=True)
                    what, end = f"dnat to {parts['to']}", "accept"
                case _:
                    yield from self._by_chance(effect.name, parts["choices"], state)
                    return
        yield what, state, end

    def _by_chance(self, name: str, choices: str, state: State) -> Iterator[tuple[str, State, End]]:
        options = [each.partition(" : ")[2].strip() for each in choices.split(", ")]
        for option in options:
            part = evolve(state, chance=state.chance / len(options))
            if name == "random":
                yield option, part, "on"
            else:
                ip, _, port = option.partition(" . ")
                text = host_port(ip, int(port))
                yield f"dnat to {text}", evolve(part, destination=ip, port=int(port), translated=True), "accept"

    # -- matching -----------------------------------------------------------------------------------------------------

    def _holds(self, statement: Statement, state: State) -> bool:
        parts = {name: text or "" for name, text in statement.parts.items()}
        match statement.name:
            case "new":
                return True
            case "translated":
                return state.translated
            case "local":
                return self.node.has(self._value(f"ip {parts['field']}", state))
            case "marked":
                return bool(state.mark & int(parts["mask"], 16))
            case "member":
                return self._is_member(parts["set"], parts["fields"], state)
            case "interface":
                wanted, given = parts["value"], self.packet.interface
                same = given.startswith(wanted[:-1]) if wanted.endswith("*") else given == wanted
                return same != bool(parts["not"])
            case "among":
                values = [each.strip() for each in parts["values"].split(",")]
            case _:
                values = [parts["value"]]
        value = self._value(parts["fields"], state)
        return any(_inside(each, value) for each in values) != bool(parts["not"])

    def _is_member(self, name: str, fields: str, state: State) -> bool:
        if name.startswith("affinity-"):
            ip, _, port = name.rpartition("__")[2].rpartition("/")
            return bool(self.packet.seen) and self.packet.seen == host_port(ip, int(port))
        return self._key(fields, state) in self.rules.sets[name].elements

    def _key(self, fields: str, state: State) -> str:
        return " . ".join(self._value(each, state) for each in fields.split(" . "))

    def _value(self, name: str, state: State) -> str:
        if name.endswith("saddr"):
            return self.packet.source
        if name.endswith("daddr"):
            return state.destination
        return self.packet.protocol if name == "meta l4proto" else str(state.port)


_TESTS: Final = frozenset({"new", "translated", "local", "marked", "member", "interface", "among", "equals"})


def _inside(wanted: str, value: str) -> bool:
    return wanted == value or contains(wanted, value)


def walk(rules: Ruleset, packet: Packet, node: ProxyNode) -> Walk:
    """The way of a packet through a ruleset on a node. Raises ValueError where a rule holds something that is not
    known.
    """
    return _Walker(rules, packet, node).run()
