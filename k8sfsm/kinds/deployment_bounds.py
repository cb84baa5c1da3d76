"""How many pods a rolling update may have too many, and too few.

Source: pkg/controller/deployment/util/deployment_util.go: ResolveFenceposts, MaxSurge, MaxUnavailable, MinAvailable.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from k8sfsm.apiserver.memo import Memo
from k8sfsm.law import Law
from k8sfsm.objects import Deployment, IntOrString, ReplicaSet
from k8sfsm.objects.percent import scaled_value

law: Final = Law("deployment")


def replicas_of(obj: Deployment | ReplicaSet) -> int:
    """spec.replicas; the API server has defaulted it."""
    return 1 if obj.spec.replicas is None else obj.spec.replicas


@frozen
class Fenceposts:
    """Pods above `replicas` (`surge`) and below it (`unavailable`) that are allowed, as written and not yet capped."""

    surge: int
    unavailable: int


@law.fact
def surge(case: Fenceposts) -> int:
    """Pods that may be made before old ones go."""
    return case.surge


@law.fact
def unavailable(case: Fenceposts) -> int:
    """Pods that may be missing."""
    return case.unavailable


def resolve(max_surge: IntOrString | None, max_unavailable: IntOrString | None, replicas: int) -> Fenceposts:
    """Both bounds as numbers of pods. Raises ValueError for a text that is no percentage."""
    posts = Fenceposts(
        scaled_value(0 if max_surge is None else max_surge, replicas, round_up=True),
        scaled_value(0 if max_unavailable is None else max_unavailable, replicas, round_up=False),
    )
    instead: int | None = law.decide("fenceposts", posts).outputs["instead"]
    return posts if instead is None else Fenceposts(posts.surge, instead)


@frozen
class Bounds:
    """A Deployment whose bounds are asked for."""

    deployment: Deployment


@law.fact
def rolls(case: Bounds) -> bool:
    """The strategy is RollingUpdate."""
    return case.deployment.spec.strategy.type == "RollingUpdate"


def _resolved(deployment: Deployment) -> Fenceposts:
    rolling = deployment.spec.strategy.rolling_update
    if rolling is None:
        return Fenceposts(0, 0)
    try:
        return resolve(rolling.max_surge, rolling.max_unavailable, replicas_of(deployment))
    except ValueError:
        return Fenceposts(0, 0)


def _allowed(deployment: Deployment) -> Fenceposts:
    """The bounds of a Deployment, which follow from its spec."""
    parts = (law.edition, deployment.spec)
    found: Fenceposts | None = _ALLOWED.get(parts)
    if found is None:
        counted = law.decide("bounds", Bounds(deployment)).outputs["counted"]
        found = _resolved(deployment) if counted else Fenceposts(0, 0)
        _ALLOWED.put(parts, found)
    return found


_ALLOWED: Final = Memo()


def max_surge(deployment: Deployment) -> int:
    """Pods above spec.replicas that the strategy allows."""
    return _allowed(deployment).surge


def max_unavailable(deployment: Deployment) -> int:
    """Pods below spec.replicas that the strategy allows; never more than there are to be."""
    return min(_allowed(deployment).unavailable, replicas_of(deployment))


def min_available(deployment: Deployment) -> int:
    """Pods that must stay available."""
    return replicas_of(deployment) - max_unavailable(deployment)
