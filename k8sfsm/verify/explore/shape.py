"""The shape of a value: what it says without the names that chance gave, and those names and moments beside it.

Pods with generated names, uids, addresses and nodes of one make are interchangeable: two states that differ in nothing
else have the same future. So a value is taken apart into a digest that is free of such names (`symbols`), revisions and
times, the symbols in the order in which they occur, and the times.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

import attrs
from attrs import frozen
from immutables import Map

from k8sfsm.engine.choices import ALPHABET, SUFFIX_LENGTH
from k8sfsm.objects import Quantity
from k8sfsm.view import View

_TIME: Final = 1 << 58
"""Numbers from here on are moments in nanoseconds since the epoch: after 1979."""
_UID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
_GENERATED: Final = re.compile(rf".+-[{ALPHABET}]{{{SUFFIX_LENGTH}}}\Z")
_ADDRESS: Final = re.compile(r"(10\.24\d|192\.168)\.\d+\.\d+(/\d+)?\Z")
_OPAQUE: Final = ("containerd://",)
_UNTOLD: Final = frozenset(
    {
        "alike",
        "cause",
        "checked",
        "last_address",
        "law",
        "past",
        "requests",
        "resource_version",
        "revision",
        "revisions",
        "sent_at",
        "view",
        "why",
    }
)
"""Fields that tell of the way to a state, not of the state: revisions, caches, reasons."""
_DEEPEST: Final = 40


@frozen
class Shape:
    """`digest` of what is said; `symbols` in the order in which they occur; `times` (ns) likewise."""

    digest: int
    symbols: tuple[str, ...]
    times: tuple[int, ...]


class Shapes:
    """Takes values apart; what was taken apart before is known.

    `names`: further texts that are symbols; `fixed`: texts that are none, though they look like one.
    """

    def __init__(self, names: frozenset[str], fixed: frozenset[str] = frozenset()) -> None:
        self._names = names
        self._proper = fixed
        self._fixed: dict[int, tuple[Any, Shape]] = {}

    def of(self, value: Any) -> Shape:
        """The shape of a value that does not change and lives on: what was taken apart once is known."""
        known = self._fixed.get(id(value))
        if known is not None:
            return known[1]
        shape = self._taken_apart(value)
        self._fixed[id(value)] = (value, shape)  # the value is kept, so that its id stays its own
        return shape

    def once(self, value: Any) -> Shape:
        """The shape of a value that is not worth keeping; its parts may be."""
        parts: list[str] = []
        symbols: list[str] = []
        times: list[int] = []
        self._tell(value, parts, symbols, times, 0)
        return Shape(digest_of("\x1f".join(parts)), tuple(symbols), tuple(times))

    def _taken_apart(self, value: Any) -> Shape:
        parts: list[str] = []
        symbols: list[str] = []
        times: list[int] = []
        self._compound(value, parts, symbols, times, 1)
        return Shape(digest_of("\x1f".join(parts)), tuple(symbols), tuple(times))

    def _tell(self, value: Any, parts: list[str], symbols: list[str], times: list[int], depth: int) -> None:
        way = _WAYS.get(value.__class__) or _way_of(value)
        if way == "text":
            self._text(value, parts, symbols)
        elif way == "literal":
            parts.append(repr(value))
        elif way == "number":
            if value >= _TIME:
                parts.append("@")
                times.append(value)
            else:
                parts.append(str(value))
        elif way == "untold" or depth > _DEEPEST:
            parts.append("...")
        elif way == "pure":
            parts.append(value.__class__.__name__)
        elif way == "kept":
            known = self.of(value)
            parts.append(f"<{known.digest}>")
            symbols += known.symbols
            times += known.times
        else:
            self._compound(value, parts, symbols, times, depth + 1)

    def _is_name(self, text: str) -> bool:
        return text in self._names or (_by_form(text) and text not in self._proper)

    def _text(self, value: str, parts: list[str], symbols: list[str]) -> None:
        if self._is_name(value):
            parts.append("$")
            symbols.append(value)
        elif value.startswith(_OPAQUE):
            parts.append("#")
        elif "/" in value and self._is_name(name := value.rpartition("/")[2]):
            parts.append(value.removesuffix(name))
            symbols.append(name)
        else:
            parts.append(value)

    def _compound(self, value: Any, parts: list[str], symbols: list[str], times: list[int], depth: int) -> None:
        if isinstance(value, Quantity):
            parts.append(str(value))
        elif isinstance(value, tuple | list | deque):
            parts.append("(")
            for item in value:
                self._tell(item, parts, symbols, times, depth)
            parts.append(")")
        elif isinstance(value, Mapping | Map):
            self._mapping(value, parts, symbols, times, depth)
        elif isinstance(value, set | frozenset):
            self._mapping(dict.fromkeys(value), parts, symbols, times, depth)
        elif attrs.has(type(value)):
            parts.append(type(value).__name__)
            for name in _fields(type(value)):  # type: ignore[arg-type]
                self._tell(getattr(value, name), parts, symbols, times, depth)
        elif callable(value):
            self._function(value, parts, symbols, times, depth)
        else:
            parts.append(type(value).__name__)
            self._mapping(_held(value), parts, symbols, times, depth)

    def _mapping(self, value: Any, parts: list[str], symbols: list[str], times: list[int], depth: int) -> None:
        """Entries in an order that does not depend on symbols: by the shapes of key and item."""
        entries = []
        for key, item in value.items():
            own: tuple[list[str], list[str], list[int]] = ([], [], [])
            self._tell(key, *own, depth)
            self._tell(item, *own, depth)
            entries.append(own)
        parts.append("{")
        for words, names, moments in sorted(entries, key=lambda own: (own[0], own[2])):
            parts += words
            symbols += names
            times += moments
        parts.append("}")

    def _function(self, value: Any, parts: list[str], symbols: list[str], times: list[int], depth: int) -> None:
        """A function that goes on later: its name, and what it holds."""
        parts.append(getattr(value, "__qualname__", type(value).__name__))
        for cell in getattr(value, "__closure__", None) or ():
            self._tell(cell.cell_contents, parts, symbols, times, depth)


_WAYS: Final[dict[type, str]] = {}
"""How values of a type are told."""


def _way_of(value: Any) -> str:
    kind = value.__class__
    if issubclass(kind, str):
        way = "text"
    elif value is None or issubclass(kind, bool | float):
        way = "literal"
    elif issubclass(kind, int):
        way = "number"
    elif issubclass(kind, View):
        way = "untold"
    elif hasattr(kind, "reconcile"):
        way = "pure"  # a controller: what it keeps makes it faster, and changes no decision
    else:
        way = "kept" if issubclass(kind, Map) or attrs.has(kind) else "compound"
    return _WAYS.setdefault(kind, way)


@lru_cache(maxsize=1024)
def _fields(cls: type) -> tuple[str, ...]:
    return tuple(part.name for part in attrs.fields(cls) if part.name not in _UNTOLD)


def _held(value: Any) -> dict[str, Any]:
    """What an object holds, without what it has worked out from that (its lazy attributes)."""
    kind, held = value.__class__, getattr(value, "__dict__", {})
    return {name: item for name, item in held.items() if name not in _UNTOLD and not hasattr(kind, name)}


@lru_cache(maxsize=65536)
def _by_form(text: str) -> bool:
    return any(form.match(text) is not None for form in (_UID, _GENERATED, _ADDRESS))


def digest_of(text: str) -> int:
    """64 bits of a text, the same on every machine."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
