"""The scheduling decision, read straight from the rules.

This is the layer to read first. `fast.py` gives the same answers for common pods in large clusters.
Source: pkg/scheduler/schedule_one.go: schedulePod, findNodesThatFitPod, findNodesThatPassFilters, prioritizeNodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from attrs import field

from k8sfsm.objects import Pod
from k8sfsm.scheduler.cluster import Cluster, NodeInfo, nominated_pods, priority_of
from k8sfsm.scheduler.filters import UNRESOLVABLE, Refusal, Wanted, judge
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.scores import rate
from k8sfsm.value import value
from k8sfsm.view import View

START: Final = "next_start_node_index"
"""Memory: at which node the next search starts, where not all nodes are looked at."""
NO_NODES: Final = "no nodes available to schedule pods"
NOTHING_KNOWN: Final[Mapping[str, Any]] = MappingProxyType({})
Judge: TypeAlias = Callable[[NodeInfo], Refusal | None]
"""Why a node with the pods given cannot take the pod; None: it can."""


@value(kw_only=True)
class Placement:
    """What the scheduler finds for a pod.

    `feasible`: nodes that can take it, in the order found; `scores`: node -> plugin -> weighted score; `totals`:
    their sums; `best`: the nodes with the highest total. `refusals`: why the others cannot take it. `plugins`: the
    plugins that refused, sorted. `message`: the FitError where no node is feasible. `next_start`: where the next
    search starts. `judge`: what a node says with other pods on it, where that can be told faster than by the rules.
    """

    node_count: int
    feasible: tuple[str, ...] = ()
    scores: Mapping[str, Mapping[str, int]] = NOTHING_KNOWN
    totals: Mapping[str, int] = NOTHING_KNOWN
    best: Sequence[str] = ()
    refusals: Mapping[str, Refusal] = NOTHING_KNOWN
    plugins: tuple[str, ...] = ()
    prefilter_message: str = ""
    message: str = ""
    next_start: int = 0
    judge: Judge | None = field(default=None, eq=False, repr=False)


def num_feasible_to_find(nodes: int, percentage: int | None = None, profile_percentage: int | None = None) -> int:
    """After how many feasible nodes the search ends, among `nodes`.

    `percentage`: the scheduler's percentageOfNodesToScore (None: its default), `profile_percentage`: the profile's,
    which goes first. 0 is adaptive. Source: schedule_one.go: numFeasibleNodesToFind.
    """
    least: int = law.constant("scheduler_min_feasible_nodes")
    if nodes < least:
        return nodes
    default: int = law.constant("scheduler_percentage_of_nodes_to_score") if percentage is None else percentage
    share = default if profile_percentage is None else profile_percentage
    if share == 0:
        adaptive = law.constant("scheduler_adaptive_percentage") - nodes // law.constant("scheduler_adaptive_divisor")
        share = max(adaptive, law.constant("scheduler_min_feasible_percentage"))
    return max(nodes * share // 100, least)


def fit_error(nodes: int, refusals: Iterable[Refusal], prefilter_message: str = "") -> str:
    """The text of a failure without its preemption part (framework/types.go: FitError.Error)."""
    start = f"0/{nodes} nodes are available:"
    if prefilter_message:
        return f"{start} {prefilter_message}."
    counts: dict[str, int] = {}
    for refusal in refusals:
        for reason in refusal.reasons:
            counts[reason] = counts.get(reason, 0) + 1
    lines = sorted(f"{count} {reason}" for reason, count in counts.items())
    return f"{start} {', '.join(lines)}." if lines else start


class Search:
    """The search for nodes that can take one pod."""

    def __init__(self, pod: Pod, cluster: Cluster) -> None:
        self.pod = pod
        self.cluster = cluster
        self.wanted = Wanted(pod, cluster)
        self.refusals: dict[str, Refusal] = {}
        self.nominated = {
            node: [each for each in pods if priority_of(each) >= priority_of(pod)]
            for node, pods in nominated_pods(cluster.view, pod).items()
        }

    def refusal(self, info: NodeInfo) -> Refusal | None:
        """Why the node cannot take the pod: with the pods nominated to it, or without them.

        Source: runtime/framework.go: RunFilterPluginsWithNominatedPods.
        """
        return self._refusal(self.wanted, info)

    def refusal_changed(self, info: NodeInfo) -> Refusal | None:
        """The same for a node with other pods on it than the cluster shows."""
        return self._refusal(Wanted(self.pod, self.cluster.changed(info)), info)

    def _refusal(self, wanted: Wanted, info: NodeInfo) -> Refusal | None:
        others = self.nominated.get(info.name, ())
        if others:
            fuller = NodeInfo(info.node, (*info.pods, *others))
            refusal = judge(Wanted(self.pod, self.cluster.changed(fuller)), fuller)
            if refusal is not None:
                return refusal
        return judge(wanted, info)

    def among(self, infos: Sequence[NodeInfo], start: int) -> list[NodeInfo]:
        """Feasible nodes of `infos`, from `start` on and round, until enough are found."""
        enough = num_feasible_to_find(len(infos))
        found: list[NodeInfo] = []
        for step in range(len(infos)):
            info = infos[(start + step) % len(infos)]
            refusal = self.refusal(info)
            if refusal is not None:
                self.refusals[info.name] = refusal
                continue
            found.append(info)
            if len(found) == enough:
                break
        return found

    def nominated_node(self) -> list[NodeInfo]:
        """The node that preemption has chosen before, where it can take the pod now (evaluateNominatedNode)."""
        info = self.cluster.by_name.get(self.pod.status.nominated_node_name)
        return [info] if info is not None and self.refusal(info) is None else []


def _elsewhere(wanted: Wanted, reason: str, rule: str) -> dict[str, Refusal]:
    """Nodes that the pod's affinity to node names leaves out."""
    names = wanted.names or ()
    refusal = Refusal(plugin="", code=UNRESOLVABLE, reasons=(reason,), rule=rule)
    return {info.name: refusal for info in wanted.cluster.infos if info.name not in names}


def _contradiction(pod: Pod, cluster: Cluster, refusal: Refusal, start: int) -> Placement:
    """No node is looked at: all get the same refusal."""
    (message,) = refusal.reasons
    return Placement(
        node_count=len(cluster.infos),
        refusals={info.name: refusal for info in cluster.infos},
        plugins=(refusal.plugin,),
        prefilter_message=message,
        message=fit_error(len(cluster.infos), (), message),
        next_start=start,
    )


def find(pod: Pod, cluster: Cluster, start: int = 0) -> tuple[list[NodeInfo], Search, Placement]:
    """The feasible nodes, the search, and a placement that still lacks scores (findNodesThatFitPod)."""
    search = Search(pod, cluster)
    decision = law.decide("prefilter", search.wanted)
    outputs = decision.outputs
    if outputs["code"] != "Success":
        reasons = (outputs["reason"],)
        refusal = Refusal(plugin=outputs["plugin"], code=outputs["code"], reasons=reasons, rule=decision.rule)
        return [], search, _contradiction(pod, cluster, refusal, start)
    count = len(cluster.infos)
    feasible = search.nominated_node()
    narrowed = outputs["elsewhere"]
    if not feasible:
        names = search.wanted.names or ()
        feasible = search.among([each for each in cluster.infos if not narrowed or each.name in names], start)
        start = (start + len(feasible) + len(search.refusals)) % count if count else 0
    plugins = {refusal.plugin for refusal in search.refusals.values()}
    refusals = search.refusals
    if narrowed:
        plugins.add(outputs["plugin"])
        refusals = {**_elsewhere(search.wanted, narrowed, decision.rule), **search.refusals}
    placement = Placement(
        node_count=count,
        feasible=tuple(info.name for info in feasible),
        refusals=refusals,
        plugins=tuple(sorted(plugins)),
        message="" if feasible else fit_error(count, refusals.values()) if count else NO_NODES,
        next_start=start,
    )
    return feasible, search, placement


def decide(view: View, pod: Pod, cluster: Cluster | None = None) -> Placement:
    """Where the pod can go, and where it is best off.

    `view`: what the scheduler sees, with its memory; `cluster`: the same, where it is at hand already.
    Raises ValueError where a preferred node affinity term cannot be parsed.
    """
    cluster = cluster or Cluster.of(view)
    feasible, search, placement = find(pod, cluster, view.memory.get(START, 0))
    scores = rate(search.wanted, feasible)
    totals = {name: sum(by_plugin.values()) for name, by_plugin in scores.items()}
    highest = max(totals.values(), default=0)
    return Placement(
        node_count=placement.node_count,
        feasible=placement.feasible,
        scores=scores,
        totals=totals,
        best=tuple(name for name, total in totals.items() if total == highest),
        refusals=placement.refusals,
        plugins=placement.plugins,
        prefilter_message=placement.prefilter_message,
        message=placement.message,
        next_start=placement.next_start,
    )
