"""The store: what etcd is. Key -> object at a revision, with history.

Everything here is persistent (in the sense of data structures): a change makes a new `Store` that shares
all it did not touch with the old one, so keeping an old state, or forking, costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.index import Index, Series
from k8sfsm.journal import EVENT, Journal
from k8sfsm.objects import ObjectMeta, changer_of, evolve
from k8sfsm.request import Key
from k8sfsm.value import value

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]

_CHUNK: Final = 1024
_versioned: Final = changer_of(ObjectMeta, "resource_version")


@value
class Change:
    """One committed write, as a watch shows it. `new` is the last state where `type` is DELETED."""

    revision: int
    type: ChangeType
    key: Key
    old: Any
    new: Any
    at: int = 0


@value
class Snapshot:
    """All objects at one revision: `events` has the Events, and `objects` all others, with their ordinals."""

    revision: int = 0
    objects: Map[Key, tuple[int, Any]] = field(factory=Map)
    index: Index = field(factory=Index, eq=False, repr=False)
    events: Journal = field(factory=Journal, hash=False, repr=False)

    def get(self, key: Key) -> Any | None:
        """The object under `key`, or None."""
        if key[0] == EVENT:
            return self.events.get(key)
        found = self.objects.get(key)
        return None if found is None else found[1]

    def items(self) -> Iterator[tuple[Key, Any]]:
        """All objects, by key."""
        for objects in (self.objects, self.events.objects):
            for key, (_, obj) in objects.items():
                yield key, obj

    def series(self, index: str, kind: str, value: str) -> Series:
        """One list: "in" or "orphans" of a kind and namespace; by the uid of an owner, "owned" where that is the
        controller, else "co-owned".
        """
        return self.events.series(index, value) if kind == EVENT else self.index.series(index, kind, value)

    def on_node(self, node: str) -> tuple[Any, ...]:
        """The pods on a node, in order of creation."""
        objects = self.objects
        return tuple([objects[key][1] for key in self.index.on_node(node)])

    @property
    def namespaces(self) -> Mapping[str, tuple[str, ...]]:
        """Per kind the namespaces in which there is an object of it, sorted ("" where it has none); none for a kind of
        which there only was something.
        """
        found, events = self.index.namespaces, self.events.namespaces
        return found if events is None else {**found, EVENT: events}

    def namespaces_of(self, kind: str) -> tuple[str, ...]:
        """The same for one kind."""
        return (self.events.namespaces or ()) if kind == EVENT else self.index.namespaces_of(kind)

    def put(self, revision: int, key: Key, obj: Any) -> Snapshot:
        """Add or replace an object."""
        if key[0] == EVENT:
            return self.with_events(revision, self.events.after(key, revision, obj))
        found = self.objects.get(key)
        ordinal, old = (revision, None) if found is None else found
        objects, index = self.objects.set(key, (ordinal, obj)), self.index.after(key, ordinal, old, obj)
        return Snapshot(revision, objects, index, self.events)

    def remove(self, revision: int, key: Key) -> Snapshot:
        """Take an object away; it must be there."""
        if key[0] == EVENT:
            return self.with_events(revision, self.events.after(key, revision, None))
        ordinal, old = self.objects[key]
        objects, index = self.objects.delete(key), self.index.after(key, ordinal, old, None)
        return Snapshot(revision, objects, index, self.events)

    def with_events(self, revision: int, events: Journal) -> Snapshot:
        """The same objects with other Events."""
        return Snapshot(revision, self.objects, self.index, events)


@value
class History:
    """Changes by revision, append-only: full chunks, and a tail from the revision after `start` on.

    Stores of one line share a history; each knows how far it reaches by its own revision. Forks share all full chunks,
    and the tail until they part.
    """

    base: int = 0
    chunks: tuple[tuple[Change, ...], ...] = ()
    tail: list[Change] = field(factory=list)
    start: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "start", self.base + _CHUNK * len(self.chunks))

    def append(self, change: Change) -> History:
        """The history with the change of the next revision: the same one, unless it parts or a chunk is full.

        Where another fork has added a change of that revision already, the tail is copied.
        """
        tail, length = self.tail, change.revision - self.start - 1
        if len(tail) != length:
            tail = tail[:length]
        tail.append(change)
        if length + 1 == _CHUNK:
            return History(self.base, (*self.chunks, tuple(tail)))
        return self if tail is self.tail else History(self.base, self.chunks, tail)

    def since(self, revision: int, until: int) -> Iterator[Change]:
        """Changes after `revision` up to `until`, oldest first. Raises LookupError where they are compacted."""
        at = revision - self.base
        if at < 0:
            raise LookupError(f"too old resource version: {revision} ({self.base})")
        first, inner = divmod(at, _CHUNK)
        for chunk in self.chunks[first:]:
            yield from chunk[inner:]
            inner = 0
        yield from self.tail[inner : until - self.start]


@value
class Store:
    """The objects now, and how they came to be. `put` and `remove` are for the API server's write path alone."""

    snapshot: Snapshot = field(factory=Snapshot)
    history: History = field(factory=History)

    @property
    def revision(self) -> int:
        """The revision of the last write; 0 at the start."""
        return self.snapshot.revision

    @property
    def next_version(self) -> str:
        """The resourceVersion that the next write gets; `put` makes no copy of an object that has it already."""
        return str(self.snapshot.revision + 1)

    def get(self, kind: str, namespace: str, name: str) -> Any | None:
        """The object of that name, or None."""
        return self.snapshot.get((kind, namespace, name))

    def put(self, obj: Any, at: int = 0) -> tuple[Store, Change]:
        """Commit an object, which gets the new revision as its resourceVersion."""
        meta, version = obj.metadata, self.next_version
        if meta.resource_version != version:
            obj = evolve(obj, metadata=_versioned(meta, version))
        key = (obj.kind, meta.namespace, meta.name)
        return self.replace(key, obj, at) if self._has(key) else self.add(key, obj, at)

    def _has(self, key: Key) -> bool:
        return key in (self.snapshot.events if key[0] == EVENT else self.snapshot.objects)

    def add(self, key: Key, obj: Any, at: int = 0) -> tuple[Store, Change]:
        """Commit a new object, which has the `next_version` already. Nothing may be stored under its key."""
        snapshot = self.snapshot
        revision = snapshot.revision + 1
        change = Change(revision, "ADDED", key, None, obj, at)
        if key[0] == EVENT:
            return self.noted(change), change
        index = snapshot.index.after(key, revision, None, obj)
        objects = snapshot.objects.set(key, (revision, obj))
        return _with_objects(self, revision, objects, index, self.history.append(change)), change

    def noted(self, change: Change) -> Store:
        """Commit a new Event by a change of the next revision. Nothing may be stored under its key."""
        revision, history = change.revision, self.history
        if len(history.tail) == revision - history.start - 1 < _CHUNK - 1:
            history.tail.append(change)  # the usual case of `History.append`, written out
        else:
            history = history.append(change)
        return _with_events(self, revision, self.snapshot.events.noted(change), history)

    def replace(self, key: Key, obj: Any, at: int = 0) -> tuple[Store, Change]:
        """Commit another state, which has the `next_version` already, of the object that is stored under a key."""
        snapshot = self.snapshot
        revision, objects = snapshot.revision + 1, snapshot.objects
        if key[0] == EVENT:
            change = Change(revision, "MODIFIED", key, snapshot.events.get(key), obj, at)
            return Store(snapshot.put(revision, key, obj), self.history.append(change)), change
        ordinal, old = objects[key]
        change = Change(revision, "MODIFIED", key, old, obj, at)
        index = snapshot.index.after(key, ordinal, old, obj)
        history = self.history
        if len(history.tail) == revision - history.start - 1 < _CHUNK - 1:
            history.tail.append(change)  # the usual case of `History.append`, written out
        else:
            history = history.append(change)
        return _with_objects(self, revision, objects.set(key, (ordinal, obj)), index, history), change

    def remove(self, key: Key, at: int = 0) -> tuple[Store, Change]:
        """Take an object away. The change shows its last state with the revision of the deletion.

        Raises LookupError where nothing is stored under `key`.
        """
        old = self.snapshot.get(key)
        if old is None:
            raise LookupError(f"{'/'.join(key)} is not stored")
        revision = self.revision + 1
        last = evolve(old, metadata=evolve(old.metadata, resource_version=str(revision)))
        change = Change(revision, "DELETED", key, old, last, at)
        return Store(self.snapshot.remove(revision, key), self.history.append(change)), change

    def changes(self, since: int, kind: str = "") -> Iterator[Change]:
        """A watch: changes after revision `since`, of one kind or of all. LookupError where compacted (410 Gone)."""
        found = self.history.since(since, self.snapshot.revision)
        return (change for change in found if change.key[0] == kind) if kind else found

    def at(self, revision: int) -> Snapshot:
        """The snapshot at an earlier revision. Costs the changes since; LookupError where compacted."""
        undo = tuple(self.changes(revision))
        snapshot = self.snapshot
        for change in reversed(undo):
            if change.old is None:
                snapshot = snapshot.remove(change.revision, change.key)
            else:
                snapshot = snapshot.put(change.revision, change.key, change.old)
        return evolve(snapshot, revision=revision)

    def compact(self) -> Store:
        """Forget the history up to now: what etcd does every five minutes."""
        return Store(self.snapshot, History(base=self.revision))

    def forgetting(self, revision: int) -> Store:
        """Forget the history up to `revision`, in whole chunks; the same store where that is less than one. Nor are
        states kept that the lists have not taken in yet.
        """
        history = self.history
        gone = min(max(revision - history.base, 0) // _CHUNK, len(history.chunks))
        if not gone:
            return self
        self.snapshot.index.settle()
        self.snapshot.events.settle()
        left = History(history.base + gone * _CHUNK, history.chunks[gone:], history.tail)
        return Store(self.snapshot, left)

    @classmethod
    def starting_at(cls, revision: int) -> Store:
        """An empty store whose next write gets `revision` + 1."""
        return cls(Snapshot(revision=revision), History(base=revision))


_with_objects: Final = changer_of(Store, "snapshot.revision", "snapshot.objects", "snapshot.index", "history")
_with_events: Final = changer_of(Store, "snapshot.revision", "snapshot.events", "history")
