"""What the cloud tells of a node's machine."""

from __future__ import annotations

from typing import Literal, TypeAlias

from k8sfsm.cloud.asking import trouble
from k8sfsm.cloud.state import Instance, State
from k8sfsm.objects import Node
from k8sfsm.view import View

Machine: TypeAlias = Literal["unreachable", "missing", "running", "shut-down"]


def instance_of(view: View, node: Node) -> Instance | None:
    """The machine: by the providerID of its Node, or by its name where that has none yet."""
    state: State = view.runtime
    found: Instance | None = state.get(("instance", node.metadata.name))
    if found is None or node.spec.provider_id not in ("", found.provider_id):
        return None
    return found


def machine_of(view: View, node: Node) -> Machine:
    """What the cloud says of a node's machine."""
    if trouble(view, "instances"):
        return "unreachable"
    found = instance_of(view, node)
    if found is None:
        return "missing"
    return "running" if found.running else "shut-down"
