"""What of a recording is input: the requests of users and of components that the engine does not play.

Everything else in the recording is there to be predicted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from attrs import evolve, frozen

from k8sfsm.apiserver.patch import merge, strategic_merge
from k8sfsm.engine.action import Action, Submit
from k8sfsm.engine.engine import Engine
from k8sfsm.objects import KINDS, ObjectError, from_json
from k8sfsm.request import Create, Delete, DeleteCollection, Evict, Patch, PatchType, Update, Write
from k8sfsm.trace.differences import missing
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.trace.lines import Json
from k8sfsm.verify.replay.evictions import lost_attempts
from k8sfsm.verify.replay.faults import effect_of, fault_of
from k8sfsm.verify.replay.kubelets import hollow_nodes, objects_left_out

_HEARTBEATS: Final = ("Node", "Lease")
"""What kubelets say of their machines comes from outside."""

_SERVERS_OWN: Final = frozenset(
    {"resourceVersion", "generation", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds"}
)


@frozen
class Input:
    """An action of the outside world at a time (ns)."""

    at: int
    action: Action


def inputs_of(recording: Recording, engine: Engine) -> tuple[Input, ...]:
    """The inputs in order of time: all but what the engine itself predicts."""
    requests = tuple(_requests(recording, played_actors(engine), hollow_nodes(recording)))
    faults = tuple(_faults(recording, engine))
    objects = tuple(Input(at, Submit(Create(object=each), "user", "user")) for at, each in objects_left_out(recording))
    return tuple(sorted((*objects, *requests, *faults), key=lambda entry: entry.at))


def played_actors(engine: Engine) -> frozenset[str]:
    """The actors whose writes are predicted."""
    return frozenset(name.partition("/")[0] for name in engine.actors) | {"apiserver"}


def _requests(recording: Recording, played: Collection[str], hollow: Collection[str]) -> Iterator[Input]:
    seen: set[int] = set()
    lost = lost_attempts(recording)
    for write in recording.writes:
        outside = write.actor == "kubelet" and (write.key[0] in _HEARTBEATS or write.node in hollow)
        predicted = write.actor in played and not outside
        if write.request in seen or predicted or write.key[0] == "Event":
            continue
        if (write.request, write.time) in lost:
            request = _as_done(evolve(write, subresource="status"))
        else:
            seen.add(write.request)
            request = _as_sent(write) if write.actor == "user" else _as_done(write)
        if request is not None:
            yield Input(write.time, Submit(request, write.actor, write.account or write.actor))


def _faults(recording: Recording, engine: Engine) -> Iterator[Input]:
    for fact in recording.environment:
        action = fault_of(fact, engine)
        if action is not None:
            yield Input(effect_of(fact, recording, engine), action)


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
    """A request whose body is not known, from what it did: the object as it was afterwards.

    One that made an object go and was no delete took the last finalizer of an object that was to be deleted.
    """
    if write.verb in ("delete", "deletecollection"):
        return _deletion(write)
    if write.ok and write.type == "DELETED":
        return Patch(key=write.key, body={"metadata": {"finalizers": None}}, type="merge")
    if not write.ok or write.new is None:
        return None
    obj: Any = write.new.typed
    if write.type == "ADDED":
        return Create(object=obj)
    if write.old is None:
        return Update(
            object=evolve(obj, metadata=evolve(obj.metadata, resource_version="")), subresource=write.subresource
        )
    body = _merge_patch(_content(write.old.json), _content(write.new.json))
    return Patch(key=write.key, body=body, type="merge", subresource=write.subresource)


def _content(obj: Json) -> Json:
    """The object without what the API server alone writes."""
    meta = {name: value for name, value in obj.get("metadata", {}).items() if name not in _SERVERS_OWN}
    return {**obj, "metadata": meta}


def _merge_patch(old: Json, new: Json) -> Json:
    """The JSON merge patch (RFC 7386) that makes `new` of `old`."""
    patch: Json = {name: None for name in old if name not in new}
    for name, value in new.items():
        if name not in old or old[name] != value:
            both = isinstance(value, dict) and isinstance(old.get(name), dict)
            patch[name] = _merge_patch(old[name], value) if both else value
    return patch


def _deletion(write: RecordedWrite) -> Delete | None:
    if not write.key[2]:
        return None
    options = write.body if isinstance(write.body, dict) else {}
    policy = options.get("propagationPolicy")
    if options.get("orphanDependents"):
        policy = "Orphan"
    return Delete(key=write.key, grace_seconds=options.get("gracePeriodSeconds"), propagation=policy)


def _patch_type(write: RecordedWrite) -> PatchType:
    """Audit logs do not keep the content type: a list is a JSON patch, and built-in kinds are patched strategically,
    unless only a merge patch explains what became of the object.
    """
    if isinstance(write.body, list):
        return "json"
    if write.old is not None and write.new is not None and isinstance(write.body, dict):
        made = (strategic_merge(write.old.json, write.body), merge(write.old.json, write.body))
        explained = [not missing({"spec": result.get("spec")}, write.new.json) for result in made]
        if explained == [False, True]:
            return "merge"
    kind = KINDS.get(write.key[0])
    return "strategic" if kind is not None and write.subresource != "scale" else "merge"
