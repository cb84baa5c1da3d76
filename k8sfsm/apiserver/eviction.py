"""POST pods/eviction: a deletion that the Pod's disruption budget has to grant.

Source: pkg/registry/core/pod/storage/eviction.go: EvictionREST.Create, checkAndDecrement, addConditionAndDeletePod.
"""

from __future__ import annotations

from typing import Final

from attrs import field, frozen

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.deletion import law
from k8sfsm.kinds.disruption_budget import matches, with_allowed_condition
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Count, constant
from k8sfsm.objects import Pod, PodCondition, PodDisruptionBudget, evolve
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.store import Store

_REASON: Final = "EvictionByEvictionAPI"
_MESSAGE: Final = "Eviction API: evicting"


@frozen
class EvictionCase:
    """An eviction of `pod`, with its budgets, at `second` (ns, a whole second)."""

    pod: Pod
    second: int
    budgets: tuple[PodDisruptionBudget, ...] = field(factory=tuple)

    @property
    def budget(self) -> PodDisruptionBudget:
        """The first budget."""
        return self.budgets[0]


@law.fact
def dispensable(case: EvictionCase) -> bool:
    """The Pod has ended, never ran, or is being deleted. Source: eviction.go: canIgnorePDB."""
    deleting = case.pod.metadata.deletion_timestamp is not None
    return deleting or case.pod.status.phase in ("Succeeded", "Failed", "Pending")


@law.fact
def budgets(case: EvictionCase) -> Count:
    """How many budgets cover the Pod."""
    return len(case.budgets)


@law.fact
def evicted_ready(case: EvictionCase) -> bool:
    """The Pod's condition Ready is True."""
    return is_pod_ready(case.pod)


@law.fact
def unhealthy_policy(case: EvictionCase) -> str:
    """The budget's spec.unhealthyPodEvictionPolicy."""
    return case.budget.spec.unhealthy_pod_eviction_policy


@law.fact
def budget_met(case: EvictionCase) -> bool:
    """As many Pods are healthy as the budget wants, and it wants some."""
    status = case.budget.status
    return status.current_healthy >= status.desired_healthy > 0


@law.fact
def budget_observed(case: EvictionCase) -> bool:
    """The budget's status is about its present spec."""
    return case.budget.status.observed_generation >= case.budget.metadata.generation


@law.fact
def evictions_left(case: EvictionCase) -> int:
    """The budget's status.disruptionsAllowed."""
    return case.budget.status.disruptions_allowed


@law.fact
def list_full(case: EvictionCase) -> bool:
    """More evictions were granted than the controller has taken note of."""
    return bool(len(case.budget.status.disrupted_pods) > constant("pdb_disrupted_pods_max"))


def eviction_case(store: Store, pod: Pod, second: int) -> EvictionCase:
    """The eviction of a Pod; budgets with an empty selector cover nothing."""
    found = store.snapshot.series("in", "PodDisruptionBudget", pod.metadata.namespace)
    return EvictionCase(pod, second, tuple(each for each in found if matches(each, pod)))


def granted(case: EvictionCase) -> PodDisruptionBudget | None:
    """The budget after it granted the eviction; None where none has to. Raises Refusal."""
    out = law.decide("eviction", case).outputs
    if out["code"]:
        name = case.budgets[0].metadata.name
        raise Refusal(out["code"], out["reason"], out["message"].format(name=name))
    if not out["counts"]:
        return None
    status = case.budget.status
    left = evolve(
        status,
        disruptions_allowed=status.disruptions_allowed - 1,
        disrupted_pods={**status.disrupted_pods, case.pod.metadata.name: case.second},
    )
    told = left if left.disruptions_allowed else with_allowed_condition(left, case.second)
    return evolve(case.budget, status=told)


def marked(case: EvictionCase) -> Pod:
    """The Pod with the condition that says that it is about to be evicted."""
    known = next((each for each in case.pod.status.conditions if each.type == DISRUPTION_TARGET), None)
    same = known is not None and known.status == "True"
    changed = PodCondition(
        type=DISRUPTION_TARGET,
        observed_generation=case.pod.metadata.generation,
        status="True",
        last_transition_time=known.last_transition_time if same and known is not None else case.second,
        reason=_REASON,
        message=_MESSAGE,
    )
    others = tuple(changed if each is known else each for each in case.pod.status.conditions)
    conditions = others if known is not None else (*others, changed)
    return evolve(case.pod, status=evolve(case.pod.status, conditions=conditions))
