"""A history of a cluster as one model, whatever format it was read from: writes, the environment, the end.

Objects are kept as the JSON that was recorded, in a `Document`, and typed when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal, TypeAlias

from attrs import field, frozen

from k8sfsm.request import Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import json_key, metadata, revision_of
from k8sfsm.value import value

Format: TypeAlias = Literal["recording", "audit", "watch", "k8sfsm"]
Verb: TypeAlias = Literal["create", "update", "patch", "delete", "deletecollection", "bind", "evict"]
WatchType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]


@value(eq=False)
class Document:
    """An object as it was recorded. `json` must not be changed: consecutive states share parts of it."""

    json: Json
    _before: Document | None = None
    """The state before, until this one is typed: what both share is typed once."""

    @cached_property
    def typed(self) -> Any:
        """The typed object (`k8sfsm.objects.from_json`). Errors: what from_json raises."""
        from k8sfsm.objects import changed_from_json, from_json

        before, known = self._before, None
        object.__setattr__(self, "_before", None)
        if before is not None and before.has_typed:
            known = changed_from_json(before.typed, before.json, self.json)
        if known is None:
            known = from_json(self.json, self.key[0])
        object.__setattr__(self, "has_typed", True)
        return known

    has_typed: bool = field(default=False, init=False)
    """Whether somebody has asked for the typed object."""

    @cached_property
    def key(self) -> Key:
        """(kind, namespace, name)."""
        return json_key(self.json)

    @cached_property
    def uid(self) -> str:
        """metadata.uid, or ""."""
        return str(metadata(self.json).get("uid") or "")

    @cached_property
    def revision(self) -> int | None:
        """metadata.resourceVersion as a number."""
        return revision_of(self.json)

    def __eq__(self, other: object) -> bool:
        """Equal where the JSON is."""
        return isinstance(other, Document) and (self is other or self.json == other.json)

    def __hash__(self) -> int:
        """By key: equal documents have equal keys."""
        return hash(self.key)


@value(kw_only=True)
class RecordedWrite:
    """One request to the API server, or one change of an object that a request made.

    A request that changes several objects, or one object several times (a grace-0 delete rewrites
    deletionTimestamp before the pod goes), is as many writes, with one `request` number. A request that was
    refused or changed nothing is one write whose `type` is None.
    """

    line: Line
    """Where the request is recorded; for a change without a recorded request, where the change is."""
    seen: Line | None = None
    """Where a watch showed the change."""
    request: int
    """Number of the request within the recording, from 1, in order of its first change."""
    time: int
    """ns. The tightest upper bound of the moment of commit that the recording gives: no later than the answer, the
    watch line, and any write of a higher revision. Never decreases along `Recording.writes`, except for requests
    without a change (their answer's time)."""
    received: int | None = None
    """ns. When the API server received the request, where that is recorded."""
    completed: int | None = None
    """ns. When the API server had answered, where that is recorded."""
    revision: int | None = None
    """resourceVersion that this change got. None: unknown (derived), or nothing changed."""
    actor: str
    node: str = ""
    """The node whose kubelet (or kube-proxy) the actor is."""
    account: str = ""
    """The user name, as recorded; "" where no request is recorded."""
    user_agent: str = ""
    verb: Verb
    subresource: str = ""
    """"status", "scale", "finalize"...; "" for the object itself, bindings and evictions."""
    key: Key
    """The object; its name is "" for a refused create with generateName and for a deletecollection."""
    body: Any = None
    """The request body in JSON form, None where it is not recorded."""
    body_trimmed: bool = False
    """Whether only part of the body was recorded."""
    query: Mapping[str, str] = field(factory=dict)
    """Parameters of the request URI (fieldManager, dryRun...), where recorded."""
    code: int
    """HTTP status; 0 where it is not known."""
    precondition: int | None = None
    """The resourceVersion that the request demanded of the stored object."""
    answered: int | None = None
    """The resourceVersion of the object in the answer."""
    reason: str = ""
    message: str = ""
    warnings: tuple[str, ...] = ()
    """What the sender was told besides; known in traces of our own engine only."""
    reference: Mapping[str, Any] = field(factory=dict, eq=False)
    """The audit line's objectRef."""
    answer: Any = field(default=None, eq=False)
    """The answer in JSON form, where it is recorded beside the change."""
    like: object = field(default=None, eq=False, repr=False)
    """The same for all renewals of a lease whose lines differ in moments and revisions alone; None for the rest."""
    shown: int | None = field(default=None, eq=False)
    """ns. When a watch showed the change, where that is recorded."""
    old: Document | None = None
    """State before the request; None where the object did not exist, or its state is not known."""
    new: Document | None = None
    """State after the change; for DELETED the last state, at the revision of the deletion. None where refused."""
    type: WatchType | None = None
    inferred: str = ""
    """Why this write is believed to have happened although no request for it is recorded (with the evidence's
    place); "" for recorded requests. Actor, verb and account of an inferred write are inferred as well."""
    derived: bool = False
    """Whether `new` was worked out from the request, instead of being read."""
    trimmed: bool = False
    """Whether only part of `new` was recorded."""
    rule: str = ""
    """The rule that ordered the request; known in traces of our own engine only, like the next three."""
    facts: Mapping[str, Any] = field(factory=dict)
    states: Mapping[str, tuple[str, str]] = field(factory=dict)
    """Region -> (state before, state after)."""
    cause: int | None = None
    """Revision of the change that made the actor act."""

    @property
    def ok(self) -> bool:
        """Whether the request succeeded."""
        return self.code < 300

    @property
    def uid(self) -> str:
        """The uid of the object, where known."""
        document = self.new or self.old
        return document.uid if document else ""


@frozen(kw_only=True)
class Move:
    """A step of our own engine that sent no request: a decision to do nothing, a call to the runtime, a fault."""

    line: Line
    time: int
    actor: str
    action: str
    node: str = ""
    key: Key | None = None
    rule: str = ""
    facts: Mapping[str, Any] = field(factory=dict)
    cause: int | None = None
    after: int = 0
    """How many writes had been made before."""


@value(kw_only=True)
class EnvironmentFact:
    """Something that happened outside the API: in a container runtime, to a node, to a component.

    `event`: sandbox-run, sandbox-stop, pull-start, pull-done, pull-failed, container-start, container-start-error,
    container-exit, stop-signal, probe, probe-set, exec, kubelet-killed, kubelet-started, node-down, node-up,
    component-stop, component-start, actor-crash, informer-lag, informer-resync, etcd-compact, request-disturbed,
    partition, partition-healed, clock-skew, registry-unreachable, probe-flapping, pod-cidr, hollow-add.
    """

    line: Line
    time: int
    """ns. From a status: the time of the write that reports it. From an Event: the Event's own (see `source`)."""
    event: str
    source: Literal["runtime", "status", "event"] = "runtime"
    """Who says so: the runtime itself, a status that the kubelet wrote, or an Event named by its nanosecond."""
    node: str = ""
    pod: Key | None = None
    uid: str = ""
    """uid of the pod."""
    container: str = ""
    attempt: int | None = None
    image: str = ""
    """The image as the pod spec names it."""
    image_reported: str = ""
    """The image as the status names it (status.containerStatuses[].image)."""
    image_id: str = ""
    container_id: str = ""
    """Whole id with its runtime (`containerd://...`) where a status shows it, otherwise as recorded."""
    ip: str = ""
    code: int | None = None
    reason: str = ""
    probe: str = ""
    """"ready", "live" or "started"."""
    ok: bool | None = None
    more: Mapping[str, Any] = field(factory=dict)
    """What else was recorded, under its own names."""


@frozen(kw_only=True)
class Recording:
    """A history: the state at its start, all writes in order, the environment, and the state at its end."""

    source: str
    """What was read: a path, or several joined by spaces."""
    format: Format
    initial: tuple[Document, ...] = ()
    """Objects that existed at the start, in order of revision."""
    writes: tuple[RecordedWrite, ...] = ()
    environment: tuple[EnvironmentFact, ...] = ()
    """In order of time."""
    moves: tuple[Move, ...] = ()
    """Steps without a request; in traces of our own engine only."""
    final: Mapping[Key, Document] | None = None
    """Objects at the end, Events left out; None where the recording does not say."""
    start: int | None = None
    """ns; the first moment recorded."""
    end: int | None = None
    about: Mapping[str, Any] = field(factory=dict)
    """What the recording says about itself: scenario.yaml, or the header of a k8sfsm trace."""
    namespaces: tuple[str, ...] = ()
    """Namespaces that the recording is about; empty: all of them."""
    appeared: frozenset[Key] = frozenset()
    """Objects of `initial` that are there as they first show, because what was before that is not recorded."""
    torn: frozenset[Line] = frozenset()
    """Where changes are seen whose lines refer to lines that are not there: only part of `new` is known."""
    holes: tuple[tuple[int, int], ...] = ()
    """From when to when (ns) writes were made that are not recorded, in order of time."""
    problems: tuple[str, ...] = ()
    """What could not be understood or joined, one line each, beginning with the place."""
    notes: tuple[str, ...] = ()
    """What a reader should know: inferred and derived parts, things left out."""

    def changes(self) -> Iterator[RecordedWrite]:
        """The writes that changed an object, in order of revision."""
        return (write for write in self.writes if write.type is not None)

    def unlike(self) -> tuple[RecordedWrite, ...]:
        """The writes but for renewals that were cast from others; the last of those that are alike stands for them."""
        alike = {write.like: write for write in self.writes if write.like is not None}
        return (*(write for write in self.writes if write.like is None), *alike.values())

    def last(self) -> dict[Key, Document]:
        """Objects that exist after all writes, by key in order of creation."""
        objects = {document.key: document for document in self.initial}
        for write in self.changes():
            if write.type == "DELETED":
                objects.pop(write.key, None)
            elif write.new is not None:
                objects[write.key] = write.new
        return objects


def began(writes: Sequence[RecordedWrite]) -> int | None:
    """The first moment (ns) that writes tell of: when the first of their requests was received."""
    return min((write.received or write.time for write in writes), default=None)
