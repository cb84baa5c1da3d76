"""The scheduler of a replay: where chance left it several views, the one in which the recorded node is best.

A real scheduler decides on informers that may lag: a pod is often placed before its new ReplicaSet has reached the
scheduler's cache, and pods are counted on a node as soon as they are assumed there, before anybody sees them bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from k8sfsm.objects import Pod, controller_of
from k8sfsm.request import Key
from k8sfsm.scheduler.plain import decide
from k8sfsm.scheduler.scheduler import Attempt, Scheduler
from k8sfsm.store import Snapshot
from k8sfsm.view import View

_LOOK_BACK: Final = 12
"""So many changes of pods may not have reached the scheduler yet."""


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


def _older_views(view: View, pod: Pod) -> Iterator[View]:
    """Views that the scheduler may have had instead, the likeliest first."""
    assert view.store is not None
    current = {kind: view.snapshot(kind) for kind in ("Pod", "Node", "Service", "ReplicaSet", "Namespace")}
    owner = controller_of(pod)
    unaware = dict(current)
    if owner is not None:
        unaware["ReplicaSet"] = _without(current["ReplicaSet"], (owner.kind, pod.metadata.namespace, owner.name))
    changes = [c.revision for c in view.store.changes(_base(view), "Pod") if c.revision <= view.revision("Pod")]
    for snapshots in (unaware, current):
        yield View(view.now, snapshots, view.memory, view.runtime, view.store)
        for revision in reversed(changes[-_LOOK_BACK:]):
            older = {**snapshots, "Pod": view.store.at(revision - 1)}
            yield View(view.now, older, view.memory, view.runtime, view.store)


def _base(view: View) -> int:
    assert view.store is not None
    return view.store.history.base


def _without(snapshot: Snapshot, key: Key) -> Snapshot:
    return snapshot if snapshot.get(key) is None else snapshot.remove(snapshot.revision, key)
