"""Facts and guards of the ReplicaSet machine, and its invariants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from k8sfsm.law import Law, Transition
from k8sfsm.objects import ReplicaSet
from k8sfsm.view import View

law: Final = Law("replicaset")


def wanted(obj: ReplicaSet) -> int:
    """spec.replicas, with its default."""
    return 1 if obj.spec.replicas is None else obj.spec.replicas


@law.fact
def replicas_wanted(obj: ReplicaSet) -> int:
    """spec.replicas."""
    return wanted(obj)


@law.fact
def replicas_beyond(obj: ReplicaSet) -> int:
    """Reported replicas beyond spec.replicas; negative when some are missing."""
    return obj.status.replicas - wanted(obj)


@law.fact
def replicas_available(obj: ReplicaSet) -> int:
    """Reported available replicas."""
    return obj.status.available_replicas


@law.fact
def available_beyond(obj: ReplicaSet) -> int:
    """Reported available replicas beyond spec.replicas; negative when some are missing."""
    return obj.status.available_replicas - wanted(obj)


@law.fact
def generation_reported(obj: ReplicaSet) -> int:
    """status.observedGeneration; 0 before the first report."""
    return obj.status.observed_generation


@law.fact
def generations_behind(obj: ReplicaSet) -> int:
    """Generations that the status does not know yet."""
    return obj.metadata.generation - obj.status.observed_generation


@law.fact
def failing(obj: ReplicaSet) -> bool:
    """The status has the condition ReplicaFailure with status True."""
    return any(c.type == "ReplicaFailure" and c.status == "True" for c in obj.status.conditions)


@law.fact
def being_deleted(obj: ReplicaSet) -> bool:
    """The deletion has begun."""
    return obj.metadata.deletion_timestamp is not None


@law.guard
def replicas_unchanged(write: Transition) -> bool:
    """The write leaves spec.replicas: only what is reported changes."""
    return write.old is None or write.new is None or wanted(write.old) == wanted(write.new)


@law.guard
def status_unchanged(write: Transition) -> bool:
    """The write leaves the status: only what is wanted changes."""
    return bool(write.old is None or write.new is None or write.old.status == write.new.status)


@law.guard
def spec_changed(write: Transition) -> bool:
    """The write changes the spec, so the generation grows."""
    return bool(write.old.spec != write.new.spec and write.new.metadata.generation == write.old.metadata.generation + 1)


@law.guard
def nothing_reported(write: Transition) -> bool:
    """A new object has an empty status."""
    status = write.new.status
    return bool(status.replicas == 0 and status.observed_generation == 0 and not status.conditions)


@law.guard
def no_finalizers(write: Transition) -> bool:
    """Nothing holds the object back."""
    return write.old is None or not write.old.metadata.finalizers


@law.invariant
def at_most_one_controller(view: View) -> Iterator[str]:
    """No Pod and no ReplicaSet has two owner references that are marked as controller."""
    for kind in ("Pod", "ReplicaSet"):
        for obj in view.list(kind):
            controllers = [owner.name for owner in obj.metadata.owner_references if owner.controller]
            if len(controllers) > 1:
                name = f"{obj.metadata.namespace}/{obj.metadata.name}"
                yield f"{kind} {name} has the controllers {', '.join(controllers)}"


@law.invariant
def counts_consistent(view: View) -> Iterator[str]:
    """Ready, available and fully labelled replicas are at most the replicas; available ones at most the ready ones."""
    for obj in view.list("ReplicaSet"):
        status = obj.status
        most = max(status.fully_labeled_replicas, status.ready_replicas, status.available_replicas)
        if most > status.replicas or status.available_replicas > status.ready_replicas:
            yield f"ReplicaSet {obj.metadata.namespace}/{obj.metadata.name} reports {status}"


@law.invariant
def generation_not_ahead(view: View) -> Iterator[str]:
    """At rest no status is about a generation that there has not been."""
    for obj in view.list("ReplicaSet"):
        if obj.status.observed_generation > obj.metadata.generation:
            yield f"ReplicaSet {obj.metadata.namespace}/{obj.metadata.name} reports a generation to come"


def _active(view: View, obj: ReplicaSet) -> int:
    pods = view.owned("Pod", obj.metadata.uid)
    return sum(
        1 for pod in pods if pod.metadata.deletion_timestamp is None and pod.status.phase not in ("Succeeded", "Failed")
    )


@law.invariant
def replicaset_converges(view: View) -> Iterator[str]:
    """At rest a ReplicaSet has as many active Pods as wanted, unless creating them is refused."""
    for obj in view.list("ReplicaSet"):
        if being_deleted(obj) or failing(obj):
            continue
        active = _active(view, obj)
        if active != wanted(obj):
            name = f"{obj.metadata.namespace}/{obj.metadata.name}"
            yield f"ReplicaSet {name} has {active} active Pods, wants {wanted(obj)}"


@law.invariant
def status_converges(view: View) -> Iterator[str]:
    """At rest a ReplicaSet reports the active Pods it has, for its newest generation."""
    for obj in view.list("ReplicaSet"):
        active = _active(view, obj)
        if obj.status.replicas != active or generations_behind(obj):
            name = f"{obj.metadata.namespace}/{obj.metadata.name}"
            yield f"ReplicaSet {name} reports {obj.status.replicas} replicas, has {active} active Pods"
