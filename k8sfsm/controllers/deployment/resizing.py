"""Changing the size of one ReplicaSet. Source: sync.go: scaleReplicaSet, scaleReplicaSetAndRecordEvent."""

from __future__ import annotations

from collections.abc import Generator

from attrs import frozen

from k8sfsm.controllers.deployment.revision import scale_notes, scale_notes_outdated, with_annotations
from k8sfsm.controllers.deployment.script import send
from k8sfsm.controllers.deployment.working import Working
from k8sfsm.kinds.deployment_bounds import law, replicas_of
from k8sfsm.law import Decision
from k8sfsm.objects import ReplicaSet, evolve
from k8sfsm.request import Outcome, Record, Step, Update


@frozen
class Resize:
    """A ReplicaSet that is to have `size` replicas. `forced`: its scale notes are refreshed even if it has them."""

    working: Working
    rs: ReplicaSet
    size: int
    forced: bool


@frozen
class Resized:
    """The ReplicaSet as it is stored afterwards, and whether its size was changed."""

    replica_set: ReplicaSet
    scaled: bool


@law.fact
def size_change(case: Resize) -> int:
    """Pods to add (or, negative, to take away)."""
    return case.size - replicas_of(case.rs)


@law.fact
def forced(case: Resize) -> bool:
    """The scale notes are to be refreshed even where the size stays."""
    return case.forced


@law.fact
def notes_outdated(case: Resize) -> bool:
    """desired-replicas or max-replicas on the ReplicaSet are not the Deployment's."""
    return scale_notes_outdated(case.rs, case.working.deployment)


def resize(
    case: Working, rs: ReplicaSet, size: int, why: Decision | None = None, *, forced: bool = False
) -> Generator[Step, Outcome | None, Resized]:
    """Give a ReplicaSet `size` replicas. `why`: the rule that chose the size. Raises SyncError where it fails."""
    decision = law.decide("resize", Resize(case, rs, size, forced))
    if not decision.outputs["write"]:
        return Resized(rs, False)
    noted = with_annotations(rs, {**rs.metadata.annotations, **scale_notes(case.deployment)})
    changed = evolve(noted, spec=evolve(noted.spec, replicas=size))
    cause = None if why is None else why.why
    stored = yield from send(Update(object=changed, why=cause))
    direction = decision.outputs["direction"]
    if direction:
        text = f"Scaled {direction} replica set {rs.metadata.name} from {replicas_of(rs)} to {size}"
        yield Record(regarding=case.deployment, type="Normal", reason="ScalingReplicaSet", message=text, why=cause)
    return Resized(stored, bool(direction))
