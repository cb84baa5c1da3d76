"""A cluster that is up and idle, ready for a story: its first objects, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from k8sfsm.controllers.nodelifecycle import NodeLifecycleController
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.cluster import Latencies
from k8sfsm.engine.engine import Engine, Tracer
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.registration import HEALTHY, own_labels
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.session import Settings
from k8sfsm.objects import (
    Namespace,
    NamespaceSpec,
    NamespaceStatus,
    Node,
    NodeAddress,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    NodeSystemInfo,
    ObjectMeta,
    Quantity,
    ServiceAccount,
    Taint,
    evolve,
    key_of,
    parse_duration,
    parse_time,
)
from k8sfsm.scenario.model import NodeSetting, Story
from k8sfsm.store import Store

START: Final = parse_time("2026-01-01T00:00:00Z")
"""When stories begin: ns since the epoch."""
NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
_ZONE: Final = "topology.kubernetes.io/zone"


def engine_of(
    story: Story, *, tracer: Tracer | None = None, namespaces: Iterable[str] = (), prompt: bool = False
) -> Engine:
    """The engine of a story's cluster at its start; `namespaces` beside the usual ones exist already.

    Its nodes are Ready, its namespaces have their service accounts, and nothing is left to do. `prompt`: requests
    and news take no time, there are no rate limits, and nodes are up without heartbeats.
    """
    choices = Seeded(story.cluster.seed)
    latencies = story.cluster.latencies
    if prompt:
        return _prompt_engine(story, choices, tracer, namespaces)
    engine = standard_engine(
        [node.name for node in story.nodes],
        ScriptedRuntime([(each.pods, each.container, each.script) for each in story.environment]),
        store=_store(story.nodes, dict.fromkeys((*NAMESPACES, *namespaces)), choices),
        now=START,
        choices=choices,
        tracer=tracer,
        limited=story.cluster.limits,
        latencies=Latencies(request=parse_duration(latencies.request), watch=parse_duration(latencies.watch)),
    )
    engine.run(until=START)
    return engine


def _prompt_engine(story: Story, choices: Seeded, tracer: Tracer | None, namespaces: Iterable[str]) -> Engine:
    engine = standard_engine(
        [node.name for node in story.nodes],
        ScriptedRuntime([(each.pods, each.container, each.script) for each in story.environment]),
        store=_store(story.nodes, dict.fromkeys((*NAMESPACES, *namespaces)), choices),
        now=START,
        choices=choices,
        tracer=tracer,
        limited=False,
        latencies=Latencies(request=0, watch=0),
        kubelets=Settings(node="", heartbeats=False),
        without=(NodeLifecycleController.name,),
    )
    engine.run(until=START)
    return engine


def _store(nodes: Iterable[NodeSetting], namespaces: Iterable[str], choices: Seeded) -> Store:
    store = Store.starting_at(0)
    for obj in _first_objects(nodes, namespaces):
        uid = choices.uid(key_of(obj))
        store, _ = store.put(evolve(obj, metadata=evolve(obj.metadata, uid=uid, creation_timestamp=START)), START)
    return Store(store.snapshot, Store.starting_at(store.revision).history)


def _first_objects(nodes: Iterable[NodeSetting], namespaces: Iterable[str]) -> Iterator[Any]:
    for name in namespaces:
        yield Namespace(
            metadata=ObjectMeta(name=name, labels={"kubernetes.io/metadata.name": name}),
            spec=NamespaceSpec(finalizers=("kubernetes",)),
            status=NamespaceStatus(phase="Active"),
        )
        yield ServiceAccount(metadata=ObjectMeta(name="default", namespace=name))
    for number, node in enumerate(nodes):
        yield _node(node, number)


def _node(setting: NodeSetting, number: int) -> Node:
    """A Node that is Ready. Source: pkg/kubelet/kubelet_node_status.go: initialNode, setNodeStatus."""
    labels = {
        **own_labels(setting.name),
        **({_ZONE: setting.zone} if setting.zone else {}),
        **setting.labels,
    }
    capacity = {
        "cpu": Quantity.parse(str(setting.cpu)),
        "memory": Quantity.parse(str(setting.memory)),
        "pods": Quantity.parse(str(setting.pods)),
    }
    high, low = divmod(number, 254)
    cidr = f"10.{244 + number // 256}.{number % 256}.0/24"
    return Node(
        metadata=ObjectMeta(name=setting.name, labels=labels),
        spec=NodeSpec(pod_cidr=cidr, pod_cidrs=(cidr,), taints=tuple(map(taint_of, setting.taints))),
        status=NodeStatus(
            capacity=capacity,
            allocatable=capacity,
            conditions=tuple(_condition(*row) for row in HEALTHY),
            addresses=(
                NodeAddress(type="InternalIP", address=f"192.168.{high}.{low + 1}"),
                NodeAddress(type="Hostname", address=setting.name),
            ),
            node_info=NodeSystemInfo(kubelet_version="v1.36.2", operating_system="linux", architecture="amd64"),
        ),
    )


def _condition(kind: str, status: str, reason: str, message: str) -> NodeCondition:
    return NodeCondition(
        type=kind,
        status=status,
        reason=reason,
        message=message,
        last_heartbeat_time=START,
        last_transition_time=START,
    )


def taint_of(text: str) -> Taint:
    """The taint that `key=value:Effect` stands for."""
    mark, _, effect = text.rpartition(":")
    key, _, value = mark.partition("=")
    return Taint(key=key, value=value, effect=effect)
