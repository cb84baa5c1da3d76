"""The service controller: load balancers."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from worlds import NOW, SECOND, answered, asked, cloud, node, sent, service, told, view

from k8sfsm.cloud.asking import Line
from k8sfsm.cloud.state import Balancer
from k8sfsm.controllers.cloudservice import (
    EXCLUDED,
    HOSTS,
    SCALED_DOWN,
    CloudServiceController,
    Sync,
    balanced_services,
    is_host,
    law,
)
from k8sfsm.controllers.cloudservice_changes import FINALIZER, Changed, change_message
from k8sfsm.objects import Node, Service, Taint
from k8sfsm.request import Call, Patch, Plan, Remember
from k8sfsm.view import Change, View

KEY = ("Service", "default", "web")
NODES = (HOSTS, "default", "web")
ME = "service-controller"
IP = "203.0.113.1"
BALANCER = Balancer(name="uid-web", ip=IP, hosts=("node-1",))
WEB = service()
PLAIN = service(spec={"type": "ClusterIP"})
HELD = {"finalizers": [FINALIZER]}
GOING = service(metadata={**HELD, "deletionTimestamp": "2026-01-01T00:00:00Z"})
ONCE = service(metadata=HELD, spec={"type": "ClusterIP"})


def sync(*objects: Any, state: Any = None, memory: Any = None, key: Any = KEY) -> Sync:
    seen = view(*objects, node(), state=state, memory=memory)
    return Sync(seen, seen.get("Service", "default", "web"), Line(seen, ME, key))


ENSURE = asked(KEY, "ensure-balancer", spec=WEB.spec)
ENSURING = ("announce_ensuring", "announce_no_hosts", "add_finalizer", "ensure_balancer")
DELETING = ("announce_deleting", "delete_balancer")
DELETED = ("remove_finalizer", "announce_deleted", "clear_status")
SYNCS: list[tuple[Any, Any, Any, str, tuple[str, ...], str]] = [
    ((), {}, {}, "gone", (), "settled"),
    ((WEB,), {}, ENSURE, "under-way", (), "waiting"),
    ((GOING,), cloud(BALANCER), ENSURE, "under-way", (), "waiting"),
    ((WEB,), answered(cloud(), ME, KEY, ok=False), ENSURE, "failed", ("announce_failed",), "failed"),
    ((GOING,), cloud(BALANCER), {}, "delete", DELETING, "waiting"),
    ((GOING,), answered(cloud(BALANCER), ME, KEY), ENSURE, "delete", DELETING, "waiting"),
    ((ONCE,), cloud(BALANCER), {}, "delete", DELETING, "waiting"),
    ((GOING,), cloud(), {}, "deleted", DELETED, "settled"),
    ((PLAIN,), cloud(BALANCER), {}, "unwanted", DELETING, "waiting"),
    ((PLAIN,), cloud(), {}, "never-wanted", ("announce_deleted", "clear_status"), "settled"),
    ((WEB,), answered(cloud(BALANCER), ME, KEY), ENSURE, "ensured", ("announce_ensured", "write_status"), "settled"),
    ((WEB,), answered(cloud(BALANCER), ME, KEY), asked(KEY, spec=None), "ensure", ENSURING, "waiting"),
    ((WEB,), cloud(BALANCER), {}, "ensure", ENSURING, "waiting"),
]


@pytest.mark.parametrize(("objects", "state", "memory", "rule", "actions", "ends"), SYNCS)
def test_what_becomes_of_a_load_balancer(
    objects: Any, state: Any, memory: Any, rule: str, actions: Any, ends: str
) -> None:
    decision = law.decide("sync", sync(*objects, state=state, memory=memory))
    found = (decision.rule, decision.actions, decision.outputs["ends"])
    assert found == (f"CloudService/sync/{rule}", actions, ends)


UPDATE = asked(NODES, "update-balancer")
STALE = evolve(BALANCER, hosts=("node-9",))
AWAY = node("node-1", "True", Taint(key=SCALED_DOWN, effect="NoSchedule"))
HOST_SYNCS: list[tuple[Any, Any, Any, str, tuple[str, ...], str]] = [
    ((node(),), cloud(BALANCER), {}, "gone", (), "settled"),
    ((PLAIN, node()), cloud(STALE), {}, "plain", (), "settled"),
    ((WEB, node()), cloud(), {}, "none-yet", (), "settled"),
    ((WEB, node()), cloud(STALE), UPDATE, "under-way", (), "waiting"),
    (
        (WEB, node()),
        answered(cloud(STALE), ME, NODES, ok=False),
        UPDATE,
        "failed",
        ("announce_update_failed",),
        "later",
    ),
    ((WEB, node()), answered(cloud(BALANCER), ME, NODES), UPDATE, "updated", ("announce_updated",), "settled"),
    (
        (WEB, AWAY),
        answered(cloud(evolve(BALANCER, hosts=())), ME, NODES),
        UPDATE,
        "emptied",
        ("announce_unavailable",),
        "settled",
    ),
    ((WEB, node()), cloud(BALANCER), {}, "current", (), "settled"),
    ((WEB, node()), cloud(STALE), {}, "stale", ("update_balancer",), "waiting"),
    ((WEB, node()), answered(cloud(STALE), ME, NODES), UPDATE, "stale", ("update_balancer",), "waiting"),
]


@pytest.mark.parametrize(("objects", "state", "memory", "rule", "actions", "ends"), HOST_SYNCS)
def test_load_balancers_follow_the_nodes(
    objects: Any, state: Any, memory: Any, rule: str, actions: Any, ends: str
) -> None:
    seen = view(*objects, state=state, memory=memory)
    decision = law.decide("hosts", Sync(seen, seen.get("Service", "default", "web"), Line(seen, ME, NODES)))
    found = (decision.rule, decision.actions, decision.outputs["ends"])
    assert found == (f"CloudService/hosts/{rule}", actions, ends)


PLACES = [
    (node(), True),
    (node("node-1", "False"), True),
    (node(labels={EXCLUDED: ""}), False),
    (AWAY, False),
    (evolve(node(), metadata=evolve(node().metadata, deletion_timestamp=NOW)), False),
]


@pytest.mark.parametrize(("found", "host"), PLACES)
def test_which_nodes_load_balancers_use(found: Node, host: bool) -> None:
    assert is_host(found) is host


def test_changes_of_nodes_that_matter() -> None:
    seen = view(WEB, PLAIN if False else service(metadata={"name": "own"}, spec={"loadBalancerClass": "x"}))

    def keys(kind: str, old: Node | None, new: Node | None) -> list[Any]:
        return list(balanced_services(Change(1, kind, ("Node", "", "node-1"), old, new), seen))

    assert keys("ADDED", None, node()) == [NODES]
    assert keys("DELETED", node(), node()) == [NODES]
    assert keys("MODIFIED", node(), node("node-1", "False")) == []
    assert keys("MODIFIED", node(), node(labels={EXCLUDED: ""})) == [NODES]
    assert keys("MODIFIED", node(), node(provider="p://1")) == [NODES]


def changed(old: Service | None, new: Service) -> Changed:
    return Changed(old, new)


def with_spec(**fields: Any) -> Service:
    return service(spec=fields)


CHANGES: list[tuple[Service | None, Service, str, bool, str]] = [
    (WEB, GOING, "clean-up", True, ""),
    (WEB, ONCE, "clean-up", True, ""),
    (None, WEB, "new-balanced", True, ""),
    (None, PLAIN, "new-plain", False, ""),
    (PLAIN, service(spec={"type": "NodePort"}), "plain", False, ""),
    (PLAIN, WEB, "type-to", True, "ClusterIP -> LoadBalancer"),
    (WEB, PLAIN, "type-from", True, "LoadBalancer -> ClusterIP"),
    (
        WEB,
        with_spec(loadBalancerSourceRanges=["1.0.0.0/8", "2.0.0.0/8"]),
        "ranges",
        True,
        "[] -> [1.0.0.0/8 2.0.0.0/8]",
    ),
    (WEB, with_spec(ports=[{"port": 81, "protocol": "TCP"}]), "ports", True, ""),
    (WEB, with_spec(ports=[{"port": 80, "protocol": "TCP", "appProtocol": "x"}]), "same", False, ""),
    (WEB, with_spec(sessionAffinity="ClientIP"), "affinity", True, ""),
    (WEB, with_spec(loadBalancerIP="1.2.3.4"), "address", True, " -> 1.2.3.4"),
    (WEB, with_spec(externalIPs=["1.2.3.4"]), "external-addresses", True, "Count: 0 -> 1"),
    (
        with_spec(externalIPs=["1.1.1.1", "1.2.3.3"]),
        with_spec(externalIPs=["1.1.1.1", "1.2.3.4"]),
        "external-addresses",
        True,
        "Added: 1.2.3.4",
    ),
    (WEB, service(metadata={"annotations": {"a": "b"}}), "annotations", True, ""),
    (WEB, service(metadata={"uid": "other"}), "other-object", True, "uid-web -> other"),
    (WEB, with_spec(externalTrafficPolicy="Local"), "traffic-policy", True, " -> Local"),
    (WEB, with_spec(healthCheckNodePort=30_000), "health-port", True, "0 -> 30000"),
    (WEB, service(metadata={"labels": {"a": "b"}}), "same", False, ""),
    (WEB, service(metadata=HELD), "same", False, ""),
]
REASONS = {
    "type-to": "Type",
    "type-from": "Type",
    "ranges": "LoadBalancerSourceRanges",
    "address": "LoadbalancerIP",
    "external-addresses": "ExternalIP",
    "other-object": "UID",
    "traffic-policy": "ExternalTrafficPolicy",
    "health-port": "HealthCheckNodePort",
}


@pytest.mark.parametrize(("old", "new", "rule", "looked_at", "message"), CHANGES)
def test_changes_that_matter_to_a_load_balancer(
    old: Service | None, new: Service, rule: str, looked_at: bool, message: str
) -> None:
    decision = law.decide("change", changed(old, new))
    assert (decision.rule, decision.outputs["looked_at"]) == (f"CloudService/change/{rule}", looked_at)
    event = decision.outputs["event"]
    assert event == REASONS.get(rule, "")
    assert (change_message(changed(old, new), event) if event else "") == message


# -- whole looks ------------------------------------------------------------------------------------------------------


def reconcile(seen: View, key: Any = KEY) -> Plan:
    return CloudServiceController().reconcile(seen, key)


def remembered(plan: Plan) -> dict[Any, Any]:
    return {step.key: step.value for step in plan.steps if isinstance(step, Remember)}


def test_a_new_service_gets_a_finalizer_and_the_cloud_is_asked() -> None:
    plan = reconcile(view(WEB, node()))
    patch, call = sent(plan.steps)
    assert (patch.body, patch.subresource) == ({"metadata": {"finalizers": [FINALIZER]}}, "status")
    assert isinstance(call, Call) and call.verb == "ensure-balancer"
    assert call.arguments["given"] == {"name": "uid-web", "hosts": ("node-1",), "spec": WEB.spec}
    assert told(plan.steps) == ["EnsuringLoadBalancer"] and plan.unsettled
    assert remembered(plan)["seen", KEY] == WEB and remembered(plan)["retry", KEY] is None


def test_without_nodes_a_warning_is_given() -> None:
    plan = reconcile(view(service(metadata=HELD), AWAY))
    assert told(plan.steps) == ["EnsuringLoadBalancer", "UnAvailableLoadBalancer"]
    assert [type(step) for step in sent(plan.steps)] == [Call]


def test_nothing_happens_where_nothing_has_changed() -> None:
    plan = reconcile(view(WEB, node(), memory={("seen", KEY): WEB}))
    assert sent(plan.steps) == [] and told(plan.steps) == [] and not plan.unsettled


def test_the_address_is_written_once() -> None:
    state = answered(cloud(BALANCER), ME, KEY)
    plan = reconcile(view(WEB, node(), state=state, memory={**ENSURE, ("seen", KEY): WEB}))
    (patch,) = sent(plan.steps)
    assert patch.body == {"status": {"loadBalancer": {"ingress": [{"ip": IP}]}}} and patch.subresource == "status"
    assert told(plan.steps) == ["EnsuredLoadBalancer"] and remembered(plan)["asked", KEY] is None
    there = service(status={"loadBalancer": {"ingress": [{"ip": IP}]}})
    plan = reconcile(view(there, node(), state=state, memory={**ENSURE, ("seen", KEY): there}))
    assert sent(plan.steps) == []


def test_failures_are_told_and_tried_again() -> None:
    for verb, what in (("ensure-balancer", "ensure"), ("delete-balancer", "delete")):
        memory = {**asked(KEY, verb), ("seen", KEY): WEB}
        plan = reconcile(view(WEB, node(), state=answered(cloud(), ME, KEY, ok=False), memory=memory))
        assert plan.error == f"failed to {what} load balancer: no" and told(plan.steps) == ["SyncLoadBalancerFailed"]
        assert remembered(plan) == {("seen", KEY): WEB, ("retry", KEY): True, ("asked", KEY): None}
    plan = reconcile(view(WEB, node(), memory={("seen", KEY): WEB, ("retry", KEY): True}))
    assert told(plan.steps) == ["EnsuringLoadBalancer"]


def test_a_service_that_goes_waits_for_its_load_balancer() -> None:
    plan = reconcile(view(GOING, node(), state=cloud(BALANCER)))
    (call,) = sent(plan.steps)
    assert (call.verb, call.arguments["given"]) == ("delete-balancer", {"name": "uid-web"})
    assert told(plan.steps) == ["DeletingLoadBalancer"]
    plan = reconcile(view(GOING, node(), state=answered(cloud(), ME, KEY), memory=asked(KEY, "delete-balancer")))
    (patch,) = sent(plan.steps)
    assert isinstance(patch, Patch) and patch.body == {"metadata": {"finalizers": None}}
    assert told(plan.steps) == ["DeletedLoadBalancer"]


def test_a_service_of_another_type_loses_its_address() -> None:
    once = service(metadata=HELD, spec={"type": "ClusterIP"}, status={"loadBalancer": {"ingress": [{"ip": IP}]}})
    finalizers, status = sent(reconcile(view(once, node())).steps)
    assert finalizers.body == {"metadata": {"finalizers": None}}
    assert status.body == {"status": {"loadBalancer": {"ingress": None}}}


def test_changes_are_told() -> None:
    plan = reconcile(view(PLAIN, node(), state=cloud(BALANCER), memory={("seen", KEY): WEB}))
    assert told(plan.steps) == ["Type", "DeletingLoadBalancer"]


def test_nodes_are_told_again_later_after_a_failure() -> None:
    plan = reconcile(view(WEB, node(), state=answered(cloud(STALE), ME, NODES, ok=False), memory=UPDATE), NODES)
    (event,) = [step for step in plan.steps if step.__class__.__name__ == "Record"]
    assert event.message == "Error updating load balancer with new hosts map[node-1:{}]: no"
    assert (event.reason, plan.requeue_after, plan.error) == ("UpdateLoadBalancerFailed", 100 * SECOND, "")
    plan = reconcile(view(WEB, node(), state=cloud(STALE)), NODES)
    (call,) = sent(plan.steps)
    assert (call.verb, call.arguments["given"]) == ("update-balancer", {"name": "uid-web", "hosts": ("node-1",)})
    assert plan.unsettled


def test_the_queue_backs_off_from_five_seconds_to_five_minutes() -> None:
    queue = law.controller().queue
    assert (queue.base_delay_ms, queue.max_delay_s, queue.workers) == (5000, 300, 1)
