"""Which ReplicaSets are old and which is new, and in which order they are taken.

Source: pkg/controller/deployment/util/deployment_util.go: FindNewReplicaSet, FindOldReplicaSets, EqualIgnoreHash.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import frozen

from k8sfsm.controllers.deployment.revision import revision_of
from k8sfsm.controllers.deployment.working import Working, active
from k8sfsm.kinds.deployment import same_template
from k8sfsm.kinds.deployment_bounds import law, replicas_of
from k8sfsm.law import LawError
from k8sfsm.objects import Deployment, PodTemplateSpec, ReplicaSet


@law.fact
def created_at(rs: ReplicaSet) -> int:
    """When the ReplicaSet was created (ns; 0 where it is not known)."""
    return rs.metadata.creation_timestamp or 0


@law.fact
def rs_name(rs: ReplicaSet) -> str:
    """The ReplicaSet's name."""
    return rs.metadata.name


@law.fact
def size(rs: ReplicaSet) -> int:
    """spec.replicas of the ReplicaSet."""
    return replicas_of(rs)


@law.comparison
def by_revision(a: ReplicaSet, b: ReplicaSet, case: object) -> int:
    """Lower revision first; equal where either cannot be read. Source: deployment_util.go: ReplicaSetsByRevision."""
    left, right = revision_of(a), revision_of(b)
    if left is None or right is None:
        return 0
    return left - right


def oldest_first(replica_sets: Iterable[ReplicaSet]) -> tuple[ReplicaSet, ...]:
    """By creation, then name. Source: controller_utils.go: ReplicaSetsByCreationTimestamp."""
    return law.order("oldest-first", replica_sets, None)


@frozen
class Found:
    """The ReplicaSets of a Deployment; `old` is every other than `new`, whatever its size, oldest first. `template`:
    that of the Deployment.
    """

    template: PodTemplateSpec
    new: ReplicaSet | None
    old: tuple[ReplicaSet, ...]


def find(deployment: Deployment, replica_sets: Iterable[ReplicaSet]) -> Found:
    """Tell the new ReplicaSet (the oldest one with the Deployment's template) from the old ones."""
    ordered = oldest_first(replica_sets)
    template = deployment.spec.template
    new = next((rs for rs in ordered if same_template(rs.spec.template, template)), None)
    return Found(template, new, tuple(rs for rs in ordered if new is None or rs.metadata.uid != new.metadata.uid))


@law.fact
def active_count(case: Working) -> int:
    """How many ReplicaSets, old and new, want pods."""
    return len(active(case.all_rss))


@law.fact
def old_count(case: Working) -> int:
    """How many old ReplicaSets there are."""
    return len(case.old_rss)


def active_or_latest(case: Working) -> ReplicaSet | None:
    """The one ReplicaSet that a change of scale goes to; None where it is to be shared out, or there is none.

    Source: deployment_util.go: FindActiveOrLatest. `case.old_rss` must be newest first.
    """
    match law.decide("scale-target", case).outputs["target"]:
        case "active":
            return active(case.all_rss)[0]
        case "new":
            return case.new_rs
        case "newest-old":
            return case.old_rss[0]
        case "none":
            return None
        case other:
            raise LawError(f"no such target of scale: {other}")
