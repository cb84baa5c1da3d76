"""The moments that an object names, and those that it names for the first time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from k8sfsm.trace.lines import Json
from k8sfsm.trace.timestamps import SECOND, parse_time

NOW: Final = frozenset(
    {"creationTimestamp", "deletionTimestamp", "lastTransitionTime", "lastUpdateTime", "timeAdded", "startTime"}
)
_MOMENTS: Final = frozenset(
    {
        *NOW, "completionTime", "eventTime", "finishedAt", "firstTimestamp", "lastHeartbeatTime", "lastObservedTime",
        "lastScheduleTime", "lastSuccessfulTime", "lastTimestamp", "lastProbeTime", "startedAt",
    }
)  # fmt: skip
_ELSEWHERE: Final = frozenset({"annotations", "labels", "spec", "managedFields"})


def changed_moments(old: Json, new: Json) -> Iterator[tuple[str, str, int]]:
    """(path, text, ns) of each moment in `new`, parts that stand in `old` as well left out; of a deletion when it was
    asked for.
    """
    return _changed(old, new, "")


def all_moments(obj: Json) -> Iterator[tuple[str, str, int]]:
    """The same of all moments that an object names."""
    return _moments(obj, "")


def _changed(old: Any, new: Any, path: str) -> Iterator[tuple[str, str, int]]:
    """The moments in `new`, but for those in parts that stand in `old` as well."""
    if not isinstance(new, dict) or not isinstance(old, dict):
        yield from _moments(new, path)
        return
    for name, part in new.items():
        other = old.get(name)
        if part is other or part == other:
            continue
        if name in _MOMENTS:
            yield from _moment(name, new, f"{path}.{name}" if path else name)
        elif type(part) in _PARTS and name not in _ELSEWHERE:
            yield from _changed(other, part, f"{path}.{name}" if path else name)


def _moments(value: Any, path: str) -> Iterator[tuple[str, str, int]]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name in _MOMENTS:
                yield from _moment(name, value, f"{path}.{name}" if path else name)
            elif type(part) in _PARTS and name not in _ELSEWHERE:
                yield from _moments(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for position, part in enumerate(value):
            if type(part) in _PARTS:
                yield from _moments(part, f"{path}[{position}]")


def _moment(name: str, value: Json, where: str) -> Iterator[tuple[str, str, int]]:
    text = value[name]
    if not isinstance(text, str) or not text:
        return
    grace = int(value.get("deletionGracePeriodSeconds") or 0) if name == "deletionTimestamp" else 0
    try:
        yield where, text, parse_time(text) - grace * SECOND
    except ValueError:
        return


_PARTS: Final = (dict, list)
