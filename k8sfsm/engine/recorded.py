"""Events as recorders make them, and those of them that nobody has looked at yet."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from k8sfsm.engine.choices import Lot, uid_of
from k8sfsm.engine.cluster import EventSource
from k8sfsm.objects import Event, ObjectMeta, ObjectReference, changer_of
from k8sfsm.objects import EventSource as Source
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Record
from k8sfsm.store import Change

if TYPE_CHECKING:
    from k8sfsm.apiserver.recorded_events import Way

NEW_API: Final = ("default-scheduler",)
"""Components that use events.k8s.io/v1, which has an eventTime instead of first and last timestamps (`series.py`)."""


def event_of(record: Record, source: EventSource, now: int, metadata: ObjectMeta) -> Event:
    """The Event that a source makes of a record at `now` (ns)."""
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
    if source.component in NEW_API:
        return _noted(of_source, metadata, about, record.type, record.reason, record.message, now, record.action)
    second = now - now % SECOND
    return _counted(of_source, metadata, about, record.type, record.reason, record.message, second, second)


@lru_cache(maxsize=16384)
def _of_source(component: str, host: str) -> Event:
    """What all Events of a source have in common."""
    if component in NEW_API:
        return Event(reporting_component=component, reporting_instance=f"{component}-{host}".rstrip("-"))
    told_by = Source(component=component, host=host)
    return Event(source=told_by, count=1, reporting_component=component, reporting_instance=host)


_NO_REFERENCE: Final = ObjectReference()
_PARTS: Final = ("metadata", "involved_object", "type", "reason", "message")
_noted: Final = changer_of(Event, *_PARTS, "event_time", "action")
_counted: Final = changer_of(Event, *_PARTS, "first_timestamp", "last_timestamp")
_about: Final = changer_of(
    ObjectReference, "kind", "namespace", "name", "uid", "api_version", "resource_version", "field_path"
)


class Recorded(Change):
    """A change that adds an Event, of which nothing is written out before somebody looks at it (`new`): of a rollout's
    Events nobody ever does.

    Until then it keeps the record, who made it, and the API server's way of letting it through.
    """

    __slots__ = ("lot", "record", "source", "way")
    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__

    record: Record | None
    source: EventSource
    lot: Lot
    way: Way

    def __getattr__(self, name: str) -> Any:
        if name != "new" or self.record is None:
            raise AttributeError(name)
        _, namespace, name = self.key
        metadata = self.way.metadata(namespace, name, uid_of(self.lot), self.revision, self.at)
        event = event_of(self.record, self.source, self.at, metadata)
        object.__setattr__(self, "new", event)
        self.record = None
        return event

    @property
    def reason(self) -> str:
        """The Event's reason."""
        return (self.record or self.new).reason

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Change):
            return NotImplemented
        return (self.revision, self.key, self.at) == (other.revision, other.key, other.at) and (
            (self.type, self.old, self.new) == (other.type, other.old, other.new)
        )

    __hash__ = None  # type: ignore[assignment]
