"""Audit logs that are longer than memory: read in portions, each a recording of its own that goes on from the last.

A portion ends where nothing is under way any more: lines of a log come late, but not by more than `_LATE`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from k8sfsm.trace.audit import Derivation, derive, notes_of
from k8sfsm.trace.audit_lines import read_requests
from k8sfsm.trace.history import Recording, began
from k8sfsm.trace.lines import Progress
from k8sfsm.trace.parts import concerns
from k8sfsm.trace.requests import Request
from k8sfsm.trace.statuses import facts_from_statuses

SIZE: Final = 1024
"""Requests of a portion, at least."""
_LATE: Final = 10_000_000_000
"""By how much (ns) lines of a log, or of logs that are read together, may be out of order."""
_EVENTS: Final = 20_000
"""So many Events are kept: a cluster forgets them after an hour without telling."""


def audit_portions(
    paths: Sequence[Path], namespace: str = "", progress: Progress | None = None, size: int = SIZE
) -> Iterator[Recording]:
    """The history in audit logs in portions of `size` requests or more. Raises TraceError.

    `initial` of a portion: objects that show in it for the first time and are older. Rotated files, and logs of several
    API servers, are merged by time.
    """
    logs = [_of_namespace(read_requests(path, progress), namespace) for path in paths]
    merged = logs[0] if len(logs) == 1 else heapq.merge(*logs, key=lambda request: request.completed)
    reader = _Reader(source=" ".join(str(path) for path in paths), namespaces=(namespace,) if namespace else ())
    waiting: list[Request] = []
    latest, enough = 0, 2 * size
    for request in merged:
        waiting.append(request)
        if request.completed > latest:
            latest = request.completed
        if len(waiting) >= enough:
            now = [each for each in waiting if each.completed <= latest - _LATE]
            if len(now) >= size:
                waiting = [each for each in waiting if each.completed > latest - _LATE]
                yield reader.portion(now)
            # where a lot is written at the same time, that is not looked through again at every line
            enough = max(2 * size, len(waiting) + size // 4)
    yield reader.portion(waiting)


def _of_namespace(requests: Iterator[Request], namespace: str) -> Iterator[Request]:
    return (each for each in requests if concerns(each.key, namespace)) if namespace else requests


@define
class _Reader:
    source: str
    namespaces: tuple[str, ...]
    derivation: Derivation = field(factory=lambda: Derivation(kinds=frozenset()))
    start: int | None = None

    def portion(self, requests: list[Request]) -> Recording:
        """The next requests as a recording."""
        self.derivation.go_on(self.derivation.kinds | {request.key[0] for request in requests})
        found, derivation, guesses = derive(requests, self.derivation)
        writes = tuple(found)
        self.derivation = derivation
        if self.start is None and writes:
            self.start = began(writes)
        recording = Recording(
            source=self.source,
            format="audit",
            initial=tuple(derivation.appeared),
            writes=writes,
            environment=facts_from_statuses(write for write in writes if write.key[0] in ("Event", "Node")),
            start=self.start,
            end=writes[-1].time if writes else self.start,
            namespaces=self.namespaces,
            notes=tuple(notes_of(writes, guesses, len(derivation.appeared))),
        )
        self._forget()
        return recording

    def _forget(self) -> None:
        """Events go without a word: only the latest are kept."""
        world = self.derivation.world
        events = [key for key in world.objects if key[0] == "Event"]
        for key in events[:-_EVENTS]:
            world.remove(key)
