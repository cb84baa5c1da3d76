"""How often Python looks for garbage in cycles while an engine runs.

A run makes millions of values that live on in the store and its history, and next to no cycles; looking through them
again and again, or even once each, would cost up to a fifth of its time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

SELDOM: Final = (2_000_000, 20, 100)
"""New objects per collection of the young generation, and collections of a generation per one of the next."""
SPARED: Final = 7
"""So many collections are left out after one that found nothing."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect garbage seldom until the block ends. Nothing changes where it is off, or collected more seldom.

    What was made in the block is garbage of the oldest generation afterwards, if it is any.
    """
    before = gc.get_threshold()
    if not 0 < before[0] < SELDOM[0]:
        yield
        return
    sparing = _Sparing()
    gc.set_threshold(*SELDOM)
    gc.callbacks.append(sparing)
    try:
        yield
    finally:
        gc.callbacks.remove(sparing)
        _grow_old()
        gc.set_threshold(*before)


class _Sparing:
    """Told of every collection: after one that found nothing, the next ones are left with nothing to look through."""

    def __init__(self) -> None:
        self.left = 0
        self._spared = False

    def __call__(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            self._spared = self.left > 0
            if self._spared:
                self.left -= 1
                _grow_old()
        elif not self._spared:
            self.left = 0 if info["collected"] else SPARED


def _grow_old() -> None:
    """Count all that is young as old, without looking at it.

    With the usual threshold back Python would look through all of it at once, which takes longer than many a run.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
