"""How the writes of a sync of EndpointSlices are sent, one after the other, and what follows from the answers.

Source: staging/src/k8s.io/endpointslice/reconciler.go: Reconcile, finalize.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal

from k8sfsm.controllers.endpoints import namespace_is_ending
from k8sfsm.controllers.endpointslice_members import law
from k8sfsm.controllers.endpointslice_tracker import DELETED, slice_key, slices_key
from k8sfsm.law import Decision
from k8sfsm.objects import EndpointSlice, Service, evolve
from k8sfsm.request import Create, Delete, Key, Outcome, Parallel, Plan, Record, Remember, Step, Update, Why
from k8sfsm.value import value

Change = Literal["create", "update", "delete"]


@value
class SliceWrite:
    """The case of `send`: a slice to be created, updated or deleted for a Service; `why`: the rule that wants it."""

    change: Change
    slice: EndpointSlice
    service: Service
    why: Why | None = None


@value
class Pass:
    """The writes of one family, then their events. `last`: deletions of families that the Service has no longer."""

    writes: tuple[SliceWrite, ...]
    events: tuple[Step, ...] = ()
    last: bool = False


@value
class Progress:
    """How far a sync is. `uids`: the slices that the memory lists; `steps`: what comes before the next write."""

    key: Key
    service: Service
    uids: tuple[str, ...]
    passes: tuple[Pass, ...]
    errors: tuple[str, ...] = ()
    steps: tuple[Step | Parallel, ...] = ()


@value
class Answer:
    """The case of `answer`: the answer to a write."""

    write: SliceWrite
    outcome: Outcome
    key: Key
    uids: tuple[str, ...]
    last: bool


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def change(case: SliceWrite | Answer) -> Change:
    """What is to be done with the slice."""
    return case.write.change if isinstance(case, Answer) else case.change


@law.fact
def service_deleting(write: SliceWrite) -> bool:
    """The Service is being deleted."""
    return write.service.metadata.deletion_timestamp is not None


@law.fact
def succeeded(answer: Answer) -> bool:
    """The API server accepted the write."""
    return answer.outcome.ok


@law.fact
def code(answer: Answer) -> int:
    """The HTTP status of the answer."""
    return answer.outcome.code


@law.fact
def namespace_ending(answer: Answer) -> bool:
    """The write was refused because its namespace is being deleted."""
    return namespace_is_ending(answer.outcome)


@law.fact
def family_gone(answer: Answer) -> bool:
    """The slice is deleted because the Service has not its IP family any longer."""
    return answer.last


# -- actions ---------------------------------------------------------------------------------------------------------


@law.action
def create_slice(write: SliceWrite, decision: Decision) -> Iterable[Step]:
    """Create the slice."""
    return (Create(object=write.slice, why=write.why),)


@law.action
def update_slice(write: SliceWrite, decision: Decision) -> Iterable[Step]:
    """Replace the slice."""
    return (Update(object=write.slice, why=write.why),)


@law.action
def delete_slice(write: SliceWrite, decision: Decision) -> Iterable[Step]:
    """Delete the slice."""
    meta = write.slice.metadata
    return (Delete(key=("EndpointSlice", meta.namespace, meta.name), why=write.why),)


@law.action
def expect_generation(answer: Answer, decision: Decision) -> Iterable[Step]:
    """Remember the generation that the write made."""
    meta = answer.outcome.object.metadata
    return expect(answer.key, answer.uids, meta.uid, meta.generation)


@law.action
def expect_deletion(answer: Answer, decision: Decision) -> Iterable[Step]:
    """Remember that the slice is deleted."""
    return expect(answer.key, answer.uids, answer.write.slice.metadata.uid, DELETED)


def expect(key: Key, uids: tuple[str, ...], uid: str, generation: int) -> tuple[Step, ...]:
    """Remember the generation that a slice is to show, and that it belongs to `key`, which has `uids` so far."""
    steps: tuple[Step, ...] = (Remember(key=slice_key(uid), value=generation),)
    if uid in uids:
        return steps
    return (*steps, Remember(key=slices_key(key), value=(*uids, uid)))


# -- the chain of plans ----------------------------------------------------------------------------------------------


def next_plan(progress: Progress) -> Plan:
    """The plan up to the next write and its answer, or the end of the sync."""
    passes, steps = progress.passes, progress.steps
    while passes:
        current = passes[0]
        if not current.writes:
            steps, passes = (*steps, *current.events), passes[1:]
            continue
        write = current.writes[0]
        passes = (evolve(current, writes=current.writes[1:]), *passes[1:])
        sent = law.perform(law.decide("send", write), write)
        if sent:
            follow = partial(_answered, evolve(progress, passes=passes, steps=()), write)
            return Plan(steps=(*steps, *sent), then=follow)
    return _end(evolve(progress, passes=(), steps=steps))


def _answered(progress: Progress, write: SliceWrite, outcomes: tuple[Outcome, ...]) -> Plan:
    outcome = outcomes[-1]
    current = progress.passes[0]
    answer = Answer(write, outcome, progress.key, progress.uids, current.last)
    decision = law.decide("answer", answer)
    steps = law.perform(decision, answer)
    uids = next((step.value for step in steps if isinstance(step, Remember) and step.key[0] == "slices"), progress.uids)
    follow = decision.outputs["pass"]
    errors = (
        progress.errors if follow in ("goes-on", "ends") else (*progress.errors, _text(write, outcome, current.last))
    )
    if follow in ("ends", "fails"):
        current = evolve(current, writes=())
    passes = (current, *progress.passes[1:])
    return next_plan(evolve(progress, uids=uids, passes=passes, errors=errors, steps=steps))


def _text(write: SliceWrite, outcome: Outcome, last: bool) -> str:
    meta = write.service.metadata
    name = "" if write.change == "create" else f"{write.slice.metadata.name} "
    verb = "error deleting" if last else f"failed to {write.change}"
    return f"{verb} {name}EndpointSlice for Service {meta.namespace}/{meta.name}: {outcome.message}"


@law.fact
def anything_failed(progress: Progress) -> bool:
    """A write failed, or a pod was left out because its node does not exist."""
    return bool(progress.errors)


@law.action
def record_failed_sync(progress: Progress, decision: Decision) -> Iterable[Step]:
    """Event FailedToUpdateEndpointSlices."""
    meta = progress.service.metadata
    message = f"Error updating Endpoint Slices for Service {meta.namespace}/{meta.name}: {_error(progress)}"
    reason = "FailedToUpdateEndpointSlices"
    return (Record(regarding=progress.service, type="Warning", reason=reason, message=message),)


def _error(progress: Progress) -> str:
    """All errors as Go joins them: each once, in brackets where there are several."""
    texts = tuple(dict.fromkeys(progress.errors))
    return f"[{', '.join(texts)}]" if len(texts) > 1 else "".join(texts)


def _end(progress: Progress) -> Plan:
    """The end of a sync, with the event and the error where something went wrong."""
    events = law.perform(law.decide("end", progress), progress)
    return Plan(steps=(*progress.steps, *events), error=_error(progress))
