"""The faults of a recording: components that stopped, crashed, or saw nothing for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sfsm.engine.action import Action, Compact, Crash, Disturb, Join, Lag, Part, Skew, Start, Stop, Tell
from k8sfsm.engine.cluster import MANAGER, SCHEDULER
from k8sfsm.engine.engine import Engine
from k8sfsm.trace.history import EnvironmentFact, Recording

_BEFORE: Final = 5_000_000
"""From the moment (ns) at which a component sees the cluster to the arrival of its first request."""
_SHORT: Final = {"scheduler": SCHEDULER, "controller-manager": MANAGER, "kcm": MANAGER}


def fault_of(fact: EnvironmentFact, engine: Engine) -> Action | None:
    """What a fact of the environment does to the engine's own components; None where it does nothing to them."""
    found = _FAULTS.get(fact.event)
    return None if found is None else found(fact, engine)


def effect_of(fact: EnvironmentFact, recording: Recording, engine: Engine) -> int:
    """When (ns) a fact takes effect. A process that was started works from its first recorded request on.

    How long it takes to find its credentials, to list what there is and to start its controllers is chance.
    """
    name = _component(fact, engine)
    if fact.event != "component-start" or name is None:
        return fact.time
    actors = {controller.name for controller in engine.components[name].controllers}
    until = min((each.time for each in recording.environment if _ends(each, fact, engine)), default=recording.end or 0)
    asked = (write.received or write.time for write in recording.writes if write.actor in actors)
    first = min((at for at in asked if fact.time < at < until), default=fact.time)
    return max(fact.time, first - _BEFORE)


def _ends(fact: EnvironmentFact, start: EnvironmentFact, engine: Engine) -> bool:
    """Whether a fact ends the run of a component that another began."""
    same = _component(fact, engine) == _component(start, engine)
    return same and fact.event == "component-stop" and fact.time > start.time


def _component(fact: EnvironmentFact, engine: Engine) -> str | None:
    """The component that the fact is about, where the engine plays it."""
    told = str(fact.more.get("component", ""))
    name = _SHORT.get(told, told) if told else f"kubelet/{fact.node}"
    return name if name in engine.components else None


def _stop(fact: EnvironmentFact, engine: Engine) -> Stop | None:
    component = _component(fact, engine)
    return None if component is None else Stop(component)


def _start(fact: EnvironmentFact, engine: Engine) -> Start | None:
    component = _component(fact, engine)
    return None if component is None else Start(component)


def _crash(fact: EnvironmentFact, engine: Engine) -> Crash | None:
    actor = str(fact.more.get("actor", ""))
    return Crash(actor) if actor in engine.actors else None


def _lag(fact: EnvironmentFact, engine: Engine) -> Lag | None:
    component, kind, duration = _component(fact, engine), fact.more.get("kind"), fact.more.get("duration")
    if component is None or not isinstance(duration, int) or kind not in engine.informers.kinds_of(component):
        return None
    return Lag(component, str(kind), duration)


def _resync(fact: EnvironmentFact, engine: Engine) -> Tell | None:
    component, kind = _component(fact, engine), fact.more.get("kind")
    known = component is not None and kind in engine.informers.kinds_of(component)
    return Tell(str(component), str(kind)) if known else None


def _compact(fact: EnvironmentFact, engine: Engine) -> Compact:
    return Compact()


def _disturb(fact: EnvironmentFact, engine: Engine) -> Disturb | None:
    actor, how = str(fact.more.get("actor", "")), fact.more.get("how")
    known: Any = how if how in ("conflict", "timeout", "lost") else None
    return Disturb(actor, known) if actor in engine.actors and known is not None else None


def _part(fact: EnvironmentFact, engine: Engine) -> Part | None:
    component = _component(fact, engine)
    return None if component is None else Part(component)


def _join(fact: EnvironmentFact, engine: Engine) -> Join | None:
    component = _component(fact, engine)
    return None if component is None else Join(component)


def _skew(fact: EnvironmentFact, engine: Engine) -> Skew | None:
    component, offset = _component(fact, engine), fact.more.get("offset")
    return Skew(component, offset) if component is not None and isinstance(offset, int) else None


_FAULTS: Final[dict[str, Callable[[EnvironmentFact, Engine], Action | None]]] = {
    "kubelet-killed": _stop,
    "node-down": _stop,
    "component-stop": _stop,
    "kubelet-started": _start,
    "node-up": _start,
    "component-start": _start,
    "actor-crash": _crash,
    "informer-lag": _lag,
    "informer-resync": _resync,
    "etcd-compact": _compact,
    "request-disturbed": _disturb,
    "partition": _part,
    "partition-healed": _join,
    "clock-skew": _skew,
}
