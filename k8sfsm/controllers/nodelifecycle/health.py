"""The health of one node as the node lifecycle controller sees it: when it was heard from, and whether it is lost.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go: tryUpdateNodeHealth.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from attrs import field, frozen

from k8sfsm.law import Decision, Law, constant
from k8sfsm.lazy import lazy
from k8sfsm.objects import Node, NodeCondition, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Step, Update
from k8sfsm.value import value

law = Law("nodelifecycle")

LOST_CONDITIONS: Final = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
"""Conditions that turn Unknown; NetworkUnavailable belongs to the control plane."""


@frozen(kw_only=True)
class LifecycleSettings:
    """Flags of the controller manager. Times in seconds, rates in nodes per second."""

    monitor_grace: float = field(factory=lambda: constant("node_monitor_grace_period"))
    startup_grace: float = field(factory=lambda: constant("node_startup_grace_period"))
    eviction_rate: float = field(factory=lambda: constant("node_eviction_rate"))
    secondary_eviction_rate: float = field(factory=lambda: constant("node_secondary_eviction_rate"))
    unhealthy_zone_threshold: float = field(factory=lambda: constant("unhealthy_zone_threshold"))
    large_zone_size: int = field(factory=lambda: constant("large_cluster_size_threshold"))


@value(kw_only=True)
class Health:
    """What the controller keeps of a node.

    `node`: as it was last seen; `heard`: when (ns) it was last heard from; `ready`: the status of Ready that is kept,
    "" where there was none; `heartbeat`: its lastHeartbeatTime (ns); `renewed`: the renewTime of the lease (ns).
    """

    node: Node
    heard: int
    ready: str = ""
    heartbeat: int | None = None
    renewed: int | None = None


def ready_of(node: Node) -> NodeCondition | None:
    """The node's condition Ready, or None."""
    return next((each for each in node.status.conditions if each.type == "Ready"), None)


@frozen(slots=False, kw_only=True)
class Checkup:
    """A look at a node. `saved`: what was kept of it; `renewed`: the renewTime of its lease (ns), None: no lease."""

    node: Node
    saved: Health | None
    renewed: int | None
    now: int
    settings: LifecycleSettings

    @lazy
    def ready(self) -> NodeCondition | None:
        """The condition Ready as it is in the API."""
        return ready_of(self.node)

    @lazy
    def heard(self) -> int:
        """When the node was last heard from (ns)."""
        which = law.decide("heartbeat", self).outputs["heard"]
        created = self.node.metadata.creation_timestamp or 0
        kept = self.now if self.saved is None else self.saved.heard
        return {"now": self.now, "created": created, "kept": kept}[which]

    @lazy
    def health(self) -> Health:
        """What is kept of the node after this look.

        A status whose heartbeat has not moved does not replace the one that is kept, as upstream.
        """
        saved, ready = self.saved, self.ready
        renewed = self.renewed
        if saved is not None and saved.renewed is not None and (renewed is None or renewed < saved.renewed):
            renewed = saved.renewed
        same = saved is not None and ready is not None and saved.ready and saved.heartbeat == ready.last_heartbeat_time
        return Health(
            node=self.node,
            heard=self.heard,
            ready=saved.ready if same and saved is not None else ("" if ready is None else ready.status),
            heartbeat=None if ready is None else ready.last_heartbeat_time,
            renewed=renewed,
        )

    @lazy
    def grace(self) -> int:
        """How long the node may be silent (ns)."""
        period = law.decide("grace", self).outputs["period"]
        seconds = {"monitor": self.settings.monitor_grace, "startup": self.settings.startup_grace}[period]
        return round(seconds * SECOND)

    @lazy
    def lost(self) -> Node:
        """The node with the conditions of one that is lost."""
        conditions = list(self.node.status.conditions)
        for kind in LOST_CONDITIONS:
            place = next((at for at, each in enumerate(conditions) if each.type == kind), None)
            known = None if place is None else conditions[place]
            case = Suspect(node=self.node, kind=kind, known=known, second=self.now - self.now % SECOND)
            changed = case.condition()
            if place is None:
                conditions.append(changed)
            else:
                conditions[place] = changed
        return evolve(self.node, status=evolve(self.node.status, conditions=tuple(conditions)))


@frozen(kw_only=True)
class Suspect:
    """One condition of a lost node; `known` None: it has none of that kind. `second`: now (ns), a whole second."""

    node: Node
    kind: str
    known: NodeCondition | None
    second: int

    def condition(self) -> NodeCondition:
        """The condition as it becomes."""
        out = law.decide("lost-condition", self).outputs
        if out["becomes"] == "kept" and self.known is not None:
            return self.known
        base = self.known or NodeCondition(type=self.kind, last_heartbeat_time=self.node.metadata.creation_timestamp)
        return evolve(
            base, status="Unknown", reason=out["reason"], message=out["message"], last_transition_time=self.second
        )


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def lease_renewed(case: Checkup) -> bool:
    """The node's lease is new, or its renewTime has moved since the last look."""
    known = None if case.saved is None else case.saved.renewed
    return case.renewed is not None and (known is None or known < case.renewed)


@law.fact
def status_posted(case: Checkup) -> bool:
    """The node has a condition Ready."""
    return case.ready is not None


@law.fact
def remembered(case: Checkup) -> Literal["nothing", "no-status", "status"]:
    """What the controller kept of the node: nothing, that it had no condition Ready, or that condition."""
    if case.saved is None:
        return "nothing"
    return "status" if case.saved.ready else "no-status"


@law.fact
def heartbeat_moved(case: Checkup) -> bool:
    """The lastHeartbeatTime of Ready is another than the one kept."""
    return case.saved is None or case.ready is None or case.saved.heartbeat != case.ready.last_heartbeat_time


@law.fact
def condition_there(case: Suspect) -> bool:
    """The node has a condition of that kind."""
    return case.known is not None


@law.fact
def condition_unknown(case: Suspect) -> bool:
    """Its status is Unknown."""
    return case.known is not None and case.known.status == "Unknown"


@law.fact
def overdue(case: Checkup) -> bool:
    """More than the grace period has gone by since the node was heard from."""
    return case.now > case.heard + case.grace


@law.fact
def ready_changes(case: Checkup) -> bool:
    """The condition Ready of a lost node would be another than the one it has."""
    return ready_of(case.lost) != case.ready


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def write_lost_status(case: Checkup, decision: Decision) -> Iterable[Step]:
    """Write the conditions of a lost node."""
    yield Update(object=case.lost, subresource="status")
