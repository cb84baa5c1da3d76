"""A kubelet's own Node: registration, status and heartbeat."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from attrs import define, frozen

from k8sfsm.law import Decision, Law
from k8sfsm.node.housekeeping import keep_house
from k8sfsm.node.pressure import Round, look_at_memory, memory_row
from k8sfsm.node.session import SECOND, Settings
from k8sfsm.objects import (
    Lease,
    LeaseSpec,
    Node,
    NodeAddress,
    NodeCondition,
    NodeStatus,
    ObjectMeta,
    OwnerReference,
    Quantity,
    evolve,
)
from k8sfsm.request import DONE, Create, Key, Outcome, PatchStatus, Plan, Remember, Step, Update
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
    """The Lease was renewed a renew interval ago."""
    renewed = (case.lease.spec.renew_time if case.lease is not None else None) or 0
    return bool(case.view.now - renewed >= law.constant("node_lease_renew_interval") * SECOND)


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def register_node(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Create the Node, not ready yet."""
    settings = case.settings
    meta = ObjectMeta(
        name=settings.node,
        labels={**own_labels(settings.node), **settings.labels},
        annotations={"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
    )
    return (Create(object=Node(metadata=meta, status=_status(case, ready=False))),)


@law.action
def report_node(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Write the Node's status, ready."""
    assert case.node is not None
    status = _status(case, ready=True)
    remember = Remember(key=case.key, value=NodeMemory(case.view.now))
    return (remember, PatchStatus(key=case.key, uid=case.node.metadata.uid, status=status))


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
    addresses = base.addresses or (
        NodeAddress(type="InternalIP", address=case.settings.host_ip),
        NodeAddress(type="Hostname", address=case.settings.node),
    )
    return evolve(
        base,
        conditions=(*others, *conditions),
        capacity=capacity,
        allocatable=base.allocatable or capacity,
        addresses=addresses,
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
    for table in ("node_status", "node_lease"):
        steps.extend(law.perform(law.decide(table, case), case))
    left_over = keep_house(view, settings.node)
    steps.extend(left_over)
    interval = int(law.constant("node_lease_renew_interval")) * SECOND
    housekeeping = int(law.constant("housekeeping_period")) * SECOND

    def answered(outcomes: tuple[Outcome, ...]) -> Plan:
        """A new node turns ready a moment after it is registered; what cannot wait for the heartbeat comes first."""
        if any(isinstance(each.request, Create) and isinstance(each.request.object, Node) for each in outcomes):
            return Plan(requeue_after=SECOND // 4)
        waits = [housekeeping] if left_over else []
        if case.round is not None and case.round.wait is not None:
            waits.append(case.round.wait)
        if waits:
            return Plan(requeue_after=min(waits))
        if view.now < view.memory.get(_BEAT, 0):
            return DONE
        beat = Remember(key=_BEAT, value=view.now + interval)
        return Plan(steps=(beat,), requeue_after=interval, periodic=True)

    return Plan(steps=tuple(steps), then=answered)
