"""The mirroring controller, sync by sync."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from endpoint_objects import Cluster, refusing, service

from k8sfsm.controllers.endpointslicemirroring import (
    EndpointSliceMirroringController,
    endpoints_of_service,
    endpoints_of_slice,
    mirrored_endpoints,
)
from k8sfsm.objects import EndpointSlice, from_json, to_json
from k8sfsm.request import Create, Delete, Key, Outcome, Update, Write
from k8sfsm.store import Change

KEY: Key = ("Endpoints", "default", "web")
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
SERVICE_NAME = "kubernetes.io/service-name"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
LEADER = "control-plane.alpha.kubernetes.io/leader"
MANAGER = "endpointslicemirroring-controller.k8s.io"
PORTS = [{"name": "http", "port": 9376, "protocol": "TCP"}]


def endpoints(*ready: str, unready: tuple[str, ...] = (), ports: Any = PORTS, **meta: Any) -> Any:
    """Endpoints that a user keeps."""
    subset = {
        "addresses": [{"ip": ip} for ip in ready],
        "notReadyAddresses": [{"ip": ip} for ip in unready],
        "ports": ports,
    }
    return subsets(subset, **meta)


def subsets(*given: Any, **meta: Any) -> Any:
    head = {"name": "web", "namespace": "default", "uid": "endpoints", **meta}
    return from_json({"apiVersion": "v1", "kind": "Endpoints", "metadata": head, "subsets": list(given)})


def cluster(*objects: object, limit: int | None = 3) -> Cluster:
    return Cluster(EndpointSliceMirroringController(limit), service(selector={}), *objects)


def slices(it: Cluster) -> list[EndpointSlice]:
    return list(it.every("EndpointSlice"))


def addresses(found: EndpointSlice) -> dict[str, bool | None]:
    return {endpoint.addresses[0]: endpoint.conditions.ready for endpoint in found.endpoints}


def verbs(it: Cluster) -> list[str]:
    return [type(write).__name__.lower() for write in it.writes]


def rules(it: Cluster) -> list[str]:
    return [write.why.rule.removeprefix("MirroredEndpoints/") for write in it.writes if write.why is not None]


# -- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_as_a_real_cluster_made_it() -> None:
    it = cluster(endpoints("10.10.0.5", "10.10.0.6", unready=("10.10.0.7",)))
    (created,) = it.sync(KEY)
    assert isinstance(created, Create)
    assert to_json(created.object) == {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": "web-",
            "namespace": "default",
            "labels": {SERVICE_NAME: "web", MANAGED_BY: MANAGER},
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Endpoints",
                    "name": "web",
                    "uid": "endpoints",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "addressType": "IPv4",
        "endpoints": [
            {"addresses": ["10.10.0.5"], "conditions": {"ready": True}},
            {"addresses": ["10.10.0.6"], "conditions": {"ready": True}},
            {"addresses": ["10.10.0.7"], "conditions": {"ready": False}},
        ],
        "ports": [{"name": "http", "protocol": "TCP", "port": 9376}],
    }
    assert it.sync(KEY) == []
    it.put(endpoints("10.10.0.6"))
    (updated,) = it.sync(KEY)
    assert isinstance(updated, Update)
    assert [addresses(found) for found in slices(it)] == [{"10.10.0.6": True}]
    assert rules(it) == ["group/readdress"]


def test_what_is_copied_of_an_address() -> None:
    reference = {"kind": "Pod", "namespace": "default", "name": "p", "uid": "u"}
    one = {"ip": "010.1.2.003", "hostname": "h", "nodeName": "node-1", "targetRef": reference}
    two = {"ip": "FD00:0::1"}
    three = {"ip": "::ffff:10.1.2.4"}
    it = cluster(subsets({"addresses": [one, two, three], "ports": PORTS}))
    it.sync(KEY)
    four, six = sorted(slices(it), key=lambda found: found.address_type)
    assert [endpoint.addresses for endpoint in four.endpoints] == [("10.1.2.3",), ("10.1.2.4",)]
    first = four.endpoints[0]
    assert first.target_ref is not None
    assert (first.hostname, first.node_name, first.target_ref.name) == ("h", "node-1", "p")
    assert (first.conditions.serving, first.conditions.terminating, first.zone) == (None, None, None)
    assert [endpoint.addresses for endpoint in six.endpoints] == [("fd00::1",)]


def test_subsets_of_the_same_ports_share_a_slice() -> None:
    other = [{"name": "http", "port": 80, "protocol": "TCP"}]
    given = [
        {"addresses": [{"ip": "10.1.1.1"}], "ports": PORTS},
        {"addresses": [{"ip": "10.1.1.2"}], "ports": other},
        {"notReadyAddresses": [{"ip": "10.1.1.3"}], "ports": PORTS},
    ]
    it = cluster(subsets(*given))
    it.sync(KEY)
    assert [addresses(found) for found in slices(it)] == [{"10.1.1.1": True, "10.1.1.3": False}, {"10.1.1.2": True}]


def test_labels_and_annotations_are_copied() -> None:
    marks = {
        "note": "x",
        "endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z",
        "kubectl.kubernetes.io/last-applied-configuration": "{}",
    }
    it = cluster(endpoints("10.1.1.1", labels={"team": "a"}, annotations=marks))
    it.sync(KEY)
    (found,) = slices(it)
    assert found.metadata.labels == {"team": "a", SERVICE_NAME: "web", MANAGED_BY: MANAGER}
    assert found.metadata.annotations == {"note": "x"}
    assert it.sync(KEY) == []
    it.put(endpoints("10.1.1.1", labels={"team": "b"}, annotations=marks))
    it.sync(KEY)
    assert (verbs(it), rules(it)) == (["update"], ["group/relabel"])
    it.put(endpoints("10.1.1.1", labels={"team": "b"}, annotations={"note": "y"}))
    it.sync(KEY)
    assert (verbs(it), rules(it)) == (["update"], ["group/reannotate"])
    assert it.sync(KEY) == []


def test_readiness_is_looked_at() -> None:
    it = cluster(endpoints("10.1.1.1", "10.1.1.2"))
    it.sync(KEY)
    it.put(endpoints("10.1.1.1", unready=("10.1.1.2",)))
    it.sync(KEY)
    assert [addresses(found) for found in slices(it)] == [{"10.1.1.1": True, "10.1.1.2": False}]


# -- what is left out ------------------------------------------------------------------------------------------------


def test_no_more_than_a_thousand_addresses_of_a_subset() -> None:
    many = tuple(f"10.0.{number // 250}.{number % 250}" for number in range(1002))
    it = cluster(endpoints(*many[:900], unready=many[900:]), limit=None)
    it.sync(KEY)
    (found,) = slices(it)
    assert len(found.endpoints) == 1000
    assert set(addresses(found)) == set(many[:1000])
    assert [(record.reason, record.message) for record in it.records] == [
        (
            "TooManyAddressesToMirror",
            "A max of 1000 addresses can be mirrored to EndpointSlices per Endpoints subset. 2 addresses were skipped",
        )
    ]


def test_invalid_addresses_are_left_out_and_counted() -> None:
    it = cluster(endpoints("10.1.1.1", "nonsense", "10.1.1.256", "10.1.1.2", "10.1.1.3", unready=("10.1.1.4", "x")))
    it.sync(KEY)
    (found,) = slices(it)
    assert addresses(found) == {"10.1.1.1": True, "10.1.1.2": True, "10.1.1.3": True}
    assert [(record.type, record.reason, record.message) for record in it.records] == [
        ("Warning", "InvalidIPAddress", "Skipped 2 invalid IP addresses when mirroring to EndpointSlices"),
        (
            "Warning",
            "TooManyAddressesToMirror",
            "A max of 3 addresses can be mirrored to EndpointSlices per Endpoints subset. 4 addresses were skipped",
        ),
    ]
    it = cluster(endpoints("nonsense"))
    it.sync(KEY)
    assert (slices(it), [record.reason for record in it.records]) == ([], ["InvalidIPAddress"])


def test_a_slice_has_no_more_than_its_limit_of_several_subsets() -> None:
    given = [{"addresses": [{"ip": f"10.1.{subset}.{n}"} for n in range(3)], "ports": PORTS} for subset in range(2)]
    it = cluster(subsets(*given))
    it.sync(KEY)
    assert [len(found.endpoints) for found in slices(it)] == [3]
    assert it.records == []


# -- slices ----------------------------------------------------------------------------------------------------------


def test_a_slice_of_other_ports_is_written_over() -> None:
    it = cluster(endpoints("10.1.1.1"))
    it.sync(KEY)
    (before,) = slices(it)
    it.put(endpoints("10.1.1.1", ports=[{"name": "http", "port": 1, "protocol": "TCP"}]))
    it.sync(KEY)
    assert verbs(it) == ["update"]
    (after,) = slices(it)
    assert (after.metadata.name, after.ports[0].port) == (before.metadata.name, 1)


def test_a_slice_of_another_family_is_not() -> None:
    it = cluster(endpoints("10.1.1.1"))
    it.sync(KEY)
    it.put(endpoints("fd00::1"))
    it.sync(KEY)
    assert verbs(it) == ["create", "delete"]
    assert [found.address_type for found in slices(it)] == ["IPv6"]


def test_copies_beyond_the_first_go() -> None:
    it = cluster(endpoints("10.1.1.1"))
    it.sync(KEY)
    (first,) = slices(it)
    it.put(evolve(first, metadata=evolve(first.metadata, name="web-second", uid="second")))
    it.sync(KEY)
    assert verbs(it) == ["delete"]
    assert [found.metadata.name for found in slices(it)] == [first.metadata.name]
    it.put(endpoints())
    it.sync(KEY)
    assert (verbs(it), slices(it)) == (["delete"], [])


def test_nothing_is_created_for_endpoints_that_are_being_deleted() -> None:
    it = cluster(endpoints("10.1.1.1", deletionTimestamp="2026-01-01T00:00:00Z"))
    assert it.sync(KEY) == []
    it = cluster(endpoints("10.1.1.1"))
    it.sync(KEY)
    it.put(endpoints("10.1.1.2", deletionTimestamp="2026-01-01T00:00:00Z"))
    it.sync(KEY)
    assert verbs(it) == ["update"]


# -- when there is nothing to copy -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "rule"),
    [
        ("gone", "sync/gone"),
        ("skip", "sync/not-copied"),
        ("leader", "sync/not-copied"),
        ("no-service", "sync/no-service"),
        ("selector", "sync/selecting"),
    ],
)
def test_copies_are_removed(what: str, rule: str) -> None:
    it = cluster(endpoints("10.1.1.1"))
    it.sync(KEY)
    assert it.memory
    if what == "gone":
        it.drop("Endpoints", "web")
    elif what == "no-service":
        it.drop("Service", "web")
    elif what == "selector":
        it.put(service())
    else:
        marks: Any = {"labels": {SKIP: "true"}} if what == "skip" else {"annotations": {LEADER: "{}"}}
        it.put(endpoints("10.1.1.1", **marks))
    it.sync(KEY)
    assert (verbs(it), rules(it), slices(it), it.error) == (["delete"], [rule], [], "")
    assert not it.memory
    assert it.sync(KEY) == []


def test_only_true_opts_out() -> None:
    it = cluster(endpoints("10.1.1.1", labels={SKIP: "false"}))
    assert [type(write) for write in it.sync(KEY)] == [Create]


def test_slices_of_others_are_left_alone() -> None:
    foreign = {SERVICE_NAME: "web", MANAGED_BY: "endpointslice-controller.k8s.io"}
    slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": []}
    it = cluster(from_json({**slice_, "metadata": {"name": "web-x", "namespace": "default", "labels": foreign}}))
    assert it.sync(KEY) == []


# -- answers ---------------------------------------------------------------------------------------------------------


def test_a_refused_write_ends_the_sync() -> None:
    it = cluster(endpoints("10.1.1.1", "fd00::1"))
    it.sync(KEY, refuse=refusing(500, "no"))
    assert len(it.writes) == 1
    assert it.error == "failed to create EndpointSlice for Endpoints default/web: no"
    it.sync(KEY)
    (first, _) = slices(it)
    it.put(endpoints("10.1.1.2", "fd00::2"))
    it.sync(KEY, refuse=refusing(500, "no"))
    assert it.error == f"failed to update {first.metadata.name} EndpointSlice for Endpoints default/web: no"


def test_a_namespace_that_ends_is_no_failure() -> None:
    it = cluster(endpoints("10.1.1.1"))
    text = "forbidden: unable to create new content in namespace default because it is being terminated"
    it.sync(KEY, refuse=refusing(403, text))
    assert (len(it.writes), it.error) == (1, "")


def test_the_removal_of_copies_goes_on_after_a_failure() -> None:
    it = cluster(endpoints("10.1.1.1", "fd00::1"))
    it.sync(KEY)
    it.drop("Endpoints", "web")
    refused = slices(it)[0].metadata.name

    def refuse(write: Write) -> Outcome | None:
        failing = isinstance(write, Delete) and write.key[2] == refused
        return Outcome(request=write, code=404, message="not found") if failing else None

    it.sync(KEY, refuse=refuse)
    assert verbs(it) == ["delete", "delete"]
    assert it.error == "error(s) deleting 1/2 EndpointSlices for default/web Endpoints, including: not found"


def test_an_old_cache_is_not_acted_on() -> None:
    it = cluster(endpoints("10.1.1.1"))
    before = it.view
    it.sync(KEY)
    it.put(endpoints("10.1.1.2"))
    stale = evolve(before, memory=it.memory)
    assert it.sync(KEY, view=stale) == []
    assert it.error == "EndpointSlice informer cache is out of date"


# -- watches ---------------------------------------------------------------------------------------------------------


def change(kind: str, old: Any, new: Any) -> Change:
    obj = new if new is not None else old
    key: Key = (obj.kind, obj.metadata.namespace, obj.metadata.name)
    return Change(7, kind, key, old, obj)  # type: ignore[arg-type]


MIRRORED, SKIPPED = endpoints("10.1.1.1"), endpoints("10.1.1.1", labels={SKIP: "true"})


@pytest.mark.parametrize(
    ("event", "queued"),
    [
        (change("ADDED", None, MIRRORED), True),
        (change("ADDED", None, SKIPPED), False),
        (change("MODIFIED", MIRRORED, SKIPPED), True),
        (change("MODIFIED", SKIPPED, MIRRORED), True),
        (change("MODIFIED", SKIPPED, SKIPPED), False),
        (change("DELETED", MIRRORED, MIRRORED), True),
        (change("DELETED", SKIPPED, SKIPPED), False),
    ],
)
def test_changes_of_endpoints(event: Change, queued: bool) -> None:
    assert mirrored_endpoints(event, cluster().view) == ((KEY,) if queued else ())


WITH, WITHOUT = service(), service(selector={})


@pytest.mark.parametrize(
    ("event", "queued"),
    [
        (change("ADDED", None, WITHOUT), True),
        (change("ADDED", None, WITH), False),
        (change("MODIFIED", WITH, WITHOUT), True),
        (change("MODIFIED", WITHOUT, WITH), True),
        (change("MODIFIED", WITH, WITH), False),
        (change("MODIFIED", WITHOUT, WITHOUT), False),
        (change("DELETED", WITHOUT, WITHOUT), True),
        (change("DELETED", WITH, WITH), False),
    ],
)
def test_changes_of_services(event: Change, queued: bool) -> None:
    assert endpoints_of_service(event, cluster().view) == ((KEY,) if queued else ())


def test_changes_of_slices() -> None:
    it = cluster(endpoints("10.1.1.1"))
    it.sync(KEY)
    (found,) = slices(it)
    assert endpoints_of_slice(change("ADDED", None, found), it.view) == ()
    touched = evolve(found, metadata=evolve(found.metadata, generation=2))
    assert endpoints_of_slice(change("MODIFIED", found, touched), it.view) == (KEY,)
    assert endpoints_of_slice(change("DELETED", found, found), it.view) == (KEY,)
    labels = {**found.metadata.labels, MANAGED_BY: "endpointslice-controller.k8s.io"}
    taken = evolve(found, metadata=evolve(found.metadata, labels=labels))
    assert endpoints_of_slice(change("MODIFIED", found, taken), it.view) == (KEY,)
    assert endpoints_of_slice(change("MODIFIED", taken, taken), it.view) == ()
    it.see(change("DELETED", found, found))
    assert not any(key[0] == "slice" for key in it.memory)
