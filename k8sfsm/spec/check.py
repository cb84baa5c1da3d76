"""Checks of one file beyond the types of its values, and the reading of its unary tests.

What needs more than one file, or Python (are names registered? are tables complete?), is `lint`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import evolve

from k8sfsm.spec.mistakes import Mistake, Position, did_you_mean
from k8sfsm.spec.model import ABSENT, Comparison, Controller, Machine, Rank, Region, Rule, State, Table
from k8sfsm.spec.source import plain
from k8sfsm.spec.unary import Test, parse_test


def _tests(
    cells: Mapping[str, object], positions: Mapping[str, Position], at: Position, mistakes: list[Mistake]
) -> dict[str, Test]:
    tests: dict[str, Test] = {}
    for column, raw in cells.items():
        try:
            tests[column] = parse_test(raw)
        except ValueError as error:
            mistakes.append(Mistake(positions.get(column, at), f"'{column}': {error}"))
    return tests


def _repeated(names: Iterable[str], what: str, at: Position, mistakes: list[Mistake]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            mistakes.append(Mistake(at, f"{what} '{name}' is listed twice, expected it once"))
        seen.add(name)


def _rule(table: Table, name: str, rule: Rule, mistakes: list[Mistake]) -> Rule:
    columns = (*table.inputs, *table.outputs)
    for cell in rule.cells:
        if cell not in columns:
            known = (*columns, "then", "source", "doc")
            mistakes.append(
                Mistake(rule.cells_at[cell], f"unknown column '{cell}' in rule '{name}', {did_you_mean(cell, known)}")
            )
    tested = {cell: raw for cell, raw in rule.cells.items() if cell in table.inputs}
    tests = _tests(tested, rule.cells_at, rule.at, mistakes)
    outputs = {column: plain(rule.cells.get(column)) for column in table.outputs}
    return evolve(rule, tests=tests, outputs=outputs)


def _table(name: str, table: Table, mistakes: list[Mistake]) -> Table:
    _repeated((*table.inputs, *table.outputs), "column", table.at, mistakes)
    if not table.rules:
        mistakes.append(Mistake(table.at, f"table '{name}' has no rules, expected at least one"))
    mistakes.extend(
        Mistake(table.at, f"column '{column}' has a reserved name, expected another")
        for column in (*table.inputs, *table.outputs)
        if column in ("then", "source", "doc")
    )
    return evolve(table, rules={key: _rule(table, key, rule, mistakes) for key, rule in table.rules.items()})


def _rank(name: str, rank: Rank, mistakes: list[Mistake]) -> None:
    if (rank.by is None) == (rank.compare is None):
        mistakes.append(Mistake(rank.at, f"row '{name}': expected either 'by' (with 'first') or 'compare'"))
        return
    if rank.by is not None and rank.first is None:
        mistakes.append(
            Mistake(rank.at, f"row '{name}': key 'first' is missing beside 'by', expected one of: lower, higher")
        )
    if rank.compare is not None and rank.first is not None:
        mistakes.append(Mistake(rank.at, f"row '{name}': 'first' stands beside 'compare', expected it beside 'by'"))
    if rank.by is not None and rank.final:
        mistakes.append(Mistake(rank.at, f"row '{name}': 'final' stands beside 'by', expected it beside 'compare'"))


def _comparison(name: str, comparison: Comparison, mistakes: list[Mistake]) -> None:
    if not comparison.rows:
        mistakes.append(Mistake(comparison.at, f"comparison '{name}' has no rows, expected at least one"))
    for row, rank in comparison.rows.items():
        _rank(row, rank, mistakes)


def check_controller(controller: Controller) -> tuple[Controller, list[Mistake]]:
    """A table file with its cells read, and what is wrong in it."""
    mistakes: list[Mistake] = []
    tables = {name: _table(name, table, mistakes) for name, table in controller.tables.items()}
    for name, comparison in controller.comparisons.items():
        _comparison(name, comparison, mistakes)
        if name in tables:
            mistakes.append(Mistake(comparison.at, f"'{name}' is a table as well, expected another name"))
    return evolve(controller, tables=tables), mistakes


def _state(name: str, state: State, mistakes: list[Mistake]) -> State:
    if name == ABSENT:
        mistakes.append(Mistake(state.at, f"state '{ABSENT}' is implicit (no object), expected another name"))
    return evolve(state, tests=_tests(state.when, state.when_at, state.at, mistakes))


def _region(region: Region, mistakes: list[Mistake]) -> Region:
    known = (*region.states, ABSENT)
    if not region.states:
        mistakes.append(Mistake(region.at, "a region without states, expected at least one"))
    for name, transition in region.transitions.items():
        for state in (*transition.from_, transition.to):
            if state not in known:
                message = f"unknown state '{state}' in transition '{name}', {did_you_mean(state, known)}"
                mistakes.append(Mistake(transition.at, message))
        if transition.to in transition.from_:
            message = f"transition '{name}' leaves the state '{transition.to}' unchanged; that needs no transition"
            mistakes.append(Mistake(transition.at, message))
        if not transition.from_ or not transition.actors:
            mistakes.append(Mistake(transition.at, f"transition '{name}' needs a state to come from and an actor"))
        _repeated(transition.from_, "state", transition.at, mistakes)
        _repeated(transition.actors, "actor", transition.at, mistakes)
        _repeated(transition.guards, "guard", transition.at, mistakes)
    return evolve(region, states={name: _state(name, state, mistakes) for name, state in region.states.items()})


def check_machine(machine: Machine) -> tuple[Machine, list[Mistake]]:
    """A machine with its classifiers' cells read, and what is wrong in it."""
    mistakes: list[Mistake] = []
    regions = {name: _region(region, mistakes) for name, region in machine.regions.items()}
    return evolve(machine, regions=regions), mistakes
