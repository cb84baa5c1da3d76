"""Fingerprints: the same with and without what was kept from other states, blind to names, and to nothing else."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from immutables import Map
from test_explore import story

from k8sfsm.engine.action import Enqueue
from k8sfsm.engine.engine import Engine
from k8sfsm.node.runtime_state import Instance, PodRuntime
from k8sfsm.objects import evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.play import Play
from k8sfsm.verify.explore.fingerprint import Fingerprints, fingerprint
from k8sfsm.verify.explore.state import State, first_state

NODES = frozenset({"node-1", "node-2"})
NAMES = st.sampled_from(("a", "b", "c", "d", "node-1", "node-2"))
FACTS = st.lists(st.tuples(st.integers(0, 5), st.lists(NAMES, unique=True, max_size=3).map(tuple)), max_size=12)


def first(faults: dict[str, int]) -> State:
    state = first_state(Play.of(story(2), prompt=True), started=True, turns=1)
    state.engine.allowance = faults
    return state


def anew(start: Engine, state: State) -> int:
    """The fingerprint of a state when nothing is known from others."""
    engine = state.engine.fork()
    engine.actors = Map({name: actor.copy(object()) for name, actor in engine.actors.items()})
    return Fingerprints(start).of(engine, state.held)


def test_what_is_kept_from_other_states_changes_no_fingerprint() -> None:
    start = first({"stale-view": 1, "container-crash": 1})
    prints, waiting, seen = Fingerprints(start.engine), [start], 0
    while waiting and seen < 250:
        state = waiting.pop(0)
        for after in state.successors():
            seen += 1
            waiting.append(after)
            if seen % 5 == 0:
                prints.of(after.engine, after.held)
            assert prints.of(after.engine, after.held) == anew(start.engine, after)
    assert seen >= 250


def test_a_state_that_goes_on_after_its_fingerprint_has_another_one() -> None:
    engine = first({}).engine
    prints = Fingerprints(engine)
    old, twin = prints.of(engine), engine.fork()
    actor = engine.own("replicaset-controller")
    actor.queue.add(("ReplicaSet", "default", "web"))
    actor.queue.add(("ReplicaSet", "default", "other"))
    assert prints.of(engine) != old == prints.of(twin)


def test_the_order_of_what_is_due_counts_where_it_happens_in_turn() -> None:
    engine = first({}).engine
    prints, twin = Fingerprints(engine), engine.fork()
    looks = [Enqueue("replicaset-controller", ("ReplicaSet", "default", name)) for name in ("web", "api")]
    for each, order in ((engine, looks), (twin, looks[::-1])):
        for look in order:
            each.schedule(look, engine.now)
    assert prints.of(engine) == prints.of(twin)
    assert prints.of(engine, in_turn=True) != prints.of(twin, in_turn=True)


@settings(max_examples=200, deadline=None)
@given(FACTS, st.permutations(["a", "b", "c", "d"]), st.randoms(use_true_random=False))
def test_names_and_order_do_not_matter(facts: list[Any], names: list[str], chance: Any) -> None:
    other = dict(zip("abcd", names, strict=True))
    renamed = [(digest, tuple(other.get(symbol, symbol) for symbol in symbols)) for digest, symbols in facts]
    chance.shuffle(renamed)
    assert fingerprint(facts, NODES) == fingerprint(renamed, NODES)
    swapped = {"node-1": "node-2", "node-2": "node-1"}
    turned = [(digest, tuple(swapped.get(symbol, symbol) for symbol in symbols)) for digest, symbols in facts]
    assert fingerprint(facts, NODES) == fingerprint(turned, NODES)


@settings(max_examples=200, deadline=None)
@given(FACTS, st.tuples(st.integers(0, 5), st.lists(NAMES, unique=True, max_size=3).map(tuple)))
def test_a_fact_more_is_another_state(facts: list[Any], more: Any) -> None:
    assert fingerprint(facts, NODES) != fingerprint([*facts, more], NODES)


def test_who_is_together_with_whom_matters() -> None:
    """Two Pods that are ready and two that are not, on two nodes: the ready ones together, or apart."""
    ready = [(1, ("a",)), (1, ("b",)), (2, ("c",)), (2, ("d",))]
    together = [
        *ready,
        *((3, (pod, node)) for pod, node in zip("abcd", ["node-1", "node-1", "node-2", "node-2"], strict=True)),
    ]
    apart = [
        *ready,
        *((3, (pod, node)) for pod, node in zip("abcd", ["node-1", "node-2", "node-1", "node-2"], strict=True)),
    ]
    assert fingerprint(together, NODES) != fingerprint(apart, NODES)
    assert fingerprint([(1, ("a", "b"))], NODES) != fingerprint([(1, ("a", "node-1"))], NODES)
    cycle = [(1, ("a", "b")), (1, ("b", "a")), (2, ("a",))]
    assert fingerprint(cycle, NODES) != fingerprint([(1, ("a", "b")), (1, ("a", "b")), (2, ("a",))], NODES)


def ended(at: int, attempt: int = 0, settled_at: int = 0, more: tuple[Instance, ...] = (), **rest: Any) -> PodRuntime:
    run = Instance(id="containerd://x", attempt=attempt, state="exited", finished_at=at, **rest)
    return PodRuntime(containers=Map({"app": (run, *more)}), settled_at=settled_at)


def prints_of(*held: PodRuntime) -> set[int]:
    engine = first({}).engine
    prints = Fingerprints(engine)
    engine.now += SECOND - engine.now % SECOND + 900_000_000
    base = engine.now - 900_000_000
    marks = set()
    for each in held:
        (run, *more) = each.containers["app"]
        moved = (evolve(run, finished_at=run.finished_at and base + run.finished_at), *more)
        settled = each.settled_at and base + each.settled_at
        runtime = evolve(each, containers=Map({"app": moved}), settled_at=settled)
        twin = engine.fork()
        twin.put_state("node-1", Map({"uid": runtime}))
        marks.add(prints.of(twin))
    return marks


def test_at_which_moment_of_a_second_a_container_crashed_does_not_matter_unless_somebody_waits() -> None:
    assert len(prints_of(ended(100_000_000), ended(200_000_000))) == 1
    assert len(prints_of(ended(-100_000_000), ended(100_000_000))) == 2
    assert len(prints_of(ended(-1_100_000_000), ended(-100_000_000))) == 2
    assert len(prints_of(ended(100_000_000, 1), ended(200_000_000, 1))) == 2
    noticed = ended(100_000_000, settled_at=150_000_000), ended(200_000_000, settled_at=150_000_000)
    assert len(prints_of(*noticed)) == 2
    running = (Instance(id="containerd://y", attempt=2, state="running"),)
    assert len(prints_of(ended(100_000_000, 1, more=running), ended(200_000_000, 1, more=running))) == 1
    probed = (evolve(running[0], probes=Map({"liveness": None})),)
    assert len(prints_of(ended(100_000_000, 1, more=probed), ended(200_000_000, 1, more=probed))) == 2
    stopped = {"stopping_since": 1}
    assert len(prints_of(ended(100_000_000, 1, **stopped), ended(200_000_000, 1, **stopped))) == 1
