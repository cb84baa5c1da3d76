"""Mutants of specs: small changes that some test must notice.

`mutants(load_specs(path))` lists them in a stable order; `write_mutant` writes a copy of the spec directory with one of
them in it, to be used through `K8SFSM_SPECS`. Comments are not carried over in the file that changes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from attrs import frozen

from k8sfsm.spec.amendment import DELETE, Place, change
from k8sfsm.spec.mistakes import Position, SpecError
from k8sfsm.spec.model import ABSENT, Comparison, Controller, Machine, Region, Specs
from k8sfsm.spec.source import read_yaml, yaml_text
from k8sfsm.spec.unary import Is, is_number, parse_test

Operation: TypeAlias = Literal[
    "delete-row",
    "flip-boolean",
    "flip-comparison",
    "drop-value",
    "change-number",
    "change-output",
    "flip-first",
    "drop-action",
    "swap-actor",
    "swap-target",
    "drop-guard",
    "change-constant",
]

OPPOSITE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


@frozen(kw_only=True)
class Mutant:
    """A change of one place in one file: `value` replaces what stands there, or `DELETE` takes it out.

    `file` is relative to the spec directory; `rule` the path of the rule that changes; `at` its position.
    """

    operation: Operation
    rule: str
    file: str
    place: Place
    value: Any
    at: Position
    says: str

    @property
    def id(self) -> str:
        """A stable name: operation, rule and what changes."""
        detail = "/".join(map(str, self.place))
        return f"{self.operation}:{self.rule}:{detail}"

    def __str__(self) -> str:
        return f"{self.at}: {self.operation} {self.rule}: {self.says}"


def opposite_text(text: str) -> str | list[str] | None:
    """The opposite of a test in text form, or None for an interval."""
    operator, _, rest = text.partition(" ")
    if operator in OPPOSITE and rest:
        return f"{OPPOSITE[operator]} {rest}"
    if text.startswith("!="):
        return text[2:].strip()
    if text.startswith("not") and text.endswith("]"):
        return [word.strip() for word in text[text.index("[") + 1 : -1].split(",")]
    for operator in ("<=", ">=", "<", ">"):
        if text.startswith(operator):
            return f"{OPPOSITE[operator]} {text[len(operator) :]}"
    return None if text.startswith(("[", "(")) else f"!= {text}"


@frozen
class _Row:
    """A row being mutated: where it is, and what its mutants share."""

    rule: str
    file: str
    place: Place
    at: Position

    def mutant(self, operation: Operation, place: Place, value: Any, says: str, at: Position | None = None) -> Mutant:
        where = (*self.place, *place)
        return Mutant(
            operation=operation, rule=self.rule, file=self.file, place=where, value=value, at=at or self.at, says=says
        )

    def delete(self) -> Mutant:
        return self.mutant("delete-row", (), DELETE, "the row is gone")


def _tests(row: _Row, key: Place, cells: Mapping[str, Any], positions: Mapping[str, Position]) -> Iterator[Mutant]:
    """The mutants of cells that are unary tests."""
    for name, value in cells.items():
        if not (isinstance(value, str) and value.strip() == "-"):
            yield from _test(row, (*key, name), value, positions.get(name))


def _test(row: _Row, place: Place, value: Any, at: Position | None) -> Iterator[Mutant]:
    name = place[-1]
    numeric = parse_test(value) if isinstance(value, str) else None
    if isinstance(numeric, Is) and is_number(numeric.value):
        value = numeric.value
    if isinstance(value, bool):
        yield row.mutant("flip-boolean", place, not value, f"{name}: {value} -> {not value}".lower(), at)
    elif is_number(value):
        yield row.mutant("change-number", place, value + 1, f"{name}: {value} -> {value + 1}", at)
    elif isinstance(value, str):
        other = opposite_text(value)
        if other is not None:
            yield row.mutant("flip-comparison", place, other, f"{name}: {value} -> {other}", at)
    elif isinstance(value, list) and len(value) > 1:
        for index, item in enumerate(value):
            yield row.mutant("drop-value", (*place, index), DELETE, f"{name}: {item} is left out of the list", at)


def _outputs(row: _Row, cells: Mapping[str, Any], positions: Mapping[str, Position]) -> Iterator[Mutant]:
    """The mutants of cells that are values of outputs."""
    for name, value in cells.items():
        other: Any = f"not {value}"
        if isinstance(value, bool):
            other = not value
        elif is_number(value):
            other = value + 1
        elif not isinstance(value, str):
            continue
        yield row.mutant("change-output", (name,), other, f"{name}: {value} -> {other}", positions.get(name))


def _table_mutants(controller: Controller, file: str) -> Iterator[Mutant]:
    for name, table in controller.tables.items():
        for rule, spec in table.rules.items():
            row = _Row(f"{controller.prefix}/{name}/{rule}", file, ("tables", name, "rules", rule), spec.at)
            if len(table.rules) > 1:
                yield row.delete()
            tests = {column: cell for column, cell in spec.cells.items() if column in table.inputs}
            outputs = {column: cell for column, cell in spec.cells.items() if column in table.outputs}
            yield from _tests(row, (), tests, spec.cells_at)
            yield from _outputs(row, outputs, spec.cells_at)
            for index, action in enumerate(spec.then):
                yield row.mutant("drop-action", ("then", index), DELETE, f"action {action} is not ordered")
    for name, comparison in controller.comparisons.items():
        yield from _comparison_mutants(controller, file, name, comparison)


def _comparison_mutants(controller: Controller, file: str, name: str, comparison: Comparison) -> Iterator[Mutant]:
    for rule, rank in comparison.rows.items():
        row = _Row(f"{controller.prefix}/{name}/{rule}", file, ("comparisons", name, "rows", rule), rank.at)
        if len(comparison.rows) > 1:
            yield row.delete()
        if rank.first is not None:
            other = "higher" if rank.first == "lower" else "lower"
            yield row.mutant("flip-first", ("first",), other, f"{other} goes first")
        if rank.final:
            yield row.mutant("flip-boolean", ("final",), False, "equal goes on to the next row")


def _machine_mutants(machine: Machine, file: str, actors: Sequence[str]) -> Iterator[Mutant]:
    for name, region in machine.regions.items():
        for state, spec in region.states.items():
            place: Place = ("regions", name, "states", state)
            row = _Row(f"{machine.kind}/{name}/{state}", file, place, spec.at)
            yield from _tests(row, ("when",), spec.when, spec.when_at)
        yield from _transition_mutants(machine, name, region, file, actors)


def _transition_mutants(
    machine: Machine, name: str, region: Region, file: str, actors: Sequence[str]
) -> Iterator[Mutant]:
    states = (*region.states, ABSENT)
    for edge, spec in region.transitions.items():
        row = _Row(f"{machine.kind}/{name}/{edge}", file, ("regions", name, "transitions", edge), spec.at)
        yield row.delete()
        for index, actor in enumerate(spec.actors):
            other = next((each for each in actors if each not in spec.actors), None)
            if other is not None:
                yield row.mutant("swap-actor", ("actors", index), other, f"actor {actor} -> {other}")
        target = next((each for each in states if each != spec.to and each not in spec.from_), None)
        if target is not None:
            yield row.mutant("swap-target", ("to",), target, f"to {spec.to} -> {target}")
        for index, guard in enumerate(spec.guards):
            yield row.mutant("drop-guard", ("guards", index), DELETE, f"guard {guard} is not asked")


def mutants(specs: Specs) -> Iterator[Mutant]:
    """All mutants of a spec directory, in the order of rooms, files and lines."""
    actors = sorted(
        {
            actor
            for room in specs.rooms.values()
            if room.machine is not None
            for region in room.machine.regions.values()
            for edge in region.transitions.values()
            for actor in edge.actors
        }
        | {"user", "apiserver"}
    )
    for room in specs.rooms.values():
        for name, controller in room.tables.items():
            yield from _table_mutants(controller, f"{room.name}/{name}")
        if room.machine is not None:
            yield from _machine_mutants(room.machine, f"{room.name}/machine.yaml", actors)
    for name, constant in specs.constants.items():
        if is_number(constant.value):
            row = _Row(f"constants/{name}", "constants.yaml", (name,), constant.at)
            value = constant.value * 2 + 1
            yield row.mutant("change-constant", ("value",), value, f"{constant.value} -> {value}")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def mutant_text(mutant: Mutant, source: str | Path) -> str:
    """The mutant's file of the spec directory `source` with the mutant in it. Raises SpecError."""
    text = (Path(source) / mutant.file).read_text("utf-8")
    tree, mistakes = read_yaml(text, mutant.file)
    if mistakes:
        raise SpecError(mistakes)
    plain = _plain(tree)
    change(plain, mutant.place, mutant.value)
    first_line = text.partition("\n")[0] + "\n" if text.startswith("#") else ""
    return first_line + yaml_text(plain)


def write_mutant(mutant: Mutant, source: str | Path, target: str | Path) -> Path:
    """Copy the spec directory `source` to `target` (which must not exist) with the mutant in it.

    Returns the path of the changed file. Raises SpecError where the file cannot be read.
    """
    target = Path(target)
    shutil.copytree(source, target)
    file = target / mutant.file
    file.write_text(mutant_text(mutant, source), "utf-8")
    return file
