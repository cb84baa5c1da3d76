"""Facts, guards and invariants of the Pod's machine."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Law, Transition
from k8sfsm.objects import Pod
from k8sfsm.view import View

law = Law("pod")

TERMINAL = ("Succeeded", "Failed")


@law.fact
def phase(pod: Pod) -> str:
    """`status.phase`."""
    return pod.status.phase


@law.fact
def is_assigned(pod: Pod) -> bool:
    """The Pod has a node."""
    return pod.spec.node_name != ""


@law.fact
def reported_by_kubelet(pod: Pod) -> bool:
    """A kubelet has written the Pod's status: it sets startTime first of all."""
    return pod.status.start_time is not None


@law.fact
def condition_ready(pod: Pod) -> bool:
    """The condition Ready is True."""
    return is_pod_ready(pod)


@law.fact
def is_marked(pod: Pod) -> bool:
    """The Pod has a deletionTimestamp."""
    return pod.metadata.deletion_timestamp is not None


@law.fact
def grace_left(pod: Pod) -> bool:
    """The deletion leaves the Pod time to stop."""
    return (pod.metadata.deletion_grace_period_seconds or 0) > 0


@law.reading(phase, is_assigned, reported_by_kubelet, condition_ready, is_marked, grace_left)
def standing(pod: Pod) -> tuple[object, ...]:
    """All that these facts look at: a cluster's pods stand in few ways, and are looked at twice at every write."""
    status, meta = pod.status, pod.metadata
    deletion = meta.deletion_timestamp is None, meta.deletion_grace_period_seconds
    return status.phase, pod.spec.node_name == "", status.start_time is None, is_pod_ready(pod), deletion


def running_containers(pod: Pod) -> tuple[str, ...]:
    """Names of the containers that the status shows as running."""
    statuses = (*pod.status.init_container_statuses, *pod.status.container_statuses)
    return tuple(each.name for each in statuses if each.state.running is not None)


# -- guards -----------------------------------------------------------------------------------------------------------


@law.guard
def begins_pending(write: Transition) -> bool:
    """A new Pod's phase is Pending, whatever its maker wrote."""
    return write.new.status.phase in ("", "Pending")


@law.guard
def not_deleted(write: Transition) -> bool:
    """Nobody has asked for the Pod's deletion."""
    return write.new.metadata.deletion_timestamp is None


@law.guard
def node_kept(write: Transition) -> bool:
    """The Pod stays on its node."""
    return bool(write.old.spec.node_name == write.new.spec.node_name)


@law.guard
def has_init_containers(write: Transition) -> bool:
    """The Pod has init containers."""
    return bool(write.new.spec.init_containers)


@law.guard
def nothing_runs(write: Transition) -> bool:
    """The status shows no running container."""
    return not running_containers(write.new)


@law.guard
def no_finalizers_left(write: Transition) -> bool:
    """No finalizer keeps the Pod, or the last one has just been taken off."""
    return len(write.old.metadata.finalizers) <= 1


@law.guard
def runs_now(write: Transition) -> bool:
    """The phase is Running."""
    return bool(write.new.status.phase == "Running")


@law.guard
def phase_unchanged(write: Transition) -> bool:
    """The phase stays as it is."""
    return bool(write.old.status.phase == write.new.status.phase)


# -- invariants -------------------------------------------------------------------------------------------------------


def _name(pod: Pod) -> str:
    return f"Pod {pod.metadata.namespace}/{pod.metadata.name}"


@law.invariant
def over_is_not_ready(view: View) -> Iterator[str]:
    """A Pod that has succeeded or failed is not Ready. A Pod that was given up may still be marked so."""
    for pod in view.list("Pod"):
        given_up = any(each.reason == "DeletionByPodGC" for each in pod.status.conditions)
        if pod.status.phase in TERMINAL and is_pod_ready(pod) and not given_up:
            yield f"{_name(pod)} is {pod.status.phase} and Ready"


@law.fact
def address_held(pod: Pod) -> str:
    """The address that a Pod holds while it runs and is to go on; "" where it holds none, or has its node's."""
    address = pod.status.pod_ip
    if not address or pod.spec.host_network or pod.status.phase != "Running" or not running_containers(pod):
        return ""
    return address if pod.metadata.deletion_timestamp is None else ""


@law.invariant
def addresses_differ(view: View) -> Iterator[str]:
    """No two Pods that run and are not on their nodes' networks have one address."""
    owners: dict[str, str] = {}
    for pod in view.list("Pod"):
        address = address_held(pod)
        if not address:
            continue
        other = owners.setdefault(address, _name(pod))
        if other != _name(pod):
            yield f"{_name(pod)} has the address {address} of {other}"


@law.invariant
def nothing_runs_after_success(view: View) -> Iterator[str]:
    """No container of a Pod that has succeeded runs."""
    for pod in view.list("Pod"):
        if pod.status.phase == "Succeeded" and running_containers(pod):
            yield f"{_name(pod)} has succeeded, and {running_containers(pod)[0]} runs"


@law.invariant
def reported_on_its_node(view: View) -> Iterator[str]:
    """A Pod without a node has no container statuses."""
    for pod in view.list("Pod"):
        if not pod.spec.node_name and pod.status.container_statuses:
            yield f"{_name(pod)} has container statuses and no node"
