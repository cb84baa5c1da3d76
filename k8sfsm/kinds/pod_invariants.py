"""What holds of the Pods of a node that works: they are started, reported truly, and gone when they are to go."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Final

from k8sfsm.kinds.node_invariants import heard_nodes
from k8sfsm.kinds.pod import TERMINAL, law
from k8sfsm.machine import Machines
from k8sfsm.objects import ContainerStatus, Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.spec.loader import specs_dir
from k8sfsm.view import Change, View

_LATE: Final = 60 * SECOND
"""So long after its grace period a Pod that was deleted is gone."""
_UNSTARTED: Final = ("ContainerCreating", "PodInitializing")


def _name(pod: Pod) -> str:
    return f"Pod {pod.metadata.namespace}/{pod.metadata.name}"


def _condition(pod: Pod, kind: str) -> str:
    return next((each.status for each in pod.status.conditions if each.type == kind), "")


def _of_working_nodes(view: View) -> Iterator[Pod]:
    """Pods that stay, on nodes whose kubelets are heard and that mount nothing which somebody else must attach."""
    heard = heard_nodes(view)
    for pod in view.list("Pod"):
        stays = pod.metadata.deletion_timestamp is None
        mounts = any("persistentVolumeClaim" in volume for volume in pod.spec.volumes)
        if stays and not mounts and pod.spec.node_name in heard:
            yield pod


def _begun(status: ContainerStatus) -> bool:
    """Whether a container runs, has ended, or waits for something that went wrong."""
    waiting = status.state.waiting
    return waiting is None or waiting.reason not in _UNSTARTED


@law.invariant
def containers_started(view: View) -> Iterator[str]:
    """At rest each container of a Pod on a working node runs, has ended, or waits because something went wrong."""
    for pod in _of_working_nodes(view):
        if pod.status.phase in TERMINAL:
            continue
        begun = {status.name for status in pod.status.container_statuses if _begun(status)}
        held = any(
            status.state.terminated is None or status.state.terminated.exit_code
            for status in pod.status.init_container_statuses
            if not (status.started and status.state.running is not None)
        )
        missing = [container.name for container in pod.spec.containers if container.name not in begun]
        if missing and not held:
            yield f"{_name(pod)}: {missing[0]} is not started on {pod.spec.node_name}"


@law.invariant
def phase_told_truly(view: View) -> Iterator[str]:
    """At rest a Pod on a working node is Running where a container runs, and over where all have ended for good."""
    for pod in _of_working_nodes(view):
        statuses = pod.status.container_statuses
        runs = any(status.state.running is not None for status in statuses)
        if runs and pod.status.phase != "Running":
            yield f"{_name(pod)} is {pod.status.phase}, though a container runs"
        codes = [status.state.terminated.exit_code for status in statuses if status.state.terminated is not None]
        if len(codes) == len(pod.spec.containers) and pod.spec.restart_policy == "Never":
            wanted = "Failed" if any(codes) else "Succeeded"
            if pod.status.phase != wanted:
                yield f"{_name(pod)} is {pod.status.phase}, its containers have ended with {codes}"


@law.invariant
def ready_with_its_containers(view: View) -> Iterator[str]:
    """At rest a Pod on a working node is Ready where all of its containers are, and only there."""
    for pod in _of_working_nodes(view):
        if pod.spec.readiness_gates or pod.status.phase in TERMINAL:
            continue
        statuses = pod.status.container_statuses
        ready = len(statuses) == len(pod.spec.containers) and all(status.ready for status in statuses)
        for kind in ("ContainersReady", "Ready"):
            if (_condition(pod, kind) == "True") is not ready:
                found = _condition(pod, kind) or "not set"
                yield f"{_name(pod)} has {kind} {found}, its containers are {'' if ready else 'not '}ready"


@law.invariant
def ready_where_it_runs(view: View) -> Iterator[str]:
    """A container that is ready runs."""
    for pod in view.list("Pod"):
        for status in pod.status.container_statuses:
            if status.ready and status.state.running is None:
                yield f"{_name(pod)}: {status.name} is ready and does not run"


@law.invariant
def restarts_counted(change: Change, view: View) -> Iterator[str]:
    """The restarts of a container never get fewer."""
    old, new = change.old, change.new
    if change.key[0] != "Pod" or change.type != "MODIFIED" or old.metadata.uid != new.metadata.uid:
        return
    before = {status.name: status for status in old.status.container_statuses}
    for status in new.status.container_statuses:
        past = before.get(status.name)
        if past is not None and status.restart_count < past.restart_count:
            fewer = f"from {past.restart_count} to {status.restart_count}"
            yield f"{_name(new)}: the restarts of {status.name} went {fewer}"


@law.invariant
def containers_move_legally(change: Change, view: View) -> Iterator[str]:
    """What a kubelet reports of a container is a transition of the machine of containers."""
    if change.key[0] != "Pod" or change.type != "MODIFIED" or change.old.status is change.new.status:
        return
    before = {status.name: status for status in change.old.status.container_statuses}
    machines = _machines(specs_dir())
    for status in change.new.status.container_statuses:
        past = before.get(status.name)
        if past is status or change.old.metadata.uid != change.new.metadata.uid:
            continue
        for illegal in machines.check_part("Container", past, status, "kubelet", view.now).illegal:
            yield f"{_name(change.new)}: {status.name}: {illegal}"


@lru_cache(maxsize=8)
def _machines(path: Path) -> Machines:
    return Machines.load(path)


@law.invariant
def told_of_its_node(view: View) -> Iterator[str]:
    """At rest a Pod on a working node has the condition PodScheduled."""
    for pod in _of_working_nodes(view):
        if _condition(pod, "PodScheduled") != "True":
            yield f"{_name(pod)} is on {pod.spec.node_name} and not PodScheduled"


@law.invariant
def gone_after_its_grace(view: View) -> Iterator[str]:
    """At rest a Pod that was deleted is gone, unless its node is silent or a finalizer keeps it."""
    heard = heard_nodes(view)
    for pod in view.list("Pod"):
        ends = pod.metadata.deletion_timestamp
        if ends is None or pod.metadata.finalizers or ends + _LATE > view.now:
            continue
        if pod.spec.node_name in heard or not pod.spec.node_name:
            yield f"{_name(pod)} should have gone {(view.now - ends) // SECOND} s ago"
