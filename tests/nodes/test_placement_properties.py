"""What must hold in every run: random clusters, random pods, random drains; judged by arithmetic of this file's own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import k8sfsm
from k8sfsm.engine.line import Line
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.model import NodeSetting
from k8sfsm.scenario.user import User

HOST = "kubernetes.io/hostname"
CLASSES = {"low": 10, "middle": 100, "high": 1000}
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@st.composite
def node_settings(draw: st.DrawFn, name: str) -> NodeSetting:
    return NodeSetting(
        name=name,
        cpu=draw(st.sampled_from(["500m", "1", "2"])),
        memory=draw(st.sampled_from(["1Gi", "1Gi", "4Gi"])),
        pods=draw(st.sampled_from([2, 5, 20])),
        labels={"disk": draw(st.sampled_from(["ssd", "hdd"]))},
        taints=draw(st.sampled_from([(), ("gpu=true:NoSchedule",)])),
    )


@st.composite
def pods(draw: st.DrawFn, name: str) -> dict[str, Any]:
    app = draw(st.sampled_from(["web", "db"]))
    requests = {
        "cpu": draw(st.sampled_from(["0", "100m", "400m", "1"])),
        "memory": draw(st.sampled_from(["600Mi", "0", "600Mi"])),
    }
    container: dict[str, Any] = {"name": "c", "image": "x", "resources": {"requests": requests}}
    spec: dict[str, Any] = {"containers": [container], "terminationGracePeriodSeconds": 1}
    if draw(st.booleans()):
        container["ports"] = [{"containerPort": 80, "hostPort": draw(st.sampled_from([80, 80, 81]))}]
    if draw(st.integers(0, 3)) == 0:
        spec["nodeSelector"] = {"disk": draw(st.sampled_from(["ssd", "hdd"]))}
    if draw(st.booleans()):
        spec["tolerations"] = [{"key": "gpu", "operator": "Exists"}]
    if draw(st.integers(0, 3)) == 0:
        term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": draw(st.sampled_from(["web", "db"]))}}}
        spec["affinity"] = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    if draw(st.integers(0, 3)) == 0:
        spec["priorityClassName"] = draw(st.sampled_from(sorted(CLASSES)))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}}, "spec": spec}


def priority_class(name: str, value: int) -> dict[str, Any]:
    return {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value}


class Ledger:
    """The pods of a cluster, followed line by line, and what was wrong at the moment of each binding."""

    def __init__(self) -> None:
        self.nodes: dict[str, Any] = {}
        self.pods: dict[str, Any] = {}
        self.bound = 0
        self.preempted: list[tuple[Any, Any]] = []
        self.wrong: list[str] = []

    def __call__(self, line: Line) -> None:
        if line.key[0] == "Node" and line.after is not None:
            self.nodes[line.key[2]] = line.after
        if line.key[0] == "Event" and line.after is not None and line.after.reason == "Preempted":
            self._preempted(line.after)
        if line.key[0] != "Pod" or not line.change:
            return
        if line.change == "DELETED":
            self.pods.pop(line.key[2], None)
            return
        before = self.pods.get(line.key[2])
        self.pods[line.key[2]] = line.after
        if line.after.spec.node_name and not (before is not None and before.spec.node_name):
            self.bound += 1
            self.wrong += [f"{line.key[2]} on {line.after.spec.node_name}: {text}" for text in self._judge(line.after)]

    def _preempted(self, event: Any) -> None:
        uid = event.message.removeprefix("Preempted by pod ").partition(" ")[0]
        winner = next((pod for pod in self.pods.values() if pod.metadata.uid == uid), None)
        victim = self.pods.get(event.involved_object.name)
        if winner is not None and victim is not None and not (winner.spec.priority or 0) > (victim.spec.priority or 0):
            self.wrong.append(f"{victim.metadata.name} gave way to {winner.metadata.name}, which is no more important")
        self.preempted.append((winner, victim))

    def _judge(self, pod: Any) -> Iterator[str]:
        node = self.nodes[pod.spec.node_name]
        there = [
            each
            for each in self.pods.values()
            if each.spec.node_name == pod.spec.node_name and each.status.phase not in ("Succeeded", "Failed")
        ]
        used: Counter[str] = Counter(pods=len(there))
        for each in there:
            for name in ("cpu", "memory"):
                amount = each.spec.containers[0].resources.requests.get(name)
                used[name] += 0 if amount is None else amount.milli_value
        for name, amount in used.items():
            allowed = node.status.allocatable[name]
            room = allowed.value if name == "pods" else allowed.milli_value
            asks = name == "pods" or used_by(pod, name)
            if asks and amount > room:
                yield f"{name} {amount} of {room}"
        others = [each for each in there if each.metadata.uid != pod.metadata.uid]
        labels = node.metadata.labels
        if any(labels.get(key) != value for key, value in pod.spec.node_selector.items()):
            yield "nodeSelector"
        if any(taint.effect == "NoSchedule" for taint in node.spec.taints if taint.key == "gpu") and not any(
            each.key == "gpu" for each in pod.spec.tolerations
        ):
            yield "taint"
        if ports(pod) & {port for each in others for port in ports(each)}:
            yield "host port"
        if any(shuns(pod, each) or shuns(each, pod) for each in others):
            yield "anti-affinity"


def used_by(pod: Any, name: str) -> bool:
    amount = pod.spec.containers[0].resources.requests.get(name)
    return amount is not None and amount.milli_value > 0


def ports(pod: Any) -> set[int]:
    return {port.host_port for port in pod.spec.containers[0].ports if port.host_port}


def shuns(pod: Any, other: Any) -> bool:
    """Must `pod` not be on the node of `other`?"""
    affinity = pod.spec.affinity
    if affinity is None or affinity.pod_anti_affinity is None:
        return False
    terms = affinity.pod_anti_affinity.required
    return any(term.label_selector.match_labels["app"] == other.metadata.labels["app"] for term in terms)


def cluster(data: st.DataObject, ledger: Ledger) -> User:
    settings = [data.draw(node_settings(f"n{number}")) for number in range(data.draw(st.integers(1, 4)))]
    classes = [priority_class(name, value) for name, value in CLASSES.items()]
    user = k8sfsm.start(classes, nodes=settings, seed=data.draw(st.integers(0, 9)), tracer=ledger)
    for node in user.engine.store.snapshot.series("in", "Node", ""):
        ledger.nodes.setdefault(node.metadata.name, node)
    return user


@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_nothing_is_bound_where_it_must_not_be(data: st.DataObject) -> None:
    ledger = Ledger()
    user = cluster(data, ledger)
    for number in range(data.draw(st.integers(6, 14))):
        assert not user.create(data.draw(pods(f"p{number}"))).refused
        if data.draw(st.booleans()):
            user.engine.run(until=user.engine.now + data.draw(st.sampled_from([1, 5, 20])) * SECOND // 10)
        if data.draw(st.integers(0, 5)) == 0 and ledger.pods:
            user.delete(f"pod/{data.draw(st.sampled_from(sorted(ledger.pods)))}")
    user.engine.run(until=user.engine.now + 60 * SECOND)
    assert not ledger.wrong


def test_the_judge_sees_what_is_wrong() -> None:
    """The arithmetic of this file finds each kind of mistake."""
    ledger = Ledger()
    node = NodeSetting(name="n", cpu="1", memory="1Gi", pods=3, taints=("gpu=true:NoSchedule",))
    user = k8sfsm.start([], nodes=[node], tracer=ledger)
    user.engine.run(until=user.engine.now + SECOND)
    for found in user.engine.store.snapshot.series("in", "Node", ""):
        ledger.nodes[found.metadata.name] = found
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}}
    spec: dict[str, Any] = {
        "nodeName": "n",
        "nodeSelector": {"disk": "ssd"},
        "containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "2", "memory": "2Gi"}}}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}},
    }
    spec["containers"][0]["ports"] = [{"containerPort": 80, "hostPort": 80}]
    for name in "abcd":
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}
        assert not user.create(made).refused
    told = " ".join(ledger.wrong)
    for word in ("cpu", "memory", "pods 4 of 3", "nodeSelector", "taint", "host port", "anti-affinity"):
        assert word in told, told


def test_the_judge_sees_who_gives_way() -> None:
    ledger = Ledger()
    classes = [priority_class(name, value) for name, value in CLASSES.items()]
    user = k8sfsm.start(classes, nodes=[NodeSetting(name="n", cpu="1")], tracer=ledger)
    for node in user.engine.store.snapshot.series("in", "Node", ""):
        ledger.nodes[node.metadata.name] = node
    for name, priority in (("first", "low"), ("second", "high")):
        container = {"name": "c", "image": "x", "resources": {"requests": {"cpu": "600m"}}}
        spec = {"containers": [container], "priorityClassName": priority, "terminationGracePeriodSeconds": 1}
        made = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}
        assert not user.create(made).refused
        user.engine.run(until=user.engine.now + 10 * SECOND)
    [(winner, victim)] = ledger.preempted
    assert (winner.metadata.name, victim.metadata.name) == ("second", "first")
    assert ledger.bound == 2 and not ledger.wrong and list(ledger.pods) == ["second"]


@settings(max_examples=15, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_who_gives_way_is_less_important(data: st.DataObject) -> None:
    ledger = Ledger()
    user = k8sfsm.start(
        [priority_class(name, value) for name, value in CLASSES.items()],
        nodes=[NodeSetting(name=f"n{number}", cpu="1") for number in range(data.draw(st.integers(1, 3)))],
        tracer=ledger,
    )
    for node in user.engine.store.snapshot.series("in", "Node", ""):
        ledger.nodes[node.metadata.name] = node
    for number in range(data.draw(st.integers(6, 12))):
        made = data.draw(pods(f"p{number}"))
        made["spec"]["containers"][0]["resources"]["requests"]["cpu"] = data.draw(st.sampled_from(["300m", "600m"]))
        made["spec"]["priorityClassName"] = data.draw(st.sampled_from(sorted(CLASSES)))
        made["spec"].pop("nodeSelector", None)
        assert not user.create(made).refused
        user.engine.run(until=user.engine.now + data.draw(st.sampled_from([0, 1, 4])) * SECOND)
    user.engine.run(until=user.engine.now + 60 * SECOND)
    assert not ledger.wrong


@settings(max_examples=12, deadline=None, suppress_health_check=SLOW)
@given(data=st.data())
def test_a_drained_node_is_empty_or_a_budget_says_why_not(data: st.DataObject) -> None:
    replicas = data.draw(st.integers(1, 4))
    least = data.draw(st.integers(0, 4))
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template},
    }
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "web"},
        "spec": {"minAvailable": least, "selector": {"matchLabels": {"app": "web"}}},
    }
    user = k8sfsm.start([deployment, budget], nodes=2, seed=data.draw(st.integers(0, 9)))
    user.engine.run(until=user.engine.now + 15 * SECOND)
    there = list(user.engine.store.snapshot.on_node("node-1"))
    reply = user.drain("node-1", timeout="40s")
    left = list(user.engine.store.snapshot.on_node("node-1"))
    assert reply.refused == bool(left)
    assert left or not there or least < replicas  # a budget that wants all of them lets none go
    if left:
        found = user.object("pdb/web")
        assert found.status.disruptions_allowed == 0 and least >= replicas
        assert all(f'evicting pods/"{pod.metadata.name}"' in reply.text for pod in left)
        assert "would violate the pod's disruption budget" in reply.text
    else:
        assert reply.text.endswith("node/node-1 drained")
