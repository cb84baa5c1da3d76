"""The store: what etcd is. Key -> object at a revision, with history.

Everything here is persistent (in the sense of data structures): a change makes a new `Store` that shares
all it did not touch with the old one, so keeping an old state, or forking, costs nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final, Literal, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.objects import controller_of, evolve, key_of
from k8sfsm.request import Key
from k8sfsm.value import value

ChangeType: TypeAlias = Literal["ADDED", "MODIFIED", "DELETED"]
IndexKey: TypeAlias = tuple[str, str, str]

_BLOCK: Final = 128
_CHUNK: Final = 1024


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
class Series:
    """Objects in order of creation: a persistent sorted map from ordinal to object, in blocks.

    Appending and replacing copy one block and the list of blocks; iterating is a chain over tuples.
    """

    firsts: tuple[int, ...] = ()
    ordinals: tuple[tuple[int, ...], ...] = ()
    blocks: tuple[tuple[Any, ...], ...] = ()

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.blocks)

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def __bool__(self) -> bool:
        return bool(self.blocks)

    def put(self, ordinal: int, value: Any) -> Series:
        """Set the object at `ordinal`."""
        if not self.blocks or ordinal > self.ordinals[-1][-1]:
            return self._append(ordinal, value)
        at = bisect_left(self.firsts, ordinal + 1) - 1
        if at < 0:
            at = 0
        numbers, values = self.ordinals[at], self.blocks[at]
        inner = bisect_left(numbers, ordinal)
        if inner < len(numbers) and numbers[inner] == ordinal:
            block = (*values[:inner], value, *values[inner + 1 :])
            return Series(self.firsts, self.ordinals, (*self.blocks[:at], block, *self.blocks[at + 1 :]))
        numbers = (*numbers[:inner], ordinal, *numbers[inner:])
        block = (*values[:inner], value, *values[inner:])
        return self._with(at, numbers, block)

    def drop(self, ordinal: int) -> Series:
        """Remove the object at `ordinal`; it must be there."""
        at = bisect_left(self.firsts, ordinal + 1) - 1
        numbers, values = self.ordinals[at], self.blocks[at]
        inner = bisect_left(numbers, ordinal)
        if len(numbers) == 1:
            return Series(
                self.firsts[:at] + self.firsts[at + 1 :],
                self.ordinals[:at] + self.ordinals[at + 1 :],
                self.blocks[:at] + self.blocks[at + 1 :],
            )
        return self._with(at, numbers[:inner] + numbers[inner + 1 :], values[:inner] + values[inner + 1 :])

    def _append(self, ordinal: int, value: Any) -> Series:
        if not self.blocks or len(self.blocks[-1]) >= _BLOCK:
            return Series((*self.firsts, ordinal), (*self.ordinals, (ordinal,)), (*self.blocks, (value,)))
        numbers, values = (*self.ordinals[-1], ordinal), (*self.blocks[-1], value)
        return Series(self.firsts, (*self.ordinals[:-1], numbers), (*self.blocks[:-1], values))

    def _with(self, at: int, numbers: tuple[int, ...], values: tuple[Any, ...]) -> Series:
        return Series(
            (*self.firsts[:at], numbers[0], *self.firsts[at + 1 :]),
            (*self.ordinals[:at], numbers, *self.ordinals[at + 1 :]),
            (*self.blocks[:at], values, *self.blocks[at + 1 :]),
        )


NO_SERIES: Final = Series()


def _indexes_of(key: Key, obj: Any) -> tuple[IndexKey, ...]:
    """The index entries in which an object is listed."""
    kind, namespace, _ = key
    if kind == "Event":
        return (("in", kind, namespace),)
    owner = controller_of(obj)
    by_owner = ("owned", kind, owner.uid) if owner is not None else ("orphans", kind, namespace)
    entries: tuple[IndexKey, ...] = (("in", kind, namespace), by_owner)
    if kind == "Pod" and obj.spec.node_name:
        entries = (*entries, ("node", kind, obj.spec.node_name))
    references = obj.metadata.owner_references
    if len(references) > (owner is not None):
        others = dict.fromkeys(each.uid for each in references if owner is None or each.uid != owner.uid)
        entries = (*entries, *(("co-owned", kind, uid) for uid in others))
    return entries


def _listed_alike(old: Any, new: Any) -> bool:
    """Two versions of an object share what their index entries are made of, and so these."""
    if old.metadata.owner_references is not new.metadata.owner_references:
        return False
    return new.kind != "Pod" or old.spec is new.spec


@value
class Snapshot:
    """All objects at one revision."""

    revision: int = 0
    objects: Map[Key, tuple[int, Any]] = field(factory=Map)
    indexes: Map[IndexKey, Series] = field(factory=Map)
    namespaces: Map[str, tuple[str, ...]] = field(factory=Map)

    def get(self, key: Key) -> Any | None:
        """The object under `key`, or None."""
        found = self.objects.get(key)
        return None if found is None else found[1]

    def series(self, index: str, kind: str, value: str) -> Series:
        """One index entry: "in" or "orphans" of a kind and namespace, "node" of Pod and a node; by the uid of an owner,
        "owned" where that is the controller, else "co-owned".
        """
        return self.indexes.get((index, kind, value), NO_SERIES)

    def put(self, revision: int, key: Key, obj: Any) -> Snapshot:
        """Add or replace an object."""
        found = self.objects.get(key)
        ordinal = revision if found is None else found[0]
        new_entries = _indexes_of(key, obj)
        indexes = self.indexes
        if found is not None and not _listed_alike(found[1], obj):
            for entry in _indexes_of(key, found[1]):
                if entry not in new_entries:
                    indexes = indexes.set(entry, indexes[entry].drop(ordinal))
        for entry in new_entries:
            indexes = indexes.set(entry, indexes.get(entry, NO_SERIES).put(ordinal, obj))
        return Snapshot(revision, self.objects.set(key, (ordinal, obj)), indexes, self._namespaces_with(key))

    def remove(self, revision: int, key: Key) -> Snapshot:
        """Take an object away; it must be there."""
        ordinal, obj = self.objects[key]
        indexes = self.indexes
        for entry in _indexes_of(key, obj):
            left = indexes[entry].drop(ordinal)
            indexes = indexes.set(entry, left) if left else indexes.delete(entry)
        return Snapshot(revision, self.objects.delete(key), indexes, self.namespaces)

    def _namespaces_with(self, key: Key) -> Map[str, tuple[str, ...]]:
        kind, namespace, _ = key
        known = self.namespaces.get(kind, ())
        if namespace in known:
            return self.namespaces
        return self.namespaces.set(kind, tuple(sorted((*known, namespace))))


@value
class History:
    """Changes by revision, append-only. Forks share all full chunks, and the last one until they part."""

    base: int = 0
    chunks: tuple[tuple[Change, ...], ...] = ()
    tail: list[Change] = field(factory=list)
    tail_length: int = 0

    def append(self, change: Change) -> History:
        """Add the change of the next revision."""
        tail = self.tail if len(self.tail) == self.tail_length else self.tail[: self.tail_length]
        tail.append(change)
        if len(tail) < _CHUNK:
            return History(self.base, self.chunks, tail, len(tail))
        return History(self.base, (*self.chunks, tuple(tail)), [], 0)

    def since(self, revision: int) -> Iterator[Change]:
        """Changes after `revision`, oldest first. Raises LookupError where they are compacted."""
        at = revision - self.base
        if at < 0:
            raise LookupError(f"too old resource version: {revision} ({self.base})")
        first, inner = divmod(at, _CHUNK)
        for chunk in self.chunks[first:]:
            yield from chunk[inner:]
            inner = 0
        yield from self.tail[inner : self.tail_length]


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
        revision = self.revision + 1
        key = key_of(obj)
        old = self.snapshot.get(key)
        version, stored = str(revision), obj
        if obj.metadata.resource_version != version:
            stored = evolve(obj, metadata=evolve(obj.metadata, resource_version=version))
        change = Change(revision, "ADDED" if old is None else "MODIFIED", key, old, stored, at)
        return Store(self.snapshot.put(revision, key, stored), self.history.append(change)), change

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
        found = self.history.since(since)
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

    @classmethod
    def starting_at(cls, revision: int) -> Store:
        """An empty store whose next write gets `revision` + 1."""
        return cls(Snapshot(revision=revision), History(base=revision))
