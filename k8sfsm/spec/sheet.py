"""Specs as sheets (a title, columns, rows) for people: the same content for terminal, Markdown and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from attrs import field, frozen

from k8sfsm.spec.mistakes import NOWHERE, Position, did_you_mean
from k8sfsm.spec.model import Comparison, Controller, Invariants, Machine, Rank, Region, Room, Rule, Specs, Table
from k8sfsm.spec.unary import ANYTHING, literal_text

MARKS = re.compile(r"[|*`]|\[(?=[^\]]*\][(\[])")
Docs: TypeAlias = Callable[[str, str, str], str]
"""(room, role, name) -> the first line of a registered function's docstring, or ""."""


@frozen(kw_only=True)
class Sheet:
    """A table, region, comparison... as text. `path` is what `spec show` takes; rows have a cell per column."""

    path: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    source: str = ""
    doc: str = ""
    at: Position = field(default=NOWHERE)

    def json(self) -> dict[str, Any]:
        """The sheet for programs; rows as mappings."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        place = {"file": self.at.file, "line": self.at.line}
        return {"path": self.path, "title": self.title, "doc": self.doc, "source": self.source, **place, "rows": rows}


def no_docs(room: str, role: str, name: str) -> str:
    """Docs of nothing: for specs without Python."""
    return ""


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return value if isinstance(value, str) else literal_text(value)


def _without_empty(columns: Sequence[str], rows: Sequence[Sequence[str]], optional: Sequence[str]) -> Any:
    """Columns and rows without the optional columns that no row fills."""
    kept = [
        place
        for place, name in enumerate(columns)
        if name not in optional or any(row[place] not in ("", "-") for row in rows)
    ]
    return tuple(columns[place] for place in kept), tuple(tuple(row[place] for place in kept) for row in rows)


def table_sheet(path: str, table: Table) -> Sheet:
    """A decision table; a row per rule."""
    columns = ("rule", *table.inputs, "then", *table.outputs, "source", "doc")
    rows = []
    for name, rule in table.rules.items():
        tests = (str(rule.tests.get(column, ANYTHING)) for column in table.inputs)
        outputs = (_value(rule.outputs.get(column)) for column in table.outputs)
        rows.append((name, *tests, ", ".join(rule.then), *outputs, rule.source, rule.doc))
    columns, shown = _without_empty(columns, rows, ("then", "source", "doc"))
    title = f"{path} (hit policy {table.hit})"
    return Sheet(path=path, title=title, columns=columns, rows=shown, source=table.source, doc=table.doc, at=table.at)


def _rank(rank: Rank) -> str:
    if rank.compare is not None:
        return f"{rank.compare}; equal ends it" if rank.final else rank.compare
    return f"{rank.first} {rank.by} first"


def comparison_sheet(path: str, comparison: Comparison) -> Sheet:
    """An ordered comparison; a row per row."""
    given = [(name, _rank(rank), rank.source, rank.doc) for name, rank in comparison.rows.items()]
    columns, rows = _without_empty(("row", "decides", "source", "doc"), given, ("source", "doc"))
    title = f"{path} (the first row that differs decides)"
    return Sheet(
        path=path,
        title=title,
        columns=columns,
        rows=rows,
        source=comparison.source,
        doc=comparison.doc,
        at=comparison.at,
    )


def region_sheets(path: str, region: Region) -> Iterator[Sheet]:
    """A region: its states with how they are told, and its transitions."""
    states = []
    for name, state in region.states.items():
        when = ", ".join(f"{fact}: {test}" for fact, test in state.tests.items()) or "otherwise"
        states.append((name, when, "final" if state.final else "", state.source, state.doc))
    columns, rows = _without_empty(("state", "when", "final", "source", "doc"), states, ("final", "source", "doc"))
    title = f"{path}: states (the first whose condition holds)"
    yield Sheet(path=path, title=title, columns=columns, rows=rows, source=region.source, doc=region.doc, at=region.at)
    edges = [
        (name, ", ".join(edge.from_), edge.to, ", ".join(edge.actors), ", ".join(edge.guards), edge.source, edge.doc)
        for name, edge in region.transitions.items()
    ]
    names = ("transition", "from", "to", "actors", "guards", "source", "doc")
    columns, rows = _without_empty(names, edges, ("guards", "source", "doc"))
    yield Sheet(path=path, title=f"{path}: transitions", columns=columns, rows=rows, at=region.at)


def meanings_sheet(room: str, controller: Controller, docs: Docs) -> Sheet:
    """What the columns of a file's tables ask, and what their actions do, each named once."""
    facts = [name for table in controller.tables.values() for name in table.inputs]
    facts += [rank.by for comparison in controller.comparisons.values() for rank in comparison.rows.values() if rank.by]
    then = [action for table in controller.tables.values() for rule in table.rules.values() for action in rule.then]
    rows = [("fact", name, docs(room, "fact", name)) for name in sorted(set(facts))]
    rows += [("action", name, docs(room, "action", name)) for name in sorted(set(then))]
    title = f"{controller.prefix}: what the names mean"
    return Sheet(path=controller.prefix, title=title, columns=("role", "name", "meaning"), rows=tuple(rows))


def watches_sheet(controller: Controller) -> Sheet:
    """What a controller watches."""
    rows = tuple((watch.kind, watch.key) for watch in controller.watches)
    return Sheet(
        path=controller.prefix,
        title=f"{controller.controller} watches",
        columns=("kind", "key"),
        rows=rows,
        source=controller.source,
        doc=controller.doc,
        at=controller.at,
    )


def invariants_sheet(invariants: Invariants) -> Sheet:
    """The invariants of a kind."""
    rows = tuple((name, row.type, row.holds, row.source) for name, row in invariants.invariants.items())
    return Sheet(
        path=invariants.kind,
        title=f"{invariants.kind}: invariants",
        columns=("invariant", "type", "holds", "source"),
        rows=rows,
        at=invariants.at,
    )


def constants_sheet(specs: Specs) -> Sheet:
    """All constants."""
    rows = tuple((name, _value(row.value), row.unit, row.source, row.doc) for name, row in specs.constants.items())
    return Sheet(path="constants", title="constants", columns=("constant", "value", "unit", "source", "doc"), rows=rows)


def rule_sheet(path: str, room: str, table: Table, rule: Rule, docs: Docs = no_docs) -> Sheet:
    """One rule, written out: what each input must be and means, and what the rule orders."""
    rows = [("input", name, str(rule.tests.get(name, ANYTHING)), docs(room, "fact", name)) for name in table.inputs]
    rows += [("then", name, "", docs(room, "action", name)) for name in rule.then]
    rows += [("output", name, _value(value), "") for name, value in rule.outputs.items()]
    return Sheet(
        path=path,
        title=path,
        columns=("part", "name", "value", "meaning"),
        rows=tuple(rows),
        source=rule.source or table.source,
        doc=rule.doc or table.doc,
        at=rule.at,
    )


def transition_sheet(path: str, room: str, region: Region, name: str, docs: Docs = no_docs) -> Sheet:
    """One transition, written out."""
    edge = region.transitions[name]
    rows = [("from", state, "") for state in edge.from_] + [("to", edge.to, "")]
    rows += [("actor", actor, "") for actor in edge.actors]
    rows += [("guard", guard, docs(room, "guard", guard)) for guard in edge.guards]
    source, doc = edge.source or region.source, edge.doc
    columns = ("part", "name", "meaning")
    return Sheet(path=path, title=path, columns=columns, rows=tuple(rows), source=source, doc=doc, at=edge.at)


def overview(specs: Specs) -> Sheet:
    """What there is to show."""
    rows = [part for room in specs.rooms.values() for part in room_parts(room)]
    rows.append(("constants", f"{len(specs.constants)} constants"))
    return Sheet(path="", title="specs", columns=("path", "what"), rows=tuple(rows))


def room_parts(room: Room) -> Iterator[tuple[str, str]]:
    """The paths in a room that `show` takes, each with what it is."""
    if room.machine is not None:
        for name, region in room.machine.regions.items():
            what = f"machine: {len(region.states)} states, {len(region.transitions)} transitions"
            yield f"{room.machine.kind}/{name}", what
    for controller in room.tables.values():
        for name, table in controller.tables.items():
            yield f"{controller.prefix}/{name}", f"table ({table.hit}): {len(table.rules)} rules"
        for name, comparison in controller.comparisons.items():
            yield f"{controller.prefix}/{name}", f"comparison: {len(comparison.rows)} rows"
    if room.invariants is not None:
        yield room.invariants.kind, f"{len(room.invariants.invariants)} invariants"


class UnknownPath(LookupError):
    """Nothing in the specs has the path; the text says what is near."""


def show(specs: Specs, path: str = "", docs: Docs = no_docs) -> tuple[Sheet, ...]:
    """The sheets of `Kind`, `Kind/table`, `Kind/table/rule`, a room, `constants`, or the overview for "".

    Raises UnknownPath.
    """
    if not path:
        return (overview(specs),)
    if path == "constants":
        return (constants_sheet(specs),)
    first, *rest = path.split("/")
    found: list[Sheet] = []
    for room in specs.rooms.values():
        found += _room_sheets(room, first, rest, docs)
    if found:
        return tuple(found)
    known = ["constants", *specs.rooms]
    for room in specs.rooms.values():
        for part, _ in room_parts(room):
            known += [part, part.partition("/")[0]]
        known += [f"{kind}/{table}/{rule}" for kind, table, rule in _rules(room)]
    raise UnknownPath(f"nothing is called '{path}', {did_you_mean(path, dict.fromkeys(known))}")


def _rules(room: Room) -> Iterator[tuple[str, str, str]]:
    for controller in room.tables.values():
        for name, table in controller.tables.items():
            yield from ((controller.prefix, name, rule) for rule in table.rules)


def _matches(wanted: str, *names: str) -> bool:
    return wanted.lower() in {name.lower() for name in names}


def _room_sheets(room: Room, first: str, rest: Sequence[str], docs: Docs) -> Iterator[Sheet]:
    if room.machine is not None and _matches(first, room.name, room.machine.kind):
        yield from _machine_sheets(room, room.machine, rest, docs)
    for controller in room.tables.values():
        if _matches(first, room.name, controller.prefix, controller.controller):
            yield from _controller_sheets(room, controller, rest, docs)
    if room.invariants is not None and not rest and _matches(first, room.name, room.invariants.kind):
        yield invariants_sheet(room.invariants)


def _machine_sheets(room: Room, machine: Machine, rest: Sequence[str], docs: Docs) -> Iterator[Sheet]:
    for name, region in machine.regions.items():
        path = f"{machine.kind}/{name}"
        if not rest or list(rest) == [name]:
            yield from region_sheets(path, region)
        elif len(rest) == 2 and rest[0] == name and rest[1] in region.transitions:
            yield transition_sheet(f"{path}/{rest[1]}", room.name, region, rest[1], docs)


def _controller_sheets(room: Room, controller: Controller, rest: Sequence[str], docs: Docs) -> Iterator[Sheet]:
    if not rest and controller.watches:
        yield watches_sheet(controller)
    for name, table in controller.tables.items():
        path = f"{controller.prefix}/{name}"
        if not rest or list(rest) == [name]:
            yield table_sheet(path, table)
        elif len(rest) == 2 and rest[0] == name and rest[1] in table.rules:
            yield rule_sheet(f"{path}/{rest[1]}", room.name, table, table.rules[rest[1]], docs)
    for name, comparison in controller.comparisons.items():
        if not rest or list(rest) == [name]:
            yield comparison_sheet(f"{controller.prefix}/{name}", comparison)


def _escape(cell: str) -> str:
    """A cell as Markdown that reads as it stands: nothing in it is a link, emphasis or a tag."""
    return MARKS.sub(r"\\\g<0>", cell.replace("\n", " ").replace("<", "&lt;"))


def _as_it_is(sheet: Sheet, name: str) -> str:
    return name


def markdown(sheets: Sequence[Sheet], named: Callable[[Sheet, str], str] = _as_it_is) -> str:
    """The sheets as Markdown, each with its source and doc. `named` writes the first cell of a row."""
    parts: list[str] = []
    for sheet in sheets:
        parts.append(f"## {sheet.title}")
        if sheet.doc:
            parts.append(sheet.doc)
        if sheet.rows:
            lines = [sheet.columns, tuple("---" for _ in sheet.columns)]
            lines += [(named(sheet, _escape(name)), *map(_escape, rest)) for name, *rest in sheet.rows]
            parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
        if sheet.source:
            parts.append(f"Source: `{sheet.source}`")
    return "\n\n".join(parts) + "\n"
