"""Whether a Pod is ready, since when, and whether it has been for long enough: what all controllers ask of Pods."""

from __future__ import annotations

from k8sfsm.objects import Pod, PodCondition
from k8sfsm.objects.durations import SECOND


def ready_condition(pod: Pod) -> PodCondition | None:
    """The first condition of type Ready, or None.

    Source: pkg/api/v1/pod/util.go: GetPodReadyCondition
    """
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition
    return None


def is_pod_ready(pod: Pod) -> bool:
    """True when the Pod's Ready condition is True.

    Source: pkg/api/v1/pod/util.go: IsPodReady
    """
    for condition in pod.status.conditions:
        if condition.type == "Ready":
            return condition.status == "True"
    return False


def ready_since(pod: Pod) -> int | None:
    """When the Pod became ready (ns since the epoch); None where it is not ready, or not known since when.

    Source: pkg/controller/controller_utils.go: podReadyTime
    """
    condition = ready_condition(pod)
    return condition.last_transition_time if condition is not None and condition.status == "True" else None


def available_at(pod: Pod, min_ready_seconds: int) -> int | None:
    """When a ready Pod is available (ns since the epoch), now or later; None where that is not foreseeable."""
    since = ready_since(pod)
    return None if since is None else since + min_ready_seconds * SECOND


def is_pod_available(pod: Pod, min_ready_seconds: int, now: int) -> bool:
    """True when the Pod has been ready for `min_ready_seconds` at `now` (ns), to the moment.

    Source: pkg/api/v1/pod/util.go: IsPodAvailable
    """
    if not is_pod_ready(pod):
        return False
    if min_ready_seconds == 0:
        return True
    at = available_at(pod, min_ready_seconds)
    return at is not None and at <= now
