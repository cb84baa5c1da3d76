"""Turns located YAML values into the attrs classes of `model` with cattrs, and its errors into mistakes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin

import attrs
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from k8sfsm.spec import model
from k8sfsm.spec.mistakes import Mistake, Position, did_you_mean
from k8sfsm.spec.source import Located, LocatedList
from k8sfsm.spec.unary import is_number

T = TypeVar("T")

COMPUTED = {"at", "cells", "cells_at", "tests", "when_at"}
"""Fields of the model that are not written in a file but found while reading it."""

_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", type(None): "null"}


def yaml_name(attribute: str) -> str:
    """The key in a file of an attribute of the model."""
    return attribute.rstrip("_")


def _entry(attribute: str) -> str:
    """The entry of a prepared mapping that holds an attribute: computed ones have names that no file can write."""
    return f"<{attribute}>" if attribute in COMPUTED else yaml_name(attribute)


def keys_of(cls: type) -> tuple[str, ...]:
    """The keys that a mapping of this class may have in a file."""
    if cls is model.Rule:
        return ("then", "source", "doc")
    return tuple(yaml_name(a.name) for a in attrs.fields(cls) if a.name not in COMPUTED)


_SHOWN: Final = 80


def type_name(value: Any) -> str:
    """What a YAML value is, for a message."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return f"the text '{_one_line(value)}'"
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "null"}[value]
    return f"the number {value}"


def _one_line(text: str) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(text.split("\n")).strip()
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


class _Wrong(ValueError):
    """A value of the wrong type; the text is the whole message."""


def _expect(expected: str, value: Any) -> _Wrong:
    return _Wrong(f"{type_name(value)} stands here, expected {expected}")


def _scalar(cls: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if cls is float:
            ok = is_number(value)
        else:
            ok = isinstance(value, cls) and (cls is bool or not isinstance(value, bool))
        if not ok:
            raise _expect(_NAMES[cls], value)
        return value

    return structure


def _literal(value: Any, cls: Any) -> Any:
    if value not in get_args(cls):
        expected = "one of: " + ", ".join(map(str, get_args(cls)))
        hint = did_you_mean(value, get_args(cls)) if isinstance(value, str) else ""
        raise _Wrong(
            f"{type_name(value)} stands here, expected {expected}" + (f"; {hint}" if hint.startswith("did") else "")
        )
    return value


def _list(converter: Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, cls: Any) -> Any:
        item = get_args(cls)[0]
        if not isinstance(value, list):
            raise _expect("a list (in square brackets)", value)
        errors: list[Exception] = []
        items = []
        for index, raw in enumerate(value):
            try:
                items.append(converter.structure(raw, item))
            except Exception as error:
                error.__notes__ = [IterableValidationNote("", index, item)]
                errors.append(error)
        if errors:
            raise IterableValidationError("", errors, cls)
        return tuple(items)

    return structure


def _mapping(converter: Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, cls: Any) -> Any:
        item = get_args(cls)[1]
        if not isinstance(value, dict):
            raise _expect("a mapping (`name: ...` lines)", value)
        errors: list[Exception] = []
        items = {}
        for key, raw in value.items():
            try:
                items[key] = raw if item is Any else converter.structure(raw, item)
            except Exception as error:
                error.__notes__ = [IterableValidationNote("", key, item)]
                errors.append(error)
        if errors:
            raise IterableValidationError("", errors, cls)
        return items

    return structure


def _optional(converter: Converter) -> Callable[[Any, Any], Any]:
    def structure(value: Any, cls: Any) -> Any:
        inner = [part for part in get_args(cls) if part is not type(None)]
        return None if value is None else converter.structure(value, inner[0])

    return structure


def _prepared(raw: Located, cls: type) -> dict[str, Any]:
    """The entries of `raw` with what the class wants to know beside them."""
    values: dict[str, Any] = dict(raw)
    if cls is model.Rule:
        own = keys_of(cls)
        cells = Located(raw.at)
        for key in [key for key in values if key not in own]:
            cells[key] = values.pop(key)
        values["<cells>"] = cells
        values["<cells_at>"] = {key: raw.key_at[key] for key in cells}
    if cls is model.State and isinstance(raw.get("when"), Located):
        values["<when_at>"] = dict(raw["when"].key_at)
    if cls is model.Transition and isinstance(raw.get("from"), str):
        values["from"] = [raw["from"]]
    values["<at>"] = raw.at
    return values


def _attrs_class(converter: Converter) -> Callable[[type], Callable[[Any, Any], Any]]:
    def factory(cls: type) -> Callable[[Any, Any], Any]:
        renames = {a.name: override(rename=_entry(a.name)) for a in attrs.fields(cls)}
        make: Any = make_dict_structure_fn
        inner: Callable[[Any, Any], Any] = make(
            cls, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=True, **renames
        )

        def structure(value: Any, target: Any) -> Any:
            if not isinstance(value, Located):
                raise _expect("a mapping with the keys " + ", ".join(keys_of(cls)), value)
            return inner(_prepared(value, cls), target)

        return structure

    return factory


def _has_origin(*origins: Any) -> Callable[[Any], bool]:
    return lambda cls: get_origin(cls) in origins


def _is_optional(cls: Any) -> bool:
    return get_origin(cls) in (Union, UnionType) and type(None) in get_args(cls)


def _make_converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook_func(lambda cls: cls is Any, lambda value, _: value)
    for scalar in (str, int, float, bool):
        converter.register_structure_hook(scalar, _scalar(scalar))
    converter.register_structure_hook_func(_is_optional, _optional(converter))
    converter.register_structure_hook_func(_has_origin(Literal), _literal)
    converter.register_structure_hook_func(_has_origin(tuple), _list(converter))
    converter.register_structure_hook_func(_has_origin(Mapping), _mapping(converter))
    converter.register_structure_hook_factory(attrs.has, _attrs_class(converter))
    converter.register_structure_hook(Position, lambda value, _: value)
    return converter


_CONVERTER = _make_converter()


def _leaf(error: Exception, owner: Any, key: Any) -> Iterator[tuple[Position | None, str]]:
    at: Position | None = None
    if isinstance(owner, Located):
        at = owner.value_at.get(key)
    elif isinstance(owner, LocatedList) and isinstance(key, int):
        at = owner.item_at[key]
    name = f"'{key}': " if isinstance(key, str) else ""
    yield at, f"{name}{error}"


def _mistakes(error: BaseException, raw: Any, owner: Any, key: Any) -> Iterator[tuple[Position | None, str]]:
    """Walk cattrs' tree of errors beside the raw values. `raw` is what `owner[key]` holds."""
    here = raw.at if isinstance(raw, Located | LocatedList) else None
    if isinstance(error, ClassValidationError | IterableValidationError):
        for part in error.exceptions:
            yield from _part(part, raw, here)
        return
    if isinstance(error, Exception):
        yield from _leaf(error, owner, key)


def _part(part: BaseException, raw: Any, here: Position | None) -> Iterator[tuple[Position | None, str]]:
    note: str | None = next(iter(getattr(part, "__notes__", [])), None)
    if isinstance(part, ForbiddenExtraKeysError):
        for extra in sorted(part.extra_fields):
            yield raw.key_at.get(extra), f"unknown key '{extra}', {did_you_mean(extra, keys_of(part.cl))}"
    elif isinstance(note, AttributeValidationNote):
        name = yaml_name(note.name)
        if isinstance(part, KeyError) and name not in raw:
            yield here, f"key '{name}' is missing, expected {_wanted(note.type)}"
        elif isinstance(raw, Located):
            yield from _mistakes(part, raw.get(name), raw, name)
    elif isinstance(note, IterableValidationNote):
        yield from _mistakes(part, raw[note.index], raw, note.index)


def _wanted(cls: Any) -> str:
    if cls in _NAMES:
        return _NAMES[cls]
    origin = get_origin(cls)
    if origin is Literal:
        return "one of: " + ", ".join(map(str, get_args(cls)))
    if origin is tuple:
        return "a list"
    return "a mapping" if origin is not None else "a value"


def structure(raw: Located, cls: type[T]) -> tuple[T | None, list[Mistake]]:
    """Read `raw` as a `cls`. Returns the value, or None and every mistake."""
    try:
        return _CONVERTER.structure(raw, cls), []
    except Exception as error:
        found = _mistakes(error, raw, None, "")
        return None, [Mistake(at or raw.at, message) for at, message in found]
