"""What has happened to a pod on its node: pods of which that is the same have the same past.

What a runtime knows of a pod follows from the events that it had, but for addresses and ids. So who wants to know
whether the runtimes of two nodes know the same of their pods has two pasts to compare, and nothing to read.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, Final

_SIZE: Final = 8192


class Past:
    """All that has happened, and when. There may be several of the same content, none of which stands for another.

    `pulls`: what became of the pulls of images, which has nothing of the pod's own in it; None: nobody looked yet.
    """

    __slots__ = ("latest", "pulls")

    def __init__(self) -> None:
        self.pulls: Any = None
        self.latest: tuple[Any, Past] | None = None


NOTHING_YET: Final = Past()
_KNOWN: dict[Hashable, Past] = {}


def after(
    past: Past | None, event: Any, told: Callable[[Any], Hashable], same: Callable[[Any, Any], bool]
) -> Past | None:
    """The past once `event` has happened too; None: of what happened before not all is known.

    `told`: what of an event makes a difference; `same`: whether that is the same of two.
    """
    if past is None:
        return None
    latest = past.latest
    if latest is not None and same(latest[0], event):
        return latest[1]  # most often the same happens to one pod after the other
    what = (past, told(event))
    found = _KNOWN.get(what)
    if found is None:
        if len(_KNOWN) >= _SIZE:
            _KNOWN.clear()
        found = _KNOWN[what] = Past()
    past.latest = (event, found)
    return found
