"""What shows that a recording lacks lines: it began late, it has gaps, or it was cut.

A lack is told by what is there: an object that changes and was never added, a line that refers to one before it, a
request that demanded a state which no line shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TypeAlias

from k8sfsm.request import Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.join import LATE

Span: TypeAlias = tuple[int, int]
"""From when to when (ns)."""


def older_than(
    initial: Iterable[Document], writes: Sequence[RecordedWrite], torn: Collection[Line]
) -> list[Document]:
    """The objects that existed before the first line that shows them, as that line shows them.

    Events, which come and go without a word, are left out, and so are objects that are not shown whole.
    """
    known = {document.key for document in initial}
    found: dict[Key, Document] = {}
    for write in writes:
        if write.type is None or write.key in known or write.key[0] == "Event":
            continue
        if write.type == "ADDED":
            known.add(write.key)
        elif write.new is not None and write.seen not in torn:
            known.add(write.key)
            if write.type == "MODIFIED":
                found[write.key] = write.new
    return sorted(found.values(), key=lambda document: document.revision or 0)


def notes_of_lacks(torn: Collection[Line], older: Collection[Document]) -> Iterator[str]:
    """What a reader should know of what a recording lacks."""
    if older:
        yield f"{len(older)} objects are older than the lines that show them; what was before that is not judged"
    if torn:
        yield f"{len(torn)} lines refer to lines that are not there; what they left to those is not judged"


def asked_within(writes: Iterable[RecordedWrite]) -> Span | None:
    """When the first and the last request was answered of those that are recorded beside a watch."""
    return _span(write.completed for write in writes if not write.inferred)


def watched_within(writes: Iterable[RecordedWrite]) -> Span | None:
    """When a watch showed the first and the last change; None where there was none."""
    return _span(write.shown for write in writes)


def _span(moments: Iterable[int | None]) -> Span | None:
    told = [moment for moment in moments if moment is not None]
    return (min(told), max(told)) if told else None


def within(span: Span, moment: int | None) -> bool:
    """Whether a moment (ns) lies within a span, and not so near to its ends that one record may have what the other
    one just misses: a watch shows a change a little before or after its request is answered.
    """
    return moment is None or span[0] + LATE < moment < span[1] - LATE


def ends_before(recording: Recording, final: Mapping[Key, Document]) -> bool:
    """Whether the objects at the end are those of a later time than the last line: several have later revisions. One
    alone may be a line that somebody took away.
    """
    last = max((write.revision or 0 for write in recording.writes), default=0)
    return sum(1 for document in final.values() if (document.revision or 0) > last) > 1
