"""The Node authorizer: a kubelet may read what belongs to the pods of its node, and little else.

Source: plugin/pkg/auth/authorizer/node/node_authorizer.go; .../node/graph.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.rbac.policy import Policy, covers
from k8sfsm.apiserver.rbac.users import Asked, law
from k8sfsm.objects import RoleRef, to_json
from k8sfsm.store import Snapshot
from k8sfsm.value import value

LEASES: Final = "kube-node-lease"


@value
class Visit:
    """A request of a kubelet."""

    asked: Asked

    @property
    def node(self) -> str:
        """The kubelet's node, or ""."""
        return self.asked.user.node

    @property
    def qualified(self) -> str:
        """The resource with its API group: `leases.coordination.k8s.io`."""
        asked = self.asked
        return f"{asked.resource}.{asked.group}" if asked.group else asked.resource


@law.fact
def node_known(case: Visit) -> bool:
    """The user's name says of which node the kubelet is."""
    return bool(case.node)


@law.fact
def asked_resource(case: Visit) -> str:
    """The resource with its API group."""
    return case.qualified


@law.fact
def asked_subresource(case: Visit) -> str:
    """The subresource, or ""."""
    return case.asked.subresource


@law.fact
def asked_verb(case: Visit) -> str:
    """The verb."""
    return case.asked.verb


@law.fact
def asked_namespace(case: Visit) -> Literal["none", "leases", "other"]:
    """The namespace: none, that of the nodes' leases, another."""
    if not case.asked.namespace:
        return "none"
    return "leases" if case.asked.namespace == LEASES else "other"


@law.fact
def asked_name(case: Visit) -> Literal["none", "own", "other"]:
    """The name: none, that of the node itself, another."""
    if not case.asked.name:
        return "none"
    return "own" if case.asked.name == case.node else "other"


_ALLOWED: Final = {"yes": True, "no": False}


def node_verdict(asked: Asked, snapshot: Snapshot, policy: Policy) -> tuple[bool, str]:
    """Whether the Node authorizer allows what a kubelet asks, and what it says if not."""
    if "system:nodes" not in asked.user.groups:
        return False, ""
    visit = Visit(asked)
    found = law.decide("node-authorizer", visit).outputs
    if found["allow"] == "rules":
        rules = policy.rules_of(RoleRef(kind="ClusterRole", name="system:node"), "") or ()
        return any(covers(rule, asked) for rule in rules), ""
    if found["allow"] == "related":
        return _related_verdict(visit, snapshot)
    reason = (found.get("reason") or "").format(user=asked.user.name, node=visit.node, name=asked.name)
    return _ALLOWED[found["allow"]], reason


def _related_verdict(visit: Visit, snapshot: Snapshot) -> tuple[bool, str]:
    asked = visit.asked
    if not asked.name:
        return False, "No Object name found"
    if related(snapshot, visit.node, asked):
        return True, ""
    return False, f"no relationship found between node '{visit.node}' and this object"


def related(snapshot: Snapshot, node: str, asked: Asked) -> bool:
    """Whether an object belongs to a pod of the node: it is one, or one of them needs it."""
    if asked.resource == "volumeattachments":
        found = snapshot.get(("VolumeAttachment", "", asked.name))
        return found is not None and to_json(found).get("spec", {}).get("nodeName") == node
    if asked.resource == "resourceslices":
        found = snapshot.get(("ResourceSlice", "", asked.name))
        return found is not None and to_json(found).get("spec", {}).get("nodeName") == node
    wanted = (asked.resource, asked.namespace, asked.name)
    return any(wanted in set(_needs(pod, snapshot)) for pod in snapshot.on_node(node))


def _needs(pod: Any, snapshot: Snapshot) -> Iterator[tuple[str, str, str]]:
    """(resource, namespace, name) of all that a pod gives its node access to. Source: graph.go: AddPod."""
    space = pod.metadata.namespace
    yield "pods", space, pod.metadata.name
    if pod.spec.service_account_name:
        yield "serviceaccounts", space, pod.spec.service_account_name
    for resource, name in _named_in(to_json(pod.spec)):
        yield resource, space, name
        if resource == "persistentvolumeclaims":
            yield from _volume_of(snapshot, space, name)


def _volume_of(snapshot: Snapshot, namespace: str, claim: str) -> Iterator[tuple[str, str, str]]:
    """The volume that a claim is bound to, which the store has as the claim's spec.volumeName."""
    found = snapshot.get(("PersistentVolumeClaim", namespace, claim))
    volume = to_json(found).get("spec", {}).get("volumeName") if found is not None else None
    if isinstance(volume, str) and volume:
        yield "persistentvolumes", "", volume


_REFERENCES: Final = {
    "configMap": "configmaps",
    "configMapRef": "configmaps",
    "configMapKeyRef": "configmaps",
    "secret": "secrets",
    "secretRef": "secrets",
    "secretKeyRef": "secrets",
    "imagePullSecrets": "secrets",
    "persistentVolumeClaim": "persistentvolumeclaims",
    "resourceClaims": "resourceclaims",
}
"""Members of a pod's spec that name other objects."""
_NAMES: Final = ("name", "secretName", "claimName", "resourceClaimName")


def _named_in(found: Any) -> Iterator[tuple[str, str]]:
    """(resource, name) of the objects that a pod's spec names, anywhere in it."""
    if isinstance(found, list):
        for item in found:
            yield from _named_in(item)
    elif isinstance(found, Mapping):
        for member, inner in found.items():
            resource = _REFERENCES.get(member)
            if resource is not None:
                yield from ((resource, name) for each in _listed(inner) if (name := _name_in(each)))
            yield from _named_in(inner)


def _listed(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


def _name_in(reference: Any) -> str:
    """The name that a reference has, under whichever of its usual keys."""
    if not isinstance(reference, Mapping):
        return ""
    keys = reversed(_NAMES)  # a claim of a pod has a name of its own beside that of the claim
    return next((str(reference[key]) for key in keys if reference.get(key)), "")


def references_of(spec: Any) -> tuple[str, ...]:
    """The resources of which a pod's spec names objects, in order of their names."""
    return tuple(sorted({resource for resource, _ in _named_in(to_json(spec))}))


def is_nameless(asked: Asked) -> bool:
    """Whether the answer to a kubelet does not depend on the object's name or namespace."""
    looked = {"asked_name", "asked_namespace"} & set(law.decide("node-authorizer", Visit(asked)).facts)
    return not looked and is_general(asked)


def is_general(asked: Asked) -> bool:
    """Whether the answer is the same for all kubelets, and for all names and namespaces of which the facts read alike.

    It is where nobody asks which pods are on the node.
    """
    return law.decide("node-authorizer", Visit(asked)).outputs["allow"] in ("yes", "rules")
