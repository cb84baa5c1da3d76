"""What a kubelet looks at before it takes a pod."""

from __future__ import annotations

import pytest
from attrs import evolve

from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.session import Settings
from k8sfsm.objects import (
    Affinity,
    Container,
    ContainerPort,
    Node,
    NodeAffinity,
    NodeCondition,
    NodeSelector,
    NodeSelectorRequirement,
    NodeSelectorTerm,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    Quantity,
    ResourceRequirements,
    Taint,
    Toleration,
)
from tests.node.harness import World, pod_named

OK = Container(name="app", image="sim/ok:1")
EVICTING = Taint(key="maintenance", effect="NoExecute")
PRESSURE_TAINT = "node.kubernetes.io/memory-pressure"


def node(*pressures, taints=()):
    room = {"cpu": Quantity.parse("1"), "memory": Quantity.parse("1Gi"), "pods": Quantity.parse("10")}
    conditions = tuple(NodeCondition(type=each, status="True") for each in pressures)
    meta = ObjectMeta(name="node-1", labels={"disk": "hdd"})
    status = NodeStatus(capacity=room, allocatable=room, conditions=conditions)
    return Node(metadata=meta, spec=NodeSpec(taints=taints), status=status)


def outcome(pod, place=None, of=None):
    place = place or World(Kubelet("node-1", Settings(node="node-1")))
    place.put(of or node(), wake=False)
    place.put(pod)
    place.run(3)
    status = next(each for each in reversed(place.history) if each.metadata.uid == pod.metadata.uid).status
    return (status.phase, status.reason, status.message.removeprefix("Pod was rejected: "))


def affine(value):
    wanted = NodeSelectorRequirement(key="disk", operator="In", values=(value,))
    required = NodeSelector(node_selector_terms=(NodeSelectorTerm(match_expressions=(wanted,)),))
    affinity = NodeAffinity(required_during_scheduling_ignored_during_execution=required)
    return pod_named("a", [OK], affinity=Affinity(node_affinity=affinity))


def test_node_affinity():
    text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    assert outcome(affine("ssd")) == ("Failed", "NodeAffinity", text)
    assert outcome(affine("hdd")) == ("Running", "", "")


def on_port(name, port, **more):
    return pod_named(name, [evolve(OK, ports=(ContainerPort(container_port=80, host_port=port, **more),))])


def test_host_ports():
    place = World(Kubelet("node-1", Settings(node="node-1")))
    assert outcome(on_port("a", 80), place)[0] == "Running"
    text = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"
    assert outcome(on_port("b", 80), place) == ("Failed", "NodePorts", text)
    assert outcome(on_port("c", 80, protocol="UDP"), place)[0] == "Running"
    assert outcome(on_port("d", 81), place)[0] == "Running"


def test_taint_that_evicts():
    tainted = node(taints=(EVICTING,))
    text = "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"
    assert outcome(pod_named("a", [OK]), of=tainted) == ("Failed", "TaintToleration", text)
    tolerant = pod_named("a", [OK], tolerations=(Toleration(operator="Exists"),))
    assert outcome(tolerant, of=tainted)[0] == "Running"
    assert outcome(pod_named("a", [OK]), of=node(taints=(evolve(EVICTING, effect="NoSchedule"),)))[0] == "Running"


ASKING = evolve(OK, resources=ResourceRequirements(requests={"cpu": Quantity.parse("100m")}))


@pytest.mark.parametrize(
    ("pressures", "pod", "phase"),
    [
        (["MemoryPressure"], pod_named("a", [OK]), "Failed"),
        (
            ["MemoryPressure"],
            evolve(pod_named("a", [ASKING]), status=evolve(pod_named("a", []).status, qos_class="")),
            "Running",
        ),
        (
            ["MemoryPressure"],
            pod_named("a", [OK], tolerations=(Toleration(key=PRESSURE_TAINT, operator="Exists"),)),
            "Running",
        ),
        (
            ["DiskPressure"],
            evolve(pod_named("a", [ASKING]), status=evolve(pod_named("a", []).status, qos_class="")),
            "Failed",
        ),
        (["DiskPressure"], pod_named("a", [OK], priority=2_000_000_000), "Running"),
        (["MemoryPressure"], pod_named("a", [OK], priority=2_000_000_000), "Running"),
        ([], pod_named("a", [OK]), "Running"),
    ],
)
def test_node_that_is_short_of_something(pressures, pod, phase):
    found = outcome(pod, of=node(*pressures))
    assert found[0] == phase
    if phase == "Failed":
        assert found[1:] == ("Evicted", f"The node had condition: [{pressures[0]}]. ")
