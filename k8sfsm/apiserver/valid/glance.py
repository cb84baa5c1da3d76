"""Statuses that are sound at a glance: rows of which one sees on the objects themselves that they find nothing.

Thousands of statuses are written, each another one, and hardly ever is there anything to say. To be judged, one has to
become a document. So constraints may say at a glance that they surely have nothing against a value; where all rows of a
table have such constraints and each of them says so, the table need not be asked. What is not sure costs time, and
nothing else; a row with another constraint is always asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias, get_args, get_origin, get_type_hints

from attrs import field, fields

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.parts import Part
from k8sfsm.apiserver.valid.constraints import is_plain_ip
from k8sfsm.apiserver.valid.formats import format_errors
from k8sfsm.apiserver.valid.judge import Row, judged, steps_of
from k8sfsm.apiserver.valid.statuses import may_restart
from k8sfsm.objects.base import json_name
from k8sfsm.table import CompiledTable
from k8sfsm.value import value


@value
class Glance:
    """An expression over `value`, `before` and `new`: the field, the field before, and the object.

    Where it is true, the row surely finds nothing. `names`: what stands in it in braces; `alone`: it is about the value
    and nothing else; `entries`: it is also over `each`, and has to be true for each entry of `value` or of `before`.
    """

    text: str
    names: Mapping[str, Any] = field(factory=dict)
    alone: bool = False
    entries: Literal["", "value", "before"] = ""


Maker: TypeAlias = Callable[[Row, Any], Glance]
"""Row, type of the field's entries (None: it is no list) -> the glance."""
Seen: TypeAlias = Callable[[Any, Any], bool]
"""Object, object before -> whether a table surely finds nothing in it."""
_Looks: TypeAlias = Mapping[str, Mapping[str, tuple[bool, tuple[Glance, ...]]]]
"""For each part of an object, for each field of it: whether it needs no look where it is empty, and the glances."""
_MAKERS: Final[dict[str, Maker]] = {}
_NEVER_OF_NOTHING: Final[set[str]] = set()
"""Constraints that find nothing where the field is empty."""
_NOT_WRITTEN: Final = "metadata"
"""The part of an object that a status is written without."""
_KNOWN: Final = 256
"""Values of a field that are known to be sound."""


def _glance(*names: str, empty: bool = True) -> Callable[[Maker], Maker]:
    """Register who makes the glances of constraints; `empty`: whether these find nothing in an empty field."""

    def register(maker: Maker) -> Maker:
        _MAKERS.update(dict.fromkeys(names, maker))
        if empty:
            _NEVER_OF_NOTHING.update(names)
        return maker

    return register


@_glance("at-least", empty=False)
def _at_least(row: Row, entry: Any) -> Glance:
    return Glance("value is None or value >= {least}", {"least": row.of})


@_glance("not-above", empty=False)
def _not_above(row: Row, entry: Any) -> Glance:
    def bound(new: Any) -> Any:
        return getattr(new.status, _names(new.status.__class__)[row.of])

    return Glance("value <= {bound}(new)", {"bound": bound})


@_glance("not-lowered", empty=False)
def _not_lowered(row: Row, entry: Any) -> Glance:
    return Glance("before is None or (value is not None and value >= before)")


@_glance("unchanged", empty=False)
@_glance("format-or-old", "free-nomination")
def _as_before(row: Row, entry: Any) -> Glance:
    return Glance("value == before")


@_glance("kept-once-given", empty=False)
def _kept(row: Row, entry: Any) -> Glance:
    return Glance("not before or value == before")


@_glance("condition-types")
def _condition_types(row: Row, entry: Any) -> Glance:
    names = {"qualified": _qualified, "known": tuple(row.of)}
    return Glance("{qualified}(tuple([each.type for each in value]), {known})", names, alone=True)


@lru_cache(maxsize=256)
def _qualified(names: tuple[str, ...], known: tuple[str, ...]) -> bool:
    return not any(format_errors("label-key", name) for name in names if name not in known)


@_glance("end-for-good")
def _end_for_good(row: Row, entry: Any) -> Glance:
    def stay(value: Any, before: Any, new: Any) -> bool:
        ended = [each for each in before if each.state.terminated is not None]
        still = {each.name for each in value if each.state.terminated is not None}
        return row.of != "ephemeralContainers" and all(
            each.name in still or may_restart(new.spec, each.name, each.state.terminated.exit_code) for each in ended
        )

    return Glance("each.state.terminated is None or {stay}(value, before, new)", {"stay": stay}, entries="before")


@_glance("ip-entries")
def _ip_entries(row: Row, entry: Any) -> Glance:
    return Glance("value is before or {plain}(each.ip)", {"plain": is_plain_ip}, entries="value")


@_glance("family-each", "unique")
def _alone(row: Row, entry: Any) -> Glance:
    return Glance("len(value) < 2")


@_glance("first-like")
def _first_like(row: Row, entry: Any) -> Glance:
    return Glance("value[0].ip == new.status.host_ip" if row.of == "hostIP" else "False")


@_glance("each", "each-as")
def _each(row: Row, entry: Any) -> Glance:
    """Parts that have none of the fields that their table looks at."""
    looked_at = _looked_at(law.table(row.of), entry)
    if looked_at is None:
        return Glance("False")
    text = " or ".join(f"each.{name}" for name in looked_at) or "False"
    return Glance(f"not ({text})", alone=True, entries="value")


_SOUND: Final = Memo()
"""Amounts by resource in which nothing was found."""


@_glance("named-amounts")
def _named_amounts(row: Row, entry: Any) -> Glance:
    def sound(value: Any) -> bool:
        parts = (value, law.table(row.of))
        if _SOUND.get(parts) is None:
            entries = ({"name": name, "amount": str(amount)} for name, amount in value.items())
            if any(any(judged(Part(entry, "", table=row.of))) for entry in entries):
                return False
            _SOUND.put(parts, True)
        return True

    return Glance("{sound}(value)", {"sound": sound})


@_glance("unique-part")
def _unique_part(row: Row, entry: Any) -> Glance:
    return Glance("value is before or all([each not in value[:index] for index, each in enumerate(value)])")


def surely_sound(table: str, new: Any, old: Any) -> bool:
    """Whether a table surely finds nothing in an object, of which an update has left the metadata as they were."""
    return seen_by(table, new.__class__)(new, old)


def seen_by(table: str, cls: Any) -> Seen:
    """The same for the objects of a class."""
    return _seen(law.table(table), cls)


@lru_cache(maxsize=64)
def _seen(table: CompiledTable, cls: Any) -> Seen:
    looks = _looks(table, cls)
    return _written(looks) if looks is not None else lambda new, old: False


def _written(looks: _Looks) -> Seen:
    """The glances as one function. What is about a value alone is not asked again about the very same one, unless it is
    no more than a look at each entry.
    """
    scope: dict[str, Any] = {"note": _note}
    lines = ["def seen(new, old):"]
    for part, fields_of in looks.items():
        lines += [f"    now, was = new.{part}, old.{part}"]
        for name, (empty, glances) in fields_of.items():
            lines += [f"    value, before = now.{name}, was.{name}", "    if value:" if empty else "    if True:"]
            alone = [each for each in glances if each.alone]
            if all(each.entries for each in alone):
                alone = []
            lines += _asked([each for each in glances if each not in alone], scope, "        ")
            if alone:
                known = f"known{len(scope)}"
                scope[known] = {}
                lines += [f"        if {known}.get(id(value)) is not value:", *_asked(alone, scope, "            ")]
                lines += [f"            note({known}, value)"]
            lines += ["        pass"]
    exec("\n".join([*lines, "    return True"]), scope)
    return scope["seen"]  # type: ignore[no-any-return]


def _asked(glances: Iterable[Glance], scope: dict[str, Any], indent: str) -> list[str]:
    """Lines that end the look where one of the glances is not sure; what they name is put into the scope."""
    texts: dict[str, list[str]] = {}
    for each in glances:
        names = {name: f"{name}{len(scope)}" for name in each.names}
        scope.update({names[name]: meant for name, meant in each.names.items()})
        texts.setdefault(each.entries, []).append(f"({each.text.format(**names)})")
    lines = []
    for entries, found in texts.items():
        lines += [f"{indent}for each in {entries} or ():"] if entries else []
        lines += [f"{indent}{'    ' * bool(entries)}if not ({' and '.join(found)}): return False"]
    return lines


def _note(known: dict[int, Any], value: Any) -> None:
    if len(known) >= _KNOWN:
        known.clear()
    known[id(value)] = value


def _looks(table: CompiledTable, cls: Any) -> _Looks | None:
    """What there is to look at in an object of a class; None where no glance tells."""
    found: dict[str, dict[str, list[tuple[bool, Glance]]]] = {}
    for path, row in _rows(table, ()):
        if path[:1] == (_NOT_WRITTEN,):
            continue
        part = _names(cls).get(path[0]) if path else None
        within = None if part is None else _hints(cls)[part]
        names = _names(within)
        if part is None or path[1] not in names:
            return None
        made = _made(path, row, _entry(_hints(within)[names[path[1]]]))
        if made is None:
            return None
        found.setdefault(part, {}).setdefault(names[path[1]], []).append(made)
    return {
        part: {name: (all(e for e, _ in made), tuple(g for _, g in made)) for name, made in entries.items()}
        for part, entries in found.items()
    }


def _rows(table: CompiledTable, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Row]]:
    """The rows of a table and of those that judge the same part, or one within; with the way from the object."""
    for each in table.graph.rows:
        row = Row.read(each.outputs)
        way = (*path, *steps_of(row.at))
        if row.must == "be":
            yield from _rows(law.table(row.of), way)
        else:
            yield way, row


def _made(path: tuple[str, ...], row: Row, entry: Any) -> tuple[bool, Glance] | None:
    """Whether a row finds nothing in an empty field, and its glance; None where it has none.

    `entry`: the type of the field's entries, where it is a list.
    """
    maker = _MAKERS.get(row.must)
    empty = row.must in _NEVER_OF_NOTHING or (row.must == "at-least" and row.of <= 0)
    if len(path) == 2 and maker is not None:
        return empty, maker(row, entry)
    if len(path) == 4 and path[2] == "[]" and path[3] in _names(entry) and row.must in _OF_ENTRIES:
        return True, _OF_ENTRIES[row.must](row, _names(entry)[path[3]])
    return None


def _none_there(row: Row, name: str) -> Glance:
    """Entries that have nothing in a field."""
    return Glance(f"not each.{name}", alone=True, entries="value")


def _none_below(row: Row, name: str) -> Glance:
    """Entries whose number is not below a bound."""
    return Glance(f"each.{name} >= {{least}}", {"least": row.of}, alone=True, entries="value")


_OF_ENTRIES: Final[dict[str, Callable[[Row, str], Glance]]] = {"absent": _none_there, "at-least": _none_below}
"""Makers of glances at a field of each entry of a list."""


def _looked_at(table: CompiledTable, cls: Any) -> tuple[str, ...] | None:
    """The fields of a part that a table looks at; None where it does not only look at what is there."""
    names = _names(cls)
    found: dict[str, None] = {}
    for path, row in _rows(table, ()):
        known = row.must in _NEVER_OF_NOTHING or row.must == "absent" or len(path) > 1
        if not known or not path or path[0] not in names:
            return None
        found[names[path[0]]] = None
    return tuple(found)


def _entry(hint: Any) -> Any:
    """The type of the entries of a list; None for what is none."""
    return get_args(hint)[0] if get_origin(hint) is tuple else None


@lru_cache(maxsize=64)
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


@lru_cache(maxsize=64)
def _names(cls: Any) -> dict[str, str]:
    """Attributes of an API type by their JSON names."""
    for each in (cls, *get_args(cls)):
        if hasattr(each, "__attrs_attrs__"):
            return {json_name(field): field.name for field in fields(each)}
    return {}
