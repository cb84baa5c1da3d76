"""What preemption says where no node is feasible. Choosing victims and removing them is not here yet.

Source: pkg/scheduler/framework/preemption/preemption.go: Preempt, DryRunPreemption;
pkg/scheduler/framework/plugins/defaultpreemption/default_preemption.go.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

from k8sfsm.objects import Pod
from k8sfsm.scheduler.cluster import Cluster, NodeInfo
from k8sfsm.scheduler.filters import UNSCHEDULABLE, Refusal, Wanted, judge
from k8sfsm.scheduler.plain import Placement, fit_error, priority_of
from k8sfsm.scheduler.rules import law

NO_CLAIMS_TO_FREE: Final = "no new claims to deallocate"
"""What the plugin before says, where no pod has claims (plugins/dynamicresources: PostFilter)."""


@frozen
class Preemptor:
    """A pod that fits nowhere: the case of the table `preempts`."""

    pod: Pod
    cluster: Cluster
    placement: Placement


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
        c.type == "DisruptionTarget" and c.status == "True" and c.reason == "PreemptionByScheduler"
        for c in pod.status.conditions
    )


class Sacrifice:
    """One node, without its pods of lower priority: the case of the table `sacrifice`."""

    def __init__(self, preemptor: Preemptor, info: NodeInfo, refusal: Refusal) -> None:
        self.refusal = refusal
        self.least = priority_of(preemptor.pod)
        self.preemptor = preemptor
        self.info = info

    @property
    def victims(self) -> Sequence[Pod]:
        """Pods that may be removed: those of lower priority."""
        return [pod for pod in self.info.pods if priority_of(pod) < self.least]

    def refusal_without_victims(self) -> Refusal | None:
        """Why the pod does not fit even then; None where it does."""
        emptier = NodeInfo(self.info.node, [pod for pod in self.info.pods if priority_of(pod) >= self.least])
        return judge(Wanted(self.preemptor.pod, self.preemptor.cluster.changed(emptier)), emptier)


@law.fact
def refused_for_good(sacrifice: Sacrifice) -> bool:
    """No pod's removal can make the node feasible."""
    return sacrifice.refusal.code != UNSCHEDULABLE


@law.fact
def has_victims(sacrifice: Sacrifice) -> bool:
    """The node has pods of lower priority."""
    return bool(sacrifice.victims)


@law.fact
def fits_without_victims(sacrifice: Sacrifice) -> bool:
    """The pod fits when all of them are gone."""
    return sacrifice.refusal_without_victims() is None


def _dry_run(preemptor: Preemptor) -> tuple[list[Refusal], bool]:
    """What each node says about preemption, and whether it would help on any of them."""
    told: list[Refusal] = []
    helps = False
    for info in preemptor.cluster.infos:
        sacrifice = Sacrifice(preemptor, info, preemptor.placement.refusals[info.name])
        decision = law.decide("sacrifice", sacrifice)
        if decision.outputs["helps"]:
            helps = True
            continue
        reason = decision.outputs["reason"]
        again = None if reason else sacrifice.refusal_without_victims()
        reasons = again.reasons if again is not None else (reason,)
        told.append(Refusal(plugin="DefaultPreemption", code=UNSCHEDULABLE, reasons=reasons, rule=decision.rule))
    return told, helps


def preemption_message(pod: Pod, cluster: Cluster, placement: Placement) -> str:
    """The second half of the failure message; "" where preemption finds a node."""
    preemptor = Preemptor(pod, cluster, placement)
    decision = law.decide("preempts", preemptor)
    message: str = decision.outputs["reason"]
    if not message:
        told, helps = _dry_run(preemptor)
        if helps:
            return ""
        message = fit_error(len(cluster.infos), told)
    return f"{NO_CLAIMS_TO_FREE}, preemption: {message}"
