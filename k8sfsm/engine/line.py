"""What a step leaves in the trace: who did what, by which rule, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from attrs import asdict, field

from k8sfsm.apiserver import Answer, Sender
from k8sfsm.machine import Move
from k8sfsm.objects import key_of
from k8sfsm.request import (
    Bind,
    Create,
    Delete,
    DeleteCollection,
    Evict,
    Key,
    Patch,
    PatchStatus,
    Update,
    Write,
)
from k8sfsm.store import Change
from k8sfsm.value import value


@value(kw_only=True)
class Line:
    """One step.

    `at`: virtual time (ns). `actor`: who; `account`: the user's name where a user did it. `verb`: the request
    (create, update, patch, delete, bind...) or an environment fact's kind. `rule` and `facts`: what
    ordered it. `cause`: the revision that made the actor look (0: none). `revision`: what the store gave the
    write (0: nothing was written). `moves`: the transitions that the object's machines took. `before` and `after`:
    the object. `body`: the request's body in JSON form, where it is more than the object (patches, delete options).
    `request`: the number of the request; one request may change several objects. `warnings`: what the sender was told.
    """

    number: int
    at: int
    actor: str
    verb: str
    key: Key
    node: str = ""
    account: str = ""
    subresource: str = ""
    rule: str = ""
    facts: Mapping[str, Any] = field(factory=dict)
    cause: int = 0
    revision: int = 0
    code: int = 0
    change: str = ""
    reason: str = ""
    message: str = ""
    moves: tuple[Move, ...] = ()
    before: Any = None
    after: Any = None
    body: Any = None
    request: int = 0
    warnings: tuple[str, ...] = ()
    detail: Mapping[str, Any] = field(factory=dict)


def line_of(write: Write, sender: Sender, answer: Answer, now: int, cause: int) -> Iterator[Line]:
    """The lines of one write: one per change that it made, or one for a write that changed nothing or was refused."""
    verb, subresource = _VERBS[type(write)], _subresource(write)
    why = write.why
    common: dict[str, Any] = {
        "number": 0,
        "at": now,
        "actor": sender.actor,
        "verb": verb,
        "node": sender.node,
        "account": sender.account,
        "subresource": subresource,
        "rule": why.rule if why is not None else "",
        "facts": why.facts if why is not None else {},
        "cause": cause,
        "code": answer.outcome.code,
        "reason": answer.outcome.reason,
        "message": answer.outcome.message,
        "warnings": answer.outcome.warnings,
        "body": _body(write),
    }
    if not answer.changes:
        yield Line(key=_key(write), **common)
        return
    moves = tuple(answer.moves)
    for change in answer.changes:
        if change.revision in answer.asides:
            yield _aside(change, answer.asides[change.revision], now)
            continue
        yield Line(
            key=change.key,
            revision=change.revision,
            change=change.type,
            before=change.old,
            after=change.new,
            moves=moves,
            **common,
        )
        moves = ()
    if len(answer.asides) == len(answer.changes):
        yield Line(key=_key(write), **common)


def _aside(change: Change, rule: str, now: int) -> Line:
    """The line of what the API server itself wrote while it worked on a request: a status, as its audit log has it."""
    return Line(
        number=0,
        at=now,
        actor="apiserver",
        account="system:apiserver",
        verb="update",
        subresource="status",
        key=change.key,
        rule=rule,
        code=200,
        revision=change.revision,
        change=change.type,
        before=change.old,
        after=change.new,
    )


def environment_line(event: Any, now: int) -> Line:
    """The line of something that the environment did."""
    detail = {name: value for name, value in asdict(event).items() if value not in (None, "", ()) and name != "at"}
    return Line(number=0, at=now, actor="environment", verb=event.kind, key=event.pod, node=event.node, detail=detail)


def fault_line(event: str, now: int, **detail: Any) -> Line:
    """The line of a fault: what happened to the cluster's own components."""
    return Line(number=0, at=now, actor="environment", verb=event, key=("", "", ""), detail=detail)


def _key(write: Write) -> Key:
    if isinstance(write, Create | Update):
        return key_of(write.object)
    if isinstance(write, DeleteCollection):
        return (write.kind, write.namespace, "")
    return write.key


def _body(write: Write) -> Any:
    """What a request carries besides an object."""
    if isinstance(write, Patch):
        return write.body
    if isinstance(write, Delete | DeleteCollection):
        options: dict[str, Any] = {"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"}
        if write.propagation is not None:
            options["propagationPolicy"] = write.propagation
        if isinstance(write, Delete) and write.grace_seconds is not None:
            options["gracePeriodSeconds"] = write.grace_seconds
        return options
    return None


def _subresource(write: Write) -> str:
    if isinstance(write, PatchStatus):
        return "status"
    return getattr(write, "subresource", "")


_VERBS: dict[type[Any], str] = {
    Create: "create",
    Update: "update",
    Patch: "patch",
    PatchStatus: "patch",
    Delete: "delete",
    DeleteCollection: "deletecollection",
    Bind: "bind",
    Evict: "evict",
}
