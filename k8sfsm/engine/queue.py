"""The work queue of a controller, with client-go's rules, in virtual time.

A key is in the queue at most once; a key that comes while it is being worked on is queued again afterwards.
Source: staging/src/k8s.io/client-go/util/workqueue/queue.go, default_rate_limiters.go.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import frozen

from k8sfsm.request import Key

SECOND: Final = 1_000_000_000
MILLISECOND: Final = 1_000_000
_LONG_AGO: Final = -(1 << 62)


@frozen(kw_only=True)
class QueueSettings:
    """Workers, and the delays between retries of a failing key (nanoseconds). `max_retries` None: for ever."""

    workers: int = 1
    base_delay: int = 5 * MILLISECOND
    max_delay: int = 1000 * SECOND
    max_retries: int | None = None


class TokenBucket:
    """A rate limit: `rate` per second sustained, `burst` at once. A rate of 0 is no limit."""

    __slots__ = ("_interval", "_next", "burst")

    def __init__(self, rate: float, burst: int) -> None:
        self._interval = round(SECOND / rate) if rate else 0
        self.burst = burst
        self._next = _LONG_AGO

    def reserve(self, now: int) -> int:
        """Take one token and return when it may be used (`now` or later)."""
        if not self._interval:
            return now
        full = now - self._interval * (self.burst - 1)
        self._next = max(self._next, full)
        granted = max(now, self._next)
        self._next += self._interval
        return granted

    def copy(self) -> TokenBucket:
        """An independent bucket with as many tokens."""
        twin = TokenBucket(0, self.burst)
        twin._interval, twin._next = self._interval, self._next
        return twin


class WorkQueue:
    """Keys to work on. The revision that caused a key to be queued is kept with it, for the trace."""

    __slots__ = ("_bucket", "_busy", "_causes", "_detached", "_dirty", "_failures", "_processing", "_ready", "settings")

    def __init__(self, settings: QueueSettings) -> None:
        self.settings = settings
        self._ready: deque[Key] = deque()
        self._dirty: set[Key] = set()
        self._processing: set[Key] = set()
        self._detached: set[Key] = set()
        self._busy = 0
        self._failures: dict[Key, int] = {}
        self._causes: dict[Key, int] = {}
        self._bucket = TokenBucket(10, 100)

    def add(self, key: Key, cause: int = 0) -> None:
        """Queue a key, unless it is queued already."""
        if cause:
            self._causes[key] = cause
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._processing:
            self._ready.append(key)

    def has_work(self) -> bool:
        """Is a key waiting and a worker free?"""
        return bool(self._ready) and self._busy < self.settings.workers

    def get(self) -> tuple[Key, int]:
        """The next key and the revision that caused it. IndexError where none is waiting."""
        key = self._ready.popleft()
        self._processing.add(key)
        self._busy += 1
        self._dirty.discard(key)
        return key, self._causes.pop(key, 0)

    def detach(self, key: Key) -> None:
        """The worker is free for another key, though this one is not done yet."""
        if key not in self._detached:
            self._detached.add(key)
            self._busy -= 1

    def done(self, key: Key) -> None:
        """All that was ordered for a key is done."""
        self._processing.discard(key)
        if key in self._detached:
            self._detached.discard(key)
        else:
            self._busy -= 1
        if key in self._dirty:
            self._ready.append(key)

    def failed(self, key: Key, now: int) -> int | None:
        """When a key that failed may be tried again; None where it is given up (until the next event)."""
        count = self._failures.get(key, 0)
        limit = self.settings.max_retries
        if limit is not None and count >= limit:
            self._failures.pop(key, None)
            return None
        self._failures[key] = count + 1
        delay = min(self.settings.base_delay << min(count, 62), self.settings.max_delay)
        return max(now + delay, self._bucket.reserve(now))

    def reserve(self, now: int) -> int:
        """When the limit that all keys share lets one more come back."""
        return self._bucket.reserve(now)

    def succeeded(self, key: Key) -> None:
        """Forget that a key ever failed."""
        self._failures.pop(key, None)

    @property
    def idle(self) -> bool:
        """Nothing queued and nothing being worked on."""
        return not self._ready and not self._processing

    def contents(self) -> tuple[tuple[Key, ...], tuple[Key, ...], dict[Key, int]]:
        """Keys that wait for a worker, in order; those that are to be queued again; how often each has failed."""
        again = tuple(sorted(key for key in self._dirty if key in self._processing))
        return tuple(self._ready), again, self._failures

    def copy(self) -> WorkQueue:
        """An independent queue in the same state."""
        twin = WorkQueue(self.settings)
        twin._ready = self._ready.copy()
        twin._dirty = self._dirty.copy()
        twin._processing = self._processing.copy()
        twin._detached, twin._busy = self._detached.copy(), self._busy
        twin._failures = self._failures.copy()
        twin._causes = self._causes.copy()
        twin._bucket = self._bucket.copy()
        return twin
