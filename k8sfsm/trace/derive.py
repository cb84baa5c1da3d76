"""What a request did to an object, where its answer does not show the object: bindings, evictions, deletions, scales.

Each function takes the state before (JSON) and gives the state after; nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import is_deleting, metadata
from k8sfsm.trace.timestamps import format_time, parse_time

_TOPOLOGY: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")
_TERMINAL: Final = ("Succeeded", "Failed")


def bound(pod: Json, binding: Any, node: Json | None, time: int) -> Json:
    """A pod after POST pods/binding: nodeName, the binding's annotations and labels, the node's topology labels.

    Source: pkg/registry/core/pod/storage/storage.go: setPodNodeAndMetadata;
    plugin/pkg/admission/podtopologylabels/admission.go: admitBinding.
    """
    asked = binding if isinstance(binding, dict) else {}
    target = str((asked.get("target") or {}).get("name") or "")
    given = metadata(node or {}).get("labels") or {}
    topology = {name: given[name] for name in _TOPOLOGY if name in given}
    meta = dict(metadata(pod))
    labels = {**(meta.get("labels") or {}), **topology, **(metadata(asked).get("labels") or {})}
    annotations = {**(meta.get("annotations") or {}), **(metadata(asked).get("annotations") or {})}
    meta |= {"labels": labels} if labels else {}
    meta |= {"annotations": annotations} if annotations else {}
    condition = {"type": "PodScheduled", "status": "True", "lastProbeTime": None}
    condition["lastTransitionTime"] = format_time(time, 0)
    spec = {**(pod.get("spec") or {}), "nodeName": target}
    status = {name: value for name, value in _with_condition(pod, condition).items() if name != "nominatedNodeName"}
    return {**pod, "metadata": meta, "spec": spec, "status": status}


def _with_condition(pod: Json, condition: Json) -> Json:
    status = pod.get("status") or {}
    known = [c for c in status.get("conditions") or () if c.get("type") != condition["type"]]
    return {**status, "conditions": [*known, condition]}


def evicted(pod: Json, body: Any, time: int) -> Iterator[tuple[str, Json]]:
    """("MODIFIED" or "DELETED", state) of each change that a granted eviction makes: the condition, then the deletion.

    Source: pkg/registry/core/pod/storage/eviction.go: addConditionAndDeletePod.
    """
    disrupted = any(c.get("type") == DISRUPTION_TARGET for c in (pod.get("status") or {}).get("conditions") or ())
    if not disrupted and not is_deleting(pod):
        condition = {"type": DISRUPTION_TARGET, "status": "True", "lastProbeTime": None}
        condition |= {"lastTransitionTime": format_time(time, 0), "reason": "EvictionByEvictionAPI"}
        condition |= {"message": "Eviction API: evicting"}
        pod = {**pod, "status": _with_condition(pod, condition)}
        yield "MODIFIED", pod
    options = body.get("deleteOptions") if isinstance(body, dict) else None
    yield from deleted(pod, options, time)


def deleted(obj: Json, options: Any, time: int) -> Iterator[tuple[str, Json]]:
    """("MODIFIED" or "DELETED", state) of each change that a DELETE makes; nothing where it changes nothing.

    Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: Delete;
    staging/src/k8s.io/apiserver/pkg/registry/rest/delete.go: BeforeDelete; pkg/registry/core/pod/strategy.go:
    CheckGracefulDelete.
    """
    asked = options if isinstance(options, dict) else {}
    grace = _grace(obj, asked)
    finalizers = _finalizers(obj, asked)
    current = metadata(obj).get("deletionGracePeriodSeconds")
    if is_deleting(obj) and (grace is None or current is None or grace >= current) and (grace or finalizers):
        return
    if not grace and not finalizers and obj.get("kind") != "Namespace":
        marked = dying(obj, time, 0, finalizers) if obj.get("kind") == "Pod" else obj
        if obj.get("kind") == "Pod" and _deletion(marked) != _deletion(obj):
            yield "MODIFIED", marked
        yield "DELETED", marked
        return
    yield "MODIFIED", dying(obj, time, grace, finalizers)


def _deletion(obj: Json) -> tuple[Any, Any]:
    return metadata(obj).get("deletionTimestamp"), metadata(obj).get("deletionGracePeriodSeconds")


def dying(obj: Json, time: int, grace: int | None, finalizers: list[str]) -> Json:
    """The object with its deletion begun at `time`, or moved where it has begun; `grace` None: kept by no Namespace."""
    meta = dict(metadata(obj))
    if not is_deleting(obj) and meta.get("generation"):
        meta["generation"] = meta["generation"] + 1
    until = time + (grace or 0) * SECOND
    if is_deleting(obj):  # a shorter grace counts from the first deletion; one that is over already leaves a second
        passed = int(meta.get("deletionGracePeriodSeconds") or 0) - (grace or 0)
        moved = parse_time(str(meta["deletionTimestamp"])) - passed * SECOND
        grace = 1 if grace and moved < time else grace
        until = max(time, moved)
    meta["deletionTimestamp"] = format_time(until, 0)
    if grace is not None:
        meta["deletionGracePeriodSeconds"] = grace
    if finalizers:
        meta["finalizers"] = finalizers
    else:
        meta.pop("finalizers", None)
    status = obj.get("status") or {}
    if obj.get("kind") == "Namespace":
        return {**obj, "metadata": meta, "status": {**status, "phase": "Terminating"}}
    return {**obj, "metadata": meta}


def _grace(obj: Json, options: Json) -> int | None:
    """Seconds that a DELETE with these options gives; None for namespaces, 0 for kinds without graceful deletion."""
    if obj.get("kind") == "Namespace":
        return None
    if obj.get("kind") != "Pod":
        return 0
    spec, phase = obj.get("spec") or {}, (obj.get("status") or {}).get("phase")
    if not spec.get("nodeName") or phase in _TERMINAL:
        return 0
    asked = options.get("gracePeriodSeconds")
    own = spec.get("terminationGracePeriodSeconds")
    return int(asked) if asked is not None else int(30 if own is None else own)


def _finalizers(obj: Json, options: Json) -> list[str]:
    policy = "Orphan" if options.get("orphanDependents") else options.get("propagationPolicy")
    known = [name for name in metadata(obj).get("finalizers") or () if not policy or name not in _COLLECTOR]
    added = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}.get(str(policy))
    if obj.get("kind") == "Pod" or not added or is_deleting(obj):
        return known
    return [*known, added]


_COLLECTOR: Final = ("foregroundDeletion", "orphan")


def scaled(obj: Json, scale: Json) -> Json:
    """The object after a write to its scale subresource that was answered by `scale`."""
    spec, meta = dict(obj.get("spec") or {}), dict(metadata(obj))
    wanted = (scale.get("spec") or {}).get("replicas", 0)
    if spec.get("replicas") != wanted and meta.get("generation"):
        meta["generation"] = meta["generation"] + 1
    spec["replicas"] = wanted
    meta["resourceVersion"] = metadata(scale).get("resourceVersion", meta.get("resourceVersion"))
    return {**obj, "metadata": meta, "spec": spec}


def at_revision(obj: Json, revision: int | None) -> Json:
    """The object with a resourceVersion; unchanged where it is not known."""
    if revision is None:
        return obj
    return {**obj, "metadata": {**metadata(obj), "resourceVersion": str(revision)}}


def without_bookkeeping(obj: Json) -> Json:
    """The object without managedFields, which say nothing about the cluster's behaviour."""
    if "managedFields" not in metadata(obj):
        return obj
    meta = {name: value for name, value in metadata(obj).items() if name != "managedFields"}
    return {**obj, "metadata": meta}
