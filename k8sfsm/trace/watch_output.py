"""Reads what `kubectl get ... -w -o json` prints, with or without `--output-watch-events`; several files as one.

There are no requests and no times in it. Revisions give the true order. A time is the latest moment that the objects
name up to then, or the next where a person may have acted; the actor is inferred from what changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.trace.assembly import assemble
from k8sfsm.trace.derive import without_bookkeeping
from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.fields import optional, required, time_at
from k8sfsm.trace.folder import Restorer
from k8sfsm.trace.history import Document, Recording, WatchType
from k8sfsm.trace.join import Join, Seen
from k8sfsm.trace.lacking import notes_of_lacks, older_than
from k8sfsm.trace.lines import Json, Progress, json_values
from k8sfsm.trace.resources import controller_reference, is_deleting, json_key, metadata, revision_of
from k8sfsm.trace.skeleton import refuse_misshapen
from k8sfsm.trace.statuses import facts_from_statuses, made_at
from k8sfsm.trace.timestamps import parse_time

_TYPES: Final = ("ADDED", "MODIFIED", "DELETED")
_MOMENTS: Final = frozenset(
    {
        "completionTime", "creationTimestamp", "eventTime", "finishedAt", "firstTimestamp", "lastHeartbeatTime",
        "lastScheduleTime", "lastSuccessfulTime", "lastTimestamp", "lastTransitionTime", "lastUpdateTime", "startTime",
        "startedAt", "time", "timeAdded",
    }
)  # fmt: skip


@define
class _Line:
    """One printed object; `type` None where the output does not say."""

    place: Line
    type: WatchType | None
    obj: Json
    time: int | None
    moments: list[int] = field(factory=list)
    listed: bool = False
    """Whether the output says that the object was there at the start."""
    torn: bool = False
    """Whether it refers to a line that is not there."""


def read_watch_output(paths: Sequence[Path], progress: Progress | None = None) -> Recording:
    """Read watch output as a recording. Raises TraceError."""
    problems: list[str] = []
    lines = [line for path in paths for line in _lines(path, problems, progress)]
    lines.sort(key=lambda line: revision_of(line.obj) or 0)  # stable: lines of one revision keep their order
    initial_uids = _initial(lines)
    initial, changes = _changes(lines, initial_uids)
    writes = assemble(Join(changes, []), initial)
    torn = frozenset(change.line for change in changes if change.torn)
    older = older_than(initial, writes, torn)
    initial += older
    plain = any(line.type is None for line in lines)
    latest = max((moment for line in lines for moment in line.moments), default=None)
    notes = ["who wrote is inferred from what changed: watch output has no requests"]
    notes += ["environment facts are read off the kubelets' status writes and Events"]
    if any(line.time is None for line in lines):
        notes.append("times are the latest moment that objects name, to the second: watch output has none")
    notes += notes_of_lacks(torn, older)
    if plain:
        notes.append("types are inferred: a line that changes nothing is taken for the deletion")
    return Recording(
        source=" ".join(str(path) for path in paths),
        format="watch",
        initial=tuple(initial),
        writes=writes,
        environment=facts_from_statuses(writes, initial),
        start=writes[0].time if writes else latest,
        end=writes[-1].time if writes else latest,
        appeared=frozenset(document.key for document in older),
        torn=torn,
        problems=tuple(problems),
        notes=tuple(notes),
    )


def _lines(path: Path, problems: list[str], progress: Progress | None) -> Iterator[_Line]:
    restorer = Restorer()
    restorer.problems = problems
    for place, value in json_values(path, progress):
        kind = value.get("type")
        if "object" not in value:
            yield from _bare(place, value)
        elif kind == "BOOKMARK":
            continue
        elif kind == "ERROR":
            message = optional(place, value, "object.message", str, "no message")
            raise TraceError(place, f"the watch ended with an error ({message})", "remove the line", "type")
        elif kind not in _TYPES:
            raise TraceError(place, f"expected {', '.join(_TYPES)}, found {describe(kind)}", "remove the line", "type")
        else:
            obj = required(place, value, "object", dict)
            required(place, obj, "metadata", dict)
            torn = restorer.restore(place, value)
            time = time_at(place, value, "ts")
            yield evolve(_line(place, kind, obj, time), listed=bool(value.get("initial")), torn=torn)


def _bare(place: Line, value: Json) -> Iterator[_Line]:
    """The object that a printed value is, or the objects that a printed list holds."""
    items = value.get("items")
    if not str(value.get("kind", "")).endswith("List") or not isinstance(items, list):
        yield _line(place, None, value, None)
        return
    for item in items:
        if not isinstance(item, dict):
            raise TraceError(place, f"expected objects, found {describe(item)}", "remove the line", "items")
        yield evolve(_line(place, None, item, None), listed=True)


def _line(place: Line, kind: WatchType | None, obj: Json, time: int | None) -> _Line:
    for name in ("kind", "metadata.name", "metadata.resourceVersion"):
        required(place, obj, name, str)
    if revision_of(obj) is None:
        what = f"expected a number, found {describe(metadata(obj)['resourceVersion'])}"
        raise TraceError(place, what, "give what kubectl printed, unchanged", "metadata.resourceVersion")
    refuse_misshapen(place, obj)
    return _Line(place, kind, without_bookkeeping(obj), time, sorted(_moments(obj)))


def _moments(value: Any, name: str = "") -> Iterator[int]:
    """All moments (ns) that an object names; of a deletion the moment when it began."""
    if isinstance(value, dict):
        for key, part in value.items():
            if key == "deletionTimestamp" and isinstance(part, str):
                yield parse_time(part) - int(value.get("deletionGracePeriodSeconds") or 0) * SECOND
            elif key not in ("annotations", "labels"):
                yield from _moments(part, key)
    elif isinstance(value, list):
        for part in value:
            yield from _moments(part)
    elif name in _MOMENTS and isinstance(value, str):
        try:
            yield parse_time(value)
        except ValueError:
            return


def _initial(lines: Sequence[_Line]) -> set[str]:
    """The uids of objects that a watch lists first because they exist, not because they were created.

    Of each kind, within the leading run of additions: what controllers or kubelets have worked on already, and what
    was created a minute or more before the first object that they have not.
    """
    leading: list[_Line] = []
    ended: set[str] = set()
    known: set[str] = set()
    for line in lines:
        kind, uid = str(line.obj.get("kind")), _uid(line.obj)
        if line.type in ("MODIFIED", "DELETED") or uid in known:
            ended.add(kind)
        elif kind not in ended:
            leading.append(line)
        known.add(uid)
    fresh = [_created(line.obj) for line in leading if not _is_grown(line.obj) and line.obj["kind"] in _GROWING]
    first = min(fresh, default=None)
    bound = None if first is None else first - _BEFORE

    def existed(obj: Json) -> bool:
        return _is_grown(obj) or (obj["kind"] != "Event" and (bound is None or _created(obj) < bound))

    return {_uid(line.obj) for line in leading if line.listed or existed(line.obj)}


_BEFORE: Final = 60 * SECOND


_GROWING: Final = (
    "Node",
    "Pod",
    "ReplicaSet",
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "Job",
    "ReplicationController",
)


def _is_grown(obj: Json) -> bool:
    status = obj.get("status") or {}
    if obj.get("kind") == "Pod":
        return bool((obj.get("spec") or {}).get("nodeName") or status.get("conditions") or is_deleting(obj))
    if obj.get("kind") == "Node":
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
        return ready or bool((obj.get("spec") or {}).get("podCIDR"))
    if obj.get("kind") == "PriorityClass":  # the API server makes its own before it serves anybody
        return str(metadata(obj).get("name")).startswith("system-")
    if obj.get("kind") in _GROWING:
        return bool(status.get("observedGeneration") or status.get("conditions") or is_deleting(obj))
    return False


def _created(obj: Json) -> int:
    text = metadata(obj).get("creationTimestamp")
    return parse_time(text) if isinstance(text, str) and text else 0


def _uid(obj: Json) -> str:
    return str(metadata(obj).get("uid") or "/".join(json_key(obj)))


def _changes(lines: Sequence[_Line], initial_uids: set[str]) -> tuple[list[Document], list[Seen]]:
    """(objects at the start, changes with their times)."""
    initial: list[Document] = []
    changes: list[Seen] = []
    named: list[int] = []  # the latest moment that each change's object names anew; 0 where it names none
    known: dict[Key, Document] = {}
    moments: dict[Key, list[int]] = {}
    start = 0
    for line in lines:
        document = Document(line.obj)
        old = known.get(document.key)
        if old is not None and old.revision == document.revision and line.type != "DELETED":
            continue  # listed again: a watch that was started anew, or two watches of one kind
        fresh = [moment for moment in line.moments if moment not in moments.get(document.key, ())]
        moments[document.key] = line.moments
        if old is None and _uid(line.obj) in initial_uids:
            initial_uids.discard(_uid(line.obj))
            initial.append(document)
            start = max(start, *line.moments, 0)
            known[document.key] = document
            continue
        kind = line.type or _type(old, document)
        time = line.time or 0
        seen = Seen(line=line.place, time=time, type=kind, key=document.key, document=document, old=old)
        changes.append(evolve(seen, trimmed=True, torn=True) if line.torn else seen)
        named.append(time or max([made_at(line.obj), *fresh]))
        if kind == "DELETED":
            known.pop(document.key, None)
        else:
            known[document.key] = document
    return initial, _timed(changes, named, start)


def _timed(changes: Sequence[Seen], named: Sequence[int], start: int) -> list[Seen]:
    """Times in order: the latest moment named so far or, for what a person may have asked for, the next one named.

    A controller's write follows what it saw; a person's comes out of the blue, and is what others then react to.
    """
    following, upcoming = [0] * len(named), 0
    for index in range(len(named) - 1, -1, -1):
        upcoming = following[index] = named[index] or upcoming
    result, now = [], start
    for change, moment, soon in zip(changes, named, following, strict=True):
        now = max(now, moment or (soon if _is_asked(change) else 0))
        result.append(change if change.time else evolve(change, time=now))
    return result


def _is_asked(change: Seen) -> bool:
    """Whether a person may be behind a change: one of a spec or labels, of an object that no controller owns."""
    if controller_reference(change.document.json):
        return False
    if change.type != "MODIFIED" or change.old is None:
        return True
    old, new = ({**_content(d.json), "status": None} for d in (change.old, change.document))
    return not change.touches_deletion and old != new


def _type(old: Document | None, new: Document) -> WatchType:
    """The type of a line that does not tell it: the API server never writes an update that changes nothing."""
    if old is None or old.uid != new.uid:
        return "ADDED"
    return "DELETED" if _content(old.json) == _content(new.json) else "MODIFIED"


def _content(obj: Json) -> Json:
    meta = {name: value for name, value in metadata(obj).items() if name != "resourceVersion"}
    return {**obj, "metadata": meta}
