"""Indexes over the objects of a snapshot: lists by namespace, owner and node, in order of creation.

A write costs one link in a chain; what the chain says is worked into the lists when somebody asks for one. So the many
writes that nobody looks for one by one are taken in together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Hashable, Iterator, Mapping
from itertools import chain
from typing import Any, Final, TypeAlias

from attrs import field
from immutables import Map

from k8sfsm.objects import controller_of
from k8sfsm.request import Key
from k8sfsm.value import value

IndexKey: TypeAlias = tuple[str, str, str]
"""(index, kind, value)."""
_BLOCK: Final = 128
_STRETCH: Final = 32
"""Blocks in a stretch."""
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
        firsts, ordinals, blocks = self.firsts, self.ordinals, list(self.blocks)
        last = ordinals[-1][-1] if ordinals else -1
        replaced: dict[int, list[Any]] = {}
        others: dict[int, dict[int, Any]] = {}
        new: dict[int, Any] = {}
        for ordinal, obj in changes.items():
            if ordinal > last:
                new[ordinal] = obj
                continue
            at = max(bisect_right(firsts, ordinal) - 1, 0)
            there = ordinals[at]
            place = bisect_left(there, ordinal)
            if obj is GONE or place == len(there) or there[place] != ordinal:
                others.setdefault(at, {})[ordinal] = obj
                continue
            block = replaced.get(at)
            if block is None:
                block = replaced[at] = list(blocks[at])
            block[place] = obj
        for at, block in replaced.items():
            blocks[at] = tuple(block)
        if not others and not new:
            return Stretch(firsts, ordinals, tuple(blocks))
        return _stretched(list(ordinals), blocks, others, new)

    def cut(self) -> tuple[Stretch, ...]:
        """The same blocks in stretches of the usual length, none of them empty."""
        if 0 < len(self.blocks) <= _STRETCH:
            return (self,)
        parts = [slice(start, start + _STRETCH) for start in range(0, len(self.blocks), _STRETCH)]
        return tuple([Stretch(self.firsts[part], self.ordinals[part], self.blocks[part]) for part in parts])


_EMPTY: Final = Stretch()


def _stretched(
    ordinals: list[tuple[int, ...]],
    blocks: list[tuple[Any, ...]],
    inner: Mapping[int, Mapping[int, Any]],
    new: Mapping[int, Any],
) -> Stretch:
    """A stretch of these blocks in which objects come and go: `inner` by block, `new` behind the last one."""
    for at, found in inner.items():
        ordinals[at], blocks[at] = _merged(ordinals[at], blocks[at], found)
    _append(ordinals, blocks, {ordinal: new[ordinal] for ordinal in sorted(new) if new[ordinal] is not GONE})
    if not all(blocks):
        ordinals, blocks = [each for each in ordinals if each], [each for each in blocks if each]
    return Stretch(tuple([each[0] for each in ordinals]), tuple(ordinals), tuple(blocks))


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


def _merged(
    ordinals: tuple[int, ...], block: tuple[Any, ...], changes: Mapping[int, Any]
) -> tuple[tuple[int, ...], tuple[Any, ...]]:
    """A block with objects set or removed."""
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


@value(eq=False)
class Filing:
    """In which lists of a chain an object is (`entries`); in the same ones as another of the same `sort`.

    `longest`: the links that the chain may have before it is worked in, whether anybody asks or not.
    """

    sort: Callable[[Key, Any], Hashable]
    entries: Callable[[Key, Any], tuple[IndexKey, ...]]
    longest: int = 1024


class _Chain:
    """Lists of an earlier snapshot, and what was written since."""

    __slots__ = ("_before", "_depth", "_filing", "_lists", "_write")

    def __init__(self, filing: Filing) -> None:
        self._filing = filing
        self._lists: Lists | None = Lists()
        self._before: _Chain | None = None
        self._write: tuple[Key, int, Any, Any] | None = None
        self._depth = 0

    def after(self, key: Key, ordinal: int, old: Any, new: Any) -> _Chain:
        """The chain with one link more."""
        following = _make(_Chain)
        following._filing = self._filing
        following._lists = None
        following._before = self
        following._write = (key, ordinal, old, new)
        following._depth = depth = self._depth + 1 if self._lists is None else 1
        if depth >= self._filing.longest:
            following.lists()
        return following

    def lists(self) -> Lists:
        """The lists, with everything worked in."""
        if self._lists is None:
            olds: dict[int, Any] = {}
            news: dict[int, tuple[Key, Any]] = {}
            link = self
            while link._lists is None:
                assert link._write is not None and link._before is not None
                key, ordinal, old, new = link._write
                olds[ordinal] = old
                if ordinal not in news:
                    news[ordinal] = key, new
                link = link._before
            self._lists = _advanced(link._lists, olds, news, self._filing)
            self._before = self._write = None
        return self._lists


class Index:
    """The lists of a snapshot, in chains: Events, which are many and seldom asked for; Pods; Pods by their node, which
    kubelets ask for one by one; and all the rest, which the API server asks for at every creation.
    """

    __slots__ = ("_events", "_nodes", "_pods", "_rest")

    def __init__(self) -> None:
        self._events, self._nodes = _Chain(_BY_NAMESPACE), _Chain(_BY_NODE)
        self._pods, self._rest = _Chain(_BY_OWNER), _Chain(_BY_OWNER)

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


def _advanced(lists: Lists, olds: Mapping[int, Any], news: Mapping[int, tuple[Key, Any]], filing: Filing) -> Lists:
    """Lists with objects changed: by ordinal what was there, and what is there now with its key (None: nothing)."""
    parts: dict[Hashable, dict[int, Any]] = {}
    by_entries: dict[tuple[IndexKey, ...], dict[int, Any]] = {}
    namespaces = lists.namespaces
    sort_of = filing.sort
    for ordinal, (key, new) in news.items():
        old = olds[ordinal]
        left = old is not None and (new is None or not _listed_alike(old, new))
        for obj, now in ((old, GONE), (new, new)) if left else ((new, new),):
            if obj is None:
                continue
            sort = sort_of(key, obj)
            part = parts.get(sort)
            if part is None:
                part = parts[sort] = by_entries.setdefault(filing.entries(key, obj), {})
                namespaces = _with_namespace(namespaces, key)
            part[ordinal] = now
    return Lists(_with(lists.series, by_entries), namespaces)


def _with_namespace(namespaces: Map[str, tuple[str, ...]], key: Key) -> Map[str, tuple[str, ...]]:
    kind, namespace, _ = key
    known = namespaces.get(kind, ())
    return namespaces if namespace in known else namespaces.set(kind, tuple(sorted((*known, namespace))))


def _with(lists: Map[IndexKey, Series], parts: Mapping[tuple[IndexKey, ...], dict[int, Any]]) -> Map[IndexKey, Series]:
    """Series with changes, given in parts by the lists that they are made to. What is the same in two lists, as are all
    pods of a namespace and those of its only owner, becomes one series that is changed once.
    """
    changes: dict[IndexKey, list[dict[int, Any]]] = {}
    for entries, part in parts.items():
        for entry in entries:
            changes.setdefault(entry, []).append(part)
    found = lists.mutate()
    same: dict[tuple[int, int], Series] = {}
    joined: list[dict[int, Any]] = []  # alive, so that no other has its identity
    for entry, made in changes.items():
        before = found.get(entry, NO_SERIES)
        whole = made[0] if len(made) == 1 else _joined(made)
        series = same.get((id(before), id(whole)))
        if series is None:
            series = same[id(before), id(whole)] = before.updated(whole)
            joined.append(whole)
        if series:
            found[entry] = series
        else:
            found.pop(entry, None)
    return found.finish()


def _joined(parts: list[dict[int, Any]]) -> dict[int, Any]:
    """The changes of several sorts of objects; what goes as one sort and comes as another is there."""
    joined = {ordinal: obj for part in parts for ordinal, obj in part.items() if obj is GONE}
    return joined | {ordinal: obj for part in parts for ordinal, obj in part.items() if obj is not GONE}


def _listed_alike(old: Any, new: Any) -> bool:
    """Two versions of an object share what their entries are made of, and so these."""
    if old.metadata.owner_references is not new.metadata.owner_references:
        return False
    return new.kind != "Pod" or old.spec is new.spec


def _key_sort(key: Key, obj: Any) -> Hashable:
    return key[:2]


def _node_sort(key: Key, obj: Any) -> Hashable:
    return key[1], obj.spec.node_name


def _owner_sort(key: Key, obj: Any) -> Hashable:
    return key[0], key[1], id(obj.metadata.owner_references)


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


_BY_NAMESPACE: Final = Filing(_key_sort, _in_entries)
_BY_NODE: Final = Filing(_node_sort, _node_entries, longest=1 << 14)
"""Nobody asks for the pods of a node in most runs, and the writes to one pod are many."""
_BY_OWNER: Final = Filing(_owner_sort, _entries)
