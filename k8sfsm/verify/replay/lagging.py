"""Controllers of a replay: where chance left a real one several views, the one that leads to what it did.

Informers lag. A pod is often placed before its new ReplicaSet has reached the scheduler's cache, and before others are
seen bound; a ReplicaSet's victims are ranked while other deletions are still on their way to its controller. Only views
that the controller can have had are tried: earlier revisions of a kind, at most so many changes ago.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Final, TypeAlias
from zlib import crc32

from k8sfsm.controllers.deployment.controller import DeploymentController
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.law import constant
from k8sfsm.objects import Pod, controller_of, evolve, key_of
from k8sfsm.request import Delete, Key, Parallel, Plan
from k8sfsm.scheduler.attempt import Attempt
from k8sfsm.scheduler.plain import decide
from k8sfsm.scheduler.scheduler import Scheduler
from k8sfsm.store import Change, Snapshot
from k8sfsm.verify.replay.told import Told
from k8sfsm.view import View

_ABOUT_NOW: Final = 1_000_000_000
"""The deletions that a sync orders are not further away (ns)."""
_OWN_LAG: Final = 2
"""So many changes of an object may not have reached the controller that reconciles it."""
_EARLIER: Final = (20_000_000, 100_000_000, 500_000_000)
"""How much earlier (ns) a sync may have begun than it seems."""
_ORDERS: Final = 64
"""So many orders of a list are tried."""

Older: TypeAlias = Callable[[View, Key, Mapping[str, Snapshot]], Iterator[View]]


class RecordedScheduler(Scheduler):
    """Decides like the scheduler. `nodes`: the recorded node of each pod; `strays`: pods that no view explains."""

    def __init__(self, nodes: Mapping[Key, str]) -> None:
        super().__init__(fast=False)
        self._nodes = nodes
        self.strays: list[tuple[int, Key, str, Sequence[str]]] = []

    def _attempt(self, view: View, pod: Pod) -> Attempt:
        attempt = super()._attempt(view, pod)
        key = ("Pod", pod.metadata.namespace, pod.metadata.name)
        wanted = self._nodes.get(key, "")
        if not wanted or wanted == attempt.host or not attempt.host:
            return attempt
        for older in _older_views(view, pod):
            placement = decide(older, pod)
            if wanted in placement.best:
                return Attempt(view, pod, placement, wanted)
        self.strays.append((view.now, key, wanted, attempt.placement.best))
        return attempt


class RecordedReplicaSetController(ReplicaSetController):
    """Decides like the ReplicaSet controller. `deleted`: when (ns) the recorded one deleted a pod."""

    def __init__(self, deleted: Mapping[Key, int], told: Told) -> None:
        super().__init__()
        self._recorded_deletions = deleted
        self._told = told

    def reconcile(self, view: View, key: Key) -> Plan:
        """The plan of one sync, on the view that the recorded victims or status tell of."""
        sync = super().reconcile
        plan = sync(view, key)
        own = {"ReplicaSet": view.snapshot("ReplicaSet")}
        older = _older_of(view, key, own, _older_own_pods)
        victims = _victims(plan)
        ranked = chain(_older_pods(view, own), shuffled(view)) if victims else ()
        others = (sync(each, key) for each in chain(older, _begun_earlier(view), ranked))
        chosen = self._told.likeliest(plan, self.name, key, view, others)
        wanted = self._recorded(view, key, len(victims))
        if chosen is not plan or victims == wanted:
            return chosen
        return next((other for other in others if _victims(other) == wanted), plan)

    def _recorded(self, view: View, key: Key, count: int) -> frozenset[Key]:
        """The pods that the recorded controller deleted first, about now, of those that are left."""
        assert view.store is not None
        owner = view.get(*key)
        uid = "" if owner is None else owner.metadata.uid
        pods = view.store.snapshot.series("owned", "Pod", uid)
        left = [key_of(pod) for pod in pods if pod.metadata.deletion_timestamp is None]
        times = {pod: self._recorded_deletions[pod] for pod in left if pod in self._recorded_deletions}
        near = sorted((at, pod) for pod, at in times.items() if abs(at - view.now) < _ABOUT_NOW)
        return frozenset(pod for _, pod in near[:count])


class RecordedDeploymentController(DeploymentController):
    """Decides like the Deployment controller."""

    def __init__(self, told: Told) -> None:
        super().__init__()
        self._told = told

    def reconcile(self, view: View, key: Key) -> Plan:
        """The plan of one sync, on the view that the recorded one's next write tells of."""
        sync = super().reconcile
        current = {kind: view.snapshot(kind) for kind in ("Deployment", "ReplicaSet", "Pod")}
        older = (sync(each, key) for each in _older_of(view, key, current, _older_sets))
        return self._told.likeliest(sync(view, key), self.name, key, view, older)


def _begun_earlier(view: View) -> Iterator[View]:
    """The view of a sync that began earlier: what it sends waits for its turn, and for the API server."""
    for ago in _EARLIER:
        yield evolve(view, now=view.now - ago)


def shuffled(view: View) -> Iterator[View]:
    """The view with objects that are listed in other orders: a cache lists them as a hash table has them.

    The order in which pods are ranked is no total order, so that it matters.
    """
    for number in range(_ORDERS):
        yield evolve(view, tie_break=partial(_place, number))


def _place(number: int, key: Key) -> int:
    return crc32(f"{number}/{key}".encode())


def _victims(plan: Plan) -> frozenset[Key]:
    """The objects that a plan deletes together."""
    return frozenset(
        write.key
        for step in plan.steps
        if isinstance(step, Parallel)
        for write in step.writes
        if isinstance(write, Delete)
    )


def _older_views(view: View, pod: Pod) -> Iterator[View]:
    """Views that the scheduler may have had instead, the likeliest first."""
    assert view.store is not None
    current = {kind: view.snapshot(kind) for kind in ("Pod", "Node", "Service", "ReplicaSet", "Namespace")}
    owner = controller_of(pod)
    unaware = dict(current)
    if owner is not None:
        unaware["ReplicaSet"] = _without(current["ReplicaSet"], (owner.kind, pod.metadata.namespace, owner.name))
    for snapshots in (unaware, current):
        yield evolve(view, snapshots=snapshots)
        yield from _older_pods(view, snapshots)


def _older_pods(view: View, snapshots: Mapping[str, Snapshot]) -> Iterator[View]:
    """The view with pods as they were one change ago, two changes ago..."""
    for older in _earlier(view, "Pod"):
        yield evolve(view, snapshots={**snapshots, "Pod": older})


def _older_own_pods(view: View, key: Key, snapshots: Mapping[str, Snapshot]) -> Iterator[View]:
    """The view with pods as they were one change of a pod of the ReplicaSet ago, two changes ago..."""
    for older in _earlier(view, "Pod", key):
        yield evolve(view, snapshots={**snapshots, "Pod": older})


def _older_sets(view: View, key: Key, snapshots: Mapping[str, Snapshot]) -> Iterator[View]:
    """The view with ReplicaSets and pods as they were one change of a ReplicaSet of the Deployment ago..."""
    for older in _earlier(view, "ReplicaSet", key):
        yield evolve(view, snapshots={**snapshots, "ReplicaSet": older, "Pod": older})


def _earlier(view: View, kind: str, owner: Key | None = None) -> Iterator[Snapshot]:
    """What a view may have seen instead: all as it was before the last change of a kind, before the one before it...

    `owner`: changes of objects that it controls.
    """
    assert view.store is not None
    seen = view.revision(kind)
    changes = [c for c in view.store.changes(_base(view), kind) if c.revision <= seen]
    if owner is not None:
        changes = [c for c in changes if _controlled(c, owner)]
    for change in reversed(changes[-_look_back() :]):
        yield view.store.at(change.revision - 1)


def _controlled(change: Change, owner: Key) -> bool:
    """Whether an object was or is controlled by another."""
    kind, namespace, name = owner
    sides = (change.old, change.new)
    found = (controller_of(side) for side in sides if side is not None and change.key[1] == namespace)
    return any(each is not None and (each.kind, each.name) == (kind, name) for each in found)


def _older_of(view: View, key: Key, snapshots: Mapping[str, Snapshot], others: Older) -> Iterator[View]:
    """Views in which others lag, then those in which the object itself lags too: each kind has its own informer."""
    assert view.store is not None
    yield from others(view, key, snapshots)
    seen = view.revision(key[0])
    own = [c.revision for c in view.store.changes(_base(view), key[0]) if c.revision <= seen and c.key == key]
    for revision in reversed(own[-_OWN_LAG:]):
        lagging = {**snapshots, key[0]: view.store.at(revision - 1)}
        yield evolve(view, snapshots=lagging)
        yield from others(view, key, lagging)


def _look_back() -> int:
    """How many changes of a kind may not have reached a controller yet."""
    count: int = constant("replay_look_back")
    return count


def _base(view: View) -> int:
    assert view.store is not None
    return view.store.history.base


def _without(snapshot: Snapshot, key: Key) -> Snapshot:
    return snapshot if snapshot.get(key) is None else snapshot.remove(snapshot.revision, key)
