"""Nodes that can take pods of one kind, in a ring: what any search finds is a slice of it, and is scored as a whole.

A search begins where the last one ended, and ends when enough nodes are found. So the ring has every node twice, one
round behind the other. The scores of its nodes are kept in the same order: placing a pod changes them at two places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, TypeAlias, overload

import numpy as np
from attrs import define
from numpy.typing import NDArray

from k8sfsm.scheduler.placed import IntArray, Ints
from k8sfsm.scheduler.scores import MAX

Indices: TypeAlias = NDArray[np.intp]
Relative: TypeAlias = tuple[str, int, IntArray]
"""A plugin whose scores depend on the highest one: how they are normalized, its weight, and what it says of nodes."""
_WINDOWS: Final = 64
_HALF: Final = np.array(0.5)
_MAX: Final = np.array(MAX)
"""As arrays: numpy takes longer to make one of a number than to add it to hundreds."""


def _highest(values: IntArray) -> int:
    """The same as `values.max()`; finding the place first takes a quarter of the time."""
    return values.item(values.argmax())


@define(eq=False)
class Spreading:
    """How pods of one kind lie over nodes and zones, by the system's own constraints.

    `counts`: such pods per node, as they were last seen; `zone`: the number of each node's zone, `in_zone`: the pods
    that count in each zone. `has_host`, `has_zone`: which nodes have the labels (None: all have both).
    """

    weight: int
    host_skew: int
    zone_skew: int
    counts: IntArray
    zone: Indices
    in_zone: list[float]
    has_host: NDArray[np.bool_] | None = None
    has_zone: NDArray[np.bool_] | None = None


class Tied(Sequence[str]):
    """The nodes that are best off, in the order found. There may be hundreds, of which chance picks one: no other name
    is looked up.
    """

    __slots__ = ("_names", "_places")

    def __init__(self, names: Sequence[str], places: Indices) -> None:
        self._names = names
        self._places = places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice) -> Sequence[str]: ...

    def __getitem__(self, at: int | slice) -> str | Sequence[str]:
        if isinstance(at, slice):
            return Tied(self._names, self._places[at])
        return self._names[self._places.item(at)]

    def __iter__(self) -> Iterator[str]:
        return map(self._names.__getitem__, self._places.tolist())


class Window:
    """What one search finds: a slice of the ring.

    `feasible`: the nodes' names, in the order found; `next_start`: where the next search begins; `width`: the weight of
    a pod in the same zone, by how many zones there are.
    """

    __slots__ = ("base", "by_host", "feasible", "next_start", "relative", "unzoned", "width", "zone")

    def __init__(self, ring: Ring, start: int, next_start: int) -> None:
        part = slice(start, start + ring.found)
        self.next_start = next_start
        self.feasible: tuple[str, ...] = tuple(ring.names[part].tolist())
        self.base = ring.base[part]
        self.relative = [(normalize, weight, raw[part]) for normalize, weight, raw in ring.relative]
        if ring.spreading is None:
            return
        self.by_host, self.zone = ring.by_host[part], ring.zone[part]
        self.unzoned = None if ring.unzoned is None else ring.unzoned[part]
        self.width = math.log(len(set(self.zone.tolist())) + 2)


class Ring:
    """Nodes that can take pods of one kind, given by ascending index: `members`.

    `base`: what their totals do not owe to the others found; `relative`: what they owe to the highest score found.
    """

    def __init__(
        self,
        members: Indices,
        names: NDArray[np.object_],
        enough: int,
        base: IntArray,
        relative: Sequence[Relative],
        spreading: Spreading | None,
    ) -> None:
        twice = np.concatenate((members, members))
        self.members = members
        self.found = min(len(members), enough)
        self._whole = len(members) < enough
        self._size = len(base)
        self.names = names[twice]
        self.base = base[twice]
        self.relative = [(normalize, weight, raw[twice]) for normalize, weight, raw in relative]
        self.spreading = spreading
        self._windows: dict[int, Window] = {}
        if spreading is None:
            return
        self._width = math.log(self.found + 2)
        self._beyond = spreading.host_skew - 1
        self._weight = np.array(spreading.weight)
        self.by_host: NDArray[Any] = spreading.counts[twice] * self._width + self._beyond
        if spreading.has_host is not None:
            self.by_host[~spreading.has_host[twice]] = 0.0
        self.zone = spreading.zone[twice]
        self.unzoned = None if spreading.has_zone is None else ~spreading.has_zone[twice]

    def update(self, index: int, base: int) -> None:
        """A node's pods have changed: so has what its total does not owe to others, and perhaps the number of pods."""
        count, spreading, bases = len(self.members), self.spreading, self.base
        at = index if count == self._size else int(self.members.searchsorted(index))
        again = at + count
        bases[at] = bases[again] = base
        if spreading is not None and (spreading.has_host is None or spreading.has_host[index]):
            by_host = self.by_host
            by_host[at] = by_host[again] = spreading.counts.item(index) * self._width + self._beyond

    def window(self, start: int) -> Window:
        """What a search finds that begins at the node of index `start`."""
        known = self._windows.get(start)
        if known is not None:
            return known
        at = int(self.members.searchsorted(start)) if start else 0
        count = len(self.members)
        if self._whole or self.found == self._size:
            next_start = start
        else:
            next_start = (int(self.members[(at + self.found - 1) % count]) + 1) % self._size
        if len(self._windows) >= _WINDOWS:
            self._windows.clear()
        window = self._windows[start] = Window(self, at, next_start)
        return window

    def best(self, totals: IntArray) -> Indices:
        """The places in a window where its totals are highest."""
        found: Indices = (totals == totals.item(totals.argmax())).nonzero()[0]  # `_highest`
        return found

    def totals(self, window: Window) -> IntArray:
        """The total scores of the nodes found."""
        total = window.base
        for normalize, weight, raw in window.relative:
            highest = _highest(raw)
            if normalize == "reversed_share_of_highest":
                total = total + weight * (MAX - MAX * raw // highest if highest else MAX)
            elif highest:
                total = total + weight * (MAX * raw // highest)
        return total if self.spreading is None else total + self._spread(window, self.spreading)

    def _spread(self, window: Window, spreading: Spreading) -> IntArray | int:
        """What spreading adds to the totals: most where the fewest pods of the kind are around."""
        beyond, width = spreading.zone_skew - 1, window.width
        by_zone = np.array([count * width + beyond for count in spreading.in_zone])[window.zone]
        if window.unzoned is not None:
            by_zone[window.unzoned] = 0.0
        by_zone += window.by_host
        by_zone += _HALF
        raw: IntArray = by_zone.astype(Ints)  # none is below 0, so what is cut off is what floor takes away
        highest = raw.item(raw.argmax())  # `_highest`
        if not highest:
            return spreading.weight * MAX
        score: IntArray = highest + raw.item(raw.argmin()) - raw
        score *= _MAX
        score //= highest
        score *= self._weight
        return score
