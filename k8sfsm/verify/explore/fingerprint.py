"""Fingerprints of states: equal for states that differ only in names that chance gave, in revisions, and in age.

A state is a bag of facts: what is stored, what each actor has queued, planned and remembered, what runs on nodes, what
is due and when. Each fact is a shape with the symbols that occur in it. Symbols get colours from the facts where they
occur, again and again; the fingerprint is made of the facts with the colours of their symbols. Names of Pods and nodes
do not enter into it: that is the symmetry reduction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any, Final

from k8sfsm.controllers.expectations import Written
from k8sfsm.engine.action import Act, Deliver, Send
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.trouble import NO_TROUBLE
from k8sfsm.request import Update
from k8sfsm.verify.explore.shape import Shape, Shapes, digest_of

SECOND: Final = 1_000_000_000
OLD: Final = 3600 * SECOND
"""Everything is as old as that at the most: longer than any timer of the model but a few."""
_ROUNDS: Final = 3
"""A Pod's node, its owner, and theirs: names are told apart by what is so far from them."""
_SKIPPED: Final = ("Event", "Lease")
_MASK: Final = (1 << 64) - 1
Fact = tuple[int, tuple[str, ...]]


class Fingerprints:
    """Makes the fingerprints of the states of one exploration. `old`: the age (ns) from which on all is alike."""

    def __init__(self, engine: Engine, old: int = OLD) -> None:
        names = {component.node for component in engine.components.values() if component.node}
        self._nodes = frozenset(names)
        self._shapes = Shapes(frozenset(names), _proper_names(engine))
        self._old = old
        self._now = 0
        self._known: dict[Any, tuple[Any, Fact, tuple[int, ...]]] = {}

    def of(self, engine: Engine, held: Iterable[Any] = ()) -> int:
        """64 bits that tell a state from all others; `held`: actions that are due and late."""
        self._now = engine.now
        facts = list(self._facts(engine))
        facts += (self._fact("late", type(each).__name__, *_about(each)) for each in held)
        colours: dict[str, int] = {symbol: 1 + (symbol in self._nodes) for _, symbols in facts for symbol in symbols}
        for _ in range(_ROUNDS):
            colours = _recoloured(facts, colours)
        return sum(hash((digest, *[colours[symbol] for symbol in symbols])) for digest, symbols in facts) & _MASK

    @staticmethod
    def word(text: str) -> int:
        """A number for a word."""
        return _word(text)

    # -- the facts ----------------------------------------------------------------------------------------------------

    def _facts(self, engine: Engine) -> Iterator[Fact]:
        fact = self._fact
        for key, (_, obj) in engine.store.snapshot.objects.items():
            if key[0] not in _SKIPPED:
                yield fact("stored", obj)
        for name, actor in engine.actors.items():
            yield from self._actor(engine, name, actor)
        for node, state in engine.node_states.items():
            for uid, held in state.items():
                yield fact("runtime", node, uid, held)
        now = engine.now
        for due, action in engine.pending():
            if isinstance(action, Act | Send | Deliver):
                yield fact("due", type(action).__name__, *_about(action), max(due - now, 0))
            else:
                yield fact("timer", max(due - now, 0), action)
        if engine.trouble is not NO_TROUBLE or engine.stopped:
            yield fact("trouble", engine.trouble, engine.stopped)
        for kind, left in sorted(engine.allowance.items()):
            yield fact("left", kind, left)
        for component, kind in engine.informers.waiting():
            for change in engine.informers.seen(component, kind):
                yield fact("seen", component, kind, change.new)

    def _actor(self, engine: Engine, name: str, actor: Any) -> Iterator[Fact]:
        who, node = _parted(name)
        fact = self._fact
        for key, value in actor.memory.items():
            behind = _is_behind(engine, actor, value) if isinstance(value, Written) else False
            yield fact("memory", who, node, key, value, behind)
        ready, dirty, failures = actor.queue.contents()
        for place, key in enumerate(ready):
            yield fact("ready", who, node, place, key)
        for key in dirty:
            yield fact("dirty", who, node, key)
        for key, count in failures.items():
            yield fact("failures", who, node, key, count)
        for key, run in actor.runs.items():
            yield fact("run", who, node, key, run, _is_current(engine, run))

    def _fact(self, what: str, *parts: Any) -> Fact:
        """A fact of some parts, with their ages; parts that were seen before are known."""
        mark = (what, *(part if isinstance(part, str | int) else id(part) for part in parts))
        known = self._known.get(mark)
        if known is None:
            known = self._known[mark] = self._ageless(what, parts)
        _, fact, times = known
        if not times:
            return fact
        return hash((fact[0], *[min(self._now - time, self._old) for time in times])), fact[1]

    def _ageless(self, what: str, parts: tuple[Any, ...]) -> tuple[Any, Fact, tuple[int, ...]]:
        """The parts (kept, so that their ids stay their own), their fact without ages, and the times in them."""
        shapes: list[Shape] = [self._shapes.once(part) for part in parts]
        times = tuple(time for shape in shapes for time in shape.times)
        places: dict[str, int] = {}
        pattern = [places.setdefault(symbol, len(places)) for shape in shapes for symbol in shape.symbols]
        digest = hash((_word(what), *(shape.digest for shape in shapes), len(times), *pattern))
        return parts, (digest, tuple(places)), times


def _proper_names(engine: Engine) -> frozenset[str]:
    """Uids of what is there from the start and is like nothing else: all but Pods and nodes."""
    objects = engine.store.snapshot.objects.items()
    return frozenset(obj.metadata.uid for key, (_, obj) in objects if key[0] not in ("Pod", "Node"))


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


def _is_current(engine: Engine, run: Any) -> bool:
    """Whether the next write of a plan, an update, was made from the stored revision: it meets a conflict otherwise."""
    if not run.steps and run.batch is None:
        return True
    write = run.next_write
    if not isinstance(write, Update):
        return True
    meta = write.object.metadata
    stored = engine.store.get(write.object.kind, meta.namespace, meta.name)
    return stored is not None and bool(stored.metadata.resource_version == meta.resource_version)


@lru_cache(maxsize=4096)
def _word(text: str) -> int:
    return digest_of(text)


# -- colours ----------------------------------------------------------------------------------------------------------


def _recoloured(facts: list[Fact], colours: dict[str, int]) -> dict[str, int]:
    """Each symbol's colour with those facts mixed in in which it occurs, and where in them."""
    found = dict(colours)
    for digest, symbols in facts:
        if symbols:
            whole = hash((digest, *[colours[symbol] for symbol in symbols]))
            for place, symbol in enumerate(symbols):
                found[symbol] += hash((whole, place))
    return {symbol: hash(colour) for symbol, colour in found.items()}
