"""The tables of allocation and of mirroring against a statement of the same law in Python."""

from __future__ import annotations

from typing import Any

import pytest
from table_oracles import BOTH, Oracles, yes

import k8sfsm.apiserver.addresses
import k8sfsm.controllers.endpointslicemirroring  # noqa: F401
from k8sfsm.law import Law
from k8sfsm.spec.loader import load_tables

TYPES = ("ClusterIP", "NodePort", "LoadBalancer", "ExternalName")
BEFORE = ("", *TYPES)
POLICIES = ("", "SingleStack", "PreferDualStack", "RequireDualStack")
CHANGES = ("create", "update", "delete")
PORT_TYPES = ("NodePort", "LoadBalancer")
oracle = Oracles()


def kept(*pairs: tuple[bool, str]) -> list[list[str]]:
    return [[name] for holds, name in pairs if holds]


# -- allocation ------------------------------------------------------------------------------------------------------


@oracle(
    "service",
    "patched",
    type_before=BEFORE,
    type_now=TYPES,
    **yes("cluster_ip_given", "cluster_ips_given", "health_checked_before", "health_checked", "health_port_given"),
)
def patched(type_before: str, type_now: str, **facts: bool) -> Any:
    both = type_before not in ("", "ExternalName") and type_now != "ExternalName"
    return kept(
        (both and not facts["cluster_ip_given"], "cluster-ip"),
        (both and not facts["cluster_ips_given"], "cluster-ips"),
        (type_before in PORT_TYPES and type_now in PORT_TYPES, "node-ports"),
        (facts["health_checked_before"] and facts["health_checked"] and not facts["health_port_given"], "health-port"),
    )


@oracle(
    "service",
    "linked",
    type_before=BEFORE,
    **yes("cluster_ip_given", "cluster_ips_given", "same_cluster_ip", "same_cluster_ips"),
)
def linked(
    type_before: str, cluster_ip_given: bool, cluster_ips_given: bool, same_cluster_ip: bool, same_cluster_ips: bool
) -> Any:
    if not type_before:
        return ["single" if cluster_ip_given and not cluster_ips_given else "given"]
    if same_cluster_ip:
        return ["given" if cluster_ips_given else "old"]
    if same_cluster_ips:
        return ["single" if cluster_ip_given else "none"]
    return ["given"]


SAME = (
    "same_cluster_ip",
    "same_cluster_ips",
    "same_families",
    "same_policy",
    "new_node_ports",
    "same_health_port",
    "same_port_allocation",
    "same_class",
    "same_external_policy",
)


@oracle(
    "service",
    "dropped",
    type_before=BEFORE,
    type_now=TYPES,
    **yes("health_checked_before", "health_checked", "accessible_before", "accessible"),
    **yes(*SAME[:5]),
    **dict.fromkeys(SAME[5:], (True,)),
)
def dropped(type_before: str, type_now: str, **facts: bool) -> Any:
    unaddressed = type_before not in ("", "ExternalName") and type_now == "ExternalName"
    unbalanced = type_before == "LoadBalancer" and type_now != "LoadBalancer"
    closed = type_before in PORT_TYPES and type_now not in PORT_TYPES
    return kept(
        (unaddressed and facts["same_cluster_ip"] and facts["same_cluster_ips"], "cluster-ips"),
        (unaddressed and facts["same_families"], "families"),
        (unaddressed and facts["same_policy"], "family-policy"),
        (closed and not facts["new_node_ports"], "node-ports"),
        (facts["health_checked_before"] and not facts["health_checked"], "health-port"),
        (unbalanced, "port-allocation"),
        (unbalanced, "class"),
        (facts["accessible_before"] and not facts["accessible"], "external-policy"),
        (type_now != "LoadBalancer", "balancer"),
    )


@oracle(
    "service",
    "family-review",
    type_before=BEFORE,
    type_now=TYPES,
    policy_before=POLICIES,
    policy_given=POLICIES,
    **yes("same_cluster_ips", "same_families", "same_type"),
)
def family_review(type_before: str, type_now: str, policy_before: str, policy_given: str, **same: bool) -> Any:
    preferred = policy_given == "PreferDualStack" and policy_before in ("", "PreferDualStack")
    return [type_now != "ExternalName" and not (type_before and preferred and all(same.values()))]


@oracle("service", "family-policy", policy_given=POLICIES, policy_before=POLICIES, led_elsewhere=BOTH)
def family_policy(policy_given: str, policy_before: str, led_elsewhere: bool) -> Any:
    if policy_given:
        return ["given"]
    return ["before" if policy_before else "RequireDualStack" if led_elsewhere else "SingleStack"]


COUNTS = (0, 1, 2)


@oracle(
    "service",
    "second-dropped",
    type_before=BEFORE,
    policy_given=POLICIES[1:],
    address_count=COUNTS,
    family_count=COUNTS,
    **yes("same_cluster_ips", "same_families"),
)
def second_dropped(
    type_before: str,
    policy_given: str,
    address_count: int,
    family_count: int,
    same_cluster_ips: bool,
    same_families: bool,
) -> Any:
    single = bool(type_before) and policy_given == "SingleStack"
    return kept(
        (single and same_cluster_ips and address_count == 2, "second-address"),
        (single and same_families and family_count == 2, "second-family"),
    )


POLICY = "spec.ipFamilyPolicy"
DUAL = "must be 'RequireDualStack' or 'PreferDualStack' when multiple "
RELEASE = "must be 'SingleStack' to release the secondary "


@oracle(
    "service",
    "family-conflicts",
    type_before=BEFORE,
    policy_given=POLICIES[1:],
    address_count=COUNTS,
    family_count=COUNTS,
    foreign_addresses=COUNTS,
    **yes("fewer_addresses", "fewer_families"),
)
def family_conflicts(
    type_before: str,
    policy_given: str,
    address_count: int,
    family_count: int,
    foreign_addresses: int,
    fewer_addresses: bool,
    fewer_families: bool,
) -> Any:
    single = policy_given == "SingleStack"
    found = [
        (bool(type_before) and not single and fewer_addresses, POLICY, "policy", f"{RELEASE}cluster IP"),
        (bool(type_before) and not single and fewer_families, POLICY, "policy", f"{RELEASE}IP family"),
        (single and address_count == 2, POLICY, "policy", f"{DUAL}cluster IPs are specified"),
        (single and family_count == 2, POLICY, "policy", f"{DUAL}IP families are specified"),
        (foreign_addresses > 0, "spec.clusterIPs[]", "addresses", "{family} is not configured on this cluster"),
    ]
    return [list(row) for holds, *row in found if holds]


@oracle(
    "service",
    "family-demands",
    policy_given=POLICIES[1:],
    foreign_families=COUNTS,
    **yes("led_elsewhere", "cluster_dual"),
)
def family_demands(policy_given: str, foreign_families: int, led_elsewhere: bool, cluster_dual: bool) -> Any:
    if led_elsewhere:
        return []
    text = "this cluster is not configured for dual-stack services"
    two = [[POLICY, "policy", text]] if policy_given == "RequireDualStack" and not cluster_dual else []
    foreign = [["spec.ipFamilies[]", "family", "not configured on this cluster"]] if foreign_families else []
    return two + foreign


@oracle(
    "service",
    "second-family",
    policy_given=POLICIES[1:],
    family_count=COUNTS,
    **yes("led_elsewhere", "cluster_dual"),
)
def second_family(policy_given: str, family_count: int, led_elsewhere: bool, cluster_dual: bool) -> Any:
    return [policy_given != "SingleStack" and family_count < 2 and (led_elsewhere or cluster_dual)]


@oracle(
    "service",
    "cluster-ips",
    type_before=BEFORE,
    type_now=TYPES,
    without_address=BOTH,
    families_before=COUNTS,
    family_count=COUNTS,
)
def cluster_ips(type_before: str, type_now: str, without_address: bool, families_before: int, family_count: int) -> Any:
    if type_now == "ExternalName" or without_address:
        return ["none"]
    if type_before in ("", "ExternalName"):
        return ["all"]
    return ["second" if (families_before, family_count) == (1, 2) else "none"]


@oracle("service", "address-refusal", **yes("in_range", "address_taken"))
def address_refusal(in_range: bool, address_taken: bool) -> Any:
    if not in_range:
        return ["the provided network does not match the current range"]
    return ["provided IP is already allocated" if address_taken else None]


@oracle("service", "port-refusal", **yes("port_in_range", "port_taken"))
def port_refusal(port_in_range: bool, port_taken: bool) -> Any:
    if not port_in_range:
        return ["provided port is not in the valid range. The range of valid ports is {first}-{last}"]
    return ["provided port is already allocated" if port_taken else None]


@oracle(
    "service",
    "node-port",
    **yes("exposed", "created", "number_given", "allocates_ports", "shared", "held", "number_wished"),
)
def node_port(
    exposed: bool,
    created: bool,
    number_given: bool,
    allocates_ports: bool,
    shared: bool,
    held: bool,
    number_wished: bool,
) -> Any:
    if not exposed or (not number_given and not allocates_ports):
        return ["given"]
    if created and shared and not number_given:
        return ["shared"]
    if held:
        return ["given"]
    if created and not shared and number_wished:
        return ["wished"]
    return ["reserved" if number_given else "free"]


@oracle("service", "health-port", **yes("health_checked_before", "health_checked", "health_port_given"))
def health_port(health_checked_before: bool, health_checked: bool, health_port_given: bool) -> Any:
    if not health_checked or health_checked_before:
        return ["given"]
    return ["reserved" if health_port_given else "free"]


# -- mirroring -------------------------------------------------------------------------------------------------------

MIRROR = "endpointslicemirroring"


@oracle(MIRROR, "mirrorable", **yes("opted_out", "elects_leader"))
def mirrorable(opted_out: bool, elects_leader: bool) -> Any:
    return [not opted_out and not elects_leader]


@oracle(MIRROR, "endpoints-event", **yes("is_mirrorable", "was_mirrorable"))
def endpoints_event(is_mirrorable: bool, was_mirrorable: bool) -> Any:
    return [is_mirrorable or was_mirrorable]


@oracle(MIRROR, "service-event", **yes("updated", "selects_now", "selected_before"))
def service_event(updated: bool, selects_now: bool, selected_before: bool) -> Any:
    return [selects_now != selected_before if updated else not selects_now]


@oracle(MIRROR, "sync", **yes("endpoints_exist", "is_mirrorable", "service_exists", "selecting", "cache_stale"))
def sync(endpoints_exist: bool, is_mirrorable: bool, service_exists: bool, selecting: bool, cache_stale: bool) -> Any:
    if not (endpoints_exist and is_mirrorable and service_exists) or selecting:
        return [False, None, "forget_slices"]
    return [False, "stale"] if cache_stale else [True, None]


@oracle(MIRROR, "address", **yes("room_left", "address_valid"))
def address(room_left: bool, address_valid: bool) -> Any:
    return ["surplus" if not room_left else "copied" if address_valid else "invalid"]


@oracle(MIRROR, "left-out", invalid_addresses=COUNTS, surplus_addresses=COUNTS)
def left_out(invalid_addresses: int, surplus_addresses: int) -> Any:
    return kept(
        (invalid_addresses > 0, "record_invalid_addresses"), (surplus_addresses > 0, "record_too_many_addresses")
    )


@oracle(
    MIRROR,
    "group",
    endpoints_wanted=COUNTS,
    slices_found=COUNTS,
    **yes("same_endpoints", "same_labels", "same_annotations"),
)
def group(endpoints_wanted: int, slices_found: int, **same: bool) -> Any:
    if not endpoints_wanted:
        return ["delete"]
    if not slices_found:
        return ["create"]
    return ["keep" if all(same.values()) else "update"]


@oracle(MIRROR, "reuse", creation_waits=BOTH)
def reuse(creation_waits: bool) -> Any:
    return [creation_waits]


@oracle(MIRROR, "send", change=CHANGES, endpoints_deleting=BOTH)
def send(change: str, endpoints_deleting: bool) -> Any:
    return [] if change == "create" and endpoints_deleting else [f"{change}_slice"]


@oracle(MIRROR, "answer", change=CHANGES, **yes("succeeded", "namespace_ending", "cleaning_up"))
def answer(change: str, succeeded: bool, namespace_ending: bool, cleaning_up: bool) -> Any:
    if cleaning_up:
        return ["goes-on" if succeeded else "fails-later"]
    if succeeded:
        return ["goes-on", "expect_deletion" if change == "delete" else "expect_generation"]
    return ["ends" if change == "create" and namespace_ending else "fails"]


# -- the tests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "name"), oracle.known)
def test_table(room: str, name: str) -> None:
    oracle.check(room, name)


@pytest.mark.parametrize(("room", "file"), [("service", "allocation.yaml"), (MIRROR, "controller.yaml")])
def test_no_table_is_forgotten(room: str, file: str) -> None:
    assert set(load_tables(room)[file].tables) == oracle.tables(room)


def test_queue_and_watches() -> None:
    controller = Law(MIRROR).controller()
    queue = controller.queue
    assert (queue.workers, queue.base_delay_ms, queue.max_delay_s, queue.max_retries) == (5, 1000, 100, 15)
    assert [(watch.kind, watch.key) for watch in controller.watches] == [
        ("Endpoints", "mirrored_endpoints"),
        ("Service", "endpoints_of_service"),
        ("EndpointSlice", "endpoints_of_slice"),
    ]
