"""How endpoints are put into EndpointSlices: few writes count for more than full slices.

Source: staging/src/k8s.io/endpointslice/reconciler.go: reconcileByPortMapping, reconcileByAddressType.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import is_
from typing import Final

from k8sfsm.controllers.endpoints_pods import is_headless
from k8sfsm.controllers.endpointslice_drafts import Draft, Drafts
from k8sfsm.controllers.endpointslice_members import (
    AddressType,
    PortGroup,
    Ports,
    Wanted,
    law,
)
from k8sfsm.controllers.endpointslice_placement import Placement
from k8sfsm.controllers.endpointslice_shelf import Known, Shelf
from k8sfsm.kinds.endpointslice import MANAGED_BY, SERVICE_NAME
from k8sfsm.law import Decision
from k8sfsm.objects import Endpoint, EndpointSlice, ObjectMeta, OwnerReference, Service, evolve
from k8sfsm.value import value

HEADLESS: Final = "service.kubernetes.io/headless"
MANAGER: Final = "endpointslice-controller.k8s.io"
_RESERVED: Final = (SERVICE_NAME, MANAGED_BY, HEADLESS)


# -- cases -----------------------------------------------------------------------------------------------------------


@value
class Existing:
    """The case of `existing`: a stored slice of the Service."""

    stored: EndpointSlice
    service: Service
    group: str
    wanted: Mapping[str, PortGroup]


@value
class Kept:
    """The case of `keep`: what is left of a stored slice (`kept`: a wanted endpoint or None for each stored one)."""

    stored: EndpointSlice
    service: Service
    kept: tuple[Endpoint | None, ...]
    changed: bool


@value
class Filling:
    """The case of `fill`: how many endpoints remain, and the unchanged slice that they would make fullest."""

    remaining: int
    limit: int
    fullest: EndpointSlice | None


@value
class Emptiness:
    """The case of `placeholder`."""

    drafts: Drafts
    existing: int
    placeholder: Draft


@value
class Reuse:
    """The case of `reuse`: a slice to be deleted, and those that are to be created."""

    stored: EndpointSlice
    service: Service
    create: tuple[Draft, ...]


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def owned(case: Existing | Reuse) -> bool:
    """The Service itself owns the slice, not an older one of its name."""
    return owned_by(case.stored, case.service)


def owned_by(stored: EndpointSlice, service: Service) -> bool:
    """Is the Service an owner of the slice?"""
    return any(
        owner.uid == service.metadata.uid and owner.kind == "Service" and owner.api_version == "v1"
        for owner in stored.metadata.owner_references
    )


@law.fact
def ports_wanted(case: Existing) -> bool:
    """A published pod resolves just these ports."""
    return case.group in case.wanted


@law.fact
def endpoints_changed(case: Kept) -> bool:
    """An endpoint of the slice changed or is not wanted any more."""
    return case.changed


@law.fact
def left(case: Kept) -> int:
    """How many of the slice's endpoints are still wanted."""
    return len(case.kept) - case.kept.count(None)


@law.fact
def labels_differ(case: Kept) -> bool:
    """The slice's labels are not the Service's; the controller's own labels and the headless one do not count."""
    return _foreign(case.stored.metadata.labels) != _foreign(case.service.metadata.labels)


def _foreign(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name not in _RESERVED}


@law.fact
def less_than_a_slice(case: Filling) -> bool:
    """The endpoints that remain are fewer than a slice may have."""
    return case.remaining < case.limit


@law.fact
def room_in_unchanged(case: Filling) -> bool:
    """A slice that is not being written has room for all of them."""
    return case.fullest is not None


@law.fact
def any_slice_left(case: Emptiness) -> bool:
    """A slice stays or is created."""
    return bool(case.drafts.create) or case.existing != len(case.drafts.delete)


@law.fact
def has_placeholder(case: Emptiness) -> bool:
    """The only slice to be deleted is just the placeholder that would be created."""
    if len(case.drafts.delete) != 1:
        return False
    stored, wanted = case.drafts.delete[0], case.placeholder.base
    return (
        stored.metadata.namespace == wanted.metadata.namespace
        and _with_values(stored.metadata.labels) == _with_values(case.placeholder.labels)
        and (stored.address_type, stored.endpoints, stored.ports) == (wanted.address_type, (), ())
    )


def _with_values(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels without the empty ones, which Go's comparison of placeholders cannot tell from absent ones."""
    return {name: value for name, value in labels.items() if value}


@law.fact
def endpoints_held(draft: Draft) -> int:
    """How many endpoints the slice has."""
    return len(draft.endpoints)


# -- slices ----------------------------------------------------------------------------------------------------------


def slice_labels(service: Service) -> dict[str, str]:
    """The labels of a slice of the Service. Source: endpointslice/utils.go: setEndpointSliceLabels."""
    labels = _foreign(service.metadata.labels)
    if is_headless(service):
        labels[HEADLESS] = ""
    return {**labels, SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}


def new_slice(service: Service, family: AddressType, ports: Ports) -> Draft:
    """An empty slice that the Service owns; the API server gives it a name."""
    meta = service.metadata
    owner = OwnerReference(
        api_version="v1", kind="Service", name=meta.name, uid=meta.uid, controller=True, block_owner_deletion=True
    )
    labels = slice_labels(service)
    base = EndpointSlice(
        metadata=ObjectMeta(
            generate_name=f"{meta.name}-", namespace=meta.namespace, labels=labels, owner_references=(owner,)
        ),
        address_type=family,
        ports=ports,
    )
    return Draft(base, [], labels)


# -- packing ---------------------------------------------------------------------------------------------------------


class Packing:
    """How a Service's slices of one family are packed, sync by sync."""

    def __init__(self, service: Service, family: AddressType, limit: int) -> None:
        self._service = service
        self.family: AddressType = family
        self._limit = limit
        self._begin()

    def _begin(self) -> None:
        self._shelf: Shelf | None = None
        self._groups: dict[str, Placement] = {}
        self._standing: dict[int, Placement] = {}
        self._unwanted: dict[int, tuple[EndpointSlice, Decision]] = {}
        self._hinted: dict[int, EndpointSlice] = {}

    def drafts(self, wanted: Wanted, shelf: Shelf) -> Drafts:
        """What is to be written so that the slices hold the wanted endpoints. `shelf`: the stored ones."""
        self._follow(wanted, shelf)
        drafts = Drafts(shelf, self._hinted)
        unwanted: list[EndpointSlice] = []
        for stored in shelf.in_order([stored for stored, _ in self._unwanted.values()]):
            decision = self._unwanted[id(stored)][1]
            drafts.causes[stored.metadata.name] = decision.why
            (drafts.delete if decision.outputs["fate"] == "delete-first" else unwanted).append(stored)
        for name in wanted.groups:
            self._pack(drafts, shelf, self._groups[name])
        drafts.delete += unwanted
        self._hold_place(drafts, len(shelf))
        return drafts

    def _follow(self, wanted: Wanted, shelf: Shelf) -> None:
        """Take over the slices that came and went; all of them where other ports are wanted than before."""
        gone, come = shelf.news()
        before, self._shelf = self._shelf, None  # nothing is known where this ends in an error
        if before is not shelf or self._groups.keys() != wanted.groups.keys():
            self._begin()
            gone, come = [], list(shelf.slices.values())
        for stored in gone:
            self._hinted.pop(id(stored), None)
            if self._unwanted.pop(id(stored), None) is None:
                self._standing.pop(id(stored)).take(stored)
        for name, group in wanted.groups.items():
            self._begin_group(name, group, shelf)
        for stored in come:
            known = shelf.of(stored)
            if known.hinted:
                self._hinted[id(stored)] = stored
            decision = law.decide("existing", Existing(stored, self._service, known.group, wanted.groups))
            if decision.outputs["fate"] == "pack":
                placement = self._standing[id(stored)] = self._groups[known.group]
                placement.put(stored, known.identities)
            else:
                self._unwanted[id(stored)] = stored, decision
        self._shelf = shelf

    def _begin_group(self, name: str, group: PortGroup, shelf: Shelf) -> None:
        """Look anew where the endpoints of a group stand, if it is another one than before."""
        before = self._groups.get(name)
        if before is not None and before.group is group:
            return
        placement = self._groups[name] = Placement(group, self._limit)
        for stored in before.slices.values() if before is not None else ():
            self._standing[id(stored)] = placement
            placement.put(stored, shelf.of(stored).identities)

    def _pack(self, drafts: Drafts, shelf: Shelf, placement: Placement) -> None:
        group, orderly = placement.group, placement.follow()
        remaining = group.in_order(placement.homeless if orderly else group.endpoints)
        update: list[Draft] = []
        unchanged = placement.settled_with_room() if orderly else []
        for stored in shelf.in_order((placement.unsettled if orderly else placement.slices).values()):
            known = shelf.of(stored)
            endpoints = group.endpoints
            kept = [endpoints.get(each) if orderly else remaining.pop(each, None) for each in known.identities]
            if self._keep(stored, known, tuple(kept), drafts, update):
                unchanged.append(stored)
                if orderly:
                    placement.settle(stored)
        if remaining and update:
            for draft in law.order("fill-order", update, None):
                self._fill(draft, remaining)
        while remaining:
            draft = self._place(remaining, group, unchanged, shelf)
            self._fill(draft, remaining)
            (update if draft.name else drafts.create).append(draft)
        drafts.update += update

    def _keep(
        self,
        stored: EndpointSlice,
        known: Known,
        kept: tuple[Endpoint | None, ...],
        drafts: Drafts,
        update: list[Draft],
    ) -> bool:
        """Step 1: sort a stored slice, of which `kept` is left, into those to be written, deleted or left (True)."""
        changed = not all(map(is_, kept, known.matched)) and not all(
            endpoint is not None and known.matches(place, stored, endpoint) for place, endpoint in enumerate(kept)
        )
        decision = law.decide("keep", Kept(stored, self._service, kept, changed))
        mark = decision.outputs["mark"]
        if mark == "delete":
            drafts.delete.append(stored)
            drafts.causes[stored.metadata.name] = decision.why
        elif mark == "update":
            found = [endpoint for endpoint in kept if endpoint is not None]
            update.append(Draft(stored, found, slice_labels(self._service), decision.why))
        elif mark == "relabel":
            update.append(Draft(stored, list(stored.endpoints), slice_labels(self._service), decision.why))
        else:
            return True
        return False

    def _place(
        self, remaining: dict[str, Endpoint], group: PortGroup, unchanged: list[EndpointSlice], shelf: Shelf
    ) -> Draft:
        """Step 3: the slice that takes endpoints for which the slices being written have no room."""
        fullest = self._fullest(shelf.in_order(unchanged), len(remaining))
        decision = law.decide("fill", Filling(len(remaining), self._limit, fullest))
        if decision.outputs["into"] == "new" or fullest is None:
            return evolve(new_slice(self._service, self.family, group.ports), why=decision.why)
        del unchanged[next(place for place, stored in enumerate(unchanged) if stored is fullest)]
        return Draft(fullest, list(fullest.endpoints), fullest.metadata.labels, decision.why)

    def _fullest(self, unchanged: list[EndpointSlice], count: int) -> EndpointSlice | None:
        """The slice that `count` more endpoints fill best without overflowing: the first of equals.

        Source: staging/src/k8s.io/endpointslice/utils.go: getSliceToFill.
        """
        fitting = [stored for stored in unchanged if len(stored.endpoints) + count <= self._limit]
        return max(fitting, key=lambda stored: len(stored.endpoints), default=None)

    def _fill(self, draft: Draft, remaining: dict[str, Endpoint]) -> None:
        room = self._limit - len(draft.endpoints)
        for identity in list(remaining)[: max(room, 0)]:
            draft.endpoints.append(remaining.pop(identity))

    def _hold_place(self, drafts: Drafts, existing: int) -> None:
        placeholder = new_slice(self._service, self.family, ())
        decision = law.decide("placeholder", Emptiness(drafts, existing, placeholder))
        if decision.outputs["placeholder"] == "keep":
            drafts.delete.clear()
        elif decision.outputs["placeholder"] == "create":
            drafts.create.append(evolve(placeholder, why=decision.why))


@law.fact
def creations_left(case: Reuse) -> bool:
    """There is a slice to be created still."""
    return bool(case.create)


@law.fact
def same_family(case: Reuse) -> bool:
    """The slice to be created has the IP family of the one to be deleted."""
    return bool(case.create) and case.create[-1].base.address_type == case.stored.address_type


def reuse(drafts: Drafts, service: Service) -> list[tuple[Draft, EndpointSlice]]:
    """Take slices out of `drafts.create` and `drafts.delete` in pairs: the new one is written over the old one."""
    pairs, deleted = [], []
    for stored in drafts.delete:
        if law.decide("reuse", Reuse(stored, service, tuple(drafts.create))).outputs["reused"]:
            pairs.append((drafts.create.pop(), stored))
        else:
            deleted.append(stored)
    drafts.delete = deleted
    return pairs
