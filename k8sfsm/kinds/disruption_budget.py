"""PodDisruptionBudgets: whose Pods they cover, and the condition that says whether evictions are allowed."""

from __future__ import annotations

from typing import Final

from k8sfsm.law import Law
from k8sfsm.objects import (
    Condition,
    Pod,
    PodDisruptionBudget,
    PodDisruptionBudgetStatus,
    Selector,
    SelectorError,
    evolve,
)
from k8sfsm.objects.durations import SECOND

law = Law("disruption")

ALLOWED: Final = "DisruptionAllowed"


def matches(budget: PodDisruptionBudget, pod: Pod, *, empty_matches: bool = False) -> bool:
    """Whether a budget's selector matches a Pod. An empty selector matches all where `empty_matches`, else none.

    Source: staging/src/k8s.io/client-go/listers/policy/v1/poddisruptionbudget_expansion.go: GetPodPodDisruptionBudgets
    """
    selector = budget.spec.selector
    if selector is None:
        return False
    if not empty_matches and not selector.match_labels and not selector.match_expressions:
        return False
    try:
        return bool(Selector.of(selector).matches(pod.metadata.labels))
    except SelectorError:
        return False


def with_allowed_condition(status: PodDisruptionBudgetStatus, now: int) -> PodDisruptionBudgetStatus:
    """The status with the condition DisruptionAllowed as its numbers have it.

    Source: staging/src/k8s.io/component-helpers/apps/poddisruptionbudget/helpers.go: UpdateDisruptionAllowedCondition
    """
    out = law.decide("allowed-condition", status).outputs
    return evolve(status, conditions=with_condition(status, out["status"], out["reason"], "", now))


def with_condition(
    status: PodDisruptionBudgetStatus, value: str, reason: str, message: str, now: int
) -> tuple[Condition, ...]:
    """The conditions with DisruptionAllowed as given; its time changes with its status.

    Source: staging/src/k8s.io/apimachinery/pkg/api/meta/conditions.go: SetStatusCondition
    """
    known = next((each for each in status.conditions if each.type == ALLOWED), None)
    same = known is not None and known.status == value
    changed = Condition(
        type=ALLOWED,
        status=value,
        observed_generation=status.observed_generation,
        last_transition_time=known.last_transition_time if same and known is not None else now - now % SECOND,
        reason=reason,
        message=message,
    )
    if known is None:
        return (*status.conditions, changed)
    return tuple(changed if each is known else each for each in status.conditions)


@law.fact
def disruptions_allowed(case: PodDisruptionBudgetStatus) -> int:
    """status.disruptionsAllowed."""
    return case.disruptions_allowed
