"""The pod garbage collector: deletes Pods of nodes that are gone, and others that nobody else deletes.

Source: pkg/controller/podgc/gc_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import field, frozen

from k8sfsm.controllers.nodelifecycle.health import ready_of
from k8sfsm.controllers.pod_changes import asked_in_bulk
from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import Node, Pod, format_time, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import Delete, Key, Noticed, Patch, Plan, Remember, Step, regardless
from k8sfsm.view import Change, View

law = Law("podgc")

ROUND: Final[Key] = ("PodGC", "", "round")
QUARANTINE: Final = "quarantine"
OUT_OF_SERVICE: Final = "node.kubernetes.io/out-of-service"
_RUNNING: Final = ("Pending", "Running", "Unknown")
_OVER: Final = ("Succeeded", "Failed")


@law.key
@asked_in_bulk(lambda changes, view: Noticed())
def nothing(change: Change, view: View) -> tuple[Key, ...]:
    """No key: rounds come at their time."""
    return ()


@frozen
class Missing:
    """A node that Pods name; `until`: the end of its quarantine (ns), None where it is in none."""

    name: str
    listed: bool
    until: int | None
    view: View


@frozen(kw_only=True)
class Suspect:
    """A Pod in a round. `surplus`: names of those that have ended and are too many; `deleted`: nodes that are gone."""

    pod: Pod
    view: View
    surplus: frozenset[Key] = field(factory=frozenset)
    deleted: frozenset[str] = field(factory=frozenset)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_listed(case: Missing) -> bool:
    """The node is in the cache."""
    return case.listed


@law.fact
def quarantined(case: Missing) -> bool:
    """It is in quarantine."""
    return case.until is not None


@law.fact
def quarantine_over(case: Missing) -> bool:
    """Its quarantine has ended."""
    return case.until is not None and case.until <= case.view.now


@law.fact
def node_answers(case: Missing) -> bool:
    """The API server itself knows the node."""
    store = case.view.store
    return store is not None and store.get("Node", "", case.name) is not None


@law.fact
def surplus(case: Suspect) -> bool:
    """The Pod has ended, and is one of those beyond the threshold."""
    return key_of(case.pod) in case.surplus


@law.fact
def pod_deleting(case: Suspect) -> bool:
    """The Pod's deletionTimestamp is set."""
    return case.pod.metadata.deletion_timestamp is not None


@law.fact
def pod_unplaced(case: Suspect) -> bool:
    """The Pod is on no node."""
    return not case.pod.spec.node_name


@law.fact
def out_of_service(case: Suspect) -> bool:
    """The Pod's node is not ready and has the taint out-of-service."""
    node: Node | None = case.view.get("Node", "", case.pod.spec.node_name)
    if node is None:
        return False
    ready = ready_of(node)
    return (ready is None or ready.status != "True") and any(each.key == OUT_OF_SERVICE for each in node.spec.taints)


@law.fact
def node_deleted(case: Suspect) -> bool:
    """The Pod's node has been missing for the time of the quarantine."""
    return case.pod.spec.node_name in case.deleted


@law.fact
def pod_over(case: Suspect) -> bool:
    """The Pod's phase is Succeeded or Failed."""
    return case.pod.status.phase in _OVER


@law.fact
def was_evicted(pod: Pod) -> bool:
    """A kubelet evicted it. Source: pkg/kubelet/eviction/eviction_manager.go: PodIsEvicted."""
    return pod.status.phase == "Failed" and pod.status.reason == "Evicted"


@law.fact
def created_at(pod: Pod) -> int:
    """When it was created (ns)."""
    return pod.metadata.creation_timestamp or 0


@law.fact
def pod_name(pod: Pod) -> str:
    """Its name."""
    return pod.metadata.name


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def fail_and_delete(case: Suspect, decision: Decision) -> Iterable[Step]:
    """Set the phase to Failed, unless the Pod has ended, and delete it at once."""
    key, pod = key_of(case.pod), case.pod
    phase = law.decide("last-status", case).outputs["phase"]
    if phase:
        status: dict[str, Any] = {"phase": phase}
        if decision.outputs["reason"]:
            status["conditions"] = [_condition(case, decision.outputs)]
        body = {"metadata": {"uid": pod.metadata.uid}, "status": status}
        yield Patch(key=key, body=body, type="strategic", subresource="status", why=decision.why)
    yield Delete(key=key, grace_seconds=0, why=decision.why)


def _condition(case: Suspect, out: Mapping[str, Any]) -> dict[str, Any]:
    condition = {
        "type": DISRUPTION_TARGET,
        "status": "True",
        "reason": out["reason"],
        "message": out["message"],
        "lastTransitionTime": format_time(case.view.now - case.view.now % SECOND),
    }
    generation = case.pod.metadata.generation
    return {**condition, "observedGeneration": generation} if generation else condition


# -- the controller ---------------------------------------------------------------------------------------------------


class PodGarbageCollector:
    """Goes through all Pods, round after round. `threshold`: so many Pods that have ended may stay; 0: all."""

    name = "pod-garbage-collector"
    law = law
    first_keys: tuple[Key, ...] = (ROUND,)

    def __init__(self, threshold: int | None = None) -> None:
        self.threshold: int = constant("terminated_pod_gc_threshold") if threshold is None else threshold

    def reconcile(self, view: View, key: Key) -> Plan:
        """A round, and when the next one comes."""
        pods: tuple[Pod, ...] = view.list("Pod")
        until, deleted = _quarantine(view, pods)
        surplus = self._surplus(pods)
        remember = Remember(key=QUARANTINE, value=until)
        again = Plan(requeue_after=constant("pod_gc_period") * SECOND, periodic=not until)
        plan = again
        for pod in reversed(pods):
            case = Suspect(pod=pod, view=view, surplus=surplus, deleted=deleted)
            steps = law.perform(law.decide("garbage", case), case)
            plan = regardless(steps, plan) if steps else plan
        return regardless((remember,), plan)

    def _surplus(self, pods: Iterable[Pod]) -> frozenset[Key]:
        """The Pods that have ended and are beyond the threshold."""
        ended = [pod for pod in pods if pod.status.phase not in _RUNNING]
        if self.threshold <= 0 or len(ended) <= self.threshold:
            return frozenset()
        ordered = law.order("oldest-first", ended, None)
        return frozenset(key_of(pod) for pod in ordered[: len(ended) - self.threshold])


def _quarantine(view: View, pods: Iterable[Pod]) -> tuple[dict[str, int], frozenset[str]]:
    """When the quarantine of each missing node ends (ns), and the nodes that are gone for good."""
    before: Mapping[str, int] = view.memory.get(QUARANTINE, {})
    named = dict.fromkeys((*before, *(pod.spec.node_name for pod in pods if pod.spec.node_name)))
    until: dict[str, int] = {}
    deleted = set()
    for name in named:
        case = Missing(name, view.get("Node", "", name) is not None, before.get(name), view)
        becomes = law.decide("quarantine", case).outputs["becomes"]
        if becomes == "begins":
            until[name] = view.now + constant("pod_gc_quarantine") * SECOND
        elif becomes == "waiting":
            until[name] = before[name]
        elif becomes == "deleted":
            deleted.add(name)
    return until, frozenset(deleted)
