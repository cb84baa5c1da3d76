"""Requests to the API server as values, and plans: what a reconciler orders.

A write with `dry_run` is answered as if it were done, and changes nothing (kubectl's --dry-run=server).

A reconciler is pure. It looks at a view and returns a `Plan`: requests in the order in which they
are to be sent, and how to go on once their outcomes are known. The engine sends them one by one, so
other actors' writes may come in between, exactly as in a real cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from attrs import field

from k8sfsm.value import value

NO_NOTES: Final[Mapping[str, str]] = MappingProxyType({})
Key: TypeAlias = tuple[str, str, str]
"""(kind, namespace, name); namespace is "" for cluster-scoped objects."""

Propagation: TypeAlias = Literal["Background", "Foreground", "Orphan"]
PatchType: TypeAlias = Literal["json", "merge", "strategic", "apply"]


@value(kw_only=True)
class Why:
    """Which rule ordered a request, and the facts that decided it."""

    rule: str
    facts: Mapping[str, Any] = field(factory=dict)


@value(kw_only=True)
class Create:
    """Create `object`; a name is generated from `metadata.generate_name` where the name is empty."""

    object: Any
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class Update:
    """Replace an object, or one of its subresources (``"status"``, ``"scale"``, ``"finalize"``).

    The write is refused with 409 when `object.metadata.resource_version` is set and not the stored one.
    """

    object: Any
    subresource: str = ""
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class Patch:
    """Change part of an object by a patch document in JSON form (`body`).

    A server-side apply (`type` apply) creates what is not there; `manager`: who applies; `force`: takes over the fields
    of others.
    """

    key: Key
    body: Any
    type: PatchType = "merge"
    subresource: str = ""
    uid: str = ""
    dry_run: bool = False
    manager: str = ""
    force: bool = False
    why: Why | None = None


@value(kw_only=True)
class PatchStatus:
    """Replace the whole status, whatever the stored resourceVersion: how a kubelet writes a Pod's status."""

    key: Key
    uid: str
    status: Any
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class Delete:
    """Delete an object. `grace_seconds` None: the object's own; `uid`, `resource_version`: preconditions."""

    key: Key
    uid: str = ""
    resource_version: str = ""
    grace_seconds: int | None = None
    propagation: Propagation | None = None
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class DeleteCollection:
    """Delete all objects of a kind in a namespace."""

    kind: str
    namespace: str
    propagation: Propagation | None = None
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class Bind:
    """POST pods/binding: assign a Pod to a Node."""

    key: Key
    uid: str
    node: str
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class Evict:
    """POST pods/eviction."""

    key: Key
    dry_run: bool = False
    why: Why | None = None


@value(kw_only=True)
class Record:
    """Emit an Event about `regarding`. Sent beside the plan by the actor's recorder; it never blocks or fails it.

    `field_path` names the part of the object that it is about ("spec.containers{app}"). `action`: what the actor did or
    tried to do; Events of the old API have none.
    """

    regarding: Any
    type: Literal["Normal", "Warning"]
    reason: str
    message: str
    field_path: str = ""
    action: str = ""
    why: Why | None = None


@value(kw_only=True)
class CountEvents:
    """Let the actor's recorder look at the Events that it has counted, and write those whose time has come."""

    why: Why | None = None


@value(kw_only=True)
class Call:
    """A verb of the container runtime on a kubelet's own node (run-sandbox, pull-image, start-container, ...)."""

    node: str
    verb: str
    pod: Key
    uid: str
    container: str = ""
    arguments: Mapping[str, Any] = field(factory=dict)
    why: Why | None = None


@value(kw_only=True)
class Remember:
    """Set (or with value None forget) an entry of the actor's own memory; lost when the actor restarts."""

    key: Any
    value: Any
    why: Why | None = None


@value(kw_only=True)
class Look:
    """Put another key into the actor's own queue."""

    key: Key
    why: Why | None = None


@value(kw_only=True)
class Rank:
    """The place of a key in a ranked queue: keys with a lower `order` go first.

    A key with an `until` (ns) is held back until then, in the order of `held`; with `early` it has its turn before that
    when no other key waits.
    """

    order: tuple[int, ...]
    held: tuple[int, ...] = ()
    until: int = 0
    early: bool = True


@value(kw_only=True)
class Noticed:
    """What changes that were seen together mean to an actor: what it is to remember, and the keys to be queued.

    `keys`: each a key, or (key, in how many ns), with the revision of the change that it has to answer for.
    """

    steps: tuple[Remember, ...] = ()
    keys: Sequence[tuple[Any, int]] = ()


Write: TypeAlias = Create | Update | Patch | PatchStatus | Delete | DeleteCollection | Bind | Evict
Step: TypeAlias = Write | Record | CountEvents | Call | Remember | Look


@value(kw_only=True)
class Parallel:
    """Writes sent together. With `slow_start` in batches of 1, 2, 4...: none after a batch with an error."""

    writes: tuple[Write, ...]
    slow_start: bool = False


@value(kw_only=True)
class Outcome:
    """What the API server answered to one write.

    `code` is the HTTP status; `object` what is stored after it: also on 409, so that a retry can start from it. Of a
    deleted collection, `object` is the tuple of what is left. `warnings`: what the sender is told besides (kubectl
    prints it after "Warning: "); `notes`: what admission puts into the audit log.
    """

    request: Write
    code: int
    reason: str = ""
    message: str = ""
    object: Any = None
    warnings: tuple[str, ...] = ()
    notes: Mapping[str, str] = NO_NOTES

    @property
    def ok(self) -> bool:
        """True for 2xx answers."""
        return self.code < 300


@value(kw_only=True)
class Plan:
    """What a reconciler orders.

    `steps` are done in order; the first write that fails ends them. `then`, where given, is called with the
    outcomes of all writes that were sent and returns how to go on; it decides on the view the plan was made of.
    Without `then` a failed write is an error of the whole sync. `error` (a text) makes the queue try the key
    again with its rate limit; `requeue_after` (nanoseconds) puts it back after that time; with `limited` no
    sooner than the queue's rate limit lets it. `periodic` marks that
    as a heartbeat: a cluster where only heartbeats are left to come is at rest. `detached`: the worker takes the
    next key while the writes are still on their way (the scheduler's binding cycles). `unsettled`: whether it comes
    to a good end is not known yet, because somebody outside was asked; the queue's back-off stays as it is.
    `overlapping`: `then` looks at no outcome, and a real component may begin with it before the steps are answered;
    here it comes after them.
    """

    steps: tuple[Step | Parallel, ...] = ()
    then: Callable[[tuple[Outcome, ...]], Plan] | None = None
    error: str = ""
    requeue_after: int | None = None
    limited: bool = False
    periodic: bool = False
    detached: bool = False
    unsettled: bool = False
    overlapping: bool = False


DONE = Plan()


def regardless(steps: Iterable[Step | Parallel], then: Plan) -> Plan:
    """The plan that does `steps` first; whether they fail does not matter to `then`."""

    def go_on(outcomes: tuple[Outcome, ...]) -> Plan:
        return then

    return Plan(steps=tuple(steps), then=go_on)
