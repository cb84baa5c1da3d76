"""What a check came to: verdicts, findings by cause, and what could not be judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field, frozen

from k8sfsm.request import Key
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite
from k8sfsm.verify.check.verdicts import Explanation, Nearest

Kind: TypeAlias = Literal["unexplained", "illegal", "violated", "undone"]
KINDS: Final[tuple[Kind, ...]] = ("unexplained", "illegal", "violated", "undone")
_KEPT: Final = 1000
"""So many findings of a cause are kept; of others only the number is."""


@frozen(kw_only=True)
class Found:
    """A finding. `cause`: what findings are grouped by; `line`: where it is recorded; `nearest`: the closest rule;
    `certain`: it stands whatever writes the history lacks.
    """

    what: str
    cause: str
    key: Key
    line: str
    actor: str = ""
    at: int = 0
    nearest: str = ""
    facts: dict[str, Any] = field(factory=dict)
    certain: bool = False

    def __str__(self) -> str:
        kind, namespace, name = self.key
        place = f"{self.line}: " if self.line else ""
        near = f" (nearest rule {self.nearest})" if self.nearest else ""
        thing = f"{kind} {namespace + '/' if namespace else ''}{name}: " if kind else ""
        return f"{place}{thing}{self.what}{near}"


@frozen(kw_only=True)
class Judged:
    """A request and its verdict; `why` where a rule explains it, `revisions`: its changes' places in the history."""

    write: RecordedWrite
    verdict: str
    why: Explanation | None = None
    revisions: tuple[int, ...] = ()


@define
class Report:
    """What a check came to. `judged`, `environment`: kept where causes are to be followed."""

    source: str = ""
    judged: list[Judged] = field(factory=list)
    environment: list[EnvironmentFact] = field(factory=list)
    unexplained: list[Found] = field(factory=list)
    illegal: list[Found] = field(factory=list)
    violated: list[Found] = field(factory=list)
    undone: list[Found] = field(factory=list)
    counts: Counter[str] = field(factory=Counter)
    """How many requests got each verdict."""
    unjudged: Counter[str] = field(factory=Counter)
    """Why requests could not be judged."""
    others: Counter[str] = field(factory=Counter)
    """Requests of components without rules, by their names."""
    refusals: Counter[str] = field(factory=Counter)
    """Refused requests, by what they were refused for."""
    retried: int = 0
    """Refused requests that were sent again and granted."""
    totals: Counter[tuple[str, str]] = field(factory=Counter)
    """(kind of finding, cause) -> how many."""
    _notes: dict[str, int] = field(factory=dict)
    """What a reader should know -> how many there are of it (0: it is not counted)."""

    def note(self, text: str) -> None:
        """Something that a reader should know; what several portions of a history count is added up."""
        number, _, rest = text.partition(" ")
        if number.isdigit():
            self._notes[rest] = self._notes.get(rest, 0) + int(number)
        else:
            self._notes.setdefault(text, 0)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader should know."""
        return tuple(f"{number} {text}" if number else text for text, number in self._notes.items())

    def add(self, kind: Kind, found: Found) -> None:
        """A finding."""
        self.totals[kind, found.cause] += 1
        if self.totals[kind, found.cause] <= _KEPT:
            getattr(self, kind).append(found)

    def withdraw(self, since: int, until: int, namespace: str, why: str) -> None:
        """Findings of a time (ns) in a namespace turn out not to be judged: requests with a rule to look for are
        unjudged then, and what else seemed wrong is not told.
        """
        for kind in KINDS:
            kept: list[Found] = []
            for found in getattr(self, kind):
                if found.certain or found.key[1] != namespace or not since <= found.at <= until:
                    kept.append(found)
                    continue
                self.totals[kind, found.cause] -= 1
                if kind == "unexplained":
                    self.counts["unexplained"] -= 1
                    self.counts["unjudged"] += 1
                    self.unjudged[why] += 1
            getattr(self, kind)[:] = kept
        self.totals, self.counts = +self.totals, +self.counts

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.totals


def grouped(found: Iterable[Found]) -> dict[str, list[Found]]:
    """Findings by cause, in order of first appearance."""
    groups: dict[str, list[Found]] = {}
    for each in found:
        groups.setdefault(each.cause, []).append(each)
    return groups


def unexplained(write: RecordedWrite, why: Nearest) -> Found:
    """The finding about a write that no rule orders; `why`: the order that is nearest."""
    what = f"no rule of {write.actor} orders this {write.verb} {write.subresource}".rstrip()
    if why.differs:
        what += f"; {why.differs}"
    path = why.differs.partition(":")[0]
    return Found(
        what=what, cause=f"{write.actor} {write.verb} {write.key[0]} {write.subresource} {path}".strip(), key=write.key,
        line=str(write.line), actor=write.actor, at=write.time, nearest=why.rule, facts=why.facts or {},
    )  # fmt: skip
