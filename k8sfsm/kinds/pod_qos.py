"""The quality-of-service class of a Pod.

Source: pkg/apis/core/helper/qos/qos.go: ComputePodQOS.
"""

from __future__ import annotations

from typing import Final

from k8sfsm.objects import Pod, Quantity, ResourceRequirements

_COUNTED: Final = ("cpu", "memory")


def qos_class(pod: Pod) -> str:
    """Guaranteed, Burstable or BestEffort, by the cpu and memory requests and limits of all containers."""
    parts: tuple[ResourceRequirements, ...]
    if pod.spec.resources is not None:
        parts = (pod.spec.resources,)
    else:
        parts = tuple(c.resources for c in (*pod.spec.containers, *pod.spec.init_containers))
    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    all_limited = True
    for resources in parts:
        for name in _COUNTED:
            asked, limit = resources.requests.get(name), resources.limits.get(name)
            if asked is not None and asked.sign > 0:
                requests[name] = requests[name] + asked if name in requests else asked
            if limit is not None and limit.sign > 0:
                limits[name] = limits[name] + limit if name in limits else limit
            else:
                all_limited = False
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if all_limited and requests == limits else "Burstable"
