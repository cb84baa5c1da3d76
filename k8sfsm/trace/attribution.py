"""Who made a change that no recorded request explains: the facts of the table `trace/attribution`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from attrs import define, field, frozen

from k8sfsm.engine.wiring import EVENT_COMPONENTS
from k8sfsm.law import Law
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import Key
from k8sfsm.trace.history import Document, Verb, WatchType
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import controller_reference, is_deleting, metadata

law = Law("trace")
Part = Literal[
    "created",
    "removed",
    "deletion",
    "bound",
    "finalizers",
    "references",
    "spec",
    "status",
    "annotations",
    "labels",
    "nothing",
]
_COMPONENTS: Final[dict[str, str]] = {
    **{component: actor for actor, component in EVENT_COMPONENTS.items()},
    "cidrAllocator": "node-ipam-controller",
}
_COLLECTOR_FINALIZERS: Final = frozenset({"foregroundDeletion", "orphan"})


@define
class World:
    """The objects as of now while a history is read in order, with the controller owner of each."""

    objects: dict[Key, Document] = field(factory=dict)
    owned: dict[str, dict[Key, None]] = field(factory=dict)
    uids: dict[str, Key] = field(factory=dict)

    def copy(self) -> World:
        """The same objects, to be changed apart."""
        owned = {uid: dict(parts) for uid, parts in self.owned.items() if parts}
        return World(dict(self.objects), owned, dict(self.uids))

    def put(self, document: Document) -> None:
        """An object was created or changed."""
        key = document.key
        known = self.objects.get(key)
        if known is not None:
            if known.uid == document.uid and _has_same_owners(known.json, document.json):
                self.objects[key] = document
                return
            self._forget(key)
        self.objects[key] = document
        if document.uid:
            self.uids[document.uid] = key
        owner = controller_reference(document.json)
        if owner:
            self.owned.setdefault(owner.get("uid", ""), {})[key] = None

    def renew(self, key: Key, document: Document) -> None:
        """An object was changed that kept its uid and its owners."""
        self.objects[key] = document

    def remove(self, key: Key) -> None:
        """An object went."""
        self._forget(key)
        document = self.objects.pop(key, None)
        if document:
            self.uids.pop(document.uid, None)

    def _forget(self, key: Key) -> None:
        known = self.objects.get(key)
        owner = controller_reference(known.json) if known else None
        if owner:
            self.owned.get(owner.get("uid", ""), {}).pop(key, None)


def _has_same_owners(known: Json, other: Json) -> bool:
    """Whether two states of an object have the very same owner references: the quick answer."""
    return metadata(known).get("ownerReferences") is metadata(other).get("ownerReferences")


@frozen(kw_only=True)
class Unexplained:
    """A change without a recorded request: what the table `attribution` decides about."""

    type: WatchType
    old: Document | None
    new: Document
    world: World
    kinds: frozenset[str]
    """Kinds that the history shows: an owner of another kind may exist unseen."""

    @property
    def obj(self) -> Json:
        """The object after the change."""
        return self.new.json

    @property
    def before(self) -> Json:
        """The object before the change; empty where it is not known."""
        return self.old.json if self.old else {}


@frozen(kw_only=True)
class Attribution:
    """What the table says: the actor, how it asked, and the rule."""

    actor: str
    node: str
    verb: Verb
    subresource: str
    rule: str


def attribute(case: Unexplained) -> Attribution:
    """Ask the table who made a change."""
    decision = law.decide("attribution", case)
    actor = str(decision.outputs["actor"])
    node = ""
    if actor == "reporter":
        actor, node = reporter(case.obj)
    elif actor == "kubelet":
        node = case.new.key[2] if case.new.key[0] in ("Node", "Lease") else str(_spec(case.obj).get("nodeName") or "")
    verb = cast(Verb, decision.outputs["verb"])
    return Attribution(
        actor=actor,
        node=node,
        verb=verb,
        subresource=str(decision.outputs.get("subresource") or ""),
        rule=decision.rule,
    )


OF_OTHERS: Final = frozenset({"owner_state", "surplus", "namespace_dying"})
"""The facts that look at other objects than the one that was written."""


def facts_of(case: Unexplained) -> frozenset[str]:
    """The facts that the table asks to tell who made a change."""
    return frozenset(law.decide("attribution", case).facts)


def reporter(event: Json) -> tuple[str, str]:
    """(actor, node) of an Event: the component that reported it."""
    source = event.get("source") or {}
    component = str(
        event.get("reportingComponent") or event.get("reportingController") or source.get("component") or ""
    )
    host = str(source.get("host") or event.get("reportingInstance") or "") if component == "kubelet" else ""
    return _COMPONENTS.get(component, component or "user"), host


def _spec(obj: Mapping[str, Any]) -> Json:
    return obj.get("spec") or {}


def _conditions(obj: Mapping[str, Any]) -> dict[str, Json]:
    return {c.get("type", ""): c for c in (obj.get("status") or {}).get("conditions") or ()}


@law.fact
def kind(case: Unexplained) -> str:
    """Kind of the object."""
    return case.new.key[0]


@law.fact
def part(case: Unexplained) -> Part:
    """What the change touched; of several parts the one that tells most about the writer."""
    if case.type == "ADDED":
        return "created"
    if case.type == "DELETED":
        return "removed"
    old, new = metadata(case.before), metadata(case.obj)
    if is_deleting(case.obj) and [old.get(k) for k in _DELETION] != [new.get(k) for k in _DELETION]:
        return "deletion"
    if case.new.key[0] == "Pod" and not _spec(case.before).get("nodeName") and _spec(case.obj).get("nodeName"):
        return "bound"
    for name, label in (("finalizers", "finalizers"), ("ownerReferences", "references")):
        if (old.get(name) or []) != (new.get(name) or []):
            return cast(Part, label)
    if _other_body(case.before, case.obj):
        return "spec"
    if (case.before.get("status") or {}) != (case.obj.get("status") or {}):
        return "status"
    for label in ("annotations", "labels"):
        if (old.get(label) or {}) != (new.get(label) or {}):
            return cast(Part, label)
    return "nothing"


_DELETION: Final = ("deletionTimestamp", "deletionGracePeriodSeconds")


def _other_body(before: Mapping[str, Any], obj: Mapping[str, Any]) -> bool:
    """Whether anything differs but metadata and status."""
    return any(name not in _ASIDE and (name not in before or before[name] != value) for name, value in obj.items()) or (
        before.keys() != obj.keys() and any(name not in _ASIDE and name not in obj for name in before)
    )


_ASIDE: Final = ("metadata", "status", "kind", "apiVersion")


def _owner(case: Unexplained) -> Json | None:
    return controller_reference(case.obj) or controller_reference(case.before)


@law.fact
def owner(case: Unexplained) -> str:
    """Kind of the controller that owns the object or, where the change releases it, owned it; "" without one."""
    found = _owner(case)
    return str(found.get("kind", "")) if found else ""


@law.fact
def owner_state(case: Unexplained) -> Literal["none", "alive", "dying", "gone", "unknown"]:
    """Whether the object's controller exists: "unknown" where the history does not show the controller's kind."""
    found = _owner(case)
    if not found:
        return "none"
    document = case.world.objects.get((found.get("kind", ""), case.new.key[1], found.get("name", "")))
    if document is not None and document.uid == found.get("uid"):
        return "dying" if is_deleting(document.json) else "alive"
    return "gone" if found.get("kind") in case.kinds else "unknown"


@law.fact
def surplus(case: Unexplained) -> bool:
    """Whether the object's controller has more live dependents than it wants, so that it may delete one itself."""
    found = _owner(case)
    if not found:
        return False
    key = (found.get("kind", ""), case.new.key[1], found.get("name", ""))
    document = case.world.objects.get(key)
    if document is None:
        return key[0] not in case.kinds
    if case.new.key[0] == "ReplicaSet":
        return not _spec(case.obj).get("replicas")
    live = [
        k
        for k in case.world.owned.get(document.uid, ())
        if not is_deleting(case.world.objects[k].json) or k == case.new.key
    ]
    return len(live) > int(_spec(document.json).get("replicas") or 0)


@law.fact
def namespace_dying(case: Unexplained) -> bool:
    """Whether the object's namespace is being deleted."""
    document = case.world.objects.get(("Namespace", "", case.new.key[1]))
    return document is not None and is_deleting(document.json)


@law.fact
def disruption(case: Unexplained) -> str:
    """Reason of the pod's DisruptionTarget condition; "" without one, and where a status write did not bring it."""
    condition = _conditions(case.obj).get(DISRUPTION_TARGET) or {}
    known = _conditions(case.before).get(DISRUPTION_TARGET)
    if part(case) == "status" and condition == (known or {}):
        return ""
    return str(condition.get("reason") or "") if condition.get("status") == "True" else ""


@law.fact
def writer(case: Unexplained) -> str:
    """The actor that the changed fields themselves point to; "" where they do not."""
    found = _WRITERS.get(case.new.key[0])
    return (found(case) if found else "") or _collector(case) or _bootstrap(case)


def _collector(case: Unexplained) -> str:
    before = set(metadata(case.before).get("finalizers") or ())
    after = set(metadata(case.obj).get("finalizers") or ())
    lost = before if case.type == "DELETED" else before - after
    return "garbage-collector" if lost & _COLLECTOR_FINALIZERS else ""


def _bootstrap(case: Unexplained) -> str:
    built_in = case.new.key[0] == "PriorityClass" and case.new.key[2].startswith("system-")
    return "apiserver" if built_in or case.new.key[1:] in _BUILT_IN or case.new.key[1].startswith("kube-") else ""


_BUILT_IN: Final = frozenset({("default", "kubernetes"), ("", "default"), ("", "kube-system"), ("", "kube-public")})


def _pod_writer(case: Unexplained) -> str:
    what = part(case)
    lost = set(metadata(case.before).get("finalizers") or ())
    lost -= set() if case.type == "DELETED" else set(metadata(case.obj).get("finalizers") or ())
    if "batch.kubernetes.io/job-tracking" in lost:
        return "job-controller"
    if what in ("deletion", "removed"):
        if case.type == "DELETED" and lost:
            return ""
        ended = metadata(case.obj).get("deletionGracePeriodSeconds") == 0 and is_deleting(case.before)
        return "kubelet" if ended and _spec(case.obj).get("nodeName") else ""
    if what != "status":
        return ""
    old, new = case.before.get("status") or {}, case.obj.get("status") or {}
    if not _spec(case.obj).get("nodeName"):
        return "kube-scheduler"
    return "node-controller" if _only_not_ready(old, new) else ""


def _only_not_ready(old: Json, new: Json) -> bool:
    """Whether nothing but the Ready condition turned False, while the containers are still said to be ready."""
    same = {k: v for k, v in old.items() if k != "conditions"} == {k: v for k, v in new.items() if k != "conditions"}
    before, after = _conditions({"status": old}), _conditions({"status": new})
    changed = [t for t in {**before, **after} if before.get(t) != after.get(t)]
    return same and changed == ["Ready"] and after.get("Ready", {}).get("status") == "False"


def _node_writer(case: Unexplained) -> str:
    what = part(case)
    if what == "annotations":
        old, new = (metadata(obj).get("annotations") or {} for obj in (case.before, case.obj))
        return "ttl-controller" if old.get(_TTL) != new.get(_TTL) else ""
    if what == "spec":
        old, new = _spec(case.before), _spec(case.obj)
        if not _own_taints(old, new):
            return ""
        return "node-ipam-controller" if old.get("podCIDR") != new.get("podCIDR") else "node-controller"
    if what == "status":
        now, before = _conditions(case.obj), _conditions(case.before)
        turned = [t for t, c in now.items() if c.get("status") == "Unknown" != before.get(t, {}).get("status")]
        return "node-controller" if turned else ""
    return ""


_TTL: Final = "node.alpha.kubernetes.io/ttl"


def _own_taints(old: Json, new: Json) -> bool:
    """Whether only the pod CIDR and taints of node.kubernetes.io changed."""
    kept = {k: v for k, v in old.items() if k not in _NODE_FIELDS} == {
        k: v for k, v in new.items() if k not in _NODE_FIELDS
    }
    before, after = (old.get("taints") or [], new.get("taints") or [])
    changed = [taint for taint in [*before, *after] if taint not in before or taint not in after]
    return kept and all(str(taint.get("key", "")).startswith("node.kubernetes.io/") for taint in changed)


_NODE_FIELDS: Final = ("taints", "podCIDR", "podCIDRs")


def _endpoints_writer(case: Unexplained) -> str:
    service: Key = ("Service", *case.new.key[1:])
    if case.type == "DELETED" and "Service" in case.kinds and service not in case.world.objects:
        return "apiserver"
    labels = metadata(case.obj).get("labels") or {}
    annotations = metadata(case.obj).get("annotations") or {}
    managed = (
        "endpoints.kubernetes.io/managed-by" in labels
        or "endpoints.kubernetes.io/last-change-trigger-time" in annotations
    )
    return "endpoint-controller" if managed else ""


def _slice_writer(case: Unexplained) -> str:
    label = str((metadata(case.obj).get("labels") or {}).get("endpointslice.kubernetes.io/managed-by") or "")
    return label.removesuffix(".k8s.io")


def _account_writer(case: Unexplained) -> str:
    return "service-account-controller" if case.new.key[2] == "default" else ""


def _deployment_writer(case: Unexplained) -> str:
    name = "deployment.kubernetes.io/revision"
    old, new = (metadata(obj).get("annotations") or {} for obj in (case.before, case.obj))
    return "deployment-controller" if case.type == "MODIFIED" and old.get(name) != new.get(name) else ""


def _job_writer(case: Unexplained) -> str:
    if case.type == "DELETED" and metadata(case.before).get("finalizers"):
        return ""
    expires = _spec(case.obj).get("ttlSecondsAfterFinished") is not None
    ended = any(_conditions(case.obj).get(name, {}).get("status") == "True" for name in ("Complete", "Failed"))
    return "ttl-after-finished-controller" if part(case) in ("deletion", "removed") and expires and ended else ""


def _lease_writer(case: Unexplained) -> str:
    return "kubelet" if case.new.key[1] == _NODE_LEASES else ""


_NODE_LEASES: Final = "kube-node-lease"
_WRITERS: Final = {
    "Job": _job_writer,
    "Pod": _pod_writer,
    "Node": _node_writer,
    "Endpoints": _endpoints_writer,
    "EndpointSlice": _slice_writer,
    "ServiceAccount": _account_writer,
    "Deployment": _deployment_writer,
    "Lease": _lease_writer,
}
