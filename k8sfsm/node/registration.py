"""A kubelet's own Node: registration, status and heartbeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from attrs import define, frozen

from k8sfsm.law import Decision, Law
from k8sfsm.node.housekeeping import keep_house, orphans
from k8sfsm.node.pressure import Round, look_at_memory, memory_row
from k8sfsm.node.references import volumes_in_use
from k8sfsm.node.session import Settings
from k8sfsm.objects import (
    Lease,
    LeaseSpec,
    Node,
    NodeAddress,
    NodeCondition,
    NodeSpec,
    NodeStatus,
    ObjectMeta,
    OwnerReference,
    Quantity,
    Taint,
    evolve,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import DONE, Create, Key, PatchStatus, Plan, Record, Remember, Step, Update
from k8sfsm.view import View

law = Law("kubelet")

LEASES: Final = "kube-node-lease"
_BEAT: Final = "beat"
"""Under which key a kubelet remembers when its next heartbeat is due: other looks at the node come between."""
HEALTHY: Final = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)
"""Conditions of a node that is well: type, status, reason, message."""
ANNOUNCED: Final = {
    "MemoryPressure": "NodeHasSufficientMemory",
    "DiskPressure": "NodeHasNoDiskPressure",
    "PIDPressure": "NodeHasSufficientPID",
    "Ready": "NodeReady",
}
"""Condition -> the reason of the Event that tells that it is well now."""
UNINITIALIZED: Final = Taint(key="node.cloudprovider.kubernetes.io/uninitialized", value="true", effect="NoSchedule")
"""Keeps Pods from a Node until a cloud's controller has initialised it."""
STARTED: Final = "started"
"""What a kubelet remembers that has looked at its Node."""
CORDONED: Final = "cordoned"
"""What it remembers that has told that the Node is cordoned."""
_CGROUP_V1: Final = (
    "cgroup v1 detected. cgroup v1 support is deprecated and will be removed in a future release."
    " Please migrate to cgroup v2. More information at"
    " https://git.k8s.io/enhancements/keps/sig-node/5573-remove-cgroup-v1"
)


def own_labels(node: str) -> dict[str, str]:
    """The labels that a kubelet gives its Node. Source: pkg/kubelet/kubelet_node_status.go: initialNode."""
    return {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": node,
        "kubernetes.io/os": "linux",
    }


@frozen
class NodeMemory:
    """The kubelet has registered its node, and last wrote its status at `reported_at` (ns)."""

    reported_at: int


@define
class NodeCase:
    """The kubelet's node and lease as it sees them, and its last look at the node's memory."""

    settings: Settings
    view: View
    key: Key
    node: Node | None
    lease: Lease | None
    memory: NodeMemory | None
    round: Round | None = None


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_exists(case: NodeCase) -> bool:
    """The Node is in the API."""
    return case.node is not None


@law.fact
def registered_before(case: NodeCase) -> bool:
    """The kubelet has registered or found its Node since it started."""
    return case.memory is not None


@law.fact
def ready_reported(case: NodeCase) -> bool:
    """The Node's condition Ready is True."""
    return case.node is not None and any(
        each.type == "Ready" and each.status == "True" for each in case.node.status.conditions
    )


@law.fact
def pressure_reported(case: NodeCase) -> bool:
    """The Node's condition MemoryPressure is as it should be."""
    conditions = () if case.node is None else case.node.status.conditions
    held = next((each.status for each in conditions if each.type == "MemoryPressure"), "False")
    return held == memory_row(case.round)[1]


@law.fact
def volumes_reported(case: NodeCase) -> bool:
    """The Node's volumesInUse are the volumes that its pods use."""
    held = () if case.node is None else case.node.status.volumes_in_use
    return sorted(held) == sorted(volumes_in_use(case.view, case.settings))


@law.fact
def report_due(case: NodeCase) -> bool:
    """The unchanged status was last reported long ago."""
    period = law.constant("node_status_report_frequency") * SECOND
    return case.memory is not None and case.view.now - case.memory.reported_at >= period


@law.fact
def lease_exists(case: NodeCase) -> bool:
    """The node's Lease is in the API."""
    return case.lease is not None


@law.fact
def lease_due(case: NodeCase) -> bool:
    """The Lease was renewed a renew interval ago, or before the last beat of the rhythm."""
    renewed = (case.lease.spec.renew_time if case.lease is not None else None) or 0
    interval, rhythm = law.constant("node_lease_renew_interval") * SECOND, case.settings.renews_at
    if rhythm is None:
        return bool(case.view.now - renewed >= interval)
    return bool(renewed < case.view.now - (case.view.now - rhythm) % interval)


@law.fact
def cgroups_old(case: NodeCase) -> bool:
    """The node has cgroups of version 1."""
    return case.settings.cgroup_version == 1


@law.fact
def kubelet_started(case: NodeCase) -> bool:
    """The kubelet has looked at its Node before."""
    return bool(case.view.memory.get(STARTED, False))


@law.fact
def cordoned(case: NodeCase) -> bool:
    """The Node's spec.unschedulable."""
    return case.node is not None and case.node.spec.unschedulable


@law.fact
def cordon_told(case: NodeCase) -> bool:
    """The kubelet last told that the node was cordoned."""
    return bool(case.view.memory.get(CORDONED, False))


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def announce_start(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Tell that the kubelet starts, and of the conditions that it finds."""
    yield Remember(key=STARTED, value=True)
    yield _told(case, "Normal", "Starting", "Starting kubelet.")
    yield from _announced(case, NodeStatus(), _status(case, ready=False))


@law.action
def warn_of_cgroups(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Tell that cgroups of version 1 have no future."""
    yield _told(case, "Warning", "CgroupV1", _CGROUP_V1)


def _told(case: NodeCase, kind: Literal["Normal", "Warning"], reason: str, message: str) -> Record:
    """An Event about the node, which kubelets name without a uid.

    Source: pkg/kubelet/kubelet.go: NewMainKubelet (nodeRef).
    """
    return Record(
        regarding=Node(metadata=ObjectMeta(name=case.settings.node)), type=kind, reason=reason, message=message
    )


def _announced(case: NodeCase, before: NodeStatus, after: NodeStatus) -> Iterable[Step]:
    """Events of conditions that are well now and were not.

    Source: pkg/kubelet/nodestatus/setters.go: MemoryPressureCondition, ReadyCondition.
    """
    known = {each.type: each.status for each in before.conditions}
    for kind, well, *_ in HEALTHY:
        now = next((each.status for each in after.conditions if each.type == kind), "")
        if now == well and known.get(kind) != well:
            yield _told(case, "Normal", ANNOUNCED[kind], f"Node {case.settings.node} status is now: {ANNOUNCED[kind]}")


@law.action
def announce_cordoned(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Tell that the node takes no new Pods."""
    yield Remember(key=CORDONED, value=True)
    message = f"Node {case.settings.node} status is now: NodeNotSchedulable"
    yield _told(case, "Normal", "NodeNotSchedulable", message)


@law.action
def announce_uncordoned(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Tell that the node takes Pods again."""
    yield Remember(key=CORDONED, value=None)
    yield _told(case, "Normal", "NodeSchedulable", f"Node {case.settings.node} status is now: NodeSchedulable")


@law.action
def register_node(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Create the Node, not ready yet."""
    settings = case.settings
    meta = ObjectMeta(
        name=settings.node,
        labels={**own_labels(settings.node), **settings.labels},
        annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
    )
    status = _status(case, ready=False)
    spec = NodeSpec(taints=(UNINITIALIZED,) if settings.cloud else ())
    return (*_announced(case, NodeStatus(), status), Create(object=Node(metadata=meta, spec=spec, status=status)))


@law.action
def report_node(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Write the Node's status, ready."""
    assert case.node is not None
    status = _status(case, ready=True)
    remember = Remember(key=case.key, value=NodeMemory(case.view.now))
    told = _announced(case, case.node.status, status)
    return (*told, remember, PatchStatus(key=case.key, uid=case.node.metadata.uid, status=status))


def _status(case: NodeCase, *, ready: bool) -> NodeStatus:
    base = case.node.status if case.node is not None else NodeStatus()
    now = case.view.now - case.view.now % SECOND
    known = {each.type: each for each in base.conditions}
    rows = (memory_row(case.round), *HEALTHY[1:])
    conditions = tuple(_condition(known.get(row[0]), row, now, ready) for row in rows)
    others = tuple(each for each in base.conditions if each.type not in {row[0] for row in HEALTHY})
    capacity: Mapping[str, Any] = base.capacity or {
        name: Quantity.parse(text) for name, text in case.settings.capacity.items()
    }
    named = (("InternalIP", case.settings.host_ip), ("Hostname", case.settings.node))
    addresses = base.addresses or tuple(NodeAddress(type=kind, address=name) for kind, name in named if name)
    return evolve(
        base,
        conditions=(*others, *conditions),
        capacity=capacity,
        allocatable=base.allocatable or capacity,
        addresses=addresses,
        volumes_in_use=volumes_in_use(case.view, case.settings),
    )


def _condition(known: NodeCondition | None, row: tuple[str, str, str, str], now: int, ready: bool) -> NodeCondition:
    kind, status, reason, message = row
    if kind == "Ready" and not ready:
        status, reason, message = "False", "KubeletNotReady", "CSINode is not yet initialized"
    same = known is not None and known.status == status
    return NodeCondition(
        type=kind,
        status=status,
        last_heartbeat_time=now,
        last_transition_time=known.last_transition_time if same and known is not None else now,
        reason=reason,
        message=message,
    )


@law.action
def create_lease(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Create the Lease; the Node owns it."""
    owners: tuple[OwnerReference, ...] = ()
    if case.node is not None:
        owners = (OwnerReference(api_version="v1", kind="Node", name=case.settings.node, uid=case.node.metadata.uid),)
    meta = ObjectMeta(name=case.settings.node, namespace=LEASES, owner_references=owners)
    spec = LeaseSpec(
        holder_identity=case.settings.node,
        lease_duration_seconds=law.constant("node_lease_duration"),
        renew_time=case.view.now,
    )
    return (Create(object=Lease(metadata=meta, spec=spec)),)


@law.action
def renew_lease(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Set renewTime."""
    assert case.lease is not None
    return (Update(object=evolve(case.lease, spec=evolve(case.lease.spec, renew_time=case.view.now))),)


def reconcile_node(settings: Settings, view: View, key: Key) -> Plan:
    """Register the node, keep its status, renew its lease; again after a renew interval."""
    case = NodeCase(
        settings,
        view,
        key,
        view.get("Node", "", settings.node),
        view.get("Lease", LEASES, settings.node),
        view.memory.get(key),
    )
    case.round, steps = look_at_memory(view, case.node)
    if case.node is not None and case.memory is None:
        steps.append(Remember(key=key, value=NodeMemory(view.now)))
    for decision in law.collect("node_start", case):
        steps.extend(law.perform(decision, case))
    steps.extend(law.perform(law.decide("node_cordon", case), case))
    status = law.perform(law.decide("node_status", case), case)
    steps.extend(each for each in status if settings.reports_node or isinstance(each, Record | Remember))
    steps.extend(law.perform(law.decide("node_lease", case), case))
    left_over = keep_house(view, settings.node)
    waits = [int(law.constant("housekeeping_period")) * SECOND] if orphans(view, settings.node) else []
    if case.round is not None and case.round.wait is not None:
        waits.append(case.round.wait)
    if not registered_before(case) or not ready_reported(case):
        waits.append(SECOND // 4)  # a node turns ready a moment after it is registered
    return Plan(steps=(*steps, *left_over), then=lambda _: _next_look(settings, view, waits))


def _next_look(settings: Settings, view: View, waits: Sequence[int]) -> Plan:
    """When to look again. `waits` (ns): what cannot wait long."""
    if waits:
        return Plan(requeue_after=min(waits))
    if view.now < view.memory.get(_BEAT, 0):
        return DONE
    interval = int(law.constant("node_lease_renew_interval")) * SECOND
    rhythm = interval if settings.renews_at is None else (settings.renews_at - view.now) % interval or interval
    beat = Remember(key=_BEAT, value=view.now + rhythm)
    return Plan(steps=(beat,), requeue_after=rhythm, periodic=True)
