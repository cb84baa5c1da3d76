"""The parts of a recorded object that readers of histories look at: a wrong type there is told with its place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Final

import msgspec

from k8sfsm.trace.errors import Line, TraceError, describe
from k8sfsm.trace.lines import Json
from k8sfsm.trace.timestamps import parse_time

_TIME: Final = "an RFC 3339 time"
_TEXT: Final = "a string"
_NUMBER: Final = "a whole number"
_ANY: Final[Mapping[str, Any]] = {}
_STATE: Final = {
    "running": {"startedAt": _TIME},
    "terminated": {"startedAt": _TIME, "finishedAt": _TIME, "exitCode": _NUMBER, "reason": _TEXT},
    "waiting": {"reason": _TEXT},
}
_CONTAINER: Final = {"name": _TEXT, "restartCount": _NUMBER, "state": _STATE, "lastState": _STATE}
_PODS: Final = {
    "containers": [{"name": _TEXT, "image": _TEXT}],
    "initContainers": [{"name": _TEXT, "image": _TEXT}],
    "ephemeralContainers": [{"name": _TEXT, "image": _TEXT}],
    "taints": [{"key": _TEXT, "effect": _TEXT}],
    "nodeName": _TEXT,
}
_ABOUT: Final = {"kind": _TEXT, "namespace": _TEXT, "name": _TEXT, "uid": _TEXT, "fieldPath": _TEXT}
SKELETON: Final[Mapping[str, Any]] = {
    "kind": _TEXT,
    "apiVersion": _TEXT,
    "metadata": {
        "name": _TEXT,
        "namespace": _TEXT,
        "uid": _TEXT,
        "labels": _ANY,
        "annotations": _ANY,
        "ownerReferences": [{"kind": _TEXT, "name": _TEXT, "uid": _TEXT}],
        "finalizers": [_TEXT],
        "creationTimestamp": _TIME,
        "deletionTimestamp": _TIME,
        "deletionGracePeriodSeconds": _NUMBER,
    },
    "spec": {**_PODS, "template": {"metadata": {"labels": _ANY, "annotations": _ANY}, "spec": _PODS}, "selector": _ANY},
    "status": {
        "conditions": [{"type": _TEXT, "status": _TEXT}],
        "containerStatuses": [_CONTAINER],
        "initContainerStatuses": [_CONTAINER],
        "ephemeralContainerStatuses": [_CONTAINER],
        "phase": _TEXT,
        "podIP": _TEXT,
        "startTime": _TIME,
    },
    "involvedObject": _ABOUT,
    "regarding": _ABOUT,
    "source": {"component": _TEXT, "host": _TEXT},
    "series": _ANY,
    "subsets": [_ANY],
    "endpoints": [_ANY],
    "ports": [_ANY],
    "reason": _TEXT,
    "message": _TEXT,
    "firstTimestamp": _TIME,
    "lastTimestamp": _TIME,
    "eventTime": _TIME,
}
"""What stands where in an object, as far as readers look: an object of members, a list of items, a value."""


def refuse_misshapen(place: Line, obj: Json, under: str = "") -> None:
    """Raises TraceError with the place of the first part of a wrong type. What is absent or null is no mistake.

    Half a surrogate pair is text for JSON, and for Python; the library that checks at once cannot write it.
    """
    try:
        msgspec.convert(obj, _form(), dec_hook=_moment)
    except (msgspec.ValidationError, RecursionError, UnicodeEncodeError):
        refuse_slowly(place, obj, under)


def refuse_slowly(place: Line, obj: Json, under: str = "") -> None:
    """As `refuse_misshapen`, which asks here where a part is wrong: the plain way."""
    _members(place, obj, SKELETON, under)


@lru_cache(maxsize=1)
def _form() -> Any:
    """The type of objects that are as `SKELETON` says, for the library that checks them at once."""
    return _type_of(SKELETON)


def _type_of(expected: Any) -> Any:
    if isinstance(expected, list):
        return list[_type_of(expected[0])]  # type: ignore[misc]
    if expected == _ANY:
        return dict[str, Any]
    if not isinstance(expected, Mapping):
        return _LEAVES[expected]
    fields = [(name, _type_of(inner) | None, None) for name, inner in expected.items()]
    return msgspec.defstruct("Part", fields, gc=False)


class _Moment:
    """The type of times, where it is checked what an object is."""


def _moment(_: type, found: Any) -> _Moment:
    if not _fits(found, _TIME):
        raise ValueError
    return _SOME


_SOME: Final = _Moment()
_LEAVES: Final[Mapping[str, Any]] = {
    _TEXT: str,
    _NUMBER: Annotated[int, msgspec.Meta(gt=-(2**63), le=2**63 - 1)],
    _TIME: _Moment,
}


def _members(place: Line, obj: Json, expected: Mapping[str, Any], path: str) -> None:
    for name, inner in expected.items():
        found = obj.get(name)
        if found is not None:
            _check(place, found, inner, f"{path}.{name}" if path else name)


def _check(place: Line, found: Any, expected: Any, path: str) -> None:
    if isinstance(expected, Mapping):
        if not isinstance(found, dict):
            raise _wrong(place, found, "an object", path)
        _members(place, found, expected, path)
    elif isinstance(expected, list):
        if not isinstance(found, list):
            raise _wrong(place, found, "a list", path)
        for number, item in enumerate(found):
            if item is None:
                raise _wrong(place, item, "an item", f"{path}[{number}]")
            _check(place, item, expected[0], f"{path}[{number}]")
    elif not _fits(found, expected):
        raise _wrong(place, found, expected, path)


def _fits(found: Any, expected: str) -> bool:
    if expected == _NUMBER:
        return isinstance(found, int) and not isinstance(found, bool) and abs(found) < 2**63
    if not isinstance(found, str):
        return False
    if expected == _TEXT or not found:
        return True
    try:
        parse_time(found)
    except ValueError:
        return False
    return True


def _wrong(place: Line, found: Any, expected: str, path: str) -> TraceError:
    return TraceError(place, f"expected {expected}, found {describe(found)}", "give the file as it was recorded", path)
