"""The disruption controller: how many Pods of each PodDisruptionBudget may be evicted.

Source: pkg/controller/disruption/disruption.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from attrs import field, frozen

from k8sfsm.controllers.disruption_scale import ScaleError, Scales, scale_text
from k8sfsm.controllers.pod_changes import asked_by_sort, labelled_sorts_of
from k8sfsm.kinds.disruption_budget import law, matches, with_allowed_condition, with_condition
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Count, Decision, constant
from k8sfsm.lazy import lazy
from k8sfsm.objects import (
    Pod,
    PodCondition,
    PodDisruptionBudget,
    PodDisruptionBudgetStatus,
    controller_of,
    evolve,
    key_of,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.percent import PercentError, scaled_value
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import DONE, Key, Plan, Record, Step, Update
from k8sfsm.view import Change, View

UNMANAGED: Final = (
    "Pods selected by this PodDisruptionBudget (selector: {selector}) were found to be unmanaged. As a result, the"
    " status of the PDB cannot be calculated correctly, which may result in undefined behavior. To account for these"
    ' pods please set ".spec.minAvailable" field of the PDB to an integer value.'
)


def budgets_of(view: View, pod: Pod) -> tuple[PodDisruptionBudget, ...]:
    """The budgets whose selectors match a Pod."""
    budgets = view.list("PodDisruptionBudget", pod.metadata.namespace)
    return tuple(each for each in budgets if matches(each, pod))


@law.key
def changed_budget(change: Change, view: View) -> tuple[Key, ...]:
    """The budget itself."""
    return (change.key,)


@law.key
@asked_by_sort(labelled_sorts_of)
def budget_of_pod(change: Change, view: View) -> Iterable[Key | tuple[Key, int]]:
    """The first budget of the Pod; the Pod itself where it has several, or when a condition of it will be stale."""
    pod: Pod = change.new
    budgets = budgets_of(view, pod)
    if budgets:
        yield key_of(budgets[0])
    if len(budgets) > 1:
        yield change.key
    since = _target_since(pod)
    if since is not None and change.type != "DELETED":
        yield change.key, max(0, since + constant("stale_disruption_timeout") * SECOND - view.now)


def _target_since(pod: Pod) -> int | None:
    """Since when (ns) the Pod is about to be disrupted; None: it is not."""
    found = (each for each in pod.status.conditions if each.type == DISRUPTION_TARGET and each.status == "True")
    return next((each.last_transition_time for each in found), None)


@frozen(slots=False)
class Look:
    """A budget and its Pods."""

    budget: PodDisruptionBudget
    view: View

    @lazy
    def pods(self) -> tuple[Pod, ...]:
        """The Pods that the selector matches; none where there is no selector."""
        pods: tuple[Pod, ...] = self.view.list("Pod", self.budget.metadata.namespace)
        return tuple(pod for pod in pods if matches(self.budget, pod, empty_matches=True))

    @lazy
    def scales(self) -> Scales:
        """The controllers of the Pods."""
        return Scales.of(self.pods, self.view)

    @lazy
    def numbers(self) -> tuple[int, int]:
        """Expected and desired healthy Pods. Raises ScaleError and PercentError."""
        spec, out = self.budget.spec, law.decide("expected", self).outputs
        total = _EXPECTED[out["expects"]](self)
        if out["wants"] == "nothing":
            return total, 0
        if out["wants"] == "scale-less-max-unavailable":
            return total, max(0, total - scaled_value(spec.max_unavailable, total, round_up=True))
        return total, scaled_value(spec.min_available, total, round_up=True)

    @lazy
    def failure(self) -> str:
        """Why the numbers cannot be worked out; "" where they can."""
        try:
            _ = self.numbers
        except (ScaleError, PercentError) as error:
            return str(error)
        return ""

    @lazy
    def members(self) -> tuple[Member, ...]:
        """The Pods, each with when its eviction was granted."""
        listed = self.budget.status.disrupted_pods
        return tuple(Member(pod, listed.get(pod.metadata.name), self) for pod in self.pods)

    @lazy
    def status(self) -> PodDisruptionBudgetStatus:
        """The status as it should be. Raises ScaleError and PercentError."""
        expected, desired = self.numbers
        healthy = sum(bool(law.decide("healthy", each).outputs["counts"]) for each in self.members)
        spare = healthy - desired
        allows = law.decide("allowed", Balance(expected, spare)).outputs["allows"]
        status = PodDisruptionBudgetStatus(
            observed_generation=self.budget.metadata.generation,
            disrupted_pods={
                each.pod.metadata.name: each.granted
                for each in self.members
                if each.granted is not None and law.decide("disrupted", each).outputs["kept"]
            },
            disruptions_allowed=spare if allows == "spare" else 0,
            current_healthy=healthy,
            desired_healthy=desired,
            expected_pods=expected,
            conditions=self.budget.status.conditions,
        )
        return with_allowed_condition(status, self.view.now)

    @property
    def recheck(self) -> int | None:
        """How long until an eviction that was granted is overdue (ns); None: there is none."""
        timeout = constant("pdb_deletion_timeout") * SECOND
        kept = self.status.disrupted_pods.values()
        return max(0, min(kept) + timeout - self.view.now) if kept else None


@frozen
class Member:
    """A Pod of a budget. `granted`: when (ns) its eviction was granted, None: it was not."""

    pod: Pod
    granted: int | None
    look: Look


@frozen
class Balance:
    """Pods that a budget expects, and healthy ones beyond those that it wants."""

    expected: int
    spare: int


@frozen
class Marked:
    """A Pod at a time, and its budgets."""

    pod: Pod
    view: View
    budgets: tuple[PodDisruptionBudget, ...] = field(factory=tuple)


_EXPECTED: Final[Mapping[str, Callable[[Look], int]]] = {
    "scale": lambda look: look.scales.total,
    "pods": lambda look: len(look.pods),
    "nothing": lambda look: 0,
}


# -- facts ------------------------------------------------------------------------------------------------------------


def _given(value: int | str | None) -> Literal["nothing", "number", "percentage"]:
    if value is None:
        return "nothing"
    return "number" if isinstance(value, int) else "percentage"


@law.fact
def max_unavailable_given(case: Look) -> Literal["nothing", "number", "percentage"]:
    """spec.maxUnavailable."""
    return _given(case.budget.spec.max_unavailable)


@law.fact
def min_available_given(case: Look) -> Literal["nothing", "number", "percentage"]:
    """spec.minAvailable."""
    return _given(case.budget.spec.min_available)


@law.fact
def pod_deleting(case: Member | Marked) -> bool:
    """The Pod's deletionTimestamp is set."""
    return case.pod.metadata.deletion_timestamp is not None


@law.fact
def pod_disrupted(case: Member) -> Literal["no", "waiting", "due", "overdue"]:
    """Whether the Pod's eviction was granted, and whether it should have been deleted by now."""
    if case.granted is None:
        return "no"
    left = case.granted + constant("pdb_deletion_timeout") * SECOND - case.look.view.now
    return "waiting" if left > 0 else "overdue" if left else "due"


@law.fact
def pod_is_ready(case: Member) -> bool:
    """The Pod's condition Ready is True."""
    return is_pod_ready(case.pod)


@law.fact
def expected_pods(case: Balance) -> int:
    """Pods that the budget expects."""
    return case.expected


@law.fact
def spare_pods(case: Balance) -> int:
    """Healthy Pods beyond those that it wants; negative where some are missing."""
    return case.spare


@law.fact
def scale_failed(case: Look) -> bool:
    """The numbers of the budget cannot be worked out."""
    return bool(case.failure)


@law.fact
def status_changes(case: Look) -> bool:
    """The status is another than it should be."""
    return case.status != case.budget.status


@law.fact
def pods_of_budget(case: Look) -> Count:
    """How many Pods the selector matches."""
    return len(case.pods)


@law.fact
def unmanaged_pods(case: Look) -> Count:
    """How many of them have no controller, where controllers are asked."""
    asked = law.decide("expected", case).outputs["expects"] == "scale"
    return sum(controller_of(pod) is None for pod in case.pods) if asked and not case.failure else 0


@law.fact
def budgets_of_pod(case: Marked) -> Count:
    """How many budgets the Pod has."""
    return len(case.budgets)


@law.fact
def pod_ended(case: Marked) -> bool:
    """The Pod's phase is Succeeded or Failed."""
    return case.pod.status.phase in ("Succeeded", "Failed")


@law.fact
def target_reason(case: Marked) -> str:
    """The reason of the Pod's condition DisruptionTarget; none where it is not True."""
    found = (each for each in case.pod.status.conditions if each.type == DISRUPTION_TARGET and each.status == "True")
    return next((each.reason for each in found), "none")


@law.fact
def target_age(case: Marked) -> Literal["recent", "stale"]:
    """Whether the condition has been there for longer than a deletion may take."""
    since = _target_since(case.pod) or 0
    return "recent" if case.view.now - since < constant("stale_disruption_timeout") * SECOND else "stale"


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def announce_not_deleted(case: Member, decision: Decision) -> Iterable[Step]:
    """Tell that the Pod was not deleted."""
    namespace = case.look.budget.metadata.namespace
    message = f"Pod was expected by PDB {namespace}/{namespace} to be deleted but it wasn't"
    yield Record(regarding=case.pod, type="Warning", reason="NotDeleted", message=message)


@law.action
def announce_no_pods(case: Look, decision: Decision) -> Iterable[Step]:
    """Tell that the budget has no Pods."""
    yield Record(regarding=case.budget, type="Normal", reason="NoPods", message="No matching pods found")


@law.action
def announce_unmanaged(case: Look, decision: Decision) -> Iterable[Step]:
    """Tell that Pods without a controller cannot be counted."""
    message = UNMANAGED.format(selector=scale_text(case.budget.spec.selector))
    yield Record(regarding=case.budget, type="Warning", reason="UnmanagedPods", message=message)


@law.action
def announce_failed(case: Look, decision: Decision) -> Iterable[Step]:
    """Tell why the numbers cannot be worked out."""
    message = f"Failed to calculate the number of expected pods: {case.failure}"
    yield Record(regarding=case.budget, type="Warning", reason="CalculateExpectedPodCountFailed", message=message)


@law.action
def announce_several(case: Marked, decision: Decision) -> Iterable[Step]:
    """Tell that only one of the Pod's budgets counts."""
    meta, first = case.pod.metadata, case.budgets[0].metadata.name
    message = (
        f'Pod "{meta.namespace}"/"{meta.name}" matches multiple PodDisruptionBudgets.  Chose "{first}" arbitrarily.'
    )
    yield Record(regarding=case.pod, type="Warning", reason="MultiplePodDisruptionBudgets", message=message)


@law.action
def write_status(case: Look, decision: Decision) -> Iterable[Step]:
    """Write the status."""
    yield Update(object=evolve(case.budget, status=case.status), subresource="status")


@law.action
def write_fail_safe(case: Look, decision: Decision) -> Iterable[Step]:
    """Allow no evictions while the numbers are not known."""
    status = evolve(case.budget.status, disruptions_allowed=0)
    conditions = with_condition(status, "False", "SyncFailed", case.failure, case.view.now)
    yield Update(object=evolve(case.budget, status=evolve(status, conditions=conditions)), subresource="status")


@law.action
def reset_condition(case: Marked, decision: Decision) -> Iterable[Step]:
    """Set the condition DisruptionTarget to False."""
    second = case.view.now - case.view.now % SECOND
    conditions = tuple(
        PodCondition(type=DISRUPTION_TARGET, status="False", last_transition_time=second)
        if each.type == DISRUPTION_TARGET
        else each
        for each in case.pod.status.conditions
    )
    status = evolve(case.pod.status, conditions=conditions)
    yield Update(object=evolve(case.pod, status=status), subresource="status")


# -- the controller ---------------------------------------------------------------------------------------------------


class DisruptionController:
    """Reconciles budgets, and Pods with a condition that may be stale or with several budgets."""

    name = "disruption-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about a budget or a Pod."""
        obj = view.get(*key)
        if obj is None:
            return DONE
        return _pod(view, obj) if isinstance(obj, Pod) else _budget(Look(obj, view))


def _budget(look: Look) -> Plan:
    steps: list[Any] = []
    for remark in law.collect("remarks", look):
        steps.extend(law.perform(remark, look))
    for member in () if look.failure else look.members:
        steps.extend(law.perform(law.decide("disrupted", member), member))
    steps.extend(law.perform(law.decide("write-status", look), look))
    return Plan(steps=tuple(steps), requeue_after=None if look.failure else look.recheck)


def _pod(view: View, pod: Pod) -> Plan:
    case = Marked(pod, view, budgets_of(view, pod))
    steps: list[Any] = []
    for table in ("several-budgets", "stale-condition"):
        steps.extend(law.perform(law.decide(table, case), case))
    return Plan(steps=tuple(steps))
