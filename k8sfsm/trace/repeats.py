"""Renewals of leases: most of what a cluster writes, and each line of them is like the one before.

A line is taken apart at the values that move: its moments and revisions. Where all that stands between them is what
stood in a line before, the request is cast from the earlier one, and the line is not decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from attrs import field, frozen

from k8sfsm.objects import changer_of
from k8sfsm.trace.errors import Line
from k8sfsm.trace.lines import Json
from k8sfsm.trace.requests import Request, precondition_of
from k8sfsm.trace.resources import is_deleting, revision_of
from k8sfsm.trace.timestamps import parse_time

_MOVES: Final = ("auditID", "resourceVersion", "renewTime", "time", "requestReceivedTimestamp", "stageTimestamp")
_MOVING: Final = re.compile(rf'"({"|".join(_MOVES)})":"([\w.:+-]*)"'.encode())
"""No text within a value looks like this: its quotation marks would be escaped."""
_RENEWS: Final = (b'"resource":"leases"', b'"verb":"update"')
_TIMES: Final = ("requestReceivedTimestamp", "stageTimestamp")
_PARTS: Final = frozenset({*_TIMES, "auditID", "objectRef", "requestObject", "responseObject"})
_MOST: Final = 20_000
"""So many leases are known at once."""
_cast: Final = changer_of(
    Request, "line", "received", "completed", "body", "answer", "revision", "precondition", "reference"
)
_marked: Final = changer_of(Request, "like")
Plan = dict[Any, Any]
"""Member or position -> the number of the text that moves there, or the plan for what is within it."""


@frozen(eq=False)
class Mould:
    """The request of a line that was read, and what moves where in that line."""

    origin: Request
    plan: Plan

    def cast(self, place: Line, moved: Sequence[bytes]) -> Request | None:
        """The request of a line that is like this one but for what moved; None where a moment is none."""
        texts = [value.decode() for value in moved]
        known, plan = self.origin, self.plan
        try:
            received, completed = (parse_time(texts[plan[name]]) for name in _TIMES)
        except ValueError:
            return None
        body: Any = _filled(known.body, plan.get("requestObject"), texts)
        answer: Any = _filled(known.answer, plan.get("responseObject"), texts)
        reference = _filled(known.reference, plan.get("objectRef"), texts)
        demanded = precondition_of(known.verb, body)
        return _cast(known, place, received, completed, body, answer, revision_of(answer), demanded, reference)


@frozen
class Moulds:
    """The moulds of the leases that were read, by all of a line that does not move."""

    known: dict[tuple[bytes, ...], Mould] = field(factory=dict)

    def cast(self, place: Line, raw: bytes) -> Request | None:
        """The request of a line that is like one before; None where the line has to be decoded."""
        if not all(text in raw for text in _RENEWS):
            return None
        rest, moved = _apart(raw)
        mould = self.known.get(rest)
        return None if mould is None else mould.cast(place, moved)

    def learn(self, raw: bytes, line: Json, request: Request) -> Request:
        """A line was decoded. The same request, which says what others are like it where it is a renewal."""
        if not _is_renewal(request):
            return request
        rest, texts = _apart(raw)
        moved = list(_moving(line, ()))
        plan = _plan(path for path, _ in moved)
        shown = [(path[-1].encode(), text.encode()) for path, text in moved]
        if shown != list(zip(rest[1::2], texts, strict=True)) or not _PARTS >= plan.keys() >= set(_TIMES):
            return request
        if len(self.known) >= _MOST:
            self.known.clear()
        request = _marked(request, object())
        self.known[rest] = Mould(request, plan)
        return request


def _apart(raw: bytes) -> tuple[tuple[bytes, ...], list[bytes]]:
    """(what stands still in a line with the names of what moves, what moves)."""
    parts = _MOVING.split(raw)
    moved = parts[2::3]
    del parts[2::3]
    return tuple(parts), moved


def _is_renewal(request: Request) -> bool:
    """Whether a request replaced a lease, and did nothing else."""
    plain = request.verb == "update" and request.key[0] == "Lease" and not request.subresource and request.code == 200
    answer = request.answer
    shown = answer is not None and answer.get("kind") == "Lease" and not is_deleting(answer)
    return plain and shown and isinstance(request.body, dict)


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


def _filled(value: Any, plan: Plan | None, texts: Sequence[str]) -> Any:
    """A part of a line with what moved in it; the rest is shared."""
    if plan is None:
        return value
    filled = value.copy()
    for name, what in plan.items():
        filled[name] = texts[what] if type(what) is int else _filled(value[name], what, texts)
    return filled
