"""How copies are sent, one after the other, and what follows from the answers.

Source: pkg/controller/endpointslicemirroring/reconciler.go: finalize, deleteEndpoints.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Literal

from k8sfsm.controllers.endpoints import namespace_is_ending
from k8sfsm.controllers.endpointslice_tracker import DELETED
from k8sfsm.controllers.endpointslice_writes import expect
from k8sfsm.law import Decision, Law
from k8sfsm.objects import Endpoints, EndpointSlice, evolve
from k8sfsm.request import Create, Delete, Key, Outcome, Parallel, Plan, Remember, Step, Update, Why
from k8sfsm.value import value

law = Law("endpointslicemirroring")

Change = Literal["create", "update", "delete"]


@value
class SliceWrite:
    """The case of `send`: a slice to be written for Endpoints (None: there are none); `why`: the rule that wants it."""

    change: Change
    slice: EndpointSlice
    endpoints: Endpoints | None
    why: Why | None = None


@value
class Progress:
    """How far a sync is. `uids`: the slices that the memory lists; `steps`: what comes before the next write.

    `cleaning`: all copies are being removed; `failures`: what went wrong with that.
    """

    key: Key
    uids: tuple[str, ...]
    writes: tuple[SliceWrite, ...]
    steps: tuple[Step | Parallel, ...] = ()
    cleaning: bool = False
    failures: tuple[str, ...] = ()
    total: int = 0


@value
class Answer:
    """The case of `answer`: the answer to a write."""

    write: SliceWrite
    outcome: Outcome
    progress: Progress


@law.fact
def change(case: SliceWrite | Answer) -> Change:
    """What is to be done with the slice."""
    return case.write.change if isinstance(case, Answer) else case.change


@law.fact
def endpoints_deleting(write: SliceWrite) -> bool:
    """The Endpoints are being deleted."""
    return write.endpoints is not None and write.endpoints.metadata.deletion_timestamp is not None


@law.fact
def succeeded(answer: Answer) -> bool:
    """The API server accepted the write."""
    return answer.outcome.ok


@law.fact
def namespace_ending(answer: Answer) -> bool:
    """The write was refused because its namespace is being deleted."""
    return namespace_is_ending(answer.outcome)


@law.fact
def cleaning_up(answer: Answer) -> bool:
    """All copies are being removed."""
    return answer.progress.cleaning


@law.action
def create_slice(write: SliceWrite, decision: Decision) -> Iterable[Step]:
    """Create the slice."""
    return (Create(object=write.slice, why=write.why),)


@law.action
def update_slice(write: SliceWrite, decision: Decision) -> Iterable[Step]:
    """Replace the slice, whatever its version."""
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
    return expect(answer.progress.key, answer.progress.uids, meta.uid, meta.generation)


@law.action
def expect_deletion(answer: Answer, decision: Decision) -> Iterable[Step]:
    """Remember that the slice is deleted."""
    return expect(answer.progress.key, answer.progress.uids, answer.write.slice.metadata.uid, DELETED)


def next_plan(progress: Progress) -> Plan:
    """The plan up to the next write and its answer, or the end of the sync."""
    writes, total = progress.writes, progress.total or len(progress.writes)
    while writes:
        write, writes = writes[0], writes[1:]
        sent = law.perform(law.decide("send", write), write)
        if sent:
            rest = evolve(progress, writes=writes, steps=(), total=total)
            return Plan(steps=(*progress.steps, *sent), then=partial(_answered, rest, write))
    return Plan(steps=progress.steps, error=_failed(progress))


def _answered(progress: Progress, write: SliceWrite, outcomes: tuple[Outcome, ...]) -> Plan:
    answer = Answer(write, outcomes[-1], progress)
    decision = law.decide("answer", answer)
    steps = law.perform(decision, answer)
    uids = next((step.value for step in steps if isinstance(step, Remember) and step.key[0] == "slices"), progress.uids)
    follow = decision.outputs["pass"]
    if follow == "fails-later":
        progress = evolve(progress, failures=(*progress.failures, answer.outcome.message))
    if follow in ("ends", "fails"):
        return Plan(steps=steps, error=_text(progress.key, answer) if follow == "fails" else "")
    return next_plan(evolve(progress, uids=uids, steps=steps))


def _text(key: Key, answer: Answer) -> str:
    write = answer.write
    name = "" if write.change == "create" else f"{write.slice.metadata.name} "
    return f"failed to {write.change} {name}EndpointSlice for Endpoints {key[1]}/{key[2]}: {answer.outcome.message}"


def _failed(progress: Progress) -> str:
    """What is said at the end of a removal in which something failed."""
    if not progress.failures:
        return ""
    count = f"{len(progress.failures)}/{progress.total}"
    _, namespace, name = progress.key
    text = f"error(s) deleting {count} EndpointSlices for {namespace}/{name} Endpoints, including"
    return f"{text}: {progress.failures[0]}"
