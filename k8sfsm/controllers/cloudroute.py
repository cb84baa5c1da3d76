"""The route controller: a route of the cloud for every node's Pods.

Source: staging/src/k8s.io/cloud-provider/controllers/route/route_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.cloud.asking import Line, Standing, all_of, trouble
from k8sfsm.cloud.state import CloudRoute
from k8sfsm.law import Decision, Law, constant
from k8sfsm.network.proxy.address import contains
from k8sfsm.objects import Node, format_duration, format_time
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.meta import ObjectMeta
from k8sfsm.request import Key, Look, Patch, Plan, Record, Step
from k8sfsm.view import Change, View

law = Law("cloudroute")

ROUND: Final[Key] = ("CloudRoute", "", "round")
CLUSTER: Final = "10.240.0.0/12"
"""The range of the Pods' addresses: all networks that scenarios give to nodes."""


@frozen
class NodeRoute:
    """A node and its route. `line`: to the cloud."""

    view: View
    node: Node | None
    line: Line

    @property
    def missing(self) -> tuple[str, ...]:
        """Networks of the node's Pods that no route leads to."""
        there = {(each.node, each.cidr) for each in all_of(self.view, "route")}
        node = self.node
        return (
            ()
            if node is None
            else tuple(cidr for cidr in node.spec.pod_cidrs if (node.metadata.name, cidr) not in there)
        )


@frozen
class OldRoute:
    """A route that the cloud has."""

    view: View
    route: CloudRoute
    line: Line


@frozen
class Reachable:
    """Whether a node's routes are made, and what its condition NetworkUnavailable says."""

    made: bool
    node: Node


@law.key
def nothing(change: Change, view: View) -> tuple[Key, ...]:
    """No key: rounds come at their time."""
    return ()


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_found(case: NodeRoute) -> bool:
    """The Node is there."""
    return case.node is not None


@law.fact
def network_given(case: NodeRoute) -> bool:
    """Its Pods have a network."""
    return case.node is not None and bool(case.node.spec.pod_cidrs)


@law.fact
def routes_told(case: NodeRoute) -> bool:
    """The cloud tells which routes there are; what became of a call it has told already."""
    return case.line.standing != "none" or not trouble(case.view, "routes")


@law.fact
def route_call(case: NodeRoute | OldRoute) -> Standing:
    """How far a call about the route is."""
    return case.line.standing


@law.fact
def route_there(case: NodeRoute) -> bool:
    """Routes lead to all of the node's networks."""
    return not case.missing


@law.fact
def own_route(case: OldRoute) -> bool:
    """The route leads to addresses of the cluster's Pods."""
    return contains(CLUSTER, case.route.cidr.partition("/")[0])


@law.fact
def route_wanted(case: OldRoute) -> bool:
    """Its node is there and has that network."""
    node: Node | None = case.view.get("Node", "", case.route.node)
    return node is not None and case.route.cidr in node.spec.pod_cidrs


@law.fact
def route_made(case: Reachable) -> bool:
    """The node's routes are made."""
    return case.made


@law.fact
def network_unavailable(case: Reachable) -> Literal["True", "False", "Unknown", "none"]:
    """The status of its condition NetworkUnavailable."""
    found: tuple[Any, ...] = tuple(
        each.status for each in case.node.status.conditions if each.type == "NetworkUnavailable"
    )
    return found[0] if found else "none"


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def create_route(case: NodeRoute, decision: Decision) -> Iterable[Step]:
    """Ask the cloud for the first route that is missing."""
    assert case.node is not None
    name, cidr = case.node.metadata.name, case.missing[0]
    return case.line.ask("create-route", name=f"{name}/{cidr}", node=name, cidr=cidr)


@law.action
def announce_route_failed(case: NodeRoute, decision: Decision) -> Iterable[Step]:
    """Tell what the cloud has answered. The Event names the node without its uid."""
    node, asked, reply = case.node, case.line.asked, case.line.reply
    assert node is not None and asked is not None and reply is not None
    text = (
        f"Could not create route {node.metadata.uid} {asked.arguments['cidr']} for node {node.metadata.name} "
        f"after {format_duration(case.view.now - asked.at)}: {reply.message}"
    )
    about = Node(metadata=ObjectMeta(name=node.metadata.name, uid=node.metadata.name))
    yield Record(regarding=about, type="Warning", reason="FailedToCreateRoute", message=text)


@law.action
def report_route(case: NodeRoute, decision: Decision) -> Iterable[Step]:
    """The node can be reached."""
    return _report(case, True)


@law.action
def report_no_route(case: NodeRoute, decision: Decision) -> Iterable[Step]:
    """The node cannot be reached; the next round tries again."""
    return _report(case, False)


def _report(case: NodeRoute, made: bool) -> Iterable[Step]:
    assert case.node is not None
    told = law.decide("network-condition", Reachable(made, case.node)).outputs
    yield case.line.hang_up()
    if told["write"]:
        now = format_time(case.view.now - case.view.now % SECOND)
        condition = {
            "type": "NetworkUnavailable",
            "status": told["status"],
            "reason": told["reason"],
            "message": told["message"],
            "lastHeartbeatTime": now,
            "lastTransitionTime": now,
        }
        body = {"status": {"conditions": [condition]}}
        yield Patch(key=("Node", "", case.node.metadata.name), body=body, type="strategic", subresource="status")


@law.action
def delete_route(case: OldRoute, decision: Decision) -> Iterable[Step]:
    """Ask the cloud to take the route away."""
    return case.line.ask("delete-route", name=case.route.name)


# -- the controller ---------------------------------------------------------------------------------------------------


class CloudRouteController:
    """Rounds over all nodes and routes; answers of the cloud are looked at when they come."""

    name = "route-controller"
    law = law
    first_keys: tuple[Key, ...] = (ROUND,)

    def reconcile(self, view: View, key: Key) -> Plan:
        """A round (see `_round`), a node (``Node``) or a route (``CloudRoute`` and its name)."""
        if key == ROUND:
            return _round(view)
        line = Line(view, self.name, key)
        if key[0] == "Node":
            case = NodeRoute(view, view.get(*key), line)
            return Plan(steps=law.perform(law.decide("node-route", case), case))
        route = line.state.get(("route", key[2]))
        hang_up: tuple[Any, ...] = (line.hang_up(),) if line.standing in ("done", "failed") else ()
        if route is None or trouble(view, "routes"):
            return Plan(steps=hang_up)
        old = OldRoute(view, route, line)
        steps = hang_up if hang_up else law.perform(law.decide("old-route", old), old)
        return Plan(steps=steps)


def _round(view: View) -> Plan:
    """Look at every node, and at every route."""
    nodes = [("Node", "", node.metadata.name) for node in view.list("Node")]
    routes = [("CloudRoute", "", route.name) for route in all_of(view, "route")]
    looks = tuple(Look(key=key) for key in (*routes, *nodes))
    return Plan(steps=looks, requeue_after=int(constant("cloud_route_period")) * SECOND, periodic=True)
