"""Hints: which clients should use an endpoint, by the CPU of zones (annotation) or by spec.trafficDistribution.

Source: staging/src/k8s.io/endpointslice/topologycache, staging/src/k8s.io/endpointslice/trafficdist/trafficdist.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

from attrs import define, field
from immutables import Map

from k8sfsm.controllers.endpointslice_drafts import Draft, Drafts
from k8sfsm.controllers.endpointslice_members import AddressType, law
from k8sfsm.controllers.endpointslice_shelf import Known
from k8sfsm.controllers.endpointslice_zones import allocate, giving_and_receiving, move_hints
from k8sfsm.law import Decision
from k8sfsm.objects import Endpoint, EndpointHints, EndpointSlice, ForNode, ForZone, Service, evolve
from k8sfsm.request import Record, Step, Why
from k8sfsm.value import value

MODE: Final = "service.kubernetes.io/topology-mode"
DEPRECATED_MODE: Final = "service.kubernetes.io/topology-aware-hints"
_DISTRIBUTIONS: Final = ("PreferClose", "PreferSameZone", "PreferSameNode")


@value
class Hinted:
    """What is remembered of a Service's hints by zone: are they on, and how many each zone has, by family."""

    populated: bool = False
    families: Map[str, Map[str, int]] = field(factory=Map)

    def without(self, family: str) -> Hinted:
        """The memory after the hints of a family were removed."""
        families = self.families.delete(family) if family in self.families else self.families
        return Hinted(False, families)


@define
class Hinting:
    """The hints of one pass: the drafts that they change, the memory that they leave, the events that they cause."""

    service: Service
    family: AddressType
    drafts: Drafts
    ratios_of_nodes: Callable[[], Mapping[str, float] | None]
    memory: Hinted
    events: list[Step] = field(factory=list)
    zoned: bool = True
    hints: dict[str, int] = field(factory=dict)

    @property
    def ratios(self) -> Mapping[str, float] | None:
        """Each zone's share of the CPU; None where nodes or zones do not suffice."""
        return self.ratios_of_nodes()

    @property
    def total(self) -> int:
        """How many endpoints of all slices are ready."""
        written = (draft.endpoints for draft in (*self.drafts.create, *self.drafts.update))
        ready = sum(1 for endpoints in written for endpoint in endpoints if endpoint.conditions.ready)
        return ready + sum(self.drafts.stored.of(stored).ready for stored in self.drafts.unchanged)


@value
class EndpointHint:
    """The case of `distribution-hint`: one endpoint, and how its Service wants traffic to be distributed."""

    endpoint: Endpoint
    distribution: str


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def topology_wanted(hinting: Hinting) -> bool:
    """An annotation of the Service asks for hints by zone; the deprecated one is looked at first."""
    annotations = hinting.service.metadata.annotations
    return annotations.get(DEPRECATED_MODE, annotations.get(MODE)) in ("Auto", "auto")


@law.fact
def distribution_given(hinting: Hinting) -> bool:
    """The Service's trafficDistribution is one that gives hints."""
    return hinting.service.spec.traffic_distribution in _DISTRIBUTIONS


@law.fact
def hints_populated(hinting: Hinting) -> bool:
    """The Service has hints by zone since an earlier sync."""
    return hinting.memory.populated


@law.fact
def node_info_sufficient(hinting: Hinting) -> bool:
    """All ready nodes have a zone and CPU, and there are two zones or more."""
    return hinting.ratios is not None


@law.fact
def zones_short_of_endpoints(hinting: Hinting) -> bool:
    """There are more zones than ready endpoints."""
    return hinting.ratios is not None and len(hinting.ratios) > hinting.total


@law.fact
def minimum_exceeded(hinting: Hinting) -> bool:
    """The zones need more endpoints than there are, to be overloaded by less than the threshold."""
    if hinting.ratios is None:
        return False
    return sum(share.minimum for share in allocate(hinting.ratios, hinting.total).values()) > hinting.total


@law.fact
def every_endpoint_zoned(hinting: Hinting) -> bool:
    """Every ready endpoint that is being written has a zone."""
    return hinting.zoned


@law.fact
def any_hint(hinting: Hinting) -> bool:
    """A zone got an endpoint."""
    return bool(hinting.hints)


@law.fact
def ready(case: EndpointHint) -> bool:
    """The endpoint is ready."""
    return bool(case.endpoint.conditions.ready)


@law.fact
def has_zone(case: EndpointHint) -> bool:
    """The endpoint's zone is known."""
    return case.endpoint.zone is not None


@law.fact
def has_node(case: EndpointHint) -> bool:
    """The endpoint's node is known."""
    return case.endpoint.node_name is not None


@law.fact
def prefers_node(case: EndpointHint) -> bool:
    """Traffic should stay on its node."""
    return case.distribution == "PreferSameNode"


# -- actions: events -------------------------------------------------------------------------------------------------


def _event(hinting: Hinting, type: Literal["Normal", "Warning"], reason: str, text: str) -> tuple[Record]:
    message = f"{text}, addressType: {hinting.family}"
    return (Record(regarding=hinting.service, type=type, reason=reason, message=message),)


def _disabled(hinting: Hinting, text: str) -> tuple[Record]:
    return _event(hinting, "Warning", "TopologyAwareHintsDisabled", text)


def _counted(hinting: Hinting) -> str:
    return f"({hinting.total} endpoints, {len(hinting.ratios or ())} zones)"


@law.action
def record_hints_removed(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: the annotation is gone."""
    return _disabled(hinting, "Topology Aware Hints has been disabled")


@law.action
def record_insufficient_nodes(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: nodes lack a zone or CPU, or there is one zone only."""
    text = "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes"
    return _disabled(hinting, text)


@law.action
def record_few_endpoints(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: fewer endpoints than zones."""
    return _disabled(hinting, f"Insufficient number of endpoints {_counted(hinting)}")


@law.action
def record_minimum_exceeded(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: some zone would be overloaded."""
    text = "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
    return _disabled(hinting, f"{text} {_counted(hinting)}")


@law.action
def record_no_zone(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: an endpoint has no zone."""
    return _disabled(hinting, "One or more endpoints do not have a zone specified")


@law.action
def record_no_hints(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: no zone got an endpoint."""
    return _disabled(hinting, "No hints allocated for zones")


@law.action
def record_hints_enabled(hinting: Hinting, decision: Decision) -> Iterable[Step]:
    """Event: hints are given from now on."""
    return _event(hinting, "Normal", "TopologyAwareHintsEnabled", "Topology Aware Hints has been enabled")


# -- the passes ------------------------------------------------------------------------------------------------------


def give_hints(hinting: Hinting) -> None:
    """Put hints on the drafts, or take them away; unchanged slices become drafts where theirs are wrong."""
    _report(hinting, "hints-given-up")
    decision = law.decide("hints", hinting)
    if decision.outputs["hints"] == "topology":
        _by_zone(hinting)
        return
    hinting.memory = hinting.memory.without(hinting.family)
    if decision.outputs["hints"] == "distribution":
        _by_distribution(hinting, decision.why)
    else:
        _remove(hinting, decision.why)


def _report(hinting: Hinting, table: str) -> Decision:
    decision = law.decide(table, hinting)
    for step in law.perform(decision, hinting):
        assert isinstance(step, Record)
        hinting.events.append(step)
    return decision


def _remove(hinting: Hinting, why: Why) -> None:
    """Source: staging/src/k8s.io/endpointslice/topologycache/utils.go: RemoveHintsFromSlices."""
    drafts = hinting.drafts
    for draft in (*drafts.create, *drafts.update):
        draft.endpoints = _without(draft.endpoints)
    for stored in drafts.unchanged_hinted:
        drafts.update.append(_draft(stored, _without(stored.endpoints), why))


def _draft(stored: EndpointSlice, endpoints: Iterable[Endpoint], why: Why) -> Draft:
    return Draft(stored, list(endpoints), stored.metadata.labels, why)


def _without(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    return [each if each.hints is None else _with(each, None) for each in endpoints]


def _with(endpoint: Endpoint, hints: EndpointHints | None) -> Endpoint:
    return endpoint if endpoint.hints == hints else evolve(endpoint, hints=hints)


# -- by zone ---------------------------------------------------------------------------------------------------------


def _by_zone(hinting: Hinting) -> None:
    """Source: staging/src/k8s.io/endpointslice/topologycache/topologycache.go: AddHints."""
    decision = _report(hinting, "zone-allocation")
    if decision.actions:
        hinting.memory = hinting.memory.without(hinting.family)
        _remove(hinting, decision.why)
        return
    shares = allocate(hinting.ratios or {}, hinting.total)
    for stored in hinting.drafts.unchanged:
        kept = _kept_hints(stored, hinting.hints, {zone: share.maximum for zone, share in shares.items()})
        if kept is None:
            hinting.drafts.update.append(_draft(stored, stored.endpoints, decision.why))
            continue
        for zone, count in kept.items():
            hinting.hints[zone] = hinting.hints.get(zone, 0) + count
    written = (*hinting.drafts.create, *hinting.drafts.update)
    for draft in written:
        _own_zones(hinting, draft)
    if hinting.zoned:
        giving, receiving = giving_and_receiving(shares, hinting.hints)
        moved = move_hints([draft.endpoints for draft in written], giving, receiving)
        for zone, count in moved.items():
            hinting.hints[zone] = hinting.hints.get(zone, 0) + count
    outcome = _report(hinting, "zone-hints")
    if not outcome.outputs["kept"]:
        hinting.memory = hinting.memory.without(hinting.family)
        _remove(hinting, outcome.why)
        return
    families = hinting.memory.families.set(hinting.family, Map(hinting.hints))
    hinting.memory = Hinted(True, families)


def _own_zones(hinting: Hinting, draft: Draft) -> None:
    """Give each ready endpoint of a draft a hint for its own zone; stop where one has none."""
    for place, endpoint in enumerate(draft.endpoints):
        if not endpoint.conditions.ready or not hinting.zoned:
            continue
        if not endpoint.zone:
            hinting.zoned = False
            continue
        hinting.hints[endpoint.zone] = hinting.hints.get(endpoint.zone, 0) + 1
        hints = EndpointHints(for_zones=(ForZone(name=endpoint.zone),))
        draft.endpoints[place] = _with(endpoint, hints)


def _kept_hints(stored: EndpointSlice, given: Mapping[str, int], most: Mapping[str, int]) -> dict[str, int] | None:
    """How many hints each zone has in a slice that is not written; None where they cannot stay.

    Source: staging/src/k8s.io/endpointslice/topologycache/utils.go: getHintsByZone.
    """
    found: dict[str, int] = {}
    for endpoint in stored.endpoints:
        if not endpoint.conditions.ready:
            continue
        if endpoint.hints is None or not endpoint.hints.for_zones:
            return None
        for hint in endpoint.hints.for_zones:
            if hint.name not in most:
                return None
            found[hint.name] = found.get(hint.name, 0) + 1
    if any(count + given.get(zone, 0) > most[zone] for zone, count in found.items()):
        return None
    return found


# -- by distribution -------------------------------------------------------------------------------------------------


def _by_distribution(hinting: Hinting, why: Why) -> None:
    """Source: staging/src/k8s.io/endpointslice/trafficdist/trafficdist.go: ReconcileHints."""
    drafts, distribution = hinting.drafts, hinting.service.spec.traffic_distribution or ""
    for stored in drafts.unchanged:
        if _is_wrong(drafts.stored.of(stored), stored, distribution):
            drafts.update.append(_draft(stored, stored.endpoints, why))
    for draft in (*drafts.create, *drafts.update):
        draft.endpoints = [distributed(endpoint, distribution) for endpoint in draft.endpoints]


def _is_wrong(known: Known, stored: EndpointSlice, distribution: str) -> bool:
    found = known.wrong_hints.get(distribution)
    if found is None:
        pairs = ((endpoint.hints, distributed(endpoint, distribution).hints) for endpoint in stored.endpoints)
        found = any((a or EndpointHints()) != (b or EndpointHints()) for a, b in pairs)
        known.wrong_hints[distribution] = found
    return found


def distributed(endpoint: Endpoint, distribution: str) -> Endpoint:
    """The endpoint with the hints that the distribution of traffic gives it."""
    decided = law.decide("distribution-hint", EndpointHint(endpoint, distribution)).outputs
    if decided["zone"] == "keep":
        return endpoint
    zones = (ForZone(name=endpoint.zone or ""),) if decided["zone"] == "own" else ()
    nodes = (ForNode(name=endpoint.node_name or ""),) if decided["node"] == "own" else ()
    return _with(endpoint, EndpointHints(for_zones=zones, for_nodes=nodes) if zones or nodes else None)
