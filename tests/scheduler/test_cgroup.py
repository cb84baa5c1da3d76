"""CPU shares, quotas and oom_score_adj."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_clusters import pod
from test_scheduler_vectors import cases

from k8sfsm.kinds.pod_cgroup import cpu_quota, cpu_shares, oom_score_adj, pod_cgroup
from k8sfsm.law import usable
from k8sfsm.objects import from_json
from k8sfsm.verify.vectors import same
from k8sfsm.verify.vectors.scheduler import pod_resources

GIB = 1 << 30


def test_vectors() -> None:
    for case in cases("pod_resources"):
        assert same(case["out"], pod_resources(case["in"])), case["in"]


def test_the_room_binds() -> None:
    assert usable("cgroup") == ()


@pytest.mark.parametrize(
    ("milli", "shares"), [(0, 2), (1, 2), (100, 102), (1000, 1024), (256_000, 262_144), (10**6, 262_144)]
)
def test_cpu_shares(milli: int, shares: int) -> None:
    assert cpu_shares(milli) == shares


@pytest.mark.parametrize(("milli", "quota"), [(0, 0), (1, 1000), (10, 1000), (11, 1100), (250, 25_000)])
def test_cpu_quota(milli: int, quota: int) -> None:
    assert cpu_quota(milli, 100_000) == quota


def limited(limits: dict[str, str], requests: dict[str, str] | None = None, **spec: Any) -> Any:
    resources = {"limits": limits, "requests": limits if requests is None else requests}
    containers = [{"name": "a", "resources": resources}]
    meta = {"name": "p", "namespace": "default"}
    return from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": containers, **spec}})


def test_pod_cgroup_by_class() -> None:
    both = {"cpu": "1", "memory": "1Gi"}
    guaranteed = pod_cgroup(limited(both))
    assert (guaranteed.cpu_shares, guaranteed.cpu_quota, guaranteed.cpu_period) == (1024, 100_000, 100_000)
    assert guaranteed.memory == GIB
    best_effort = pod_cgroup(pod("p"))
    assert (best_effort.cpu_shares, best_effort.cpu_quota, best_effort.memory) == (2, None, None)
    burstable = pod_cgroup(limited(both, {"cpu": "500m"}))
    assert (burstable.cpu_shares, burstable.cpu_quota, burstable.memory) == (512, 100_000, GIB)
    assert pod_cgroup(limited({"cpu": "1"}, {})).memory is None
    assert pod_cgroup(limited({"cpu": "1"}, {})).cpu_quota == 100_000
    assert pod_cgroup(limited({"memory": "1Gi"}, {})).memory == GIB
    assert pod_cgroup(limited({"memory": "1Gi"}, {})).cpu_quota is None
    assert pod_cgroup(limited({}, {"cpu": "1"})).cpu_quota is None


def test_oom_scores() -> None:
    def score(given: Any, capacity: int = 8 * GIB) -> int:
        return oom_score_adj(given, given.spec.containers[0], capacity)

    both = {"cpu": "1", "memory": "1Gi"}
    critical = {"priorityClassName": "system-node-critical"}
    assert score(limited(both)) == -997
    assert score(pod("p")) == 1000
    assert score(limited({}, {"memory": "1Gi"})) == 875
    assert score(limited({}, {"memory": "8Gi"})) == 3
    assert score(limited({}, {"cpu": "1"})) == 999
    assert score(limited({}, {"memory": "1Gi"}, priority=2_000_000_000, **critical)) == -997
    assert score(limited({}, {"memory": "1Gi"}, priority=1_999_999_999, **critical)) == 875
    assert score(limited({}, {"memory": "1Gi"}, priority=2_000_000_000)) == 875
