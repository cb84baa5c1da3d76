"""Orders that nobody carried out, although their actors had all the time for it."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

from attrs import define, field, frozen
from immutables import Map

from k8sfsm.apiserver import ApiServer
from k8sfsm.law import LawError, constant
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Write
from k8sfsm.verify.check.course import Course
from k8sfsm.verify.check.judging import law
from k8sfsm.verify.check.past import Actor, Past
from k8sfsm.verify.check.report import Found
from k8sfsm.verify.replay.choices import RecordedChoices, address_of


@frozen
class OpenOrder:
    """An order that stands: its actor was last woken `quiet` ns ago; its last `failures` requests were refused."""

    actor: str
    kind: str
    shown: bool
    quiet: int
    failures: int
    pause: int


@law.fact
def order_shown(case: OpenOrder) -> bool:
    """Whether the history would show the order being carried out."""
    return case.shown


@law.fact
def time_over(case: OpenOrder) -> bool:
    """Whether the actor's time to act, and to try again after refusals, is over."""
    return case.quiet >= int(constant("check_undone_after")) * SECOND + case.pause


@define
class Undone:
    """Keeps track of keys that controllers were woken for, and looks at them when nothing has happened for a while."""

    past: Past
    api: ApiServer
    due: list[tuple[int, str, Key]] = field(factory=list)
    waiting: set[tuple[str, Key]] = field(factory=set)
    refused: dict[tuple[str, Key], tuple[int, int]] = field(factory=dict)
    """(actor, key) -> how often in a row its requests were refused, and when last (ns)."""
    told: set[tuple[str, str, Key]] = field(factory=set)

    def woken(self, name: str, key: Key, at: int) -> None:
        """A controller has something to look at."""
        if (name, key) not in self.waiting:
            self.waiting.add((name, key))
            heapq.heappush(self.due, (at + constant("check_undone_after") * SECOND, name, key))

    def is_due(self, now: int) -> bool:
        """Whether there is something to look at at `now` (ns)."""
        return bool(self.due) and self.due[0][0] <= now

    def looked(self, now: int, choices: RecordedChoices, shown: Any) -> Iterator[Found]:
        """The orders that have stood for too long at `now` (ns). `shown`: whether the history shows a kind's writes."""
        while self.due and self.due[0][0] <= now:
            at, name, key = heapq.heappop(self.due)
            self.waiting.discard((name, key))
            actor = self.past.actors[name]
            last = actor.stirred.get(key)
            if last is None:
                continue
            if last + constant("check_undone_after") * SECOND > at:
                self.woken(name, key, last)
                continue
            yield from self._stands(actor, name, key, at, last, choices, shown)

    def rest(self, now: int, choices: RecordedChoices, shown: Any) -> Iterator[Found]:
        """The orders that stand at the end of a history, or in a state that was dumped."""
        for name, actor in self.past.actors.items():
            for key, last in tuple(actor.stirred.items()):
                yield from self._stands(actor, name, key, now, last, choices, shown)

    def _stands(
        self, actor: Actor, name: str, key: Key, now: int, last: int, choices: RecordedChoices, shown: Any
    ) -> Iterator[Found]:
        order, course = self._order(actor, key, now)
        if order is None or course is None or order.why is None:
            return
        failures, at = self.refused.get((name, key), (0, last))
        settings = actor.wiring.settings
        pause = min(settings.base_delay << min(failures, 40), settings.max_delay) if failures else 0
        kind = address_of(order)[2][0]
        case = OpenOrder(name, kind, shown(actor.watched, kind, key[1]), now - max(last, at), failures, pause)
        if not law.decide("left-undone", case).outputs["undone"]:
            return
        before, _ = self._order(actor, key, max(last, at))
        if before is None or before.why is None or before.why.rule != order.why.rule:
            actor.stirred[key] = now  # a timer has made it an order
            self.woken(name, key, now)
            return
        answer = self.api.handle(self.past.store, order, actor.wiring.sender, now, choices)
        identity = (name, order.why.rule, key)
        if not answer.outcome.ok or not answer.changes or identity in self.told:
            return
        self.told.add(identity)
        verb, subresource, target = address_of(order)
        what = f"{name} has not done what {order.why.rule} orders: {' '.join(filter(None, (verb, subresource)))} "
        yield Found(
            what=what + "/".join(filter(None, target)), cause=order.why.rule, key=key, line="", actor=name, at=now,
            nearest=order.why.rule, facts=dict(order.why.facts),
        )  # fmt: skip

    def _order(self, actor: Actor, key: Key, now: int) -> tuple[Write | None, Course | None]:
        newest = self.past.moments[-1]
        view = evolve(self.past.view(actor, newest, now), memory=Map())
        try:
            course = Course.of(key, newest.revision, actor.wiring.controller.reconcile(view, key))
        except (LawError, ValueError, KeyError, AttributeError, AssertionError):
            return None, None
        return (None, None) if course.over else (course.next_writes[0], course)

    def answered(self, name: str, key: Key, ok: bool, at: int) -> None:
        """A controller's request about a key was granted or refused."""
        if ok:
            self.refused.pop((name, key), None)
        else:
            self.refused[name, key] = (self.refused.get((name, key), (0, 0))[0] + 1, at)
