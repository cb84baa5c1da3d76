"""The search: breadth first, so that what is found first is the shortest way to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from attrs import define, field, frozen

from k8sfsm.engine.collecting import seldom_collected
from k8sfsm.engine.engine import Engine
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.model import Story
from k8sfsm.scenario.output import final_objects
from k8sfsm.scenario.play import Play
from k8sfsm.verify.explore.fingerprint import Fingerprints
from k8sfsm.verify.explore.state import State, first_state
from k8sfsm.verify.fuzz.run import Chance, Failure, promises_broken
from k8sfsm.verify.invariants import Violation

LATE: Final = 660 * SECOND
"""A story that goes on for so long after its last command may never come to rest; it is not followed further."""
LASTING: Final = 900 * SECOND
"""For how long it is then looked whether it comes back to where it was."""
_MANY: Final = 1 << 30
Progress = Callable[["Explored"], None]


@frozen(kw_only=True)
class Bound:
    """How far to look: so many steps deep, so many different states.

    `turns`: how many times on one way something may come out of turn (None: any number). In turn is what was due first:
    news and orders one after the other. Few such changes bring most faults of order to light, and their number grows
    with a power of `turns` only, where that of all orders grows exponentially.
    Source: M. Emmi, S. Qadeer, Z. Rakamaric: Delay-bounded scheduling (POPL 2011).
    """

    turns: int | None = None
    depth: int = 100_000
    states: int = 1_000_000


@define(kw_only=True)
class Explored:
    """What was looked at. `states`: reached, `unique`: different ones; `ends`: in which nothing is left to do.

    `whole`: every order was looked at; else the bound came first. `failure`: the shortest way to what is broken.
    """

    states: int = 0
    unique: int = 0
    ends: int = 0
    depth: int = 0
    merged: int = 0
    whole: bool = True
    failure: Failure | None = None


@define
class _Search:
    """A search under way. `parents`: of each different state the state it came from and its place among the next."""

    story: Story
    allow: Mapping[str, int]
    bound: Bound
    started: bool
    fine: bool
    prints: Fingerprints
    found: Explored = field(factory=Explored)
    known: dict[int, int] = field(factory=dict)
    parents: list[tuple[int, int]] = field(factory=list)


def explore(
    story: Story,
    allow: Mapping[str, int] | None = None,
    bound: Bound | None = None,
    started: bool = True,
    fine: bool = False,
    progress: Progress | None = None,
) -> Explored:
    """Look at every order of a story, with at most the faults of `allow`.

    `started`: what is applied at first has come to rest, in order, before the first command; that is the first state.
    `fine`: every write takes its turn, not only every decision with its writes.
    """
    allowed = {kind: count for kind, count in (story.allow or {} if allow is None else allow).items() if count}
    within = bound or Bound()
    first = _first(story, allowed, started, fine, within.turns)
    search = _Search(story, allowed, within, started, fine, Fingerprints(first.engine))
    with seldom_collected():
        _look(search, first, progress)
    return search.found


def _first(story: Story, allow: Mapping[str, int], started: bool, fine: bool, turns: int | None) -> State:
    state = first_state(Play.of(story, prompt=True), started, fine, turns)
    state.engine.allowance = dict(allow)
    return state


def _look(search: _Search, first: State, progress: Progress | None) -> None:
    found, bound = search.found, search.bound
    waiting = deque([(0, 0, first)])
    _note(search, first, -1, 0)
    if first.broken:
        _fail(search, 0, first.broken)
        return
    while waiting:
        number, depth, state = waiting.popleft()
        found.depth = max(found.depth, depth)
        if progress is not None and number % 256 == 0:
            progress(found)
        if depth >= bound.depth or found.unique >= bound.states:
            found.whole = False
            continue
        ended = True
        for place, after in enumerate(state.successors()):
            ended = False
            found.states += 1
            mine = _note(search, after, number, place)
            if after.broken:
                _fail(search, mine if mine is not None else _again(search, number, place), after.broken)
                return
            if mine is None:
                continue
            if not _is_late(after):
                waiting.append((mine, depth + 1, after))
            elif broken := _restless(after):
                _fail(search, mine, broken)
                return
            else:
                found.whole = False
        found.ends += ended
        broken = state.over() if ended else ()
        if broken:
            _fail(search, number, broken)
            return


def _note(search: _Search, state: State, parent: int, place: int) -> int | None:
    """The number of a state that is new; None for one that is known."""
    mark, turns = _mark(search, state), _MANY if state.turns is None else state.turns
    if search.known.get(mark, -1) >= turns and not state.broken:
        search.found.merged += 1
        return None
    search.known[mark] = turns
    return _again(search, parent, place)


def _again(search: _Search, parent: int, place: int) -> int:
    search.parents.append((parent, place))
    search.found.unique = len(search.parents)
    return len(search.parents) - 1


def _mark(search: _Search, state: State) -> int:
    blind = state.watch.blind_until > state.engine.now
    beside = state.done * 4 + blind * 2 + state.fresh
    return search.prints.of(state.engine, state.held, state.turns is not None) * 1_000_003 + beside


# -- what never ends --------------------------------------------------------------------------------------------------


def _is_late(state: State) -> bool:
    last = max((timed.due for timed in state.play.story.actions), default=0)
    return state.next_command is None and state.engine.now > START + last + LATE


def _restless(state: State) -> tuple[Violation, ...]:
    """A fair run goes on from a late state, in order: does it come back to where it was, and never rest?

    Where it does not, only looks go on that come to nothing, and what must hold at the end is judged.
    """
    engine = state.engine.fork()
    pods, end = _pods_made(engine), engine.now + LASTING
    seen: dict[int, int] = {}
    prints = Fingerprints(engine, old=0)
    while engine.now < end and not engine.at_rest:
        engine.run(until=engine.now + SECOND, stop=lambda each: each.at_rest)
        mark = prints.of(engine)
        if mark in seen and _pods_made(engine) > pods:
            after, period = (seen[mark] - START) // SECOND, (engine.now - seen[mark]) // SECOND
            says = (
                f"from {after}s on the cluster comes back to the same state every {period}s; Pods come and go for ever"
            )
            return (Violation("never-rests", says),)
        seen[mark] = engine.now
    return tuple(promises_broken(state.play.story.properties, engine, always=False))


def _pods_made(engine: Engine) -> int:
    """The revision of the newest Pod."""
    snapshot = engine.store.snapshot
    pods = (entry[0] for key, entry in snapshot.objects.items() if key[0] == "Pod")
    return max(pods, default=0)


# -- the way there ----------------------------------------------------------------------------------------------------


def _fail(search: _Search, number: int, broken: tuple[Violation, ...]) -> None:
    """Go the way to a state once more, and keep what happens on it."""
    way: list[int] = []
    while number > 0:
        number, place = search.parents[number]
        way.append(place)
    state = _first(search.story, search.allow, search.started, search.fine, search.bound.turns)
    initial = final_objects(state.engine.store)
    state.lines = []
    says = []
    for place in reversed(way):
        state = next(after for index, after in enumerate(state.successors()) if index == place)
        says.append(state.says)
    search.found.failure = Failure(
        story=search.story,
        chance=Chance(seed=search.story.cluster.seed, allow=search.allow),
        violations=broken,
        lines=tuple(state.lines or ()),
        initial=initial,
        at=state.engine.now,
        steps=len(says),
    )
