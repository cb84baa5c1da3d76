"""How each action of the engine is performed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from immutables import Map

from k8sfsm.apiserver import Sender
from k8sfsm.controllers.pod_changes import bulk_of
from k8sfsm.engine import trouble
from k8sfsm.engine.action import Act, Deliver, Enqueue, Happen, Send, Submit
from k8sfsm.engine.actor import Actor
from k8sfsm.engine.faults import FAULTS, perform_fault
from k8sfsm.engine.line import environment_line
from k8sfsm.engine.recorded import Recorded
from k8sfsm.engine.recorder import DEFAULT, event_write
from k8sfsm.engine.run import Batch, Run, failure_of
from k8sfsm.engine.series import finished
from k8sfsm.engine.trouble import NO_TROUBLE
from k8sfsm.node.runtime import OWN_ORDERS
from k8sfsm.objects import evolve
from k8sfsm.request import Call, CountEvents, Key, Look, Outcome, Parallel, Plan, Record, Remember, Step
from k8sfsm.store import Change
from k8sfsm.view import remembered

if TYPE_CHECKING:
    from k8sfsm.engine.engine import Engine


Steps: TypeAlias = tuple[Step | Parallel, ...]
NO_STATE: Final[Map[str, Any]] = Map()
"""What the environment keeps of a place where nothing has happened yet."""


# -- seeing ---------------------------------------------------------------------------------------------------------


def _deliver(engine: Engine, action: Deliver) -> None:
    component, kind = action.component, action.kind
    if component in engine.stopped or component in engine.trouble.parted:
        return
    reader = engine.informers.own(component)
    if reader.blocked and (until := reader.blocked.get(kind, 0)) > engine.now:
        engine.schedule(action, until)
        return
    changes = reader.catch_up(kind, engine.store)
    for wiring, watch in reader.watchers[kind]:
        if watch.needs_no_view and len(changes) == 1 and wiring.observe is None:
            actor = engine.actors[wiring.actor]
            if actor.owner is not engine.owner:
                actor = engine.own(wiring.actor)
            _see(engine, actor, changes[0].revision, watch.keys(changes[0], actor))
        else:
            notify(engine, wiring.actor, watch.keys, changes)


def notify(engine: Engine, name: str, keys: Callable[..., Iterable[Any]], changes: Sequence[Change]) -> None:
    """An actor sees changes: its memory takes note, and the keys that they concern are queued."""
    actor = engine.actors[name]
    if actor.owner is not engine.owner:
        actor = engine.own(name)
    observe = actor.wiring.observe
    view = engine.view_for(actor)
    bulk = bulk_of(keys) if len(changes) > 1 else None
    noticed = None if bulk is None else bulk(changes, view)
    if noticed is not None:
        for step in noticed.steps:
            actor.remember(step)
        for found, cause in noticed.keys:
            _wake(engine, actor, found, cause)
        dispatch(engine, actor)
        return
    for change in changes:
        if observe is not None:
            if view.memory is not actor.memory:
                view = engine.view_for(actor)
            for step in observe(change, view):
                actor.remember(step)
        for found in keys(change, view):
            _wake(engine, actor, found, change.revision)
    dispatch(engine, actor)


def _see(engine: Engine, actor: Actor, cause: int, keys: Iterable[Any]) -> None:
    """The keys that one change concerns are queued: most often one, or none."""
    found = tuple(keys)
    if len(found) == 1 and len(found[0]) == 3:
        _wake_alone(engine, actor, found[0], cause)
        return
    for each in found:
        _wake(engine, actor, each, cause)
    dispatch(engine, actor)


def _wake(engine: Engine, actor: Actor, found: Any, cause: int) -> None:
    """Queue a key, at once or in some time."""
    if len(found) == 2:
        engine.schedule(Enqueue(actor.wiring.actor, found[0]), engine.now + found[1])
    else:
        actor.queue.add(found, cause)


def dispatch(engine: Engine, actor: Actor) -> None:
    """Give waiting keys to free workers."""
    wiring, queue = actor.wiring, actor.queue
    if wiring.rank is not None and queue.unranked:
        _rank(engine, actor)
    while (queue.ready or queue.ranked or queue.held) and (found := queue.get()) is not None:
        _take_up(engine, actor, *found)


def _take_up(engine: Engine, actor: Actor, key: Key, cause: int) -> None:
    """A worker is about to look at a key."""
    wiring, now = actor.wiring, engine.now
    actor.waiting[key] = cause
    agenda, choices = engine.agenda, engine.choices
    if choices.exact and agenda.at == now:
        agenda.present.append(Act(wiring.actor, key))
        return
    at = choices.start(wiring.sender, key, now)
    agenda.add(at if at > now else now, Act(wiring.actor, key))


def _wake_alone(engine: Engine, actor: Actor, key: Key, cause: int = 0) -> None:
    """Queue a key, and give waiting keys to free workers."""
    if actor.wiring.rank is None and actor.queue.begin(key):
        _take_up(engine, actor, key, cause)
        return
    actor.queue.add(key, cause)
    dispatch(engine, actor)


def _rank(engine: Engine, actor: Actor) -> None:
    """Keys that came find their places in a ranked queue; those that have to back off come again when that is over."""
    rank, name = actor.wiring.rank, actor.wiring.actor
    view = engine.view_for(actor)
    for due, key in actor.queue.rank(lambda key: rank(view, key), engine.now):
        engine.schedule(Enqueue(name, key), due)


def _enqueue(engine: Engine, action: Enqueue) -> None:
    if action.periodic:
        engine.heartbeats -= 1
    actor = engine.own(action.actor)
    if action.retry and not actor.queue.retried(action.key, action.retry):
        return
    if actor.wiring.component.name not in engine.stopped:
        _wake_alone(engine, actor, action.key)


# -- deciding and acting --------------------------------------------------------------------------------------------


def _act(engine: Engine, action: Act) -> None:
    actor, key = engine.actors[action.actor], action.key
    if actor.owner is not engine.owner:
        actor = engine.own(action.actor)
    cause = actor.waiting.pop(key, None)
    if cause is None:
        return
    plan = actor.wiring.controller.reconcile(engine.view_for(actor), key)
    queue = actor.queue
    if plan.detached:
        queue.detach(key)
    if _proceed(engine, actor, key, cause, plan, plan.steps, ()) and (queue.ready or queue.ranked or queue.held):
        dispatch(engine, actor)


def _proceed(
    engine: Engine, actor: Actor, key: Key, cause: int, plan: Plan, steps: Steps, outcomes: tuple[Outcome, ...]
) -> bool:
    """Do what needs no answer of the steps that are left, up to the next write; let that be sent, or end the plan.

    Says whether the plan goes on when it is answered.
    """
    while True:
        done = 0
        for step in steps:
            kind = step.__class__
            if kind is Remember:
                if step.value is not None:  # type: ignore[union-attr]  # what `remembered` does
                    actor.memory = actor.memory.set(step.key, step.value)  # type: ignore[union-attr]
                else:
                    actor.memory = remembered(actor.memory, step)  # type: ignore[arg-type]
            else:
                do = _UNANSWERED.get(kind)
                if do is None:
                    break
                do(engine, actor, step, cause)
            done += 1
        else:
            if plan.then is None:
                _finish(engine, actor, key, plan, outcomes)
                return False
            plan, outcomes = plan.then(outcomes), ()
            steps = plan.steps
            continue
        if not isinstance(step, Parallel):
            left = steps[done:] if done else steps
            _wait(engine, actor, Run(key, cause, plan, left, None, outcomes), step, engine.latencies.request)
            return True
        steps = steps[done + 1 :]
        if step.writes:
            run = Run(key, cause, plan, steps, Batch.of(step), outcomes)
            _wait(engine, actor, run, step.writes[0], engine.latencies.request)
            return True


def _wait(engine: Engine, actor: Actor, run: Run, write: Any, latency: int) -> None:
    """The run goes on when its next write is answered, which arrives when chance and the client's rate limit let it."""
    wiring, now, key = actor.wiring, engine.now, run.key
    actor.runs[key] = run
    choices, bucket = engine.choices, actor.bucket
    arrives = now + latency if choices.exact else choices.arrival(write, wiring.sender, now, latency)
    allowed = bucket.reserve(now) if bucket.interval else now  # not before now
    engine.agenda.add(allowed if allowed > arrives else arrives, Send(wiring.actor, key))


# -- steps that need no answer --------------------------------------------------------------------------------------


def _look(engine: Engine, actor: Actor, step: Look, cause: int) -> None:
    actor.queue.add(step.key, cause)


def _record(engine: Engine, actor: Actor, step: Record, cause: int) -> None:
    if not engine.keeps_events:
        return
    wiring, now, way = actor.wiring, engine.now, None
    if engine.trouble is NO_TROUBLE:
        way = engine.api.events.way(engine.store, step.regarding.metadata.namespace or DEFAULT, wiring.sender)
    else:
        now += trouble.skew_of(engine, wiring.component.name)
    memory, source = actor.recorder, wiring.source
    actor.recorder, write = event_write(memory, step, source, engine.store, now, engine.choices, way)
    if isinstance(write, Recorded):
        engine.keep(write, wiring.sender, cause, step.why)
    elif write is not None and wiring.component.name not in engine.trouble.parted:
        engine.record(write, wiring.sender, cause)


def _count_events(engine: Engine, actor: Actor, step: CountEvents, cause: int) -> None:
    actor.recorder, counted = finished(actor.recorder, engine.store, engine.now)
    for each in counted:
        engine.record(each, actor.wiring.sender, cause)


def _call(engine: Engine, actor: Actor, step: Call, cause: int) -> None:
    state, now = engine.state_of(step.node), engine.now
    if engine.trouble is NO_TROUBLE:
        for due, event in engine.runtime.answer(step, now, state):
            engine.agenda.add(due if due > now else now, Happen(event))  # what `schedule` does
        return
    skew = trouble.skew_of(engine, actor.wiring.component.name)
    for due, event in trouble.answers(engine, engine.runtime.answer(step, now + skew, state)):
        engine.schedule(Happen(event), due - skew)


_UNANSWERED: Final[Mapping[type[Any], Callable[[Engine, Actor, Any, int], None]]] = {
    Record: _record,
    CountEvents: _count_events,
    Call: _call,
    Look: _look,
}
"""How the steps that need no answer are done, but for the most usual one: what an actor remembers."""


def _send(engine: Engine, action: Send) -> None:
    actor = engine.actors[action.actor]
    if actor.owner is not engine.owner:
        actor = engine.own(action.actor)
    run = actor.runs.get(action.key)
    if run is None:
        return
    wiring, batch = actor.wiring, run.batch
    write: Any = run.steps[0] if batch is None else run.next_write
    if engine.trouble is NO_TROUBLE:
        outcome: Outcome = engine.send(write, wiring.sender, run.cause)
    else:
        outcome = trouble.send(engine, write, wiring.sender, wiring.component.name, wiring.actor, run.cause)
    if batch is None:
        left = run.steps[1:] if outcome.code < 300 else ()  # what `Run.after` does
        _proceed(engine, actor, run.key, run.cause, run.plan, left, (*run.outcomes, outcome))
        return
    run = run.answered(outcome)
    batch = run.batch
    assert batch is not None
    if batch.left:
        _wait(engine, actor, run, run.next_write, 0)
    elif batch.over:
        _proceed(engine, actor, run.key, run.cause, run.plan, run.steps, run.outcomes)
    else:
        run = evolve(run, batch=batch.next())
        _wait(engine, actor, run, run.next_write, engine.latencies.request)


def _finish(engine: Engine, actor: Actor, key: Key, plan: Plan, outcomes: tuple[Outcome, ...]) -> None:
    queue = actor.queue
    if actor.runs:
        actor.runs.pop(key, None)
    waiting = queue.done(key)
    if (outcomes and failure_of(outcomes)) or (plan.error and not plan.unsettled):
        again = queue.failed(key, engine.now)
        if again is not None:
            engine.schedule(Enqueue(actor.wiring.actor, key, retry=again), again)
    elif queue.failures and not plan.unsettled:
        queue.succeeded(key)
    if plan.requeue_after is not None:
        if plan.periodic:
            engine.heartbeats += 1
        due = engine.now + plan.requeue_after
        if plan.limited:
            due = max(due, queue.reserve(engine.now))
        engine.schedule(Enqueue(actor.wiring.actor, key, plan.periodic), due)
    if waiting:
        dispatch(engine, actor)


# -- the outside world ----------------------------------------------------------------------------------------------


def _happen(engine: Engine, action: Happen) -> None:
    event = action.event
    engine.befall(event)
    if engine.tracer is not None:
        engine.emit(environment_line(event, engine.now))
    if event.actor:
        _tell(engine, event.actor, event.pod)
        return
    informers = engine.informers
    component = informers.nodes.get(event.node)
    if component is None or component in engine.stopped or event.kind in OWN_ORDERS:
        return
    for wiring in informers.readers[component].wirings:
        actor = engine.actors[wiring.actor]
        if actor.owner is not engine.owner:
            actor = engine.own(wiring.actor)
        _wake_alone(engine, actor, event.pod)


def _tell(engine: Engine, name: str, key: Key) -> None:
    """Something has happened that an actor waits for, unless it has stopped meanwhile."""
    actor = engine.own(name)
    if actor.wiring.component.name not in engine.stopped:
        _wake_alone(engine, actor, key)


def _submit(engine: Engine, action: Submit) -> None:
    # What a component did that the engine does not run was judged where it was recorded.
    engine.send(action.write, Sender(actor=action.actor, account=action.account, trusted=action.actor != "user"))


HOW: Final[Mapping[type[Any], Callable[[Engine, Any], None]]] = {
    Deliver: _deliver,
    Act: _act,
    Send: _send,
    Enqueue: _enqueue,
    Happen: _happen,
    Submit: _submit,
    **dict.fromkeys(FAULTS, perform_fault),
}
"""How each action is performed."""
