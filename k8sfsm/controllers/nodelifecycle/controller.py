"""The rounds and queues of the node lifecycle controller.

A round of the monitor has two parts: the health of all nodes is checked and written; then taints, Pods and zones
follow from what the nodes have become. The NoExecute taints wait in their zones' queues for a pass of their own.
Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go: Run, monitorNodeHealth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from k8sfsm.controllers.nodelifecycle.health import Checkup, Health, LifecycleSettings, law, ready_of
from k8sfsm.controllers.nodelifecycle.rounds import (
    BOTH,
    Disruption,
    Member,
    NodeCase,
    Placed,
    PodCase,
    Queued,
    Round,
    Seen,
    merged,
)
from k8sfsm.controllers.nodelifecycle.taints import condition_swap, goes_on, label_writes, swap_plan, tainted
from k8sfsm.controllers.nodelifecycle.zones import EXCLUDED, Census, Zone, state_of, zone_of
from k8sfsm.controllers.pod_changes import asked_of_sorts
from k8sfsm.law import constant
from k8sfsm.node.registration import LEASES
from k8sfsm.objects import Lease, Node, ObjectMeta, Pod, evolve, key_of
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import DONE, Key, Look, Outcome, Parallel, Plan, Record, Remember, Update, Write
from k8sfsm.view import Change, View

MONITOR: Final[Key] = ("NodeLifecycle", "", "monitor")
FOLLOW: Final[Key] = ("NodeLifecycle", "", "follow")
TAINTING: Final[Key] = ("NodeLifecycle", "", "tainting")
KNOWN, HEALTH, ZONES, SEEN, RETRY, TAINTING_DUE = "known", "health", "zones", "seen", "retry", "tainting-due"
"""What the controller remembers: name -> uid, name -> Health, key -> Zone, what the last check saw, ..."""
NOTHING: Final[Mapping[str, Any]] = {}


def known_nodes(nodes: Iterable[Node]) -> Iterable[Remember]:
    """What the controller remembers that has seen these nodes come, in zones without disruption."""
    rate = constant("node_eviction_rate")
    listed = tuple(nodes)
    yield Remember(key=KNOWN, value={node.metadata.name: node.metadata.uid for node in listed})
    yield Remember(key=ZONES, value={zone_of(node): Zone(state="Normal", rate=rate) for node in listed})


@law.key
def changed_node(change: Change, view: View) -> tuple[Key, ...]:
    """The node itself, unless it is gone."""
    return () if change.type == "DELETED" else (change.key,)


def _is_placed(change: Change, view: View) -> bool:
    """Whether the Pod is bound to a node by this change, or first seen on one."""
    if change.type == "DELETED" or not change.new.spec.node_name:
        return False
    return change.old is None or change.type == "ADDED" or change.old.spec.node_name != change.new.spec.node_name


@law.key
@asked_of_sorts(_is_placed)
def placed_pod(change: Change, view: View) -> tuple[Key, ...]:
    """The Pod, when it is bound to a node or first seen on one, unless it would be let be: the node is not lost.

    The round that finds a node lost marks all Pods that are on it then.
    """
    if not _is_placed(change, view):
        return ()
    case = Placed(change.new, view.memory.get(HEALTH, NOTHING).get(change.new.spec.node_name))
    return (change.key,) if law.decide("placed-pod", case).actions else ()


class NodeLifecycleController:
    """Reconciles nodes, Pods that are placed, and the rounds of its own."""

    name = "node-controller"
    law = law
    first_keys: tuple[Key, ...] = (MONITOR,)

    def __init__(self, settings: LifecycleSettings | None = None) -> None:
        self.settings = settings or LifecycleSettings()

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about a key: a round, a pass, a node or a Pod."""
        if key == MONITOR:
            return self._monitor(view)
        if key == FOLLOW:
            return self._follow(view)
        if key == TAINTING:
            return self._tainting(view)
        obj = view.get(*key)
        if obj is None:
            return DONE
        return self._placed(view, obj) if isinstance(obj, Pod) else _node_pass(view, obj)

    # -- the health of all nodes ------------------------------------------------------------------------------------

    def _monitor(self, view: View) -> Plan:
        nodes = view.list("Node")
        zones = dict(view.memory.get(ZONES, NOTHING))
        round = Round(view, self.settings, zones)
        records, known = _members(nodes, view.memory.get(KNOWN, NOTHING), round)
        checks = tuple(self.checkup(view, node) for node in nodes)
        for node in nodes:
            zones.setdefault(zone_of(node), Zone(rate=self.settings.eviction_rate))
        steps = (Remember(key=KNOWN, value=known), Remember(key=ZONES, value=zones), *records)
        tries, known_health = constant("node_health_update_tries"), view.memory.get(HEALTH, NOTHING)
        return Plan(
            steps=steps, then=lambda _: swap_plan(round.swaps, lambda: self._write(checks, {}, known_health, tries))
        )

    def checkup(self, view: View, node: Node) -> Checkup:
        """A look at one node."""
        name = node.metadata.name
        lease: Lease | None = view.get("Lease", LEASES, name)
        renewed = None if lease is None else lease.spec.renew_time
        saved = view.memory.get(HEALTH, NOTHING).get(name)
        return Checkup(node=node, saved=saved, renewed=renewed, now=view.now, settings=self.settings)

    def _write(
        self, checks: tuple[Checkup, ...], done: dict[str, Node | None], saved: Mapping[str, Health], tries: int
    ) -> Plan:
        """Write the status of nodes that are lost; `done`: what has been written, None: could not be."""
        writes: list[Write] = []
        written: list[Checkup] = []
        for check in checks:
            if check.node.metadata.name in done:
                continue
            steps = law.perform(law.decide("lost-node", check), check)
            if steps:
                writes.extend(steps)  # type: ignore[arg-type]
                written.append(check)
        if not writes:
            return _checked_plan(checks, done, saved)

        def answered(outcomes: tuple[Outcome, ...]) -> Plan:
            again: dict[str, Checkup] = {}
            for check, outcome in zip(written, outcomes, strict=True):
                name = check.node.metadata.name
                how = goes_on(outcome, tries - 1)
                if how == "again":
                    again[name] = evolve(check, node=outcome.object)
                else:
                    done[name] = outcome.object if how == "next" else None
            left = tuple(again.get(check.node.metadata.name, check) for check in checks)
            return self._write(left, done, saved, tries - 1)

        return Plan(steps=(Parallel(writes=tuple(writes)),), then=answered)

    # -- what follows from it ---------------------------------------------------------------------------------------

    def _follow(self, view: View) -> Plan:
        seen, counts = view.memory.get(SEEN, ((), NOTHING))
        censuses = {zone: Census(ready, unready, self.settings) for zone, (ready, unready) in counts.items()}
        zones = dict(view.memory.get(ZONES, NOTHING))
        round = Round(view, self.settings, zones, censuses=censuses, healths=view.memory.get(HEALTH, NOTHING))
        retry: Mapping[str, Any] = view.memory.get(RETRY, NOTHING)
        records: list[Any] = []
        # Nothing is to be taken away from nodes that are well, and no Pods of theirs are to be marked.
        unwell = [
            each for each in seen if not each.well or each.node.metadata.name in zones[zone_of(each.node)].members
        ]
        for each in _by_chance(view, unwell):
            case = NodeCase(seen=evolve(each, retry=each.node.metadata.name in retry), round=round)
            law.perform(law.decide("no-execute", case), case)
            records.extend(law.perform(law.decide("turned", case), case))
        self._disruption(round)
        steps = (
            Remember(key=ZONES, value=round.zones),
            Remember(key=HEALTH, value=round.healths),
            Remember(key=RETRY, value=None),
            Look(key=TAINTING),
            *records,
        )
        return Plan(
            steps=steps, then=lambda _: swap_plan(merged(round.swaps), lambda: _mark(round.marks, by_round=True))
        )

    def _disruption(self, round: Round) -> None:
        """What the states of the zones lead to."""
        for gone in [name for name in round.zones if name not in round.censuses]:
            del round.zones[gone]
        round.states = {name: state_of(census) for name, census in round.censuses.items()}
        for name in round.states:
            round.zones.setdefault(name, Zone(rate=self.settings.eviction_rate))
        before = tuple(zone.state for zone in round.zones.values())
        case = Disruption(before, tuple(round.states.values()), round)
        law.perform(law.decide("disruption", case), case)

    # -- NoExecute taints -------------------------------------------------------------------------------------------

    def _tainting(self, view: View) -> Plan:
        """Serve the queues when a pass is due; else come back when one is."""
        zones: Mapping[str, Zone] = view.memory.get(ZONES, NOTHING)
        due: int | None = view.memory.get(TAINTING_DUE)
        if due is None or view.now < due:
            wanted = _next_pass(zones, view.now)
            if wanted is None or (due is not None and due <= wanted):
                return DONE
            return Plan(steps=(Remember(key=TAINTING_DUE, value=wanted),), requeue_after=wanted - view.now)
        round = Round(view, self.settings, dict(zones))
        for name in zones:
            _serve(round, name)
        steps = (Remember(key=ZONES, value=round.zones), Remember(key=TAINTING_DUE, value=None))
        again = Plan(steps=(Look(key=TAINTING),))
        return Plan(steps=steps, then=lambda _: swap_plan(merged(round.swaps), lambda: again))

    # -- Pods -------------------------------------------------------------------------------------------------------

    def _placed(self, view: View, pod: Pod) -> Plan:
        health = view.memory.get(HEALTH, NOTHING).get(pod.spec.node_name)
        round = Round(view, self.settings, {})
        case = Placed(pod, health, round)
        decision = law.decide("placed-pod", case)
        if not decision.actions:
            return DONE
        law.perform(decision, case)
        return _mark(round.marks, by_round=False)


def _by_chance(view: View, seen: list[Seen]) -> list[Seen]:
    """Nodes in the order in which eight workers come to them, which is any."""
    order = view.tie_break
    return seen if order is None else sorted(seen, key=lambda each: order(key_of(each.node)))


def _members(nodes: tuple[Node, ...], known: Mapping[str, str], round: Round) -> tuple[list[Any], Mapping[str, str]]:
    """Events of nodes that came and went, and the nodes that are known from now on."""
    records: list[Any] = []
    listed = {node.metadata.name for node in nodes}
    gone = [Node(metadata=ObjectMeta(name=name, uid=uid)) for name, uid in known.items() if name not in listed]
    for node in (*nodes, *gone):
        name = node.metadata.name
        case = Member(node, name in known, name in listed, round)
        records.extend(law.perform(law.decide("membership", case), case))
    return records, {node.metadata.name: known.get(node.metadata.name, node.metadata.uid) for node in nodes}


def _checked_plan(checks: tuple[Checkup, ...], done: dict[str, Node | None], saved: Mapping[str, Health]) -> Plan:
    """Keep what the round saw of the nodes, and go on with what follows from it."""
    healths: dict[str, Health] = dict(saved)
    counts: dict[str, tuple[int, int]] = {}
    seen: list[Seen] = []
    for check in checks:
        name = check.node.metadata.name
        node = done.get(name, check.node)
        healths[name] = check.health
        if node is None:
            continue
        ready = ready_of(node)
        is_ready = ready is not None and ready.status == "True"
        if name in done and ready is not None:
            healths[name] = evolve(check.health, node=node, ready=ready.status, heartbeat=ready.last_heartbeat_time)
        if EXCLUDED not in node.metadata.labels:
            zone = zone_of(node)
            up, down = counts.get(zone, (0, 0))
            counts[zone] = (up + is_ready, down + (not is_ready))
        before = check.ready
        well = is_ready and not any(tainted(node, each.key) for each in BOTH)
        seen.append(Seen(node=node, was_ready=before is not None and before.status == "True", well=well))
    period = constant("node_monitor_period") * SECOND + constant("node_monitor_pass") * MILLISECOND
    steps = (
        Remember(key=HEALTH, value=healths),
        Remember(key=SEEN, value=(tuple(seen), counts)),
        Look(key=FOLLOW),
    )
    return Plan(steps=steps, requeue_after=period, periodic=True)


def _node_pass(view: View, node: Node) -> Plan:
    """NoSchedule taints and labels of a node that was created or changed."""
    labels = label_writes(node)
    return swap_plan([condition_swap(node, view.now)], lambda: Plan(steps=labels, then=lambda _: DONE))


def _next_pass(zones: Mapping[str, Zone], now: int) -> int | None:
    """When the next pass finds something to do (ns); passes come at whole periods, and not in this moment."""
    due = [at for zone in zones.values() if (at := zone.due) is not None]
    if not due:
        return None
    period = constant("node_tainting_period") * MILLISECOND
    at = max(min(due), now + 1)
    return int(at + -at % period)


def _serve(round: Round, name: str) -> None:
    """Let the first node of a zone's queue through, where the zone's rate allows one."""
    zone = round.zones[name]
    if not zone.waiting or zone.rate <= 0 or round.now < zone.token_at:
        return
    round.zones[name] = zone.takes_token(round.now)
    node, at = zone.waiting[0]
    if round.now < at:
        return
    case = Queued(node, round.view.get("Node", "", node), name, round)
    law.perform(law.decide("queued", case), case)


def _mark(marks: list[PodCase], *, by_round: bool) -> Plan:
    """Write Ready False to Pods. What fails is tried again by the next round, or by the queue."""
    writes = [step for case in marks for step in law.perform(law.decide("mark-pod", case), case)]
    if not writes:
        return DONE

    def answered(outcomes: tuple[Outcome, ...]) -> Plan:
        records = tuple(_marked(outcome) for outcome in outcomes if outcome.ok)
        failed = [outcome for outcome in outcomes if not outcome.ok and outcome.code != 404]
        if not failed:
            return Plan(steps=records)
        if not by_round:
            return Plan(steps=records, error=failed[0].message)
        nodes = {_pod(outcome).spec.node_name: True for outcome in failed}
        return Plan(steps=(*records, Remember(key=RETRY, value=nodes)))

    return Plan(steps=(Parallel(writes=tuple(writes)),), then=answered)  # type: ignore[arg-type]


def _pod(outcome: Outcome) -> Pod:
    request = outcome.request
    assert isinstance(request, Update)
    found: Pod = request.object
    return found


def _marked(outcome: Outcome) -> Record:
    request = outcome.request
    return Record(
        regarding=_pod(outcome), type="Warning", reason="NodeNotReady", message="Node is not ready", why=request.why
    )
