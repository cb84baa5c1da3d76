"""Memories of pure functions, by the identity of their immutable arguments.

They make a sync cost what changed instead of what there is: a view keeps the pods of a namespace in blocks, and a
block whose pods did not change is the same tuple as before. Nothing here can change a result, only its cost.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, Generic, TypeVar

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

    def each(self, keys: Block, compute: Callable[[Any], T]) -> list[T]:
        """The values of several objects, in order."""
        found = list(map(self._found.get, map(id, keys)))
        if None not in found:
            return [entry[1] for entry in found if entry is not None]
        return [
            self.put(key, compute(key)) if entry is None else entry[1] for key, entry in zip(keys, found, strict=True)
        ]


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
