"""Pods as the ReplicaSet rules see them, grouped: Pods that no rule tells apart are judged once.

What is remembered about a Pod here is computed from that very (immutable) object alone; no decision is remembered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import compress, repeat
from itertools import count as count_from
from operator import is_not
from typing import Any, Final, Literal

from k8sfsm.controllers.claim import Traits
from k8sfsm.controllers.replicaset_flavour import Flavour
from k8sfsm.controllers.selector import Matcher
from k8sfsm.kinds.pod_readiness import SECOND, is_pod_ready, ready_since
from k8sfsm.law import Law
from k8sfsm.objects import Pod, controller_of
from k8sfsm.value import value

law: Final = Law("replicaset")
Role = Literal["active", "terminating", "finished"]


@value(eq=False)
class PodTraits(Traits):
    """What the rules ask of a Pod. Equal Pods share one object as long as it is remembered."""

    phase: str
    ready: bool


_LIMIT: Final = 1 << 17
_UNKNOWN: Final = -1
# By id: safe because `_alive` keeps each of these Pods alive, so that no other object can have its id.
_alive: dict[int, Pod] = {}
_traits: dict[int, PodTraits] = {}
_since: dict[int, int | None] = {}
_shared: dict[Any, PodTraits] = {}


def _learn(pod: Pod) -> PodTraits:
    if len(_alive) >= _LIMIT:
        forget_pods()
    metadata, owner = pod.metadata, controller_of(pod)
    values = (
        "" if owner is None else owner.uid,
        metadata.namespace,
        metadata.deletion_timestamp is not None,
        pod.status.phase,
        is_pod_ready(pod),
    )
    key = (values, tuple(sorted(metadata.labels.items())))
    traits = _shared.get(key)
    if traits is None:
        uid, namespace, deleting, phase, ready = values
        traits = _shared[key] = PodTraits(uid, metadata.labels, namespace, deleting, phase, ready)
    number = id(pod)
    _alive[number], _since[number], _traits[number] = pod, ready_since(pod), traits
    return traits


def forget_pods() -> None:
    """Let go of all Pods: what is remembered of them is found again where it is asked for."""
    for memory in (_traits, _since, _shared, _alive):
        memory.clear()
    _latest[:] = (), ()


_latest: list[Sequence[Any]] = [(), ()]


def traits_of_pods(pods: Sequence[Pod]) -> Sequence[PodTraits]:
    """The traits of Pods, one for one."""
    if not pods:
        return ()
    if pods is not _latest[0]:
        # A list becomes another object here, and so is looked up anew next time: it may have changed.
        _latest[:] = tuple(pods), _look_up(pods)
    return _latest[1]


def _look_up(pods: Sequence[Pod]) -> Sequence[PodTraits]:
    """Looks at those Pods alone that are not where the latest list has them."""
    known, traits = _latest
    found = list(traits[: len(pods)])
    moved = list(compress(count_from(), map(is_not, pods, known)))
    found += [None] * (len(pods) - len(found))
    for place in (*moved, *range(min(len(known), len(pods)), len(pods))):
        pod = pods[place]
        found[place] = _traits.get(id(pod)) or _learn(pod)
    return found


def ready_times(pods: Sequence[Pod]) -> Sequence[int | None]:
    """`ready_since` of Pods, one for one."""
    found = list(map(_since.get, map(id, pods), repeat(_UNKNOWN)))
    if _UNKNOWN not in found:
        return found
    return [ready_since(pod) if since == _UNKNOWN else since for pod, since in zip(pods, found, strict=True)]


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
    traits = traits_of_pods(pods)
    roles = {trait: role_of(trait) for trait in dict.fromkeys(traits)}
    parts: dict[Role, Sequence[Pod]] = {"active": (), "terminating": (), "finished": ()}
    present = dict.fromkeys(roles.values())
    for role in present:
        alike = len(present) == 1
        parts[role] = pods if alike else [p for p, t in zip(pods, traits, strict=True) if roles[t] == role]
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
    traits = traits_of_pods(pods)
    if min_ready_seconds == 0:
        return {(trait, trait.ready): number for trait, number in Counter(traits).items()}
    latest = now - min_ready_seconds * SECOND
    times = zip(traits, ready_times(pods), strict=True)
    available = Counter([trait for trait, since in times if since is not None and since <= latest])
    groups = {(trait, False): number - available[trait] for trait, number in Counter(traits).items()}
    return groups | {(trait, True): number for trait, number in available.items()}


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
