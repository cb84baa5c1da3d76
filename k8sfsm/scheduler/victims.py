"""The victims of preemption on one node: who has to go, whom a budget protects, and how much harm that does.

Source: pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go: SelectVictimsOnNode,
filterPodsWithPDBViolation; pkg/scheduler/framework/preemption/preemption.go: pickOneNodeForPreemption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from k8sfsm.objects import LabelSelector, Pod, part_from_json, to_json
from k8sfsm.scheduler.cluster import priority_of
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.selectors import Selector
from k8sfsm.view import View

_ABOVE_ALL: Final = 1 << 31
"""Added to each priority, so that none is negative and fewer victims make a lower sum."""


@frozen(kw_only=True)
class Budget:
    """A PodDisruptionBudget: how many more of the pods that it selects may go."""

    namespace: str
    selector: Selector
    allowed: int
    disrupted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, found: Any) -> Budget:
        """The budget as its object states it."""
        document: Mapping[str, Any] = to_json(found)
        status = document.get("status") or {}
        selector = (document.get("spec") or {}).get("selector")
        return cls(
            namespace=document["metadata"].get("namespace", ""),
            selector=Selector.of(None if selector is None else part_from_json(LabelSelector, selector)),
            allowed=status.get("disruptionsAllowed", 0),
            disrupted=frozenset(status.get("disruptedPods") or ()),
        )


def budgets(view: View) -> tuple[Budget, ...]:
    """All PodDisruptionBudgets."""
    return tuple(Budget.of(each) for each in view.list("PodDisruptionBudget"))


@frozen
class Protection:
    """A victim and a budget: the case of the table `protects`."""

    victim: Pod
    budget: Budget


@law.fact
def victim_labelled(protection: Protection) -> bool:
    """The victim has labels."""
    return bool(protection.victim.metadata.labels)


@law.fact
def budget_in_namespace(protection: Protection) -> bool:
    """The budget is in the victim's namespace."""
    return protection.budget.namespace == protection.victim.metadata.namespace


@law.fact
def budget_for_all(protection: Protection) -> bool:
    """The budget's selector is empty."""
    return protection.budget.selector.empty


@law.fact
def budget_selects(protection: Protection) -> bool:
    """The budget's selector matches the victim."""
    return protection.budget.selector.matches(protection.victim.metadata.labels)


@law.fact
def already_disrupted(protection: Protection) -> bool:
    """The API server has counted the victim as disrupted before."""
    return protection.victim.metadata.name in protection.budget.disrupted


@law.fact
def pod_priority(pod: Pod) -> int:
    """The pod's priority; 0 where it has none."""
    return priority_of(pod)


@law.fact
def started_at(pod: Pod, view: View) -> int:
    """When the pod started (ns); one that has not started starts now."""
    return view.now if pod.status.start_time is None else pod.status.start_time


def by_importance(pods: Iterable[Pod], view: View) -> tuple[Pod, ...]:
    """Pods with the most important one first."""
    return law.order("importance", pods, view)


def violating(pods: Sequence[Pod], known: Sequence[Budget]) -> tuple[bool, ...]:
    """Which of the pods, the most important first, a budget does not allow to go."""
    allowed = [budget.allowed for budget in known]
    found = []
    for pod in pods:
        violates = False
        for index, budget in enumerate(known):
            if law.decide("protects", Protection(pod, budget)).outputs["costs"]:
                allowed[index] -= 1
                violates = violates or allowed[index] < 0
        found.append(violates)
    return tuple(found)


@frozen(kw_only=True)
class Candidate:
    """A node on which preemption helps. `victims`: the most important first; `violations`: of budgets."""

    node: str
    victims: tuple[Pod, ...]
    violations: int


def select(
    node: str, below: Sequence[Pod], fits: Callable[[Sequence[Pod]], bool], known: Sequence[Budget], view: View
) -> Candidate:
    """Spare as many pods as possible: first those that a budget protects, in both groups the most important first.

    `below`: the node's pods of lower priority; `fits`: whether the incoming pod fits beside those of them given.
    """
    ordered = by_importance(below, view)
    protected = violating(ordered, known)
    spared: list[Pod] = []
    victims: list[Pod] = []
    violations = 0
    for group in (True, False):
        for pod, violates in zip(ordered, protected, strict=True):
            if violates is not group:
                continue
            if fits((*spared, pod)):
                spared.append(pod)
                continue
            victims.append(pod)
            violations += violates
    return Candidate(node=node, victims=by_importance(victims, view), violations=violations)


@law.fact
def budget_violations(candidate: Candidate) -> int:
    """How many victims a budget does not allow to go."""
    return candidate.violations


@law.fact
def highest_victim_priority(candidate: Candidate) -> int:
    """The priority of the most important victim."""
    return priority_of(candidate.victims[0])


@law.fact
def victim_priorities(candidate: Candidate) -> int:
    """The sum of the victims' priorities, each counted from the lowest that there is."""
    return sum(priority_of(pod) + _ABOVE_ALL for pod in candidate.victims)


@law.fact
def victim_count(candidate: Candidate) -> int:
    """How many pods have to go."""
    return len(candidate.victims)


@law.fact
def earliest_start(candidate: Candidate, view: View) -> int:
    """When the first of the victims of the highest priority started (ns)."""
    highest = highest_victim_priority(candidate)
    return min(started_at(pod, view) for pod in candidate.victims if priority_of(pod) == highest)


def least_harmful(candidates: Sequence[Candidate], view: View) -> tuple[Candidate, ...]:
    """The candidates that no row tells apart from the best, in the order in which they were found."""
    ordered = law.order("least-harm", candidates, view)
    return tuple(each for each in ordered if law.compare("least-harm", ordered[0], each, view) == 0)
