"""Finding the new ReplicaSet, keeping its annotations in step, and creating it.

Source: pkg/controller/deployment/sync.go: getAllReplicaSetsAndSyncRevision, getNewReplicaSet.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from attrs import frozen

from k8sfsm.apiserver.memo import Memo
from k8sfsm.controllers.deployment.conditions import condition, with_condition
from k8sfsm.controllers.deployment.finding import find
from k8sfsm.controllers.deployment.revision import (
    Annotated,
    annotations_for_new,
    max_revision,
    with_annotations,
)
from k8sfsm.controllers.deployment.rolling import new_rs_size
from k8sfsm.controllers.deployment.script import Phase, SyncError, perform, send
from k8sfsm.controllers.deployment.template_hash import replica_set_name, template_hash
from k8sfsm.controllers.deployment.working import Working, has_progress_deadline, progressing_reason
from k8sfsm.kinds.deployment import POD_TEMPLATE_HASH, REVISION, same_template
from k8sfsm.kinds.deployment_bounds import law, replicas_of
from k8sfsm.law import Decision
from k8sfsm.objects import (
    LabelSelector,
    ObjectMeta,
    OwnerReference,
    PodTemplateSpec,
    ReplicaSet,
    ReplicaSetSpec,
    controller_of,
    evolve,
    to_json,
)
from k8sfsm.request import Create, Outcome, Record, Update


def _history_limit() -> int:
    return int(law.constant("deployment_revision_history_characters"))


@law.fact
def may_create(case: Working) -> bool:
    """The present step may create the new ReplicaSet."""
    return case.may_create


@law.action
def find_new_replica_set(case: Working, decision: Decision) -> Phase:
    """Find the new ReplicaSet and keep revisions in step, without creating it."""
    yield from _find(case, create=False)


@law.action
def ensure_new_replica_set(case: Working, decision: Decision) -> Phase:
    """Find the new ReplicaSet and keep revisions in step; create it where it is missing."""
    yield from _find(case, create=True)


def _find(case: Working, *, create: bool) -> Phase:
    found = case.found
    if found is None or found.template is not case.deployment.spec.template:
        found = case.found = find(case.deployment, case.claimed)
    case.new_rs, case.old_rss, case.may_create = found.new, found.old, create
    yield from perform(law, law.decide("new-rs", case), case)


# -- it is there ------------------------------------------------------------------------------------------------------


def _annotated(case: Working) -> Annotated:
    """The annotations that the new ReplicaSet is to have; they follow from those that there are."""
    assert case.new_rs is not None
    deployment, new, limit = case.deployment, case.new_rs, _history_limit()
    old = [rs.metadata.annotations for rs in case.old_rss]
    parts = (law.edition, limit, deployment.metadata.annotations, new.metadata.annotations, *old)
    found: Annotated | None = _ANNOTATED.get(parts)
    if found is None:
        revision = max_revision(case.old_rss) + 1
        found = annotations_for_new(deployment, new, revision, exists=True, history_limit=limit)
        _ANNOTATED.put(parts, found)
    return found


_ANNOTATED: Final = Memo()


@law.fact
def annotations_outdated(case: Working) -> bool:
    """The new ReplicaSet's annotations are not what they are to be."""
    return _annotated(case).changed


@law.fact
def min_ready_differs(case: Working) -> bool:
    """The new ReplicaSet's minReadySeconds is not the Deployment's."""
    assert case.new_rs is not None
    return case.new_rs.spec.min_ready_seconds != case.deployment.spec.min_ready_seconds


@law.fact
def revision_recorded(case: Working) -> bool:
    """The Deployment's revision annotation is the new ReplicaSet's."""
    assert case.new_rs is not None
    noted = case.new_rs.metadata.annotations.get(REVISION, "")
    return case.deployment.metadata.annotations.get(REVISION, "") == noted


@law.action
def update_new_replica_set(case: Working, decision: Decision) -> Phase:
    """Write the new ReplicaSet's annotations and minReadySeconds; go on with the object as it is stored."""
    assert case.new_rs is not None
    changed = with_annotations(case.new_rs, _annotated(case).annotations)
    spec = evolve(changed.spec, min_ready_seconds=case.deployment.spec.min_ready_seconds)
    case.new_rs = yield from send(Update(object=evolve(changed, spec=spec)))


@law.action
def take_over_new_replica_set(case: Working, decision: Decision) -> Phase:
    """Note the new ReplicaSet on the Deployment: its revision and, where there is none, a Progressing condition."""
    assert case.new_rs is not None
    case.new_rs = with_annotations(case.new_rs, _annotated(case).annotations)
    for taken in law.collect("take-over", case):
        yield from perform(law, taken, case)
    yield from save(case)


@law.action
def record_revision(case: Working, decision: Decision) -> Phase:
    """Copy the new ReplicaSet's revision to the Deployment (in memory)."""
    assert case.new_rs is not None
    revision = case.new_rs.metadata.annotations.get(REVISION, "")
    case.annotate({**case.deployment.metadata.annotations, REVISION: revision})
    case.unsaved = True
    yield from ()


@law.action
def set_progressing(case: Working, decision: Decision) -> Phase:
    """Set the Progressing condition that the rule describes (in memory)."""
    name = "" if case.new_rs is None else case.new_rs.metadata.name
    new = condition("Progressing", decision.outputs, case, replica_set=name)
    case.set_status(with_condition(case.deployment.status, new))
    case.unsaved = True
    yield from ()


@law.action
def save_status(case: Working, decision: Decision) -> Phase:
    """Write the Deployment's status, and with it the revision annotation. The answer is dropped, as upstream does."""
    case.unsaved = False
    yield from send(Update(object=case.deployment, subresource="status"))


def save(case: Working) -> Phase:
    """Write the status if something in it is not written yet."""
    yield from perform(law, law.decide("save", case), case)


# -- it is missing ----------------------------------------------------------------------------------------------------


def _owner(case: Working) -> OwnerReference:
    deployment = case.deployment
    return OwnerReference(
        api_version=deployment.api_version,
        kind=deployment.kind,
        name=deployment.metadata.name,
        uid=deployment.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )


def _hash_of(template: PodTemplateSpec, collisions: int | None) -> str:
    known = _HASHES.get((template, collisions))
    if known is None:
        known = template_hash(to_json(template), collisions)
        _HASHES.put((template, collisions), known)
    return str(known)


_HASHES: Final = Memo()


def built(case: Working) -> ReplicaSet:
    """The ReplicaSet for the Deployment's template, as it is sent to the API server."""
    deployment = case.deployment
    spec = deployment.spec
    hashed = _hash_of(spec.template, deployment.status.collision_count)
    labels = {**spec.template.metadata.labels, POD_TEMPLATE_HASH: hashed}
    template = evolve(spec.template, metadata=evolve(spec.template.metadata, labels=labels))
    selector = spec.selector or LabelSelector()
    bare = ReplicaSet(
        metadata=ObjectMeta(
            name=replica_set_name(deployment.metadata.name, hashed),
            namespace=deployment.metadata.namespace,
            labels=labels,
            owner_references=(_owner(case),),
        ),
        spec=ReplicaSetSpec(
            replicas=0,
            min_ready_seconds=spec.min_ready_seconds,
            selector=evolve(selector, match_labels={**selector.match_labels, POD_TEMPLATE_HASH: hashed}),
            template=template,
        ),
    )
    size = new_rs_size(case.deployment, (*case.old_rss, bare), bare)
    revision = max_revision(case.old_rss) + 1
    noted = annotations_for_new(deployment, bare, revision, exists=False, history_limit=_history_limit())
    return evolve(with_annotations(bare, noted.annotations), spec=evolve(bare.spec, replicas=size))


@frozen
class Creation:
    """A ReplicaSet that was to be created, and the answer."""

    working: Working
    wanted: ReplicaSet
    outcome: Outcome

    @property
    def twin(self) -> Any:
        """The ReplicaSet of that name in the cache."""
        metadata = self.wanted.metadata
        return self.working.view.get("ReplicaSet", metadata.namespace, metadata.name)


@law.fact
def creation(case: Creation) -> Literal["created", "exists", "namespace-terminating", "failed"]:
    """What the API server answered to the creation of the new ReplicaSet."""
    outcome = case.outcome
    if outcome.ok:
        return "created"
    if outcome.reason == "AlreadyExists":
        return "exists"
    return "namespace-terminating" if "because it is being terminated" in outcome.message else "failed"


@law.fact
def twin(case: Creation) -> Literal["unknown", "own", "other"]:
    """The ReplicaSet that has the name: not in the cache, this Deployment's own of the same template, or another."""
    found, deployment = case.twin, case.working.deployment
    if found is None:
        return "unknown"
    owner = controller_of(found)
    own = owner is not None and owner.uid == deployment.metadata.uid
    return "own" if own and same_template(found.spec.template, deployment.spec.template) else "other"


@law.fact
def created_size(case: Creation) -> int:
    """spec.replicas of the ReplicaSet that was to be created."""
    return replicas_of(case.wanted)


@law.fact
def created_with_deadline(case: Creation) -> bool:
    """The Deployment has a progress deadline."""
    return has_progress_deadline(case.working)


@law.action
def create_new_replica_set(case: Working, decision: Decision) -> Phase:
    """Create the new ReplicaSet and act on the answer."""
    wanted = built(case)
    outcome = yield Create(object=wanted)
    assert outcome is not None
    attempt = Creation(case, wanted, outcome)
    yield from perform(law, law.decide("created", attempt), attempt)


@law.action
def use_created(case: Creation, decision: Decision) -> Phase:
    """Go on with the created ReplicaSet; announce it and note it on the Deployment."""
    case.working.new_rs = case.outcome.object
    for announced in law.collect("announce", case):
        yield from perform(law, announced, case)
    yield from note_created(case, decision)


@law.action
def use_twin(case: Creation, decision: Decision) -> Phase:
    """Go on with the cached ReplicaSet, which an earlier sync made."""
    case.working.new_rs = case.twin
    yield from note_created(case, decision)


def note_created(case: Creation, decision: Decision) -> Phase:
    """Note the revision that the ReplicaSet was to have, and write what is new."""
    working = case.working
    revision = case.wanted.metadata.annotations.get(REVISION, "")
    for noted in law.collect("note-revision", Noting(working, revision)):
        yield from perform(law, noted, Noting(working, revision))
    yield from save(working)


@frozen
class Noting:
    """A revision that the Deployment is to carry."""

    working: Working
    revision: str


@law.fact
def revision_carried(case: Noting) -> bool:
    """The Deployment carries the revision already."""
    return case.working.deployment.metadata.annotations.get(REVISION, "") == case.revision


@law.action
def carry_revision(case: Noting, decision: Decision) -> Phase:
    """Set the Deployment's revision annotation (in memory)."""
    working = case.working
    working.annotate({**working.deployment.metadata.annotations, REVISION: case.revision})
    working.unsaved = True
    yield from ()


@law.action
def report_created(case: Creation, decision: Decision) -> Phase:
    """Event: the new ReplicaSet was scaled up from 0."""
    message = f"Scaled up replica set {case.wanted.metadata.name} from 0 to {replicas_of(case.wanted)}"
    yield Record(regarding=case.working.deployment, type="Normal", reason="ScalingReplicaSet", message=message)


@law.action
def set_created_progressing(case: Creation, decision: Decision) -> Phase:
    """Set the Progressing condition that the rule describes (in memory)."""
    yield from set_progressing(case.working, decision)


@law.action
def count_collision(case: Creation, decision: Decision) -> Phase:
    """Another template has this hash: raise collisionCount, so that the next try hashes differently."""
    working = case.working
    status = working.deployment.status
    working.set_status(evolve(status, collision_count=(status.collision_count or 0) + 1))
    yield Update(object=working.deployment, subresource="status")


def _failure(case: Creation) -> str:
    return case.outcome.message or case.outcome.reason


@law.action
def note_create_error(case: Creation, decision: Decision) -> Phase:
    """Write the Progressing condition of a failed creation; whether that succeeds does not matter."""
    working = case.working
    text = {"replica_set": case.wanted.metadata.name, "error": _failure(case)}
    new = condition("Progressing", decision.outputs, working, **text)
    working.set_status(with_condition(working.deployment.status, new))
    yield Update(object=working.deployment, subresource="status")


@law.action
def report_create_error(case: Creation, decision: Decision) -> Phase:
    """Event: the new ReplicaSet could not be created."""
    message = f'Failed to create new replica set "{case.wanted.metadata.name}": {_failure(case)}'
    yield Record(regarding=case.working.deployment, type="Warning", reason="ReplicaSetCreateError", message=message)


@law.action
def fail_creation(case: Creation, decision: Decision) -> Phase:
    """End the sync with the error of the creation."""
    yield from ()
    raise SyncError(_failure(case))


@law.action
def give_up_creation(case: Creation, decision: Decision) -> Phase:
    """End the sync; the namespace is going, and the key is not tried again."""
    yield from ()
    raise SyncError(_failure(case), retry=False)


@law.action
def fail_lookup(case: Creation, decision: Decision) -> Phase:
    """End the sync: the ReplicaSet that has the name is not in the cache yet."""
    yield from ()
    raise SyncError(f'replicaset.apps "{case.wanted.metadata.name}" not found')


__all__ = ["built", "progressing_reason", "save"]
