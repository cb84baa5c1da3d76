"""Nodes and what is placed on them as arrays, kept up to date from view to view.

Everything here can be derived from a view and its memory; it is only kept because deriving it again for every pod of
a large cluster is slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from k8sfsm.apiserver.memo import Memo
from k8sfsm.index import Series
from k8sfsm.kinds.pod_resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, scheduler_request
from k8sfsm.objects import Node, Pod
from k8sfsm.scheduler.cluster import (
    ASSUMED,
    TERMINAL,
    allocatable,
    assumed_in,
    has_pod_affinity,
    in_zone_order,
    is_terminal,
    zone_of,
)
from k8sfsm.scheduler.image_states import ImageStates
from k8sfsm.scheduler.inter_pod import Terms
from k8sfsm.scheduler.placed import IntArray, Ints, Load, Placed, same_room, weighs_on, weight_of
from k8sfsm.scheduler.selectors import Selector
from k8sfsm.store import Change, Snapshot
from k8sfsm.value import value
from k8sfsm.view import View

NOWHERE: Final = -1
_CAPACITY: Final = 1 << 16
"""So many moves are noted; who was away for longer reads everything."""
_FEW: Final = 32
"""Up to so many assumed pods are all compared with the memory of every view."""
COLUMNS: Final = (PODS, CPU, MEMORY, EPHEMERAL_STORAGE)
"""What is counted of a node, in this order; of its pods also cpu and memory as they are scored."""


@value
class Group:
    """Pods of one namespace that a selector matches."""

    namespace: str
    selector: Selector


def _relevant(node: Node) -> tuple[Any, ...]:
    return (node.metadata.labels, node.spec.taints, node.spec.unschedulable, node.status.allocatable)


def _line_of(view: View) -> object:
    """What belongs to one line of events alone: the chance by which its engine chooses; None where it is not known."""
    return getattr(view.choose_node, "__self__", None)


class Ledger:
    """Arrays over the nodes in the scheduler's order.

    `epoch` grows when everything was derived anew; `altered` lists indices of nodes that changed themselves, in order,
    so that users can catch up; `moved_since` those whose pods changed. A row of `loads` is what the pods of a node
    request, a row of `rooms` what the node has; `used`, `scoring` and `capacity` are their columns.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._requests = Memo()
        self._clear()

    def _clear(self) -> None:
        self.epoch += 1
        self.nodes: list[Node] = []
        self.index: dict[str, int] = {}
        self.names: NDArray[np.object_] = np.empty(0, dtype=object)
        self._moved: list[int] = []
        self._moves_forgotten = 0
        self.altered: list[int] = []
        self.placed: dict[str, Placed] = {}
        self.expected: dict[str, Pod] = {}
        self.touched: dict[str, Pod] = {}
        self._line: object = None
        self.nominated: dict[str, Pod] = {}
        self.terms: dict[str, Terms] = {}
        self.terms_version = 0
        self.groups: dict[Group, IntArray] = {}
        self.groups_in: dict[str, list[Group]] = {}
        self._counts = Memo()
        self._memory: Mapping[Any, Any] | None = None
        self._mark: Change | None = None
        self._revision = -1
        self._series: Series | None = None
        self._seen: tuple[Snapshot | None, Snapshot | None] = (None, None)
        self._shown: tuple[object, object] = (None, None)
        self._coming: dict[str, Placed] = {}

    # -- catching up ----------------------------------------------------------------------------------------------

    def advance(self, view: View) -> None:
        """Bring everything to the state of `view`: by the changes since the last one where they are known."""
        shown = self._shown
        if (view.snapshots is not shown[0] or view.store is not shown[1]) and not self._follow(view):
            self._derive(view)
        elif view.memory is not self._memory:
            self._recall(view)

    def _follow(self, view: View) -> bool:
        """Take over what became of pods and nodes since the last view; False where that is not known."""
        self._shown = (view.snapshots, view.store)
        seen = (view.snapshot("Pod"), view.snapshot("Node"))
        if seen[0] is self._seen[0] and seen[1] is self._seen[1]:
            return True
        self._coming.clear()
        changes = self._changes(view)
        if changes is None or not self._same_nodes(view) or len(self.altered) > _CAPACITY:
            return False
        for change in changes:
            if change.key[0] == "Pod" and weighs_on(change):
                pod = change.new
                if pod.metadata.uid in self.expected:
                    self.expect(pod)
                self._take(pod, view, change.type == "DELETED")
        if changes:
            self._mark, self._revision = changes[-1], changes[-1].revision
        self._seen = seen
        return True

    @property
    def moves(self) -> int:
        """How often the pods of some node have changed."""
        return self._moves_forgotten + len(self._moved)

    def moved_since(self, moves: int) -> list[int] | None:
        """The nodes whose pods have changed since there were so many moves, in order; None: that is too long ago."""
        return None if moves < self._moves_forgotten else self._moved[moves - self._moves_forgotten :]

    def expect(self, pod: Pod) -> None:
        """The pod is about to be assumed, or no longer: look for it in the memory of the next view."""
        uid = pod.metadata.uid
        self.touched[uid] = pod
        self._coming.pop(uid, None)

    def expect_on(self, pod: Pod, node: str, load: Load) -> None:
        """The pod, which the last view showed, is about to be assumed on a node, where it will come to so much."""
        self.touched[pod.metadata.uid] = pod
        self._coming[pod.metadata.uid] = Placed(pod, node, self.index[node], *load)

    def _changes(self, view: View) -> list[Change] | None:
        """Changes since the last view; None where that view is no ancestor of this one."""
        if view.store is None or self._mark is None or view.revision("Pod") < self._revision:
            return None
        try:
            found = view.store.changes(self._revision - 1)
            if next(found, None) is not self._mark:
                return None
        except LookupError:
            return None
        limit = view.revision("Pod")
        return [change for change in found if change.revision <= limit]

    def _last_change(self, view: View) -> Change | None:
        if view.store is None:
            return None
        try:
            last = next(view.store.changes(view.revision("Pod") - 1), None)
        except LookupError:
            return None
        return last

    def _derive(self, view: View) -> None:
        self._clear()
        self._mark, self._revision = self._last_change(view), view.revision("Pod")
        self._series = view.snapshot("Node").series("in", "Node", "")
        self.nodes = in_zone_order(self._series)
        self.index = {node.metadata.name: index for index, node in enumerate(self.nodes)}
        self.names = np.array([node.metadata.name for node in self.nodes], dtype=object)
        count = len(self.nodes)
        self.rooms, self.loads = np.zeros((count, 4), Ints), np.zeros((count, 6), Ints)
        self.capacity = {name: self.rooms[:, column] for column, name in enumerate(COLUMNS)}
        self.used = {name: self.loads[:, column] for column, name in enumerate(COLUMNS)}
        self.scoring = {CPU: self.loads[:, 4], MEMORY: self.loads[:, 5]}
        for index in range(count):
            self._read_capacity(index)
        self.images = ImageStates(self.nodes, self._series)
        assumed = assumed_in(view.memory)
        for pod in view.list("Pod"):
            node = "" if is_terminal(pod) else pod.spec.node_name or assumed.get(pod.metadata.uid, "")
            if self.nominated or pod.status.nominated_node_name:
                self._note_nomination(pod)
            if node:
                self._add(pod, node)
            if pod.metadata.uid in assumed:
                self.expected[pod.metadata.uid] = pod
        self._moved, self.altered = [], []  # whoever asks from here on reads everything
        self._line, self._memory = _line_of(view), view.memory
        self._seen = (view.snapshot("Pod"), view.snapshot("Node"))

    def _read_capacity(self, index: int) -> None:
        for name, array in self.capacity.items():
            array[index] = allocatable(self.nodes[index], name)

    def _same_nodes(self, view: View) -> bool:
        """Take over changed nodes; False where their number, names or order are not the same any more."""
        series = view.snapshot("Node").series("in", "Node", "")
        if series is self._series:
            return True
        if self._series is None or series.ordinals != self._series.ordinals:
            return False
        changed: list[tuple[Node, Node]] = []
        for before, after in zip(self._series.blocks, series.blocks, strict=True):
            if before is not after:
                changed += [(old, new) for old, new in zip(before, after, strict=True) if old is not new]
        if any(old.metadata.name != new.metadata.name or zone_of(old) != zone_of(new) for old, new in changed):
            return False
        for old, new in changed:
            index = self.index[new.metadata.name]
            self.nodes[index] = new
            self.images.change(index, old, new)
            if _relevant(old) != _relevant(new):
                self._read_capacity(index)
                self.altered.append(index)
        self._series = series
        return True

    def _recall(self, view: View) -> None:
        """Compare the pods that are, were or were to be assumed with what the memory says."""
        line = _line_of(view)
        if not self._goes_on(line, view.memory):
            assumed, expected = assumed_in(view.memory), self.expected
            if not assumed.keys() <= expected.keys() | self.touched.keys():
                self._derive(view)
                return
            placed, changed = self.placed, {}
            for uid, pod in expected.items():
                known = placed.get(uid)
                if known is None or known.node != assumed.get(uid):
                    changed[uid] = pod
            self.touched = {**changed, **self.touched}
        for uid, pod in self.touched.items():
            self._recall_one(view, uid, pod)
        self.touched.clear()
        self._coming.clear()
        self._line, self._memory = line, view.memory

    def _goes_on(self, line: object, memory: Mapping[Any, Any]) -> bool:
        """Is this memory the last one with nothing changed but the touched pods, as the engine and its clock go on?

        Forks share this ledger, but each makes its own choices; a scheduler that starts again has an empty memory.
        """
        return line is not None and line is self._line and len(memory) >= len(self.expected) > _FEW

    def _recall_one(self, view: View, uid: str, pod: Pod) -> None:
        node, placed = view.memory.get((ASSUMED, uid)), self.placed.get(uid)
        if node is not None:
            self.expected[uid] = pod
            coming = self._coming.get(uid)
            if placed is None and coming is not None and coming.node == node:
                self.placed[uid] = coming
                self._count(coming, 1)
                return
        else:
            self.expected.pop(uid, None)
        if placed is not None and placed.pod.spec.node_name:
            return  # it is seen bound: what the memory says counts no longer
        known: Pod | None = view.get("Pod", pod.metadata.namespace, pod.metadata.name)
        if known is None or known.metadata.uid != uid:
            self._take(pod, view, True)
        else:
            self._take(known, view, False)

    # -- pods -----------------------------------------------------------------------------------------------------

    def _note_nomination(self, pod: Pod, gone: bool = False) -> None:
        if pod.status.nominated_node_name and not pod.spec.node_name and not gone:
            self.nominated[pod.metadata.uid] = pod
        else:
            self.nominated.pop(pod.metadata.uid, None)

    def _take(self, pod: Pod, view: View, gone: bool) -> None:
        """Account for a pod as it is now."""
        uid = pod.metadata.uid
        if self.nominated or pod.status.nominated_node_name:
            self._note_nomination(pod, gone)
        leaves = gone or pod.status.phase in TERMINAL
        node = "" if leaves else pod.spec.node_name or view.memory.get((ASSUMED, uid), "")
        before = self.placed.get(uid)
        if before is not None:
            if before.node == node and self._weighs_the_same(before, pod):
                before.pod = pod
                return
            self._remove(before)
        if node:
            self._add(pod, node)

    def _weighs_the_same(self, placed: Placed, pod: Pod) -> bool:
        """Would the pod be counted as it is already: for as much, and by the same groups?"""
        old, labels = placed.pod, pod.metadata.labels
        if (old.metadata.deletion_timestamp is None) != (pod.metadata.deletion_timestamp is None):
            return False
        before, as_large = old.metadata.labels, same_room(old, pod)
        if as_large and (before is labels or before == labels):
            return True
        if old.spec.affinity is not pod.spec.affinity:
            return False
        if not as_large and self.load_of(pod)[0] != placed.request:
            return False
        counts, now = self._counts_of(old), self._counts_of(pod)
        return len(counts) == len(now) and all(map(is_, counts, now))

    def _add(self, pod: Pod, node: str) -> None:
        placed = Placed(pod, node, self.index.get(node, NOWHERE), *self.load_of(pod))
        uid = pod.metadata.uid
        self.placed[uid] = placed
        if has_pod_affinity(pod):
            self.terms[uid] = Terms.of(pod)
            self.terms_version += 1
        self._count(placed, 1)

    def load_of(self, pod: Pod) -> Load:
        """The pod's requests, and what they weigh; where pods share all that these are made of, they are known."""
        spec, status = pod.spec, pod.status
        parts: list[Any] = [spec.overhead, spec.resources, len(spec.containers)]
        for container in (*spec.containers, *spec.init_containers):
            parts += (container.name, container.resources, container.restart_policy)
        for each in (*status.container_statuses, *status.init_container_statuses):
            parts += (each.name, each.resources, each.allocated_resources)
        for condition in status.conditions:
            if condition.type == "PodResizePending":
                request = scheduler_request(pod)
                return request, weight_of(request)
        known: Load | None = self._requests.get(tuple(parts))
        if known is None:
            request = scheduler_request(pod)
            known = (request, weight_of(request))
            self._requests.put(tuple(parts), known)
        return known

    def _remove(self, placed: Placed) -> None:
        uid = placed.pod.metadata.uid
        del self.placed[uid]
        if self.terms.pop(uid, None) is not None:
            self.terms_version += 1
        self._count(placed, -1)

    def _count(self, placed: Placed, sign: int) -> None:
        index = placed.index
        if index == NOWHERE:
            return
        load, moved = self.loads[index], self._moved
        load += placed.weight if sign > 0 else -placed.weight
        moved.append(index)
        if len(moved) > _CAPACITY:
            self._moves_forgotten += len(moved)
            self._moved = []
        if placed.pod.metadata.deletion_timestamp is not None:  # as `Placed.counted`
            return
        for counts in self._counts_of(placed.pod):
            counts[index] += sign

    def _counts_of(self, pod: Pod) -> tuple[IntArray, ...]:
        """The counts of the groups to which a pod belongs; those of pods with the same labels are known."""
        parts = (pod.metadata.namespace, pod.metadata.labels)
        known: tuple[IntArray, ...] | None = self._counts.get(parts)
        if known is None:
            groups = self.groups_in.get(pod.metadata.namespace, ())
            known = tuple(self.groups[each] for each in groups if each.selector.matches(pod.metadata.labels))
            self._counts.put(parts, known)
        return known

    def group(self, group: Group) -> IntArray:
        """Pods of the group per node; counted when first asked for, kept up to date from then on."""
        known = self.groups.get(group)
        if known is not None:
            return known
        counts = self.groups[group] = np.zeros(len(self.nodes), Ints)
        self.groups_in.setdefault(group.namespace, []).append(group)
        self._counts.forget()
        for placed in self.placed.values():
            meta = placed.pod.metadata
            if placed.index != NOWHERE and placed.counted and meta.namespace == group.namespace:
                counts[placed.index] += group.selector.matches(meta.labels)
        return counts
