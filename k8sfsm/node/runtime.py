"""A node's container runtime: the facts that change its state, and the port that answers a kubelet.

The state (`k8sfsm.node.runtime_state`) changes only by `apply(state, event)`. Kinds of events have the names that the
recordings' environment log uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Protocol, TypeAlias

import attrs
from immutables import Map

from k8sfsm.node.addresses import free_address, take_address
from k8sfsm.node.past import after
from k8sfsm.node.runtime_state import (
    NODE,
    Image,
    Instance,
    InstanceState,
    NodeRuntime,
    PodRuntime,
    Probed,
    Pull,
    PullState,
    Sandbox,
    State,
    image_of,
    node_of,
    pod_of,
)
from k8sfsm.objects import changer_of, evolve
from k8sfsm.objects.sameness import same_but
from k8sfsm.request import Call, Key
from k8sfsm.value import value


@value(kw_only=True)
class RuntimeEvent:
    """A fact about the environment of one pod, at time `at` (ns); fields that a kind does not use stay empty.

    `success`, `failure`: the thresholds of the probe that was answered; `begins`, `ends`: of a pull that may wait;
    `noticed`: when the kubelet notices an end. `memory`: bytes. `load`: requests per second.
    `actor`: who alone is told of it; "": the node's kubelet.
    """

    at: int
    node: str
    uid: str
    kind: str
    pod: Key = ("Pod", "", "")
    container: str = ""
    attempt: int = 0
    id: str = ""
    image: str = ""
    reported_image: str = ""
    image_id: str = ""
    ip: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    probe: str = ""
    ok: bool = False
    success: int = 1
    failure: int = 3
    size: int = 0
    begins: int = 0
    ends: int = 0
    noticed: int | None = None
    memory: int = 0
    load: float = 0
    actor: str = ""

    def applied(self, state: State) -> State:
        """The state of the node's runtime after the event. Kinds that change nothing (`exec`...) leave it as it is."""
        change = _CHANGES.get(self.kind)
        return state if change is None else change(state, self)


Answer: TypeAlias = tuple[int, RuntimeEvent]


class Runtime(Protocol):
    """What answers a kubelet's orders: each with facts that come true at a time (ns)."""

    def answer(self, call: Call, now: int, state: State) -> Iterable[Answer]:
        """The facts that follow from `call`, given at `now` in `state` of the node's runtime."""


def apply(state: State, event: RuntimeEvent) -> State:
    """The state of a node's runtime after `event`."""
    return event.applied(state)


def powered_off(state: State, now: int) -> State:
    """The state of a node's runtime after its machine went off at `now` (ns): nothing runs, volumes are not mounted.

    Source: containerd, internal/cri/server/restart.go: a container whose task is gone has exited with 255, Unknown.
    """
    for uid in state:
        if uid == NODE:
            continue
        pod: PodRuntime = state[uid]
        sandbox = None if pod.sandbox is None else evolve(pod.sandbox, ready=False, stopped_at=now)
        runs = {
            name: tuple(_unknown_end(run, now) if run.state == "running" else run for run in pod.containers[name])
            for name in pod.containers
        }
        pulls = {
            image: evolve(pull, state="failed", finished_at=now) if pull.state == "asked" else pull
            for image, pull in pod.pulls.items()
        }
        left = {"containers": Map(runs), "pulls": Map(pulls), "mounted": False, "settled_at": now, "past": None}
        state = state.set(uid, evolve(pod, sandbox=sandbox, **left))
    return state.set(NODE, evolve(node_of(state), pulling_until=0)) if NODE in state else state


def _unknown_end(run: Instance, now: int) -> Instance:
    return evolve(run, state="exited", finished_at=now, exit_code=255, reason="Unknown")


OWN_ORDERS: Final = frozenset({"pull-start", "pull-queued", "load"})
"""Events that tell a kubelet nothing: it waits for what follows from them."""
_KEPT: Final = 2
_UNTOLD: Final = ("node", "uid", "pod", "ip", "id", "ends", "actor")
"""What of an event makes no difference to its pod but whose it is. When a pull ends is for the node to know."""
_told: Final = attrgetter(*(each.name for each in attrs.fields(RuntimeEvent) if each.name not in _UNTOLD))
_same: Final = same_but(RuntimeEvent, *_UNTOLD)


def _changed(state: State, event: RuntimeEvent, pod: PodRuntime, **changes: Any) -> State:
    """The state once `event` has changed what is known of its pod."""
    return state.set(event.uid, _changer(*changes)(pod, after(pod.past, event, _told, _same), *changes.values()))


@lru_cache
def _changer(*names: str) -> Callable[..., PodRuntime]:
    return changer_of(PodRuntime, "past", *names)


_with_volumes: Final = changer_of(PodRuntime, "past", "mounted")
_with_sandbox: Final = changer_of(PodRuntime, "past", "sandbox", "settled_at", "key")
_with_pulls: Final = changer_of(PodRuntime, "past", "pulls", "settled_at")
_with_run: Final = changer_of(PodRuntime, "past", "containers", "settled_at")
_busy_until: Final = changer_of(NodeRuntime, "pulling_until")


def _sandbox_run(state: State, event: RuntimeEvent) -> State:
    ip, uid, at = event.ip, event.uid, event.at
    pod, node = pod_of(state, uid), None
    if "/" in ip:
        node, ip = take_address(node_of(state), ip, uid)
    sandbox = Sandbox(event.attempt, ip, True, at)
    pod = _with_sandbox(pod, after(pod.past, event, _told, _same), sandbox, at, event.pod)
    return state.set(uid, pod) if node is None else state.set(NODE, node).set(uid, pod)


def _sandbox_stop(state: State, event: RuntimeEvent) -> State:
    pod = pod_of(state, event.uid)
    if pod.sandbox is None:
        return state
    state = state.set(NODE, free_address(node_of(state), pod.sandbox.ip, event.uid))
    sandbox = evolve(pod.sandbox, ready=False, stopped_at=event.at)
    return _changed(state, event, pod, sandbox=sandbox, settled_at=event.at)


def _pull_start(state: State, event: RuntimeEvent) -> State:
    """A pull was asked for: it begins now or when its turn comes."""
    uid, ends = event.uid, event.ends
    pod, node = pod_of(state, uid), node_of(state)
    pod = _pulled(event, pod, pod.settled_at, _asked)
    state = state.set(uid, pod)
    return state.set(NODE, _busy_until(node, ends)) if ends > node.pulling_until else state


def _pulled(event: RuntimeEvent, pod: PodRuntime, settled_at: int, pull: Callable[..., Pull]) -> PodRuntime:
    """The pod once something has become of a pull: for pods of the same past, the same."""
    past = after(pod.past, event, _told, _same)
    pulls = None if past is None else past.pulls
    if pulls is None:
        pulls = pod.pulls.set(event.image, pull(event, pod.pulls.get(event.image)))
        if past is not None:
            past.pulls = pulls
    return _with_pulls(pod, past, pulls, settled_at)


def _asked(event: RuntimeEvent, known: Pull | None) -> Pull:
    return Pull(state="asked", asked_at=event.at, started_at=event.begins or event.at)


def _pull_done(state: State, event: RuntimeEvent) -> State:
    uid = event.uid
    return _image_present(state.set(uid, _pulled(event, pod_of(state, uid), event.at, _done)), event)


def _pull_failed(state: State, event: RuntimeEvent) -> State:
    uid = event.uid
    return state.set(uid, _pulled(event, pod_of(state, uid), event.at, _failed))


def _done(event: RuntimeEvent, known: Pull | None) -> Pull:
    return _over(event, known, "done")


def _failed(event: RuntimeEvent, known: Pull | None) -> Pull:
    return _over(event, known, "failed")


def _over(event: RuntimeEvent, known: Pull | None, how: PullState) -> Pull:
    known = known or Pull(state="asked", asked_at=event.at)
    started = known.started_at or known.asked_at
    return evolve(known, state=how, started_at=started, finished_at=event.at, message=event.message)


def _image_present(state: State, event: RuntimeEvent) -> State:
    node, name = node_of(state), event.reported_image or event.image
    image, images = image_of(name, event.image_id, event.size), node.images
    known = images.get(event.image)
    if known is image or known == image:
        return state
    return state.set(NODE, evolve(node, images=_with_image(images, event.image, image)))


@lru_cache
def _with_image(images: Map[str, Image], name: str, image: Image) -> Map[str, Image]:
    """The images and one more: of nodes that have the same ones, the same map."""
    return images.set(name, image)


def _container_start(state: State, event: RuntimeEvent) -> State:
    return _add(state, event, _run_of(event, "running", event.at, None))


def _container_start_error(state: State, event: RuntimeEvent) -> State:
    run = _run_of(event, "exited", 0, event.at)
    run = evolve(run, exit_code=event.code or 128, reason=event.reason or "StartError", message=event.message)
    return _add(state, event, run)


_RUN: Final = Instance(id="", attempt=0, state="created", resources_known=True)
_RAN: Final = ("id", "attempt", "state", "image", "image_id", "wanted_image", "started_at", "finished_at")
_run: Final = changer_of(Instance, *_RAN)


def _run_of(event: RuntimeEvent, state: InstanceState, started_at: int, finished_at: int | None) -> Instance:
    image = event.reported_image or event.image
    return _run(_RUN, event.id, event.attempt, state, image, event.image_id, event.image, started_at, finished_at)


def _add(state: State, event: RuntimeEvent, run: Instance) -> State:
    pod, name = pod_of(state, event.uid), event.container
    known = pod.containers.get(name)
    runs = pod.containers.set(name, (run,) if known is None else (*known, run)[-_KEPT:])
    return state.set(event.uid, _with_run(pod, after(pod.past, event, _told, _same), runs, event.at))


def _change_run(state: State, event: RuntimeEvent, change: Callable[[Instance], Instance]) -> State:
    """Change the run that the event is about; nothing where the runtime has no such run any more."""
    pod = pod_of(state, event.uid)
    runs = pod.containers.get(event.container, ())
    if not any(run.attempt == event.attempt and run.state == "running" for run in runs):
        return state
    runs = tuple(change(run) if run.attempt == event.attempt else run for run in runs)
    return _changed(state, event, pod, containers=pod.containers.set(event.container, runs))


def _container_removed(state: State, event: RuntimeEvent) -> State:
    pod = pod_of(state, event.uid)
    runs = pod.containers.get(event.container)
    if not runs:
        return state
    left = pod.containers.delete(event.container)
    removed = pod.removed.set(event.container, runs[-1].attempt)
    return _changed(state, event, pod, containers=left, removed=removed, settled_at=event.at)


def _stop_signal(state: State, event: RuntimeEvent) -> State:
    return _change_run(state, event, lambda run: evolve(run, stopping_since=event.at))


def _hook_failed(state: State, event: RuntimeEvent) -> State:
    return _change_run(state, event, lambda run: evolve(run, hook_failed=True))


def _container_memory(state: State, event: RuntimeEvent) -> State:
    state = state.set(NODE, evolve(node_of(state), measured=True))
    return _change_run(state, event, lambda run: evolve(run, memory=event.memory))


def _container_exit(state: State, event: RuntimeEvent) -> State:
    def end(run: Instance) -> Instance:
        reason = event.reason or ("Error" if event.code else "Completed")
        return evolve(
            run,
            state="exited",
            finished_at=event.at,
            noticed_at=event.noticed,
            exit_code=event.code,
            reason=reason,
            message=event.message,
        )

    return _change_run(state, event, end)


def _probe(state: State, event: RuntimeEvent) -> State:
    def note(run: Instance) -> Instance:
        known = run.probes.get(event.probe)
        count = known.run + 1 if known is not None and known.ok == event.ok else 1
        conclusive = count >= (event.success if event.ok else event.failure)
        result = event.ok if conclusive else (known.result if known is not None else None)
        probed = Probed(event.ok, count, result, event.at, event.message)
        return evolve(run, probes=run.probes.set(event.probe, probed))

    return _change_run(state, event, note)


def _probes_forgotten(state: State, event: RuntimeEvent) -> State:
    """Who asked has forgotten the answers: of what runs, what was ready and had started up counts as that."""
    pod = pod_of(state, event.uid)
    containers = pod.containers
    for name in sorted(containers):
        *before, run = containers[name]
        held = {kind: run.probes[kind] for kind in ("ready", "startup") if kind in run.probes}
        fresh = {kind: evolve(each, run=0, ok=True) for kind, each in held.items() if each.result}
        containers = containers.set(name, (*before, evolve(run, probes=Map(fresh))))
    return _changed(state, event, pod, containers=containers)


def _volumes_mounted(state: State, event: RuntimeEvent) -> State:
    uid = event.uid
    pod = pod_of(state, uid)
    return state.set(uid, _with_volumes(pod, after(pod.past, event, _told, _same), True))


def _volumes_unmounted(state: State, event: RuntimeEvent) -> State:
    return _changed(state, event, pod_of(state, event.uid), mounted=False, cleaned=True)


def _load(state: State, event: RuntimeEvent) -> State:
    return _changed(state, event, state[event.uid], load=event.load) if event.uid in state else state


def _pod_removed(state: State, event: RuntimeEvent) -> State:
    return state.delete(event.uid) if event.uid in state else state


_CHANGES: Final[dict[str, Callable[[State, RuntimeEvent], State]]] = {
    "sandbox-run": _sandbox_run,
    "sandbox-stop": _sandbox_stop,
    "pull-queued": _pull_start,
    "pull-start": _pull_start,
    "pull-done": _pull_done,
    "pull-failed": _pull_failed,
    "image-present": _image_present,
    "container-start": _container_start,
    "container-start-error": _container_start_error,
    "container-exit": _container_exit,
    "container-memory": _container_memory,
    "container-removed": _container_removed,
    "stop-signal": _stop_signal,
    "hook-failed": _hook_failed,
    "probe": _probe,
    "probes-forgotten": _probes_forgotten,
    "volumes-mounted": _volumes_mounted,
    "volumes-unmounted": _volumes_unmounted,
    "load": _load,
    "pod-removed": _pod_removed,
}
