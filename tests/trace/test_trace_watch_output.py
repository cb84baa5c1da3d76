"""What kubectl prints is read as the same history, whatever its layout; only authors and times are inferred."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.trace.errors import TraceError
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.reading import detect, read_history

NAMES = ("01-deploy-create", "02-scale", "03-rolling-default")
SECOND = 10**9


def printed(recording: Recording, form: str) -> list[str]:
    """What kubectl would have printed: "events", "pretty" events or "bare" objects, each with managedFields."""
    values: list[Any] = [("ADDED", document.json) for document in recording.initial]
    values += [(write.type, write.new.json) for write in recording.changes() if write.new is not None]
    result = []
    for kind, known in values:
        shown = {**known, "metadata": {**known["metadata"], "managedFields": [{"manager": "m"}]}}
        value = shown if form == "bare" else {"type": kind, "object": shown}
        result.append(json.dumps(value, indent=4 if form != "events" else None))
    return result


def essence(writes: list[RecordedWrite]) -> list[Any]:
    """What can be inferred: that a person's patch went through the scale subresource cannot."""
    parts = [(w.subresource if w.subresource != "scale" else "", w) for w in writes]
    return [(w.type, w.key, w.revision, w.actor, w.node, w.verb, sub, w.new) for sub, w in parts]


@pytest.mark.parametrize("form", ["events", "pretty", "bare"])
@pytest.mark.parametrize("name", NAMES)
def test_the_history_is_the_same(
    recordings: dict[str, Recording], lines_file: Callable[..., Path], name: str, form: str
) -> None:
    recording = recordings[name]
    path = lines_file(*printed(recording, form))
    assert detect(path) == "watch"
    found = read_history(path)
    changes = list(recording.changes())
    assert list(found.initial) == list(recording.initial)
    assert essence(list(found.writes)) == essence(changes)
    assert all(write.inferred and not write.account and write.completed is None for write in found.writes)
    for mine, real in zip(found.writes, changes, strict=True):
        assert -3 * SECOND < mine.time - real.time < SECOND // 10
    assert len(found.environment) > len(recording.environment) // 8


def test_what_is_inferred_is_said(recordings: dict[str, Recording], lines_file: Callable[..., Path]) -> None:
    found = read_history(lines_file(*printed(recordings["01-deploy-create"], "bare")))
    assert [note.partition(":")[0] for note in found.notes] == [
        "who wrote is inferred from what changed",
        "environment facts are read off the kubelets' status writes and Events",
        "times are the latest moment that objects name, to the second",
        "types are inferred",
    ]


def test_several_watches_are_one_history(recordings: dict[str, Recording], lines_file: Callable[..., Path]) -> None:
    recording = recordings["02-scale"]
    values = printed(recording, "events")
    pods = [line for line in values if json.loads(line)["object"]["kind"] == "Pod"]
    rest = [line for line in values if json.loads(line)["object"]["kind"] != "Pod"]
    found = read_history(lines_file(*rest, name="rest"), lines_file(*pods, name="pods"))
    assert [w.revision for w in found.writes] == [w.revision for w in recording.changes()]


def obj(revision: int, kind: str = "ConfigMap", **more: Any) -> dict[str, Any]:
    meta = {"name": "x", "namespace": "s", "uid": "u", "resourceVersion": str(revision), **more.pop("metadata", {})}
    return {"kind": kind, "apiVersion": "v1", "metadata": meta, **more}


def test_recorded_times_are_used(lines_file: Callable[..., Path]) -> None:
    stamp = "2026-11-23T00:00:01.5Z"
    found = read_history(lines_file({"ts": stamp, "type": "MODIFIED", "object": obj(5)}))
    assert found.writes[0].time % SECOND == SECOND // 2
    assert not any(note.startswith("times are") for note in found.notes)


def test_lists_bookmarks_and_repetitions(lines_file: Callable[..., Path]) -> None:
    listed = {"kind": "List", "apiVersion": "v1", "items": [obj(3), obj(4, "Secret", metadata={"uid": "v"})]}
    path = lines_file(
        listed,
        {"type": "BOOKMARK", "object": {"kind": "ConfigMap", "metadata": {"resourceVersion": "9"}}},
        {"type": "ADDED", "object": obj(3)},
        {"type": "MODIFIED", "object": obj(6, data={"a": "b"})},
        {"type": "DELETED", "object": obj(6, data={"a": "b"})},
    )
    found = read_history(path, format="watch")
    assert [document.key[0] for document in found.initial] == ["ConfigMap", "Secret"]
    assert [(w.type, w.revision) for w in found.writes] == [("MODIFIED", 6), ("DELETED", 6)]


def test_a_line_that_changes_nothing_is_the_deletion(lines_file: Callable[..., Path]) -> None:
    path = lines_file(obj(3), obj(5, data={"a": "b"}), obj(7, data={"a": "b"}), obj(9, metadata={"uid": "v"}))
    found = read_history(path)
    assert [w.type for w in found.writes] == ["MODIFIED", "DELETED", "ADDED"]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"type": "MOVED", "object": obj(3)}, ":2: type: expected ADDED, MODIFIED, DELETED, found a string 'MOVED'"),
        ({"type": "ERROR", "object": {"message": "too old"}}, ":2: type: the watch ended with an error (too old)"),
        ({"type": "ADDED", "object": 1}, ":2: object: expected an object, found a number 1"),
        ({"type": "ADDED", "object": {"kind": "Pod"}}, ":2: metadata: expected an object, found nothing"),
        ({"type": "ADDED", "object": {"kind": "Pod", "metadata": {}}}, ":2: metadata.name: expected a string"),
        ({"kind": "Pod", "metadata": {"name": "x"}}, ":2: metadata.resourceVersion: expected a string, found nothing"),
        (
            {"kind": "Pod", "metadata": {"name": "x", "resourceVersion": "v"}},
            ":2: metadata.resourceVersion: expected a number",
        ),
    ],
)
def test_damaged_lines_are_told(lines_file: Callable[..., Path], value: Any, message: str) -> None:
    path = lines_file({"type": "ADDED", "object": obj(1)}, value)
    with pytest.raises(TraceError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path}{message}") and "\n" not in str(caught.value)
