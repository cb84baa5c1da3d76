"""What a write decides, so that a predicted one and a recorded one can be told to be the same."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from k8sfsm.objects import ObjectError, PodStatus, from_json
from k8sfsm.request import PatchStatus, Update, Write
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.verify.replay.tracks import COUNTS


def content_of(write: Write) -> Hashable:
    """What a predicted write decides: the counts of a status, the size of a ReplicaSet, how far a Pod is; None: nothing
    of the kind.
    """
    if isinstance(write, PatchStatus):
        return _progress(write.status) if write.key[0] == "Pod" else None
    return _content(write.object, write.subresource) if isinstance(write, Update) else None


def recorded_content(write: RecordedWrite) -> Hashable:
    """The same of a recorded write; of one that was refused, what it wanted."""
    if write.key[0] == "Pod" and write.subresource == "status" and write.new is not None:
        return _progress(write.new.typed.status)
    if write.verb != "update" or write.key[0] not in COUNTS:
        return None
    obj = write.new.typed if write.new is not None else _wanted(write.body)
    return None if obj is None else _content(obj, write.subresource)


def _wanted(body: Any) -> Any:
    try:
        return from_json(body) if isinstance(body, dict) and "status" in body else None
    except ObjectError:
        return None


def _progress(status: PodStatus) -> Hashable:
    told = {each.type: each.status for each in status.conditions if each.type in ("PodReadyToStartContainers", "Ready")}
    return status.phase, *sorted(told.items())


def _content(obj: Any, subresource: str) -> Hashable:
    if subresource == "status" and obj.kind in COUNTS:
        return tuple(getattr(obj.status, name) or 0 for name in COUNTS[obj.kind])
    return (obj.spec.replicas,) if obj.kind == "ReplicaSet" and not subresource else None


def alike(mine: Hashable, told: Hashable) -> bool:
    """Whether two contents may be the same; an unknown one may be any."""
    return mine is None or told is None or mine == told
