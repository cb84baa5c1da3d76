"""Pods as the ReplicaSet rules see them, grouped: Pods that no rule tells apart are judged once.

What is remembered about a Pod here is computed from that very (immutable) object alone; no decision is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, Literal

from k8sfsm.controllers.claim import CountedTraits, Traits
from k8sfsm.controllers.following import difference
from k8sfsm.controllers.pod_sights import Sight, forget_sights, sight_of, sights_of
from k8sfsm.controllers.replicaset_flavour import Flavour
from k8sfsm.controllers.selector import Matcher
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.kinds.pod_readiness import ready_since
from k8sfsm.law import Law
from k8sfsm.lazy import lazy
from k8sfsm.objects import Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.value import value
from k8sfsm.view import View

law: Final = Law("replicaset")
Role = Literal["active", "terminating", "finished"]


@value(eq=False)
class PodTraits(Traits):
    """What the rules ask of a Pod. Equal Pods share one object as long as it is remembered."""

    phase: str
    ready: bool


_LIMIT: Final = 8192
_traits: dict[Sight, PodTraits] = {}
_shared: dict[Any, PodTraits] = {}
"""By value. Who has counted by traits finds the same ones again as long as this is not emptied."""


def _traits_of(pod: Pod) -> PodTraits:
    sight = sight_of(pod)
    return _traits.get(sight) or _learn(sight)


def _learn(sight: Sight) -> PodTraits:
    if len(_traits) >= _LIMIT:
        _traits.clear()
    owner = next((each.uid for each in sight.references if each.controller), "")
    ready = sight.ready == "True"
    key = (owner, sight.namespace, sight.deleting, sight.phase, ready, sight.content)
    traits = _shared.get(key)
    if traits is None:
        traits = _shared[key] = PodTraits(owner, sight.labels, sight.namespace, sight.deleting, sight.phase, ready)
    _traits[sight] = traits
    return traits


def forget_pods() -> None:
    """Let go of all Pods: what is remembered of them is found again where it is asked for."""
    forget_sights()
    for memory in (_traits, _shared, _followed):
        memory.clear()


class Pods(Sequence[Pod]):
    """Pods, with how many there are of each traits."""

    def __init__(self, counts: Mapping[PodTraits, int], parts: Sequence[Iterable[Pod]]) -> None:
        self.counts = counts
        self._parts = parts

    @lazy
    def _all(self) -> tuple[Pod, ...]:
        return tuple(chain(*self._parts))

    def __len__(self) -> int:
        return sum(self.counts.values())

    def __getitem__(self, place: Any) -> Any:
        return self._all[place]

    def __iter__(self) -> Iterator[Pod]:
        return iter(self._all)


class _Followed:
    """The Pods of a list, counted from view to view at the cost of those that changed."""

    def __init__(self) -> None:
        self._listed = NO_SERIES
        self._counts: dict[PodTraits, int] = {}

    def counts(self, listed: Series) -> dict[PodTraits, int]:
        """How many Pods of the list there are of each traits."""
        pods, counts = difference(self._listed, listed), dict(self._counts)
        seen = Counter(sights_of(pods.come))
        seen.subtract(sights_of(pods.gone))
        for sight, number in seen.items():
            traits = _traits.get(sight) or _learn(sight)
            counts[traits] = counts.get(traits, 0) + number
        self._listed, self._counts = listed, {traits: number for traits, number in counts.items() if number}
        return self._counts


_followed: dict[tuple[str, str], _Followed] = {}
_FOLLOWED: Final = 4096
_SHARED: Final = 1 << 17


def candidates_of(view: View, owner: Any) -> Pods:
    """The Pods that an owner has or may adopt: its own, then those in its namespace that nobody owns."""
    lists = (("owned", owner.metadata.uid), ("orphans", owner.metadata.namespace))
    parts = [view.series(index, "Pod", value) for index, value in lists]
    if len(_shared) >= _SHARED or len(_followed) >= _FOLLOWED:
        forget_pods()
    counts: Counter[PodTraits] = Counter()
    for name, listed in zip(lists, parts, strict=True):
        if listed:
            counts.update(_counted(name, listed))
    return Pods(counts, parts)


def _counted(name: tuple[str, str], listed: Series) -> Mapping[PodTraits, int]:
    found = _followed.get(name)
    if found is None:
        found = _followed[name] = _Followed()
    return found.counts(listed)


def traits_of_pods(pods: Sequence[Pod]) -> Sequence[PodTraits]:
    """The traits of Pods, one for one."""
    if isinstance(pods, Pods):
        return CountedTraits(pods.counts, partial(_each, pods))  # type: ignore[return-value]
    return _each(pods)


def _each(pods: Iterable[Pod]) -> list[PodTraits]:
    return [_traits_of(pod) for pod in pods]


def _counts_of(pods: Sequence[Pod]) -> Mapping[PodTraits, int]:
    return pods.counts if isinstance(pods, Pods) else Counter(_each(pods))


def ready_times(pods: Sequence[Pod]) -> Sequence[int | None]:
    """`ready_since` of Pods, one for one."""
    return [ready_since(pod) for pod in pods]


@law.fact
def pod_phase(case: PodTraits) -> str:
    """status.phase."""
    return case.phase


@law.fact
def pod_terminating(case: PodTraits) -> bool:
    """The Pod's deletion has begun."""
    return case.deleting


def role_of(traits: PodTraits) -> Role:
    """How Pods of these traits count."""
    role: Role = law.decide("pod-role", traits).outputs["role"]
    return role


def by_role(pods: Sequence[Pod]) -> Mapping[Role, Sequence[Pod]]:
    """The Pods of each role, in order.

    Source: pkg/controller/controller_utils.go: FilterActivePods, FilterTerminatingPods
    """
    counts = _counts_of(pods)
    roles = {traits: role_of(traits) for traits in counts}
    parts: dict[Role, Sequence[Pod]] = {"active": (), "terminating": (), "finished": ()}
    present = dict.fromkeys(roles.values())
    for role in present:
        if len(present) == 1:
            parts[role] = pods
            continue
        found = [pod for pod, traits in zip(pods, traits_of_pods(pods), strict=True) if roles[traits] == role]
        parts[role] = Pods({traits: number for traits, number in counts.items() if roles[traits] == role}, (found,))
    return parts


@value
class Counted:
    """Pods that are counted alike."""

    owner: Any
    flavour: Flavour
    matches: Matcher
    traits: PodTraits
    role: Role
    available: bool


@law.fact
def role(case: Counted) -> Literal["active", "terminating"]:
    """How the Pod counts."""
    return case.role  # type: ignore[return-value]


@law.fact
def fully_labelled(case: Counted) -> bool:
    """The Pod has all labels of the template."""
    labels = case.traits.labels
    wanted = case.flavour.template(case.owner).metadata.labels
    return all(labels.get(name) == value for name, value in wanted.items())


@law.fact
def ready(case: Counted) -> bool:
    """The Pod's Ready condition is True."""
    return case.traits.ready


@law.fact
def available(case: Counted) -> bool:
    """The Pod has been ready for minReadySeconds."""
    return case.available


@law.fact
def claimed(case: Counted) -> bool:
    """The ReplicaSet is the Pod's controller and selects it."""
    return case.traits.owner_uid == case.owner.metadata.uid and case.matches(case.traits.labels)


@law.fact
def terminating_counted(case: Counted) -> bool:
    """The status has a place for terminating Pods."""
    return case.flavour.counts_terminating


def _groups(pods: Sequence[Pod], min_ready_seconds: int, now: int) -> Mapping[tuple[PodTraits, bool], int]:
    """How many Pods there are of each traits and availability."""
    if min_ready_seconds == 0:
        return {(traits, traits.ready): number for traits, number in _counts_of(pods).items()}
    latest = now - min_ready_seconds * SECOND
    every = _each(pods)
    times = zip(every, ready_times(pods), strict=True)
    available = Counter([traits for traits, since in times if since is not None and since <= latest])
    groups = {(traits, False): number - available[traits] for traits, number in Counter(every).items()}
    return groups | {(traits, True): number for traits, number in available.items()}


def count(
    owner: Any, flavour: Flavour, matches: Matcher, active: Sequence[Pod], terminating: Sequence[Pod], now: int
) -> dict[str, int]:
    """The counts of a status, by attribute.

    Source: pkg/controller/replicaset/replica_set_utils.go: calculateStatus
    """
    counts = dict.fromkeys(("replicas", "fully_labeled_replicas", "ready_replicas", "available_replicas"), 0)
    if flavour.counts_terminating:
        counts["terminating_replicas"] = 0
    parts: tuple[tuple[Role, Sequence[Pod]], ...] = (("active", active), ("terminating", terminating))
    for part, pods in parts:
        for (traits, is_available), number in _groups(pods, owner.spec.min_ready_seconds, now).items():
            case = Counted(owner, flavour, matches, traits, part, is_available)
            for decision in law.collect("counts", case):
                counts[decision.outputs["counts"]] += number
    return counts
