"""Objects from JSON: strict, and with the place of the first wrong value in the error.

Hooks are generated once per type by cattrs; null is the zero value, as in Go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

import attrs
from cattrs.gen import make_dict_structure_fn, override

from k8sfsm.objects.base import NOTHING, MicroTime, Struct, Time, is_object, json_name
from k8sfsm.objects.quantity import Quantity, QuantityError
from k8sfsm.objects.shape import CONVERTER, copy_json, is_struct, resolved, shape_of
from k8sfsm.objects.times import parse_time

Reader: TypeAlias = Callable[[Any, Any], Any]

_TYPE_FIELDS: Final = frozenset({"apiVersion", "kind"})


class ObjectError(ValueError):
    """JSON that is no such object. `path`: the JSON field; `found` and `expected` say what is wrong with it.

    `steps` is the path in its parts: names, and numbers of list items.
    """

    def __init__(self, path: str, found: str, expected: str, steps: tuple[str | int, ...] = ()) -> None:
        super().__init__(f"{path or 'the object'}: found {found}, expected {expected}")
        self.path = path
        self.found = found
        self.expected = expected
        self.steps = steps


class Mismatch(Exception):
    """A value has the wrong type; the place is found out later, so that reading what is right stays fast."""


def describe(value: Any) -> str:
    """A JSON value in words, for errors: `the string "3"`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return f'the string "{value if len(value) <= 40 else value[:37] + "..."}"'
        case int() | float():
            return f"the number {value}"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "an object"
    return f"a {type(value).__name__}"


def _read_str(value: Any, _: Any) -> str:
    if type(value) is str:
        return value
    if value is None:
        return ""
    raise Mismatch("a string")


def _read_int(value: Any, _: Any) -> int:
    if type(value) is int:
        return value
    if value is None:
        return 0
    raise Mismatch("an integer")


def _read_bool(value: Any, _: Any) -> bool:
    if value is True or value is False:
        return bool(value)
    if value is None:
        return False
    raise Mismatch("true or false")


def _read_int_or_string(value: Any, _: Any) -> int | str:
    if type(value) is int or type(value) is str:
        return value
    if value is None:
        return 0
    raise Mismatch("an integer or a string")


def _read_time(value: Any, _: Any) -> int:
    try:
        return parse_time(value)
    except (ValueError, TypeError):
        raise Mismatch("a time such as 2026-01-15T12:00:00Z") from None


def _read_quantity(value: Any, _: Any) -> Quantity:
    try:
        return Quantity.parse(value.strip() if type(value) is str else _number_text(value))
    except QuantityError:
        raise Mismatch("a quantity such as 500m or 1Gi") from None


def _number_text(value: Any) -> str:
    if type(value) is int or type(value) is float:
        return str(value)
    if value is None:
        return "0"
    raise QuantityError


def _read_json(value: Any, _: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return {name: copy_json(item) for name, item in value.items()}
    if value is None:
        return NOTHING
    raise Mismatch("an object")


def _read_strings(value: Any, _: Any) -> Mapping[str, str]:
    if isinstance(value, dict):
        for item in value.values():
            if type(item) is not str:
                raise Mismatch("strings as values")
        return dict(value) if value else NOTHING
    if value is None:
        return NOTHING
    raise Mismatch("an object")


def _map_reader(read: Reader) -> Reader:
    def read_map(value: Any, _: Any) -> Mapping[str, Any]:
        if isinstance(value, dict):
            return {name: read(item, None) for name, item in value.items()} if value else NOTHING
        if value is None:
            return NOTHING
        raise Mismatch("an object")

    return read_map


def _list_reader(read: Reader) -> Reader:
    def read_list(value: Any, _: Any) -> tuple[Any, ...]:
        if type(value) is list or type(value) is tuple:
            return tuple([read(item, None) for item in value])
        if value is None:
            return ()
        raise Mismatch("a list")

    return read_list


def _pointer_reader(read: Reader) -> Reader:
    def read_pointer(value: Any, _: Any) -> Any:
        return None if value is None else read(value, None)

    return read_pointer


def _struct_reader(cls: type[Struct]) -> Reader:
    """Reads a struct with the function that cattrs generates; what it does not know goes to `extra`."""
    overrides: dict[str, Any] = {}
    for attribute in attrs.fields(cls):
        if attribute.name == "extra":
            overrides["extra"] = override(omit=True)
        else:
            overrides[attribute.name] = override(rename=json_name(attribute), struct_hook=reader_of(attribute.type))
    generated = make_dict_structure_fn(cls, CONVERTER, _cattrs_detailed_validation=False, **overrides)
    modelled = frozenset(map(json_name, attrs.fields(cls))) - {"extra"}
    known = modelled | _TYPE_FIELDS if is_object(cls) else modelled
    covers = known.issuperset
    zero = cls()
    keep = object.__setattr__

    def read_struct(value: Any, _: Any) -> Struct:
        if not isinstance(value, dict):
            if value is None:
                return zero
            raise Mismatch("an object")
        part = generated(value, cls)
        if not covers(value):
            keep(part, "extra", {name: copy_json(item) for name, item in value.items() if name not in known})
        return part

    return read_struct


_READERS: Final[dict[Any, Reader]] = {
    str: _read_str,
    int: _read_int,
    bool: _read_bool,
    int | str: _read_int_or_string,
    Time: _read_time,
    MicroTime: _read_time,
    Quantity: _read_quantity,
}
_MAP_READERS: Final[dict[Any, Reader]] = {str: _read_strings, Any: _read_json}


def reader_of(type_: Any) -> Reader:
    """What reads values of a type: a function of the JSON (and of nothing). It raises `Mismatch`."""
    shape, inner = shape_of(type_)
    match shape:
        case "pointer":
            return _pointer_reader(reader_of(inner))
        case "list":
            return _list_reader(reader_of(inner))
        case "map":
            return _MAP_READERS.get(inner) or _map_reader(reader_of(inner))
        case "struct":
            return CONVERTER.get_structure_hook(inner)
    return _READERS[inner]


CONVERTER.register_structure_hook_factory(is_struct, lambda cls: _struct_reader(resolved(cls)))


def read(cls: type[Struct], value: Any, path: str = "") -> Any:
    """Read a value of an API type. Raises ObjectError; `path` is put before the place in it."""
    try:
        return CONVERTER.get_structure_hook(cls)(value, cls)
    except Mismatch:
        raise _locate(cls, value, path, (path,) if path else ()) from None


Place: TypeAlias = tuple[Any, Any, str, str | int]
"""A type, a value of it, the end of its path, and its name or number."""


def _locate(type_: Any, value: Any, path: str, steps: tuple[str | int, ...]) -> ObjectError:
    """The error for a value that `reader_of(type_)` refuses, with the place of the first wrong part."""
    shape, inner = shape_of(type_)
    if shape == "pointer":
        return _locate(inner, value, path, steps)
    for part_type, part, suffix, step in _parts(shape, inner, value):
        if _refusal(part_type, part):
            return _locate(part_type, part, (path + suffix).removeprefix("."), (*steps, step))
    return ObjectError(path, describe(value), _refusal(type_, value), steps)


def _parts(shape: str, inner: Any, value: Any) -> list[Place]:
    if shape == "list" and isinstance(value, list):
        return [(inner, item, f"[{index}]", index) for index, item in enumerate(value)]
    if shape == "map" and isinstance(value, dict) and inner is not Any:
        return [(inner, item, f"[{name}]", name) for name, item in value.items()]
    if shape == "struct" and isinstance(value, dict):
        types = {json_name(attribute): attribute.type for attribute in attrs.fields(inner) if attribute.name != "extra"}
        return [(types[name], item, f".{name}", name) for name, item in value.items() if name in types]
    return []


def _refusal(type_: Any, value: Any) -> str:
    try:
        reader_of(type_)(value, None)
    except Mismatch as mismatch:
        return str(mismatch)
    return ""
