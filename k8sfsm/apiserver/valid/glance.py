"""Statuses that are sound at a glance: rows of which one sees on the objects themselves that they find nothing.

Thousands of statuses are written, each another one, and hardly ever is there anything to say. To be judged, one has to
become a document. So constraints may say at a glance that they surely have nothing against a value; where all rows of a
table have such constraints and each of them says so, the table need not be asked. What is not sure costs time, and
nothing else; a row with another constraint is always asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, TypeAlias, get_args, get_type_hints

from attrs import fields

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.constraints import is_plain_ip
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.judge import Row, judged, steps_of
from k8sfsm.apiserver.valid.statuses import may_restart
from k8sfsm.objects.base import json_name
from k8sfsm.table import CompiledTable

Glance: TypeAlias = Callable[[Any, Any, Any], bool]
"""Value, value before, object -> whether the row surely finds nothing."""
Maker: TypeAlias = Callable[[Row], Glance]
Looks: TypeAlias = tuple[tuple[str, tuple[tuple[str, bool, tuple[Glance, ...]], ...]], ...]
"""For each part of an object, for each field of it: whether it needs no look where it is empty, and the glances."""
_MAKERS: Final[dict[str, Maker]] = {}
_NEVER_OF_NOTHING: Final[set[str]] = set()
"""Constraints that find nothing where the field is empty."""
_NOT_WRITTEN: Final = "metadata"
"""The part of an object that a status is written without."""


def _glance(*names: str, empty: bool = True) -> Callable[[Maker], Maker]:
    """Register who makes the glances of constraints; `empty`: whether these find nothing in an empty field."""

    def register(maker: Maker) -> Maker:
        _MAKERS.update(dict.fromkeys(names, maker))
        if empty:
            _NEVER_OF_NOTHING.update(names)
        return maker

    return register


@_glance("at-least", empty=False)
def _at_least(row: Row) -> Glance:
    return lambda value, old, new: value is None or bool(value >= row.of)


@_glance("not-above", empty=False)
def _not_above(row: Row) -> Glance:
    def sure(value: Any, old: Any, new: Any) -> bool:
        return bool(value <= getattr(new.status, _names(new.status.__class__)[row.of]))

    return sure


@_glance("not-lowered", empty=False)
def _not_lowered(row: Row) -> Glance:
    return lambda value, old, new: old is None or (value is not None and bool(value >= old))


@_glance("unchanged", empty=False)
@_glance("format-or-old", "free-nomination")
def _as_before(row: Row) -> Glance:
    return lambda value, old, new: bool(value == old)


@_glance("kept-once-given", empty=False)
def _kept(row: Row) -> Glance:
    return lambda value, old, new: not old or bool(value == old)


@_glance("condition-types")
def _condition_types(row: Row) -> Glance:
    known = tuple(row.of)
    return lambda value, old, new: _qualified(tuple([each.type for each in value]), known)


@lru_cache(maxsize=256)
def _qualified(names: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return not any(format_errors("label-key", name) for name in names if name not in known)


@_glance("end-for-good")
def _end_for_good(row: Row) -> Glance:
    def sure(value: Any, old: Any, new: Any) -> bool:
        ended = [each for each in old if each.state.terminated is not None] if old else None
        if not ended:
            return True
        still = {each.name for each in value if each.state.terminated is not None}
        return row.of != "ephemeralContainers" and all(
            each.name in still or may_restart(new.spec, each.name, each.state.terminated.exit_code) for each in ended
        )

    return sure


@_glance("ip-entries")
def _ip_entries(row: Row) -> Glance:
    def sure(value: Any, old: Any, new: Any) -> bool:
        if value is old:
            return True
        return all(is_plain_ip(each.ip) for each in value)

    return sure


@_glance("family-each", "unique")
def _alone(row: Row) -> Glance:
    return lambda value, old, new: len(value) < 2


@_glance("first-like")
def _first_like(row: Row) -> Glance:
    return lambda value, old, new: row.of == "hostIP" and bool(value[0].ip == new.status.host_ip)


@_glance("each", "each-as")
def _each(row: Row) -> Glance:
    """Parts that have none of the fields that their table looks at."""
    table = law.table(row.of)

    def sure(value: Any, old: Any, new: Any) -> bool:
        getters = _looked_at(table, value[0].__class__)
        if getters is None:
            return False
        for getter in getters:
            for each in value:
                if getter(each):
                    return False
        return True

    return sure


_SOUND: Final = Memo()
"""Amounts by resource in which nothing was found."""


@_glance("named-amounts")
def _named_amounts(row: Row) -> Glance:
    def sure(value: Any, old: Any, new: Any) -> bool:
        parts = (value, law.table(row.of))
        if _SOUND.get(parts) is None:
            entries = ({"name": name, "amount": str(amount)} for name, amount in value.items())
            if any(any(judged(Part(entry, "", table=row.of))) for entry in entries):
                return False
            _SOUND.put(parts, True)
        return True

    return sure


@_glance("unique-part")
def _unique_part(row: Row) -> Glance:
    return lambda value, old, new: value is old or all(each not in value[:index] for index, each in enumerate(value))


def surely_sound(table: str, new: Any, old: Any) -> bool:
    """Whether a table surely finds nothing in an object, of which an update has left the metadata as they were."""
    return seen_sound(looks_of(table, new.__class__), new, old)


def looks_of(table: str, cls: Any) -> Looks | None:
    """What there is to look at in an object of a class, for the glance; None where none tells."""
    return _looks(law.table(table), cls)


def seen_sound(looks: Looks | None, new: Any, old: Any) -> bool:
    """The same as `surely_sound`, where it is known what to look at."""
    if looks is None:
        return False
    for part, entries in looks:
        now, was = getattr(new, part), getattr(old, part)
        for name, empty, glances in entries:
            value = getattr(now, name)
            if empty and not value:
                continue
            before = getattr(was, name)
            for glance in glances:
                if not glance(value, before, new):
                    return False
    return True


@lru_cache(maxsize=64)
def _looks(table: CompiledTable, cls: Any) -> Looks | None:
    """What there is to look at in an object of a class; None where no glance tells."""
    found: dict[str, dict[str, list[tuple[bool, Glance]]]] = {}
    for path, row in _rows(table, ()):
        if path[:1] == (_NOT_WRITTEN,):
            continue
        made = _made(path, row)
        part = _names(cls).get(path[0]) if path else None
        names = {} if part is None else _names(get_type_hints(cls)[part])
        if made is None or path[1] not in names:
            return None
        assert part is not None
        found.setdefault(part, {}).setdefault(names[path[1]], []).append(made)
    return tuple(
        (part, tuple((name, all(e for e, _ in made), tuple(g for _, g in made)) for name, made in entries.items()))
        for part, entries in found.items()
    )


def _rows(table: CompiledTable, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Row]]:
    """The rows of a table and of those that judge the same part, or one within; with the way from the object."""
    for each in table.graph.rows:
        row = Row.read(each.outputs)
        way = (*path, *steps_of(row.at))
        if row.must == "be":
            yield from _rows(law.table(row.of), way)
        else:
            yield way, row


def _made(path: tuple[str, ...], row: Row) -> tuple[bool, Glance] | None:
    """Whether a row finds nothing in an empty field, and its glance; None where it has none."""
    maker = _MAKERS.get(row.must)
    empty = row.must in _NEVER_OF_NOTHING or (row.must == "at-least" and row.of <= 0)
    if len(path) == 2 and maker is not None:
        return empty, maker(row)
    if len(path) == 4 and path[2] == "[]" and row.must in _OF_ENTRIES:
        return True, _OF_ENTRIES[row.must](row, path[3])
    return None


def _none_there(row: Row, field: str) -> Glance:
    """Entries that have nothing in a field."""

    def sure(value: Any, old: Any, new: Any) -> bool:
        getter = _getter(value[0].__class__, field)
        return getter is not None and not any(map(getter, value))

    return sure


def _none_below(row: Row, field: str) -> Glance:
    """Entries whose number is not below a bound."""

    def sure(value: Any, old: Any, new: Any) -> bool:
        getter = _getter(value[0].__class__, field)
        return getter is not None and bool(min(map(getter, value)) >= row.of)

    return sure


_OF_ENTRIES: Final[dict[str, Callable[[Row, str], Glance]]] = {"absent": _none_there, "at-least": _none_below}
"""Makers of glances at a field of each entry of a list."""


@lru_cache(maxsize=64)
def _getter(cls: Any, field: str) -> Callable[[Any], Any] | None:
    name = _names(cls).get(field)
    return None if name is None else attrgetter(name)


@lru_cache(maxsize=64)
def _looked_at(table: CompiledTable, cls: Any) -> tuple[Callable[[Any], Any], ...] | None:
    """The fields of a part that a table looks at; None where it does not only look at what is there."""
    names = _names(cls)
    found: dict[str, None] = {}
    for path, row in _rows(table, ()):
        known = row.must in _NEVER_OF_NOTHING or row.must == "absent" or len(path) > 1
        if not known or not path or path[0] not in names:
            return None
        found[names[path[0]]] = None
    return tuple(map(attrgetter, found))


@lru_cache(maxsize=64)
def _names(cls: Any) -> dict[str, str]:
    """Attributes of an API type by their JSON names."""
    for each in (cls, *get_args(cls)):
        if hasattr(each, "__attrs_attrs__"):
            return {json_name(field): field.name for field in fields(each)}
    return {}
