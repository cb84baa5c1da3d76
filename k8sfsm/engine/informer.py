"""Informers: what each component has seen of each kind, and what is on its way to it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from immutables import Map

from k8sfsm.engine.cluster import Component, Watch, Wiring
from k8sfsm.store import Change, Snapshot, Store

_OF_A_NODE = ("Pod", "Node")
"""Kinds that a component of a node watches, its own only; it reads others from the API when it needs them."""
_NOTHING_SEEN: Final[Map[str, Snapshot]] = Map()
Informer = tuple[str, str]
"""(component, kind)."""


class Inbox:
    """Changes on their way to an informer. Whoever is not its `owner` copies it before he adds one."""

    __slots__ = ("changes", "owner")

    def __init__(self, owner: object, changes: Sequence[Change] = ()) -> None:
        self.owner = owner
        self.changes = list(changes)


class Informers:
    """All informers of a cluster. `fork` is cheap: subscriptions are shared, the state is in persistent maps."""

    __slots__ = (
        "_blocked",
        "_expired",
        "_inbox",
        "_kinds",
        "_nodes",
        "_nodes_by_component",
        "_owner",
        "_snapshots",
        "_subscribers",
        "_watchers",
        "_wirings",
    )

    def __init__(self) -> None:
        self._watchers: Map[Informer, tuple[tuple[Wiring, Watch], ...]] = Map()
        self._kinds: Map[str, tuple[str, ...]] = Map()
        self._wirings: Map[str, tuple[Wiring, ...]] = Map()
        self._subscribers: Map[str, tuple[str, ...]] = Map()
        self._nodes: Map[str, str] = Map()
        self._nodes_by_component: Map[str, str] = Map()
        self._snapshots: Map[str, Map[str, Snapshot]] = Map()
        self._inbox: Map[Informer, Inbox] = Map()
        self._blocked: Map[Informer, int] = Map()
        self._expired: frozenset[Informer] = frozenset()
        self._owner = object()

    def subscribe(self, component: Component, wirings: Sequence[Wiring]) -> None:
        """Make the informers of a component. A component of a node sees only that node's pods, and its own Node."""
        found: dict[str, list[tuple[Wiring, Watch]]] = {}
        for wiring in wirings:
            for watch in wiring.watches:
                if not component.node or watch.kind in _OF_A_NODE:
                    found.setdefault(watch.kind, []).append((wiring, watch))
        self._kinds = self._kinds.set(component.name, tuple(found))
        self._wirings = self._wirings.set(component.name, tuple(wirings))
        self._watchers = self._watchers.update({(component.name, kind): tuple(each) for kind, each in found.items()})
        if component.node:
            self._nodes = self._nodes.set(component.node, component.name)
            self._nodes_by_component = self._nodes_by_component.set(component.name, component.node)
            return
        for kind in found:
            known = self._subscribers.get(kind, ())
            if component.name not in known:
                self._subscribers = self._subscribers.set(kind, (*known, component.name))

    def kinds_of(self, component: str) -> tuple[str, ...]:
        """The kinds that a component watches."""
        return self._kinds[component]

    def wirings(self, component: str) -> tuple[Wiring, ...]:
        """The controllers of a component."""
        return self._wirings[component]

    def component_of(self, node: str) -> str | None:
        """The component that belongs to a node (its kubelet), or None."""
        return self._nodes.get(node)

    def watchers(self, component: str, kind: str) -> tuple[tuple[Wiring, Watch], ...]:
        """The controllers of a component that watch a kind, and how."""
        return self._watchers[component, kind]

    def snapshots(self, component: str) -> Map[str, Snapshot]:
        """What a component has seen, per kind."""
        return self._snapshots.get(component, _NOTHING_SEEN)

    def publish(self, change: Change) -> Sequence[str]:
        """Send a change on its way. Returns the components to whom nothing of its kind was on its way before."""
        kind = change.key[0]
        told = self._subscribers.get(kind, ())
        if kind in _OF_A_NODE:
            told = (*told, *self._nodes_of(change))
        woken = []
        for component in told:
            informer = (component, kind)
            inbox = self._inbox.get(informer)
            if inbox is None or not inbox.changes:
                woken.append(component)
            if inbox is None or inbox.owner is not self._owner:
                inbox = Inbox(self._owner, inbox.changes if inbox is not None else ())
                self._inbox = self._inbox.set(informer, inbox)
            inbox.changes.append(change)
        return woken

    def _nodes_of(self, change: Change) -> tuple[str, ...]:
        """The components of the nodes that a change of a Node, or of a Pod, concerns."""
        kind, _, name = change.key
        if kind == "Pod":
            name = change.new.spec.node_name
            before = change.old.spec.node_name if change.old is not None else name
            if before != name and before in self._nodes:
                return (self._nodes[before], *self._nodes_at(name))
        return self._nodes_at(name)

    def _nodes_at(self, node: str) -> tuple[str, ...]:
        component = self._nodes.get(node)
        return () if component is None else (component,)

    def catch_up(self, component: str, kind: str, store: Store) -> tuple[Change, ...]:
        """The informer now sees the store as it is. Returns the changes that it had not seen, oldest first: one value,
        which whoever is told of them may know again.
        """
        informer = (component, kind)
        inbox = self._inbox.get(informer)
        found = () if inbox is None else tuple(inbox.changes)
        if inbox is not None:
            self._inbox = self._inbox.delete(informer)
            if informer in self._expired:
                found = self._replaced(component, kind, store.snapshot)
                self._expired -= {informer}
        seen = self.snapshots(component).set(kind, store.snapshot)
        self._snapshots = self._snapshots.set(component, seen)
        return found

    def relist(self, component: str, kind: str, store: Store) -> bool:
        """Put everything there is on its way, as a list does. Says whether there is anything.

        The cache is what was listed: nothing is left in it of what an earlier process saw.
        """
        self._snapshots = self._snapshots.set(component, self.snapshots(component).set(kind, store.snapshot))
        changes = self._as_added(component, kind, store.snapshot)
        self._inbox = self._inbox.set((component, kind), Inbox(self._owner, changes))
        return bool(changes)

    def forget(self, component: str) -> None:
        """The component's caches are empty: its process has just begun."""
        self._snapshots = self._snapshots.set(component, Map())

    def seen(self, component: str, kind: str) -> tuple[Change, ...]:
        """What the informer has, as the additions that a controller sees which joins it late."""
        snapshot = self.snapshots(component).get(kind)
        return () if snapshot is None else self._as_added(component, kind, snapshot)

    def _as_added(self, component: str, kind: str, snapshot: Snapshot) -> tuple[Change, ...]:
        node = self._nodes_by_component.get(component, "")
        return tuple(
            Change(snapshot.revision, "ADDED", (kind, obj.metadata.namespace, obj.metadata.name), None, obj)
            for obj in _listed(kind, node, snapshot)
        )

    def waiting(self) -> tuple[Informer, ...]:
        """The informers to whom something is on its way, sorted."""
        return tuple(sorted(informer for informer, inbox in self._inbox.items() if inbox.changes))

    def told_again(self, component: str, kind: str) -> tuple[Change, ...]:
        """What the informer has, as updates that change nothing: what a resync tells.

        Source: staging/src/k8s.io/client-go/tools/cache/delta_fifo.go: syncKeyLocked; shared_informer.go: OnUpdate.
        """
        found = self.seen(component, kind)
        return tuple(Change(each.revision, "MODIFIED", each.key, each.new, each.new) for each in found)

    def expire(self) -> None:
        """Changes that are on their way are lost: their informers list anew, and see the difference."""
        self._expired = frozenset(informer for informer, inbox in self._inbox.items() if inbox.changes)

    def _replaced(self, component: str, kind: str, snapshot: Snapshot) -> tuple[Change, ...]:
        """What a list tells that comes instead of a watch: what is there, then what is no longer.

        Source: staging/src/k8s.io/client-go/tools/cache/delta_fifo.go: Replace (DeletedFinalStateUnknown).
        """
        known = {each.key: each.new for each in self.seen(component, kind)}
        found = []
        for added in self._as_added(component, kind, snapshot):
            old = known.pop(added.key, None)
            if old is None:
                found.append(added)
            elif old.metadata.resource_version != added.new.metadata.resource_version:
                found.append(Change(added.revision, "MODIFIED", added.key, old, added.new))
        gone = (Change(snapshot.revision, "DELETED", key, old, old) for key, old in known.items())
        return (*found, *gone)

    def block(self, component: str, kind: str, until: int) -> None:
        """The informer sees nothing new before `until` (ns)."""
        self._blocked = self._blocked.set((component, kind), until)

    def blocked_until(self, component: str, kind: str) -> int:
        """Until when (ns) the informer sees nothing new; 0 where it is not held back."""
        return self._blocked.get((component, kind), 0)

    def fork(self) -> Informers:
        """Independent informers that have seen as much."""
        twin = Informers.__new__(Informers)
        for name in Informers.__slots__:
            setattr(twin, name, getattr(self, name))
        self._owner, twin._owner = object(), object()
        return twin


def _listed(kind: str, node: str, snapshot: Snapshot) -> Iterator[Any]:
    """What a list of `kind` returns to a component; `node` limits it to that node's own."""
    if node and kind == "Pod":
        yield from snapshot.on_node(node)
    elif node and kind == "Node":
        found = snapshot.get((kind, "", node))
        if found is not None:
            yield found
    else:
        for namespace in snapshot.namespaces_of(kind):
            yield from snapshot.series("in", kind, namespace)
