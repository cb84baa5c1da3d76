"""What holds at rest of taints that drive Pods away, of budgets, and of what belongs to things that are gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from k8sfsm.kinds.disruption_budget import matches
from k8sfsm.kinds.pod import TERMINAL
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Law
from k8sfsm.objects import Pod, Taint
from k8sfsm.objects.durations import SECOND
from k8sfsm.scheduler.invariants import bearing
from k8sfsm.view import View

_MARGIN: Final = 60 * SECOND
taint_law: Final = Law("tainteviction")
budget_law: Final = Law("disruption")
collector_law: Final = Law("garbagecollector")
pod_collector_law: Final = Law("podgc")
_COLLECTED: Final = ("Pod", "ReplicaSet", "EndpointSlice", "ControllerRevision")


def _name(obj: Any) -> str:
    return f"{obj.kind} {obj.metadata.namespace}/{obj.metadata.name}"


def _stays(pod: Pod, taint: Taint, now: int) -> bool:
    """Whether a Pod may be there still."""
    fitting = bearing(pod.spec.tolerations, taint)
    if not fitting:
        return False
    limits = [each.toleration_seconds for each in fitting if each.toleration_seconds is not None]
    if not limits or taint.time_added is None:
        return True
    return now < taint.time_added + max(min(limits), 0) * SECOND + _MARGIN


@taint_law.invariant
def driven_away(view: View) -> Iterator[str]:
    """At rest no Pod stays on a node with a NoExecute taint that it does not tolerate, or not for so long."""
    for node in view.list("Node"):
        marks = [taint for taint in node.spec.taints if taint.effect == "NoExecute"]
        for pod in view.on_node(node.metadata.name) if marks else ():
            if pod.metadata.deletion_timestamp is not None or pod.status.phase in TERMINAL:
                continue
            for taint in marks:
                if not _stays(pod, taint, view.now):
                    yield f"{_name(pod)} is still on {node.metadata.name}, which has {taint.key}"


@budget_law.invariant
def counts_the_healthy(view: View) -> Iterator[str]:
    """At rest a budget counts the Ready Pods that it selects, and allows as many evictions as there are to spare."""
    for budget in view.list("PodDisruptionBudget"):
        status = budget.status
        if budget.metadata.deletion_timestamp is not None:
            continue
        pods = [pod for pod in view.list("Pod", budget.metadata.namespace) if matches(budget, pod)]
        going = [pod for pod in pods if pod.metadata.deletion_timestamp is not None or pod.status.phase in TERMINAL]
        healthy = sum(1 for pod in pods if is_pod_ready(pod) and pod not in going)
        if status.current_healthy != healthy:
            yield f"{_name(budget)} counts {status.current_healthy} healthy Pods, there are {healthy}"
        spare = max(status.current_healthy - status.desired_healthy, 0) if status.expected_pods else 0
        if status.disruptions_allowed != spare:
            yield f"{_name(budget)} allows {status.disruptions_allowed} evictions, {spare} are to spare"
        least = budget.spec.min_available
        if isinstance(least, int) and status.desired_healthy != least:
            yield f"{_name(budget)} wants {status.desired_healthy} healthy Pods, asked for are {least}"
        if status.observed_generation != budget.metadata.generation:
            yield f"{_name(budget)} has the status of generation {status.observed_generation}"


@collector_law.invariant
def no_dependents_of_the_gone(view: View) -> Iterator[str]:
    """At rest nothing is left of which all owners are gone."""
    for kind in _COLLECTED:
        for obj in view.list(kind):
            owners = obj.metadata.owner_references
            if owners and not obj.metadata.finalizers and not any(_is_there(view, obj, owner) for owner in owners):
                yield f"{_name(obj)} is left of {owners[0].kind} {owners[0].name}"


def _is_there(view: View, obj: Any, owner: Any) -> bool:
    for namespace in (obj.metadata.namespace, ""):
        found = view.get(owner.kind, namespace, owner.name)
        if found is not None and found.metadata.uid == owner.uid:
            return True
    return False


@collector_law.invariant
def waits_for_dependents_only(view: View) -> Iterator[str]:
    """At rest nothing waits for dependents that it has not: foreground deletion ends, orphaning too."""
    for kind in ("Deployment", "ReplicaSet", "ReplicationController", "Service"):
        for obj in view.list(kind):
            if obj.metadata.deletion_timestamp is None:
                continue
            left = [each for name in _COLLECTED for each in view.dependents(name, obj.metadata.uid)]
            if "orphan" in obj.metadata.finalizers or ("foregroundDeletion" in obj.metadata.finalizers and not left):
                yield f"{_name(obj)} still waits for {obj.metadata.finalizers[0]}"


@pod_collector_law.invariant
def no_pods_of_gone_nodes(view: View) -> Iterator[str]:
    """At rest no Pod is bound to a node that is not there any more."""
    for pod in view.list("Pod"):
        if pod.spec.node_name and view.get("Node", "", pod.spec.node_name) is None and not pod.metadata.finalizers:
            yield f"{_name(pod)} is bound to {pod.spec.node_name}, which is gone"
