"""What the scheduler sees: nodes in its own order with the pods on them, assumed ones included.

Source: pkg/scheduler/backend/cache/cache.go, node_tree.go, snapshot.go; pkg/scheduler/framework/types.go: NodeInfo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from attrs import frozen

from k8sfsm.kinds.pod_resources import (
    CPU,
    EPHEMERAL_STORAGE,
    MEMORY,
    PODS,
    PodRequest,
    is_scalar,
    scheduler_request,
)
from k8sfsm.objects import Node, Pod
from k8sfsm.view import View

ASSUMED: Final = "assumed"
"""Memory: (ASSUMED, pod uid) -> node name, from the decision until the bound pod is seen."""
NOMINATED: Final = "nominated"
"""Memory: pod uid -> the node to which preemption has nominated it ("": to none), until its status says the same."""
_ZONES: Final = ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone")
_REGIONS: Final = ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region")
TERMINAL: Final = ("Succeeded", "Failed")
ANY_ADDRESS: Final = "0.0.0.0"

HostPort = tuple[str, str, int]
"""(protocol, address, port)."""


def is_terminal(pod: Pod) -> bool:
    """Phase Succeeded or Failed: the scheduler's informer does not show the pod any more."""
    return pod.status.phase in TERMINAL


def priority_of(pod: Pod) -> int:
    """The pod's priority; 0 where it has none."""
    return pod.spec.priority or 0


def zone_of(node: Node) -> str:
    """The key of the node's zone and region; "" where it has neither (component-helpers/node/topology: GetZoneKey)."""
    labels = node.metadata.labels
    region = next((labels[key] for key in reversed(_REGIONS) if key in labels), "")
    zone = next((labels[key] for key in reversed(_ZONES) if key in labels), "")
    return f"{region}:\0:{zone}" if region or zone else ""


def in_zone_order(nodes: Iterable[Node]) -> list[Node]:
    """Nodes round-robin over the zones: zones in order of first appearance, nodes in order of creation."""
    zones: dict[str, list[Node]] = {}
    for node in nodes:
        zones.setdefault(zone_of(node), []).append(node)
    longest = max(map(len, zones.values()), default=0)
    return [members[turn] for turn in range(longest) for members in zones.values() if turn < len(members)]


def host_ports(pod: Pod) -> tuple[HostPort, ...]:
    """Ports of the node that the pod's containers and sidecars take (pkg/scheduler/util/utils.go: GetHostPorts)."""
    sidecars = [container for container in pod.spec.init_containers if container.restart_policy == "Always"]
    return tuple(
        (port.protocol or "TCP", port.host_ip or ANY_ADDRESS, port.host_port)
        for container in (*pod.spec.containers, *sidecars)
        for port in container.ports
        if port.host_port > 0
    )


def has_pod_affinity(pod: Pod) -> bool:
    """Does the pod say anything about other pods (framework/types.go: podWithAffinity)?"""
    affinity = pod.spec.affinity
    return affinity is not None and (affinity.pod_affinity is not None or affinity.pod_anti_affinity is not None)


def allocatable(node: Node, resource: str) -> int:
    """What pods may use of one resource of a node: milli-CPU, bytes, or units."""
    amount = node.status.allocatable.get(resource)
    if amount is None:
        return 0
    return amount.milli_value if resource == CPU else amount.value


@frozen
class Image:
    """An image's size in bytes, and how many nodes have it."""

    size: int
    nodes: int


def image_sizes(node: Node) -> dict[str, int]:
    """Names of the images that a node reports (each once), and their sizes in bytes."""
    sizes: dict[str, int] = {}
    for image in node.status.images:
        for name in image.get("names") or ():
            sizes.setdefault(name, image.get("sizeBytes", 0))
    return sizes


class NodeInfo:
    """A node and the pods on it. Sums are computed when they are first asked for."""

    def __init__(self, node: Node, pods: Sequence[Pod]) -> None:
        self.node = node
        self.pods = tuple(pods)

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.metadata.name

    @property
    def labels(self) -> Mapping[str, str]:
        """The node's labels."""
        return self.node.metadata.labels

    @cached_property
    def requests(self) -> tuple[PodRequest, ...]:
        """What each of the pods requests."""
        return tuple(scheduler_request(pod) for pod in self.pods)

    @cached_property
    def used(self) -> Mapping[str, int]:
        """What the pods request together, by resource; the number of pods as `pods`."""
        total = {PODS: len(self.pods), CPU: 0, MEMORY: 0, EPHEMERAL_STORAGE: 0}
        for request in self.requests:
            total[CPU] += request.cpu
            total[MEMORY] += request.memory
            total[EPHEMERAL_STORAGE] += request.ephemeral_storage
            for name, amount in request.scalars:
                total[name] = total.get(name, 0) + amount
        return total

    @cached_property
    def scoring_used(self) -> Mapping[str, int]:
        """Cpu and memory that the pods request together, with substitutes for containers that request nothing."""
        return {
            CPU: sum(request.scoring_cpu for request in self.requests),
            MEMORY: sum(request.scoring_memory for request in self.requests),
        }

    @cached_property
    def ports(self) -> tuple[HostPort, ...]:
        """Host ports that are taken."""
        return tuple(port for pod in self.pods for port in host_ports(pod))


class Cluster:
    """The scheduler's snapshot for one decision."""

    def __init__(self, view: View, infos: Iterable[NodeInfo] | None = None) -> None:
        self.view = view
        self._given = infos

    @cached_property
    def infos(self) -> tuple[NodeInfo, ...]:
        """The nodes in the scheduler's order: those given, or as the view and its memory of assumed pods show them."""
        return tuple(_infos_of(self.view) if self._given is None else self._given)

    @classmethod
    def of(cls, view: View) -> Cluster:
        """The cluster as `view` and its memory of assumed pods show it; nothing is read before it is asked for."""
        return cls(view)

    @cached_property
    def by_name(self) -> Mapping[str, NodeInfo]:
        """Nodes by name."""
        return {info.name: info for info in self.infos}

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace; none where it is not known."""
        found = self.view.get("Namespace", "", namespace)
        return {} if found is None else found.metadata.labels

    @cached_property
    def images(self) -> Mapping[str, Image]:
        """What nodes have, by image name; the first to report one gives its size (cache.go: addNodeImageStates)."""
        states: dict[str, Image] = {}
        for node in self.view.list("Node"):
            sizes = image_sizes(node)
            for name, size in sizes.items():
                known = states.get(name)
                states[name] = Image(size, 1) if known is None else Image(known.size, known.nodes + 1)
        return states

    def changed(self, info: NodeInfo) -> Cluster:
        """The same cluster with another content of one node."""
        return Cluster(self.view, (info if each.name == info.name else each for each in self.infos))


def _infos_of(view: View) -> Iterator[NodeInfo]:
    on_node: dict[str, list[Pod]] = {}
    for pod, name in placed_pods(view):
        on_node.setdefault(name, []).append(pod)
    for node in in_zone_order(view.list("Node")):
        yield NodeInfo(node, on_node.get(node.metadata.name, ()))


def assumed_in(memory: Mapping[Any, Any]) -> dict[str, str]:
    """Assumed pods in a scheduler's memory: uid -> node name."""
    return {key[1]: node for key, node in memory.items() if isinstance(key, tuple) and key[0] == ASSUMED}


def placed_pods(view: View) -> Iterator[tuple[Pod, str]]:
    """Every pod that takes room, and its node: bound or assumed, and not terminal."""
    assumed = assumed_in(view.memory)
    for pod in view.list("Pod"):
        if is_terminal(pod):
            continue
        node = pod.spec.node_name or assumed.get(pod.metadata.uid, "")
        if node:
            yield pod, node


def nomination_of(pod: Pod, memory: Mapping[Any, Any]) -> str:
    """The node that preemption keeps for the pod; "" where there is none."""
    known: Mapping[str, str] = memory.get(NOMINATED) or {}
    return known.get(pod.metadata.uid, pod.status.nominated_node_name)


def nominated_pods(view: View, incoming: Pod) -> dict[str, list[Pod]]:
    """Other pods that are nominated, and neither bound nor assumed, by node."""
    found: dict[str, list[Pod]] = {}
    for pod in view.list("Pod"):
        node = nomination_of(pod, view.memory)
        if not node or pod.spec.node_name or pod.metadata.uid == incoming.metadata.uid or is_terminal(pod):
            continue
        if (ASSUMED, pod.metadata.uid) not in view.memory:
            found.setdefault(node, []).append(pod)
    return found


def counted_resources(request: PodRequest) -> tuple[str, ...]:
    """The resources that the fit filter looks at, in its order."""
    return (PODS, CPU, MEMORY, EPHEMERAL_STORAGE, *(name for name, _ in request.scalars if is_scalar(name)))
