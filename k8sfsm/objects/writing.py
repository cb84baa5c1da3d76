"""Objects to JSON, as Go's encoding/json does it: zero values are left out where the Go type has omitempty.

Hooks are generated once per type by cattrs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from cattrs.gen import make_dict_unstructure_fn, override

from k8sfsm.objects.base import MicroTime, Struct, Time, is_written, json_name
from k8sfsm.objects.quantity import Quantity
from k8sfsm.objects.shape import CONVERTER, copy_json, is_struct, resolved, shape_of
from k8sfsm.objects.times import format_micro_time, format_time

Writer: TypeAlias = Callable[[Any], Any]


def _write_map(value: Mapping[str, Any]) -> dict[str, Any]:
    return dict(value)


def _write_quantities(value: Mapping[str, Quantity]) -> dict[str, str]:
    return {name: str(quantity) for name, quantity in value.items()}


def _write_times(value: Mapping[str, int]) -> dict[str, str]:
    return {name: format_time(time) for name, time in value.items()}


def _same(value: Any) -> Any:
    return value


def _list_writer(write: Writer) -> Writer:
    if write is _same:
        return list

    def write_list(value: tuple[Any, ...]) -> list[Any]:
        return [write(item) for item in value]

    return write_list


def _nil_list_writer(write: Writer) -> Writer:
    """For lists without omitempty: an empty one is nil in Go, and null in JSON."""

    def write_list(value: tuple[Any, ...]) -> list[Any] | None:
        return [write(item) for item in value] if value else None

    return write_list


def _pointer_writer(write: Writer) -> Writer:
    if write is _same:
        return _same

    def write_pointer(value: Any) -> Any:
        return None if value is None else write(value)

    return write_pointer


def _struct_writer(cls: type[Struct]) -> Writer:
    overrides: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        if attribute.name == "extra":
            overrides["extra"] = override(omit=True)
            continue
        always = is_written(attribute)
        overrides[attribute.name] = override(
            rename=json_name(attribute),
            omit_if_default=not always,
            unstruct_hook=_writer(attribute.type, nil=always),
        )
    generated = make_dict_unstructure_fn(cls, CONVERTER, **overrides)

    def write_struct(value: Any) -> dict[str, Any]:
        written = generated(value)
        if value.extra:
            written.update(copy_json(value.extra))
        return written

    return write_struct


_WRITERS: Final[dict[Any, Writer]] = {Time: format_time, MicroTime: format_micro_time, Quantity: str}
_MAP_WRITERS: Final[dict[Any, Writer]] = {
    str: _write_map,
    Any: copy_json,
    Quantity: _write_quantities,
    Time: _write_times,
}


def _writer(type_: Any, nil: bool = False) -> Writer:
    shape, inner = shape_of(type_)
    match shape:
        case "pointer":
            return _pointer_writer(_writer(inner))
        case "list":
            return _nil_list_writer(_writer(inner)) if nil else _list_writer(_writer(inner))
        case "map":
            return _MAP_WRITERS[inner]
        case "struct":
            return CONVERTER.get_unstructure_hook(inner)
    return _WRITERS.get(inner, _same)


CONVERTER.register_unstructure_hook_factory(is_struct, lambda cls: _struct_writer(resolved(cls)))


def write(value: Struct) -> dict[str, Any]:
    """The JSON form of a value of an API type. Nothing in it is shared with the value."""
    written: dict[str, Any] = CONVERTER.get_unstructure_hook(type(value))(value)
    return written
