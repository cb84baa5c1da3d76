"""What the API server gives to a Service, keeps for it and takes from it: families, addresses, ports."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network
from typing import Any

import pytest
from api_world import World, service

from k8sfsm.apiserver import Options
from k8sfsm.apiserver.addresses import with_allocations
from k8sfsm.apiserver.strategy import prepared_for_update
from k8sfsm.objects import from_json, to_json
from k8sfsm.request import Create, Delete, Patch, Update

DUAL = Options(service_cidr="10.0.0.0/24,fd00::/112", node_ports=(30000, 2768))
KEY = ("Service", "a", "s")
HEADLESS: dict[str, Any] = {"clusterIP": "None", "selector": {}}


def patched(world: World, **spec: Any) -> Any:
    return world.done(Patch(key=KEY, body={"spec": spec})).spec


def refusal(world: World, **spec: Any) -> str:
    """Why an update is refused."""
    code, _, text = world.refused(Patch(key=KEY, body={"spec": spec}))
    assert code == 422
    return text.removeprefix('Service "s" is invalid: ')


def unwanted(options: Options, **spec: Any) -> str:
    """Why a creation is refused."""
    code, _, text = World(options).refused(Create(object=from_json(service(**spec))))
    assert code == 422
    return text.removeprefix('Service "s" is invalid: ')


def families(spec: Any) -> tuple[str | None, tuple[str, ...], int]:
    return spec.ip_family_policy, spec.ip_families, len(spec.cluster_ips)


# -- families --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
@pytest.mark.parametrize("options", [Options(), DUAL])
def test_one_family_is_usual(kind: str, options: Options) -> None:
    assert families(World(options).make(service(type=kind)).spec) == ("SingleStack", ("IPv4",), 1)


def test_an_external_name_has_no_family() -> None:
    made = World().make(service(type="ExternalName", externalName="x.org")).spec
    assert families(made) == (None, (), 0)


def test_one_stack_may_be_ipv6() -> None:
    made = World(Options(service_cidr="fd00::/112")).make(service()).spec
    assert families(made) == ("SingleStack", ("IPv6",), 1)
    assert IPv6Address(made.cluster_ip) in IPv6Network("fd00::/112")


def test_the_last_address_is_given_out_of_ipv6_only() -> None:
    world = World(Options(service_cidr="fd00::/126"))
    made = [world.make(service(f"s{number}")).spec.cluster_ip for number in range(3)]
    assert sorted(made) == ["fd00::1", "fd00::2", "fd00::3"]
    world = World(Options(service_cidr="10.0.0.0/30"))
    made = [world.make(service(f"s{number}")).spec.cluster_ip for number in range(2)]
    assert sorted(made) == ["10.0.0.1", "10.0.0.2"]
    assert "does not match" in world.refused(Create(object=from_json(service(clusterIP="10.0.0.3"))))[2]
    assert "does not match" in world.refused(Create(object=from_json(service(clusterIP="10.0.0.0"))))[2]


@pytest.mark.parametrize(
    ("options", "wish", "expected"),
    [
        (Options(), {"ipFamilyPolicy": "PreferDualStack"}, ("PreferDualStack", ("IPv4",), 1)),
        (DUAL, {"ipFamilyPolicy": "PreferDualStack"}, ("PreferDualStack", ("IPv4", "IPv6"), 2)),
        (DUAL, {"ipFamilyPolicy": "RequireDualStack"}, ("RequireDualStack", ("IPv4", "IPv6"), 2)),
        (
            DUAL,
            {"ipFamilyPolicy": "RequireDualStack", "ipFamilies": ["IPv6"]},
            ("RequireDualStack", ("IPv6", "IPv4"), 2),
        ),
        (
            DUAL,
            {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv6", "IPv4"]},
            ("PreferDualStack", ("IPv6", "IPv4"), 2),
        ),
        (DUAL, {"ipFamilies": ["IPv6"]}, ("SingleStack", ("IPv6",), 1)),
        (DUAL, {"clusterIP": "fd00::5"}, ("SingleStack", ("IPv6",), 1)),
        (
            DUAL,
            {"clusterIP": "fd00::5", "clusterIPs": ["fd00::5", "10.0.0.5"], "ipFamilyPolicy": "PreferDualStack"},
            ("PreferDualStack", ("IPv6", "IPv4"), 2),
        ),
        (DUAL, {"clusterIP": "None", "ipFamilyPolicy": "RequireDualStack"}, ("RequireDualStack", ("IPv4", "IPv6"), 1)),
        (DUAL, {"clusterIP": "None"}, ("SingleStack", ("IPv4",), 1)),
        (DUAL, {**HEADLESS, "ipFamilyPolicy": "SingleStack"}, ("SingleStack", ("IPv4",), 1)),
        (Options(), {**HEADLESS, "ipFamilies": ["IPv6", "IPv4"]}, ("RequireDualStack", ("IPv6", "IPv4"), 1)),
    ],
)
def test_what_is_left_to_the_cluster(options: Options, wish: dict[str, Any], expected: Any) -> None:
    made = World(options).make(service(**wish)).spec
    assert families(made) == expected
    if "clusterIPs" in wish:
        assert list(made.cluster_ips) == wish["clusterIPs"]


@pytest.mark.parametrize(
    ("options", "wish", "why"),
    [
        (
            Options(),
            {"ipFamilyPolicy": "RequireDualStack"},
            'spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
            "this cluster is not configured for dual-stack services",
        ),
        (
            Options(),
            {"ipFamilies": ["IPv6"]},
            'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster',
        ),
        (
            Options(),
            {"clusterIP": "fd00::5"},
            'spec.clusterIPs[0]: Invalid value: ["fd00::5"]: IPv6 is not configured on this cluster',
        ),
        (
            DUAL,
            {"ipFamilies": ["IPv4", "IPv6"]},
            'spec.ipFamilyPolicy: Invalid value: "SingleStack": '
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
        (
            DUAL,
            {"clusterIP": "10.0.0.5", "clusterIPs": ["10.0.0.5", "fd00::5"]},
            'spec.ipFamilyPolicy: Invalid value: "SingleStack": '
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple cluster IPs are specified",
        ),
        (
            Options(),
            {"ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "RequireDualStack"},
            '[spec.ipFamilyPolicy: Invalid value: "RequireDualStack": '
            "this cluster is not configured for dual-stack services, "
            'spec.ipFamilies[0]: Invalid value: "IPv6": not configured on this cluster]',
        ),
    ],
)
def test_what_the_cluster_cannot_do(options: Options, wish: dict[str, Any], why: str) -> None:
    assert unwanted(options, **wish) == why


def test_a_second_family_comes_and_goes_with_the_policy() -> None:
    world = World(DUAL)
    first = world.make(service()).spec.cluster_ip
    both = patched(world, ipFamilyPolicy="RequireDualStack")
    assert families(both) == ("RequireDualStack", ("IPv4", "IPv6"), 2)
    assert both.cluster_ips[0] == first and IPv6Address(both.cluster_ips[1]) in IPv6Network("fd00::/112")
    with_addresses = {"clusterIPs": [first], "ipFamilies": ["IPv4"]}
    text = "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": must be 'SingleStack' to release the secondary "
    assert refusal(world, **with_addresses) == f"[{text}cluster IP, {text}IP family]"
    one = patched(world, ipFamilyPolicy="SingleStack")
    assert families(one) == ("SingleStack", ("IPv4",), 1)
    assert one.cluster_ip == first
    asked = patched(world, ipFamilyPolicy="PreferDualStack", clusterIPs=[first, "fd00::7"])
    assert asked.cluster_ips == (first, "fd00::7")
    assert families(patched(world, ipFamilyPolicy="SingleStack", **with_addresses)) == ("SingleStack", ("IPv4",), 1)


def test_a_taken_second_address_is_refused() -> None:
    world = World(DUAL)
    world.make(service("t", clusterIP="fd00::7"))
    first = world.make(service()).spec.cluster_ip
    text = refusal(world, ipFamilyPolicy="PreferDualStack", clusterIPs=[first, "fd00::7"])
    assert text == (
        f'spec.clusterIPs: Invalid value: ["{first}","fd00::7"]: failed to allocate IP fd00::7: '
        "provided IP is already allocated"
    )


def test_a_preference_is_not_acted_on_when_the_cluster_gets_a_second_family() -> None:
    world = World(Options(service_cidr="10.0.0.0/24"))
    world.make(service(ipFamilyPolicy="PreferDualStack"))
    world.api.options = DUAL
    assert families(patched(world, sessionAffinity="ClientIP")) == ("PreferDualStack", ("IPv4",), 1)
    moved = patched(world, type="NodePort")
    assert families(moved) == ("PreferDualStack", ("IPv4", "IPv6"), 2)
    world.api.options = Options(service_cidr="10.0.0.0/24")
    assert families(patched(world, sessionAffinity="None")) == ("PreferDualStack", ("IPv4", "IPv6"), 2)


def test_an_update_without_policy_keeps_it() -> None:
    world = World(DUAL)
    made = world.make(service(ipFamilyPolicy="RequireDualStack")).spec
    new = world.done(Update(object=from_json(service()))).spec
    assert families(new) == ("RequireDualStack", ("IPv4", "IPv6"), 2)
    assert new.cluster_ips == made.cluster_ips


# -- clusterIP and clusterIPs ----------------------------------------------------------------------------------------


def test_cluster_ips_follow_the_cluster_ip_of_old_clients() -> None:
    world = World()
    made = world.make(service(clusterIP="10.96.3.3")).spec
    assert made.cluster_ips == ("10.96.3.3",)
    again = world.done(Update(object=from_json(service(clusterIP="10.96.3.3")))).spec
    assert again.cluster_ips == ("10.96.3.3",)
    assert refusal(world, clusterIP="10.96.3.4").startswith("spec.clusterIPs[0]: Invalid value:")
    assert patched(world, type="ExternalName", externalName="x.org").cluster_ips == ()
    back = world.done(Update(object=from_json(service(clusterIP="10.96.3.5")))).spec
    assert back.cluster_ips == ("10.96.3.5",)


# -- node ports ------------------------------------------------------------------------------------------------------


def test_node_ports_stay_with_the_names_of_ports() -> None:
    world = World()
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    made = {port.name: port.node_port for port in world.make(service(type="NodePort", ports=ports)).spec.ports}
    renumbered = [{"name": "b", "port": 90}, {"name": "a", "port": 91}, {"name": "c", "port": 92}]
    new = {port.name: port for port in world.done(Update(object=_with_ports(renumbered))).spec.ports}
    assert {name: new[name].node_port for name in "ab"} == made
    assert new["c"].node_port not in (0, *made.values())
    swapped = [{"name": "a", "port": 80, "nodePort": made["b"]}, {"name": "b", "port": 81}]
    moved = {port.name: port.node_port for port in world.done(Update(object=_with_ports(swapped))).spec.ports}
    assert moved["a"] == made["b"]
    assert moved["b"] not in (0, *made.values())


def _with_ports(ports: list[dict[str, Any]], kind: str = "NodePort") -> Any:
    return from_json(service(type=kind, ports=ports))


def test_ports_of_one_number_share_on_creation_but_not_on_an_update() -> None:
    both = [{"name": "a", "port": 53, "protocol": "UDP"}, {"name": "b", "port": 53}]
    made = World().make(service(type="NodePort", ports=both)).spec.ports
    assert made[0].node_port == made[1].node_port
    later = [both[0], {**both[1], "nodePort": 30007}]
    asked = World().make(service(type="NodePort", ports=later)).spec.ports
    assert [port.node_port for port in asked] == [30007, 30007]
    world = World()
    world.make(service(ports=both))
    opened = world.done(Update(object=_with_ports(both))).spec.ports
    assert opened[0].node_port != opened[1].node_port
    own = [{**both[0], "nodePort": 30008}, {**both[1], "nodePort": 30009}]
    assert [port.node_port for port in World().make(service(type="NodePort", ports=own)).spec.ports] == [30008, 30009]
    same = [{**both[0], "nodePort": 30008}, {**both[1], "nodePort": 30008}]
    assert [port.node_port for port in World().make(service(type="NodePort", ports=same)).spec.ports] == [30008, 30008]
    world = World()
    world.make(service(ports=both))
    assert [port.node_port for port in world.done(Update(object=_with_ports(same))).spec.ports] == [30008, 30008]


def test_a_load_balancer_without_node_ports_may_ask_for_some() -> None:
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": 30005}]
    world = World()
    made = world.make(service(type="LoadBalancer", allocateLoadBalancerNodePorts=False, ports=ports)).spec
    assert [port.node_port for port in made.ports] == [0, 30005]
    assert patched(world, allocateLoadBalancerNodePorts=True).ports[0].node_port


def test_what_a_service_gives_up_is_free_only_afterwards() -> None:
    world = World()
    local: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = world.make(service(**local)).spec
    ports = [{"port": 80, "nodePort": made.health_check_node_port}]
    text = refusal(world, externalTrafficPolicy="Cluster", ports=ports)
    assert text.endswith("provided port is already allocated")


# -- health checks ---------------------------------------------------------------------------------------------------


def test_a_load_balancer_of_local_traffic_has_a_port_for_health_checks() -> None:
    world = World()
    local: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    made = world.make(service(**local)).spec
    assert 30086 <= made.health_check_node_port < 32768
    assert made.health_check_node_port != made.ports[0].node_port
    again = world.done(Update(object=from_json(service(**local)))).spec
    assert again.health_check_node_port == made.health_check_node_port
    taken = world.refused(
        Create(object=from_json(service("t", **local, healthCheckNodePort=again.health_check_node_port)))
    )
    assert taken[0] == 500
    assert taken[2] == (
        f"Internal error occurred: failed to allocate requested HealthCheck NodePort {again.health_check_node_port}: "
        "provided port is already allocated"
    )
    asked = [{"port": 80, "nodePort": again.health_check_node_port}]
    assert "already allocated" in world.refused(Create(object=_with_ports(asked)))[2]
    assert world.make(service("t", **local, healthCheckNodePort=30002)).spec.health_check_node_port == 30002
    cluster = patched(world, externalTrafficPolicy="Cluster")
    assert cluster.health_check_node_port == 0
    assert patched(world, externalTrafficPolicy="Local", healthCheckNodePort=30003).health_check_node_port == 30003


@pytest.mark.parametrize("more", [{"type": "LoadBalancer"}, {"type": "NodePort", "externalTrafficPolicy": "Local"}])
def test_other_services_have_none(more: dict[str, Any]) -> None:
    assert World().make(service(**more)).spec.health_check_node_port == 0


def test_a_range_without_room_for_health_checks() -> None:
    world = World(Options(node_ports=(30000, 1)))
    local: dict[str, Any] = {"type": "LoadBalancer", "externalTrafficPolicy": "Local"}
    code, _, text = world.refused(Create(object=from_json(service(**local))))
    assert (code, text) == (
        500,
        "Internal error occurred: failed to allocate a HealthCheck NodePort 0: range is full",
    )


# -- what a type has no use for --------------------------------------------------------------------------------------

FULL: dict[str, Any] = {
    "type": "LoadBalancer",
    "externalTrafficPolicy": "Local",
    "loadBalancerClass": "x.org/y",
}


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "ExternalName"])
def test_another_type_drops_what_it_has_no_use_for(kind: str) -> None:
    world = World()
    made = world.make(service(**FULL))
    status = {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}
    world.done(Patch(key=KEY, subresource="status", body={"status": status}))
    new = patched(world, type=kind, **({"externalName": "x.org"} if kind == "ExternalName" else {}))
    assert made.spec.allocate_load_balancer_node_ports is True
    assert (new.allocate_load_balancer_node_ports, new.load_balancer_class, new.health_check_node_port) == (
        None,
        None,
        0,
    )
    assert new.external_traffic_policy == ("Local" if kind == "NodePort" else "")
    assert bool(new.ports[0].node_port) is (kind == "NodePort")
    assert families(new) == ((None, (), 0) if kind == "ExternalName" else ("SingleStack", ("IPv4",), 1))
    assert world.get("Service", "s").status.load_balancer.ingress == ()


def test_what_an_update_changes_as_well_is_left_to_validation() -> None:
    world = World()
    old = to_json(world.make(service(**FULL)))
    new = from_json(
        {
            **old,
            "spec": {
                **old["spec"],
                "type": "ExternalName",
                "externalName": "x.org",
                "clusterIP": "10.96.9.9",
                "ipFamilies": ["IPv6"],
                "ipFamilyPolicy": "PreferDualStack",
                "healthCheckNodePort": 30001,
                "allocateLoadBalancerNodePorts": False,
                "loadBalancerClass": "x.org/z",
                "externalTrafficPolicy": "Cluster",
                "ports": [{"port": 80, "nodePort": 30002}],
            },
        }
    )
    assert prepared_for_update(from_json(old), new, "").spec == new.spec


def test_node_ports_of_the_same_service_may_be_moved_and_are_dropped_all_the_same() -> None:
    world = World()
    ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81}]
    old = world.make(service(type="NodePort", ports=ports))
    fewer = [{"name": "b", "port": 82, "nodePort": old.spec.ports[0].node_port}]
    new = world.done(Update(object=_with_ports(fewer, "ClusterIP"))).spec
    assert [port.node_port for port in new.ports] == [0]


@pytest.mark.parametrize(
    "wish",
    [
        {"clusterIP": "x"},
        {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "10.96.0.8"]},
        {"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "None"]},
        {"clusterIP": "10.96.0.9", "ipFamilies": ["IPv6"]},
        {"clusterIPs": ["10.96.0.9"]},
        {"ipFamilies": ["IPv5"]},
        {"ipFamilies": ["IPv4", "IPv4"]},
        {"ipFamilyPolicy": "Foo"},
    ],
)
def test_nothing_is_worked_out_from_what_contradicts_itself(wish: dict[str, Any]) -> None:
    world = World()
    asked = from_json(service(type="NodePort", **wish))
    found = with_allocations(None, asked, world.store, Options(), world.chance)
    assert found.spec.ports == asked.spec.ports
    assert found.spec.ip_family_policy == asked.spec.ip_family_policy


# -- deletion --------------------------------------------------------------------------------------------------------


def test_the_endpoints_go_with_their_service() -> None:
    world = World()
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "s", "namespace": "a"}}
    for name in ("s", "t"):
        world.make(service(name))
        world.make({**endpoints, "metadata": {"name": name, "namespace": "a"}})
    world.done(Delete(key=KEY))
    assert [(change.type, change.key) for change in world.changes] == [
        ("DELETED", KEY),
        ("DELETED", ("Endpoints", "a", "s")),
    ]
    assert world.get("Endpoints", "s") is None
    assert world.get("Endpoints", "t") is not None
    world.done(Delete(key=("Endpoints", "a", "t")))
    world.done(Delete(key=("Service", "a", "t")))
    assert [change.key[0] for change in world.changes] == ["Service"]


def test_endpoints_with_finalizers_wait_for_these() -> None:
    world = World()
    world.make(service())
    meta = {"name": "s", "namespace": "a", "finalizers": ["x.org/y"]}
    world.make({"apiVersion": "v1", "kind": "Endpoints", "metadata": meta})
    world.done(Delete(key=KEY))
    assert world.get("Endpoints", "s").metadata.deletion_timestamp is not None
