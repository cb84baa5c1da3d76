"""Judges a part of an object by the table of its type: one row is one thing that a field must be.

Columns of such a table: its conditions, and then
`at`     the field: a path of JSON names; `[]` means each entry of a list, `{}` each entry of a map;
`must`   the constraint (see `constraints.py`); none: that the row holds is the error;
`of`     what the constraint is about: choices, bounds, a format, the table of the part;
`error`  the type of the error; `detail` its text, with what the constraint fills in;
`as`     the field that the error names, where that is another one than `at`;
`show`   the field whose value is shown as the bad one, or `nothing`, or the name of a Go type to show it as.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, Final, TypeAlias

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.faults import Fault, shown
from k8sfsm.apiserver.valid.gotypes import GO_TYPES, as_go
from k8sfsm.value import value

ABSENT: Final = object()
"""The value to show where the field's own is meant."""


@value
class Row:
    """A row of such a table. `named`: the column `as`."""

    at: str = ""
    must: str = ""
    of: Any = None
    error: str = ""
    detail: str = ""
    named: str | None = None
    show: str = ""

    @classmethod
    def read(cls, cells: Mapping[str, Any]) -> Row:
        """A row from its outputs; absent cells are empty."""
        found = {name: cell for name, cell in cells.items() if cell is not None}
        if "as" in found:
            found["named"] = found.pop("as")
        return cls(**found)


@value
class Spot:
    """A field of a part. `whole`: the part; `path`: the field's; `value`, `old`: None where there is nothing."""

    whole: Part
    path: str
    value: Any
    old: Any = None

    def fault(self, row: Row, detail: str = "", found: Any = ABSENT, under: str = "") -> Fault:
        """The error of a row. `found`: the value to show, if not the field's; `under`: where below the field."""
        path = self.path + under
        if row.named is not None:
            path = _joined(self.whole.path, row.named)
        return Fault(path, row.error or "Invalid value", shown(self._shown(row, found)), detail or row.detail)

    def _shown(self, row: Row, found: Any) -> Any:
        show = row.show
        if found is not ABSENT or not show:
            return self.value if found is ABSENT else found
        if show == "nothing":
            return ""
        if show in GO_TYPES:
            return as_go(show, self.value)
        return next((spot.value for spot in spots(self.whole, show)), None)


Constraint: TypeAlias = Callable[[Spot, Row], Iterable[Fault]]
CONSTRAINTS: Final[dict[str, Constraint]] = {}
"""Constraints by the name that rows give them."""


def constraint(name: str) -> Callable[[Constraint], Constraint]:
    """Register a constraint under a name."""

    def register(function: Constraint) -> Constraint:
        CONSTRAINTS[name] = function
        return function

    return register


def judged(part: Part) -> Iterator[Fault]:
    """The errors of a part and of what is in it, in the order of the table. `part.table` names the table."""
    if not isinstance(part.value, Mapping):
        yield Fault(part.path, "Invalid value", shown(part.value), "must be an object")
        return
    for decision in law.collect(part.table, part):
        row = _row(decision.outputs)
        check = CONSTRAINTS[row.must or "never"]
        for spot in spots(part, row.at):
            yield from check(spot, row)


_ROWS: Final[dict[int, tuple[Mapping[str, Any], Row]]] = {}
"""Rows by the identity of their outputs, which a table keeps as long as it lives."""


def _row(cells: Mapping[str, Any]) -> Row:
    known = _ROWS.get(id(cells))
    if known is None or known[0] is not cells:
        known = _ROWS[id(cells)] = (cells, Row.read(cells))
    return known[1]


def spots(part: Part, at: str) -> Iterator[Spot]:
    """The fields that a path leads to. A field that is absent is one; one in a part that is absent is none."""
    return _below(part, part.path, part.value, part.old, steps_of(at))


def _below(part: Part, path: str, found: Any, old: Any, steps: tuple[str, ...]) -> Iterator[Spot]:
    if not steps:
        yield Spot(part, path, found, old)
        return
    step, rest = steps[0], steps[1:]
    if step == "[]":
        for index, item in enumerate(found if isinstance(found, list | tuple) else ()):
            yield from _below(part, f"{path}[{index}]", item, _entry(old, index), rest)
    elif step == "{}":
        for name, item in found.items() if isinstance(found, Mapping) else ():
            yield from _below(part, f"{path}[{name}]", item, _entry(old, name), rest)
    elif isinstance(found, Mapping) and (not rest or found.get(step) is not None):
        yield from _below(part, _joined(path, step), found.get(step), _entry(old, step), rest)


def _entry(old: Any, place: Any) -> Any:
    if isinstance(old, Mapping):
        return old.get(place)
    return old[place] if isinstance(old, list | tuple) and isinstance(place, int) and place < len(old) else None


_STEP: Final = re.compile(r"\[\]|\{\}|[^.\[\]{}]+")


@cache
def steps_of(at: str) -> tuple[str, ...]:
    """The steps of a path: names, `[]` for each entry of a list, `{}` for each of a map."""
    return tuple(_STEP.findall(at))


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
