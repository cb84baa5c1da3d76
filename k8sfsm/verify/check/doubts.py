"""What a history leaves open: writes that cannot be judged, and those that only seem to be against the law."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import define, field

from k8sfsm.law import constant
from k8sfsm.machine import ABSENT, Illegal, Machines, RegionMachine, Verdict
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.verify.check.judging import KUBELET
from k8sfsm.verify.check.past import Past

_KNOWN_WRITERS: Final = ("user", "apiserver", KUBELET)


@define
class Doubts:
    """Who did of late what could not be judged: what follows from it cannot be judged either."""

    since: dict[tuple[str, Key], int] = field(factory=dict)
    """(actor, key) -> when (ns)."""

    def add(self, write: RecordedWrite, keys: Iterable[Key]) -> None:
        """A write could not be judged; `keys`: what its actor may have worked on."""
        for key in keys:
            self.since[write.actor, key] = write.time

    def reason(self, write: RecordedWrite, keys: Iterable[Key]) -> str:
        """Why a write cannot be judged: it may be part of a plan of which another write could not; "" where it can."""
        oldest = write.time - int(constant("check_undone_after")) * SECOND
        follows = any(self.since.get((write.actor, key), oldest) > oldest for key in keys)
        return "its component had just done what could not be judged" if follows else ""

    def forget(self, recording: Recording) -> None:
        """Another portion of the history begins: keep what is not long past."""
        if recording.writes:
            oldest = recording.writes[0].time - int(constant("check_event_lag")) * SECOND
            self.since = {route: at for route, at in self.since.items() if at > oldest}


def illegal(
    write: RecordedWrite, verdict: Verdict, machines: Machines, past: Past, *, sure: bool = True
) -> Iterator[Illegal]:
    """The illegal changes of state of a write. What components without rules here may do is not known: theirs are
    illegal where nobody may make them. Where writes before it are missing (not `sure`), it is illegal where no
    sequence of writes leads there.
    """
    foreign = write.actor not in (*_KNOWN_WRITERS, *past.actors)
    for each in verdict.illegal:
        region = machines.region(each.kind, each.region)
        if not sure:
            if never_comes(each, machines):
                yield each
        elif not foreign or not region.index.get((each.old, each.new)):
            yield each


def never_comes(found: Illegal, machines: Machines) -> bool:
    """Whether no sequence of writes, whoever makes them, leads from the one state to the other."""
    return found.new not in _reached(machines.region(found.kind, found.region), found.old)


def _reached(region: RegionMachine, state: str) -> set[str]:
    """The states that an object can come to from one, whoever writes, as long as it exists."""
    found, waiting = {state}, [state]
    while waiting:
        at = waiting.pop()
        for old, new in region.index:
            if old == at and new not in found and new != ABSENT:
                found.add(new)
                waiting.append(new)
    return found


def is_bare(write: RecordedWrite) -> bool:
    """Whether a granted request was logged without what it left."""
    unanswered = write.answered is None and write.answer is None and write.verb != "deletecollection"
    return write.ok and write.type is None and unanswered
