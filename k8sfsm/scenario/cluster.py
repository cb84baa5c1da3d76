"""A cluster that is up and idle, ready for a story: its first objects, and the engine that runs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from k8sfsm.apiserver import Options
from k8sfsm.cloud.state import CLOUD
from k8sfsm.controllers.nodelifecycle import NodeLifecycleController
from k8sfsm.controllers.rootca import RootCAPublisher
from k8sfsm.engine.action import Start
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.cluster import Component, Latencies
from k8sfsm.engine.engine import Engine, Tracer
from k8sfsm.engine.standard import kubelet_of, standard_engine
from k8sfsm.node.addresses import pod_network
from k8sfsm.node.kubelet import Kubelet
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
from k8sfsm.scenario.outside import (
    cloud_actions,
    cloud_at_start,
    components_of,
    controllers_of,
    known_to_cloud,
    runtime_of,
    with_route,
)
from k8sfsm.store import Store

START: Final = parse_time("2026-01-01T00:00:00Z")
"""When stories begin: ns since the epoch."""
NAMESPACES: Final = ("default", "kube-node-lease", "kube-public", "kube-system")
PUBLISHER: Final = Component(name="root-ca-cert-publisher", controllers=(RootCAPublisher(),))
"""A part of the controller manager that a story may have: what it writes, recordings leave out."""
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
    cloud = cloud_at_start(story)
    known = [_node(node, number) for number, node in enumerate(story.nodes) if not node.joins]
    nodes = [known_to_cloud(cloud, node, START) for node in known]
    machines = ScriptedRuntime([(each.pods, each.container, each.script) for each in story.environment])
    engine = standard_engine(
        [node.name for node in story.nodes if not node.joins],
        runtime_of(story, machines),
        store=_store(nodes, dict.fromkeys((*NAMESPACES, *namespaces)), choices),
        now=START,
        choices=choices,
        tracer=tracer,
        limited=story.cluster.limits and not prompt,
        options=Options(rbac=story.cluster.rbac),
        kubelets=Settings(node="", cloud=story.cloud is not None, heartbeats=not prompt),
        without=(NodeLifecycleController.name,) if prompt else (),
        besides=controllers_of(story),
        others=(*components_of(story, START), *_joining(story), *((PUBLISHER,) if story.cluster.root_ca else ())),
        latencies=Latencies(
            request=0 if prompt else parse_duration(latencies.request),
            watch=0 if prompt else parse_duration(latencies.watch),
        ),
    )
    for setting in story.nodes:
        if setting.joins:
            _join_later(engine, setting)
    if story.cloud is not None:
        for node in nodes:
            cloud = with_route(cloud, node)
        engine.put_state(CLOUD, cloud)
        for at, action in cloud_actions(story.cloud, START):
            engine.schedule(action, at)
    engine.run(until=START)
    return engine


def _join_later(engine: Engine, setting: NodeSetting) -> None:
    """The node's kubelet has not been started yet."""
    name = f"{Kubelet.name}/{setting.name}"
    engine.stopped |= {name}
    engine.cancel(name)
    engine.schedule(Start(name), START + parse_duration(setting.joins))


def _joining(story: Story) -> Iterator[Component]:
    """The kubelets of nodes that join later; they register their Nodes themselves."""
    for number, setting in enumerate(story.nodes):
        if setting.joins:
            node = _node(setting, number)
            settings = Settings(
                node=setting.name,
                host_ip=node.status.addresses[0].address,
                labels={**setting.labels, **({_ZONE: setting.zone} if setting.zone and story.cloud is None else {})},
                capacity={name: str(amount) for name, amount in node.status.capacity.items()},
                cloud=story.cloud is not None,
            )
            yield kubelet_of(setting.name, settings)


def _store(nodes: Iterable[Node], namespaces: Iterable[str], choices: Seeded) -> Store:
    store = Store.starting_at(0)
    for obj in _first_objects(nodes, namespaces):
        uid = choices.uid(key_of(obj))
        store, _ = store.put(evolve(obj, metadata=evolve(obj.metadata, uid=uid, creation_timestamp=START)), START)
    return Store(store.snapshot, Store.starting_at(store.revision).history)


def _first_objects(nodes: Iterable[Node], namespaces: Iterable[str]) -> Iterator[Any]:
    for name in namespaces:
        yield Namespace(
            metadata=ObjectMeta(name=name, labels={"kubernetes.io/metadata.name": name}),
            spec=NamespaceSpec(finalizers=("kubernetes",)),
            status=NamespaceStatus(phase="Active"),
        )
        yield ServiceAccount(metadata=ObjectMeta(name="default", namespace=name))
    yield from nodes


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
    cidr = pod_network(number)
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
