"""What a write is judged as: the facts of the tables `check/judged` and `check/field`."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.replay.compare import FieldPair, time_of

law = Law("check")


@frozen
class Request:
    """A recorded request. `modelled`: its actor has rules; `wanted`: its actor is among those to judge."""

    write: RecordedWrite
    modelled: bool
    wanted: bool


@law.fact
def accepted(case: Request) -> bool:
    """Whether the API server did it."""
    return case.write.ok


@law.fact
def writer(case: Request) -> Literal["user", "apiserver", "modelled", "other"]:
    """Who asked."""
    if case.write.actor in ("user", "apiserver"):
        return "user" if case.write.actor == "user" else "apiserver"
    return "modelled" if case.modelled else "other"


@law.fact
def whole(case: Request) -> bool:
    """Whether the history shows the object as the request left it."""
    return not case.write.trimmed and (case.write.type is None or case.write.new is not None)


@law.fact
def chosen(case: Request) -> bool:
    """Whether the writes of this actor are to be judged."""
    return case.wanted


@law.fact
def object_kind(case: Request | FieldPair) -> str:
    """The kind of the object."""
    return case.kind if isinstance(case, FieldPair) else case.write.key[0]


@law.fact
def field_name(case: FieldPair) -> str:
    """The field's path without positions in lists."""
    return case.path


@law.fact
def both_times(case: FieldPair) -> bool:
    """Whether both values are times."""
    return time_of(case.recorded) is not None and time_of(case.predicted) is not None
