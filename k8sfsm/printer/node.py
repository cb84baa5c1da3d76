"""The row of a Node. Source: pkg/printers/internalversion/printers.go: printNode."""

from __future__ import annotations

from typing import Final, Literal

from k8sfsm.law import Law
from k8sfsm.objects import Node
from k8sfsm.printer.cells import NONE, UNKNOWN, age

law = Law("kubectl")

_ROLE_PREFIX: Final = "node-role.kubernetes.io/"
_ROLE_LABEL: Final = "kubernetes.io/role"


@law.fact
def node_ready_condition(case: Node) -> Literal["True", "other", "missing"]:
    """The status of the condition Ready; the last one where there are several."""
    statuses = [each.status for each in case.status.conditions if each.type == "Ready"]
    if not statuses:
        return "missing"
    return "True" if statuses[-1] == "True" else "other"


@law.fact
def cordoned(case: Node) -> bool:
    """The Node takes no new Pods."""
    return case.spec.unschedulable


def node_row(node: Node, now: int) -> list[object]:
    """The cells of a Node, those of `-o wide` included; `now`: ns."""
    info = node.status.node_info
    return [
        node.metadata.name,
        law.decide("node-status", node).outputs["text"],
        _roles(node) or NONE,
        age(node, now),
        info.kubelet_version,
        _address(node, "InternalIP"),
        _address(node, "ExternalIP"),
        *(text or UNKNOWN for text in (info.os_image, info.kernel_version, info.container_runtime_version)),
    ]


def _roles(node: Node) -> str:
    """Source: printers.go: findNodeRoles."""
    labels = node.metadata.labels
    roles = {name.removeprefix(_ROLE_PREFIX) for name in labels if name.startswith(_ROLE_PREFIX)}
    return ",".join(sorted((roles | {labels.get(_ROLE_LABEL, "")}) - {""}))


def _address(node: Node, kind: str) -> str:
    return next((each.address for each in node.status.addresses if each.type == kind), NONE)
