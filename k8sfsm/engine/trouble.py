"""What is wrong with a cluster at the moment, and what that does to requests, clocks and container runtimes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from immutables import Map

from k8sfsm.apiserver import Sender
from k8sfsm.node.runtime import Answer
from k8sfsm.node.runtime_state import newest, pod_of
from k8sfsm.node.scripted import not_found
from k8sfsm.objects import evolve, key_of
from k8sfsm.request import Create, DeleteCollection, Key, Outcome, Update, Write
from k8sfsm.store import Store
from k8sfsm.value import value

if TYPE_CHECKING:
    from k8sfsm.engine.engine import Engine

_TIMEOUT: Final = "the server was unable to return a response in the time allotted"
_NO_ENTRIES: Final[Map[Any, Any]] = Map()


@value(kw_only=True)
class Trouble:
    """What is wrong. `parted`: components, and the store when they last reached the API server; `requests`: actor ->
    how its next request goes wrong; `skews`: component -> how fast its clock is (ns); `failed`: nodes that are off;
    `pulls`: node -> until when (ns) pulls fail; `flaps`: pod -> until when its readiness probes go to and fro.
    """

    parted: Map[str, Store] = _NO_ENTRIES
    requests: Map[str, str] = _NO_ENTRIES
    skews: Map[str, int] = _NO_ENTRIES
    failed: frozenset[str] = frozenset()
    pulls: Map[str, int] = _NO_ENTRIES
    flaps: Map[Key, int] = _NO_ENTRIES


NO_TROUBLE: Final = Trouble()


def send(engine: Engine, write: Write, sender: Sender, component: str, actor: str, cause: int) -> Outcome:
    """Send a write of an actor, as far as it gets."""
    trouble = engine.trouble
    if component in trouble.parted:
        return _timed_out(write)
    how = trouble.requests.get(actor)
    if how is None or (how == "conflict" and not isinstance(write, Update)):
        return engine.send(write, sender, cause)
    engine.trouble = evolve(trouble, requests=trouble.requests.delete(actor))
    if how == "conflict":
        stored = engine.store.snapshot.get(_target(write))
        message = "the object has been modified; please apply your changes to the latest version and try again"
        return Outcome(request=write, code=409, reason="Conflict", message=message, object=stored)
    if how == "lost":
        engine.send(write, sender, cause)
    return _timed_out(write)


def _timed_out(write: Write) -> Outcome:
    """No answer came. Source: staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go: NewTimeoutError."""
    return Outcome(request=write, code=504, reason="Timeout", message=_TIMEOUT)


def _target(write: Write) -> Key:
    if isinstance(write, Create | Update):
        return key_of(write.object)
    return ("", "", "") if isinstance(write, DeleteCollection) else write.key


def skew_of(engine: Engine, component: str) -> int:
    """How fast the clock of a component is (ns)."""
    return engine.trouble.skews.get(component, 0)


def answers(engine: Engine, answered: Iterable[Answer]) -> Iterable[Answer]:
    """The facts that follow from an order to a container runtime, as what is wrong changes them."""
    trouble = engine.trouble
    for due, event in answered:
        if event.kind == "pull-done" and trouble.pulls.get(event.node, 0) > engine.now:
            message = not_found(event.image).replace(": not found", ": dial tcp: i/o timeout")
            yield due, evolve(event, kind="pull-failed", message=message, reported_image="", image_id="", size=0)
        elif event.kind == "probe" and event.probe == "ready" and trouble.flaps.get(event.pod, 0) > engine.now:
            yield due, _flapped(engine, event)
        else:
            yield due, event


def _flapped(engine: Engine, event: Any) -> Any:
    """The answer that is not the one before it; one such is enough for whoever asks."""
    state = engine.state_of(event.node)
    run = newest(pod_of(state, event.uid), event.container)
    before = None if run is None else run.probes.get("ready")
    ok = before is not None and not before.ok
    return evolve(event, ok=ok, success=1, failure=1, message="" if ok else "probe flaps")
