"""Renewals of leases that are cast from an earlier line: what moved in it is put in where somebody looks.

Most are judged by the one before, and nobody looks. Each class is that of any request, write or document of a history
and gives the same; what it was not filled with is as in the line, or the write, that it was cast from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from k8sfsm.objects import changer_of
from k8sfsm.trace.derive import without_bookkeeping
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.requests import Request
from k8sfsm.trace.timestamps import parse_time

Plan = dict[Any, Any]
"""Member or position -> the number of the text that moves there, or the plan for what is within it."""
TIMES: Final = ("requestReceivedTimestamp", "stageTimestamp")
_PLAIN: Final = bytes(each for each in range(128) if re.fullmatch(rb'[\w.:+"-]', bytes([each])))
"""What moves consists of these; and the quotation mark that stands between two such values."""
_PARTS: Final = {"body": "requestObject", "answer": "responseObject", "reference": "objectRef"}
_cast_bare: Final = changer_of(Request, "line", "received", "completed", "reference")


@frozen(eq=False)
class Mould:
    """The request of a line that was read, and what moves where in that line. `first`: what stands before the first
    value that moves; `rest`: what stands behind each of them, with its length.
    """

    origin: Request
    plan: Plan
    first: bytes
    rest: tuple[tuple[bytes, int], ...]
    places: tuple[int | None, ...] = field(init=False)
    """Which texts are the two moments of the request, the revision that it demanded, and the one that it made."""
    renews: int | None = field(init=False)
    """Which one is spec.renewTime in the answer."""

    @places.default
    def _found(self) -> tuple[int | None, ...]:
        demanded, made = (self.plan.get(_PARTS[name], {}).get("metadata", {}) for name in ("body", "answer"))
        return (*(self.plan[name] for name in TIMES), *(each.get("resourceVersion") for each in (demanded, made)))

    @renews.default
    def _moment(self) -> int | None:
        place: int | None = self.plan.get(_PARTS["answer"], {}).get("spec", {}).get("renewTime")
        return place

    def cast(self, place: Line, raw: bytes) -> Request | None:
        """The request of a line that is like this one but for what moved; None where it is not, or a moment is none."""
        texts = self._moved(raw)
        if texts is None:
            return None
        begun, ended, demanded, made = self.places
        try:
            received, completed = parse_time(texts[begun]), parse_time(texts[ended])  # type: ignore[index]
        except ValueError:
            return None
        if made is None:
            return _cast_bare(self.origin, place, received, completed, self.part("reference", texts))
        if not texts[made].isdigit():
            return None
        precondition = None
        if demanded is not None:
            if not texts[demanded].isdigit():
                return None
            precondition = int(texts[demanded]) or None
        return Renewal(self, texts, place, received, completed, int(texts[made]), precondition)

    def _moved(self, raw: bytes) -> list[str] | None:
        """What stands in a line where values move; None where something else is different."""
        if not raw.startswith(self.first):
            return None
        at, found = len(self.first), []
        for still, length in self.rest:
            end = raw.find(b'"', at)
            if not raw.startswith(still, end):
                return None
            found.append(raw[at:end])
            at = end + length
        moved = b'"'.join(found)
        return None if at != len(raw) or moved.translate(None, _PLAIN) else moved.decode().split('"')

    def part(self, name: str, texts: Sequence[str]) -> Any:
        """The body, the answer or the reference of the request, with what moved in it."""
        return _filled(getattr(self.origin, name), self.plan.get(_PARTS[name]), texts)


class Renewal(Request):
    """A request that was cast, with the texts that moved."""

    __slots__ = ("mould", "texts")
    mould: Mould
    texts: Sequence[str]

    if TYPE_CHECKING:

        def __init__(
            self, mould: Mould, texts: Sequence[str], line: Line, received: int, completed: int, revision: int,
            precondition: int | None,
        ) -> None: ...  # fmt: skip
    else:  # frozen for those who have it; filled as quickly as a class can be that is not
        __setattr__, __delattr__ = object.__setattr__, object.__delattr__

        def __init__(self, mould, texts, line, received, completed, revision, precondition):
            origin = mould.origin
            self.mould, self.texts, self.line = mould, texts, line
            self.received, self.completed, self.revision = received, completed, revision
            self.precondition, self.key, self.like = precondition, origin.key, origin.like
            self.verb, self.code = origin.verb, origin.code

        def __getattr__(self, name):
            if name not in _PARTS:
                return getattr(self.mould.origin, name)
            found = self.mould.part(name, self.texts)
            setattr(self, name, found)
            return found


class RenewedLease(Document):
    """A lease after a request that was cast."""

    __slots__ = ("source",)
    source: Renewal

    if TYPE_CHECKING:

        def __init__(self, source: Renewal) -> None: ...
    else:
        __setattr__, __delattr__ = object.__setattr__, object.__delattr__

        def __init__(self, source):
            self.source, self.key, self.revision = source, source.key, source.revision
            self._before, self.has_typed = None, False

        def __getattr__(self, name):
            if name != "json":
                return super().__getattr__(name)
            self.json = found = without_bookkeeping(self.source.answer)
            return found

    @property
    def renewed_at(self) -> str | None:
        """spec.renewTime; None where there is none."""
        place = self.source.mould.renews
        return None if place is None else self.source.texts[place]


class RenewedWrite(RecordedWrite):
    """The write of a request that was cast; `first`: that of the request which it was cast from."""

    __slots__ = ("first", "source")
    first: RecordedWrite
    source: Renewal

    if TYPE_CHECKING:

        def __init__(
            self, first: RecordedWrite, source: Renewal, request: int, time: int, old: Document, new: Document
        ) -> None: ...
    else:
        __setattr__, __delattr__ = object.__setattr__, object.__delattr__

        def __init__(self, first, source, request, time, old, new):
            self.first, self.source, self.request, self.time, self.old, self.new = (
                first,
                source,
                request,
                time,
                old,
                new,
            )
            self.line, self.received, self.completed = source.line, source.received, source.completed
            self.revision = self.answered = source.revision
            self.precondition, self.key, self.like = source.precondition, source.key, source.like
            self.actor, self.account, self.verb, self.subresource = first.actor, first.account, first.verb, ""
            self.code, self.type, self.derived, self.inferred, self.shown = first.code, first.type, False, "", None

        def __getattr__(self, name):
            if name not in ("body", "reference"):
                return getattr(self.first, name)
            found = getattr(self.source, name)
            setattr(self, name, found)
            return found


def _filled(value: Any, plan: Plan | None, texts: Sequence[str]) -> Any:
    """A part of a line with what moved in it; the rest is shared."""
    if plan is None:
        return value
    filled = value.copy()
    for name, what in plan.items():
        filled[name] = texts[what] if type(what) is int else _filled(value[name], what, texts)
    return filled
