"""The route controller."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from worlds import NOW, SECOND, answered, asked, cloud, node, sent, told, view

from k8sfsm.cloud.asking import Line
from k8sfsm.cloud.state import CLOUD, CloudRoute
from k8sfsm.controllers.cloudroute import ROUND, CloudRouteController, NodeRoute, OldRoute, Reachable, law
from k8sfsm.objects import Node
from k8sfsm.request import Call, Look, Patch, Remember
from k8sfsm.view import View

KEY = ("Node", "", "node-1")
NET = "10.244.0.0/24"
ROUTE = CloudRoute(name=f"node-1/{NET}", node="node-1", cidr=NET)
ME = "route-controller"
WITH = node(cidrs=[NET])
OUT = ("routes", NOW + SECOND)
ASKED = asked(KEY, cidr=NET)


def case(*nodes: Node, state: Any = None, memory: Any = None) -> NodeRoute:
    seen = view(*nodes, state=state, memory=memory)
    return NodeRoute(seen, seen.get(*KEY), Line(seen, ME, KEY))


ROUTES: list[tuple[Any, Any, Any, str, tuple[str, ...]]] = [
    ((), {}, {}, "gone", ()),
    ((node(),), {}, {}, "without-network", ()),
    ((WITH,), {}, ASKED, "under-way", ()),
    ((WITH,), cloud(ROUTE, outage=OUT), ASKED, "under-way", ()),
    ((WITH,), cloud(outage=OUT), {}, "untold", ()),
    ((WITH,), cloud(ROUTE, outage=OUT), {}, "untold", ()),
    (
        (WITH,),
        answered(cloud(outage=OUT), ME, KEY, ok=False),
        ASKED,
        "failed",
        ("announce_route_failed", "report_no_route"),
    ),
    ((WITH,), cloud(ROUTE), {}, "there", ("report_route",)),
    ((WITH,), answered(cloud(ROUTE, outage=OUT), ME, KEY), ASKED, "there", ("report_route",)),
    ((WITH,), cloud(evolve(ROUTE, node="node-2")), {}, "missing", ("create_route",)),
    ((WITH,), answered(cloud(), ME, KEY), asked(KEY, at=NOW - 1, cidr=NET), "under-way", ()),
]


@pytest.mark.parametrize(("nodes", "state", "memory", "rule", "actions"), ROUTES)
def test_what_becomes_of_a_nodes_route(nodes: Any, state: Any, memory: Any, rule: str, actions: Any) -> None:
    decision = law.decide("node-route", case(*nodes, state=state, memory=memory))
    assert (decision.rule, decision.actions) == (f"CloudRoute/node-route/{rule}", actions)


CONDITIONS = [
    (True, "False", None),
    (True, "True", ("False", "RouteCreated", "RouteController created a route")),
    (True, "Unknown", ("False", "RouteCreated", "RouteController created a route")),
    (True, "", ("False", "RouteCreated", "RouteController created a route")),
    (False, "True", None),
    (False, "False", ("True", "NoRouteCreated", "RouteController failed to create a route")),
    (False, "Unknown", ("True", "NoRouteCreated", "RouteController failed to create a route")),
    (False, "", ("True", "NoRouteCreated", "RouteController failed to create a route")),
]


@pytest.mark.parametrize(("made", "status", "written"), CONDITIONS)
def test_the_condition_is_written_when_it_changes(made: bool, status: str, written: Any) -> None:
    found = node(conditions={"NetworkUnavailable": status} if status else {})
    told_of = law.decide("network-condition", Reachable(made, found)).outputs
    values = (told_of["status"], told_of["reason"], told_of["message"])
    assert (told_of["write"], values) == (written is not None, written or ("", "", ""))


OLD = [
    (cloud(evolve(ROUTE, cidr="192.168.0.0/24")), {}, "foreign"),
    (cloud(ROUTE), {}, "wanted"),
    (cloud(evolve(ROUTE, cidr="10.244.9.0/24")), {}, "stale"),
    (cloud(evolve(ROUTE, node="node-9")), {}, "stale"),
    (cloud(evolve(ROUTE, node="node-9")), asked(("CloudRoute", "", ROUTE.name)), "under-way"),
]


@pytest.mark.parametrize(("state", "memory", "rule"), OLD)
def test_old_routes_go(state: Any, memory: Any, rule: str) -> None:
    seen = view(WITH, state=state, memory=memory)
    key = ("CloudRoute", "", ROUTE.name)
    old = OldRoute(seen, state["route", ROUTE.name], Line(seen, ME, key))
    decision = law.decide("old-route", old)
    assert decision.rule == f"CloudRoute/old-route/{rule}"
    plan = CloudRouteController().reconcile(seen, key)
    calls = [step for step in plan.steps if isinstance(step, Call)]
    assert [(call.verb, call.arguments["given"]) for call in calls] == (
        [("delete-route", {"name": ROUTE.name})] if rule == "stale" else []
    )


def reconcile(seen: View, key: Any = KEY) -> Any:
    return CloudRouteController().reconcile(seen, key).steps


def test_the_cloud_is_asked_for_the_route_that_is_missing() -> None:
    second = "10.244.1.0/24"
    remember, call = reconcile(view(node(cidrs=[NET, second]), state=cloud(ROUTE)))
    assert isinstance(remember, Remember) and remember.value.at == NOW
    assert (call.node, call.verb, call.uid, call.pod) == (CLOUD, "create-route", ME, KEY)
    name = f"node-1/{second}"
    assert call.arguments == {"asked": NOW, "given": {"name": name, "node": "node-1", "cidr": second}}


def test_failures_are_told_and_forgotten() -> None:
    steps = reconcile(view(WITH, state=answered(cloud(), ME, KEY, ok=False), memory=ASKED))
    (event,) = [step for step in steps if step.__class__.__name__ == "Record"]
    assert event.message == f"Could not create route uid-node-1 {NET} for node node-1 after 0s: no"
    assert event.regarding.metadata.uid == "node-1" and told(steps) == ["FailedToCreateRoute"]
    (patch,) = sent(steps)
    assert isinstance(patch, Patch) and patch.subresource == "status"
    assert patch.body["status"]["conditions"][0]["reason"] == "NoRouteCreated"
    assert Remember(key=("asked", KEY), value=None, why=steps[-1].why) in steps


def test_a_round_looks_at_every_node_and_route() -> None:
    foreign = evolve(ROUTE, name="z", cidr="192.168.0.0/24")
    plan = CloudRouteController().reconcile(view(WITH, node("node-2"), state=cloud(ROUTE, foreign)), ROUND)
    names = [step.key[2] for step in plan.steps if isinstance(step, Look)]
    assert names == [ROUTE.name, "z", "node-1", "node-2"]
    assert (plan.requeue_after, plan.periodic) == (10 * SECOND, True)


def test_answers_about_old_routes_are_forgotten() -> None:
    key = ("CloudRoute", "", ROUTE.name)
    for ok in (True, False):
        state = answered(cloud(), ME, key, ok)
        (step,) = reconcile(view(WITH, state=state, memory=asked(key)), key)
        assert step == Remember(key=("asked", key), value=None)
