"""Pods that are new to a kubelet: those of a template of which it has taken others are taken without asking again.

Whether a pod is taken depends on the pod, on the kubelet's Node, on how much room there is, and on what of the pod runs
already. So the tables are asked about the first pod of a template, and about the next ones only where the Node is
another object, where room is short, or where the runtime has heard of the pod. A look that asks for more than that is
not taken for the next one.
"""

from __future__ import annotations

from typing import Final

from k8sfsm.law import Law
from k8sfsm.node.admission import Requests, Taken, capacity_of, has_room, requests_of
from k8sfsm.node.alike import Likeness, born
from k8sfsm.node.memory import PodMemory, eviction_key
from k8sfsm.node.past import NOTHING_YET
from k8sfsm.node.runtime import pod_of
from k8sfsm.node.session import Session, Settings
from k8sfsm.objects import Node, Pod, changer_of
from k8sfsm.view import View

law = Law("kubelet")

_taken: Final = changer_of(PodMemory, "pod", "added_at", "alike")
_TAKEN: Final = PodMemory(pod=Pod(), added_at=0, stage="syncing")
"""What is remembered of a pod that was taken, and to which nothing else has happened."""


class Newcomers:
    """What one kubelet knows about pods that are new to it. `requests`: what pods take, by uid."""

    __slots__ = ("_capacity", "_node", "_taken", "requests", "settings")

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.requests: Requests = {}
        self._node: Node | None = None
        self._capacity: Taken | None = None
        self._taken: dict[tuple[object, Likeness], Taken] = {}

    def expected(self, view: View, pod: Pod) -> PodMemory | None:
        """What is remembered of a pod that is taken as others were; None: the tables are to be asked."""
        node: Node | None = view.get("Node", "", self.settings.node)
        meta = pod.metadata
        if node is None or node is not self._node or meta.deletion_timestamp is not None:
            return None
        if eviction_key(meta.uid) in view.memory or pod_of(view.runtime, meta.uid).past is not NOTHING_YET:
            return None
        alike = born(self.settings, pod, view.now)
        wanted = None if alike is None else self._taken.get((law.table("admission"), alike[0].likeness))
        if alike is None or wanted is None:
            return None
        self.requests[meta.uid] = wanted
        return _taken(_TAKEN, pod, view.now, alike) if has_room(view, self._capacity, pod, self.requests) else None

    def took(self, session: Session, strange: bool) -> None:
        """A pod was taken, and nothing was ordered: it is alike with others of its template.

        `strange`: it depends on more than they would be asked about.
        """
        memory, node = session.memory, session.view.get("Node", "", self.settings.node)
        alike = born(self.settings, session.pod, memory.added_at)
        if alike is None or memory != _taken(_TAKEN, session.pod, memory.added_at, None):
            return
        session.memory = _taken(memory, memory.pod, memory.added_at, alike)
        if strange or pod_of(session.view.runtime, session.pod.metadata.uid).past is not NOTHING_YET:
            return
        if node is not self._node:
            self._node, self._capacity, self._taken = node, capacity_of(node), {}
        self._taken[law.table("admission"), alike[0].likeness] = requests_of(self.requests, session.pod)
