"""Networks of nodes, and the addresses that they give to pods."""

from __future__ import annotations

from ipaddress import IPv4Network

from k8sfsm.node.addresses import free_address, pod_network, take_address
from k8sfsm.node.runtime_state import NodeRuntime


def test_the_largest_cluster_has_a_network_for_each_node() -> None:
    networks = [IPv4Network(pod_network(number)) for number in range(5_000)]
    assert len(set(networks)) == 5_000
    assert str(networks[0]) == "10.244.0.0/24" and str(networks[256]) == "10.245.0.0/24"
    assert str(networks[3_071]) == "10.255.255.0/24" and str(networks[3_072]) == "100.64.0.0/24"
    room = (IPv4Network("10.244.0.0/14"), IPv4Network("10.248.0.0/13"), IPv4Network("100.64.0.0/10"))
    assert all(any(network.subnet_of(each) for each in room) for network in networks)
    assert IPv4Network(pod_network(987_654_321)).prefixlen == 24


def test_addresses_go_round_and_are_given_once() -> None:
    node, first = take_address(NodeRuntime(), "10.244.0.0/29", "a")
    given = [first]
    for uid in "bcde":
        node, ip = take_address(node, "10.244.0.0/29", uid)
        given.append(ip)
    assert given == [f"10.244.0.{number}" for number in range(2, 7)]
    node = free_address(node, "10.244.0.4", "c")
    assert take_address(node, "10.244.0.0/29", "f")[1] == "10.244.0.4"
    assert free_address(node, "10.244.0.2", "somebody else") is node
