"""Whole clusters in virtual time, and deployments to run on them."""

from __future__ import annotations

from typing import Any

from k8sfsm.engine.choices import Choices
from k8sfsm.engine.engine import Engine, Tracer
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import from_json, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch
from k8sfsm.view import View

START = 1_700_000_000 * SECOND
NODES = ("node-1", "node-2")
WEB = ("Deployment", "default", "web")


def manifest(kind: str, name: str, **rest: Any) -> dict[str, Any]:
    """An object of the core group."""
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **rest}


def deployment(replicas: int = 3, image: str = "sim/web:1") -> dict[str, Any]:
    """A Deployment of a scripted image."""
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}}, "template": template}
    meta = {"name": "web", "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}


def cluster(*, choices: Choices | None = None, tracer: Tracer | None = None, limited: bool = True) -> Engine:
    """A cluster of two nodes with a namespace, at rest."""
    engine = standard_engine(NODES, ScriptedRuntime(), now=START, choices=choices, tracer=tracer, limited=limited)
    create(engine, manifest("Namespace", "default"))
    for name in NODES:
        room = {"cpu": "4", "memory": "8Gi", "pods": "110"}
        ready = {"type": "Ready", "status": "True", "reason": "KubeletReady"}
        create(engine, manifest("Node", name, status={"capacity": room, "allocatable": room, "conditions": [ready]}))
        engine.submit(Patch(key=("Node", "", name), body={"spec": {"taints": None}}))
    engine.run(until=engine.now + 10 * SECOND)
    return engine


def create(engine: Engine, document: dict[str, Any]) -> Any:
    """Create an object; it must be possible."""
    outcome = engine.submit(Create(object=from_json(document)))
    assert outcome.ok, outcome.message
    return outcome.object


def new_image(engine: Engine, image: str) -> None:
    """Start a rollout."""
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}
    assert engine.submit(Patch(key=WEB, body=body, type="strategic")).ok


def view_of(engine: Engine) -> View:
    """Everything, as it is."""
    return View(engine.now, engine.store.snapshot, store=engine.store)


def outline(engine: Engine) -> dict[str, Any]:
    """The state of a cluster without what chance and time decide."""
    store = engine.store
    status = to_json(store.get(*WEB))["status"]
    sets = {
        rs.spec.template.spec.containers[0].image: (rs.spec.replicas, rs.status.replicas, rs.status.available_replicas)
        for rs in store.snapshot.series("in", "ReplicaSet", "default")
    }
    pods = [
        (pod.spec.containers[0].image, pod.status.phase, bool(pod.spec.node_name))
        for pod in store.snapshot.series("in", "Pod", "default")
    ]
    conditions = sorted((each["type"], each["status"], each["reason"]) for each in status.pop("conditions"))
    return {"status": status, "conditions": conditions, "sets": sets, "pods": sorted(pods)}
