"""How endpoints are put into EndpointSlices: few writes count for more than full slices.

Source: staging/src/k8s.io/endpointslice/reconciler.go: reconcileByPortMapping, reconcileByAddressType.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from operator import is_
from typing import Final

from attrs import define, field

from k8sfsm.controllers.endpoints_pods import is_headless
from k8sfsm.controllers.endpointslice_members import (
    AddressType,
    PortGroup,
    Ports,
    Wanted,
    identity_of,
    law,
    port_group,
    same_beyond_identity,
)
from k8sfsm.controllers.endpointslice_placement import Placement
from k8sfsm.controllers.following import Memo
from k8sfsm.kinds.endpointslice import MANAGED_BY, SERVICE_NAME
from k8sfsm.law import Decision
from k8sfsm.objects import Endpoint, EndpointSlice, ObjectMeta, OwnerReference, Service, evolve
from k8sfsm.request import Why
from k8sfsm.value import value

HEADLESS: Final = "service.kubernetes.io/headless"
MANAGER: Final = "endpointslice-controller.k8s.io"
_RESERVED: Final = (SERVICE_NAME, MANAGED_BY, HEADLESS)


@define
class Draft:
    """A slice to be written: `base` is the stored one, or a new one without a name; `why`: the rule that ordered it."""

    base: EndpointSlice
    endpoints: list[Endpoint]
    labels: Mapping[str, str]
    why: Why | None = None

    @property
    def name(self) -> str:
        """The stored slice's name, or ""."""
        return self.base.metadata.name


@define
class Drafts:
    """What is to become of a Service's slices of one family. Hints change the drafts further.

    `causes`: why slices are deleted, by name.
    """

    create: list[Draft] = field(factory=list)
    update: list[Draft] = field(factory=list)
    delete: list[EndpointSlice] = field(factory=list)
    unchanged: list[EndpointSlice] = field(factory=list)
    causes: dict[str, Why] = field(factory=dict)


class Known:
    """What is computed once for each stored slice."""

    __slots__ = ("group", "hinted", "identities", "matched", "ready", "wrong_hints")

    def __init__(self, stored: EndpointSlice) -> None:
        self.group = port_group(stored.ports)
        self.identities = tuple(map(identity_of, stored.endpoints))
        self.hinted = any(endpoint.hints is not None for endpoint in stored.endpoints)
        self.ready = sum(1 for endpoint in stored.endpoints if endpoint.conditions.ready)
        self.matched: list[Endpoint] = list(stored.endpoints)
        self.wrong_hints: dict[str, bool] = {}

    def matches(self, place: int, stored: EndpointSlice, wanted: Endpoint) -> bool:
        """Is the stored endpoint at `place` the wanted one? A match is remembered, so that it costs nothing again."""
        if self.matched[place] is wanted:
            return True
        if not same_beyond_identity(stored.endpoints[place], wanted):
            return False
        self.matched[place] = wanted
        return True


def _identities_of(known: Memo[Known], stored: EndpointSlice) -> tuple[str, ...]:
    return known.of(stored, Known).identities


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

    def __init__(self, service: Service, family: AddressType, limit: int, known: Memo[Known]) -> None:
        self._service = service
        self.family: AddressType = family
        self._limit = limit
        self._known = known
        self._fates: Memo[dict[bool, Decision]] = Memo(4096)
        self._placements: dict[str, Placement] = {}

    def drafts(self, wanted: Wanted, existing: tuple[EndpointSlice, ...]) -> Drafts:
        """What is to be written so that the slices hold the wanted endpoints. `existing`: of this family."""
        drafts = Drafts()
        packed: dict[str, list[EndpointSlice]] = {}
        unwanted: list[EndpointSlice] = []
        self._fates.limit = max(4096, 8 * len(existing))
        for stored in existing:
            group = self._known.of(stored, Known).group
            decision = self._fate(stored, group, wanted)
            if decision.outputs["fate"] == "pack":
                packed.setdefault(group, []).append(stored)
                continue
            drafts.causes[stored.metadata.name] = decision.why
            (drafts.delete if decision.outputs["fate"] == "delete-first" else unwanted).append(stored)
        for name, group_wanted in wanted.groups.items():
            self._pack(drafts, name, group_wanted, packed.get(name, []))
        drafts.delete += unwanted
        self._hold_place(drafts, len(existing))
        changed = {id(draft.base) for draft in drafts.update} | {id(stored) for stored in drafts.delete}
        drafts.unchanged = [stored for stored in existing if id(stored) not in changed]
        return drafts

    def _fate(self, stored: EndpointSlice, group: str, wanted: Wanted) -> Decision:
        """What becomes of a slice: asked once about it while its ports are wanted, and once while they are not."""
        known, is_wanted = self._fates.of(stored, lambda _: {}), group in wanted.groups
        if is_wanted not in known:
            known[is_wanted] = law.decide("existing", Existing(stored, self._service, group, wanted.groups))
        return known[is_wanted]

    def _pack(self, drafts: Drafts, name: str, group: PortGroup, existing: list[EndpointSlice]) -> None:
        placement = self._placements.get(name)
        if placement is None or placement.group is not group:
            placement = self._placements[name] = Placement(group, partial(_identities_of, self._known))
        orderly = placement.follow(existing)
        remaining = group.in_order(placement.homeless if orderly else group.endpoints)
        update: list[Draft] = []
        unchanged: list[EndpointSlice] = []
        for stored in existing:
            if placement.is_settled(stored):
                unchanged.append(stored)
                continue
            identities = self._known.of(stored, Known).identities
            kept = tuple([group.endpoints.get(each) if orderly else remaining.pop(each, None) for each in identities])
            if self._keep(stored, kept, drafts, update, unchanged) and orderly:
                placement.settle(stored)
        if remaining and update:
            for draft in law.order("fill-order", update, None):
                self._fill(draft, remaining)
        while remaining:
            draft = self._place(remaining, group, unchanged)
            self._fill(draft, remaining)
            (update if draft.name else drafts.create).append(draft)
        drafts.update += update

    def _keep(
        self,
        stored: EndpointSlice,
        kept: tuple[Endpoint | None, ...],
        drafts: Drafts,
        update: list[Draft],
        unchanged: list[EndpointSlice],
    ) -> bool:
        """Step 1: sort a stored slice, of which `kept` is left, into those to be written, deleted or left (True)."""
        known = self._known.of(stored, Known)
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
            unchanged.append(stored)
            return True
        return False

    def _place(self, remaining: dict[str, Endpoint], group: PortGroup, unchanged: list[EndpointSlice]) -> Draft:
        """Step 3: the slice that takes endpoints for which the slices being written have no room."""
        fullest = self._fullest(unchanged, len(remaining))
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
