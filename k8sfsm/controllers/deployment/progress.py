"""The status at the end of a rollout's sync: progress, its deadline, and failures of ReplicaSets.

Source: pkg/controller/deployment/progress.go: syncRolloutStatus, getReplicaFailures, requeueStuckDeployment.
"""

from __future__ import annotations

from attrs import frozen

from k8sfsm.controllers.deployment.conditions import condition, from_replica_set, with_condition, without_condition
from k8sfsm.controllers.deployment.script import Phase, perform
from k8sfsm.controllers.deployment.status import calculate, is_progressing, is_timed_out
from k8sfsm.controllers.deployment.working import Working, has_progress_deadline, progressing_reason
from k8sfsm.kinds.deployment import condition_of, is_complete
from k8sfsm.kinds.deployment_bounds import law
from k8sfsm.law import Decision, LawError
from k8sfsm.objects import DeploymentStatus, ReplicaSet, ReplicaSetCondition, evolve
from k8sfsm.objects.durations import MILLISECOND, SECOND


@frozen
class Judged:
    """A sync and the status that it has calculated, before progress is judged."""

    working: Working
    status: DeploymentStatus


@law.fact
def with_deadline(case: Judged) -> bool:
    """A progress deadline is set."""
    return has_progress_deadline(case.working)


@law.fact
def all_updated(case: Judged) -> bool:
    """Every pod is of the new template."""
    return case.status.replicas == case.status.updated_replicas


@law.fact
def earlier_reason(case: Judged) -> str | None:
    """The reason of the working copy's Progressing condition, null without one."""
    return progressing_reason(case.working)


@law.fact
def now_complete(case: Judged) -> bool:
    """By the new status the rollout is complete."""
    return is_complete(case.working.deployment, case.status)


@law.fact
def made_progress(case: Judged) -> bool:
    """The new status is a step forward from the working copy's."""
    return is_progressing(case.working.deployment, case.status)


@law.fact
def timed_out(case: Judged) -> bool:
    """No progress for longer than the deadline."""
    return is_timed_out(case.working.deployment, case.status, case.working.view.now)


def _judge_progress(case: Working, status: DeploymentStatus) -> DeploymentStatus:
    decision = law.decide("progress", Judged(case, status))
    match decision.outputs["change"]:
        case "remove":
            return without_condition(status, "Progressing")
        case "set":
            return with_condition(status, condition("Progressing", decision.outputs, case))
        case "renew":
            # Dated anew even where status and reason stay the same; the transition time stays with the status.
            new = condition("Progressing", decision.outputs, case)
            current = condition_of(case.deployment.status, "Progressing")
            if current is not None and current.status == new.status:
                new = evolve(new, last_transition_time=current.last_transition_time)
            return with_condition(without_condition(status, "Progressing"), new)
        case "keep":
            return status
        case other:
            raise LawError(f"no such change of a condition: {other}")


def _failure(replica_sets: tuple[ReplicaSet, ...]) -> ReplicaSetCondition | None:
    found = (item for rs in replica_sets for item in rs.status.conditions if item.type == "ReplicaFailure")
    return next(found, None)


@law.fact
def new_rs_fails(case: Working) -> bool:
    """The new ReplicaSet has a ReplicaFailure condition."""
    return case.new_rs is not None and _failure((case.new_rs,)) is not None


@law.fact
def any_rs_fails(case: Working) -> bool:
    """Some ReplicaSet has a ReplicaFailure condition."""
    return _failure(case.all_rss) is not None


def _note_failure(case: Working, status: DeploymentStatus) -> DeploymentStatus:
    shown = law.decide("replica-failure", case).outputs["shown"]
    sources = {"new": case.all_rss[-1:], "first": case.all_rss, "none": ()}
    found = _failure(sources[shown])
    if found is None:
        return without_condition(status, "ReplicaFailure")
    return with_condition(status, from_replica_set(found))


def rollout_status(case: Working) -> DeploymentStatus:
    """The status at the end of a rollout's sync."""
    return _note_failure(case, _judge_progress(case, calculate(case)))


@law.action
def write_rollout_status(case: Working, decision: Decision) -> Phase:
    """Write counts, availability, progress and failures if they changed; else see to the deadline."""
    case.new_status = rollout_status(case)
    yield from perform(law, law.decide("write-rollout-status", case), case)


@law.fact
def newly_complete(case: Working) -> bool:
    """By the calculated status the rollout is complete."""
    return is_complete(case.deployment, case.new_status)


def _remaining(case: Working) -> int:
    """Nanoseconds until the progress deadline."""
    found = condition_of(case.deployment.status, "Progressing")
    seconds = case.deployment.spec.progress_deadline_seconds or 0
    updated = 0 if found is None else found.last_update_time or 0
    return updated + seconds * SECOND - case.view.now


@law.fact
def seconds_left(case: Working) -> float:
    """Seconds until the progress deadline; negative when it is past."""
    return _remaining(case) / SECOND


@law.action
def watch_deadline(case: Working, decision: Decision) -> Phase:
    """See to it that the Deployment is looked at again when its deadline has passed."""
    yield from perform(law, law.decide("deadline-requeue", case), case)


@law.action
def requeue_after_deadline(case: Working, decision: Decision) -> Phase:
    """Come back a second after the deadline."""
    case.requeue_after = _remaining(case) + SECOND
    yield from ()


@law.action
def requeue_soon(case: Working, decision: Decision) -> Phase:
    """Come back after the queue's shortest delay: upstream's AddRateLimited, whose count the good end resets."""
    case.requeue_after = round(law.controller().queue.base_delay_ms * MILLISECOND)
    case.limited = True
    yield from ()
