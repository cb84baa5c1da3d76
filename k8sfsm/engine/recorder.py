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

from k8sfsm.apiserver.recorded_events import Way
from k8sfsm.engine.choices import Choices
from k8sfsm.engine.cluster import EventSource
from k8sfsm.engine.recorded import NEW_API, Recorded, event_of
from k8sfsm.engine.series import series_write
from k8sfsm.journal import EVENT
from k8sfsm.law import constant
from k8sfsm.objects import ObjectMeta, changer_of, evolve, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch, Record, Update
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
    chance: Choices,
    way: Way | None = None,
) -> tuple[Memory, Recorded | Create | Update | Patch | None]:
    """The recorder's new memory, and the write that the record leads to (None: dropped as spam, or only counted).

    A new Event that may go a `way` is no request any more: it only has to be stored. Its uid comes from `chance`.
    """
    component = source.component
    if component in NEW_API:
        return series_write(memory, record, lambda: _new(record, source, store, now, chance, way), now)
    regarding, reason = record.regarding, record.reason
    meta = regarding.metadata
    about = (regarding.kind, meta.uid or (meta.namespace, meta.name))  # some name objects without their uid
    known = memory.get(about, ())
    if way is not None and known.__class__ is tuple and (not known or component in _PER_REASON):
        for each in known:
            if (each.record or each.new).reason == reason:
                break
        else:
            first = _new(record, source, store, now, chance, way, bool(known))
            if isinstance(first, Recorded):
                return memory.set(about, (*known, first)), first
    told = _in_full(known, component) if known.__class__ is tuple else dict(known)
    write = _counted(told, record, source, store, now, chance, way)
    return memory.set(about, told), write


def _counted(
    told: dict[Any, Any],
    record: Record,
    source: EventSource,
    store: Store,
    now: int,
    chance: Choices,
    way: Way | None,
) -> Recorded | Create | Update | None:
    """The write that a record about an object leads to, of which `told` takes note."""
    spent = record.reason if source.component in _PER_REASON else ""
    told[spent], allowed = _spent(told.get(spent), now)
    kind = (record.field_path, record.type, record.reason)
    told[kind], message = _combined(told.get(kind), record.message, now)
    if not allowed:
        return None
    identity = (*kind, COMBINED if message is not record.message else message)
    place = told.get(identity)
    stored = store.snapshot.get(place) if place is not None else None
    if stored is None or not stored.count:
        if message is not record.message:
            record = evolve(record, message=message)
        write = _new(record, source, store, now, chance, way)
        told[identity] = write.key if isinstance(write, Recorded) else key_of(write.object)
        return write
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
    chance: Choices,
    way: Way | None,
    is_sound: bool = False,
) -> Recorded | Create:
    """A new Event, or the request to create it. It has the namespace of the object, its name, and the time.

    `is_sound`: an Event about the object went the short way before, so the name of this one is no worse.
    """
    about, events = record.regarding.metadata, store.snapshot.events
    namespace, name = about.namespace or DEFAULT, f"{about.name}.{now:x}"
    key, moment, notes = (EVENT, namespace, name), now, events.notes
    if key in notes.changes or key in notes.file.objects:
        while key in events:
            moment += 1
            name = f"{about.name}.{moment:x}"
            key = (EVENT, namespace, name)
    if way is not None and (is_sound or way.sound(name)):
        made: Any = _make(Recorded)
        made.revision, made.type, made.key, made.old, made.at = store.snapshot.revision + 1, "ADDED", key, None, now
        made.record, made.source, made.lot, made.way = record, source, chance.lot(key), way
        return made  # type: ignore[no-any-return]
    event = event_of(record, source, now, _named(_NO_META, name, namespace))
    return Create(object=event, why=record.why)


_make: Final = object.__new__
_NO_META: Final = ObjectMeta()
_named: Final = changer_of(ObjectMeta, "name", "namespace")
