"""Audit lines as values: who asked the API server for what, and what it answered.

The same lines stand in kube-apiserver's audit log (audit.k8s.io/v1) and, trimmed, in a recording's `audit.jsonl`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast
from urllib.parse import parse_qsl

from attrs import field

from k8sfsm.request import Key
from k8sfsm.trace.actors import actor_of, sharing_actor
from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.fields import object_in, optional, required, text_in, time_at
from k8sfsm.trace.history import RecordedWrite, Verb
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import is_deleting, kind_of, metadata, revision_of
from k8sfsm.trace.skeleton import refuse_misshapen
from k8sfsm.value import value

READS: Final = frozenset({"get", "list", "watch"})
_NOT_OBJECTS: Final = frozenset(
    {"tokenreviews", "subjectaccessreviews", "selfsubjectaccessreviews", "localsubjectaccessreviews", "tokenrequests"}
)
_SUBRESOURCE_VERBS: Final[dict[str, Verb]] = {"binding": "bind", "eviction": "evict"}
_NO_CHANGE: Final = frozenset({"token", "exec", "attach", "portforward", "proxy", "log"})
_CLUSTER_SCOPED: Final = frozenset({"namespaces", "nodes", "priorityclasses", "persistentvolumes", "storageclasses"})


@value(kw_only=True)
class Request:
    """One audited write request, with its answer."""

    line: Line
    verb: Verb
    subresource: str
    key: Key
    uid: str
    account: str
    user_agent: str
    actor: str
    node: str
    query: Mapping[str, str]
    body: Any
    body_trimmed: bool
    code: int
    reason: str
    message: str
    received: int | None
    completed: int
    answer: Json | None = field(repr=False)
    """responseObject, None where it is not recorded."""
    revision: int | None
    """The resourceVersion of the object in the answer (for a collection: of the list)."""
    precondition: int | None
    """The resourceVersion that the request demands of the stored object."""
    inferred: str = ""
    """Why the request is believed to have been made although it is not recorded."""
    before: int | None = None
    """For an inferred request: the revision of the answer that proves it."""
    reference: Mapping[str, Any] = field(factory=dict)
    """The line's objectRef."""
    like: object = field(default=None, eq=False, repr=False)
    """The same for all renewals of a lease whose lines differ in moments and revisions alone; None for the rest."""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.code < 300

    @property
    def unchanging(self) -> bool:
        """Whether the answer alone shows that nothing was written: it has the revision that the request demanded."""
        return self.precondition is not None and self.precondition == self.revision and self.verb != "delete"

    @property
    def empties_finalizers(self) -> bool:
        """Whether the answer is a dying object without finalizers: the API server removed it in this very request.

        Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: ShouldDeleteDuringUpdate.
        """
        if self.verb not in ("update", "patch") or not is_deleting(self.answer):
            return False
        assert self.answer is not None
        spec = self.answer.get("spec")
        pending = bool(spec.get("finalizers")) if self.key[0] == "Namespace" and isinstance(spec, dict) else False
        return not metadata(self.answer).get("finalizers") and not pending

    def write(self, **changes: Any) -> RecordedWrite:
        """The recorded write of this request; `changes` are the fields that the history adds."""
        values: dict[str, Any] = {
            "line": self.line,
            "time": self.completed,
            "received": self.received,
            "completed": self.completed,
            "actor": self.actor,
            "node": self.node,
            "account": self.account,
            "user_agent": self.user_agent,
            "verb": self.verb,
            "subresource": self.subresource,
            "key": self.key,
            "body": self.body,
            "body_trimmed": self.body_trimmed,
            "query": self.query,
            "code": self.code,
            "reason": self.reason,
            "message": self.message,
            "precondition": self.precondition,
            "answered": self.revision if self.verb != "deletecollection" else None,
            "inferred": self.inferred,
            "reference": self.reference,
            "answer": self.answer if self.verb != "deletecollection" else None,
            "like": self.like,
        }
        return RecordedWrite(**(values | changes))


def request_of(place: Line, value: Json) -> Request | None:
    """One audit line as a request; None for reads, other stages than ResponseComplete, dry runs and reviews."""
    verb = required(place, value, "verb", str)
    reference = object_in(place, value, "objectRef")
    resource = text_in(place, reference, "resource")
    subresource = text_in(place, reference, "subresource")
    stage = optional(place, value, "stage", str, "ResponseComplete")
    if verb in READS or stage != "ResponseComplete" or not resource:
        return None
    if resource in _NOT_OBJECTS or subresource in _NO_CHANGE:
        return None
    uri = text_in(place, value, "requestURI")
    query = dict(_query(uri.partition("?")[2])) if "?" in uri else {}
    if query.get("dryRun"):
        return None
    return _request(place, value, verb, reference, query)


@lru_cache(maxsize=1024)
def _query(text: str) -> tuple[tuple[str, str], ...]:
    return tuple(parse_qsl(text.partition("#")[0], keep_blank_values=True))


def _request(place: Line, value: Json, verb: str, reference: Json, query: Mapping[str, str]) -> Request:
    account = required(place, value, "user.username", str)
    status = object_in(place, value, "responseStatus")
    body = value.get("requestObject")
    answer = optional(place, value, "responseObject", dict)
    for name, part in (("requestObject", body), ("responseObject", answer)):
        if isinstance(part, dict) and part.get("kind") != "Status":
            refuse_misshapen(place, part, name)
    completed = time_at(place, value, "stageTimestamp")
    if completed is None:
        what = f"expected an RFC 3339 time, found {describe(None)}"
        raise TraceError(place, what, "give the audit log as kube-apiserver wrote it", "stageTimestamp")
    subresource = text_in(place, reference, "subresource")
    agent = text_in(place, value, "userAgent")
    account_actor, node = actor_of(account, agent)
    key = _key(place, reference, answer, body)
    asked = _SUBRESOURCE_VERBS.get(subresource, cast(Verb, verb)) if verb == "create" else cast(Verb, verb)
    return Request(
        line=place,
        verb=asked,
        subresource="" if subresource in _SUBRESOURCE_VERBS else subresource,
        key=key,
        uid=_uid(place, reference, status, answer, body),
        account=account,
        user_agent=agent,
        actor=sharing_actor(account_actor, asked, key[0], body),
        node=node,
        query=query,
        body=body,
        body_trimmed=_is_trimmed(value, verb, body),
        code=optional(place, status, "code", int, 0),
        reason=text_in(place, status, "reason"),
        message=text_in(place, status, "message"),
        received=time_at(place, value, "requestReceivedTimestamp"),
        completed=completed,
        answer=answer,
        revision=revision_of(answer),
        precondition=precondition_of(verb, body),
        reference=reference,
    )


def precondition_of(verb: str, body: Any) -> int | None:
    """The resourceVersion that a request of a verb with a body demands; None where it demands none."""
    if not isinstance(body, dict):
        return None
    return revision_of({"metadata": body.get("preconditions")} if verb == "delete" else body) or None


def _key(place: Line, reference: Json, answer: Json | None, body: Any) -> Key:
    resource = text_in(place, reference, "resource")
    name = text_in(place, reference, "name")
    space = text_in(place, reference, "namespace")
    if not name and answer and answer.get("kind") not in ("Status",):
        name = str(metadata(answer).get("name") or "")
    if not name and isinstance(body, dict):
        name = str(metadata(body).get("name") or "")
    return (kind_of(resource), "" if resource in _CLUSTER_SCOPED else space, name)


def _uid(place: Line, reference: Json, status: Json, answer: Json | None, body: Any) -> str:
    asked = body if isinstance(body, dict) else {}
    known = (
        text_in(place, reference, "uid"),
        optional(place, status, "details.uid", str, "") if "details" in status else "",
        str(metadata(answer or {}).get("uid") or ""),
        str(metadata(asked).get("uid") or ""),
        str((asked.get("preconditions") or {}).get("uid") or ""),
    )
    return next((uid for uid in known if uid), "")


def _is_trimmed(value: Json, verb: str, body: Any) -> bool:
    """Whether the body is only what a recording keeps of it (its README: preconditions of updates, facts of events)."""
    if value.get("requestTrimmed"):
        return True
    return verb == "update" and isinstance(body, dict) and "kind" not in body
