"""Adoption and release: which dependents a controller owns.

    claim(Claimant(replica_set, matches), pods, then=lambda claimed: ...)

returns a plan that sends what is needed, one request after the other as upstream does, and goes on with `then`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

from k8sfsm.controllers.selector import Matcher
from k8sfsm.law import Decision, Law
from k8sfsm.lazy import lazy
from k8sfsm.objects import controller_of, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Outcome, Parallel, Patch, Plan, Step
from k8sfsm.value import value

law: Final = Law("claim")


@value(eq=False)
class Traits:
    """What a claim asks of a candidate; candidates that share a `Traits` object share its decision.

    `owner_uid`: uid of the controller owner reference, "" where there is none.
    """

    owner_uid: str
    labels: Mapping[str, str]
    namespace: str
    deleting: bool


class CountedTraits(Sequence[Traits]):
    """The traits of many candidates, one for one, with how many have each: who has the numbers asks about each once."""

    def __init__(self, counts: Mapping[Any, int], each: Callable[[], Sequence[Any]]) -> None:
        self.counts = counts
        self._each = each

    @lazy
    def _all(self) -> Sequence[Any]:
        return self._each()

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all)


def distinct(traits: Sequence[Traits]) -> Iterable[Traits]:
    """The traits that there are, each once."""
    return traits.counts if isinstance(traits, CountedTraits) else dict.fromkeys(traits)


def traits_of_objects(candidates: Sequence[Any]) -> Sequence[Traits]:
    """The traits of any API objects, one for one."""
    return [_traits_of(candidate) for candidate in candidates]


def _traits_of(candidate: Any) -> Traits:
    owner = controller_of(candidate)
    metadata = candidate.metadata
    deleting = metadata.deletion_timestamp is not None
    return Traits("" if owner is None else owner.uid, metadata.labels, metadata.namespace, deleting)


@value
class Claimant:
    """Who claims: the object, and whether its selector matches labels."""

    object: Any
    matches: Matcher

    @property
    def name(self) -> str:
        """namespace/name, as in error texts."""
        return f"{self.object.metadata.namespace}/{self.object.metadata.name}"


@value
class Claimed:
    """The outcome of a claim: owned objects in the candidates' order, the text of all errors, and the answers got."""

    objects: Sequence[Any]
    error: str = ""
    outcomes: tuple[Outcome, ...] = ()


Then: TypeAlias = Callable[[Claimed], Plan]


@value
class Candidate:
    """One candidate of a claimant. `object` is None while all candidates of the same traits are judged."""

    claimant: Claimant
    traits: Traits
    object: Any = None


@law.fact
def owner(case: Candidate) -> Literal["claimant", "none", "other"]:
    """Whose the candidate is, by the uid of its controller owner reference."""
    if not case.traits.owner_uid:
        return "none"
    return "claimant" if case.traits.owner_uid == case.claimant.object.metadata.uid else "other"


@law.fact
def matches(case: Candidate) -> bool:
    """The claimant's selector matches the candidate's labels."""
    return case.claimant.matches(case.traits.labels)


@law.fact
def claimant_deleting(case: Candidate) -> bool:
    """The claimant, as cached, is being deleted."""
    return case.claimant.object.metadata.deletion_timestamp is not None


@law.fact
def candidate_deleting(case: Candidate) -> bool:
    """The candidate is being deleted."""
    return case.traits.deleting


@law.fact
def same_namespace(case: Candidate) -> bool:
    """Claimant and candidate are in the same namespace."""
    return bool(case.traits.namespace == case.claimant.object.metadata.namespace)


def _patch(candidate: Any, owner_reference: Mapping[str, Any]) -> Patch:
    metadata = candidate.metadata
    return Patch(
        key=(candidate.kind, metadata.namespace, metadata.name),
        body={"metadata": {"uid": metadata.uid, "ownerReferences": [dict(owner_reference)]}},
        type="strategic",
        uid=metadata.uid,
    )


@law.action
def release(case: Candidate, decision: Decision) -> Iterator[Patch]:
    """Take the claimant's owner reference away; the candidate's uid is the precondition.

    Source: pkg/controller/controller_ref_manager.go: ReleasePod, GenerateDeleteOwnerRefStrategicMergeBytes
    """
    yield _patch(case.object, {"$patch": "delete", "uid": case.claimant.object.metadata.uid})


@law.action
def adopt(case: Candidate, decision: Decision) -> Iterator[Patch]:
    """Make the claimant the candidate's controller; the candidate's uid is the precondition.

    Source: pkg/controller/controller_ref_manager.go: AdoptPod, ownerRefControllerPatch
    """
    claimant = case.claimant.object
    reference = {
        "apiVersion": claimant.api_version,
        "kind": claimant.kind,
        "name": claimant.metadata.name,
        "uid": claimant.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    yield _patch(case.object, reference)


@value
class LiveCheck:
    """What the API server answered when it was asked for the claimant."""

    claimant: Claimant
    outcome: Outcome


@law.fact
def live_found(case: LiveCheck) -> bool:
    """The API server gave an object of the claimant's name."""
    return case.outcome.ok


@law.fact
def live_is_claimant(case: LiveCheck) -> bool:
    """It is the claimant, not another object of the same name."""
    return bool(case.outcome.object.metadata.uid == case.claimant.object.metadata.uid)


@law.fact
def live_deleting(case: LiveCheck) -> bool:
    """It is being deleted."""
    return case.outcome.object.metadata.deletion_timestamp is not None


@value
class Answer:
    """The API server's answer to an adoption or a release."""

    outcome: Outcome
    adopting: bool


@law.fact
def granted(case: Answer) -> bool:
    """The request succeeded."""
    return case.outcome.ok


@law.fact
def adopting(case: Answer) -> bool:
    """It was an adoption, not a release."""
    return case.adopting


@law.fact
def answer_code(case: Answer) -> int:
    """The HTTP status."""
    return case.outcome.code


@value
class _Work:
    """A claim under way. `refusal`: why adoptions are refused; "" allowed, None not asked yet."""

    claimant: Claimant
    candidates: tuple[Any, ...]
    owned: frozenset[int]
    todo: tuple[tuple[int, Candidate, Decision], ...]
    refusal: str | None = None
    errors: tuple[str, ...] = ()
    outcomes: tuple[Outcome, ...] = ()


def claim(
    claimant: Claimant,
    candidates: Sequence[Any],
    then: Then,
    traits_of: Callable[[Sequence[Any]], Sequence[Traits]] = traits_of_objects,
) -> Plan:
    """The plan that claims `candidates` for `claimant` and goes on with `then`.

    `traits_of` gives the candidates' traits; where it gives many the same object, the table is asked once for them.
    Source: pkg/controller/controller_ref_manager.go: ClaimPods, ClaimReplicaSets
    """
    traits = traits_of(candidates)
    decided = {each: law.decide("claim", Candidate(claimant, each)) for each in distinct(traits)}
    if not any(decision.actions for decision in decided.values()):
        if all(decision.outputs["claimed"] for decision in decided.values()):
            return then(Claimed(candidates))
        kept = (obj for obj, each in zip(candidates, traits, strict=True) if decided[each].outputs["claimed"])
        return then(Claimed(tuple(kept)))
    todo, owned = [], []
    for index, (obj, each) in enumerate(zip(candidates, traits, strict=True)):
        decision = decided[each]
        if decision.actions:
            todo.append((index, Candidate(claimant, each, obj), decision))
        elif decision.outputs["claimed"]:
            owned.append(index)
    return _proceed(_Work(claimant, tuple(candidates), frozenset(owned), tuple(todo)), then)


def _proceed(work: _Work, then: Then) -> Plan:
    """Send what can be sent before something has to be known, and go on."""
    work = _refuse(work)
    if not work.todo:
        objects = tuple(obj for index, obj in enumerate(work.candidates) if index in work.owned)
        return then(Claimed(objects, aggregate(work.errors), work.outcomes))
    if work.todo[0][2].outputs["live"] and work.refusal is None:
        return Plan(steps=(_live_read(work.claimant),), then=lambda outcomes: _checked(work, outcomes[0], then))
    ready: list[Step | Parallel] = []
    for _, candidate, decision in work.todo:
        if decision.outputs["live"] and work.refusal != "":
            break
        ready.extend(law.perform(decision, candidate))
    return Plan(steps=tuple(ready), then=lambda outcomes: _answered(work, outcomes, then))


def _refuse(work: _Work) -> _Work:
    """Give up the adoptions at the head of the list, where the live check refused them."""
    errors = list(work.errors)
    at = 0
    while work.refusal and at < len(work.todo) and work.todo[at][2].outputs["live"]:
        candidate = work.todo[at][1].object
        metadata = candidate.metadata
        name = f"{metadata.namespace}/{metadata.name}"
        errors.append(f"can't adopt {candidate.kind} {name} ({metadata.uid}): {work.refusal}")
        at += 1
    return evolve(work, todo=work.todo[at:], errors=tuple(errors)) if at else work


def _live_read(claimant: Claimant) -> Patch:
    """Ask the API server, not the cache, for the claimant: a patch that changes nothing is answered with the object."""
    obj = claimant.object
    return Patch(key=(obj.kind, obj.metadata.namespace, obj.metadata.name), body={})


def _checked(work: _Work, outcome: Outcome, then: Then) -> Plan:
    case = LiveCheck(work.claimant, outcome)
    obj = work.claimant.object
    live = outcome.object
    refusal = (
        law.decide("live-check", case)
        .outputs["refusal"]
        .format(
            message=outcome.message or outcome.reason,
            kind=obj.kind,
            namespace=obj.metadata.namespace,
            name=obj.metadata.name,
            uid=obj.metadata.uid,
            live_uid="" if live is None else live.metadata.uid,
            deleted="" if live is None else _go_time(live.metadata.deletion_timestamp),
        )
    )
    return _proceed(evolve(work, refusal=refusal), then)


def _answered(work: _Work, outcomes: tuple[Outcome, ...], then: Then) -> Plan:
    owned, errors = set(work.owned), list(work.errors)
    for (index, _, decision), outcome in zip(work.todo, outcomes, strict=False):
        answer = law.decide("claim-answer", Answer(outcome, bool(decision.outputs["live"])))
        if answer.outputs["claimed"]:
            owned.add(index)
        if answer.outputs["failed"]:
            errors.append(outcome.message or outcome.reason)
    done = evolve(
        work,
        owned=frozenset(owned),
        todo=work.todo[len(outcomes) :],
        errors=tuple(errors),
        outcomes=(*work.outcomes, *outcomes),
    )
    return _proceed(done, then)


def aggregate(errors: Iterable[str]) -> str:
    """One text for several errors, each named once; "" for none.

    Source: staging/src/k8s.io/apimachinery/pkg/util/errors/errors.go: aggregate.Error
    """
    distinct = tuple(dict.fromkeys(errors))
    return distinct[0] if len(distinct) == 1 else f"[{', '.join(distinct)}]" if distinct else ""


def _go_time(time: int | None) -> str:
    """A time (ns) as Go prints it in UTC."""
    moment = datetime.fromtimestamp((time or 0) // SECOND, UTC)
    return f"{moment:%Y-%m-%d %H:%M:%S} +0000 UTC"
