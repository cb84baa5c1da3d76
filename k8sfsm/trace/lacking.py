"""What shows that a recording lacks lines: it began late, it has gaps, or it was cut.

A lack is told by what is there: an object that changes and was never added, a line that refers to one before it, a
request that demanded a state which no line shows.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import frozen

from k8sfsm.request import Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.join import LATE
from k8sfsm.trace.timestamps import format_time

Span: TypeAlias = tuple[int, int]
"""From when to when (ns)."""


def older_than(initial: Iterable[Document], writes: Sequence[RecordedWrite], torn: Collection[Line]) -> list[Document]:
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


def holes_in(writes: Sequence[RecordedWrite], *, damaged: bool) -> tuple[Span, ...]:
    """From when to when writes are lacking, in order: requests demanded states of objects that lie between two lines
    that follow each other, and that no line shows. One such request alone may be a lie, unless the recording is known
    to be `damaged`.
    """
    changes = sorted((w.revision, w.time) for w in writes if w.type is not None and w.revision is not None)
    revisions = [revision for revision, _ in changes]
    proofs: dict[Span, set[Key]] = {}
    latest: dict[Key, int] = {}
    for write in writes:
        if write.type is None:
            continue
        demanded, known = write.precondition, write.old and write.old.revision
        if demanded is not None and known and known < demanded < (write.revision or 0) and write.key[0] not in _BEATING:
            at = bisect_left(revisions, demanded)
            made_here = latest.get(write.key) == write.request
            if 0 < at < len(revisions) and revisions[at] != demanded and not made_here and not _is_removal(write):
                proofs.setdefault((changes[at - 1][1], changes[at][1]), set()).add(write.key)
        latest[write.key] = write.request
    return tuple(sorted(hole for hole, keys in proofs.items() if len(keys) >= _PROVEN_BY or damaged))


@frozen
class Suspect:
    """A write that does not go on from its object's last one: what lies between them (ns) may be lacking."""

    key: Key
    since: int
    until: int


def holes_behind(suspects: Sequence[Suspect], writes: Iterable[RecordedWrite]) -> tuple[Span, ...]:
    """The holes that suspects prove together, in order: moments at which two objects at least may have changed, each
    narrowed to the longest silence there. What one object alone tells may be a lie.
    """
    times = sorted({write.time for write in writes})
    left, found = list(suspects), list[Span]()
    while left:
        most: list[Suspect] = []
        for each in left:
            around = [other for other in left if other.since < each.until <= other.until]
            if len({other.key for other in around}) > len({other.key for other in most}):
                most = around
        if len({each.key for each in most}) < _PROVEN_BY:
            break
        since, until = max(each.since for each in most), min(each.until for each in most)
        inside = times[bisect_left(times, since) : bisect_right(times, until)]
        silences = zip([since, *inside], [*inside, until], strict=True)
        found.append(max(silences, key=lambda silence: silence[1] - silence[0]))
        left = [each for each in left if each not in most]
    return tuple(sorted(found))


_FOR_EVER: Final = 1 << 63
_PROVEN_BY: Final = 2
"""So many objects prove a hole."""
_BEATING: Final = ("Node", "Lease")
"""Kinds of which recordings leave heartbeats out."""


def _is_removal(write: RecordedWrite) -> bool:
    """Whether a finalizer's removal let an object go: that is judged on a cached object."""
    return write.type == "DELETED" and write.verb != "delete"


def in_hole(holes: Iterable[Span], moment: int | None) -> bool:
    """Whether a moment (ns) lies in a hole, or so near that one record may lack what the other just has."""
    return moment is not None and any(since - LATE <= moment <= until + LATE for since, until in holes)


def notes_of_lacks(torn: Collection[Line], older: Collection[Document], holes: Iterable[Span] = ()) -> Iterator[str]:
    """What a reader should know of what a recording lacks."""
    for since, until in holes:
        yield f"writes from {format_time(since)} to {format_time(until)} are lacking; what follows is judged in part"
    if older:
        yield f"{len(older)} objects are older than the lines that show them; what was before that is not judged"
    if torn:
        yield f"{len(torn)} lines refer to lines that are not there; what they left to those is not judged"


def asked_within(writes: Sequence[RecordedWrite]) -> Span | None:
    """From when to when requests are recorded beside a watch; None where there are none."""
    strays = ((write.key, write.shown) for write in writes if write.inferred and write.type is not None)
    return _span((write.completed for write in writes if not write.inferred), strays)


def watched_within(writes: Sequence[RecordedWrite]) -> Span | None:
    """From when to when a watch showed changes; None where there was none."""
    strays = ((write.key, write.completed) for write in writes if write.ok and write.code and write.type is None)
    return _span((write.shown for write in writes), strays)


def _span(recorded: Iterable[int | None], strays: Iterable[tuple[Key, int | None]]) -> Span | None:
    """From the first to the last moment of a record; for ever, unless the other record has strays of several objects
    after it. One alone may be a line that somebody took away, or put there.
    """
    told = [moment for moment in recorded if moment is not None]
    if not told:
        return None
    begin, end = min(told), max(told)
    beyond = {key for key, moment in strays if moment is not None and moment >= end - LATE}
    early = len(beyond) >= _PROVEN_BY
    return begin, end if early else _FOR_EVER


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
