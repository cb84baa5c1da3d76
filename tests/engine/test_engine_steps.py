"""The engine: what it offers, what a policy makes of it, forks, faults, and the same trace everywhere."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from clusters import NODES, SECOND, WEB, cluster, create, deployment, new_image, outline, view_of

from k8sfsm.engine.action import Act, Crash, Deliver, Enqueue, Lag, Start, Stop, Submit
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.cluster import MANAGER
from k8sfsm.engine.collecting import SELDOM, SPARED, seldom_collected
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.policy import InOrder, Random, run
from k8sfsm.objects import evolve
from k8sfsm.request import Delete, Patch
from k8sfsm.verify.invariants import check_convergence, check_safety, check_transition, invariants


def rolled_out(engine: Engine, seconds: int = 120) -> Engine:
    """A Deployment is created, and its image changed once."""
    create(engine, deployment())
    engine.run(until=engine.now + 30 * SECOND)
    new_image(engine, "sim/web:2")
    engine.run(until=engine.now + seconds * SECOND)
    return engine


def test_the_engine_offers_what_is_due_and_performs_what_is_picked() -> None:
    engine = cluster()
    engine.run(until=engine.now + SECOND)
    assert engine.at_rest and all(isinstance(action, Enqueue) for action in engine.enabled())
    create(engine, deployment())
    offered = engine.enabled()
    assert offered == (Deliver(MANAGER, "Deployment"),)
    steps = engine.steps
    engine.step(offered[0])
    assert engine.steps == steps + 1 and any(isinstance(action, Act) for action in engine.enabled())
    with pytest.raises(ValueError, match="is not pending"):
        engine.step(offered[0])


def test_steps_of_the_first_action_are_what_run_does() -> None:
    traces: list[list[Line]] = [[], []]
    for number, lines in enumerate(traces):
        engine = cluster(tracer=lines.append)
        create(engine, deployment())
        if number:
            run(engine, InOrder())
        else:
            engine.run()
        assert engine.at_rest
    assert traces[0] == traces[1] and len(traces[0]) > 50


def test_a_policy_stops_after_so_many_steps() -> None:
    engine = cluster()
    create(engine, deployment())
    assert run(engine, InOrder(), steps=5) == 5 and not engine.at_rest


def test_every_order_of_events_ends_in_the_same_state() -> None:
    expected = outline(rolled_out(cluster()))
    lengths = set()
    for seed in range(50):
        policy = Random(seed)
        engine = cluster(choices=policy.choices)
        create(engine, deployment())
        run(engine, policy)
        new_image(engine, "sim/web:2")
        lengths.add(run(engine, policy))
        assert outline(engine) == expected, seed
        assert not check_convergence(view_of(engine)), seed
    assert len(lengths) > 5


# -- invariants -------------------------------------------------------------------------------------------------------


def test_invariants_hold_at_every_step_and_at_rest() -> None:
    assert {each.type for each in invariants()} == {"safety", "transition", "convergence"}
    engine = cluster()
    create(engine, deployment())
    checked = 0
    for image in ("sim/web:2", "sim/web:3"):
        end = engine.now + 60 * SECOND
        while engine.enabled() and engine.now < end:
            since = engine.store.revision
            engine.step()
            view = view_of(engine)
            assert check_safety(view) == ()
            for change in engine.store.changes(since):
                assert check_transition(change, view) == ()
                checked += 1
        assert check_convergence(view_of(engine)) == ()
        new_image(engine, image)
    assert checked > 100


def test_broken_invariants_are_named() -> None:
    engine = rolled_out(cluster())
    engine.submit(Delete(key=WEB, propagation="Orphan"))
    replica_set = next(iter(engine.store.snapshot.series("in", "ReplicaSet", "default")))
    engine.submit(Patch(key=("ReplicaSet", "default", replica_set.metadata.name), body={"spec": {"replicas": 9}}))
    found = check_convergence(view_of(engine))
    assert any(str(each).startswith("ReplicaSet/replicaset-converges: ReplicaSet default/web-") for each in found)


# -- forks ------------------------------------------------------------------------------------------------------------


def finish(engine: Engine) -> list[tuple[Any, ...]]:
    since = engine.store.revision
    engine.run(until=engine.now + 120 * SECOND)
    return [(change.revision, change.type, change.key, change.new) for change in engine.store.changes(since)]


@pytest.mark.parametrize("steps", [3, 25, 60, 90, 140])
def test_a_fork_and_its_parent_do_not_disturb_each_other(steps: int) -> None:
    def start() -> Engine:
        engine = cluster(choices=Seeded(5, jitter=1))
        create(engine, deployment())
        for _ in range(steps):
            engine.step()
        return engine

    reference = finish(start())
    parent = start()
    fork = parent.fork()
    same, other = parent.fork(), parent.fork()
    # The other fork goes its own way first, so that whatever it leaves in shared objects would be seen.
    other.submit(Patch(key=WEB, body={"spec": {"replicas": 7}}))
    for name in NODES:
        other.submit(Delete(key=("Node", "", name)))
    finish(other)
    new_image(fork, "sim/web:9")
    finish(fork)
    assert finish(same) == reference
    assert finish(parent) == reference


def test_interleaved_forks_do_not_disturb_each_other() -> None:
    left = cluster()
    create(left, deployment())
    right = left.fork()
    new_image(right, "sim/web:2")
    alone = right.fork()
    expected = finish(alone)
    since = right.store.revision
    for _ in range(2000):
        for engine in (left, right):
            if engine.enabled():
                engine.step()
    found = [(change.revision, change.type, change.key, change.new) for change in right.store.changes(since)]
    assert found[: len(expected)] == expected


def copied_entries(engine: Engine) -> int:
    """How many entries of containers a fork of this engine has to copy when every actor goes on."""
    twin = engine.fork()
    assert twin.store is engine.store and twin.actors is engine.actors
    count = len(engine.agenda)
    for name in engine.actors:
        actor, own = engine.actors[name], twin.own(name)
        assert own is not actor and own.memory is actor.memory and own.recorder is actor.recorder
        queue = own.queue
        parts = (queue.ready, queue._dirty, queue._processing, queue._detached, queue.failures, queue._causes)
        count += len(own.runs) + sum(map(len, parts))
    return count


def test_the_cost_of_a_fork_does_not_grow_with_history() -> None:
    engine = cluster()
    create(engine, deployment())
    engine.run()
    young, revision = copied_entries(engine), engine.store.revision
    for number in range(2, 12):
        new_image(engine, f"sim/web:{number}")
        engine.run()
    assert engine.store.revision > revision * 6
    assert copied_entries(engine) <= young + 10
    twin = engine.fork()
    history = engine.store.history
    new_image(twin, "sim/web:0")
    new_image(engine, "sim/web:99")
    assert twin.store.history.chunks == history.chunks and len(twin.store.history.tail) <= 1024
    assert twin.store.get(*WEB) != engine.store.get(*WEB)


def test_what_places_have_to_themselves_stays_as_it_was_taken() -> None:
    engine = cluster()
    create(engine, deployment())
    engine.run(until=engine.now + 10 * SECOND)
    taken, twin = engine.node_states, engine.fork()
    assert twin.node_states is taken
    before = dict(taken)
    new_image(engine, "sim/web:2")
    engine.run(until=engine.now + 30 * SECOND)
    assert dict(taken) == before and dict(twin.node_states) == before
    assert engine.node_states is not taken and all(engine.node_states[name] != before[name] for name in NODES)
    engine.put_state(NODES[0], before[NODES[0]])
    assert engine.state_of(NODES[0]) is before[NODES[0]] is twin.state_of(NODES[0])


def test_an_actor_sees_what_its_own_engines_informers_have_seen() -> None:
    engine = cluster()
    create(engine, deployment())
    engine.run(until=engine.now + 10 * SECOND)
    engines = [engine, engine.fork(), engine.fork()]
    for number, each in enumerate(engines, start=2):
        new_image(each, f"sim/web:{number}")
    for _ in range(60):
        for each in engines:
            each.step()
            for name, actor in each.actors.items():
                assert each.view_of(name).snapshots is each.informers.snapshots(actor.wiring.component.name)


def test_who_is_started_anew_with_less_in_it_is_seen_by_what_is_left_of_it() -> None:
    engine = cluster()
    name = f"kubelet/{NODES[0]}"
    assert "Pod" in engine.view_of(name).snapshots
    engine.add_component(evolve(engine.components[name], controllers=()))
    assert engine.view_of(name).snapshots is engine.informers.snapshots(name) and not engine.view_of(name).snapshots


def test_who_needs_no_view_finds_the_same_in_one() -> None:
    traces: list[list[Line]] = [[], []]
    for number, lines in enumerate(traces):
        engine = cluster(tracer=lines.append)
        readers = engine.informers.readers.values()
        watches = [watch for reader in readers for each in reader.watchers.values() for _, watch in each]
        unseen = [watch for watch in watches if watch.needs_no_view]
        assert len(unseen) == len(NODES)
        for watch in unseen if number else ():
            object.__setattr__(watch, "needs_no_view", False)
        rolled_out(engine)
    assert traces[0] == traces[1] and len(traces[0]) > 50


# -- faults -----------------------------------------------------------------------------------------------------------


def test_a_lagging_informer_sees_nothing_until_it_has_caught_up() -> None:
    engine = cluster()
    engine.schedule(Lag(MANAGER, "Deployment", 20 * SECOND), engine.now)
    engine.step()
    before = engine.now
    create(engine, deployment())
    engine.run(until=before + 19 * SECOND)
    assert engine.view_of("deployment-controller").get(*WEB) is None
    assert not tuple(engine.store.snapshot.series("in", "ReplicaSet", "default"))
    engine.run(until=before + 60 * SECOND)
    assert outline(engine)["sets"] == {"sim/web:1": (3, 3, 3)}


@pytest.mark.parametrize(
    "actor", ["deployment-controller", "replicaset-controller", "kube-scheduler", "kubelet/node-1"]
)
@pytest.mark.parametrize("after", [1, 10, 40, 100])
def test_a_crashed_controller_goes_on_where_the_cluster_is(actor: str, after: int) -> None:
    expected = outline(rolled_out(cluster()))
    engine = cluster()
    create(engine, deployment())
    engine.run(until=engine.now + 30 * SECOND)
    new_image(engine, "sim/web:2")
    for _ in range(after):
        engine.step()
    engine.schedule(Crash(actor), engine.now)
    engine.run(until=engine.now + 180 * SECOND)
    assert outline(engine) == expected


def test_a_stopped_kubelet_does_nothing_until_it_is_started() -> None:
    engine = cluster()
    for name in NODES:
        engine.schedule(Stop(f"kubelet/{name}"), engine.now)
    create(engine, deployment())
    engine.run(until=engine.now + 60 * SECOND)
    assert {phase for _, phase, bound in outline(engine)["pods"] if bound} == {"Pending"}
    for name in NODES:
        engine.schedule(Start(f"kubelet/{name}"), engine.now)
    engine.run(until=engine.now + 60 * SECOND)
    assert {phase for _, phase, _ in outline(engine)["pods"]} == {"Running"}


def test_a_stopped_manager_misses_nothing() -> None:
    engine = cluster()
    engine.schedule(Stop(MANAGER), engine.now)
    engine.schedule(Submit(Delete(key=("ServiceAccount", "default", "default"))), engine.now + SECOND)
    engine.run(until=engine.now + 30 * SECOND)
    assert engine.store.get("ServiceAccount", "default", "default") is None
    engine.schedule(Start(MANAGER), engine.now)
    engine.run(until=engine.now + 30 * SECOND)
    assert engine.store.get("ServiceAccount", "default", "default") is not None


# -- determinism ------------------------------------------------------------------------------------------------------

SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from clusters import cluster, create, deployment, new_image, SECOND
from k8sfsm.engine.choices import Seeded
from k8sfsm.trace.native import plain
lines = []
engine = cluster(choices=Seeded(3, jitter=1), tracer=lines.append)
create(engine, deployment())
engine.run(until=engine.now + 30 * SECOND)
new_image(engine, "sim/web:2")
engine.run(until=engine.now + 60 * SECOND)
for line in lines:
    print(json.dumps(plain(line), sort_keys=True))
"""


def test_a_seed_gives_the_same_trace_byte_by_byte_everywhere(tmp_path: Path) -> None:
    here = Path(__file__).parent
    found = set()
    for seed, folder in (("0", here), ("1", tmp_path), ("12345", tmp_path)):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(here.parent.parent)}
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(here)], cwd=folder, env=environment, capture_output=True, check=True
        )
        found.add(done.stdout)
    assert len(found) == 1 and found.pop().count(b"\n") > 150


def test_a_run_leaves_python_as_it_was_and_nothing_young_to_look_through() -> None:
    before, told = gc.get_threshold(), list(gc.callbacks)
    with seldom_collected():
        made = [[number] for number in range(10_000)]
        assert gc.get_threshold() == SELDOM
        assert gc.get_count()[0] >= len(made)
    assert gc.get_threshold() == before
    assert gc.get_count()[0] < len(made)
    assert gc.get_freeze_count() == 0 and gc.callbacks == told


class Loop:
    """Refers to itself: nothing but a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


def test_after_a_collection_in_vain_the_next_ones_look_at_nothing() -> None:
    gc.collect()
    with seldom_collected():
        gc.collect(0)
        made = weakref.ref(Loop())
        for _ in range(SPARED):
            gc.collect(0)
            assert made() is not None
        later = weakref.ref(Loop())
        gc.collect(0)
        assert later() is None and made() is not None
        last = weakref.ref(Loop())
        gc.collect(0)
        assert last() is None
    gc.collect()
    assert made() is None
