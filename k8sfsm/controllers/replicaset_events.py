"""What watch events mean to the ReplicaSet controller: whom they wake, and which expectations they meet.

Source: pkg/controller/replicaset/replica_set.go: addRS, updateRS, deleteRS, addPod, updatePod, deletePod
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, Final, Literal

from k8sfsm.apiserver.memo import Memo
from k8sfsm.controllers import expectations as awaited
from k8sfsm.controllers.pod_changes import Changes, asked_in_bulk, keys_by_sort, sorts_of
from k8sfsm.controllers.replicaset_flavour import REPLICA_SETS, Flavour
from k8sfsm.controllers.selector import SelectorError, matcher
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Decision, Law
from k8sfsm.objects import Pod, controller_of, evolve, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Noticed, Remember
from k8sfsm.store import Change
from k8sfsm.table import CompiledTable
from k8sfsm.value import value
from k8sfsm.view import View, remembered

law: Final = Law("replicaset")


@value
class Event:
    """A watch event of an owner or a Pod, and the view that has it. `number`: how many there are like this one."""

    flavour: Flavour
    change: Change
    view: View
    number: int = 1

    @property
    def key(self) -> Key:
        """The key of the changed object."""
        return self.change.key

    def owner_of(self, pod: Pod | None) -> Any | None:
        """The object that the Pod's controller reference means: of the right kind, name and uid.

        Source: pkg/controller/replicaset/replica_set.go: resolveControllerRef
        """
        reference = None if pod is None else controller_of(pod)
        if pod is None or reference is None or reference.kind != self.flavour.kind:
            return None
        owner = self.view.get(self.flavour.kind, pod.metadata.namespace, reference.name)
        return owner if owner is not None and owner.metadata.uid == reference.uid else None


@law.fact
def event(case: Event) -> Literal["ADDED", "MODIFIED", "DELETED"]:
    """What happened."""
    return case.change.type


@law.fact
def same_uid(case: Event) -> bool:
    """The object is the same one as before, not another of its name."""
    return bool(case.change.old.metadata.uid == case.change.new.metadata.uid)


@law.fact
def resync(case: Event) -> bool:
    """Nothing happened: the informer showed what it had shown before."""
    return bool(case.change.old.metadata.resource_version == case.change.new.metadata.resource_version)


@law.fact
def pod_deleting(case: Event) -> bool:
    """The Pod's deletion has begun."""
    return case.change.new.metadata.deletion_timestamp is not None


@law.fact
def owner_found(case: Event) -> bool:
    """The Pod's controller reference means an object that there is."""
    return case.owner_of(case.change.new) is not None


@law.fact
def orphan(case: Event) -> bool:
    """The Pod has no controller reference."""
    return controller_of(case.change.new) is None


@law.fact
def labels_changed(case: Event) -> bool:
    """The Pod's labels changed."""
    return bool(case.change.old.metadata.labels != case.change.new.metadata.labels)


@law.fact
def owner_changed(case: Event) -> bool:
    """The Pod's controller reference changed."""
    old, new = controller_of(case.change.old), controller_of(case.change.new)
    return old is not new and old != new


@law.fact
def old_owner_found(case: Event) -> bool:
    """The Pod's former controller reference means an object that there is."""
    return case.owner_of(case.change.old) is not None


@law.fact
def became_ready(case: Event) -> bool:
    """The Pod was not ready and is now."""
    return not is_pod_ready(case.change.old) and is_pod_ready(case.change.new)


@law.fact
def wants_min_ready(case: Event) -> bool:
    """The Pod's owner has minReadySeconds."""
    owner = case.owner_of(case.change.new)
    return owner is not None and owner.spec.min_ready_seconds > 0


@law.action
def observe_creation(case: Event, decision: Decision) -> Iterable[Remember]:
    """One creation less to await for each."""
    return awaited.creation_seen(case.view, key_of(case.owner_of(case.change.new)), case.number)


@law.action
def observe_deletion(case: Event, decision: Decision) -> Iterable[Remember]:
    """Await the Pod's deletion no more."""
    owner = key_of(case.owner_of(case.change.new))
    return awaited.deletion_seen(case.view, owner, awaited.pod_key(case.change.new))


@law.action
def observe_deletion_by_old_owner(case: Event, decision: Decision) -> Iterable[Remember]:
    """The former owner awaits the Pod's deletion no more."""
    owner = key_of(case.owner_of(case.change.old))
    return awaited.deletion_seen(case.view, owner, awaited.pod_key(case.change.new))


@law.action
def forget_expectations(case: Any, decision: Decision) -> Iterable[Remember]:
    """Await nothing for this key."""
    return awaited.forget_expected(case.key)


@law.action
def forget_writes(case: Any, decision: Decision) -> Iterable[Remember]:
    """Wait for no writes for this key."""
    return awaited.forget_written(case.key)


def _matching(case: Event) -> Iterator[Any]:
    """Owners whose selector matches the Pod; a Pod without labels and an empty selector match nothing.

    Source: staging/src/k8s.io/client-go/listers/apps/v1/replicaset_expansion.go: GetPodReplicaSets
    """
    labels = case.change.new.metadata.labels
    for owner in case.view.list(case.flavour.kind, case.key[1]) if labels else ():
        selector = case.flavour.selector(owner)
        if selector is None or not (selector.match_labels or selector.match_expressions):
            continue
        try:
            selected = matcher(selector)(labels)
        except SelectorError:
            continue
        if selected:
            yield owner


def _woken(case: Event, who: str) -> Iterator[Key | tuple[Key, int]]:
    match who:
        case "owner":
            yield key_of(case.owner_of(case.change.new))
        case "old_owner":
            yield key_of(case.owner_of(case.change.old))
        case "owner_when_available":
            owner = case.owner_of(case.change.new)
            assert owner is not None
            yield key_of(owner), owner.spec.min_ready_seconds * SECOND
        case "matching":
            yield from map(key_of, _matching(case))
        case _:
            raise ValueError(f"column wakes of pod-events: unknown '{who}'")


_last: list[tuple[Any, Event, tuple[Decision, ...]]] = []
"""What was decided last: the observer and the key function of a controller ask about the same change in turn."""


def _about_pod(flavour: Flavour, change: Change, view: View) -> tuple[Event, tuple[Decision, ...]]:
    """A change of a Pod as a case of the table `pod-events`, and what the table says."""
    table = law.table("pod-events")
    if _last:
        asked, known, decisions = _last[0]
        if known.change is change and known.view is view and known.flavour is flavour and asked is table:
            return known, decisions
    case = Event(flavour, change, view)
    parts = _read(case, table)
    found: tuple[Decision, ...] | None = _DECIDED.get(parts)
    decisions = table.collect(case) if found is None else found
    if found is None:
        _DECIDED.put(parts, decisions)
    _last[:] = [(table, case, decisions)]
    return case, decisions


_DECIDED: Final = Memo()
"""What the table says about changes of Pods, by all that its facts read of them: most changes are like others."""


def _read(case: Event, table: CompiledTable) -> tuple[Any, ...]:
    """Whatever the facts of a change of a Pod depend on, each the very object."""
    old, new = case.change.old, case.change.new
    meta = new.metadata
    parts = (table, case.change.type, meta.owner_references, case.owner_of(new), meta.deletion_timestamp is None)
    if old is None:
        return parts
    before = old.metadata
    same = before.owner_references is meta.owner_references and before.namespace == meta.namespace
    return (
        *parts,
        before.owner_references,
        parts[3] if same else case.owner_of(old),
        before.resource_version == meta.resource_version,
        before.labels == meta.labels,
        is_pod_ready(new) and not is_pod_ready(old),
    )


def woken(flavour: Flavour, change: Change, view: View) -> Iterator[Key | tuple[Key, int]]:
    """The keys that a change of a Pod wakes, some after a time (ns)."""
    case, decisions = _about_pod(flavour, change, view)
    for decision in decisions:
        yield from _woken(case, decision.outputs["wakes"])


def observe(flavour: Flavour, change: Change, view: View) -> Iterator[Remember]:
    """What a change does to the controller's memory."""
    if change.key[0] == flavour.kind:
        case = Event(flavour, change, view)
        decisions: tuple[Decision, ...] = (law.decide("owner-events", case),)
    else:
        case, decisions = _about_pod(flavour, change, view)
    for decision in decisions:
        yield from _remembered(decision, case)


def notice(flavour: Flavour, changes: Changes, view: View) -> Noticed:
    """What a run of changes of Pods does to the controller's memory, and whom it wakes: each sort is looked at once."""
    steps: list[Remember] = []
    seen = view
    for group in sorts_of(changes):
        case, decisions = _about_pod(flavour, changes[group[0]], view)
        for decision in decisions:
            if decision.actions:
                for step in _remembered(decision, evolve(case, view=seen, number=len(group))):
                    steps.append(step)
                    seen = evolve(seen, memory=remembered(seen.memory, step))
    return Noticed(steps=tuple(steps), keys=keys_by_sort(partial(woken, flavour), sorts_of, changes, view))


def _remembered(decision: Decision, case: Event) -> Iterator[Remember]:
    for step in law.perform(decision, case):
        assert isinstance(step, Remember)
        yield step


@law.key
@asked_in_bulk(partial(notice, REPLICA_SETS))
def pod_owners(change: Change, view: View) -> Iterator[Key | tuple[Key, int]]:
    """ReplicaSets that a change of a Pod concerns."""
    return woken(REPLICA_SETS, change, view)
