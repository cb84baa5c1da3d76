"""Clouds and objects for tests of the cloud's controllers."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from immutables import Map

from k8sfsm.cloud.asking import Asked
from k8sfsm.cloud.state import Balancer, CloudRoute, Disk, Instance, Outage, Reply
from k8sfsm.objects import Node, NodeAddress, NodeCondition, Service, Taint, from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Record, Remember
from k8sfsm.view import View

NOW = 1_000 * SECOND
UNINITIALIZED = Taint(key="node.cloudprovider.kubernetes.io/uninitialized", value="true", effect="NoSchedule")
SHUTDOWN = Taint(key="node.cloudprovider.kubernetes.io/shutdown", effect="NoSchedule")


def node(name: str = "node-1", ready: str = "True", *taints: Taint, **more: Any) -> Node:
    """A Node; `labels`, `provider`, `cidrs`, `conditions`, `created` (ns), `in_use`, `attached` where given."""
    document = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": f"uid-{name}"}}
    made: Node = from_json(document)
    conditions = [NodeCondition(type="Ready", status=ready)] if ready else []
    conditions += [NodeCondition(type=kind, status=status) for kind, status in more.get("conditions", {}).items()]
    cidrs = tuple(more.get("cidrs", ()))
    spec = evolve(made.spec, taints=taints, provider_id=more.get("provider", ""), pod_cidrs=cidrs)
    status = evolve(
        made.status,
        conditions=tuple(conditions),
        addresses=(NodeAddress(type="Hostname", address=name),),
        volumes_in_use=tuple(more.get("in_use", ())),
        volumes_attached=tuple({"name": each, "devicePath": ""} for each in more.get("attached", ())),
    )
    metadata = evolve(
        made.metadata, labels=more.get("labels", {}), creation_timestamp=more.get("created", 0), resource_version="7"
    )
    return evolve(made, metadata=metadata, spec=spec, status=status)


def machine(name: str = "node-1", **fields: Any) -> Instance:
    """A machine that is called like its node."""
    given = {"provider_id": f"p://{name}", "zone": "a", "region": "r", "type": "t", **fields}
    return Instance(name=name, **given)


def cloud(*things: Any, outage: tuple[str, int] | None = None) -> dict[Any, Any]:
    """The state of a cloud; `outage`: about what, and until when (ns)."""
    kinds = {Instance: "instance", Balancer: "balancer", CloudRoute: "route", Disk: "disk"}
    state: dict[Any, Any] = {(kinds[type(each)], each.name): each for each in things}
    if outage is not None:
        state["outage", outage[0]] = Outage(outage[1], "out of order")
    return state


def answered(state: dict[Any, Any], actor: str, key: Any, ok: bool = True) -> dict[Any, Any]:
    """The cloud after it has answered a call made at `NOW`."""
    return {**state, ("reply", (actor, key)): Reply(NOW, ok, "" if ok else "no")}


def asked(key: Any, verb: str = "x", at: int = NOW, **arguments: Any) -> dict[Any, Any]:
    """The memory of a controller that has made a call."""
    return {("asked", key): Asked(verb, arguments, at)}


def view(*objects: Any, state: Any = None, memory: Any = None, now: int = NOW) -> View:
    """What a controller sees."""
    return evolve(View.of(objects, now, memory or {}), runtime=Map(state or {}))


def service(**more: Any) -> Service:
    """A Service with a load balancer; `spec`, `metadata`, `status` change it."""
    document = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default", "uid": "uid-web", **more.get("metadata", {})},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80, "protocol": "TCP"}], **more.get("spec", {})},
        "status": more.get("status", {}),
    }
    found: Service = from_json(document)
    return found


def told(steps: Any) -> list[str]:
    """The reasons of the Events among steps."""
    return [step.reason for step in steps if isinstance(step, Record)]


def sent(steps: Any) -> list[Any]:
    """The steps that are neither Events nor memories."""
    return [step for step in steps if not isinstance(step, Record | Remember)]
