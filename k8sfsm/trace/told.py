"""Laws on what a request tells: its reference, body, code and answer agree with the change that it made."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from k8sfsm.apiserver.patch import json_patch, merge, strategic_merge
from k8sfsm.request import Key
from k8sfsm.trace.attribution import OF_OTHERS, Unexplained, attribute, facts_of
from k8sfsm.trace.case import Written, law
from k8sfsm.trace.differences import difference, missing, short
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import KINDS, is_deleting, metadata

_VERBS: Final = frozenset({"create", "update", "patch", "delete", "deletecollection", "bind", "evict"})
_SUBRESOURCES: Final = frozenset({"", "status", "scale", "finalize", "approval", "ephemeralcontainers", "resize"})
_CODES: Final[dict[str, tuple[int, ...]]] = {
    "create": (201,),
    "bind": (201,),
    "evict": (201,),
    "update": (200,),
    "patch": (200,),
    "delete": (200, 202),
    "deletecollection": (200,),
}


@law.invariant
def request_known(case: Written) -> str:
    """The API has the verb and the subresource, and answers success with the verb's code."""
    write = case.write
    if write.inferred:
        return ""
    if write.verb not in _VERBS:
        return f"the API has no verb {write.verb}"
    if write.subresource not in _SUBRESOURCES:
        return f"the API has no subresource {write.subresource}"
    if not write.ok or not write.code:
        return ""
    codes = _CODES[write.verb]
    if write.type == "ADDED":
        codes = (201,)
    elif write.verb == "delete" and not _asks_cascade(write.body):
        codes = (200,)
    if write.code not in codes:
        return f"a {write.verb} was answered with code {write.code}"
    kind = _BODIES.get(write.verb)
    spoken = write.body.get("kind") if isinstance(write.body, dict) else None
    return f"the body of a {write.verb} is a {spoken}" if kind and spoken and spoken != kind else ""


_BODIES: Final[dict[str, str]] = {"bind": "Binding", "delete": "DeleteOptions", "deletecollection": "DeleteOptions"}


def _asks_cascade(body: Any) -> bool:
    """Whether a delete asks how to go on with dependents: it may then be answered before the object is gone."""
    return isinstance(body, dict) and (
        body.get("orphanDependents") is not None or body.get("propagationPolicy") is not None
    )


@law.invariant
def writer_fits(case: Written) -> str:
    """What only one component writes is written by that component, and a kubelet writes about its own node."""
    write, new = case.write, case.write.new
    if write.inferred or write.derived or write.trimmed or write.type is None or new is None or write.verb == "delete":
        return ""
    people = write.actor == "user" and write.subresource != "status" and write.verb != "bind"
    if people or write.actor == "apiserver" or write.verb in ("deletecollection", "evict"):
        return ""
    old, past = case.old, case.past
    if write.seen is None and old is not None and _deletion_moved(metadata(old.json), metadata(new.json)):
        return ""  # a log may lack the request that moved the deletion
    found = attribute(Unexplained(type=write.type, old=old, new=new, world=past.world, kinds=past.kinds))
    shared = {found.actor, write.actor} in _SHARED
    if found.actor == write.actor or shared or found.actor == "user":
        wrong = write.actor == "kubelet" and found.actor == "kubelet" and found.node and found.node != write.node
        return f"written by the kubelet of {write.node}, and it is of {found.node}" if wrong else ""
    return f"written by {write.account}, and only the {found.actor} writes this ({found.rule})"


def asks_others(case: Written) -> bool:
    """Whether other objects than that of a write have a say in who writes it."""
    write, past = case.write, case.past
    if write.type is None or write.new is None:
        return True
    asked = facts_of(Unexplained(type=write.type, old=case.old, new=write.new, world=past.world, kinds=past.kinds))
    return not asked.isdisjoint(OF_OTHERS)


_SHARED: Final = (
    {"node-controller", "taint-eviction-controller"},
    {"node-controller", "node-ipam-controller"},
    {"apiserver", "kube-controller-manager"},  # both make accounts when a cluster starts
)


def _deletion_moved(before: Json, after: Json) -> bool:
    return any(difference(before.get(name), after.get(name)) for name in _MOVED[:2])


@law.invariant
def reference_fits(case: Written) -> str:
    """The request names the object that it changed: namespace, name, API group, uid and revision."""
    write, new = case.write, case.write.new or case.old
    reference = write.reference
    if write.inferred or not reference or new is None or not write.ok or write.verb == "deletecollection":
        return ""
    if KINDS.get(str(reference.get("resource")), write.key[0]) != write.key[0] or write.trimmed:
        return ""
    meta, served = metadata(new.json), new.json.get("apiVersion")
    stored = {"namespace": meta.get("namespace"), "apiGroup": str(served or "v1").rpartition("/")[0], "uid": new.uid}
    stored |= {"name": meta.get("name"), "apiVersion": str(served).rpartition("/")[2]}
    for name, value in stored.items():
        spoken = reference.get(name)
        if spoken and spoken != (value or "") and not _is_alias(write.key, name, spoken):
            return f"the request is about {name} {spoken}, the object has {value or 'none'}"
    demanded = reference.get("resourceVersion")
    if demanded and write.precondition and str(write.precondition) != demanded:
        return f"the request is about revision {demanded} and demands {write.precondition}"
    return ""


def _is_alias(key: Key, name: str, spoken: str) -> bool:
    """Whether another value is right: Events are served by two groups, evictions too; a Namespace may be its own."""
    kind = key[0]
    if name == "apiVersion":
        return kind in ("Event", "Pod") and spoken == "v1"
    if name == "apiGroup":
        return (kind == "Event" and spoken == "events.k8s.io") or (kind == "Pod" and spoken == "policy")
    return kind == "Namespace" and name == "namespace" and spoken == key[2]


@law.invariant
def answer_fits(case: Written) -> str:
    """The answer shows the object as the change left it."""
    write = case.write
    answer = write.answer
    if not isinstance(answer, dict) or not write.ok or write.new is None:
        return ""
    if answer.get("kind") in ("Status", "PartialObjectMetadata") or write.verb in ("bind", "evict"):
        spoken = {name: answer.get(name) for name in ("status", "apiVersion", "code") if answer.get(name) is not None}
        right = {"status": "Success", "apiVersion": "v1", "code": write.code}
        wrong = missing(spoken, right) if answer.get("kind") == "Status" else ""
        return f"the request succeeded, and its answer says otherwise: {wrong}" if wrong else ""
    if write.trimmed:
        return ""
    if write.subresource == "scale":
        return _scale_fits(answer, write.new.json)
    moved = write.type == "DELETED" or (write.verb == "delete" and write.answered != write.revision)
    aside = ("resourceVersion", "managedFields", *(_MOVED if moved else ()))
    shown = {**answer, "metadata": {n: v for n, v in metadata(answer).items() if n not in aside}}
    wrong = missing(_bare(shown), write.new.json)
    return f"the answer is about another object: {wrong}" if wrong else ""


def _scale_fits(answer: Json, stored: Json) -> str:
    """A Scale shows the object's name and uid, what was asked for, and what the status counts."""
    shown = {n: metadata(answer).get(n) for n in ("name", "namespace", "uid")}
    if wrong := missing({"metadata": shown, "spec": answer.get("spec")}, stored):
        return f"the answer is about another object: {wrong}"
    counted = ((part.get("status") or {}).get("replicas") or 0 for part in (answer, stored))
    return difference(*counted, path="status.replicas") if answer.get("status") else ""


_MOVED: Final = ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "generation")


def _bare(obj: Json) -> Json:
    return {name: value for name, value in obj.items() if value is not None}


@law.invariant
def body_stored(case: Written) -> str:
    """What a create or update asks for is stored."""
    write = case.write
    body = write.body
    if not isinstance(body, dict) or write.body_trimmed or not write.ok or write.new is None or write.inferred:
        return ""
    if write.verb not in ("create", "update") or write.type is None or write.trimmed or write.subresource == "scale":
        return ""
    return missing(_asked(body, write.subresource, write.verb), write.new.json)


def _asked(body: Json, subresource: str, verb: str) -> Json:
    """The part of a body that is stored, but for what the API server counts, and the status where it is not asked for.

    Of a status write only the status is stored; the rest is sent as it was.
    """
    aside = ("resourceVersion", "managedFields", "creationTimestamp", "generation", "uid", "selfLink", *_MOVED)
    meta = {name: value for name, value in metadata(body).items() if name not in aside}
    notes = {n: v for n, v in (meta.get("annotations") or {}).items() if n not in _ASIDE}
    meta["annotations"] = notes or None
    return {**{n: v for n, v in body.items() if n != "status" or subresource == "status"}, "metadata": meta}


_ASIDE: Final = ("kubectl.kubernetes.io/last-applied-configuration", "deprecated.daemonset.template.generation")
"""Annotations that recordings leave out, or that the API server writes itself."""


@law.invariant
def patch_applied(case: Written) -> str:
    """The patch, applied to the state before, gives the state after."""
    write = case.write
    if (
        write.verb != "patch"
        or write.inferred
        or write.body_trimmed
        or write.body is None
        or write.subresource == "scale"
    ):
        return ""
    if case.pair is None:
        return ""
    old, new = case.pair
    aside = () if write.seen is not None else _MOVED
    exact = write.subresource == "status" and write.key[0] != "Service"  # elsewhere the API server adds defaults
    judge = difference if exact else missing
    if wrong := _misordered(write.body, new):
        return wrong
    stored, wrong = _compared(new, aside), ""
    for made in _patched(old, write.body):
        differs = judge(_compared(made, aside), stored)
        if not differs:
            return ""
        wrong = wrong or f"the patch does not give this: {differs}"
    return wrong


def _misordered(body: Any, new: Any) -> str:
    """A list that a patch orders has the items that the order names."""
    if not isinstance(body, dict) or not isinstance(new, dict):
        return ""
    for name, value in body.items():
        if not name.startswith(_ORDER):
            if wrong := _misordered(value, new.get(name)):
                return wrong
            continue
        stored = new.get(name.removeprefix(_ORDER)) or []
        for item in value:
            if not _holds(stored, item):
                return f"the patch orders {name.removeprefix(_ORDER)} with {short(item)}, which is not there"
    return ""


def _holds(stored: Any, item: Any) -> bool:
    if not isinstance(item, dict):
        return item in stored
    return any(isinstance(other, dict) and item.items() <= other.items() for other in stored)


_ORDER: Final = "$setElementOrder/"


def _patched(old: Json, body: Any) -> Iterator[Json]:
    """What the patch makes, for each content type that its form allows: audit lines do not tell which it was."""
    try:
        if isinstance(body, list):
            yield json_patch(old, body)
            return
        yield strategic_merge(old, body)
        yield merge(old, body)
    except (ValueError, KeyError, TypeError, IndexError):
        return


def _compared(obj: Json, aside: Collection[str]) -> Json:
    meta = {n: v for n, v in metadata(obj).items() if n not in (*_COUNTED, *aside)}
    notes = {n: v for n, v in (meta.get("annotations") or {}).items() if n not in _ASIDE}
    made = {**obj, "metadata": {**meta, "annotations": notes}}
    if obj.get("kind") == "Service":  # the API server gives and takes back addresses and ports
        made.pop("spec", None)
    status = {n: v for n, v in (obj.get("status") or {}).items() if n != "images"}  # recordings leave images out
    if "conditions" in status:
        status["conditions"] = sorted(status["conditions"], key=lambda condition: str(condition.get("type")))
    return {**made, "status": status}


_COUNTED: Final = ("resourceVersion", "managedFields", "generation")


@law.invariant
def binding_obeyed(case: Written) -> str:
    """The pod is bound to the node that the binding names."""
    write = case.write
    if write.verb != "bind" or write.inferred or write.new is None or not isinstance(write.body, dict):
        return ""
    target = (write.body.get("target") or {}).get("name")
    node = (write.new.json.get("spec") or {}).get("nodeName")
    spoken = (write.body.get("apiVersion"), write.body.get("kind"))
    if spoken[0] not in ("v1", None):
        return f"the body of a binding is of {spoken[0]}"
    if target != node:
        return f"the binding is to {target}, the pod is on {node}"
    uid = metadata(write.body).get("uid")
    return f"the binding is of uid {uid}, the pod has {write.new.uid}" if uid and uid != write.new.uid else ""


@law.invariant
def grace_obeyed(case: Written) -> str:
    """A pod whose deletion begins gets the grace period that was asked for, else its own; none where it is over."""
    write = case.write
    if write.key[0] != "Pod" or case.pair is None or write.verb != "delete" or write.inferred or write.derived:
        return ""
    if write.body is None and write.answer is None and write.answered is None:
        return ""  # audit level Metadata
    old, new = case.pair
    given = metadata(new).get("deletionGracePeriodSeconds")
    asked = write.body.get("gracePeriodSeconds") if isinstance(write.body, dict) else None
    own = (old.get("spec") or {}).get("terminationGracePeriodSeconds")
    right = {own if asked is None else asked}
    unstarted = not (old.get("spec") or {}).get("nodeName")
    if unstarted or (old.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        right = {0}
    if is_deleting(old) and asked:
        right.add(1)
    return (
        ""
        if given in right
        else f"deletionGracePeriodSeconds is {given}, asked for {asked}, and the pod's own is {own}"
    )


@law.invariant
def told_once(case: Written) -> str:
    """No two audit lines tell of one request."""
    first = case.past.told.get(case.identity) if case.identity else None
    if first is None or first.request == case.write.request:
        return ""
    return f"this request is told twice, first in {first.line}"


@law.invariant
def demand_met_by_idle(case: Written) -> str:
    """A request that changed nothing and demanded a revision met that revision."""
    write = case.write
    if (
        write.type is not None
        or not write.ok
        or write.precondition is None
        or case.old is None
        or write.key[0] == "Node"
    ):
        return ""
    if write.verb == "delete" or write.key in case.past.unrevised:
        return ""
    known = case.old.revision
    return "" if known in (None, write.precondition) else f"demanded revision {write.precondition}, was at {known}"
