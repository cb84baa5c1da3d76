"""A table of nftables: base chains on hooks, chains, sets and maps; and how `nft list ruleset` prints it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from attrs import define, field, frozen


@frozen
class Base:
    """Where a base chain hangs. `order`: its priority as a number."""

    type: str
    hook: str
    priority: str
    order: int


@define
class Set:
    """A set, or with verdicts a map. `elements`: key -> verdict, "" in sets; `timeout`: seconds, 0 none."""

    kind: str
    type: str
    comment: str = ""
    timeout: int = 0
    elements: dict[str, str] = field(factory=dict)


@define
class Ruleset:
    """The table `kube-proxy` of one family (``ip`` or ``ip6``)."""

    family: str
    bases: dict[str, Base] = field(factory=dict)
    chains: dict[str, list[str]] = field(factory=dict)
    sets: dict[str, Set] = field(factory=dict)

    def add(self, chain: str, rule: str) -> None:
        """Add a rule at the end of a chain, which is made where it is missing."""
        self.chains.setdefault(chain, []).append(rule)

    def on_hook(self, hook: str) -> tuple[str, ...]:
        """The base chains of a hook in the order of their priorities."""
        found = [(base.order, chain) for chain, base in self.bases.items() if base.hook == hook]
        return tuple(chain for _, chain in sorted(found))

    def dangling(self) -> Iterator[str]:
        """Rules and elements that name chains or sets that do not exist."""
        for chain, rules in self.chains.items():
            for rule in rules:
                yield from (f"{chain}: {rule}: there is no {name}" for name in self._missing(rule))
        for name, found in self.sets.items():
            for key, verdict in found.elements.items():
                yield from (f"{name}: {key}: there is no {each}" for each in self._missing(verdict))

    def _missing(self, text: str) -> Iterator[str]:
        words = text.partition(" comment ")[0].replace(",", " ").split()
        for before, word in pairwise(words):
            if before in ("jump", "goto") and word not in self.chains:
                yield f"chain {word}"
        yield from (f"set {word[1:]}" for word in words if word.startswith("@") and word[1:] not in self.sets)

    def text(self) -> str:
        """The table as `nft list ruleset` prints it."""
        lines = [f"table {self.family} kube-proxy {{", '\tcomment "rules for kube-proxy"', ""]
        for name, found in self.sets.items():
            lines += [*_set_lines(name, found), ""]
        for chain in (*self.bases, *(chain for chain in self.chains if chain not in self.bases)):
            lines += [*self._chain_lines(chain), ""]
        return "\n".join([*lines[:-1], "}"]) + "\n"

    def _chain_lines(self, chain: str) -> Iterator[str]:
        yield f"\tchain {chain} {{"
        base = self.bases.get(chain)
        if base is not None:
            yield f"\t\ttype {base.type} hook {base.hook} priority {base.priority}; policy accept;"
        yield from (f"\t\t{rule}" for rule in self.chains.get(chain, ()))
        yield "\t}"


def _set_lines(name: str, found: Set) -> Iterator[str]:
    yield f"\t{found.kind} {name} {{"
    yield f"\t\ttype {found.type}"
    if found.timeout:
        yield "\t\tflags dynamic,timeout"
        yield f"\t\ttimeout {_duration(found.timeout)}"
    if found.comment:
        yield f'\t\tcomment "{found.comment}"'
    entries = [f"{key} : {verdict}" if verdict else key for key, verdict in sorted(found.elements.items())]
    if entries:
        yield "\t\telements = { " + ",\n\t\t\t     ".join(entries) + " }"
    yield "\t}"


def _duration(seconds: int) -> str:
    """Seconds as nft prints them: ``3h``, ``1m30s``."""
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
