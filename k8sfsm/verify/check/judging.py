"""What a write is judged as: the facts of the tables `check/judged` and `check/field`."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, Literal

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.replay.compare import FieldPair, time_of

law = Law("check")

KUBELET: Final = "kubelet"
MIRROR: Final = "kubernetes.io/config.mirror"
"""The annotation of a pod that stands for one from a file."""
BY_THE_CLOCK: Final = "clock"


@frozen
class Request:
    """A recorded request. `modelled`: its actor has rules; `wanted`: its actor is among those to judge; `scripted`: it
    is about a node without a kubelet; `blind`: its actor saw objects that the history does not show whole.
    """

    write: RecordedWrite
    modelled: bool
    wanted: bool
    scripted: bool = False
    blind: bool = False


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
def from_outside(case: Request) -> bool:
    """Whether a kubelet asked."""
    return case.write.actor == KUBELET


@law.fact
def subject(case: Request) -> Literal["scripted-node", "static-pod", "other"]:
    """What it is about: a node without a kubelet, a pod from a file, or neither."""
    if case.scripted:
        return "scripted-node"
    document = case.write.new or case.write.old
    notes = {} if document is None else document.json.get("metadata", {}).get("annotations") or {}
    return "static-pod" if MIRROR in notes and case.write.subresource == "" else "other"


@law.fact
def cache_whole(case: Request) -> bool:
    """Whether the history shows whole what the actor saw."""
    return not case.blind


@frozen
class Writer:
    """An actor, by its name."""

    name: str


@law.fact
def writer_name(case: Writer) -> str:
    """The actor's name."""
    return case.name


@lru_cache(maxsize=256)
def method_of(actor: str) -> str:
    """How the rules behind an actor's writes are looked for: `views`, `containers` or `clock`."""
    return str(law.decide("method", Writer(actor)).outputs["method"])


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
