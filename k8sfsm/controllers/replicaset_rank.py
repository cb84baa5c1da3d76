"""Which Pods a ReplicaSet deletes first: facts and comparisons of the ordered tables.

Source: pkg/controller/controller_utils.go: ActivePodsWithRanks, ActivePods
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from k8sfsm.controllers.replicaset_pods import PodTraits, role_of, traits_of_pods
from k8sfsm.controllers.selector import Matcher
from k8sfsm.kinds.pod_readiness import is_pod_ready, ready_since
from k8sfsm.law import Law
from k8sfsm.objects import Pod
from k8sfsm.value import value

law: Final = Law("replicaset")
COST: Final = "controller.kubernetes.io/pod-deletion-cost"
_COST: Final = re.compile(r"-[0-9]+|[1-9][0-9]*|0")
_PHASES: Final = {"Pending": 0, "Unknown": 1, "Running": 2}
_INT32: Final = 1 << 31


@value(eq=False)
class RankedPod:
    """A Pod and the number of active related Pods on its node."""

    pod: Pod
    rank: int
    ready: bool
    ready_since: int | None

    @classmethod
    def of(cls, pod: Pod, rank: int = 0) -> RankedPod:
        """A Pod with what the order asks about it most."""
        return cls(pod, rank, is_pod_ready(pod), ready_since(pod))


@value
class Ranking:
    """One ordering: all comparisons use the same `now` (ns)."""

    now: int


@law.fact
def is_assigned(item: RankedPod) -> bool:
    """The Pod has a node."""
    return item.pod.spec.node_name != ""


@law.fact
def phase_order(item: RankedPod) -> int:
    """Pending 0, Unknown 1, Running 2; anything else as Pending."""
    return _PHASES.get(item.pod.status.phase, 0)


@law.fact
def is_ready(item: RankedPod) -> bool:
    """The Pod's Ready condition is True."""
    return item.ready


@law.fact
def deletion_cost(item: RankedPod) -> int:
    """The Pod's deletion cost; 0 where the annotation is missing or no canonical 32-bit number.

    Source: pkg/apis/core/helper/helpers.go: GetDeletionCostFromPodAnnotations, validFirstDigit
    """
    text = item.pod.metadata.annotations.get(COST, "")
    if not _COST.fullmatch(text):
        return 0
    cost = int(text)
    return cost if -_INT32 <= cost < _INT32 else 0


@law.fact
def related_on_node(item: RankedPod) -> int:
    """Active Pods of related ReplicaSets on the same node."""
    return item.rank


@law.fact
def container_restarts(item: RankedPod) -> int:
    """The most restarts of one regular container."""
    return max((status.restart_count for status in item.pod.status.container_statuses), default=0)


@law.fact
def sidecar_restarts(item: RankedPod) -> int:
    """The most restarts of one init container that restarts always."""
    sidecars = [container.name for container in item.pod.spec.init_containers if container.restart_policy == "Always"]
    statuses = item.pod.status.init_container_statuses
    return max((status.restart_count for status in statuses if status.name in sidecars), default=0)


def _newer(a: int | None, b: int | None) -> int:
    """Below 0 where `a` is the newer time; an unknown time is newer than any."""
    if a == b:
        return 0
    if a is None or b is None:
        return -1 if a is None else 1
    return -1 if a > b else 1


def _bucket(age: int) -> int:
    """The whole part of log2 of an age (ns), computed as Go's math.Log2 does; -1 where it is not positive."""
    if age <= 0:
        return -1
    fraction, exponent = math.frexp(float(age))
    if fraction == 0.5:
        return exponent - 1
    return int(exponent + math.log(fraction) * (1 / math.log(2)))


def _newer_bucket(a: RankedPod, b: RankedPod, times: tuple[int | None, int | None], now: int) -> int:
    """Below 0 where a's time is in a later bucket of a logarithmic scale; within a bucket the uids decide."""
    first, second = times
    if first == second or first is None or second is None:
        return _newer(first, second)
    difference = _bucket(now - first) - _bucket(now - second)
    if difference:
        return difference
    return -1 if a.pod.metadata.uid < b.pod.metadata.uid else 1


@law.comparison
def newer_ready_bucket(a: RankedPod, b: RankedPod, case: Ranking) -> int:
    """Of two ready Pods the one that has been ready for an order of magnitude less; says nothing of others."""
    if not (a.ready and b.ready):
        return 0
    return _newer_bucket(a, b, (a.ready_since, b.ready_since), case.now)


@law.comparison
def newer_created_bucket(a: RankedPod, b: RankedPod, case: Ranking) -> int:
    """The Pod that is younger by an order of magnitude."""
    times = (a.pod.metadata.creation_timestamp, b.pod.metadata.creation_timestamp)
    return _newer_bucket(a, b, times, case.now)


@law.comparison
def newer_ready(a: RankedPod, b: RankedPod, case: Ranking) -> int:
    """Of two ready Pods the one that became ready later; says nothing of others."""
    if not (a.ready and b.ready):
        return 0
    return _newer(a.ready_since, b.ready_since)


@law.comparison
def newer_created(a: RankedPod, b: RankedPod, case: Ranking) -> int:
    """The Pod that was created later."""
    return _newer(a.pod.metadata.creation_timestamp, b.pod.metadata.creation_timestamp)


def related_by_node(pods: Sequence[Pod], selectors: Sequence[Matcher]) -> Mapping[str, int]:
    """How many active Pods that any of the selectors matches are on each node ("": on none).

    Source: pkg/controller/replicaset/replica_set.go: getIndirectlyRelatedPods, getPodsRankedByRelatedPodsOnSameNode
    """
    related: dict[PodTraits, bool] = {}
    nodes: dict[str, int] = {}
    for pod, traits in zip(pods, traits_of_pods(pods), strict=True):
        counts = related.get(traits)
        if counts is None:
            selected = any(matches(traits.labels) for matches in selectors)
            counts = related[traits] = selected and role_of(traits) == "active"
        if counts:
            node = pod.spec.node_name
            nodes[node] = nodes.get(node, 0) + 1
    return nodes


@value
class Choice:
    """How many of how many Pods are deleted."""

    number: int
    pods: int


@law.fact
def deletes_all(case: Choice) -> bool:
    """No Pod is left over."""
    return case.number >= case.pods


def ranked(pods: Sequence[Pod], related: Mapping[str, int], now: int) -> tuple[Any, ...]:
    """All Pods, the first to be deleted first."""
    items = [RankedPod.of(pod, related.get(pod.spec.node_name, 0)) for pod in pods]
    return tuple(item.pod for item in law.order("deletion-rank", items, Ranking(now)))


def pods_to_delete(pods: Sequence[Pod], related: Mapping[str, int], number: int, now: int) -> tuple[Pod, ...]:
    """The `number` Pods that go first.

    Source: pkg/controller/replicaset/replica_set.go: getPodsToDelete
    """
    choice = law.decide("ranking", Choice(number, len(pods)))
    chosen = ranked(pods, related, now) if choice.outputs["ranked"] else tuple(pods)
    return chosen[:number]
