"""Proofs about tables: complete, free of overlap, no row out of reach, over the domains of their columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import frozen

from k8sfsm.spec.domain import domain
from k8sfsm.spec.model import Hit
from k8sfsm.spec.unary import ANYTHING, Test, literal_text


@frozen
class Column:
    """A column of a table to prove: a sample value per class, with the bits of the rows that hold for it."""

    name: str
    samples: tuple[tuple[Any, int], ...]
    tested: int
    dead: tuple[int, ...]
    """Rows whose test of this column holds for no value of the fact's type."""


@frozen
class Proof:
    """What is wrong with a table. Witnesses are texts like ``deleting=false, surplus=0``."""

    gaps: tuple[str, ...] = ()
    overlaps: tuple[tuple[tuple[int, ...], str], ...] = ()
    unreachable: tuple[int, ...] = ()
    dead: tuple[tuple[int, str], ...] = ()


def column(name: str, annotation: Any, tests: Sequence[Test]) -> Column:
    """The classes of a column: `annotation` is its fact's return type, `tests` its cells, one per row."""
    by_rows: dict[int, Any] = {}
    for value in domain(annotation, tests):
        rows = sum(1 << row for row, test in enumerate(tests) if test.holds(value))
        by_rows.setdefault(rows, value)
    tested = sum(1 << row for row, test in enumerate(tests) if test != ANYTHING)
    held = 0
    for rows in by_rows:
        held |= rows
    dead = tuple(row for row in range(len(tests)) if not held >> row & 1)
    return Column(name, tuple((value, rows) for rows, value in by_rows.items()), tested, dead)


def _show(witness: Mapping[str, Any]) -> str:
    shown = (
        f"{name}={value!r}" if _plain(value) else f"{name}={literal_text(value)}" for name, value in witness.items()
    )
    return ", ".join(shown) or "any facts"


def _plain(value: Any) -> bool:
    return not (value is None or isinstance(value, bool | str | int | float))


def _needed(columns: Sequence[Column], place: int, alive: int) -> int:
    """With hit policy `first`: the rows up to the first that holds whatever the columns from `place` on say."""
    open_rows = 0
    for later in columns[place:]:
        open_rows |= later.tested
    settled = alive & ~open_rows
    lowest = settled & -settled
    return alive & (lowest | (lowest - 1)) if lowest else alive


def _leaves(columns: Sequence[Column], rows: int, hit: Hit) -> Iterator[tuple[int, dict[str, Any]]]:
    """Every set of rows that can hold together, each with one witness."""
    seen: set[tuple[int, int]] = set()
    stack: list[tuple[int, int, dict[str, Any]]] = [(0, (1 << rows) - 1, {})]
    while stack:
        place, alive, witness = stack.pop()
        if hit == "first":
            alive = _needed(columns, place, alive)
        while place < len(columns) and not columns[place].tested & alive:
            place += 1
        if (place, alive) in seen:
            continue
        seen.add((place, alive))
        if place == len(columns):
            yield alive, witness
            continue
        for value, holds in reversed(columns[place].samples):
            stack.append((place + 1, alive & holds, {**witness, columns[place].name: value}))


def prove(hit: Hit, columns: Sequence[Column], rows: int) -> Proof:
    """Look at every class of cases of a table with so many rows."""
    gaps: list[str] = []
    overlaps: dict[tuple[int, ...], str] = {}
    reached = 0
    for alive, witness in _leaves(columns, rows, hit):
        holding = tuple(row for row in range(rows) if alive >> row & 1)
        if not holding and hit != "collect":
            gaps.append(_show(witness))
        if len(holding) > 1 and hit == "unique":
            overlaps.setdefault(holding, _show(witness))
        reached |= alive & -alive if hit == "first" else alive
    dead = tuple((row, each.name) for each in columns for row in each.dead)
    known_dead = {row for row, _ in dead}
    unreachable = tuple(row for row in range(rows) if not reached >> row & 1 and row not in known_dead)
    return Proof(tuple(gaps), tuple(overlaps.items()), unreachable, dead)
