"""Audit logs: order, derived changes, inferred requests, the part about a namespace."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.trace.derive import bound, deleted, evicted, scaled
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Recording
from k8sfsm.trace.lines import json_lines
from k8sfsm.trace.reading import detect, read_history
from k8sfsm.trace.requests import request_of

DATA = Path(__file__).resolve().parents[1] / "data"
AUDIT = DATA / "recordings" / "audit-10.jsonl.zst"
SPACE = "10-delete-release-adopt"
DERIVED = [value for _, value in json_lines(DATA / "trace" / "derive.jsonl.zst")]


def lines() -> list[dict[str, Any]]:
    return [value for _, value in json_lines(AUDIT)]


def test_figures(audit: Recording) -> None:
    assert detect(AUDIT) == "audit" and audit.format == "audit" and audit.namespaces == (SPACE,)
    assert len(audit.writes) == 240 and sum(1 for _ in audit.changes()) == 216
    assert sorted({document.key[0] for document in audit.initial}) == ["Node", "PriorityClass"]
    assert Counter(f"{fact.event}/{fact.source}" for fact in audit.environment) == {
        "sandbox-run/status": 6, "container-start/event": 6, "stop-signal/event": 6, "sandbox-stop/status": 6,
        "container-exit/status": 6, "pull-start/event": 4, "pull-done/event": 4,
    }  # fmt: skip
    assert not [key for key in audit.last() if key[0] not in ("Node", "PriorityClass")]


def test_the_patch_that_takes_the_last_finalizer_removes_the_object(audit: Recording) -> None:
    """Its answer, metadata alone, shows the revision before: the garbage collector has let an orphaning owner go."""
    [orphaned] = [w for w in audit.changes() if w.type == "DELETED" and w.verb == "patch"]
    assert orphaned.actor == "garbage-collector" and orphaned.key[0] == "ReplicaSet" and orphaned.derived
    again = [w for w in audit.changes() if w.key == orphaned.key and w.type == "ADDED"]
    assert len(again) == 2 and again[0].uid == orphaned.uid != again[1].uid


def test_what_nobody_logged_is_inferred(audit: Recording) -> None:
    inferred = [write for write in audit.writes if write.inferred]
    assert [(w.actor, w.verb, w.key[0], w.key[2], w.type) for w in inferred] == [
        ("user", "delete", "Deployment", "web", "DELETED"),
        ("user", "delete", "Pod", "bare2", "MODIFIED"),
        ("user", "delete", "Namespace", SPACE, "MODIFIED"),
    ]
    for write, words in zip(
        inferred, ["garbage collector deletes", "shows deletionTimestamp", "namespace controller"], strict=True
    ):
        assert words in write.inferred and str(write.line) in write.inferred and write.line.number > 0
        assert write.derived and write.revision is None and not write.account
    first_collection = next(w for w in audit.writes if w.verb == "deletecollection" and w.received)
    assert (first_collection.received or 0) - inferred[-1].time == 5 * 10**9
    namespace = [w for w in audit.writes if w.key[0] == "Namespace"]
    assert [w.type for w in namespace] == ["ADDED", "MODIFIED", "MODIFIED", None, "DELETED"]
    shown = namespace[2].new
    assert shown is not None and namespace[1].new is not None
    assert namespace[1].new.json["metadata"]["deletionTimestamp"] == shown.json["metadata"]["deletionTimestamp"]


def without_place(recording: Recording) -> list[Any]:
    return [
        evolve(write, line=Line(""), seen=None, inferred=write.inferred.partition(": ")[2])
        for write in recording.writes
    ]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_lines_may_be_in_any_order_and_several_files(
    audit: Recording, lines_file: Callable[..., Path], seed: int
) -> None:
    values = lines()
    random.Random(seed).shuffle(values)
    half = len(values) // 2
    paths = [lines_file(*values[:half], name="a.log"), lines_file(*values[half:], name="b.log")]
    assert without_place(read_history(*paths, namespace=SPACE)) == without_place(audit)


def test_order_is_that_of_revisions_and_of_what_is_shown(audit: Recording) -> None:
    revisions = [w.revision for w in audit.changes() if w.revision is not None]
    assert revisions == sorted(revisions)
    for write in audit.writes:
        if write.verb == "bind":
            assert write.derived and write.old is not None and write.new is not None
            assert (
                "nodeName" not in write.old.json["spec"]
                and write.new.json["spec"]["nodeName"] == write.body["target"]["name"]
            )
            after = [w for w in audit.changes() if w.key == write.key and (w.revision or 0) > (write.old.revision or 0)]
            assert all(w.new is not None and w.new.json["spec"].get("nodeName") for w in after)


def test_pods_end_as_in_a_recording(audit: Recording) -> None:
    ends = [w for w in audit.changes() if w.key[0] == "Pod" and w.verb == "delete" and w.actor == "kubelet"]
    assert Counter((w.type, w.derived) for w in ends) == {("MODIFIED", True): 6, ("DELETED", False): 6}


@pytest.mark.parametrize("value", DERIVED, ids=[value["from"] for value in DERIVED])
def test_derived_changes_are_what_the_cluster_did(value: dict[str, Any]) -> None:
    old, body, time = value["old"], value["body"], value["time"]
    if value["verb"] == "bind":
        found = [["MODIFIED", bound(old, body, value["node"], time)]]
    elif value["verb"] == "evict":
        found = [list(change) for change in evicted(old, body, time)]
    elif value["subresource"] == "scale":
        found = [["MODIFIED", scaled(old, {"metadata": {"resourceVersion": "1"}, "spec": body["spec"]})]]
    else:
        found = [list(change) for change in deleted(old, body, time)]
    assert [unrevised(change) for change in found] == [unrevised(change) for change in value["changes"]]


def unrevised(change: list[Any]) -> list[Any]:
    kind, obj = change
    return [kind, {**obj, "metadata": {**obj["metadata"], "resourceVersion": ""}}]


POD = {"kind": "Pod", "metadata": {"name": "p", "uid": "u", "namespace": SPACE}, "spec": {"nodeName": "n"}}


def test_a_second_delete_with_the_same_grace_changes_nothing() -> None:
    [(_, once)] = deleted({**POD, "metadata": {**POD["metadata"], "generation": 1}}, {"gracePeriodSeconds": 30}, 10**18)  # type: ignore[dict-item]
    assert list(deleted(once, {"gracePeriodSeconds": 30}, 10**18 + 5 * 10**9)) == []
    assert list(deleted(once, {"gracePeriodSeconds": 40}, 10**18 + 5 * 10**9)) == []
    [(_, shorter)] = deleted(once, {"gracePeriodSeconds": 10}, 10**18 + 5 * 10**9)
    assert shorter["metadata"]["deletionTimestamp"] == "2001-09-09T01:46:50Z"


def event(verb: str, revision: int, second: int, obj: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An audit line about an object of namespace `s`, as kube-apiserver writes it."""
    meta = {"name": "x", "namespace": "s", "uid": "u", "resourceVersion": str(revision), **obj.pop("metadata", {})}
    kind = obj.get("kind", "Deployment")
    resource = {"Deployment": "deployments", "Pod": "pods", "Service": "services"}[kind]
    stamp = f"2026-11-23T00:00:{second:02d}.000000Z"
    line = {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "RequestResponse", "stage": "ResponseComplete",
        "verb": verb, "user": {"username": "system:serviceaccount:kube-system:deployment-controller"},
        "objectRef": {"resource": resource, "namespace": "s", "name": "x"}, "responseStatus": {"code": 200},
        "responseObject": {"kind": kind, "apiVersion": "apps/v1", **obj, "metadata": meta},
        "requestReceivedTimestamp": stamp, "stageTimestamp": stamp,
    }  # fmt: skip
    return {**line, **more}


STATUS = {"objectRef": {"resource": "deployments", "namespace": "s", "name": "x", "subresource": "status"}}


def test_a_spec_that_nobody_wrote_is_inferred(lines_file: Callable[..., Path]) -> None:
    path = lines_file(
        event("create", 5, 1, {"metadata": {"generation": 1}, "spec": {"replicas": 1}}),
        event(
            "update",
            9,
            4,
            {"metadata": {"generation": 2}, "spec": {"replicas": 3}, "status": {"replicas": 3}},
            **STATUS,
        ),
    )
    found = read_history(path)
    assert [(w.type, w.verb, w.actor, bool(w.inferred)) for w in found.writes] == [
        ("ADDED", "create", "deployment-controller", False),
        ("MODIFIED", "patch", "user", True),
        ("MODIFIED", "update", "deployment-controller", False),
    ]
    edited = found.writes[1].new
    assert edited is not None and edited.json["spec"] == {"replicas": 3} and edited.json["metadata"]["generation"] == 2
    assert "status" not in edited.json


def test_objects_older_than_the_log(lines_file: Callable[..., Path]) -> None:
    found = read_history(lines_file(event("update", 9, 4, {"spec": {}}, **STATUS)))
    assert [document.key for document in found.initial] == [("Deployment", "s", "x")]
    assert any("1 objects are older than the log" in note for note in found.notes)


def test_metadata_level_lines_are_writes_without_body(lines_file: Callable[..., Path]) -> None:
    line = event("create", 5, 1, {})
    del line["responseObject"]
    found = read_history(lines_file({**line, "level": "Metadata"}))
    [write] = found.writes
    assert (write.verb, write.key, write.type, write.body, write.ok) == (
        "create",
        ("Deployment", "s", "x"),
        None,
        None,
        True,
    )
    assert any("1 successful writes were logged without objects" in note for note in found.notes)


def test_a_scale_is_a_change_of_its_object(lines_file: Callable[..., Path]) -> None:
    scale = {"objectRef": {"resource": "deployments", "namespace": "s", "name": "x", "subresource": "scale"}}
    answer = {"kind": "Scale", "metadata": {"name": "x", "resourceVersion": "8"}, "spec": {"replicas": 4}}
    path = lines_file(
        event("create", 5, 1, {"metadata": {"generation": 1}, "spec": {"replicas": 1}}),
        event("patch", 8, 2, {}, responseObject=answer, **scale),
        event("patch", 8, 3, {}, responseObject=answer, **scale),
    )
    found = read_history(path)
    assert [(w.type, w.revision, w.derived) for w in found.writes] == [
        ("ADDED", 5, False), ("MODIFIED", 8, True), (None, None, False),
    ]  # fmt: skip
    assert found.writes[1].new is not None and found.writes[1].new.json["metadata"]["generation"] == 2


def test_a_partial_answer_changes_the_metadata(lines_file: Callable[..., Path]) -> None:
    answer = {
        "kind": "PartialObjectMetadata",
        "metadata": {"name": "x", "uid": "u", "labels": {"a": "b"}, "resourceVersion": "8"},
    }
    path = lines_file(event("create", 5, 1, {"spec": {"replicas": 1}}), event("patch", 8, 2, {}, responseObject=answer))
    last = read_history(path).writes[-1].new
    assert last is not None and last.json["spec"] == {"replicas": 1} and last.json["metadata"]["labels"] == {"a": "b"}


def test_a_service_takes_its_endpoints_along(lines_file: Callable[..., Path]) -> None:
    endpoints = event("create", 6, 1, {"kind": "Service"})
    endpoints["objectRef"]["resource"], endpoints["responseObject"]["kind"] = "endpoints", "Endpoints"
    gone = event("delete", 0, 3, {"kind": "Service"}, responseObject={"kind": "Status", "metadata": {}})
    found = read_history(lines_file(event("create", 5, 1, {"kind": "Service"}), endpoints, gone))
    assert [(w.key[0], w.type, w.actor) for w in found.writes[2:]] == [
        ("Service", "DELETED", "deployment-controller"), ("Endpoints", "DELETED", "apiserver"),
    ]  # fmt: skip
    assert found.writes[2].request == found.writes[3].request and found.last() == {}


def test_managed_fields_are_left_out(lines_file: Callable[..., Path]) -> None:
    found = read_history(lines_file(event("create", 5, 1, {"metadata": {"managedFields": [{"manager": "m"}]}})))
    assert found.writes[0].new is not None and "managedFields" not in found.writes[0].new.json["metadata"]


@pytest.mark.parametrize(
    "changes",
    [
        {"verb": "get"},
        {"verb": "watch"},
        {"stage": "RequestReceived"},
        {"requestURI": "/api?dryRun=All"},
        {"objectRef": {"resource": "pods", "subresource": "exec"}},
        {"objectRef": {"resource": "subjectaccessreviews"}},
        {"objectRef": None},
    ],
)
def test_what_is_no_write_is_ignored(changes: dict[str, Any]) -> None:
    line = json.loads(json.dumps(event("create", 5, 1, {})))
    assert request_of(Line("f", 1), line) is not None
    assert request_of(Line("f", 1), {**line, **changes}) is None
