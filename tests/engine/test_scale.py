"""What a rollout costs, in steps and questions: quadratic behaviour shows in counts, not in times."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from benchmarks.rollout import START, cluster_nodes, manifests
from k8sfsm.engine.cluster import Latencies
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Create
from k8sfsm.scheduler.ledger import Ledger
from k8sfsm.table import CompiledTable

STEPS_PER_POD = 30
DECISIONS_PER_POD = 160
TAKES_PER_POD = 16


def rolled_out(nodes: int, pods: int) -> Engine:
    """A cluster after ten seconds of a rollout."""
    engine = standard_engine(
        [f"node-{number}" for number in range(nodes)],
        ScriptedRuntime(),
        store=cluster_nodes(nodes),
        now=START,
        limited=False,
        latencies=Latencies(watch=MILLISECOND),
    )
    for manifest in manifests(pods):
        outcome = engine.submit(Create(object=from_json(manifest)))
        assert outcome.ok, outcome.message
    engine.run(until=START + 10 * SECOND)
    return engine


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts questions to tables, and how often the scheduler accounts for a pod."""
    counts: Counter[str] = Counter()

    def counted(owner: type[Any], name: str) -> None:
        plain = getattr(owner, name)

        def count(*arguments: Any) -> Any:
            counts[name] += 1
            return plain(*arguments)

        monkeypatch.setattr(owner, name, count)

    counted(CompiledTable, "decide")
    counted(CompiledTable, "collect")
    counted(Ledger, "_take")
    return counts


def test_a_rollout_of_300_pods_on_30_nodes_ends_ready(asked: Counter[str]) -> None:
    engine = rolled_out(30, 300)
    deployment = engine.store.get("Deployment", "bench", "web")
    assert deployment is not None
    status = deployment.status
    assert (status.replicas, status.ready_replicas, status.available_replicas) == (300, 300, 300)
    slices = engine.store.snapshot.series("in", "EndpointSlice", "bench")
    assert sum(len(each.endpoints) for each in slices) == 300
    assert engine.steps <= STEPS_PER_POD * 300
    assert asked["decide"] + asked["collect"] <= DECISIONS_PER_POD * 300
    assert asked["_take"] <= TAKES_PER_POD * 300


def test_the_cost_per_pod_does_not_grow_with_the_number_of_pods(asked: Counter[str]) -> None:
    small = rolled_out(10, 100)
    few = asked.copy()
    large = rolled_out(40, 400)
    many = asked - few
    assert large.steps / 400 <= 1.2 * small.steps / 100
    for name in ("decide", "collect", "_take"):
        assert many[name] / 400 <= 1.2 * few[name] / 100, name
