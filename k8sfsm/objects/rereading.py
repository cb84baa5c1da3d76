"""Objects from JSON that changed in part: what is the same JSON as before is the same value, and is not read again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from k8sfsm.objects.base import Struct, json_name
from k8sfsm.objects.copying import evolver_of
from k8sfsm.objects.reading import Reader, reader_of
from k8sfsm.objects.shape import resolved, shape_of

Rereader: TypeAlias = Callable[[Any, Any, Any], Any]
"""A function of a typed value, of the JSON that it was read from, and of the JSON to read."""
_HEAD: Final = ("apiVersion", "kind")
_ABSENT: Final = object()


class NewMembers(Exception):
    """JSON has members that its type does not know: it is to be read from nothing."""


def reread(known: Struct, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """As `read(type(known), after)`, where `known` was read from `before`.

    Raises NewMembers, and what readers raise where something has a wrong type.
    """
    return _rereader_of(type(known))(known, before, after)


_KNOWN: Final[dict[type[Any], Rereader]] = {}


def _rereader_of(cls: type[Struct]) -> Rereader:
    found = _KNOWN.get(cls)
    if found is None:
        found = _KNOWN[cls] = _struct_rereader(cls)
    return found


def _struct_rereader(cls: type[Struct]) -> Rereader:
    attributes = [each for each in attrs.fields(resolved(cls)) if each.name != "extra"]
    members = {json_name(each): (each.name, each.default, _rereader(each.type)) for each in attributes}
    changed = evolver_of(cls)

    def struct(known: Any, before: Any, after: Any) -> Any:
        if type(before) is not dict or type(after) is not dict or known is None:
            return reader_of(cls)(after, None)
        if known.extra:
            raise NewMembers
        changes: dict[str, Any] = {}
        for name, value in after.items():
            other = before.get(name, _ABSENT)
            if value is other or (type(value) is str and value == other) or name in _HEAD:
                continue
            member = members.get(name)
            if member is None:
                raise NewMembers
            at = member[0]
            changes[at] = member[2](getattr(known, at), other, value)
        if len(before) != len(after) or before.keys() != after.keys():
            changes |= {members[name][0]: members[name][1] for name in before.keys() - after.keys() if name in members}
        return changed(known, changes) if changes else known

    return struct


def _rereader(type_: Any) -> Rereader:
    """What rereads a member of a type whose JSON is not the same."""
    shape, inner = shape_of(type_)
    if shape == "pointer":
        there = _rereader(inner)
        return lambda known, before, after: None if after is None else there(known, before, after)
    if shape == "struct":
        return _later(inner)
    if shape == "list":
        return _list_rereader(inner, reader_of(type_))
    read: Reader = reader_of(type_)
    return lambda known, before, after: read(after, None)


def _later(cls: type[Struct]) -> Rereader:
    """The rereader of a type that is made when it is first asked for: types may hold themselves."""

    def struct(known: Any, before: Any, after: Any) -> Any:
        return _rereader_of(cls)(known, before, after)

    return struct


def _list_rereader(inner: Any, read: Reader) -> Rereader:
    item = _rereader(inner)

    def items(known: Any, before: Any, after: Any) -> Any:
        if type(before) is not list or type(after) is not list or len(known) != len(before):
            return read(after, None)
        count = len(before)
        return tuple(
            [
                (known[at] if each is before[at] else item(known[at], before[at], each))
                if at < count
                else item(None, None, each)
                for at, each in enumerate(after)
            ]
        )

    return items
