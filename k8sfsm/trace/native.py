"""Our own trace format, version 1: JSON lines, one per step. `docs/trace-format.md` describes it.

The writer is byte-deterministic: keys sorted, no floating point, times as RFC 3339 with nanoseconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TextIO, get_args

import attrs
from attrs import define, field

from k8sfsm.request import Key
from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.fields import optional, required, time_at
from k8sfsm.trace.history import Document, EnvironmentFact, Move, RecordedWrite, Recording, Verb, WatchType
from k8sfsm.trace.lines import Json, Progress, json_lines
from k8sfsm.trace.merge import apply_merge, merge_patch
from k8sfsm.trace.skeleton import refuse_misshapen
from k8sfsm.trace.timestamps import format_time

FORMAT: Final = "k8sfsm-trace"
VERSION: Final = 1
_REQUEST: Final = (
    "account",
    "user_agent",
    "subresource",
    "query",
    "reason",
    "message",
    "precondition",
    "answered",
    "inferred",
)
_FLAGS: Final = ("body_trimmed", "derived", "trimmed")


def plain(value: Any, place: str = "value") -> Any:
    """A value as JSON without floating point: tuples as lists, attrs objects as mappings, sets refused.

    Errors: ValueError for floats (they differ between machines) and for what JSON has no form of.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(part, f"{place}.{key}") for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part, place) for part in value]
    if attrs.has(type(value)):
        return plain(attrs.asdict(value, recurse=False), place)
    if isinstance(value, float):
        raise ValueError(f"{place}: a trace holds no floating point, found {value!r}")
    return str(value)


class TraceWriter:
    """Writes a trace line by line. Objects are written whole once, then as merge patches to their last state."""

    def __init__(self, stream: TextIO) -> None:
        """Write to `stream`, a text file opened without translation of line ends."""
        self._stream = stream
        self._last: dict[Key, Json] = {}
        self._steps = 0

    def header(self, *, kubernetes: str, seed: int | None = None, scenario: str = "", **more: Any) -> None:
        """The first line. `more`: what else a reader should know (start, end, namespaces, notes...)."""
        value = {"format": FORMAT, "version": VERSION, "kubernetes": kubernetes, "seed": seed, "scenario": scenario}
        self._line({**value, **more})

    def initial(self, obj: Json) -> None:
        """An object that exists before the first step."""
        document = Document(plain(obj))
        self._last[document.key] = document.json
        self._line({"initial": document.json})

    def write(self, write: RecordedWrite) -> None:
        """A request, or a change that a request made."""
        self._steps += 1
        value: Json = {"step": self._steps, "time": format_time(write.time, 9), "actor": write.actor, "action": "write"}
        value["key"] = list(write.key)
        value["code"] = write.code
        value["request"] = self._request(write)
        optional_parts = {
            "node": write.node,
            "rule": write.rule,
            "facts": write.facts,
            "states": write.states,
            "cause": write.cause,
            "revision": write.revision,
            "type": write.type,
        }
        value |= {name: part for name, part in optional_parts.items() if part not in ("", None, {})}
        value |= self._state(write)
        self._line(value)

    def move(self, move: Move) -> None:
        """A step that sent no request."""
        self._steps += 1
        value: Json = {"step": self._steps, "time": format_time(move.time, 9), "actor": move.actor}
        value["action"] = move.action
        parts = {"node": move.node, "key": move.key, "rule": move.rule, "facts": move.facts, "cause": move.cause}
        self._line(value | {name: part for name, part in parts.items() if part not in ("", None, {})})

    def fact(self, fact: EnvironmentFact) -> None:
        """Something that happened outside the API."""
        value = {
            name: part
            for name, part in attrs.asdict(fact, recurse=False).items()
            if name not in ("line", "time", "event") and part not in ("", None, {})
        }
        self._line({"fact": fact.event, "time": format_time(fact.time, 9), **value})

    def close(self) -> None:
        """The last line, by which a reader knows that the trace is whole."""
        self._line({"end": {"steps": self._steps}})

    def _request(self, write: RecordedWrite) -> Json:
        value: Json = {"id": write.request, "verb": write.verb}
        value |= {name: part for name in _REQUEST if (part := getattr(write, name)) not in ("", None, {})}
        value |= {"warnings": list(write.warnings)} if write.warnings else {}
        value |= {"body": write.body} if write.body is not None else {}
        value |= {name: True for name in _FLAGS if getattr(write, name)}
        for name in ("received", "completed"):
            if (time := getattr(write, name)) is not None:
                value[name] = format_time(time, 9)
        return value

    def _state(self, write: RecordedWrite) -> Json:
        if write.new is None or write.type is None:
            return {"unchanged": True} if write.new is not None else {}
        new, old = plain(write.new.json), self._last.get(write.key)
        if write.type == "DELETED":
            self._last.pop(write.key, None)
        else:
            self._last[write.key] = new
        if old is None or write.type == "ADDED":
            return {"object": new}
        patch = merge_patch(old, new)
        return {"object": new} if apply_merge(old, patch) != new else {"patch": patch}

    def _line(self, value: Json) -> None:
        text = json.dumps(plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        self._stream.write(text + "\n")


def write_trace(recording: Recording, stream: TextIO) -> None:
    """Write a recording, of whatever format it came, as a k8sfsm trace. Errors: ValueError for floating point."""
    writer = TraceWriter(stream)
    header = {name: recording.about[name] for name in _HEADER if name in recording.about}
    header = {"kubernetes": "v1.36", **header}
    header["scenario"] = header.get("scenario") or recording.about.get("name", "")
    more: dict[str, Any] = {"namespaces": recording.namespaces, "notes": recording.notes}
    for name in ("start", "end"):
        if (time := getattr(recording, name)) is not None:
            more[name] = format_time(time, 9)
    if recording.final is not None:
        more["whole"] = True
    writer.header(**{**header, **more})
    for document in recording.initial:
        writer.initial(document.json)
    emit: list[tuple[int, int, Callable[[], None]]] = []
    for place, write in enumerate(recording.writes):
        emit.append((place, 1, lambda write=write: writer.write(write)))  # type: ignore[misc]
    emit += [(move.after, 0, lambda move=move: writer.move(move)) for move in recording.moves]  # type: ignore[misc]
    for _, _, write_line in sorted(emit, key=lambda item: item[:2]):
        write_line()
    for fact in recording.environment:
        writer.fact(fact)
    writer.close()


_HEADER: Final = ("kubernetes", "seed", "scenario")


@define
class _Reader:
    """What has been read so far."""

    objects: dict[Key, Document] = field(factory=dict)
    initial: list[Document] = field(factory=list)
    writes: list[RecordedWrite] = field(factory=list)
    moves: list[Move] = field(factory=list)
    facts: list[EnvironmentFact] = field(factory=list)
    steps: int = 0

    def take(self, place: Line, value: Json) -> None:
        """One line after the header."""
        if "initial" in value:
            document = _document(place, required(place, value, "initial", dict))
            self.initial.append(document)
            self.objects[document.key] = document
        elif "fact" in value:
            self.facts.append(_fact(place, value))
        elif "step" in value:
            self.steps += 1
            if required(place, value, "step", int) != self.steps:
                what = f"expected step {self.steps}, found {value['step']}"
                raise TraceError(place, what, "give the whole trace", "step")
            if value.get("action") == "write":
                self.writes.append(self._write(place, value))
            else:
                self.moves.append(_move(place, value, len(self.writes)))
        else:
            what = f"expected one of initial, step, fact, end, found {', '.join(sorted(value)[:5]) or 'nothing'}"
            raise TraceError(place, what, "remove the line")

    def _write(self, place: Line, value: Json) -> RecordedWrite:
        key = _key(place, value)
        old = self.objects.get(key)
        new = self._new(place, value, old)
        kind: WatchType | None = value.get("type")
        if kind not in (None, *get_args(WatchType)):
            raise TraceError(place, f"expected a watch type, found {describe(kind)}", "correct the line", "type")
        if kind == "DELETED":
            self.objects.pop(key, None)
        elif kind is not None and new is not None:
            self.objects[key] = new
        request = required(place, value, "request", dict)
        verb: Verb = request.get("verb")  # type: ignore[assignment]
        if verb not in get_args(Verb):
            raise TraceError(place, f"expected a verb, found {describe(verb)}", "correct the line", "request.verb")
        more: dict[str, Any] = {name: request[name] for name in (*_REQUEST, *_FLAGS, "body") if name in request}
        return RecordedWrite(
            line=place,
            warnings=tuple(optional(place, request, "warnings", list, [])),
            request=required(place, request, "id", int),
            time=_time(place, value),
            received=time_at(place, request, "received"),
            completed=time_at(place, request, "completed"),
            actor=required(place, value, "actor", str),
            node=optional(place, value, "node", str, ""),
            verb=verb,
            key=key,
            code=required(place, value, "code", int),
            old=old,
            new=new,
            type=kind,
            revision=optional(place, value, "revision", int),
            rule=optional(place, value, "rule", str, ""),
            facts=optional(place, value, "facts", dict, {}),
            states={name: (a, b) for name, (a, b) in optional(place, value, "states", dict, {}).items()},
            cause=optional(place, value, "cause", int),
            **more,
        )

    def _new(self, place: Line, value: Json, old: Document | None) -> Document | None:
        if "object" in value:
            return _document(place, required(place, value, "object", dict))
        if "patch" in value:
            if old is None:
                what = "a patch of an object that does not exist"
                raise TraceError(place, what, "give the whole trace", "patch")
            return _document(place, apply_merge(old.json, required(place, value, "patch", dict)))
        return old if value.get("unchanged") else None


def _key(place: Line, value: Json) -> Key:
    parts = required(place, value, "key", list)
    if len(parts) != 3 or not all(isinstance(part, str) for part in parts):
        raise TraceError(place, "expected [kind, namespace, name]", "correct the line", "key")
    return (parts[0], parts[1], parts[2])


def _time(place: Line, value: Json) -> int:
    time = time_at(place, value, "time")
    if time is None:
        raise TraceError(place, "expected an RFC 3339 time, found nothing", "correct the line", "time")
    return time


def _move(place: Line, value: Json, after: int) -> Move:
    return Move(
        line=place,
        time=_time(place, value),
        actor=required(place, value, "actor", str),
        action=required(place, value, "action", str),
        node=optional(place, value, "node", str, ""),
        key=_key(place, value) if "key" in value else None,
        rule=optional(place, value, "rule", str, ""),
        facts=optional(place, value, "facts", dict, {}),
        cause=optional(place, value, "cause", int),
        after=after,
    )


def _fact(place: Line, value: Json) -> EnvironmentFact:
    names = {attribute.name for attribute in attrs.fields(EnvironmentFact)}
    unknown = sorted(set(value) - names - {"fact", "time"})
    if unknown:
        raise TraceError(place, f"unknown field {describe(unknown[0])}", "remove it", unknown[0])
    more = {name: part for name, part in value.items() if name not in ("fact", "time", "pod")}
    pod = optional(place, value, "pod", list)
    event = required(place, value, "fact", str)
    key: Key | None = (pod[0], pod[1], pod[2]) if pod else None
    return EnvironmentFact(line=place, time=_time(place, value), event=event, pod=key, **more)


def read_trace(path: Path, progress: Progress | None = None) -> Recording:
    """Read a k8sfsm trace. Raises TraceError, also where its last line is missing."""
    lines = json_lines(path, progress)
    place, header = next(lines)
    if header.get("format") != FORMAT or header.get("version") != VERSION:
        what = f"expected a k8sfsm trace of version {VERSION}, found version {describe(header.get('version'))}"
        raise TraceError(place, what, "write it anew with this version of k8sfsm", "version")
    reader, ended = _Reader(), False
    for place, value in lines:
        if ended:
            raise TraceError(place, "expected nothing after the end line", "remove the line")
        if "end" in value:
            ended = True
            if required(place, value, "end.steps", int) != reader.steps:
                what = f"expected {reader.steps} steps, found {value['end']['steps']}"
                raise TraceError(place, what, "give the whole trace", "end.steps")
            continue
        reader.take(place, value)
    if not ended:
        raise TraceError(place, "the trace has no end line: it is cut off", "write it anew, or add the end line")
    final = {key: doc for key, doc in reader.objects.items() if key[0] != "Event"} if header.get("whole") else None
    return Recording(
        source=str(path),
        format="k8sfsm",
        initial=tuple(reader.initial),
        writes=tuple(reader.writes),
        moves=tuple(reader.moves),
        environment=tuple(reader.facts),
        final=final,
        start=time_at(place, header, "start"),
        end=time_at(place, header, "end"),
        about=header,
        namespaces=tuple(header.get("namespaces") or ()),
        notes=tuple(header.get("notes") or ()),
    )


def _document(place: Line, obj: Json) -> Document:
    refuse_misshapen(place, obj)
    return Document(obj)
