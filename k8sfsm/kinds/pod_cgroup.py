"""What the kernel is told about a Pod: CPU shares and quota, memory limit, and oom_score_adj of its containers.

Source: pkg/kubelet/cm/helpers_linux.go: ResourceConfigForPod; pkg/kubelet/qos/policy.go: GetContainerOOMScoreAdjust.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.kinds.pod_resources import (
    CPU,
    MEMORY,
    ZERO,
    has_pod_level_requests,
    is_sidecar,
    pod_limits,
    pod_requests,
)
from k8sfsm.law import Law
from k8sfsm.objects import Container, Pod

law: Final = Law("cgroup")
_MIRROR: Final = "kubernetes.io/config.mirror"
_CONFIG_SOURCE: Final = "kubernetes.io/config.source"


def cpu_shares(milli_cpu: int) -> int:
    """CPU shares of a request in milli-CPU (MilliCPUToShares)."""
    if milli_cpu == 0:
        return int(law.constant("cpu_shares_min"))
    shares = milli_cpu * law.constant("cpu_shares_per_cpu") // 1000
    return int(min(max(shares, law.constant("cpu_shares_min")), law.constant("cpu_shares_max")))


def cpu_quota(milli_cpu: int, period: int) -> int:
    """Microseconds of CPU time per period (microseconds) of a limit in milli-CPU; 0 for none (MilliCPUToQuota)."""
    return max(milli_cpu * period // 1000, int(law.constant("cpu_quota_min"))) if milli_cpu else 0


@frozen
class Share:
    """A container of a pod on a node with so many bytes of memory: the case of the table `oom-score`."""

    pod: Pod
    container: Container
    capacity: int


def is_critical(pod: Pod) -> bool:
    """Whether the kubelet spares the pod: it is static, or its priority is a system's (types: IsCriticalPod)."""
    notes = pod.metadata.annotations
    static = _MIRROR in notes or notes.get(_CONFIG_SOURCE, "api") != "api"
    return static or (pod.spec.priority or 0) >= law.constant("critical_priority")


@law.fact
def is_node_critical(share: Share) -> bool:
    """The pod is critical and has the class system-node-critical."""
    return share.pod.spec.priority_class_name == "system-node-critical" and is_critical(share.pod)


@law.fact
def pod_qos(case: Share | Claim) -> str:
    """The pod's quality-of-service class."""
    return case.pod.status.qos_class or qos_class(case.pod)


def _memory(container: Container) -> int:
    return container.resources.requests.get(MEMORY, ZERO).value


def _quotient(amount: int, divisor: int) -> int:
    """Division that drops the fraction, as in Go."""
    return amount // divisor if amount >= 0 else -(-amount // divisor)


def _spare_memory(pod: Pod) -> int:
    """What the pod as a whole requests beyond its containers, per container (remainingPodMemReqPerContainer)."""
    if not has_pod_level_requests(pod) or pod.spec.resources is None:
        return 0
    requested = pod.spec.resources.requests.get(MEMORY, ZERO)
    if not requested:
        return 0
    beyond = requested.value - pod_requests(pod, overhead=False, pod_level=False).get(MEMORY, ZERO).value
    containers = len(pod.spec.containers) + len(pod.spec.init_containers)
    return _quotient(beyond, containers)


@law.fact
def share_score(share: Share) -> int:
    """1000 less the container's share of the node's memory in thousandths; a sidecar goes no earlier than the rest."""
    pod, spare = share.pod, _spare_memory(share.pod)
    requests = [_memory(share.container)]
    if share.container in pod.spec.init_containers and is_sidecar(share.container):
        requests.append(min(map(_memory, pod.spec.containers), default=0))
    return min(1000 - _quotient(1000 * (request + spare), share.capacity) for request in requests)


def oom_score_adj(pod: Pod, container: Container, capacity: int) -> int:
    """How readily the kernel kills the container's processes; `capacity`: bytes of memory of the node."""
    share = Share(pod, container, capacity)
    value = law.decide("oom-score", share).outputs["value"]
    return share_score(share) if value is None else int(value)


class Claim:
    """A pod's demands on its cgroup: the case of the table `pod-cgroup`."""

    def __init__(self, pod: Pod) -> None:
        self.pod = pod

    def all_limit(self, resource: str) -> bool:
        """Every container limits the resource, or the pod as a whole does.

        An init container counts together with the sidecars before it: theirs is enough (helpers.go:
        AggregateContainerLimits hands on the running sums).
        """
        whole = self.pod.spec.resources
        if whole is not None and whole.limits.get(resource):
            return True
        if not all(container.resources.limits.get(resource) for container in self.pod.spec.containers):
            return False
        sidecars_limit = False
        for container in self.pod.spec.init_containers:
            limited = sidecars_limit or bool(container.resources.limits.get(resource))
            if not limited:
                return False
            sidecars_limit = sidecars_limit or is_sidecar(container)
        return True


@law.fact
def all_limit_cpu(claim: Claim) -> bool:
    """Every container has a CPU limit, or the pod as a whole has."""
    return claim.all_limit(CPU)


@law.fact
def all_limit_memory(claim: Claim) -> bool:
    """Every container has a memory limit, or the pod as a whole has."""
    return claim.all_limit(MEMORY)


@frozen(kw_only=True)
class PodCgroup:
    """A pod's cgroup: shares, quota and period in microseconds, memory in bytes; None: not set."""

    cpu_shares: int
    cpu_quota: int | None = None
    cpu_period: int | None = None
    memory: int | None = None


def pod_cgroup(pod: Pod) -> PodCgroup:
    """The values of a pod's cgroup, with CPU quotas enforced."""
    outputs = law.decide("pod-cgroup", Claim(pod)).outputs
    requests, limits = pod_requests(pod), pod_limits(pod)
    period = int(law.constant("cpu_quota_period"))
    return PodCgroup(
        cpu_shares=cpu_shares(requests.get(CPU, ZERO).milli_value if outputs["shares"] else 0),
        cpu_quota=cpu_quota(limits.get(CPU, ZERO).milli_value, period) if outputs["quota"] else None,
        cpu_period=period if outputs["quota"] else None,
        memory=limits.get(MEMORY, ZERO).value if outputs["memory"] else None,
    )
