"""Renewals of leases: most of what a cluster writes, and each line of them is like the one before.

Of a line that was decoded it is kept what stands between the values that move, its moments and revisions. Where all
of that stands in a later line about the same object, the request is cast from the earlier one, and the line is not
decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import field, frozen

from k8sfsm.objects import changer_of
from k8sfsm.trace.errors import Line
from k8sfsm.trace.lines import Json
from k8sfsm.trace.renewal import TIMES, Mould, Plan
from k8sfsm.trace.requests import Request
from k8sfsm.trace.resources import is_deleting

_MOVES: Final = ("auditID", "resourceVersion", "renewTime", "time", "requestReceivedTimestamp", "stageTimestamp")
_MOVING: Final = re.compile(rf'"({"|".join(_MOVES)})":"([\w.:+-]*)"'.encode())
"""No text within a value looks like this: its quotation marks would be escaped."""
_URI: Final = b'"requestURI":"'
_PARTS: Final = frozenset({*TIMES, "auditID", "objectRef", "requestObject", "responseObject"})
_MOST: Final = 20_000
"""So many leases are known at once."""
_VARIANTS: Final = 4
"""So many kinds of lines are known of each: several clients may write it, and each in its own way."""
_marked: Final = changer_of(Request, "like")


@frozen
class Moulds:
    """The moulds of the leases that were read, by the URI of the request."""

    known: dict[bytes, list[Mould]] = field(factory=dict)

    def cast(self, place: Line, raw: bytes) -> Request | None:
        """The request of a line that is like one before; None where the line has to be decoded."""
        for mould in self.known.get(_uri(raw), ()):
            request = mould.cast(place, raw)
            if request is not None:
                return request
        return None

    def learn(self, raw: bytes, line: Json, request: Request) -> Request:
        """A line was decoded. The same request, which says what others are like it where it is a renewal."""
        if not _is_renewal(request):
            return request
        parts = _MOVING.split(raw)
        moved = list(_moving(line, ()))
        plan = _plan(path for path, _ in moved)
        shown = [(path[-1].encode(), text.encode()) for path, text in moved]
        if shown != list(zip(parts[1::3], parts[2::3], strict=True)) or not _PARTS >= plan.keys() >= set(TIMES):
            return request
        if len(self.known) >= _MOST:
            self.known.clear()
        request = _marked(request, object())
        stills = [b'"' + still + b'"' + name + b'":"' for still, name in zip(parts[::3], parts[1::3], strict=False)]
        rest = (*stills[1:], b'"' + parts[-1])
        mould = Mould(request, plan, stills[0][1:], tuple((still, len(still)) for still in rest))
        self.known[_uri(raw)] = [mould, *self.known.get(_uri(raw), ())][:_VARIANTS]
        return request


def _uri(raw: bytes) -> bytes:
    """The URI in a line, which tells which lines may be like it."""
    start = raw.find(_URI) + len(_URI)
    return raw[start : raw.find(b'"', start)]


def _is_renewal(request: Request) -> bool:
    """Whether a request replaced a lease, and did nothing else; the line shows both objects, or none."""
    if request.verb != "update" or request.key[0] != "Lease" or request.subresource or request.code != 200:
        return False
    answer, body = request.answer, request.body
    if answer is None:
        return body is None
    shown = answer.get("kind") == "Lease" and not is_deleting(answer) and request.revision is not None
    demands = body.get("metadata") if isinstance(body, dict) else None
    return shown and isinstance(demands, dict) and isinstance(demands.get("resourceVersion", ""), str)


def _moving(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[tuple[Any, ...], str]]:
    """(path, text) of all that moves in a line, in its order."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in members:
        if name in _MOVES and isinstance(part, str):
            yield (*path, name), part
        else:
            yield from _moving(part, (*path, name))


def _plan(paths: Iterable[tuple[Any, ...]]) -> Plan:
    plan: Plan = {}
    for number, path in enumerate(paths):
        within = plan
        for name in path[:-1]:
            within = within.setdefault(name, {})
        within[path[-1]] = number
    return plan
