"""Indexes over the objects of a snapshot: lists by namespace, owner and node, in order of creation.

A write costs one link in a chain; what the chain says is worked into the lists when somebody asks for one. So the many
writes that nobody looks for one by one are taken in together.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.objects import controller_of
from k8sfsm.request import Key
from k8sfsm.value import value

IndexKey: TypeAlias = tuple[str, str, str]
"""(index, kind, value)."""
Entries: TypeAlias = Callable[[Key, Any], tuple[IndexKey, ...]]
"""The lists of a chain in which an object is."""
_BLOCK: Final = 128
_STRETCH: Final = 32
"""Blocks in a stretch."""
_LONGEST: Final = 1024
"""Links that a chain may have before it is worked in anyhow."""
_make: Final = object.__new__
GONE: Final = object()
"""In place of an object that is in a list no longer."""


@value
class Stretch:
    """Neighbouring blocks of a series: objects, their ordinals, and the first ordinal of each block."""

    firsts: tuple[int, ...] = ()
    ordinals: tuple[tuple[int, ...], ...] = ()
    blocks: tuple[tuple[Any, ...], ...] = ()

    def updated(self, changes: Mapping[int, Any]) -> Stretch:
        """The stretch with objects set or removed."""
        ordinals, blocks = list(self.ordinals), list(self.blocks)
        touched: dict[int, dict[int, Any]] = {}
        last = ordinals[-1][-1] if ordinals else -1
        new: dict[int, Any] = {}
        for ordinal in sorted(changes):
            if ordinal > last:
                new[ordinal] = changes[ordinal]
            else:
                at = max(bisect_right(self.firsts, ordinal) - 1, 0)
                touched.setdefault(at, {})[ordinal] = changes[ordinal]
        for at, found in touched.items():
            ordinals[at], blocks[at] = _merged(ordinals[at], blocks[at], found)
        _append(ordinals, blocks, {ordinal: obj for ordinal, obj in new.items() if obj is not GONE})
        if any(not block for block in blocks):
            ordinals, blocks = [each for each in ordinals if each], [each for each in blocks if each]
        return Stretch(tuple([each[0] for each in ordinals]), tuple(ordinals), tuple(blocks))

    def cut(self) -> tuple[Stretch, ...]:
        """The same blocks in stretches of the usual length, none of them empty."""
        if 0 < len(self.blocks) <= _STRETCH:
            return (self,)
        parts = [slice(start, start + _STRETCH) for start in range(0, len(self.blocks), _STRETCH)]
        return tuple([Stretch(self.firsts[part], self.ordinals[part], self.blocks[part]) for part in parts])


_EMPTY: Final = Stretch()


@value
class Series:
    """Objects in order of creation: a persistent sorted map from ordinal to object, in blocks, and these in stretches.

    A block or a stretch that did not change is the same as before, so that who follows a series from one version to
    the next can leave it aside; iterating is a chain over tuples.
    """

    stretches: tuple[Stretch, ...] = ()

    @classmethod
    def of(cls, ordinals: tuple[tuple[int, ...], ...], blocks: tuple[tuple[Any, ...], ...]) -> Series:
        """A series of given blocks."""
        return cls(Stretch(tuple([each[0] for each in ordinals]), ordinals, blocks).cut())

    @property
    def blocks(self) -> tuple[tuple[Any, ...], ...]:
        """The objects, block by block."""
        return tuple([block for stretch in self.stretches for block in stretch.blocks])

    @property
    def ordinals(self) -> tuple[tuple[int, ...], ...]:
        """Their ordinals, block by block."""
        return tuple([block for stretch in self.stretches for block in stretch.ordinals])

    def __iter__(self) -> Iterator[Any]:
        if len(self.stretches) == 1:
            return chain.from_iterable(self.stretches[0].blocks)
        return chain.from_iterable(self.blocks)

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    def __bool__(self) -> bool:
        return bool(self.stretches)

    def updated(self, changes: Mapping[int, Any]) -> Series:
        """The series with objects set (or, where the value is GONE, removed) at their ordinals."""
        stretches = self.stretches
        if len(stretches) < 2:
            return Series((stretches[0] if stretches else _EMPTY).updated(changes).cut())
        firsts = [stretch.firsts[0] for stretch in stretches]
        touched: dict[int, dict[int, Any]] = {}
        for ordinal, obj in changes.items():
            touched.setdefault(max(bisect_right(firsts, ordinal) - 1, 0), {})[ordinal] = obj
        found: list[Stretch] = []
        for at, stretch in enumerate(stretches):
            if at in touched:
                found += stretch.updated(touched[at]).cut()
            else:
                found.append(stretch)
        return Series(tuple(found))


NO_SERIES: Final = Series()
_NO_LISTS: Final[Map[Any, Any]] = Map()


def _merged(
    ordinals: tuple[int, ...], block: tuple[Any, ...], changes: Mapping[int, Any]
) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A block with objects set or removed."""
    if len(changes) == 1:
        [(ordinal, obj)] = changes.items()
        at = bisect_right(ordinals, ordinal) - 1
        if obj is not GONE and at >= 0 and ordinals[at] == ordinal:
            return ordinals, (*block[:at], obj, *block[at + 1 :])
    found = dict(zip(ordinals, block, strict=True))
    known = len(found)
    found.update(changes)
    inserted = len(found) > known
    kept = {ordinal: obj for ordinal, obj in found.items() if obj is not GONE}
    order = tuple(sorted(kept)) if inserted else tuple(kept)
    return order, tuple([kept[ordinal] for ordinal in order])


def _append(ordinals: list[tuple[int, ...]], blocks: list[tuple[Any, ...]], new: Mapping[int, Any]) -> None:
    """Put new objects, in order, behind the last ones."""
    if not new:
        return
    numbers, values = list(new), list(new.values())
    if blocks and len(blocks[-1]) < _BLOCK:
        numbers, values = [*ordinals.pop(), *numbers], [*blocks.pop(), *values]
    for start in range(0, len(numbers), _BLOCK):
        ordinals.append(tuple(numbers[start : start + _BLOCK]))
        blocks.append(tuple(values[start : start + _BLOCK]))


@value
class Lists:
    """All lists at one revision. `namespaces`: those in which there is, or was, an object of a kind, sorted."""

    series: Map[IndexKey, Series] = field(factory=Map)
    namespaces: Map[str, tuple[str, ...]] = field(factory=Map)


class _Chain:
    """Lists of an earlier snapshot, and what was written since."""

    __slots__ = ("_before", "_depth", "_entries", "_lists", "_write")

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._lists: Lists | None = Lists()
        self._before: _Chain | None = None
        self._write: tuple[Key, int, Any, Any] | None = None
        self._depth = 0

    def after(self, key: Key, ordinal: int, old: Any, new: Any) -> _Chain:
        """The chain with one link more."""
        following = _make(_Chain)
        following._entries = self._entries
        following._lists = None
        following._before = self
        following._write = (key, ordinal, old, new)
        following._depth = depth = self._depth + 1 if self._lists is None else 1
        if depth >= _LONGEST:
            following.lists()
        return following

    def lists(self) -> Lists:
        """The lists, with everything worked in."""
        if self._lists is None:
            writes = []
            link = self
            while link._lists is None:
                assert link._write is not None and link._before is not None
                writes.append(link._write)
                link = link._before
            self._lists = _advanced(link._lists, reversed(writes), self._entries)
            self._before = self._write = None
        return self._lists


class Index:
    """The lists of a snapshot, in chains: Events, which are many and seldom asked for; Pods; Pods by their node, which
    kubelets ask for one by one; and all the rest, which the API server asks for at every creation.
    """

    __slots__ = ("_events", "_nodes", "_pods", "_rest")

    def __init__(self) -> None:
        self._events, self._nodes = _Chain(_in_entries), _Chain(_node_entries)
        self._pods, self._rest = _Chain(_entries), _Chain(_entries)

    def after(self, key: Key, ordinal: int, old: Any, new: Any) -> Index:
        """The index after a write; `old` None: the object is new, `new` None: it is gone."""
        following = _make(Index)
        kind = key[0]
        if kind == "Event":
            following._events = self._events.after(key, ordinal, old, new)
            following._nodes, following._pods, following._rest = self._nodes, self._pods, self._rest
            return following
        following._events = self._events
        if kind != "Pod":
            following._rest = self._rest.after(key, ordinal, old, new)
            following._nodes, following._pods = self._nodes, self._pods
            return following
        following._rest = self._rest
        following._pods = self._pods.after(key, ordinal, old, new)
        bound = _changes_node_list(old, new)
        following._nodes = self._nodes.after(key, ordinal, old, new) if bound else self._nodes
        return following

    def _chain(self, kind: str) -> _Chain:
        if kind == "Pod":
            return self._pods
        return self._events if kind == "Event" else self._rest

    def series(self, index: str, kind: str, value: str) -> Series:
        """One list, by the name of the index, a kind and a value."""
        chain = self._nodes if index == "node" else self._chain(kind)
        return chain.lists().series.get((index, kind, value), NO_SERIES)

    def dependents(self, kinds: Iterable[str], uid: str) -> tuple[Any, ...]:
        """The objects of some kinds that name an owner, kind by kind: those that it controls first, then the others."""
        found: list[Any] = []
        chain, lists = None, _NO_LISTS
        for kind in kinds:
            if chain is not (chain := self._chain(kind)):
                lists = chain.lists().series
            for index in ("owned", "co-owned"):
                found += lists.get((index, kind, uid), ())
        return tuple(found)

    def namespaces_of(self, kind: str) -> tuple[str, ...]:
        """The namespaces in which there is, or was, an object of a kind, sorted ("" where it has none)."""
        return self._chain(kind).lists().namespaces.get(kind, ())

    @property
    def namespaces(self) -> Mapping[str, tuple[str, ...]]:
        """The same for all kinds."""
        found = self._rest.lists().namespaces
        for other in (self._pods, self._events):
            found = found.update(other.lists().namespaces)
        return found


def _changes_node_list(old: Any, new: Any) -> bool:
    return bool(old is not None and old.spec.node_name) or bool(new is not None and new.spec.node_name)


def _advanced(lists: Lists, writes: Iterator[tuple[Key, int, Any, Any]], entries_of: Entries) -> Lists:
    changes: dict[IndexKey, dict[int, Any]] = {}
    namespaces = lists.namespaces
    for key, ordinal, old, new in writes:
        if old is not None and (new is None or not _listed_alike(old, new)):
            for entry in entries_of(key, old):
                changes.setdefault(entry, {})[ordinal] = GONE
        if new is not None:
            for entry in entries_of(key, new):
                changes.setdefault(entry, {})[ordinal] = new
        known = namespaces.get(key[0], ())
        if key[1] not in known:
            namespaces = namespaces.set(key[0], tuple(sorted((*known, key[1]))))
    found = lists.series.mutate()
    for entry, each in changes.items():
        series = found.get(entry, NO_SERIES).updated(each)
        if series:
            found[entry] = series
        else:
            found.pop(entry, None)
    return Lists(found.finish(), namespaces)


def _listed_alike(old: Any, new: Any) -> bool:
    """Two versions of an object share what their entries are made of, and so these."""
    if old.metadata.owner_references is not new.metadata.owner_references:
        return False
    return new.kind != "Pod" or old.spec is new.spec


def _in_entries(key: Key, obj: Any) -> tuple[IndexKey, ...]:
    return (("in", key[0], key[1]),)


def _node_entries(key: Key, obj: Any) -> tuple[IndexKey, ...]:
    return (("node", "Pod", obj.spec.node_name),) if obj.spec.node_name else ()


def _entries(key: Key, obj: Any) -> tuple[IndexKey, ...]:
    """The lists in which an object is, its node's aside."""
    kind, namespace, _ = key
    owner = controller_of(obj)
    by_owner = ("owned", kind, owner.uid) if owner is not None else ("orphans", kind, namespace)
    entries: tuple[IndexKey, ...] = (("in", kind, namespace), by_owner)
    references = obj.metadata.owner_references
    if len(references) > (owner is not None):
        others = dict.fromkeys(each.uid for each in references if owner is None or each.uid != owner.uid)
        entries = (*entries, *(("co-owned", kind, uid) for uid in others))
    return entries
