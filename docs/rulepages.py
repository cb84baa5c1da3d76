"""The pages of the book that show rules: a page per room with its machines drawn, and the links that lead there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve

from k8sfsm.law import meaning
from k8sfsm.spec import Room, Specs
from k8sfsm.spec.graph import graph
from k8sfsm.spec.sheet import (
    Sheet,
    comparison_sheet,
    constants_sheet,
    invariants_sheet,
    markdown,
    meanings_sheet,
    region_sheets,
    table_sheet,
    watches_sheet,
)
from k8sfsm.spec.svg import svg

ANCHORED = ("rule", "transition", "state", "row", "invariant", "constant")
"""First columns of sheets whose rows can be linked to."""
NAMED_RULE = re.compile(r"(?<!\[)`([A-Za-z][\w-]*/[a-z][\w-]*(?:/[a-zA-Z][\w-]*)?)`(?!\])")
SPEC_FILE = re.compile(r"\]\(\.\./specs/(?!schema/)([a-z]+)/[\w.-]+\)")
OTHER_FILE = re.compile(r"\[([^\]]+)\]\(\.\./(?!specs/scenarios/\w)[^)]*\)")
"""A link to what the book has no page of."""
STORY_FILE = re.compile(r"\]\(\.\./specs/scenarios/([\w.-]+)\.yaml\)")
NOWHERE: Mapping[str, Sequence[str]] = {}


def write_rule_pages(specs: Specs, folder: Path, exercised: Mapping[str, Sequence[str]] = NOWHERE) -> None:
    """Write `ROOM.md` for every room and `constants.md` into `folder`, with the drawings of machines beside them.

    `exercised`: the path of a rule or state -> where it held, in words.
    """
    for room in specs.rooms.values():
        parts = [f"# {_title(room)}", *_drawings(room, folder)]
        sheets = [_with_places(sheet, exercised) for sheet in _sheets(room)]
        (folder / f"{room.name}.md").write_text("\n\n".join((*parts, markdown(sheets, _anchored))), "utf-8")
    page = f"# constants\n\n{markdown([constants_sheet(specs)], _anchored)}"
    (folder / "constants.md").write_text(page, "utf-8")


def _title(room: Room) -> str:
    return room.machine.kind if room.machine is not None else room.name


def _drawings(room: Room, folder: Path) -> Iterator[str]:
    if room.machine is None:
        return
    for name, region in room.machine.regions.items():
        file = folder / f"{room.name}-{name}.svg"
        file.write_text(svg(graph(f"{room.machine.kind}/{name}", region)), "utf-8")
        yield f"![the states of {room.machine.kind}/{name}]({file.name})"


def _sheets(room: Room) -> Iterator[Sheet]:
    for name, region in room.machine.regions.items() if room.machine is not None else ():
        yield from region_sheets(f"{room.machine.kind}/{name}", region) if room.machine is not None else ()
    for controller in room.tables.values():
        if controller.watches:
            yield watches_sheet(controller)
        for name, table in controller.tables.items():
            yield table_sheet(f"{controller.prefix}/{name}", table)
        for name, comparison in controller.comparisons.items():
            yield comparison_sheet(f"{controller.prefix}/{name}", comparison)
        yield meanings_sheet(room.name, controller, meaning)
    if room.invariants is not None:
        yield invariants_sheet(room.invariants)


def _anchored(sheet: Sheet, name: str) -> str:
    if sheet.columns[0] not in ANCHORED:
        return name
    return f'<span id="{sheet.path}/{name}"></span>{name}'


def _with_places(sheet: Sheet, exercised: Mapping[str, Sequence[str]]) -> Sheet:
    """The sheet with a column that says where each row held, where anything is known of its rows."""
    places = ["; ".join(exercised.get(f"{sheet.path}/{row[0]}", ())) for row in sheet.rows if row]
    if sheet.columns[0] not in ("rule", "transition", "state") or not any(places):
        return sheet
    rows = tuple((*row, place) for row, place in zip(sheet.rows, places, strict=True))
    return evolve(sheet, columns=(*sheet.columns, "exercised by"), rows=rows)


def rule_links(specs: Specs) -> dict[str, str]:
    """The path of every table, region and row -> its address, seen from the book's first folder."""
    found: dict[str, str] = {}
    for room in specs.rooms.values():
        for sheet in _sheets(room):
            if sheet.columns[0] in ANCHORED:
                found |= {f"{sheet.path}/{row[0]}": f"kinds/{room.name}.md#{sheet.path}/{row[0]}" for row in sheet.rows}
                found.setdefault(sheet.path, f"kinds/{room.name}.md#{sheet.path}/{sheet.rows[0][0]}")
    return found


def with_links(text: str, links: Mapping[str, str]) -> str:
    """A page of docs/ as the book shows it: rules that it names, spec files and stories lead to their pages."""

    def link(found: re.Match[str]) -> str:
        address = links.get(found[1])
        return f"[`{found[1]}`]({address})" if address is not None else found[0]

    text = STORY_FILE.sub(r"](stories/\1.md)", text)
    text = SPEC_FILE.sub(r"](kinds/\1.md)", text)
    return NAMED_RULE.sub(link, OTHER_FILE.sub(r"\1", text))
