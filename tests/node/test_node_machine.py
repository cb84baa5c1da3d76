"""Who may change a Node's state in which way, as kubelets, users and the node controller do in a real cluster."""

from __future__ import annotations

import pytest

from k8sfsm.machine import Machines
from k8sfsm.objects import Node, NodeCondition, NodeSpec, NodeStatus, ObjectMeta
from tests.node.test_actors import ALL

MACHINES = Machines.load()
REMOVERS = {"apiserver", "garbage-collector", "kubelet", "node-controller", "user"}


def node(ready, beat=1, *, cordoned=False):
    """A node whose kubelet last said `ready` at `beat`; None: it has said nothing."""
    conditions = () if ready is None else (NodeCondition(type="Ready", status=ready, last_heartbeat_time=beat),)
    spec = NodeSpec(unschedulable=cordoned)
    return Node(metadata=ObjectMeta(name="n"), spec=spec, status=NodeStatus(conditions=conditions))


def allowed(old, new):
    return {actor for actor in ALL if MACHINES.check(old, new, actor, 0).legal}


@pytest.mark.parametrize(
    ("ready", "state"), [("True", "Ready"), ("False", "NotReady"), ("Unknown", "Unknown"), (None, "Unknown")]
)
def test_health(ready, state):
    assert MACHINES.classify(node(ready))["health"] == state


def test_scheduling():
    assert MACHINES.classify(node("True"))["scheduling"] == "Schedulable"
    assert MACHINES.classify(node("True", cordoned=True))["scheduling"] == "Cordoned"


@pytest.mark.parametrize(
    ("old", "new", "actors"),
    [
        (None, node("False"), {"kubelet", "user"}),
        (None, node("True"), {"kubelet", "user"}),
        (None, node(None), {"user"}),
        (None, node("False", cordoned=True), {"kubelet", "user"}),
        (node("False"), node("True"), {"kubelet", "user"}),
        (node("Unknown"), node("True"), {"kubelet", "user"}),
        (node("True"), node("False"), {"kubelet", "user"}),
        (node("Unknown"), node("False"), {"kubelet", "user"}),
        (node("True"), node("Unknown"), {"node-controller"}),
        (node("False"), node("Unknown"), {"node-controller"}),
        (node("True", beat=1), node("Unknown", beat=2), set()),
        (node("True"), node("True", cordoned=True), {"user"}),
        (node("True", cordoned=True), node("True"), {"user"}),
        (node("True"), None, REMOVERS),
        (node("False"), None, REMOVERS),
        (node("Unknown"), None, REMOVERS),
        (node("True", cordoned=True), None, REMOVERS),
    ],
)
def test_actors(old, new, actors):
    assert allowed(old, new) == actors


@pytest.mark.parametrize("ready", ["True", "False", "Unknown"])
@pytest.mark.parametrize("cordoned", [True, False])
def test_a_node_whose_machine_is_gone_from_the_cloud_is_removed(ready, cordoned):
    verdict = MACHINES.check(node(ready, cordoned=cordoned), None, "cloud-node-lifecycle-controller", 0)
    assert verdict.legal
