"""What is going to happen, and when: a queue of actions by due time, first in first out at one instant."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

from k8sfsm.engine.action import Action


def _order(entry: tuple[int, int, Action]) -> tuple[int, int]:
    return entry[:2]


class Agenda:
    """Actions in order of (due time, order of entry). `copy` costs the number of pending actions."""

    __slots__ = ("_entered", "_heap")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Action]] = []
        self._entered = 0

    def add(self, due: int, action: Action) -> None:
        """Let `action` happen at `due` (nanoseconds)."""
        self._entered += 1
        heappush(self._heap, (due, self._entered, action))

    def next_due(self) -> int | None:
        """When the next action is due; None where nothing is pending."""
        return self._heap[0][0] if self._heap else None

    def pop(self) -> tuple[int, Action]:
        """Take the first action and its due time. Raises IndexError where nothing is pending."""
        due, _, action = heappop(self._heap)
        return due, action

    def draw(self, pick: Callable[[int], int]) -> tuple[int, Action]:
        """Take one of the actions due at the earliest time, and its due time: `pick` gives its number of so many."""
        first = heappop(self._heap)
        if not self._heap or self._heap[0][0] != first[0]:
            return first[0], first[2]
        alike = [first]
        while self._heap and self._heap[0][0] == first[0]:
            alike.append(heappop(self._heap))
        chosen = alike.pop(pick(len(alike)))
        for entry in alike:
            heappush(self._heap, entry)
        return chosen[0], chosen[2]

    def due_first(self) -> tuple[Action, ...]:
        """All actions due at the earliest time, in order of entry."""
        if not self._heap:
            return ()
        first = self._heap[0][0]
        return tuple(
            action for _, _, action in sorted((entry for entry in self._heap if entry[0] == first), key=_order)
        )

    def take(self, action: Any) -> int:
        """Take one given action out and return its due time. Raises ValueError where it is not pending."""
        for entry in sorted(self._heap, key=_order):
            if entry[2] == action:
                self._heap.remove(entry)
                heapify(self._heap)
                return entry[0]
        raise ValueError(f"{action} is not pending")

    def drop(self, unwanted: Callable[[Action], bool]) -> tuple[Action, ...]:
        """Take out all actions that are unwanted; returns them in order."""
        gone = tuple(entry for entry in sorted(self._heap, key=_order) if unwanted(entry[2]))
        if gone:
            self._heap = [entry for entry in self._heap if not unwanted(entry[2])]
            heapify(self._heap)
        return tuple(action for _, _, action in gone)

    def pending(self) -> tuple[tuple[int, Action], ...]:
        """Everything to come, in order."""
        return tuple((due, action) for due, _, action in sorted(self._heap, key=_order))

    def __len__(self) -> int:
        return len(self._heap)

    def copy(self) -> Agenda:
        """An independent agenda with the same entries."""
        twin = Agenda()
        twin._heap = self._heap.copy()
        twin._entered = self._entered
        return twin
