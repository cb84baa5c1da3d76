"""Recorded pods of a real cluster, and a kubelet that is driven by what others did to them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import evolve

from k8sfsm.node.conditions import OWNED
from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.recorded import RecordedRuntime
from k8sfsm.node.session import Settings
from k8sfsm.objects import from_json, key_of, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.times import parse_time
from tests.node.harness import World

DATA = Path(__file__).parent.parent / "data" / "pods"


def lines(name: str) -> list[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


def shape(status: dict[str, Any]) -> Any:
    """What of a status must be predicted: all but times and pod-level resources."""
    conditions = {
        each["type"]: (each["status"], each.get("reason", ""), each.get("message", ""), each.get("observedGeneration"))
        for each in status.get("conditions", [])
    }
    containers = tuple(
        (
            each["name"],
            _state(each["state"]),
            _state(each["lastState"]),
            each["ready"],
            each.get("started"),
            each["restartCount"],
            each["image"],
            each["imageID"],
            each.get("containerID", ""),
        )
        for kind in ("initContainerStatuses", "containerStatuses")
        for each in status.get(kind, [])
    )
    rest = tuple(status.get(name) for name in ("phase", "reason", "message", "podIP", "hostIP", "observedGeneration"))
    return (*rest, conditions, containers)


def _state(states: dict[str, Any]) -> Any:
    """A container's state without its times, and without the message that a container left (it is not recorded)."""
    left_out = {"terminated": ("startedAt", "finishedAt", "message")}
    return {
        name: {key: value for key, value in state.items() if key not in left_out.get(name, ("startedAt",))}
        for name, state in states.items()
    }


def _identities(writes: list[dict[str, Any]]) -> tuple[dict[str, tuple[str, str, int]], dict[str, str]]:
    images, ids = {}, {}
    for write in writes:
        spec, status = write["object"]["spec"], write["object"].get("status", {})
        wanted = {each["name"]: each["image"] for each in (*spec.get("initContainers", []), *spec["containers"])}
        for kind in ("initContainerStatuses", "containerStatuses"):
            for each in status.get(kind, []):
                if each["imageID"]:
                    images[wanted[each["name"]]] = (each["image"], each["imageID"], 1_048_576)
                if each.get("containerID"):
                    ids[each["containerID"].split("//")[1][:12]] = each["containerID"]
    return images, ids


def replayed(name: str) -> Iterator[tuple[str, list[Any], list[Any], World]]:
    """Per pod of a recording: its name, the statuses that its kubelet wrote, those that ours writes, and our world."""
    found = lines(name)
    env = [line for line in found if line["kind"] == "env"]
    writes = [line for line in found if line["kind"] == "write" and line["object"]["kind"] == "Pod"]
    images, ids = _identities(writes)
    pods: dict[str, list[dict[str, Any]]] = {}
    for write in writes:
        pods.setdefault(write["object"]["metadata"]["uid"], []).append(write)
    for uid, mine in pods.items():
        node = next((w["object"]["spec"]["nodeName"] for w in mine if w["object"]["spec"].get("nodeName")), None)
        if node is None or mine[0].get("initial"):
            continue
        ends = [w for w in mine if w["type"] == "DELETED" or _handed_back(w["object"])]
        cleaned = {uid: parse_time(ends[0]["ts"]) - 8_000_000} if ends else {}
        host = next((w["object"]["status"]["hostIP"] for w in mine if w["object"]["status"].get("hostIP")), "")
        settings = Settings(node=node, host_ip=host, probing=False, reads_cgroups=False)
        runtime = RecordedRuntime(env, images, ids, cleaned)
        world = World(Kubelet(node, settings), runtime, parse_time(mine[0]["ts"]))
        want = _drive(world, mine)
        got = [shape(to_json(pod)["status"]) for pod in world.history]
        yield mine[0]["object"]["metadata"]["name"], want, got, world


def _handed_back(document: dict[str, Any]) -> bool:
    meta = document["metadata"]
    return meta.get("deletionGracePeriodSeconds") == 0 and bool(meta.get("finalizers"))


def _drive(world: World, writes: list[dict[str, Any]]) -> list[Any]:
    """Do what others than the kubelet did; returns what the kubelet wrote."""
    want = []
    for write in writes:
        now = parse_time(write["ts"])
        world.run(max(now - world.now, 0) / SECOND)
        obj = from_json(write["object"])
        key = key_of(obj)
        if write["type"] == "DELETED":
            if key in world.objects:
                world.remove(key)
        elif write["actor"] == "kubelet" and not _handed_back(write["object"]):
            want.append(shape(write["object"]["status"]))
        elif obj.spec.node_name and (obj.metadata.deletion_grace_period_seconds != 0 or obj.metadata.finalizers):
            stored = world.objects.get(key)
            if stored is not None:
                others = tuple(each for each in obj.status.conditions if each.type not in OWNED)
                own = tuple(each for each in stored.status.conditions if each.type in OWNED)
                obj = evolve(obj, status=evolve(stored.status, conditions=(*others, *own)))
            world.put(obj)
    world.run(3)
    return want
