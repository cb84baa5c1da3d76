"""Samples of the vectors of the real functions; the full files are run by `k8sfsm vectors`."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.kinds.pod_resources import CPU, MEMORY, NON_MISSING, pod_limits, pod_requests, resource_request
from k8sfsm.objects import from_json
from k8sfsm.verify.vectors import same
from k8sfsm.verify.vectors.scheduler import (
    node_affinity,
    scheduler_decision,
    scheduler_num_feasible,
    scheduler_preemption,
    toleration_taint,
)

DATA = Path(__file__).parent.parent / "data" / "scheduler"


def cases(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as lines:
        return [json.loads(line) for line in lines]


@pytest.mark.parametrize(
    "adapter", [node_affinity, scheduler_decision, scheduler_num_feasible, scheduler_preemption, toleration_taint]
)
def test_vectors(adapter: Any) -> None:
    for case in cases(adapter.__name__):
        assert same(case["out"], adapter(case["in"])), case["in"]


def texts(amounts: Any) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}


def test_effective_requests_and_limits() -> None:
    for case in cases("pod_resources"):
        pod, out = from_json(case["in"]["pod"]), case["out"]
        assert texts(pod_requests(pod)) == out["requests"]
        assert texts(pod_limits(pod)) == out["limits"]
        assert texts(pod_requests(pod, overhead=False)) == out["requestsNoOverhead"]
        assert texts(pod_requests(pod, pod_level=False)) == out["requestsContainersOnly"]
        assert texts(pod_requests(pod, non_missing=NON_MISSING)) == out["requestsNonMissing"]
        assert resource_request(pod, CPU).milli_value == out["cpuRequestMilli"]
        assert resource_request(pod, MEMORY).value == out["memoryRequestBytes"]
