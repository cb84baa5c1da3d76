"""Each named difference between the back ends, by an example: the rule that names it, and what the back end's own
rules do.
"""

from __future__ import annotations

from typing import Any

import pytest
from proxy_worlds import ADDRESSES, PODS, RANGES, THERE, endpoint, place, service, slice_of

from k8sfsm.law import Law
from k8sfsm.network.proxy.backends import BACKENDS, render
from k8sfsm.network.proxy.differences import Expectation
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.packet import Origin, Packet
from k8sfsm.network.proxy.tracker import portals_of
from k8sfsm.objects import Service

HERE_IP, THERE_IP = "10.244.1.1", "10.244.2.1"
NODE_PORT = {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}
BALANCED = {"type": "LoadBalancer", "balancer": ("203.0.113.10",), "loadBalancerSourceRanges": list(RANGES)}
EXTERNAL = {"externalIPs": ["192.0.2.10"]}
BOTH = (endpoint(HERE_IP), endpoint(THERE_IP, THERE))
ABROAD = (endpoint(THERE_IP, THERE),)
OUTSIDE = "8.8.8.8"
Case = tuple[str, str, dict[str, Any], tuple[Any, ...], tuple[str, Origin, str, int], dict[str, Any], str]

LOCAL = {"externalTrafficPolicy": "Local"}
CASES: dict[str, Case] = {
    "nft-localhost": ("localhost", "nftables", NODE_PORT, BOTH, ("127.0.0.1", "node", "127.0.0.1", 30080), {}, "passed"),  # noqa: E501
    "ipvs-localhost": ("localhost", "ipvs", NODE_PORT, BOTH, ("127.0.0.1", "node", "127.0.0.1", 30080), {}, "passed"),
    "rejected": ("unserved-node-port-rejected", "iptables", NODE_PORT, (), (OUTSIDE, "outside", ADDRESSES[1], 30080), {"node_port_addresses": ("192.168.0.1/32",)}, "reject"),  # noqa: E501
    "dropped": ("unserved-node-port-dropped", "iptables", NODE_PORT | LOCAL, ABROAD, (OUTSIDE, "outside", ADDRESSES[1], 30080), {"node_port_addresses": ("192.168.0.1/32",)}, "drop"),  # noqa: E501
    "goes-out": ("dead-external-from-node", "iptables", EXTERNAL, (), (ADDRESSES[0], "node", "192.0.2.10", 80), {}, "passed"),  # noqa: E501
    "goes-out-balancer": ("dead-external-from-node", "iptables", {"type": "LoadBalancer", "balancer": ("203.0.113.10",)}, (), (ADDRESSES[0], "node", "203.0.113.10", 80), {}, "passed"),  # noqa: E501
    "own-address-rejects": ("none", "iptables", {"externalIPs": [ADDRESSES[1]]}, (), (ADDRESSES[0], "node", ADDRESSES[1], 80), {}, "reject"),  # noqa: E501
    "pods-are-rejected": ("none", "iptables", EXTERNAL, (), (HERE_IP, "pod", "192.0.2.10", 80), {}, "reject"),
    "firewall-first": ("firewall-first", "nftables", BALANCED, (), (OUTSIDE, "outside", "203.0.113.10", 80), {}, "drop"),  # noqa: E501
    "no-firewall": ("none", "nftables", BALANCED, (), ("198.51.100.7", "outside", "203.0.113.10", 80), {}, "reject"),
    "firewall-in-input": ("firewall-first-in-input", "ipvs", BALANCED, (), (OUTSIDE, "outside", "203.0.113.10", 80), {}, "drop"),  # noqa: E501
    "firewall-and-pod": ("firewall-first-in-input", "ipvs", BALANCED, (), (HERE_IP, "pod", "203.0.113.10", 80), {}, "drop"),  # noqa: E501
    "firewall-and-node": ("none", "ipvs", BALANCED, (), (ADDRESSES[0], "node", "203.0.113.10", 80), {}, "reject"),
    "firewall-alive": ("none", "ipvs", BALANCED, BOTH, (OUTSIDE, "outside", "203.0.113.10", 80), {}, "drop"),
    "unguarded-output": ("firewall-not-in-output", "ipvs", BALANCED, ABROAD, (ADDRESSES[0], "node", "203.0.113.10", 80), {}, f"{THERE_IP}:8080"),  # noqa: E501
    "one-set-pod": ("one-set", "ipvs", NODE_PORT | LOCAL, BOTH, ("10.244.1.9", "pod", ADDRESSES[0], 30080), {}, f"{HERE_IP}:8080"),  # noqa: E501
    "one-set-stranger": ("one-set", "ipvs", NODE_PORT | LOCAL, ABROAD, (OUTSIDE, "outside", ADDRESSES[0], 30080), {}, f"{THERE_IP}:8080"),  # noqa: E501
    "one-set-cluster-ip": ("one-set", "ipvs", {"internalTrafficPolicy": "Local"}, ABROAD, ("10.244.1.9", "pod", "10.96.0.10", 80), {}, "reject"),  # noqa: E501
    "one-set-both": ("one-set", "ipvs", NODE_PORT | {"internalTrafficPolicy": "Local"}, ABROAD, ("10.244.1.9", "pod", "10.96.0.10", 80), {}, f"{THERE_IP}:8080"),  # noqa: E501
    "unused-port": ("unused-port", "nftables", {}, BOTH, ("10.244.1.9", "pod", "10.96.0.10", 81), {}, "reject"),
    "unused-port-ipvs": ("unused-port", "ipvs", {}, BOTH, ("10.244.1.9", "pod", "10.96.0.10", 81), {}, "reject"),
    "unused-port-iptables": ("none", "iptables", {}, BOTH, ("10.244.1.9", "pod", "10.96.0.10", 81), {}, "passed"),
    "unused-port-ebpf": ("none", "ebpf", {}, BOTH, ("10.244.1.9", "pod", "10.96.0.10", 81), {}, "passed"),
    "bound": ("unused-port-of-bound", "ipvs", EXTERNAL, BOTH, (OUTSIDE, "outside", "192.0.2.10", 81), {}, "reject"),
    "unbound": ("none", "nftables", EXTERNAL, BOTH, (OUTSIDE, "outside", "192.0.2.10", 81), {}, "passed"),
    "unused-address": ("unused-address", "nftables", {}, BOTH, ("10.244.1.9", "pod", "10.96.9.9", 80), {}, "drop"),
    "unused-address-elsewhere": ("none", "ipvs", {}, BOTH, ("10.244.1.9", "pod", "10.96.9.9", 80), {}, "passed"),
    "unknown-range": ("none", "nftables", {}, BOTH, ("10.244.1.9", "pod", "10.96.9.9", 80), {"service_cidrs": ()}, "passed"),  # noqa: E501
    "socket": ("known-by-socket", "ebpf", NODE_PORT | LOCAL, ABROAD, ("10.244.1.9", "pod", ADDRESSES[0], 30080), {"cidr": ""}, f"{THERE_IP}:8080"),  # noqa: E501
    "no-socket": ("none", "iptables", NODE_PORT | LOCAL, ABROAD, ("10.244.1.9", "pod", ADDRESSES[0], 30080), {"cidr": ""}, "drop"),  # noqa: E501
}  # fmt: skip


def asked(name: str) -> tuple[Case, Expectation]:
    case = CASES[name]
    _, backend, spec, endpoints, (source, origin, destination, port), settings, _ = case
    settings = {"cidr": PODS, **settings}
    here: Place = place(settings.pop("cidr"), **settings)
    made: Service = service(**spec)
    portals = portals_of([made, slice_of(*endpoints)], here)
    packet = Packet(source=source, destination=destination, port=port, origin=origin)
    return case, Expectation(backend, packet, portals, here)


@pytest.mark.parametrize("name", CASES)
def test_difference(name: str) -> None:
    (row, backend, *_, end), expected = asked(name)
    assert expected.rule == f"kube-proxy/difference/{row}"
    assert list(expected.backends()) == [end]
    assert list(render(backend, expected.portals, expected.place).walk(expected.packet).backends()) == [end]


def test_every_difference_has_an_example() -> None:
    tables = Law("kubeproxy").controllers()
    rows = next(file.tables["difference"] for file in tables if "difference" in file.tables).rules
    assert {case[0] for case in CASES.values()} == set(rows)


MASQUERADES = {
    # sender, its origin, policy, back end: is the source replaced?
    "hairpin": (HERE_IP, "pod", "Local", {"iptables": True, "nftables": True, "ipvs": True, "ebpf": False}),
    "pod": ("10.244.1.9", "pod", "Local", {"iptables": False, "nftables": False, "ipvs": False, "ebpf": False}),
    "node": (ADDRESSES[0], "node", "Local", {"iptables": True, "nftables": True, "ipvs": False, "ebpf": False}),
    "stranger": (OUTSIDE, "outside", "Local", {"iptables": False, "nftables": False, "ipvs": False, "ebpf": False}),
    "spread": (OUTSIDE, "outside", "Cluster", {"iptables": True, "nftables": True, "ipvs": True, "ebpf": True}),
    "back-again": (ADDRESSES[1], "outside", "Local", {"iptables": True, "nftables": True, "ipvs": False, "ebpf": True}),
    "spread-pod": ("10.244.1.9", "pod", "Cluster", {"iptables": True, "nftables": True, "ipvs": True, "ebpf": False}),
}


@pytest.mark.parametrize("name", MASQUERADES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_masquerade_of_node_ports(name: str, backend: str) -> None:
    source, origin, policy, wanted = MASQUERADES[name]
    here = place()
    portals = portals_of([service(**NODE_PORT, externalTrafficPolicy=policy), slice_of(endpoint(HERE_IP))], here)  # type: ignore[arg-type]
    packet = Packet(source=source, destination=ADDRESSES[0], port=30080, origin=origin)  # type: ignore[arg-type]
    way = render(backend, portals, here).walk(packet)
    assert way.masqueraded() == {f"{HERE_IP}:8080": wanted[backend]}
    expected = Expectation(backend, packet, portals, here)
    assert expected.masquerades() == way.masqueraded()


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_remote_endpoint_that_reaches_itself_by_this_node(backend: str) -> None:
    """Only iptables looks for the addresses of all endpoints; at the device our own program does too."""
    here = place("")
    portals = portals_of([service(), slice_of(endpoint(THERE_IP, THERE))], here)
    packet = Packet(source=THERE_IP, destination="10.96.0.10", port=80, origin="outside")
    way = render(backend, portals, here).walk(packet)
    assert way.masqueraded() == {f"{THERE_IP}:8080": backend in ("iptables", "ebpf")}
    assert Expectation(backend, packet, portals, here).masquerades() == way.masqueraded()


@pytest.mark.parametrize(
    ("masquerade_all", "cidr", "source", "origin", "replaced"),
    [
        (True, PODS, "10.244.1.9", "pod", True),
        (False, PODS, "10.244.1.9", "pod", False),
        (False, PODS, OUTSIDE, "outside", True),
        (False, PODS, "10.244.2.9", "outside", False),
        (False, "", OUTSIDE, "outside", False),
        (True, "", OUTSIDE, "outside", True),
    ],
)
@pytest.mark.parametrize("backend", BACKENDS)
def test_masquerade_of_cluster_ips(
    backend: str, masquerade_all: bool, cidr: str, source: str, origin: Origin, replaced: bool
) -> None:
    here = place(cidr, masquerade_all=masquerade_all)
    portals = portals_of([service(), slice_of(endpoint(HERE_IP))], here)
    packet = Packet(source=source, destination="10.96.0.10", port=80, origin=origin)
    way = render(backend, portals, here).walk(packet)
    by_socket = backend == "ebpf" and origin == "pod"
    assert way.masqueraded() == {f"{HERE_IP}:8080": replaced and not by_socket}
    assert Expectation(backend, packet, portals, here).masquerades() == way.masqueraded()
