"""Where a prediction and a recorded cluster part: tracks, objects, final fields, Events.

What counts as agreement is in `specs/replay/controller.yaml`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Set
from typing import Any

from attrs import frozen

from k8sfsm.law import Law, constant
from k8sfsm.objects import format_micro_time, parse_time
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Key
from k8sfsm.verify.replay.stalls import Span, overlap
from k8sfsm.verify.replay.tracks import Stay, Track, TrackKey, Version, unmatched, without

law = Law("replay")


@frozen(kw_only=True)
class Divergence:
    """One place where prediction and recording part.

    `at`: ns; `aspect`: a region, a field or "existence"; `recorded`, `predicted`: what each has there; `rule`: what the
    prediction follows; `line`: where the recording says otherwise.
    """

    at: int
    key: Key
    aspect: str
    recorded: Any
    predicted: Any
    rule: str = ""
    line: str = ""
    text: str = ""

    def __str__(self) -> str:
        kind, namespace, name = self.key
        place = f"{self.line}: " if self.line else ""
        rule = f" (rule {self.rule})" if self.rule else ""
        what = self.text or f"predicted {self.predicted}{rule}, recorded {self.recorded}"
        return f"{place}{kind} {namespace + '/' if namespace else ''}{name}: {self.aspect}: {what}"


@frozen
class Record:
    """How a recording was made.

    `slim`: changes of Endpoints are left out; `exact`: times are finer than seconds; `probes`: every answer of a probe
    is in it; `pods_in_part`: changed pods are not shown whole; `stalls`: from when to when (ns) the API server kept
    somebody waiting.
    """

    slim: bool = False
    exact: bool = True
    probes: bool = True
    pods_in_part: bool = False
    stalls: tuple[Span, ...] = ()


@frozen
class MissingState:
    """A value that one of two tracks lacks. `since` (ns), `held_ns`: how long it stayed; None: to the end."""

    kind: str
    track_aspect: str
    actor: str
    since: int
    held_ns: int | None
    record: Record


@frozen
class FieldPair:
    """One field in two versions of an object; `path` without positions: ``status.conditions[].type``."""

    kind: str
    path: str
    recorded: Any
    predicted: Any


@law.fact
def aspect(case: MissingState) -> str:
    """The region or field whose value is missing on one side."""
    return case.track_aspect


@law.fact
def writer(case: MissingState) -> str:
    """Who wrote the value."""
    return case.actor


@law.fact
def slim(case: MissingState | Left) -> bool:
    """Whether the recording leaves changes of Endpoints out."""
    return case.record.slim


@law.fact
def pods_in_part(case: MissingState) -> bool:
    """Whether the recording shows changed pods in part only."""
    return case.record.pods_in_part


@law.fact
def exact_times(case: MissingState) -> bool:
    """Whether the recording's times are finer than whole seconds."""
    return case.record.exact


@law.fact
def held(case: MissingState) -> float | None:
    """How long the value stood while the API server was in good health, in milliseconds; None: to the end."""
    if case.held_ns is None:
        return None
    stalled = overlap(case.record.stalls, case.since, case.since + case.held_ns)
    return (case.held_ns - stalled) / MILLISECOND


@law.fact
def object_kind(case: FieldPair | MissingState | Left) -> str:
    """The kind of the object."""
    return case.kind


@law.fact
def field_name(case: FieldPair) -> str:
    """The field's path without positions in lists."""
    return case.path


@law.fact
def both_times(case: FieldPair) -> bool:
    """Whether both values are times."""
    return time_of(case.recorded) is not None and time_of(case.predicted) is not None


def time_of(value: Any) -> int | None:
    """The moment (ns) that a text names; None where it names none."""
    if not isinstance(value, str) or len(value) < 20 or value[4:5] != "-" or not value.endswith("Z"):
        return None
    try:
        return parse_time(value)
    except ValueError:
        return None


# -- tracks ---------------------------------------------------------------------------------------------------------


def compare_tracks(
    recorded: Mapping[TrackKey, Track], predicted: Mapping[TrackKey, Track], record: Record
) -> Iterator[Divergence]:
    """Divergences of all tracks of objects that both histories have, in no particular order."""
    for key, track in recorded.items():
        other = predicted.get(key)
        if other is not None:
            yield from _compare_track(key, track, other, record)


def _compare_track(key: TrackKey, recorded: Track, predicted: Track, record: Record) -> list[Divergence]:
    """Divergences of one track. A brief value between two stays of one other value was never there for who looked only
    before and after; where both tracks have it, it may also be what both are to be aligned by.
    """
    shared = {stay.value for stay in recorded} & {stay.value for stay in predicted}
    found = _aligned(key, recorded, predicted, record, frozenset())
    return found and (_aligned(key, recorded, predicted, record, shared) and found)


def _aligned(key: TrackKey, recorded: Track, predicted: Track, record: Record, kept: Set[Any]) -> list[Divergence]:
    """Divergences that are left when values which may be missing are left out; `kept`: never those."""

    def merged(stay: Stay) -> bool:
        version = stay.version
        case = MissingState(key[0][0], key[2], version.actor, version.at, stay.held, record)
        return bool(law.decide("missing-state", case).outputs["verdict"] == "merged")

    recorded, predicted = _without_blips(recorded, kept, merged), _without_blips(predicted, kept, merged)
    while True:
        only_recorded, only_predicted = unmatched(recorded, predicted)
        skipped_recorded = [at for at in only_recorded if merged(recorded[at])]
        skipped_predicted = [at for at in only_predicted if merged(predicted[at])]
        if not skipped_recorded and not skipped_predicted:
            break
        recorded, predicted = without(recorded, skipped_recorded), without(predicted, skipped_predicted)
    found: list[tuple[Stay, Stay | None, Stay | None]]
    found = [(recorded[at], recorded[at], _around(predicted, recorded[at].version.at)) for at in only_recorded]
    found += [(predicted[at], _around(recorded, predicted[at].version.at), predicted[at]) for at in only_predicted]
    return [_divergence(key, *each) for each in found]


def _without_blips(track: Track, kept: Set[Any], merged: Callable[[Stay], bool]) -> Track:
    """The track without values that were there briefly, between two stays of one other value."""
    for position in range(1, len(track) - 1):
        before, stay, after = track[position - 1 : position + 2]
        if before.value == after.value and stay.value not in kept and merged(stay):
            return _without_blips(without(track, (position,)), kept, merged)
    return track


def _around(track: Track, at: int) -> Stay | None:
    """The stay of a track at a time: the last that began before it."""
    return next((stay for stay in reversed(track) if stay.version.at <= at), track[0] if track else None)


def _divergence(key: TrackKey, cause: Stay, recorded: Stay | None, predicted: Stay | None) -> Divergence:
    return Divergence(
        at=cause.version.at,
        key=key[0],
        aspect=key[2],
        recorded=_said(recorded),
        predicted=_said(predicted),
        rule=predicted.version.rule if predicted is not None else "",
        line=recorded.version.line if recorded is not None else "",
    )


def _said(stay: Stay | None) -> str:
    if stay is None:
        return "nothing"
    return f"{stay.value} at {format_micro_time(stay.version.at)[11:26]} by {stay.version.actor}"


# -- objects --------------------------------------------------------------------------------------------------------


def compare_existence(recorded: tuple[Version, ...], predicted: tuple[Version, ...]) -> Iterator[Divergence]:
    """Objects that only one of the histories has, Events aside."""
    left, right = _births(recorded), _births(predicted)
    for identity in left.keys() - right.keys():
        version = left[identity]
        yield _existence(version, "an object", "no such object")
    for identity in right.keys() - left.keys():
        version = right[identity]
        yield _existence(version, "no such object", "an object")


def _births(versions: tuple[Version, ...]) -> dict[tuple[Key, str], Version]:
    found: dict[tuple[Key, str], Version] = {}
    for version in versions:
        if version.key[0] != "Event":
            found.setdefault((version.key, version.uid), version)
    return found


def _existence(version: Version, recorded: str, predicted: str) -> Divergence:
    return Divergence(
        at=version.at,
        key=version.key,
        aspect="existence",
        recorded=f"{recorded} (uid {version.uid})",
        predicted=predicted,
        rule=version.rule,
        line=version.line,
    )


@frozen
class Left:
    """An object that only one history has at the end: the case of the table `pairing`."""

    kind: str
    record: Record


def paired(recorded: Mapping[Key, Any], predicted: Mapping[Key, Any], record: Record) -> dict[Key, Any]:
    """The recorded objects, under the names of predicted ones where chance alone decides which of several is left."""
    found = dict(recorded)
    left: dict[tuple[str, ...], list[Key]] = {}
    for key in sorted(predicted.keys() - recorded.keys()):
        left.setdefault(_place(key, predicted[key], record), []).append(key)
    for key in sorted(recorded.keys() - predicted.keys()):
        others = left.get(_place(key, recorded[key], record), ())
        if others:
            other = others.pop(0)
            found[other] = _under_name_of(found.pop(key), predicted[other])
    return found


def _place(key: Key, obj: Any, record: Record) -> tuple[str, ...]:
    """What objects that stand for each other have in common."""
    if law.decide("pairing", Left(key[0], record)).outputs["paired_by"] == "name":
        return key
    labels = obj["metadata"].get("labels") or {}
    return (key[0], key[1], labels.get("kubernetes.io/service-name", ""))


def _under_name_of(obj: Any, other: Any) -> Any:
    names = ("name", "uid", "creationTimestamp")
    meta = {**obj["metadata"], **{name: other["metadata"][name] for name in names if name in other["metadata"]}}
    return {**obj, "metadata": meta}


def compare_final(
    recorded: Mapping[Key, Any], predicted: Mapping[Key, Any], at: int, rules: Mapping[Key, str]
) -> Iterator[Divergence]:
    """Field by field, the objects (JSON) that both have at the end; and those that one of them lacks."""
    for key in sorted(recorded.keys() | predicted.keys()):
        if key not in predicted or key not in recorded:
            here = "recorded" if key in recorded else "predicted"
            there = "predicted" if key in recorded else "recorded"
            text = f"exists at the end as {here}, not as {there}"
            yield Divergence(
                at=at, key=key, aspect="existence", recorded=None, predicted=None, rule=rules.get(key, ""), text=text
            )
            continue
        for path, left, right in differences(key[0], recorded[key], predicted[key]):
            yield Divergence(at=at, key=key, aspect=path, recorded=left, predicted=right, rule=rules.get(key, ""))


def differences(
    kind: str, recorded: Any, predicted: Any, path: str = "", general: str = "", *, by: Law = law
) -> Iterator[tuple[str, Any, Any]]:
    """The fields in which two objects of a kind differ: (path, recorded, predicted). `general`: without positions.

    `by`: the law whose table `field` says how each field is compared.
    """
    if isinstance(recorded, Mapping | None) and isinstance(predicted, Mapping | None) and recorded != predicted:
        recorded, predicted = recorded or {}, predicted or {}
        for name in sorted(recorded.keys() | predicted.keys()):
            inner, wide = _joined(path, name), _joined(general, name)
            yield from differences(kind, recorded.get(name), predicted.get(name), inner, wide, by=by)
    elif isinstance(recorded, list) and isinstance(predicted, list) and len(recorded) == len(predicted):
        comparison = _comparison(by, kind, general)
        if comparison == "ignored":
            return
        if comparison == "as-a-set":
            recorded, predicted = sorted(recorded, key=_text), sorted(predicted, key=_text)
        for position, (left, right) in enumerate(zip(recorded, predicted, strict=True)):
            yield from differences(kind, left, right, f"{path}[{position}]", f"{general}[]", by=by)
    elif recorded != predicted and not _empty(recorded, predicted) and _differ(by, kind, general, recorded, predicted):
        yield path, recorded, predicted


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _empty(*values: Any) -> bool:
    return all(value in (None, "", [], {}) for value in values)


def _comparison(by: Law, kind: str, path: str, recorded: Any = None, predicted: Any = None) -> str:
    """How a field is compared: equal, close, ignored or as-a-set."""
    return str(by.decide("field", FieldPair(kind, path, recorded, predicted)).outputs["comparison"])


def _text(value: Any) -> str:
    """A JSON value as text, to sort by."""
    return json.dumps(value, sort_keys=True)


def _differ(by: Law, kind: str, path: str, recorded: Any, predicted: Any) -> bool:
    comparison = _comparison(by, kind, path, recorded, predicted)
    if comparison != "close":
        return comparison in ("equal", "as-a-set")  # sets of one size are compared element by element
    apart = abs((time_of(recorded) or 0) - (time_of(predicted) or 0))
    return bool(apart > constant("replay_time_tolerance") * SECOND)
