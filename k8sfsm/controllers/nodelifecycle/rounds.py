"""What a round of the node lifecycle controller does about nodes, their Pods and their zones.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go: monitorNodeHealth, handleDisruption,
doNoExecuteTaintingPass; pkg/controller/util/node/controller_utils.go: MarkPodsNotReady.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, Literal

from attrs import define, field, frozen

from k8sfsm.controllers.nodelifecycle.health import Health, LifecycleSettings, law
from k8sfsm.controllers.nodelifecycle.taints import (
    NO_EXECUTE,
    NOT_READY,
    UNREACHABLE,
    Swap,
    same_taint,
    taint_now,
    tainted,
)
from k8sfsm.controllers.nodelifecycle.zones import FULL, Census, Zone, rate_of, zone_of
from k8sfsm.kinds.pod_readiness import ready_condition
from k8sfsm.law import Decision, constant
from k8sfsm.objects import Node, ObjectMeta, Pod, Taint, evolve
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Record, Step, Update
from k8sfsm.value import value
from k8sfsm.view import View

BOTH: Final = (Taint(key=UNREACHABLE, effect=NO_EXECUTE), Taint(key=NOT_READY, effect=NO_EXECUTE))
"""The NoExecute taints of the controller."""


@define
class Round:
    """What a round has to go on, and what it comes to: actions change `zones`, `swaps`, `healths`, `marks`."""

    view: View
    settings: LifecycleSettings
    zones: dict[str, Zone]
    states: Mapping[str, str] = field(factory=dict)
    censuses: Mapping[str, Census] = field(factory=dict)
    healths: Mapping[str, Health] = field(factory=dict)
    swaps: list[Swap] = field(factory=list)
    marks: list[Any] = field(factory=list)

    @property
    def now(self) -> int:
        """The time of the round (ns)."""
        return self.view.now

    def swap(self, node: Node, add: str, decision: Decision) -> None:
        """Exchange the NoExecute taints of a node for one of them ("": none); one that is there gets a new time."""
        wanted = (taint_now(add, NO_EXECUTE, self.now),) if add else ()
        remove = tuple(each for each in BOTH if each.key != add and tainted(node, each.key))
        tries = constant("node_taint_tries")
        self.swaps.append(Swap(node=node, add=wanted, remove=remove, why=decision.why, tries=tries))

    def leave(self, node: Node) -> None:
        """Take a node out of its zone's queue."""
        zone = zone_of(node)
        if zone in self.zones:
            self.zones[zone] = self.zones[zone].left(node.metadata.name)


@value(kw_only=True)
class Seen:
    """A node after the health check.

    `was_ready`: before it; `well`: ready, and without taints for the contrary; `retry`: its Pods could not all be
    marked before.
    """

    node: Node
    was_ready: bool
    well: bool = False
    retry: bool = False


@frozen(kw_only=True)
class NodeCase:
    """A node in a round."""

    seen: Seen
    round: Round


@frozen
class Member:
    """A name among the known nodes and the listed ones; `node`: the listed one, or one of its name and uid."""

    node: Node
    known: bool
    there: bool
    round: Round


@frozen
class Queued:
    """The first node of a zone's queue; `node` None: it is gone."""

    name: str
    node: Node | None
    zone: str
    round: Round


@value
class Placed:
    """A Pod on a node, and what is kept of the node. `round` None: it is only asked whether to look at the Pod."""

    pod: Pod
    health: Health | None
    round: Round | None = None


@frozen
class PodCase:
    """A Pod of a lost node at a time (ns)."""

    pod: Pod
    now: int


@frozen
class Disruption:
    """The states of the zones before and after a look: the same facts as `Outage`, and what follows from them."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    round: Round


def _status(node: Node | None) -> str:
    conditions = () if node is None else node.status.conditions
    return next((each.status for each in conditions if each.type == "Ready"), "none")


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_known(case: Member) -> bool:
    """The controller knows a node of that name."""
    return case.known


@law.fact
def node_there(case: Member) -> bool:
    """The node is in the API."""
    return case.there


@law.fact
def ready_now(case: NodeCase) -> Literal["True", "False", "Unknown", "none"]:
    """The status of Ready after the health check."""
    return _status(case.seen.node)  # type: ignore[return-value]


@law.fact
def was_ready(case: NodeCase) -> bool:
    """Ready was True before the health check."""
    return case.seen.was_ready


@law.fact
def pods_to_retry(case: NodeCase) -> bool:
    """Pods of the node could not be marked in an earlier round."""
    return case.seen.retry


@law.fact
def tainted_unreachable(case: NodeCase) -> bool:
    """The node has the NoExecute taint unreachable."""
    return tainted(case.seen.node, UNREACHABLE)


@law.fact
def tainted_not_ready(case: NodeCase) -> bool:
    """The node has the NoExecute taint not-ready."""
    return tainted(case.seen.node, NOT_READY)


@law.fact
def queued_status(case: Queued) -> Literal["gone", "True", "False", "Unknown", "none"]:
    """The status of Ready of the node; gone where there is no such node any more."""
    return "gone" if case.node is None else _status(case.node)  # type: ignore[return-value]


@law.fact
def node_seen(case: Placed) -> bool:
    """The controller has seen the node of the Pod."""
    return case.health is not None


@law.fact
def health_of_node(case: Placed) -> Literal["True", "False", "Unknown", "none"]:
    """The status of Ready that is kept of the node."""
    return (case.health.ready if case.health is not None else "") or "none"  # type: ignore[return-value]


@law.fact
def pod_ready_status(case: PodCase) -> Literal["True", "False", "Unknown", "none"]:
    """The status of the Pod's condition Ready."""
    condition = ready_condition(case.pod)
    return "none" if condition is None else condition.status  # type: ignore[return-value]


# -- actions ----------------------------------------------------------------------------------------------------------


def reference(node: Node) -> Node:
    """The node as Events of the controller name it: name and uid only."""
    return Node(metadata=ObjectMeta(name=node.metadata.name, uid=node.metadata.uid))


def _announce(node: Node, reason: str, text: str) -> Record:
    message = f"Node {node.metadata.name} event: {text}"
    return Record(regarding=reference(node), type="Normal", reason=reason, message=message)


@law.action
def announce_registered(case: Member, decision: Decision) -> Iterable[Step]:
    """Tell that the node is new."""
    yield _announce(case.node, "RegisteredNode", f"Registered Node {case.node.metadata.name} in Controller")


@law.action
def announce_removed(case: Member, decision: Decision) -> Iterable[Step]:
    """Tell that the node is gone."""
    yield _announce(case.node, "RemovingNode", f"Removing Node {case.node.metadata.name} from Controller")


@law.action
def announce_not_ready(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Tell that the node is lost."""
    message = f"Node {case.seen.node.metadata.name} status is now: NodeNotReady"
    yield Record(regarding=reference(case.seen.node), type="Normal", reason="NodeNotReady", message=message)


@law.action
def mark_pods_not_ready(case: NodeCase | Placed, decision: Decision) -> Iterable[Step]:
    """Set Ready of the node's Pods to False."""
    pods = (case.pod,) if isinstance(case, Placed) else case.round.view.on_node(case.seen.node.metadata.name)
    round = case.round
    assert round is not None
    round.marks.extend(PodCase(pod, round.now) for pod in pods)
    return ()


@law.action
def set_pod_not_ready(case: PodCase, decision: Decision) -> Iterable[Step]:
    """Set the Pod's condition Ready to False, and nothing else."""
    pod, second = case.pod, case.now - case.now % SECOND
    conditions = tuple(
        evolve(each, status="False", last_transition_time=second) if each.type == "Ready" else each
        for each in pod.status.conditions
    )
    yield Update(object=evolve(pod, status=evolve(pod.status, conditions=conditions)), subresource="status")


@law.action
def untaint(case: NodeCase | Member, decision: Decision) -> Iterable[Step]:
    """Take the NoExecute taints away."""
    case.round.swap(_node(case), "", decision)
    return ()


@law.action
def leave_queue(case: NodeCase | Member, decision: Decision) -> Iterable[Step]:
    """Take the node out of its zone's queue."""
    case.round.leave(_node(case))
    return ()


@law.action
def join_queue(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Put the node into its zone's queue, unless it is in or has been served."""
    round, node = case.round, case.seen.node
    zone = zone_of(node)
    round.zones[zone] = round.zones[zone].joined(node.metadata.name, round.now)
    return ()


@law.action
def swap_to_not_ready(case: NodeCase | Queued, decision: Decision) -> Iterable[Step]:
    """Put the taint not-ready in the place of unreachable."""
    case.round.swap(_node(case), NOT_READY, decision)
    return ()


@law.action
def swap_to_unreachable(case: NodeCase | Queued, decision: Decision) -> Iterable[Step]:
    """Put the taint unreachable in the place of not-ready."""
    case.round.swap(_node(case), UNREACHABLE, decision)
    return ()


def _node(case: NodeCase | Member | Queued) -> Node:
    node = case.seen.node if isinstance(case, NodeCase) else case.node
    assert node is not None
    return node


@law.action
def drop_queued(case: Queued, decision: Decision) -> Iterable[Step]:
    """The node has had its turn."""
    case.round.zones[case.zone] = case.round.zones[case.zone].served(case.name)
    return ()


@law.action
def retry_queued(case: Queued, decision: Decision) -> Iterable[Step]:
    """Look at the node again a little later."""
    at = case.round.now + constant("node_tainting_retry") * MILLISECOND
    case.round.zones[case.zone] = case.round.zones[case.zone].later(case.name, at)
    return ()


@law.action
def untaint_all(case: Disruption, decision: Decision) -> Iterable[Step]:
    """Take the NoExecute taints of all nodes away."""
    for node in case.round.view.list("Node"):
        case.round.swap(node, "", decision)
        case.round.leave(node)
    return ()


@law.action
def stop_all_zones(case: Disruption, decision: Decision) -> Iterable[Step]:
    """No zone taints nodes any more."""
    zones, now = case.round.zones, case.round.now
    for name, zone in zones.items():
        zones[name] = evolve(zone.limited(0, now), state=FULL)
    return ()


@law.action
def renew_grace(case: Disruption, decision: Decision) -> Iterable[Step]:
    """All nodes count as heard from now."""
    now = case.round.now
    case.round.healths = {name: evolve(health, heard=now) for name, health in case.round.healths.items()}
    return ()


@law.action
def set_all_zones(case: Disruption, decision: Decision) -> Iterable[Step]:
    """Every zone gets its state, and the rate of that."""
    for name in case.round.zones:
        _set_zone(case.round, name)
    return ()


@law.action
def set_changed_zones(case: Disruption, decision: Decision) -> Iterable[Step]:
    """Zones whose state is another get it, and the rate of that."""
    for name, zone in case.round.zones.items():
        if zone.state != case.round.states[name]:
            _set_zone(case.round, name)
    return ()


def _set_zone(round: Round, name: str) -> None:
    state = round.states[name]
    rate = rate_of(state, round.censuses[name])
    round.zones[name] = evolve(round.zones[name].limited(rate, round.now), state=state)


def merged(swaps: Iterable[Swap]) -> list[Swap]:
    """One swap per node, with all that is to be added and all that is to be removed.

    A taint that this round adds is not among those that it removes, even where it takes all taints away: upstream
    removes what the node had at the beginning of the round.
    """
    found: dict[str, Swap] = {}
    for swap in swaps:
        name = swap.node.metadata.name
        before = found.get(name)
        found[name] = swap if before is None else _joined(before, swap)
    return list(found.values())


def _joined(one: Swap, other: Swap) -> Swap:
    gone = [each for each in other.remove if not any(same_taint(each, known) for known in one.remove)]
    return evolve(one, add=(*one.add, *other.add), remove=(*one.remove, *gone))
