"""The faults of a recording: components that stopped, crashed, or saw nothing for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sfsm.engine.action import Action, Compact, Crash, Disturb, Join, Lag, Part, Skew, Start, Stop, Tell
from k8sfsm.engine.cluster import MANAGER, SCHEDULER
from k8sfsm.engine.engine import Engine
from k8sfsm.trace.history import EnvironmentFact

_SHORT: Final = {"scheduler": SCHEDULER, "controller-manager": MANAGER, "kcm": MANAGER}


def fault_of(fact: EnvironmentFact, engine: Engine) -> Action | None:
    """What a fact of the environment does to the engine's own components; None where it does nothing to them."""
    found = _FAULTS.get(fact.event)
    return None if found is None else found(fact, engine)


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
