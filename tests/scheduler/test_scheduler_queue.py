"""The order in which pods are tried, and how long they back off."""

from __future__ import annotations

from operator import itemgetter
from typing import Any

import pytest
from scheduler_clusters import node, pod

from k8sfsm.engine.queue import QueueSettings, WorkQueue
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Look, Outcome
from k8sfsm.scheduler import Scheduler
from k8sfsm.scheduler.queue import FLUSH, WAITING, Queued, Waiting, backoff
from k8sfsm.scheduler.rules import law
from k8sfsm.view import View

NOW = 1_700_000_000 * SECOND


def key(name: str) -> Key:
    return ("Pod", "default", name)


def waited(name: str, since: float, attempts: int, errors: int = 0) -> dict[Any, Any]:
    at = round(NOW + since * SECOND)
    entry = Waiting(key=key(name), plugins=("NodeResourcesFit",), since=at, attempts=attempts, errors=errors)
    return {(WAITING, f"uid-{name}"): entry, WAITING: True}


def test_back_off_doubles_up_to_ten_seconds() -> None:
    assert [backoff(attempts) // SECOND for attempts in (1, 2, 3, 4, 5, 99)] == [1, 2, 4, 8, 10, 10]


class Line:
    """A queue that the scheduler ranks. `comes` and `goes` have times in seconds after NOW."""

    def __init__(self, *pods: Any, memory: Any = None) -> None:
        self.queue = WorkQueue(QueueSettings(workers=1))
        self.pods = pods
        self.memory = memory or {}
        self.scheduler = Scheduler()

    def comes(self, *names: str, at: float = 0) -> list[tuple[int, Key]]:
        for name in names:
            self.queue.add(key(name))
        now = round(NOW + at * SECOND)
        view = View.of(self.pods, now=now, memory=self.memory)
        return self.queue.rank(lambda each: self.scheduler.rank(view, each), now)

    def goes(self) -> list[str]:
        found = []
        while (taken := self.queue.get()) is not None:
            self.queue.done(taken[0])
            found.append(taken[0][2])
        return found


def test_pods_of_higher_priority_go_first_then_who_came_first() -> None:
    line = Line(pod("low", priority=1), pod("late", priority=5), pod("early", priority=5))
    line.comes("low", "early")
    line.comes("late", at=1)
    assert line.goes() == ["early", "late", "low"]


def test_a_pod_that_was_tried_counts_from_its_last_attempt() -> None:
    line = Line(pod("new"), pod("tried"), pod("newer"), memory=waited("tried", 5, 1))
    line.comes("new", at=4)
    line.comes("newer", at=6)
    line.comes("tried", at=8)
    assert line.goes() == ["new", "tried", "newer"]


def test_pods_that_back_off_come_last_by_the_end_of_their_back_off() -> None:
    memory = {**waited("busy", -1, 2), **waited("calm", -0.5, 1), **waited("mild", -0.25, 1)}
    line = Line(pod("busy", priority=9), pod("calm"), pod("mild", priority=1), pod("high"), memory=memory)
    assert line.comes("busy", "calm", "mild", "high") == []
    assert line.goes() == ["high", "mild", "calm", "busy"]


def test_a_pod_whose_back_off_is_over_ranks_with_the_others() -> None:
    line = Line(pod("busy", priority=9), pod("high"), memory=waited("busy", 0, 1))
    line.comes("busy", "high")
    line.comes(at=1.9)
    assert line.goes() == ["high", "busy"]
    line.comes("busy", "high", at=1.9)
    line.comes(at=2)
    assert line.goes() == ["busy", "high"]
    line.comes("busy", "high", at=2)
    assert line.goes() == ["busy", "high"]


def test_after_an_error_a_pod_has_to_wait() -> None:
    line = Line(pod("p"), memory=waited("p", 0.5, 7, errors=2))
    assert line.comes("p", at=1) == [(NOW + 3 * SECOND, key("p"))]
    assert line.goes() == []
    assert line.comes("p", at=3) == [] and line.goes() == ["p"]


def test_forks_of_a_queue_part() -> None:
    line = Line(pod("a"), pod("b"), pod("c"), memory=waited("b", 0, 1))
    line.comes("a", "b")
    twin = line.queue.copy()
    line.comes("c")
    assert line.goes() == ["a", "c", "b"] and line.queue.idle
    assert not twin.idle and [twin.get()[0][2]] == ["a"]


def test_a_binding_that_is_refused_counts_as_an_error_and_others_hear_of_it() -> None:
    scheduler, view = Scheduler(), View.of([node("n"), pod("p")], now=NOW, memory=waited("p", -9, 3))
    plan = scheduler.reconcile(view, key("p"))
    assert plan.then is not None
    after = plan.then((Outcome(request=plan.steps[-1], code=500, message="no"),))  # type: ignore[arg-type]
    assert after.error == "" and after.requeue_after is None
    assert [step.key for step in after.steps if isinstance(step, Look)] == [
        ("SchedulingQueue", "default", "p"),
        key("p"),
    ]
    kept = next(step.value for step in after.steps if getattr(step, "key", None) == (WAITING, "uid-p"))
    assert kept == Waiting(key=key("p"), plugins=(), since=NOW, attempts=3, errors=1)


@pytest.mark.parametrize(("since", "looked"), [(-300, []), (-300.5, [key("p")]), (-10, [])])
def test_who_waits_for_five_minutes_is_tried_anyway(since: float, looked: list[Key]) -> None:
    plan = Scheduler().reconcile(View.of([pod("p")], now=NOW, memory=waited("p", since, 1)), FLUSH)
    assert [step.key for step in plan.steps if isinstance(step, Look)] == looked
    assert plan.requeue_after == 30 * SECOND and plan.periodic


@pytest.mark.parametrize(
    ("memory", "at", "place"),
    [
        ({}, 0, "active"),
        (waited("p", 0, attempts=1), 3, "active"),
        (waited("p", 0, attempts=3), 1, "backoff"),
        (waited("p", 0, attempts=1, errors=3), 1, "error-backoff"),
    ],
)
def test_where_a_pod_waits(memory: dict[Any, Any], at: int, place: str) -> None:
    queued = Queued(pod("p"), memory.get((WAITING, "uid-p")), NOW + at * SECOND)
    assert law.decide("enqueue", queued).outputs["place"] == place


def test_who_backs_off_first() -> None:
    """Whose back-off ends first, then the more important one, then the one that was tried first."""
    order = []
    for name, since, attempts, priority in (
        ("short", 0, 1, 5),
        ("high", 0.3, 3, 9),
        ("early", 0.1, 3, 5),
        ("late", 0.2, 3, 5),
    ):
        memory = waited(name, since, attempts=attempts)
        queued = Queued(pod(name, priority=priority), memory[WAITING, f"uid-{name}"], NOW)
        order.append((law.rank("backoff-order", queued, View.of([], now=NOW)), name))
    assert [name for _, name in sorted(order, key=itemgetter(0))] == ["short", "high", "early", "late"]
