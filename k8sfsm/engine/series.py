"""The recorder of the API events.k8s.io: an Event that comes again becomes a series.

The second one of its kind about the same version of an object is a patch of the first, with a count of two; those after
it are only counted. What was counted is written when the series is refreshed, or is over because nothing came for a
while; both are looked for at times of their own (`SERIES` among the keys of the actor).
Source: staging/src/k8s.io/client-go/tools/events/event_broadcaster.go: recordToSink, refreshExistingEventSeries,
finishSeries, getKey.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from immutables import Map

from k8sfsm.engine.recorded import Recorded
from k8sfsm.law import constant
from k8sfsm.objects import Event, EventSeries, ObjectMeta, evolve, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch, Record
from k8sfsm.store import Store
from k8sfsm.value import value

_ROUNDS: Final = "rounds"
"""Memory: how often series were looked at."""
Memory: TypeAlias = Map[Any, Any]


@value
class Cached:
    """An Event as it was sent first, and its series, if it came again."""

    event: Event
    series: EventSeries | None = None


def series_write(
    memory: Memory, record: Record, make: Callable[[], Recorded | Create], now: int
) -> tuple[Memory, Recorded | Create | Patch | None]:
    """The recorder's new memory, and the write that the record leads to (None: it is counted only).

    `make`: a new Event, or the request for it.
    """
    key = _identity(record)
    found = memory.get(key)
    if found is None:
        made = make()
        return memory.set(key, made if isinstance(made, Recorded) else Cached(made.object)), made
    known = _cached(found)
    count = 2 if known.series is None else known.series.count + 1
    again = evolve(known, series=EventSeries(count=count, last_observed_time=now))
    return memory.set(key, again), _patch(again, record) if known.series is None else None


def _cached(found: Recorded | Cached) -> Cached:
    """What is kept of an Event; of one that came once, the Event is all."""
    return Cached(found.new) if isinstance(found, Recorded) else found


def _identity(record: Record) -> tuple[Any, ...]:
    """What Events of one series have in common; the message is not among it (getKey)."""
    meta = record.regarding.metadata
    about = record.regarding.kind, meta.namespace, meta.name, meta.uid, meta.resource_version
    return (*about, record.type, record.action, record.reason, record.field_path)


def _patch(cached: Cached, record: Record | None = None) -> Patch:
    assert cached.series is not None
    meta = cached.event.metadata
    return Patch(
        key=("Event", meta.namespace, meta.name),
        body={"series": to_json(cached.series)},
        type="strategic",
        why=record.why if record is not None else None,
    )


def finished(memory: Memory, store: Store, now: int) -> tuple[Memory, tuple[Create | Patch, ...]]:
    """A look at all series: those that are over are written and forgotten, and single Events are forgotten in time.

    From time to time all others are written as well, so that they do not expire.
    """
    rounds = memory.get(_ROUNDS, 0)
    pause, refresh = constant("event_series_finish"), constant("event_series_refresh")
    refreshes = rounds > 0 and rounds * pause % refresh == 0
    writes: list[Create | Patch] = []
    cached = [(key, _cached(each)) for key, each in memory.items() if key != _ROUNDS]
    for key, each in sorted(cached, key=lambda pair: (pair[1].event.event_time, pair[1].event.metadata.name)):
        last = each.event.event_time if each.series is None else each.series.last_observed_time
        over = last < now - pause * SECOND
        if each.series is not None and (over or refreshes):
            writes.append(_written(each, store))
        if over:
            memory = memory.delete(key)
    return memory.set(_ROUNDS, rounds + 1), tuple(writes)


def _written(cached: Cached, store: Store) -> Create | Patch:
    """The patch; the whole Event where it is gone meanwhile (recordEvent)."""
    meta = cached.event.metadata
    if store.get("Event", meta.namespace, meta.name) is None:
        unsent = ObjectMeta(name=meta.name, namespace=meta.namespace)
        return Create(object=evolve(cached.event, metadata=unsent, series=cached.series))
    return _patch(cached)
