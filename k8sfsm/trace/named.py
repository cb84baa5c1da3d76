"""The moments that an object names, and those that it names for the first time."""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.lines import Json
from k8sfsm.trace.timestamps import parse_time

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


Named = list[tuple[str, str, int]]


def changed_moments(old: Json, new: Json) -> Named:
    """(path, text, ns) of each moment in `new`, parts that stand in `old` as well left out; of a deletion when it was
    asked for.
    """
    found: Named = []
    _changed(old, new, "", found)
    return found


def all_moments(obj: Json) -> Named:
    """The same of all moments that an object names."""
    found: Named = []
    _moments(obj, "", found)
    return found


def _changed(old: Any, new: Any, path: str, found: Named) -> None:
    """The moments in `new`, but for those in parts that stand in `old` as well."""
    if not isinstance(new, dict) or not isinstance(old, dict):
        _moments(new, path, found)
        return
    for name, part in new.items():
        other = old.get(name)
        if part is other or part == other:
            continue
        if name in _MOMENTS:
            _moment(name, new, f"{path}.{name}" if path else name, found)
        elif type(part) in _PARTS and name not in _ELSEWHERE:
            _changed(other, part, f"{path}.{name}" if path else name, found)


def _moments(value: Any, path: str, found: Named) -> None:
    if isinstance(value, dict):
        for name, part in value.items():
            if type(part) is str:
                if name in _MOMENTS:
                    _moment(name, value, f"{path}.{name}" if path else name, found)
            elif type(part) in _PARTS and name not in _ELSEWHERE and name not in _MOMENTS:
                _moments(part, f"{path}.{name}" if path else name, found)
    elif isinstance(value, list):
        for position, part in enumerate(value):
            if type(part) in _PARTS:
                _moments(part, f"{path}[{position}]", found)


def _moment(name: str, value: Json, where: str, found: Named) -> None:
    text = value[name]
    if not isinstance(text, str) or not text:
        return
    grace = int(value.get("deletionGracePeriodSeconds") or 0) if name == "deletionTimestamp" else 0
    try:
        found.append((where, text, parse_time(text) - grace * SECOND))
    except ValueError:
        return


_PARTS: Final = (dict, list)
