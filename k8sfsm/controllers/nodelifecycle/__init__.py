"""The node lifecycle controller: notices lost nodes, taints them, and paces what that leads to."""

from k8sfsm.controllers.nodelifecycle.controller import NodeLifecycleController, known_nodes
from k8sfsm.controllers.nodelifecycle.health import LifecycleSettings

__all__ = ["LifecycleSettings", "NodeLifecycleController", "known_nodes"]
