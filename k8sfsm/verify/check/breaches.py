"""What in a history breaks the law: changes that are no transitions, invariants, laws of histories."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from k8sfsm.machine import Machines
from k8sfsm.store import Change
from k8sfsm.trace.case import Finding
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.check.doubts import illegal, never_comes
from k8sfsm.verify.check.near import Near
from k8sfsm.verify.check.past import Past
from k8sfsm.verify.check.report import Found, Kind, Report
from k8sfsm.verify.invariants import check_convergence, check_safety
from k8sfsm.verify.watch import broken_by


@define
class Breaches:
    """Tells a report what breaks the law. `told`: invariants that were broken before, or by what was told already.

    `dump`: the history is a single state, in which nothing may be left to do.
    """

    report: Report
    machines: Machines
    past: Past
    dump: bool
    told: set[str] = field(factory=set)

    def legal(self, write: RecordedWrite, old: Any, new: Any, *, sure: bool) -> None:
        """Judge a change of state. `sure`: the state before is known; else it is that of some writes before."""
        if not sure and (old is None or new is None or old.metadata.uid != new.metadata.uid):
            return
        verdict = self.machines.check(old, new, write.actor, write.time)
        for each in illegal(write, verdict, self.machines, self.past, sure=sure):
            cause = f"{each.kind}/{each.region}: {each.old} -> {each.new}"
            self._found("illegal", write, str(each), cause, each.nearest, certain=never_comes(each, self.machines))

    def keeps(self, change: Change, write: RecordedWrite, *, blind: bool) -> None:
        """Judge whether the invariants hold after a change. `blind`: not all objects that they look at are known."""
        around = tuple(each for each in (change.new, change.old) if each is not None)
        store = self.past.store
        near = Near(write.time, store.snapshot, store=store, around=around)
        for each in broken_by((change,), near, blind=blind):
            if str(each) not in self.told:
                self.told.add(str(each))
                self._found("violated", write, each.says, each.invariant)

    def broken(self, finding: Finding, write: RecordedWrite | None) -> None:
        """A law of histories is broken: by a write, or by what is missing at the end."""
        place = f"{finding.file}:{finding.line}" if finding.file and finding.line else finding.file
        actor, at = ("", 0) if write is None else (write.actor, write.time)
        self.report.add(
            "violated",
            Found(what=finding.message, cause=finding.rule, key=finding.key, line=place, actor=actor, at=at),
        )

    def at_start(self, start: int) -> None:
        """What is wrong at the start (ns) is nobody's doing here; in a dump it is all there is to say."""
        for each in self._now(start, finished=self.dump):
            self.told.add(str(each))
            if self.dump:
                self.report.add("violated", Found(what=each.says, cause=each.invariant, key=("", "", ""), line=""))

    def in_state(self, at: int, *, finished: bool) -> None:
        """What is newly wrong in the whole state at a time (ns). `finished`: nothing may be left to do either."""
        for each in self._now(at, finished=finished):
            if str(each) not in self.told:
                self.told.add(str(each))
                found = Found(what=each.says, cause=each.invariant, key=("", "", ""), line="", at=at)
                self.report.add("violated", found)

    def _now(self, at: int, *, finished: bool) -> Iterator[Any]:
        yield from check_safety(self.past.whole_view(at))
        if finished:
            yield from check_convergence(self.past.whole_view(at))

    def _found(
        self, kind: Kind, write: RecordedWrite, what: str, cause: str, nearest: str = "", *, certain: bool = False
    ) -> None:
        self.report.add(
            kind,
            Found(what=what, cause=cause, key=write.key, line=str(write.line), actor=write.actor, at=write.time,
                  nearest=nearest, certain=certain),
        )  # fmt: skip
