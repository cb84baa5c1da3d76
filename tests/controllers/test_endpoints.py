"""The Endpoints controller, sync by sync."""

from __future__ import annotations

from attrs import evolve
from endpoint_objects import HTTP, NOON, SECOND, WEB, Cluster, pod, refusing, service

from k8sfsm.controllers.endpoints import EndpointController, service_of_endpoints
from k8sfsm.controllers.endpoints_pods import services_of_pod
from k8sfsm.objects import EndpointAddress, Endpoints, EndpointSubset, ObjectMeta, ObjectReference, ServicePort
from k8sfsm.request import Create, Delete, Update
from k8sfsm.store import Change

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
CAPACITY = "endpoints.kubernetes.io/over-capacity"


def cluster(*objects: object) -> Cluster:
    return Cluster(EndpointController(), *objects)


def names(addresses: tuple[EndpointAddress, ...]) -> list[str]:
    return [address.target_ref.name for address in addresses if address.target_ref is not None]


def test_create_then_nothing_then_follow_readiness() -> None:
    it = cluster(service(), pod(2), pod(1, ready=False))
    (created,) = it.sync()
    assert isinstance(created, Create)
    assert created.why is not None
    assert created.why.rule == "Endpoints/write/create"
    (subset,) = it.get("Endpoints").subsets
    assert names(subset.addresses) == ["web-2"]
    assert names(subset.not_ready_addresses) == ["web-1"]
    assert it.sync() == []
    it.put(pod(1, ready=True, since=NOON + 5 * SECOND))
    (updated,) = it.sync()
    assert isinstance(updated, Update)
    assert names(it.get("Endpoints").subsets[0].addresses) == ["web-1", "web-2"]
    assert it.get("Endpoints").metadata.annotations == {TRIGGER: "2026-01-15T12:00:05Z"}
    assert it.error == ""


def test_no_trigger_time_without_a_change_of_readiness() -> None:
    it = cluster(service(), pod(1), pod(2))
    it.sync()
    assert it.get("Endpoints").metadata.annotations == {TRIGGER: "2026-01-15T12:00:00Z"}
    it.drop("Pod", "web-2")
    it.sync()
    assert it.get("Endpoints").metadata.annotations == {}


def test_the_earliest_change_triggers_and_a_new_service_counts() -> None:
    it = cluster(service(), pod(1), pod(2), pod(3))
    it.sync()
    it.put(pod(1, ready=False, since=NOON + 9 * SECOND))
    it.put(pod(2, ready=False, since=NOON + 7 * SECOND))
    it.sync()
    assert it.get("Endpoints").metadata.annotations[TRIGGER] == "2026-01-15T12:00:07Z"
    made_anew = service()
    meta = evolve(made_anew.metadata, creation_timestamp=NOON + 20 * SECOND, labels={"a": "b"})
    it.put(evolve(made_anew, metadata=meta))
    it.sync()
    assert it.get("Endpoints").metadata.annotations[TRIGGER] == "2026-01-15T12:00:20Z"


def test_pods_far_apart_in_the_view_are_followed() -> None:
    it = cluster(service(), *(pod(number) for number in range(400)))
    it.sync()
    for number in (3, 390, 200):
        it.put(pod(number, ready=False, since=NOON + number * SECOND))
        it.sync()
        assert names(it.get("Endpoints").subsets[0].not_ready_addresses)
    it.drop("Pod", "web-3")
    it.put(pod(3, since=NOON + 500 * SECOND))
    it.sync()
    fresh = cluster(service(), *it.every("Pod"))
    fresh.sync()
    assert fresh.get("Endpoints").subsets == it.get("Endpoints").subsets
    assert len(it.get("Endpoints").subsets[0].addresses) == 398


def test_service_gone() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    it.put(pod(1, ready=False))
    it.sync()
    assert len(it.memory) == 2
    it.drop("Service", "web")
    (deleted,) = it.sync()
    assert isinstance(deleted, Delete)
    assert it.get("Endpoints") is None
    assert not it.memory
    assert len(it.sync()) == 1
    assert it.error == ""
    it.sync(refuse=refusing(500, "broken"))
    assert it.error == "broken"


def test_what_is_not_published() -> None:
    assert cluster(service(type="ExternalName"), pod(1)).sync() == []
    assert cluster(service(selector={}), pod(1)).sync() == []
    unaddressed = evolve(pod(1), status=evolve(pod(1).status, pod_ip="", pod_ips=()))
    for left_out in (pod(1, phase="Failed"), pod(1, deleted=True), pod(1, labels={}), unaddressed):
        it = cluster(service(), left_out)
        it.sync()
        assert it.get("Endpoints").subsets == ()


def test_unready_addresses_are_published_on_request() -> None:
    it = cluster(service(publish_not_ready_addresses=True), pod(1, ready=False), pod(2, deleted=True, ready=False))
    it.sync()
    assert names(it.get("Endpoints").subsets[0].addresses) == ["web-1", "web-2"]


def test_headless_without_ports() -> None:
    it = cluster(service(cluster_ip="None", ports=()), pod(1))
    it.sync()
    assert it.get("Endpoints").subsets[0].ports == ()
    assert it.get("Endpoints").metadata.labels["service.kubernetes.io/headless"] == ""
    portless = cluster(service(ports=()), pod(1))
    portless.sync()
    assert portless.get("Endpoints").subsets == ()


def test_pods_that_resolve_a_port_differently() -> None:
    named = ServicePort(name="http", port=80, target_port="http", protocol="TCP")
    it = cluster(service(ports=(named, HTTP)), pod(1), pod(2, port=9090))
    it.sync()
    found = {tuple(port.port for port in s.ports): names(s.addresses) for s in it.get("Endpoints").subsets}
    assert found == {(8080,): ["web-1", "web-2"], (9090,): ["web-2"]}


def test_capacity() -> None:
    it = cluster(service(), *(pod(number, ready=number % 10 < 5) for number in range(1100)))
    it.sync()
    (subset,) = it.get("Endpoints").subsets
    assert (len(subset.addresses), len(subset.not_ready_addresses)) == (550, 450)
    assert it.get("Endpoints").metadata.annotations[CAPACITY] == "truncated"
    assert len(it.sync()) == 1  # what is stored is never what is wanted
    for number in range(1100):
        it.put(pod(number))
    it.sync()
    (subset,) = it.get("Endpoints").subsets
    assert (len(subset.addresses), len(subset.not_ready_addresses)) == (1000, 0)
    for number in range(1000, 1100):
        it.drop("Pod", f"web-{number}")
    it.sync()
    assert CAPACITY not in it.get("Endpoints").metadata.annotations
    assert it.sync() == []


def test_room_is_shared_among_subsets() -> None:
    named = ServicePort(name="http", port=80, target_port="http", protocol="TCP")
    pods = [pod(number, port=8080 if number < 900 else 9090) for number in range(1200)]
    it = cluster(service(ports=(named,)), *pods)
    it.sync()
    assert sorted(len(subset.addresses) for subset in it.get("Endpoints").subsets) == [250, 750]


def test_labels_and_marks_are_repaired() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    right = it.get("Endpoints")
    for labels in ({}, {**right.metadata.labels, "extra": "x"}, {"endpoints.kubernetes.io/managed-by": "me"}):
        it.put(evolve(right, metadata=evolve(right.metadata, labels=labels)))
        assert len(it.sync()) == 1
        assert it.get("Endpoints").metadata.labels == right.metadata.labels
    it.put(evolve(right, metadata=evolve(right.metadata, annotations={CAPACITY: "truncated", "mine": "x"})))
    assert len(it.sync()) == 1
    assert it.get("Endpoints").metadata.annotations == {"mine": "x"}
    labelled = evolve(right.metadata, labels={**right.metadata.labels, "service.kubernetes.io/headless": ""})
    it.put(evolve(right, metadata=labelled))
    assert it.sync() == []


def test_equal_subsets_in_another_form_are_left() -> None:
    it = cluster(service(), pod(1), pod(2, ready=False))
    it.sync()
    right = it.get("Endpoints")
    (whole,) = right.subsets
    parts = (
        EndpointSubset(addresses=whole.addresses, ports=whole.ports),
        EndpointSubset(not_ready_addresses=whole.not_ready_addresses, ports=whole.ports),
    )
    it.put(evolve(right, subsets=parts))
    assert it.sync() == []
    versioned = tuple(
        evolve(address, target_ref=evolve(address.target_ref or ObjectReference(), resource_version="7"))
        for address in whole.addresses
    )
    it.put(evolve(right, subsets=(evolve(whole, addresses=versioned),)))
    assert it.sync() == []
    it.put(evolve(right, subsets=(evolve(whole, not_ready_addresses=()),)))
    assert len(it.sync()) == 1


def test_stale_cache() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    old = it.view
    it.put(pod(2))
    it.sync()
    behind = evolve(it.view, snapshots=old.snapshots)
    assert it.sync(view=behind) == []
    assert "resource version" in it.error
    assert "already processed for endpoints default/web" in it.error
    assert it.sync() == []


def test_failures() -> None:
    it = cluster(service(), pod(1))
    it.sync(refuse=refusing(409, "exists"))
    (event,) = it.records
    assert (event.reason, event.message) == (
        "FailedToCreateEndpoint",
        "Failed to create endpoint for service default/web: exists",
    )
    assert it.error == "exists"
    it.sync(refuse=refusing(403, 'namespace "default" because it is being terminated'))
    assert (it.records, it.error) == ([], "")
    it.sync(refuse=refusing(403, "not allowed"))
    assert it.error == "not allowed"
    it.sync()
    it.put(pod(2))
    it.sync(refuse=refusing(409, "modified"))
    (event,) = it.records
    assert (event.reason, event.message) == (
        "FailedToUpdateEndpoint",
        "Failed to update endpoint default/web: modified",
    )


# -- which Services --------------------------------------------------------------------------------------------------


def change(old: object, new: object, type: str = "MODIFIED") -> Change:
    meta = new.metadata  # type: ignore[attr-defined]
    return Change(5, type, ("Pod", meta.namespace, meta.name), old, new)  # type: ignore[arg-type]


def at(version: str, found: object) -> object:
    return evolve(found, metadata=evolve(found.metadata, resource_version=version))  # type: ignore[attr-defined, misc]


def test_services_of_a_pod() -> None:
    api = evolve(service(selector={"app": "api"}), metadata=ObjectMeta(name="api", namespace="default"))
    idle = evolve(service(selector={}), metadata=ObjectMeta(name="idle", namespace="default"))
    view = cluster(service(), api, idle).view
    web, both = [WEB], [WEB, ("Service", "default", "api")]
    before = at("1", pod(1))
    moved = pod(1, labels={"app": "api"})
    assert list(services_of_pod(change(None, pod(1), "ADDED"), view)) == web
    assert list(services_of_pod(change(pod(1), pod(1), "DELETED"), view)) == web
    assert list(services_of_pod(change(before, at("1", pod(1, ready=False))), view)) == []
    assert list(services_of_pod(change(before, at("2", pod(1))), view)) == []
    assert list(services_of_pod(change(before, at("2", pod(1, phase="Failed"))), view)) == []
    assert list(services_of_pod(change(before, at("2", pod(1, ready=False))), view)) == web
    assert list(services_of_pod(change(before, at("2", pod(1, deleted=True))), view)) == web
    assert list(services_of_pod(change(at("1", pod(1, deleted=True)), at("2", pod(1, deleted=True))), view)) == web
    assert list(services_of_pod(change(before, at("2", moved)), view)) == both
    assert (
        list(services_of_pod(change(before, at("2", evolve(pod(1), spec=evolve(pod(1).spec, hostname="x")))), view))
        == []
    )
    assert list(services_of_pod(change(before, at("2", pod(1, labels={"app": "web", "x": "y"}))), view)) == []
    assert list(services_of_pod(change(before, at("2", pod(1, labels={"app": "api"}, ready=False))), view)) == both
    same_but_ip = evolve(pod(1), status=pod(2).status)
    assert list(services_of_pod(change(before, at("2", same_but_ip)), view)) == web


def test_services_of_endpoints() -> None:
    view = cluster().view
    key = ("Endpoints", "default", "web")

    def event(type: str, revision: int, annotations: dict[str, str] | None = None) -> Change:
        meta = ObjectMeta(name="web", namespace="default", resource_version="5", annotations=annotations or {})
        return Change(revision, type, key, None, Endpoints(metadata=meta))  # type: ignore[arg-type]

    leader = {"control-plane.alpha.kubernetes.io/leader": "{}"}
    assert service_of_endpoints(event("DELETED", 6), view) == (WEB,)
    assert service_of_endpoints(event("ADDED", 9), view) == (WEB,)
    assert service_of_endpoints(event("ADDED", 9, leader), view) == ()
    assert service_of_endpoints(event("ADDED", 5), view) == ()
    assert service_of_endpoints(event("MODIFIED", 5), view) == ()
