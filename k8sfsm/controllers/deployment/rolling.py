"""Rolling updates: the new ReplicaSet grows within the surge, old ones shrink within the availability.

Source: pkg/controller/deployment/rolling.go; pkg/controller/deployment/util/deployment_util.go: NewRSNewReplicas.
"""

from __future__ import annotations

from collections.abc import Generator

from attrs import frozen

from k8sfsm.controllers.deployment.finding import oldest_first
from k8sfsm.controllers.deployment.resizing import resize
from k8sfsm.controllers.deployment.script import Phase, SyncError, perform
from k8sfsm.controllers.deployment.working import Working, active, wanted_pods
from k8sfsm.kinds.deployment_bounds import law, max_surge, min_available, replicas_of
from k8sfsm.law import Decision, LawError
from k8sfsm.objects import Deployment, ReplicaSet
from k8sfsm.request import Outcome, Step


@frozen
class Growth:
    """The size of the new ReplicaSet is asked for. `room`: pods that may be added in all."""

    deployment: Deployment
    room: int


@law.fact
def update_strategy(case: Growth) -> str:
    """spec.strategy.type."""
    return case.deployment.spec.strategy.type


@law.fact
def room(case: Growth) -> int:
    """Pods that may be added: replicas and surge, less what all ReplicaSets want."""
    return case.room


def new_rs_size(deployment: Deployment, all_rss: tuple[ReplicaSet, ...], new_rs: ReplicaSet) -> int:
    """spec.replicas that the new ReplicaSet may have now."""
    desired, current = replicas_of(deployment), replicas_of(new_rs)
    growth = Growth(deployment, desired + max_surge(deployment) - wanted_pods(all_rss))
    match law.decide("new-rs-size", growth).outputs["size"]:
        case "all":
            return desired
        case "fill":
            return current + min(growth.room, desired - current)
        case "keep":
            return current
        case other:
            raise LawError(f"no such size: {other}")


@law.fact
def missing(case: Working) -> int:
    """Pods that the new ReplicaSet lacks; negative when it wants too many."""
    assert case.new_rs is not None
    return replicas_of(case.deployment) - replicas_of(case.new_rs)


@law.action
def reconcile_new(case: Working, decision: Decision) -> Phase:
    """Bring the new ReplicaSet nearer to the wanted size."""
    case.scaled = False
    yield from perform(law, law.decide("reconcile-new", case), case)


@law.action
def set_new_to_desired(case: Working, decision: Decision) -> Phase:
    """Give the new ReplicaSet all replicas of the Deployment."""
    assert case.new_rs is not None
    case.scaled = (yield from resize(case, case.new_rs, replicas_of(case.deployment))).scaled


@law.action
def grow_new(case: Working, decision: Decision) -> Phase:
    """Let the new ReplicaSet grow as far as the surge allows."""
    assert case.new_rs is not None
    size = new_rs_size(case.deployment, case.all_rss, case.new_rs)
    case.scaled = (yield from resize(case, case.new_rs, size)).scaled


@law.fact
def old_active_pods(case: Working) -> int:
    """Pods that active old ReplicaSets want."""
    return wanted_pods(active(case.old_rss))


@law.fact
def scale_down_limit(case: Working) -> int:
    """Pods that old ReplicaSets may lose: all wanted, less the least available, less the new that are unavailable."""
    assert case.new_rs is not None
    new_unavailable = replicas_of(case.new_rs) - case.new_rs.status.available_replicas
    return wanted_pods(case.all_rss) - min_available(case.deployment) - new_unavailable


@law.action
def reconcile_old(case: Working, decision: Decision) -> Phase:
    """Take pods from old ReplicaSets."""
    case.scaled = False
    yield from perform(law, law.decide("reconcile-old", case), case)


@law.action
def shrink_old(case: Working, decision: Decision) -> Phase:
    """Take unavailable pods first, then what availability allows. An error ends this step, and nothing else."""
    old = active(case.old_rss)
    try:
        unhealthy = yield from clean_up_unhealthy(case, old, scale_down_limit(case))
        available = yield from scale_down_available(case, unhealthy.replica_sets)
    except SyncError:
        return
    case.scaled = unhealthy.cut + available.cut > 0


@frozen
class Shrunk:
    """Old ReplicaSets as they are after a step, oldest first, and how many pods it took."""

    replica_sets: tuple[ReplicaSet, ...]
    cut: int


@frozen
class Turn:
    """One old ReplicaSet's turn to lose pods; `budget`: how many may still go."""

    working: Working
    rs: ReplicaSet
    budget: int


@law.fact
def budget(case: Turn) -> int:
    """Pods that may still go."""
    return case.budget


@law.fact
def wanted(case: Turn) -> int:
    """spec.replicas of the old ReplicaSet."""
    return replicas_of(case.rs)


@law.fact
def unhealthy(case: Turn) -> int:
    """Pods that it wants and that are not available; negative while its status lags behind a scale-down."""
    return replicas_of(case.rs) - case.rs.status.available_replicas


Shrinking = Generator[Step, "Outcome | None", Shrunk]


def clean_up_unhealthy(case: Working, old: tuple[ReplicaSet, ...], limit: int) -> Shrinking:
    """Take unavailable pods from old ReplicaSets, `limit` at most. Source: rolling.go: cleanupUnhealthyReplicas."""
    return (yield from _shrink(case, "cleanup-unhealthy", old, limit))


def scale_down_available(case: Working, old: tuple[ReplicaSet, ...]) -> Shrinking:
    """Take pods from old ReplicaSets, as many as are available beyond the least.

    Source: rolling.go: scaleDownOldReplicaSetsForRollingUpdate.
    """
    assert case.new_rs is not None
    available = sum(rs.status.available_replicas for rs in (*old, case.new_rs))
    return (yield from _shrink(case, "scale-down", old, available - min_available(case.deployment)))


def _shrink(case: Working, table: str, old: tuple[ReplicaSet, ...], limit: int) -> Shrinking:
    total, after = 0, []
    for rs in oldest_first(old):
        turn = Turn(case, rs, limit - total)
        decision = law.decide(table, turn)
        cut = _cut(decision, turn)
        after.append((yield from resize(case, rs, replicas_of(rs) - cut, decision)).replica_set)
        total += cut
    return Shrunk(tuple(after), total)


def _cut(decision: Decision, turn: Turn) -> int:
    """How many pods the rule takes. Raises SyncError where it refuses."""
    match decision.outputs["cut"]:
        case "unhealthy":
            return min(turn.budget, unhealthy(turn))
        case "any":
            return min(turn.budget, wanted(turn))
        case "refuse":
            metadata, now = turn.rs.metadata, wanted(turn)
            raise SyncError(
                "when cleaning up unhealthy replicas, got invalid request to scale down"
                f" {metadata.namespace}/{metadata.name} {now} -> {now - min(turn.budget, unhealthy(turn))}"
            )
        case "none":
            return 0
        case other:
            raise LawError(f"no such cut: {other}")


@law.action
def after_growing(case: Working, decision: Decision) -> Phase:
    """Go on after the new ReplicaSet's turn."""
    yield from perform(law, law.decide("after-growing", case), case)


@law.action
def after_shrinking(case: Working, decision: Decision) -> Phase:
    """Go on after the old ReplicaSets' turn."""
    yield from perform(law, law.decide("after-shrinking", case), case)
