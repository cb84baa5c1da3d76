"""Whether a node takes a pod that is new to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from attrs import frozen

from k8sfsm.kinds.pod_resources import pod_requests
from k8sfsm.law import Decision, Law
from k8sfsm.node.phase import TERMINAL
from k8sfsm.node.session import SECOND, Session
from k8sfsm.objects import Node, Pod, Quantity, evolve
from k8sfsm.request import Step

law = Law("kubelet")

_RESOURCES: Final = ("pods", "cpu", "memory")


@frozen
class Need:
    """A resource of which the node has too little; milli-CPU, bytes or pods."""

    resource: str
    requested: int
    used: int
    capacity: int


def requests_of(session: Session, pod: Pod) -> tuple[int, int, int]:
    """Pods, milli-CPU and bytes of memory that a pod takes; looked up once per pod."""
    known = session.requests.get(pod.metadata.uid)
    if known is None:
        asked = pod_requests(pod)
        cpu, memory = asked.get("cpu"), asked.get("memory")
        known = (1, cpu.milli_value if cpu is not None else 0, memory.value if memory is not None else 0)
        session.requests[pod.metadata.uid] = known
    return known


def lacking(session: Session) -> Need | None:
    """What the node has too little of for the pod. Source: plugins/noderesources/fit.go: Fits"""
    node: Node | None = session.view.get("Node", "", session.settings.node)
    if node is None or not node.status.allocatable:
        return None
    wanted = requests_of(session, session.pod)
    used = [0, 0, 0]
    for pod in session.view.on_node(session.settings.node):
        if pod.metadata.uid == session.pod.metadata.uid or not _holds(session, pod):
            continue
        for place, amount in enumerate(requests_of(session, pod)):
            used[place] += amount
    for place, name in enumerate(_RESOURCES):
        capacity = _amount(name, node.status.allocatable.get(name))
        if wanted[place] and wanted[place] + used[place] > capacity:
            return Need(name, wanted[place], used[place], capacity)
    return None


def _amount(name: str, quantity: Quantity | None) -> int:
    if quantity is None:
        return 0
    return quantity.milli_value if name == "cpu" else quantity.value


def _holds(session: Session, pod: Pod) -> bool:
    """An admitted pod holds its resources until its containers have ended."""
    known = session.view.memory.get(("Pod", pod.metadata.namespace, pod.metadata.name), ())
    return any(
        entry.pod.metadata.uid == pod.metadata.uid and entry.stage != "ended" and pod.status.phase not in TERMINAL
        for entry in known
    )


@law.fact
def lacking_resource(session: Session) -> Literal["none", "pods", "cpu", "memory"]:
    """The first resource of which the node has too little for the pod."""
    found = lacking(session)
    return "none" if found is None else found.resource  # type: ignore[return-value]


@law.fact
def labels_match(session: Session) -> bool:
    """The node has the labels that the pod's nodeSelector asks for."""
    node: Node | None = session.view.get("Node", "", session.settings.node)
    wanted = session.pod.spec.node_selector
    if node is None or not wanted:
        return True
    return all(node.metadata.labels.get(name) == value for name, value in wanted.items())


@law.action
def admit_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """Take the pod, or reject it."""
    return law.perform(law.decide("admission", session), session)  # type: ignore[return-value]


@law.action
def accept_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """Begin to work on the pod."""
    session.remember(stage="syncing")
    session.again = True
    return ()


@law.action
def reject_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """The pod fails at once and for good. Source: pkg/kubelet/kubelet.go: rejectPod"""
    reason, text = str(decision.outputs["reason"]), ""
    need = lacking(session)
    if need is not None:
        reason += need.resource
        text = (
            f"Node didn't have enough resource: {need.resource}, requested: {need.requested}, "
            f"used: {need.used}, capacity: {need.capacity}"
        )
    else:
        text = "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"
    status = evolve(
        session.pod.status,
        phase="Failed",
        reason=reason,
        message=f"Pod was rejected: {text}",
        start_time=session.now - session.now % SECOND,
        observed_generation=session.pod.metadata.generation,
    )
    session.remember(stage="ended", generated=status)
    session.status, session.status_why = status, decision.why
    return (session.record("Warning", reason, text), session.call("clean-up-pod"))
