"""What an actor sees: objects per kind, each kind at the revision that its informer has reached.

Every decision is a function of a view. A stale cache is just an older view.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from attrs import field
from immutables import Map

from k8sfsm.index import Series
from k8sfsm.objects import key_of
from k8sfsm.request import Key, Remember
from k8sfsm.store import Change, Snapshot, Store
from k8sfsm.value import value

__all__ = ["Change", "View"]

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
_ASK_MEMORY_ALONE: Final[set[Callable[..., Any]]] = set()
_NOTHING: Final = Snapshot()


@value
class View:
    """A read-only snapshot.

    `now`: the actor's clock, nanoseconds since the Unix epoch. `memory`: what the actor itself keeps between
    decisions. `runtime`: on a kubelet, its node's container runtime (pod uid -> state). `snapshots`: per kind
    what the informer has; `store` gives the history behind them, where the view has one. `choose_node` picks one of
    several equally good nodes for a pod, where chance decides (None: take the first); `tie_break` orders objects that
    a comparison does not tell apart, the lowest first (None: as they come).
    """

    now: int
    snapshots: Mapping[str, Snapshot] | Snapshot
    memory: Map[Any, Any] = field(factory=Map)
    runtime: Map[str, Any] = field(factory=Map)
    store: Store | None = None
    choose_node: Callable[[Sequence[str], Key], str] | None = None
    tie_break: Callable[[Key], int] | None = None

    def snapshot(self, kind: str) -> Snapshot:
        """The snapshot in which this actor sees a kind; what it has no informer for it reads from the API."""
        if isinstance(self.snapshots, Snapshot):
            return self.snapshots
        found = self.snapshots.get(kind)
        if found is not None:
            return found
        return _NOTHING if self.store is None else self.store.snapshot

    def get(self, kind: str, namespace: str, name: str) -> Any | None:
        """The object of that name, or None."""
        return self.snapshot(kind).get((kind, namespace, name))

    def list(self, kind: str, namespace: str = "") -> tuple[Any, ...]:
        """Objects of a kind in one namespace (or in all: ""), in order of creation within a namespace."""
        snapshot = self.snapshot(kind)
        if namespace:
            return tuple(snapshot.series("in", kind, namespace))
        names = snapshot.namespaces_of(kind)
        return tuple(obj for name in names for obj in snapshot.series("in", kind, name))

    def owned(self, kind: str, uid: str) -> tuple[Any, ...]:
        """Objects whose controller owner reference has this uid, in order of creation."""
        return tuple(self.series("owned", kind, uid))

    def dependents(self, kind: str, uid: str) -> tuple[Any, ...]:
        """Objects that name the one with this uid as an owner: those that it controls first, then the others."""
        snapshot = self.snapshot(kind)
        return (*snapshot.series("owned", kind, uid), *snapshot.series("co-owned", kind, uid))

    def dependents_among(self, kinds: Iterable[str], uid: str) -> tuple[Any, ...]:
        """The same of several kinds, one after the other."""
        if isinstance(self.snapshots, Snapshot):
            return self.snapshots.index.dependents(kinds, uid)
        return tuple([obj for kind in kinds for obj in self.dependents(kind, uid)])

    def orphans(self, kind: str, namespace: str) -> tuple[Any, ...]:
        """Objects in a namespace that no controller owns, in order of creation."""
        return tuple(self.series("orphans", kind, namespace))

    def series(self, index: str, kind: str, value: str) -> Series:
        """The list behind `owned` or `orphans`, for those who follow it from view to view (`Snapshot.series`)."""
        return self.snapshot(kind).series(index, kind, value)

    def on_node(self, node: str) -> tuple[Any, ...]:
        """Pods bound to a node, in order of creation."""
        return self.snapshot("Pod").on_node(node)

    def by_chance(self, objects: Sequence[T]) -> Sequence[T]:
        """Objects in the order that chance gives those which a comparison will not tell apart."""
        order = self.tie_break
        if order is None:
            return objects
        return sorted(objects, key=lambda obj: order(key_of(obj)))

    def revision(self, kind: str) -> int:
        """The revision up to which this actor has seen changes of `kind`."""
        return self.snapshot(kind).revision

    def changes_since(self, kind: str, revision: int) -> tuple[Change, ...] | None:
        """What changed in `kind` between an earlier revision and this view; None where it is not known any more."""
        if self.store is None or revision > self.revision(kind):
            return None
        try:
            found = self.store.changes(revision, kind)
            return tuple(change for change in found if change.revision <= self.revision(kind))
        except LookupError:
            return None

    @classmethod
    def of(
        cls,
        objects: Iterable[Any],
        now: int = 0,
        memory: Mapping[Any, Any] | None = None,
        runtime: Mapping[str, Any] | None = None,
    ) -> View:
        """A view of plain objects, each kept with the resourceVersion that it has."""
        snapshot = _NOTHING
        for number, obj in enumerate(objects, start=1):
            snapshot = snapshot.put(number, key_of(obj), obj)
        return cls(now, snapshot, Map(memory or {}), Map(runtime or {}))


def remembered(memory: Map[Any, Any], step: Remember) -> Map[Any, Any]:
    """An actor's memory after a step of a plan or of an observer."""
    if step.value is not None:
        return memory.set(step.key, step.value)
    return memory.delete(step.key) if step.key in memory else memory


def asks_memory_alone(keys: F) -> F:
    """Mark a function of keys that reads nothing of a view but the actor's `memory`.

    It may be given whatever has that, and no view is made for it.
    """
    _ASK_MEMORY_ALONE.add(keys)
    return keys


def needs_no_view(keys: Callable[..., Any]) -> bool:
    """Whether a function of keys is marked with `asks_memory_alone`."""
    return keys in _ASK_MEMORY_ALONE


def self_key(change: Change, _view: View) -> tuple[Key, ...]:
    """The key of the changed object itself."""
    return (change.key,)
