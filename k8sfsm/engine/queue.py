"""The work queue of a controller, with client-go's rules, in virtual time.

A key is in the queue at most once; a key that comes while it is being worked on is queued again afterwards. Keys have
their turn in the order in which they came, or in that of their ranks, where somebody ranks them (the scheduler).
Source: staging/src/k8s.io/client-go/util/workqueue/queue.go, default_rate_limiters.go.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Key, Rank

_LONG_AGO: Final = -(1 << 62)
Ranked: TypeAlias = tuple[tuple[int, ...], int, Key]
Held: TypeAlias = tuple[int, tuple[int, ...], int, Key, tuple[int, ...]]


@frozen(kw_only=True)
class QueueSettings:
    """Workers, and the delays between retries of a failing key (nanoseconds). `max_retries` None: for ever.

    `retry_qps`, `retry_burst`: how many retries of all keys together may begin in a second, and at once; 0: any number.
    """

    workers: int = 1
    base_delay: int = 5 * MILLISECOND
    max_delay: int = 1000 * SECOND
    max_retries: int | None = None
    retry_qps: float = 10
    retry_burst: int = 100


class TokenBucket:
    """A rate limit: `rate` per second sustained, `burst` at once. A rate of 0 is no limit."""

    __slots__ = ("_next", "burst", "interval")

    def __init__(self, rate: float, burst: int) -> None:
        self.interval = round(SECOND / rate) if rate else 0
        self.burst = burst
        self._next = _LONG_AGO

    def reserve(self, now: int) -> int:
        """Take one token and return when it may be used (`now` or later)."""
        if not self.interval:
            return now
        granted, full = self._next, now - self.interval * (self.burst - 1)
        if granted < full:
            granted = full
        self._next = granted + self.interval
        return granted if granted > now else now

    def copy(self) -> TokenBucket:
        """An independent bucket with as many tokens."""
        twin = TokenBucket(0, self.burst)
        twin.interval, twin._next = self.interval, self._next
        return twin


class WorkQueue:
    """Keys to work on. The revision that caused a key to be queued is kept with it, for the trace.

    To be read by those who spare themselves a question: `failures`, how often a key has failed; `ready`, `ranked` and
    `held`, the keys that wait for a worker. Of keys that are ranked, `ready` has those that came since the last call
    of `rank`, `ranked` those that may have their turn, and `held` those that are held back.
    """

    __slots__ = (
        "_bucket",
        "_busy",
        "_causes",
        "_detached",
        "_dirty",
        "_processing",
        "_retries",
        "_turn",
        "_workers",
        "failures",
        "held",
        "ranked",
        "ready",
        "settings",
    )

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self._workers = settings.workers
        self.ready: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._processing: set[Key] = set()
        self._detached: set[Key] = set()
        self._busy = 0
        self.failures: dict[Key, int] = {}
        self._causes: dict[Key, int] = {}
        self._retries: dict[Key, int] = {}
        self._bucket = TokenBucket(settings.retry_qps, settings.retry_burst)
        self.ranked: list[Ranked] = []
        self.held: list[Held] = []
        self._turn = 0

    def add(self, key: Key, cause: int = 0) -> None:
        """Queue a key, unless it is queued already."""
        if cause:
            self._causes[key] = cause
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self.ready.append(key)

    def begin(self, key: Key) -> bool:
        """Let a free worker take up a key that comes while no other waits; False: it has to be added.

        It comes to the same as `add` and `get`, in a queue that nobody ranks.
        """
        if self.ready or self._busy >= self._workers or key in self._processing:
            return False
        self._processing.add(key)
        self._busy += 1
        return True

    @property
    def unranked(self) -> bool:
        """Is there something for `rank` to do: keys that came, or that are held back?"""
        return bool(self.ready or self.held)

    def rank(self, rank: Callable[[Key], Rank], now: int) -> list[tuple[int, Key]]:
        """Give keys that came a place by their rank, and let those go that were held back until now (ns).

        Returns the keys that may not have their turn early, with the times (ns) at which they are to come again.
        """
        later: list[tuple[int, Key]] = []
        while self.held and self.held[0][0] <= now:
            _, _, turn, key, order = heappop(self.held)
            heappush(self.ranked, (order, turn, key))
        while self.ready:
            key = self.ready.popleft()
            place = rank(key)
            self._turn += 1
            if place.until <= now:
                heappush(self.ranked, (place.order, self._turn, key))
            elif place.early:
                heappush(self.held, (place.until, place.held, self._turn, key, place.order))
            else:
                self._dirty.discard(key)
                later.append((place.until, key))
        return later

    def get(self) -> tuple[Key, int] | None:
        """The next key and the revision that caused it; None where none is waiting, or no worker is free."""
        if self._busy >= self._workers:
            return None
        if self.ranked:
            key = heappop(self.ranked)[2]
        elif self.held:
            key = heappop(self.held)[3]
        elif self.ready:
            key = self.ready.popleft()
        else:
            return None
        self._processing.add(key)
        self._busy += 1
        self._dirty.discard(key)
        return key, self._causes.pop(key, 0)

    def detach(self, key: Key) -> None:
        """The worker is free for another key, though this one is not done yet."""
        if key not in self._detached:
            self._detached.add(key)
            self._busy -= 1

    def done(self, key: Key) -> bool:
        """All that was ordered for a key is done. Says whether any key waits, of which a free worker may take one."""
        self._processing.discard(key)
        if self._detached and key in self._detached:
            self._detached.discard(key)
        else:
            self._busy -= 1
        if key in self._dirty:
            self.ready.append(key)
        return bool(self.ready or self.ranked or self.held)

    def failed(self, key: Key, now: int) -> int | None:
        """When a key that failed may be tried again; None where it is given up (until the next event).

        None too where the key is to be tried again before that anyway: it waits once, for the earliest of its times.
        Source: client-go/util/workqueue/delaying_queue.go: insert.
        """
        count = self.failures.get(key, 0)
        limit = self.settings.max_retries
        if limit is not None and count >= limit:
            self.failures.pop(key, None)
            return None
        self.failures[key] = count + 1
        delay = min(self.settings.base_delay << min(count, 62), self.settings.max_delay)
        due = max(now + delay, self._bucket.reserve(now))
        if self._retries.get(key, due + 1) <= due:
            return None
        self._retries[key] = due
        return due

    def retried(self, key: Key, due: int) -> bool:
        """Whether a key that was to be tried again at `due` still is: another failure may have hastened it."""
        if self._retries.get(key) != due:
            return False
        del self._retries[key]
        return True

    def reserve(self, now: int) -> int:
        """When the limit that all keys share lets one more come back."""
        return self._bucket.reserve(now)

    def succeeded(self, key: Key) -> None:
        """Forget that a key ever failed."""
        if self.failures:
            self.failures.pop(key, None)

    @property
    def idle(self) -> bool:
        """Nothing queued and nothing being worked on."""
        return not (self.ready or self.ranked or self.held or self._processing)

    def contents(self) -> Mapping[str, tuple[tuple[Any, ...], ...]]:
        """All that the next steps depend on, as facts by kind: keys that wait for a worker, and their places; keys that
        are held back, and until when; those that are to be queued again; how often each has failed; workers free early.
        """
        ranked = (key for _, _, key in sorted(self.ranked))
        return {
            "ready": (*enumerate(self.ready), *enumerate(ranked)),
            "held": tuple((until, key, order) for until, _, _, key, order in sorted(self.held)),
            "dirty": tuple((key,) for key in sorted(self._dirty) if key in self._processing),
            "failures": tuple(self.failures.items()),
            "detached": tuple((key,) for key in sorted(self._detached)),
        }

    def copy(self) -> WorkQueue:
        """An independent queue in the same state."""
        twin = WorkQueue(self.settings)
        twin.ready = self.ready.copy()
        twin._dirty = self._dirty.copy()
        twin._processing = self._processing.copy()
        twin._detached, twin._busy = self._detached.copy(), self._busy
        twin.failures = self.failures.copy()
        twin._causes = self._causes.copy()
        twin._retries = self._retries.copy()
        twin._bucket = self._bucket.copy()
        twin.ranked, twin.held, twin._turn = self.ranked.copy(), self.held.copy(), self._turn
        return twin
