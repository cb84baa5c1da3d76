"""Pods that are new to a kubelet: those of a template of which others were taken are taken without asking again.

Whether a pod is taken depends on the pod, on what the kubelet's Node says of its state, on how much room there is, and
on what of the pod runs already. So the tables are asked about the first pod of a template, and about the next ones only
where the Node says something else, where room is short, or where the runtime has heard of the pod. A first turn that
asks for more than that tells nothing about the next one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any, Final, TypeAlias

from k8sfsm.law import Law
from k8sfsm.node.admission import Bound, Requests, Taken, capacity_of, has_room, requests_of
from k8sfsm.node.alike import Home, born, habits_of
from k8sfsm.node.looks import Watched
from k8sfsm.node.memory import PodMemory, eviction_key
from k8sfsm.node.past import NOTHING_YET
from k8sfsm.node.runtime_state import pod_of
from k8sfsm.node.session import Session, Settings
from k8sfsm.objects import Node, Pod, changer_of
from k8sfsm.view import View

law = Law("kubelet")

_Names: TypeAlias = Mapping[str, "_Names | None"]
"""Attributes, and what of their values is read; None: all of it."""
_taken: Final = changer_of(PodMemory, "pod", "added_at", "alike", "own")
_TAKEN: Final = PodMemory(pod=Pod(), added_at=0, stage="syncing")
"""What is remembered of a pod that was taken, and to which nothing else has happened."""


_READ: Final[_Names] = {
    "metadata": {"labels": {}},
    "spec": {"taints": None},
    "status": {"allocatable": None, "conditions": None},
}
"""What of a Node tells whether pods are taken that do not choose their nodes: `_standing` and `capacity_of`."""
_SIZE: Final = 8192


class Standing:
    """What Nodes have in common that say the same of their state. `takes`: what a pod takes, by its likeness and by the
    edition of the tables, where others like it were taken.
    """

    __slots__ = ("takes",)

    def __init__(self) -> None:
        self.takes: dict[Hashable, Taken] = {}


_KNOWN: dict[Hashable, Standing] = {}


class _Shown:
    """A value that notes whether more is read of it than some attributes."""

    def __init__(self, value: Any, names: _Names, watched: Watched) -> None:
        self._value, self._names, self._watched = value, names, watched

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._value, name)
        if name not in self._names:
            self._watched.strange = True
            return found
        inner = self._names[name]
        return found if inner is None else _Shown(found, inner, self._watched)


class Newcomer(Watched):
    """The view of a first turn: it notes whether the turn depends on more than is the same for the next pods."""

    def __init__(self, view: View, node: str) -> None:
        super().__init__(view, node, ("now", "runtime", "memory"))

    def get(self, kind: str, namespace: str, name: str) -> Any:
        """The object of that name, or None; of the Node, it is noted what is read."""
        found = super().get(kind, namespace, name)
        return found if self.strange or found is None else _Shown(found, _READ, self)


def _standing(node: Node) -> Standing:
    taints = tuple([(each.key, each.value, each.effect) for each in node.spec.taints])
    said = taints, tuple([(each.type, each.status) for each in node.status.conditions])
    if len(_KNOWN) >= _SIZE:
        _KNOWN.clear()
    return _KNOWN.setdefault(said, Standing())


class Newcomers:
    """What one kubelet knows about pods that are new to it. `requests`: what pods take, by uid; `home`: its Node."""

    __slots__ = ("_bound", "_capacity", "_habits", "_node", "_standing", "home", "requests")

    def __init__(self, settings: Settings) -> None:
        self.home = Home(settings)
        self.requests: Requests = {}
        self._bound = Bound()
        self._habits = habits_of(settings)
        self._node: Node | None = None
        self._capacity: Taken | None = None
        self._standing = Standing()

    def expected(self, view: View, pod: Pod) -> PodMemory | None:
        """What is remembered of a pod that is taken as others were; None: the tables are to be asked."""
        meta = pod.metadata
        uid = meta.uid
        if not self._sees_node(view) or meta.deletion_timestamp is not None or eviction_key(uid) in view.memory:
            return None
        if uid in view.runtime and pod_of(view.runtime, uid).past is not NOTHING_YET:
            return None
        alike = born(self._habits, pod, view.now)
        wanted = None if alike is None else self._standing.takes.get((law.edition, alike[0].likeness))
        if alike is None or wanted is None:
            return None
        self.requests[uid] = wanted
        fits = self._bound.leaves_room(view, self._capacity, wanted, self.requests)
        if not fits and not has_room(view, self._capacity, pod, self.requests):
            return None
        self._bound.met(wanted)
        return _taken(_TAKEN, pod, view.now, *alike)

    def met(self, pod: Pod, entries: int) -> None:
        """A pod is new to the kubelet, one of so many of its name that it remembers."""
        self._bound.met(requests_of(self.requests, pod), entries)

    def took(self, session: Session, strange: bool) -> None:
        """A pod was taken, and nothing was ordered: it is alike with others of its template.

        `strange`: it depends on more than is the same for them.
        """
        memory, pod, view = session.memory, session.pod, session.view
        alike = born(self._habits, pod, memory.added_at)
        if alike is None or memory != _taken(_TAKEN, pod, memory.added_at, None, ()):
            return
        session.memory = _taken(memory, memory.pod, memory.added_at, *alike)
        if strange or not self._sees_node(view) or pod_of(view.runtime, pod.metadata.uid).past is not NOTHING_YET:
            return
        takes = self._standing.takes
        if len(takes) >= _SIZE:
            takes.clear()
        takes[law.edition, alike[0].likeness] = requests_of(self.requests, pod)

    def _sees_node(self, view: View) -> bool:
        """Whether there is a Node; what it says is looked up again where it is another object."""
        node = self.home.seen(view)
        if node is not None and node is not self._node:
            self._node, self._capacity, self._standing = node, capacity_of(node), _standing(node)
        return node is not None
