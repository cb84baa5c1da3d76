"""Evictions and the budgets that have to grant them."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.eviction import EvictionCase, granted, marked
from k8sfsm.objects import Pod, PodDisruptionBudget, from_json

SECOND = 1_700_000_000 * 10**9


def pod(phase: str = "Running", ready: bool = True) -> Pod:
    conditions = [{"type": "Ready", "status": str(ready)}]
    status = {"phase": phase, "conditions": conditions}
    found: Pod = from_json({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "status": status})
    return found


def budget(allowed: int = 1, healthy: int = 2, desired: int = 1, policy: str = "", **meta: Any) -> PodDisruptionBudget:
    spec = {"unhealthyPodEvictionPolicy": policy} if policy else {}
    status = {"disruptionsAllowed": allowed, "currentHealthy": healthy, "desiredHealthy": desired, "expectedPods": 2}
    document = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "b", **meta}}
    found: PodDisruptionBudget = from_json({**document, "spec": spec, "status": status})
    return found


def code(case: EvictionCase) -> int:
    try:
        granted(case)
    except Refusal as refusal:
        return refusal.code
    return 0


@pytest.mark.parametrize(
    ("subject", "budgets", "expected"),
    [
        (pod(), (), 0),
        (pod("Pending"), (budget(allowed=0),), 0),
        (pod("Succeeded"), (budget(allowed=0), budget()), 0),
        (pod(), (budget(), budget()), 500),
        (pod(ready=False), (budget(allowed=0, healthy=0, policy="AlwaysAllow"),), 0),
        (pod(ready=False), (budget(allowed=0, healthy=1),), 0),
        (pod(ready=False), (budget(allowed=0, healthy=0),), 429),
        (pod(), (budget(generation=2),), 429),
        (pod(), (budget(allowed=-1),), 403),
        (pod(), (budget(allowed=0),), 429),
        (pod(), (budget(),), 0),
    ],
)
def test_who_may_be_evicted(subject: Pod, budgets: tuple[PodDisruptionBudget, ...], expected: int) -> None:
    assert code(EvictionCase(subject, SECOND, budgets)) == expected


def test_a_grant_is_counted_and_the_last_one_changes_the_condition() -> None:
    left = granted(EvictionCase(pod(), SECOND, (budget(),)))
    assert left is not None
    assert (left.status.disruptions_allowed, dict(left.status.disrupted_pods)) == (0, {"a": SECOND})
    assert [(each.type, each.status, each.reason) for each in left.status.conditions] == [
        ("DisruptionAllowed", "False", "InsufficientPods")
    ]


def test_an_evicted_pod_says_so() -> None:
    condition = marked(EvictionCase(pod(), SECOND)).status.conditions[-1]
    assert (condition.type, condition.status, condition.reason) == ("DisruptionTarget", "True", "EvictionByEvictionAPI")
