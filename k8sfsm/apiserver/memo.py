"""Results that are found again by the identity of what they were computed from.

Thousands of Pods come from one template. What the server makes of a template, and of nothing else, it needs to compute
once. An entry keeps what it was computed from, so no other object can take its place; a memo can only miss.
"""

from __future__ import annotations

from typing import Any, Final

_SIZE: Final = 4096


class Memo:
    """Maps tuples of immutable objects, by identity, to results. It is emptied when it is full."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[tuple[int, ...], tuple[tuple[Any, ...], Any]] = {}

    def get(self, parts: tuple[Any, ...]) -> Any | None:
        """The result for exactly these objects, or None."""
        entry = self._entries.get(tuple(map(id, parts)))
        return None if entry is None else entry[1]

    def put(self, parts: tuple[Any, ...], result: Any) -> None:
        """Keep a result, and what it was computed from."""
        if len(self._entries) >= _SIZE:
            self._entries.clear()
        self._entries[tuple(map(id, parts))] = (parts, result)

    def forget(self) -> None:
        """Remember nothing any more."""
        self._entries.clear()

    def __len__(self) -> int:
        return len(self._entries)
