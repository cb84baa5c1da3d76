"""The Event recorder of an actor: from what a rule records to a write of an Event object.

An Event that was sent before is counted up; when more than ten similar ones come in ten minutes they are combined;
a source may send 25 about one object, and one more every five minutes. Kubelets count each reason by itself.
Source: staging/src/k8s.io/client-go/tools/record/events_cache.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from immutables import Map

from k8sfsm.engine.cluster import EventSource
from k8sfsm.engine.series import series_write
from k8sfsm.law import constant
from k8sfsm.objects import Event, ObjectMeta, ObjectReference, changer_of, evolve
from k8sfsm.objects import EventSource as Source
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch, Record, Update
from k8sfsm.store import Store
from k8sfsm.value import value

Memory = Map[Any, Any]
Admit: TypeAlias = Callable[[str, str], ObjectMeta | None]
"""Namespace and name of a new Event -> the metadata that the API server gives to it; None where it has to be asked."""
DEFAULT: Final = "default"
"""The namespace of Events about objects that are in none."""
COMBINED: Final = "(combined from similar events): "
_NEW_API: Final = ("default-scheduler",)
"""Components that use events.k8s.io/v1, which has an eventTime instead of first and last timestamps (`series.py`)."""
_PER_REASON: Final = ("kubelet",)
"""Components whose spam filter counts the reasons of an object's Events apart; seen in recording 13b."""


_NOTHING: Final[Mapping[Any, Any]] = {}


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
    memory: Memory, record: Record, source: EventSource, store: Store, now: int, admit: Admit | None = None
) -> tuple[Memory, Event | Create | Update | Patch | None]:
    """The recorder's new memory, and the write that the record leads to (None: dropped as spam).

    A new Event to which `admit` gives its metadata is no request any more: it only has to be stored.
    The memory has an entry per object: its budgets by reason ("" where the reasons share one), its similar Events by
    (field path, type, reason), and by these and the message under which one was sent, its namespace and name.
    """
    component = source.component
    if component in _NEW_API:
        return series_write(memory, record, lambda: _new(record, record.message, source, store, now, admit), now)
    regarding, reason = record.regarding, record.reason
    meta = regarding.metadata
    about = (regarding.kind, meta.uid or (meta.namespace, meta.name))  # some name objects without their uid
    told = dict(memory.get(about, _NOTHING))
    spent = reason if component in _PER_REASON else ""
    told[spent], allowed = _spent(told.get(spent), now)
    kind = (record.field_path, record.type, reason)
    told[kind], message = _combined(told.get(kind), record.message, now)
    identity = (*kind, COMBINED if message is not record.message else message)
    known = told.get(identity)
    stored = store.get("Event", *known) if known is not None else None
    write: Event | Create | Update | None = None
    if stored is None or not stored.count:
        told[identity] = place = _free(meta, store, now)
        write = _new(record, message, source, store, now, admit, place) if allowed else None
    elif allowed:
        again = evolve(stored, count=stored.count + 1, last_timestamp=now - now % SECOND, message=message)
        write = Update(object=again, why=record.why)
    return memory.set(about, told), write


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
    message: str,
    source: EventSource,
    store: Store,
    now: int,
    admit: Admit | None,
    place: tuple[str, str] | None = None,
) -> Event | Create:
    """A new Event, or the request to create it."""
    namespace, name = place or _free(record.regarding.metadata, store, now)
    metadata = None if admit is None else admit(namespace, name)
    if metadata is not None:
        return _event(record, message, source, now, metadata)
    event = _event(record, message, source, now, _named(_NO_META, name, namespace))
    return Create(object=event, why=record.why)


def _free(about: ObjectMeta, store: Store, now: int) -> tuple[str, str]:
    """Namespace and name of a new Event: that of the object, and the time."""
    namespace, name = about.namespace or DEFAULT, f"{about.name}.{now:x}"
    while ("Event", namespace, name) in store.snapshot.events:
        now += 1
        name = f"{about.name}.{now:x}"
    return namespace, name


def _event(record: Record, message: str, source: EventSource, now: int, metadata: ObjectMeta) -> Event:
    regarding = record.regarding
    meta = regarding.metadata
    about = _about(
        _NO_REFERENCE,
        regarding.kind,
        meta.namespace,
        meta.name,
        meta.uid,
        regarding.api_version,
        meta.resource_version,
        record.field_path,
    )
    of_source = _of_source(source.component, source.host)
    if source.component in _NEW_API:
        return _noted(of_source, metadata, about, record.type, record.reason, message, now, record.action)
    second = now - now % SECOND
    return _counted(of_source, metadata, about, record.type, record.reason, message, second, second)


@lru_cache(maxsize=16384)
def _of_source(component: str, host: str) -> Event:
    """What all Events of a source have in common."""
    if component in _NEW_API:
        return Event(reporting_component=component, reporting_instance=f"{component}-{host}".rstrip("-"))
    told_by = Source(component=component, host=host)
    return Event(source=told_by, count=1, reporting_component=component, reporting_instance=host)


_NO_META: Final = ObjectMeta()
_NO_REFERENCE: Final = ObjectReference()
_PARTS: Final = ("metadata", "involved_object", "type", "reason", "message")
_noted: Final = changer_of(Event, *_PARTS, "event_time", "action")
_counted: Final = changer_of(Event, *_PARTS, "first_timestamp", "last_timestamp")
_named: Final = changer_of(ObjectMeta, "name", "namespace")
_about: Final = changer_of(
    ObjectReference, "kind", "namespace", "name", "uid", "api_version", "resource_version", "field_path"
)
