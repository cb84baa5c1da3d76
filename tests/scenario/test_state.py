"""The state of a cluster from every source that a person may have."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.objects import to_json
from k8sfsm.scenario.loading import load_story
from k8sfsm.scenario.output import final_objects, write_story_trace
from k8sfsm.scenario.play import Play
from k8sfsm.scenario.state import State, read_state
from k8sfsm.trace.errors import TraceError

CHECKOUT = Path(__file__).resolve().parents[2]
STORY = CHECKOUT / "specs" / "scenarios" / "hello.yaml"
RECORDING = CHECKOUT / "examples" / "recordings" / "03-rolling-default"
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "x", "resourceVersion": "5"}}


def names(state: State, kind: str) -> list[str]:
    return [f"{obj.metadata.namespace}/{obj.metadata.name}" for obj in state.view.list(kind)]


@pytest.fixture
def played() -> Play:
    return Play.of(load_story(STORY))


def test_a_scenario_is_played(played: Play) -> None:
    state = read_state(STORY)
    engine = played.run().engine
    assert state.view.list("Pod") == tuple(obj for obj in final_objects(engine.store) if obj.kind == "Pod")
    assert state.view.now == engine.now
    assert state.view.list("Pod")
    assert not state.notes
    assert not read_state(STORY, at=0).view.list("Pod")[0].status.pod_ip


def test_a_story_at_a_moment_has_not_seen_what_is_done_later() -> None:
    canary = STORY.parent / "canary.yaml"
    for seconds, stable, new in ((59, 3, 1), (119, 1, 3), (179, 1, 0)):
        pods = read_state(canary, at=seconds * 10**9).view.list("Pod")
        tracks = [pod.metadata.labels["track"] for pod in pods]
        assert (tracks.count("stable"), tracks.count("canary")) == (stable, new)


def test_a_recording_ends_as_it_says() -> None:
    state = read_state(RECORDING)
    final = json.loads(_text(RECORDING / "final.json.zst"))
    assert sorted(names(state, "Pod")) == sorted(_name(pod) for pod in final["pods"])
    assert sorted(names(state, "ReplicaSet")) == sorted(_name(rs) for rs in final["replicasets"])
    assert names(read_state(RECORDING, at=0), "Pod") == []
    assert read_state(RECORDING, at=0).view.now < state.view.now


def test_lists_by_resource_are_a_dump(tmp_path: Path) -> None:
    state, again = read_state(RECORDING / "final.json.zst"), read_state(RECORDING)
    assert set(names(state, "Pod")) == set(names(again, "Pod"))
    checkpoint = tmp_path / "checkpoint.json"
    item = {name: value for name, value in POD.items() if name == "metadata"}
    checkpoint.write_text(json.dumps({"ts": "2026-01-01T00:00:00Z", "pods": [item]}), "utf-8")
    assert names(read_state(checkpoint), "Pod") == ["x/a"]


def test_our_own_trace(tmp_path: Path, played: Play) -> None:
    initial = final_objects(played.engine.store)
    played.run()
    path = tmp_path / "trace.jsonl.gz"
    stream = io.StringIO()
    write_story_trace(stream, played, initial)
    path.write_bytes(gzip.compress(stream.getvalue().encode()))
    assert [to_json(obj) for obj in read_state(path).view.list("Pod")] == [
        to_json(obj) for obj in read_state(STORY).view.list("Pod")
    ]


@pytest.mark.parametrize(
    "values",
    [
        [POD],
        [{"apiVersion": "v1", "kind": "List", "items": [POD]}],
        [{"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a", "namespace": "x"}}]}],
        [{"kind": "List", "items": []}, {"kind": "List", "items": [POD]}],
        [{"type": "ADDED", "object": POD}],
    ],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_dumps_and_watches(tmp_path: Path, values: list[Any], indent: int | None) -> None:
    path = tmp_path / "dump"
    path.write_text("\n".join(json.dumps(value, indent=indent) for value in values), "utf-8")
    assert names(read_state(path), "Pod") == ["x/a"]


def test_objects_one_after_another_are_a_watch(tmp_path: Path) -> None:
    path = tmp_path / "watch"
    later = {**POD, "metadata": {"name": "b", "namespace": "x", "resourceVersion": "6"}}
    gone = {**POD, "metadata": {"name": "a", "namespace": "x", "resourceVersion": "7"}}
    path.write_text("\n".join(json.dumps(value) for value in (POD, later, gone)), "utf-8")
    assert names(read_state(path), "Pod") == ["x/b"]


def test_yaml_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        b"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\napiVersion: v1\nkind: Node\nmetadata: {name: node-1}\n"
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))
    state = read_state("-")
    assert names(state, "Pod") == ["default/a"]
    assert names(state, "Node") == ["/node-1"]
    assert state.source == "-"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{}", "expected a scenario, a history"),
        (b'{"a": 1}', "found another kind of JSON"),
        (b"", "found no object"),
        (b"# nothing\n", "found no object"),
        (b"\xff", "found byte 0xff"),
        (b'{"kind": "List", "items": 3}', "items: expected a list of objects"),
        (b'{"kind": "PodList", "items": [3]}', "items[0]: "),
        (b'{"kind": "PodList", "items": [{"metadata": {"name": 3}}]}', "items[0]: metadata.name"),
        (b'{"kind": "Pod", "metadata": {"name": "a"}, "spec": 3}', ": spec"),
        (b'{"pods": [3]}', "pods: expected objects"),
    ],
)
def test_what_is_no_state(tmp_path: Path, content: bytes, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "input"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=r"^\S*input") as error:
        read_state(path)
    assert said in str(error.value)
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    with pytest.raises(TraceError) as error:
        read_state("-")
    assert str(error.value).startswith("-:")


def test_a_dump_has_one_moment(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text(json.dumps(POD), "utf-8")
    with pytest.raises(TraceError, match="one moment"):
        read_state(path, at=5)


def _name(item: dict[str, Any]) -> str:
    return f"{item['metadata'].get('namespace', '')}/{item['metadata']['name']}"


def _text(path: Path) -> str:
    from k8sfsm.trace.lines import open_bytes

    with open_bytes(path) as stream:
        return stream.read().decode()
