"""Whether a node takes a pod that is new to it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.kinds.pod_cgroup import is_critical
from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.kinds.pod_resources import pod_requests
from k8sfsm.law import Decision, Law
from k8sfsm.node.ending import begin_ending
from k8sfsm.node.phase import TERMINAL
from k8sfsm.node.session import Session
from k8sfsm.objects import Node, Pod, Quantity, Taint, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Step
from k8sfsm.scheduler.cluster import host_ports
from k8sfsm.scheduler.filters import ports_conflict
from k8sfsm.scheduler.node_selector import match_required
from k8sfsm.scheduler.tolerations import first_untolerated, tolerated
from k8sfsm.view import View

law = Law("kubelet")

_RESOURCES: Final = ("pods", "cpu", "memory")
_PRESSURES: Final = ("MemoryPressure", "DiskPressure", "PIDPressure")
_MEMORY_TAINT: Final = Taint(key="node.kubernetes.io/memory-pressure", effect="NoSchedule")


@frozen
class Need:
    """A resource of which the node has too little; milli-CPU, bytes or pods."""

    resource: str
    requested: int
    used: int
    capacity: int


Taken: TypeAlias = tuple[int, int, int]
"""Pods, milli-CPU and bytes of memory."""
Requests: TypeAlias = dict[str, Taken]
"""What pods take, by uid."""


def requests_of(known: Requests, pod: Pod) -> Taken:
    """Pods, milli-CPU and bytes of memory that a pod takes; looked up once per pod."""
    uid = pod.metadata.uid
    found = known.get(uid)
    if found is None:
        asked = pod_requests(pod)
        cpu, memory = asked.get("cpu"), asked.get("memory")
        found = known[uid] = (1, 0 if cpu is None else cpu.milli_value, 0 if memory is None else memory.value)
    return found


def capacity_of(node: Node | None) -> Taken | None:
    """What a node has for pods; None: nobody knows."""
    if node is None or not node.status.allocatable:
        return None
    pods, cpu, memory = (_amount(name, node.status.allocatable.get(name)) for name in _RESOURCES)
    return pods, cpu, memory


def has_room(view: View, capacity: Taken | None, pod: Pod, requests: Requests) -> bool:
    """There is room for the pod beside all that the kubelet remembers, whichever of them hold anything."""
    if capacity is None:
        return True
    own = pod.metadata.uid
    taken = [
        requests.get(uid) or requests_of(requests, each.pod)
        for entries in view.memory.values()
        if isinstance(entries, tuple)
        for each in entries
        if (uid := each.pod.metadata.uid) != own
    ]
    return _short(capacity, pod, taken, requests) is None


class Bound:
    """No more than this is taken by the pods that a kubelet remembers: as many as its memory has entries, each as much
    as the heaviest one. So there is room for most pods without counting.

    `heaviest` only grows, so it holds for whatever fork asks: what is remembered was met by the kubelet that this
    belongs to, or was there before it (`begin`).
    """

    __slots__ = ("_begun", "_heaviest", "_latest", "_under_one_key")

    def __init__(self) -> None:
        self._heaviest: Taken = (0, 0, 0)
        self._latest: Taken = self._heaviest
        self._under_one_key = 1
        self._begun = False

    def begin(self, view: View, requests: Requests) -> None:
        """What is remembered already when the kubelet is asked for the first time."""
        self._begun = True
        for entries in view.memory.values():
            if isinstance(entries, tuple):
                for each in entries:
                    self.met(requests_of(requests, each.pod), len(entries))

    def met(self, taken: Taken, entries: int = 1) -> None:
        """A pod that takes so much is remembered, among so many of its name."""
        if taken is not self._latest:
            pods, cpu, memory = self._heaviest
            self._heaviest = (max(pods, taken[0]), max(cpu, taken[1]), max(memory, taken[2]))
            self._latest = taken
        if entries > self._under_one_key:
            self._under_one_key = entries

    def leaves_room(self, view: View, capacity: Taken | None, wanted: Taken, requests: Requests) -> bool:
        """There is room for a pod that takes as much as is wanted; False: nobody knows without counting."""
        if capacity is None:
            return True
        if not self._begun:
            self.begin(view, requests)
        count = len(view.memory) * self._under_one_key
        pods, cpu, memory = self._heaviest
        return (
            wanted[0] + count * pods <= capacity[0]
            and wanted[1] + count * cpu <= capacity[1]
            and wanted[2] + count * memory <= capacity[2]
        )


def lacking(session: Session) -> Need | None:
    """What the node has too little of for the pod. Source: plugins/noderesources/fit.go: Fits"""
    capacity, pod, view = capacity_of(_node(session)), session.pod, session.view
    if capacity is None or has_room(view, capacity, pod, session.requests):
        return None
    others = [each for each in view.on_node(session.settings.node) if each.metadata.uid != pod.metadata.uid]
    taken = [requests_of(session.requests, each) for each in others if _holds(session, each)]
    return _short(capacity, pod, taken, session.requests)


def _short(capacity: Taken, pod: Pod, taken: list[Taken], requests: Requests) -> Need | None:
    """What is too little for the pod beside what others take."""
    used = map(sum, zip(*taken, strict=True)) if taken else (0, 0, 0)
    for resource, wanted, beside, whole in zip(_RESOURCES, requests_of(requests, pod), used, capacity, strict=True):
        if wanted and wanted + beside > whole:
            return Need(resource, wanted, beside, whole)
    return None


def _amount(name: str, quantity: Quantity | None) -> int:
    if quantity is None:
        return 0
    return quantity.milli_value if name == "cpu" else quantity.value


def _holds(session: Session, pod: Pod) -> bool:
    """An admitted pod holds its resources until its containers have ended."""
    meta = pod.metadata
    if pod.status.phase in TERMINAL:
        return False
    for entry in session.view.memory.get(("Pod", meta.namespace, meta.name), ()):
        if entry.pod.metadata.uid == meta.uid and entry.stage != "ended":
            return True
    return False


@law.fact
def lacking_resource(session: Session) -> Literal["none", "pods", "cpu", "memory"]:
    """The first resource of which the node has too little for the pod."""
    found = lacking(session)
    return "none" if found is None else found.resource  # type: ignore[return-value]


def _node(session: Session) -> Node | None:
    found: Node | None = session.view.get("Node", "", session.settings.node)
    return found


@law.fact
def node_wanted(session: Session) -> bool:
    """The node has what the pod's nodeSelector and required node affinity ask for."""
    node, spec = _node(session), session.pod.spec
    return node is None or match_required(spec.node_selector, spec.affinity, node).matches


@law.fact
def host_ports_taken(session: Session) -> bool:
    """An admitted pod has a port of the node that this one needs."""
    wanted = host_ports(session.pod)
    if not wanted:
        return False
    others = (
        pod for pod in session.view.on_node(session.settings.node) if pod.metadata.uid != session.pod.metadata.uid
    )
    taken = [port for pod in others if _holds(session, pod) for port in host_ports(pod)]
    return any(ports_conflict(port, other) for port in wanted for other in taken)


@law.fact
def evicting_taint(session: Session) -> bool:
    """The node has a NoExecute taint that the pod does not tolerate."""
    node, spec = _node(session), session.pod.spec
    return node is not None and first_untolerated(node.spec.taints, spec.tolerations, ("NoExecute",)) is not None


def _pressures(session: Session) -> tuple[str, ...]:
    node = _node(session)
    conditions = () if node is None else node.status.conditions
    return tuple(each.type for each in conditions if each.type in _PRESSURES and each.status == "True")


@law.fact
def node_pressure(session: Session) -> Literal["none", "memory", "other"]:
    """What the node is short of, as its conditions say."""
    found = _pressures(session)
    if not found:
        return "none"
    return "memory" if found == ("MemoryPressure",) else "other"


@law.fact
def pod_critical(session: Session) -> bool:
    """The kubelet takes the pod whatever the node is short of."""
    return is_critical(session.pod)


@law.fact
def puts_up_with_pressure(session: Session) -> bool:
    """The pod asks for resources, or tolerates the taint of a node that is short of memory."""
    pod = session.pod
    return (pod.status.qos_class or qos_class(pod)) != "BestEffort" or tolerated(_MEMORY_TAINT, pod.spec.tolerations)


@law.action
def admit_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """Take the pod, or reject it."""
    return law.perform(law.decide("admission", session), session)  # type: ignore[return-value]


@law.action
def accept_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """Begin to work on the pod."""
    session.remember(stage="syncing")
    session.again = True
    return law.perform(law.decide("recovery", session), session)  # type: ignore[return-value]


@law.fact
def found_running(session: Session) -> bool:
    """The runtime has containers of the pod, which an earlier kubelet started."""
    return bool(session.runtime.containers)


@law.action
def probe_anew(session: Session, decision: Decision) -> Iterable[Step]:
    """Begin to probe; until the first answers the containers are as ready as they were."""
    return (session.call("forget-probes"),)


@law.action
def reject_pod(session: Session, decision: Decision) -> Iterable[Step]:
    """The pod fails at once and for good. Source: pkg/kubelet/kubelet.go: rejectPod"""
    reason, text = str(decision.outputs["reason"]), str(decision.outputs["message"])
    need = lacking(session) if text == "resource" else None
    if need is not None:
        reason += need.resource
        text = (
            f"Node didn't have enough resource: {need.resource}, requested: {need.requested}, "
            f"used: {need.used}, capacity: {need.capacity}"
        )
    elif text == "pressure":
        text = f"The node had condition: [{', '.join(_pressures(session))}]. "
    else:
        text = f"Predicate {reason} failed: {text}"
    status = evolve(
        session.pod.status,
        phase="Failed",
        reason=reason,
        message=f"Pod was rejected: {text}",
        start_time=session.now - session.now % SECOND,
        observed_generation=session.pod.metadata.generation,
    )
    session.remember(generated=status)
    how = law.perform(law.decide("rejection", session), session)
    return (session.record("Warning", reason, text), *how)  # type: ignore[arg-type]


@law.action
def fail_at_once(session: Session, decision: Decision) -> Iterable[Step]:
    """Report that the pod has failed; there is nothing to stop."""
    session.remember(stage="ended")
    session.status, session.status_why = session.memory.generated, decision.why
    return (session.call("clean-up-pod"),)


@law.action
def stop_rejected(session: Session, decision: Decision) -> Iterable[Step]:
    """Stop what runs; that the pod has failed is reported when nothing runs any more."""
    session.remember(rejected=True)
    return begin_ending(session, decision)
