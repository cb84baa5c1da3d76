"""The Event recorder of an actor: from what a rule records to a write of an Event object.

An Event that was sent before is counted up; when more than ten similar ones come in ten minutes they are combined;
a source may send 25 about one object, and one more every five minutes. Kubelets count each reason by itself.
Source: staging/src/k8s.io/client-go/tools/record/events_cache.go.

The memory of a recorder has an entry per object: its budgets by reason ("" where the reasons share one), its similar
Events by (field path, type, reason), and by these and the message under which one was sent, its namespace and name. As
long as each Event about an object draws on a budget of its own, and the API server let it through the short way, the
entry is these Events, from which all that follows (`_in_full`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from immutables import Map

from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.recorded_events import Way
from k8sfsm.engine.cluster import EventSource
from k8sfsm.engine.recorded import NEW_API, Recorded, event_of, recorded
from k8sfsm.engine.series import series_write
from k8sfsm.journal import EVENT
from k8sfsm.law import constant
from k8sfsm.objects import ObjectMeta, changer_of, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Key, Patch, Record, Update
from k8sfsm.store import Store
from k8sfsm.value import value

Memory: TypeAlias = Map[Any, Any]
DEFAULT: Final = "default"
"""The namespace of Events about objects that are in none."""
COMBINED: Final = "(combined from similar events): "
_PER_REASON: Final = ("kubelet",)
"""Components whose spam filter counts the reasons of an object's Events apart; seen in recording 13b."""


@value
class Similar:
    """Events that differ in their message only: the messages of late, and when the last one came (ns)."""

    messages: tuple[str, ...]
    at: int


@value
class Budget:
    """What a source may still send about an object: tokens (in units of one Event) at a time (ns)."""

    tokens: float
    at: int


def event_write(
    memory: Memory,
    record: Record,
    source: EventSource,
    store: Store,
    now: int,
    chance: Chance,
    way: Way | None = None,
) -> tuple[Memory, Recorded | Create | Update | Patch | None]:
    """The recorder's new memory, and the write that the record leads to (None: dropped as spam, or only counted).

    A new Event that may go a `way` is no request any more: it only has to be stored. Its uid comes from `chance`.
    """
    component = source.component
    if component in NEW_API:
        return series_write(memory, record, lambda: _new(record, source, store, now, chance, way), now)
    regarding = record.regarding
    meta = regarding.metadata
    about = (regarding.kind, meta.uid or (meta.namespace, meta.name))  # some name objects without their uid
    known = memory.get(about, ())
    if known.__class__ is tuple and way is not None and _is_first(known, record, component):
        first = _new(record, source, store, now, chance, way)
        if first.__class__ is Recorded:
            return memory.set(about, (*known, first)), first
    told = _in_full(known, component) if known.__class__ is tuple else dict(known)
    write = _counted(told, record, source, store, now, chance, way)
    return memory.set(about, told), write


def _is_first(known: tuple[Recorded, ...], record: Record, component: str) -> bool:
    """Whether no Event about the object has drawn on the budget for this one."""
    if not known:
        return True
    if component not in _PER_REASON:
        return False
    reason = record.reason
    for each in known:  # noqa: SIM110 (asked for every Event: a generator costs more than the comparisons)
        if (each.record or each.new).reason == reason:
            return False
    return True


def _counted(
    told: dict[Any, Any],
    record: Record,
    source: EventSource,
    store: Store,
    now: int,
    chance: Chance,
    way: Way | None,
) -> Recorded | Create | Update | None:
    """The write that a record about an object leads to, of which `told` takes note."""
    spent = record.reason if source.component in _PER_REASON else ""
    told[spent], allowed = _spent(told.get(spent), now)
    kind = (record.field_path, record.type, record.reason)
    told[kind], message = _combined(told.get(kind), record.message, now)
    identity = (*kind, COMBINED if message is not record.message else message)
    place = told.get(identity)
    stored = store.snapshot.get(place) if place is not None else None
    if message is not record.message:
        record = evolve(record, message=message)
    if stored is None or not stored.count:
        told[identity] = place = _free(record, store, now)
        return _new(record, source, store, now, chance, way, place) if allowed else None
    if not allowed:
        return None
    again = evolve(stored, count=stored.count + 1, last_timestamp=now - now % SECOND, message=message)
    return Update(object=again, why=record.why)


def _in_full(known: Iterable[Recorded], component: str) -> dict[Any, Any]:
    """What is kept of first Events about an object, each of its own budget."""
    told: dict[Any, Any] = {}
    for each in known:
        event = each.new
        told[event.reason if component in _PER_REASON else ""], _ = _spent(None, each.at)
        kind = (event.involved_object.field_path, event.type, event.reason)
        told[kind], _ = _combined(None, event.message, each.at)
        told[(*kind, event.message)] = each.key
    return told


def _spent(budget: Budget | None, now: int) -> tuple[Budget, bool]:
    """The budget after one Event more, and whether it allows that one.

    Source: events_cache.go: EventSourceObjectSpamFilter.Filter.
    """
    burst = constant("event_spam_burst")
    if budget is None:
        return Budget(burst - 1, now), True
    tokens = min(burst, budget.tokens + (now - budget.at) / (constant("event_spam_refill") * SECOND))
    return (budget, False) if tokens < 1 else (Budget(tokens - 1, now), True)


def _combined(similar: Similar | None, message: str, now: int) -> tuple[Similar, str]:
    """What is kept of similar Events, and the message under which this one is sent.

    Source: events_cache.go: EventAggregator.EventAggregate.
    """
    if similar is None or now - similar.at > constant("event_similar_interval") * SECOND:
        return Similar((message,), now), message
    messages = similar.messages if message in similar.messages else (*similar.messages, message)
    limit = constant("event_similar_max")
    return Similar(messages[-limit:], now), message if len(messages) < limit else COMBINED + message


def _new(
    record: Record,
    source: EventSource,
    store: Store,
    now: int,
    chance: Chance,
    way: Way | None,
    place: Key | None = None,
) -> Recorded | Create:
    """A new Event, or the request to create it."""
    key = place or _free(record, store, now)
    _, namespace, name = key
    if way is not None and way.sound(name):
        return recorded(store.snapshot.revision + 1, key, now, record, source, chance.uid(key), way)
    event = event_of(record, source, now, _named(_NO_META, name, namespace))
    return Create(object=event, why=record.why)


def _free(record: Record, store: Store, now: int) -> Key:
    """The key of a new Event: the namespace of the object, its name, and the time."""
    about, events = record.regarding.metadata, store.snapshot.events
    key = (EVENT, about.namespace or DEFAULT, f"{about.name}.{now:x}")
    while key in events:
        now += 1
        key = (EVENT, key[1], f"{about.name}.{now:x}")
    return key


_NO_META: Final = ObjectMeta()
_named: Final = changer_of(ObjectMeta, "name", "namespace")
