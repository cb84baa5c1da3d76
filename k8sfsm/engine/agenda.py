"""What is going to happen, and when: actions by due time, first in first out at one instant."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from typing import Any

from k8sfsm.engine.action import Action


class Agenda:
    """Actions in order of (due time, order of entry). `copy` costs the number of pending actions.

    Much of what happens in a cluster is due at the same instant: each instant has a queue of its own, none is empty.
    """

    __slots__ = ("_instants", "_length", "_queues")

    def __init__(self) -> None:
        self._instants: list[int] = []
        self._queues: dict[int, deque[Action]] = {}
        self._length = 0

    def add(self, due: int, action: Action) -> None:
        """Let `action` happen at `due` (nanoseconds)."""
        self._length += 1
        queue = self._queues.get(due)
        if queue is not None:
            queue.append(action)
            return
        self._queues[due] = deque((action,))
        heappush(self._instants, due)

    def next_due(self) -> int | None:
        """When the next action is due; None where nothing is pending."""
        return self._instants[0] if self._instants else None

    def pop(self, until: int | None = None) -> tuple[int, Action] | None:
        """Take the first action and its due time; None where nothing is pending, or nothing until then (ns)."""
        if not self._instants:
            return None
        due = self._instants[0]
        if until is not None and due > until:
            return None
        queue = self._queues[due]
        action = queue.popleft()
        self._length -= 1
        if not queue:
            del self._queues[heappop(self._instants)]
        return due, action

    def draw(self, pick: Callable[[int], int]) -> tuple[int, Action]:
        """Take one of the actions due at the earliest time, and its due time: `pick` gives its number of so many."""
        due = self._instants[0]
        queue = self._queues[due]
        number = pick(len(queue)) if len(queue) > 1 else 0
        action = queue[number]
        del queue[number]
        self._length -= 1
        if not queue:
            del self._queues[heappop(self._instants)]
        return due, action

    def due_first(self) -> tuple[Action, ...]:
        """All actions due at the earliest time, in order of entry."""
        return tuple(self._queues[self._instants[0]]) if self._instants else ()

    def take(self, action: Any) -> int:
        """Take one given action out and return its due time. Raises ValueError where it is not pending."""
        for due, queue in self._in_order():
            if action in queue:
                queue.remove(action)
                self._keep(due, queue)
                self._length -= 1
                return due
        raise ValueError(f"{action} is not pending")

    def drop(self, unwanted: Callable[[Action], bool]) -> tuple[Action, ...]:
        """Take out all actions that are unwanted; returns them in order."""
        gone: list[Action] = []
        for due, queue in self._in_order():
            found = [action for action in queue if unwanted(action)]
            if found:
                self._keep(due, deque(action for action in queue if not unwanted(action)))
                gone += found
        self._length -= len(gone)
        return tuple(gone)

    def pending(self) -> tuple[tuple[int, Action], ...]:
        """Everything to come, in order."""
        return tuple((due, action) for due, queue in self._in_order() for action in queue)

    def __len__(self) -> int:
        return self._length

    def copy(self) -> Agenda:
        """An independent agenda with the same entries."""
        twin = Agenda.__new__(Agenda)
        twin._instants = self._instants.copy()
        twin._queues = {due: queue.copy() for due, queue in self._queues.items()}
        twin._length = self._length
        return twin

    def _in_order(self) -> Iterator[tuple[int, deque[Action]]]:
        return ((due, self._queues[due]) for due in sorted(self._instants))

    def _keep(self, due: int, queue: deque[Action]) -> None:
        """What is left of an instant."""
        if queue:
            self._queues[due] = queue
            return
        del self._queues[due]
        self._instants.remove(due)
        heapify(self._instants)
