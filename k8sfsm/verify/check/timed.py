"""Controllers that act by the clock, run beside a history: their rounds, timers and rate limits need a past of their own.

The engine runs them on the recorded cluster: every write of others is put into its store when it was recorded. What
they order there is what the real ones must have ordered, at about the same time.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import define, evolve, field

from k8sfsm.apiserver import ApiServer
from k8sfsm.engine.action import Deliver
from k8sfsm.engine.cluster import Cluster
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.standard import control_plane, kubelet_of
from k8sfsm.law import constant
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.session import Settings
from k8sfsm.objects import ObjectError, to_json
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite, Recording
from k8sfsm.verify.check.explaining import Explanation, Nearest, apart
from k8sfsm.verify.check.judging import BY_THE_CLOCK, law, method_of
from k8sfsm.verify.check.past import SECOND
from k8sfsm.verify.replay.choices import RecordedChoices
from k8sfsm.verify.replay.compare import differences
from k8sfsm.verify.replay.faults import fault_of
from k8sfsm.verify.replay.heartbeats import Heartbeats
from k8sfsm.verify.replay.kubelets import HollowKubelet, stops_of
from k8sfsm.verify.replay.predict import initial_store, shows_leases

Route = tuple[str, str, str, tuple[str, str, str]]
"""(actor, verb, subresource, object)."""


@define
class Timed:
    """The controllers that act by the clock, on a recorded cluster."""

    engine: Engine
    played: frozenset[str]
    leases: bool
    """Whether the history shows heartbeats; otherwise nodes are taken to send them while they are up."""
    ordered: dict[Route, deque[Line]] = field(factory=lambda: defaultdict(deque))
    nodes: set[str] = field(factory=set)
    facts: deque[EnvironmentFact] = field(factory=deque)
    pattern: Settings = field(factory=lambda: Settings(node=""))
    renewals: Mapping[str, int] = field(factory=dict)

    @classmethod
    def beside(cls, recording: Recording, api: ApiServer) -> Timed:
        """Ready to follow a history from its start on."""
        heartbeats = Heartbeats.of(recording, stops_of(recording))
        others = {each.name: each for each in heartbeats.controllers()}
        manager = control_plane()[0]
        clocked = tuple(each for each in manager.controllers if method_of(each.name) == BY_THE_CLOCK)
        component = evolve(manager, controllers=tuple(others.get(each.name, each) for each in clocked))
        ordered: dict[Route, deque[Line]] = defaultdict(deque)

        def take(line: Line) -> None:
            if line.actor in played and line.code < 300 and line.key[0] != "Event":
                ordered[line.actor, line.verb, line.subresource, line.key].append(line)

        played = frozenset(each.name for each in component.controllers)
        start = recording.start or 0
        shown = shows_leases(recording)
        store = initial_store(recording, heartbeats)
        engine = Engine(
            Cluster(components=(component,)),
            api,
            ScriptedRuntime(),
            store=store,
            now=start,
            choices=RecordedChoices(recording),
            tracer=take,
        )
        for step in heartbeats.remembered(engine.store, start):
            engine.own("node-controller").remember(step)
        timed = cls(engine, played, shown, ordered, facts=deque(recording.environment))
        timed.pattern = Settings(node="", probing=False, heartbeats=not shown, reports_node=False)
        timed.renewals = heartbeats.renewals
        for document in recording.initial:
            if document.key[0] == "Node":
                timed._join(document.key[2])
        engine.run(until=start)
        return timed

    def _join(self, node: str) -> None:
        if node in self.nodes or self.leases:
            return
        self.nodes.add(node)
        settings = evolve(self.pattern, node=node, renews_at=self.renewals.get(node))
        self.engine.add_component(evolve(kubelet_of(node), controllers=(HollowKubelet(node, settings),)))

    def until(self, at: int) -> None:
        """Let the time come (ns)."""
        while self.facts and self.facts[0].time <= at:
            fact = self.facts.popleft()
            self.engine.run(until=max(fact.time, self.engine.now))
            action = fault_of(fact, self.engine)
            if action is not None:
                self.engine.schedule(action, fact.time)
        self.engine.run(until=max(at, self.engine.now))

    def take(self, write: RecordedWrite) -> None:
        """A recorded change is committed; those of the controllers that run here they make themselves."""
        if write.type is None or write.new is None or write.actor in self.played or write.key[0] == "Event":
            return
        self.until(write.time)
        try:
            obj = write.new.typed
        except ObjectError:
            return
        engine = self.engine
        if write.type == "DELETED":
            if engine.store.snapshot.get(write.key) is None:
                return
            engine.store, change = engine.store.remove(write.key, write.time)
        else:
            engine.store, change = engine.store.put(obj, write.time)
        for component, kind in engine.informers.publish(change):
            engine.schedule(Deliver(component, kind), engine.now)
        if write.key[0] == "Node" and write.type == "ADDED":
            self._join(write.key[2])

    def explain(self, write: RecordedWrite) -> Explanation | Nearest:
        """The order that was given here about then."""
        limit = constant("check_clock_lag") * SECOND
        waiting = self.ordered.get((write.actor, write.verb, write.subresource, write.key), deque())
        nearest = Nearest()
        for line in tuple(waiting):
            if abs(line.at - write.time) > limit:
                continue
            differs = _apart(write, line)
            if not differs:
                waiting.remove(line)
                return Explanation(line.rule, dict(line.facts), write.key, 0, 0)
            nearest = Nearest(line.rule, dict(line.facts), differs)
        return nearest

    def left(self, before: int) -> Iterator[Line]:
        """What was ordered here up to a time (ns), had an effect, and was not recorded."""
        for lines in self.ordered.values():
            yield from (line for line in lines if line.change and line.at <= before)


def _apart(write: RecordedWrite, line: Line) -> str:
    """How what was ordered here differs from what was recorded; where both changed something."""
    if write.verb == "delete" or write.type is None or write.new is None or line.after is None:
        return ""
    parts = ("status", "spec")
    recorded, ours = (to_json(obj) for obj in (write.new.typed, line.after))
    if write.key[0] == "Pod":
        recorded, ours = ({"conditions": _disruption(each)} for each in (recorded, ours))
        parts = ("conditions",)
    elif write.key[0] == "Node":
        recorded, ours = ({"taints": _taints(each), "ready": _ready(each)} for each in (recorded, ours))
        parts = ("taints", "ready")
    pair = ({part: each.get(part) for part in parts} for each in (recorded, ours))
    for path, left, right in differences(write.key[0], *pair, by=law):
        return apart(write.key[0], path, left, right)
    return ""


def _conditions(obj: Any, *kinds: str) -> dict[str, Any]:
    found = {each["type"]: each for each in (obj.get("status") or {}).get("conditions") or ()}
    return {kind: {"status": found[kind]["status"], "reason": found[kind].get("reason")} for kind in kinds if kind in found}


def _disruption(pod: Any) -> dict[str, Any]:
    """What these controllers say of a pod."""
    return _conditions(pod, "DisruptionTarget", "Ready") | {"phase": (pod.get("status") or {}).get("phase")}


def _ready(node: Any) -> dict[str, Any]:
    return _conditions(node, "Ready")


def _taints(node: Any) -> list[Any]:
    taints = (node.get("spec") or {}).get("taints") or ()
    return sorted((each.get("key"), each.get("effect")) for each in taints)
