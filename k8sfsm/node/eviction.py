"""Which pod a kubelet evicts first when its node runs short of memory, disk or process ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.kinds.pod_cgroup import is_critical
from k8sfsm.kinds.pod_resources import pod_requests
from k8sfsm.law import Law
from k8sfsm.objects import Pod

law = Law("kubelet")

Pressure: TypeAlias = Literal["memory", "disk", "processes"]
_ORDERS: Final = {"memory": "memory-eviction", "disk": "disk-eviction", "processes": "process-eviction"}
_REQUESTED: Final = {"memory": "memory", "disk": "ephemeral-storage"}


@frozen(kw_only=True)
class Usage:
    """What a pod uses of what is short: bytes, or processes. `used` None: there are no figures."""

    pod: Pod
    pressure: Pressure
    used: int | None
    hard: bool = True

    @property
    def requested(self) -> int:
        """Bytes that the pod requests of what is short."""
        found = pod_requests(self.pod).get(_REQUESTED.get(self.pressure, ""))
        return 0 if found is None else found.value


@law.fact
def measured(usage: Usage) -> bool:
    """There are figures of the pod."""
    return usage.used is not None


@law.fact
def over_request(usage: Usage) -> bool:
    """The pod uses more than it requests."""
    return usage.used is not None and usage.used > usage.requested


@law.fact
def pod_priority(usage: Usage) -> int:
    """The pod's priority."""
    return usage.pod.spec.priority or 0


@law.fact
def excess(usage: Usage) -> int:
    """Bytes that the pod uses beyond its request; negative where it uses less."""
    return (usage.used or 0) - usage.requested


@law.fact
def processes(usage: Usage) -> int:
    """How many processes the pod has."""
    return usage.used or 0


@law.fact
def spared(usage: Usage) -> bool:
    """The kubelet never evicts the pod."""
    return is_critical(usage.pod)


@law.fact
def threshold_kind(usage: Usage) -> Literal["hard", "soft"]:
    """Whether the threshold that was met is a hard one."""
    return "hard" if usage.hard else "soft"


def ranked(usages: Iterable[Usage], pressure: Pressure) -> tuple[Usage, ...]:
    """The pods in the order in which they would be evicted, those included that never are."""
    return law.order(_ORDERS[pressure], tuple(usages), None)


def evicted(usages: Iterable[Usage], pressure: Pressure) -> tuple[Pod, int] | None:
    """The one pod that a round evicts, and the seconds that it gets; None where none may be evicted."""
    for usage in ranked(usages, pressure):
        verdict = law.decide("evictable", usage).outputs
        if verdict["evicted"]:
            return usage.pod, _grace(usage.pod, verdict["grace"])
    return None


def _grace(pod: Pod, kind: str) -> int:
    """Source: eviction_manager.go: synchronize; a soft threshold leaves at most the configured longest time."""
    own = pod.spec.termination_grace_period_seconds
    longest = int(law.constant("soft_eviction_grace"))
    return {
        "shortest": int(law.constant("hard_eviction_grace")),
        "own": longest if own is None else min(own, longest),
    }[kind]
