"""The garbage collector: objects go when all their owners are gone.

Source: pkg/controller/garbagecollector/garbagecollector.go, graph_builder.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, frozen

from k8sfsm.law import Decision, Law
from k8sfsm.objects import KINDS, OwnerReference, key_of
from k8sfsm.request import Delete, Key, Plan, Propagation, Step, Update
from k8sfsm.view import Change, View

law = Law("garbagecollector")

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
Reference: TypeAlias = Literal["solid", "dangling", "waiting"]


@frozen(slots=False)
class Item:
    """An object in the graph of owners and dependents (None: it is gone)."""

    object: Any
    view: View

    @cached_property
    def references(self) -> tuple[tuple[OwnerReference, Reference], ...]:
        """Each owner reference, and what became of the owner. Source: garbagecollector.go: classifyReferences."""
        return tuple((owner, self._state(owner)) for owner in self.object.metadata.owner_references)

    def _state(self, owner: OwnerReference) -> Reference:
        kind = KINDS.get(owner.kind)
        namespace = self.object.metadata.namespace if kind is None or kind.namespaced else ""
        found = self.view.get(owner.kind, namespace, owner.name)
        if found is None or found.metadata.uid != owner.uid:
            return "dangling"
        if found.metadata.deletion_timestamp is not None and FOREGROUND in found.metadata.finalizers:
            return "waiting"
        return "solid"

    @cached_property
    def dependents_of_item(self) -> tuple[Any, ...]:
        """The objects that name this one as their owner."""
        return dependents_of(self.object.metadata.uid, self.view)


def dependents_of(uid: str, view: View) -> tuple[Any, ...]:
    """The objects whose controller is the owner with this uid."""
    return tuple(obj for kind in _KINDS for obj in view.owned(kind, uid))


_KINDS: Final = (
    "ReplicaSet",
    "Pod",
    "ReplicationController",
    "StatefulSet",
    "DaemonSet",
    "ControllerRevision",
    "Job",
    "Endpoints",
    "EndpointSlice",
)
"""Kinds that have owners, as far as the model goes."""


@law.key
def concerned(change: Change, view: View) -> Iterable[Key]:
    """Who has to be looked at: the object itself where it is owned or leaving, its dependents, the owners it held up."""
    meta = change.new.metadata
    if change.type == "DELETED":
        yield from (key_of(obj) for obj in dependents_of(meta.uid, view))
        for owner in meta.owner_references:
            namespace = meta.namespace if owner.kind not in KINDS or KINDS[owner.kind].namespaced else ""
            found = view.get(owner.kind, namespace, owner.name)
            if found is not None and found.metadata.deletion_timestamp is not None:
                yield key_of(found)
        return
    if change.type == "ADDED" and meta.owner_references:
        yield change.key
    if meta.deletion_timestamp is not None and meta.finalizers:
        yield change.key
        if FOREGROUND in meta.finalizers:
            yield from (key_of(obj) for obj in dependents_of(meta.uid, view))


@law.fact
def present(item: Item) -> bool:
    """Whether the object still exists."""
    return item.object is not None


@law.fact
def item_deleting(item: Item) -> bool:
    """Whether its deletionTimestamp is set."""
    return item.object.metadata.deletion_timestamp is not None


@law.fact
def orphaning(item: Item) -> bool:
    """Whether it is to leave its dependents behind."""
    return ORPHAN in item.object.metadata.finalizers


@law.fact
def foreground(item: Item) -> bool:
    """Whether it goes after its dependents."""
    return FOREGROUND in item.object.metadata.finalizers


def _blocks(dependent: Any, uid: str) -> bool:
    return any(owner.uid == uid and owner.block_owner_deletion for owner in dependent.metadata.owner_references)


@law.fact
def blocking_dependents(item: Item) -> int:
    """How many dependents it has to wait for."""
    return sum(_blocks(dependent, item.object.metadata.uid) for dependent in item.dependents_of_item)


@law.fact
def owners(item: Item) -> int:
    """How many owner references it has."""
    return len(item.object.metadata.owner_references)


@law.fact
def solid(item: Item) -> int:
    """How many of its owners exist and stay."""
    return sum(state == "solid" for _, state in item.references)


@law.fact
def waiting(item: Item) -> int:
    """How many of its owners wait for their dependents to go."""
    return sum(state == "waiting" for _, state in item.references)


@law.fact
def removable(item: Item) -> int:
    """How many of its owner references point to an owner that is gone or going."""
    return sum(state != "solid" for _, state in item.references)


@law.fact
def dependents(item: Item) -> int:
    """How many dependents it has itself."""
    return len(item.dependents_of_item)


def _delete(obj: Any, propagation: Propagation) -> Delete:
    meta = obj.metadata
    return Delete(key=key_of(obj), uid=meta.uid, resource_version=meta.resource_version, propagation=propagation)


def _without_finalizer(obj: Any, name: str) -> Update:
    left = tuple(finalizer for finalizer in obj.metadata.finalizers if finalizer != name)
    return Update(object=evolve(obj, metadata=evolve(obj.metadata, finalizers=left)))


def _without_owners(obj: Any, uids: tuple[str, ...]) -> Update:
    left = tuple(owner for owner in obj.metadata.owner_references if owner.uid not in uids)
    return Update(object=evolve(obj, metadata=evolve(obj.metadata, owner_references=left)))


@law.action
def orphan_dependents(item: Item, decision: Decision) -> Iterable[Step]:
    """Take the reference to this owner from all its dependents."""
    for dependent in item.dependents_of_item:
        yield _without_owners(dependent, (item.object.metadata.uid,))


@law.action
def drop_orphan_finalizer(item: Item, decision: Decision) -> Iterable[Step]:
    """Let the object go; its dependents stay."""
    yield _without_finalizer(item.object, ORPHAN)


@law.action
def drop_foreground_finalizer(item: Item, decision: Decision) -> Iterable[Step]:
    """Let the object go; its dependents are gone."""
    yield _without_finalizer(item.object, FOREGROUND)


@law.action
def drop_references(item: Item, decision: Decision) -> Iterable[Step]:
    """Take away the references to owners that are gone or going; another owner keeps the object."""
    yield _without_owners(item.object, tuple(owner.uid for owner, state in item.references if state != "solid"))


@law.action
def delete_foreground(item: Item, decision: Decision) -> Iterable[Step]:
    """Delete it after its own dependents, since its owner waits for it."""
    yield _delete(item.object, "Foreground")


@law.action
def delete_item(item: Item, decision: Decision) -> Iterable[Step]:
    """Delete it, by the policy of the finalizer that it has, otherwise in the background."""
    finalizers = item.object.metadata.finalizers
    policy: Propagation = (
        "Orphan" if ORPHAN in finalizers else "Foreground" if FOREGROUND in finalizers else "Background"
    )
    yield _delete(item.object, policy)


class GarbageCollector:
    """Reconciles any object that has owners or dependents."""

    name = "garbage-collector"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Delete what no owner keeps; let go what waits for nothing any more."""
        item = Item(view.get(*key), view)
        decision = law.decide("item", item)
        return Plan(steps=law.perform(decision, item))
