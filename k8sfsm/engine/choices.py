"""Where a real cluster leaves something to chance, a policy chooses: name suffixes, uids, scheduler ties, delays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from struct import Struct
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from k8sfsm.apiserver import Sender
from k8sfsm.request import Key, Write

ALPHABET: Final = "bcdfghjklmnpqrstvwxz2456789"
"""Characters of generated names. Source: apimachinery/pkg/util/rand/rand.go: alphanums."""

SUFFIX_LENGTH: Final = 5
_PAIRS: Final = [first + second for second in ALPHABET for first in ALPHABET]
_TRIPLES: Final = [pair + third for third in ALPHABET for pair in _PAIRS]
"""Two, and three, characters by their number: the first one counts least."""
_SUFFIXES: Final = len(ALPHABET) ** SUFFIX_LENGTH
_MASK: Final = (1 << 64) - 1
_VERSION: Final = 0x4000
_OF_VERSION: Final = _MASK - 0xF000
"""Bits of the first half of a UUID: its version; all but that."""
_VARIANT: Final = 1 << 63
_OF_VARIANT: Final = (1 << 62) - 1
"""Bits of the second half: its variant; all but that."""
_GAMMA: Final = 0x9E3779B97F4A7C15
_FIRST: Final = 0xBF58476D1CE4E5B9
_SECOND: Final = 0x94D049BB133111EB
"""Constants of SplitMix64."""
_MANY: Final = 32
_MOST: Final = 1024
"""From how many numbers on they are mixed together; how many are drawn ahead at the most."""
Lot: TypeAlias = str | int
"""A uid, or the state of SplitMix64 before its numbers."""
_two_words: Final = Struct(">QQ").pack


class Choices(Protocol):
    """Everything that chance decides in a cluster."""

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        """Five characters to put behind `base`, the generateName of a new object."""

    def uid(self, key: Key) -> str:
        """The uid of a new object."""

    def lot(self, key: Key) -> Lot:
        """The uid of a new object, to be read when somebody looks at it (`uid_of`)."""

    def node(self, candidates: Sequence[str], pod: Key) -> str:
        """One of the equally good nodes for a pod."""

    def delay(self, base: int) -> int:
        """How long something takes that takes about `base` nanoseconds."""

    @property
    def tie(self) -> Callable[[Key], int] | None:
        """The place of an object among those that a comparison does not tell apart; lower goes first. None: they stay
        in the order in which they come.
        """

    @property
    def exact(self) -> bool:
        """Whether everything takes as long as it usually does: `delay`, `start` and `arrival` need not be asked."""

    def start(self, sender: Sender, key: Key, now: int) -> int:
        """When a worker of an actor, free at `now`, takes up a key (ns)."""

    def arrival(self, write: Write, sender: Sender, now: int, base: int) -> int:
        """When a write that is sent at `now` reaches the API server (ns); it takes about `base` nanoseconds."""

    def index(self, count: int) -> int:
        """A number from 0 to `count` - 1."""

    def recorded(self, purpose: str, key: Key) -> str:
        """What a recorded cluster chose for an object ("clusterIP", "nodePort/80"); "" where there is none."""

    def fork(self) -> Choices:
        """Independent choices that go on as these would."""


def mixed(state: int) -> int:
    """The number of a state of SplitMix64; the state after it is larger by a constant."""
    z = ((state ^ (state >> 30)) * _FIRST) & _MASK
    z = ((z ^ (z >> 27)) * _SECOND) & _MASK
    return z ^ (z >> 31)


def mixed_together(states: np.ndarray[Any, np.dtype[np.uint64]]) -> list[int]:
    """The numbers of many states."""
    z = (states ^ (states >> np.uint64(30))) * np.uint64(_FIRST)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(_SECOND)
    found: list[int] = (z ^ (z >> np.uint64(31))).tolist()
    return found


_STRIDES: Final = np.arange(1, _MOST + 1, dtype=np.uint64) * np.uint64(_GAMMA)


def uid_of(lot: Lot) -> str:
    """The uid that a lot stands for."""
    if isinstance(lot, str):
        return lot
    return _uuid(mixed((lot + _GAMMA) & _MASK), mixed((lot + 2 * _GAMMA) & _MASK))


def _uuid(first: int, second: int) -> str:
    """A version 4 UUID of two numbers."""
    text = _two_words(first & _OF_VERSION | _VERSION, second & _OF_VARIANT | _VARIANT).hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Seeded:
    """Choices from a seed (SplitMix64): the same seed gives the same choices on every machine.

    `jitter` 0 keeps every delay as it is; 1 draws it between half and three times its length. Numbers are drawn ahead,
    each time twice as many as before: one that is forked often draws few that nobody asks for.
    """

    __slots__ = ("_ahead", "_jitter", "_many", "_state", "exact")
    tie = None

    def __init__(self, seed: int = 0, jitter: int = 0) -> None:
        self._state = seed & _MASK
        self._jitter = jitter
        self.exact = not jitter
        self._ahead: list[int] = []
        self._many = 1

    def _draw(self) -> int:
        return self._ahead.pop() if self._ahead else self._draw_ahead()

    def _draw_ahead(self) -> int:
        """The next number; those that are drawn with it come after it. `_state` is the one after them all."""
        state, many = self._state, self._many
        self._state = (state + many * _GAMMA) & _MASK
        self._many = min(2 * many, _MOST)
        if many == 1:
            return mixed(self._state)
        if many < _MANY:
            found = [mixed((state + place * _GAMMA) & _MASK) for place in range(1, many + 1)]
        else:
            found = mixed_together(_STRIDES[:many] + np.uint64(state))
        found.reverse()
        self._ahead = found
        return found.pop()

    def index(self, count: int) -> int:
        """A number from 0 to `count` - 1."""
        return self._draw() % count

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        """Five characters of the alphabet of generated names."""
        rest, first = divmod(self._draw() % _SUFFIXES, len(_TRIPLES))
        return _TRIPLES[first] + _PAIRS[rest]

    def uid(self, key: Key) -> str:
        """A version 4 UUID."""
        ahead = self._ahead
        return _uuid(ahead.pop(), ahead.pop()) if len(ahead) > 1 else _uuid(self._draw(), self._draw())

    def lot(self, key: Key) -> Lot:
        """The state before the numbers of a UUID, which are left aside."""
        ahead = self._ahead
        state = (self._state - len(ahead) * _GAMMA) & _MASK
        if len(ahead) > 1:
            del ahead[-2:]
        else:
            self._draw()
            self._draw()
        return state

    def node(self, candidates: Sequence[str], pod: Key) -> str:
        """Any of the candidates."""
        return candidates[self.index(len(candidates))]

    def delay(self, base: int) -> int:
        """`base`, or with jitter between half and three times of it."""
        if not self._jitter or not base:
            return base
        return base // 2 + base * 5 * self.index(1000) // 2000

    def recorded(self, purpose: str, key: Key) -> str:
        """Nothing is recorded."""
        return ""

    def start(self, sender: Sender, key: Key, now: int) -> int:
        """At once."""
        return now

    def arrival(self, write: Write, sender: Sender, now: int, base: int) -> int:
        """After the usual time."""
        return now + (self.delay(base) if self._jitter else base)

    def fork(self) -> Seeded:
        """The same generator in the same state."""
        return Seeded(self._state - len(self._ahead) * _GAMMA, self._jitter)
