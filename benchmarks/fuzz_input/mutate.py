"""Spoils texts and values in the ways in which files get spoilt, and in some in which they do not."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from typing import Any

DEEP = 100_000
ODD: tuple[Any, ...] = (
    None,
    "",
    [],
    {},
    0,
    -1,
    2**70,
    1.5,
    float("1e400"),
    True,
    False,
    "x" * 300,
    "\x00",
    "é\u2028",
    "null",
    "0",
    "-0",
    "1e9999",
    "2026-13-45T99:99:99Z",
    "100%",
    "1Ei",
    [None],
    [[]],
    {"": None},
    {"name": None},
    [{"name": {}}],
    {"a": {"b": [1, {"c": "d"}]}},
)
"""Values that stand where nobody expects them."""
BITS: tuple[str, ...] = (
    "null",
    "[]",
    "{}",
    "-1",
    "1e999",
    ".inf",
    ".nan",
    "NaN",
    '"',
    "'",
    "\\ud800",
    '"\\ud800"',
    "\x00",
    "\ufeff",
    "\t",
    "---\n",
    "...\n",
    "&a [*a]",
    "*a",
    "!!python/object:os.system x",
    "!!binary x",
    "<<: 1",
    "? ",
    ": ",
    "- ",
    "%YAML 9.9\n",
    "@",
    "`",
    "|\n",
    "0x",
    "1_000",
    "2001-01-01",
    "~",
    "{" * 60,
    "[" * 60,
    "é",
    "\u2028",
    "9" * 40,
    "9" * 5000,
)


def spoilt_text(chance: random.Random, text: str, others: Sequence[str]) -> str:
    """A text after a few changes: characters gone, doubled, exchanged, odd bits put in, parts of another text."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        text = chance.choice(_TEXT)(chance, text, others)
    return text


def _span(chance: random.Random, text: str) -> tuple[int, int]:
    start = chance.randrange(len(text) + 1)
    return start, min(len(text), start + chance.choice((1, 1, 2, 5, 20, 200)))


def _cut(chance: random.Random, text: str, others: Sequence[str]) -> str:
    start, end = _span(chance, text)
    return text[:start] + text[end:]


def _double(chance: random.Random, text: str, others: Sequence[str]) -> str:
    start, end = _span(chance, text)
    return text[:end] + text[start:]


def _insert(chance: random.Random, text: str, others: Sequence[str]) -> str:
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(BITS) + text[at:]


def _replace(chance: random.Random, text: str, others: Sequence[str]) -> str:
    start, end = _span(chance, text)
    return text[:start] + chance.choice(BITS) + text[end:]


def _splice(chance: random.Random, text: str, others: Sequence[str]) -> str:
    other = chance.choice(others)
    start, end = _span(chance, other)
    at = chance.randrange(len(text) + 1)
    return text[:at] + other[start:end] + text[at:]


def _line(chance: random.Random, text: str, others: Sequence[str]) -> str:
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = chance.choice(("", lines[at] * 2, "  " + lines[at], lines[at].strip(), chance.choice(lines)))
    return "\n".join(lines)


def _end(chance: random.Random, text: str, others: Sequence[str]) -> str:
    return text[: chance.randrange(len(text) + 1)]


_TEXT: tuple[Callable[[random.Random, str, Sequence[str]], str], ...] = (
    _cut,
    _double,
    _insert,
    _replace,
    _splice,
    _line,
    _end,
)


def spoilt_value(chance: random.Random, value: Any) -> Any:
    """A JSON value after a few changes: parts gone, exchanged, renamed, of another type."""
    value = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        value = _spoil(chance, value)
    return value


def places(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a value."""
    found: list[tuple[Any, Any]] = []
    todo = [value]
    while todo:
        part = todo.pop()
        keys: Any = list(part) if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
        for key in keys:
            found.append((part, key))
            todo.append(part[key])
    return found


def _spoil(chance: random.Random, value: Any) -> Any:
    spots = places(value)
    if not spots:
        return copy.deepcopy(chance.choice(ODD))
    holder, key = chance.choice(spots)
    how = chance.randrange(6)
    if how == 0:
        del holder[key]
    elif how == 1 and isinstance(holder, dict):
        holder[chance.choice((*map(str, (key, "", "$patch", "name", 0)), f"{key}x"))] = holder.pop(key)
    elif how == 2:
        other, place = chance.choice(spots)
        found = other.get(place) if isinstance(other, dict) else other[place] if place < len(other) else None
        holder[key] = copy.deepcopy(found)
    elif how == 3 and isinstance(holder[key], str):
        holder[key] = spoilt_text(chance, holder[key], [holder[key]])[:400]
    elif how == 4 and isinstance(holder[key], int | float):
        holder[key] = chance.choice((-holder[key], holder[key] * 10**9, str(holder[key]), 0))
    else:
        holder[key] = copy.deepcopy(chance.choice(ODD))
    return value
