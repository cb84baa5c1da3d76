"""The laws that every history of a real cluster satisfies: `specs/trace/invariants.yaml`, checked write by write.

A function of a law says in words what is wrong, or "" where the law holds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib import import_module
from typing import Any, Final

from attrs import define, field

from k8sfsm.objects import ObjectError, Unmodelled
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.trace.asking import Laws, Rows, Sort, all_rows, beside_the_likeness, laws_of
from k8sfsm.trace.case import Finding, Past, Written, law
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.lacking import asked_within, ends_before, in_hole, watched_within, within
from k8sfsm.trace.likeness import Likeness, Likenesses
from k8sfsm.trace.lines import Json
from k8sfsm.trace.masking import shown
from k8sfsm.trace.resources import KINDS, VERSIONS, is_deleting, metadata
from k8sfsm.trace.timestamps import parse_time

for _laws in ("kept", "moments", "reports", "told", "counts"):
    import_module(f"k8sfsm.trace.{_laws}")


def check_integrity(recording: Recording) -> Iterator[Finding]:
    """Every place where a history breaks a law, in order. Derived states are judged like recorded ones."""
    integrity = Integrity.before(recording)
    yield from integrity.of_writes(recording)
    yield from integrity.at_end(recording)


@define
class Integrity:
    """The laws on their way through a history, which may come in portions."""

    past: Past
    rows: Rows
    asked: dict[Sort, Laws] = field(factory=dict)
    """The laws that a write of a sort can break."""
    likenesses: Likenesses = field(factory=Likenesses)
    likeness: Likeness | None = None
    """What the last write has in common with those that are alike."""

    @classmethod
    def before(cls, recording: Recording) -> Integrity:
        """Ready for a history's first portion."""
        requests = [write for write in recording.writes if not write.inferred]
        past = Past.of(
            recording.initial,
            covered=_covered(recording, requests),
            audited=recording.format in ("recording", "audit") and bool(requests),
            start=recording.start or 0,
        )
        past.holes = recording.holes
        past.asked, past.watched = asked_within(recording.writes), watched_within(recording.writes)
        past.kinds = frozenset([key[0] for key in past.objects] + [write.key[0] for write in recording.changes()])
        return cls(past, all_rows())

    def go_on(self, recording: Recording) -> None:
        """Another portion begins: what it shows for the first time was there before."""
        past = self.past
        for document in recording.initial:
            past.meet(document)
        writes = recording.unlike()
        if past.covered is not None:
            past.covered |= _covered(recording, [write for write in writes if not write.inferred]) or frozenset()
        past.kinds |= {write.key[0] for write in writes if write.type is not None}

    def of_writes(self, recording: Recording) -> Iterator[Finding]:
        """The findings in a portion's writes."""
        for write in recording.writes:
            yield from self.of(write)

    def of(self, write: RecordedWrite) -> list[Finding]:
        """The findings in the next write. Of one that is like an earlier one not all is asked again."""
        past, key = self.past, write.key
        case = Written(write=write, past=past)
        sort = (key[0], write.verb, write.type)
        laws = self._laws_of(sort)
        likeness = self.likeness = self.likenesses.of(write, case.old, past.unrevised.get(key, ""))
        if likeness is None:
            found = _asked(case, laws)
        elif likeness.laws is None or _CHECKED:
            found = _asked(case, laws)
            _compare(found, likeness.laws)
            if not found:
                likeness.laws = beside_the_likeness(case, laws)
        else:
            found = _asked(case, likeness.laws)
        past.take(write)
        return found

    def _laws_of(self, sort: Sort) -> Laws:
        found = self.asked.get(sort)
        if found is None:
            found = self.asked[sort] = laws_of(sort, self.rows)
        return found

    def at_end(self, recording: Recording) -> Iterator[Finding]:
        """The findings that concern the history as a whole."""
        for rule, holds, _ in self.rows["convergence"]:
            for key, message in holds(recording):
                yield Finding(rule=rule, message=message, file=recording.source, line=0, key=key)


def _asked(case: Written, laws: Laws) -> list[Finding]:
    write = case.write
    found: list[Finding] = []
    for rule, holds in laws:
        if message := holds(case):
            place = write.seen or write.line
            found.append(Finding(rule=rule, message=message, file=place.file, line=place.number, key=write.key))
    return found


def _compare(found: list[Finding], asked: Laws | None) -> None:
    """Raises AssertionError where a law would not have been asked that is broken."""
    if asked is not None and any(finding.rule not in {rule for rule, _ in asked} for finding in found):
        raise AssertionError(f"a write that is like one that kept the laws does not: {found[0]}")


_CHECKED: Final = "K8SFSM_FROZEN" in os.environ


def _covered(recording: Recording, requests: list[RecordedWrite]) -> frozenset[tuple[str, str, str]] | None:
    """Kinds of requests that are recorded: all of them where the recorder left none out."""
    if recording.format == "recording" and requests and not recording.about.get("slim"):
        return None
    return frozenset((write.key[0], write.verb, write.subresource) for write in requests if write.ok)


_KNOWN: Final = frozenset(KINDS.values())


@law.invariant
def well_formed(case: Written) -> str:
    """An object is what its apiVersion and kind say."""
    write = case.write
    if (
        write.new is None
        or write.type is None
        or write.trimmed
        or write.key[0] not in _KNOWN
        or write.key[0] == "Event"
    ):
        return ""
    try:
        typed = write.new.typed
    except ObjectError as error:
        return f"it is no {write.key[0]}: {error}"
    if isinstance(typed, Unmodelled) and write.new.json.get("apiVersion") != VERSIONS.get(write.key[0], "v1"):
        return f"apiVersion is {write.new.json.get('apiVersion')}, and there is no {write.key[0]} in it"
    return ""


@law.invariant
def begins_added(case: Written) -> str:
    """The first change of an object is ADDED."""
    unknown = case.old is None and case.write.key not in case.past.buried
    if case.write.key[0] == "Event" and _began_before(case):
        return ""
    if case.write.type in (None, "ADDED") or not unknown:
        return ""
    return f"the first change is {case.write.type}, expected ADDED"


def _began_before(case: Written) -> bool:
    """Whether an Event was first recorded before the history begins."""
    event = case.write.new.json if case.write.new is not None else {}
    text = event.get("firstTimestamp") or event.get("eventTime")
    if not text:
        return (event.get("count") or 0) > 1
    told = parse_time(str(text))
    return told < case.past.start or any(since <= told + SECOND and told <= until for since, until in case.past.holes)


@law.invariant
def added_once(case: Written) -> str:
    """An object that exists is not created."""
    if case.write.type != "ADDED" or case.old is None or case.write.seen is None:  # a log may lack the removal
        return ""
    return "it is ADDED, and exists already"


@law.invariant
def revisions_increase(case: Written) -> str:
    """Each change has a higher revision than every change before."""
    revision = case.write.revision
    if revision is None or revision > case.past.revision:
        return ""
    return f"revision {revision} comes after revision {case.past.revision}"


@law.invariant
def change_shown(case: Written) -> str:
    """A MODIFIED object differs from its state before."""
    pair = case.pair
    if pair is None or _are_unlike(*pair):
        return ""
    unseen = case.write.actor == "user" and not case.write.inferred and "managedFields" not in metadata(pair[1])
    return "" if unseen else "the change changes nothing"


def _are_unlike(old: Json, new: Json) -> bool:
    """Whether two states differ in more than their revision."""
    if old.keys() != new.keys() or any(old[name] != new[name] for name in new if name != "metadata"):
        return True
    before, after = ({**metadata(obj), "resourceVersion": ""} for obj in (old, new))
    return before != after


@law.invariant
def generation_counts(case: Written) -> str:
    """The generation grows by 1 with the spec, and with the start of the deletion."""
    pair = case.pair
    if pair is None:
        return ""
    before, after = (metadata(obj).get("generation") for obj in pair)
    if before is None or after is None:
        return "" if before == after else f"generation {before} becomes {after}"
    expected = before + int(_counts(case.write, *pair)) + int(not is_deleting(pair[0]) and is_deleting(pair[1]))
    return "" if after == expected else f"generation {before} becomes {after}, expected {expected}"


def _counts(write: RecordedWrite, old: Json, new: Json) -> bool:
    if _body(old) != _body(new):
        bound = write.key[0] == "Pod" and not (old.get("spec") or {}).get("nodeName")
        return not (bound and _body(old) == _body({**new, "spec": _unbound(new)}))
    annotated = write.key[0] == "Deployment" and write.subresource != "status"
    return annotated and metadata(old).get("annotations") != metadata(new).get("annotations")


def _unbound(pod: Json) -> Json:
    return {name: value for name, value in (pod.get("spec") or {}).items() if name != "nodeName"}


def _body(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if name not in _NO_SPEC}


_NO_SPEC: Final = ("apiVersion", "kind", "metadata", "status")


@law.invariant
def uid_constant(case: Written) -> str:
    """An object keeps its uid."""
    if case.write.type in (None, "ADDED") or case.old is None or case.write.new is None:
        return ""
    before, after = case.old.uid, case.write.new.uid
    return "" if before == after else f"uid {before or 'none'} becomes {after or 'none'}"


@law.invariant
def creation_constant(case: Written) -> str:
    """An object keeps its creationTimestamp."""
    if case.write.type in (None, "ADDED") or case.old is None or case.write.new is None:
        return ""
    before, after = (metadata(d.json).get("creationTimestamp") for d in (case.old, case.write.new))
    return "" if before == after else f"creationTimestamp {before} becomes {after}"


@law.invariant
def deletion_kept(case: Written) -> str:
    """A started deletion is not taken back."""
    pair = case.pair
    if pair is None or not is_deleting(pair[0]) or is_deleting(pair[1]):
        return ""
    return f"deletionTimestamp {metadata(pair[0])['deletionTimestamp']} is taken away"


@law.invariant
def reborn_anew(case: Written) -> str:
    """After DELETED comes ADDED with another uid."""
    buried = case.past.buried.get(case.write.key)
    if case.write.type is None or buried is None or case.old is not None or case.write.new is None:
        return ""
    if case.write.type != "ADDED":
        return f"{case.write.type} after DELETED"
    return f"ADDED with the uid {buried} of the deleted object" if buried and case.write.new.uid == buried else ""


@law.invariant
def request_has_change(case: Written) -> str:
    """A successful request without a change answers with the state that was there."""
    write = case.write
    if not write.ok or not write.code or write.type is not None or write.verb == "deletecollection":
        return ""
    if write.key[0] not in _KNOWN:
        return ""  # objects of custom kinds are not followed
    if write.answered is not None and case.old is not None and case.old.revision == write.answered:
        return ""
    if write.answered is None and write.new is None and not case.past.audited:
        return ""
    if case.past.watched is not None and not within(case.past.watched, write.completed):
        return ""  # the watch did not show yet, or any more, what was asked for
    if case.past.holes and in_hole(case.past.holes, write.completed):
        return ""
    return f"the {write.verb} succeeded (answer at revision {write.answered}), but no change of it is recorded"


@law.invariant
def change_has_request(case: Written) -> str:
    """A change has its request, where requests of that kind and verb are recorded."""
    write = case.write
    if not case.past.audited or not write.inferred or write.type is None or write.trimmed:
        return ""
    if write.derived and write.actor == "user":  # an audit policy may leave people out
        return ""
    if case.past.asked is not None and not within(case.past.asked, write.shown):
        return ""  # made before the first request that is recorded, or after the last
    if case.past.holes and in_hole(case.past.holes, write.shown):
        return ""
    if case.past.covered is not None and (write.key[0], write.verb, write.subresource) not in case.past.covered:
        return ""
    return "no request is recorded for this change, though those of other changes are"


@law.invariant
def answer_shows_revision(case: Written) -> str:
    """The answer has the revision of the change, or before a removal that of the state before."""
    write = case.write
    if write.answered is None or write.revision is None or write.type is None or write.answered == write.revision:
        return ""
    removed = write.type == "DELETED" and write.verb != "delete" and write.answered < write.revision
    rewritten = write.verb == "delete" and write.type == "MODIFIED" and write.answered > write.revision
    return "" if removed or rewritten else f"answer at revision {write.answered}, change at {write.revision}"


@law.invariant
def precondition_met(case: Written) -> str:
    """The object's revision was the demanded one."""
    write = case.write
    if write.precondition is None or write.type is None or case.old is None or write.key[0] == "Node":
        return ""
    if write.key in case.past.unrevised or case.past.requests.get(write.key) == write.request:
        return ""
    if write.type == "DELETED" and write.verb != "delete":
        return ""  # the removal is judged on a cached object, and done whatever came between
    known = case.old.revision
    return "" if known in (None, write.precondition) else f"demanded revision {write.precondition}, was at {known}"


@law.invariant
def ends_as_told(recording: Recording) -> Iterator[tuple[Key, str]]:
    """The objects at the end are those of the last changes."""
    if recording.final is None or ends_before(recording, recording.final):
        return
    last = recording.last()
    trimmed = {write.key: write.trimmed for write in recording.changes()}
    slim = bool(recording.about.get("slim"))
    for key in sorted({*last, *recording.final}):
        if key[0] == "Event":
            continue
        mine, told = last.get(key), recording.final.get(key)
        if mine is None or told is None:
            yield key, "exists at the end, but its changes do not say so" if mine is None else "is missing at the end"
            continue
        if trimmed.get(key) or (slim and key[0] == "Endpoints"):
            continue
        if wrong := _difference(_lasting(mine.json), _lasting(told.json)):
            yield key, f"differs at the end: {wrong}"


def _lasting(obj: Json) -> Json:
    """The object without what recordings leave out: of Nodes the heartbeats with their revisions, and nodeInfo."""
    if obj.get("kind") != "Node":
        return obj
    meta = {name: value for name, value in metadata(obj).items() if name != "resourceVersion"}
    status = {name: value for name, value in (obj.get("status") or {}).items() if name not in ("nodeInfo", "images")}
    conditions = status.get("conditions") or ()
    status["conditions"] = [{k: v for k, v in c.items() if k != "lastHeartbeatTime"} for c in conditions]
    return {**obj, "metadata": meta, "status": status}


def _difference(mine: Any, told: Any, path: str = "") -> str:
    """The first place where two values differ; "" where they do not."""
    if mine == told:
        return ""
    if isinstance(mine, dict) and isinstance(told, dict):
        names = sorted({*mine, *told})
        name = next(name for name in names if mine.get(name) != told.get(name) or (name in mine) != (name in told))
        return _difference(mine.get(name), told.get(name), f"{path}.{name}" if path else name) or f"{path}.{name}"
    return f"{path} is {str(shown(path, told))[:60]}, was {str(shown(path, mine))[:60]}"
