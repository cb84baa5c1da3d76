"""Requests that nobody logged, and that a logged one proves.

An audit policy may leave out users. Their deletions still show: in a deletionTimestamp that no request set, in a
namespace controller that empties a namespace, in a garbage collector that deletes what an owner left behind. Each
proof is turned into a request that takes part in the history like a logged one; the next round may find more.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.trace.attribution import World
from k8sfsm.trace.history import Document, Verb
from k8sfsm.trace.lines import Json
from k8sfsm.trace.requests import Request
from k8sfsm.trace.resources import is_deleting, metadata, revision_of
from k8sfsm.trace.timestamps import format_time, parse_time


def infer(request: Request, world: World) -> Iterator[Request]:
    """The unlogged requests that a successful logged one proves, given the world before it."""
    yield from _marking(request, world)
    yield from _edit(request, world)
    yield from _namespace(request, world)
    yield from _owner(request, world)


def _guess(key: Key, uid: str, verb: Verb, time: int, answer: Json | None, evidence: Request, because: str) -> Request:
    same = evidence.key == key and evidence.verb != "delete"
    return Request(
        line=evidence.line,
        verb=verb,
        subresource="",
        key=key,
        uid=uid,
        account="",
        user_agent="",
        actor="",
        node="",
        query={},
        body=None,
        body_trimmed=False,
        code=200,
        reason="",
        message="",
        received=None,
        completed=time,
        answer=answer,
        revision=revision_of(answer),
        precondition=None,
        inferred=f"{evidence.line}: {because}",
        before=evidence.revision if same else None,
    )


def _marking(request: Request, world: World) -> Iterator[Request]:
    """An answer shows a deletion that no request began."""
    known = world.objects.get(request.key)
    answer = request.answer
    if known is None or answer is None or request.verb == "delete" or answer.get("kind") != request.key[0]:
        return
    if not is_deleting(answer) or is_deleting(known.json) or known.uid != metadata(answer).get("uid"):
        return
    if (revision_of(answer) or 0) < (known.revision or 0):
        return
    because = f"shows deletionTimestamp {metadata(answer)['deletionTimestamp']}, which no logged request set"
    meta = {name: metadata(answer)[name] for name in _DELETION if name in metadata(answer)}
    yield _guess(request.key, known.uid, "delete", _began(answer, request), {"metadata": meta}, request, because)


def _edit(request: Request, world: World) -> Iterator[Request]:
    """A status write, which cannot change the spec, shows another spec than that of the last logged request."""
    known = world.objects.get(request.key)
    answer = request.answer
    if request.subresource != "status" or known is None or answer is None or answer.get("kind") != request.key[0]:
        return
    if (revision_of(answer) or 0) <= (known.revision or 0) or known.uid != metadata(answer).get("uid"):
        return
    if known.json.get("spec") == answer.get("spec"):
        return
    because = "shows a spec that no logged request wrote"
    generation = metadata(answer).get("generation", metadata(known.json).get("generation"))
    meta = {**metadata(known.json), **({"generation": generation} if generation is not None else {})}
    state = {**known.json, "metadata": meta, "spec": answer.get("spec")}
    yield _guess(request.key, known.uid, "patch", _started(request), state, request, because)


_DELETION = ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "generation")


def _began(answer: Json, request: Request) -> int:
    """Upper bound (ns) of the moment at which a deletion began: the end of the second that the object names."""
    meta = metadata(answer)
    until = parse_time(str(meta["deletionTimestamp"])) - int(meta.get("deletionGracePeriodSeconds") or 0) * SECOND
    return min(until + SECOND - 1, _started(request))


def _started(request: Request) -> int:
    return request.completed if request.received is None else request.received


def _namespace(request: Request, world: World) -> Iterator[Request]:
    """The namespace controller empties a namespace whose deletion was not logged; it waits 5 s before it does.

    Source: pkg/controller/namespace/namespace_controller.go: namespaceDeletionGracePeriod.
    """
    if request.actor != "namespace-controller" or request.verb != "deletecollection":
        return
    key: Key = ("Namespace", "", request.key[1])
    known = world.objects.get(key)
    if known is None or is_deleting(known.json):
        return
    time = _started(request) - int(constant("namespace_deletion_grace")) * SECOND
    because = f"the namespace controller deletes the content of {request.key[1]}, whose deletion was not logged"
    answer = {"metadata": {"deletionTimestamp": format_time(time, 0)}}
    yield _guess(key, known.uid, "delete", time, answer, request, because)


def _owner(request: Request, world: World) -> Iterator[Request]:
    """The garbage collector deletes an object whose owner exists, as far as the log tells."""
    known = world.objects.get(request.key)
    if request.actor != "garbage-collector" or request.verb != "delete" or known is None:
        return
    owners = [
        _existing(reference, request.key, world) for reference in metadata(known.json).get("ownerReferences") or ()
    ]
    if not owners or any(owner is None or is_deleting(owner.json) for owner in owners):
        return
    for owner in owners:
        assert owner is not None
        because = f"the garbage collector deletes {_name(request.key)}, whose owner {_name(owner.key)} must be gone"
        yield _guess(owner.key, owner.uid, "delete", _started(request), None, request, because)


def _existing(reference: Any, dependent: Key, world: World) -> Document | None:
    for space in (dependent[1], ""):
        found = world.objects.get((str(reference.get("kind", "")), space, str(reference.get("name", ""))))
        if found is not None and found.uid == reference.get("uid"):
            return found
    return None


def _name(key: Key) -> str:
    kind, space, name = key
    return f"{kind} {space}/{name}" if space else f"{kind} {name}"
