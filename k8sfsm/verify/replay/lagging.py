"""Controllers of a replay: where chance left a real one several views, the one that leads to what it did.

Informers lag. A pod is often placed before its new ReplicaSet has reached the scheduler's cache, and before others are
seen bound; a ReplicaSet's victims are ranked while other deletions are still on their way to its controller. Only views
that the controller can have had are tried: earlier revisions of a kind, at most so many changes ago.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from k8sfsm.controllers.deployment.controller import DeploymentController
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.law import constant
from k8sfsm.objects import Pod, controller_of, evolve, key_of
from k8sfsm.request import Delete, Key, Parallel, Plan
from k8sfsm.scheduler.attempt import Attempt
from k8sfsm.scheduler.plain import decide
from k8sfsm.scheduler.scheduler import Scheduler
from k8sfsm.store import Snapshot
from k8sfsm.verify.replay.told import Told
from k8sfsm.view import View

_ABOUT_NOW: Final = 1_000_000_000
"""The deletions that a sync orders are not further away (ns)."""


class RecordedScheduler(Scheduler):
    """Decides like the scheduler. `nodes`: the recorded node of each pod; `strays`: pods that no view explains."""

    def __init__(self, nodes: Mapping[Key, str]) -> None:
        super().__init__(fast=False)
        self._nodes = nodes
        self.strays: list[tuple[int, Key, str, tuple[str, ...]]] = []

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
        older = _older_pods(view, {"ReplicaSet": view.snapshot("ReplicaSet")})
        victims = _victims(plan)
        if not victims:
            return self._told.likeliest(plan, self.name, key, view.now, (sync(each, key) for each in older))
        wanted = self._recorded(view, key, len(victims))
        if victims == wanted:
            return plan
        for each in older:
            other = sync(each, key)
            if _victims(other) == wanted:
                return other
        return plan

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
        older = (sync(each, key) for each in _older_sets(view))
        return self._told.likeliest(sync(view, key), self.name, key, view.now, older)


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
    assert view.store is not None
    changes = [c.revision for c in view.store.changes(_base(view), "Pod") if c.revision <= view.revision("Pod")]
    for revision in reversed(changes[-_look_back() :]):
        yield evolve(view, snapshots={**snapshots, "Pod": view.store.at(revision - 1)})


def _older_sets(view: View) -> Iterator[View]:
    """The view with ReplicaSets and pods as they were one change of a ReplicaSet ago, two changes ago..."""
    assert view.store is not None
    seen = view.revision("ReplicaSet")
    changes = [c.revision for c in view.store.changes(_base(view), "ReplicaSet") if c.revision <= seen]
    current = {kind: view.snapshot(kind) for kind in ("Deployment", "ReplicaSet", "Pod")}
    for revision in reversed(changes[-_look_back() :]):
        older = view.store.at(revision - 1)
        yield evolve(view, snapshots={**current, "ReplicaSet": older, "Pod": older})


def _look_back() -> int:
    """How many changes of a kind may not have reached a controller yet."""
    count: int = constant("replay_look_back")
    return count


def _base(view: View) -> int:
    assert view.store is not None
    return view.store.history.base


def _without(snapshot: Snapshot, key: Key) -> Snapshot:
    return snapshot if snapshot.get(key) is None else snapshot.remove(snapshot.revision, key)
