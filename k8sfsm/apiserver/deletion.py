"""What a DELETE does: grace periods, finalizers, and the choice of the garbage collector's finalizer."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Delete
from k8sfsm.value import value

law = Law("apiserver")

COLLECTOR_FINALIZERS: Final = ("orphan", "foregroundDeletion")
_ORPHANING_KINDS: Final = ("ReplicationController", "Job")
_TERMINAL: Final = ("Succeeded", "Failed")

Verdict = Literal["keep", "mark", "remove"]


@value
class Deletion:
    """The verdict on a DELETE, and the object as it is then (the last state, where it is removed)."""

    verdict: Verdict
    object: Any


@frozen(slots=False)
class DeleteCase:
    """A DELETE of `object`, at `second` (ns, a whole second)."""

    object: Any
    write: Delete
    second: int

    @cached_property
    def finalizers(self) -> tuple[str, ...]:
        """The finalizers that the object has after the garbage collector's is chosen."""
        own = tuple(name for name in self.object.metadata.finalizers if name not in COLLECTOR_FINALIZERS)
        chosen = law.decide("dependents", self).outputs["finalizer"]
        return (*own, chosen) if chosen else own

    @cached_property
    def seconds(self) -> int:
        """The grace period that applies; 0 for kinds that know none."""
        if deletion_style(self) != "graceful":
            return 0
        take = law.decide("grace", self).outputs["take"]
        own = self.object.spec.termination_grace_period_seconds
        given = self.write.grace_seconds
        chosen = {"nothing": 0, "one": 1, "given": given, "own": own}[take]
        return 0 if chosen is None else max(chosen, 0)


@law.fact
def deletion_style(case: DeleteCase) -> Literal["graceful", "namespace", "plain"]:
    """Whether the object's kind is deleted with a grace period (Pod), by its own controller (Namespace), or at once."""
    return {"Pod": "graceful", "Namespace": "namespace"}.get(case.object.kind, "plain")  # type: ignore[return-value]


@law.fact
def deleting(case: Any) -> bool:
    """Whether the object's deletionTimestamp is set."""
    return bool(case.object.metadata.deletion_timestamp is not None)


@law.fact
def shortens(case: DeleteCase) -> bool:
    """Whether the request asks for a shorter grace period than the one that runs."""
    running = case.object.metadata.deletion_grace_period_seconds
    asked = case.write.grace_seconds is not None or case.seconds == 0
    return running is not None and asked and case.seconds < running


@law.fact
def held_by_finalizers(case: DeleteCase) -> bool:
    """Whether finalizers (a Namespace's spec.finalizers too) keep the object."""
    held = bool(case.finalizers)
    return held or (case.object.kind == "Namespace" and bool(case.object.spec.finalizers))


@law.fact
def grace(case: DeleteCase) -> int:
    """The grace period that applies, in seconds."""
    return case.seconds


@law.fact
def grace_given(case: DeleteCase) -> int | None:
    """The grace period in the request, in seconds."""
    return case.write.grace_seconds


@law.fact
def assigned(case: Any) -> bool:
    """Whether the pod has a node."""
    return bool(case.object.spec.node_name)


@law.fact
def terminal_phase(case: DeleteCase) -> bool:
    """Whether the pod's phase is Succeeded or Failed."""
    return case.object.status.phase in _TERMINAL


@law.fact
def propagation(case: DeleteCase) -> Literal["Background", "Foreground", "Orphan"] | None:
    """The propagation policy in the request."""
    return case.write.propagation


@law.fact
def collector_finalizer(case: DeleteCase) -> Literal["orphan", "foregroundDeletion"] | None:
    """The garbage collector's finalizer that the object has already."""
    return next((name for name in COLLECTOR_FINALIZERS if name in case.object.metadata.finalizers), None)


@law.fact
def default_propagation(case: DeleteCase) -> Literal["Background", "Orphan"]:
    """The kind's default policy."""
    return "Orphan" if case.object.kind in _ORPHANING_KINDS else "Background"


def deletion_of(obj: Any, write: Delete, second: int) -> Deletion:
    """Judge a DELETE of `obj` at `second` (ns). Source: rest/delete.go: BeforeDelete."""
    case = DeleteCase(obj, write, second)
    verdict: Verdict = law.decide("delete", case).outputs["verdict"]
    if verdict == "keep" or (verdict == "remove" and deletion_style(case) != "graceful"):
        return Deletion(verdict, obj)
    return Deletion(verdict, _marked(case))


def _marked(case: DeleteCase) -> Any:
    """The object with its deletion mark: timestamp, grace period, and the generation one higher at the first time."""
    obj, meta = case.object, case.object.metadata
    if meta.deletion_timestamp is not None:
        if deletion_style(case) == "graceful":
            running = meta.deletion_grace_period_seconds or 0
            moved = meta.deletion_timestamp - (running - case.seconds) * SECOND
            return evolve(
                obj, metadata=evolve(meta, deletion_timestamp=moved, deletion_grace_period_seconds=case.seconds)
            )
        return evolve(obj, metadata=evolve(meta, finalizers=case.finalizers))
    marked = evolve(
        meta,
        deletion_timestamp=case.second + case.seconds * SECOND,
        deletion_grace_period_seconds=None if obj.kind == "Namespace" else case.seconds,
        generation=meta.generation + 1 if meta.generation > 0 else 0,
        finalizers=case.finalizers,
    )
    if obj.kind == "Namespace":
        return evolve(obj, metadata=marked, status=evolve(obj.status, phase="Terminating"))
    return evolve(obj, metadata=marked)


def finished(obj: Any) -> bool:
    """Whether an update left nothing that keeps a deleted object: it goes with that update.

    Source: generic/registry/store.go: ShouldDeleteDuringUpdate; pkg/registry/core/namespace/storage/storage.go.
    """
    meta = obj.metadata
    if meta.deletion_timestamp is None or meta.finalizers or meta.deletion_grace_period_seconds:
        return False
    if obj.kind == "Namespace":
        return not obj.spec.finalizers
    return bool(meta.deletion_grace_period_seconds == 0 or obj.kind != "Pod")
