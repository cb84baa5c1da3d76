"""The EndpointSlice controller: the slices of each Service with a selector.

Source: pkg/controller/endpointslice/endpointslice_controller.go; staging/src/k8s.io/endpointslice/reconciler.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from attrs import define, field

from k8sfsm.controllers.endpoints_pods import services_of_pod
from k8sfsm.controllers.endpoints_service import ask_about_services
from k8sfsm.controllers.endpoints_trigger import ReadinessTimes, annotated, trigger_time
from k8sfsm.controllers.endpointslice_drafts import Draft, Drafts
from k8sfsm.controllers.endpointslice_hints import Hinted, Hinting, give_hints
from k8sfsm.controllers.endpointslice_members import AddressType, Members, Wanted, Zones, address_types, law
from k8sfsm.controllers.endpointslice_packing import MANAGER, Packing, reuse
from k8sfsm.controllers.endpointslice_shelf import Shelf, Shelves
from k8sfsm.controllers.endpointslice_tracker import (
    Managed,
    cache_is_stale,
    hints_key,
    observe,
    slice_key,
    slices_key,
    tracked_slices,
)
from k8sfsm.controllers.endpointslice_writes import Pass, Progress, SliceWrite, next_plan
from k8sfsm.controllers.endpointslice_zones import Ratios
from k8sfsm.controllers.following import Memo, pods_of
from k8sfsm.law import Decision
from k8sfsm.objects import EndpointSlice, Service, evolve
from k8sfsm.request import DONE, Key, Plan, Remember, Step
from k8sfsm.value import value
from k8sfsm.view import Change, View

NAME: Final = "endpointslice-controller"

law.key(services_of_pod)
ask_about_services(law)


@value
class Sync:
    """The case of `sync`: a key of the queue, its Service, and whether the cache of its slices is old."""

    key: Key
    service: Service | None
    is_stale: Callable[[], bool]
    uids: tuple[str, ...]


@value
class OldFamily:
    """The case of `family`: the address type of stored slices, and the families of their Service."""

    address_type: str
    types: tuple[AddressType, ...]


@define
class Computing:
    """What a sync computes: its passes, what it could not do, and the memory of hints."""

    service: Service
    time: int | None
    hinted: Hinted
    passes: list[Pass] = field(factory=list)
    errors: list[str] = field(factory=list)


# -- facts and actions -----------------------------------------------------------------------------------------------


@law.fact
def cache_stale(sync: Sync) -> bool:
    """The cache shows a slice older than this controller made it (table `slice-cache`)."""
    return sync.is_stale()


@law.fact
def type_supported(case: OldFamily) -> bool:
    """The Service has the slices' IP family."""
    return case.address_type in case.types


@law.action
def forget_service(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Forget what is remembered of the Service's pods and slices."""
    forgotten = (("trigger", sync.key[1], sync.key[2]), slices_key(sync.key), *(slice_key(uid) for uid in sync.uids))
    return tuple(Remember(key=key, value=None) for key in forgotten)


# -- the controller --------------------------------------------------------------------------------------------------


class _Followed:
    """What is computed once for a version of a Service."""

    def __init__(self, service: Service, limit: int) -> None:
        families = address_types(service)
        self.service = service
        self.members = {family: Members(service, family) for family in families}
        self.packings = {family: Packing(service, family, limit) for family in families}
        self.shelves = Shelves()
        self.times = ReadinessTimes(service)


class EndpointSliceController:
    """Reconciles Services: keys are ("Service", namespace, name). `limit`: most endpoints in one slice."""

    name = NAME
    law = law

    def __init__(self, limit: int | None = None) -> None:
        self._limit = int(law.constant("endpoints_per_slice")) if limit is None else limit
        self._followed: Memo[_Followed] = Memo(1024)
        self._managed = Managed(MANAGER)
        self._zones = Zones()
        self._ratios = Ratios()

    def observe(self, change: Change, view: View) -> tuple[Remember, ...]:
        """What a change that the informer shows does to the controller's memory."""
        return observe(change, view)

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about the slices of one Service."""
        service: Service | None = view.get("Service", key[1], key[2])
        followed = None if service is None else self._follow(view, key, service)
        shown = {} if followed is None else followed.shelves.generations
        tracked = tracked_slices(view.memory, key)
        sync = Sync(key, service, lambda: cache_is_stale(view.memory, tracked, shown), tuple(tracked))
        decision = law.decide("sync", sync)
        if decision.outputs["publish"] and followed is not None:
            return self._publish(view, sync, followed)
        error = "EndpointSlice informer cache is out of date" if decision.outputs["error"] else ""
        steps = law.perform(decision, sync)
        return Plan(steps=steps, error=error) if steps or error else DONE

    def _follow(self, view: View, key: Key, service: Service) -> _Followed:
        """What is known of a Service, with its slices as they are in the view: in order of creation, unless chance
        decides among them.
        """
        followed = self._followed.of(service, lambda service: _Followed(service, self._limit))
        if view.tie_break is None:
            followed.shelves.follow(view.series("in", "EndpointSlice", key[1]), MANAGER, key[2])
            return followed
        slices = [stored for stored in self._managed.of(view, key) if stored.metadata.deletion_timestamp is None]
        followed.shelves.see(view.by_chance(slices))
        return followed

    def _publish(self, view: View, sync: Sync, followed: _Followed) -> Plan:
        service = followed.service
        listed = pods_of(view, sync.key[1])
        seen_key = ("trigger", sync.key[1], sync.key[2])
        time, remember = trigger_time(followed.times.look(listed, view.memory.get(seen_key)), seen_key)
        hinted: Hinted = view.memory.get(hints_key(sync.key), Hinted())
        computing = Computing(service, time, hinted)
        last = _of_other_families(followed.shelves, tuple(followed.members), service)
        for write in last:
            computing.hinted = computing.hinted.without(write.slice.address_type)
        for family, members in followed.members.items():
            wanted = members.wanted(listed, self._zones.of(view))
            self._compute(computing, view, followed.packings[family], wanted, followed.shelves.shelf(family))
        computing.passes.append(Pass(tuple(last), last=True))
        steps: tuple[Step, ...] = (*remember, *_hints_memory(sync.key, hinted, computing.hinted))
        passes, errors = tuple(computing.passes), tuple(computing.errors)
        return next_plan(Progress(sync.key, service, sync.uids, passes, errors, steps))

    def _compute(
        self,
        computing: Computing,
        view: View,
        packing: Packing,
        wanted: Wanted,
        shelf: Shelf,
    ) -> None:
        """Add the pass of one family."""
        service = computing.service
        drafts = packing.drafts(wanted, shelf)
        hinting = Hinting(service, packing.family, drafts, lambda: self._ratios.of(view), computing.hinted)
        give_hints(hinting)
        computing.hinted = hinting.memory
        computing.errors.extend(wanted.errors)
        computing.passes.append(Pass(tuple(_writes(drafts, service, computing.time)), tuple(hinting.events)))


def _of_other_families(shelves: Shelves, types: tuple[AddressType, ...], service: Service) -> list[SliceWrite]:
    """The deletions of slices whose family the Service does not have."""
    decisions = {kind: law.decide("family", OldFamily(kind, types)) for kind in shelves.by_type}
    others = {kind: decision.why for kind, decision in decisions.items() if not decision.outputs["reconciled"]}
    return [SliceWrite("delete", stored, service, others[stored.address_type]) for stored in shelves.of(others)]


def _hints_memory(key: Key, before: Hinted, after: Hinted) -> tuple[Remember, ...]:
    if before == after:
        return ()
    return (Remember(key=hints_key(key), value=None if after == Hinted() else after),)


def _writes(drafts: Drafts, service: Service, time: int | None) -> Iterable[SliceWrite]:
    """The writes of a pass in the order in which they are sent."""
    replaced = reuse(drafts, service)
    for draft in drafts.create:
        yield SliceWrite("create", _written(draft, time), service, draft.why)
    for draft in drafts.update:
        yield SliceWrite("update", _written(draft, time), service, draft.why)
    for draft, stored in replaced:
        written = _written(draft, time)
        meta = evolve(written.metadata, name=stored.metadata.name)
        yield SliceWrite("update", evolve(written, metadata=meta), service, draft.why)
    for stored in drafts.delete:
        yield SliceWrite("delete", stored, service, drafts.causes[stored.metadata.name])


def _written(draft: Draft, time: int | None) -> EndpointSlice:
    meta = draft.base.metadata
    meta = evolve(meta, labels=draft.labels, annotations=annotated(meta.annotations, time))
    return evolve(draft.base, metadata=meta, endpoints=tuple(draft.endpoints))
