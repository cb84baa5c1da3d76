"""NodeRestriction: a kubelet changes its own node and the pods on it, and nothing else.

Source: plugin/pkg/admission/noderestriction/admission.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.rbac.node import references_of
from k8sfsm.apiserver.rbac.users import Asked, law
from k8sfsm.objects import Node, Pod
from k8sfsm.store import Snapshot
from k8sfsm.value import value

MIRROR: Final = "kubernetes.io/config.mirror"
_RESTRICTED: Final = "node-restriction.kubernetes.io"
_KUBELET: Final = ("kubelet.kubernetes.io", "node.kubernetes.io")
_OPERATIONS: Final = {"create": "create", "delete": "delete", "deletecollection": "delete"}


@value
class Kept:
    """A write of a kubelet. `old`, `new`: the object before and after; None where there is none, or it is not known."""

    asked: Asked
    old: Any
    new: Any
    snapshot: Snapshot

    @property
    def node(self) -> str:
        """The kubelet's node."""
        return self.asked.user.node


@value
class Labelled:
    """A label of a node."""

    key: str


@law.fact
def restricted_resource(case: Kept) -> str:
    """The resource with its API group."""
    return f"{case.asked.resource}.{case.asked.group}" if case.asked.group else case.asked.resource


@law.fact
def restricted_part(case: Kept) -> str:
    """The subresource."""
    return case.asked.subresource


@law.fact
def restricted_operation(case: Kept) -> Literal["create", "update", "delete"]:
    """What is done: create, update or delete."""
    known: dict[str, Literal["create", "update", "delete"]] = {"create": "create", "delete": "delete"}
    return known.get(_OPERATIONS.get(case.asked.verb, ""), "update")


@law.fact
def own_object(case: Kept) -> bool:
    """The node itself or what has its name; of a Pod: one that is bound to it."""
    obj = case.new if case.old is None else case.old
    if isinstance(obj, Pod):
        return obj.spec.node_name == case.node
    return (obj.metadata.name if obj is not None else case.asked.name) == case.node


@law.fact
def mirror_pod(case: Kept) -> bool:
    """The Pod stands for one that the kubelet runs without the API server."""
    return isinstance(case.new, Pod) and MIRROR in case.new.metadata.annotations


@law.fact
def owned_by_node(case: Kept) -> Literal["own", "several", "other", "uncontrolled", "blocking", "mistaken"]:
    """What is the matter with the owner of a new Pod: it should be the node, as its controller."""
    owners = case.new.metadata.owner_references if isinstance(case.new, Pod) else ()
    if len(owners) > 1:
        return "several"
    if not owners or (owners[0].api_version, owners[0].kind, owners[0].name) != ("v1", "Node", case.node):
        return "other"
    if not owners[0].controller:
        return "uncontrolled"
    if owners[0].block_owner_deletion:
        return "blocking"
    return "own" if owners[0].uid == _uid_of(case) else "mistaken"


def _uid_of(case: Kept) -> str:
    node = case.snapshot.get(("Node", "", case.node))
    return "" if node is None else str(node.metadata.uid)


@law.fact
def references(case: Kept) -> str:
    """The first kind of objects that a new Pod names, "" where it names none."""
    if not isinstance(case.new, Pod):
        return ""
    if case.new.spec.service_account_name:
        return "service account"
    found = references_of(case.new.spec)
    return next((name for name in ("secrets", "configmaps", "persistentvolumeclaims") if name in found), "")


@law.fact
def taints_kept(case: Kept) -> bool:
    """A Node's taints stay as they were."""
    if not (isinstance(case.new, Node) and isinstance(case.old, Node)):
        return True
    return case.new.spec.taints == case.old.spec.taints


@law.fact
def labels_allowed(case: Kept) -> bool:
    """A Node's labels change in nothing that its kubelet may not set."""
    return not forbidden_labels(case)


@law.fact
def pod_labels_kept(case: Kept) -> bool:
    """A Pod's labels stay as they were."""
    return case.old is None or case.new is None or case.old.metadata.labels == case.new.metadata.labels


@law.fact
def label_family(case: Labelled) -> Literal["node-restriction", "kubelet", "kubernetes", "other"]:
    """To whom a label's prefix belongs."""
    prefix = case.key.rpartition("/")[0] if "/" in case.key else ""
    if _below(prefix, _RESTRICTED):
        return "node-restriction"
    if any(_below(prefix, each) for each in _KUBELET):
        return "kubelet"
    return "kubernetes" if _below(prefix, "kubernetes.io") or _below(prefix, "k8s.io") else "other"


@law.fact
def label_name(case: Labelled) -> str:
    """The label's key."""
    return case.key


def _below(prefix: str, domain: str) -> bool:
    return prefix == domain or prefix.endswith("." + domain)


def forbidden_labels(case: Kept) -> tuple[str, ...]:
    """The labels that a Node's write changes and its kubelet may not."""
    if not isinstance(case.new, Node):
        return ()
    before: Mapping[str, str] = case.old.metadata.labels if case.old is not None else {}
    after = case.new.metadata.labels
    changed = sorted(key for key in {**before, **after} if before.get(key) != after.get(key))
    return tuple(key for key in changed if not law.decide("node-label", Labelled(key)).outputs["allowed"])


def refuse_restricted(case: Kept) -> None:
    """Raises Refusal (403) where a kubelet writes what is not its own."""
    text = law.decide("node-restriction", case).outputs["text"]
    if text is None:
        return
    owners = case.new.metadata.owner_references if isinstance(case.new, Pod) else ()
    said = text.format(
        node=case.node,
        name=case.asked.name or (case.new.metadata.name if case.new is not None else ""),
        part=case.asked.subresource,
        references=references(case),
        labels=", ".join(forbidden_labels(case)),
        wanted=owners[0].uid if owners else "",
        uid=_uid_of(case),
    )
    obj = case.new if case.new is not None else case.old
    name = case.asked.name or (obj.metadata.name if obj is not None else "")
    resource = f"{case.asked.resource}.{case.asked.group}" if case.asked.group else case.asked.resource
    raise Refusal(403, "Forbidden", f'{resource} "{name}" is forbidden: {said}')
