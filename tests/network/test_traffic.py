"""Requests of clients: which Pods they reach, and what load does to probes."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.network.traffic import ALL, LOADS, Clients, News, Rate, Requests, law
from k8sfsm.node.probing import is_healthy
from k8sfsm.node.runtime import RuntimeEvent
from k8sfsm.node.runtime_state import PodRuntime
from k8sfsm.node.scripted import ScriptedRuntime, parse_script
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Call, Plan, Remember
from k8sfsm.view import View

WEB = ("Service", "default", "web")
RATES = (Rate(0, WEB, 60), Rate(10 * SECOND, WEB, 90))


def service(**spec: Any) -> Any:
    ports = [{"port": 80, "protocol": "TCP", "name": "http"}]
    document = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "default"}}
    return from_json({**document, "spec": {"clusterIP": "10.96.0.1", "type": "ClusterIP", "ports": ports, **spec}})


def node(name: str) -> Any:
    return from_json({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})


def endpoints(*ready: bool, name: str = "web") -> Any:
    return from_json(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [f"10.0.0.{number}"], "nodeName": f"node-{number}", "conditions": {"ready": each}}
                for number, each in enumerate(ready, start=1)
            ],
        }
    )


def pod(number: int, ip: str | None = None) -> Any:
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"p{number}", "namespace": "default"}}
    document["metadata"]["uid"] = f"u{number}"  # type: ignore[index]
    status = {"podIP": f"10.0.0.{number}" if ip is None else ip}
    return from_json({**document, "spec": {"nodeName": f"node-{number}", "containers": []}, "status": status})


NODES = (node("node-1"), node("node-2"))
PODS = (pod(1), pod(2), pod(3))


def loads(*objects: Any, now: int = 0, memory: Any = None) -> tuple[dict[str, float], Plan]:
    """What the Pods' runtimes are told, and the plan."""
    plan = Clients(RATES).reconcile(View.of(objects, now, memory or {}), ALL)
    calls = [step for step in plan.steps if isinstance(step, Call)]
    return {call.uid: call.arguments["load"] for call in calls}, plan


def test_ready_endpoints_get_equal_shares() -> None:
    found, plan = loads(service(), *NODES, *PODS, endpoints(True, True, True))
    assert found == {"u1": 20, "u2": 20, "u3": 20} and plan.requeue_after == 10 * SECOND
    found, plan = loads(service(), *NODES, *PODS, endpoints(True, False, True), now=10 * SECOND)
    assert found == {"u1": 45, "u3": 45} and plan.requeue_after is None
    call = next(step for step in plan.steps if isinstance(step, Call))
    assert (call.node, call.verb, call.pod) == ("node-1", "load", ("Pod", "default", "p1"))


def test_pods_are_told_only_of_changes() -> None:
    objects = (service(), *NODES, *PODS)
    _, plan = loads(*objects, endpoints(True, True))
    (memory,) = [step for step in plan.steps if isinstance(step, Remember)]
    assert (memory.key, memory.value) == (LOADS, {"u1": 30, "u2": 30})
    assert loads(*objects, endpoints(True, True), memory={LOADS: memory.value})[0] == {}
    assert loads(*objects, endpoints(True), memory={LOADS: memory.value})[0] == {"u1": 60, "u2": 0}


def test_requests_go_nowhere_without_endpoints_or_service() -> None:
    assert loads(service(), *NODES, *PODS, endpoints(False))[0] == {}
    assert loads(*NODES, *PODS, endpoints(True))[0] == {}
    assert loads(service(), *NODES, *PODS, endpoints(True, name="other"))[0] == {}
    assert loads(service(), *NODES, pod(1, ""), endpoints(True))[0] == {}


def test_a_local_policy_keeps_requests_on_their_node() -> None:
    local = service(internalTrafficPolicy="Local")
    assert loads(local, *NODES, *PODS, endpoints(True, False, True))[0] == {"u1": 30}


@pytest.mark.parametrize(("load", "before", "rule"), [(1.0, 0.0, "changed"), (1.0, 1.0, "same")])
def test_news(load: float, before: float, rule: str) -> None:
    decision = law.decide("news", News(pod(1), load, before))
    assert (decision.rule, decision.actions) == (f"Traffic/news/{rule}", ("tell_load",) if rule == "changed" else ())


def test_a_service_that_is_not_there() -> None:
    decision = law.decide("requests", Requests(None))
    assert (decision.rule, decision.outputs["go"]) == ("Traffic/requests/refused", "nowhere")


def test_load_makes_probes_fail() -> None:
    script = parse_script("ready up to 12/s, alive up to 20.5/s")
    assert [is_healthy(script, "ready", 9, load) for load in (0, 12, 12.1)] == [True, True, False]
    assert [is_healthy(script, "live", 9, load) for load in (20.5, 20.6)] == [True, False]
    assert is_healthy(script, "startup", 9, 99) and is_healthy(parse_script(""), "ready", 9, 1e9)


def test_the_runtime_knows_the_load_of_pods_that_it_has() -> None:
    call = Call(node="node-1", verb="load", pod=("Pod", "default", "p1"), uid="u1", arguments={"load": 7.5})
    known = View.of((), runtime={"u1": PodRuntime()}).runtime
    ((due, event),) = ScriptedRuntime().answer(call, 5, known)
    assert due == 5 and isinstance(event, RuntimeEvent)
    assert event.applied(known)["u1"].load == 7.5
    assert event.applied(View.of(()).runtime) == View.of(()).runtime
