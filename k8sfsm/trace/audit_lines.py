"""Reads the write requests of an audit file. Most lines are reads and renewals: they are not decoded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from k8sfsm.trace.lines import Progress, decoded, filled_lines
from k8sfsm.trace.repeats import Moulds
from k8sfsm.trace.requests import READS, Request, request_of

_VERB: Final = b'"verb":"'
_READ_VERBS: Final = tuple(f'{verb}"'.encode() for verb in sorted(READS))


def read_requests(path: Path, progress: Progress | None = None) -> Iterator[Request]:
    """The write requests of an audit file in the order of its lines; reads and unfinished stages are left out."""
    moulds = Moulds()
    for place, raw in filled_lines(path, progress, _is_read):
        request = moulds.cast(place, raw)
        if request is None:
            line = decoded(place, raw)
            request = request_of(place, line)
            if request is None:
                continue
            request = moulds.learn(raw, line, request)
        yield request


def _is_read(raw: bytes) -> bool:
    """Whether an audit line is a read, told before it is decoded. A body may look like one, too."""
    place = raw.find(_VERB)
    return raw.startswith(_READ_VERBS, place + len(_VERB)) and b'"requestObject":' not in raw
