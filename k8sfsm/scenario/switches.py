"""Switches of a scenario: which places of the law change while a rule is taken away."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8sfsm.scenario.model import Option, Story, Switch, Without
from k8sfsm.spec.amendment import DELETE, Amendment
from k8sfsm.spec.loader import load_constants, load_tables, room_names
from k8sfsm.spec.mistakes import did_you_mean
from k8sfsm.spec.model import Controller, Queue
from k8sfsm.spec.source import plain
from k8sfsm.spec.structure import keys_of


def option_of(switch: Switch) -> Option:
    """A switch with the amendments that it stands for. Raises ValueError with the names that the law does not know."""
    found = (*_constants(switch.off), *_rules(switch.off), *_queues(switch.off))
    if not found:
        raise ValueError(f"switch '{switch.name}' changes nothing, expected constants, rules or queues under `off`")
    return Option(name=switch.name, amendments=found, doc=switch.doc)


def amendments_of(story: Story) -> tuple[Amendment, ...]:
    """What the story's switches that are off change in the law."""
    return tuple(each for option in story.switches if option.name in story.off for each in option.amendments)


def _constants(off: Without) -> Iterator[Amendment]:
    known = load_constants()
    for name, value in off.constants.items():
        if name not in known:
            raise ValueError(f"no constant is called '{name}', {did_you_mean(name, known)}")
        yield Amendment("constants.yaml", (name, "value"), plain(value))


def _files() -> Iterator[tuple[str, Controller]]:
    for room in room_names():
        for file, controller in load_tables(room).items():
            yield f"{room}/{file}", controller


def _rules(off: Without) -> Iterator[Amendment]:
    if not off.rules:
        return
    files = {
        f"{of.prefix}/{table}/{rule}": (file, table, rule)
        for file, of in _files()
        for table, spec in of.tables.items()
        for rule in spec.rules
    }
    for path, cells in off.rules.items():
        if path not in files:
            raise ValueError(f"no rule is called '{path}', {did_you_mean(path, files)}")
        file, table, rule = files[path]
        place = ("tables", table, "rules", rule)
        if cells is None:
            yield Amendment(file, place, DELETE)
            continue
        columns = _columns(file, table)
        for column, value in _fields(path, cells, columns).items():
            yield Amendment(file, (*place, column), plain(value))


def _columns(file: str, table: str) -> tuple[str, ...]:
    room, _, name = file.partition("/")
    spec = load_tables(room)[name].tables[table]
    return (*spec.inputs, *spec.outputs, "then")


def _queues(off: Without) -> Iterator[Amendment]:
    if not off.queues:
        return
    files = {of.controller: file for file, of in _files() if file.endswith("/controller.yaml")}
    for name, fields in off.queues.items():
        if name not in files:
            raise ValueError(f"no controller is called '{name}', {did_you_mean(name, files)}")
        for field, value in _fields(name, fields, keys_of(Queue)).items():
            yield Amendment(files[name], ("queue", field), plain(value))


def _fields(of: str, cells: Any, known: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(cells, Mapping) or not cells:
        raise ValueError(f"'{of}' has no changes, expected a mapping of {', '.join(known)}")
    for name in cells:
        if name not in known:
            raise ValueError(f"'{of}' has no column '{name}', {did_you_mean(name, known)}")
    return cells
