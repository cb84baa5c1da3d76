"""Services, endpoints and packets for tests of kube-proxy: by hand, and at random."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from hypothesis import strategies as st

from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.packet import Packet
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.tracker import portals_of
from k8sfsm.objects import EndpointSlice, Service, from_json

HERE, THERE = "n1", "n2"
ADDRESSES = ("192.168.0.1", "192.168.0.2")
RANGES = ("198.51.100.0/24",)
WITH_NODE = ("198.51.100.0/24", "192.168.0.0/24")
SERVICE_CIDR = "10.96.0.0/16"
PODS = "10.244.0.0/16"


def service(
    name: str = "web", *, cluster_ip: str = "10.96.0.10", balancer: tuple[str, ...] = (), **spec: Any
) -> Service:
    """A Service with one port 80 unless `ports` says otherwise; `balancer`: addresses in its status."""
    spec.setdefault("ports", [{"port": 80, "protocol": "TCP"}])
    spec.setdefault("type", "ClusterIP")
    ingress = [{"ip": ip} for ip in balancer]
    found: Service = from_json(
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": "default"},
            "spec": {"clusterIP": cluster_ip, "clusterIPs": [cluster_ip], **spec},
            "status": {"loadBalancer": {"ingress": ingress}},
        }
    )
    return found


def endpoint(
    ip: str, node: str = HERE, ready: bool = True, serving: bool = True, terminating: bool = False, **more: Any
) -> Any:
    """An endpoint of a slice in JSON form."""
    conditions = {"ready": ready, "serving": serving, "terminating": terminating}
    return {"addresses": [ip], "nodeName": node, "conditions": conditions, **more}


def slice_of(
    *endpoints: Any, name: str = "web", ports: Any = None, suffix: str = "1", family: str = "IPv4"
) -> EndpointSlice:
    """The EndpointSlice of a Service; one unnamed port 8080 unless `ports` says otherwise."""
    found: EndpointSlice = from_json(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": f"{name}-{suffix}",
                "namespace": "default",
                "labels": {"kubernetes.io/service-name": name},
            },
            "addressType": family,
            "ports": [{"name": "", "port": 8080, "protocol": "TCP"}] if ports is None else ports,
            "endpoints": list(endpoints),
        }
    )
    return found


def place(cidr: str = PODS, *, zone: str = "", **settings: Any) -> Place:
    """The proxy of node n1."""
    settings.setdefault("service_cidrs", (SERVICE_CIDR,))
    return Place(ProxyNode(HERE, ADDRESSES, zone), ProxySettings.for_cidr(cidr, **settings))


@frozen
class World:
    """A node with portals, and a packet that it meets."""

    place: Place
    portals: tuple[Portal, ...]
    packet: Packet


def _maybe(draw: Any, share: int = 2) -> bool:
    return draw(st.integers(1, share)) == 1


@st.composite
def services(draw: Any, number: int) -> Service:
    """A random Service; its addresses and node ports are its own."""
    kind = draw(st.sampled_from(["ClusterIP", "NodePort", "LoadBalancer"]))
    protocols = draw(st.lists(st.sampled_from(["TCP", "UDP", "SCTP"]), min_size=1, max_size=2))
    ports = []
    for place_, protocol in enumerate(protocols):
        port = {"name": f"p{place_}", "port": 80 + place_, "protocol": protocol}
        if kind != "ClusterIP" and not (kind == "LoadBalancer" and _maybe(draw, 4)):
            port["nodePort"] = 30000 + number * 10 + place_
        ports.append(port)
    spec: dict[str, Any] = {"type": kind, "ports": ports}
    spec["internalTrafficPolicy"] = draw(st.sampled_from(["Cluster", "Cluster", "Local"]))
    if _maybe(draw):
        spec["externalIPs"] = [ADDRESSES[1]] if number == 0 and _maybe(draw, 3) else [f"192.0.2.{number + 10}"]
    if kind != "ClusterIP" or "externalIPs" in spec:
        spec["externalTrafficPolicy"] = draw(st.sampled_from(["Cluster", "Local"]))
    if _maybe(draw, 3):
        spec |= {"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 60}}}
    if kind == "LoadBalancer" and _maybe(draw):
        spec["loadBalancerSourceRanges"] = list(draw(st.sampled_from([RANGES, WITH_NODE])))
    balancer = (f"203.0.113.{number + 10}",) if kind == "LoadBalancer" else ()
    return service(f"s{number}", cluster_ip=f"10.96.0.{number + 10}", balancer=balancer, **spec)


@st.composite
def endpoints(draw: Any, number: int) -> Any:
    """A random endpoint: its address tells its node."""
    node = draw(st.sampled_from([HERE, THERE]))
    ready, serving, terminating = draw(
        st.sampled_from(
            [(True, True, False), (True, True, False), (False, True, True), (False, True, False), (False, False, True)]
        )
    )
    more: dict[str, Any] = {}
    if _maybe(draw, 3):
        more["hints"] = {"forNodes": [{"name": node}], "forZones": [{"name": draw(st.sampled_from(["za", "zb"]))}]}
    return endpoint(f"10.244.{node[1]}.{number + 1}", node, ready, serving, terminating, **more)


@st.composite
def places(draw: Any) -> Place:
    """A random configuration of the proxy of n1."""
    addresses = draw(st.sampled_from([(), (), ("192.168.0.1/32",), ("127.0.0.0/8", "192.168.0.1/32")]))
    return place(
        draw(st.sampled_from([PODS, PODS, ""])),
        zone="za",
        masquerade_all=_maybe(draw, 4),
        localhost_node_ports=_maybe(draw),
        fully_random=_maybe(draw),
        node_port_addresses=addresses,
        service_cidrs=draw(st.sampled_from([(), (SERVICE_CIDR,)])),
    )


@st.composite
def packets(draw: Any, found: tuple[Portal, ...]) -> Packet:
    """A random packet, as a rule to a place that has to do with Services."""
    infos = [portal.info for portal in found]
    ips = [ip for info in infos for ip in (info.cluster_ip, *info.external_ips, *info.balancer_ips)]
    destination = draw(st.sampled_from([*ips, *ips, *ADDRESSES, "10.96.0.200", "1.1.1.1"]))
    info = draw(st.sampled_from(infos))
    port = draw(st.sampled_from([info.port, info.port, info.node_port or 80, info.node_port or 80, 9999]))
    origin = draw(st.sampled_from(["pod", "node", "outside"]))
    here = [each.ip for portal in found for each in portal.endpoints if each.node == HERE]
    sources = {
        "pod": [*here, "10.244.1.99"],
        "node": ADDRESSES[:1],
        "outside": ["8.8.8.8", "198.51.100.7", "10.244.2.1", *(ip for each in infos for ip in each.balancer_ips)],
    }
    source = draw(st.sampled_from(sources[origin]))
    if origin == "node" and _maybe(draw, 5):
        source = destination = "127.0.0.1"
    texts = [each.text for portal in found for each in portal.endpoints]
    return Packet(
        source=source,
        destination=destination,
        port=port,
        protocol=info.protocol,
        origin=origin,
        seen=draw(st.sampled_from([*texts, "", ""])) if any(each.sticky_seconds for each in infos) else "",
    )


@st.composite
def worlds(draw: Any) -> World:
    """A random node with random Services, and a random packet."""
    here = draw(places())
    objects: list[Any] = []
    for number in range(draw(st.integers(1, 3))):
        made = draw(services(number))
        objects.append(made)
        ports = [
            {"name": port.name, "port": 8000 + n, "protocol": port.protocol} for n, port in enumerate(made.spec.ports)
        ]
        some = [draw(endpoints(each)) for each in range(draw(st.integers(0, 4)))]
        objects.append(slice_of(*some, name=made.metadata.name, ports=ports))
    found = portals_of(objects, here)
    return World(here, found, draw(packets(found)))
