"""The namespace controller: empties and removes namespaces that are being deleted.

Source: pkg/controller/namespace/namespace_controller.go;
pkg/controller/namespace/deletion/namespaced_resources_deleter.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from attrs import field

from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import KINDS, Namespace, NamespaceCondition, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import DeleteCollection, Key, Outcome, Plan, Step, Update
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("namespace")

FINALIZER: Final = "kubernetes"
_FIRST: Final = "Pod"
_NOT_STORED: Final = ("Binding", "Eviction", "Scale")
"""Kinds of requests: there are no objects of them."""


@value(kw_only=True)
class Sync:
    """One look at a namespace, and what was left of its content after the deletions so far."""

    namespace: Namespace
    view: View
    left: tuple[Any, ...] = field(factory=tuple)


@law.key
def after_grace(change: Change, view: View) -> Iterable[tuple[Key, int]]:
    """The namespace itself, five seconds later: other servers are to see the deletion mark first."""
    if change.new.metadata.deletion_timestamp is None:
        return ()
    return ((change.key, constant("namespace_deletion_grace") * SECOND),)


@law.fact
def namespace_deleting(sync: Sync) -> bool:
    """Whether the namespace's deletionTimestamp is set."""
    return sync.namespace.metadata.deletion_timestamp is not None


@law.fact
def own_finalizer(sync: Sync) -> bool:
    """Whether the controller's finalizer is still there."""
    return FINALIZER in sync.namespace.spec.finalizers


@law.fact
def remaining(sync: Sync) -> int:
    """How many objects are left."""
    return len(sync.left)


@law.fact
def held(sync: Sync) -> int:
    """How many of them have finalizers."""
    return sum(bool(obj.metadata.finalizers) for obj in sync.left)


def _collection(sync: Sync, kind: str) -> DeleteCollection:
    return DeleteCollection(kind=kind, namespace=sync.namespace.metadata.name, propagation="Background")


@law.action
def delete_pods(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Delete all pods."""
    yield _collection(sync, _FIRST)


@law.action
def delete_rest(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Delete everything but pods, kind by kind; upstream asks for empty kinds too, which changes nothing."""
    for kind in KINDS.values():
        if kind.namespaced and kind.kind != _FIRST and _exists(kind.kind, sync):
            yield _collection(sync, kind.kind)


def _exists(kind: str, sync: Sync) -> bool:
    """Whether the API server (not the informers: they may lag) has objects of a kind in the namespace."""
    view = sync.view
    snapshot = view.snapshot(kind) if view.store is None else view.store.snapshot
    return bool(snapshot.series("in", kind, sync.namespace.metadata.name))


@law.action
def report(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Write conditions that say how far the deletion is, where they changed."""
    wanted = tuple(_condition(sync, row) for row in law.collect("conditions", sync))
    conditions = _merged(sync.namespace.status.conditions, wanted)
    if conditions != sync.namespace.status.conditions:
        status = evolve(sync.namespace.status, conditions=conditions)
        yield Update(object=evolve(sync.namespace, status=status), subresource="status")


@law.action
def report_early(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Write the conditions of a look that ended with the pods: it has counted nothing.

    Source: namespaced_resources_deleter.go: deleteAllContent (without ProcessContentTotals).
    """
    return report(evolve(sync, left=()), decision)


def _condition(sync: Sync, row: Decision) -> NamespaceCondition:
    out = row.outputs
    return NamespaceCondition(
        type=out["type"],
        status=out["status"],
        reason=out["reason"],
        message=out["message"].format(remaining=_resources(sync.left), held=_finalizers(sync.left)),
        last_transition_time=sync.view.now - sync.view.now % SECOND,
    )


@law.action
def finalize(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Take the controller's finalizer away, whatever was written meanwhile.

    Source: namespaced_resources_deleter.go: finalizeNamespace, retryOnConflictError.
    """
    namespace = sync.namespace
    kept = tuple(name for name in namespace.spec.finalizers if name != FINALIZER)
    changed = evolve(
        namespace,
        metadata=evolve(namespace.metadata, resource_version=""),
        spec=evolve(namespace.spec, finalizers=kept),
    )
    yield Update(object=changed, subresource="finalize")


def _resources(left: tuple[Any, ...]) -> str:
    """What is left by resource. Source: status_condition_utils.go: conditions."""
    counts = Counter(f"{KINDS[obj.kind].resource}.{KINDS[obj.kind].group}" for obj in left)
    return ", ".join(f"{name} has {counts[name]} resource instances" for name in sorted(counts))


def _finalizers(left: tuple[Any, ...]) -> str:
    """What is left by the finalizers that hold it."""
    counts = Counter(name for obj in left for name in obj.metadata.finalizers)
    return ", ".join(f"{name} in {counts[name]} resource instances" for name in sorted(counts))


def _merged(
    known: tuple[NamespaceCondition, ...], wanted: tuple[NamespaceCondition, ...]
) -> tuple[NamespaceCondition, ...]:
    """The conditions with those that say something new replaced."""
    by_type = {condition.type: condition for condition in known}
    for condition in wanted:
        old = by_type.get(condition.type)
        same = old is not None and (old.status, old.reason, old.message) == (
            condition.status,
            condition.reason,
            condition.message,
        )
        if not same:
            by_type[condition.type] = condition
    return tuple(by_type.values())


class NamespaceController:
    """Reconciles namespaces."""

    name = "namespace-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Delete the content of a namespace that is being deleted, then let it go."""
        namespace = view.get(*key)
        if namespace is None:
            return Plan()
        sync = Sync(namespace=namespace, view=view)
        decision = law.decide("content", sync)
        if not decision.actions:
            return Plan()
        return Plan(steps=law.perform(decision, sync), then=lambda outcomes: _after_pods(sync, outcomes))


def _left(outcomes: tuple[Outcome, ...]) -> tuple[Any, ...]:
    return tuple(
        obj for outcome in outcomes if isinstance(outcome.request, DeleteCollection) for obj in outcome.object or ()
    )


def _after_pods(sync: Sync, outcomes: tuple[Outcome, ...]) -> Plan:
    sync = evolve(sync, left=_left(outcomes))
    decision = law.decide("after-pods", sync)
    steps = law.perform(decision, sync)
    if decision.actions == ("report_early",):
        return Plan(steps=steps, then=lambda _: _wait(sync))
    return Plan(steps=steps, then=lambda results: _after_rest(sync, results))


def _after_rest(sync: Sync, outcomes: tuple[Outcome, ...]) -> Plan:
    sync = evolve(sync, left=_left(outcomes))
    decision = law.decide("after-rest", sync)
    steps = law.perform(decision, sync)
    return Plan(steps=steps, then=lambda _: _wait(sync)) if sync.left else Plan(steps=steps)


def _wait(sync: Sync) -> Plan:
    """Come back after half of the estimated time.

    Source: namespace_controller.go: worker; namespaced_resources_deleter.go: estimateGracefulTermination.
    """
    graces = [
        obj.spec.termination_grace_period_seconds or 0
        for obj in sync.left
        if obj.kind == "Pod" and obj.status.phase not in ("Succeeded", "Failed")
    ]
    estimate = max([*graces, constant("namespace_finalizer_wait") if held(sync) else 0, 0])
    return Plan(requeue_after=(estimate // 2 + 1) * SECOND)
