"""Replaying recordings that show parts of objects only."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.request import Create, Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.verify.replay.compare import Record, paired
from k8sfsm.verify.replay.events import _counts_differ
from k8sfsm.verify.replay.fragments import mended
from k8sfsm.verify.replay.stalls import overlap, stalls_of

OWNER = {
    "apiVersion": "apps/v1",
    "kind": "ReplicaSet",
    "metadata": {"name": "web-1", "namespace": "default", "uid": "rs"},
    "spec": {"template": {"metadata": {"labels": {"app": "web"}}}},
}
POD: Key = ("Pod", "default", "web-1-abcde")


def write(number: int, type: Any, obj: Any, **more: Any) -> RecordedWrite:
    document = Document(obj)
    fields: dict[str, Any] = {"verb": "create", "actor": "replicaset-controller", "code": 201, "time": number}
    fields |= {"line": Line("x"), "request": number, "key": document.key, "type": type, "new": document}
    return RecordedWrite(**{**fields, **more})


def pod(**status: Any) -> Any:
    meta = {"name": POD[2], "namespace": "default", "uid": "p"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {}, "status": status}


def recording(*writes: RecordedWrite) -> Recording:
    return Recording(source="x", format="recording", initial=(Document(OWNER),), writes=writes)


def test_a_new_pod_is_the_owners_after_which_it_is_named() -> None:
    made = write(1, "ADDED", pod(), trimmed=True)
    moved = write(2, "MODIFIED", pod(podIP="10.0.0.1"), old=made.new, trimmed=True, actor="kubelet")
    first, second = mended(recording(made, moved)).writes
    assert first.new is not None and second.new is not None
    meta = first.new.json["metadata"]
    assert (meta["generateName"], meta["labels"]) == ("web-1-", {"app": "web"})
    assert [each["uid"] for each in meta["ownerReferences"]] == ["rs"]
    assert second.old is first.new and second.new.json["metadata"]["labels"] == {"app": "web"}
    assert second.new.json["status"]["podIPs"] == [{"ip": "10.0.0.1"}]
    assert "podIPs" not in first.new.json["status"]


@pytest.mark.parametrize("more", [{}, {"trimmed": True, "actor": "user"}, {"trimmed": True, "actor": "job-controller"}])
def test_whole_objects_and_those_of_others_stay_as_they_are(more: Any) -> None:
    given = recording(write(1, "ADDED", pod(), **more), write(2, None, pod(), trimmed=True))
    assert mended(given).writes == given.writes


def test_times_in_which_the_server_was_slow() -> None:
    at = [each * MILLISECOND for each in range(0, 3000, 10)]
    slow = write(1, "ADDED", pod(), received=at[0], completed=at[40], time=at[40])
    seen_late = write(2, "ADDED", pod(), received=at[29], time=at[30], shown=at[60])
    quick = write(3, "ADDED", pod(), received=at[100], completed=at[125], time=at[125], shown=at[126])
    alone = write(4, "ADDED", pod(), received=at[200], completed=at[226], time=at[226])
    spans = stalls_of(recording(slow, seen_late, quick, alone))
    assert spans == ((at[0], at[60]), (at[200], at[226]))
    assert overlap(spans, at[50], at[210]) == at[20]
    assert overlap(spans, at[70], at[190]) == 0
    assert stalls_of(recording()) == ()


def slices(*names: str, service: str = "web") -> dict[Key, Any]:
    labels = {"kubernetes.io/service-name": service}
    return {
        ("EndpointSlice", "default", name): {"metadata": {"name": name, "uid": name, "labels": labels}, "n": name}
        for name in names
    }


def test_slices_stand_for_each_other_where_their_endpoints_are_not_shown() -> None:
    slim = Record(slim=True)
    found = paired(slices("a", "b"), slices("b", "c"), slim)
    assert sorted(key[2] for key in found) == ["b", "c"]
    of_c = found["EndpointSlice", "default", "c"]
    assert (of_c["metadata"]["name"], of_c["metadata"]["uid"], of_c["n"]) == ("c", "c", "a")
    assert paired(slices("a", "b"), slices("b"), slim) == slices("a", "b")
    assert paired(slices("a"), slices("c", service="db"), slim) == slices("a")
    assert paired(slices("a"), slices("c"), Record()) == slices("a")


@pytest.mark.parametrize(
    ("how", "recorded", "predicted", "differ"),
    [
        ("recorded", 0, 3, False),
        ("recorded", 2, 1, True),
        ("counted", 1, 2, True),
        ("counted", 2, 2, False),
        ("present", 1, 2, False),
        ("present", 0, 2, True),
        ("ignored", 0, 2, False),
    ],
)
def test_how_often_an_event_may_come(how: str, recorded: int, predicted: int, differ: bool) -> None:
    assert _counts_differ(how, recorded, predicted) is differ


def test_requests_with_generated_names_are_paired_one_by_one() -> None:
    from k8sfsm.apiserver import Sender
    from k8sfsm.objects import ObjectMeta, Pod
    from k8sfsm.verify.replay.choices import RecordedChoices

    meta = {"name": POD[2], "generateName": "web-1-", "namespace": "default", "uid": "p"}
    at = 10_000 * MILLISECOND
    made = write(1, "ADDED", {**pod(), "metadata": meta}, received=at, time=at + 50 * MILLISECOND)
    choices, sender = RecordedChoices(recording(made)), Sender(actor="replicaset-controller", account="x")
    create = Create(object=Pod(metadata=ObjectMeta(generate_name="web-1-", namespace="default")))
    late = choices.arrival(create, sender, at - 2_000 * MILLISECOND, MILLISECOND)
    assert late == at + 50 * MILLISECOND and choices.paired == {1}
    assert choices.arrival(create, sender, at, MILLISECOND) == at + MILLISECOND
    early = RecordedChoices(recording(made))
    assert early.arrival(create, sender, at - 4_000 * MILLISECOND, MILLISECOND) == at - 3_999 * MILLISECOND
