"""The EndpointSlice controller, sync by sync."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from endpoint_objects import NOON, SECOND, WEB, Cluster, node, pod, refusing, service

from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.controllers.endpointslice_tracker import services_of_slice
from k8sfsm.objects import EndpointSlice, ServicePort
from k8sfsm.request import Create, Delete, Outcome, Write
from k8sfsm.store import Change

TRIGGER = "endpoints.kubernetes.io/last-change-trigger-time"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"


def cluster(*objects: object, limit: int | None = 3) -> Cluster:
    return Cluster(EndpointSliceController(limit=limit), node(), *objects)


def slices(it: Cluster) -> list[EndpointSlice]:
    return list(it.every("EndpointSlice"))


def sizes(it: Cluster) -> list[int]:
    return [len(found.endpoints) for found in slices(it)]


def members(found: EndpointSlice) -> list[str]:
    return [endpoint.target_ref.name for endpoint in found.endpoints if endpoint.target_ref is not None]


def verbs(it: Cluster) -> list[str]:
    return [type(write).__name__.lower() for write in it.writes]


# -- life ------------------------------------------------------------------------------------------------------------


def test_placeholder_then_endpoints_then_placeholder() -> None:
    it = cluster(service())
    (created,) = it.sync()
    assert isinstance(created, Create)
    assert created.why is not None
    assert created.why.rule == "EndpointSlice/placeholder/create"
    (found,) = slices(it)
    assert (found.endpoints, found.ports, found.address_type) == ((), (), "IPv4")
    assert found.metadata.labels == {SERVICE_NAME: "web", MANAGED_BY: "endpointslice-controller.k8s.io"}
    assert found.metadata.generate_name == "web-"
    assert found.metadata.owner_references[0].uid == "service"
    assert it.sync() == []
    it.put(pod(1))
    it.sync()
    assert verbs(it) == ["update"]
    (found,) = slices(it)
    assert members(found) == ["web-1"]
    assert found.ports[0].port == 8080
    assert found.metadata.annotations == {TRIGGER: "2026-01-15T12:00:00Z"}
    it.drop("Pod", "web-1")
    it.sync()
    assert verbs(it) == ["update"]
    assert (slices(it)[0].endpoints, slices(it)[0].ports) == ((), ())
    assert it.error == ""


def test_conditions_of_a_pod_on_its_way_out() -> None:
    it = cluster(service(), pod(1))

    def seen() -> tuple[bool | None, ...]:
        it.sync()
        c = slices(it)[0].endpoints[0].conditions
        return (c.ready, c.serving, c.terminating)

    assert seen() == (True, True, False)
    it.put(pod(1, deleted=True))
    assert seen() == (False, True, True)
    it.put(pod(1, deleted=True, ready=False))
    assert seen() == (False, False, True)
    it.put(service(publish_not_ready_addresses=True))
    assert seen() == (True, False, True)
    it.put(pod(1, deleted=True, phase="Succeeded"))
    it.sync()
    assert sizes(it) == [0]


def test_what_is_not_published() -> None:
    assert cluster(service(type="ExternalName"), pod(1)).sync() == []
    assert cluster(service(selector={}), pod(1)).sync() == []


def test_service_gone() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    assert len(it.memory) == 3
    it.drop("Service", "web")
    assert it.sync() == []
    assert not it.memory
    assert len(slices(it)) == 1


def test_nothing_is_created_for_a_service_that_is_being_deleted() -> None:
    ending = evolve(service(), metadata=evolve(service().metadata, deletion_timestamp=NOON))
    assert cluster(ending, pod(1)).sync() == []


# -- packing ---------------------------------------------------------------------------------------------------------


def test_slices_are_filled_and_not_defragmented() -> None:
    it = cluster(service(), *(pod(number) for number in range(7)))
    it.sync()
    assert sizes(it) == [3, 3, 1]
    assert members(slices(it)[0]) == ["web-0", "web-1", "web-2"]
    it.drop("Pod", "web-1")
    it.sync()
    assert verbs(it) == ["update"]
    assert sizes(it) == [2, 3, 1]
    it.put(pod(8))
    it.sync()
    assert verbs(it) == ["update"]
    assert sizes(it) == [3, 3, 1]
    it.put(pod(9))
    it.put(pod(10))
    it.put(pod(11))
    it.sync()
    assert verbs(it) == ["create"]
    assert sizes(it) == [3, 3, 1, 3]
    it.put(pod(12))
    it.put(pod(13))
    it.sync()
    assert verbs(it) == ["update"]
    assert sizes(it) == [3, 3, 3, 3]
    it.put(pod(14))
    it.sync()
    assert sizes(it) == [3, 3, 3, 3, 1]


def test_slices_being_written_are_filled_fullest_first() -> None:
    it = cluster(service(), *(pod(number) for number in range(9)), limit=4)
    it.sync()
    assert sizes(it) == [4, 4, 1]
    for number in (0, 1, 4):
        it.drop("Pod", f"web-{number}")
    it.put(pod(20))
    it.sync()
    assert verbs(it) == ["update", "update"]
    assert sizes(it) == [2, 4, 1]
    for number in (2, 5, 6, 7):
        it.drop("Pod", f"web-{number}")
    it.sync()
    assert sizes(it) == [1, 1, 1]
    it.drop("Pod", "web-3")
    it.sync()
    assert verbs(it) == ["delete"]
    assert sizes(it) == [1, 1]


def test_the_default_limit() -> None:
    it = cluster(service(), *(pod(number) for number in range(101)), limit=None)
    it.sync()
    assert sizes(it) == [100, 1]


def test_pods_that_resolve_a_port_differently_and_ports_that_go() -> None:
    named = ServicePort(name="http", port=80, target_port="http", protocol="TCP")
    it = cluster(service(ports=(named,)), pod(1), pod(2, port=9090))
    it.sync()
    assert [found.ports[0].port for found in slices(it)] == [8080, 9090]
    it.put(service())
    it.sync()
    assert verbs(it) == ["update", "delete"]
    assert [members(found) for found in slices(it)] == [["web-1", "web-2"]]


def test_labels_follow_the_service() -> None:
    it = cluster(service(), pod(1), *(pod(number) for number in range(2, 5)))
    it.sync()
    assert it.sync() == []
    labels = {"tier": "front", SERVICE_NAME: "mine", "service.kubernetes.io/headless": "x"}
    it.put(evolve(service(), metadata=evolve(service().metadata, labels=labels)))
    it.sync()
    assert verbs(it) == ["update", "update"]
    expected = {"tier": "front", SERVICE_NAME: "web", MANAGED_BY: "endpointslice-controller.k8s.io"}
    assert [found.metadata.labels for found in slices(it)] == [expected, expected]
    assert it.sync() == []


def test_headless() -> None:
    it = cluster(service(cluster_ip="None", ports=()), pod(1))
    it.sync()
    (found,) = slices(it)
    assert (found.ports, members(found)) == ((), ["web-1"])
    assert found.metadata.labels["service.kubernetes.io/headless"] == ""


def test_slices_of_an_older_service_and_of_another_family_go() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    (own,) = slices(it)
    owner = evolve(own.metadata.owner_references[0], uid="older")
    meta = evolve(own.metadata, name="foreign", uid="f", owner_references=(owner,))
    it.put(evolve(own, metadata=meta))
    it.put(evolve(own, metadata=evolve(own.metadata, name="six", uid="s"), address_type="IPv6"))
    it.put(evolve(own, metadata=evolve(own.metadata, name="ending", uid="e", deletion_timestamp=NOON)))
    it.put(evolve(own, metadata=evolve(own.metadata, name="mine", uid="m", labels={SERVICE_NAME: "web"})))
    it.sync()
    assert [write.key[2] for write in it.writes if isinstance(write, Delete)] == ["foreign", "six"]
    assert {found.metadata.name for found in slices(it)} == {own.metadata.name, "ending", "mine"}


def test_both_families() -> None:
    it = cluster(service(ip_families=("IPv6", "IPv4")), pod(1))
    it.sync()
    assert [(found.address_type, len(found.endpoints)) for found in slices(it)] == [("IPv4", 1), ("IPv6", 0)]
    legacy = cluster(service(ip_families=()), pod(1))
    legacy.sync()
    assert [found.address_type for found in slices(legacy)] == ["IPv4"]
    headless = cluster(service(ip_families=(), cluster_ip="None"), pod(1))
    headless.sync()
    assert [found.address_type for found in slices(headless)] == ["IPv4", "IPv6"]


MISSED = ((1, "nowhere"), (3, "elsewhere"))


def test_each_pod_on_an_unknown_node_is_named_with_it() -> None:
    it = cluster(service(), pod(1, node="nowhere"), pod(2), pod(3, node="elsewhere"), pod(4))
    it.sync()
    missed = [f"skipping Pod web-{number} for Service default/web: Node {node} Not Found" for number, node in MISSED]
    assert it.error == f"[{', '.join(missed)}]"


def test_unknown_nodes() -> None:
    it = cluster(service(), pod(1, node="nowhere"), pod(2))
    it.sync()
    assert members(slices(it)[0]) == ["web-2"]
    assert it.error == "skipping Pod web-1 for Service default/web: Node nowhere Not Found"
    (event,) = it.records
    assert (event.reason, event.message) == (
        "FailedToUpdateEndpointSlices",
        f"Error updating Endpoint Slices for Service default/web: {it.error}",
    )
    it.put(pod(3, node="no"))
    it.sync()
    assert it.error.startswith("[skipping Pod web-1")
    it.put(node("nowhere", zone="a"))
    it.put(node("no"))
    it.sync()
    assert [(endpoint.node_name, endpoint.zone) for endpoint in slices(it)[0].endpoints] == [
        ("node-1", None),
        ("nowhere", "a"),
        ("no", None),
    ]
    it.drop("Node", "no", namespace="")
    it.put(service(publish_not_ready_addresses=True))
    it.sync()
    assert (len(slices(it)[0].endpoints), it.error) == (3, "")


def test_a_zone_that_changes_is_followed() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    it.put(node(zone="b"))
    it.sync()
    assert slices(it)[0].endpoints[0].zone == "b"


# -- answers ---------------------------------------------------------------------------------------------------------


def test_the_first_failure_ends_a_family_but_not_the_sync() -> None:
    it = cluster(service(ip_families=("IPv4", "IPv6")), *(pod(number) for number in range(4)))
    it.sync(refuse=refusing(409, "no"))
    assert verbs(it) == ["create", "create"]
    text = "failed to create EndpointSlice for Service default/web: no"
    assert it.error == text
    assert [event.reason for event in it.records] == ["FailedToUpdateEndpointSlices"]


def test_a_namespace_that_ends_is_no_error() -> None:
    it = cluster(service(), *(pod(number) for number in range(4)))
    it.sync(refuse=refusing(403, "because it is being terminated"))
    assert (verbs(it), it.error, it.records) == (["create"], "", [])
    it.sync(refuse=refusing(403, "not allowed"))
    assert it.error != ""


def test_failed_updates_and_deletions() -> None:
    it = cluster(service(), *(pod(number) for number in range(4)))
    it.sync()
    name = slices(it)[1].metadata.name
    it.put(pod(3, ready=False))
    it.sync(refuse=refusing(409, "modified"))
    assert it.error == f"failed to update {name} EndpointSlice for Service default/web: modified"
    it.drop("Pod", "web-3")
    it.sync(refuse=refusing(500, "broken"))
    assert it.error == f"failed to delete {name} EndpointSlice for Service default/web: broken"
    it.sync(refuse=refusing(404, "not found"))
    assert it.error == ""


def test_each_deletion_of_an_old_family_stands_alone() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    (own,) = slices(it)
    for name in ("a", "b"):
        it.put(evolve(own, metadata=evolve(own.metadata, name=name, uid=name), address_type="IPv6"))
    it.sync(refuse=refusing(500, "no"))
    assert verbs(it) == ["delete", "delete"]
    texts = [f"error deleting {name} EndpointSlice for Service default/web: no" for name in ("a", "b")]
    assert it.error == f"[{', '.join(texts)}]"


# -- the tracker -----------------------------------------------------------------------------------------------------


def test_stale_cache() -> None:
    it = cluster(service(), pod(1))
    empty = it.view
    it.sync()
    unseen = evolve(it.view, snapshots=empty.snapshots)
    assert it.sync(view=unseen) == []
    assert it.error == "EndpointSlice informer cache is out of date"
    created = it.view
    it.put(pod(2))
    it.sync()
    assert it.sync(view=evolve(it.view, snapshots=created.snapshots)) == []
    assert it.error != ""
    assert it.sync() == []
    assert it.error == ""


def test_a_deletion_that_the_cache_does_not_show_yet() -> None:
    it = cluster(service(), *(pod(number) for number in range(4)))
    it.sync()
    before = it.view
    it.drop("Pod", "web-3")
    it.sync()
    assert verbs(it) == ["delete"]
    it.sync(view=evolve(it.view, snapshots=before.snapshots))
    assert it.error != ""
    it.sync()
    assert it.error == ""


def test_foreign_changes_queue_the_service_a_second_later() -> None:
    it = cluster(service(), pod(1))
    it.sync()
    (own,) = slices(it)
    soon = ((WEB, SECOND),)

    def event(type: Any, new: EndpointSlice, old: EndpointSlice | None = None) -> Any:
        return services_of_slice(Change(9, type, ("EndpointSlice", "default", new.metadata.name), old, new), it.view)

    def with_meta(**changes: Any) -> EndpointSlice:
        return evolve(own, metadata=evolve(own.metadata, **changes))

    assert event("ADDED", own) == ()
    assert event("ADDED", with_meta(uid="other")) == soon
    assert event("ADDED", with_meta(uid="other", labels={SERVICE_NAME: "web"})) == ()
    assert event("MODIFIED", own, own) == ()
    assert event("MODIFIED", with_meta(generation=2), own) == soon
    unmanaged = with_meta(labels={SERVICE_NAME: "web"})
    assert event("MODIFIED", unmanaged, own) == soon
    assert event("MODIFIED", own, unmanaged) == soon
    moved = with_meta(labels={**own.metadata.labels, SERVICE_NAME: "api"})
    assert event("MODIFIED", moved, own) == ((("Service", "default", "api"), SECOND), *soon)
    assert event("MODIFIED", with_meta(labels={}), own) == soon
    assert event("DELETED", own) == soon
    assert event("DELETED", with_meta(uid="other")) == ()
    it.drop("Pod", "web-1")
    it.put(service(ports=()))
    it.sync()
    change = it.drop("EndpointSlice", own.metadata.name)
    it.see(change)
    assert event("DELETED", own) == ()
    assert it.sync() != []


def test_an_ordered_deletion_is_no_surprise() -> None:
    it = cluster(service(), *(pod(number) for number in range(4)))
    it.sync()
    last = slices(it)[1]
    it.drop("Pod", "web-3")
    it.sync()
    change = Change(9, "DELETED", ("EndpointSlice", "default", last.metadata.name), last, last)
    assert services_of_slice(change, it.view) == ()
    before = len(it.memory)
    it.see(change)
    assert len(it.memory) == before - 1
    it.see(change)
    assert it.sync() == []


def test_only_the_failed_write_is_repeated() -> None:
    it = cluster(service(), *(pod(number) for number in range(6)))
    count = [0]

    def second_fails(write: Write) -> Outcome | None:
        count[0] += 1
        return Outcome(request=write, code=500, message="no") if count[0] == 2 else None

    it.sync(refuse=second_fails)
    assert it.error != ""
    it.sync()
    assert verbs(it) == ["create"]
    assert sizes(it) == [3, 3]
    assert sorted(name for found in slices(it) for name in members(found)) == [f"web-{n}" for n in range(6)]
