"""The faults of a recording: components that stopped, crashed, or saw nothing for a while."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from k8sfsm.engine.action import Action, Crash, Lag, Start, Stop
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


_FAULTS: Final[dict[str, Callable[[EnvironmentFact, Engine], Action | None]]] = {
    "kubelet-killed": _stop,
    "node-down": _stop,
    "component-stop": _stop,
    "kubelet-started": _start,
    "node-up": _start,
    "component-start": _start,
    "actor-crash": _crash,
    "informer-lag": _lag,
}
