"""Answers of probes that come while a pod's worker is busy, and what is reported of a pod without a readable cgroup."""

from __future__ import annotations

from attrs import evolve

from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.session import Settings
from k8sfsm.node.status import StatusCase, pod_resources
from k8sfsm.objects import Container, ExecAction, Probe, Quantity, ResourceRequirements
from tests.node.harness import World, key, pod_named

ASKS = Probe(exec=ExecAction(command=("probe", "ready")), period_seconds=1)


def started(*containers, seconds, **settings):
    kubelet = Kubelet("node-1", Settings(node="node-1", host_ip="10.10.0.11", **settings))
    place = World(kubelet, ScriptedRuntime())
    place.put(pod_named("a", list(containers)))
    place.run(seconds)
    return place


def ready(pod):
    return {each.type: each.status for each in pod.status.conditions if each.type in ("Ready", "ContainersReady")}


def test_a_container_that_turns_ready_while_its_pod_ends_is_reported_so():
    place = started(Container(name="app", image="sim/ok-ready3s-ignoreterm:1", readiness_probe=ASKS), seconds=2.5)
    place.delete(key("a"), 6)
    place.run(4)
    assert place.history[-1].metadata.deletion_timestamp is not None
    assert place.history[-1].status.container_statuses[0].ready
    assert ready(place.history[-1]) == {"Ready": "True", "ContainersReady": "True"}


def test_an_answer_is_reported_while_another_container_is_pulled():
    asked = Container(name="app", image="sim/ok-ready6s:1", readiness_probe=ASKS)
    starting = evolve(asked, startup_probe=evolve(ASKS, failure_threshold=30), readiness_probe=None)
    pulled = Container(name="other", image="sim/exit1-after-1s-pull3s:1", image_pull_policy="Always")
    for container, field in ((asked, "ready"), (starting, "started")):
        place = started(container, pulled, seconds=7.6)
        assert [each.finished_at is None for each in place.state["uid-a"].containers["other"]] == [False]
        assert [getattr(each, field) for each in place.history[-1].status.container_statuses] == [True, False]
        assert ready(place.history[-1])["Ready"] == "False"


def resources(before, stored, *, readable=False):
    wanted = ResourceRequirements(requests={"cpu": Quantity.parse("1"), "memory": Quantity.parse("1Gi")})
    pod = pod_named("a", [Container(name="app", image="sim/ok:1", resources=wanted)])
    kept = ResourceRequirements(requests={"cpu": Quantity.parse("2")}, limits={"cpu": Quantity.parse("3")})
    place = started(Container(name="app", image="sim/ok:1"), seconds=3)
    case = StatusCase(
        pod=evolve(pod, status=evolve(pod.status, phase=stored)),
        runtime=place.state["uid-a"],
        reported=evolve(pod.status, phase=before, resources=kept),
        now=place.now,
        reads_cgroups=readable,
    )
    shown = pod_resources(case)
    return {name: str(each) for name, each in shown.requests.items()}, bool(shown.limits)


def test_resources_of_a_pod_without_a_readable_cgroup():
    assert resources("Pending", "Pending") == ({"cpu": "1", "memory": "1Gi"}, False)
    assert resources("Running", "Running") == ({"cpu": "2", "memory": "1Gi"}, True)
    assert resources("Succeeded", "Running") == ({"memory": "1Gi"}, False)
    assert resources("Succeeded", "Running", readable=True) == ({"cpu": "1", "memory": "1Gi"}, False)


def test_what_is_left_of_a_pod_that_is_over():
    wanted = ResourceRequirements(requests={"cpu": Quantity.parse("1"), "memory": Quantity.parse("1Gi")})
    place = started(Container(name="app", image="sim/ok:1", resources=wanted), seconds=3, reads_cgroups=False)
    assert set(place.history[-1].status.resources.requests) == {"cpu", "memory"}
    place.delete(key("a"), 3)
    place.run(8)
    assert set(place.history[-1].status.resources.requests) == {"memory"}
