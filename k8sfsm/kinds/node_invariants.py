"""What holds of Nodes at rest: a silent one is marked, one that is heard is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from k8sfsm.kinds.node import law
from k8sfsm.law import constant
from k8sfsm.objects import Node
from k8sfsm.objects.durations import SECOND
from k8sfsm.view import View

_MARGIN: Final = 30
"""Seconds in which the node controller looks at every node and writes what it found."""
_LEASES: Final = "kube-node-lease"
_CONTROLLER: Final = "node.kubernetes.io/"
_TAINT_OF: Final = {
    ("Ready", "False"): "not-ready",
    ("Ready", "Unknown"): "unreachable",
    ("MemoryPressure", "True"): "memory-pressure",
    ("DiskPressure", "True"): "disk-pressure",
    ("PIDPressure", "True"): "pid-pressure",
    ("NetworkUnavailable", "True"): "network-unavailable",
}


def heard_at(view: View, node: str) -> int | None:
    """When a node's kubelet last renewed its lease (ns); None: never."""
    lease = view.get("Lease", _LEASES, node)
    return None if lease is None else lease.spec.renew_time


def silences(view: View) -> dict[str, int]:
    """For how long (ns) each node has been silent, compared with the one that was heard last."""
    heard = {node.metadata.name: heard_at(view, node.metadata.name) for node in view.list("Node")}
    newest = max((at for at in heard.values() if at is not None), default=0)
    return {name: newest - at for name, at in heard.items() if at is not None}


def heard_nodes(view: View) -> frozenset[str]:
    """The nodes whose kubelets are not silent, and that are not said to be other than Ready."""
    silent, grace = silences(view), int(constant("node_monitor_grace_period")) * SECOND
    return frozenset(
        node.metadata.name
        for node in view.list("Node")
        if not any(each.type == "Ready" and each.status != "True" for each in node.status.conditions)
        and silent.get(node.metadata.name, 0) < grace
    )


def _status(node: Node, condition: str) -> str:
    return next((each.status for each in node.status.conditions if each.type == condition), "")


@law.invariant
def silence_is_noted(view: View) -> Iterator[str]:
    """At rest a node whose kubelet has been silent beyond the grace period is not Ready."""
    longest = (int(constant("node_monitor_grace_period")) + _MARGIN) * SECOND
    silent = silences(view)
    for node in view.list("Node"):
        name = node.metadata.name
        if silent.get(name, 0) > longest and _status(node, "Ready") == "True":
            yield f"Node {name} has been silent for {silent[name] // SECOND} s and is Ready"


@law.invariant
def taints_follow_conditions(view: View) -> Iterator[str]:
    """At rest the taints of a Node for new Pods are those of its conditions, and of `unschedulable`."""
    for node in view.list("Node"):
        if not node.status.conditions:
            continue
        wanted = {taint for (kind, status), taint in _TAINT_OF.items() if _status(node, kind) == status}
        wanted |= {"unschedulable"} if node.spec.unschedulable else set()
        known = {*_TAINT_OF.values(), "unschedulable"}
        found = {
            taint.key.removeprefix(_CONTROLLER)
            for taint in node.spec.taints
            if taint.key.startswith(_CONTROLLER) and taint.effect == "NoSchedule"
        }
        if wanted != found & known:
            says = f"has the taints {sorted(found & known)}, its conditions ask for {sorted(wanted)}"
            yield f"Node {node.metadata.name} {says}"


@law.invariant
def well_nodes_evict_nothing(view: View) -> Iterator[str]:
    """At rest a Node that is Ready has no taint that drives Pods away because it is not."""
    for node in view.list("Node"):
        marks = {taint.key for taint in node.spec.taints if taint.effect == "NoExecute"}
        if _status(node, "Ready") == "True" and marks & {f"{_CONTROLLER}not-ready", f"{_CONTROLLER}unreachable"}:
            yield f"Node {node.metadata.name} is Ready and drives Pods away"


@law.invariant
def pods_of_silent_nodes_are_not_ready(view: View) -> Iterator[str]:
    """At rest no Pod of a silent node passes for Ready."""
    for node in view.list("Node"):
        if _status(node, "Ready") != "Unknown" or len(view.list("Node")) == 1:
            continue
        for pod in view.on_node(node.metadata.name):
            if any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions):
                name = f"{pod.metadata.namespace}/{pod.metadata.name}"
                yield f"Pod {name} is Ready on the silent Node {node.metadata.name}"
