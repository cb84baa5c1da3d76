"""The Recreate strategy: old pods go before new ones come. Source: pkg/controller/deployment/recreate.go."""

from __future__ import annotations

from k8sfsm.controllers.deployment.resizing import resize
from k8sfsm.controllers.deployment.script import Phase, perform
from k8sfsm.controllers.deployment.working import Working, active
from k8sfsm.kinds.deployment_bounds import law
from k8sfsm.law import Decision
from k8sfsm.objects import Pod


@law.action
def empty_old(case: Working, decision: Decision) -> Phase:
    """Scale every active old ReplicaSet to zero. Source: recreate.go: scaleDownOldReplicaSetsForRecreate."""
    case.scaled = False
    for rs in active(case.old_rss):
        case.scaled |= (yield from resize(case, rs, 0)).scaled


def _counts_as_running(pod: Pod) -> bool:
    return bool(law.decide("old-pod", pod).outputs["running"])


@law.fact
def old_phase(pod: Pod) -> str:
    """status.phase of a pod of an old ReplicaSet."""
    return pod.status.phase


@law.fact
def old_pods_running(case: Working) -> bool:
    """Old ReplicaSets count pods, or an owned pod that is not the new ReplicaSet's has not ended.

    Source: recreate.go: oldPodsRunning.
    """
    if any(rs.status.replicas > 0 for rs in case.old_rss):
        return True
    new_uid = None if case.new_rs is None else case.new_rs.metadata.uid
    owners = [rs.metadata.uid for rs in case.claimed if rs.metadata.uid != new_uid]
    return any(_counts_as_running(pod) for uid in owners for pod in case.view.owned("Pod", uid))


@law.action
def after_emptying(case: Working, decision: Decision) -> Phase:
    """Go on once the old ReplicaSets are scaled to zero."""
    yield from perform(law, law.decide("after-emptying", case), case)
