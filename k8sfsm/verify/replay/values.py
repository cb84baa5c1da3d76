"""Values that an object had on its way in the recorded history, and never in the predicted one.

How many steps a status takes is a matter of timing; what it says is not.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from attrs import define, field

from k8sfsm.law import constant
from k8sfsm.objects import to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.verify.replay.compare import Divergence, FieldPair, law, time_of
from k8sfsm.verify.replay.tracks import Version

Place: TypeAlias = tuple[Key, str, str]
"""(object, uid, path): lists by the `type` or `name` of their items, where they have one."""


@define
class _Known:
    """What the predicted versions of all objects say."""

    values: dict[Place, set[Any]] = field(factory=lambda: defaultdict(set))
    times: dict[Place, set[int]] = field(factory=lambda: defaultdict(set))
    rules: dict[tuple[Key, str], str] = field(factory=dict)

    def has(self, place: Place, value: Any) -> bool:
        if value in self.values[place]:
            return True
        time = time_of(value)
        near = constant("replay_time_tolerance") * SECOND
        return time is not None and any(abs(time - other) <= near for other in self.times[place])


def compare_values(recorded: tuple[Version, ...], predicted: tuple[Version, ...]) -> Iterator[Divergence]:
    """Each field's first recorded value that no predicted version of the object has there."""
    known = _known(predicted)
    told: dict[Place, None] = {}
    for version in recorded:
        identity = (version.key, version.uid)
        if version.object is None or identity not in known.rules:
            continue
        for path, general, value in _leaves(to_json(version.object)):
            place = (*identity, path)
            if place in told or known.has(place, value) or not _counts(version.key[0], general, value):
                continue
            told[place] = None
            yield _divergence(version, path, value, known, place)


def _known(predicted: tuple[Version, ...]) -> _Known:
    known = _Known()
    for version in predicted:
        if version.object is None:
            continue
        known.rules[version.key, version.uid] = version.rule or known.rules.get((version.key, version.uid), "")
        for path, _, value in _leaves(to_json(version.object)):
            place = (version.key, version.uid, path)
            known.values[place].add(value)
            time = time_of(value)
            if time is not None:
                known.times[place].add(time)
    return known


def _counts(kind: str, general: str, value: Any) -> bool:
    """Whether the value of a field is compared on the way: the rules of final objects hold here too."""
    case = FieldPair(kind, general, value, value)
    if law.decide("value", case).outputs["comparison"] == "ignored":
        return False
    return bool(law.decide("field", case).outputs["comparison"] != "ignored")


def _divergence(version: Version, path: str, value: Any, known: _Known, place: Place) -> Divergence:
    said = ", ".join(sorted(map(str, known.values[place]))) or "nothing"
    return Divergence(
        at=version.at,
        key=version.key,
        aspect=path,
        recorded=value,
        predicted=said,
        rule=known.rules[version.key, version.uid],
        line=version.line,
    )


def _leaves(value: Any, path: str = "", general: str = "") -> Iterator[tuple[str, str, Any]]:
    """(path, path without positions, value) of each field that is not empty."""
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{path}.{name}" if path else name, f"{general}.{name}" if general else name)
    elif isinstance(value, list):
        for part in value:
            label = (part.get("type") or part.get("name") or "") if isinstance(part, Mapping) else ""
            yield from _leaves(part, f"{path}[{label}]", f"{general}[]")
    elif value not in (None, "", 0, False):
        yield path, general, value
