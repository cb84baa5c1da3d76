"""Scores: how good is a feasible node for a pod?

The rows of the table `score` that hold are the plugins that rate this pod; each names how it rates (`raw`), how the
ratings are brought to 0..100 (`normalize`) and its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Final, TypeAlias

from attrs import frozen

from k8sfsm.kinds.pod_resources import CPU, MEMORY
from k8sfsm.objects import Node, Pod
from k8sfsm.scheduler.cluster import Image, NodeInfo, allocatable, image_sizes
from k8sfsm.scheduler.filters import Wanted
from k8sfsm.scheduler.inter_pod import SoftAffinity
from k8sfsm.scheduler.node_selector import preferred_error, preferred_score
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.spread import SoftSpread
from k8sfsm.scheduler.tolerations import tolerated

Scores: TypeAlias = list[int]
MAX: Final = 100
COMPUTE: Final = (CPU, MEMORY)
"""The resources that weigh, each with weight 1."""


class Rating:
    """The feasible nodes of a pod: the case of the table `score`."""

    def __init__(self, wanted: Wanted, feasible: Sequence[NodeInfo]) -> None:
        self.wanted = wanted
        self.feasible = tuple(feasible)

    @cached_property
    def spread(self) -> SoftSpread:
        """The pod's ScheduleAnyway constraints, or the system's defaults."""
        return SoftSpread(self.wanted.pod, self.wanted.cluster, self.feasible)

    @cached_property
    def affinity(self) -> SoftAffinity:
        """Preferred terms between pods."""
        return SoftAffinity(self.wanted.pod, self.wanted.cluster)


@law.fact
def prefers_nodes(rating: Rating) -> bool:
    """The pod has preferred node affinity terms."""
    affinity = rating.wanted.pod.spec.affinity
    return affinity is not None and affinity.node_affinity is not None and bool(affinity.node_affinity.preferred)


@law.fact
def requests_compute(rating: Rating) -> bool:
    """The pod requests cpu or memory."""
    return not rating.wanted.request.compute_free


@law.fact
def spreads_softly(rating: Rating) -> bool:
    """The pod has ScheduleAnyway constraints, or the system's defaults apply."""
    return bool(rating.spread.constraints)


@law.fact
def pods_attract(rating: Rating) -> bool:
    """Some term between pods gives some domain a worth, even 0."""
    return bool(rating.affinity.worth)


def intolerable_preferences(rating: Rating) -> Scores:
    """PreferNoSchedule taints that the pod does not tolerate (taint_toleration.go: Score)."""
    tolerations = rating.wanted.pod.spec.tolerations
    return [
        sum(t.effect == "PreferNoSchedule" and not tolerated(t, tolerations) for t in info.node.spec.taints)
        for info in rating.feasible
    ]


def preferred_node_terms(rating: Rating) -> Scores:
    """Weights of the preferred terms that a node matches. Raises ValueError where a term cannot be parsed."""
    affinity = rating.wanted.pod.spec.affinity
    assert affinity is not None and affinity.node_affinity is not None
    terms = affinity.node_affinity.preferred
    if error := preferred_error(terms):
        raise ValueError(error)
    return [preferred_score(terms, info.node) for info in rating.feasible]


def least_requested(requested: int, capacity: int) -> int:
    """The share of a resource that stays free, in percent (least_allocated.go: leastRequestedScore)."""
    return 0 if requested > capacity else (capacity - requested) * MAX // capacity


def least_allocated(rating: Rating) -> Scores:
    """The mean free share of cpu and memory with the pod (least_allocated.go: leastResourceScorer)."""
    request = rating.wanted.request
    ours = {CPU: request.scoring_cpu, MEMORY: request.scoring_memory}
    return [least_allocated_of(info, ours) for info in rating.feasible]


def least_allocated_of(info: NodeInfo, ours: Mapping[str, int]) -> int:
    """The same for one node; a resource that the node has none of does not count."""
    shares = [
        least_requested(info.scoring_used[resource] + ours[resource], capacity)
        for resource in COMPUTE
        if (capacity := allocatable(info.node, resource))
    ]
    return sum(shares) // len(shares) if shares else 0


def balance(fractions: Sequence[float]) -> int:
    """100 where all resources are used to the same part, 50 where they are as far apart as can be.

    Source: balanced_allocation.go: balancedResourceScorer. With two resources Go takes half their distance.
    """
    if len(fractions) < 2:
        return MAX
    return int((1 - abs(fractions[0] - fractions[1]) / 2) * MAX)


def _fractions(used: Sequence[int], capacities: Sequence[int]) -> list[float]:
    return [min(1.0, amount / capacity) for amount, capacity in zip(used, capacities, strict=True) if capacity]


def balanced_score(before: Sequence[int], after: Sequence[int], capacities: Sequence[int]) -> int:
    """How much the pod improves the balance: 75 for not at all (balanced_allocation.go: Score)."""
    change = balance(_fractions(after, capacities)) - balance(_fractions(before, capacities))
    return MAX // 2 + (MAX // 2 + change) // 2


def balanced_allocation(rating: Rating) -> Scores:
    """The change of the balance between cpu and memory, by true requests."""
    request = rating.wanted.request
    result = []
    for info in rating.feasible:
        before = [info.used[resource] for resource in COMPUTE]
        after = [info.used[CPU] + request.cpu, info.used[MEMORY] + request.memory]
        result.append(balanced_score(before, after, [allocatable(info.node, resource) for resource in COMPUTE]))
    return result


def soft_spread(rating: Rating) -> Scores:
    """Pods of its kind around each node."""
    return [rating.spread.raw(info) for info in rating.feasible]


def attraction(rating: Rating) -> Scores:
    """The worth of each node's domains by preferred terms between pods."""
    return [rating.affinity.raw(info) for info in rating.feasible]


def no_claims(rating: Rating) -> Scores:
    """Dynamic resources: 0, as no pod has claims here."""
    return [0] * len(rating.feasible)


def with_tag(image: str) -> str:
    """The image's name with the tag `latest` where it has none (image_locality.go: normalizedImageName)."""
    return image if image.rfind(":") > image.rfind("/") else f"{image}:latest"


def image_score(node: Node, names: Sequence[str], images: Mapping[str, Image], nodes: int) -> int:
    """How much of the pod's images the node has, each weighed by the share of the `nodes` nodes that have it too.

    Source: image_locality.go: sumImageScores, scaledImageScore.
    """
    here = image_sizes(node)
    total = sum(int(images[name].size * (images[name].nodes / nodes)) for name in names if name in here)
    return image_points(total, len(names))


def image_points(total: int, containers: int) -> int:
    """Points for so many bytes that are there already for so many containers (image_locality.go: calculatePriority)."""
    low: int = law.constant("image_locality_min_bytes")
    high: int = law.constant("image_locality_max_container_bytes") * containers
    return MAX * (min(max(total, low), high) - low) // (high - low)


def images_of(pod: Pod) -> tuple[str, ...]:
    """The names of the pod's images, one per container and init container."""
    return tuple(with_tag(container.image) for container in (*pod.spec.init_containers, *pod.spec.containers))


def image_locality(rating: Rating) -> Scores:
    """How much of the pod's images each node has already."""
    cluster = rating.wanted.cluster
    names = images_of(rating.wanted.pod)
    return [image_score(info.node, names, cluster.images, len(cluster.infos)) for info in rating.feasible]


def as_is(rating: Rating, scores: Scores) -> Scores:
    """Already between 0 and 100."""
    return scores


def share_of_highest(rating: Rating, scores: Scores) -> Scores:
    """Percent of the highest score (plugins/helper/normalize_score.go: DefaultNormalizeScore)."""
    highest = max(scores)
    return [MAX * score // highest for score in scores] if highest else scores


def reversed_share_of_highest(rating: Rating, scores: Scores) -> Scores:
    """100 less the percent of the highest score: 100 for all where that is 0."""
    highest = max(scores)
    return [MAX - MAX * score // highest for score in scores] if highest else [MAX] * len(scores)


def fewest_is_best(rating: Rating, scores: Scores) -> Scores:
    """Spreading: 100 for the lowest; nodes that lack a label get 0 (podtopologyspread/scoring.go: NormalizeScore)."""
    ignored = rating.spread.ignored
    counted = [score for info, score in zip(rating.feasible, scores, strict=True) if info.name not in ignored]
    highest, lowest = max(counted, default=0), min(counted, default=0)
    return [
        0 if info.name in ignored else MAX * (highest + lowest - score) // highest if highest else MAX
        for info, score in zip(rating.feasible, scores, strict=True)
    ]


def between_extremes(rating: Rating, scores: Scores) -> Scores:
    """0 for the lowest, 100 for the highest; 0 where all are equal (interpodaffinity/scoring.go: NormalizeScore)."""
    lowest, highest = min(scores), max(scores)
    if lowest == highest:
        return [0] * len(scores)
    return [int(MAX * ((score - lowest) / (highest - lowest))) for score in scores]


RAW: Final[Mapping[str, Callable[[Rating], Scores]]] = {
    each.__name__: each
    for each in (
        intolerable_preferences,
        preferred_node_terms,
        least_allocated,
        balanced_allocation,
        soft_spread,
        attraction,
        no_claims,
        image_locality,
    )
}
"""Ways to rate, by the name in the column `raw`."""

NORMALIZE: Final[Mapping[str, Callable[[Rating, Scores], Scores]]] = {
    each.__name__: each
    for each in (as_is, share_of_highest, reversed_share_of_highest, fewest_is_best, between_extremes)
}
"""Ways to bring ratings to 0..100, by the name in the column `normalize`."""


@frozen
class Rated:
    """What one plugin says of all feasible nodes, in their order: raw, and brought to 0..100."""

    plugin: str
    weight: int
    raw: Scores
    normalized: Scores
    rule: str


def ratings(wanted: Wanted, feasible: Sequence[NodeInfo]) -> tuple[Rated, ...]:
    """What each plugin that does not skip says of the feasible nodes (runtime/framework.go: RunScorePlugins)."""
    if not feasible:
        return ()
    rating, found = Rating(wanted, feasible), []
    for decision in law.collect("score", rating):
        plugin = decision.outputs
        raw = RAW[plugin["raw"]](rating)
        normalized = NORMALIZE[plugin["normalize"]](rating, raw)
        found.append(Rated(plugin["plugin"], plugin["weight"], raw, normalized, decision.rule))
    return tuple(found)


def rate(wanted: Wanted, feasible: Sequence[NodeInfo]) -> dict[str, dict[str, int]]:
    """Weighted scores: node name -> plugin -> score."""
    result: dict[str, dict[str, int]] = {info.name: {} for info in feasible}
    for rated in ratings(wanted, feasible):
        for info, score in zip(feasible, rated.normalized, strict=True):
            result[info.name][rated.plugin] = rated.weight * score
    return result
