"""What has happened to a pod on its node: pods of which that is the same have the same past.

What a runtime knows of a pod follows from the events that it had, but for addresses and ids. So who wants to know
whether the runtimes of two nodes know the same of their pods has two pasts to compare, and nothing to read.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

_SIZE: Final = 8192


class Past:
    """All that has happened, and when. There may be several of the same content, none of which stands for another."""

    __slots__ = ()


NOTHING_YET: Final = Past()
_KNOWN: dict[Hashable, Past] = {}


def after(past: Past | None, event: Hashable) -> Past | None:
    """The past once `event` has happened too; None: of what happened before not all is known."""
    if past is None:
        return None
    found = _KNOWN.get((past, event))
    if found is None:
        if len(_KNOWN) >= _SIZE:
            _KNOWN.clear()
        found = _KNOWN[past, event] = Past()
    return found
