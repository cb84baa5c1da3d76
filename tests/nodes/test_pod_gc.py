"""Rounds of the pod garbage collector: whom it deletes, what it writes before, and how long it waits."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.podgc import QUARANTINE, Missing, PodGarbageCollector, Suspect, law
from k8sfsm.objects import Pod, from_json, key_of
from k8sfsm.request import Delete, Outcome, Parallel, Patch, Remember
from k8sfsm.store import Store
from k8sfsm.view import View

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
ROUND = ("PodGC", "", "round")


def pod(name: str = "p", on: str = "", phase: str = "Running", **meta: Any) -> Pod:
    if meta.pop("deleting", False):
        meta["deletionTimestamp"] = "2023-11-14T22:13:20Z"
    status = {"phase": phase, "reason": meta.pop("reason", "")}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "uid": name, **meta}}
    found: Pod = from_json({**document, "spec": {"nodeName": on}, "status": status})
    return found


def node(name: str = "n", ready: str | None = "True", taint: str = "") -> Any:
    taints = [{"key": taint, "effect": "NoExecute"}] if taint else []
    conditions = [{"type": "Ready", "status": ready}] if ready else []
    document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    return from_json({**document, "spec": {"taints": taints}, "status": {"conditions": conditions}})


def round_of(*objects: Any, memory: Any = None, threshold: int = 0) -> tuple[list[Any], Any]:
    """Everything that a round sends, and what is remembered of missing nodes afterwards."""
    view = View.of(objects, now=NOW, memory={} if memory is None else {QUARANTINE: memory})
    plan = PodGarbageCollector(threshold).reconcile(view, ROUND)
    sent: list[Any] = []
    remembered: Any = None
    while True:
        outcomes = []
        for step in plan.steps:
            if isinstance(step, Remember):
                remembered = step.value
                continue
            writes = step.writes if isinstance(step, Parallel) else (step,)
            sent += writes
            outcomes += [Outcome(request=write, code=200) for write in writes]
        if plan.then is None:
            assert plan.requeue_after == 20 * SECOND
            return sent, remembered
        plan = plan.then(tuple(outcomes))


@pytest.mark.parametrize(
    ("listed", "until", "answers", "rule", "becomes"),
    [
        (True, None, True, "listed", "free"),
        (True, -1, True, "back", "free"),
        (True, 0, True, "back", "free"),
        (True, 5, True, "back-early", "waiting"),
        (False, None, False, "missing", "begins"),
        (False, 5, False, "waiting", "waiting"),
        (False, 0, True, "there-after-all", "free"),
        (False, 0, False, "deleted", "deleted"),
    ],
)
def test_how_long_a_missing_node_is_waited_for(
    listed: bool, until: int | None, answers: bool, rule: str, becomes: str
) -> None:
    store = Store.starting_at(0)
    if answers:
        store, _ = store.put(node())
    view = View(NOW, store.snapshot, {}, store=store)  # type: ignore[arg-type]
    case = Missing("n", listed, None if until is None else NOW + until * SECOND, view)
    decision = law.decide("quarantine", case)
    assert (decision.rule, decision.outputs["becomes"]) == (f"PodGC/quarantine/{rule}", becomes)


def test_pods_of_a_node_that_stays_away_for_the_quarantine_are_failed_and_deleted() -> None:
    lost = pod(on="gone", generation=3)
    sent, remembered = round_of(lost)
    assert (sent, remembered) == ([], {"gone": NOW + 40 * SECOND})
    sent, remembered = round_of(lost, memory={"gone": NOW + 1})
    assert (sent, remembered) == ([], {"gone": NOW + 1})
    sent, remembered = round_of(lost, memory={"gone": NOW})
    assert remembered == {}
    patch, delete = sent
    assert isinstance(patch, Patch) and patch.body == {
        "metadata": {"uid": "p"},
        "status": {
            "phase": "Failed",
            "conditions": [
                {
                    "type": "DisruptionTarget",
                    "status": "True",
                    "reason": "DeletionByPodGC",
                    "message": "PodGC: node no longer exists",
                    "lastTransitionTime": "2023-11-14T22:13:20Z",
                    "observedGeneration": 3,
                }
            ],
        },
    }
    assert isinstance(delete, Delete) and (delete.key, delete.grace_seconds) == (key_of(lost), 0)
    sent, remembered = round_of(lost, node("gone"), memory={"gone": NOW})
    assert (sent, remembered) == ([], {})


OUT = "node.kubernetes.io/out-of-service"


@pytest.mark.parametrize(
    ("subject", "there", "deleted", "rule", "reason", "message"),
    [
        (pod(phase="Failed"), None, False, "terminated", "", ""),
        (pod(on="n", deleting=True), node(ready="Unknown", taint=OUT), False, "out-of-service", "", ""),
        (pod(on="n", deleting=True), node(ready=None, taint=OUT), False, "out-of-service", "", ""),
        (pod(on="n"), node(ready="Unknown", taint=OUT), False, "other", "", ""),
        (pod(on="n", deleting=True), node(ready="True", taint=OUT), False, "other", "", ""),
        (pod(on="n", deleting=True), node(ready="Unknown", taint="x"), False, "other", "", ""),
        (pod(on="n"), None, True, "orphaned", "DeletionByPodGC", "PodGC: node no longer exists"),
        (pod(on="n", deleting=True), None, True, "orphaned", "DeletionByPodGC", "PodGC: node no longer exists"),
        (pod(deleting=True), None, False, "unscheduled", "", ""),
        (pod(deleting=True), None, True, "unscheduled", "", ""),
        (pod(), None, False, "other", "", ""),
        (pod(), None, True, "other", "", ""),
        (pod(on="n", deleting=True), None, False, "other", "", ""),
    ],
)
def test_who_is_garbage(subject: Pod, there: Any, deleted: bool, rule: str, reason: str, message: str) -> None:
    view = View.of([subject, *([there] if there is not None else [])], now=NOW)
    surplus = frozenset([key_of(subject)]) if rule == "terminated" else frozenset()
    case = Suspect(pod=subject, view=view, surplus=surplus, deleted=frozenset({"n", ""} if deleted else ()))
    decision = law.decide("garbage", case)
    assert decision.rule == f"PodGC/garbage/{rule}"
    assert (decision.outputs["reason"], decision.outputs["message"]) == (reason, message)
    assert decision.actions == (() if rule == "other" else ("fail_and_delete",))


def test_an_out_of_service_pod_is_failed_without_a_condition() -> None:
    sent, _ = round_of(pod(on="n", deleting=True), node(ready="Unknown", taint=OUT))
    assert [type(each) for each in sent] == [Patch, Delete]
    assert sent[0].body["status"] == {"phase": "Failed"}
    sent, _ = round_of(pod(on="n", phase="Succeeded", deleting=True), node(ready="Unknown", taint=OUT))
    assert [type(each) for each in sent] == [Delete]  # it has ended by itself


def test_of_pods_that_have_ended_the_evicted_then_the_oldest_go_first() -> None:
    def ended(name: str, second: int, **given: Any) -> Pod:
        return pod(
            name, phase=given.pop("phase", "Succeeded"), creationTimestamp=f"2023-11-14T22:00:{second:02}Z", **given
        )

    pods = [
        ended("new", 30),
        ended("old", 10),
        ended("also-old", 10),
        ended("evicted", 40, phase="Failed", reason="Evicted"),
        ended("running", 1, phase="Running"),
    ]
    for threshold, gone in (
        (4, []),
        (3, ["evicted"]),
        (2, ["also-old", "evicted"]),
        (1, ["also-old", "evicted", "old"]),
    ):
        sent, _ = round_of(*pods, threshold=threshold)
        assert sorted(each.key[2] for each in sent) == gone
    assert round_of(*pods, threshold=0)[0] == []
