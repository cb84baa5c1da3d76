"""From nothing to all ready: one Deployment and one Service on a large cluster, at full size and at a tenth of it.

Each size runs in a process of its own, so that peak memory is its own, and after a single pod of another cluster, with
which the process reads the specs. Clients' rate limits are lifted, as they are in upstream's scalability tests, and
informers hear of a write as late as they did in a recorded burst; everything else is a standard cluster with a kubelet
per node and Events on.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from resource import RUSAGE_SELF, getrusage

from rich.console import Console
from rich.table import Table

from k8sfsm.engine.cluster import Latencies
from k8sfsm.engine.collecting import seldom_collected
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.request import Create
from k8sfsm.store import Store

START = 1_767_225_600_000_000_000
WATCH = 9 * MILLISECOND
"""From a write to the informers: the median of 988 writes of the recording `24b-burst-300-real`, from the API server's
response to the arrival of the event.
"""
PROMPT = MILLISECOND
"""The same in a cluster with little to do: less is heard of together, which costs more steps and syncs."""
SIZES = ((100, 1_000, WATCH), (1_000, 10_000, WATCH), (1_000, 10_000, PROMPT))
"""Nodes, pods, and how long it takes from a write to the informers (ns)."""
RUNS = 3
"""So often each of these is run; the one of middling length is shown."""
LARGE = (5_000, 150_000, WATCH)
"""The largest cluster that Kubernetes supports."""


def cluster_nodes(count: int) -> Store:
    """A store with `count` ready nodes of 32 cores in four zones."""
    store = Store.starting_at(0)
    for number in range(count):
        name = f"node-{number}"
        resources = {"cpu": "32", "memory": "128Gi", "pods": "110"}
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": name,
                "uid": f"uid-{name}",
                "labels": {"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": f"zone-{number % 4}"},
            },
            "status": {
                "capacity": resources,
                "allocatable": resources,
                "conditions": [{"type": "Ready", "status": "True"}],
                "addresses": [{"type": "InternalIP", "address": f"10.1.{number // 250}.{number % 250 + 1}"}],
            },
        }
        store, _ = store.put(from_json(node))
    return store


def manifests(pods: int) -> list[dict[str, object]]:
    """A namespace, a Service and a Deployment."""
    labels = {"app": "web"}
    container = {"name": "app", "image": "web:1", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bench"}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "bench"},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": 8080}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "web", "namespace": "bench"},
            "spec": {
                "replicas": pods,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
    ]


def measure(nodes: int, pods: int, watch: int = WATCH) -> dict[str, float]:
    """What one rollout takes: seconds of the clock and of the processor, steps, writes, and peak memory in MiB.

    `watch`: how long it takes from a write to the informers (ns).
    """
    engine = standard_engine(
        [f"node-{number}" for number in range(nodes)],
        ScriptedRuntime(),
        store=cluster_nodes(nodes),
        now=START,
        limited=False,
        latencies=Latencies(watch=watch),
    )
    engine.run(until=START + 1_000_000_000)
    before = engine.steps
    started, busy = time.perf_counter(), time.process_time()
    namespace, *rest = manifests(pods)
    engine.submit(Create(object=from_json(namespace)))
    engine.run(until=engine.now + 100_000_000)
    for manifest in rest:
        outcome = engine.submit(Create(object=from_json(manifest)))
        assert outcome.ok, outcome.message

    def ready() -> int:
        deployment = engine.store.get("Deployment", "bench", "web")
        return int(deployment.status.ready_replicas)

    with seldom_collected():
        while ready() < pods:
            engine.run(until=engine.now + 250_000_000)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    return {
        "nodes": nodes,
        "pods": pods,
        "watch_ms": watch / MILLISECOND,
        "seconds": seconds,
        "pods_per_second": pods / seconds,
        "cpu_seconds": busy,
        "pods_per_cpu_second": pods / busy,
        "cpu_us_per_pod": busy / pods * 1e6,
        "steps": engine.steps - before,
        "writes": engine.store.revision,
        "virtual_seconds": (engine.now - START) / 1e9,
        "peak_mib": getrusage(RUSAGE_SELF).ru_maxrss / 1024,
    }


def main(large: bool = False) -> None:
    """Run all sizes, each run in a process of its own, and print a table and the growth of the cost per pod.

    `large`: run the largest cluster that Kubernetes supports as well, which takes minutes and gigabytes.
    """
    results = [_median([_apart(size) for _ in range(RUNS)]) for size in SIZES]
    if large:
        results.append(_apart(LARGE))
    speed = ("seconds", "pods/s", "CPU s", "pods/CPU s", "CPU us/pod")
    table = Table("nodes", "pods", "watch ms", *speed, "steps", "writes", "virtual s", "peak MiB")
    for result in results:
        table.add_row(*(f"{value:,.0f}" if value > 100 else f"{value:,.2f}" for value in result.values()))
    console = Console(width=130)
    console.print(table)
    growth = results[1]["cpu_us_per_pod"] / results[0]["cpu_us_per_pod"]
    console.print(f"processor time per pod at full size: {growth:.2f} times that at a tenth")


def _apart(size: tuple[int, int, int]) -> dict[str, float]:
    """One run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.rollout", *map(str, size)]
    result: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return result


def _median(runs: list[dict[str, float]]) -> dict[str, float]:
    """The run of middling length: a machine is now and then busy with something else."""
    return sorted(runs, key=lambda run: run["seconds"])[len(runs) // 2]


if __name__ == "__main__":
    measure(1, 1)  # a process reads and compiles specs once, however many pods there are
    print(json.dumps(measure(*map(int, sys.argv[1:4]))))
