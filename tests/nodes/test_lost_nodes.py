"""A node whose kubelet falls silent in a running cluster, and one that is deleted."""

from __future__ import annotations

from k8sfsm.engine.action import Start, Stop
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create

START = 1_700_000_000 * SECOND
NODES = ("node-1", "node-2", "node-3")


def cluster() -> Engine:
    engine = standard_engine(NODES, ScriptedRuntime(), now=START)
    for name in ("default", "kube-node-lease"):
        document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        engine.submit(Create(object=from_json(document)))
    engine.run(until=START + 30 * SECOND)
    return engine


def taints(engine: Engine, node: str) -> set[tuple[str, str]]:
    found = engine.store.get("Node", "", node)
    return {(each.key.rpartition("/")[2], each.effect) for each in found.spec.taints}


def ready(engine: Engine, node: str) -> str:
    conditions = engine.store.get("Node", "", node).status.conditions
    return next(each.status for each in conditions if each.type == "Ready")


def test_nodes_that_answer_stay_ready() -> None:
    engine = cluster()
    engine.run(until=START + 300 * SECOND)
    assert [ready(engine, node) for node in NODES] == ["True"] * 3
    assert [taints(engine, node) for node in NODES] == [set()] * 3


def test_a_silent_node_is_lost_after_the_grace_period_and_back_when_it_answers() -> None:
    engine = cluster()
    engine.schedule(Stop("kubelet/node-1"), engine.now)
    engine.run(until=START + 65 * SECOND)
    assert ready(engine, "node-1") == "True"
    engine.run(until=START + 95 * SECOND)
    assert ready(engine, "node-1") == "Unknown"
    assert taints(engine, "node-1") == {("unreachable", "NoSchedule"), ("unreachable", "NoExecute")}
    engine.schedule(Start("kubelet/node-1"), engine.now)
    engine.run(until=START + 120 * SECOND)
    assert (ready(engine, "node-1"), taints(engine, "node-1")) == ("True", set())


def test_where_no_node_answers_none_is_evicted_from() -> None:
    engine = cluster()
    for node in NODES:
        engine.schedule(Stop(f"kubelet/{node}"), engine.now)
    engine.run(until=START + 200 * SECOND)
    assert [ready(engine, node) for node in NODES] == ["Unknown"] * 3
    assert not any(effect == "NoExecute" for node in NODES for _, effect in taints(engine, node))
