"""Faults of a scenario as actions of the engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from k8sfsm.engine.action import (
    Action,
    Boot,
    Compact,
    Crash,
    Cut,
    Disturb,
    Fail,
    Join,
    Lag,
    Part,
    Skew,
    Start,
    Stop,
    Strike,
    Tell,
)
from k8sfsm.engine.engine import Engine
from k8sfsm.scenario.loading import unknown
from k8sfsm.scenario.model import Fault

Dated = tuple[int, Action]
"""How long (ns) after the fault's own time, and what happens then."""


def actions_of(fault: Fault, engine: Engine) -> tuple[Dated, ...]:
    """What a fault does to the engine. Raises LookupError where it names what the cluster does not have."""
    name = next(each for each in FAULTS if getattr(fault, each))
    return tuple(FAULTS[name](fault, engine))


def _component(name: str, engine: Engine) -> str:
    kubelet = f"kubelet/{name}"
    return kubelet if kubelet in engine.components else _known(name, engine.components, "component")


def _node(name: str, engine: Engine) -> str:
    nodes = (each.node for each in engine.components.values() if each.node)
    return _known(name.removeprefix("kubelet/"), nodes, "node")


def _known(name: str, names: Iterable[str], what: str) -> str:
    known = tuple(sorted(names))
    if name not in known:
        raise LookupError(unknown(name, known, what))
    return name


def _kinds(component: str, fault: Fault, engine: Engine) -> tuple[str, ...]:
    """The kinds that the fault is about: the one it names, or all that the component watches."""
    kinds = engine.informers.kinds_of(component)
    return (_known(fault.kind, kinds, f"kind that {component} watches"),) if fault.kind else kinds


def _lasting(begin: Action, end: Action, fault: Fault) -> Iterator[Dated]:
    """A fault that ends where it says how long it takes."""
    yield 0, begin
    if fault.for_ is not None:
        yield fault.for_, end


def _stop(fault: Fault, engine: Engine) -> Iterator[Dated]:
    component = _component(fault.stop, engine)
    return _lasting(Stop(component), Start(component), fault)


def _start(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Start(_component(fault.start, engine))


def _crash(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Crash(_known(fault.crash, engine.actors, "controller"))


def _lag(fault: Fault, engine: Engine) -> Iterator[Dated]:
    component = _component(fault.lag, engine)
    for kind in _kinds(component, fault, engine):
        yield 0, Lag(component, kind, fault.for_)


def _resync(fault: Fault, engine: Engine) -> Iterator[Dated]:
    component = _component(fault.resync, engine)
    for kind in _kinds(component, fault, engine):
        yield 0, Tell(component, kind)


def _compact(fault: Fault, engine: Engine) -> Iterator[Dated]:
    _known(fault.compact, ("etcd",), "store")
    yield 0, Compact()


def _disturb(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Disturb(_known(fault.disturb, engine.actors, "controller"), fault.how or "lost")


def _partition(fault: Fault, engine: Engine) -> Iterator[Dated]:
    component = _component(fault.partition, engine)
    return _lasting(Part(component), Join(component), fault)


def _join(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Join(_component(fault.join, engine))


def _fail(fault: Fault, engine: Engine) -> Iterator[Dated]:
    node = _node(fault.fail, engine)
    return _lasting(Fail(node), Boot(node), fault)


def _boot(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Boot(_node(fault.boot, engine))


def _skew(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Skew(_component(fault.skew, engine), fault.by)


def _cut(fault: Fault, engine: Engine) -> Iterator[Dated]:
    yield 0, Cut(_node(fault.cut, engine), fault.for_)


def _strike(how: Any) -> Callable[[Fault, Engine], Iterable[Dated]]:
    def strike(fault: Fault, engine: Engine) -> Iterator[Dated]:
        yield 0, Strike(getattr(fault, how), how, fault.container, fault.for_ or 0)

    return strike


FAULTS: Final[Mapping[str, Callable[[Fault, Engine], Iterable[Dated]]]] = {
    "stop": _stop,
    "start": _start,
    "crash": _crash,
    "lag": _lag,
    "resync": _resync,
    "compact": _compact,
    "disturb": _disturb,
    "partition": _partition,
    "join": _join,
    "fail": _fail,
    "boot": _boot,
    "skew": _skew,
    "kill": _strike("kill"),
    "oom": _strike("oom"),
    "cut": _cut,
    "flap": _strike("flap"),
}
"""The faults of the language, by the key that stands in the file."""
