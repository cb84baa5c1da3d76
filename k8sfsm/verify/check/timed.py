"""Controllers that act by the clock, run beside a history: their rounds, timers and rate limits have a past.

The engine runs them on the recorded cluster: every write of others is put into its store when it was recorded. What
they order there is what the real ones must have ordered, at about the same time.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from attrs import define, field

from k8sfsm.apiserver import ApiServer
from k8sfsm.engine.cluster import Cluster
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.standard import control_plane, kubelet_of
from k8sfsm.law import constant
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.session import Settings
from k8sfsm.objects import ObjectError, evolve, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import Key, Why
from k8sfsm.store import Change, Snapshot, Store
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite, Recording
from k8sfsm.verify.check.events import Announced, Announcement
from k8sfsm.verify.check.judging import BY_THE_CLOCK, law, method_of
from k8sfsm.verify.check.report import Found
from k8sfsm.verify.check.silence import with_silence
from k8sfsm.verify.check.verdicts import Explanation, Nearest, apart
from k8sfsm.verify.replay.choices import RecordedChoices
from k8sfsm.verify.replay.compare import differences
from k8sfsm.verify.replay.faults import fault_of
from k8sfsm.verify.replay.heartbeats import Heartbeats
from k8sfsm.verify.replay.kubelets import HollowKubelet, stops_of
from k8sfsm.verify.replay.predict import initial_store, shows_leases

_MONITOR: Final = "node-controller"
_TOLD: Final = 512
_KEPT: Final = 4096
"""So many revisions are kept for views."""
Route = tuple[str, Key]
"""(actor, object)."""


@define
class Timed:
    """The controllers that act by the clock, on a recorded cluster."""

    engine: Engine
    played: frozenset[str]
    leases: bool
    """Whether the history shows heartbeats; otherwise nodes are taken to send them while they are up."""
    ordered: dict[Route, deque[Line]] = field(factory=lambda: defaultdict(deque))
    told: dict[str, deque[Line]] = field(factory=dict)
    """The Events that each of them recorded of late."""
    kinds: frozenset[str] = frozenset()
    """What they watch."""
    nodes: set[str] = field(factory=set)
    facts: deque[EnvironmentFact] = field(factory=deque)
    pattern: Settings = field(factory=lambda: Settings(node=""))
    renewals: Mapping[str, int] = field(factory=dict)

    @classmethod
    def beside(cls, recording: Recording, api: ApiServer, *, whole: bool) -> Timed:
        """Ready to follow a history from its start on. `whole`: it is known to its end; otherwise it is not known when
        nodes fell silent, and what the node controller did about that is taken as it was recorded.
        """
        recording = with_silence(recording)
        heartbeats = Heartbeats.of(recording, stops_of(recording))
        others = {each.name: each for each in heartbeats.controllers()}
        manager = control_plane()[0]
        clocked = tuple(
            each
            for each in manager.controllers
            if method_of(each.name) == BY_THE_CLOCK and (whole or each.name != _MONITOR)
        )
        component = evolve(manager, controllers=tuple(others.get(each.name, each) for each in clocked))
        ordered: dict[Route, deque[Line]] = defaultdict(deque)

        def take(line: Line) -> None:
            if line.actor in played and line.key[0] == "Event" and line.after is not None:
                told[line.actor].append(line)
            elif line.actor in played and line.code < 300:
                ordered[line.actor, line.key].append(line)

        told: dict[str, deque[Line]] = defaultdict(lambda: deque(maxlen=_TOLD))
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
        for step in heartbeats.remembered(engine.store, start) if _MONITOR in played else ():
            engine.own(_MONITOR).remember(step)
        kinds = frozenset(kind for name in engine.components for kind in engine.informers.kinds_of(name))
        timed = cls(
            engine,
            played,
            shown,
            ordered,
            told=told,
            kinds=kinds | {"Lease", "Namespace"},
            facts=deque(recording.environment),
        )
        timed.pattern = Settings(node="", probing=False, heartbeats=not shown, reports_node=False)
        timed.renewals = heartbeats.renewals
        for document in recording.initial:
            if document.key[0] == "Node":
                timed._join(document.key[2])
        engine.run(until=start)
        return timed

    def go_on(self, recording: Recording, choices: RecordedChoices) -> None:
        """Another portion of the history begins."""
        self.engine.choices = choices
        recording = with_silence(recording)
        self.facts.extend(recording.environment)
        self.engine.store = self.engine.store.forgetting(self.engine.store.revision - _KEPT)
        for document in recording.initial:
            if document.key[0] != "Event" and self.engine.store.snapshot.get(document.key) is None:
                self._put(*self.engine.store.put(document.typed, self.engine.now))

    def _put(self, store: Store, change: Change) -> None:
        self.engine.store = store
        for delivery in self.engine.informers.publish((change,)):
            self.engine.schedule(delivery, self.engine.now)

    def _join(self, node: str) -> None:
        if node in self.nodes or self.leases or _MONITOR not in self.played:
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
        if write.type is None or write.new is None or write.actor in self.played or write.key[0] not in self.kinds:
            return
        if write.key[0] == "Lease" and _MONITOR not in self.played:
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
            self._put(*engine.store.remove(write.key, write.time))
        else:
            self._put(*engine.store.put(obj, write.time))
        if write.key[0] == "Node" and write.type == "ADDED":
            self._join(write.key[2])

    def explain(self, write: RecordedWrite) -> Explanation | Nearest:
        """The order that was given here about then."""
        if write.key[0] == "Event":
            return self._told(write)
        limit = constant("check_clock_lag") * SECOND
        waiting = self.ordered.get((write.actor, write.key), deque())
        nearest = Nearest()
        for line in tuple(waiting):
            same = write.inferred or (line.verb, line.subresource) == (write.verb, write.subresource)
            if abs(line.at - write.time) > limit or not same:
                continue
            differs = "" if write.inferred else _apart(write, line)
            if not differs:
                waiting.remove(line)
                return Explanation(line.rule, dict(line.facts), write.key, 0, 0)
            nearest = Nearest(line.rule, dict(line.facts), differs)
        return nearest

    def _told(self, write: RecordedWrite) -> Explanation | Nearest:
        if write.new is None:
            return Nearest()
        announced = Announced()
        for line in chain.from_iterable(self.told.values()):  # several share an account
            if abs(line.at - write.time) <= int(constant("check_event_lag")) * SECOND:
                ordered = Announcement.of_json(to_json(line.after))
                announced.add(write.actor, line.at, ordered, Why(rule=line.rule, facts=dict(line.facts)))
        return announced.explain(write)

    def left(self, before: int, now: Snapshot) -> Iterator[Found]:
        """What was ordered here up to a time (ns), had an effect, and does not show in what there is now."""
        lines = (line for lines in self.ordered.values() for line in lines if line.change and line.at <= before)
        for line in (
            line for line in lines if _stands(line, now.get(line.key), self.engine.store.snapshot.get(line.key))
        ):
            what = f"{line.actor} has not done what {line.rule} orders: {line.verb} {line.subresource}".rstrip()
            yield Found(
                what=f"{what} {'/'.join(filter(None, line.key))}", cause=line.rule, key=line.key, line="",
                actor=line.actor, at=line.at, nearest=line.rule, facts=dict(line.facts),
            )  # fmt: skip


def _stands(line: Line, recorded: Any, here: Any) -> bool:
    """Whether what an order did here still shows here, and not in the recorded cluster (None: the object is gone)."""
    known = line.after if line.after is not None else line.before
    if recorded is None or known is None or recorded.metadata.uid != known.metadata.uid:
        return False
    if line.verb == "delete":
        return recorded.metadata.deletion_timestamp is None
    return here is not None and any(True for _ in _differences(line.key[0], to_json(recorded), to_json(here)))


def _apart(write: RecordedWrite, line: Line) -> str:
    """How what was ordered here differs from what was recorded; where both changed something."""
    if write.verb == "delete" or write.type is None or write.new is None or line.after is None:
        return ""
    for path, left, right in _differences(write.key[0], to_json(write.new.typed), to_json(line.after)):
        return apart(write.key[0], path, left, right)
    return ""


def _differences(kind: str, recorded: Any, ours: Any) -> Iterator[tuple[str, Any, Any]]:
    """How two states of an object differ in what these controllers write."""
    if kind == "Pod":
        recorded, ours = ({"conditions": _disruption(each)} for each in (recorded, ours))
    elif kind == "Node":
        recorded, ours = ({"taints": _taints(each), "ready": _ready(each)} for each in (recorded, ours))
    else:
        recorded, ours = ({part: each.get(part) for part in ("spec", "status")} for each in (recorded, ours))
    yield from differences(kind, recorded, ours, by=law)


def _conditions(obj: Any, *kinds: str) -> dict[str, Any]:
    found = {each["type"]: each for each in (obj.get("status") or {}).get("conditions") or ()}
    return {
        kind: {"status": found[kind]["status"], "reason": found[kind].get("reason")} for kind in kinds if kind in found
    }


def _disruption(pod: Any) -> dict[str, Any]:
    """What these controllers say of a pod."""
    return _conditions(pod, DISRUPTION_TARGET, "Ready") | {"phase": (pod.get("status") or {}).get("phase")}


def _ready(node: Any) -> dict[str, Any]:
    return _conditions(node, "Ready")


def _taints(node: Any) -> list[Any]:
    taints = (node.get("spec") or {}).get("taints") or ()
    return sorted((each.get("key"), each.get("effect")) for each in taints)
