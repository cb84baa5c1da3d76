"""Placements per second: 10,000 pods of one ReplicaSet, selected by one Service, onto 1,000 nodes.

Each round is what the engine does for one pod: reconcile, remember, bind in the store, observe.
Run: python benchmarks/scheduler_placements.py [pods] [nodes] [cpu request, or 0]
"""

from __future__ import annotations

import sys
import time
from typing import Any

from attrs import evolve
from immutables import Map

from k8sfsm.objects import Pod, from_json
from k8sfsm.request import Bind, Remember
from k8sfsm.scheduler import Scheduler
from k8sfsm.store import Store
from k8sfsm.view import View

OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "rs-1", "controller": True}


def node(number: int) -> Any:
    labels = {"kubernetes.io/hostname": f"node-{number}", "topology.kubernetes.io/zone": f"zone-{number % 3}"}
    room = {"cpu": "32", "memory": "128Gi", "pods": "110", "ephemeral-storage": "100Gi"}
    return from_json(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": f"node-{number}", "labels": labels, "uid": f"n{number}"},
            "status": {"allocatable": room, "capacity": room},
        }
    )


def template(cpu: str) -> Pod:
    requests: dict[str, Any] = {} if cpu == "0" else {"requests": {"cpu": cpu}}
    labels = {"app": "web", "pod-template-hash": "1"}
    pod: Pod = from_json(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "namespace": "default", "labels": labels, "ownerReferences": [OWNER]},
            "spec": {
                "containers": [{"name": "app", "image": "web:1", "resources": requests}],
                "schedulerName": "default-scheduler",
            },
            "status": {"phase": "Pending"},
        }
    )
    return pod


def world(pods: int, nodes: int, cpu: str) -> Store:
    selector = {"app": "web"}
    store = Store()
    service = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"selector": selector}}
    chooses = {"matchLabels": {**selector, "pod-template-hash": "1"}}
    meta = {"name": "web-1", "namespace": "default", "uid": "rs-1"}
    replicaset = {"metadata": meta, "spec": {"selector": chooses, "template": {}}}
    for obj in (
        from_json({"apiVersion": "v1", "kind": "Service", **service}),
        from_json({"apiVersion": "apps/v1", "kind": "ReplicaSet", **replicaset}),
        *(node(number) for number in range(nodes)),
    ):
        store, _ = store.put(obj)
    shape = template(cpu)
    for number in range(pods):
        named = evolve(shape.metadata, name=f"web-{number}", uid=f"p{number}")
        store, _ = store.put(evolve(shape, metadata=named))
    return store


def main(pods: int = 10_000, nodes: int = 1_000, cpu: str = "100m") -> None:
    store = world(pods, nodes, cpu)
    scheduler = Scheduler()
    memory: Map[Any, Any] = Map()
    began, cpu_began = time.perf_counter(), time.process_time()
    for number in range(pods):
        key = ("Pod", "default", f"web-{number}")
        plan = scheduler.reconcile(View(0, store.snapshot, memory, store=store), key)
        for step in plan.steps:
            if isinstance(step, Remember):
                memory = memory.set(step.key, step.value)
            elif isinstance(step, Bind):
                pod = store.get(*key)
                assert pod is not None
                store, change = store.put(evolve(pod, spec=evolve(pod.spec, node_name=step.node)))
                for forget in scheduler.observe(change, View(0, store.snapshot, memory, store=store)):
                    memory = memory.delete(forget.key)
    took, cpu_took = time.perf_counter() - began, time.process_time() - cpu_began
    print(f"{pods} pods on {nodes} nodes (cpu {cpu}): {took:.2f} s, {pods / took:.0f} placements/s")
    print(f"of the processor's time: {cpu_took:.2f} s, {pods / cpu_took:.0f} placements/s")


if __name__ == "__main__":
    given = [*sys.argv[1:], *("10000", "1000", "100m")[len(sys.argv) - 1 :]]
    main(int(given[0]), int(given[1]), given[2])
