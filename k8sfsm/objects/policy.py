# ruff: noqa: RUF009 (shared defaults are frozen values)
"""PodDisruptionBudget. Source: staging/src/k8s.io/api/policy/v1/types.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import NOTHING, IntOrString, Struct, Time, written
from k8sfsm.objects.meta import Condition, LabelSelector, ObjectMeta


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodDisruptionBudgetSpec(Struct):
    """How many Pods must stay, or may be missing; unhealthy_pod_eviction_policy: IfHealthyBudget or AlwaysAllow."""

    min_available: IntOrString | None = None
    selector: LabelSelector | None = None
    max_unavailable: IntOrString | None = None
    unhealthy_pod_eviction_policy: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodDisruptionBudgetStatus(Struct):
    """How many Pods are healthy, and how many may be evicted; disrupted_pods: whose eviction was just granted."""

    observed_generation: int = 0
    disrupted_pods: Mapping[str, Time] = NOTHING
    disruptions_allowed: int = written(0)
    current_healthy: int = written(0)
    desired_healthy: int = written(0)
    expected_pods: int = written(0)
    conditions: tuple[Condition, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodDisruptionBudget(Struct):
    """A limit on the Pods that may be evicted at a time."""

    api_version: ClassVar[str] = "policy/v1"
    kind: ClassVar[str] = "PodDisruptionBudget"

    metadata: ObjectMeta = ObjectMeta()
    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()
