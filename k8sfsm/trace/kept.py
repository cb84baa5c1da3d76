"""Laws on what a write leaves alone: each verb and subresource changes its part of an object only."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from k8sfsm.trace.case import Written, law
from k8sfsm.trace.differences import difference
from k8sfsm.trace.lines import Json
from k8sfsm.trace.masking import shown
from k8sfsm.trace.resources import metadata

_ALWAYS: Final = ("resourceVersion", "managedFields")
_DELETION: Final = ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "generation")
_WITH_STATUS: Final = frozenset(
    {
        "CronJob", "DaemonSet", "Deployment", "Job", "Namespace", "Node", "Pod", "PodDisruptionBudget", "ReplicaSet",
        "ReplicationController", "ResourceQuota", "Service", "StatefulSet",
    }
)  # fmt: skip
_UPDATES: Final = ("update", "patch")


def _without(obj: Json, names: Collection[str] = (), in_metadata: Collection[str] = ()) -> Json:
    meta = {name: value for name, value in metadata(obj).items() if name not in (*_ALWAYS, *in_metadata)}
    return {**{name: value for name, value in obj.items() if name not in names}, "metadata": meta}


def _changed(case: Written, names: Collection[str] = (), in_metadata: Collection[str] = ()) -> str:
    assert case.pair is not None
    return difference(*(_without(obj, names, in_metadata) for obj in case.pair))


@law.invariant
def status_write_alone(case: Written) -> str:
    """A write of the status changes nothing else.

    In a log without a watch beside it, the deletion may have been moved before by a request that was not logged.
    """
    if case.pair is None or case.write.subresource != "status":
        return ""
    moved = () if case.write.seen is not None else _DELETION
    wrong = difference(*(_without(_unrevised(obj), ("status",), moved) for obj in case.pair))
    return f"a write of the status changes more: {wrong}" if wrong else ""


def _unrevised(obj: Json) -> Json:
    """A Deployment without its revision, which the controller may write with the status."""
    if obj.get("kind") != "Deployment":
        return obj
    meta = metadata(obj)
    notes = {name: value for name, value in (meta.get("annotations") or {}).items() if name != _REVISION}
    return {**obj, "metadata": {**meta, "annotations": notes}}


_REVISION: Final = "deployment.kubernetes.io/revision"


@law.invariant
def scale_alone(case: Written) -> str:
    """A write of the scale changes the number of replicas and the generation."""
    if case.pair is None or case.write.subresource != "scale":
        return ""
    old, new = ({**obj, "spec": {**(obj.get("spec") or {}), "replicas": None}} for obj in case.pair)
    wrong = difference(*(_without(obj, (), ("generation",)) for obj in (old, new)))
    return f"a write of the scale changes more: {wrong}" if wrong else ""


@law.invariant
def status_kept(case: Written) -> str:
    """A write of the object itself leaves its status alone."""
    write = case.write
    if case.pair is None or write.subresource not in ("", "scale") or write.verb not in _UPDATES:
        return ""
    if write.key[0] not in _WITH_STATUS:
        return ""
    wrong = difference(*(obj.get("status") for obj in case.pair), path="status")
    return f"a write of the object changes its status: {wrong}" if wrong else ""


@law.invariant
def deletion_alone(case: Written) -> str:
    """The start of a deletion changes only what tells of it."""
    if case.pair is None or case.write.verb not in ("delete", "deletecollection", "evict"):
        return ""
    told = ("status",) if case.write.verb == "evict" or case.write.key[0] == "Namespace" else ()
    wrong = _changed(case, told, _DELETION)
    return f"a deletion changes more: {wrong}" if wrong else ""


@law.invariant
def removal_shows_last(case: Written) -> str:
    """A removed object is shown as it was."""
    write, old = case.write, case.old
    if write.type != "DELETED" or old is None or write.new is None or write.trimmed or old.json is write.new.json:
        return ""
    emptied = write.verb in _UPDATES
    left_out = ("spec", "status") if emptied and write.key[0] == "Namespace" else ()
    shown = write.seen is not None and not emptied  # a log may lack the request that moved the deletion
    pair = (_without(obj, left_out, () if shown else _DELETION) for obj in (old.json, write.new.json))
    wrong = difference(*pair)
    return f"the removed object is not as it was: {wrong}" if wrong else ""


@law.invariant
def binding_alone(case: Written) -> str:
    """A binding changes the node, the labels and annotations, and the condition PodScheduled."""
    if case.pair is None or case.write.verb != "bind":
        return ""
    old, new = (_unbound(obj) for obj in case.pair)
    if wrong := difference(old, new):
        return f"a binding changes more: {wrong}"
    for name in ("labels", "annotations"):
        before, after = (metadata(obj).get(name) or {} for obj in case.pair)
        for key, value in before.items():
            if after.get(key) != value:
                path = f"metadata.{name}.{key}"
                return f"a binding changes more: {path} is {shown(path, after.get(key))}, was {shown(path, value)}"
    return ""


def _unbound(pod: Json) -> Json:
    spec = {name: value for name, value in (pod.get("spec") or {}).items() if name != "nodeName"}
    status = {name: value for name, value in (pod.get("status") or {}).items() if name != "nominatedNodeName"}
    others = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    return {**_without(pod, (), ("labels", "annotations")), "spec": spec, "status": {**status, "conditions": others}}


_FIXED: Final[dict[str, tuple[str, ...]]] = {
    "Deployment": ("selector",),
    "ReplicaSet": ("selector", "template"),
    "StatefulSet": ("selector", "serviceName", "podManagementPolicy", "volumeClaimTemplates"),
    "DaemonSet": ("selector",),
    "Job": ("selector", "template", "completionMode"),
    "EndpointSlice": ("addressType",),
}
_POD_FREE: Final = (
    "nodeName", "activeDeadlineSeconds", "tolerations", "schedulingGates", "ephemeralContainers",
    "terminationGracePeriodSeconds",
)  # fmt: skip


@law.invariant
def fixed_fields(case: Written) -> str:
    """Fields that cannot be changed keep their values."""
    if case.pair is None:
        return ""
    old, new = case.pair
    kind = case.write.key[0]
    spec = old.get("spec")
    before, after = metadata(old), metadata(new)
    for name in ("name", "namespace", "generateName") if kind == "Pod" else ("name", "namespace"):
        if before.get(name) == after.get(name):
            continue
        if wrong := difference(before.get(name), after.get(name), path=f"metadata.{name}"):
            return wrong
    if wrong := difference(old.get("apiVersion"), new.get("apiVersion"), path="apiVersion"):
        return wrong
    if spec is not None and spec is new.get("spec"):
        return ""
    if kind == "Pod":
        return difference(_pod_spec(old), _pod_spec(new), path="spec")
    for name in _FIXED.get(kind, ()):
        values = ((obj.get("spec") or obj).get(name) for obj in (old, new))
        if wrong := difference(*values, path=f"spec.{name}"):
            return wrong
    return ""


def _pod_spec(pod: Json) -> Json:
    spec = {name: value for name, value in (pod.get("spec") or {}).items() if name not in _POD_FREE}
    for name in ("containers", "initContainers"):
        if name in spec:
            spec[name] = [_container(container) for container in spec[name]]
    return spec


def _container(container: Any) -> Any:
    free = ("image", "resources")
    return {name: value for name, value in container.items() if name not in free}


@law.invariant
def owners_exist(case: Written) -> str:
    """A new owner reference names an object that exists, or existed, by its kind, name and uid."""
    new = case.write.new
    if new is None or case.write.type == "DELETED" or case.write.trimmed:
        return ""
    owners = metadata(new.json).get("ownerReferences") or ()
    before = metadata(case.old.json).get("ownerReferences") or () if owners and case.old is not None else ()
    for reference in owners:
        if reference in before:
            continue
        known = case.past.identities.get(str(reference.get("uid")))
        spoken = (reference.get("apiVersion"), reference.get("kind"), reference.get("name"))
        if known is None and (str(spoken[1]), str(spoken[2])) in case.past.names and not case.past.gapped:
            return f"its owner {spoken[1]} {spoken[2]} never had the uid {reference.get('uid')}"
        if known is not None and known != spoken:
            return f"its owner is {' '.join(map(str, spoken))}, but that uid is of {' '.join(map(str, known))}"
    return ""
