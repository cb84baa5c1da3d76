"""The garbage collector: objects go when all their owners are gone.

What depends on what is read from the informers (the graph); owners, and the object itself, are read from the API
server before anything is done to it.
Source: pkg/controller/garbagecollector/garbagecollector.go, graph_builder.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.controllers.pod_changes import asked_by_sort, sorts_of
from k8sfsm.law import Decision, Law
from k8sfsm.objects import KINDS, OwnerReference, evolve, key_of
from k8sfsm.objects.kinds import kind_named
from k8sfsm.request import Delete, Key, Look, Outcome, Parallel, Patch, Plan, Record, Step
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("garbagecollector")

ORPHAN: Final = "orphan"
FOREGROUND: Final = "foregroundDeletion"
Reference: TypeAlias = Literal["solid", "dangling", "waiting", "unknown"]


@frozen(slots=False)
class Item:
    """An object in the graph of owners and dependents (None: it is gone), at the moment of a decision."""

    object: Any
    view: View

    @cached_property
    def latest(self) -> Any:
        """The object as the API server has it now; None where it is gone or another one has its name."""
        found = live(self.view, *key_of(self.object))
        return found if found is not None and found.metadata.uid == self.object.metadata.uid else None

    @cached_property
    def references(self) -> tuple[tuple[OwnerReference, Reference], ...]:
        """Each owner reference, and what became of the owner. Source: garbagecollector.go: classifyReferences."""
        meta = (self.object if self.latest is None else self.latest).metadata
        return tuple((owner, self._state(owner, meta.namespace)) for owner in meta.owner_references)

    def _state(self, owner: OwnerReference, namespace: str) -> Reference:
        found = live(self.view, *_owner_key(owner, namespace))
        if found is None or found.metadata.uid != owner.uid:
            return "dangling" if found is not None or _can_look_up(owner, namespace) else "unknown"
        return "waiting" if _deletes_dependents(found) else "solid"

    @cached_property
    def dependents_of_item(self) -> tuple[Any, ...]:
        """The objects that name this one as an owner."""
        return dependents_of(self.object.metadata.uid, self.view)

    @cached_property
    def blocking(self) -> tuple[Any, ...]:
        """The dependents that its foreground deletion waits for. Source: graph.go: blockingDependents."""
        uid = self.object.metadata.uid
        return tuple(obj for obj in self.dependents_of_item if _blocks(obj, uid))

    def owners_in(self, *states: Reference) -> int:
        """How many owner references are in one of these states."""
        return sum(state in states for _, state in self.references)


def live(view: View, kind: str, namespace: str, name: str) -> Any | None:
    """A GET: what the API server has, whatever the informers have seen of it."""
    if view.store is None:
        return view.get(kind, namespace, name)
    return view.store.get(kind, namespace, name)


def _owner_key(owner: OwnerReference, namespace: str) -> Key:
    """An owner's key: cluster-scoped owners have no namespace, others that of their dependent."""
    kind = kind_named(owner.api_version, owner.kind)
    return (owner.kind, namespace if kind is None or kind.namespaced else "", owner.name)


def _can_look_up(owner: OwnerReference, namespace: str) -> bool:
    """Whether an owner's absence can be told: its kind is known, and is no namespaced one of a cluster-scoped object.

    Source: garbagecollector.go: isDangling (restMappingError, namespacedOwnerOfClusterScopedObjectErr).
    """
    kind = kind_named(owner.api_version, owner.kind)
    return kind is not None and (bool(namespace) or not kind.namespaced)


def _deletes_dependents(obj: Any) -> bool:
    """Whether an object waits for its dependents to go."""
    return obj.metadata.deletion_timestamp is not None and FOREGROUND in obj.metadata.finalizers


def _orphans_dependents(obj: Any) -> bool:
    """Whether an object is to leave its dependents behind."""
    return obj.metadata.deletion_timestamp is not None and ORPHAN in obj.metadata.finalizers


def _blocks(dependent: Any, uid: str) -> bool:
    return any(owner.uid == uid and owner.block_owner_deletion for owner in dependent.metadata.owner_references)


def dependents_of(uid: str, view: View) -> tuple[Any, ...]:
    """The objects that name the object with this uid as an owner, by kind and in order of creation."""
    return view.dependents_among(_collected(law.edition), uid)


@lru_cache(maxsize=8)
def _collected(edition: object) -> tuple[str, ...]:
    """The kinds in the graph, in an edition of the room's tables."""
    return tuple(watch.kind for watch in law.controller().watches)


# -- who has to be looked at ------------------------------------------------------------------------------------------


@law.key
@asked_by_sort(sorts_of)
def concerned(change: Change, view: View) -> Iterable[Key]:
    """Who has to be looked at after a change. Source: graph_builder.go: processGraphChanges."""
    if change.type == "DELETED":
        yield from map(key_of, dependents_of(change.new.metadata.uid, view))
        yield from _waiting_owners(change.new, change.new.metadata.owner_references, view)
        return
    old, new = change.old, change.new
    if old is None or old.metadata.owner_references != new.metadata.owner_references:
        yield from _by_references(old, new, view)
    if _orphans_dependents(new) and (old is None or not _orphans_dependents(old)):
        yield change.key
    if _deletes_dependents(new) and (old is None or not _deletes_dependents(old)):
        yield from map(key_of, dependents_of(new.metadata.uid, view))
        yield change.key


def _by_references(old: Any, new: Any, view: View) -> Iterator[Key]:
    """The object itself where an owner is not where it should be, and owners that it holds up no longer.

    Source: graph_builder.go: addDependentToOwners, addUnblockedOwnersToDeleteQueue.
    """
    before = () if old is None else old.metadata.owner_references
    added = (owner for owner in new.metadata.owner_references if owner not in before)
    namespace = new.metadata.namespace
    if any(_missing(view.get(*_owner_key(owner, namespace)), owner.uid) for owner in added):
        yield key_of(new)
    unblocked = [owner for owner in before if owner.block_owner_deletion and not _blocks(new, owner.uid)]
    yield from _waiting_owners(new, unblocked, view)


def _missing(found: Any, uid: str) -> bool:
    return found is None or found.metadata.uid != uid


def _waiting_owners(obj: Any, owners: Iterable[OwnerReference], view: View) -> Iterator[Key]:
    for owner in owners:
        found = view.get(*_owner_key(owner, obj.metadata.namespace))
        if not _missing(found, owner.uid) and _deletes_dependents(found):
            yield key_of(found)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def present(item: Item) -> bool:
    """Whether the object is in the graph."""
    return item.object is not None


@law.fact
def lives(item: Item) -> bool:
    """Whether the API server still has this very object (name and uid)."""
    return item.latest is not None


@law.fact
def item_deleting(item: Item) -> bool:
    """Whether its deletionTimestamp is set."""
    return item.object.metadata.deletion_timestamp is not None


@law.fact
def finalizer(item: Item) -> Literal["orphan", "foregroundDeletion"] | None:
    """The garbage collector's own finalizer that it has: leave the dependents behind, or wait for them."""
    names = item.object.metadata.finalizers
    return ORPHAN if ORPHAN in names else FOREGROUND if FOREGROUND in names else None


@law.fact
def blocking_dependents(item: Item) -> int:
    """How many dependents it has to wait for."""
    return len(item.blocking)


@law.fact
def owners(item: Item) -> int:
    """How many owner references it has."""
    return len(item.references)


@law.fact
def solid(item: Item) -> int:
    """How many of its owners exist and stay."""
    return item.owners_in("solid")


@law.fact
def waiting(item: Item) -> int:
    """How many of its owners wait for their dependents to go."""
    return item.owners_in("waiting")


@law.fact
def removable(item: Item) -> int:
    """How many of its owner references point to an owner that is gone or going."""
    return item.owners_in("dangling", "waiting")


@law.fact
def unknown(item: Item) -> int:
    """Of how many of its owners nobody can tell whether they exist: their kind is not known."""
    return item.owners_in("unknown")


@law.fact
def dependents(item: Item) -> int:
    """How many dependents it has itself."""
    return len(item.dependents_of_item)


@law.fact
def circular(item: Item) -> bool:
    """Whether a dependent waits for its own dependents, so that objects may wait for each other in a circle."""
    return any(map(_deletes_dependents, item.dependents_of_item))


@law.fact
def misplaced(item: Item) -> int:
    """How many of its absent owners live in another namespace, where it cannot refer to them."""
    return len(_misplaced(item))


def _misplaced(item: Item) -> tuple[OwnerReference, ...]:
    absent = [owner for owner, state in item.references if state == "dangling"]
    return tuple(owner for owner in absent if _elsewhere(owner, item))


def _elsewhere(owner: OwnerReference, item: Item) -> bool:
    own = item.object.metadata.namespace
    return any(
        found.metadata.uid == owner.uid and found.metadata.namespace != own for found in item.view.list(owner.kind)
    )


# -- actions ----------------------------------------------------------------------------------------------------------


def _patch_references(obj: Any, strategic: list[dict[str, Any]], left: list[dict[str, Any]]) -> Patch:
    """A change of owner references: item by item where the server knows how (built-in kinds), else as a whole list.

    Source: pkg/controller/garbagecollector/patch.go.
    """
    meta = obj.metadata
    if obj.kind in KINDS:
        body = {"metadata": {"uid": meta.uid, **({"ownerReferences": strategic} if strategic else {})}}
        return Patch(key=key_of(obj), body=body, type="strategic")
    body = {"metadata": {"resourceVersion": meta.resource_version, "ownerReferences": left}}
    return Patch(key=key_of(obj), body=body, type="merge")


def _without_owners(obj: Any, uids: tuple[str, ...]) -> Patch:
    left = [_reference(owner) for owner in obj.metadata.owner_references if owner.uid not in uids]
    return _patch_references(obj, [{"$patch": "delete", "uid": uid} for uid in uids], left)


def _reference(owner: OwnerReference) -> dict[str, Any]:
    """An owner reference in JSON form."""
    names = {"apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid}
    flags = {"controller": owner.controller, "blockOwnerDeletion": owner.block_owner_deletion}
    return {**names, **{name: value for name, value in flags.items() if value is not None}}


def _without_finalizer(obj: Any, name: str) -> Patch:
    left = [entry for entry in obj.metadata.finalizers if entry != name]
    body = {"metadata": {"resourceVersion": obj.metadata.resource_version, "finalizers": left or None}}
    return Patch(key=key_of(obj), body=body)


@law.action
def orphan_dependents(item: Item, decision: Decision) -> Iterable[Parallel]:
    """Take the reference to this owner from all its dependents, all at once."""
    uid = item.object.metadata.uid
    yield Parallel(writes=tuple(_without_owners(obj, (uid,)) for obj in item.dependents_of_item))


@law.action
def drop_orphan_finalizer(item: Item, decision: Decision) -> Iterable[Step]:
    """Let the object go; its dependents stay."""
    yield _without_finalizer(item.latest, ORPHAN)


@law.action
def drop_foreground_finalizer(item: Item, decision: Decision) -> Iterable[Step]:
    """Let the object go; its dependents are gone."""
    yield _without_finalizer(item.latest, FOREGROUND)


@law.action
def look_at_dependents(item: Item, decision: Decision) -> Iterable[Step]:
    """Look at the dependents that it waits for, unless they wait for dependents themselves."""
    for dependent in item.blocking:
        if not _deletes_dependents(dependent):
            yield Look(key=key_of(dependent))


@law.action
def drop_references(item: Item, decision: Decision) -> Iterable[Step]:
    """Take away the references to owners that are gone or going; another owner keeps the object."""
    uids = [owner.uid for gone in ("dangling", "waiting") for owner, state in item.references if state == gone]
    yield _without_owners(item.latest, tuple(uids))


@law.action
def unblock_owners(item: Item, decision: Decision) -> Iterable[Step]:
    """Let no owner wait for this object any more. Source: patch.go: unblockOwnerReferencesStrategicMergePatch."""
    own = item.latest.metadata.owner_references
    unblocked = [_reference(evolve(owner, block_owner_deletion=False)) for owner in own if owner.block_owner_deletion]
    whole = [_reference(evolve(owner, block_owner_deletion=False)) for owner in own]
    yield _patch_references(item.latest, unblocked, whole)


@law.action
def delete_item(item: Item, decision: Decision) -> Iterable[Step]:
    """Delete it, as it was when it was judged."""
    meta = item.latest.metadata
    yield Delete(
        key=key_of(item.latest),
        uid=meta.uid,
        resource_version=meta.resource_version,
        propagation=decision.outputs["policy"],
    )


@law.action
def report_misplaced(item: Item, decision: Decision) -> Iterable[Step]:
    """Tell of owners in other namespaces. Source: graph_builder.go: reportInvalidNamespaceOwnerRef."""
    namespace = item.object.metadata.namespace
    for owner in _misplaced(item):
        it = f"{owner.api_version}/{owner.kind}, namespace: {namespace}, name: {owner.name}, uid: {owner.uid}"
        text = f'ownerRef [{it}] does not exist in namespace "{namespace}"'
        yield Record(regarding=item.object, type="Warning", reason="OwnerRefInvalidNamespace", message=text)


@value
class Refused:
    """A DELETE that was refused, and the object as it was judged."""

    delete: Delete
    outcome: Outcome
    judged: Any


@law.fact
def changed_meanwhile(case: Refused) -> bool:
    """Whether the DELETE was refused because the object was not at the revision at which it was judged."""
    return case.outcome.code == 409 and bool(case.delete.resource_version)


@law.fact
def owners_changed(case: Refused) -> bool:
    """Whether the object has other owner references now, or is another object."""
    now, then = case.outcome.object.metadata, case.judged.metadata
    return (now.uid, now.owner_references) != (then.uid, then.owner_references)


@law.action
def delete_at_any_revision(case: Refused, decision: Decision) -> Iterable[Step]:
    """Delete it, whatever else of it changed."""
    yield evolve(case.delete, resource_version="", why=None)


class GarbageCollector:
    """Reconciles any object that has owners or dependents."""

    name = "garbage-collector"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Delete what no owner keeps; let go what waits for nothing any more."""
        item = Item(view.get(*key), view)
        steps = law.perform(law.decide("item", item), item)
        if not steps:
            return Plan()
        together = isinstance(steps[0], Parallel)
        first, rest = (steps[:1], steps[1:]) if together else (steps, ())
        return Plan(steps=first, then=lambda outcomes: _judged(item, outcomes, rest))


def _judged(item: Item, outcomes: tuple[Outcome, ...], rest: tuple[Step | Parallel, ...]) -> Plan:
    """Go on with the rest where all is well, or what failed does not matter; else try the object again."""
    failed = next((outcome for outcome in outcomes if not outcome.ok), None)
    if failed is None:
        return Plan(steps=rest)
    if isinstance(failed.request, Delete):
        case = Refused(failed.request, failed, item.latest)
        decision = law.decide("refused-delete", case)
        return Plan(steps=law.perform(decision, case), error="" if decision.actions else failed.message)
    # A dependent that is gone by now needs no patch; any other error is tried again as a whole.
    lost = next((outcome for outcome in outcomes if not outcome.ok and outcome.code != 404), None)
    return Plan(steps=rest) if rest and lost is None else Plan(error=failed.message)
