"""Memories of pure functions, by the identity of their immutable arguments.

They make a sync cost what changed instead of what there is: a view keeps the pods of a namespace in blocks, and a
block whose pods did not change is the same tuple as before. Nothing here can change a result, only its cost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, compress, count, islice
from operator import is_not
from typing import Any, Final, Generic, TypeVar

from k8sfsm.index import Series
from k8sfsm.value import value
from k8sfsm.view import View

T = TypeVar("T")
Block = tuple[Any, ...]


class Memo(Generic[T]):
    """Values by the identity of an object, which is kept alive meanwhile. Bounded: the oldest half goes when full."""

    __slots__ = ("_found", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._found: dict[int, tuple[object, T]] = {}

    def get(self, key: object) -> T | None:
        """What was put for this very object, or None."""
        found = self._found.get(id(key))
        return None if found is None else found[1]

    def put(self, key: object, value: T) -> T:
        """Keep a value for this very object; returns it."""
        if len(self._found) >= self.limit:
            for old in list(islice(self._found, (len(self._found) + 1) // 2)):
                del self._found[old]
        self._found[id(key)] = (key, value)
        return value

    def of(self, key: object, compute: Callable[[Any], T]) -> T:
        """The value of this very object, computed when it is not known."""
        found = self._found.get(id(key))
        return self.put(key, compute(key)) if found is None else found[1]


class Blocks(Generic[T]):
    """A function of blocks of objects, computed again for changed blocks alone."""

    __slots__ = ("_memo",)

    def __init__(self) -> None:
        self._memo: Memo[T] = Memo(256)

    def of(self, blocks: tuple[Block, ...], compute: Callable[[Block], T]) -> list[T]:
        """The value of each block, in order."""
        self._memo.limit = max(256, 4 * len(blocks))
        return [self._memo.of(block, compute) for block in blocks]


def blocks_of(view: View, kind: str, namespace: str = "") -> tuple[Block, ...]:
    """The objects of `view.list(kind, namespace)` in the same order, in the blocks in which the view keeps them."""
    snapshot = view.snapshot(kind)
    if namespace:
        return snapshot.series("in", kind, namespace).blocks
    names = snapshot.namespaces_of(kind)
    return tuple(block for name in names for block in snapshot.series("in", kind, name).blocks)


def pods_of(view: View, namespace: str) -> Series:
    """The pods of a namespace in order of creation, in the blocks in which the view keeps them."""
    return view.snapshot("Pod").series("in", "Pod", namespace)


@value
class Difference:
    """What a list has instead of another one: objects that went, and those that came with their places, in order.

    A place is a number that grows with the order in which objects were created. An object that only moved from one
    block to another may be among both.
    """

    gone: tuple[Any, ...] = ()
    come: tuple[Any, ...] = ()
    places: tuple[int, ...] = ()


_SAME: Final = Difference()
_LATEST: Final[list[tuple[Series, Series, Difference]]] = []
_KEPT: Final = 4
"""How many differences are kept: all that follow the pods of a namespace ask for the same one in turn."""


def difference(old: Series, new: Series) -> Difference:
    """How the objects of one view, in `old`, became those of another, in `new`; it costs the blocks that changed."""
    if old is new:
        return _SAME
    for before, after, found in _LATEST:
        if before is old and after is new:
            return found
    now, then = set(map(id, new.stretches)), set(map(id, old.stretches))
    others = [stretch for stretch in new.stretches if id(stretch) not in then]
    gone = [block for stretch in old.stretches if id(stretch) not in now for block in stretch.blocks]
    come = [pair for stretch in others for pair in zip(stretch.blocks, stretch.ordinals, strict=True)]
    left, known = {id(block) for block, _ in come}, set(map(id, gone))
    found = _between(
        [block for block in gone if id(block) not in left], [pair for pair in come if id(pair[0]) not in known]
    )
    _LATEST.insert(0, (old, new, found))
    del _LATEST[_KEPT:]
    return found


def _between(old: list[Block], new: list[tuple[Block, tuple[int, ...]]]) -> Difference:
    """What differs in blocks that are others: place by place, where no block lost an object."""
    gone: list[Any] = []
    picked: list[list[int]] = []
    if len(old) > len(new) or any(len(before) > len(after) for before, (after, _) in zip(old, new, strict=False)):
        known, left = set(map(id, chain(*old))), {id(each) for block, _ in new for each in block}
        gone += [each for each in chain(*old) if id(each) not in left]
        picked += [[number for number, each in enumerate(block) if id(each) not in known] for block, _ in new]
    else:
        for before, (after, _) in zip([*old, *[()] * (len(new) - len(old))], new, strict=True):
            others = list(compress(count(), map(is_not, before, after)))
            gone += [before[number] for number in others]
            picked.append([*others, *range(len(before), len(after))])
    come = [block[number] for (block, _), numbers in zip(new, picked, strict=True) for number in numbers]
    places = [found[number] for (_, found), numbers in zip(new, picked, strict=True) for number in numbers]
    return Difference(tuple(gone), tuple(come), tuple(places))
