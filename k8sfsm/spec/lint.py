"""Lint: what is wrong with specs that can be read, beside the Python that they are bound to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from attrs import field, frozen

from k8sfsm.spec.domain import return_type
from k8sfsm.spec.loader import FILE_TYPES, NOT_ROOMS, schema_named
from k8sfsm.spec.mistakes import Position, did_you_mean
from k8sfsm.spec.model import ABSENT, Controller, Hit, Machine, Region, Room, Specs
from k8sfsm.spec.proof import Column, Proof, column, prove
from k8sfsm.spec.unary import ANYTHING, Test

Functions: TypeAlias = Mapping[Any, Mapping[str, Callable[..., Any]]]
"""Registered functions of a room: role -> name -> function."""

ACTORS = ("user", "apiserver", "kubelet", "kube-scheduler", "kube-proxy")
"""Actors that are no controllers; the others are those that the specs declare."""

ELSEWHERE = (
    "cronjob-controller",
    "daemonset-controller",
    "disruption-controller",
    "endpointslicemirroring-controller",
    "horizontal-pod-autoscaler",
    "job-controller",
    "node-controller",
    "pod-garbage-collector",
    "resourcequota-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)
"""Controllers of a real cluster that have no specs here, but write objects that have."""

SHOWN = 5
"""Gaps of one table that are shown one by one."""


@frozen(order=True)
class Finding:
    """One finding: where, which check found it, and what it says."""

    at: Position
    check: str
    message: str

    def __str__(self) -> str:
        return f"{self.at}: {self.message} [{self.check}]"


@frozen(kw_only=True)
class Code:
    """What lint knows of Python: registered functions by room, and where constants are asked for."""

    rooms: Mapping[str, Functions] = field(factory=dict)
    constants: Sequence[tuple[str, Position]] = ()
    where: Callable[[Callable[..., Any]], Position] = lambda function: Position(function.__module__, 1, 1)


def lint(specs: Specs, code: Code) -> tuple[Finding, ...]:
    """All findings, in the order of files and lines."""
    findings: list[Finding] = []
    actors = {*ACTORS, *ELSEWHERE, *(each.controller for room in specs.rooms.values() for each in room.tables.values())}
    for room in specs.rooms.values():
        functions = code.rooms.get(room.name, {})
        for controller in room.tables.values():
            findings += _tables(controller, functions)
            findings += _uncited_tables(controller)
        if room.machine is not None:
            findings += _machine(room, room.machine, functions, actors)
        findings += _names(room, functions)
        findings += _uncited_invariants(room)
    findings += _unused(specs, code)
    findings += _constants(specs, code)
    findings += _first_lines(Path(specs.path))
    return tuple(sorted(set(findings)))


# -- tables ---------------------------------------------------------------------------------------------------------


def _columns(inputs: Sequence[str], tests: Sequence[Mapping[str, Test]], facts: Mapping[str, Any]) -> list[Column]:
    return [
        column(name, return_type(facts[name]) if name in facts else Any, [row.get(name, ANYTHING) for row in tests])
        for name in inputs
    ]


def _tables(controller: Controller, functions: Functions) -> Iterator[Finding]:
    facts = functions.get("fact", {})
    for name, table in controller.tables.items():
        rules = list(table.rules.items())
        columns = _columns(table.inputs, [rule.tests for _, rule in rules], facts)
        places = [(f"rule '{rule}'", row.at, dict(row.cells_at)) for rule, row in rules]
        if all(column_name in facts for column_name in table.inputs):
            yield from _proof(f"table '{name}'", table.at, table.hit, columns, places)
        for column_name in table.inputs:
            if all(rule.tests.get(column_name, ANYTHING) == ANYTHING for _, rule in rules):
                yield Finding(table.at, "unused-column", f"table '{name}': no rule tests the input '{column_name}'")
        for output in table.outputs:
            if all(rule.outputs.get(output) is None for _, rule in rules):
                yield Finding(table.at, "unused-column", f"table '{name}': no rule gives the output '{output}' a value")


def _proof(
    what: str,
    at: Position,
    hit: Hit,
    columns: list[Column],
    rows: list[tuple[str, Position, dict[str, Position]]],
) -> Iterator[Finding]:
    found: Proof = prove(hit, columns, len(rows))
    for witness in found.gaps[:SHOWN]:
        yield Finding(at, "incomplete", f"{what} has no row for {witness}")
    if len(found.gaps) > SHOWN:
        yield Finding(at, "incomplete", f"{what} has {len(found.gaps) - SHOWN} more gaps")
    for holding, witness in found.overlaps:
        names = " and ".join(rows[row][0] for row in holding)
        yield Finding(rows[holding[1]][1], "overlap", f"{names} hold together for {witness}, expected only one")
    for row in found.unreachable:
        reason = "the rows before it take all its cases" if hit == "first" else "it holds for no case"
        yield Finding(rows[row][1], "unreachable-row", f"{rows[row][0]} is never reached: {reason}")
    for row, name in found.dead:
        position = rows[row][2].get(name, rows[row][1])
        message = f"{rows[row][0]}: the test of '{name}' holds for no value that the fact can have"
        yield Finding(position, "dead-test", message)


def _uncited_tables(controller: Controller) -> Iterator[Finding]:
    for name, table in controller.tables.items():
        for rule, row in table.rules.items():
            if not (row.source or table.source):
                yield _uncited(row.at, f"rule '{rule}'", f"table '{name}'")
    for name, comparison in controller.comparisons.items():
        for rule, rank in comparison.rows.items():
            if not (rank.source or comparison.source):
                yield _uncited(rank.at, f"row '{rule}'", f"comparison '{name}'")


def _uncited(at: Position, what: str, owner: str) -> Finding:
    return Finding(at, "source", f"{what} has no source, expected one there or at the {owner}")


def _uncited_invariants(room: Room) -> Iterator[Finding]:
    if room.invariants is None:
        return
    for name, invariant in room.invariants.invariants.items():
        if not (invariant.source or room.invariants.source):
            yield Finding(invariant.at, "source", f"invariant '{name}' has no source, expected one")


# -- machines -------------------------------------------------------------------------------------------------------


def _machine(room: Room, machine: Machine, functions: Functions, actors: set[str]) -> Iterator[Finding]:
    if machine.kind.lower() != room.name:
        message = f"the machine of '{machine.kind}' lies in room '{room.name}', expected '{machine.kind.lower()}'"
        yield Finding(machine.at, "room", message)
    for name, region in machine.regions.items():
        yield from _classifier(name, region, functions)
        yield from _reachable(name, region)
        for transition_name, transition in region.transitions.items():
            for actor in transition.actors:
                if actor not in actors:
                    hint = did_you_mean(actor, sorted(actors))
                    yield Finding(
                        transition.at, "actor", f"transition '{transition_name}': unknown actor '{actor}', {hint}"
                    )
            if not (transition.source or region.source or machine.source):
                yield _uncited(transition.at, f"transition '{transition_name}'", f"region '{name}'")
        for state_name, state in region.states.items():
            if not (state.source or region.source or machine.source):
                yield _uncited(state.at, f"state '{state_name}'", f"region '{name}'")


def _classifier(name: str, region: Region, functions: Functions) -> Iterator[Finding]:
    inputs = list(dict.fromkeys(fact for state in region.states.values() for fact in state.tests))
    columns = _columns(inputs, [state.tests for state in region.states.values()], functions.get("fact", {}))
    places = [(f"state '{state}'", row.at, dict(row.when_at)) for state, row in region.states.items()]
    if all(fact in functions.get("fact", {}) for fact in inputs):
        yield from _proof(f"the classifier of region '{name}'", region.at, "first", columns, places)


def _reachable(name: str, region: Region) -> Iterator[Finding]:
    reached = {ABSENT}
    waiting = [ABSENT]
    while waiting:
        source = waiting.pop()
        for transition in region.transitions.values():
            if source in transition.from_ and transition.to not in reached:
                reached.add(transition.to)
                waiting.append(transition.to)
    leaving = {source for transition in region.transitions.values() for source in transition.from_}
    for state_name, state in region.states.items():
        if state_name not in reached:
            yield Finding(state.at, "unreachable-state", f"no transitions lead from {ABSENT} to state '{state_name}'")
        if state.final and state_name in leaving:
            yield Finding(state.at, "final", f"state '{state_name}' is final, but a transition leaves it")
        if not state.final and state_name not in leaving:
            message = f"no transition leaves state '{state_name}' of region '{name}', expected one, or `final: true`"
            yield Finding(state.at, "dead-end", message)


# -- names ----------------------------------------------------------------------------------------------------------


def names_used(room: Room) -> Iterator[tuple[str, str, Position]]:
    """Every name of Python that a room's specs use: role, name, where."""
    for controller in room.tables.values():
        for watch in controller.watches:
            yield "key", watch.key, watch.at
        for table in controller.tables.values():
            yield from (("fact", name, table.at) for name in table.inputs)
            yield from (("action", name, rule.at) for rule in table.rules.values() for name in rule.then)
        for comparison in controller.comparisons.values():
            for rank in comparison.rows.values():
                if rank.by is not None:
                    yield "fact", rank.by, rank.at
                if rank.compare is not None:
                    yield "comparison", rank.compare, rank.at
    if room.machine is not None:
        for region in room.machine.regions.values():
            for state in region.states.values():
                yield from (("fact", name, state.when_at.get(name, state.at)) for name in state.tests)
            for transition in region.transitions.values():
                yield from (("guard", name, transition.at) for name in transition.guards)
    if room.invariants is not None:
        for invariant in room.invariants.invariants.values():
            yield "invariant", invariant.holds, invariant.at
            if invariant.reads:
                yield "fact", invariant.reads, invariant.at


def _names(room: Room, functions: Functions) -> Iterator[Finding]:
    for role, name, at in names_used(room):
        known = functions.get(role, {})
        if name not in known and (role, name) != ("key", "self"):
            message = f"{role} '{name}' is not registered in Law({room.name!r}), {did_you_mean(name, known)}"
            yield Finding(at, f"unknown-{role}", message)


def _unused(specs: Specs, code: Code) -> Iterator[Finding]:
    for room_name, functions in code.rooms.items():
        room = specs.rooms.get(room_name)
        used = {(role, name) for role, name, _ in names_used(room)} if room is not None else set()
        for role, known in functions.items():
            for name, function in known.items():
                if (role, name) not in used:
                    message = f"{role} '{name}' of Law({room_name!r}) is registered, but no spec uses it"
                    yield Finding(code.where(function), f"unused-{role}", message)


def _constants(specs: Specs, code: Code) -> Iterator[Finding]:
    used = {name for name, _ in code.constants}
    for name, at in code.constants:
        if name not in specs.constants:
            hint = did_you_mean(name, specs.constants)
            yield Finding(at, "unknown-constant", f"constant '{name}' has no row in constants.yaml, {hint}")
    for name, constant in specs.constants.items():
        if name not in used:
            yield Finding(constant.at, "unused-constant", f"no code asks for the constant '{name}'")
        if not constant.source:
            yield Finding(constant.at, "source", f"constant '{name}' has no source, expected one")


# -- files ----------------------------------------------------------------------------------------------------------


def _first_lines(root: Path) -> Iterator[Finding]:
    for file in sorted(root.rglob("*.yaml")):
        place = file.relative_to(root)
        if len(place.parts) == 1:
            expected: str | None = place.stem
        elif place.parts[0] in NOT_ROOMS:
            expected = "scenario" if place.parts[0] == "scenarios" else None
        else:
            expected = FILE_TYPES.get(file.name)
        named = schema_named(file)
        at = Position((Path(root.name) / place).as_posix(), 1, 1)
        if named is None or (expected is not None and named != expected):
            up = "../" * (len(place.parts) - 1)
            line = f"# yaml-language-server: $schema={up}schema/{expected or 'TYPE'}.schema.json"
            yield Finding(at, "first-line", f"the first line does not name the file's schema, expected: {line}")
        elif not (root / "schema" / f"{named}.schema.json").is_file():
            yield Finding(at, "first-line", f"the schema '{named}' that the first line names does not exist")
