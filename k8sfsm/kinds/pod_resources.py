"""Effective requests and limits of a Pod: the one formula that scheduler, kubelet and quota share.

Source: staging/src/k8s.io/component-helpers/resource/helpers.go: PodRequests, PodLimits, AggregateContainerRequests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from k8sfsm.objects import Container, ContainerStatus, Pod, Quantity
from k8sfsm.value import value

ResourceList: TypeAlias = Mapping[str, Quantity]
"""Resource name -> amount."""

CPU: Final = "cpu"
MEMORY: Final = "memory"
ZERO: Final = Quantity()
EPHEMERAL_STORAGE: Final = "ephemeral-storage"
PODS: Final = "pods"

MISSING_CPU: Final = Quantity.of_milli(100)
MISSING_MEMORY: Final = Quantity.of(200 * 1024 * 1024)
NON_MISSING: Final[ResourceList] = {CPU: MISSING_CPU, MEMORY: MISSING_MEMORY}
"""What scoring takes a container to request that requests nothing (pkg/scheduler/util/pod_resources.go)."""


def add(total: dict[str, Quantity], amounts: ResourceList) -> None:
    """Add `amounts` to `total`, resource by resource."""
    for name, amount in amounts.items():
        known = total.get(name)
        total[name] = amount if known is None else known + amount


def raise_to(total: dict[str, Quantity], amounts: ResourceList) -> None:
    """Raise `total` to `amounts` where it is lower or has no entry."""
    for name, amount in amounts.items():
        known = total.get(name)
        if known is None or known < amount:
            total[name] = amount


def is_pod_level(name: str) -> bool:
    """May `spec.resources` of a Pod set this resource (helpers.go: IsSupportedPodLevelResource)?"""
    return name in (CPU, MEMORY) or name.startswith("hugepages-")


def is_sidecar(container: Container) -> bool:
    """Is an init container one that keeps running?"""
    return container.restart_policy == "Always"


def _aggregate(pod: Pod, of: Callable[[Container], ResourceList]) -> dict[str, Quantity]:
    """What the pod needs at its most demanding moment: all at once, or the init containers one by one.

    A sidecar counts from its place in the list of init containers on, and beside the regular containers.
    """
    total: dict[str, Quantity] = {}
    for container in pod.spec.containers:
        add(total, of(container))
    sidecars: dict[str, Quantity] = {}
    peak: dict[str, Quantity] = {}
    for container in pod.spec.init_containers:
        if is_sidecar(container):
            add(total, of(container))
            add(sidecars, of(container))
            raise_to(peak, sidecars)
            continue
        moment = dict(of(container))
        add(moment, sidecars)
        raise_to(peak, moment)
    raise_to(total, peak)
    return total


def _resize_infeasible(pod: Pod) -> bool:
    return any(c.type == "PodResizePending" and c.reason == "Infeasible" for c in pod.status.conditions)


def _largest(lists: Iterable[ResourceList]) -> dict[str, Quantity]:
    result: dict[str, Quantity] = {}
    for amounts in lists:
        raise_to(result, amounts)
    return result


def _allocated(pod: Pod, container: Container, statuses: Mapping[str, ContainerStatus]) -> ResourceList:
    """A container's requests in the light of what the kubelet has given it (helpers.go: determineContainerReqs)."""
    status = statuses.get(container.name)
    if status is None or status.resources is None:
        return container.resources.requests
    wanted = () if _resize_infeasible(pod) else (container.resources.requests,)
    return _largest((*wanted, status.resources.requests, status.allocated_resources))


def _requests_of(pod: Pod, use_status: bool, non_missing: ResourceList) -> Callable[[Container], ResourceList]:
    statuses: dict[str, ContainerStatus] = {}
    if use_status:
        sidecars = {container.name for container in pod.spec.init_containers if is_sidecar(container)}
        statuses.update((status.name, status) for status in pod.status.container_statuses)
        statuses.update((s.name, s) for s in pod.status.init_container_statuses if s.name in sidecars)

    def requests_of(container: Container) -> ResourceList:
        own = _allocated(pod, container, statuses) if statuses else container.resources.requests
        if not non_missing or all(name in own for name in non_missing):
            return own
        return {**non_missing, **own}

    return requests_of


def has_pod_level_requests(pod: Pod) -> bool:
    """Does `spec.resources` set a request (helpers.go: IsPodLevelRequestsSet)?"""
    return pod.spec.resources is not None and any(is_pod_level(name) for name in pod.spec.resources.requests)


def pod_requests(
    pod: Pod,
    *,
    overhead: bool = True,
    pod_level: bool = True,
    use_status: bool = False,
    non_missing: ResourceList | None = None,
) -> dict[str, Quantity]:
    """What a Pod requests, by resource.

    `overhead`: add `spec.overhead`. `pod_level`: let `spec.resources` replace the sum of the containers.
    `use_status`: count what the kubelet has allocated during a resize, where it is more. `non_missing`: taken for a
    container that has no entry of its own.
    """
    total = _aggregate(pod, _requests_of(pod, use_status, non_missing or {}))
    if pod_level and has_pod_level_requests(pod):
        assert pod.spec.resources is not None
        total.update({name: q for name, q in pod.spec.resources.requests.items() if is_pod_level(name)})
    if overhead:
        add(total, pod.spec.overhead)
    return total


def pod_limits(pod: Pod, *, overhead: bool = True, pod_level: bool = True) -> dict[str, Quantity]:
    """What limits a Pod, by resource; overhead is added only to resources that have a limit."""
    total = _aggregate(pod, lambda container: container.resources.limits)
    if pod_level and pod.spec.resources is not None:
        total.update({name: q for name, q in pod.spec.resources.limits.items() if is_pod_level(name)})
    if overhead:
        add(total, {name: amount for name, amount in pod.spec.overhead.items() if total.get(name)})
    return total


@value
class PodRequest:
    """A Pod's requests as the scheduler counts them: milli-CPU, bytes, and units of any other resource.

    `scoring_cpu`, `scoring_memory`: the same with the substitutes for containers that request nothing.
    """

    cpu: int
    memory: int
    ephemeral_storage: int
    scalars: tuple[tuple[str, int], ...]
    scoring_cpu: int
    scoring_memory: int

    @property
    def compute_free(self) -> bool:
        """Neither cpu nor memory is requested."""
        return not self.cpu and not self.memory

    def of(self, resource: str) -> int:
        """The amount of one resource; 0 where none is requested."""
        if resource == CPU:
            return self.cpu
        if resource == MEMORY:
            return self.memory
        if resource == EPHEMERAL_STORAGE:
            return self.ephemeral_storage
        return dict(self.scalars).get(resource, 0)


def is_scalar(name: str) -> bool:
    """Is the resource counted in whole units: extended, huge pages or attachable volumes?

    Source: pkg/scheduler/util/utils.go: IsScalarResourceName.
    """
    if name.startswith(("hugepages-", "attachable-volumes-")):
        return True
    return "/" in name and not name.startswith("requests.")


def _amount(amounts: ResourceList, name: str) -> int:
    found = amounts.get(name)
    if found is None:
        return 0
    return found.milli_value if name == CPU else found.value


def _scoring(pod: Pod, counted: ResourceList, *, incoming: bool) -> ResourceList:
    """Requests with substitutes. A pod on a node with pod-level requests gets them only for what it lacks as a whole.

    Source: pkg/scheduler/framework/types.go: getNonMissingContainerRequests;
    plugins/noderesources/resource_allocation.go: calculatePodResourceRequest (`incoming`).
    """
    if incoming or not has_pod_level_requests(pod):
        substitutes: ResourceList = NON_MISSING
    else:
        substitutes = {name: amount for name, amount in NON_MISSING.items() if name not in counted}
    if not substitutes:
        return counted
    return pod_requests(pod, use_status=True, non_missing=substitutes)


def scheduler_request(pod: Pod, *, incoming: bool = False) -> PodRequest:
    """A Pod's requests for the scheduler. `incoming`: it is the one to be placed, not one on a node.

    Source: pkg/scheduler/framework/types.go: PodInfo.CalculateResource.
    """
    counted = pod_requests(pod, use_status=True)
    scoring = _scoring(pod, counted, incoming=incoming)
    return PodRequest(
        _amount(counted, CPU),
        _amount(counted, MEMORY),
        _amount(counted, EPHEMERAL_STORAGE),
        tuple(sorted((name, amount.value) for name, amount in counted.items() if is_scalar(name))),
        _amount(scoring, CPU),
        _amount(scoring, MEMORY),
    )


def resource_request(pod: Pod, name: str) -> Quantity:
    """One resource by the kubelet's own formula: pod-level requests hide the containers' altogether, and overhead
    counts only where something is requested.

    Source: pkg/api/v1/resource/helpers.go: GetResourceRequestQuantity.
    """
    if has_pod_level_requests(pod):
        assert pod.spec.resources is not None
        requested = pod.spec.resources.requests.get(name, ZERO)
    else:
        requested = pod_requests(pod, overhead=False).get(name, ZERO)
    return requested + pod.spec.overhead[name] if requested and name in pod.spec.overhead else requested
