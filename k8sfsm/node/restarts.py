"""Restarting all containers of a pod, as a rule of one of them says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from k8sfsm.kinds.container_restarts import action_after, may_restart_together
from k8sfsm.node.runtime_state import PodRuntime, newest
from k8sfsm.objects import Pod, PodStatus
from k8sfsm.objects.container import Container

RESTARTING: Final = "AllContainersRestarting"
"""The condition of a pod whose containers are being removed."""


def _containers(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)


def restart_wanted(pod: Pod, runtime: PodRuntime, before: PodStatus) -> bool:
    """All containers are being restarted already, or one ended as a rule says that restarts all.

    Source: pkg/kubelet/container/helpers.go: ShouldAllContainersRestart
    """
    if not may_restart_together(pod.spec):
        return False
    if is_restarting(before):
        return True
    runs = ((each, newest(runtime, each.name)) for each in _containers(pod))
    return any(
        run is not None and run.state == "exited" and action_after(each, run.exit_code) == "RestartAllContainers"
        for each, run in runs
    )


def is_restarting(status: PodStatus) -> bool:
    """The status says that all containers are being restarted."""
    return any(each.type == RESTARTING and each.status == "True" for each in status.conditions)


def all_removed(pod: Pod, runtime: PodRuntime) -> bool:
    """The runtime has no container of the pod. Source: container/helpers.go: AllContainersRestartCleanedUp"""
    return not any(newest(runtime, each.name) for each in _containers(pod))


TEXTS: Final[Mapping[str, str]] = {
    "removed": "The container is removed because RestartAllContainers in place",
    "condition": "container exited with restart policy rule",
}
"""What statuses and conditions say about it."""
