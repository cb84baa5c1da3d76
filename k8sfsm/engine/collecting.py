"""How often Python looks for garbage in cycles while an engine runs.

A run makes hundreds of thousands of values that live on in the store and its history, and next to no cycles; looking
through them again and again would cost a fifth of its time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SELDOM: Final = (2_000_000, 20, 100)
"""New objects per collection of the young generation, and collections of a generation per one of the next."""


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect garbage seldom until the block ends. Nothing changes where it is off, or collected more seldom.

    What was made in the block is garbage of the oldest generation afterwards, if it is any.
    """
    before = gc.get_threshold()
    if 0 < before[0] < SELDOM[0]:
        gc.set_threshold(*SELDOM)
    try:
        yield
    finally:
        if gc.get_threshold() != before:
            _grow_old()
            gc.set_threshold(*before)


def _grow_old() -> None:
    """Count all that is young as old, without looking at it.

    With the usual threshold back Python would look through all of it at once, which takes longer than many a run.
    """
    if not gc.get_freeze_count():
        gc.freeze()
        gc.unfreeze()
