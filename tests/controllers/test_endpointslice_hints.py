"""Hints on endpoints: by the CPU of zones, and by spec.trafficDistribution."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from endpoint_objects import NOON, SECOND, WEB, Cluster, node, pod, service
from immutables import Map

from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.controllers.endpointslice_hints import Hinted
from k8sfsm.controllers.endpointslice_tracker import services_of_node
from k8sfsm.objects import EndpointSlice
from k8sfsm.request import Update
from k8sfsm.store import Change

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
AUTO = {"service.kubernetes.io/topology-mode": "Auto"}


def cluster(*objects: object, limit: int | None = 3) -> Cluster:
    return Cluster(EndpointSliceController(limit=limit), node(), *objects)


def slices(it: Cluster) -> list[EndpointSlice]:
    return list(it.every("EndpointSlice"))


def annotated(found: Any, **annotations: str) -> Any:
    return evolve(found, metadata=evolve(found.metadata, annotations=annotations))


ZONES = (node("a1", "a"), node("a2", "a"), node("b1", "b"))


def hints(it: Cluster) -> list[tuple[str, str]]:
    """(zones, nodes) that each endpoint is for."""
    return [
        ("", "")
        if e.hints is None
        else (",".join(zone.name for zone in e.hints.for_zones), ",".join(found.name for found in e.hints.for_nodes))
        for found in slices(it)
        for e in found.endpoints
    ]


def test_hints_by_zone_come_and_go() -> None:
    pods = [pod(number, node="a1") for number in range(3)]
    it = cluster(annotated(service(), **AUTO), *ZONES, *pods, limit=5)
    it.drop("Node", "node-1", namespace="")
    it.sync()
    assert sorted(hints(it)) == [("a", ""), ("a", ""), ("b", "")]
    (event,) = it.records
    assert (event.type, event.reason, event.message) == (
        "Normal",
        "TopologyAwareHintsEnabled",
        "Topology Aware Hints has been enabled, addressType: IPv4",
    )
    assert it.sync() == []
    assert it.records == []
    assert it.memory[("hints", "default", "web")] == Hinted(True, Map({"IPv4": Map({"a": 2, "b": 1})}))
    it.put(service())
    it.sync()
    assert hints(it) == [("", "")] * 3
    (event,) = it.records
    assert (event.type, event.reason) == ("Warning", "TopologyAwareHintsDisabled")
    assert event.message == "Topology Aware Hints has been disabled, addressType: IPv4"
    assert ("hints", "default", "web") not in it.memory
    it.sync()
    assert it.records == []


def reasons(it: Cluster) -> list[str]:
    it.sync()
    return [event.message for event in it.records]


def test_why_there_are_no_hints_by_zone() -> None:
    wanted = annotated(service(), **AUTO)
    insufficient = (
        "Insufficient Node information: allocatable CPU or zone not specified on one or more nodes, addressType: IPv4"
    )
    assert reasons(cluster(wanted, pod(1))) == [insufficient]
    for nodes in ((node("a", "a"),), (*ZONES, node("x", "a", cpu="")), (*ZONES, node("x", "a", cpu="0"))):
        it = cluster(wanted, *nodes, *(pod(number, node="a1") for number in range(4)))
        it.drop("Node", "node-1", namespace="")
        assert reasons(it)[0] == insufficient
    it = cluster(wanted, *ZONES, pod(1, node="a1"))
    it.put(node(zone="a", ready=False))
    assert reasons(it) == ["Insufficient number of endpoints (1 endpoints, 2 zones), addressType: IPv4"]
    it = cluster(wanted, *ZONES, pod(1, node="a1"), pod(2, node="a1"))
    it.put(evolve(node(), metadata=evolve(node().metadata, labels={"node-role.kubernetes.io/control-plane": ""})))
    assert reasons(it) == [
        "Unable to allocate minimum required endpoints to each zone without exceeding overload threshold"
        " (2 endpoints, 2 zones), addressType: IPv4"
    ]
    it = cluster(wanted, *ZONES, *(pod(number) for number in range(3)))
    it.put(node(ready=False))
    assert reasons(it) == ["One or more endpoints do not have a zone specified, addressType: IPv4"]
    assert hints(it) == [("", "")] * 3


def test_the_deprecated_annotation_is_looked_at_first() -> None:
    off = {"service.kubernetes.io/topology-aware-hints": "disabled", **AUTO}
    it = cluster(annotated(service(), **off), pod(1))
    it.sync()
    assert it.records == []


def test_nodes_that_shift_the_load() -> None:
    pods = [pod(number, node="a1") for number in range(3)]
    it = cluster(annotated(service(), **AUTO), *ZONES, *pods, limit=5)
    it.drop("Node", "node-1", namespace="")

    def event(type: Any, new: Any, old: Any = None) -> Any:
        return services_of_node(Change(9, type, ("Node", "", new.metadata.name), old, new), it.view)

    assert event("ADDED", node("c1", "c")) == ()
    it.sync()
    assert event("ADDED", node("b1", "b")) == ()
    new = node("c1", "c")
    it.put(new)
    assert event("ADDED", new) == (WEB,)
    assert event("MODIFIED", new, new) == ()
    assert event("MODIFIED", new, node("c1", "c", ready=False)) == (WEB,)
    assert event("MODIFIED", new, node("c1", "b")) == (WEB,)
    assert event("DELETED", new, new) == (WEB,)


def test_traffic_distribution() -> None:
    it = cluster(
        service(), *ZONES, pod(1, node="a1"), pod(2, node="b1"), pod(3), pod(4, node="a1", ready=False), limit=9
    )
    it.sync()
    assert hints(it) == [("", "")] * 4
    it.put(service(traffic_distribution="PreferClose"))
    it.sync()
    assert hints(it) == [("a", ""), ("b", ""), ("", ""), ("", "")]
    assert it.sync() == []
    it.put(service(traffic_distribution="PreferSameNode"))
    it.sync()
    assert hints(it) == [("a", "a1"), ("b", "b1"), ("", "node-1"), ("", "")]
    assert it.sync() == []
    it.put(service(traffic_distribution="Other"))
    it.sync()
    assert hints(it) == [("", "")] * 4
    assert it.sync() == []


def test_a_change_touches_one_slice_only() -> None:
    it = cluster(
        service(traffic_distribution="PreferClose"), *ZONES, *(pod(n, node="a1") for n in range(300)), limit=100
    )
    it.sync()
    assert len(it.writes) == 3
    it.put(pod(150, node="a1", ready=False, since=NOON + SECOND))
    (write,) = it.sync()
    assert isinstance(write, Update)
    assert write.object.metadata.annotations == {TRIGGER: "2026-01-15T12:00:01Z"}
    assert sum(1 for zone, _ in hints(it) if zone == "a") == 299
