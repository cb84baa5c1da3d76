"""Fingerprints of states: equal for states that differ only in names that chance gave, in revisions, and in age.

A state is a bag of facts: what is stored, what each actor has queued, planned and remembered, what runs on nodes, what
is due and when. Each fact is a shape with the symbols that occur in it. Symbols get colours from the facts where they
occur, again and again; the fingerprint is made of the facts with the colours of their symbols. Names of Pods and nodes
do not enter into it: that is the symmetry reduction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final, TypeAlias

from attrs import frozen
from immutables import Map

from k8sfsm.controllers.expectations import Written
from k8sfsm.engine.action import Act, Deliver, Send
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.trouble import NO_TROUBLE
from k8sfsm.node.runtime_state import Instance, PodRuntime
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Update
from k8sfsm.verify.explore.shape import Shape, Shapes, digest_of

OLD: Final = 3600 * SECOND
"""Everything is as old as that at the most: longer than any timer of the model but a few."""
_ROUNDS: Final = 3
"""A Pod's node, its owner, and theirs: names are told apart by what is so far from them."""
_SKIPPED: Final = ("Event", "Lease")
_MASK: Final = (1 << 64) - 1
_PLACES: Final = tuple(2 * hash((place, 1)) % (1 << 61) + 1 for place in range(31))
"""Odd numbers that tell the places of a fact from each other."""
Fact = tuple[int, tuple[str, ...]]
"""What is said, as a number, and the symbols of which it is said."""


@frozen(eq=False)
class _Told:
    """A fact before it has an age. `parts`: what it is made of, kept so that the ids of these stay their own."""

    parts: tuple[Any, ...]
    digest: int
    symbols: tuple[str, ...]
    times: tuple[int, ...]

    def at(self, now: int, old: int) -> Fact:
        """The fact at a moment."""
        if not self.times:
            return self.digest, self.symbols
        return hash((self.digest, *[min(now - time, old) for time in self.times])), self.symbols

    def otherwise(self) -> _Told:
        """The same with a test that holds."""
        return _Told(self.parts, hash((self.digest, True)), self.symbols, self.times)


_Turning: TypeAlias = tuple[Callable[[Engine, Any, Any], bool], Any, _Told, _Told]


@frozen(eq=False)
class _Mind:
    """What an actor has in its queue, plans and memory. `turning`: facts that also depend on what others wrote since:
    a test, and the fact where it does not hold and where it does.
    """

    facts: tuple[_Told, ...]
    turning: tuple[_Turning, ...]


class Fingerprints:
    """Makes the fingerprints of the states of one exploration. `old`: the age (ns) from which on all is alike.

    Most of a state is as it was in the state before, so what is told of an object is kept, and what is told of an actor
    is kept with the actor (`Actor.marks`).
    """

    def __init__(self, engine: Engine, old: int = OLD) -> None:
        names = {component.node for component in engine.components.values() if component.node}
        self._nodes = frozenset(names)
        self._shapes = Shapes(frozenset(names), _proper_names(engine))
        self._old = old
        self._now = 0
        self._known: dict[Any, _Told] = {}
        self._aged: dict[int, dict[Any, tuple[Any, Fact]]] = {}
        self._here: dict[Any, tuple[Any, Fact]] = {}

    def of(self, engine: Engine, held: Iterable[Any] = (), in_turn: bool = False) -> int:
        """64 bits that tell a state from all others; `held`: actions that are due and late; `in_turn`: it matters what
        is due first of what is due now.
        """
        engine.share()
        self._now = engine.now
        self._here = self._aged.setdefault(engine.now, {})
        facts = [*self._facts(engine), *(self._placed("late", action) for action in held)]
        if in_turn:
            facts += (self._placed("turn", action, place) for place, action in enumerate(engine.due()))
        return fingerprint(facts, self._nodes)

    @staticmethod
    def word(text: str) -> int:
        """A number for a word."""
        return _word(text)

    # -- the facts ----------------------------------------------------------------------------------------------------

    def _facts(self, engine: Engine) -> list[Fact]:
        facts: list[Fact] = []
        add, here = facts.append, self._here
        for key, (_, obj) in engine.store.snapshot.objects.items():
            if key[0] not in _SKIPPED:
                known = here.get(id(obj))
                add(self._now_known(id(obj), obj, "stored", obj) if known is None else known[1])
        for name, actor in engine.actors.items():
            self._actor(engine, name, actor, facts)
        for node, state in engine.node_states.items():
            for uid, held in state.items():
                place = (id(held), node, uid)
                known = here.get(place)
                add(
                    self._now_known(place, held, "runtime", node, uid, _reported(held, engine.now))
                    if known is None
                    else known[1]
                )
        for due, action in engine.pending():
            mark = (id(action), due)
            known = here.get(mark)
            add(self._due(mark, due, action) if known is None else known[1])
        facts += self._rare(engine)
        return facts

    def _now_known(self, mark: Any, kept: Any, *parts: Any) -> Fact:
        """A fact at this moment, which is known from now on. `kept` stays what `mark` names by its id."""
        fact = self._told(*parts).at(self._now, self._old)
        self._here[mark] = (kept, fact)
        return fact

    def _due(self, mark: Any, due: int, action: Any) -> Fact:
        left = max(due - self._now, 0)
        if isinstance(action, Act | Send | Deliver):
            return self._now_known(mark, action, "due", type(action).__name__, *_about(action), left)
        return self._now_known(mark, action, "timer", left, action)

    def _placed(self, what: str, action: Any, *place: int) -> Fact:
        about = (type(action).__name__, *_about(action)) if isinstance(action, Act | Send | Deliver) else (action,)
        return self._told(what, *place, *about).at(self._now, self._old)

    def _rare(self, engine: Engine) -> Iterator[Fact]:
        """What there is in some states only."""
        now, old = self._now, self._old
        if engine.trouble is not NO_TROUBLE or engine.stopped:
            yield self._told("trouble", engine.trouble, engine.stopped).at(now, old)
        for kind, left in sorted(engine.allowance.items()):
            yield self._told("left", kind, left).at(now, old)
        for component, kind in engine.informers.waiting():
            for change in engine.informers.seen(component, kind):
                yield self._told("seen", component, kind, change.new).at(now, old)

    # -- actors -------------------------------------------------------------------------------------------------------

    def _actor(self, engine: Engine, name: str, actor: Any, facts: list[Fact]) -> None:
        mind = actor.marks
        if mind is None:
            mind = actor.marks = self._mind(name, actor)
        facts += [told.at(self._now, self._old) for told in mind.facts]
        for test, about, usual, other in mind.turning:
            facts.append((other if test(engine, actor, about) else usual).at(self._now, self._old))

    def _mind(self, name: str, actor: Any) -> _Mind:
        who, node = _parted(name)
        told, facts = self._told, list[_Told]()
        turning = list[_Turning]()
        for key, value in actor.memory.items():
            fact = told("memory", who, node, key, value)
            if isinstance(value, Written):
                turning.append((_is_behind, value, fact, fact.otherwise()))
            else:
                facts.append(fact)
        for what, entries in actor.queue.contents().items():
            facts += [told(what, who, node, *entry) for entry in entries]
        facts += [told("waiting", who, node, key) for key in actor.waiting]
        for key, run in actor.runs.items():
            fact = told("run", who, node, key, run)
            if run.steps or run.batch is not None:
                turning.append((_is_outdated, run, fact, fact.otherwise()))
            else:
                facts.append(fact)
        return _Mind(tuple(facts), tuple(turning))

    def _told(self, what: str, *parts: Any) -> _Told:
        """A fact of some parts; parts that were seen before are known."""
        mark = (what, *[part if _is_plain(part) else id(part) for part in parts])
        known = self._known.get(mark)
        if known is None:
            known = self._known[mark] = self._ageless(what, parts)
        return known

    def _ageless(self, what: str, parts: tuple[Any, ...]) -> _Told:
        shapes: list[Shape] = [self._shapes.once(part) for part in parts]
        times = tuple(time for shape in shapes for time in shape.times)
        places: dict[str, int] = {}
        pattern = [places.setdefault(symbol, len(places)) for shape in shapes for symbol in shape.symbols]
        digest = hash((_word(what), *(shape.digest for shape in shapes), len(times), *pattern))
        return _Told(parts, digest, tuple(places), times)


def _is_plain(part: Any) -> bool:
    """A word, a number, or a key: it stands for itself."""
    kind = part.__class__
    return kind is str or kind is int or (kind is tuple and part and part[0].__class__ is str)


def _proper_names(engine: Engine) -> frozenset[str]:
    """Uids of what is there from the start and is like nothing else: all but Pods and nodes."""
    objects = engine.store.snapshot.objects.items()
    return frozenset(obj.metadata.uid for key, (_, obj) in objects if key[0] not in ("Pod", "Node"))


def _reported(held: Any, now: int) -> Any:
    """What a node's runtime holds, with ends that nobody waits from in whole seconds, as a status has them.

    So it makes no difference at which moment of a second a container crashed.
    """
    if not isinstance(held, PodRuntime):
        return held
    containers = {name: tuple(_past(runs, held.settled_at, now)) for name, runs in held.containers.items()}
    return evolve(held, containers=Map(containers))


def _past(runs: tuple[Instance, ...], settled_at: int, now: int) -> Iterator[Instance]:
    """The runs of a container. Of a first end, after which no back-off lasts, it counts whether it was noticed (by a
    relist, at the beginning of each second, or when an order was done). A later one is waited from until the next run,
    or longer where there are probes: the kubelet may kill that run and look at the end before it again.
    """
    last = runs[-1]
    for run in runs:
        ended, final = run.finished_at, run is last and not run.stopped
        if ended is None or (run.attempt and (final or last.probes)):
            yield run
        else:
            unnoticed = final and ended > max(settled_at, now - now % SECOND)
            yield evolve(run, finished_at=ended - ended % SECOND + unnoticed)


def _about(action: Any) -> tuple[str, str, str]:
    """Who acts, on which node, and over what: the key of an object, or a kind."""
    if isinstance(action, Deliver):
        return (*_parted(action.component), action.kind)
    return (*_parted(action.actor), action.key)


@lru_cache(maxsize=4096)
def _parted(name: str) -> tuple[str, str]:
    actor, _, node = name.partition("/")
    return actor, node


def _is_behind(engine: Engine, actor: Any, written: Written) -> bool:
    """Whether an actor has not seen yet what it wrote itself."""
    seen = engine.informers.snapshots(actor.wiring.component.name)
    return any(kind in seen and seen[kind].revision < revision for kind, revision in written.revisions)


def _is_outdated(engine: Engine, _: Any, run: Any) -> bool:
    """Whether the next write of a plan, an update, was made from a revision that is stored no longer: a conflict."""
    write = run.next_write
    if not isinstance(write, Update):
        return False
    meta = write.object.metadata
    stored = engine.store.get(write.object.kind, meta.namespace, meta.name)
    return stored is None or bool(stored.metadata.resource_version != meta.resource_version)


@lru_cache(maxsize=4096)
def _word(text: str) -> int:
    return digest_of(text)


# -- colours ----------------------------------------------------------------------------------------------------------


def fingerprint(facts: Iterable[Fact], nodes: frozenset[str]) -> int:
    """64 bits of a bag of facts that do not depend on which symbols they are about; `nodes` are told from the others.

    Facts about the same symbols are one from here on, and what is said of one symbol alone is its first colour.
    """
    rest = 0
    alone: dict[str, int] = {}
    joint: dict[tuple[str, ...], int] = {}
    for digest, symbols in facts:
        if not symbols:
            rest += hash((digest,))
        elif len(symbols) == 1:
            alone[symbols[0]] = alone.get(symbols[0], 0) + hash((digest,))
        else:
            joint[symbols] = joint.get(symbols, 0) + hash((digest,))
    colours = {symbol: hash((symbol in nodes, said)) for symbol, said in alone.items()}
    for symbols in joint:
        for symbol in symbols:
            if symbol not in colours:
                colours[symbol] = hash((symbol in nodes, 0))
    for _ in range(_ROUNDS):
        colours = _recoloured(joint, colours)
    rest += sum(colours.values())
    return (
        rest + sum(hash((said, *[colours[symbol] for symbol in symbols])) for symbols, said in joint.items())
    ) & _MASK


def _recoloured(joint: Mapping[tuple[str, ...], int], colours: dict[str, int]) -> dict[str, int]:
    """Each symbol's colour with those facts mixed in in which it occurs, and where in them."""
    found = dict(colours)
    for symbols, said in joint.items():
        whole = hash((said, *[colours[symbol] for symbol in symbols]))
        for place, symbol in enumerate(symbols, 1):
            found[symbol] += whole * _PLACES[place % len(_PLACES)]
    return {symbol: hash((colour,)) for symbol, colour in found.items()}
