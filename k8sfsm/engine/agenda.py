"""What is going to happen, and when: actions by due time, first in first out at one instant."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any, Final

from k8sfsm.engine.action import Action

_NEVER: Final = 1 << 126
"""Later than any instant."""


class Agenda:
    """Actions in order of (due time, order of entry). `copy` costs the number of pending actions.

    Much of what happens in a cluster is due at the same instant: each instant has a queue of its own. What happens
    often leads to more at once, so a queue that has become empty stays until its instant is found to be over.

    `present`: the queue of the earliest instant, `at`, where it has been looked for: actions may be taken from it at
    its left, and those that are due at that instant appended to it, without asking the agenda. `_later` counts the
    actions in all other queues.
    """

    __slots__ = ("_instants", "_later", "_queues", "at", "present")

    def __init__(self) -> None:
        self._instants: list[int] = []
        self._queues: dict[int, deque[Action]] = {}
        self._later = 0
        self.at = _NEVER
        self.present: deque[Action] = deque()

    def add(self, due: int, action: Action) -> None:
        """Let `action` happen at `due` (nanoseconds)."""
        if due == self.at:
            self.present.append(action)
            return
        self._later += 1
        queue = self._queues.get(due)
        if queue is not None:
            queue.append(action)
            return
        self._queues[due] = deque((action,))
        heappush(self._instants, due)
        if due < self.at:
            self._later += len(self.present)
            self.at, self.present = _NEVER, deque()

    def next_due(self) -> int | None:
        """When the next action is due; None where nothing is pending."""
        return self.at if self._first() else None

    def _first(self) -> deque[Action] | None:
        """The queue of the earliest instant at which something is due; None where nothing is pending."""
        instants, queues = self._instants, self._queues
        while not self.present:
            if self.at != _NEVER:
                del queues[heappop(instants)]
            if not instants:
                self.at = _NEVER
                self.present = deque()
                return None
            self.at = instants[0]
            self.present = queues[self.at]
            self._later -= len(self.present)
        return self.present

    def pop(self, until: int | None = None) -> tuple[int, Action] | None:
        """Take the first action and its due time; None where nothing is pending, or nothing until then (ns)."""
        queue = self._first()
        if queue is None or (until is not None and self.at > until):
            return None
        return self.at, queue.popleft()

    def draw(self, pick: Callable[[int], int]) -> tuple[int, Action]:
        """Take one of the actions due at the earliest time, and its due time: `pick` gives its number of so many.

        Raises IndexError where nothing is pending.
        """
        queue = self._first()
        if queue is None:
            raise IndexError("nothing is pending")
        number = pick(len(queue)) if len(queue) > 1 else 0
        action = queue[number]
        del queue[number]
        return self.at, action

    def due_first(self) -> tuple[Action, ...]:
        """All actions due at the earliest time, in order of entry."""
        return tuple(self._first() or ())

    def take(self, action: Any) -> int:
        """Take one given action out and return its due time. Raises ValueError where it is not pending."""
        for due, queue in self._in_order():
            if action in queue:
                queue.remove(action)
                self._later -= queue is not self.present
                return due
        raise ValueError(f"{action} is not pending")

    def drop(self, unwanted: Callable[[Action], bool]) -> tuple[Action, ...]:
        """Take out all actions that are unwanted; returns them in order."""
        gone: list[Action] = []
        for _, queue in self._in_order():
            found = [action for action in queue if unwanted(action)]
            if found:
                left = [action for action in queue if not unwanted(action)]
                queue.clear()
                queue.extend(left)
                gone += found
                if queue is not self.present:
                    self._later -= len(found)
        return tuple(gone)

    def pending(self) -> tuple[tuple[int, Action], ...]:
        """Everything to come, in order."""
        return tuple((due, action) for due, queue in self._in_order() for action in queue)

    def __len__(self) -> int:
        return self._later + len(self.present)

    def copy(self) -> Agenda:
        """An independent agenda with the same entries."""
        twin = Agenda.__new__(Agenda)
        twin._instants = self._instants.copy()
        twin._queues = {due: queue.copy() for due, queue in self._queues.items()}
        twin._later, twin.at = self._later, self.at
        twin.present = deque() if self.at == _NEVER else twin._queues[self.at]
        return twin

    def _in_order(self) -> Iterator[tuple[int, deque[Action]]]:
        return ((due, self._queues[due]) for due in sorted(self._instants))
