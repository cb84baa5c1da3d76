"""What a budget expects, whose scale counts, who is healthy, which conditions are stale: every row from its side."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.disruption import Balance, DisruptionController, Look, Marked, Member
from k8sfsm.controllers.disruption_scale import ScaleError, Scales, _managed
from k8sfsm.kinds.disruption_budget import law
from k8sfsm.objects import Pod, PodDisruptionBudget, from_json
from k8sfsm.request import Record, Update
from k8sfsm.view import View

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
TIME = "2023-11-14T22:13:20Z"


def owner(kind: str, name: str, api: str = "apps/v1") -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}


def pod(
    name: str = "p", of: dict[str, Any] | None = None, ready: bool = True, phase: str = "Running", **meta: Any
) -> Pod:
    target = meta.pop("target", None)
    conditions = [{"type": "Ready", "status": str(ready)}]
    if target is not None:
        reason, since = target
        told = {"type": "DisruptionTarget", "status": "True", "reason": reason, "lastTransitionTime": since}
        conditions.append(told)
    if meta.pop("deleting", False):
        meta["deletionTimestamp"] = TIME
    meta = {"name": name, "namespace": "a", "labels": {"app": "web"}, "ownerReferences": [of] if of else [], **meta}
    document = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "status": {"phase": phase, "conditions": conditions},
    }
    found: Pod = from_json(document)
    return found


def made(kind: str, name: str, replicas: int | None = 5, of: dict[str, Any] | None = None, uid: str = "") -> Any:
    api = "v1" if kind == "ReplicationController" else "apps/v1"
    meta = {"name": name, "namespace": "a", "uid": uid or f"uid-{name}", "ownerReferences": [of] if of else []}
    spec = {} if replicas is None else {"replicas": replicas}
    return from_json({"apiVersion": api, "kind": kind, "metadata": meta, "spec": spec})


def budget(status: dict[str, Any] | None = None, **spec: Any) -> PodDisruptionBudget:
    document = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", "namespace": "a"}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    found: PodDisruptionBudget = from_json({**document, "spec": spec, "status": status or {}})
    return found


SET = owner("ReplicaSet", "rs")


@pytest.mark.parametrize(
    ("given", "rule", "numbers"),
    [
        ({"maxUnavailable": 1}, "max-unavailable", (5, 4)),
        ({"maxUnavailable": "50%"}, "max-unavailable", (5, 2)),
        ({"minAvailable": 2}, "min-available", (3, 2)),
        ({"minAvailable": "50%"}, "min-available-share", (5, 3)),
        ({}, "nothing", (0, 0)),
    ],
)
def test_what_a_budget_expects(given: dict[str, Any], rule: str, numbers: tuple[int, int]) -> None:
    """Three pods of a ReplicaSet that wants five."""
    there = [made("ReplicaSet", "rs"), *(pod(name, SET) for name in "pqr")]
    look = Look(budget(**given), View.of(there, now=NOW))
    decision = law.decide("expected", look)
    assert (decision.rule, look.numbers) == (f"PodDisruptionBudget/expected/{rule}", numbers)
    expects, wants = {
        "max-unavailable": ("scale", "scale-less-max-unavailable"),
        "min-available": ("pods", "min-available"),
        "min-available-share": ("scale", "min-available"),
        "nothing": ("nothing", "nothing"),
    }[rule]
    assert decision.outputs == {"expects": expects, "wants": wants}


DEPLOYMENT = owner("Deployment", "d")
JOB = owner("Job", "j", "batch/v1")


@pytest.mark.parametrize(
    ("of", "there", "rule", "counts", "found"),
    [
        (None, [], "unmanaged", "nobody", 0),
        (SET, [made("ReplicaSet", "rs", 3, DEPLOYMENT), made("Deployment", "d", 7)], "deployment", "grand", 7),
        (SET, [made("ReplicaSet", "rs", 3, DEPLOYMENT)], "of-gone-deployment", "missing", "found no controllers"),
        (
            SET,
            [made("ReplicaSet", "rs", 3, DEPLOYMENT), made("Deployment", "d", 7, uid="another")],
            "of-gone-deployment",
            "missing",
            "found no controllers",
        ),
        (SET, [made("ReplicaSet", "rs", 3)], "owner", "controller", 3),
        (SET, [made("ReplicaSet", "rs", None)], "owner", "controller", 1),
        (SET, [made("ReplicaSet", "rs", 3, owner("Rollout", "x", "example.com/v1"))], "owner", "controller", 3),
        (owner("StatefulSet", "s"), [made("StatefulSet", "s", 2)], "owner", "controller", 2),
        (
            owner("StatefulSet", "s"),
            [made("StatefulSet", "s", 2, DEPLOYMENT)],
            "owner",
            "controller",
            2,
        ),
        (
            owner("ReplicationController", "rc", "v1"),
            [made("ReplicationController", "rc", 4)],
            "owner",
            "controller",
            4,
        ),
        (SET, [], "gone", "missing", "found no controllers"),
        (SET, [made("ReplicaSet", "rs", 3, uid="another")], "gone", "missing", "found no controllers"),
        (DEPLOYMENT, [], "gone", "missing", "found no controllers"),
        (JOB, [], "without-scale", "no-scale", "jobs.batch does not implement the scale subresource"),
        (DEPLOYMENT, [made("Deployment", "d", 7)], "gone", "missing", "found no controllers"),
    ],
)
def test_whose_scale_counts(of: Any, there: list[Any], rule: str, counts: str, found: int | str) -> None:
    subject = pod(of=of)
    view = View.of([subject, *there], now=NOW)
    decision = law.decide("scale", _managed(subject, view))
    assert (decision.rule, decision.outputs["counts"]) == (f"PodDisruptionBudget/scale/{rule}", counts)
    if isinstance(found, str):
        with pytest.raises(ScaleError, match=found):
            Scales.of([subject], view)
    else:
        assert Scales.of([subject], view).total == found


@pytest.mark.parametrize(
    ("deleting", "granted", "ready", "healthy", "kept"),
    [
        (True, None, True, "deleting", "deleting"),
        (True, NOW, True, "deleting", "deleting"),
        (False, NOW, True, "disrupted", "waiting"),
        (False, NOW - 120 * SECOND, True, "healthy", "waiting"),
        (False, NOW - 121 * SECOND, True, "healthy", "overdue"),
        (False, NOW - 121 * SECOND, False, "unready", "overdue"),
        (False, None, True, "healthy", "unlisted"),
        (False, None, False, "unready", "unlisted"),
    ],
)
def test_who_is_healthy_and_whose_eviction_stays_listed(
    deleting: bool, granted: int | None, ready: bool, healthy: str, kept: str
) -> None:
    subject = pod(ready=ready, deleting=deleting)
    member = Member(subject, granted, Look(budget(minAvailable=1), View.of([subject], now=NOW)))
    decision = law.decide("healthy", member)
    assert decision.rule == f"PodDisruptionBudget/healthy/{healthy}"
    assert decision.outputs["counts"] is (healthy == "healthy")
    listed = law.decide("disrupted", member)
    assert listed.rule == f"PodDisruptionBudget/disrupted/{kept}"
    assert listed.outputs["kept"] is (kept == "waiting")
    assert listed.actions == (("announce_not_deleted",) if kept == "overdue" else ())


@pytest.mark.parametrize(
    ("expected", "spare", "rule", "allows"),
    [
        (0, 3, "nothing-expected", "nothing"),
        (-1, 3, "nothing-expected", "nothing"),
        (3, 0, "none-spare", "nothing"),
        (3, -1, "none-spare", "nothing"),
        (3, 2, "spare", "spare"),
        (1, 1, "spare", "spare"),
    ],
)
def test_how_many_evictions_are_allowed(expected: int, spare: int, rule: str, allows: str) -> None:
    decision = law.decide("allowed", Balance(expected, spare))
    assert (decision.rule, decision.outputs["allows"]) == (f"PodDisruptionBudget/allowed/{rule}", allows)


EVICTED = ("EvictionByEvictionAPI", "2023-11-14T22:10:00Z")
LATELY = ("EvictionByEvictionAPI", "2023-11-14T22:12:00Z")


@pytest.mark.parametrize(
    ("subject", "rule"),
    [
        (pod(target=EVICTED, deleting=True), "deleting"),
        (pod(target=EVICTED, phase="Succeeded"), "ended"),
        (pod(target=EVICTED, phase="Failed"), "ended"),
        (pod(), "unmarked"),
        (pod(target=("TerminationByKubelet", EVICTED[1])), "by-kubelet"),
        (pod(target=LATELY), "recent"),
        (pod(target=EVICTED), "stale"),
    ],
)
def test_a_mark_of_an_eviction_that_did_not_come_is_taken_back(subject: Pod, rule: str) -> None:
    view = View.of([subject], now=NOW)
    assert law.decide("stale-condition", Marked(subject, view)).rule == f"PodDisruptionBudget/stale-condition/{rule}"
    steps = DisruptionController().reconcile(view, ("Pod", "a", "p")).steps
    assert [type(step) for step in steps] == ([Update] if rule == "stale" else [])
    if rule == "stale":
        (update,) = steps
        target = next(each for each in update.object.status.conditions if each.type == "DisruptionTarget")
        assert (target.status, target.reason, target.last_transition_time) == ("False", "", NOW)


def test_a_budget_whose_numbers_are_not_known_allows_nothing() -> None:
    subject = pod(of=JOB)
    view = View.of([subject, budget({"disruptionsAllowed": 3}, maxUnavailable=1)], now=NOW)
    record, update = DisruptionController().reconcile(view, ("PodDisruptionBudget", "a", "b")).steps
    assert isinstance(record, Record) and record.reason == "CalculateExpectedPodCountFailed"
    assert isinstance(update, Update) and update.object.status.disruptions_allowed == 0
    assert [(c.type, c.status, c.reason) for c in update.object.status.conditions] == [
        ("DisruptionAllowed", "False", "SyncFailed")
    ]
