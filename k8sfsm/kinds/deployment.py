"""Facts and guards of the Deployment machine, and its invariants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from k8sfsm.kinds.deployment_bounds import law, max_surge, min_available, replicas_of
from k8sfsm.law import Transition
from k8sfsm.objects import (
    NOTHING,
    Deployment,
    DeploymentCondition,
    DeploymentStatus,
    ObjectMeta,
    PodTemplateSpec,
    ReplicaSet,
    controller_of,
    evolve,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.view import Change, View

MAX_INT32: Final = 2**31 - 1
REVISION: Final = "deployment.kubernetes.io/revision"
POD_TEMPLATE_HASH: Final = "pod-template-hash"


def condition_of(status: DeploymentStatus, type: str) -> DeploymentCondition | None:
    """The condition of a type. Source: deployment_util.go: GetDeploymentCondition."""
    return next((condition for condition in status.conditions if condition.type == type), None)


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """All pods are new and available, and none are old. Source: deployment_util.go: DeploymentComplete."""
    counts = {status.updated_replicas, status.replicas, status.available_replicas}
    return counts == {replicas_of(deployment)} and status.observed_generation >= deployment.metadata.generation


def same_template(a: PodTemplateSpec, b: PodTemplateSpec) -> bool:
    """Equal but for the label pod-template-hash. Source: deployment_util.go: EqualIgnoreHash."""
    return bool(a.spec == b.spec and _without_hash(a) == _without_hash(b))


def _without_hash(template: PodTemplateSpec) -> tuple[dict[str, str], ObjectMeta]:
    labels = {name: value for name, value in template.metadata.labels.items() if name != POD_TEMPLATE_HASH}
    return labels, evolve(template.metadata, labels=NOTHING)


# -- facts of the classifiers -----------------------------------------------------------------------------------------


@law.fact
def progress_told(obj: Deployment) -> str | None:
    """The reason of the Progressing condition, null without one."""
    found = condition_of(obj.status, "Progressing")
    return None if found is None else found.reason


@law.fact
def availability_told(obj: Deployment) -> str | None:
    """The status of the Available condition, null without one."""
    found = condition_of(obj.status, "Available")
    return None if found is None else found.status


@law.fact
def failure_told(obj: Deployment) -> bool:
    """There is a ReplicaFailure condition."""
    return condition_of(obj.status, "ReplicaFailure") is not None


@law.fact
def generations_behind(obj: Deployment) -> int:
    """Generations that the status does not know yet."""
    return obj.metadata.generation - obj.status.observed_generation


@law.fact
def being_deleted(obj: Deployment) -> bool:
    """The deletion has begun."""
    return obj.metadata.deletion_timestamp is not None


# -- guards -----------------------------------------------------------------------------------------------------------


@law.guard
def nothing_reported(write: Transition) -> bool:
    """A new object has an empty status."""
    return bool(write.new.status == DeploymentStatus())


@law.guard
def counts_complete(write: Transition) -> bool:
    """The written status tells of a complete rollout."""
    return is_complete(write.new, write.new.status)


@law.guard
def deadline_over(write: Transition) -> bool:
    """The deadline, counted from the condition as it was, lies in the past."""
    found = condition_of(write.old.status, "Progressing")
    deadline = write.new.spec.progress_deadline_seconds
    if found is None or deadline is None or deadline == MAX_INT32:
        return False
    return bool((found.last_update_time or 0) + deadline * SECOND < write.now)


@law.guard
def spec_paused(write: Transition) -> bool:
    """spec.paused is set."""
    return bool(write.new.spec.paused)


@law.guard
def spec_running(write: Transition) -> bool:
    """spec.paused is not set."""
    return not write.new.spec.paused


@law.guard
def no_deadline(write: Transition) -> bool:
    """There is no progress deadline."""
    return write.new.spec.progress_deadline_seconds in (None, MAX_INT32)


@law.guard
def enough_available(write: Transition) -> bool:
    """No more pods are missing than the strategy allows."""
    return bool(write.new.status.available_replicas >= min_available(write.new))


@law.guard
def too_few_available(write: Transition) -> bool:
    """More pods are missing than the strategy allows."""
    return not enough_available(write)


@law.guard
def status_unchanged(write: Transition) -> bool:
    """The write leaves the status."""
    return bool(write.old.status == write.new.status)


@law.guard
def spec_unchanged(write: Transition) -> bool:
    """The write leaves the spec."""
    return bool(write.old.spec == write.new.spec)


@law.guard
def generation_observed_now(write: Transition) -> bool:
    """ObservedGeneration is the generation."""
    return bool(write.new.status.observed_generation == write.new.metadata.generation)


@law.guard
def no_finalizers(write: Transition) -> bool:
    """Nothing holds the object back."""
    return not write.old.metadata.finalizers


# -- invariants -------------------------------------------------------------------------------------------------------


def _name(obj: Deployment | ReplicaSet) -> str:
    return f"{obj.kind} {obj.metadata.namespace}/{obj.metadata.name}"


def _owner_key(rs: ReplicaSet) -> Key | None:
    owner = controller_of(rs)
    return None if owner is None or owner.kind != "Deployment" else ("Deployment", rs.metadata.namespace, owner.name)


def _owned(deployment: Deployment, view: View) -> tuple[ReplicaSet, ...]:
    return view.owned("ReplicaSet", deployment.metadata.uid)


def _total(replica_sets: tuple[ReplicaSet, ...]) -> int:
    return sum(replicas_of(rs) for rs in replica_sets)


@law.invariant
def counts_consistent(view: View) -> Iterator[str]:
    """Updated, ready and available pods are at most the pods; available ones at most the ready ones."""
    for obj in view.list("Deployment"):
        status = obj.status
        most = max(status.updated_replicas, status.ready_replicas, status.available_replicas)
        if most > status.replicas or status.available_replicas > status.ready_replicas:
            yield f"{_name(obj)} reports {status}"


@law.invariant
def surge_bounded(change: Change, view: View) -> Iterator[str]:
    """A ReplicaSet grows only while all of its Deployment's want no more than replicas and surge.

    The bound is the one that the ReplicaSet itself notes (max-replicas), which is the Deployment's when it was scaled.
    """
    rs, key = change.new, None if change.key[0] != "ReplicaSet" else _owner_key(change.new)
    if key is None or change.type == "DELETED":
        return
    before = 0 if change.old is None else replicas_of(change.old)
    deployment = view.get(*key)
    if replicas_of(rs) <= before or deployment is None:
        return
    noted = rs.metadata.annotations.get("deployment.kubernetes.io/max-replicas", "")
    bound = max(int(noted) if noted.isdigit() else 0, replicas_of(deployment) + max_surge(deployment))
    total = _total(_owned(deployment, view))
    if total > bound:
        yield f"{_name(rs)} grew from {before} to {replicas_of(rs)}: {total} pods are wanted, at most {bound} allowed"


@law.invariant
def availability_bounded(change: Change, view: View) -> Iterator[str]:
    """A rolling update takes available pods only while enough others are available.

    What counts is what ReplicaSets report: pods that an old ReplicaSet reports as available and does not want any more
    are as good as gone.
    """
    rs, key = change.new, None if change.key[0] != "ReplicaSet" else _owner_key(change.new)
    if key is None or change.type != "MODIFIED" or replicas_of(rs) >= replicas_of(change.old):
        return
    deployment = view.get(*key)
    if deployment is None or not _rolls_out(deployment, change.old, rs):
        return
    kept = sum(min(replicas_of(other), other.status.available_replicas) for other in _owned(deployment, view))
    lost = min(replicas_of(change.old), rs.status.available_replicas) - min(
        replicas_of(rs), rs.status.available_replicas
    )
    if lost > 0 and kept < min_available(deployment):
        yield f"{_name(rs)} lost {lost} available pods: {kept} are left, {min_available(deployment)} needed"


def _rolls_out(deployment: Deployment, before: ReplicaSet, rs: ReplicaSet) -> bool:
    """The ReplicaSet is an old one of a rolling update, and was scaled for the size that the Deployment has.

    It was so before the write too: a change of scale is shared out whatever is available.
    """
    noted, earlier = (
        each.metadata.annotations.get("deployment.kubernetes.io/desired-replicas", "") for each in (rs, before)
    )
    return noted == earlier and (
        deployment.spec.strategy.type == "RollingUpdate"
        and not same_template(rs.spec.template, deployment.spec.template)
        and noted == str(replicas_of(deployment))
    )


@law.invariant
def revision_grows(change: Change, view: View) -> Iterator[str]:
    """The revision of a Deployment never falls below one that a ReplicaSet of it has.

    It is counted on from the ReplicaSets there are: once a user has deleted the latest, it falls.
    """
    if change.type != "MODIFIED" or change.key[0] != "Deployment":
        return
    before, after = (obj.metadata.annotations.get(REVISION, "") for obj in (change.old, change.new))
    if not (before.isdigit() and after.isdigit() and int(after) < int(before)):
        return
    carried = (rs.metadata.annotations.get(REVISION, "") for rs in _owned(change.new, view))
    if any(noted.isdigit() and int(noted) > int(after) for noted in carried):
        yield f"{_name(change.new)} went from revision {before} to {after}"


@law.invariant
def collisions_grow(change: Change, view: View) -> Iterator[str]:
    """CollisionCount of a Deployment never falls."""
    if change.type != "MODIFIED" or change.key[0] != "Deployment":
        return
    before, after = (obj.status.collision_count or 0 for obj in (change.old, change.new))
    if after < before:
        yield f"{_name(change.new)} went from collisionCount {before} to {after}"


@law.invariant
def recreate_never_mixes(change: Change, view: View) -> Iterator[str]:
    """Under Recreate no ReplicaSet is made or grown while another revision has pods that have not ended.

    What the controller cannot know does not count: pods that are there but not yet in their ReplicaSet's status
    belong to a ReplicaSet that wants pods, and that is looked at too.
    """
    if change.key[0] != "ReplicaSet" or change.type == "DELETED":
        return
    key = _owner_key(change.new)
    deployment = None if key is None else view.get(*key)
    before = 0 if change.old is None else replicas_of(change.old)
    if deployment is None or deployment.spec.strategy.type != "Recreate" or replicas_of(change.new) <= before:
        return
    for other in _owned(deployment, view):
        if other.metadata.uid == change.new.metadata.uid:
            continue
        running = [
            pod for pod in view.owned("Pod", other.metadata.uid) if pod.status.phase not in ("Succeeded", "Failed")
        ]
        if before == 0 and running:
            yield f"{_name(change.new)} grew while {_name(other)} has {len(running)} pods"


def _is_stuck(deployment: Deployment, replica_sets: tuple[ReplicaSet, ...]) -> bool:
    """Recreate came amid a rolling update, together with another size: every sync is one of scaling, and does nothing.

    Source: pkg/controller/deployment/sync.go: isScalingEvent, scale (which notes a size only in a rolling update).
    """
    active = [rs for rs in replica_sets if replicas_of(rs) > 0]
    noted = [rs.metadata.annotations.get("deployment.kubernetes.io/desired-replicas", "") for rs in active]
    another_size = any(size.isdigit() and int(size) != replicas_of(deployment) for size in noted)
    return deployment.spec.strategy.type == "Recreate" and len(active) > 1 and another_size


def _at_rest(view: View) -> Iterator[tuple[Deployment, tuple[ReplicaSet, ...]]]:
    """Deployments that are neither paused nor going nor stuck, with the ReplicaSets that have their template."""
    for obj in view.list("Deployment"):
        if obj.spec.paused or being_deleted(obj) or _is_stuck(obj, _owned(obj, view)):
            continue
        template = obj.spec.template
        yield obj, tuple(rs for rs in _owned(obj, view) if same_template(rs.spec.template, template))


@law.invariant
def one_new_replica_set(view: View) -> Iterator[str]:
    """At rest exactly one ReplicaSet of a Deployment has its template, or wants pods among those that have."""
    for obj, new in _at_rest(view):
        if not new:
            yield f"{_name(obj)} has no ReplicaSet with its template"
        elif sum(replicas_of(rs) > 0 for rs in new) > 1:
            yield f"{_name(obj)} has {len(new)} ReplicaSets with its template that want pods"


@law.invariant
def observed_at_rest(view: View) -> Iterator[str]:
    """At rest the status knows the latest generation."""
    for obj in view.list("Deployment"):
        if generations_behind(obj) > 0:
            yield f"{_name(obj)} is {generations_behind(obj)} generations ahead of its status"


@law.invariant
def revision_at_rest(view: View) -> Iterator[str]:
    """At rest a Deployment carries the revision of its new ReplicaSet, which is the highest."""
    for obj, new in _at_rest(view):
        noted = obj.metadata.annotations.get(REVISION, "")
        if new and noted not in [rs.metadata.annotations.get(REVISION, "") for rs in new]:
            yield f"{_name(obj)} carries revision {noted}, which its new ReplicaSet does not have"


@law.invariant
def status_adds_up(view: View) -> Iterator[str]:
    """At rest the status is the sum of what the ReplicaSets report."""
    for obj in view.list("Deployment"):
        reported = [rs.status for rs in _owned(obj, view)]
        sums = (sum(s.replicas for s in reported), sum(s.available_replicas for s in reported))
        if sums != (obj.status.replicas, obj.status.available_replicas):
            told = (obj.status.replicas, obj.status.available_replicas)
            yield f"{_name(obj)} reports {told} pods and available pods, its ReplicaSets {sums}"
