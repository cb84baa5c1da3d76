"""Tracks: what one aspect of an object was, one value after the other, and for how long.

A recorded and a predicted history are compared track by track.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.machine import Machines
from k8sfsm.request import Key

COUNTS: Final[Mapping[str, tuple[str, ...]]] = {
    "ReplicaSet": (
        "replicas",
        "fully_labeled_replicas",
        "ready_replicas",
        "available_replicas",
        "terminating_replicas",
        "observed_generation",
    ),
    "Deployment": (
        "replicas",
        "updated_replicas",
        "ready_replicas",
        "available_replicas",
        "unavailable_replicas",
        "terminating_replicas",
        "observed_generation",
    ),
}
"""Status fields whose sequence is compared, besides the states of the machines."""
SPEC_REPLICAS: Final = "spec.replicas"


@frozen
class Version:
    """One version of an object. `at`: ns; `rule`: what ordered it, if known; `line`: where it is recorded;
    `changed`: an older version was there before.
    """

    at: int
    key: Key
    uid: str
    object: Any
    actor: str
    rule: str = ""
    line: str = ""
    changed: bool = False


@frozen
class Stay:
    """A value and how long (ns) it was held; `until_next` None: to the end."""

    value: Any
    version: Version
    held: int | None


Track: TypeAlias = tuple[Stay, ...]
TrackKey: TypeAlias = tuple[Key, str, str]
"""(object, uid, aspect); the aspect is a region of its machine, or a field."""


def tracks_of(versions: Iterable[Version], machines: Machines) -> dict[TrackKey, Track]:
    """The tracks of all objects in order of first appearance. Values that stay the same are one stay."""
    found: dict[TrackKey, list[tuple[Any, Version]]] = {}
    for version in versions:
        for aspect, value in _aspects(version, machines):
            entries = found.setdefault((version.key, version.uid, aspect), [])
            if not entries or entries[-1][0] != value:
                entries.append((value, version))
    return {key: _stays(entries) for key, entries in found.items()}


def _aspects(version: Version, machines: Machines) -> Iterator[tuple[str, Any]]:
    kind, obj = version.key[0], version.object
    regions = machines.regions(kind)
    if obj is None:
        yield from ((region, "Absent") for region in regions)
        return
    if regions:
        yield from machines.classify(obj).items()
    if kind == "ReplicaSet":
        yield SPEC_REPLICAS, obj.spec.replicas
    for name in COUNTS.get(kind, ()):
        yield f"status.{name}", getattr(obj.status, name) or 0


def _stays(entries: list[tuple[Any, Version]]) -> Track:
    ends: list[int | None] = [version.at for _, version in entries[1:]]
    return tuple(
        Stay(value, version, None if end is None else end - version.at)
        for (value, version), end in zip(entries, [*ends, None], strict=True)
    )


def without(track: Track, positions: Collection[int]) -> Track:
    """The track as if some of its values had never been seen: equal neighbours become one stay."""
    left: list[Stay] = []
    for position, stay in enumerate(track):
        if position in positions:
            continue
        if left and left[-1].value == stay.value:
            left[-1] = Stay(stay.value, left[-1].version, _since(left[-1].version, stay))
        else:
            left.append(stay)
    return tuple(left)


def _since(version: Version, stay: Stay) -> int | None:
    """How long a value was held from a version on to the end of a later stay."""
    return None if stay.held is None else stay.version.at + stay.held - version.at


def unmatched(recorded: Track, predicted: Track) -> tuple[list[int], list[int]]:
    """Positions that are left over in each track when the longest common sequence of values is paired."""
    a, b = [stay.value for stay in recorded], [stay.value for stay in predicted]
    if a == b:
        return [], []
    lengths = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in range(len(a) - 1, -1, -1):
        for j in range(len(b) - 1, -1, -1):
            same = a[i] == b[j]
            lengths[i][j] = 1 + lengths[i + 1][j + 1] if same else max(lengths[i + 1][j], lengths[i][j + 1])
    left_a, left_b, i, j = [], [], 0, 0
    while i < len(a) and j < len(b):
        if a[i] == b[j]:
            i, j = i + 1, j + 1
        elif lengths[i + 1][j] >= lengths[i][j + 1]:
            left_a.append(i)
            i += 1
        else:
            left_b.append(j)
            j += 1
    return left_a + list(range(i, len(a))), left_b + list(range(j, len(b)))
