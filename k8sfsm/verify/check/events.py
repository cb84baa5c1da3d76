"""Events that controllers recorded: is there a rule that tells just this?

Events are sent beside everything else, and may be late. One that was sent before is counted up, and many similar ones
are combined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import define, field, frozen

from k8sfsm.engine.recorder import COMBINED
from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Record, Why
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.check.judging import law
from k8sfsm.verify.check.verdicts import Explanation, Nearest
from k8sfsm.verify.replay.events import timeless


@frozen
class Announcement:
    """What an Event says: about which object, and what. `message` without durations and combination."""

    about: Key
    uid: str
    type: str
    reason: str
    message: str

    @classmethod
    def of_json(cls, event: dict[str, Any]) -> Announcement:
        """What a recorded Event of either API says."""
        about = event.get("involvedObject") or event.get("regarding") or {}
        key = (str(about.get("kind", "")), str(about.get("namespace", "")), str(about.get("name", "")))
        message = str(event.get("message") or event.get("note") or "").removeprefix(COMBINED)
        return cls(key, str(about.get("uid", "")), str(event.get("type", "")), str(event.get("reason", "")),
                   timeless(message))  # fmt: skip

    @classmethod
    def of_record(cls, record: Record) -> Announcement:
        """What an ordered Event says."""
        meta = record.regarding.metadata
        key = (record.regarding.kind, meta.namespace, meta.name)
        return cls(key, meta.uid, record.type, record.reason, timeless(record.message))


@frozen
class Told:
    """An Event that was recorded, beside one that a rule orders; the case of the table `event`."""

    recorded: Announcement
    ordered: Announcement


@law.fact
def same_object(case: Told) -> bool:
    """Whether both are about one object; some Events name it by its name instead of its uid."""
    return case.recorded.about == case.ordered.about


@law.fact
def same_reason(case: Told) -> bool:
    """Whether type and reason are the same."""
    left, right = case.recorded, case.ordered
    return (left.type, left.reason) == (right.type, right.reason)


@law.fact
def same_message(case: Told) -> bool:
    """Whether both say the same, durations aside."""
    return case.recorded.message == case.ordered.message


@define
class Announced:
    """The Events that rules have ordered of late, by actor, with the time (ns) of each order."""

    orders: dict[str, deque[tuple[int, Announcement, Why | None]]] = field(factory=dict)

    def note(self, actor: str, records: Iterable[Record], at: int) -> None:
        """A rule orders Events."""
        waiting = self.orders.setdefault(actor, deque())
        for record in records:
            self.add(actor, at, Announcement.of_record(record), record.why)
        oldest = at - int(constant("check_event_lag")) * SECOND
        while waiting and waiting[0][0] < oldest:
            waiting.popleft()

    def add(self, actor: str, at: int, ordered: Announcement, why: Why | None) -> None:
        """An Event is ordered."""
        self.orders.setdefault(actor, deque()).append((at, ordered, why))

    def explain(self, write: RecordedWrite, more: Iterable[Record] = ()) -> Explanation | Nearest:
        """The rule that ordered a recorded Event. `more`: what rules order now, without having to write anything."""
        assert write.new is not None
        wanted = Announcement.of_json(write.new.json)
        nearest = Nearest("", {}, f"no rule tells {wanted.reason} of {'/'.join(filter(None, wanted.about))}")
        for ordered, why in self._candidates(write.actor, more):
            verdict = law.decide("event", Told(wanted, ordered)).outputs["verdict"]
            rule, facts = ("", {}) if why is None else (why.rule, dict(why.facts))
            if verdict == "told":
                return Explanation(rule, facts, wanted.about, 0, 0)
            if verdict == "near":
                nearest = Nearest(rule, facts, "it says something else")
        return nearest

    def _candidates(self, actor: str, more: Iterable[Record]) -> Iterator[tuple[Announcement, Why | None]]:
        for _, ordered, why in reversed(self.orders.get(actor, ())):
            yield ordered, why
        for record in more:
            yield Announcement.of_record(record), record.why
