"""Recording folders: what the recorder left out is put back, and every change finds its request."""

from __future__ import annotations

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from attrs import evolve

from k8sfsm.trace.environment import EVENTS
from k8sfsm.trace.errors import TraceError
from k8sfsm.trace.folder import member, read_recording
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lines import open_bytes
from k8sfsm.trace.reading import detect, read_history

# name -> writes, changes, initial objects, environment facts
FIGURES = {
    "01-deploy-create": (50, 49, 6, 12),
    "02-scale": (167, 162, 6, 38),
    "03-rolling-default": (243, 239, 6, 166),
}


@pytest.mark.parametrize("name", FIGURES)
def test_everything_is_read(recordings: dict[str, Recording], name: str) -> None:
    found = recordings[name]
    changes = list(found.changes())
    assert (len(found.writes), len(changes), len(found.initial), len(found.environment)) == FIGURES[name]
    assert found.format == "recording" and found.namespaces == (name,) and found.about["name"] == name
    assert not [write for write in found.writes if write.inferred]
    assert found.notes == () and found.problems == ()
    assert found.final is not None and len(found.final) >= 10


def test_specs_and_metadata_are_restored(recordings: dict[str, Recording]) -> None:
    for recording in recordings.values():
        for write in recording.changes():
            assert write.new is not None
            kind = write.key[0]
            assert write.new.json["metadata"]["creationTimestamp"]
            if kind in ("Pod", "ReplicaSet", "Deployment", "Node", "Namespace", "Service"):
                assert write.new.json["spec"]
            if kind == "Pod":
                assert write.new.json["metadata"]["ownerReferences"]


def test_actors(recordings: dict[str, Recording]) -> None:
    actors = Counter(write.actor for write in recordings["03-rolling-default"].writes)
    assert set(actors) == {
        "user", "kubelet", "kube-scheduler", "deployment-controller", "replicaset-controller",
        "service-account-controller",
    }  # fmt: skip
    for write in recordings["03-rolling-default"].writes:
        assert write.account == "alice" if write.actor == "user" else write.account.startswith("system:")
        assert bool(write.node) == (write.actor == "kubelet")


def user_writes(recording: Recording) -> list[tuple[str, str, str, str]]:
    return [(w.verb, w.subresource, w.key[0], w.key[2]) for w in recording.writes if w.actor == "user"]


def test_the_users_requests(recordings: dict[str, Recording]) -> None:
    assert user_writes(recordings["03-rolling-default"]) == [
        ("create", "", "Namespace", "03-rolling-default"),
        ("create", "", "Deployment", "web"),
        ("patch", "", "Deployment", "web"),
    ]
    assert ("patch", "scale", "Deployment", "web") in user_writes(recordings["02-scale"])
    patch = next(w for w in recordings["03-rolling-default"].writes if w.actor == "user" and w.verb == "patch")
    assert patch.body["spec"]["template"]["spec"]["containers"][0]["image"] == "sim/ok-ready3s:2"
    assert patch.query["fieldManager"] == "kubectl-set" and not patch.body_trimmed
    assert patch.received is not None and patch.received <= patch.time <= (patch.completed or 0)


def pod_story(recording: Recording, ending: str) -> list[RecordedWrite]:
    return [w for w in recording.writes if w.key[0] == "Pod" and w.key[2].endswith(ending)]


def test_a_pods_story(recordings: dict[str, Recording]) -> None:
    story = pod_story(recordings["03-rolling-default"], "swfmv")
    assert [(w.type, w.verb, w.actor, w.revision) for w in story] == [
        ("ADDED", "create", "replicaset-controller", 930),
        ("MODIFIED", "bind", "kube-scheduler", 931),
        ("MODIFIED", "patch", "kubelet", 941),
        ("MODIFIED", "patch", "kubelet", 955),
        ("MODIFIED", "patch", "kubelet", 975),
        ("MODIFIED", "patch", "kubelet", 1008),
        ("MODIFIED", "delete", "replicaset-controller", 1033),
        ("MODIFIED", "patch", "kubelet", 1045),
        ("MODIFIED", "patch", "kubelet", 1051),
        ("MODIFIED", "delete", "kubelet", 1060),
        ("DELETED", "delete", "kubelet", 1061),
    ]
    assert story[-1].request == story[-2].request and story[-1].line == story[-2].line
    assert [w.request for w in story] == sorted(w.request for w in story)
    for before, after in pairwise(story):
        assert after.old is before.new


def test_times_never_decrease_along_changes(recordings: dict[str, Recording]) -> None:
    for recording in recordings.values():
        changes = list(recording.changes())
        assert [w.time for w in changes] == sorted(w.time for w in changes)
        assert [w.revision for w in changes] == sorted(w.revision or 0 for w in changes)
        assert all(w.time <= (w.completed or w.time) for w in changes)


def test_refused_writes_stand_after_what_beat_them(recordings: dict[str, Recording]) -> None:
    refused = 0
    for recording in recordings.values():
        for write in recording.writes:
            if write.code != 409:
                continue
            refused += 1
            assert write.type is None and write.new is None and write.reason == "Conflict"
            assert write.old is not None and (write.old.revision or 0) > (write.precondition or 0) > 0
    assert refused == 10


def test_the_end_is_the_last_of_the_changes(recordings: dict[str, Recording]) -> None:
    found = recordings["02-scale"]
    assert found.final is not None
    last = {key: document for key, document in found.last().items() if key[0] != "Event"}
    assert last == found.final


def test_typed_objects(recordings: dict[str, Recording]) -> None:
    pod = pod_story(recordings["03-rolling-default"], "swfmv")[-1].new
    assert pod is not None and pod.typed is pod.typed
    assert pod.typed.metadata.name == pod.key[2] and pod.typed.status.phase == "Succeeded"
    assert pod == Document(json.loads(json.dumps(pod.json))) and hash(pod) == hash(Document(pod.json))


def test_environment(recordings: dict[str, Recording]) -> None:
    facts = recordings["03-rolling-default"].environment
    assert Counter(fact.event for fact in facts)["sandbox-run"] == 8
    assert {fact.event for fact in facts} <= set(EVENTS)
    for fact in facts:
        assert fact.source == "runtime" and fact.pod is not None and fact.pod[0] == "Pod"
        if fact.event == "container-start":
            assert fact.container_id.startswith("containerd://") and len(fact.container_id) == 77
            assert fact.image_reported == f"docker.io/{fact.image}" and fact.image_id.startswith("docker.io/sim/ok")


def unpack(source: Path, target: Path) -> Path:
    target.mkdir()
    for name in ("watch.jsonl", "audit.jsonl", "env.jsonl", "final.json", "scenario.yaml"):
        path = member(source, name)
        assert path is not None
        with open_bytes(path) as stream:
            (target / name).write_bytes(stream.read())
    return target


@pytest.fixture
def plain(recordings: dict[str, Recording], tmp_path: Path) -> Path:
    """A recording with its members not compressed."""
    return unpack(Path(recordings["01-deploy-create"].source), tmp_path / "rec")


def test_members_may_be_plain(recordings: dict[str, Recording], plain: Path) -> None:
    assert detect(plain) == "recording"
    again, first = read_recording(plain), recordings["01-deploy-create"]
    assert [evolve(w, line=f.line, seen=f.seen) for w, f in zip(again.writes, first.writes, strict=True)] == list(
        first.writes
    )


def test_without_audit_the_actors_are_inferred(recordings: dict[str, Recording], plain: Path) -> None:
    (plain / "audit.jsonl").unlink()
    found, first = read_recording(plain), recordings["01-deploy-create"]
    changes = list(first.changes())
    assert all(write.inferred and write.line == write.seen for write in found.writes)
    assert [(w.actor, w.verb, w.subresource, w.node) for w in found.writes] == [
        (w.actor, w.verb, w.subresource, w.node) for w in changes
    ]
    assert "who wrote is inferred (there is no audit.jsonl)" in found.notes


def test_without_env_the_facts_are_read_off_statuses(recordings: dict[str, Recording], plain: Path) -> None:
    (plain / "env.jsonl").unlink()
    facts, first = read_recording(plain).environment, recordings["01-deploy-create"].environment
    assert Counter(f.event for f in facts) == Counter(f.event for f in first)


def test_a_namespaces_part(recordings: dict[str, Recording]) -> None:
    source = recordings["01-deploy-create"].source
    part = read_history(source, namespace="01-deploy-create")
    assert {document.key[0] for document in part.initial} == {"Node", "PriorityClass"}
    assert len(part.writes) >= 40 and part.namespaces == ("01-deploy-create",)
    assert not read_history(source, namespace="none").writes


def replace(path: Path, number: int, **fields: object) -> None:
    lines = path.read_text().splitlines()
    value = json.loads(lines[number - 1])
    for name, found in fields.items():
        if found is None:
            value.pop(name)
        else:
            value[name] = found
    lines[number - 1] = json.dumps(value)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        (
            "watch.jsonl",
            {"type": "GONE"},
            "watch.jsonl:7: type: expected ADDED, MODIFIED, DELETED, found a string 'GONE'",
        ),
        ("watch.jsonl", {"type": None}, "watch.jsonl:7: type: expected a string, found nothing"),
        ("watch.jsonl", {"ts": None}, "watch.jsonl:7: ts: expected an RFC 3339 time"),
        ("watch.jsonl", {"ts": 3}, "watch.jsonl:7: ts: expected a string, found a number 3"),
        ("watch.jsonl", {"object": []}, "watch.jsonl:7: object: expected an object, found a list"),
        ("watch.jsonl", {"object": {"kind": "Pod"}}, "watch.jsonl:7: metadata: expected an object, found nothing"),
        ("audit.jsonl", {"verb": None}, "audit.jsonl:7: verb: expected a string, found nothing"),
        ("audit.jsonl", {"user": {"username": 1}}, "audit.jsonl:7: user.username: expected a string, found a number 1"),
        (
            "audit.jsonl",
            {"stageTimestamp": None},
            "audit.jsonl:7: stageTimestamp: expected an RFC 3339 time, found null",
        ),
        (
            "audit.jsonl",
            {"stageTimestamp": "noon"},
            "audit.jsonl:7: stageTimestamp: expected an RFC 3339 time, found a string",
        ),
        (
            "audit.jsonl",
            {"responseStatus": {"code": "x"}},
            "audit.jsonl:7: code: expected a whole number, found a string 'x'",
        ),
        ("env.jsonl", {"event": "party"}, "env.jsonl:7: event: expected one of sandbox-run"),
        ("env.jsonl", {"ts": None}, "env.jsonl:7: ts: expected an RFC 3339 time"),
        ("env.jsonl", {"ok": 3}, "env.jsonl:7: ok: expected a boolean, found a number 3"),
    ],
)
def test_damaged_members_are_told(plain: Path, name: str, fields: dict[str, object], message: str) -> None:
    replace(plain / name, 7, **fields)
    with pytest.raises(TraceError) as caught:
        read_recording(plain)
    assert message in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sameSpec": True}, "sameSpec: says that spec is as on the object's line before, and there is none"),
        ({"sameMeta": ["labels"]}, "sameMeta: says that metadata.labels is as on the object's line before"),
    ],
)
def test_references_to_lost_lines_are_problems(plain: Path, fields: dict[str, object], message: str) -> None:
    replace(plain / "watch.jsonl", 7, **fields)
    [problem] = read_recording(plain).problems
    assert message in problem and "watch.jsonl:7: Namespace 01-deploy-create: " in problem


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("final.json", "{", "final.json: not JSON"),
        ("final.json", "[]", "final.json: expected an object of lists, found a list"),
        ("final.json", '{"pods": [1]}', "final.json: pods: expected objects, found a number 1"),
        ("scenario.yaml", "a: [", "scenario.yaml:1: not YAML"),
        ("scenario.yaml", "- 1", "scenario.yaml: expected a mapping, found a list"),
    ],
)
def test_damaged_side_files_are_told(plain: Path, name: str, text: str, message: str) -> None:
    (plain / name).write_text(text)
    with pytest.raises(TraceError) as caught:
        read_recording(plain)
    assert message in str(caught.value) and "\n" not in str(caught.value)
