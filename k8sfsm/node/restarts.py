"""Whether a container that has ended is started again: by its own rules, its own policy, or the pod's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.node.runtime import PodRuntime, newest
from k8sfsm.objects import Pod, PodStatus
from k8sfsm.objects.container import Container

law = Law("kubelet")

Action: TypeAlias = Literal["none", "Restart", "RestartAllContainers"]
RESET: Final = "RestartingAllContainers"
"""The reason that a container shows which was removed to be started anew with all others."""
RESTARTING: Final = "AllContainersRestarting"
"""The condition of a pod whose containers are being removed."""


@frozen
class Exit:
    """A container that has ended; `policy` is the pod's, `reason` that of its end."""

    container: Container
    policy: str
    code: int
    reason: str = ""


def action_after(container: Container, code: int) -> Action:
    """What the container's own rules order after an exit code: the first that it matches.

    Without a policy of its own its rules do not count. Source: pkg/api/v1/pod/util.go: FindMatchingContainerRestartRule
    """
    if container.restart_policy is None:
        return "none"
    for rule in container.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (code in codes.values) == (codes.operator == "In"):
            return rule.action  # type: ignore[return-value]
    return "none"


@law.fact
def matched_action(end: Exit) -> Action:
    """What the container's own rules order after its exit code."""
    return action_after(end.container, end.code)


@law.fact
def effective_policy(end: Exit) -> Literal["Always", "OnFailure", "Never"]:
    """The container's restart policy, or the pod's where it has none."""
    return end.container.restart_policy or end.policy  # type: ignore[return-value]


@law.fact
def exit_failed(end: Exit) -> bool:
    """The exit code is not 0."""
    return end.code != 0


@law.fact
def removed_for_restart(end: Exit) -> bool:
    """The kubelet removed the container to restart all of the pod."""
    return end.reason == RESET


def restarts_after(container: Container, policy: str, code: int, reason: str = "") -> bool:
    """Whether a container is started again after `code`. Source: pkg/api/v1/pod/util.go: ContainerShouldRestart"""
    return bool(law.decide("restart_after", Exit(container, policy, code, reason)).outputs["restarts"])


# -- all containers of a pod ------------------------------------------------------------------------------------------


def _containers(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)


def may_restart_together(pod: Pod) -> bool:
    """A container of the pod has a rule that restarts all. Source: pkg/api/v1/pod/util.go: AllContainersCouldRestart"""
    return any(rule.action == "RestartAllContainers" for each in _containers(pod) for rule in each.restart_policy_rules)


def restart_wanted(pod: Pod, runtime: PodRuntime, before: PodStatus) -> bool:
    """All containers are being restarted already, or one ended as a rule says that restarts all.

    Source: pkg/kubelet/container/helpers.go: ShouldAllContainersRestart
    """
    if not may_restart_together(pod):
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
