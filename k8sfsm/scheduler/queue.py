"""The scheduling queue: pods to be tried, pods that back off, and pods that wait for something to change.

The keys of pods to be tried are in the actor's own queue, ranked by `queue-order`; those that back off are held in it,
ranked by `backoff-order`, and get their turn early when no other pod waits. A pod that no node could take is only in
the memory: (WAITING, pod uid) -> Waiting, and WAITING -> True from the first one on; it is tried again when a change
in the cluster may make a plugin that refused it think otherwise (`wake.py`), or when it has waited for too long. A pod
that a plugin keeps out of the queue altogether (`pre-enqueue`) is in neither.
Source: pkg/scheduler/backend/queue/scheduling_queue.go, active_queue.go, backoff_queue.go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import LawError
from k8sfsm.objects import Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import CountEvents, Key, Look, Parallel, Plan, Rank, Step
from k8sfsm.scheduler.rules import law
from k8sfsm.table import Decision
from k8sfsm.view import View

_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
WAITING: Final = "waiting"
FORGOTTEN: Final = "forgotten"
"""Memory: (FORGOTTEN, namespace, name) -> a pod as it was assumed, from its refusal until others have heard of it."""
FLUSH: Final[Key] = ("SchedulingQueue", "", "")
"""The key whose turn it is every 30 seconds."""
SERIES: Final[Key] = ("EventSeries", "", "")
"""The key whose turn it is when the recorder looks at its series of Events."""


@frozen(kw_only=True)
class Waiting:
    """A pod whose last attempt was in vain.

    `plugins`: who refused it; none after an error. `since`: when it was tried last (ns); `attempts`: how often it was
    refused; `errors`: how many attempts since then have ended in an error.
    """

    key: Key
    plugins: tuple[str, ...]
    since: int
    attempts: int
    errors: int = 0


def waiting_in(memory: Mapping[Any, Any]) -> Iterator[Waiting]:
    """All pods that wait; none where no pod ever had to: memories of assumed pods can be large."""
    if WAITING not in memory:
        return iter(())
    return (value for key, value in memory.items() if isinstance(key, tuple) and key[0] == WAITING)


@frozen
class Queued:
    """A pod that enters the queue: the case of the table `enqueue`, and what `queue-order` compares.

    `waiting`: its last attempt in vain, if any.
    """

    pod: Pod
    waiting: Waiting | None
    now: int

    @property
    def backoff_end(self) -> int:
        """From when on the pod no longer backs off (ns), a whole second; 0 where it has made no attempt.

        Source: backoff_queue.go: getBackoffTime, isPodBackingoff.
        """
        if self.waiting is None:
            return 0
        end = self.waiting.since + backoff(self.waiting.errors or self.waiting.attempts)
        return end - end % SECOND + SECOND


def backoff(count: int) -> int:
    """How long a pod backs off after so many attempts in vain (ns; backoff_queue.go: calculateBackoffDuration)."""
    shortest, longest = law.constant("scheduler_backoff_initial"), law.constant("scheduler_backoff_max")
    return int(min(shortest << min(count - 1, 62), longest)) * SECOND


@law.fact
def backing_off(queued: Queued) -> bool:
    """The second in which the pod's back-off ends is not over."""
    return queued.backoff_end > queued.now


@law.fact
def failed_with_error(queued: Queued) -> bool:
    """Its last attempt ended in an error, not in a refusal."""
    return queued.waiting is not None and queued.waiting.errors > 0


@law.fact
def backoff_ends(queued: Queued) -> int:
    """When the pod's back-off ends (ns)."""
    return queued.backoff_end


@law.fact
def queued_priority(queued: Queued) -> int:
    """The pod's priority."""
    return queued.pod.spec.priority or 0


@law.fact
def queued_at(queued: Queued) -> int:
    """When the pod came into the queue, or was tried last (ns; QueuedPodInfo.Timestamp)."""
    return queued.now if queued.waiting is None else queued.waiting.since


def rank_of(view: View, key: Key) -> Rank:
    """Where in the queue a key that comes now belongs. What is not a pod's has its turn at once.

    All that the facts above read of a pod that has not waited is its priority and the time, so that those which come
    together with the same priority have the same place. Where K8SFSM_FROZEN is set, as it is in the tests, that is
    compared with what the tables say.
    """
    pod = view.get(*key) if key[0] == "Pod" else None
    if not isinstance(pod, Pod):
        return Rank(order=())
    waiting = view.memory.get((WAITING, pod.metadata.uid)) if WAITING in view.memory else None
    if waiting is not None:
        return _ranked(Queued(pod, waiting, view.now), view)
    alike = (law.edition, view.now, pod.spec.priority)
    if not _LATEST or _LATEST[0][0] != alike:
        _LATEST[:] = ((alike, _ranked(Queued(pod, None, view.now), view)),)
    found = _LATEST[0][1]
    if _CHECKED and found != _ranked(Queued(pod, None, view.now), view):
        raise LawError(f"pod {key[2]} has another place in the queue than one that is alike")
    return found


_LATEST: Final[list[tuple[object, Rank]]] = []


def _ranked(queued: Queued, view: View) -> Rank:
    """What the tables say."""
    order = law.rank("queue-order", queued, view)
    place = law.decide("enqueue", queued).outputs["place"]
    if place == "active":
        return Rank(order=order)
    held = law.rank("backoff-order", queued, view)
    return Rank(order=order, held=held, until=queued.backoff_end, early=place == "backoff")


@frozen
class Leftover:
    """A pod that waits, at the time of a flush: the case of the table `flush`."""

    waiting: Waiting
    now: int


@law.fact
def waits_too_long(leftover: Leftover) -> bool:
    """The pod has waited longer than any pod should."""
    limit: int = law.constant("scheduler_unschedulable_flush")
    return leftover.now - leftover.waiting.since > limit * SECOND


@law.action
def look_again(leftover: Leftover, decision: Decision) -> Iterable[Look]:
    """Put the pod back into the queue."""
    yield Look(key=leftover.waiting.key, why=decision.why)


def flush(view: View) -> Plan:
    """Let pods that have waited for too long be tried again, and look again after half a minute.

    Source: scheduling_queue.go: Run, flushUnschedulablePodsLeftover.
    """
    steps: list[Step | Parallel] = []
    for waiting in waiting_in(view.memory):
        leftover = Leftover(waiting, view.now)
        steps.extend(law.perform(law.decide("flush", leftover), leftover))
    period = law.constant("scheduler_flush_period") * SECOND
    return Plan(steps=tuple(steps), requeue_after=period, periodic=True)


def count_events() -> Plan:
    """Let the recorder look at its series, again and again (event_broadcaster.go: StartRecordingToSinkWithContext)."""
    period = law.constant("event_series_finish") * SECOND
    return Plan(steps=(CountEvents(),), requeue_after=period, periodic=True)
