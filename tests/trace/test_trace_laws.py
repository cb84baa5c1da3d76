"""Each law on what a write may do is broken by the forgery that it is there for, and holds without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import test_trace_integrity
from attrs import evolve
from test_trace_integrity import edited, find, on, rules, with_write

from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.case import law
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite, Recording

MINUTE = 60 * SECOND


@pytest.fixture
def whole(recordings: dict[str, Recording]) -> Recording:
    return recordings["03-rolling-default"]


@pytest.fixture
def scaled(recordings: dict[str, Recording]) -> Recording:
    return recordings["02-scale"]


def put(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Sets the field at a path; numbers are positions in lists."""

    def edit(obj: Any) -> None:
        *way, last = path.split("/")
        for part in way:
            obj = obj[int(part)] if part.isdigit() else obj.setdefault(part, {})
        obj[int(last) if last.isdigit() else last] = value

    return edit


def broken(recording: Recording, index: int, path: str, value: Any) -> list[str]:
    """The laws broken when a field of the object after write `index` has another value."""
    return rules(edited(recording, index, put(path, value)))


def sent(recording: Recording, index: int, name: str, path: str, value: Any) -> list[str]:
    """The laws broken when a field of the request or answer of write `index` has another value."""
    part = json.loads(json.dumps(getattr(recording.writes[index], name)))
    put(path, value)(part)
    return rules(with_write(recording, index, **{name: part}))


def repeated(recording: Recording, index: int, **fields: Any) -> Recording:
    """The recording with write `index` once more at its end, as the newest revision."""
    newest = max(write.revision or 0 for write in recording.writes) + 1
    last = recording.writes[-1]
    values = {"revision": newest, "answered": None, "request": 10_000, "received": None, "shown": None, **fields}
    again = evolve(recording.writes[index], time=last.time, **values)
    return evolve(recording, writes=(*recording.writes, again), final=None)


def status_of(kind: str) -> Callable[[RecordedWrite], bool]:
    return on(kind, "MODIFIED", subresource="status")


def test_well_formed(whole: Recording) -> None:
    index = find(whole, on("Pod", "ADDED"))
    assert "well-formed" in broken(whole, index, "spec/containers/0/resources", {"requests": {"cpu": "two"}})
    assert "well-formed" in broken(whole, index, "apiVersion", "v2")


def test_added_once(whole: Recording) -> None:
    assert "added-once" in rules(repeated(whole, find(whole, on("Namespace", "ADDED"))))


def test_status_write_alone(whole: Recording) -> None:
    for kind, path in (
        ("Pod", "spec/nodeName"),
        ("ReplicaSet", "spec/replicas"),
        ("Deployment", "metadata/labels/app"),
    ):
        value = 17 if path.endswith("replicas") else "other"
        assert "status-write-alone" in broken(whole, find(whole, status_of(kind)), path, value)
    index = find(whole, status_of("Deployment"))
    assert "status-write-alone" in broken(whole, index, "metadata/annotations/other", "x")
    revision = "metadata/annotations"
    assert "status-write-alone" not in broken(whole, index, revision, {"deployment.kubernetes.io/revision": "7"})


def test_status_kept(whole: Recording) -> None:
    index = find(whole, on("ReplicaSet", "MODIFIED", verb="update", subresource=""))
    assert "status-kept" in broken(whole, index, "status/replicas", 9)


def test_scale_alone(scaled: Recording) -> None:
    index = find(scaled, on("Deployment", "MODIFIED", subresource="scale"))
    assert "scale-alone" in broken(scaled, index, "spec/paused", True)
    assert "scale-alone" in broken(scaled, index, "status/replicas", 40)


def test_deletion_alone(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="delete"))
    assert "deletion-alone" in broken(whole, index, "status/phase", "Failed")


def test_removal_shows_last(whole: Recording) -> None:
    assert "removal-shows-last" in broken(whole, find(whole, on("Pod", "DELETED")), "status/phase", "Running")


def test_binding_alone(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="bind"))
    assert "binding-alone" in broken(whole, index, "status/phase", "Running")
    assert "binding-alone" in broken(whole, index, "metadata/labels/app", "other")


def test_binding_obeyed(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="bind"))
    assert "binding-obeyed" in broken(whole, index, "spec/nodeName", "node-9")
    for path, value in (("target/name", "node-9"), ("metadata/uid", "other"), ("apiVersion", "v2")):
        assert sent(whole, index, "body", path, value) == ["binding-obeyed"]


def test_fixed_fields(whole: Recording) -> None:
    assert "fixed-fields" in broken(whole, find(whole, status_of("Pod")), "spec/restartPolicy", "Never")
    assert "fixed-fields" in broken(whole, find(whole, status_of("Pod")), "metadata/generateName", "x-")
    index = find(whole, status_of("Deployment"))
    assert "fixed-fields" in broken(whole, index, "spec/selector", {"matchLabels": {"app": "x"}})
    assert "fixed-fields" in broken(whole, index, "apiVersion", "apps/v2")


def test_owners_exist(whole: Recording) -> None:
    index = find(whole, on("Pod", "ADDED"))
    for name, value in (("uid", "other"), ("name", "other"), ("kind", "DaemonSet"), ("apiVersion", "apps/v2")):
        assert "owners-exist" in broken(whole, index, f"metadata/ownerReferences/0/{name}", value)


def test_request_known(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    for fields in ({"verb": "mend"}, {"subresource": "stats"}, {"code": 202}):
        assert "request-known" in rules(with_write(whole, index, **fields))
    bind = find(whole, on("Pod", "MODIFIED", verb="bind"))
    assert sent(whole, bind, "body", "kind", "Bind") == ["request-known"]


def test_writer_fits(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    for actor in ("deployment-controller", "user", "somebody"):
        assert "writer-fits" in rules(with_write(whole, index, actor=actor))
    pod = find(whole, lambda w: w.actor == "kubelet" and status_of("Pod")(w))
    assert "writer-fits" in rules(with_write(whole, pod, node="node-9"))


def test_reference_fits(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    for name in ("namespace", "apiGroup", "uid", "name", "apiVersion", "resourceVersion"):
        assert sent(whole, index, "reference", name, "999") == ["reference-fits"]


def test_answer_fits(whole: Recording, scaled: Recording) -> None:
    created = find(whole, on("Pod", "ADDED"))
    assert sent(whole, created, "answer", "metadata/uid", "other") == ["answer-fits"]
    bind = find(whole, on("Pod", "MODIFIED", verb="bind"))
    for name, value in (("status", "Failure"), ("code", 500), ("apiVersion", "v2")):
        assert sent(whole, bind, "answer", name, value) == ["answer-fits"]
    scale = find(scaled, on("Deployment", "MODIFIED", subresource="scale"))
    for path, value in (("metadata/uid", "other"), ("spec/replicas", 40), ("status/replicas", 40)):
        assert sent(scaled, scale, "answer", path, value) == ["answer-fits"]


def test_body_stored(whole: Recording) -> None:
    index = find(whole, on("Pod", "ADDED"))
    assert sent(whole, index, "body", "spec/containers/0/image", "other") == ["body-stored"]
    assert sent(whole, index, "body", "metadata/labels/app", "other") == ["body-stored"]


def test_patch_applied(whole: Recording) -> None:
    index = find(whole, lambda w: w.verb == "patch" and status_of("Pod")(w))
    assert sent(whole, index, "body", "status/phase", "Unknown") == ["patch-applied"]
    assert "patch-applied" in broken(whole, index, "status/hostIP", "10.9.9.9")
    body = json.loads(json.dumps(whole.writes[index].body))
    body["status"]["$setElementOrder/conditions"][0]["type"] = "Other"
    assert rules(with_write(whole, index, body=body)) == ["patch-applied"]


def test_grace_obeyed(whole: Recording) -> None:
    index = find(whole, on("Pod", "MODIFIED", verb="delete"))
    assert "grace-obeyed" in broken(whole, index, "metadata/deletionGracePeriodSeconds", 7)
    assert "grace-obeyed" in rules(with_write(whole, index, body={"kind": "DeleteOptions", "gracePeriodSeconds": 7}))


def test_told_once(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    write = whole.writes[index]
    again = evolve(write, request=10_000, type=None, revision=None, line=Line("audit.jsonl", 10_000))
    doubled = (*whole.writes[: index + 1], again, *whole.writes[index + 1 :])
    assert "told-once" in rules(evolve(whole, writes=doubled))


def test_idle_demand_met(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    again = evolve(whole.writes[index], request=10_000, type=None, revision=None, received=None)
    doubled = (*whole.writes[: index + 1], again, *whole.writes[index + 1 :])
    assert "idle-demand-met" in rules(evolve(whole, writes=doubled))


def test_answered_in_time(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    received = whole.writes[index].received
    assert received is not None
    for wrong in (received - 1, received + 2 * MINUTE):
        assert "answered-in-time" in rules(with_write(whole, index, completed=wrong))


def test_seen_in_time(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    shown = whole.writes[index].shown
    assert shown is not None
    for wrong in (shown - MINUTE, shown + MINUTE):
        assert "seen-in-time" in rules(with_write(whole, index, shown=wrong))


def test_time_follows_revisions(whole: Recording) -> None:
    index = find(whole, status_of("ReplicaSet"))
    shown = whole.writes[index].shown
    assert shown is not None
    late = with_write(whole, index, shown=shown + MINUTE, received=None, completed=None)
    assert "time-follows-revisions" in rules(late)
    early = with_write(whole, len(whole.writes) - 1, shown=shown - MINUTE, received=None, completed=None)
    assert "time-follows-revisions" in rules(early)


def test_names_no_future(whole: Recording) -> None:
    index = find(whole, status_of("Deployment"))
    assert "names-no-future" in broken(whole, index, "status/conditions/0/lastUpdateTime", "2031-01-01T00:00:00Z")


def test_names_what_was(whole: Recording) -> None:
    index = find(whole, status_of("Deployment"))
    assert "names-what-was" in broken(whole, index, "status/conditions/0/lastUpdateTime", "2021-01-01T00:00:00Z")


def test_created_now(whole: Recording) -> None:
    index = find(whole, on("Pod", "ADDED"))
    assert "created-now" in broken(whole, index, "metadata/creationTimestamp", "2021-01-01T00:00:00Z")


def event(recording: Recording) -> int:
    return find(recording, on("Event", "ADDED", actor="kubelet"))


def test_event_named(whole: Recording) -> None:
    assert "event-named" in broken(whole, event(whole), "firstTimestamp", "2021-01-01T00:00:00Z")
    assert "event-named" in broken(whole, event(whole), "involvedObject/name", "other")


def test_event_about(whole: Recording) -> None:
    for name, value in (("namespace", "other"), ("uid", "other"), ("kind", "Node"), ("apiVersion", "v2")):
        assert "event-about" in broken(whole, event(whole), f"involvedObject/{name}", value)


def test_event_told(whole: Recording) -> None:
    for path, value in (("reason", "Other"), ("count", 5), ("regarding/fieldPath", "other")):
        assert sent(whole, event(whole), "body", path, value) == ["event-told"]


def test_event_counts(whole: Recording) -> None:
    assert "event-counts" in broken(whole, event(whole), "count", 3)
    again = find(whole, on("Event", "MODIFIED"))
    assert "event-counts" in broken(whole, again, "count", 40)


def test_event_source(whole: Recording) -> None:
    for path, value in (("reportingComponent", "other"), ("reportingInstance", "node-9")):
        assert "event-source" in broken(whole, event(whole), path, value)
    both = edited(whole, event(whole), put("source/host", "node-9"))
    assert "event-source" in rules(edited(both, event(both), put("reportingInstance", "node-9")))


def test_counts_pods(whole: Recording) -> None:
    index = find(whole, lambda w: status_of("ReplicaSet")(w) and w.new.json["status"].get("readyReplicas", 0) > 0)
    for name in ("replicas", "readyReplicas", "availableReplicas", "fullyLabeledReplicas", "terminatingReplicas"):
        assert "counts-pods" in broken(whole, index, f"status/{name}", 40)


def test_counts_sets(whole: Recording) -> None:
    index = find(whole, lambda w: status_of("Deployment")(w) and w.new.json["status"].get("readyReplicas", 0) > 0)
    for name in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas", "unavailableReplicas"):
        assert "counts-sets" in broken(whole, index, f"status/{name}", 40)


def test_observed_not_ahead(whole: Recording) -> None:
    for wrong in (40, -1):
        assert "observed-not-ahead" in broken(
            whole, find(whole, status_of("ReplicaSet")), "status/observedGeneration", wrong
        )
    pod = find(whole, lambda w: w.verb == "patch" and status_of("Pod")(w))
    assert "observed-not-ahead" in broken(whole, pod, "status/conditions/0/observedGeneration", 40)


def test_events_older_than_the_recording_may_begin_anywhere(whole: Recording) -> None:
    index = find(whole, on("Event", "MODIFIED"))
    write = whole.writes[index]
    assert write.new is not None
    before = tuple(w for w in whole.writes[:index] if w.key != write.key)
    cut = evolve(whole, writes=(*before, *whole.writes[index:]), final=None)
    assert "begins-added" in rules(cut)
    old = Document({**write.new.json, "firstTimestamp": "2021-01-01T00:00:00Z"})
    assert "begins-added" not in rules(evolve(cut, writes=(*before, evolve(write, new=old))))


def test_every_law_is_broken_by_a_test() -> None:
    spec = law.invariants()
    assert spec is not None
    names = {name for name in (*globals(), *vars(test_trace_integrity)) if name.startswith("test_")}
    assert {f"test_{name.replace('-', '_')}" for name in spec.invariants} - names == set()
