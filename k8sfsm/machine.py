"""The machines of the kinds: `specs/<room>/machine.yaml` bound to guards and facts, on the `transitions` library.

There is one `transitions.Machine` per kind and region, shared by all objects of the kind: an object's state is read
off the object by the region's classifier, and never stored. Writes are judged through an index made from that machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import transitions
from attrs import field, frozen

from k8sfsm.classifiers import Classifier, Classifiers
from k8sfsm.law import Law, LawError, Transition
from k8sfsm.spec.loader import file_type, load_machine, room_names, specs_dir
from k8sfsm.spec.mistakes import did_you_mean
from k8sfsm.spec.model import ABSENT, Machine, Region
from k8sfsm.spec.unary import Anything, Test
from k8sfsm.table import Column, Graph, Row
from k8sfsm.value import value

__all__ = [
    "ABSENT",
    "LEGAL",
    "Illegal",
    "KindMachine",
    "Machines",
    "Move",
    "RegionMachine",
    "Transition",
    "Verdict",
]


@value
class Move:
    """A change of state by a named transition; `rule` is its path, such as ``Pod/lifecycle/bind``."""

    kind: str
    region: str
    old: str
    new: str
    rule: str


@value
class Illegal:
    """A change of state that no transition allows.

    `nearest` is the path of the transition that came closest ("" where none comes close); `guard` the guard of it that
    does not hold, or "" where `actor` is not among its actors or it leads elsewhere.
    """

    kind: str
    region: str
    old: str
    new: str
    actor: str
    nearest: str = ""
    guard: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.kind}/{self.region}: {self.old} -> {self.new} by {self.actor} is illegal: {self.reason}"


@value
class Verdict:
    """What a write does to the machines: the moves that are transitions, and those that are none."""

    moves: tuple[Move, ...] = ()
    illegal: tuple[Illegal, ...] = ()

    @property
    def legal(self) -> bool:
        """Whether every change of state is a transition whose guards hold for the actor."""
        return not self.illegal


LEGAL = Verdict()
"""The verdict on a write that changes no state."""


class ActorIs:
    """Condition of the `transitions` library: the actor is one of those that may take the transition."""

    def __init__(self, actors: Sequence[str]) -> None:
        self.actors = frozenset(actors)

    def __call__(self, event: transitions.EventData) -> bool:
        """Judge the `write` (a `Transition`) that the event carries."""
        return event.kwargs["write"].actor in self.actors


class GuardHolds:
    """Condition of the `transitions` library: a guard of ours holds."""

    def __init__(self, name: str, guard: Any) -> None:
        self.name = name
        self.guard = guard

    def __call__(self, event: transitions.EventData) -> bool:
        """Judge the `write` (a `Transition`) that the event carries."""
        return bool(self.guard(event.kwargs["write"]))


@value
class Edge:
    """A transition in the index: from one state to one state."""

    rule: str
    old: str
    new: str
    actors: frozenset[str]
    guards: tuple[tuple[str, Any], ...]
    move: Move

    def failing_guard(self, write: Transition) -> str | None:
        """The first guard that does not hold, or None."""
        for name, guard in self.guards:
            if not guard(write):
                return name
        return None


class RegionMachine:
    """A region of a kind: its classifier, its `transitions.Machine` (`library`) and the index made from that."""

    def __init__(self, kind: str, name: str, region: Region, law: Law) -> None:
        self.kind = kind
        self.name = name
        self.spec = region
        self.states: tuple[str, ...] = (ABSENT, *region.states)
        self.library = _library(region, law)
        self.index = _index(kind, name, self.library)
        self.graph = _classifier(f"{kind}/{name}", region, law)
        self.names = {row.rule: row.rule.rpartition("/")[2] for row in self.graph.rows}

    def classify(self, obj: Any) -> str:
        """The state of an object (None: `Absent`). Raises LawError where no row of the classifier holds."""
        if obj is None:
            return ABSENT
        node = self.graph.root
        try:
            while (fact := node.fact) is not None:
                value = fact(obj)
                try:
                    node = node.points[value]
                except KeyError:
                    node = node.resolve(value)
        except Exception as error:
            error.add_note(f"while asking the fact '{node.name}' of the classifier of {self.kind}/{self.name}")
            raise
        if not node.rows:
            raise LawError(f"{self.kind}/{self.name}: no state's `when` holds for {obj!r}")
        return self.names[node.rows[0].rule]

    def judge(self, old: str, new: str, write: Transition) -> Move | Illegal:
        """The transition that the write takes from state `old` to `new`, or why there is none."""
        edges = self.index.get((old, new), ())
        failed: tuple[Edge, str] | None = None
        for edge in edges:
            if write.actor not in edge.actors:
                continue
            guard = edge.failing_guard(write)
            if guard is None:
                return edge.move
            failed = failed or (edge, guard)
        return self._illegal(old, new, write, edges, failed)

    def _illegal(
        self, old: str, new: str, write: Transition, edges: tuple[Edge, ...], failed: tuple[Edge, str] | None
    ) -> Illegal:
        def illegal(nearest: str, guard: str, reason: str) -> Illegal:
            return Illegal(self.kind, self.name, old, new, write.actor, nearest, guard, reason)

        if failed is not None:
            edge, guard = failed
            return illegal(edge.rule, guard, f"guard {guard} of {edge.rule} does not hold")
        if edges:
            allowed = ", ".join(sorted(edges[0].actors))
            return illegal(edges[0].rule, "", f"{edges[0].rule} is for {allowed} only")
        leaving = [edge for found in self.index.values() for edge in found if edge.old == old]
        own = [edge for edge in leaving if write.actor in edge.actors] or leaving
        targets = ", ".join(dict.fromkeys(edge.new for edge in leaving)) or "nowhere"
        return illegal(own[0].rule if own else "", "", f"{old} may only become {targets}")


@value
class _Way:
    """From the states of all regions to others, by one actor. `certain`: nothing but `guards` may speak against it."""

    certain: bool
    guards: tuple[Any, ...]
    verdict: Verdict


class KindMachine:
    """All regions of a kind."""

    def __init__(self, spec: Machine, law: Law) -> None:
        self.kind = spec.kind
        self.spec = spec
        self.regions: dict[str, RegionMachine] = {
            name: RegionMachine(spec.kind, name, region, law) for name, region in spec.regions.items()
        }
        self._all = tuple(self.regions.values())
        self._ways: dict[tuple[Any, ...], _Way] = {}
        asked = {fact for each in self._all for state in each.spec.states.values() for fact in state.when}
        readings = (each.of for each in law.readings if asked <= each.facts)
        classifiers = [Classifier(each.name, each.graph, each.names) for each in self._all]
        self.classifiers = Classifiers(spec.kind, classifiers, next(readings, None))

    def classify(self, obj: Any) -> dict[str, str]:
        """The state of an object (or part of one) in every region."""
        return dict(zip(self.regions, self.classifiers.states(obj), strict=True))

    def check(self, old: Any, new: Any, actor: str, now: int, old_whole: Any = None, new_whole: Any = None) -> Verdict:
        """Judge every region whose state a write changes; the arguments are those of a `Transition`."""
        if old is new:
            return LEGAL
        before, after = self.classifiers.states(old), self.classifiers.states(new)
        if before is after:
            return LEGAL
        write = Transition(old, new, actor, now, old_whole, new_whole)
        way = self._ways.get((before, after, actor))
        if way is None:
            way = self._ways[before, after, actor] = self._way(before, after, actor)
        if way.certain:
            for guard in way.guards:
                if not guard(write):
                    break
            else:
                return way.verdict
        return self._judged(before, after, write)

    def _way(self, before: tuple[str, ...], after: tuple[str, ...], actor: str) -> _Way:
        """What an actor's write comes to where the guards hold, if each region has one transition for it."""
        found: list[Edge] = []
        for region, was, becomes in zip(self._all, before, after, strict=True):
            edges = [edge for edge in region.index.get((was, becomes), ()) if actor in edge.actors]
            if was != becomes and len(edges) != 1:
                return _Way(False, (), LEGAL)
            found += edges if was != becomes else []
        guards = tuple(guard for edge in found for _, guard in edge.guards)
        return _Way(True, guards, Verdict(tuple(edge.move for edge in found)))

    def _judged(self, before: tuple[str, ...], after: tuple[str, ...], write: Transition) -> Verdict:
        moves: list[Move] = []
        illegal: list[Illegal] = []
        for region, was, becomes in zip(self._all, before, after, strict=True):
            if was == becomes:
                continue
            judged = region.judge(was, becomes, write)
            if isinstance(judged, Move):
                moves.append(judged)
            else:
                illegal.append(judged)
        return Verdict(tuple(moves), tuple(illegal)) if moves or illegal else LEGAL


_bound: dict[tuple[Path, str], KindMachine] = {}


@frozen
class Machines:
    """The machines of all kinds, each bound when it is first asked for. Kinds without a `machine.yaml` have none."""

    path: Path
    _kinds: dict[str, KindMachine | None] = field(factory=dict)

    @classmethod
    def load(cls, path: str | Path | None = None) -> Machines:
        """The machines of a spec directory (`specs_dir()` when None)."""
        return cls(Path(path) if path is not None else specs_dir())

    def kinds(self) -> tuple[str, ...]:
        """The kinds that have a machine, sorted. Reads all rooms; raises SpecError."""
        specs = (load_machine(room, self.path) for room in room_names(self.path))
        return tuple(sorted(spec.kind for spec in specs if spec is not None))

    def of(self, kind: str) -> KindMachine | None:
        """The machine of a kind, from the room of that name in lower case. Raises SpecError and LawError."""
        if kind in self._kinds:
            return self._kinds[kind]
        machine = self._kinds[kind] = _bind(kind, self.path)
        return machine

    def regions(self, kind: str) -> tuple[str, ...]:
        """The names of a kind's regions; none for a kind without a machine."""
        machine = self.of(kind)
        return tuple(machine.regions) if machine is not None else ()

    def region(self, kind: str, name: str) -> RegionMachine:
        """A region of a kind. Raises LawError with the nearest name."""
        machine = self.of(kind)
        if machine is None or name not in machine.regions:
            raise LawError(f"unknown region '{kind}/{name}', {did_you_mean(name, self.regions(kind))}")
        return machine.regions[name]

    def classify(self, obj: Any) -> dict[str, str]:
        """Region -> state of an API object; empty for a kind without a machine."""
        machine = self.of(obj.kind)
        return machine.classify(obj) if machine is not None else {}

    def classify_part(self, kind: str, part: Any) -> dict[str, str]:
        """Region -> state of a part of an object, such as a container's status (kind ``Container``)."""
        machine = self.of(kind)
        return machine.classify(part) if machine is not None else {}

    def check(self, old: Any, new: Any, actor: str, now: int) -> Verdict:
        """Judge a write of a whole object: `old` is None for a creation, `new` None for a removal."""
        kind = (old if new is None else new).kind
        machine = self._kinds.get(kind) or self.of(kind)
        return machine.check(old, new, actor, now) if machine is not None else LEGAL

    def check_part(
        self, kind: str, old: Any, new: Any, actor: str, now: int, old_whole: Any = None, new_whole: Any = None
    ) -> Verdict:
        """Judge the change of a part of an object; the whole, where given, is for the guards."""
        machine = self.of(kind)
        return machine.check(old, new, actor, now, old_whole, new_whole) if machine is not None else LEGAL


def _bind(kind: str, path: Path) -> KindMachine | None:
    room = kind.lower()
    file = path / room / "machine.yaml"
    if not file.is_file() or file_type(file) != "machine":
        return None
    spec = load_machine(room, path)
    if spec is None or spec.kind != kind:
        return None
    known = _bound.get((path, room))
    if known is not None and known.spec is spec:
        return known
    _import_kind(room)
    machine = _bound[path, room] = KindMachine(spec, Law(room))
    return machine


def _import_kind(room: str) -> None:
    """Import the modules of `k8sfsm.kinds` that hold the kind's law: `<room>` and `<room>_*`."""
    package = import_module("k8sfsm.kinds")
    for found in iter_modules(package.__path__):
        if found.name == room or found.name.startswith(f"{room}_"):
            import_module(f"k8sfsm.kinds.{found.name}")


def _library(region: Region, law: Law) -> transitions.Machine:
    """The region as a machine of the `transitions` library; triggers take `write=Transition(...)`."""
    edges: list[dict[str, Any]] = []
    for name, spec in region.transitions.items():
        guards = [GuardHolds(guard, law.function("guard", guard)) for guard in spec.guards]
        conditions = [ActorIs(spec.actors), *guards]
        edges.append({"trigger": name, "source": list(spec.from_), "dest": spec.to, "conditions": conditions})
    return transitions.Machine(
        model=None,
        states=[ABSENT, *region.states],
        transitions=edges,
        initial=ABSENT,
        auto_transitions=False,
        send_event=True,
        ignore_invalid_triggers=True,
    )


def _index(kind: str, region: str, library: transitions.Machine) -> dict[tuple[str, str], tuple[Edge, ...]]:
    """Every edge of the library's machine by its two states, in the order of declaration."""
    index: dict[tuple[str, str], list[Edge]] = {}
    for name, event in library.events.items():
        for transition in (each for found in event.transitions.values() for each in found):
            conditions = [condition.func for condition in transition.conditions]
            actors = next(each.actors for each in conditions if isinstance(each, ActorIs))
            guards = tuple((each.name, each.guard) for each in conditions if isinstance(each, GuardHolds))
            old, new, rule = transition.source, str(transition.dest), f"{kind}/{region}/{name}"
            edge = Edge(rule, old, new, actors, guards, Move(kind, region, old, new, rule))
            index.setdefault((edge.old, edge.new), []).append(edge)
    return {states: tuple(edges) for states, edges in index.items()}


def _classifier(path: str, region: Region, law: Law) -> Graph:
    """The region's states as a table with hit policy `first` over facts of the object."""
    names = list(dict.fromkeys(fact for state in region.states.values() for fact in state.tests))
    blank: Test = Anything()
    states: Mapping[str, Any] = region.states
    columns = [
        Column(name, law.function("fact", name), [state.tests.get(name, blank) for state in states.values()])
        for name in names
    ]
    rows = [Row(rule=f"{path}/{name}", tests=state.tests) for name, state in states.items()]
    return Graph("first", columns, rows)
