"""What a recording tells of heartbeats and rounds, which it leaves out: when leases were renewed, and when rounds came.

The phases of these are chance. A node that was found lost tells when its lease was renewed last, within the period of
the rounds that look; what a round wrote tells when rounds came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

from k8sfsm.controllers.nodelifecycle import LifecycleSettings, NodeLifecycleController
from k8sfsm.controllers.nodelifecycle.controller import HEALTH, KNOWN, MONITOR
from k8sfsm.controllers.nodelifecycle.health import Health, ready_of
from k8sfsm.controllers.podgc import ROUND, PodGarbageCollector
from k8sfsm.engine.cluster import Controller
from k8sfsm.law import constant
from k8sfsm.objects import Lease, LeaseSpec, Node, ObjectMeta, evolve, parse_duration
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.request import Key, Plan, Remember
from k8sfsm.store import Store
from k8sfsm.trace.history import RecordedWrite, Recording
from k8sfsm.view import View

_LEASES: Final = "kube-node-lease"
_MONITOR_REASONS: Final = ("RegisteredNode", "RemovingNode", "NodeNotReady")
_NEAR: Final = 2 * SECOND
"""Rounds drift: a recorded one that is no further away than this is taken for the next one."""


@frozen
class Heartbeats:
    """Heartbeats of a recorded cluster. `renewals`: a moment (ns) at which each node renewed its lease.

    `lost`: when (ns) each node was found lost; `known`: uids of nodes that the controller knew and the recording does
    not show; `monitor`, `collector`: when (ns) rounds of the node lifecycle
    controller and of the pod garbage collector are known to have come.
    """

    settings: LifecycleSettings
    renewals: Mapping[str, int] = field(factory=dict)
    lost: Mapping[str, tuple[int, ...]] = field(factory=dict)
    known: Mapping[str, str] = field(factory=dict)
    announced: frozenset[str] = frozenset()
    """Nodes of which the controller said that it registered them."""
    monitor: tuple[int, ...] = ()
    collector: tuple[int, ...] = ()

    @classmethod
    def of(cls, recording: Recording, stops: Mapping[str, tuple[int, ...]]) -> Heartbeats:
        """What the recording tells; `stops`: when (ns) each node's kubelet is known to have stopped."""
        settings = lifecycle_settings(recording)
        lost = _lost(recording)
        return cls(
            settings,
            dict(_renewals(lost, stops, settings)),
            lost,
            _known(recording),
            frozenset(about for reason, about, _ in _announcements(recording) if reason == "RegisteredNode"),
            tuple(_times(recording, "node-controller", _status_of_node))
            or tuple(_times(recording, "node-controller", _told_by_monitor)),
            tuple(_times(recording, "pod-garbage-collector", lambda write: write.key[0] == "Pod")),
        )

    def renewed_before(self, node: str, at: int) -> int:
        """The last renewal of a node's lease up to `at` (ns)."""
        interval: int = constant("node_lease_renew_interval") * SECOND
        return at - (at - self.renewals.get(node, at)) % interval

    def leases(self, nodes: tuple[str, ...], at: int) -> Iterator[Lease]:
        """The leases of nodes as they were at `at` (ns)."""
        for node in nodes:
            spec = LeaseSpec(
                holder_identity=node,
                lease_duration_seconds=constant("node_lease_duration"),
                renew_time=self.renewed_before(node, at),
            )
            yield Lease(metadata=ObjectMeta(name=node, namespace=_LEASES), spec=spec)

    def remembered(self, store: Store, at: int) -> Iterator[Remember]:
        """What the node lifecycle controller knew at `at` (ns) of the nodes in `store`."""
        period = _round()
        healths: dict[str, Health] = {}
        for node in store.snapshot.series("in", "Node", ""):
            name, ready = node.metadata.name, ready_of(node)
            renewed = self.renewed_before(name, at)
            heard = renewed + ((self.monitor[0] if self.monitor else at) - renewed) % period
            if heard <= at and ready is not None:
                healths[name] = Health(
                    node=node,
                    heard=heard,
                    ready=ready.status,
                    heartbeat=ready.last_heartbeat_time,
                    renewed=renewed,
                )
        yield Remember(key=HEALTH, value=healths)
        nodes = [each for each in store.snapshot.series("in", "Node", "") if not self._is_new(each, at)]
        yield Remember(key=KNOWN, value={**self.known, **{node.metadata.name: node.metadata.uid for node in nodes}})

    def _is_new(self, node: Node, at: int) -> bool:
        """Whether a node that is announced later can have been unknown at `at` (ns): no round had come since it was
        made.
        """
        if node.metadata.name not in self.announced or not self.monitor:
            return False
        looked = at - 1 - (at - 1 - self.monitor[0]) % _round()
        return looked <= (node.metadata.creation_timestamp or 0)

    def controllers(self) -> tuple[Controller, ...]:
        """The controllers with rounds, in the recorded rhythm."""
        monitor = NodeLifecycleController(self.settings)
        return (
            RecordedRounds(monitor, MONITOR, _round(), self.monitor),
            RecordedRounds(PodGarbageCollector(), ROUND, constant("pod_gc_period") * SECOND, self.collector),
        )


class RecordedRounds:
    """A controller whose rounds come when the recorded ones came, as far as that is known: their phase is chance."""

    def __init__(self, controller: Any, key: Key, period: int, times: tuple[int, ...]) -> None:
        self.name: str = controller.name
        self.law = controller.law
        self.first_keys: tuple[Key, ...] = controller.first_keys
        self._controller = controller
        self._key = key
        self._period = period
        self._times = times
        self._begun = False

    def reconcile(self, view: View, key: Key) -> Plan:
        """What the controller says; a round before its time is put off."""
        if key != self._key:
            return self._plan(view, key)
        if not self._begun:
            self._begun = True
            wait = self._until_first(view.now)
            if wait:
                return Plan(requeue_after=wait, periodic=True)
        return self._in_rhythm(self._plan(view, key), view.now)

    def _plan(self, view: View, key: Key) -> Plan:
        plan: Plan = self._controller.reconcile(view, key)
        return plan

    def _until_first(self, now: int) -> int:
        """How long until the first round (ns)."""
        return (self._times[0] - now) % self._period if self._times else 0

    def _in_rhythm(self, plan: Plan, now: int) -> Plan:
        """The plan with its last step's pause as long as until the next round that was recorded, where one is near."""
        if plan.then is not None:
            go_on = plan.then
            return evolve(plan, then=lambda outcomes: self._in_rhythm(go_on(outcomes), now))
        if plan.requeue_after is None:
            return plan
        due = now + plan.requeue_after
        known = next((at for at in self._times if abs(at - due) < _NEAR), due)
        return evolve(plan, requeue_after=known - now)


def _round() -> int:
    """From one round of the monitor to the next (ns)."""
    period: int = constant("node_monitor_period") * SECOND + constant("node_monitor_pass") * MILLISECOND
    return period


def lifecycle_settings(recording: Recording) -> LifecycleSettings:
    """The flags of the recorded controller manager; the defaults where none are told, and what was seen allows them."""
    flags = recording.about.get("flags_not_default", {})
    told = flags.get("kube-controller-manager", {}) if isinstance(flags, Mapping) else {}
    grace = str(told.get("node-monitor-grace-period", "")).partition(" ")[0]
    settings = LifecycleSettings()
    if grace:
        return evolve(settings, monitor_grace=parse_duration(grace) / SECOND)
    return evolve(settings, monitor_grace=min(settings.monitor_grace, *_silences(recording), float("inf")))


def _silences(recording: Recording) -> Iterator[float]:
    """The longest grace period with which each node can have been found lost, as seldom as the monitor looks (s).

    Where flags are not told, a node that was lost soon after its kubelet's last request tells that the period is short.
    """
    heard: dict[str, int] = {}
    period: int = constant("node_monitor_period")
    for write in recording.writes:
        if write.actor == "kubelet" and write.node:
            heard[write.node] = write.time
        elif write.actor == "node-controller" and _status_of_node(write) and write.key[2] in heard:
            silent = ((write.received or write.time) - heard.pop(write.key[2])) // SECOND
            yield float(max(period, silent - silent % period))


def _status_of_node(write: RecordedWrite) -> bool:
    """Whether a round of the monitor wrote the status of a node that it found lost."""
    return write.key[0] == "Node" and write.subresource == "status"


def _told_by_monitor(write: RecordedWrite) -> bool:
    """Whether a round of the monitor told something; Events are sent beside, and may be late."""
    if write.key[0] != "Event" or write.new is None:
        return False
    event = write.new.json
    about = event.get("involvedObject") or event.get("regarding") or {}
    return event.get("reason") in _MONITOR_REASONS and about.get("kind") == "Node"


def _known(recording: Recording) -> dict[str, str]:
    """Nodes whose removal the controller announced, and which were gone before the recording began."""
    shown = {document.key[2] for document in recording.initial if document.key[0] == "Node"}
    shown |= {write.key[2] for write in recording.changes() if write.key[0] == "Node"}
    removed = (each for each in _announcements(recording) if each[0] == "RemovingNode")
    return {node: uid for _, node, uid in removed if node not in shown}


def _announcements(recording: Recording) -> Iterator[tuple[str, str, str]]:
    """(reason, node, its uid) of each recorded Event of a node."""
    for write in recording.changes():
        event = write.new.json if write.key[0] == "Event" and write.new is not None else {}
        about = event.get("involvedObject") or event.get("regarding") or {}
        if about.get("kind") == "Node":
            yield str(event.get("reason")), about.get("name", ""), about.get("uid", "")


def _times(recording: Recording, actor: str, counts: Any) -> Iterator[int]:
    """When rounds came: the first write of each."""
    last: int | None = None
    received = sorted(
        write.received or write.time for write in recording.writes if write.actor == actor and counts(write)
    )
    for at in received:
        if last is None or at - last > _NEAR:
            yield at
        last = at


def _lost(recording: Recording) -> dict[str, tuple[int, ...]]:
    """When nodes were found lost."""
    found: dict[str, tuple[int, ...]] = {}
    for write in recording.changes():
        if write.actor == "node-controller" and write.key[0] == "Node" and write.subresource == "status":
            name = write.key[2]
            found[name] = (*found.get(name, ()), write.received or write.time)
    return found


def _renewals(
    lost: Mapping[str, tuple[int, ...]], stops: Mapping[str, tuple[int, ...]], settings: LifecycleSettings
) -> Iterator[tuple[str, int]]:
    """A renewal of each lost node: in the middle of the time in which the last one must have been.

    A round saw it whose successors found nothing new for the grace period; then the node fell silent, before the next.
    """
    interval = constant("node_lease_renew_interval") * SECOND
    for node, times in lost.items():
        seen = times[0] - round(settings.monitor_grace * SECOND)
        stop = max((each for each in stops.get(node, ()) if each <= times[0]), default=seen)
        earliest, latest = max(seen - constant("node_monitor_period") * SECOND, stop - interval), min(seen, stop)
        yield node, (earliest + max(earliest, latest)) // 2
