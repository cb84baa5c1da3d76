"""The state of a cluster, from whatever a person has of it: a story, a history, or a dump."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from k8sfsm.objects import KINDS, ManifestError, ObjectError, Unmodelled, from_json, kind_named
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.loading import is_scenario, read_story
from k8sfsm.scenario.manifests import read_manifests
from k8sfsm.scenario.play import Play, play
from k8sfsm.scenario.verbs import in_namespace
from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.trace.folder import lists_by_resource
from k8sfsm.trace.history import Recording
from k8sfsm.trace.lines import Json, json_values, open_bytes
from k8sfsm.trace.reading import format_of, read_history
from k8sfsm.view import View

STANDARD_INPUT: Final = "-"
_EXPECTED: Final = (
    "expected a scenario, a history (recording folder, audit log, `kubectl get -w -o json`, k8sfsm trace) "
    "or a dump (`kubectl get -o json` or `-o yaml`)"
)
_DO: Final = "give one of these"
_NOT_AT: Final = "this is the state of one moment, expected a scenario or a history where a time is given"
_HEAD: Final = 4096


@frozen
class State:
    """What exists in a cluster at one moment.

    `source`: what was read. `view`: every object; `view.now` is the moment (ns since the epoch; 0: not known).
    `notes`: what a reader should know, one line each: a story's misses, parts of a history that were derived.
    """

    source: str
    view: View
    notes: tuple[str, ...] = ()


def read_state(path: str | Path, at: int | None = None) -> State:
    """The state at the end of a story or a history, or the one that a dump holds; its form is told by content.

    `path`: a scenario file (it is played), a recording's folder, an audit log, watch output or k8sfsm trace, or what
    `kubectl get -o json` or `-o yaml` printed; plain, gzip or zstd; "-": standard input. `at`: ns after the start of
    the story or history, instead of its end. Errors: TraceError, SpecError, ManifestError, each one line; OSError.
    """
    if str(path) == STANDARD_INPUT:
        return _of_standard_input(at)
    path = Path(path)
    if path.is_dir():
        return _of_history(read_history(path), at)
    with open_bytes(path) as stream:
        head = stream.read(_HEAD).removeprefix(b"\xef\xbb\xbf").lstrip()
    return _of_json(path, at) if head.startswith(b"{") else _of_text(path, at)


def _of_standard_input(at: int | None) -> State:
    """What stands on standard input; errors and the state name it as a person did."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "stdin"
        path.write_bytes(sys.stdin.buffer.read())
        try:
            return evolve(read_state(path, at), source=STANDARD_INPUT)
        except TraceError as error:
            line = Line(STANDARD_INPUT, error.line.number)
            raise TraceError(line, error.expected, error.do, error.field) from None
        except ManifestError as error:
            raise ManifestError(str(error).replace(str(path), STANDARD_INPUT)) from None


def _of_json(path: Path, at: int | None) -> State:
    values = json_values(path)
    place, first = next(values)
    form = format_of(first)
    if form is None:
        return _of_text(path, at) if is_scenario(_text(path)) else _of_lists(place, first, path, at)
    given = [(place, first), *values] if form == "watch" and "kind" in first else []
    bare = sum(1 for _, value in given if "items" not in value)
    if not given or (bare and len(given) > 1):  # objects printed one after another: a watch
        return _of_history(read_history(path), at)
    return _of_dump(path, [obj for where, value in given for obj in _objects(where, value)], at)


def _of_lists(place: Line, value: Json, path: Path, at: int | None) -> State:
    """A recording's `final.json` or checkpoint: lists of objects by resource."""
    if not any(isinstance(part, list) for part in value.values()):
        raise TraceError(place, f"{_EXPECTED}, found another kind of JSON", _DO)
    lists = {name: part for name, part in value.items() if isinstance(part, list)}
    found = lists_by_resource(place, lists).values()
    return _of_dump(path, [obj for document in found for obj in _objects(place, document.json)], at)


def _of_text(path: Path, at: int | None) -> State:
    text = _text(path)
    if is_scenario(text):
        story = read_story(text, str(path), path.parent)
        return _of_play(play(story if at is None else story.ended_at(at)))
    manifests = read_manifests(text, str(path))
    if not manifests:
        raise TraceError(Line(str(path)), f"{_EXPECTED}, found no object", _DO)
    return _of_dump(path, [from_json(in_namespace(each.document)) for each in manifests], at)


def _text(path: Path) -> str:
    with open_bytes(path) as stream:
        raw = stream.read()
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"expected UTF-8 text, found byte 0x{raw[error.start]:02x}"
        raise TraceError(Line(str(path)), what, _DO) from None


def _objects(place: Line, value: Json) -> Iterator[Any]:
    """The objects of a dumped value: itself, or the items of a list. Raises TraceError."""
    items = value.get("items") if str(value.get("kind", "")).endswith("List") else [value]
    if not isinstance(items, list):
        raise TraceError(place, "expected a list of objects", "give what kubectl printed, unchanged", "items")
    kind = str(value["kind"]).removesuffix("List")
    known = KINDS.get(kind)
    head = {"apiVersion": known.api_version, "kind": kind} if known is not None else {}
    for number, item in enumerate(items):
        try:
            yield from_json(in_namespace({**head, **item}) if isinstance(item, dict) else item)
        except ObjectError as error:
            where = f"items[{number}]" if item is not value else ""
            raise TraceError(place, str(error), "give what kubectl printed, unchanged", where) from None


def _of_dump(path: Path, objects: Iterable[Any], at: int | None) -> State:
    if at is not None:
        raise TraceError(Line(str(path)), _NOT_AT, "leave the time out")
    return State(str(path), View.of(_of_known_version(path, obj) for obj in objects))


def _of_known_version(path: Path, obj: Any) -> Any:
    known = KINDS.get(obj.kind)
    typed = known is not None and known.type is not None
    if known is not None and typed and isinstance(obj, Unmodelled) and kind_named(obj.api_version, obj.kind) is None:
        what = f"{obj.kind} {obj.metadata.name} has the apiVersion {obj.api_version}, expected {known.api_version}"
        raise TraceError(Line(str(path)), what, "give what kubectl printed, unchanged", "apiVersion")
    return obj


def _of_history(recording: Recording, at: int | None) -> State:
    start = recording.start or 0
    if at is not None:
        before = tuple(write for write in recording.writes if write.time <= start + at)
        recording = evolve(recording, writes=before, end=start + at)
    last = recording.writes[-1].time if recording.writes else start
    try:
        objects = [document.typed for document in recording.last().values()]
    except ObjectError as error:
        raise TraceError(Line(recording.source), str(error), "give the history as it was recorded") from None
    now = recording.end if recording.end is not None else last
    return State(recording.source, View.of(objects, now), (*recording.problems, *recording.notes))


def _of_play(played: Play) -> State:
    engine = played.engine
    view = View(now=max(engine.now, START), snapshots=engine.store.snapshot)
    return State(played.story.name, view, tuple(str(miss) for miss in played.misses))
