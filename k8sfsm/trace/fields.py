"""Typed access to the fields of recorded JSON: a wrong type is a TraceError that names file, line and field."""

from __future__ import annotations

from typing import Any, Final, TypeVar, overload

from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.lines import Json
from k8sfsm.trace.timestamps import parse_time

T = TypeVar("T")
_NAMES: Final[dict[type, str]] = {
    dict: "an object",
    list: "a list",
    str: "a string",
    int: "a whole number",
    bool: "a boolean",
}
_UNCHANGED: Final = "give the file as it was recorded"


@overload
def optional(place: Line, value: Json, path: str, expected: type[T]) -> T | None: ...
@overload
def optional(place: Line, value: Json, path: str, expected: type[T], default: T) -> T: ...
def optional(place: Line, value: Json, path: str, expected: type[T], default: T | None = None) -> T | None:
    """The field at `path` (names joined by dots), or `default` where it is absent or null."""
    found: Any = value
    for name in path.split("."):
        if not isinstance(found, dict):
            raise _no_object(place, value, path)
        found = found.get(name)
        if found is None:
            return default
    if not isinstance(found, expected) or (expected is int and isinstance(found, bool)):
        what = f"expected {_NAMES.get(expected, expected.__name__)}, found {describe(found)}"
        raise TraceError(place, what, _UNCHANGED, path)
    return found


def text_in(place: Line, value: Json, name: str) -> str:
    """The text of a member, "" where it is absent or null: the quick way for one name."""
    found = value.get(name)
    return found if type(found) is str else optional(place, value, name, str, "")


def object_in(place: Line, value: Json, name: str) -> Json:
    """The same of an object, which is empty where it is absent or null."""
    found = value.get(name)
    return found if type(found) is dict else optional(place, value, name, dict, {})


def _no_object(place: Line, value: Json, path: str) -> TraceError:
    """The error for a path that goes on below something else than an object."""
    found: Any = value
    done: list[str] = []
    for name in path.split("."):
        if not isinstance(found, dict):
            break
        done.append(name)
        found = found.get(name)
    return TraceError(place, f"expected an object, found {describe(found)}", _UNCHANGED, ".".join(done))


def required(place: Line, value: Json, path: str, expected: type[T]) -> T:
    """The field at `path`, which must be there."""
    found = optional(place, value, path, expected)
    if found is None:
        raise TraceError(place, f"expected {_NAMES.get(expected, expected.__name__)}, found nothing", _UNCHANGED, path)
    return found


def time_at(place: Line, value: Json, path: str) -> int | None:
    """The RFC 3339 time at `path` in nanoseconds, or None where it is absent."""
    text = optional(place, value, path, str)
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        raise TraceError(place, f"expected an RFC 3339 time, found {describe(text)}", _UNCHANGED, path) from None
