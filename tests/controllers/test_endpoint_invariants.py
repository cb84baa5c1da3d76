"""What holds of endpoints: at rest after any history, and noticed where it does not hold."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from attrs import evolve
from endpoint_objects import NOON, SECOND, WEB, Cluster, node, pod, service

import k8sfsm.controllers.endpoints_invariants
import k8sfsm.controllers.endpointslice_invariants
import k8sfsm.kinds.service  # noqa: F401
from k8sfsm.controllers.endpoints import EndpointController
from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.law import Law
from k8sfsm.objects import Endpoint, EndpointSlice, ObjectMeta, ServicePort
from k8sfsm.view import View

ROOMS = ("service", "endpoints", "endpointslice")
NAMED = ServicePort(name="http", port=80, target_port="http", protocol="TCP")
DECLARED = {
    "address-unique": ("safety", "addresses_unique"),
    "node-port-unique": ("safety", "node_ports_unique"),
    "allocated": ("safety", "allocated"),
    "within-capacity": ("safety", "within_capacity"),
    "addresses-of-pods": ("convergence", "addresses_of_pods"),
    "pods-have-addresses": ("convergence", "pods_have_addresses"),
    "within-limit": ("safety", "within_limit"),
    "within-packing": ("safety", "within_packing"),
    "endpoints-of-pods": ("convergence", "endpoints_of_pods"),
    "placed-once": ("convergence", "placed_once"),
    "agrees-with-endpoints": ("convergence", "agrees_with_endpoints"),
    "of-a-service": ("convergence", "of_a_service"),
}


def violations(view: View) -> list[str]:
    """The names of the invariants that do not hold."""
    found = []
    for room in ROOMS:
        declared = Law(room).invariants()
        assert declared is not None
        for name, invariant in declared.invariants.items():
            if any(Law(room).function("invariant", invariant.holds)(view)):
                found.append(name)
    return found


def test_what_is_declared() -> None:
    declared = [Law(room).invariants() for room in ROOMS]
    found = {name: (i.type, i.holds) for each in declared if each is not None for name, i in each.invariants.items()}
    assert found == DECLARED


class Both:
    """One cluster with both controllers, each with its own memory."""

    def __init__(self, *objects: Any) -> None:
        self.endpoints = Cluster(EndpointController(), *objects)
        self.slices = Cluster(EndpointSliceController(limit=4))
        self.slices.store = self.endpoints.store

    def put(self, obj: Any) -> None:
        self.endpoints.put(obj)
        self.slices.store = self.endpoints.store

    def drop(self, kind: str, name: str) -> None:
        self.endpoints.drop(kind, name, "" if kind == "Node" else "default")
        self.slices.store = self.endpoints.store

    def sync(self) -> None:
        self.endpoints.sync()
        self.slices.store = self.endpoints.store
        self.slices.sync()
        self.endpoints.store = self.slices.store

    @property
    def view(self) -> View:
        return self.endpoints.view


def random_pod(random: Random, number: int) -> Any:
    return pod(
        number,
        ready=random.random() < 0.6,
        since=NOON + random.randrange(100) * SECOND,
        node=f"n{random.randrange(3)}",
        phase=random.choice(["Running", "Running", "Running", "Failed", "Pending"]),
        deleted=random.random() < 0.2,
        labels=random.choice([{"app": "web"}, {"app": "web"}, {"app": "web", "x": "y"}, {"app": "api"}]),
        port=random.choice([8080, 8080, 9090]),
    )


def random_service(random: Random) -> Any:
    return service(
        ports=random.choice([(NAMED,), (evolve(NAMED, target_port=80),), (NAMED, evolve(NAMED, name="x", port=81))]),
        publish_not_ready_addresses=random.random() < 0.2,
        traffic_distribution=random.choice([None, "PreferClose", "PreferSameNode"]),
    )


@pytest.mark.parametrize("seed", range(6))
def test_any_history_ends_well_and_caches_change_nothing(seed: int) -> None:
    random = Random(seed)
    nodes = [node(f"n{number}", zone="ab"[number % 2]) for number in range(3)]
    it = Both(random_service(random), *nodes)
    for _ in range(60):
        number = random.randrange(200)
        known = it.view.get("Pod", "default", f"web-{number}")
        if known is not None and random.random() < 0.4:
            it.drop("Pod", f"web-{number}")
        else:
            it.put(random_pod(random, number))
        if random.random() < 0.1:
            it.put(random_service(random))
        if random.random() < 0.1:
            it.put(node("n1", zone=random.choice("ab")))
        for cluster, fresh in (
            (it.endpoints, EndpointController()),
            (it.slices, EndpointSliceController(limit=4)),
        ):
            mine, plain = cluster.controller.reconcile(cluster.view, WEB), fresh.reconcile(cluster.view, WEB)
            assert (mine.steps, mine.error) == (plain.steps, plain.error)
        it.sync()
        assert violations(it.view) == []
        it.sync()
        assert (it.endpoints.writes, it.slices.writes) == ([], [])


def test_violations_are_noticed() -> None:
    it = Both(service(), node(), pod(1), pod(2, ready=False))
    it.sync()
    assert violations(it.view) == []
    rest = it.view
    it.put(evolve(pod(1), metadata=evolve(pod(1).metadata, uid="another")))
    assert violations(it.view) == ["addresses-of-pods", "endpoints-of-pods"]
    it.put(pod(1, labels={}))
    assert violations(it.view) == ["addresses-of-pods", "endpoints-of-pods"]
    it.put(pod(1))
    it.put(pod(2))
    assert violations(it.view) == ["addresses-of-pods", "endpoints-of-pods"]
    it.endpoints.sync()
    assert violations(it.view) == ["endpoints-of-pods", "agrees-with-endpoints"]
    it.drop("Pod", "web-2")
    assert violations(it.view) == ["addresses-of-pods", "endpoints-of-pods", "agrees-with-endpoints"]
    assert violations(rest) == []


def test_slices_that_hold_too_much() -> None:
    it = Both(service(), node(), pod(1))
    it.sync()
    (own,) = it.view.list("EndpointSlice")
    full = tuple(Endpoint(addresses=(f"10.1.{n // 250}.{n % 250}",)) for n in range(1001))
    it.put(EndpointSlice(metadata=ObjectMeta(name="foreign", namespace="default"), endpoints=full[:1000]))
    assert violations(it.view) == []
    it.put(EndpointSlice(metadata=ObjectMeta(name="foreign", namespace="default"), endpoints=full))
    assert violations(it.view) == ["within-limit"]
    it.drop("EndpointSlice", "foreign")
    it.put(evolve(own, metadata=evolve(own.metadata, name="second")))
    assert violations(it.view) == ["placed-once"]
    it.put(evolve(own, endpoints=(*own.endpoints, *full[:99])))
    assert "within-packing" not in violations(it.view)
    it.put(evolve(own, endpoints=(*own.endpoints, *full[:100])))
    assert "within-packing" in violations(it.view)


def test_endpoints_that_hold_too_much() -> None:
    it = Both(service(), node(), pod(1))
    it.sync()
    own: Any = it.view.get("Endpoints", "default", "web")
    (subset,) = own.subsets
    many = tuple(evolve(subset.addresses[0], ip=f"10.9.{n // 250}.{n % 250}") for n in range(1001))
    it.put(evolve(own, subsets=(evolve(subset, addresses=many[:1000]),)))
    assert "within-capacity" not in violations(it.view)
    it.put(evolve(own, subsets=(evolve(subset, addresses=many),)))
    assert "within-capacity" in violations(it.view)


def test_addresses_are_unique() -> None:
    twin = evolve(service(), metadata=ObjectMeta(name="twin", namespace="default"))
    it = Both(service(), twin, node())
    assert violations(it.view) == ["address-unique"]
    it.put(evolve(twin, spec=evolve(twin.spec, cluster_ip="None")))
    it.put(
        evolve(twin, metadata=ObjectMeta(name="other", namespace="default"), spec=evolve(twin.spec, cluster_ip="None"))
    )
    assert violations(it.view) == []
