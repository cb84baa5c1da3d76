"""Where a pod can go, node by node, and why: the scheduler's decision laid open.

The same tables and functions decide here as in a running cluster (`plain.decide`, `preemption.preempt`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen

from k8sfsm.objects import Pod, evolve, key_of
from k8sfsm.request import Key
from k8sfsm.scheduler.cluster import Cluster, NodeInfo
from k8sfsm.scheduler.filters import Refusal
from k8sfsm.scheduler.plain import NO_NODES, START, find
from k8sfsm.scheduler.preemption import Preemption, preempt
from k8sfsm.scheduler.scores import Rated, ratings
from k8sfsm.view import View


@frozen(kw_only=True)
class PluginScore:
    """What one plugin gives to one node. `weighted` is `weight` times `normalized`, which is 0..100."""

    plugin: str
    raw: int
    normalized: int
    weight: int
    rule: str

    @property
    def weighted(self) -> int:
        """What it adds to the node's total."""
        return self.weight * self.normalized


@frozen(kw_only=True)
class NodePlacement:
    """One node for one pod.

    `refusal`: the filter that refused it, with its messages; None where the node is feasible, and where the search
    ended before it came to it (`looked_at` is False). `scores`: of the plugins that rate this pod. `victims`: pods that
    preemption would remove from it.
    """

    node: str
    looked_at: bool
    refusal: Refusal | None = None
    scores: tuple[PluginScore, ...] = ()
    victims: tuple[Key, ...] = ()

    @property
    def feasible(self) -> bool:
        """The pod may run there."""
        return self.looked_at and self.refusal is None

    @property
    def total(self) -> int:
        """The sum of the weighted scores."""
        return sum(score.weighted for score in self.scores)


@frozen(kw_only=True)
class PlacementReport:
    """The scheduler's decision about a pod.

    `nodes`: every node, in the scheduler's order. `ties`: the feasible nodes with the highest total, of which any may
    be chosen; `chosen`: the first of them, "" where there is none. `assigned`: where the pod is, "" where it has no
    node. `message`: what the Event FailedScheduling says, "" where a node is feasible. `nominated`: nodes on any of
    which preemption would make room.
    """

    pod: Key
    assigned: str
    nodes: tuple[NodePlacement, ...]
    chosen: str
    ties: tuple[str, ...]
    message: str
    nominated: tuple[str, ...] = ()


def placement_of(view: View, pod: Pod) -> PlacementReport:
    """The decision about `pod` in the cluster that `view` shows; a pod that has a node is judged as if it had none.

    Raises ValueError where a preferred node affinity term cannot be parsed.
    Source: pkg/scheduler/schedule_one.go: schedulePod; pkg/scheduler/framework/types.go: FitError.Error.
    """
    assigned = pod.spec.node_name
    key = key_of(pod)
    if assigned:
        pod = evolve(pod, spec=evolve(pod.spec, node_name=""))
        snapshot = view.snapshot("Pod").put(view.revision("Pod"), key, pod)
        view = View(view.now, {**_snapshots(view), "Pod": snapshot}, view.memory, view.runtime)
    cluster = Cluster.of(view)
    feasible, search, placement = find(pod, cluster, view.memory.get(START, 0))
    rated = ratings(search.wanted, feasible)
    scores = {info.name: _scores(rated, place) for place, info in enumerate(feasible)}
    totals = {name: sum(score.weighted for score in found) for name, found in scores.items()}
    ties = tuple(name for name, total in totals.items() if total == max(totals.values()))
    second = None if feasible or placement.message == NO_NODES else preempt(pod, cluster, placement)
    victims = _victims(second)
    nodes = tuple(_node(info, placement.refusals, scores, victims) for info in cluster.infos)
    return PlacementReport(
        pod=key,
        assigned=assigned,
        nodes=nodes,
        chosen=ties[0] if ties else "",
        ties=ties,
        message=" ".join(part for part in (placement.message, second.message if second else "") if part),
        nominated=tuple(each.node for each in second.best) if second else (),
    )


def _snapshots(view: View) -> Mapping[str, Any]:
    return {kind: view.snapshot(kind) for kind in _SEEN}


_SEEN = (
    *("Node", "Service", "ReplicaSet", "ReplicationController", "StatefulSet"),
    *("PodDisruptionBudget", "Namespace"),
)
"""The kinds that the scheduler looks at besides pods."""


def _scores(rated: Sequence[Rated], place: int) -> tuple[PluginScore, ...]:
    return tuple(
        PluginScore(
            plugin=each.plugin,
            raw=each.raw[place],
            normalized=each.normalized[place],
            weight=each.weight,
            rule=each.rule,
        )
        for each in rated
    )


def _victims(preemption: Preemption | None) -> Mapping[str, tuple[Key, ...]]:
    if preemption is None:
        return {}
    return {each.node: tuple(key_of(pod) for pod in each.victims) for each in preemption.candidates}


def _node(
    info: NodeInfo,
    refusals: Mapping[str, Refusal],
    scores: Mapping[str, tuple[PluginScore, ...]],
    victims: Mapping[str, tuple[Key, ...]],
) -> NodePlacement:
    return NodePlacement(
        node=info.name,
        looked_at=info.name in refusals or info.name in scores,
        refusal=refusals.get(info.name),
        scores=scores.get(info.name, ()),
        victims=victims.get(info.name, ()),
    )
