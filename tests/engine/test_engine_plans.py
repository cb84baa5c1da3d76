"""How plans are carried out: writes in order and together, retries, limits, detached plans; crashes in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.apiserver import ApiServer, Options
from k8sfsm.engine.action import Act, Crash, Enqueue, Send, Start, Stop
from k8sfsm.engine.cluster import Cluster, Component, Latencies
from k8sfsm.engine.engine import Engine
from k8sfsm.machine import Machines
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Key, Look, Outcome, Parallel, Patch, Plan, Record, Remember, Why, Write
from k8sfsm.spec.loader import load_tables
from k8sfsm.view import Change, View

START = 1_700_000_000 * SECOND
KEY: Key = ("ConfigMap", "a", "work")


class Rules:
    """The queue and watches of a controller, without tables."""

    def __init__(self, **queue: Any) -> None:
        pattern = load_tables("namespace")["controller.yaml"]
        (watch,) = pattern.watches
        self.spec = evolve(
            pattern, queue=evolve(pattern.queue, **queue), watches=(evolve(watch, kind="ConfigMap", key="self"),)
        )

    def controller(self) -> Any:
        return self.spec

    def function(self, role: str, name: str) -> Callable[[Change, View], Iterable[Key]]:
        return lambda change, view: (change.key,) if change.key[2].startswith("work") else ()


class Worker:
    """A controller that does what a test says."""

    name = "worker"

    def __init__(self, decide: Callable[[View, Key], Plan], **queue: Any) -> None:
        self.law = Rules(**queue)
        self.decide = decide
        self.looks: list[int] = []

    def reconcile(self, view: View, key: Key) -> Plan:
        self.looks.append(view.now)
        return self.decide(view, key)


def thing(name: str) -> Any:
    return from_json({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "a"}})


def engine_of(worker: Worker, **component: Any) -> Engine:
    api = ApiServer(Machines.load(), Options(admission=False))
    parts = (Component(name="w", controllers=(worker,), **component),)
    latencies = Latencies(request=4_000_000, watch=1_000_000)
    return Engine(Cluster(components=parts, latencies=latencies), api, None, now=START)


def created(engine: Engine) -> list[tuple[str, float]]:
    """Names and times (milliseconds after the start) of what the worker created."""
    changes = engine.store.changes(0)
    return [
        (change.key[2], (change.at - START) / 1_000_000)
        for change in changes
        if change.type == "ADDED" and not change.key[2].startswith("work")
    ]


def go(worker: Worker, seconds: float = 60, **component: Any) -> Engine:
    engine = engine_of(worker, **component)
    engine.submit(Create(object=thing("work")))
    engine.run(until=START + int(seconds * SECOND))
    return engine


def once(plan: Plan) -> Callable[[View, Key], Plan]:
    """The plan at the first look, nothing at later ones."""
    left = [plan]
    return lambda view, key: left.pop() if left else Plan()


def creations(*names: str) -> tuple[Write, ...]:
    return tuple(Create(object=thing(name)) for name in names)


def test_writes_go_one_by_one() -> None:
    engine = go(Worker(once(Plan(steps=creations("a", "b", "c")))))
    assert created(engine) == [("a", 5), ("b", 9), ("c", 13)]


def test_writes_together_and_in_slow_start() -> None:
    names = tuple("abcdefgh")
    together = go(Worker(once(Plan(steps=(Parallel(writes=creations(*names)),)))))
    assert created(together) == [(name, 5) for name in names]
    slow = go(Worker(once(Plan(steps=(Parallel(writes=creations(*names), slow_start=True),)))))
    assert [at for _, at in created(slow)] == [5, 9, 9, 13, 13, 13, 13, 17]


def test_a_slow_start_ends_with_the_batch_that_failed() -> None:
    answers: list[int] = []

    def then(outcomes: tuple[Outcome, ...]) -> Plan:
        answers.extend(outcome.code for outcome in outcomes)
        return Plan(steps=creations("after"))

    writes = creations("a", "a", "b", "c", "d")
    engine = go(Worker(once(Plan(steps=(Parallel(writes=writes, slow_start=True),), then=then))))
    assert [name for name, _ in created(engine)] == ["a", "b", "after"] and answers == [201, 409, 201]
    answers.clear()
    go(Worker(once(Plan(steps=(Parallel(writes=writes),), then=then))))
    assert answers == [201, 409, 201, 201, 201]


def test_the_first_error_of_single_writes_ends_them_and_the_key_is_tried_again() -> None:
    worker = Worker(once(Plan(steps=creations("a", "a", "b"))))
    engine = go(worker)
    assert [name for name, _ in created(engine)] == ["a"] and len(worker.looks) == 2
    nothing = Worker(once(Plan(steps=(Parallel(writes=()), *creations("a")))))
    assert [name for name, _ in created(go(nothing))] == ["a"]


def test_retries_back_off_and_are_given_up() -> None:
    worker = Worker(lambda view, key: Plan(error="no"), base_delay_ms=10, max_delay_s=0.05, max_retries=4)
    go(worker)
    assert [b - a for a, b in zip(worker.looks, worker.looks[1:], strict=False)] == [
        milliseconds * 1_000_000 for milliseconds in (10, 20, 40, 50)
    ]


def test_success_forgets_failures() -> None:
    errors = ["no", "no", "", "no", ""]
    worker = Worker(lambda view, key: Plan(error=errors.pop(0), requeue_after=SECOND if len(errors) == 2 else None))
    go(worker)
    gaps = [(b - a) // 1_000_000 for a, b in zip(worker.looks, worker.looks[1:], strict=False)]
    assert gaps == [5, 10, 1000, 5]


def test_a_client_is_limited() -> None:
    names = tuple(f"n{number}" for number in range(8))
    engine = go(Worker(once(Plan(steps=(Parallel(writes=creations(*names)),)))), qps=10, burst=3)
    assert [at for _, at in created(engine)] == [5, 5, 5, 101, 201, 301, 401, 501]


@pytest.mark.parametrize(("detached", "expected"), [(False, [5, 9, 13, 17]), (True, [5, 5, 9, 9])])
def test_a_detached_plan_frees_its_worker(detached: bool, expected: list[int]) -> None:
    def decide(view: View, key: Key) -> Plan:
        if any(obj.metadata.name == f"a-{key[2]}" for obj in view.list("ConfigMap")):
            return Plan()
        return Plan(steps=creations(f"a-{key[2]}", f"b-{key[2]}"), detached=detached)

    engine = engine_of(Worker(decide, workers=1))
    for name in ("work-1", "work-2"):
        engine.submit(Create(object=thing(name)))
    engine.run(until=START + SECOND)
    assert [at for _, at in created(engine)] == expected


def test_heartbeats_do_not_keep_a_cluster_from_rest() -> None:
    worker = Worker(lambda view, key: Plan(requeue_after=SECOND, periodic=True))
    engine = engine_of(worker)
    engine.submit(Create(object=thing("work")))
    engine.run()
    assert engine.at_rest and len(worker.looks) == 1
    engine.run(until=START + 10 * SECOND)
    assert len(worker.looks) == 10 and engine.at_rest


def test_a_look_puts_another_key_into_the_queue() -> None:
    looked: list[str] = []

    def decide(view: View, key: Key) -> Plan:
        looked.append(key[2])
        return Plan(steps=(Look(key=("ConfigMap", "a", "other")),)) if key[2] == "work" else Plan()

    go(Worker(decide))
    assert looked == ["work", "other"]


def test_memory_is_kept_between_looks_and_lost_in_a_crash() -> None:
    seen: list[int] = []

    def decide(view: View, key: Key) -> Plan:
        count = view.memory.get("count", 0)
        seen.append(count)
        return Plan(steps=(Remember(key="count", value=count + 1),), requeue_after=SECOND)

    engine = engine_of(Worker(decide))
    engine.submit(Create(object=thing("work")))
    engine.schedule(Crash("worker"), START + int(3.5 * SECOND))
    engine.run(until=START + 6 * SECOND)
    assert seen == [0, 1, 2, 3, 0, 1, 2]


def test_a_memory_may_be_forgotten() -> None:
    steps = (Remember(key="x", value=1), Remember(key="x", value=None), Remember(key="y", value=None))
    engine = go(Worker(once(Plan(steps=steps))))
    assert dict(engine.view_of("worker").memory) == {}


@pytest.mark.parametrize("after", range(1, 9))
def test_a_crash_between_any_two_steps_leaves_no_half_done_plan_behind(after: int) -> None:
    """Every look at the key makes the next of three objects; whatever was under way is lost, and made by the next."""

    def decide(view: View, key: Key) -> Plan:
        there = {obj.metadata.name for obj in view.list("ConfigMap")}
        return Plan(steps=creations(*(name for name in "abc" if name not in there)))

    engine = engine_of(Worker(decide))
    engine.submit(Create(object=thing("work")))
    for _ in range(after):
        engine.step()
    engine.schedule(Crash("worker"), engine.now)
    engine.run(until=START + 5 * SECOND)
    assert [name for name, _ in created(engine)] == ["a", "b", "c"]
    assert engine.at_rest


def test_a_crash_takes_timers_and_plans_with_it_but_not_what_others_do() -> None:
    engine = engine_of(Worker(once(Plan(steps=creations("a", "b"), requeue_after=50 * SECOND, periodic=True))))
    engine.submit(Create(object=thing("work")))
    engine.run(until=START + SECOND)
    assert engine.heartbeats == 1
    engine.schedule(Crash("worker"), engine.now)
    engine.step()
    assert engine.heartbeats == 0
    mine = [action for _, action in engine.agenda.pending() if isinstance(action, Enqueue | Act | Send)]
    assert mine == [Act("worker", KEY)]


def test_nothing_starts_in_a_stopped_component() -> None:
    worker = Worker(lambda view, key: Plan(requeue_after=SECOND))
    engine = engine_of(worker)
    engine.submit(Create(object=thing("work")))
    engine.run(until=START + int(2.5 * SECOND))
    looks = len(worker.looks)
    for action in (Stop("w"), Crash("worker")):
        engine.schedule(action, engine.now)
    engine.run(until=START + 10 * SECOND)
    assert len(worker.looks) == looks == 3
    engine.submit(Delete(key=KEY))
    engine.submit(Create(object=thing("work-2")))
    engine.schedule(Start("w"), engine.now)
    engine.run(until=engine.now + SECOND // 2)
    assert len(worker.looks) == looks + 1


def test_causes_and_rules_are_in_the_trace() -> None:
    lines: list[Any] = []
    step = Create(object=thing("a"), why=Why(rule="X/y/z", facts={"n": 1}))
    engine = engine_of(Worker(once(Plan(steps=(step,)))))
    engine.tracer = lines.append
    made = engine.submit(Create(object=thing("work"))).object
    engine.run()
    (line,) = (line for line in lines if line.key[2] == "a")
    assert (line.actor, line.verb, line.rule, line.facts, line.code) == ("worker", "create", "X/y/z", {"n": 1}, 201)
    assert str(line.cause) == made.metadata.resource_version and line.revision == line.cause + 1
    assert [line.number for line in lines] == list(range(1, len(lines) + 1))


def test_events_are_sent_beside_the_plan() -> None:
    work = thing("work")
    record = Record(regarding=work, type="Normal", reason="Done", message="it is done")
    engine = go(Worker(once(Plan(steps=(record, *creations("a"))))))
    events = tuple(engine.store.snapshot.series("in", "Event", "a"))
    assert [(event.reason, event.message, event.source.component) for event in events] == [
        ("Done", "it is done", "worker")
    ]


def test_patches_in_plans_start_from_what_the_server_has() -> None:
    engine = go(Worker(once(Plan(steps=(Patch(key=KEY, body={"metadata": {"labels": {"a": "b"}}}),)))))
    assert engine.store.get(*KEY).metadata.labels == {"a": "b"}
