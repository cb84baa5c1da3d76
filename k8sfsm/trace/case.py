"""What the laws of a history judge: a write, and all that was before it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Final, TypeAlias

from attrs import define, field, frozen

from k8sfsm.law import Law, constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.trace.attribution import World
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.lacking import Span
from k8sfsm.trace.ledger import Ledger
from k8sfsm.trace.lines import Json
from k8sfsm.trace.named import all_moments, changed_moments
from k8sfsm.value import value

law = Law("trace")


_SCHEDULED: Final = "PodScheduled"
Identity: TypeAlias = tuple[tuple[str, str], str, str, str, int, int, int]


def identity_of(write: RecordedWrite) -> Identity | None:
    """What tells a request from all others; None where it is not recorded. No two are received in one microsecond."""
    if write.inferred or write.received is None or write.completed is None:
        return None
    return (write.key[:2], write.account, write.verb, write.subresource, write.code, write.received, write.completed)


@frozen(kw_only=True)
class Finding:
    """A place where a history breaks a law."""

    rule: str
    """`trace/NAME`, the row of invariants.yaml."""
    message: str
    file: str
    line: int
    key: Key

    def __str__(self) -> str:
        """One line: place, object, what is wrong, rule."""
        if not self.file:
            return f"{self.message} [{self.rule}]"
        kind, space, name = self.key
        thing = f"{kind} {space}/{name}" if space else f"{kind} {name}"
        return f"{Line(self.file, self.line)}: {thing}: {self.message} [{self.rule}]"


@define
class Past:
    """What a history has shown up to a write."""

    world: World = field(factory=World)
    buried: dict[Key, str] = field(factory=dict)
    """uid of the object that was deleted last under a key."""
    requests: dict[Key, int] = field(factory=dict)
    """Number of the request that made the object's last change."""
    unrevised: dict[Key, str] = field(factory=dict)
    """Objects whose last change has no known revision, because it was worked out, and the verb of the change."""
    revision: int = 0
    covered: frozenset[tuple[str, str, str]] | None = frozenset()
    """(kind, verb, subresource) of the requests that are recorded; None: all are."""
    audited: bool = False
    start: int = 0
    """ns; when the history begins."""
    kinds: frozenset[str] = frozenset()
    """Kinds whose objects the history shows."""
    identities: dict[str, tuple[str, str, str]] = field(factory=dict)
    """uid -> (apiVersion, kind, name) of every object so far."""
    names: dict[tuple[str, str], None] = field(factory=dict)
    """(kind, name) of every object so far."""
    told: dict[Identity, RecordedWrite] = field(factory=dict)
    """What each request was, and the first write of it."""
    received: int = 0
    """ns; the latest moment at which a request that made a change was received."""
    shown: int = 0
    """ns; the latest moment at which a watch showed a change."""
    ledger: Ledger = field(factory=Ledger)
    asked: Span | None = None
    """When requests were answered that are recorded beside a watch."""
    watched: Span | None = None
    """When a watch showed changes."""
    holes: tuple[Span, ...] = ()
    """When writes were made that are not recorded."""
    gapped: bool = False
    """Whether such a time has passed: there may have been objects that were never shown."""
    late: frozenset[str] = frozenset()
    """uids of objects that were gone at the last look back."""

    @property
    def objects(self) -> dict[Key, Document]:
        """The objects as of now."""
        return self.world.objects

    def take(self, write: RecordedWrite) -> None:
        """Remember a change."""
        self.revision = max(self.revision, write.revision or 0)
        if (identity := identity_of(write)) is not None:
            self.told.setdefault(identity, write)
        self._meet(write.new)
        if write.type is not None and write.revision is not None and not write.derived:
            self.received = max(self.received, write.received or 0)
            self.shown = max(self.shown, write.shown or 0)
        if write.new is None or write.type is None:
            return
        self.ledger.take(write)
        self.requests[write.key] = write.request
        self.unrevised.pop(write.key, None)
        if write.revision is None:
            self.unrevised[write.key] = write.verb
        if write.type == "DELETED":
            self.world.remove(write.key)
            self.buried[write.key] = write.new.uid
        else:
            self.world.put(write.new)

    def takes_renewal(self, write: RecordedWrite, before: int | None) -> bool:
        """Take in a renewal of a lease that was logged once, in its order and in time; `before`: the revision that the
        lease had. Where it was not, nothing is remembered: the laws are asked (`Integrity.of`), and say what is wrong.
        """
        revision, received, completed = write.revision, write.received, write.completed
        if revision is None or received is None or completed is None or write.inferred or write.shown is not None:
            return False
        late = completed - received > constant("trace_request_limit") * SECOND
        if late or received > completed or completed < self.received or revision <= self.revision:
            return False
        if write.answered != revision or write.precondition not in (None, before):
            return False
        key = write.key
        told = (key[:2], write.account, write.verb, write.subresource, write.code, received, completed)
        if self.told.setdefault(told, write) is not write:
            return False
        self.revision = revision
        if received > self.received:
            self.received = received
        self.requests[key] = write.request
        self.unrevised.pop(key, None)
        assert write.new is not None
        self.world.renew(key, write.new)
        return True

    def meet(self, document: Document) -> None:
        """An object shows for the first time that is older than the history."""
        self.world.put(document)
        self._meet(document)
        self.ledger.start({document.key: document})

    def forget(self) -> None:
        """Keep only what concerns objects that there are, or were of late: a history may be longer than memory."""
        alive = self.world.uids
        self.identities = {uid: known for uid, known in self.identities.items() if uid in alive or uid in self.late}
        self.names = {known[1:]: None for known in self.identities.values()}
        self.late = frozenset(self.identities) - alive.keys() if len(self.identities) > len(alive) else frozenset()
        self.told.clear()
        for table in (self.requests, self.unrevised):
            for key in [key for key in table if key not in self.world.objects]:
                del table[key]
        for key in [key for key, uid in self.buried.items() if uid not in self.identities]:
            del self.buried[key]
        self.ledger.forget(alive)

    def _meet(self, document: Document | None) -> None:
        if document is not None and document.uid and document.uid not in self.identities:
            kind, _, name = document.key
            self.identities[document.uid] = (str(document.json.get("apiVersion")), kind, name)
            self.names[kind, name] = None

    @classmethod
    def of(
        cls,
        initial: Iterable[Document],
        covered: frozenset[tuple[str, str, str]] | None,
        audited: bool,
        start: int = 0,
    ) -> Past:
        """What is known at the start."""
        past = cls(covered=covered, audited=audited, start=start)
        for document in initial:
            past.world.put(document)
        for document in past.objects.values():
            past._meet(document)
        past.ledger.start(past.objects)
        return past


@value(kw_only=True)
class Written:
    """A write, and what was before it: the case of the laws of type `transition`."""

    write: RecordedWrite
    past: Past
    old: Document | None = field(init=False)
    """The object's state before, as the writes before have shown it."""

    @old.default
    def _known(self) -> Document | None:
        return self.past.objects.get(self.write.key)

    @cached_property
    def identity(self) -> Identity | None:
        """What tells this write's request from all others; None where it is not recorded."""
        return identity_of(self.write)

    @cached_property
    def pair(self) -> tuple[Json, Json] | None:
        """(old, new) where the write changed an object that was known whole; None otherwise."""
        if self.write.type != "MODIFIED" or self.old is None or self.write.new is None or self.write.trimmed:
            return None
        worked_out = self.past.unrevised.get(self.write.key)
        if worked_out == "bind":
            return _bound_when(self.old.json, self.write.new.json), self.write.new.json
        return None if worked_out else (self.old.json, self.write.new.json)

    @cached_property
    def moments(self) -> tuple[tuple[str, str, int], ...]:
        """(path, text, ns) of each moment in what the write changed; of a deletion when it was asked for."""
        if self.write.new is None:
            return ()
        return tuple(changed_moments({} if self.old is None else self.old.json, self.write.new.json))

    def is_fresh(self, text: str) -> bool:
        """Whether the object did not name a moment before."""
        return self.old is None or all(text != known for _, known, _ in all_moments(self.old.json))


def _bound_when(old: Json, new: Json) -> Json:
    """The state after a binding that was worked out, with the moment of the binding, which only later states show."""
    shown = [c for c in (new.get("status") or {}).get("conditions") or () if c.get("type") == _SCHEDULED]
    status = old.get("status") or {}
    conditions = [
        {**c, "lastTransitionTime": shown[0].get("lastTransitionTime")} if shown and c.get("type") == _SCHEDULED else c
        for c in status.get("conditions") or ()
    ]
    return {**old, "status": {**status, "conditions": conditions}}
