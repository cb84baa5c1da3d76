"""Who may change a Pod's and a Node's state in which way: the exact sets of actors."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.machine import Machines
from k8sfsm.objects import Node, NodeSpec, ObjectMeta
from tests.node.harness import pod_named

MACHINES = Machines.load()
OWNERS = {
    "daemonset-controller",
    "job-controller",
    "replicaset-controller",
    "replication-controller",
    "statefulset-controller",
}
MAKERS = OWNERS | {"kubelet", "user"}
DELETERS = MAKERS | {
    "apiserver",
    "cronjob-controller",
    "deployment-controller",
    "garbage-collector",
    "kube-scheduler",
    "namespace-controller",
    "node-controller",
    "pod-garbage-collector",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
}
ALL = DELETERS | {"endpoint-controller", "endpointslice-controller", "service-account-controller"}
BOUND = pod_named("a", [])
UNBOUND = evolve(BOUND, spec=evolve(BOUND.spec, node_name=""))
GRACE = evolve(BOUND, metadata=evolve(BOUND.metadata, deletion_timestamp=1, deletion_grace_period_seconds=30))
REMOVABLE = evolve(GRACE, metadata=evolve(GRACE.metadata, deletion_grace_period_seconds=0))


def over(pod):
    return evolve(pod, status=evolve(pod.status, phase="Failed"))


@pytest.mark.parametrize(
    ("old", "new", "actors"),
    [
        (None, UNBOUND, MAKERS),
        (None, BOUND, MAKERS),
        (UNBOUND, BOUND, {"kube-scheduler", "user"}),
        (BOUND, GRACE, DELETERS),
        (BOUND, REMOVABLE, DELETERS),
        (GRACE, REMOVABLE, DELETERS),
        (BOUND, over(GRACE), set()),
        (BOUND, over(REMOVABLE), set()),
        (GRACE, over(REMOVABLE), set()),
        (REMOVABLE, None, DELETERS),
        (UNBOUND, over(UNBOUND), {"pod-garbage-collector"}),
    ],
)
def test_pod(old, new, actors):
    assert {actor for actor in ALL if MACHINES.check(old, new, actor, 0).legal} == actors


def test_cordon():
    node = Node(metadata=ObjectMeta(name="n"))
    cordoned = evolve(node, spec=NodeSpec(unschedulable=True))
    assert {actor for actor in ALL if MACHINES.check(node, cordoned, actor, 0).legal} == {"user"}
