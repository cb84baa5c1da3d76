"""The status of a Deployment: counts and the Available condition.

Source: pkg/controller/deployment/sync.go: calculateStatus, syncDeploymentStatus;
pkg/controller/deployment/util/deployment_util.go: DeploymentComplete, DeploymentProgressing, DeploymentTimedOut.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from attrs import frozen

from k8sfsm.controllers.deployment.conditions import condition, with_condition
from k8sfsm.controllers.deployment.script import Phase, perform, send
from k8sfsm.controllers.deployment.working import Working, wanted_pods
from k8sfsm.kinds.deployment import condition_of
from k8sfsm.kinds.deployment_bounds import law, min_available
from k8sfsm.law import Decision
from k8sfsm.objects import Deployment, DeploymentStatus, ReplicaSet, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Update


@law.fact
def available_margin(case: Working) -> int:
    """Available pods beyond the least that the strategy allows."""
    return sum(rs.status.available_replicas for rs in case.all_rss) - min_available(case.deployment)


@law.fact
def terminating_known(rs: ReplicaSet) -> bool:
    """status.terminatingReplicas is set."""
    return rs.status.terminating_replicas is not None


@law.fact
def observed(rs: ReplicaSet) -> bool:
    """The ReplicaSet controller has written a status."""
    return rs.status.observed_generation != 0


_COUNTS: Final[Mapping[str, Callable[[ReplicaSet], int | None]]] = {
    "told": lambda rs: rs.status.terminating_replicas,
    "zero": lambda rs: 0,
    "unknown": lambda rs: None,
}
"""How many terminating pods a ReplicaSet counts for, by the rule's output."""


def _terminating(replica_sets: tuple[ReplicaSet, ...]) -> int | None:
    counts = [_COUNTS[law.decide("terminating", rs).outputs["count"]](rs) for rs in replica_sets]
    return None if None in counts else sum(count or 0 for count in counts)


def calculate(case: Working) -> DeploymentStatus:
    """The status by the ReplicaSets of this sync: counts, conditions as they were, Available as it is now."""
    deployment, everyone = case.deployment, case.all_rss
    available = sum(rs.status.available_replicas for rs in everyone)
    status = evolve(
        deployment.status,
        observed_generation=deployment.metadata.generation,
        replicas=sum(rs.status.replicas for rs in everyone),
        updated_replicas=0 if case.new_rs is None else case.new_rs.status.replicas,
        ready_replicas=sum(rs.status.ready_replicas for rs in everyone),
        available_replicas=available,
        unavailable_replicas=max(0, wanted_pods(everyone) - available),
        terminating_replicas=_terminating(everyone),
    )
    decision = law.decide("available", case)
    return with_condition(status, condition("Available", decision.outputs, case))


def is_progressing(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Since the stored status, pods were made, became ready or available, or old ones went."""
    old = deployment.status
    return (
        status.updated_replicas > old.updated_replicas
        or status.replicas - status.updated_replicas < old.replicas - old.updated_replicas
        or status.ready_replicas > old.ready_replicas
        or status.available_replicas > old.available_replicas
    )


@frozen
class Patience:
    """A Deployment with a new status, at a time (ns)."""

    deployment: Deployment
    status: DeploymentStatus
    now: int


@law.fact
def noted_reason(case: Patience) -> str | None:
    """The reason of the new status's Progressing condition, null without one."""
    found = condition_of(case.status, "Progressing")
    return None if found is None else found.reason


@law.fact
def deadline_passed(case: Patience) -> bool:
    """The deadline counted from the condition's lastUpdateTime lies in the past."""
    found = condition_of(case.status, "Progressing")
    seconds = case.deployment.spec.progress_deadline_seconds or 0
    return found is not None and (found.last_update_time or 0) + seconds * SECOND < case.now


def is_timed_out(deployment: Deployment, status: DeploymentStatus, now: int) -> bool:
    """The rollout has made no progress for longer than its deadline."""
    return bool(law.decide("timed-out", Patience(deployment, status, now)).outputs["timed_out"])


@law.fact
def status_changed(case: Working) -> bool:
    """The status as calculated differs from the working copy's."""
    return case.new_status != case.deployment.status


@law.action
def write_status(case: Working, decision: Decision) -> Phase:
    """Write counts and availability, if they changed. Source: sync.go: syncDeploymentStatus."""
    case.new_status = calculate(case)
    yield from perform(law, law.decide("write-status", case), case)


@law.action
def store_new_status(case: Working, decision: Decision) -> Phase:
    """Write the calculated status."""
    case.set_status(case.new_status)
    yield from send(Update(object=case.deployment, subresource="status"))
