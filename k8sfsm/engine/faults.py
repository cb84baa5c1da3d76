"""How each fault is performed."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from immutables import Map

from k8sfsm.engine.action import (
    Action,
    Boot,
    Compact,
    Crash,
    Cut,
    Disturb,
    Fail,
    Fault,
    Flap,
    Happen,
    Join,
    Kill,
    Lag,
    Part,
    Skew,
    Start,
    Stop,
    Strike,
    Tell,
)
from k8sfsm.engine.line import fault_line
from k8sfsm.engine.trouble import skew_of
from k8sfsm.kinds.pod import running_containers
from k8sfsm.node.runtime import RuntimeEvent, powered_off
from k8sfsm.node.runtime_state import newest, pod_of
from k8sfsm.objects import evolve
from k8sfsm.store import Store

if TYPE_CHECKING:
    from k8sfsm.engine.engine import Engine

KILLED: Final = 137
"""Exit code of a container that was killed (128 + SIGKILL)."""


def perform_fault(engine: Engine, action: Action) -> None:
    """Perform a fault, or the end of one. Raises KeyError for what is neither."""
    _HOW[type(action)](engine, action)


def _fault(engine: Engine, action: Fault) -> None:
    """All parts; those that happen at once happen now."""
    engine.allowance = {**engine.allowance, action.kind: engine.allowance.get(action.kind, 1) - 1}
    for delay, part in action.parts:
        if delay:
            engine.schedule(part, engine.now + delay)
        else:
            perform_fault(engine, part)


# -- informers --------------------------------------------------------------------------------------------------------


def _lag(engine: Engine, action: Lag) -> None:
    engine.informers.block(action.component, action.kind, engine.now + action.duration)
    detail = {"component": action.component, "kind": action.kind, "duration": action.duration}
    engine.emit(fault_line("informer-lag", engine.now, **detail))


def _tell(engine: Engine, action: Tell) -> None:
    engine.emit(fault_line("informer-resync", engine.now, component=action.component, kind=action.kind))
    if action.component in engine.stopped:
        return
    changes = engine.informers.told_again(action.component, action.kind)
    for wiring, watch in engine.informers.watchers(action.component, action.kind):
        engine.notify(wiring.actor, watch.keys, changes)


def _compact(engine: Engine, action: Compact) -> None:
    engine.store = engine.store.compact()
    engine.informers.expire()
    engine.emit(fault_line("etcd-compact", engine.now))


# -- controllers and components ---------------------------------------------------------------------------------------


def _crash(engine: Engine, action: Crash) -> None:
    actor = engine.own(action.actor)
    actor.reset()
    engine.cancel(action.actor)
    engine.emit(fault_line("actor-crash", engine.now, actor=action.actor))
    component = actor.wiring.component.name
    if component in engine.stopped:
        return
    for watch in actor.wiring.watches:
        # The component's other controllers have seen all this, and what is still on its way comes to all of them.
        if watch.kind in engine.informers.kinds_of(component):
            engine.notify(action.actor, watch.keys, engine.informers.seen(component, watch.kind))
    engine.look_first(actor.wiring)


def _stop(engine: Engine, action: Stop) -> None:
    engine.emit(fault_line("component-stop", engine.now, component=action.component))
    _end(engine, action.component)


def _end(engine: Engine, component: str) -> None:
    """The process of a component is gone, with all that it was about to do."""
    engine.stopped |= {component}
    for wiring in engine.informers.wirings(component):
        engine.own(wiring.actor).reset()
        engine.cancel(wiring.actor)


def _start(engine: Engine, action: Start) -> None:
    engine.emit(fault_line("component-start", engine.now, component=action.component))
    if engine.components[action.component].node in engine.trouble.failed:
        return
    engine.stopped -= {action.component}
    engine.list_anew(action.component)


def _skew(engine: Engine, action: Skew) -> None:
    engine.emit(fault_line("clock-skew", engine.now, component=action.component, offset=action.offset))
    running = action.component not in engine.stopped
    if running:
        _end(engine, action.component)
    engine.trouble = evolve(engine.trouble, skews=engine.trouble.skews.set(action.component, action.offset))
    if running:
        engine.stopped -= {action.component}
        engine.list_anew(action.component)


# -- requests ---------------------------------------------------------------------------------------------------------


def _disturb(engine: Engine, action: Disturb) -> None:
    engine.emit(fault_line("request-disturbed", engine.now, actor=action.actor, how=action.how))
    engine.trouble = evolve(engine.trouble, requests=engine.trouble.requests.set(action.actor, action.how))


def _part(engine: Engine, action: Part) -> None:
    engine.emit(fault_line("partition", engine.now, component=action.component))
    parted: Map[str, Store] = engine.trouble.parted
    if action.component not in parted:
        engine.trouble = evolve(engine.trouble, parted=parted.set(action.component, engine.store))


def _join(engine: Engine, action: Join) -> None:
    engine.emit(fault_line("partition-healed", engine.now, component=action.component))
    parted = engine.trouble.parted
    if action.component not in parted:
        return
    engine.trouble = evolve(engine.trouble, parted=parted.delete(action.component))
    if not engine.informers.snapshots(action.component):
        engine.list_anew(action.component)
        return
    for kind in engine.informers.kinds_of(action.component):
        engine.deliver_later(action.component, kind)


# -- nodes ------------------------------------------------------------------------------------------------------------


def _fail(engine: Engine, action: Fail) -> None:
    node = action.node
    engine.emit(evolve(fault_line("node-down", engine.now), node=node))
    component = engine.informers.component_of(node)
    if component is not None:
        _end(engine, component)
    engine.trouble = evolve(engine.trouble, failed=engine.trouble.failed | {node})
    engine.forget_events(node)
    clock = engine.now + (0 if component is None else skew_of(engine, component))
    engine.put_state(node, powered_off(engine.state_of(node), clock))


def _boot(engine: Engine, action: Boot) -> None:
    engine.emit(evolve(fault_line("node-up", engine.now), node=action.node))
    if action.node not in engine.trouble.failed:
        return
    engine.trouble = evolve(engine.trouble, failed=engine.trouble.failed - {action.node})
    component = engine.informers.component_of(action.node)
    if component is not None:
        engine.stopped -= {component}
        engine.list_anew(component)


def _kill(engine: Engine, action: Kill) -> None:
    """Nothing where the container does not run."""
    pod = engine.store.get(*action.pod)
    if pod is None or not pod.spec.node_name:
        return
    node, uid = pod.spec.node_name, pod.metadata.uid
    run = newest(pod_of(engine.state_of(node), uid), action.container)
    if run is None or run.state != "running":
        return
    clock = engine.now + skew_of(engine, engine.informers.component_of(node) or "")
    event = RuntimeEvent(
        at=clock,
        node=node,
        uid=uid,
        kind="container-exit",
        pod=action.pod,
        container=action.container,
        attempt=run.attempt,
        id=run.id,
        code=KILLED if action.oom else 1,
        reason="OOMKilled" if action.oom else "Error",
    )
    engine.schedule(Happen(event), engine.now)


def _cut(engine: Engine, action: Cut) -> None:
    engine.emit(evolve(fault_line("registry-unreachable", engine.now, duration=action.duration), node=action.node))
    pulls = engine.trouble.pulls.set(action.node, engine.now + action.duration)
    engine.trouble = evolve(engine.trouble, pulls=pulls)


def _flap(engine: Engine, action: Flap) -> None:
    line = fault_line("probe-flapping", engine.now, duration=action.duration)
    engine.emit(evolve(line, key=action.pod))
    flaps = engine.trouble.flaps.set(action.pod, engine.now + action.duration)
    engine.trouble = evolve(engine.trouble, flaps=flaps)


def _strike(engine: Engine, action: Strike) -> None:
    snapshot = engine.store.snapshot
    for namespace in snapshot.namespaces_of("Pod"):
        for pod in snapshot.series("in", "Pod", namespace):
            if not fnmatchcase(pod.metadata.name, action.pods):
                continue
            key = ("Pod", namespace, pod.metadata.name)
            if action.how == "flap":
                _flap(engine, Flap(key, action.duration))
                continue
            for container in running_containers(pod):
                if action.container in ("", container):
                    _kill(engine, Kill(key, container, action.how == "oom"))


_HOW: Final[dict[type[Any], Callable[[Engine, Any], None]]] = {
    Fault: _fault,
    Lag: _lag,
    Tell: _tell,
    Compact: _compact,
    Crash: _crash,
    Stop: _stop,
    Start: _start,
    Skew: _skew,
    Disturb: _disturb,
    Part: _part,
    Join: _join,
    Fail: _fail,
    Boot: _boot,
    Kill: _kill,
    Cut: _cut,
    Flap: _flap,
    Strike: _strike,
}
FAULTS: Final = frozenset(_HOW)
"""The types of actions that are faults."""
