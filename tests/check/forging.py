"""Forges recorded histories: what a test changes is as if a real cluster had done it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from k8sfsm.request import Key
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.reading import read_history

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests/data/recordings"
Json = dict[str, Any]


def recording(name: str) -> Recording:
    """One of the shipped recordings."""
    return read_history(DATA / name)


def position(history: Recording, wanted: Callable[[RecordedWrite], bool], nth: int = 0) -> int:
    """Where the nth write of a kind is."""
    return [at for at, write in enumerate(history.writes) if wanted(write)][nth]


def changed(document: Document | None, change: Callable[[Json], None]) -> Document:
    """A changed copy of a document."""
    assert document is not None
    json = copy.deepcopy(document.json)
    change(json)
    return Document(json)


def forged(history: Recording, at: int, change: Callable[[Json], None]) -> Recording:
    """The history with what one write left changed, and what follows from that for the object's next write."""
    writes = list(history.writes)
    writes[at] = evolve(writes[at], new=changed(writes[at].new, change))
    for later in range(at + 1, len(writes)):
        if writes[later].key == writes[at].key and writes[later].old is not None:
            writes[later] = evolve(writes[later], old=writes[at].new)
            break
    return evolve(history, writes=tuple(writes))


def inserted(history: Recording, at: int, *writes: RecordedWrite) -> Recording:
    """The history with more writes before position `at`."""
    number = max(write.request for write in history.writes)
    more = [evolve(write, request=number + place) for place, write in enumerate(writes, start=1)]
    return evolve(history, writes=(*history.writes[:at], *more, *history.writes[at:]))


def without(history: Recording, *keys: Key) -> Recording:
    """The history without any trace of some objects."""
    left = tuple(write for write in history.writes if write.key not in keys)
    final = {key: each for key, each in (history.final or {}).items() if key not in keys}
    return evolve(history, writes=left, final=final)
