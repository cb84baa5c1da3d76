"""Evictions of a recording that lost a race: their condition was written, their deletion only when they tried again."""

from __future__ import annotations

from collections import defaultdict

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.request import Key
from k8sfsm.trace.history import RecordedWrite, Recording

law = Law("replay")


@frozen
class Attempt:
    """A change that an eviction made to its pod. `between`: how many other writes changed the pod before the next
    change that the same request made to it; None where it made no other.
    """

    change: RecordedWrite
    between: int | None


@law.fact
def pod_deleted(attempt: Attempt) -> bool:
    """The change marks the pod as deleted, or takes it away."""
    change = attempt.change
    return change.type == "DELETED" or change.new is None or "deletionTimestamp" in change.new.json["metadata"]


@law.fact
def overtaken(attempt: Attempt) -> bool:
    """Somebody else changed the pod before the eviction went on."""
    return bool(attempt.between)


def lost_attempts(recording: Recording) -> frozenset[tuple[int, int]]:
    """(number of the request, time in ns) of each change that is all that an attempt to evict came to."""
    return frozenset(
        (attempt.change.request, attempt.change.time)
        for attempt in _attempts(recording)
        if law.decide("eviction", attempt).outputs["played"] == "condition"
    )


def _attempts(recording: Recording) -> list[Attempt]:
    evicted = {write.key for write in recording.changes() if write.verb == "evict" and write.key[0] == "Pod"}
    changes: dict[Key, list[RecordedWrite]] = defaultdict(list)
    for write in recording.changes():
        if write.key in evicted:
            changes[write.key].append(write)
    return [
        Attempt(write, _between(write, following[place + 1 :]))
        for following in changes.values()
        for place, write in enumerate(following)
        if write.verb == "evict"
    ]


def _between(write: RecordedWrite, later: list[RecordedWrite]) -> int | None:
    return next((count for count, each in enumerate(later) if each.request == write.request), None)
