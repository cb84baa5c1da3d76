"""Which Services and endpoints a proxy takes, and which endpoints its node uses."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from proxy_worlds import HERE, PODS, THERE, endpoint, place, service, slice_of

from k8sfsm.network.proxy.endpoints import endpoints_of
from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.services import is_watched, ports_of
from k8sfsm.network.proxy.tracker import Tracker, portals_of
from k8sfsm.objects import LoadBalancerIngress, LoadBalancerStatus, ServiceStatus, from_json


def portal(*endpoints: Any, here: Place | None = None, **spec: Any) -> Portal:
    (found,) = portals_of([service(**spec), slice_of(*endpoints)], here or place(zone="za"))
    return found


def texts(endpoints: Any) -> list[str]:
    return [each.ip for each in endpoints]


def hinted(ip: str, node: str = "", zone: str = "", at: str = HERE, **more: Any) -> Any:
    hints = {"forNodes": [{"name": node}]} if node else {}
    hints |= {"forZones": [{"name": zone}]} if zone else {}
    return endpoint(ip, at, hints=hints, **more)


@pytest.mark.parametrize(
    ("endpoints", "chosen"),
    [
        ([hinted("10.1.0.1", node=HERE), hinted("10.1.0.2", node=THERE)], ["10.1.0.1"]),
        ([hinted("10.1.0.1", node="n3"), hinted("10.1.0.2", node=THERE)], ["10.1.0.1", "10.1.0.2"]),
        ([hinted("10.1.0.1", node=HERE), endpoint("10.1.0.2")], ["10.1.0.1", "10.1.0.2"]),
        ([hinted("10.1.0.1", zone="za"), hinted("10.1.0.2", zone="zb")], ["10.1.0.1"]),
        ([hinted("10.1.0.1", zone="zb"), hinted("10.1.0.2", zone="zc")], ["10.1.0.1", "10.1.0.2"]),
        ([hinted("10.1.0.1", zone="za"), endpoint("10.1.0.2")], ["10.1.0.1", "10.1.0.2"]),
        ([hinted("10.1.0.1", node=THERE, zone="za"), hinted("10.1.0.2", node="n3", zone="zb")], ["10.1.0.1"]),
        ([hinted("10.1.0.1", node=HERE, zone="zb"), hinted("10.1.0.2", node="n3", zone="za")], ["10.1.0.1"]),
        ([hinted("10.1.0.1", zone="za"), endpoint("10.1.0.2", ready=False)], ["10.1.0.1"]),
        ([hinted("10.1.0.1", zone="zb", ready=False, terminating=True), hinted("10.1.0.2", zone="za", ready=False, terminating=True)], ["10.1.0.1", "10.1.0.2"]),  # noqa: E501
    ],
)  # fmt: skip
def test_hints(endpoints: list[Any], chosen: list[str]) -> None:
    assert texts(portal(*endpoints).choice.cluster) == chosen


READY, DRAINING = endpoint("10.1.0.1", THERE), endpoint("10.1.0.2", THERE, ready=False, terminating=True)
UNREADY, DEAD = (
    endpoint("10.1.0.3", THERE, ready=False),
    endpoint("10.1.0.4", THERE, ready=False, serving=False, terminating=True),
)
OWN, OWN_DRAINING = endpoint("10.1.0.5"), endpoint("10.1.0.6", ready=False, terminating=True)
LOCAL_BOTH = {"type": "NodePort", "externalTrafficPolicy": "Local"}


@pytest.mark.parametrize(
    ("endpoints", "spec", "cluster", "local", "alive"),
    [
        ([READY, DRAINING, UNREADY, DEAD], {}, ["10.1.0.1"], [], True),
        ([DRAINING, UNREADY, DEAD], {}, ["10.1.0.2"], [], True),
        ([UNREADY, DEAD], {}, [], [], False),
        ([], {}, [], [], False),
        ([READY, OWN], {"internalTrafficPolicy": "Local"}, [], ["10.1.0.5"], True),
        ([READY], {"internalTrafficPolicy": "Local"}, [], [], True),
        ([DRAINING], {"internalTrafficPolicy": "Local"}, [], [], True),
        ([UNREADY], {"internalTrafficPolicy": "Local"}, [], [], False),
        ([READY, OWN_DRAINING], LOCAL_BOTH, ["10.1.0.1"], ["10.1.0.6"], True),
        ([READY, OWN, OWN_DRAINING], LOCAL_BOTH, ["10.1.0.1", "10.1.0.5"], ["10.1.0.5"], True),
        ([READY, OWN], {"type": "NodePort"}, ["10.1.0.1", "10.1.0.5"], [], True),
        ([READY, OWN], {"externalTrafficPolicy": "Local"}, ["10.1.0.1", "10.1.0.5"], [], True),
        ([READY, OWN], {"type": "NodePort", "internalTrafficPolicy": "Local"}, ["10.1.0.1", "10.1.0.5"], ["10.1.0.5"], True),  # noqa: E501
        ([READY, OWN], {"externalTrafficPolicy": "Local", "externalIPs": ["192.0.2.1"]}, ["10.1.0.1", "10.1.0.5"], ["10.1.0.5"], True),  # noqa: E501
    ],
)  # fmt: skip
def test_sets(endpoints: list[Any], spec: Any, cluster: list[str], local: list[str], alive: bool) -> None:
    if spec.get("type") == "NodePort":
        spec = {**spec, "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}
    choice = portal(*endpoints, **spec).choice
    assert (texts(choice.cluster), texts(choice.local), choice.alive) == (cluster, local, alive)
    assert texts(choice.reachable) == sorted({*cluster, *local})


def test_conditions_that_are_not_known_count_as_ready() -> None:
    bare = {"addresses": ["10.1.0.1"]}
    assert texts(portal(bare).choice.cluster) == ["10.1.0.1"]


def test_only_the_first_address_of_an_endpoint_counts() -> None:
    assert texts(portal({"addresses": ["10.1.0.2", "10.1.0.1"]}).choice.cluster) == ["10.1.0.2"]


def test_order_and_doubles() -> None:
    """In the order of texts; of two endpoints at one place that which stays is believed, else the first."""
    slices = [
        slice_of(endpoint("10.1.0.9", ready=False, terminating=True), endpoint("10.1.0.10"), suffix="1"),
        slice_of(endpoint("10.1.0.9", THERE), endpoint("10.1.0.10", THERE), suffix="2"),
    ]
    (found,) = endpoints_of(slices).values()
    assert [(each.ip, each.node, each.terminating) for each in found] == [
        ("10.1.0.10", HERE, False),
        ("10.1.0.9", THERE, False),
    ]


@pytest.mark.parametrize(
    ("ports", "keys"),
    [
        ([{"name": "a", "port": 1, "protocol": "TCP"}], [("default", "web", "a", "tcp")]),
        ([{"name": "", "port": 1}], [("default", "web", "", "tcp")]),
        ([{"port": 1, "protocol": "TCP"}], []),
        ([{"name": "a", "protocol": "TCP"}], []),
        ([{"name": "a", "port": 0, "protocol": "TCP"}], []),
        ([{"name": "a", "port": 1, "protocol": "UDP"}, {"name": "b", "port": 2, "protocol": "SCTP"}], [("default", "web", "a", "udp"), ("default", "web", "b", "sctp")]),  # noqa: E501
    ],
)  # fmt: skip
def test_ports_of_slices(ports: Any, keys: Any) -> None:
    assert list(endpoints_of([slice_of(endpoint("10.1.0.1"), ports=ports)])) == keys


def test_slices_of_others() -> None:
    nameless = evolve(slice_of(), metadata=evolve(slice_of().metadata, labels={}))
    other = slice_of(endpoint("fd00::1"), family="IPv6")
    assert endpoints_of([nameless, other, slice_of(endpoint("a.example"), family="FQDN")]) == {}
    assert [each[0].text for each in endpoints_of([other], "IPv6").values()] == ["[fd00::1]:8080"]


@pytest.mark.parametrize(
    ("labels", "watched"),
    [
        ({}, True),
        ({"service.kubernetes.io/service-proxy-name": "mine"}, False),
        ({"service.kubernetes.io/headless": ""}, False),
        ({"app": "web"}, True),
    ],
)
def test_labels_that_hide(labels: dict[str, str], watched: bool) -> None:
    found = evolve(service(), metadata=evolve(service().metadata, labels=labels))
    assert is_watched(found) is watched
    assert len(portals_of([found], place())) == watched
    assert len(portals_of([found], place(), watched_only=False)) == 1


def test_a_label_may_come_and_go() -> None:
    tracker = Tracker(place())
    tracker.see(service())
    tracker.refresh()
    hidden = evolve(service(), metadata=evolve(service().metadata, labels={"service.kubernetes.io/headless": ""}))
    tracker.see(hidden)
    assert list(tracker.refresh().values()) == [None] and not tracker.portals
    with pytest.raises(TypeError, match="expected a Service"):
        tracker.see(from_json({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}))


@pytest.mark.parametrize(
    ("spec", "count"),
    [
        ({}, 1),
        ({"type": "ExternalName", "externalName": "a.example"}, 0),
        ({"cluster_ip": "None"}, 0),
        ({"cluster_ip": ""}, 0),
        ({"cluster_ip": "fd00::5"}, 0),
    ],
)
def test_services_without_an_address(spec: dict[str, Any], count: int) -> None:
    assert len(ports_of(service(**spec))) == count


def test_families() -> None:
    both = evolve(
        service(),
        spec=evolve(service().spec, cluster_ips=("10.96.0.10", "fd00::5"), external_ips=("192.0.2.1", "fd00::6")),
    )
    assert [(each.cluster_ip, each.external_ips) for each in ports_of(both, "IPv6")] == [("fd00::5", ("fd00::6",))]
    assert [(each.cluster_ip, each.external_ips) for each in ports_of(both)] == [("10.96.0.10", ("192.0.2.1",))]


@pytest.mark.parametrize(
    ("ingress", "taken"),
    [
        ({"ip": "203.0.113.1"}, True),
        ({"ip": "203.0.113.1", "ip_mode": "VIP"}, True),
        ({"ip": "203.0.113.1", "ip_mode": "Proxy"}, False),
        ({"hostname": "lb.example"}, False),
        ({"ip": "fd00::1"}, False),
    ],
)
def test_addresses_of_load_balancers(ingress: dict[str, str], taken: bool) -> None:
    status = ServiceStatus(load_balancer=LoadBalancerStatus(ingress=(LoadBalancerIngress(**ingress),)))
    (found,) = ports_of(evolve(service(type="LoadBalancer"), status=status))
    assert bool(found.balancer_ips) is taken


@pytest.mark.parametrize(
    ("ranges", "kept"),
    [
        ([], ()),
        (["10.0.0.0/8"], ("10.0.0.0/8",)),
        ([" 10.0.0.1/8 ", "fd00::/64"], ("10.0.0.0/8",)),
        (["10.0.0.0/8", "0.0.0.0/0"], ()),
        (["10.0.0.0/8", "::/0"], ("10.0.0.0/8",)),
        (["rubbish"], ()),
    ],
)
def test_source_ranges(ranges: list[str], kept: tuple[str, ...]) -> None:
    (found,) = ports_of(service(type="LoadBalancer", loadBalancerSourceRanges=ranges))
    assert found.source_ranges == kept


@pytest.mark.parametrize(
    ("spec", "seconds"),
    [
        ({}, 0),
        ({"sessionAffinity": "None"}, 0),
        ({"sessionAffinity": "ClientIP"}, 10800),
        ({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 5}}}, 5),
    ],
)
def test_affinity(spec: dict[str, Any], seconds: int) -> None:
    assert [each.sticky_seconds for each in ports_of(service(**spec))] == [seconds]


@pytest.mark.parametrize(
    ("kind", "policy", "port"),
    [("LoadBalancer", "Local", 31000), ("LoadBalancer", "Cluster", 0), ("NodePort", "Local", 0)],
)
def test_health_checks(kind: str, policy: str, port: int) -> None:
    (found,) = ports_of(service(type=kind, externalTrafficPolicy=policy, healthCheckNodePort=31000))
    assert found.health_port == port


@pytest.mark.parametrize(
    ("settings", "served", "words"),
    [
        (ProxySettings(), True, ("", "")),
        (ProxySettings.for_cidr(PODS), True, (f"-s {PODS}", f"! -s {PODS}")),
        (ProxySettings(detection="bridge", detected="cbr0"), True, ("-i cbr0", "! -i cbr0")),
        (ProxySettings(detection="prefix", detected="veth"), True, ("-i veth+", "! -i veth+")),
        (ProxySettings(localhost_node_ports=False), False, ("", "")),
        (ProxySettings(node_port_addresses=("192.168.0.0/24",)), False, ("", "")),
        (ProxySettings(node_port_addresses=("127.0.0.0/8",)), True, ("", "")),
        (ProxySettings(node_port_addresses=("nonsense",)), True, ("", "")),
        (ProxySettings(family="IPv6"), False, ("", "")),
    ],
)
def test_settings(settings: ProxySettings, served: bool, words: tuple[str, str]) -> None:
    here = Place(ProxyNode(HERE, ("192.168.0.1",)), settings)
    assert here.localhost is served
    assert (here.words["iptables_local"], here.words["iptables_remote"]) == words
    nft = [here.words["nft_local"], here.words["nft_remote"]]
    expected = {
        "none": ["", ""],
        "cidr": [f"ip saddr {PODS}", f"ip saddr != {PODS}"],
        "bridge": ["iifname cbr0", "iifname != cbr0"],
        "prefix": ["iifname veth*", "iifname != veth*"],
    }
    assert nft == expected[settings.detection]
