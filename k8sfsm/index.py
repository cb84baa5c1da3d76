"""Indexes over the objects of a snapshot: lists by namespace, owner and node, in order of creation.

A write costs one link in a chain; what the links say is worked into the lists when somebody asks for one. So the many
writes that nobody looks for one by one are taken in together.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
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
_IN: Final = "in"
_BLOCK: Final = 128
_STRETCH: Final = 32
"""Blocks in a stretch."""
_LONGEST: Final = 1024
"""So many links are worked in anyhow."""
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
    """All lists at one revision. `namespaces`: those in which there is an object of a kind, sorted; none of a kind of
    which there only was something.
    """

    series: Map[IndexKey, Series] = field(factory=Map)
    namespaces: Map[str, tuple[str, ...]] = field(factory=Map)


class Index:
    """The lists of a snapshot: those of an earlier one, and the writes since, one link for each.

    They fall into groups, each worked in when one of its lists is asked for: Events and Leases, which are written often
    and seldom asked for; Pods; and all the rest, which the API server asks for at every creation. Which pods are on a
    node is known at every link: of a pod's many writes hardly any changes that.
    """

    __slots__ = ("_before", "_depth", "_often", "_placed", "_pods", "_rest", "_write")

    def __init__(self) -> None:
        self._often: Lists | None = Lists()
        self._pods: Lists | None = Lists()
        self._rest: Lists | None = Lists()
        self._before: Index | None = None
        self._write: _Write | None = None
        self._placed: _Placed = Map()
        self._depth = 0

    def after(self, key: Key, ordinal: int, old: Any, new: Any) -> Index:
        """The index after a write; `old` None: the object is new, `new` None: it is gone."""
        following = _make(Index)
        following._often, following._pods, following._rest = self._often, self._pods, self._rest
        following._before = self
        following._write = (key, ordinal, old, new)
        following._placed = self._placed
        group = _GROUP_OF.get(key[0])
        if group is None:
            following._rest = None
        elif group == "_often":
            following._often = None
        else:
            following._pods = None
            was, node = "" if old is None else old.spec.node_name, "" if new is None else new.spec.node_name
            if was != node:
                following._placed = _moved(self._placed, (ordinal, key), was, node)
        following._depth = depth = self._depth + 1
        if depth >= _LONGEST:
            following.settle()
        return following

    def series(self, index: str, kind: str, value: str) -> Series:
        """One list, by the name of the index, a kind and a value."""
        return self._lists(_GROUP_OF.get(kind, "_rest")).series.get((index, kind, value), NO_SERIES)

    def seldom(self) -> object:
        """What stays the very same as long as nothing is written but Pods, and what is written often."""
        return self._rest or self._lists("_rest")

    def on_node(self, node: str) -> Iterator[Key]:
        """The keys of the pods on a node, in order of creation."""
        return (key for _, key in self._placed.get(node, ()))

    def dependents(self, kinds: Iterable[str], uid: str) -> tuple[Any, ...]:
        """The objects of some kinds that name an owner, kind by kind: those that it controls first, then the others."""
        found: list[Any] = []
        known: dict[str, Map[IndexKey, Series]] = {}
        for kind in kinds:
            group = _GROUP_OF.get(kind, "_rest")
            lists = known.get(group)
            if lists is None:
                lists = known[group] = self._lists(group).series
            for index in ("owned", "co-owned"):
                found += lists.get((index, kind, uid), ())
        return tuple(found)

    def namespaces_of(self, kind: str) -> tuple[str, ...]:
        """The namespaces in which there is an object of a kind, sorted ("" where it has none)."""
        return self._lists(_GROUP_OF.get(kind, "_rest")).namespaces.get(kind, ())

    @property
    def namespaces(self) -> Mapping[str, tuple[str, ...]]:
        """The same for all kinds of which there is, or was, something."""
        found = self._lists("_rest").namespaces
        for group in dict.fromkeys(_GROUP_OF.values()):
            found = found.update(self._lists(group).namespaces)
        return found

    def _lists(self, group: str) -> Lists:
        """The lists of a group, with every write worked in."""
        found: Lists | None = getattr(self, group)
        if found is None:
            writes, link = [], self
            while (found := getattr(link, group)) is None:
                assert link._write is not None and link._before is not None
                if _GROUP_OF.get(link._write[0][0], "_rest") == group:
                    writes.append(link._write)
                link = link._before
            found = _advanced(found, writes, _GROUPS[group]) if writes else found
            setattr(self, group, found)
        return found

    def settle(self) -> None:
        """Work everything in: no earlier link is needed any more."""
        for group in _GROUPS:
            self._lists(group)
        self._before = self._write = None
        self._depth = 0


def is_seldom(kind: str) -> bool:
    """Whether a kind is one of those which `Index.seldom` stands for."""
    return kind not in _GROUP_OF


_Write: TypeAlias = tuple[Key, int, Any, Any]
"""Key, ordinal, object before and after."""
_Placed: TypeAlias = Map[str, tuple[tuple[int, Key], ...]]
"""The pods on each node, with their ordinals and in order of these."""


def _moved(placed: _Placed, pod: tuple[int, Key], was: str, node: str) -> _Placed:
    """The pods on nodes after one has come to a node, or has left one ("": none)."""
    if was:
        left = tuple([each for each in placed[was] if each != pod])
        placed = placed.set(was, left) if left else placed.delete(was)
    if node:
        there = placed.get(node, ())
        placed = placed.set(node, (*there, pod) if not there or there[-1] < pod else tuple(sorted((*there, pod))))
    return placed


@value
class _Group:
    """Lists that are worked in together.

    `entries`: those in which an object is. Objects of a kind and a namespace that share their owners are in the same.
    """

    entries: Callable[[Key, Any], tuple[IndexKey, ...]]


def _advanced(lists: Lists, writes: Iterable[_Write], group: _Group) -> Lists:
    """The lists with writes, the last of them first, worked in: of several writes to an object the last one counts."""
    before: dict[int, Any] = {}
    after: dict[int, tuple[Key, Any, Any]] = {}
    for key, ordinal, old, new in writes:
        before[ordinal] = old
        if ordinal not in after:
            after[ordinal] = key, new, old
    parts: dict[tuple[IndexKey, ...], dict[int, Any]] = {}
    marked: dict[tuple[str, str, int], dict[int, Any]] = {}
    for ordinal, (key, new, last) in after.items():
        if new is not None:
            mark = key[0], key[1], id(new.metadata.owner_references)
            part = marked.get(mark)
            if part is None:
                part = marked[mark] = parts.setdefault(group.entries(key, new), {})
            part[ordinal] = new
        old = before[ordinal] or last
        if old is None or (new is not None and old.metadata.owner_references is new.metadata.owner_references):
            continue  # it was in no list, or was in these
        parts.setdefault(group.entries(key, old), {}).setdefault(ordinal, GONE)
    return _with(lists, parts)


def _with(lists: Lists, parts: Mapping[tuple[IndexKey, ...], dict[int, Any]]) -> Lists:
    """The lists with changes, in parts by the lists that they are made to. What is the same in two of these, as are all
    pods of a namespace and those of its only owner, becomes one series that is changed once.
    """
    changes: dict[IndexKey, list[dict[int, Any]]] = {}
    for entries, part in parts.items():
        for entry in entries:
            changes.setdefault(entry, []).append(part)
    found, namespaces = lists.series.mutate(), lists.namespaces
    same: dict[tuple[int, int], Series] = {}
    wholes: list[dict[int, Any]] = []  # alive, so that no other has the identity of one
    for entry, made in changes.items():
        before = found.get(entry, NO_SERIES)
        whole = made[0] if len(made) == 1 else _joined(made)
        series = same.get((id(before), id(whole)))
        if series is None:
            series = same[id(before), id(whole)] = before.updated(whole)
            wholes.append(whole)
        if series:
            found[entry] = series
        elif before:
            del found[entry]
        if entry[0] == _IN and (bool(before) is not bool(series) or entry[1] not in namespaces):
            namespaces = _inhabited(namespaces, entry, bool(series))
    return Lists(found.finish(), namespaces)


def _joined(parts: list[dict[int, Any]]) -> dict[int, Any]:
    """The changes of several sorts of objects; what goes as one sort and comes as another is there."""
    joined = {ordinal: obj for part in parts for ordinal, obj in part.items() if obj is GONE}
    return joined | {ordinal: obj for part in parts for ordinal, obj in part.items() if obj is not GONE}


def _inhabited(namespaces: Map[str, tuple[str, ...]], entry: IndexKey, there: bool) -> Map[str, tuple[str, ...]]:
    """The namespaces of each kind, after the first object of a kind has come into one, or the last one has gone."""
    _, kind, name = entry
    known = namespaces.get(kind, ())
    at = bisect_left(known, name)
    return namespaces.set(kind, (*known[:at], name, *known[at:]) if there else known[:at] + known[at + 1 :])


def _often_entries(key: Key, obj: Any) -> tuple[IndexKey, ...]:
    return ((_IN, key[0], key[1]),) if key[0] == "Event" else _entries(key, obj)


def _entries(key: Key, obj: Any) -> tuple[IndexKey, ...]:
    """The lists in which an object is."""
    kind, namespace, _ = key
    owner = controller_of(obj)
    by_owner = ("owned", kind, owner.uid) if owner is not None else ("orphans", kind, namespace)
    entries: tuple[IndexKey, ...] = ((_IN, kind, namespace), by_owner)
    references = obj.metadata.owner_references
    if len(references) > (owner is not None):
        others = dict.fromkeys(each.uid for each in references if owner is None or each.uid != owner.uid)
        entries = (*entries, *(("co-owned", kind, uid) for uid in others))
    return entries


_GROUP_OF: Final = {"Event": "_often", "Lease": "_often", "Pod": "_pods"}
"""The group of lists, by its attribute, of kinds that are not among the rest."""
_GROUPS: Final[Mapping[str, _Group]] = {
    "_often": _Group(_often_entries),
    "_pods": _Group(_entries),
    "_rest": _Group(_entries),
}
