"""Preemption: where no node is feasible, may the pod displace others, on which node, and whom?

Source: pkg/scheduler/framework/preemption/preemption.go: Preempt, DryRunPreemption;
pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final, Literal, TypeAlias

from attrs import field

from k8sfsm.objects import Pod
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.scheduler.cluster import Cluster, NodeInfo, priority_of
from k8sfsm.scheduler.filters import UNSCHEDULABLE, Refusal
from k8sfsm.scheduler.plain import Judge, Placement, Search, fit_error
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.victims import Budget, Candidate, budgets, least_harmful, select
from k8sfsm.value import value

NO_CLAIMS_TO_FREE: Final = "no new claims to deallocate"
"""What the plugin before says, where no pod has claims (plugins/dynamicresources: PostFilter)."""
Verdict: TypeAlias = Literal["no-nodes", "error", "ineligible", "hopeless", "found"]


class Preemptor:
    """A pod that fits nowhere: the case of the table `preempts`."""

    def __init__(self, pod: Pod, cluster: Cluster, placement: Placement) -> None:
        self.pod = pod
        self.cluster = cluster
        self.placement = placement

    @cached_property
    def judge(self) -> Judge:
        """Asks the filters again, with other pods on a node."""
        return self.placement.judge or Search(self.pod, self.cluster).refusal_changed

    @cached_property
    def budgets(self) -> tuple[Budget, ...]:
        """The PodDisruptionBudgets."""
        return budgets(self.cluster.view)


@law.fact
def preemption_policy(preemptor: Preemptor) -> str:
    """The pod's preemptionPolicy; "" where it has none."""
    return preemptor.pod.spec.preemption_policy or ""


@law.fact
def victims_terminating(preemptor: Preemptor) -> bool:
    """On the node nominated to the pod, which is not lost for it, a victim of preemption is still terminating."""
    pod = preemptor.pod
    info = preemptor.cluster.by_name.get(pod.status.nominated_node_name)
    if info is None:
        return False
    refusal = preemptor.placement.refusals.get(info.name)
    if refusal is not None and refusal.code != UNSCHEDULABLE:
        return False
    return any(_is_leaving_victim(each) and priority_of(each) < priority_of(pod) for each in info.pods)


def _is_leaving_victim(pod: Pod) -> bool:
    return pod.metadata.deletion_timestamp is not None and any(
        c.type == DISRUPTION_TARGET and c.status == "True" and c.reason == "PreemptionByScheduler"
        for c in pod.status.conditions
    )


class Sacrifice:
    """One node, without its pods of lower priority: the case of the table `sacrifice`."""

    def __init__(self, preemptor: Preemptor, info: NodeInfo, refusal: Refusal) -> None:
        self.preemptor = preemptor
        self.info = info
        self.refusal = refusal

    @cached_property
    def below(self) -> tuple[Pod, ...]:
        """Pods that may be removed: those of lower priority."""
        least = priority_of(self.preemptor.pod)
        return tuple(pod for pod in self.info.pods if priority_of(pod) < least)

    @cached_property
    def kept(self) -> tuple[Pod, ...]:
        """Pods that stay in any case."""
        least = priority_of(self.preemptor.pod)
        return tuple(pod for pod in self.info.pods if priority_of(pod) >= least)

    @cached_property
    def refusal_without_victims(self) -> Refusal | None:
        """Why the pod does not fit even then; None where it does."""
        return self._refusal_beside(())

    def _refusal_beside(self, spared: Sequence[Pod]) -> Refusal | None:
        return self.preemptor.judge(NodeInfo(self.info.node, (*self.kept, *spared)))

    def candidate(self) -> Candidate:
        """Who has to go."""
        preemptor = self.preemptor
        view = preemptor.cluster.view
        return select(
            self.info.name,
            self.below,
            lambda spared: self._refusal_beside(spared) is None,
            preemptor.budgets,
            view,
        )


@law.fact
def refused_for_good(sacrifice: Sacrifice) -> bool:
    """No pod's removal can make the node feasible."""
    return sacrifice.refusal.code != UNSCHEDULABLE


@law.fact
def has_victims(sacrifice: Sacrifice) -> bool:
    """The node has pods of lower priority."""
    return bool(sacrifice.below)


@law.fact
def fits_without_victims(sacrifice: Sacrifice) -> bool:
    """The pod fits when all of them are gone."""
    return sacrifice.refusal_without_victims is None


@value(kw_only=True)
class Preemption:
    """What preemption finds for a pod that fits nowhere.

    `ineligible`: why the pod may not displace others ("": it may). `candidates`: nodes on which it would help, those
    first that no budget speaks against; `best`: those of them that do the least harm, all alike. `refusals`: why the
    other nodes do not help, as far as they were tried. `message`: what is told where there is no candidate.
    """

    ineligible: str = ""
    candidates: tuple[Candidate, ...] = ()
    best: tuple[Candidate, ...] = ()
    refusals: Mapping[str, Refusal] = field(factory=dict)
    message: str = ""

    @property
    def verdict(self) -> Verdict:
        """How it ended."""
        return "ineligible" if self.ineligible else "found" if self.best else "hopeless"


def candidates_wanted(nodes: int) -> int:
    """On how many of the nodes that may help preemption is tried out (calculateNumCandidates)."""
    percentage: int = law.constant("scheduler_preemption_candidates_percentage")
    least: int = law.constant("scheduler_preemption_candidates_absolute")
    return min(max(nodes * percentage // 100, least), nodes)


def _dry_run(preemptor: Preemptor, first: str) -> tuple[list[Candidate], dict[str, Refusal]]:
    """Candidates, and what the other nodes say, from node `first` on (DryRunPreemption)."""
    refusals = preemptor.placement.refusals
    names = potential_nodes(preemptor.placement)
    wanted, start = candidates_wanted(len(names)), names.index(first) if first else 0
    found: list[Candidate] = []
    told: dict[str, Refusal] = {}
    others = [info.name for info in preemptor.cluster.infos if refusals[info.name].code != UNSCHEDULABLE]
    for name in (*names[start:], *names[:start], *others):
        if len(found) >= wanted > 0 and any(not each.violations for each in found):
            break
        sacrifice = Sacrifice(preemptor, preemptor.cluster.by_name[name], refusals[name])
        decision = law.decide("sacrifice", sacrifice)
        if decision.outputs["helps"]:
            found.append(sacrifice.candidate())
            continue
        reason = decision.outputs["reason"]
        again = None if reason else sacrifice.refusal_without_victims
        reasons = again.reasons if again is not None else (reason,)
        told[name] = Refusal(plugin="DefaultPreemption", code=UNSCHEDULABLE, reasons=reasons, rule=decision.rule)
    safe, harmful = [each for each in found if not each.violations], [each for each in found if each.violations]
    return [*safe, *harmful], told


def potential_nodes(placement: Placement) -> tuple[str, ...]:
    """Nodes where removing pods may help: refused, but not for good, in the order in which they were looked at."""
    return tuple(name for name, refusal in placement.refusals.items() if refusal.code == UNSCHEDULABLE)


def preempt(pod: Pod, cluster: Cluster, placement: Placement) -> Preemption:
    """What preemption finds for a pod that no node can take."""
    preemptor = Preemptor(pod, cluster, placement)
    ineligible: str = law.decide("preempts", preemptor).outputs["reason"]
    if ineligible:
        return Preemption(ineligible=ineligible, message=_told(ineligible))
    candidates, told = _dry_run(preemptor, _first(preemptor))
    if candidates:
        best = least_harmful(candidates, cluster.view)
        return Preemption(candidates=tuple(candidates), best=best, refusals=told)
    return Preemption(refusals=told, message=_told(fit_error(len(cluster.infos), told.values())))


def _first(preemptor: Preemptor) -> str:
    """The node on which preemption is tried out first: where not all of them are tried, chance says so."""
    names, view, meta = potential_nodes(preemptor.placement), preemptor.cluster.view, preemptor.pod.metadata
    if candidates_wanted(len(names)) == len(names) or view.choose_node is None:
        return ""
    return view.choose_node(names, ("Pod", meta.namespace, meta.name))


def _told(message: str) -> str:
    return f"{NO_CLAIMS_TO_FREE}, preemption: {message}"


def preemption_message(pod: Pod, cluster: Cluster, placement: Placement) -> str:
    """The second half of the failure message; "" where preemption finds a node."""
    return preempt(pod, cluster, placement).message
