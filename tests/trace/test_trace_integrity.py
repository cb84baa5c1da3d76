"""The laws hold of the shipped histories, and each is broken by the damage that it is there for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.integrity import check_integrity
from k8sfsm.trace.native import write_trace
from k8sfsm.trace.reading import read_history

NAMES = ("01-deploy-create", "02-scale", "03-rolling-default")


def rules(recording: Recording) -> list[str]:
    return [finding.rule.removeprefix("trace/") for finding in check_integrity(recording)]


@pytest.mark.parametrize("name", NAMES)
def test_recordings_are_sound(recordings: dict[str, Recording], name: str, tmp_path: Path) -> None:
    assert rules(recordings[name]) == []
    path = tmp_path / "t.jsonl"
    with path.open("w", encoding="utf-8") as stream:
        write_trace(recordings[name], stream)
    assert rules(read_history(path)) == []


def test_audit_logs_are_sound(audit: Recording) -> None:
    assert rules(audit) == []


def edited(recording: Recording, index: int, edit: Callable[[dict[str, Any]], None]) -> Recording:
    """The recording with the object after write `index` changed."""
    write = recording.writes[index]
    assert write.new is not None
    obj = json.loads(json.dumps(write.new.json))
    edit(obj)
    return with_write(recording, index, new=Document(obj))


def with_write(recording: Recording, index: int, **fields: Any) -> Recording:
    writes = list(recording.writes)
    writes[index] = evolve(writes[index], **fields)
    return evolve(recording, writes=tuple(writes), final=None)


def without(recording: Recording, index: int) -> Recording:
    return evolve(recording, writes=recording.writes[:index] + recording.writes[index + 1 :], final=None)


def find(recording: Recording, wanted: Callable[[RecordedWrite], bool]) -> int:
    return next(index for index, write in enumerate(recording.writes) if wanted(write))


def meta(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def edit(obj: dict[str, Any]) -> None:
        obj["metadata"][name] = value

    return edit


@pytest.fixture
def whole(recordings: dict[str, Recording]) -> Recording:
    return recordings["03-rolling-default"]


def on(kind: str, change: str, **more: Any) -> Callable[[RecordedWrite], bool]:
    def wanted(write: RecordedWrite) -> bool:
        same = all(getattr(write, name) == value for name, value in more.items())
        return write.key[0] == kind and write.type == change and same

    return wanted


def test_begins_added(whole: Recording) -> None:
    assert rules(without(whole, find(whole, on("Pod", "ADDED"))))[0] == "begins-added"
    event = without(whole, find(whole, lambda w: w.key[0] == "Event" and w.actor == "kubelet"))
    assert set(rules(event)) <= {"request-has-change"}


def test_revisions_increase(whole: Recording) -> None:
    first = find(whole, on("Pod", "MODIFIED"))
    after = find(whole, lambda w: w.type is not None and w.time > whole.writes[first].time)
    assert "revisions-increase" in rules(with_write(whole, after, revision=whole.writes[first].revision, answered=None))


def test_change_shown(whole: Recording) -> None:
    index = find(whole, on("ReplicaSet", "MODIFIED", subresource="status"))
    write = whole.writes[index]
    assert write.old is not None and write.new is not None
    same = Document({**write.old.json, "metadata": write.new.json["metadata"]})
    assert "change-shown" in rules(with_write(whole, index, new=same))
    assert "change-shown" not in rules(with_write(whole, index, new=same, actor="user"))


@pytest.mark.parametrize(("kind", "fields"), [
    ("ReplicaSet", {"subresource": "status"}), ("ReplicaSet", {"verb": "update", "subresource": ""}),
    ("Deployment", {"verb": "patch"}), ("Pod", {"verb": "bind"}), ("Pod", {"verb": "delete"}),
])  # fmt: skip
def test_generation_counts(whole: Recording, kind: str, fields: dict[str, Any]) -> None:
    index = find(whole, on(kind, "MODIFIED", **fields))
    new = whole.writes[index].new
    assert new is not None
    for wrong in (new.json["metadata"]["generation"] + 1, new.json["metadata"]["generation"] - 1, None):
        assert "generation-counts" in rules(edited(whole, index, meta("generation", wrong)))


def test_generation_counts_annotations_of_deployments(whole: Recording) -> None:
    index = find(whole, on("Deployment", "MODIFIED", subresource="status"))

    def annotate(obj: dict[str, Any]) -> None:
        obj["metadata"]["annotations"] = {"a": "b"}

    assert "generation-counts" not in rules(without_later(edited(whole, index, annotate), index))
    assert "generation-counts" in rules(with_write(edited(whole, index, annotate), index, subresource=""))


def without_later(recording: Recording, index: int) -> Recording:
    return evolve(recording, writes=recording.writes[: index + 1])


def test_uid_constant(whole: Recording) -> None:
    assert "uid-constant" in rules(edited(whole, find(whole, on("Pod", "MODIFIED")), meta("uid", "other")))


def test_creation_constant(whole: Recording) -> None:
    assert "creation-constant" in rules(
        edited(whole, find(whole, on("Pod", "DELETED")), meta("creationTimestamp", "x"))
    )


def test_deletion_kept(whole: Recording) -> None:
    dying = find(
        whole, lambda w: w.key[0] == "Pod" and w.old is not None and "deletionTimestamp" in w.old.json["metadata"]
    )
    assert "deletion-kept" in rules(edited(whole, dying, lambda obj: obj["metadata"].pop("deletionTimestamp")))


def test_reborn_anew(whole: Recording) -> None:
    index = find(whole, on("Pod", "DELETED"))
    write = whole.writes[index]
    assert write.new is not None
    high = max(w.revision or 0 for w in whole.writes) + 1
    unheard = {"answered": None, "received": None, "completed": None, "shown": None, "precondition": None}
    again = evolve(write, revision=high, old=None, **unheard)
    late = evolve(whole, writes=(*whole.writes, again), final=None)
    assert rules(late) == ["reborn-anew"]
    created = evolve(again, type="ADDED", verb="create", code=201, actor="user")
    assert "reborn-anew" in rules(evolve(late, writes=(*whole.writes, created)))
    reborn = Document({**write.new.json, "metadata": {**write.new.json["metadata"], "uid": "new"}})
    assert "reborn-anew" not in rules(evolve(late, writes=(*whole.writes, evolve(created, new=reborn))))


def test_request_has_change(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="patch"))
    write = whole.writes[index]
    assert "request-has-change" in rules(with_write(whole, index, type=None, new=write.old))
    same = with_write(whole, index, type=None, new=write.old, answered=write.old and write.old.revision)
    assert "request-has-change" not in rules(same)


def test_change_has_request(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="patch"))
    assert rules(with_write(whole, index, inferred="no line")) == ["change-has-request"]
    slim = evolve(whole, about={**whole.about, "slim": True})
    assert rules(with_write(slim, index, inferred="no line", verb="update")) == []


def test_answer_shows_revision(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="patch"))
    assert rules(with_write(whole, index, answered=1)) == ["answer-shows-revision"]


def test_precondition_met(whole: Recording) -> None:
    index = find(whole, on("ReplicaSet", "MODIFIED", subresource="status"))
    assert "precondition-met" in rules(with_write(whole, index, precondition=1))


def test_ends_as_told(whole: Recording) -> None:
    assert whole.final is not None
    key = next(key for key in whole.final if key[0] == "Pod")
    missing = {k: document for k, document in whole.final.items() if k != key}
    assert rules(evolve(whole, final=missing)) == ["ends-as-told"]
    assert rules(evolve(whole, final={**whole.final, ("Pod", "s", "new"): whole.final[key]})) == ["ends-as-told"]
    other = Document({**whole.final[key].json, "status": {}})
    [finding] = check_integrity(evolve(whole, final={**whole.final, key: other}))
    assert finding.message.startswith("differs at the end: status.") and finding.key == key


def test_nodes_may_have_beaten(whole: Recording) -> None:
    assert whole.final is not None
    key = next(key for key in whole.final if key[0] == "Node")
    node = json.loads(json.dumps(whole.final[key].json))
    node["metadata"]["resourceVersion"] = "99999"
    node["status"]["conditions"][0]["lastHeartbeatTime"] = "2030-01-01T00:00:00Z"
    assert rules(evolve(whole, final={**whole.final, key: Document(node)})) == []
    node["status"]["conditions"][0]["status"] = "True"
    assert rules(evolve(whole, final={**whole.final, key: Document(node)})) == ["ends-as-told"]


def test_a_finding_is_one_line(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="patch"))
    [finding] = check_integrity(with_write(whole, index, answered=1))
    place = whole.writes[index].seen
    assert place is not None and (finding.file, finding.line) == (place.file, place.number)
    assert str(finding).startswith(f"{place}: Pod 03-rolling-default/web-") and str(finding).endswith(
        "[trace/answer-shows-revision]"
    )
