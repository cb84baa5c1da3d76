"""Scaling events: a change of spec.replicas is shared out among the ReplicaSets.

Source: pkg/controller/deployment/sync.go: isScalingEvent, scale;
pkg/controller/deployment/util/deployment_util.go: GetReplicaSetProportion, getReplicaSetFraction, IsSaturated.
"""

from __future__ import annotations

from attrs import frozen

from k8sfsm.controllers.deployment.finding import active_or_latest
from k8sfsm.controllers.deployment.resizing import resize
from k8sfsm.controllers.deployment.revision import count_of
from k8sfsm.controllers.deployment.script import Phase, perform
from k8sfsm.controllers.deployment.working import DESIRED_REPLICAS, MAX_REPLICAS, Working, active, wanted_pods
from k8sfsm.kinds.deployment_bounds import law, max_surge, replicas_of
from k8sfsm.law import Decision, LawError
from k8sfsm.objects import Deployment, ReplicaSet
from k8sfsm.objects.requirement import parse_int64


@law.fact
def scaling_event(case: Working) -> bool:
    """An active ReplicaSet was last scaled for another number of replicas than the Deployment has now."""
    desired = replicas_of(case.deployment)
    noted = [count_of(rs, DESIRED_REPLICAS) for rs in active(case.all_rss)]
    return any(count is not None and count != desired for count in noted)


@law.action
def choose_rollout(case: Working, decision: Decision) -> Phase:
    """Go on with a scaling event or a rollout."""
    yield from perform(law, law.decide("rollout", case), case)


@law.fact
def single_target(case: Working) -> bool:
    """One ReplicaSet takes the whole change of scale."""
    return active_or_latest(case) is not None


@law.fact
def saturated(case: Working) -> bool:
    """The new ReplicaSet has, was scaled for, and has available all replicas of the Deployment."""
    if case.new_rs is None:
        return False
    desired = replicas_of(case.deployment)
    noted = parse_int64(case.new_rs.metadata.annotations.get(DESIRED_REPLICAS, ""))
    return noted == replicas_of(case.new_rs) == case.new_rs.status.available_replicas == desired


@law.action
def scale(case: Working, decision: Decision) -> Phase:
    """Bring the ReplicaSets to the Deployment's size."""
    case.old_rss = law.order("newest-first", case.old_rss, None)
    yield from perform(law, law.decide("scale", case), case)


@law.action
def scale_single(case: Working, decision: Decision) -> Phase:
    """Give the one ReplicaSet in question all replicas."""
    target = active_or_latest(case)
    assert target is not None
    yield from resize(case, target, replicas_of(case.deployment))


@law.action
def empty_active_old(case: Working, decision: Decision) -> Phase:
    """Scale every active old ReplicaSet to zero."""
    for rs in active(case.old_rss):
        yield from resize(case, rs, 0)


@law.action
def scale_proportionally(case: Working, decision: Decision) -> Phase:
    """Share the change out by size; the largest ReplicaSet gets what rounding leaves over."""
    sharing = Sharing(case.deployment, active(case.all_rss))
    ordered = _ordered(sharing)
    sizes, added = {}, 0
    for rs in ordered:
        share = proportion(case.deployment, rs, sharing.to_add, added)
        sizes[rs.metadata.name] = replicas_of(rs) + share
        added += share
    if ordered:
        largest = ordered[0].metadata.name
        sizes[largest] = max(0, sizes[largest] + sharing.to_add - added)
    for rs in ordered:
        yield from resize(case, rs, sizes[rs.metadata.name], forced=True)


@frozen
class Sharing:
    """Active ReplicaSets that share a change of scale."""

    deployment: Deployment
    replica_sets: tuple[ReplicaSet, ...]

    @property
    def to_add(self) -> int:
        """Pods to add in all (negative: to take away) to reach replicas and surge, or 0 replicas."""
        replicas = replicas_of(self.deployment)
        allowed = replicas + max_surge(self.deployment) if replicas > 0 else 0
        return allowed - wanted_pods(self.replica_sets)


@law.fact
def pods_to_add(case: Sharing) -> int:
    """Pods to add in all; negative: to take away."""
    return case.to_add


def _ordered(sharing: Sharing) -> tuple[ReplicaSet, ...]:
    order = law.decide("scale-order", sharing).outputs["order"]
    return law.order(order, sharing.replica_sets, None) if order else sharing.replica_sets


@frozen
class Portion:
    """One ReplicaSet's part in a change of scale. `to_add` in all, `open`: not given to others yet."""

    deployment: Deployment
    rs: ReplicaSet
    to_add: int
    open: int


@law.fact
def portion_size(case: Portion) -> int:
    """spec.replicas of the ReplicaSet."""
    return replicas_of(case.rs)


@law.fact
def change(case: Portion) -> int:
    """Pods to add in all; negative: to take away."""
    return case.to_add


@law.fact
def open_change(case: Portion) -> int:
    """Pods of the change that no ReplicaSet got yet."""
    return case.open


@law.fact
def desired_replicas(case: Portion) -> int:
    """spec.replicas of the Deployment."""
    return replicas_of(case.deployment)


@law.fact
def noted_maximum(case: Portion) -> int:
    """max-replicas of the ReplicaSet: the largest total when it was last scaled; 0 where that is not known."""
    return count_of(case.rs, MAX_REPLICAS) or 0


@law.fact
def status_replicas(case: Portion) -> int:
    """status.replicas of the Deployment."""
    return case.deployment.status.replicas


def proportion(deployment: Deployment, rs: ReplicaSet, to_add: int, added: int) -> int:
    """Pods that a ReplicaSet gets (negative: loses) of a change of `to_add`, of which `added` are given."""
    portion = Portion(deployment, rs, to_add, to_add - added)
    match law.decide("proportion", portion).outputs["share"]:
        case "fraction-at-most":
            return min(_fraction(portion), portion.open)
        case "fraction-at-least":
            return max(_fraction(portion), portion.open)
        case "none":
            return 0
        case other:
            raise LawError(f"no such share: {other}")


def _fraction(portion: Portion) -> int:
    current = portion_size(portion)
    match law.decide("fraction", portion).outputs["before"]:
        case "all":
            return -current
        case "noted":
            before = noted_maximum(portion)
        case "status":
            before = status_replicas(portion)
        case "none":
            return 0
        case other:
            raise LawError(f"no such total: {other}")
    product = _int32(current * (desired_replicas(portion) + max_surge(portion.deployment)))
    return _round_half_away(product / before) - current


def _int32(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31


def _round_half_away(number: float) -> int:
    return int(number - 0.5) if number < 0 else int(number + 0.5)
