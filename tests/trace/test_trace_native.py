"""Our own trace format: byte-deterministic, read back whole, described by its schema; and its export as ITF."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from attrs import evolve

from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.trace.history import Document, EnvironmentFact, Move, RecordedWrite, Recording
from k8sfsm.trace.itf import VARIABLES, number, to_itf, write_itf
from k8sfsm.trace.native import TraceWriter, plain, write_trace
from k8sfsm.trace.reading import detect, read_history

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "specs" / "schema" / "trace.schema.json").read_text("utf-8"))
NOWHERE = Line("")


def text_of(recording: Recording) -> str:
    stream = io.StringIO()
    write_trace(recording, stream)
    return stream.getvalue()


def read_back(recording: Recording, path: Path) -> Recording:
    path.write_text(text_of(recording), "utf-8")
    assert detect(path) == "k8sfsm"
    return read_history(path)


def placeless(recording: Recording) -> dict[str, Any]:
    return {
        "initial": recording.initial,
        "writes": [evolve(write, line=NOWHERE, seen=None) for write in recording.writes],
        "moves": [evolve(move, line=NOWHERE) for move in recording.moves],
        "environment": [evolve(fact, line=NOWHERE) for fact in recording.environment],
        "times": (recording.start, recording.end),
        "namespaces": recording.namespaces,
        "notes": recording.notes,
    }


@pytest.mark.parametrize("name", ["01-deploy-create", "02-scale", "03-rolling-default"])
def test_recordings_are_read_back_whole(recordings: dict[str, Recording], tmp_path: Path, name: str) -> None:
    again = read_back(recordings[name], tmp_path / "t.jsonl")
    assert placeless(again) == placeless(recordings[name])
    assert again.final == {key: document for key, document in again.last().items() if key[0] != "Event"}
    assert text_of(again) == text_of(recordings[name]) == (tmp_path / "t.jsonl").read_text("utf-8")


def test_audit_logs_are_read_back_whole(audit: Recording, tmp_path: Path) -> None:
    again = read_back(audit, tmp_path / "t.jsonl")
    assert placeless(again) == placeless(audit) and again.final is None


def test_every_line_keeps_the_schema(recordings: dict[str, Recording], audit: Recording) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    validator = jsonschema.Draft202012Validator(SCHEMA)
    for recording in (recordings["02-scale"], audit, made()):
        for line in text_of(recording).splitlines():
            validator.validate(json.loads(line))


POD = {
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "s", "uid": "u", "resourceVersion": "3", "labels": {"é": "ü"}},
}
BOUND = {**POD, "metadata": {**POD["metadata"], "resourceVersion": "4"}, "spec": {"nodeName": "n", "x": None}}  # type: ignore[dict-item]


def made() -> Recording:
    """A history as our engine makes one: rules, facts, states, and steps that send nothing."""
    create = RecordedWrite(
        line=NOWHERE, request=1, time=10**18 + 1, actor="user", verb="create", key=("Pod", "s", "p"), code=201,
        body=POD, new=Document(POD), type="ADDED", revision=3, states={"lifecycle": ("Absent", "Unscheduled")},
    )  # fmt: skip
    bind = RecordedWrite(
        line=NOWHERE, request=2, time=10**18 + 2, actor="kube-scheduler", verb="bind", key=("Pod", "s", "p"), code=201,
        old=create.new, new=Document(BOUND), type="MODIFIED", revision=4, rule="Pod/bind/fits",
        facts={"nodes": 2, "ok": True}, states={"lifecycle": ("Unscheduled", "Scheduled")}, cause=3,
    )  # fmt: skip
    refused = evolve(
        bind, request=3, code=409, reason="Conflict", new=None, old=bind.new, type=None, revision=None, states={}
    )
    move = Move(
        line=NOWHERE, time=10**18, actor="replicaset-controller", action="decide", rule="R/t/r", facts={"n": 1}, after=1
    )
    fact = EnvironmentFact(line=NOWHERE, time=10**18, event="probe", node="n", pod=("Pod", "s", "p"), ok=False, code=0)
    about = {"kubernetes": "v1.36", "seed": 7, "scenario": "tiny"}
    return Recording(
        source="t", format="k8sfsm", writes=(create, bind, refused), moves=(move,), environment=(fact,), about=about
    )


def test_what_only_our_engine_knows_is_read_back(tmp_path: Path) -> None:
    again = read_back(made(), tmp_path / "t.jsonl")
    assert placeless(again) == placeless(made())
    assert again.about["seed"] == 7 and again.about["scenario"] == "tiny"


def test_the_bytes(tmp_path: Path) -> None:
    header, first, move, second, third, fact, end = text_of(made()).splitlines()
    assert header == (
        '{"format":"k8sfsm-trace","kubernetes":"v1.36","namespaces":[],"notes":[],"scenario":"tiny","seed":7,"version":1}'
    )
    assert first.startswith('{"action":"write","actor":"user","code":201,"key":["Pod","s","p"],"object":{"kind":"Pod"')
    assert '"labels":{"é":"ü"}' in first and '"time":"2001-09-09T01:46:40.000000001Z"' in first
    assert json.loads(move)["action"] == "decide"
    assert '"object":' in second  # a null cannot be told by a merge patch, so the object is written whole
    assert json.loads(third)["code"] == 409 and "object" not in third and "patch" not in third
    assert json.loads(fact)["ok"] is False and json.loads(fact)["code"] == 0
    assert end == '{"end":{"steps":4}}'


def test_changes_are_patches(recordings: dict[str, Recording]) -> None:
    lines = [json.loads(line) for line in text_of(recordings["03-rolling-default"]).splitlines()]
    changed = [line for line in lines if line.get("type") in ("MODIFIED", "DELETED")]
    assert sum("patch" in line for line in changed) > 0.9 * len(changed)


@pytest.mark.parametrize("value", [1.0, {"a": [float("nan")]}, (2.5,)])
def test_no_floating_point(value: Any) -> None:
    with pytest.raises(ValueError, match="a trace holds no floating point"):
        plain(value)
    with pytest.raises(ValueError, match="no floating point"):
        TraceWriter(io.StringIO()).header(kubernetes="v1.36", more=value)


def test_plain_values() -> None:
    key = ("Pod", "s", "p")
    assert plain({"key": key, 3: Line("f", 1)}) == {"key": ["Pod", "s", "p"], "3": {"file": "f", "number": 1}}


def damaged(number: int, **fields: Any) -> list[Any]:
    values = [json.loads(line) for line in text_of(made()).splitlines()]
    for name, value in fields.items():
        if value is None:
            values[number].pop(name, None)
        else:
            values[number][name] = value
    return values


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (damaged(0, version=2), ":1: version: expected a k8sfsm trace of version 1, found version a number 2"),
        (damaged(0)[:-1], ":6: the trace has no end line: it is cut off"),
        (damaged(0)[:2] + damaged(0)[3:], ":3: step: expected step 2, found 3"),
        (damaged(6, end={"steps": 9}), ":7: end.steps: expected 4 steps, found 9"),
        ([*damaged(0), {"step": 5}], ":8: expected nothing after the end line"),
        (damaged(1, key=["Pod"]), ":2: key: expected [kind, namespace, name]"),
        (damaged(1, time=None), ":2: time: expected an RFC 3339 time, found nothing"),
        (damaged(1, type="NEW"), ":2: type: expected a watch type, found a string 'NEW'"),
        (damaged(1, object=None, patch={}), ":2: patch: a patch of an object that does not exist"),
        (damaged(1, request={"id": 1, "verb": "look"}), ":2: request.verb: expected a verb, found a string 'look'"),
        (damaged(1, code="ok"), ":2: code: expected a whole number, found a string 'ok'"),
        (damaged(5, colour="red"), ":6: colour: unknown field a string 'colour'"),
        ([*damaged(0)[:1], {"what": 1}], ":2: expected one of initial, step, fact, end, found what"),
    ],
)
def test_damaged_traces_are_told(lines_file: Callable[..., Path], values: list[Any], message: str) -> None:
    path = lines_file(*values)
    with pytest.raises(TraceError) as caught:
        read_history(path)
    assert str(caught.value).startswith(f"{path}{message}") and "\n" not in str(caught.value)


def test_itf(recordings: dict[str, Recording]) -> None:
    recording = recordings["03-rolling-default"]
    stream = io.StringIO()
    write_itf(recording, stream)
    document = json.loads(stream.getvalue())
    assert document == to_itf(recording)
    assert document["#meta"]["format"] == "ITF" and document["vars"] == list(VARIABLES)
    states = document["states"]
    assert len(states) == 1 + sum(1 for _ in recording.changes())
    for index, state in enumerate(states):
        assert state["#meta"] == {"index": index} and set(state) == {"#meta", *VARIABLES}
        names = [name for name, _ in state["objects"]["#map"]]
        assert names == sorted(set(names))
    assert states[0]["time"] == {"#bigint": str(recording.start)} and states[1]["revision"] == 922
    last = dict(states[-1]["objects"]["#map"])
    assert last["Deployment/03-rolling-default/web"] == {"deletion": "Live", "phase": "Present"}
    assert last["Namespace/03-rolling-default"]["phase"] == "Active"
    assert sum(name.startswith("Pod/") for name in last) == 4


def test_itf_shows_the_machines_states() -> None:
    states = to_itf(made(), lambda document: {"lifecycle": "Known"})["states"]
    assert [dict(state["objects"]["#map"]) for state in states] == [
        {}, {"Pod/s/p": {"lifecycle": "Unscheduled"}}, {"Pod/s/p": {"lifecycle": "Scheduled"}},
    ]  # fmt: skip
    assert [(state["actor"], state["action"], state["rule"]) for state in states[1:]] == [
        ("user", "create", ""), ("kube-scheduler", "bind", "Pod/bind/fits"),
    ]  # fmt: skip


def test_large_numbers_in_itf() -> None:
    assert number(2**53 - 1) == 2**53 - 1
    assert number(2**53) == {"#bigint": "9007199254740992"} and number(-(2**53)) == {"#bigint": "-9007199254740992"}


def test_the_documented_example_is_a_trace(tmp_path: Path) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / "trace-format.md").read_text("utf-8")
    example = text.partition("```json\n")[2].partition("```")[0]
    path = tmp_path / "example.jsonl"
    path.write_text(example, "utf-8")
    found = read_history(path)
    assert [write.rule for write in found.writes] == ["", "Pod/schedule/bind"]
    assert text_of(found).splitlines()[1:] == example.splitlines()[1:]


def test_bytes_do_not_depend_on_the_hash_seed(recordings: dict[str, Recording]) -> None:
    program = (
        "import hashlib, io, sys; from k8sfsm.trace.reading import read_history;"
        "from k8sfsm.trace.native import write_trace;"
        "s = io.StringIO(); r = read_history(sys.argv[1]); write_trace(r, s);"
        "print(hashlib.sha256(s.getvalue().encode()).hexdigest())"
    )
    source = recordings["03-rolling-default"].source
    found = {
        subprocess.run(
            [sys.executable, "-c", program, source],
            env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("0", "12345")
    }  # fmt: skip
    assert found == {hashlib.sha256(text_of(recordings["03-rolling-default"]).encode()).hexdigest() + "\n"}
