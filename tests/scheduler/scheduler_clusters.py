"""Random small clusters, and histories of them in a store."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import strategies as st

from k8sfsm.objects import from_json

HOST = "kubernetes.io/hostname"
ZONE = "topology.kubernetes.io/zone"
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "rs-1", "controller": True}


def node(name: str, **given: Any) -> Any:
    """A node of 4 cpus, 8 GiB and 10 pods; `zone`, `labels`, `taints`, `unschedulable`, `images` and any resource."""
    labels = {HOST: name, **({ZONE: given.pop("zone")} if "zone" in given else {}), **given.pop("labels", {})}
    taints = [dict(zip(("key", "value", "effect"), taint, strict=True)) for taint in given.pop("taints", ())]
    images = [{"names": [image], "sizeBytes": size} for image, size in given.pop("images", {}).items()]
    spec = {"taints": taints, "unschedulable": given.pop("unschedulable", False)}
    room = {"cpu": "4", "memory": "8Gi", "pods": "10", "ephemeral-storage": "10Gi", **given}
    meta = {"name": name, "uid": f"uid-{name}", "labels": labels}
    status = {"allocatable": room, "images": images}
    return from_json({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": spec, "status": status})


def pod(name: str, **given: Any) -> Any:
    """A pod of one container; `requests`, `labels`, `on` (its node), `image`, `owner`, `ports`; the rest is spec."""
    meta = {"name": name, "namespace": given.pop("namespace", "default"), "uid": f"uid-{name}"}
    meta["labels"] = given.pop("labels", {"app": "web"})
    if given.pop("owned", False):
        meta["ownerReferences"] = [OWNER]
    if given.pop("deleting", False):
        meta["deletionTimestamp"] = "2026-01-15T12:00:00Z"
    container = {"name": "app", "image": given.pop("image", "web:1")}
    container["resources"] = {"requests": given.pop("requests", {})}
    container["ports"] = [
        {"containerPort": port, "hostPort": port, "hostIP": ip, "protocol": "TCP"}
        for ip, port in given.pop("ports", ())
    ]
    status = {"phase": given.pop("phase", "Pending"), "nominatedNodeName": given.pop("nominated", "")}
    spec = {"containers": [container], "schedulerName": "default-scheduler", "nodeName": given.pop("on", ""), **given}
    return from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status})


def service(name: str = "web", selector: dict[str, str] | None = None) -> Any:
    """A Service in the default namespace."""
    spec = {"selector": {"app": "web"} if selector is None else selector}
    meta = {"name": name, "namespace": "default"}
    return from_json({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec})


def budget(allowed: int, selector: dict[str, str] | None = None) -> Any:
    """A PodDisruptionBudget in the default namespace that lets so many more pods go."""
    spec = {"selector": {"matchLabels": {"app": "web"} if selector is None else selector}}
    meta = {"name": "web", "namespace": "default"}
    status = {"disruptionsAllowed": allowed}
    document = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": meta, "spec": spec}
    return from_json({**document, "status": status})


def replicaset() -> Any:
    """The ReplicaSet that owns pods made with `owned`."""
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": {}}
    meta = {"name": "web-1", "namespace": "default", "uid": "rs-1"}
    return from_json({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": meta, "spec": spec})


def namespace(name: str = "default", **labels: str) -> Any:
    """A Namespace."""
    return from_json({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})


TAINTS = [("gpu", "true", "NoSchedule"), ("old", "", "PreferNoSchedule"), ("bad", "x", "PreferNoSchedule")]
IMAGES = {"web:1": 300 << 20, "db:1": 900 << 20}


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Any:
    """A node with some labels, taints, images and room."""
    zone = draw(st.sampled_from(["a", "b", "c", None]))
    labels = {"disk": draw(st.sampled_from(["ssd", "hdd"]))} if draw(st.booleans()) else {}
    made = node(
        name,
        labels={**labels, **({ZONE: zone} if zone else {})},
        taints=draw(st.lists(st.sampled_from(TAINTS), max_size=2, unique=True)),
        unschedulable=draw(st.sampled_from([False, False, False, True])),
        images={image: size for image, size in IMAGES.items() if draw(st.booleans())},
        cpu=draw(st.sampled_from(["0", "1", "4", "3500m"])),
        memory=draw(st.sampled_from(["1Gi", "8Gi"])),
        pods=draw(st.sampled_from(["2", "10"])),
    )
    if draw(st.integers(0, 9)) == 0:
        bare = {key: value for key, value in made.metadata.labels.items() if key != HOST}
        made = evolve(made, metadata=evolve(made.metadata, labels=bare))
    return made


PREFERENCE = {
    "nodeAffinity": {
        "preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 7, "preference": {"matchExpressions": [{"key": "disk", "operator": "In", "values": ["ssd"]}]}},
            {"weight": 3, "preference": {"matchExpressions": [{"key": "disk", "operator": "Exists"}]}},
        ]
    }
}
APART = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}}}
        ]
    }
}


@st.composite
def pods(draw: st.DrawFn, name: str) -> Any:
    """A pod to place, mostly of the kind that the fast layer decides about."""
    requests = draw(
        st.sampled_from(
            [{}, {"cpu": "100m"}, {"cpu": "500m", "memory": "200Mi"}, {"memory": "1Gi"}, {"cpu": "0"}, {"cpu": "2"}]
        )
    )
    spec: dict[str, Any] = {"priority": draw(st.sampled_from([0, 0, 1, 5, 1000]))}
    if draw(st.integers(0, 9)) == 0:
        spec["preemptionPolicy"] = "Never"
    if draw(st.booleans()):
        spec["tolerations"] = [{"key": draw(st.sampled_from(["gpu", "old"])), "operator": "Exists"}]
    if draw(st.integers(0, 3)) == 0:
        spec["nodeSelector"] = {"disk": "ssd"}
    kind = draw(st.integers(0, 11))
    if kind < 3:
        spec["affinity"] = PREFERENCE
    if kind == 11:
        spec["affinity"] = APART
    app = draw(st.sampled_from(["web", "web", "db"]))
    image = draw(st.sampled_from(["web:1", "db:1", "web"]))
    return pod(name, requests=requests, labels={"app": app}, image=image, owned=draw(st.booleans()), **spec)
