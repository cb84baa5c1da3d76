"""What of a recording is input: the requests of users and of components that the engine does not play.

Everything else in the recording is there to be predicted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from attrs import evolve, frozen

from k8sfsm.engine.action import Action, Start, Stop, Submit
from k8sfsm.engine.cluster import MANAGER, SCHEDULER
from k8sfsm.objects import KINDS, ObjectError, from_json
from k8sfsm.request import Create, Delete, DeleteCollection, Evict, Patch, PatchType, Update, Write
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.verify.replay.kubelets import objects_left_out

_PROCESSES: Final = {"scheduler": SCHEDULER, "kube-scheduler": SCHEDULER, "controller-manager": MANAGER, "kcm": MANAGER}


@frozen
class Input:
    """An action of the outside world at a time (ns)."""

    at: int
    action: Action


def inputs_of(recording: Recording, played: Collection[str]) -> tuple[Input, ...]:
    """The inputs in order of time. `played`: the actors that the engine plays, whose writes are no input."""
    requests = tuple(_requests(recording, played))
    processes = tuple(_processes(recording))
    objects = tuple(Input(at, Submit(Create(object=each), "user", "user")) for at, each in objects_left_out(recording))
    return tuple(sorted((*objects, *requests, *processes), key=lambda entry: entry.at))


def _requests(recording: Recording, played: Collection[str]) -> Iterator[Input]:
    seen: set[int] = set()
    for write in recording.writes:
        if write.request in seen or write.actor in played or write.key[0] == "Event":
            continue
        seen.add(write.request)
        request = _as_sent(write) if write.actor == "user" else _as_done(write)
        if request is not None:
            yield Input(write.time, Submit(request, write.actor, write.account or write.actor))


def _processes(recording: Recording) -> Iterator[Input]:
    """Components that were stopped and started again."""
    for fact in recording.environment:
        if fact.event in ("kubelet-killed", "node-down", "kubelet-started", "node-up"):
            component = f"kubelet/{fact.node}"
        elif fact.event in ("component-stop", "component-start"):
            component = _PROCESSES.get(str(fact.more.get("component", "")), "")
        else:
            continue
        stopping = fact.event in ("kubelet-killed", "node-down", "component-stop")
        if component:
            yield Input(fact.time, Stop(component) if stopping else Start(component))


def _as_sent(write: RecordedWrite) -> Write | None:
    """A user's request, from its body; as it was done, where the body is not recorded."""
    if write.verb == "delete":
        return _deletion(write)
    if write.verb == "evict":
        return Evict(key=write.key)
    if write.verb == "deletecollection":
        return DeleteCollection(kind=write.key[0], namespace=write.key[1])
    if write.body is None or write.body_trimmed:
        return _as_done(write)
    if write.verb == "patch":
        return Patch(key=write.key, body=write.body, type=_patch_type(write), subresource=write.subresource)
    try:
        obj = from_json(write.body)
    except ObjectError:
        return _as_done(write)
    obj = evolve(obj, metadata=evolve(obj.metadata, resource_version="", namespace=write.key[1]))
    return Create(object=obj) if write.verb == "create" else Update(object=obj, subresource=write.subresource)


def _as_done(write: RecordedWrite) -> Write | None:
    """A request whose body is not known, from what it did: the object as it was afterwards."""
    if write.verb in ("delete", "deletecollection"):
        return _deletion(write)
    if not write.ok or write.new is None:
        return None
    obj: Any = write.new.typed
    if write.type == "ADDED":
        return Create(object=obj)
    return Update(object=evolve(obj, metadata=evolve(obj.metadata, resource_version="")), subresource=write.subresource)


def _deletion(write: RecordedWrite) -> Delete | None:
    if not write.key[2]:
        return None
    options = write.body if isinstance(write.body, dict) else {}
    policy = options.get("propagationPolicy")
    if options.get("orphanDependents"):
        policy = "Orphan"
    return Delete(key=write.key, grace_seconds=options.get("gracePeriodSeconds"), propagation=policy)


def _patch_type(write: RecordedWrite) -> PatchType:
    """Audit logs do not keep the content type: a list is a JSON patch, and built-in kinds are patched strategically."""
    if isinstance(write.body, list):
        return "json"
    kind = KINDS.get(write.key[0])
    return "strategic" if kind is not None and write.subresource != "scale" else "merge"
