"""What a pod counts against the ResourceQuotas of its namespace.

Source: pkg/quota/v1/evaluator/core/pods.go: PodUsageFunc, QuotaV1Pod, podComputeUsageHelper.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.valid.resources import is_extended
from k8sfsm.kinds.pod_resources import pod_limits, pod_requests
from k8sfsm.objects import Pod, Quantity
from k8sfsm.objects.durations import SECOND
from k8sfsm.table import CompiledTable
from k8sfsm.value import value

_ONE: Final = Quantity.parse("1")
_COMMON: Final = ("cpu", "memory", "ephemeral-storage")


@value
class Charged:
    """A pod that is counted at `now` (ns)."""

    pod: Pod
    now: int


@value
class Counted:
    """An amount of a resource that a pod requests, or is limited to (`how`)."""

    resource: str
    how: Literal["request", "limit"]


@law.fact
def pod_over(case: Charged) -> bool:
    """Whether the pod has ended."""
    return case.pod.status.phase in ("Succeeded", "Failed")


@law.fact
def grace_over(case: Charged) -> bool:
    """Whether the pod is being deleted, and its grace period has passed since its deletion was due."""
    meta = case.pod.metadata
    if meta.deletion_timestamp is None or meta.deletion_grace_period_seconds is None:
        return False
    return meta.deletion_timestamp + meta.deletion_grace_period_seconds * SECOND < case.now


@law.fact
def counted_as(case: Counted) -> Literal["request", "limit"]:
    """Whether the amount is requested, or a limit."""
    return case.how


@law.fact
def counted_resource(case: Counted) -> Literal["common", "pages", "extended", "other"]:
    """What the resource is: one that all nodes have, huge pages, one that somebody added, or another one."""
    if case.resource in _COMMON:
        return "common"
    if case.resource.startswith("hugepages-"):
        return "pages"
    return "extended" if is_extended(case.resource) else "other"


def is_charged(case: Charged) -> bool:
    """Whether a pod is charged for more than its being there."""
    return bool(law.decide("charge", case).outputs["charged"])


def pod_usage(pod: Pod, now: int) -> dict[str, Quantity]:
    """What the pod counts at `now` (ns), by the names that quotas use."""
    usage = {"count/pods": _ONE}
    if not is_charged(Charged(pod, now)):
        return usage
    usage["pods"] = _ONE
    usage |= amounts_of(pod_requests(pod, use_status=True), pod_limits(pod))
    return usage


def amounts_of(requests: Mapping[str, Quantity], limits: Mapping[str, Quantity]) -> dict[str, Quantity]:
    """What requests and limits count, by the names that quotas use."""
    found: dict[str, Quantity] = {}
    groups: tuple[tuple[Literal["request", "limit"], Mapping[str, Quantity]], ...] = (
        ("request", requests),
        ("limit", limits),
    )
    for how, amounts in groups:
        for resource, amount in amounts.items():
            for name in counted_names(resource, how):
                found[name] = amount
    return found


def counted_names(resource: str, how: Literal["request", "limit"]) -> tuple[str, ...]:
    """The names under which an amount of a resource counts."""
    return _counted_names(law.table("counted"), resource, how)


@lru_cache(maxsize=1024)
def _counted_names(table: CompiledTable, resource: str, how: Literal["request", "limit"]) -> tuple[str, ...]:
    rows = table.collect(Counted(resource, how))
    return tuple(row.outputs["name"].format(resource) for row in rows)
