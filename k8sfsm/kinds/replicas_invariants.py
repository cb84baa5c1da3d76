"""What holds of the Pods of ReplicaSets and ReplicationControllers, counted anew."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from k8sfsm.kinds.pod import TERMINAL
from k8sfsm.kinds.pod_readiness import is_pod_available, is_pod_ready
from k8sfsm.kinds.replicaset import being_deleted, failing, generations_behind, law, wanted
from k8sfsm.law import Law
from k8sfsm.objects import Pod, controller_of
from k8sfsm.view import Change, View

controller_law: Final = Law("replicationcontroller")


def _name(obj: Any) -> str:
    return f"{obj.kind} {obj.metadata.namespace}/{obj.metadata.name}"


def _active(view: View, owner: Any) -> list[Pod]:
    """The Pods that an owner has and that count."""
    return [
        pod
        for pod in view.owned("Pod", owner.metadata.uid)
        if pod.metadata.deletion_timestamp is None and pod.status.phase not in TERMINAL
    ]


@law.invariant
def makes_what_is_missing(change: Change, view: View) -> Iterator[str]:
    """A Pod is made for an owner only while it has fewer than it wants, as far as it has noticed what that is."""
    if change.key[0] != "Pod" or change.type != "ADDED":
        return
    reference = controller_of(change.new)
    owner = None if reference is None else view.get(reference.kind, change.key[1], reference.name)
    if reference is None or owner is None or owner.metadata.uid != reference.uid:
        return
    if owner.kind not in ("ReplicaSet", "ReplicationController") or generations_behind(owner):
        return
    count = len(_active(view, owner))
    if count > wanted(owner):
        yield f"{_name(owner)} wants {wanted(owner)} Pods and makes {change.key[2]}, its number {count}"


def _miscounted(kind: str, view: View) -> Iterator[str]:
    for obj in view.list(kind):
        if being_deleted(obj):
            continue
        pods = _active(view, obj)
        ready = sum(1 for pod in pods if is_pod_ready(pod))
        least = obj.spec.min_ready_seconds
        available = sum(1 for pod in pods if is_pod_available(pod, least, view.now))
        for what, found, counted in (
            ("replicas", len(pods), obj.status.replicas),
            ("ready", ready, obj.status.ready_replicas),
            ("available", available, obj.status.available_replicas),
        ):
            if found != counted:
                yield f"{_name(obj)} reports {counted} {what}, there are {found}"


@law.invariant
def counts_its_pods(view: View) -> Iterator[str]:
    """At rest a ReplicaSet reports as many ready and available Pods as it has."""
    return _miscounted("ReplicaSet", view)


@controller_law.invariant
def controller_counts_its_pods(view: View) -> Iterator[str]:
    """At rest a ReplicationController reports as many Pods, ready and available ones as it has."""
    return _miscounted("ReplicationController", view)


@controller_law.invariant
def controller_converges(view: View) -> Iterator[str]:
    """At rest a ReplicationController has as many active Pods as wanted, unless creating them is refused."""
    for obj in view.list("ReplicationController"):
        if not being_deleted(obj) and not failing(obj) and len(_active(view, obj)) != wanted(obj):
            yield f"{_name(obj)} has {len(_active(view, obj))} active Pods, wants {wanted(obj)}"
