"""Conditions of a Deployment.

Source: pkg/controller/deployment/util/deployment_util.go: NewDeploymentCondition, SetDeploymentCondition,
RemoveDeploymentCondition, ReplicaSetToDeploymentCondition.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sfsm.controllers.deployment.working import Working, format_message, whole_second
from k8sfsm.kinds.deployment import condition_of
from k8sfsm.objects import DeploymentCondition, DeploymentStatus, ReplicaSetCondition, evolve


def condition(type: str, outputs: Mapping[str, Any], case: Working, **values: Any) -> DeploymentCondition:
    """A condition of `type` as a rule gives it (outputs status, reason, message), dated now."""
    now = whole_second(case.view.now)
    return DeploymentCondition(
        type=type,
        status=outputs["status"],
        reason=outputs["reason"],
        message=format_message(outputs["message"], case, **values),
        last_update_time=now,
        last_transition_time=now,
    )


def with_condition(status: DeploymentStatus, new: DeploymentCondition) -> DeploymentStatus:
    """The status with a condition set: nothing changes where status and reason are the same already."""
    current = condition_of(status, new.type)
    if current is not None and current.status == new.status:
        if current.reason == new.reason:
            return status
        new = evolve(new, last_transition_time=current.last_transition_time)
    rest = without_condition(status, new.type).conditions
    return evolve(status, conditions=(*rest, new))


def without_condition(status: DeploymentStatus, type: str) -> DeploymentStatus:
    """The status without conditions of a type."""
    return evolve(status, conditions=tuple(item for item in status.conditions if item.type != type))


def from_replica_set(found: ReplicaSetCondition) -> DeploymentCondition:
    """A ReplicaSet's condition as one of the Deployment."""
    return DeploymentCondition(
        type=found.type,
        status=found.status,
        reason=found.reason,
        message=found.message,
        last_transition_time=found.last_transition_time,
        last_update_time=found.last_transition_time,
    )
