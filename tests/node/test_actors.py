"""Who may change a Pod's and a Node's state in which way: the exact sets of actors."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.machine import Machines
from k8sfsm.objects import Container, ContainerState, ContainerStateRunning, ContainerStatus, PodCondition
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


def reported(pod, phase, **status):
    """The Pod after its kubelet's report."""
    return evolve(pod, status=evolve(pod.status, phase=phase, start_time=1, **status))


def moved(pod):
    return evolve(pod, spec=evolve(pod.spec, node_name="node-2"))


def with_phase(pod, phase):
    return evolve(pod, status=evolve(pod.status, phase=phase))


def marked(pod):
    """To be removed as soon as nothing keeps it: what the API server writes before it removes a Pod."""
    return evolve(pod, metadata=evolve(pod.metadata, deletion_timestamp=1, deletion_grace_period_seconds=0))


def over(pod):
    return with_phase(pod, "Failed")


RUNS = (ContainerStatus(name="app", state=ContainerState(running=ContainerStateRunning(started_at=1))),)
IS_READY = (PodCondition(type="Ready", status="True"),)
CREATING = reported(BOUND, "Pending")
RUNNING = reported(BOUND, "Running", container_statuses=RUNS)
READY = reported(BOUND, "Running", container_statuses=RUNS, conditions=IS_READY)
WITH_INITS = evolve(BOUND, spec=evolve(BOUND.spec, init_containers=(Container(name="init"),)))
INITIALIZED, AGAIN = reported(WITH_INITS, "Running", container_statuses=RUNS), reported(WITH_INITS, "Pending")
SUCCEEDED, FAILED = reported(BOUND, "Succeeded"), reported(BOUND, "Failed")
STILL_RUNS = {"container_statuses": RUNS}


@pytest.mark.parametrize(
    ("old", "new", "actors"),
    [
        (None, UNBOUND, MAKERS),
        (None, BOUND, MAKERS),
        (None, with_phase(UNBOUND, "Unknown"), set()),
        (None, with_phase(BOUND, "Unknown"), set()),
        (None, RUNNING, set()),
        (None, GRACE, set()),
        (UNBOUND, BOUND, {"kube-scheduler", "user"}),
        (UNBOUND, GRACE, set()),
        (BOUND, GRACE, DELETERS),
        (BOUND, REMOVABLE, DELETERS),
        (GRACE, REMOVABLE, DELETERS),
        (GRACE, BOUND, set()),
        (REMOVABLE, GRACE, set()),
        (BOUND, over(GRACE), set()),
        (BOUND, over(REMOVABLE), set()),
        (GRACE, over(REMOVABLE), set()),
        (BOUND, None, set()),
        (GRACE, None, DELETERS),
        (marked(UNBOUND), None, DELETERS),
        (marked(BOUND), None, DELETERS),
        (marked(CREATING), None, DELETERS),
        (marked(RUNNING), None, DELETERS),
        (marked(READY), None, DELETERS),
        (marked(FAILED), None, DELETERS),
        (marked(SUCCEEDED), None, DELETERS),
    ],
)
def test_makers_and_deleters_of_pods(old, new, actors):
    assert allowed(old, new) == actors


@pytest.mark.parametrize(
    ("old", "new", "actors"),
    [
        (BOUND, CREATING, {"kubelet"}),
        (BOUND, moved(CREATING), set()),
        (CREATING, RUNNING, {"kubelet"}),
        (CREATING, moved(RUNNING), set()),
        (BOUND, RUNNING, {"kubelet"}),
        (BOUND, moved(RUNNING), set()),
        (UNBOUND, RUNNING, set()),
        (BOUND, SUCCEEDED, {"kubelet"}),
        (CREATING, SUCCEEDED, {"kubelet"}),
        (RUNNING, SUCCEEDED, {"kubelet"}),
        (UNBOUND, SUCCEEDED, set()),
        (RUNNING, reported(BOUND, "Succeeded", **STILL_RUNS), set()),
        (BOUND, FAILED, {"kubelet", "pod-garbage-collector"}),
        (CREATING, FAILED, {"kubelet", "pod-garbage-collector"}),
        (RUNNING, FAILED, {"kubelet", "pod-garbage-collector"}),
        (RUNNING, reported(BOUND, "Failed", **STILL_RUNS), {"pod-garbage-collector"}),
        (UNBOUND, over(UNBOUND), {"pod-garbage-collector"}),
        (RUNNING, CREATING, set()),
        (INITIALIZED, AGAIN, {"kubelet"}),
        (INITIALIZED, moved(AGAIN), set()),
        (CREATING, BOUND, set()),
        (SUCCEEDED, RUNNING, set()),
        (FAILED, RUNNING, set()),
        (SUCCEEDED, FAILED, set()),
        (FAILED, SUCCEEDED, set()),
    ],
)
def test_life_of_pods(old, new, actors):
    assert allowed(old, new) == actors


@pytest.mark.parametrize(
    ("old", "new", "actors"),
    [
        (RUNNING, READY, {"kubelet"}),
        (CREATING, reported(BOUND, "Pending", conditions=IS_READY), set()),
        (READY, RUNNING, {"kubelet", "node-controller"}),
        (READY, FAILED, {"kubelet"}),
    ],
)
def test_readiness_of_pods(old, new, actors):
    assert allowed(old, new) == actors


def allowed(old, new):
    return {actor for actor in ALL if MACHINES.check(old, new, actor, 0).legal}
