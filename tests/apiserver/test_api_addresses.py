"""Cluster IPs and node ports: bands, collisions, what an update keeps and releases."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from api_world import World, service
from attrs import evolve

from k8sfsm.apiserver import Options
from k8sfsm.apiserver.addresses import band
from k8sfsm.objects import from_json, to_json
from k8sfsm.request import Create, Delete, Patch, Update

SMALL = Options(service_cidr="10.0.0.0/28")


@pytest.mark.parametrize(("size", "expected"), [(8, 0), (16, 0), (17, 16), (256, 16), (1024, 64), (65536, 256)])
def test_the_static_band(size: int, expected: int) -> None:
    assert band(size, 16, 256) == expected


def test_addresses_come_from_the_upper_band_first_and_then_from_the_lower_one() -> None:
    world = World(Options(service_cidr="10.0.0.0/27"))
    upper = [world.make(service(f"s{number}")).spec.cluster_ip for number in range(14)]
    assert sorted(map(IPv4Address, upper)) == [IPv4Address("10.0.0.17") + number for number in range(14)]
    lower = [world.make(service(f"t{number}")).spec.cluster_ip for number in range(16)]
    assert lower == [f"10.0.0.{number}" for number in range(1, 17)]
    code, _, text = world.refused(Create(object=from_json(service("last"))))
    assert (code, text) == (500, "Internal error occurred: failed to allocate a serviceIP: range is full")
    world.done(Delete(key=("Service", "a", "s3")))
    assert world.make(service("last")).spec.cluster_ip == upper[3]


def test_an_address_may_be_asked_for() -> None:
    world = World(SMALL)
    made = world.make(service(clusterIP="10.0.0.5"))
    assert made.spec.cluster_ips == ("10.0.0.5",)
    taken = world.refused(Create(object=from_json(service("t", clusterIP="10.0.0.5"))))
    assert taken[0] == 422 and "provided IP is already allocated" in taken[2]
    outside = world.refused(Create(object=from_json(service("t", clusterIP="10.0.1.5"))))
    assert outside[0] == 422 and "the provided network does not match the current range" in outside[2]


def test_headless_and_external_services_have_no_address() -> None:
    world = World()
    headless = world.make(service(clusterIP="None")).spec
    assert (headless.cluster_ip, headless.cluster_ips) == ("None", ("None",))
    external = world.make(service("t", type="ExternalName", externalName="x.org")).spec
    assert (external.cluster_ip, external.cluster_ips) == ("", ())


ANY_FAMILY = [
    ({}, "RequireDualStack", ("IPv4", "IPv6")),
    ({"selector": {"a": "b"}}, "SingleStack", ("IPv4",)),
    ({"ipFamilyPolicy": "SingleStack"}, "SingleStack", ("IPv4",)),
    ({"ipFamilyPolicy": "PreferDualStack"}, "PreferDualStack", ("IPv4", "IPv6")),
    ({"ipFamilies": ["IPv6"]}, "RequireDualStack", ("IPv6", "IPv4")),
    ({"ipFamilies": ["IPv6"], "ipFamilyPolicy": "SingleStack"}, "SingleStack", ("IPv6",)),
]


@pytest.mark.parametrize(("wish", "policy", "families"), ANY_FAMILY)
def test_headless_services_without_selector_lead_to_any_family(
    wish: dict[str, Any], policy: str, families: tuple[str, ...]
) -> None:
    made = World().make(service(**{"clusterIP": "None", "selector": {}, **wish})).spec
    assert (made.ip_family_policy, made.ip_families) == (policy, families)


def test_a_node_port_must_be_in_the_range() -> None:
    world = World()
    for port in (29999, 32768):
        ports = [{"name": "a", "port": 80}, {"name": "b", "port": 81, "nodePort": port}]
        code, _, text = world.refused(Create(object=from_json(service(type="NodePort", ports=ports))))
        assert code == 422
        assert text == (
            f'Service "s" is invalid: spec.ports[1].nodePort: Invalid value: {port}: '
            "provided port is not in the valid range. The range of valid ports is 30000-32767"
        )
    ports = [{"name": "a", "port": 80, "nodePort": 30000}, {"name": "b", "port": 81, "nodePort": 32767}]
    assert [port.node_port for port in world.make(service(type="NodePort", ports=ports)).spec.ports] == [30000, 32767]


def test_default_range_and_ports() -> None:
    world = World()
    made = world.make(service(type="NodePort", ports=[{"port": 80}])).spec
    assert IPv4Address(made.cluster_ip) in IPv4Network("10.96.0.0/16")
    assert int(IPv4Address(made.cluster_ip)) - int(IPv4Address("10.96.0.0")) > 256
    assert 30000 + 86 <= made.ports[0].node_port <= 32767


def test_node_ports() -> None:
    world = World(Options(node_ports=(30000, 20)))
    ports = [{"port": 53, "name": "a", "protocol": "UDP"}, {"port": 53, "name": "b"}, {"port": 80, "name": "c"}]
    made = [port.node_port for port in world.make(service(type="NodePort", ports=ports)).spec.ports]
    assert made[0] == made[1] != made[2] and min(made) >= 30016 and max(made) < 30020
    asked = [{"port": 80, "nodePort": 30001}]
    assert world.make(service("t", type="NodePort", ports=asked)).spec.ports[0].node_port == 30001
    code, _, text = world.refused(Create(object=from_json(service("u", type="NodePort", ports=asked))))
    assert code == 422 and "30001: provided port is already allocated" in text
    for number in range(17):
        world.make(service(f"v{number}", type="NodePort"))
    assert "range is full" in world.refused(Create(object=from_json(service("w", type="NodePort"))))[2]


@pytest.mark.parametrize(("wish", "given"), [({}, True), ({"allocateLoadBalancerNodePorts": False}, False)])
def test_load_balancers_may_do_without_node_ports(wish: dict[str, Any], given: bool) -> None:
    assert bool(World().make(service(type="LoadBalancer", **wish)).spec.ports[0].node_port) is given


def replaced(world: World, **spec: Any) -> Any:
    return world.done(Update(object=from_json(service(**spec)))).spec


def test_an_update_that_does_not_mention_addresses_keeps_them() -> None:
    world = World()
    made = world.make(service(type="NodePort")).spec
    new = replaced(world, type="LoadBalancer", ports=[{"port": 80}, {"port": 81, "name": "b"}][:1], selector={"a": "b"})
    assert (new.cluster_ip, new.cluster_ips, new.ports[0].node_port) == (
        made.cluster_ip,
        made.cluster_ips,
        made.ports[0].node_port,
    )


def test_addresses_that_are_not_needed_any_more_are_released() -> None:
    world = World()
    made = world.make(service(type="NodePort"))
    assert replaced(world, type="ClusterIP").ports[0].node_port == 0
    back = evolve(world.get("Service", "s"), spec=evolve(world.get("Service", "s").spec, type="NodePort"))
    assert world.done(Update(object=back)).spec.ports[0].node_port
    body = {"spec": {"type": "ClusterIP"}}
    assert world.done(Patch(key=("Service", "a", "s"), body=body)).spec.ports[0].node_port == 0
    world.done(Patch(key=("Service", "a", "s"), body={"spec": {"type": "NodePort"}}))
    external = evolve(world.get("Service", "s").spec, type="ExternalName", external_name="x.org")
    gone = world.done(Update(object=evolve(world.get("Service", "s"), spec=external))).spec
    assert (gone.cluster_ip, gone.cluster_ips, gone.ports[0].node_port) == ("", (), 0)
    assert world.make(service("t", clusterIP=made.spec.cluster_ip)).spec.cluster_ip == made.spec.cluster_ip


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
@pytest.mark.parametrize("then", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_the_cluster_ip_is_kept_between_types(kind: str, then: str) -> None:
    world = World()
    made = world.make(service(type=kind)).spec
    new = replaced(world, type=then)
    assert new.cluster_ip == made.cluster_ip
    assert bool(new.ports[0].node_port) is (then != "ClusterIP")
    if "ClusterIP" not in (kind, then):
        assert new.ports[0].node_port == made.ports[0].node_port


@pytest.mark.parametrize("kind", ["ClusterIP", "NodePort", "LoadBalancer"])
def test_an_external_name_releases_everything_and_comes_back(kind: str) -> None:
    world = World()
    made = to_json(world.make(service(type=kind)))
    made["spec"] |= {"type": "ExternalName", "externalName": "x.org"}
    gone = world.done(Update(object=from_json(made))).spec
    assert (gone.cluster_ip, gone.ports[0].node_port) == ("", 0)
    assert replaced(world, type=kind).cluster_ip


def test_another_node_port_than_before_may_be_asked_for() -> None:
    world = World()
    world.make(service(type="NodePort"))
    assert replaced(world, type="NodePort", ports=[{"port": 80, "nodePort": 30005}]).ports[0].node_port == 30005


def test_a_recorded_address_is_taken_where_it_is_free() -> None:
    world = World()
    seeded = world.chance

    class Recorded:
        def __getattr__(self, name: str) -> Any:
            return getattr(seeded, name)

        def recorded(self, purpose: str, key: Any) -> str:
            return {"clusterIP": "10.96.1.1", "nodePort/80": "30080"}.get(purpose, "")

    world.chance = Recorded()
    first, second = (world.make(service(name, type="NodePort")).spec for name in ("s", "t"))
    assert (first.cluster_ip, first.ports[0].node_port) == ("10.96.1.1", 30080)
    assert second.cluster_ip != "10.96.1.1" and second.ports[0].node_port != 30080
