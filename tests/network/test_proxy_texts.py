"""What the tools would print: nft, ipvsadm, ipset, iptables-save, and our own maps. One world, whole texts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from proxy_worlds import THERE, WITH_NODE, endpoint, place, service, slice_of

from k8sfsm.network.proxy.backends import BACKENDS, render
from k8sfsm.network.proxy.iptables.saved import saved_text
from k8sfsm.network.proxy.ipvs.render import ipvs_of
from k8sfsm.network.proxy.nftables.render import endpoint_base, hashed, port_base, ruleset_of
from k8sfsm.network.proxy.nftables.ruleset import Ruleset
from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.packet import Origin, Packet
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.tracker import portals_of

DATA = Path(__file__).parent.parent / "data" / "proxy" / "texts"
STICKY = {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}}


def world() -> Iterator[Any]:
    """Services of every kind: with and without endpoints, on this node or elsewhere."""
    yield service("cip")
    yield slice_of(endpoint("10.244.1.1"), endpoint("10.244.2.1", THERE), name="cip")
    yield service("sticky", cluster_ip="10.96.0.11", **STICKY)
    yield slice_of(endpoint("10.244.1.2"), endpoint("10.244.2.2", THERE), name="sticky")
    yield service("dead", cluster_ip="10.96.0.12", externalIPs=["192.0.2.12"], **node_port(30012))
    yield service(
        "lb",
        cluster_ip="10.96.0.13",
        balancer=("203.0.113.13",),
        **balancer(30013),
        loadBalancerSourceRanges=list(WITH_NODE),
    )
    yield slice_of(endpoint("10.244.1.3"), name="lb")
    yield service(
        "local",
        cluster_ip="10.96.0.14",
        balancer=("203.0.113.14",),
        externalIPs=["192.0.2.14"],
        externalTrafficPolicy="Local",
        healthCheckNodePort=31014,
        **balancer(30014),
    )
    yield slice_of(endpoint("10.244.2.4", THERE), name="local")
    yield service(
        "own",
        cluster_ip="10.96.0.15",
        externalTrafficPolicy="Local",
        internalTrafficPolicy="Local",
        externalIPs=["192.0.2.15"],
        **node_port(30015, "UDP"),
    )
    yield slice_of(
        endpoint("10.244.1.5"),
        endpoint("10.244.2.5", THERE),
        name="own",
        ports=[{"name": "", "port": 53, "protocol": "UDP"}],
    )
    yield service("sctp", cluster_ip="10.96.0.16", externalTrafficPolicy="Local", **node_port(30016, "SCTP"))
    yield slice_of(endpoint("10.244.1.6"), name="sctp", ports=[{"name": "", "port": 9, "protocol": "SCTP"}])
    yield service("strict", cluster_ip="10.96.0.17", internalTrafficPolicy="Local")
    yield slice_of(endpoint("10.244.2.7", THERE), name="strict")


def node_port(number: int, protocol: str = "TCP") -> dict[str, Any]:
    return {"type": "NodePort", "ports": [{"port": 80, "protocol": protocol, "nodePort": number}]}


def balancer(number: int) -> dict[str, Any]:
    return {**node_port(number), "type": "LoadBalancer"}


def places() -> dict[str, Place]:
    return {
        "usual": place(),
        "chosen": place("", node_port_addresses=("192.168.0.0/24",), fully_random=False, service_cidrs=()),
        "all": place(masquerade_all=True, localhost_node_ports=False, packets_counted=True),
    }


def compare(name: str, text: str) -> None:
    path = DATA / f"{name}.txt"
    if "K8SFSM_WRITE_TEXTS" in os.environ:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    assert text == path.read_text("utf-8"), name


@pytest.mark.parametrize("name", ["usual", "chosen", "all"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_whole_texts(backend: str, name: str) -> None:
    here = places()[name]
    rendered = render(backend, portals_of(world(), here), here)
    compare(f"{backend}-{name}", rendered.text())
    assert list(rendered.dangling()) == []


@pytest.mark.parametrize("name", ["usual", "chosen", "all"])
def test_what_goes_with_ipvs(name: str) -> None:
    here = places()[name]
    found = ipvs_of(portals_of(world(), here), here)
    sets = "".join(f"{each} {kind}: {' '.join(sorted(found.sets[each]))}\n" for each, kind in found.types.items())
    compare(f"ipvs-rules-{name}", f"{sets}{saved_text(found.tables)}")


def test_nftables_of_the_other_family() -> None:
    here = Place(ProxyNode("n1", ("fd00::1",)), ProxySettings.for_cidr("fd00:244::/48", family="IPv6"))
    objects = [
        service(cluster_ip="fd00:96::10", **node_port(30080)),
        slice_of(endpoint("fd00:244::1"), family="IPv6"),
    ]
    portals = portals_of(objects, here)
    compare("nftables-6", ruleset_of(portals, here).text())
    compare("iptables-6", render("iptables", portals, here).text())


def names(namespace: str, name: str, endpoint_ip: str) -> tuple[str, str]:
    objects = [
        service(name, ports=[{"name": "p80", "port": 80, "protocol": "TCP"}]),
        slice_of(endpoint(endpoint_ip), name=name, ports=[{"name": "p80", "port": 80, "protocol": "TCP"}]),
    ]
    moved = [evolve(obj, metadata=evolve(obj.metadata, namespace=namespace)) for obj in objects]
    (found,) = portals_of(moved, place())
    assert isinstance(found, Portal)
    return port_base(found), endpoint_base(found, found.endpoints[0])


def test_names_of_nftables_chains() -> None:
    """Names that the real proxier gives (pkg/proxy/nftables/proxier_test.go)."""
    assert names("ns1", "svc1", "10.180.0.1") == (
        "ULMVA6XW-ns1/svc1/tcp/p80",
        "5OJB2KTY-ns1/svc1/tcp/p80__10.180.0.1/80",
    )
    assert names("ns5", "svc5", "10.180.0.3")[1] == "GTK6MW7G-ns5/svc5/tcp/p80__10.180.0.3/80"
    assert len(hashed("x" * 300)) == 240 and hashed("x" * 300).endswith("...")


def test_the_order_of_base_chains() -> None:
    """Priorities as numbers are those that nft's words stand for."""
    words = {"dstnat - 10": -110, "dstnat": -100, "filter": 0, "srcnat": 100}
    bases = ruleset_of((), place()).bases
    assert len(bases) == 8
    for base in bases.values():
        assert base.order == words.get(base.priority, int(base.priority) if base.priority[0] == "-" else None)


@pytest.mark.parametrize(
    ("origin", "hook", "table"),
    [("node", "cgroup/connect", "socket"), ("pod", "cgroup/connect", "socket"), ("outside", "tc/ingress", "device")],
)
def test_where_a_connection_is_looked_up(origin: Origin, hook: str, table: str) -> None:
    packet = Packet(source="10.244.1.9", destination="10.96.0.10", port=80, origin=origin)
    (step,) = render("ebpf", portals_of(world(), place()), place()).walk(packet).steps
    assert (step.hook, step.table) == (hook, table)


def test_what_dangles_is_told() -> None:
    rules = Ruleset("ip")
    rules.add("services", "ip daddr . meta l4proto . th dport vmap @service-ips")
    rules.add("services", "jump nowhere")
    assert list(rules.dangling()) == [
        "services: ip daddr . meta l4proto . th dport vmap @service-ips: there is no set service-ips",
        "services: jump nowhere: there is no chain nowhere",
    ]
