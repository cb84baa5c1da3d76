"""Every table of Services, Endpoints and EndpointSlices against a statement of the same law in Python."""

from __future__ import annotations

from typing import Any

import pytest
from table_oracles import BOTH, Oracles, yes

import k8sfsm.controllers.endpoints_invariants
import k8sfsm.controllers.endpointslice
import k8sfsm.controllers.endpointslice_invariants
import k8sfsm.kinds.endpoints
import k8sfsm.kinds.endpointslice
import k8sfsm.kinds.service  # noqa: F401
from k8sfsm.law import Law
from k8sfsm.spec.loader import load_tables

CODES = (200, 404, 409)
EVENTS = ("ADDED", "MODIFIED", "DELETED")
CHANGES = ("create", "update", "delete")
oracle = Oracles()


# -- what both controllers share -------------------------------------------------------------------------------------


@oracle("service", "eligible", **yes("terminal", "addressed", "terminating", "takes_terminating"))
def eligible(terminal: bool, addressed: bool, terminating: bool, takes_terminating: bool) -> Any:
    return [not terminal and addressed and (takes_terminating or not terminating)]


@oracle("service", "hostname", **yes("named_itself", "in_subdomain"))
def hostname(named_itself: bool, in_subdomain: bool) -> Any:
    return [named_itself and in_subdomain]


@oracle("service", "target-port", **yes("numeric", "in_container", "in_sidecar"))
def target_port(numeric: bool, in_container: bool, in_sidecar: bool) -> Any:
    return ["target" if numeric else "container" if in_container else "sidecar" if in_sidecar else "none"]


@oracle("service", "pod-endpoint-change", **yes("ever_terminating", "readiness_changed", "addresses_changed"))
def pod_endpoint_change(ever_terminating: bool, readiness_changed: bool, addresses_changed: bool) -> Any:
    return [ever_terminating or readiness_changed or addresses_changed]


@oracle("service", "pod-change", **yes("updated", "same_version", "endpoint_changed", "relabelled"))
def pod_change(updated: bool, same_version: bool, endpoint_changed: bool, relabelled: bool) -> Any:
    if not updated:
        return ["current"]
    if same_version:
        return ["none"]
    if relabelled:
        return ["either" if endpoint_changed else "differing"]
    return ["current" if endpoint_changed else "none"]


@oracle("service", "trigger-time", **yes("known", "news"))
def trigger_time(known: bool, news: bool) -> Any:
    return ["creation" if not known else "earliest" if news else "none"]


@oracle("service", "addressing", **yes("has_cluster_ip"))
def addressing(has_cluster_ip: bool) -> Any:
    return [not has_cluster_ip]


# -- Endpoints -------------------------------------------------------------------------------------------------------


@oracle("endpoints", "sync", **yes("service_exists", "external", "selecting"))
def endpoints_sync(service_exists: bool, external: bool, selecting: bool) -> Any:
    return [service_exists and not external and selecting, *(() if service_exists else ("delete_endpoints",))]


@oracle("endpoints", "deletion", succeeded=BOTH, code=CODES)
def deletion(succeeded: bool, code: int) -> Any:
    fine = succeeded or code == 404
    return [not fine, *(("forget_service",) if fine else ())]


@oracle("endpoints", "family", **yes("families_given", "has_cluster_ip"))
def family(families_given: bool, has_cluster_ip: bool) -> Any:
    return ["first-family" if families_given else "cluster-ip" if has_cluster_ip else "pod-ip"]


@oracle("endpoints", "readiness", **yes("publishes_unready", "pod_ready"))
def readiness(publishes_unready: bool, pod_ready: bool) -> Any:
    return [publishes_unready or pod_ready]


@oracle("endpoints", "ports", **yes("has_ports", "headless"))
def ports(has_ports: bool, headless: bool) -> Any:
    return ["per-port" if has_ports else "portless" if headless else "none"]


@oracle("endpoints", "capacity", **yes("over_capacity", "ready_over_capacity"))
def capacity(over_capacity: bool, ready_over_capacity: bool) -> Any:
    if not over_capacity:
        return ["all", "all", False]
    return ["share", "none", True] if ready_over_capacity else ["all", "share", True]


@oracle("endpoints", "write", **yes("endpoints_exist", "stale", "subsets_equal", "labels_right", "annotation_right"))
def write(endpoints_exist: bool, stale: bool, subsets_equal: bool, labels_right: bool, annotation_right: bool) -> Any:
    if not endpoints_exist:
        return [None, "create_endpoints"]
    if stale:
        return ["stale"]
    return [None] if subsets_equal and labels_right and annotation_right else [None, "update_endpoints"]


@oracle("endpoints", "answer", **yes("succeeded", "creating", "namespace_ending", "version_moved"))
def endpoints_answer(succeeded: bool, creating: bool, namespace_ending: bool, version_moved: bool) -> Any:
    if succeeded:
        return [False, *(("remember_replaced",) if not creating and version_moved else ())]
    if creating and namespace_ending:
        return [False]
    return [True, "record_failed_create" if creating else "record_failed_update"]


@oracle("endpoints", "endpoints-event", event=EVENTS, listed=BOTH, elects_leader=BOTH)
def endpoints_event(event: str, listed: bool, elects_leader: bool) -> Any:
    return [event == "DELETED" or (event == "ADDED" and listed and not elects_leader)]


# -- EndpointSlices --------------------------------------------------------------------------------------------------


@oracle("endpointslice", "sync", **yes("service_exists", "external", "selecting", "cache_stale"))
def slices_sync(service_exists: bool, external: bool, selecting: bool, cache_stale: bool) -> Any:
    if not service_exists:
        return [False, None, "forget_service"]
    if external or not selecting:
        return [False, None]
    return [False, "stale"] if cache_stale else [True, None]


@oracle("endpointslice", "slice-cache", **yes("tracked", "slice_seen", "deletion_expected", "generation_behind"))
def slice_cache(tracked: bool, slice_seen: bool, deletion_expected: bool, generation_behind: bool) -> Any:
    if not tracked:
        return [False]
    return [deletion_expected or generation_behind if slice_seen else not deletion_expected]


SLICE_EVENT = yes("moved", "manager_changed", "managed", "tracked", "expected")


@oracle("endpointslice", "slice-event", event=EVENTS, **SLICE_EVENT)
def slice_event(event: str, moved: bool, manager_changed: bool, managed: bool, tracked: bool, expected: bool) -> Any:
    if event == "MODIFIED" and moved:
        return ["both"]
    if event == "MODIFIED" and manager_changed:
        return ["this"]
    known = tracked or event != "DELETED"
    return ["this" if managed and known and not expected else "none"]


@oracle("endpointslice", "slice-expectation", **yes("tracked", "removed", "deletion_expected", "generation_ahead"))
def slice_expectation(tracked: bool, removed: bool, deletion_expected: bool, generation_ahead: bool) -> Any:
    return [tracked and (deletion_expected if removed else not generation_ahead)]


@oracle("endpointslice", "node-event", **yes("updated", "readiness_changed", "zone_changed"))
def node_event(updated: bool, readiness_changed: bool, zone_changed: bool) -> Any:
    return [not updated or readiness_changed or zone_changed]


@oracle("endpointslice", "address-types", **yes("families_given", "has_cluster_ip"))
def address_types(families_given: bool, has_cluster_ip: bool) -> Any:
    return ["families" if families_given else "cluster-ip" if has_cluster_ip else "both"]


@oracle("endpointslice", "conditions", **yes("publishes_unready", "pod_ready", "terminating"))
def conditions(publishes_unready: bool, pod_ready: bool, terminating: bool) -> Any:
    return [publishes_unready or (pod_ready and not terminating), pod_ready, terminating]


@oracle("endpointslice", "node", **yes("node_known", "publishes_unready"))
def node(node_known: bool, publishes_unready: bool) -> Any:
    return [node_known or publishes_unready]


@oracle("endpointslice", "family", **yes("type_supported"))
def slice_family(type_supported: bool) -> Any:
    return [type_supported]


@oracle("endpointslice", "existing", **yes("owned", "ports_wanted"))
def existing(owned: bool, ports_wanted: bool) -> Any:
    return ["delete-first" if not owned else "pack" if ports_wanted else "delete"]


@oracle("endpointslice", "keep", endpoints_changed=BOTH, left=(0, 1, 5), labels_differ=BOTH)
def keep(endpoints_changed: bool, left: int, labels_differ: bool) -> Any:
    if endpoints_changed:
        return ["update" if left else "delete"]
    return ["relabel" if labels_differ else "none"]


@oracle("endpointslice", "fill", **yes("less_than_a_slice", "room_in_unchanged"))
def fill(less_than_a_slice: bool, room_in_unchanged: bool) -> Any:
    return ["unchanged" if less_than_a_slice and room_in_unchanged else "new"]


@oracle("endpointslice", "placeholder", **yes("any_slice_left", "has_placeholder"))
def placeholder(any_slice_left: bool, has_placeholder: bool) -> Any:
    return ["none" if any_slice_left else "keep" if has_placeholder else "create"]


@oracle("endpointslice", "reuse", **yes("creations_left", "same_family", "owned"))
def reuse(creations_left: bool, same_family: bool, owned: bool) -> Any:
    return [creations_left and same_family and owned]


@oracle("endpointslice", "send", change=CHANGES, service_deleting=BOTH)
def send(change: str, service_deleting: bool) -> Any:
    return [] if change == "create" and service_deleting else [f"{change}_slice"]


@oracle("endpointslice", "answer", succeeded=BOTH, change=CHANGES, code=CODES, **yes("namespace_ending", "family_gone"))
def slices_answer(succeeded: bool, change: str, code: int, namespace_ending: bool, family_gone: bool) -> Any:
    if succeeded:
        return ["goes-on", "expect_deletion" if change == "delete" else "expect_generation"]
    if change == "create" and namespace_ending:
        return ["ends"]
    if change == "delete" and code == 404:
        return ["goes-on"]
    return ["fails-alone" if family_gone else "fails"]


@oracle("endpointslice", "end", **yes("anything_failed"))
def end(anything_failed: bool) -> Any:
    return ["record_failed_sync"] if anything_failed else []


@oracle("endpointslice", "hints", **yes("topology_wanted", "distribution_given"))
def hints(topology_wanted: bool, distribution_given: bool) -> Any:
    return ["topology" if topology_wanted else "distribution" if distribution_given else "none"]


@oracle("endpointslice", "hints-given-up", **yes("topology_wanted", "hints_populated"))
def hints_given_up(topology_wanted: bool, hints_populated: bool) -> Any:
    return ["record_hints_removed"] if hints_populated and not topology_wanted else []


@oracle(
    "endpointslice", "zone-allocation", **yes("node_info_sufficient", "zones_short_of_endpoints", "minimum_exceeded")
)
def zone_allocation(node_info_sufficient: bool, zones_short_of_endpoints: bool, minimum_exceeded: bool) -> Any:
    if not node_info_sufficient:
        return ["record_insufficient_nodes"]
    if zones_short_of_endpoints:
        return ["record_few_endpoints"]
    return ["record_minimum_exceeded"] if minimum_exceeded else []


@oracle("endpointslice", "zone-hints", **yes("every_endpoint_zoned", "any_hint", "hints_populated"))
def zone_hints(every_endpoint_zoned: bool, any_hint: bool, hints_populated: bool) -> Any:
    if not every_endpoint_zoned:
        return [False, "record_no_zone"]
    if not any_hint:
        return [False, "record_no_hints"]
    return [True] if hints_populated else [True, "record_hints_enabled"]


@oracle("endpointslice", "distribution-hint", **yes("ready", "has_zone", "has_node", "prefers_node"))
def distribution_hint(ready: bool, has_zone: bool, has_node: bool, prefers_node: bool) -> Any:
    if not ready:
        return ["keep", "keep"]
    return ["own" if has_zone else "none", "own" if has_node and prefers_node else "none"]


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "name"), oracle.known)
def test_table(room: str, name: str) -> None:
    oracle.check(room, name)


@pytest.mark.parametrize(
    ("room", "file"),
    [("service", "selection.yaml"), ("endpoints", "controller.yaml"), ("endpointslice", "controller.yaml")],
)
def test_no_table_is_forgotten(room: str, file: str) -> None:
    assert set(load_tables(room)[file].tables) == oracle.tables(room)


QUEUES = {"endpoints": (5, 5, 1000, 15), "endpointslice": (5, 1000, 1000, 15)}
WATCHES = {
    "endpoints": [("Service", "self"), ("Pod", "services_of_pod"), ("Endpoints", "service_of_endpoints")],
    "endpointslice": [
        ("Service", "self"),
        ("Pod", "services_of_pod"),
        ("EndpointSlice", "services_of_slice"),
        ("Node", "services_of_node"),
    ],
}


@pytest.mark.parametrize("room", ["endpoints", "endpointslice"])
def test_queue_and_watches(room: str) -> None:
    controller = Law(room).controller()
    queue = controller.queue
    assert (queue.workers, queue.base_delay_ms, queue.max_delay_s, queue.max_retries) == QUEUES[room]
    assert [(watch.kind, watch.key) for watch in controller.watches] == WATCHES[room]


def test_fullest_slice_is_filled_first() -> None:
    from k8sfsm.controllers.endpointslice_drafts import Draft
    from k8sfsm.objects import Endpoint, EndpointSlice

    drafts = [Draft(EndpointSlice(), [Endpoint()] * count, {}) for count in (1, 3, 2, 3)]
    ordered = Law("endpointslice").order("fill-order", drafts, None)
    assert [len(draft.endpoints) for draft in ordered] == [3, 3, 2, 1]
    assert ordered[0] is drafts[1]
