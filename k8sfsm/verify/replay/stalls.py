"""When the API server of a recording kept its clients waiting: what controllers did then, they did late."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeAlias

from k8sfsm.law import constant
from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.trace.history import RecordedWrite, Recording

Span: TypeAlias = tuple[int, int]
"""From when to when (ns)."""


def stalls_of(recording: Recording) -> tuple[Span, ...]:
    """Times in which a request, or a change on its way to a watch, took longer than on a merely busy machine."""
    usual: int = constant("replay_latency_window") * MILLISECOND
    spans = (span for write in recording.writes for span in _waits(write))
    return tuple(_joined(sorted(span for span in spans if span[1] - span[0] > usual)))


def _waits(write: RecordedWrite) -> Iterator[Span]:
    if write.received is not None and write.completed is not None:
        yield write.received, write.completed
    if write.shown is not None and write.received is not None:
        yield write.time, write.shown


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    current: Span | None = None
    for span in spans:
        if current is None or span[0] > current[1]:
            if current is not None:
                yield current
            current = span
        else:
            current = current[0], max(current[1], span[1])
    if current is not None:
        yield current


def overlap(spans: Iterable[Span], start: int, end: int) -> int:
    """How much (ns) of the time from `start` to `end` lies in the spans."""
    return sum(max(0, min(end, last) - max(start, first)) for first, last in spans)
