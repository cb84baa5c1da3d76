"""What kubelets may do: the Node authorizer and NodeRestriction, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.apiserver import Refusal
from k8sfsm.apiserver.rbac.authorizer import judge
from k8sfsm.apiserver.rbac.node import node_verdict
from k8sfsm.apiserver.rbac.policy import policy_of
from k8sfsm.apiserver.rbac.restriction import Kept, refuse_restricted
from k8sfsm.apiserver.rbac.users import Asked, User, user_of
from k8sfsm.objects import evolve, from_json
from k8sfsm.view import View

KUBELET = user_of("system:node:n")


def thing(kind: str, name: str, version: str = "v1", namespace: str = "a", **body: Any) -> Any:
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    return from_json({"apiVersion": version, "kind": kind, "metadata": {**meta, **body.pop("metadata", {})}, **body})


POD = thing(
    "Pod",
    "p",
    spec={
        "nodeName": "n",
        "serviceAccountName": "web",
        "imagePullSecrets": [{"name": "pull"}],
        "volumes": [
            {"name": "c", "configMap": {"name": "settings"}},
            {"name": "s", "secret": {"secretName": "keys"}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "disk"}},
            {"name": "j", "projected": {"sources": [{"secret": {"name": "mixed"}}]}},
        ],
        "resourceClaims": [{"name": "gpu", "resourceClaimName": "device"}],
        "containers": [
            {
                "name": "a",
                "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "variable", "key": "x"}}}],
                "envFrom": [{"configMapRef": {"name": "all"}}],
            }
        ],
    },
)
OTHER = thing("Pod", "q", spec={"nodeName": "m", "volumes": [{"name": "c", "configMap": {"name": "foreign"}}]})
OBJECTS = (
    POD,
    OTHER,
    thing("PersistentVolumeClaim", "disk", spec={"volumeName": "pv-1"}),
    thing("VolumeAttachment", "mine", "storage.k8s.io/v1", "", spec={"nodeName": "n"}),
    thing("VolumeAttachment", "yours", "storage.k8s.io/v1", "", spec={"nodeName": "m"}),
    thing("ResourceSlice", "mine", "resource.k8s.io/v1", "", spec={"nodeName": "n"}),
)
SNAPSHOT: Any = View.of(OBJECTS).snapshots
NO_PATH = "no relationship found between node 'n' and this object"
LEASE, CSI, SLICE = "leases.coordination.k8s.io", "csinodes.storage.k8s.io", "resourceslices.resource.k8s.io"
CASES = [
    ("get secrets a/keys", True, ""),
    ("list secrets a/pull", True, ""),
    ("watch secrets a/variable", True, ""),
    ("get secrets a/mixed", True, ""),
    ("get secrets b/keys", False, NO_PATH),
    ("get configmaps a/settings", True, ""),
    ("get configmaps a/all", True, ""),
    ("get configmaps a/foreign", False, NO_PATH),
    ("list configmaps a/", False, "No Object name found"),
    ("update configmaps a/settings", False, "can only read resources of this type"),
    ("get secrets/x a/keys", False, "cannot read subresource"),
    ("get secrets /keys", False, "can only read namespaced object of this type"),
    ("update persistentvolumeclaims/status a/disk", True, ""),
    ("patch persistentvolumeclaims/status a/other", False, NO_PATH),
    ("get persistentvolumeclaims/status a/disk", False, "can only get/update/patch this type"),
    ("get persistentvolumeclaims a/disk", True, ""),
    ("list persistentvolumeclaims a/disk", False, "can only get individual resources of this type"),
    ("get persistentvolumes/status /pv-1", False, "cannot get subresource"),
    ("get persistentvolumes /pv-1", True, ""),
    ("get persistentvolumes /pv-2", False, NO_PATH),
    ("get resourceclaims.resource.k8s.io a/device", True, ""),
    ("get resourceclaims.resource.k8s.io a/gpu", False, NO_PATH),
    ("list resourceclaims.resource.k8s.io a/device", False, "can only get individual resources of this type"),
    ("get resourceclaims.resource.k8s.io/x a/device", False, "cannot get subresource"),
    ("get volumeattachments.storage.k8s.io /mine", True, ""),
    ("get volumeattachments.storage.k8s.io /yours", False, NO_PATH),
    ("get volumeattachments.storage.k8s.io/x /mine", False, "cannot get subresource"),
    ("list volumeattachments.storage.k8s.io /mine", False, "can only get individual resources of this type"),
    ("create serviceaccounts/token a/web", True, ""),
    ("create serviceaccounts/token a/other", False, NO_PATH),
    ("create serviceaccounts a/web", False, "can only create token subresource of serviceaccount"),
    ("create serviceaccounts/token a/", False, "can only create tokens for individual service accounts"),
    ("get serviceaccounts/token a/web", False, "can only create tokens for individual service accounts"),
    (f"list {LEASE} kube-node-lease/n", False, "can only get, create, update, patch, or delete a node lease"),
    (f"get {LEASE} a/n", False, 'can only access leases in the "kube-node-lease" system namespace'),
    (f"create {LEASE} kube-node-lease/", True, ""),
    (f"update {LEASE} kube-node-lease/n", True, ""),
    (
        f"update {LEASE} kube-node-lease/m",
        False,
        "can only access node lease with the same name as the requesting node",
    ),
    (f"list {CSI} /n", False, "can only get, create, update, patch, or delete a CSINode"),
    (f"get {CSI}/x /n", False, "cannot authorize CSINode subresources"),
    (f"create {CSI} /", True, ""),
    (f"patch {CSI} /n", True, ""),
    (f"patch {CSI} /m", False, "can only access CSINode with the same name as the requesting node"),
    (f"get {SLICE}/x /mine", False, "cannot authorize ResourceSlice subresources"),
    (f"create {SLICE} /", True, ""),
    (f"get {SLICE} /mine", True, ""),
    (f"delete {SLICE} /yours", False, NO_PATH),
    (f"list {SLICE} /", False, "can only list/watch/deletecollection resourceslices with nodeName field selector"),
    (
        f"approve {SLICE} /mine",
        False,
        "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, "
        "deletecollection",
    ),
    ("update nodes /m", True, ""),
    ("get nodes /n", True, ""),
    ("list nodes /", False, "node 'n' cannot read all nodes, only its own Node object"),
    ("get nodes /m", False, "node 'n' cannot read 'm', only its own Node object"),
    ("patch nodes/status /m", True, ""),
    ("get nodes/status /n", False, ""),
    ("delete nodes /n", False, ""),
    ("get pods a/p", True, ""),
    ("get pods a/q", False, NO_PATH),
    ("watch pods a/p", True, ""),
    ("list pods a/q", False, NO_PATH),
    ("list pods a/", False, "can only list/watch pods with spec.nodeName field selector"),
    ("delete pods a/q", True, ""),
    ("update pods a/p", False, ""),
    ("patch pods/status a/q", True, ""),
    ("get pods/status a/p", False, ""),
    ("create pods/eviction a/p", True, ""),
    ("delete pods/eviction a/p", False, ""),
    ("create pods/binding a/p", False, ""),
    ("create events a/", True, ""),
    ("delete events a/e", False, ""),
    ("list services a/", True, ""),
]


def asked(words: str, user: User = KUBELET) -> Asked:
    verb, what, where = words.split()
    resource, _, subresource = what.partition("/")
    plural, _, group = resource.partition(".")
    namespace, _, name = where.partition("/")
    return Asked(user, verb, group, plural, subresource, namespace, name)


@pytest.mark.parametrize(("words", "allowed", "reason"), CASES, ids=[case[0] for case in CASES])
def test_what_the_node_authorizer_allows(words: str, allowed: bool, reason: str) -> None:
    request = asked(words)
    assert node_verdict(request, SNAPSHOT, policy_of(SNAPSHOT, request.namespace)) == (allowed, reason)
    assert judge(policy_of(SNAPSHOT, request.namespace), request, SNAPSHOT).allowed is allowed


def test_a_kubelet_without_a_node_and_those_who_are_none() -> None:
    nameless = User("kubelet", ("system:nodes", "system:authenticated"))
    verdict = node_verdict(asked("get pods a/p", nameless), SNAPSHOT, policy_of(SNAPSHOT, "a"))
    assert verdict == (False, 'unknown node for user "kubelet"')
    stranger = User("system:node:n", ("system:authenticated",))
    assert node_verdict(asked("get pods a/p", stranger), SNAPSHOT, policy_of(SNAPSHOT, "a")) == (False, "")


# -- NodeRestriction --------------------------------------------------------------------------------------------------

OWNER = {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u-n", "controller": True}
NODE = thing("Node", "n", namespace="", metadata={"uid": "u-n", "labels": {"x": "1", "kubernetes.io/os": "linux"}})
MIRROR = thing(
    "Pod",
    "m",
    metadata={"annotations": {"kubernetes.io/config.mirror": "x"}, "ownerReferences": [OWNER]},
    spec={"nodeName": "n"},
)


def mirror(**changes: Any) -> Any:
    """The mirror Pod with another spec, or with `owners`."""
    owners = changes.pop("owners", [OWNER])
    annotations = {"kubernetes.io/config.mirror": "x"}
    meta = {"annotations": annotations, "ownerReferences": owners}
    return thing("Pod", "m", metadata=meta, spec={"nodeName": "n", **changes})


def labelled(pod: Any, **labels: str) -> Any:
    return evolve(pod, metadata=evolve(pod.metadata, labels=labels))


def relabelled(**labels: str) -> Any:
    names = {name.replace("__", "/").replace("_", "."): value for name, value in labels.items()}
    return thing("Node", "n", namespace="", metadata={"labels": {**NODE.metadata.labels, **names}})


TAINTED = thing(
    "Node", "n", namespace="", metadata={"labels": dict(NODE.metadata.labels)}, spec={"taints": [{"key": "k"}]}
)
ACCOUNT = 'node "n" can not create pods that reference '
RESTRICTED = [
    ("delete pods a/p", POD, None, None),
    ("delete pods a/q", OTHER, None, 'node "n" can only delete pods with spec.nodeName set to itself'),
    ("update pods a/p", POD, POD, 'unexpected operation "UPDATE", node "n" can only create and delete mirror pods'),
    (
        "create pods a/",
        None,
        POD,
        'pod does not have "kubernetes.io/config.mirror" annotation, node "n" can only create mirror pods',
    ),
    ("create pods a/", None, mirror(nodeName="m"), 'node "n" can only create pods with spec.nodeName set to itself'),
    (
        "create pods a/",
        None,
        mirror(owners=[OWNER, OWNER]),
        'node "n" can only create pods with a single owner reference set to itself',
    ),
    ("create pods a/", None, mirror(owners=[]), 'node "n" can only create pods with an owner reference set to itself'),
    (
        "create pods a/",
        None,
        mirror(owners=[{**OWNER, "name": "m"}]),
        'node "n" can only create pods with an owner reference set to itself',
    ),
    (
        "create pods a/",
        None,
        mirror(owners=[{**OWNER, "controller": False}]),
        'node "n" can only create pods with a controller owner reference set to itself',
    ),
    (
        "create pods a/",
        None,
        mirror(owners=[{**OWNER, "blockOwnerDeletion": True}]),
        'node "n" must not set blockOwnerDeletion on an owner reference',
    ),
    ("create pods a/", None, mirror(owners=[{**OWNER, "uid": "z"}]), "node n UID mismatch: expected z got u-n"),
    ("create pods a/", None, mirror(serviceAccountName="web"), ACCOUNT + "a service account"),
    ("create pods a/", None, mirror(volumes=[{"name": "s", "secret": {"secretName": "k"}}]), ACCOUNT + "secrets"),
    ("create pods a/", None, mirror(volumes=[{"name": "s", "configMap": {"name": "k"}}]), ACCOUNT + "configmaps"),
    (
        "create pods a/",
        None,
        mirror(volumes=[{"name": "s", "persistentVolumeClaim": {"claimName": "k"}}]),
        ACCOUNT + "persistentvolumeclaims",
    ),
    ("create pods a/", None, MIRROR, None),
    (
        "patch pods/status a/q",
        OTHER,
        OTHER,
        'node "n" can only update pod status for pods with spec.nodeName set to itself',
    ),
    ("patch pods/status a/p", POD, labelled(POD, x="y"), 'node "n" cannot update labels through pod status'),
    ("patch pods/status a/p", POD, POD, None),
    ("create pods/eviction a/q", OTHER, None, "node n can only evict pods with spec.nodeName set to itself"),
    ("create pods/eviction a/p", POD, None, None),
    (
        "create pods/binding a/p",
        POD,
        None,
        "unexpected pod subresource \"binding\", only 'status' and 'eviction' are allowed",
    ),
    (
        "update nodes /m",
        thing("Node", "m", namespace=""),
        thing("Node", "m", namespace=""),
        'node "n" is not allowed to modify node "m"',
    ),
    ("update nodes /n", NODE, TAINTED, 'node "n" is not allowed to modify taints'),
    ("create nodes /", None, TAINTED, None),
    ("update nodes /n", NODE, relabelled(x="2", beta_kubernetes_io__os="linux"), None),
    ("update nodes /n", NODE, relabelled(kubelet_kubernetes_io__a="2", node_kubernetes_io__b="1"), None),
    ("update nodes /n", NODE, relabelled(node__restriction="2"), None),
    (
        "update nodes /n",
        NODE,
        relabelled(my_kubernetes_io__a="2"),
        "is not allowed to modify labels: my.kubernetes.io/a",
    ),
    (
        "update nodes /n",
        NODE,
        relabelled(k8s_io__b="2", my_k8s_io__a="1"),
        "is not allowed to modify labels: k8s.io/b, my.k8s.io/a",
    ),
    (
        "create nodes /",
        None,
        relabelled(my_kubernetes_io__a="2"),
        'node "n" is not allowed to set the following labels: my.kubernetes.io/a',
    ),
    ("update persistentvolumeclaims a/c", None, None, "may only update PVC status"),
    ("update persistentvolumeclaims/status a/c", None, None, None),
    (
        f"create {LEASE} kube-node-lease/",
        None,
        thing("Lease", "m", "coordination.k8s.io/v1", "kube-node-lease"),
        "can only access node lease with the same name as the requesting node",
    ),
    (f"create {LEASE} kube-node-lease/", None, thing("Lease", "n", "coordination.k8s.io/v1", "kube-node-lease"), None),
    (f"update {CSI} /m", None, None, "can only access CSINode with the same name as the requesting node"),
    (f"update {CSI} /n", None, None, None),
    ("create events a/", None, thing("Event", "e"), None),
]


@pytest.mark.parametrize(("words", "old", "new", "text"), RESTRICTED)
def test_what_node_restriction_refuses(words: str, old: Any, new: Any, text: str | None) -> None:
    snapshot: Any = View.of((*OBJECTS, NODE)).snapshots
    case = Kept(asked(words), old, new, snapshot)
    if text is None:
        refuse_restricted(case)
        return
    with pytest.raises(Refusal) as refusal:
        refuse_restricted(case)
    assert refusal.value.code == 403
    assert refusal.value.message.endswith(f'" is forbidden: {text}')


def test_a_label_that_only_administrators_set() -> None:
    key = "zone.node-restriction.kubernetes.io/a"
    new = evolve(NODE, metadata=evolve(NODE.metadata, labels={**NODE.metadata.labels, key: "x"}))
    with pytest.raises(Refusal, match=f"is not allowed to modify labels: {key}"):
        refuse_restricted(Kept(asked("update nodes /n"), NODE, new, SNAPSHOT))
    known = ["kubernetes.io/hostname", "topology.kubernetes.io/zone", "topology.kubernetes.io/region"]
    known += ["failure-domain.beta.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/region"]
    known += ["beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type", "kubernetes.io/os"]
    known += ["kubernetes.io/arch", "beta.kubernetes.io/os", "beta.kubernetes.io/arch"]
    for name in known:
        changed = evolve(NODE, metadata=evolve(NODE.metadata, labels={**NODE.metadata.labels, name: "z"}))
        refuse_restricted(Kept(asked("update nodes /n"), NODE, changed, SNAPSHOT))
