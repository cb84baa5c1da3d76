"""The machines of Service, Endpoints and EndpointSlice: every edge, every actor."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from k8sfsm.machine import ABSENT, Machines
from k8sfsm.objects import (
    Endpoint,
    EndpointAddress,
    EndpointConditions,
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    ObjectMeta,
    Service,
    ServiceSpec,
)

MACHINES = Machines.load()
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
ACTORS = (
    "user",
    "apiserver",
    "kubelet",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "garbage-collector",
    "namespace-controller",
)


def subset(ready: int, unready: int) -> EndpointSubset:
    address = EndpointAddress(ip="10.0.0.1")
    return EndpointSubset(addresses=(address,) * ready, not_ready_addresses=(address,) * unready)


def endpoint(ready: bool | None) -> Endpoint:
    return Endpoint(conditions=EndpointConditions(ready=ready))


def slice_of(*ready: bool | None, manager: str = "") -> EndpointSlice:
    labels = {MANAGED_BY: manager} if manager else {}
    return EndpointSlice(metadata=ObjectMeta(labels=labels), endpoints=tuple(map(endpoint, ready)))


def service(type: str = "", cluster_ip: str = "10.0.0.1", external_name: str = "") -> Service:
    return Service(spec=ServiceSpec(type=type, cluster_ip=cluster_ip, external_name=external_name))


ENDPOINTS: dict[str, Any] = {
    "Empty": Endpoints(),
    "NotReady": Endpoints(subsets=(subset(0, 2),)),
    "Partial": Endpoints(subsets=(subset(2, 0), subset(0, 1))),
    "Ready": Endpoints(subsets=(subset(1, 0), subset(0, 0))),
}
SLICES: dict[str, Any] = {
    "Empty": slice_of(),
    "NotReady": slice_of(False),
    "Partial": slice_of(True, False),
    "Ready": slice_of(True, None),
}
MANAGEMENT: dict[str, Any] = {
    "Controlled": slice_of(manager="endpointslice-controller.k8s.io"),
    "Mirrored": slice_of(manager="endpointslicemirroring-controller.k8s.io"),
    "Custom": slice_of(manager="me"),
}
EXPOSURE: dict[str, Any] = {
    "ClusterIP": service(),
    "NodePort": service("NodePort"),
    "LoadBalancer": service("LoadBalancer"),
    "ExternalName": service("ExternalName", "", "example.com"),
}
ADDRESSING: dict[str, Any] = {
    "NoIP": service("ExternalName", "", "example.com"),
    "Headless": service("ClusterIP", "None"),
    "Allocated": service("ClusterIP"),
}
OWN, MIRROR = "endpointslice-controller", "endpointslicemirroring-controller"
REMOVERS = {"user", "garbage-collector", "namespace-controller"}


def endpoints_actors(old: str, new: str) -> set[str]:
    if new == ABSENT:
        return {"endpoint-controller", "apiserver", *REMOVERS}
    return {"endpoint-controller", "user", *(("apiserver",) if new in ("Empty", "Ready") else ())}


def slice_actors(old: str, new: str) -> set[str]:
    if new == ABSENT:
        return {OWN, MIRROR, "apiserver", *REMOVERS}
    return {OWN, MIRROR, "user", *(("apiserver",) if new == "Ready" else ())}


def management_actors(old: str, new: str) -> set[str]:
    keeper = {"Controlled": OWN, "Mirrored": MIRROR, "Custom": "apiserver"}
    return {keeper[old], *REMOVERS} if new == ABSENT else {keeper[new], "user"}


def exposure_actors(old: str, new: str) -> set[str]:
    if new == ABSENT:
        return {"apiserver", *REMOVERS}
    return {"user", "apiserver"} if new == "ClusterIP" else {"user"}


def addressing_actors(old: str, new: str) -> set[str]:
    if new == ABSENT:
        return {"apiserver", *REMOVERS}
    if old in ("Headless", "Allocated") and new in ("Headless", "Allocated"):
        return set()
    return {"user", "apiserver"} if new == "Allocated" else {"user"}


REGIONS = [
    ("Endpoints", "readiness", ENDPOINTS, endpoints_actors),
    ("EndpointSlice", "readiness", SLICES, slice_actors),
    ("EndpointSlice", "management", MANAGEMENT, management_actors),
    ("Service", "exposure", EXPOSURE, exposure_actors),
    ("Service", "addressing", ADDRESSING, addressing_actors),
]


@pytest.mark.parametrize(("kind", "region", "samples", "actors"), REGIONS)
def test_states(kind: str, region: str, samples: dict[str, Any], actors: Any) -> None:
    machine = MACHINES.region(kind, region)
    assert set(machine.states) == {ABSENT, *samples}
    for state, obj in samples.items():
        assert machine.classify(obj) == state


@pytest.mark.parametrize(("kind", "region", "samples", "actors"), REGIONS)
def test_who_may_go_where(kind: str, region: str, samples: dict[str, Any], actors: Any) -> None:
    with_absent = {ABSENT: None, **samples}
    for (old, before), (new, after), actor in product(with_absent.items(), with_absent.items(), ACTORS):
        if old == new:
            continue
        verdict = MACHINES.check(before, after, actor, 0)
        found = [move for move in verdict.moves if move.region == region]
        wrong = [illegal for illegal in verdict.illegal if illegal.region == region]
        assert bool(found) == (actor in actors(old, new)), (old, new, actor)
        assert bool(wrong) != bool(found)


def test_every_move_has_its_own_name() -> None:
    assert [move.rule for move in MACHINES.check(None, ENDPOINTS["Ready"], "user", 0).moves] == [
        "Endpoints/readiness/serve"
    ]
    assert [move.rule for move in MACHINES.check(None, MANAGEMENT["Controlled"], OWN, 0).moves] == [
        "EndpointSlice/readiness/empty",
        "EndpointSlice/management/control",
    ]


def test_an_alias_needs_a_name_and_no_address() -> None:
    nameless = service("ExternalName", "")
    assert {illegal.guard for illegal in MACHINES.check(None, nameless, "user", 0).illegal} == {"alias_given"}
    addressless = service("ClusterIP", "")
    assert {illegal.guard for illegal in MACHINES.check(None, addressless, "user", 0).illegal} == {"alias_given"}
    for address in ("10.0.0.1", "None"):
        aliased = service("ExternalName", address, "example.com")
        assert {illegal.guard for illegal in MACHINES.check(None, aliased, "user", 0).illegal} == {"own_pods"}
