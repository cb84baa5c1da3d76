"""Which pod goes first when a node runs short."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.node.eviction import Usage, evicted, over_request, ranked
from k8sfsm.objects import Container, Quantity, ResourceRequirements
from tests.node.harness import pod_named

CRITICAL = 2_000_000_000


def usage(name, used, requested=0, priority=None, pressure="memory", **more):
    resource = "memory" if pressure == "memory" else "ephemeral-storage"
    asks = ResourceRequirements(requests={resource: Quantity.of(requested)})
    pod = pod_named(name, [Container(name="app", resources=asks)], priority=priority)
    return Usage(pod=pod, pressure=pressure, used=used, **more)


def names(usages, pressure="memory"):
    return [each.pod.metadata.name for each in ranked(usages, pressure)]


@pytest.mark.parametrize("pressure", ["memory", "disk"])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        (usage("first", None, priority=9), usage("second", 500, 100)),
        (usage("first", 101, 100, priority=9), usage("second", 900, 900, priority=1)),
        (usage("first", 200, 100, priority=1), usage("second", 900, 100, priority=2)),
        (usage("first", 300, 100), usage("second", 800, 700)),
        (usage("first", 90, 100), usage("second", 100, 200)),
    ],
    ids=["without-figures", "over-request", "priority", "excess", "nearest-to-request"],
)
def test_order(first, second, pressure):
    pair = [
        evolve(
            each,
            pod=usage(each.pod.metadata.name, 0, each.requested, each.pod.spec.priority, pressure).pod,
            pressure=pressure,
        )
        for each in (first, second)
    ]
    assert names(pair, pressure) == names(pair[::-1], pressure) == ["first", "second"]


def test_request_that_is_just_used_up_is_not_exceeded():
    assert not over_request(usage("a", 100, 100)) and over_request(usage("a", 101, 100))


def test_order_by_processes():
    few, many = usage("few", 3, pressure="processes"), usage("many", 9, pressure="processes")
    assert names([few, many], "processes") == names([many, few], "processes") == ["many", "few"]
    dear = usage("dear", 99, priority=5, pressure="processes")
    assert names([dear, few], "processes") == ["few", "dear"]


def test_best_effort_pod_goes_first_only_because_it_exceeds_its_request():
    guaranteed, best_effort = usage("guaranteed", 900, 1000), usage("best-effort", 1)
    assert names([guaranteed, best_effort]) == ["best-effort", "guaranteed"]


def test_critical_pod_is_passed_over():
    critical, other = usage("critical", 900, priority=CRITICAL), usage("other", 100, priority=CRITICAL + 1)
    assert evicted([critical], "memory") is None and evicted([critical, other], "memory") is None
    pod, grace = evicted([critical, usage("plain", 1, 100)], "memory")
    assert (pod.metadata.name, grace) == ("plain", 1)


def test_soft_threshold_leaves_no_time_unless_configured():
    assert evicted([usage("a", 100, hard=False)], "memory")[1] == 0
