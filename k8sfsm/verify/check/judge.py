"""What one request is judged to be, and why."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from attrs import define, field

from k8sfsm.trace.history import RecordedWrite
from k8sfsm.trace.likeness import Likeness
from k8sfsm.verify.check.doubts import Doubts
from k8sfsm.verify.check.explaining import Explaining
from k8sfsm.verify.check.judging import BY_THE_CLOCK, KUBELET, Known, Request, judged_as, method_of
from k8sfsm.verify.check.kubelets import Kubelets
from k8sfsm.verify.check.past import Actor, Past
from k8sfsm.verify.check.report import Report, unexplained
from k8sfsm.verify.check.timed import Timed
from k8sfsm.verify.check.verdicts import Explanation, Nearest

BY_RULE: Final = "explained-by-rule"
"""The verdict on a request that must wait until what was ordered by then is known."""
_EVENT: Final = "Event"


@define
class Judge:
    """Asks the table which sort of request one is, and who can explain those that need it.

    `actors`: only the writes of these need explanations; none: those of all that have rules. `scripted`: nodes whose
    kubelets are none. What comes to nothing is put down in `report`.
    """

    past: Past
    known: Known
    explaining: Explaining
    kubelets: Kubelets
    timed: Timed
    report: Report
    actors: Collection[str]
    scripted: frozenset[str] = frozenset()
    doubts: Doubts = field(factory=Doubts)

    def verdict(self, writes: Sequence[RecordedWrite], likeness: Likeness | None) -> tuple[str, Explanation | None]:
        """Verdict and explanation of a request, given with all that it changed, and what it is like."""
        write = writes[0]
        actor = self.past.actors.get(write.actor)
        verdict = judged_as(self._request(write, actor))
        if verdict == "unjudged":
            self.report.unjudged["the history does not show it whole, or what its component saw"] += 1
        if verdict == "refused" and actor is not None:
            self.explaining.refused(actor, write)
        if verdict == BY_RULE and method_of(write.actor) == BY_THE_CLOCK and write.actor not in self.timed.played:
            self.report.unjudged["what it did depends on times that are not in the history"] += 1
            return "unjudged", None
        if verdict != BY_RULE or method_of(write.actor) == BY_THE_CLOCK:
            return verdict, None
        why = self._why(actor, writes, likeness)
        if isinstance(why, Explanation):
            return "explained", why
        if actor is not None and write.key[0] == _EVENT:
            return BY_RULE, None
        if actor is not None:
            self.explaining.give_up(actor, write)
        return self._unexplained(write, why), None

    def late_verdict(self, write: RecordedWrite) -> tuple[str, Explanation | None]:
        """Verdict and explanation of a request that had to wait for what was ordered meanwhile."""
        why = self._why_late(write)
        return ("explained", why) if isinstance(why, Explanation) else (self._unexplained(write, why), None)

    def _why(
        self, actor: Actor | None, writes: Sequence[RecordedWrite], likeness: Likeness | None
    ) -> Explanation | Nearest:
        write = writes[0]
        if actor is None:
            return self.kubelets.explain(write, likeness)
        if write.key[0] != _EVENT:
            return self.explaining.explain(actor, writes)
        if write.verb == "deletecollection":
            return self.explaining.emptied(write) or Nearest()
        return self.explaining.announced.explain(write, self.explaining.announcements(actor, write))

    def _unexplained(self, write: RecordedWrite, why: Nearest) -> str:
        """The verdict on a write that no rule orders, which is a finding where all is known that the rules look at."""
        actor = self.past.actors.get(write.actor)
        keys = () if actor is None else self.explaining.keys_of(actor, write)
        reason = self.known.missing(write, self.past) or self.doubts.reason(write, keys)
        if reason:
            self.doubts.add(write, keys)
            self.report.unjudged[reason] += 1
            return "unjudged"
        self.report.add("unexplained", unexplained(write, why))
        return "unexplained"

    def _request(self, write: RecordedWrite, actor: Actor | None) -> Request:
        return Request(
            write,
            modelled=actor is not None or write.actor == KUBELET,
            wanted=not self.actors or write.actor in self.actors,
            scripted=write.actor == KUBELET and write.node in self.scripted,
            blind=actor is not None and self.known.trimmed_for(write, actor.watched),
        )

    def _why_late(self, write: RecordedWrite) -> Explanation | Nearest:
        """An Event may be sent while the plan that orders it is still under way."""
        if method_of(write.actor) == BY_THE_CLOCK:
            return self.timed.explain(write)
        return Nearest() if write.new is None else self.explaining.announced.explain(write)
