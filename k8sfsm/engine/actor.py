"""The state of one actor: its queue, its memory, its plans under way, its client's rate limit."""

from __future__ import annotations

from typing import Any

from immutables import Map

from k8sfsm.engine.cluster import Wiring
from k8sfsm.engine.informer import Reader
from k8sfsm.engine.queue import TokenBucket, WorkQueue
from k8sfsm.engine.run import Run
from k8sfsm.request import Key, Remember
from k8sfsm.view import remembered


class Actor:
    """Mutable, and owned by one engine: `Engine` copies an actor before it changes one that a fork shares.

    `waiting`: the keys that a worker has taken up and is about to look at, each with the revision that made it do so;
    `runs`: the plans of those that wait for an answer. `marks`: what somebody has read off a state that is shared; a
    copy has none. `reader`: the informers of its component where the engine found them last, which are those that it
    has now as long as its informers own them.
    """

    __slots__ = ("bucket", "marks", "memory", "owner", "queue", "reader", "recorder", "runs", "waiting", "wiring")

    def __init__(self, wiring: Wiring, owner: object) -> None:
        self.wiring = wiring
        self.owner = owner
        self.marks: Any = None
        self.reader: Reader | None = None
        self.reset()

    def reset(self) -> None:
        """Forget everything: what a crash does."""
        component = self.wiring.component
        self.queue = WorkQueue(self.wiring.settings)
        self.memory: Map[Any, Any] = Map()
        self.recorder: Map[Any, Any] = Map()
        self.waiting: dict[Key, int] = {}
        self.runs: dict[Key, Run] = {}
        self.bucket = TokenBucket(component.qps, component.burst)

    def works_on(self, key: Key) -> bool:
        """Whether a worker has taken up the key and is not done with it."""
        return key in self.runs or key in self.waiting

    def remember(self, step: Remember) -> None:
        """Change the memory as a plan or an observer says."""
        self.memory = remembered(self.memory, step)

    def copy(self, owner: object) -> Actor:
        """An independent actor in the same state."""
        twin = Actor.__new__(Actor)
        twin.wiring, twin.owner, twin.marks, twin.reader = self.wiring, owner, None, self.reader
        twin.queue, twin.memory, twin.recorder = self.queue.copy(), self.memory, self.recorder
        twin.waiting, twin.runs, twin.bucket = self.waiting.copy(), self.runs.copy(), self.bucket.copy()
        return twin
