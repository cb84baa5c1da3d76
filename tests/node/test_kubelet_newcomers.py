"""Pods that are new to a kubelet: who is taken as others of the template were, and who is looked at by himself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map

from k8sfsm.law import LawError
from k8sfsm.node import alike, newcomers
from k8sfsm.node.admission import Bound, Requests, capacity_of, has_room, requests_of
from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.memory import Eviction, PodMemory, eviction_key
from k8sfsm.node.newcomers import Newcomers
from k8sfsm.node.runtime import RuntimeEvent, apply
from k8sfsm.objects import HostIP, Node, Pod, from_json
from k8sfsm.view import View

NOW = 1_767_225_600_000_000_000


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No template is known before a test, and none of its own afterwards."""
    monkeypatch.setattr(newcomers, "_KNOWN", {})
    monkeypatch.setattr(alike, "_TEMPLATES", {})
    monkeypatch.setattr(alike, "_BIRTHS", {})
    yield


def pod(number: int, node: str = "node-1", **spec: Any) -> Pod:
    container = {"name": "app", "image": "web:1", "resources": {"requests": {"cpu": "1"}}}
    meta = {"name": f"web-{number}", "generateName": "web-", "namespace": "default", "uid": f"uid-{number}"}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": "Pending"}}
    made: Pod = from_json({**document, "spec": {"nodeName": node, "containers": [container], **spec}})
    return made


def node(name: str = "node-1", **parts: Mapping[str, Any]) -> Node:
    status = {"allocatable": {"cpu": "4", "pods": "10"}, "conditions": [{"type": "Ready", "status": "True"}]}
    document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"a": name}}}
    made: Node = from_json({**document, "status": {**status, **parts.get("status", {})}, "spec": parts.get("spec", {})})
    return made


def expected(of: Pod, *objects: Any, kubelet: str = "node-1", **view: Any) -> PodMemory | None:
    """What a kubelet expects of a pod after another one of the template was taken on a plain node."""
    first = pod(0)
    took = Kubelet("node-1").reconcile(View.of([first, node()], now=NOW), ("Pod", "default", "web-0"))
    assert took.steps
    return Newcomers(Kubelet(kubelet).settings).expected(View.of([of, *(objects or (node(),))], now=NOW, **view), of)


def test_the_next_pod_is_taken_without_asking() -> None:
    found = expected(pod(1))
    assert found is not None and (found.pod, found.added_at, found.stage) == (pod(1), NOW, "syncing")


def test_so_is_one_on_another_node_that_says_the_same() -> None:
    assert expected(pod(1, "node-2"), node("node-2"), kubelet="node-2") is not None


TAINT = {"key": "gone", "effect": "NoExecute"}
SHORT = [{"type": "MemoryPressure", "status": "True"}]
EVENT = RuntimeEvent(at=NOW, node="node-1", uid="uid-1", kind="volumes-mounted")


@pytest.mark.parametrize(
    ("objects", "view"),
    [
        ((node(spec={"taints": [TAINT]}),), {}),
        ((node(status={"conditions": SHORT}),), {}),
        ((node(status={"allocatable": {"cpu": "500m", "pods": "10"}}),), {}),
        ((node("node-2"),), {}),
        ((node(),), {"runtime": apply(Map(), EVENT)}),
        ((node(),), {"memory": {eviction_key("uid-1"): Eviction(0, "")}}),
    ],
    ids=["tainted", "short of memory", "too small", "no node", "runs already", "evicted"],
)
def test_where_something_else_is_known_the_tables_are_asked(objects: tuple[Any, ...], view: Mapping[str, Any]) -> None:
    assert expected(pod(1), *objects, **view) is None


def test_what_the_node_says_is_looked_up_again_where_it_says_something_else() -> None:
    home = alike.Home(Kubelet("node-1").settings)
    inside = [{"type": "InternalIP", "address": "10.0.0.1"}]
    first, second = node(status={"addresses": inside}), node(status={"addresses": [*inside, *inside]})
    assert home.told(View.of([first])) == ((False, True), ("node-1", "10.0.0.1", "", (HostIP(ip="10.0.0.1"),)))
    assert home.told(View.of([second])) is None
    assert home.told(View.of([])) == ((True, True), ("node-1", "", "", ()))
    assert home.told(View.of([first])) == ((False, True), ("node-1", "10.0.0.1", "", (HostIP(ip="10.0.0.1"),)))


def test_where_others_take_the_room_the_tables_are_asked() -> None:
    held = {("Pod", "default", f"web-{n}"): (PodMemory(pod=pod(n), added_at=0, stage="syncing"),) for n in range(2, 6)}
    assert expected(pod(1), memory=held) is None
    del held["Pod", "default", "web-2"]
    assert expected(pod(1), memory=held) is not None


def weighing(number: int, cpu: str, memory: str) -> Pod:
    container = {"name": "app", "image": "web:1", "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return pod(number, containers=[container])


AMOUNT = st.tuples(st.integers(0, 3), st.integers(0, 4))


@settings(max_examples=60, deadline=None)
@given(st.lists(AMOUNT, max_size=6), st.lists(st.tuples(AMOUNT, st.booleans()), max_size=8), AMOUNT)
def test_where_a_bound_leaves_room_there_is_room(
    before: list[tuple[int, int]], then: list[tuple[tuple[int, int], bool]], wanted: tuple[int, int]
) -> None:
    """`before`: remembered when the kubelet is asked first; `then`: who comes after that, and whether he goes again."""
    bound, requests, capacity = Bound(), {}, capacity_of(node(status={"allocatable": ROOM}))
    held = {n: (PodMemory(pod=weighing(n, f"{cpu}", f"{gib}Gi"), added_at=0),) for n, (cpu, gib) in enumerate(before)}
    bound.begin(View.of([], memory=held), requests)
    for number, ((cpu, gib), goes) in enumerate(then, start=100):
        come = weighing(number, f"{cpu}", f"{gib}Gi")
        bound.met(requests_of(requests, come))
        if not goes:
            held[number] = (PodMemory(pod=come, added_at=0),)
    asking, view = weighing(99, f"{wanted[0]}", f"{wanted[1]}Gi"), View.of([], memory=held)
    if bound.leaves_room(view, capacity, requests_of(requests, asking), requests):
        assert has_room(view, capacity, asking, requests)


ROOM = {"cpu": "16", "memory": "24Gi", "pods": "10"}


def test_a_bound_counts_all_of_one_name_and_what_was_there_before() -> None:
    requests: Requests = {}
    capacity, small = (10, 4_000, 1 << 40), weighing(1, "1", "1Mi")
    memory = {"web": tuple(PodMemory(pod=weighing(n, "1", "1Mi"), added_at=0) for n in (2, 3))}
    assert Bound().leaves_room(View.of([], memory=memory), capacity, requests_of(requests, small), requests)
    more = {**memory, "db": (PodMemory(pod=weighing(4, "1", "1Mi"), added_at=0),)}
    assert has_room(View.of([], memory=more), capacity, small, requests)
    assert not Bound().leaves_room(View.of([], memory=more), capacity, requests_of(requests, small), requests)


@pytest.mark.parametrize(
    "spec",
    [
        {"nodeSelector": {"a": "node-1"}},
        {"containers": [{"name": "app", "image": "web:1", "ports": [{"containerPort": 80, "hostPort": 80}]}]},
    ],
    ids=["chooses its node", "needs a port of the node"],
)
def test_where_the_turn_reads_more_the_next_pod_is_looked_at_by_itself(spec: Mapping[str, Any]) -> None:
    kubelet, first, second = Kubelet("node-1"), pod(1, **spec), pod(2, **spec)
    assert kubelet.reconcile(View.of([first, node()], now=NOW), ("Pod", "default", "web-1")).steps
    assert Newcomers(kubelet.settings).expected(View.of([second, node()], now=NOW), second) is None


def test_a_pod_of_another_template_is_looked_at_by_itself() -> None:
    assert expected(pod(1, priority=5)) is None


def test_an_expectation_that_the_tables_contradict_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = PodMemory(pod=pod(1), added_at=NOW, stage="syncing")
    monkeypatch.setattr(Newcomers, "expected", lambda *asked: wrong)
    with pytest.raises(LawError, match="is not taken as others"):
        Kubelet("node-1").reconcile(
            View.of([pod(1), node(spec={"taints": [TAINT]})], now=NOW), ("Pod", "default", "web-1")
        )
