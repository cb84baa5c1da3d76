"""What the ReplicaSet controller reports: the status and its write.

Source: pkg/controller/replicaset/replica_set_utils.go: calculateStatus, updateReplicaSetStatus
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from k8sfsm.controllers.replicaset_flavour import Flavour
from k8sfsm.controllers.replicaset_pods import count, ready_times
from k8sfsm.controllers.selector import Matcher
from k8sfsm.law import Decision, Law
from k8sfsm.objects import Pod, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Outcome, Update
from k8sfsm.value import value

law: Final = Law("replicaset")
FAILURE: Final = "ReplicaFailure"


@value
class Report:
    """What is to be reported about `owner`: its Pods as they were before this sync acted, and what failed."""

    owner: Any
    flavour: Flavour
    matches: Matcher
    active: Sequence[Pod]
    terminating: Sequence[Pod]
    manage_error: str
    now: int
    status: Any = None

    @classmethod
    def of(
        cls,
        owner: Any,
        flavour: Flavour,
        matches: Matcher,
        active: Sequence[Pod],
        terminating: Sequence[Pod],
        manage_error: str,
        now: int,
    ) -> Report:
        """The report with its status."""
        report = cls(owner, flavour, matches, active, terminating, manage_error, now)
        return evolve(report, status=_status(report))

    @property
    def surplus(self) -> int:
        """Active Pods beyond the wanted number; negative when Pods are missing."""
        return len(self.active) - self.flavour.replicas(self.owner)


def _status(report: Report) -> Any:
    counts = count(report.owner, report.flavour, report.matches, report.active, report.terminating, report.now)
    return evolve(
        report.owner.status,
        **counts,
        conditions=_conditions(report),
        observed_generation=report.owner.metadata.generation,
    )


def _conditions(report: Report) -> tuple[Any, ...]:
    conditions: tuple[Any, ...] = report.owner.status.conditions
    decision = law.decide("failure-condition", report)
    match decision.outputs["condition"]:
        case "added":
            failure = report.flavour.condition(
                type=FAILURE,
                status="True",
                reason=decision.outputs["reason"],
                message=report.manage_error,
                last_transition_time=report.now // SECOND * SECOND,
            )
            return (*conditions, failure)
        case "removed":
            return tuple(condition for condition in conditions if condition.type != FAILURE)
        case _:
            return conditions


@law.fact
def manage_failed(case: Report) -> bool:
    """Creating or deleting Pods failed."""
    return case.manage_error != ""


@law.fact
def failure_reported(case: Report) -> bool:
    """The status has the condition ReplicaFailure."""
    return any(condition.type == FAILURE for condition in case.owner.status.conditions)


@law.fact
def status_changed(case: Report) -> bool:
    """The counts or conditions differ from those of the object."""
    old = case.owner.status
    return bool(evolve(case.status, observed_generation=old.observed_generation) != old)


@law.fact
def generation_observed(case: Report) -> bool:
    """The status is about this generation of the object."""
    return bool(case.owner.metadata.generation == case.owner.status.observed_generation)


@law.action
def write_status(case: Report, decision: Decision) -> Iterator[Update]:
    """Write the status to the object as the controller sees it."""
    yield Update(object=evolve(case.owner, status=case.status), subresource="status")


@value
class StatusAnswer:
    """The API server's answer to a status write. `retries`: how many may follow."""

    report: Report
    outcome: Outcome
    retries: int


@law.fact
def retries_left(case: StatusAnswer) -> int:
    """How many more attempts there are."""
    return case.retries


@law.fact
def live_known(case: StatusAnswer) -> bool:
    """The API server has an object of that name to write to."""
    return case.outcome.object is not None


@law.action
def write_status_again(case: StatusAnswer, decision: Decision) -> Iterator[Update]:
    """Write the same status, with the generation that it is about, to the object as it is stored."""
    yield Update(object=evolve(case.outcome.object, status=case.report.status), subresource="status")


@law.fact
def min_ready_seconds(case: Report) -> int:
    """spec.minReadySeconds."""
    return int(case.owner.spec.min_ready_seconds)


@law.fact
def ready_unavailable(case: Report) -> int:
    """Pods that are ready, and not for long enough yet."""
    return int(case.status.ready_replicas - case.status.available_replicas)


@law.fact
def next_available(case: Report) -> bool:
    """It is foreseeable when the next Pod becomes available."""
    return next_availability(case) is not None


def next_availability(report: Report) -> int | None:
    """In what time (ns) the next ready Pod becomes available; None where none will by itself.

    Source: pkg/controller/controller_utils.go: FindMinNextPodAvailabilityCheck
    """
    wait = report.owner.spec.min_ready_seconds * SECOND - report.now
    return min(
        (since + wait for since in ready_times(report.active) if since is not None and since + wait > 0), default=None
    )
