"""Vectors of node failure: taints from conditions, a round of the node lifecycle controller, zones, taint eviction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import define, field

from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.controllers.nodelifecycle.controller import FOLLOW, HEALTH, KNOWN, MONITOR, ZONES, NodeLifecycleController
from k8sfsm.controllers.nodelifecycle.health import Health, LifecycleSettings, ready_of
from k8sfsm.controllers.nodelifecycle.zones import Census, Zone, rate_of, state_of, zone_of
from k8sfsm.controllers.tainteviction import Sentence, tolerated_for
from k8sfsm.controllers.tainteviction import law as eviction_law
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.run import Batch, Run
from k8sfsm.machine import Machines
from k8sfsm.objects import (
    Lease,
    LeaseSpec,
    Node,
    ObjectMeta,
    Pod,
    PodSpec,
    Taint,
    Toleration,
    evolve,
    from_json,
    key_of,
    parse_time,
    part_from_json,
    to_json,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Look, Outcome, Parallel, Record, Remember
from k8sfsm.store import Store
from k8sfsm.verify.vectors import target
from k8sfsm.view import View


@define
class Desk:
    """A controller at work on a store of its own, key by key, with the real write path."""

    controller: Any
    store: Store
    now: int
    memory: dict[Any, Any] = field(factory=dict)
    written: list[Key] = field(factory=list)
    api: ApiServer = field(factory=lambda: ApiServer(Machines.load()))

    @classmethod
    def of(cls, controller: Any, objects: tuple[Any, ...], now: int) -> Desk:
        """A desk with these objects in its store."""
        store = Store.starting_at(0)
        for obj in objects:
            store, _ = store.put(evolve(obj, metadata=evolve(obj.metadata, resource_version="")), now)
        return cls(controller, store, now)

    def work(self, key: Key) -> None:
        """Reconcile a key to the end of its plan; other keys that it asks for are left alone."""
        view = View(self.now, self.store.snapshot, self.memory)  # type: ignore[arg-type]
        run = Run.of(key, 0, self.controller.reconcile(view, key))
        while run.steps or run.batch is not None or run.plan.then is not None:
            run = self._step(run)

    def _step(self, run: Run) -> Run:
        if run.batch is not None:
            return self._send(run) if run.batch.left else evolve(run, batch=None)
        if not run.steps:
            assert run.plan.then is not None
            return Run.of(run.key, 0, run.plan.then(run.outcomes))
        first = run.steps[0]
        if isinstance(first, Parallel):
            return evolve(run, steps=run.steps[1:], batch=Batch.of(first) if first.writes else None)
        if not isinstance(first, Remember | Look | Record):
            return self._send(run)
        if isinstance(first, Remember):
            self.memory[first.key] = first.value
        return evolve(run, steps=run.steps[1:])

    def _send(self, run: Run) -> Run:
        write = run.next_write
        answer = self.api.handle(self.store, write, Sender(self.controller.name), self.now, Seeded())
        self.store = answer.store
        outcome: Outcome = answer.outcome
        if outcome.ok and getattr(write, "subresource", "") == "status":
            self.written.append(key_of(outcome.object))
        return run.answered(outcome)


def _node(document: dict[str, Any]) -> Node:
    found: Node = from_json({"apiVersion": "v1", **document}, "Node")
    return found


def _taints(node: Node) -> list[Any]:
    return [to_json(each) for each in sorted(node.spec.taints, key=lambda each: (each.key, each.effect))]


@target("node_condition_taints")
def node_condition_taints(given: dict[str, Any]) -> Any:
    """DoNoScheduleTaintingPass of one node."""
    before = _node(given["node"])
    desk = Desk.of(NodeLifecycleController(), (_labelled(before),), parse_time(given["now"]))
    desk.work(key_of(before))
    after: Any = desk.store.snapshot.get(key_of(before))
    return {"taints": _taints(after), "changed": after.spec.taints != before.spec.taints, "error": None}


def _labelled(node: Node) -> Node:
    """The node without the labels whose old names the same pass would set."""
    labels = {name: value for name, value in node.metadata.labels.items() if not name.startswith("kubernetes.io/")}
    return evolve(node, metadata=evolve(node.metadata, labels=labels))


@target("node_zone_state")
def node_zone_state(given: dict[str, Any]) -> Any:
    """ComputeZoneState, ReducedQPSFunc, and the limiter that the state gets."""
    settings = _settings(given)
    statuses = given["readyStatuses"] or ()
    ready = sum(status == "True" for status in statuses)
    census = Census(ready, len(statuses) - ready, settings)
    state = state_of(census)
    return {
        "notReady": census.unready,
        "state": state,
        "limiterQPS": rate_of(state, census),
        "reducedQPS": rate_of("PartialDisruption", census),
    }


_FLAGS: Final = {
    "evictionQPS": "eviction_rate",
    "secondaryEvictionQPS": "secondary_eviction_rate",
    "unhealthyZoneThreshold": "unhealthy_zone_threshold",
    "largeClusterThreshold": "large_zone_size",
    "nodeMonitorGracePeriodSeconds": "monitor_grace",
    "nodeStartupGracePeriodSeconds": "startup_grace",
}


def _settings(given: Mapping[str, Any]) -> LifecycleSettings:
    return LifecycleSettings(**{name: given[flag] for flag, name in _FLAGS.items() if flag in given})


def _leases(given: Mapping[str, Any], now: int) -> Iterator[Lease]:
    for name, age in (given["leaseRenewAgeSeconds"] or {}).items():
        meta = ObjectMeta(name=name, namespace="kube-node-lease")
        yield Lease(metadata=meta, spec=LeaseSpec(renew_time=now - round(age * SECOND)))


def _saved(nodes: tuple[Node, ...], ages: Mapping[str, float], now: int) -> dict[str, Health]:
    found = {}
    for node in nodes:
        age, ready = ages[node.metadata.name], ready_of(node)
        if age >= 0:
            found[node.metadata.name] = Health(
                node=node,
                heard=now - round(age * SECOND),
                ready="" if ready is None else ready.status,
                heartbeat=None if ready is None else ready.last_heartbeat_time,
            )
    return found


@target("node_monitor")
def node_monitor(given: dict[str, Any]) -> Any:
    """One round of monitorNodeHealth."""
    now, settings = parse_time(given["now"]), _settings(given)
    nodes = tuple(map(_node, given["nodes"]))
    desk = Desk.of(NodeLifecycleController(settings), (*nodes, *_leases(given, now)), now)
    desk.memory[HEALTH] = _saved(nodes, given["lastProbeAgeSeconds"], now)
    desk.memory[ZONES] = {
        _inner(zone): Zone(state=state, rate=settings.eviction_rate)
        for zone, state in (given["previousZoneStates"] or {}).items()
    }
    desk.memory[KNOWN] = {node.metadata.name: node.metadata.uid for node in nodes}
    desk.work(MONITOR)
    desk.work(FOLLOW)
    zones: dict[str, Zone] = desk.memory[ZONES]
    return {
        "error": None,
        "zoneStates": {_shown(zone): found.state for zone, found in zones.items()},
        "nodes": {node.metadata.name: _after(desk, node) for node in nodes},
        "queuedForNoExecute": {
            _shown(zone): sorted(name for name, _ in found.waiting) for zone, found in zones.items() if found.waiting
        },
    }


def _inner(zone: str) -> str:
    return zone.replace(":", ":\x00:", 1)


def _shown(zone: str) -> str:
    return zone.replace(":\x00:", ":")


def _after(desk: Desk, node: Node) -> dict[str, Any]:
    found: Any = desk.store.snapshot.get(key_of(node))
    return {
        "zone": _shown(zone_of(found)),
        "statusUpdated": key_of(node) in desk.written,
        "conditions": [to_json(each) for each in found.status.conditions],
        "taints": _taints(found),
    }


@target("taint_eviction")
def taint_eviction(given: dict[str, Any]) -> Any:
    """GetMatchingTolerations and getMinTolerationTime, as processPodOnNode uses them."""
    taints = tuple(part_from_json(Taint, each) for each in given["taints"] or ())
    tolerations = tuple(part_from_json(Toleration, each) for each in given["tolerations"] or ())
    case = Sentence(Pod(spec=PodSpec(tolerations=tolerations)), taints, None, 0)
    actions = eviction_law.decide("verdict", case).actions
    evict = "later" if "start_timer" in actions else "now" if "delete_now" in actions else "never"
    tolerated, used = case.matching
    return {
        "allTolerated": tolerated,
        "usedTolerations": [to_json(each) for each in used],
        "evict": evict,
        "afterSeconds": {"now": 0, "later": tolerated_for(case), "never": None}[evict],
    }
