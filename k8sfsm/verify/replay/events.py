"""Events of two histories side by side.

How each is compared is in the table `event` of `specs/replay/controller.yaml`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import field, frozen

from k8sfsm.engine.recorder import COMBINED
from k8sfsm.objects import Unmodelled
from k8sfsm.request import Key
from k8sfsm.verify.replay.compare import Divergence, Record, law
from k8sfsm.verify.replay.tracks import Version


@frozen
class EventSeen:
    """An Event that both histories may have."""

    reason: str
    message: str
    combined: bool
    record: Record


@law.fact
def event_reason(case: EventSeen) -> str:
    """The Event's reason."""
    return case.reason


@law.fact
def probes_logged(case: EventSeen) -> bool:
    """Whether the recording has every answer of a probe."""
    return case.record.probes


@law.fact
def events_sampled(case: EventSeen) -> bool:
    """Whether the recording leaves most Events out."""
    return case.record.slim


@law.fact
def probe_errored(case: EventSeen) -> bool:
    """Whether it tells of a probe that could not be asked."""
    return "probe errored" in case.message


@law.fact
def event_combined(case: EventSeen) -> bool:
    """Whether it, or one like it, stands for several similar ones."""
    return case.combined


@frozen
class EventStory:
    """Events as people read them: what about, type, reason, message -> how often."""

    counts: Mapping[tuple[str, str, str, str], int] = field(factory=dict)


def events_of(versions: tuple[Version, ...], start: int) -> EventStory:
    """The Events of a history from `start` (ns) on; one that was counted up counts as often."""
    first: dict[tuple[Key, str], Version] = {}
    last: dict[tuple[Key, str], Version] = {}
    for version in versions:
        if version.key[0] == "Event" and version.object is not None:
            first.setdefault((version.key, version.uid), version)
            last[version.key, version.uid] = version
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for identity, version in last.items():
        event = version.object
        about, message, count = _read_event(event)
        told = (count or 1) - _told_before(first[identity], start)
        counts[about, event_field(event, "type"), event_field(event, "reason"), timeless(message)] += told
    return EventStory({entry: count for entry, count in counts.items() if count})


def _told_before(first: Version, start: int) -> int:
    """How often an Event had been told before `start` (ns), given its first version in the history.

    A cluster lives longer than what was recorded of it: an Event that is first seen counted up had been told before.
    """
    count = _read_event(first.object)[2] or 1
    if first.at < start:
        return count
    return count - 1 if first.changed else 0


def event_field(event: Any, name: str) -> str:
    """A field that both APIs of Events have."""
    return str(event.extra.get(name, "") if isinstance(event, Unmodelled) else getattr(event, name))


def _read_event(event: Any) -> tuple[str, str, int]:
    """What an Event of either API is about, its message, and how often it came."""
    if isinstance(event, Unmodelled):
        about = event.extra.get("regarding", {})
        count = event.extra.get("series", {}).get("count") or event.extra.get("deprecatedCount", 0)
        return f"{about.get('kind')}/{about.get('name')}", event.extra.get("note", ""), count
    about = event.involved_object
    count = event.count if event.series is None else event.series.count
    return f"{about.kind}/{about.name}", event.message, count


def timeless(message: str) -> str:
    """The message without measured durations."""
    words = message.split(" ")
    return " ".join(
        "…" if word.strip("().,")[:1].isdigit() and word.strip("().,").endswith(("ms", "s")) else word for word in words
    )


def _counts_differ(how: str, recorded: int, predicted: int) -> bool:
    """Whether an Event was seen too often or not often enough, by the way in which it is compared."""
    if how == "recorded":
        return recorded > predicted
    if how == "known":
        return bool(recorded) and not predicted
    return (how == "counted" and recorded != predicted) or (how == "present" and bool(recorded) != bool(predicted))


def compare_events(recorded: EventStory, predicted: EventStory, at: int, record: Record) -> Iterator[Divergence]:
    """Events that only one of the histories has, or has more often."""
    entries = recorded.counts.keys() | predicted.counts.keys()
    combined = {entry[:3] for entry in entries if entry[3].startswith(COMBINED)}
    for entry in sorted(entries):
        left, right = recorded.counts.get(entry, 0), predicted.counts.get(entry, 0)
        about, kind, reason, message = entry
        seen = EventSeen(reason, message, entry[:3] in combined, record)
        if _counts_differ(law.decide("event", seen).outputs["comparison"], left, right):
            yield Divergence(
                at=at,
                key=("Event", "", about),
                aspect=f"{kind} {reason}",
                recorded=left,
                predicted=right,
                text=f"{message!r} predicted {right} times, recorded {left} times",
            )
