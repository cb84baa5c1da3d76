"""Informers: what each component has seen of each kind, and what is on its way to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from k8sfsm.engine.action import Deliver
from k8sfsm.engine.cluster import Component, Watch, Wiring
from k8sfsm.store import Change, Snapshot, Store

_OF_A_NODE = ("Pod", "Node")
"""Kinds that a component of a node watches, its own only; it reads others from the API when it needs them."""
Informer = tuple[str, str]
"""(component, kind)."""


class Reader:
    """The informers of one component: who of it watches what, what they have seen, and what is on its way to them.

    Mutable, and owned by the informers of one engine: `Informers` copies a reader before it changes one that a fork
    shares. `snapshots` are replaced, never changed: a view keeps them. `blocked`: until when (ns) a kind is held back.
    """

    __slots__ = (
        "blocked",
        "component",
        "deliveries",
        "expired",
        "inboxes",
        "node",
        "owner",
        "snapshots",
        "watchers",
        "wirings",
    )

    def __init__(self, component: Component, wirings: Sequence[Wiring], owner: object) -> None:
        self.owner = owner
        self.component = component.name
        self.node = component.node
        self.wirings = tuple(wirings)
        found: dict[str, list[tuple[Wiring, Watch]]] = {}
        for wiring in wirings:
            for watch in wiring.watches:
                if not component.node or watch.kind in _OF_A_NODE:
                    found.setdefault(watch.kind, []).append((wiring, watch))
        self.watchers = {kind: tuple(each) for kind, each in found.items()}
        self.deliveries = {kind: Deliver(component.name, kind) for kind in found}
        self.snapshots: Mapping[str, Snapshot] = {}
        self.inboxes: dict[str, list[Change]] = {}
        self.blocked: dict[str, int] = {}
        self.expired: frozenset[str] = frozenset()

    def copy(self, owner: object) -> Reader:
        """An independent reader in the same state."""
        twin = Reader.__new__(Reader)
        for name in Reader.__slots__:
            setattr(twin, name, getattr(self, name))
        twin.owner = owner
        twin.inboxes = {kind: inbox.copy() for kind, inbox in self.inboxes.items()}
        twin.blocked = self.blocked.copy()
        return twin

    def catch_up(self, kind: str, store: Store) -> tuple[Change, ...]:
        """The informer of a kind now sees the store as it is. Returns the changes that it had not seen, oldest first:
        one value, which whoever is told of them may know again.
        """
        snapshot, inbox = store.snapshot, self.inboxes.pop(kind, None)
        found = () if inbox is None else tuple(inbox)
        if kind in self.expired and inbox is not None:
            found = self._replaced(kind, snapshot)
            self.expired -= {kind}
        self.snapshots = {**self.snapshots, kind: snapshot}
        return found

    def relist(self, kind: str, store: Store) -> bool:
        """Put everything there is on its way, as a list does. Says whether there is anything.

        The cache is what was listed: nothing is left in it of what an earlier process saw.
        """
        self.snapshots = {**self.snapshots, kind: store.snapshot}
        self.inboxes[kind] = list(self._as_added(kind, store.snapshot))
        return bool(self.inboxes[kind])

    def waiting(self) -> tuple[str, ...]:
        """The kinds of which something is on its way."""
        return tuple(kind for kind, inbox in self.inboxes.items() if inbox)

    def seen(self, kind: str) -> tuple[Change, ...]:
        """What the informer of a kind has, as the additions that a controller sees which joins it late."""
        snapshot = self.snapshots.get(kind)
        return () if snapshot is None else self._as_added(kind, snapshot)

    def _as_added(self, kind: str, snapshot: Snapshot) -> tuple[Change, ...]:
        return tuple(
            Change(snapshot.revision, "ADDED", (kind, obj.metadata.namespace, obj.metadata.name), None, obj)
            for obj in _listed(kind, self.node, snapshot)
        )

    def _replaced(self, kind: str, snapshot: Snapshot) -> tuple[Change, ...]:
        """What a list tells that comes instead of a watch: what is there, then what is no longer.

        Source: staging/src/k8s.io/client-go/tools/cache/delta_fifo.go: Replace (DeletedFinalStateUnknown).
        """
        known = {each.key: each.new for each in self.seen(kind)}
        found = []
        for added in self._as_added(kind, snapshot):
            old = known.pop(added.key, None)
            if old is None:
                found.append(added)
            elif old.metadata.resource_version != added.new.metadata.resource_version:
                found.append(Change(added.revision, "MODIFIED", added.key, old, added.new))
        gone = (Change(snapshot.revision, "DELETED", key, old, old) for key, old in known.items())
        return (*found, *gone)


class Informers:
    """All informers of a cluster. `fork` is cheap: what either side changes later is copied then.

    `readers`: those of each component, to be read only (`own` gives one that may be changed). `owner`: what readers
    have as theirs that no fork shares; who kept one of these may go on using it. `nodes`: the component that belongs
    to each node (its kubelet); `subscribers`: the components that watch a kind wherever its objects are.
    """

    __slots__ = ("_maps_owner", "nodes", "owner", "readers", "subscribers")

    def __init__(self) -> None:
        self.readers: dict[str, Reader] = {}
        self.subscribers: dict[str, tuple[str, ...]] = {}
        self.nodes: dict[str, str] = {}
        self.owner = self._maps_owner = object()

    def subscribe(self, component: Component, wirings: Sequence[Wiring]) -> None:
        """Make the informers of a component. A component of a node sees only that node's pods, and its own Node."""
        reader = Reader(component, wirings, self.owner)
        self._own_maps()
        former = self.readers.get(component.name)
        if former is not None and former.owner is self.owner:
            former.owner = None
        self.readers[component.name] = reader
        if component.node:
            self.nodes[component.node] = component.name
            return
        for kind in reader.watchers:
            known = self.subscribers.get(kind, ())
            if component.name not in known:
                self.subscribers[kind] = (*known, component.name)

    def own(self, component: str) -> Reader:
        """The informers of a component, to be changed: a copy of them where a fork still shares them."""
        reader = self.readers[component]
        if reader.owner is not self.owner:
            self._own_maps()
            reader = self.readers[component] = reader.copy(self.owner)
        return reader

    def _own_maps(self) -> None:
        """Nobody else sees from now on who there is."""
        if self._maps_owner is not self.owner:
            self.readers, self.nodes = self.readers.copy(), self.nodes.copy()
            self.subscribers = self.subscribers.copy()
            self._maps_owner = self.owner

    def kinds_of(self, component: str) -> tuple[str, ...]:
        """The kinds that a component watches."""
        return tuple(self.readers[component].watchers)

    def wirings(self, component: str) -> tuple[Wiring, ...]:
        """The controllers of a component."""
        return self.readers[component].wirings

    def component_of(self, node: str) -> str | None:
        """The component that belongs to a node (its kubelet), or None."""
        return self.nodes.get(node)

    def watchers(self, component: str, kind: str) -> tuple[tuple[Wiring, Watch], ...]:
        """The controllers of a component that watch a kind, and how."""
        return self.readers[component].watchers[kind]

    def snapshots(self, component: str) -> Mapping[str, Snapshot]:
        """What a component has seen, per kind."""
        return self.readers[component].snapshots

    def publish(self, change: Change) -> Sequence[Deliver]:
        """Send a change on its way. Returns the deliveries to those to whom nothing of its kind was on its way yet."""
        kind = change.key[0]
        told = self.subscribers.get(kind, ())
        if kind in _OF_A_NODE:
            node = before = change.key[2]
            if kind == "Pod":
                node = change.new.spec.node_name
                before = node if change.old is None else change.old.spec.node_name
            if before != node and (component := self.nodes.get(before)) is not None:
                told = (*told, component)
            if (component := self.nodes.get(node)) is not None:
                told = (*told, component)
        woken = []
        for component in told:
            reader = self.readers[component]
            if reader.owner is not self.owner:
                reader = self.own(component)
            inbox = reader.inboxes.get(kind)
            if inbox:
                inbox.append(change)
            else:
                reader.inboxes[kind] = [change]
                woken.append(reader.deliveries[kind])
        return woken

    def catch_up(self, component: str, kind: str, store: Store) -> tuple[Change, ...]:
        """The informer now sees the store as it is (`Reader.catch_up`)."""
        return self.own(component).catch_up(kind, store)

    def relist(self, component: str, kind: str, store: Store) -> bool:
        """Put everything there is on its way (`Reader.relist`)."""
        return self.own(component).relist(kind, store)

    def forget(self, component: str) -> None:
        """The component's caches are empty: its process has just begun."""
        self.own(component).snapshots = {}

    def seen(self, component: str, kind: str) -> tuple[Change, ...]:
        """What the informer has (`Reader.seen`)."""
        return self.readers[component].seen(kind)

    def waiting(self) -> tuple[Informer, ...]:
        """The informers to whom something is on its way, sorted."""
        return tuple(sorted((name, kind) for name, reader in self.readers.items() for kind in reader.waiting()))

    def told_again(self, component: str, kind: str) -> tuple[Change, ...]:
        """What the informer has, as updates that change nothing: what a resync tells.

        Source: staging/src/k8s.io/client-go/tools/cache/delta_fifo.go: syncKeyLocked; shared_informer.go: OnUpdate.
        """
        found = self.seen(component, kind)
        return tuple(Change(each.revision, "MODIFIED", each.key, each.new, each.new) for each in found)

    def expire(self) -> None:
        """Changes that are on their way are lost: their informers list anew, and see the difference."""
        for name, reader in tuple(self.readers.items()):
            expired = frozenset(reader.waiting())
            if expired != reader.expired:
                self.own(name).expired = expired

    def block(self, component: str, kind: str, until: int) -> None:
        """The informer sees nothing new before `until` (ns)."""
        self.own(component).blocked[kind] = until

    def blocked_until(self, component: str, kind: str) -> int:
        """Until when (ns) the informer sees nothing new; 0 where it is not held back."""
        return self.readers[component].blocked.get(kind, 0)

    def fork(self) -> Informers:
        """Independent informers that have seen as much."""
        twin = Informers.__new__(Informers)
        for name in Informers.__slots__:
            setattr(twin, name, getattr(self, name))
        self.owner, twin.owner = object(), object()
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
