"""Which laws a history breaks that lacks writes, and what such breaches prove together."""

from __future__ import annotations

from typing import Final

from attrs import define, field

from k8sfsm.trace.case import Finding
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.lacking import Span, Suspect, holes_behind, in_hole
from k8sfsm.verify.check.judging import Known

_TORN: Final = frozenset(
    f"trace/{name}"
    for name in (
        "precondition-met", "change-has-request", "status-kept", "status-write-alone", "deletion-alone", "scale-alone",
        "removal-shows-last", "reborn-anew",
    )
)  # fmt: skip
"""Laws that a log breaks which lacks writes: the state before is not known then."""
_TORN_IN_LOGS: Final = _TORN | {"trace/patch-applied", "trace/begins-added"}
"""The same of an audit log, which shows no change beside the requests."""
_SUSPECT: Final = _TORN_IN_LOGS | {"trace/generation-counts", "trace/event-counts", "trace/request-has-change"}
"""Laws that are broken where a recording lacks lines."""
_SUMS: Final = ("trace/counts-pods", "trace/counts-sets")
"""Laws that need all parts of a whole to be known."""
_ORDER: Final = "trace/time-follows-revisions"
"""The law that needs to know what came before what; a log that began late does not show all revisions."""


@define
class Lacks:
    """Breaches of a recording that may come of writes which it lacks."""

    suspects: list[Suspect] = field(factory=list)

    def note(self, finding: Finding, write: RecordedWrite, known: Known) -> None:
        """A write breaks a law. What an audit log lacks is told write by write."""
        if finding.rule in _SUSPECT and known.recorded:
            since = known.written.get(write.key, known.outset.start)
            self.suspects.append(Suspect(write.key, since, write.time))

    def holes(self, recording: Recording) -> tuple[Span, ...]:
        """The holes (ns) that the recording turned out to have, beside those that it is known to have."""
        found = holes_behind(self.suspects, recording.writes) if self.suspects else ()
        return tuple(each for each in found if not any(in_hole((each,), at) for hole in recording.holes for at in hole))


def is_gap(finding: Finding, write: RecordedWrite, known: Known) -> bool:
    """Whether a breach shows that writes before this one are lacking."""
    return finding.rule in (_TORN if known.whole else _TORN_IN_LOGS) and not _continues(write)


def is_uncounted(finding: Finding, write: RecordedWrite, known: Known) -> bool:
    """Whether a law needs what the history does not have of the time before it."""
    if finding.rule in _SUMS:
        return bool(known.older) or known.outset.astir(write)
    return finding.rule == _ORDER and bool(known.older)


def _continues(write: RecordedWrite) -> bool:
    """Whether a write demanded the very revision that is known: then no write before it is missing."""
    return write.precondition is not None and write.old is not None and write.old.revision == write.precondition
