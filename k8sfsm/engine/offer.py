"""Which faults may happen: the kinds, and where each can strike a cluster as it is now.

An engine offers them as `Fault` values as long as its `allowance` lasts. Each ends of itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from k8sfsm.engine.action import (
    Boot,
    Compact,
    Crash,
    Cut,
    Disturb,
    Fail,
    Fault,
    Flap,
    Join,
    Kill,
    Lag,
    Part,
    Skew,
    Start,
    Stop,
    Tell,
)
from k8sfsm.engine.cluster import API_SERVER, Component
from k8sfsm.kinds.pod import running_containers
from k8sfsm.objects.durations import MILLISECOND, SECOND

if TYPE_CHECKING:
    from k8sfsm.engine.engine import Engine

Parts = tuple[tuple[int, Any], ...]
_UNSEEN: Final = ("Lease", "Event")
"""Kinds that no component's decisions depend on in a way that a stale view of them would be news."""


@frozen
class FaultKind:
    """A kind of fault: `usual`, how many of it a run has at most where nobody says; `strikes` gives the possible ones.

    `cause`: what brings it about in a real cluster.
    """

    usual: int
    strikes: Callable[[Engine], Iterable[Parts]]
    cause: str


def offered(engine: Engine) -> tuple[Fault, ...]:
    """The faults that may happen now, in a stable order: by kind, then by what they strike."""
    return tuple(fault for kind in KINDS if engine.allowance.get(kind, 0) > 0 for fault in faults_of(engine, kind))


def faults_of(engine: Engine, kind: str) -> tuple[Fault, ...]:
    """The faults of one kind that may happen now. Raises KeyError for a kind that there is not."""
    return tuple(Fault(kind, parts) for parts in KINDS[kind].strikes(engine))


# -- what they strike -------------------------------------------------------------------------------------------------


def _running(engine: Engine) -> Iterator[Component]:
    for name in sorted(engine.components):
        if name != API_SERVER and name not in engine.stopped and name not in engine.trouble.parted:
            yield engine.components[name]


def _watches(engine: Engine) -> Iterator[tuple[str, str]]:
    """Informers of kinds of which there is, or was, something: (component, kind)."""
    known = engine.store.snapshot.namespaces
    for component in _running(engine):
        for kind in sorted(engine.informers.kinds_of(component.name)):
            if kind not in _UNSEEN and kind in known:
                yield component.name, kind


def _actors(engine: Engine) -> Iterator[str]:
    for component in _running(engine):
        yield from (wiring.actor for wiring in engine.informers.wirings(component.name))


def _kubelets(engine: Engine) -> Iterator[Component]:
    return (component for component in _running(engine) if component.node)


def _pods(engine: Engine) -> Iterator[Any]:
    """Pods on nodes that are on, in order of creation."""
    snapshot, failed = engine.store.snapshot, engine.trouble.failed
    for namespace in snapshot.namespaces_of("Pod"):
        for pod in snapshot.series("in", "Pod", namespace):
            if pod.spec.node_name and pod.spec.node_name not in failed:
                yield pod


def _stale(engine: Engine, *lengths: int) -> Iterator[Parts]:
    for component, kind in _watches(engine):
        if engine.informers.blocked_until(component, kind) <= engine.now:
            yield from (((0, Lag(component, kind, length)),) for length in lengths)


def _requests(engine: Engine, how: Any) -> Iterator[Parts]:
    waiting = engine.trouble.requests
    actors = ((name, engine.actors[name]) for name in _actors(engine))
    busy = (name for name, actor in actors if (actor.runs or actor.waiting) and name not in waiting)
    return (((0, Disturb(name, how)),) for name in busy)


def _outages(engine: Engine) -> Iterator[Parts]:
    for component in _running(engine):
        if not component.node:
            yield from (
                ((0, Stop(component.name)), (length, Start(component.name))) for length in (2 * SECOND, 45 * SECOND)
            )


def _kills(engine: Engine, oom: bool) -> Iterator[Parts]:
    for pod in _pods(engine):
        for name in running_containers(pod):
            key = ("Pod", pod.metadata.namespace, pod.metadata.name)
            yield ((0, Kill(key, name, oom)),)


def _flaps(engine: Engine) -> Iterator[Parts]:
    for pod in _pods(engine):
        if any(container.readiness_probe is not None for container in pod.spec.containers):
            yield ((0, Flap(("Pod", pod.metadata.namespace, pod.metadata.name), 20 * SECOND)),)


def _for_kubelets(begin: Callable[[Component], Any], end: Callable[[Component], Any], *lengths: int) -> Any:
    """Strikes each kubelet for each of the lengths (ns)."""

    def strikes(engine: Engine) -> Iterator[Parts]:
        for component in _kubelets(engine):
            yield from (((0, begin(component)), (length, end(component))) for length in lengths)

    return strikes


def _skews(engine: Engine) -> Iterator[Parts]:
    for component in _kubelets(engine):
        if component.name not in engine.trouble.skews:
            yield from (((0, Skew(component.name, offset)),) for offset in (-20 * SECOND, 20 * SECOND))


KINDS: Final[Mapping[str, FaultKind]] = {
    "delayed-events": FaultKind(3, lambda e: _stale(e, 200 * MILLISECOND), "client-go/tools/cache/reflector.go: watch"),
    "stale-view": FaultKind(3, lambda e: _stale(e, 5 * SECOND, 40 * SECOND), "apiserver/pkg/storage/cacher/cacher.go"),
    "duplicate-events": FaultKind(
        3, lambda e: (((0, Tell(*each)),) for each in _watches(e)), "client-go/tools/cache/delta_fifo.go: Resync"
    ),
    "compaction": FaultKind(2, lambda e: (((0, Compact()),),), "apiserver/pkg/storage/etcd3/compact.go"),
    "controller-crash": FaultKind(
        2, lambda e: (((0, Crash(name)),) for name in _actors(e) if "/" not in name), "a panic of a controller's worker"
    ),
    "component-restart": FaultKind(1, _outages, "an upgrade of the control plane, or a lost leader election"),
    "conflict": FaultKind(3, lambda e: _requests(e, "conflict"), "registry/generic/registry/store.go: Update"),
    "timeout": FaultKind(3, lambda e: _requests(e, "timeout"), "apiserver/pkg/server/filters/timeout.go"),
    "lost-answer": FaultKind(3, lambda e: _requests(e, "lost"), "a connection that breaks after the write"),
    "kubelet-restart": FaultKind(
        2,
        _for_kubelets(lambda c: Stop(c.name), lambda c: Start(c.name), 5 * SECOND, 70 * SECOND),
        "pkg/kubelet/kubelet.go: Run",
    ),
    "node-loss": FaultKind(
        1, _for_kubelets(lambda c: Fail(c.node), lambda c: Boot(c.node), 30 * SECOND, 400 * SECOND), "power"
    ),
    "partition": FaultKind(
        1, _for_kubelets(lambda c: Part(c.name), lambda c: Join(c.name), 20 * SECOND, 400 * SECOND), "the network"
    ),
    "clock-skew": FaultKind(1, _skews, "a node without NTP"),
    "container-crash": FaultKind(3, lambda e: _kills(e, False), "the process exits"),
    "oom": FaultKind(1, lambda e: _kills(e, True), "pkg/kubelet/oom: the kernel's OOM killer"),
    "pull-failure": FaultKind(
        1, lambda e: (((0, Cut(c.node, 60 * SECOND)),) for c in _kubelets(e)), "pkg/kubelet/images/image_manager.go"
    ),
    "probe-flapping": FaultKind(1, _flaps, "pkg/kubelet/prober/worker.go"),
}
"""Every kind of fault by name, as scenarios and commands call it."""


def usual_allowance() -> dict[str, int]:
    """Every kind of fault, as often as is usual in one run."""
    return {name: kind.usual for name, kind in KINDS.items()}
