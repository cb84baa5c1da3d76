"""What a replay takes from a recording: which view a controller had, what was left out, what was told before."""

from __future__ import annotations

from typing import Any

import pytest
from immutables import Map

from k8sfsm.apiserver import Sender
from k8sfsm.node.recorded import _repeated
from k8sfsm.objects import (
    Deployment,
    DeploymentSpec,
    Event,
    ObjectMeta,
    Pod,
    Probe,
    ReplicaSet,
    ReplicaSetSpec,
    ReplicaSetStatus,
    to_json,
)
from k8sfsm.request import Create, Delete, Parallel, Patch, Plan, Update
from k8sfsm.store import Store
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.verify.replay.choices import RecordedChoices
from k8sfsm.verify.replay.contents import alike, content_of, recorded_content
from k8sfsm.verify.replay.events import events_of
from k8sfsm.verify.replay.heartbeats import lifecycle_settings
from k8sfsm.verify.replay.inputs import _as_done
from k8sfsm.verify.replay.told import Told, followed
from k8sfsm.verify.replay.tracks import Version
from k8sfsm.view import View

MS = 1_000_000
SECOND = 1_000 * MS
KEY = ("ReplicaSet", "a", "web")


def replica_set(replicas: int = 3, ready: int = 0) -> ReplicaSet:
    meta = ObjectMeta(namespace="a", name="web", uid="u", resource_version="7")
    return ReplicaSet(
        metadata=meta, spec=ReplicaSetSpec(replicas=replicas), status=ReplicaSetStatus(ready_replicas=ready)
    )


def status(ready: int) -> Plan:
    return Plan(steps=(Update(object=replica_set(ready=ready), subresource="status"),))


def write(number: int, at: int, obj: Any, **changes: Any) -> RecordedWrite:
    given: dict[str, Any] = {
        "line": Line("", number),
        "request": number,
        "time": at,
        "actor": "replicaset-controller",
        "verb": "update",
        "subresource": "status",
        "key": KEY,
        "code": 200,
        "type": "MODIFIED",
        "new": None if obj is None else Document(to_json(obj)),
    }
    return RecordedWrite(**{**given, **changes})


def view(now: int = 0) -> View:
    store, _ = Store.starting_at(0).put(replica_set())
    return View(now, {}, Map(), Map(), store)


class Recorded:
    """Only the writes of a recording."""

    format = "recording"

    def __init__(self, *writes: RecordedWrite) -> None:
        self.writes = writes
        self.about: dict[str, Any] = {}


def told(*writes: RecordedWrite) -> Told:
    return Told(Recorded(*writes), set())  # type: ignore[arg-type]


def test_what_two_writes_decide() -> None:
    mine = Update(object=replica_set(ready=1), subresource="status")
    assert alike(content_of(mine), recorded_content(write(1, 0, replica_set(ready=1))))
    assert not alike(content_of(mine), recorded_content(write(1, 0, replica_set(ready=2))))
    refused = write(1, 0, None, new=None, code=409, body=to_json(replica_set(ready=2)))
    assert not alike(content_of(mine), recorded_content(refused))
    assert alike(content_of(mine), recorded_content(write(1, 0, None, new=None, code=409, body={"status": 3})))
    size = Update(object=replica_set(5))
    assert not alike(content_of(size), recorded_content(write(1, 0, replica_set(4), subresource="")))
    paused = Deployment(metadata=ObjectMeta(namespace="a", name="web"), spec=DeploymentSpec())
    assert content_of(Update(object=paused)) is None


def test_a_plan_is_followed_request_by_request() -> None:
    def more(outcomes: tuple[Any, ...]) -> Plan:
        return status(2) if outcomes[0].ok else status(9)

    plan = Plan(steps=status(1).steps, then=more)
    first, second = write(1, 0, replica_set(ready=1)), write(2, 9, replica_set(ready=2))
    assert followed(plan, [first, second], view()) == (2, True)
    assert followed(plan, [first], view()) == (1, False)
    assert followed(plan, [second, first], view()) == (0, False)
    refused = write(1, 0, None, new=None, code=409, body=to_json(replica_set(ready=1)))
    assert followed(plan, [refused, second], view()) == (1, False)
    reading = Plan(steps=(Patch(key=KEY, body={}),), then=lambda outcomes: status(outcomes[0].object.spec.replicas))
    assert followed(reading, [write(1, 0, replica_set(ready=3))], view()) == (1, True)


def test_requests_sent_together_come_in_any_order() -> None:
    pods = [Pod(metadata=ObjectMeta(namespace="a", name=name)) for name in "pq"]
    plan = Plan(steps=(Parallel(writes=tuple(Create(object=pod) for pod in pods)),))
    made = [
        write(n, n, pod, verb="create", subresource="", key=("Pod", "a", pod.metadata.name))
        for n, pod in enumerate(reversed(pods), start=1)
    ]
    assert followed(plan, made, view()) == (2, True)
    assert followed(plan, made[:1], view()) == (0, False)


def test_the_view_that_leads_to_what_was_recorded() -> None:
    mine, other = status(2), status(1)
    known = told(write(1, 10 * MS, replica_set(ready=1)))
    chosen = known.likeliest(mine, "replicaset-controller", KEY, view(), [other])
    assert chosen.steps[1:] == other.steps  # after a look that comes again
    known = told(write(1, 10 * MS, replica_set(ready=2)))
    assert known.likeliest(mine, "replicaset-controller", KEY, view(), [other]) is mine


@pytest.mark.parametrize("at", [10 * MS, 2 * SECOND])
def test_a_controller_that_did_something_else_had_not_looked_yet(at: int) -> None:
    later = told(write(1, at, replica_set(ready=3)))
    assert later.likeliest(status(2), "replicaset-controller", KEY, view(), []).requeue_after == at
    assert not later.likeliest(status(2), "replicaset-controller", KEY, view(), []).steps


def test_what_nothing_explains_is_done_in_the_end() -> None:
    mine = status(2)
    far = told(write(1, 5 * SECOND, replica_set(ready=3)))
    assert far.likeliest(mine, "replicaset-controller", KEY, view(), []) is mine
    due = told(write(1, 0, replica_set(ready=3)))
    assert due.likeliest(mine, "replicaset-controller", KEY, view(), []).requeue_after == 8 * MS
    assert due.likeliest(mine, "replicaset-controller", KEY, view(19 * MS), []) is mine


def test_a_request_is_waited_for_once() -> None:
    mine, key = status(2), ("replicaset-controller", KEY)
    known = told(write(1, 400 * MS, replica_set(ready=3)), write(2, 900 * MS, replica_set(ready=4)))
    assert known.likeliest(mine, *key, view(), []).requeue_after == 400 * MS
    assert known.likeliest(mine, *key, view(500 * MS), []) is mine  # the first passed by
    assert known.likeliest(mine, *key, view(500 * MS), []).requeue_after == 400 * MS


def test_an_actor_that_looks_again_before_the_request_goes_on_waiting() -> None:
    known = told(write(1, 900 * MS, replica_set(ready=3)))
    for at in (0, 300, 600):
        waiting = known.likeliest(status(2), "replicaset-controller", KEY, view(at * MS), [])
        assert waiting.requeue_after == (900 - at) * MS


def test_a_removal_takes_as_long_as_it_took() -> None:
    pod = Pod(metadata=ObjectMeta(namespace="a", name="p", uid="v"))
    told_of = {"actor": "kubelet", "node": "n", "verb": "delete", "subresource": "", "key": ("Pod", "a", "p")}
    marked, gone = write(1, 10 * MS, pod, **told_of), write(1, 32 * MS, pod, **told_of, type="DELETED")
    choices = RecordedChoices(Recorded(marked, gone))  # type: ignore[arg-type]
    sender = Sender(actor="kubelet", node="n", account="x")
    assert choices.arrival(Delete(key=("Pod", "a", "p"), grace_seconds=0), sender, 9 * MS, MS) == 32 * MS


def test_answers_that_say_the_same_are_repeated_until_they_are_believed() -> None:
    probe = Probe(period_seconds=1, failure_threshold=3)
    answers = [(0, False), (10 * SECOND, True), (11 * SECOND, False)]
    found = list(_repeated(answers, probe, 12 * SECOND + MS))
    assert [at // SECOND for at, ok in found if not ok] == [0, 1, 2, 11, 12]
    assert [at // SECOND for at, ok in found if ok] == [10]


def event(count: int, at: int, *, changed: bool) -> Version:
    obj = Event(metadata=ObjectMeta(namespace="a", name="e", uid="u"), reason="Killing", count=count)
    return Version(at, ("Event", "a", "e"), "u", obj, "kubelet", changed=changed)


@pytest.mark.parametrize(
    ("versions", "times"),
    [
        ([event(1, 5, changed=False), event(3, 6, changed=True)], 3),
        ([event(4, 5, changed=True), event(5, 6, changed=True)], 2),
        ([event(1, 0, changed=False), event(3, 6, changed=True)], 2),
        ([event(1, 0, changed=False)], 0),
    ],
)
def test_events_are_counted_from_the_start(versions: list[Version], times: int) -> None:
    assert sum(events_of(tuple(versions), 1).counts.values()) == times


def test_a_write_that_made_an_object_go_took_its_last_finalizer() -> None:
    done = _as_done(write(1, 0, replica_set(), verb="patch", subresource="", type="DELETED"))
    assert done == Patch(key=KEY, body={"metadata": {"finalizers": None}}, type="merge")


@pytest.mark.parametrize(
    ("told", "heard", "lost", "grace"),
    [
        ("", [], 25, 50),  # nothing tells when the node was heard from
        ("", [2], 25, 20),  # 23 s of silence, looked for every 5 s
        ("", [2, 4], 25, 20),
        ("", [9], 25, 15),
        ("", [24], 25, 5),
        ("", [2], 90, 50),  # it may have renewed its lease for a while
        ("20s (default 50s)", [9], 25, 20),
    ],
)
def test_how_long_a_node_may_be_silent(told: str, heard: list[int], lost: int, grace: int) -> None:
    """Where flags are not told, a node that was lost early tells of them."""
    key = ("Node", "", "n")
    writes = [write(at, at * SECOND, None, actor="kubelet", node="n", key=key) for at in heard]
    found = Recorded(*writes, write(99, lost * SECOND, None, actor="node-controller", key=key))
    flags = {"kube-controller-manager": {"node-monitor-grace-period": told}} if told else {}
    found.about = {"flags_not_default": flags}
    assert lifecycle_settings(found).monitor_grace == grace  # type: ignore[arg-type]
