"""What holds of placements, by the plainest reading of what a Pod asks for: no table is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from k8sfsm.kinds.node_invariants import heard_nodes
from k8sfsm.kinds.pod import TERMINAL
from k8sfsm.kinds.pod_resources import pod_requests
from k8sfsm.law import Law
from k8sfsm.objects import Node, Pod, Quantity, Taint, Toleration
from k8sfsm.view import Change, View

law = Law("scheduler")
_KEEPS_AWAY = ("NoSchedule", "NoExecute")


def bearing(tolerations: Iterable[Toleration], taint: Taint) -> list[Toleration]:
    """The tolerations that put up with a taint."""
    return [
        each
        for each in tolerations
        if each.effect in ("", taint.effect)
        and (each.key == taint.key or (not each.key and each.operator == "Exists"))
        and (each.operator == "Exists" or each.value == taint.value)
    ]


def objections(pod: Pod, node: Node, others: Iterable[Pod]) -> Iterator[str]:
    """What speaks against a Pod on a node that has `others`: room, host ports, its selector, taints."""
    others = [each for each in others if each.status.phase not in TERMINAL and each.metadata.uid != pod.metadata.uid]
    wanted = pod_requests(pod)
    for name, amount in wanted.items():
        used = sum((pod_requests(each).get(name, Quantity(0)) for each in others), start=Quantity(0))
        room = node.status.allocatable.get(name, Quantity(0))
        if amount > Quantity(0) and used + amount > room:
            yield f"asks for {amount} {name}; {used} of {room} are taken"
    slots = node.status.allocatable.get("pods")
    if slots is not None and Quantity(len(others) + 1) > slots:
        yield f"is one Pod more than {slots}"
    ports = {(port.host_port, port.protocol) for each in (pod,) for c in each.spec.containers for port in c.ports}
    taken = {(port.host_port, port.protocol) for each in others for c in each.spec.containers for port in c.ports}
    if clash := sorted(each for each in ports & taken if each[0]):
        yield f"needs the port {clash[0][0]}, which is taken"
    labels = node.metadata.labels
    for key, value in pod.spec.node_selector.items():
        if labels.get(key) != value:
            yield f"wants {key}={value}"
    taints = [*node.spec.taints]
    if node.spec.unschedulable:
        taints.append(Taint(key="node.kubernetes.io/unschedulable", effect="NoSchedule"))
    for taint in taints:
        if taint.effect in _KEEPS_AWAY and not bearing(pod.spec.tolerations, taint):
            yield f"does not tolerate {taint.key}"


@law.invariant
def placed_where_it_may(change: Change, view: View) -> Iterator[str]:
    """A Pod that is bound fits on its node, and nothing there keeps it away."""
    if (
        change.key[0] != "Pod"
        or change.type != "MODIFIED"
        or change.old.spec.node_name
        or not change.new.spec.node_name
    ):
        return
    node = view.get("Node", "", change.new.spec.node_name)
    if node is None:
        return
    for objection in objections(change.new, node, view.on_node(node.metadata.name)):
        yield f"Pod {change.key[1]}/{change.key[2]} was bound to {node.metadata.name}, but {objection}"


@law.invariant
def bound_once(change: Change, view: View) -> Iterator[str]:
    """A Pod that has a node keeps it."""
    if change.key[0] == "Pod" and change.type == "MODIFIED":
        before, after = change.old.spec.node_name, change.new.spec.node_name
        if before and before != after and change.old.metadata.uid == change.new.metadata.uid:
            yield f"Pod {change.key[1]}/{change.key[2]} went from {before} to {after or 'no node'}"


@law.invariant
def nobody_waits_for_nothing(view: View) -> Iterator[str]:
    """At rest a Pod without a node finds none: none that is Ready has room and takes it.

    Pods with wishes about other Pods or about nodes' labels beyond a selector are not judged.
    """
    heard = heard_nodes(view)
    nodes = [node for node in view.list("Node") if node.metadata.name in heard]
    for pod in view.list("Pod"):
        if pod.spec.node_name or pod.metadata.deletion_timestamp is not None or not _is_simple(pod):
            continue
        for node in nodes:
            if not any(objections(pod, node, view.on_node(node.metadata.name))):
                name = f"{pod.metadata.namespace}/{pod.metadata.name}"
                yield f"Pod {name} waits, though {node.metadata.name} would take it"
                break


def _is_simple(pod: Pod) -> bool:
    spec = pod.spec
    others = any("persistentVolumeClaim" in volume for volume in spec.volumes)
    return (
        spec.affinity is None
        and not spec.topology_spread_constraints
        and not spec.scheduling_gates
        and not others
        and spec.scheduler_name in ("", "default-scheduler")
    )
