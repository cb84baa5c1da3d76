"""What an attribute of an API type holds, for reading and for writing."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import attrs
from cattrs import Converter

from k8sfsm.objects.base import Struct

Shape: TypeAlias = Literal["pointer", "list", "map", "struct", "value"]

CONVERTER: Final = Converter(detailed_validation=False)
"""The hooks of all API types, made when a type is first used."""


def shape_of(type_: Any) -> tuple[Shape, Any]:
    """The form of a value of this type, and the type inside: of the items, of the map's values, behind the pointer."""
    origin, inner = typing.get_origin(type_), typing.get_args(type_)
    if origin in (types.UnionType, typing.Union) and type(None) in inner:
        rest = [member for member in inner if member is not type(None)]
        return "pointer", rest[0] if len(rest) == 1 else int | str
    if origin is tuple:
        return "list", inner[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return "map", inner[1]
    if is_struct(type_):
        return "struct", type_
    return "value", type_


def is_struct(type_: Any) -> bool:
    """True for API types."""
    return isinstance(type_, type) and issubclass(type_, Struct)


def resolved(cls: type[Struct]) -> type[Struct]:
    """The class, with the types of its attributes looked up."""
    attrs.resolve_types(cls, include_extras=True)
    return cls


def copy_json(value: Any) -> Any:
    """A JSON value of its own: no container is shared with the given one."""
    if isinstance(value, dict):
        return {name: copy_json(item) for name, item in value.items()}
    if type(value) is list or type(value) is tuple:
        return [copy_json(item) for item in value]
    return value
