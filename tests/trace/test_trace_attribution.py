"""The table `trace/attribution` on changes whose real author is known from an audit log, and on made-up ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from k8sfsm.trace.actors import actor_of, sharing_actor
from k8sfsm.trace.attribution import Unexplained, World, attribute, law, reporter
from k8sfsm.trace.history import Document
from k8sfsm.trace.lines import json_lines

DATA = Path(__file__).resolve().parents[1] / "data" / "trace" / "attribution.jsonl.zst"
REAL = [value for _, value in json_lines(DATA)]
TIME = "2026-11-23T03:49:38Z"


def case_of(value: dict[str, Any]) -> Unexplained:
    world = World()
    for obj in value.get("world", ()):
        world.put(Document(obj))
    old = value.get("old")
    kinds = frozenset(value.get("kinds", ()))
    return Unexplained(
        type=value["type"], old=Document(old) if old else None, new=Document(value["new"]), world=world, kinds=kinds
    )


@pytest.mark.parametrize("value", REAL, ids=[f"{value['rule']}-{value['from']}" for value in REAL])
def test_real_changes_are_given_their_author(value: dict[str, Any]) -> None:
    found = attribute(case_of(value))
    assert found.rule == f"trace/attribution/{value['rule']}"
    assert (found.actor, found.verb) == (value["actor"], value["verb"])
    assert found.subresource == value["subresource"] or value["subresource"] == "scale"
    assert found.node == value["node"] or found.actor != "kubelet"


def thing(
    kind: str, name: str = "x", space: str = "ns", meta: dict[str, Any] | None = None, **more: Any
) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name, "uid": f"uid-{kind}-{name}", "resourceVersion": "5"}
    metadata |= {"namespace": space} if space else {}
    return {"kind": kind, "apiVersion": "v1", "metadata": metadata | (meta or {}), **more}


def owned(kind: str, owner: str, name: str = "x", **more: Any) -> dict[str, Any]:
    reference = {"kind": owner, "name": "o", "uid": f"uid-{owner}-o", "controller": True}
    return thing(kind, name, meta={"ownerReferences": [reference], **more.pop("meta", {})}, **more)


def dying(obj: dict[str, Any], grace: int | None = 0) -> dict[str, Any]:
    meta = {**obj["metadata"], "deletionTimestamp": TIME, "deletionGracePeriodSeconds": grace}
    return {**obj, "metadata": meta}


def labelled(obj: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


SLICE = "endpointslice.kubernetes.io/managed-by"
CONTROLLED = labelled(owned("EndpointSlice", "Service"), **{SLICE: "endpointslice-controller.k8s.io"})
MIRRORED = labelled(owned("EndpointSlice", "Endpoints"), **{SLICE: "endpointslicemirroring-controller.k8s.io"})
ENDPOINTS = labelled(thing("Endpoints"), **{"endpoints.kubernetes.io/managed-by": "endpoint-controller"})
POD, BARE = owned("Pod", "ReplicationController"), thing("Pod")
NODE = thing("Node", "n1", "")
STATUS: dict[str, Any] = {"status": {"replicas": 2}}

# rule, watch type, old, new, objects of the world; kinds that the history shows
MADE_UP: list[tuple[str, str, Any, Any, list[Any]]] = [
    ("event-expired", "DELETED", thing("Event"), thing("Event"), []),
    ("node-cidr", "MODIFIED", NODE, thing("Node", "n1", "", spec={"podCIDR": "10.244.1.0/24"}), []),
    ("node-annotations", "MODIFIED", NODE, thing("Node", "n1", "", {"annotations": {"csi": "1"}}), []),
    (
        "namespace-finalized", "MODIFIED",
        thing("Namespace", "ns", "", spec={"finalizers": ["kubernetes"]}), thing("Namespace", "ns", "", spec={}), [],
    ),
    ("endpoints-deleted", "DELETED", ENDPOINTS, ENDPOINTS, [thing("Service")]),
    ("slice-deleted", "DELETED", CONTROLLED, CONTROLLED, [thing("Service", "o")]),
    ("mirror-deleted", "DELETED", MIRRORED, MIRRORED, [thing("Endpoints", "o")]),
    ("collected", "DELETED", CONTROLLED, CONTROLLED, []),
    ("created-by-replication-controller", "ADDED", None, POD, []),
    ("claimed-by-replication-controller", "MODIFIED", BARE, POD, [thing("ReplicationController", "o")]),
    ("claimed-by-statefulset", "MODIFIED", BARE, owned("Pod", "StatefulSet"), [thing("StatefulSet", "o")]),
    ("claimed-by-daemonset", "MODIFIED", BARE, owned("Pod", "DaemonSet"), [thing("DaemonSet", "o")]),
    ("claimed-by-job", "MODIFIED", BARE, owned("Pod", "Job"), [thing("Job", "o")]),
    (
        "surplus-of-replication-controller", "MODIFIED", POD, dying(POD, 30),
        [thing("ReplicationController", "o", spec={"replicas": 0}), POD],
    ),
    ("user-deleted", "MODIFIED", POD, dying(POD, 30), [thing("ReplicationController", "o", spec={"replicas": 1}), POD]),
    (
        "status-of-replication-controller", "MODIFIED",
        thing("ReplicationController"), thing("ReplicationController", **STATUS), [],
    ),
    ("bootstrap", "ADDED", None, thing("PriorityClass", "system-node-critical", ""), []),
    ("node-lease-made", "ADDED", None, thing("Lease", "n1", "kube-node-lease"), []),
    (
        "node-lease-renewed", "MODIFIED",
        thing("Lease", "n1", "kube-node-lease"), thing("Lease", "n1", "kube-node-lease", spec={"renewTime": "1"}), [],
    ),
    ("user-created", "ADDED", None, thing("Lease", "leader"), []),
    ("user-created", "ADDED", None, thing("PriorityClass", "mine", ""), []),
    ("user-created", "ADDED", None, BARE, []),
    ("user-status", "MODIFIED", thing("Service"), thing("Service", **STATUS), []),
    ("user-changed", "MODIFIED", thing("Service"), thing("Service", spec={"type": "NodePort"}), []),
    ("content-deleted", "DELETED", thing("Service"), thing("Service"), [dying(thing("Namespace", "ns", ""), None)]),
    ("user-deleted", "DELETED", thing("Service"), thing("Service"), [thing("Namespace", "ns", "")]),
]  # fmt: skip
KINDS = ["Service", "Endpoints", "ReplicationController", "StatefulSet", "DaemonSet", "Job"]


@pytest.mark.parametrize(
    ("rule", "kind", "old", "new", "world"), MADE_UP, ids=[f"{i}-{row[0]}" for i, row in enumerate(MADE_UP)]
)
def test_made_up_changes(rule: str, kind: str, old: Any, new: Any, world: list[Any]) -> None:
    case = case_of({"type": kind, "old": old, "new": new, "world": world, "kinds": KINDS})
    assert attribute(case).rule == f"trace/attribution/{rule}"


OUTCOMES = {
    "event-expired": ("apiserver", "delete", ""),
    "node-cidr": ("node-ipam-controller", "patch", ""),
    "node-annotations": ("kubelet", "patch", ""),
    "namespace-finalized": ("namespace-controller", "update", "finalize"),
    "endpoints-deleted": ("endpoint-controller", "delete", ""),
    "slice-deleted": ("endpointslice-controller", "delete", ""),
    "mirror-deleted": ("endpointslicemirroring-controller", "delete", ""),
    "collected": ("garbage-collector", "delete", ""),
    "created-by-replication-controller": ("replication-controller", "create", ""),
    "claimed-by-replication-controller": ("replication-controller", "patch", ""),
    "claimed-by-statefulset": ("statefulset-controller", "patch", ""),
    "claimed-by-daemonset": ("daemonset-controller", "patch", ""),
    "claimed-by-job": ("job-controller", "patch", ""),
    "surplus-of-replication-controller": ("replication-controller", "delete", ""),
    "status-of-replication-controller": ("replication-controller", "update", "status"),
    "node-lease-made": ("kubelet", "create", ""),
    "node-lease-renewed": ("kubelet", "update", ""),
    "bootstrap": ("apiserver", "create", ""),
    "content-deleted": ("namespace-controller", "deletecollection", ""),
    "user-created": ("user", "create", ""),
    "user-deleted": ("user", "delete", ""),
    "user-status": ("user", "patch", "status"),
    "user-changed": ("user", "patch", ""),
}


@pytest.mark.parametrize("row", MADE_UP, ids=[f"{i}-{row[0]}" for i, row in enumerate(MADE_UP)])
def test_made_up_authors(row: tuple[str, str, Any, Any, list[Any]]) -> None:
    rule, kind, old, new, world = row
    found = attribute(case_of({"type": kind, "old": old, "new": new, "world": world, "kinds": KINDS}))
    assert (found.actor, found.verb, found.subresource) == OUTCOMES[rule]


def test_every_rule_is_tried() -> None:
    rules = set(law.controller().tables["attribution"].rules)
    assert rules == {value["rule"] for value in REAL} | {row[0] for row in MADE_UP}


@pytest.mark.parametrize(
    ("account", "actor"),
    [
        ("alice", ("user", "")),
        ("system:admin", ("user", "")),
        ("system:node:node-1", ("kubelet", "node-1")),
        ("system:kube-scheduler", ("kube-scheduler", "")),
        ("system:kube-controller-manager", ("kube-controller-manager", "")),
        ("system:apiserver", ("apiserver", "")),
        ("system:serviceaccount:kube-system:replicaset-controller", ("replicaset-controller", "")),
        ("system:serviceaccount:kube-system:generic-garbage-collector", ("garbage-collector", "")),
        ("system:serviceaccount:kube-system:daemon-set-controller", ("daemonset-controller", "")),
        ("system:serviceaccount:team:robot", ("team/robot", "")),
    ],
)
def test_accounts(account: str, actor: tuple[str, str]) -> None:
    assert actor_of(account) == actor


def test_the_taint_eviction_controller_writes_as_the_node_controller() -> None:
    announcing = {"status": {"conditions": [{"type": "DisruptionTarget", "reason": "DeletionByTaintManager"}]}}
    for verb, kind, body in [
        ("delete", "Pod", {}), ("delete", "Pod", None), ("patch", "Pod", announcing),
        ("create", "Event", {"reason": "TaintManagerEviction"}),
    ]:  # fmt: skip
        assert sharing_actor("node-controller", verb, kind, body) == "taint-eviction-controller"
        assert sharing_actor("kubelet", verb, kind, body) == "kubelet"
    assert sharing_actor("node-controller", "patch", "Node", {"spec": {"taints": []}}) == "node-controller"
    assert sharing_actor("node-controller", "update", "Pod", {"status": {"conditions": [{}]}}) == "node-controller"


def test_reporters_of_events() -> None:
    assert reporter({"reportingComponent": "default-scheduler"}) == ("kube-scheduler", "")
    assert reporter({"source": {"component": "kubelet", "host": "node-1"}}) == ("kubelet", "node-1")
    assert reporter({"reportingController": "kubelet", "reportingInstance": "node-2"}) == ("kubelet", "node-2")
    assert reporter({"reportingComponent": "replicaset-controller"}) == ("replicaset-controller", "")
    assert reporter({}) == ("user", "")
