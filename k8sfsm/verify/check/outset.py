"""What a history's first state tells of the time before: where something was under way, and which timers ran.

A history that begins amid the work of a cluster shows what components then write, and not what they had seen and
ordered before. A quiet beginning leaves nothing open.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from attrs import define, field

from k8sfsm.law import constant
from k8sfsm.objects import parse_time
from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import metadata

_TIMES: Final = ("Time", "Timestamp", "At")
"""How the names of fields end that say when something happened."""
_TOLD_BY: Final = ("eventTime", "firstTimestamp", "lastTimestamp")


@define
class Outset:
    """How a history began. `start`: its first moment (ns); `last`: namespace -> when (ns) something happened to its
    objects last before that; `unwell`: nodes that were not well then; `uids`: of the objects that there were.
    """

    start: int = 0
    last: dict[str, int] = field(factory=dict)
    unwell: tuple[str, ...] = ()
    uids: frozenset[str] = frozenset()

    @classmethod
    def of(cls, recording: Recording) -> Outset:
        """The outset of a history."""
        last: dict[str, int] = {}
        start = recording.start or 0
        for document in recording.initial:
            space = document.key[1] or (document.key[2] if document.key[0] == "Namespace" else "")
            moment = start if _is_unsettled(document.json) else max(_moments(document.json), default=0)
            last[space] = max(last.get(space, 0), moment)
        nodes = (document for document in recording.initial if document.key[0] == "Node")
        unwell = tuple(document.key[2] for document in nodes if _is_unwell(document))
        uids = frozenset(document.uid for document in recording.initial)
        return cls(start, last, unwell, uids)

    def astir(self, write: RecordedWrite) -> bool:
        """Whether a write comes so soon that its component's view can be older than the history, and something had
        just happened there.
        """
        lag = int(constant("check_view_lag")) * SECOND
        last = self.last.get(_place(write))
        return last is not None and write.time <= self.start + lag and last >= self.start - lag

    def told_before(self, write: RecordedWrite) -> bool:
        """Whether a recorded Event says of itself that it tells of something before the history."""
        if write.key[0] != "Event" or write.new is None:
            return False
        event = write.new.json
        told = [str(event[name]) for name in _TOLD_BY if event.get(name)]
        return bool(told) and max(parse_time(text) for text in told) + SECOND <= self.start


def _place(write: RecordedWrite) -> str:
    """The namespace that a write is about: an Event about an object of the cluster is in another one."""
    kind, space, name = write.key
    if kind == "Event" and write.new is not None:
        about = write.new.json.get("involvedObject") or write.new.json.get("regarding") or {}
        return str(about.get("namespace") or "")
    return space or (name if kind == "Namespace" else "")


def _is_unwell(document: Document) -> bool:
    conditions = (document.json.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == "Ready"), None)
    taints = (document.json.get("spec") or {}).get("taints") or ()
    return (ready is not None and ready.get("status") != "True") or any(
        each.get("effect") == "NoExecute" for each in taints
    )


def _is_unsettled(obj: Json) -> bool:
    """Whether an object's controller has not come to the end of what the object asks for."""
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    observed = status.get("observedGeneration")
    return (observed is not None and observed != metadata(obj).get("generation")) or (
        "replicas" in spec and spec["replicas"] != status.get("replicas", 0)
    )


def _moments(obj: Json) -> Iterator[int]:
    """When things happened to an object, as far as it says so; what is planned does not count."""
    made = metadata(obj).get("creationTimestamp")
    if made:
        yield parse_time(str(made))
    ending = metadata(obj).get("deletionTimestamp")
    if ending:
        yield parse_time(str(ending)) - int(metadata(obj).get("deletionGracePeriodSeconds") or 0) * SECOND
    if obj.get("kind") not in ("Node", "Lease"):  # they tell of heartbeats
        yield from _dated(obj.get("status"))


def _dated(value: Any, name: str = "") -> Iterator[int]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _dated(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from _dated(each)
    elif isinstance(value, str) and name.endswith(_TIMES):
        try:
            yield parse_time(value)
        except ValueError:
            return
