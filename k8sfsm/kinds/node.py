"""Facts, guards and invariants of the Node's machine."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.law import Law, Transition
from k8sfsm.objects import Node
from k8sfsm.view import View

law = Law("node")


@law.fact
def ready_status(node: Node) -> str:
    """The status of the condition Ready; Unknown where there is none."""
    for condition in node.status.conditions:
        if condition.type == "Ready":
            return condition.status
    return "Unknown"


@law.fact
def unschedulable(node: Node) -> bool:
    """`spec.unschedulable`."""
    return node.spec.unschedulable


@law.guard
def was_silent(write: Transition) -> bool:
    """The write leaves the time of the kubelet's last heartbeat as it was, unless there has been none."""
    before = {each.type: each.last_heartbeat_time for each in write.old.status.conditions}
    after = {each.type: each.last_heartbeat_time for each in write.new.status.conditions}
    return "Ready" not in before or before["Ready"] == after.get("Ready")


@law.invariant
def one_of_each_taint(view: View) -> Iterator[str]:
    """No two taints of a Node have one key and effect."""
    for node in view.list("Node"):
        marks = [(taint.key, taint.effect) for taint in node.spec.taints]
        if len(set(marks)) != len(marks):
            yield f"Node {node.metadata.name} has a taint twice"


@law.invariant
def room_within_capacity(view: View) -> Iterator[str]:
    """Nothing is allocatable beyond the capacity."""
    for node in view.list("Node"):
        for name, amount in node.status.allocatable.items():
            capacity = node.status.capacity.get(name)
            if capacity is not None and amount > capacity:
                yield f"Node {node.metadata.name} offers more {name} than it has"
