"""Whether a container that has ended is started again: by its own rules, its own policy, or the pod's.

The kubelet does so, and the API server lets no status say that another one was. Source: pkg/api/v1/pod/util.go.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.objects import PodSpec
from k8sfsm.objects.container import Container

law = Law("kubelet")

Action: TypeAlias = Literal["none", "Restart", "RestartAllContainers"]
RESET: Final = "RestartingAllContainers"
"""The reason that a container shows which was removed to be started anew with all others."""


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


def may_restart_together(spec: PodSpec) -> bool:
    """A container of the pod has a rule that restarts all. Source: pkg/api/v1/pod/util.go: AllContainersCouldRestart"""
    both = (*spec.init_containers, *spec.containers)
    return any(rule.action == "RestartAllContainers" for each in both for rule in each.restart_policy_rules)
