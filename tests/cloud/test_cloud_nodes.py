"""The cloud node controller, the one for lost machines, and networks of nodes."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest
from worlds import NOW, SECOND, SHUTDOWN, UNINITIALIZED, cloud, machine, node, sent, told, view

from k8sfsm.controllers.cloudnode import OLD_LABELS, ROUND, CloudNodeController, Sync
from k8sfsm.controllers.cloudnode import law as node_law
from k8sfsm.controllers.cloudnodelifecycle import CloudNodeLifecycleController, Monitored
from k8sfsm.controllers.cloudnodelifecycle import law as lifecycle_law
from k8sfsm.controllers.nodeipam import NodeIPAMController
from k8sfsm.objects import Node, NodeAddress, Taint, evolve
from k8sfsm.request import Delete, Patch, Plan, Update
from k8sfsm.view import View

KEY = ("Node", "", "node-1")
OTHER = Taint(key="gpu", value="yes", effect="NoSchedule")
OUT = ("instances", NOW + SECOND)
NEW = {"labels": {}}
LABELS = {name: text for names, text in zip(OLD_LABELS, ("a", "r", "t"), strict=True) for name in names}


def plan_of(controller: Any, seen: View, key: Any = KEY) -> Plan:
    """The plan, all parts of it."""
    plan: Plan = controller.reconcile(seen, key)
    return plan


def everything(plan: Plan) -> tuple[list[Any], Plan]:
    """All steps of a plan whose parts follow each other whatever comes of them, and its last part."""
    steps = [*plan.steps]
    while plan.then is not None:
        plan = plan.then(())
        steps += plan.steps
    return steps, plan


# -- initialisation ---------------------------------------------------------------------------------------------------

INITIALISE = [
    ((), {}, "gone", (), False),
    ((node("node-1", "True", OTHER),), {}, "initialised", ("copy_old_labels",), False),
    ((node("node-1", "True", UNINITIALIZED),), cloud(machine()), "told", ("initialise_node", "announce_synced"), False),
    ((node("node-1", "True", UNINITIALIZED),), cloud(), "untold", (), True),
    ((node("node-1", "True", UNINITIALIZED),), cloud(machine(), outage=OUT), "untold", (), True),
    (
        (node("node-1", "True", UNINITIALIZED),),
        cloud(machine(), outage=("instances", NOW)),
        "told",
        ("initialise_node", "announce_synced"),
        False,
    ),
    ((node("node-1", "True", UNINITIALIZED, provider="p://x"),), cloud(machine()), "untold", (), True),
]


@pytest.mark.parametrize(("objects", "state", "rule", "actions", "again"), INITIALISE)
def test_what_becomes_of_a_node(objects: Any, state: Any, rule: str, actions: Any, again: bool) -> None:
    seen = view(*objects, state=state)
    decision = node_law.decide("initialise", Sync(seen, seen.get(*KEY)))
    assert decision.rule == f"CloudNode/initialise/{rule}"
    assert (decision.actions, decision.outputs["again"]) == (actions, again)


def test_a_node_that_the_cloud_does_not_know_is_tried_again() -> None:
    plan = plan_of(CloudNodeController(), view(node("node-1", "True", UNINITIALIZED), state=cloud()))
    assert plan.error == "failed to get instance metadata for node node-1: missing" and plan.steps == ()


def test_initialisation_writes_what_the_cloud_knows() -> None:
    told_of = machine(addresses=(NodeAddress(type="InternalIP", address="10.0.0.1"),))
    new = node("node-1", "True", UNINITIALIZED, OTHER, labels={"own": "x"})
    plan = plan_of(CloudNodeController(), view(new, state=cloud(told_of)))
    update, addresses = sent(plan.steps)
    assert isinstance(update, Update)
    written: Node = update.object
    assert written.spec.provider_id == "p://node-1" and written.spec.taints == (OTHER,)
    assert written.metadata.labels == {"own": "x", **LABELS}
    assert written.metadata.resource_version == "7"
    assert addresses.body == {
        "status": {
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "node-1"}]
        }
    }
    assert addresses.subresource == "status" and told(plan.steps) == ["Synced"]


def test_what_the_cloud_does_not_know_is_left_alone() -> None:
    new = node("node-1", "True", UNINITIALIZED, provider="p://node-1")
    plan = plan_of(CloudNodeController(), view(new, state=cloud(machine(zone="", region="", type=""))))
    (update,) = sent(plan.steps)
    assert update.object.metadata.labels == {} and update.object.spec.provider_id == "p://node-1"


OLD, STABLE = OLD_LABELS[0]
COPIES = [
    ({}, None),
    ({STABLE: "a"}, None),
    ({OLD: "a", STABLE: "a"}, None),
    ({OLD: "a", STABLE: "b"}, {STABLE: "a"}),
    ({OLD: "a"}, {STABLE: "a"}),
]


@pytest.mark.parametrize(("labels", "copied"), COPIES)
def test_old_labels_are_believed(labels: dict[str, str], copied: dict[str, str] | None) -> None:
    steps = plan_of(CloudNodeController(), view(node(labels=labels), state=cloud(machine()))).steps
    assert [step.body for step in sent(steps)] == ([{"metadata": {"labels": copied}}] if copied else [])


ADDRESS = NodeAddress(type="InternalIP", address="10.0.0.1")
REFRESH = [
    (node("node-1", "True", UNINITIALIZED), cloud(machine(addresses=(ADDRESS,))), "uninitialised"),
    (node(), cloud(), "untold"),
    (node(), cloud(machine(addresses=(ADDRESS,)), outage=OUT), "untold"),
    (node(), cloud(machine()), "no-addresses"),
    (node(), cloud(machine(addresses=(NodeAddress(type="Hostname", address="node-1"),))), "same"),
    (node(), cloud(machine(addresses=(ADDRESS,))), "changed"),
]


@pytest.mark.parametrize(("found", "state", "rule"), REFRESH)
def test_rounds_compare_addresses(found: Node, state: Any, rule: str) -> None:
    seen = view(found, state=state)
    decision = node_law.decide("refresh", Sync(seen, found))
    assert decision.rule == f"CloudNode/refresh/{rule}"
    assert decision.actions == (("write_addresses",) if rule == "changed" else ())
    steps, last = everything(plan_of(CloudNodeController(), seen, ROUND))
    assert bool(steps) is (rule == "changed") and (last.requeue_after, last.periodic) == (300 * SECOND, True)


# -- lost machines ----------------------------------------------------------------------------------------------------

MINUTE = NOW - 60 * SECOND
MONITOR = [
    (node("node-1", "True", SHUTDOWN), cloud(), "back", ("untaint_shutdown",)),
    (node("node-1", "True", OTHER), cloud(), "ready", ()),
    (node("node-1", "False", UNINITIALIZED, created=MINUTE + 1), cloud(), "new", ()),
    (node("node-1", "False", UNINITIALIZED, created=MINUTE), cloud(), "gone", ("announce_deleting", "delete_node")),
    (node("node-1", "False", created=NOW), cloud(), "gone", ("announce_deleting", "delete_node")),
    (
        node("node-1", "False", UNINITIALIZED, created=NOW, provider="p://node-1"),
        cloud(),
        "gone",
        ("announce_deleting", "delete_node"),
    ),
    (node("node-1", "Unknown"), cloud(outage=OUT), "unanswered", ()),
    (node("node-1", ""), cloud(), "gone", ("announce_deleting", "delete_node")),
    (node("node-1", "Unknown"), cloud(machine()), "running", ()),
    (node("node-1", "False", SHUTDOWN), cloud(machine()), "running", ()),
    (node("node-1", "Unknown", SHUTDOWN), cloud(machine(running=False)), "tainted", ()),
    (node("node-1", "Unknown", OTHER), cloud(machine(running=False)), "shut-down", ("taint_shutdown",)),
    (
        node("node-1", "Unknown", evolve(SHUTDOWN, effect="NoExecute")),
        cloud(machine(running=False)),
        "shut-down",
        ("taint_shutdown",),
    ),
]


@pytest.mark.parametrize(("found", "state", "rule", "actions"), MONITOR)
def test_rounds_look_for_lost_machines(found: Node, state: Any, rule: str, actions: Any) -> None:
    decision = lifecycle_law.decide("monitor", Monitored(view(found, state=state), found))
    assert (decision.rule, decision.actions) == (f"CloudNodeLifecycle/monitor/{rule}", actions)


def test_a_round_writes_for_every_node_and_comes_again() -> None:
    nodes = (
        node("node-1", "Unknown", OTHER),
        node("node-2", "Unknown"),
        node("node-3", "True", SHUTDOWN),
        node("node-4"),
    )
    seen = view(*nodes, state=cloud(machine("node-1", running=False)))
    steps, last = everything(plan_of(CloudNodeLifecycleController(), seen))
    taint, delete, untaint = sent(steps)
    shutdown = {"key": SHUTDOWN.key, "effect": "NoSchedule"}
    other = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    assert isinstance(taint, Patch) and isinstance(untaint, Patch)
    assert taint.body == {"metadata": {"resourceVersion": "7"}, "spec": {"taints": [other, shutdown]}}
    assert isinstance(delete, Delete) and delete.key == ("Node", "", "node-2")
    assert untaint.body["spec"] == {"taints": None} and untaint.key == ("Node", "", "node-3")
    assert told(steps) == ["DeletingNode"]
    assert (last.requeue_after, last.periodic) == (5 * SECOND, True)


# -- networks ---------------------------------------------------------------------------------------------------------


def networks(*others: Node, bits: int = 23) -> Plan:
    controller = NodeIPAMController(IPv4Network(f"10.9.0.0/{bits}"))
    return controller.reconcile(view(*others), KEY)


def test_every_node_gets_the_lowest_network_that_is_free() -> None:
    (patch,) = networks(node()).steps
    assert patch.body == {"spec": {"podCIDR": "10.9.0.0/24", "podCIDRs": ["10.9.0.0/24"]}}
    (patch,) = networks(node(), node("node-2", cidrs=["10.9.0.0/24"])).steps
    assert patch.body["spec"]["podCIDR"] == "10.9.1.0/24"


def test_networks_are_kept_and_may_be_exhausted() -> None:
    assert networks(node(cidrs=["10.9.1.0/24"])) == Plan()
    assert networks() == Plan()
    plan = networks(node(), node("node-2", cidrs=["10.9.0.0/24"]), bits=24)
    assert told(plan.steps) == ["CIDRNotAvailable"] and plan.error == "no networks are left"
