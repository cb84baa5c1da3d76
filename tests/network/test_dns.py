"""The records of Services and pods, and the answers to questions about names."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.network.dns import Answer, Zone
from k8sfsm.network.resolver import Resolver, look_up, names_tried, resolver_of
from k8sfsm.objects import from_json
from k8sfsm.scenario.state import read_state
from k8sfsm.spec import specs_dir
from k8sfsm.view import View

STORY = specs_dir() / "scenarios" / "service-names.yaml"
CHECKOUT = Path(__file__).resolve().parents[2]
HTTP = {"name": "http", "port": 80, "protocol": "TCP"}


def service(name: str = "web", namespace: str = "default", **spec: Any) -> Any:
    given = {"type": "ClusterIP", "ports": [HTTP], **spec}
    return from_json(
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": given}
    )


def at(*addresses: str, **spec: Any) -> Any:
    return service(clusterIP=addresses[0], clusterIPs=list(addresses), **spec)


def headless(**spec: Any) -> Any:
    return service(clusterIP="None", clusterIPs=["None"], **spec)


def endpoint(*addresses: str, ready: bool | None = True, hostname: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"addresses": list(addresses), "conditions": {}}
    if ready is not None:
        found["conditions"]["ready"] = ready
    return {**found, "hostname": hostname} if hostname else found


def slice_of(*endpoints: Any, name: str = "web", ports: Any = (HTTP,), family: str = "IPv4", number: int = 1) -> Any:
    labels = {"kubernetes.io/service-name": name} if name else {}
    return from_json(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": f"{name}-{number}", "namespace": "default", "labels": labels},
            "addressType": family,
            "endpoints": list(endpoints),
            "ports": list(ports),
        }
    )


def zone(*objects: Any, domain: str = "") -> Zone:
    return Zone.of(View.of(objects), domain)


def data(answer: Answer) -> list[str]:
    return [f"{record.type} {record.data}" for record in answer.records]


def of(found: Zone, name: str, kind: str = "") -> list[str]:
    """The answer about a name of the namespace default."""
    return data(found.ask(f"{name}.default.svc.cluster.local", kind))


# -- Services with an address ----------------------------------------------------------------------------------------


def test_a_service_has_its_cluster_ips() -> None:
    found = zone(at("10.96.0.7", "fd00::7"))
    assert of(found, "web") == ["A 10.96.0.7", "AAAA fd00::7"]
    assert of(found, "web", "A") == ["A 10.96.0.7"]
    assert of(found, "web", "AAAA") == ["AAAA fd00::7"]
    assert data(found.ask("7.0.96.10.in-addr.arpa")) == ["PTR web.default.svc.cluster.local."]
    reverse = f"7.{'0.' * 27}0.0.d.f.ip6.arpa."
    assert data(found.ask(reverse)) == ["PTR web.default.svc.cluster.local."]


def test_named_ports_of_a_service() -> None:
    ports = [HTTP, {"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "old", "port": 70}]
    found = zone(at("10.96.0.7", ports=ports))
    assert of(found, "_http._tcp.web") == ["SRV 0 100 80 web.default.svc.cluster.local."]
    assert of(found, "_dns._udp.web") == ["SRV 0 100 53 web.default.svc.cluster.local."]
    assert of(found, "_old._tcp.web") == ["SRV 0 100 70 web.default.svc.cluster.local."]
    unnamed = zone(at("10.96.0.7", ports=[{"port": 80, "protocol": "TCP"}]))
    assert not any(record.type == "SRV" for records in unnamed.records.values() for record in records)


def test_endpoints_of_a_service_with_an_address_have_no_records() -> None:
    found = zone(at("10.96.0.7"), slice_of(endpoint("10.1.1.1", hostname="a")))
    assert found.ask("a.web.default.svc.cluster.local").status == "NXDOMAIN"
    assert found.ask("1.1.1.10.in-addr.arpa").status == "NXDOMAIN"


def test_a_service_whose_address_is_not_allocated_yet_has_no_records() -> None:
    assert zone(service()).ask("web.default.svc.cluster.local").status == "NXDOMAIN"


def test_an_old_client_knows_one_address_only() -> None:
    assert of(zone(service(clusterIP="10.96.0.7")), "web") == ["A 10.96.0.7"]


# -- headless Services -----------------------------------------------------------------------------------------------


def test_a_headless_service_has_the_addresses_of_its_ready_endpoints() -> None:
    found = zone(
        headless(),
        slice_of(endpoint("10.1.1.1"), endpoint("10.1.1.2", ready=False), endpoint("10.1.1.3", ready=None)),
        slice_of(endpoint("fd00::1"), family="IPv6", number=2),
        slice_of(endpoint("host.example.org"), family="FQDN", number=3),
        slice_of(endpoint("10.1.1.9"), name="other"),
        slice_of(endpoint("10.1.1.8"), name=""),
    )
    assert of(found, "web") == ["A 10.1.1.1", "A 10.1.1.3", "AAAA fd00::1"]
    assert of(found, "10-1-1-1.web") == ["A 10.1.1.1"]
    assert of(found, "fd00--1.web") == ["AAAA fd00::1"]
    assert data(found.ask("3.1.1.10.in-addr.arpa")) == ["PTR 10-1-1-3.web.default.svc.cluster.local."]
    assert found.ask("2.1.1.10.in-addr.arpa").status == "NXDOMAIN"


def test_no_ready_endpoint_is_no_name() -> None:
    found = zone(headless(), slice_of(endpoint("10.1.1.1", ready=False)))
    assert found.ask("web.default.svc.cluster.local").status == "NXDOMAIN"


def test_unready_endpoints_may_be_published() -> None:
    spec = {"publishNotReadyAddresses": True}
    found = zone(headless(**spec), slice_of(endpoint("10.1.1.1", ready=False), endpoint("10.1.1.2")))
    answer = found.ask("web.default.svc.cluster.local")
    assert data(answer) == ["A 10.1.1.1", "A 10.1.1.2"]
    assert [record.rule for record in answer.records] == ["DNS/endpoint/tolerated", "DNS/endpoint/ready"]


def test_host_names() -> None:
    found = zone(
        headless(),
        slice_of(endpoint("10.1.1.1", hostname="a"), endpoint("10.1.1.2", hostname="a"), endpoint("10.1.1.3")),
    )
    assert of(found, "a.web") == ["A 10.1.1.1", "A 10.1.1.2"]
    assert data(found.ask("2.1.1.10.in-addr.arpa")) == ["PTR a.web.default.svc.cluster.local."]
    assert of(found, "10-1-1-1.web") == []


def test_named_ports_of_endpoints() -> None:
    other = {"name": "http", "port": 8081, "protocol": "TCP"}
    found = zone(
        headless(),
        slice_of(endpoint("10.1.1.1", hostname="a"), endpoint("10.1.1.2"), endpoint("10.1.1.4", ready=False)),
        slice_of(endpoint("10.1.1.3"), ports=[other, {"port": 9}], number=2),
    )
    name = "web.default.svc.cluster.local."
    assert of(found, "_http._tcp.web") == [
        f"SRV 0 33 80 a.{name}",
        f"SRV 0 33 80 10-1-1-2.{name}",
        f"SRV 0 33 8081 10-1-1-3.{name}",
    ]
    assert [name for name in found.records if name.startswith("_")] == [f"_http._tcp.{name}"]


def test_an_endpoint_in_two_slices_is_listed_once() -> None:
    found = zone(headless(), slice_of(endpoint("10.1.1.1")), slice_of(endpoint("10.1.1.1"), ports=(), number=2))
    assert of(found, "web") == ["A 10.1.1.1"]


# -- aliases ---------------------------------------------------------------------------------------------------------


def alias(name: str, to: str) -> Any:
    return service(name, type="ExternalName", externalName=to)


def test_an_external_name_is_an_alias() -> None:
    found = zone(alias("docs", "docs.example.org."), at("10.96.0.7"), alias("shop", "web.default.svc.cluster.local"))
    assert of(found, "docs") == of(found, "docs", "A") == of(found, "docs", "CNAME") == ["CNAME docs.example.org."]
    followed = ["CNAME web.default.svc.cluster.local.", "A 10.96.0.7"]
    assert of(found, "shop") == of(found, "shop", "A") == followed
    assert of(found, "shop", "CNAME") == followed[:1]
    answers = [found.ask(f"{name}.default.svc.cluster.local") for name in ("docs", "web")]
    assert [(answer.status, answer.rule) for answer in answers] == [
        ("NOERROR", "DNS/answer/alias"),
        ("NOERROR", "DNS/answer/found"),
    ]
    assert of(found, "shop", "AAAA") == followed[:1]


def test_aliases_in_a_circle_end() -> None:
    found = zone(alias("a", "b.default.svc.cluster.local"), alias("b", "a.default.svc.cluster.local"))
    assert len(of(found, "a")) == 9


# -- other names -----------------------------------------------------------------------------------------------------


def test_the_version_of_the_schema() -> None:
    assert data(zone().ask("dns-version.cluster.local", "TXT")) == ['TXT "1.1.0"']


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("10-1-2-3.default", ["A 10.1.2.3"]),
        ("fd00--1.default", ["AAAA fd00::1"]),
        ("10-1-2.default", []),
        ("10-1-2-300.default", []),
        ("10-1-2-3.nowhere", []),
        ("a.10-1-2-3.default", []),
        ("default", []),
    ],
)
def test_names_of_pods_spell_their_addresses(name: str, expected: list[str]) -> None:
    found = zone(at("10.96.0.7"))
    answer = found.ask(f"{name}.pod.cluster.local")
    assert (data(answer), answer.status) == (expected, "NOERROR" if expected else "NXDOMAIN")


def test_a_namespace_without_anything_in_it_is_known_by_its_object() -> None:
    meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "empty"}}
    assert data(zone(from_json(meta)).ask("10-1-2-3.empty.pod.cluster.local")) == ["A 10.1.2.3"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "empty"}}
    assert data(zone(from_json(pod)).ask("10-1-2-3.empty.pod.cluster.local")) == ["A 10.1.2.3"]


def test_what_there_is_not() -> None:
    found = zone(at("10.96.0.7"), service(type="ExternalName", externalName="x.org", name="alias"))
    assert (found.ask("web.default.svc.cluster.local", "AAAA").status, of(found, "web", "SRV")) == ("NODATA", [])
    for name in (
        "default.svc.cluster.local",
        "svc.cluster.local",
        "cluster.local",
        "_tcp.web.default.svc.cluster.local",
    ):
        assert found.ask(name).status == "NODATA", name
    for name in ("nothing.default.svc.cluster.local", "web.other.svc.cluster.local", "1.2.3.4.in-addr.arpa"):
        assert found.ask(name).status == "NXDOMAIN", name
    for name in ("example.org", "web", "mycluster.local", "cluster.local.org"):
        answer = found.ask(name)
        assert (answer.status, answer.rule) == ("FORWARDED", "DNS/zone/outside"), name


def test_names_are_compared_without_case_and_dot() -> None:
    found = zone(at("10.96.0.7"))
    assert of(found, "WEB") == ["A 10.96.0.7"]
    assert data(found.ask("Web.Default.svc.CLUSTER.local.")) == ["A 10.96.0.7"]


def test_the_domain_is_the_clusters_own() -> None:
    found = zone(at("10.96.0.7"), domain="Example.Org.")
    assert data(found.ask("web.default.svc.example.org")) == ["A 10.96.0.7"]
    assert found.ask("web.default.svc.cluster.local").status == "FORWARDED"
    assert data(found.ask("7.0.96.10.in-addr.arpa")) == ["PTR web.default.svc.example.org."]


def test_answers_name_their_rules_and_time_to_live() -> None:
    (record,) = zone(at("10.96.0.7")).ask("web.default.svc.cluster.local").records
    assert (record.name, record.ttl, record.rule) == ("web.default.svc.cluster.local.", 30, "DNS/service/address")


# -- pods as clients -------------------------------------------------------------------------------------------------


def pod(**spec: Any) -> Any:
    meta = {"name": "p", "namespace": "shop"}
    return from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [], **spec}})


CLUSTER = ("shop.svc.cluster.local", "svc.cluster.local", "cluster.local")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Resolver("cluster", CLUSTER, 5)),
        ({"dnsPolicy": "ClusterFirst"}, Resolver("cluster", CLUSTER, 5)),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, Resolver("node", (), 1)),
        ({"hostNetwork": True}, Resolver("node", (), 1)),
        ({"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True}, Resolver("cluster", CLUSTER, 5)),
        ({"dnsPolicy": "ClusterFirstWithHostNet"}, Resolver("cluster", CLUSTER, 5)),
        ({"dnsPolicy": "Default"}, Resolver("node", (), 1)),
        (
            {"dnsPolicy": "None", "dnsConfig": {"nameservers": ["1.2.3.4"], "searches": ["x.org"]}},
            Resolver("none", ("x.org",), 1, ("1.2.3.4",)),
        ),
        (
            {
                "dnsConfig": {
                    "searches": ["x.org.", "svc.cluster.local"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                }
            },
            Resolver("cluster", (*CLUSTER, "x.org"), 2),
        ),
        ({"dnsConfig": {"options": [{"name": "ndots", "value": "many"}]}}, Resolver("cluster", CLUSTER, 5)),
    ],
)
def test_whom_a_pod_asks(spec: dict[str, Any], expected: Resolver) -> None:
    assert resolver_of(pod(**spec), "cluster.local") == expected


def test_the_order_of_names() -> None:
    resolver = Resolver("cluster", ("a.org", "b.org"), 2)
    assert names_tried("web", resolver) == ("web.a.org.", "web.b.org.", "web.")
    assert names_tried("web.x", resolver) == ("web.x.a.org.", "web.x.b.org.", "web.x.")
    assert names_tried("web.x.y", resolver) == ("web.x.y.", "web.x.y.a.org.", "web.x.y.b.org.")
    assert names_tried("web.", resolver) == ("web.",)


def test_a_pod_finds_the_services_of_its_namespace_first() -> None:
    found = zone(at("10.96.0.7"), service(namespace="shop", clusterIP="10.96.0.8"))
    resolver = resolver_of(pod(), "cluster.local")
    assert data(look_up(found, "web", "", resolver).answer) == ["A 10.96.0.8"]
    other = look_up(found, "web.default", "", resolver)
    assert data(other.answer) == ["A 10.96.0.7"]
    assert [answer.status for answer in other.tried] == ["NXDOMAIN", "NOERROR"]
    assert data(look_up(found, "web.default.svc.cluster.local", "", resolver).answer) == ["A 10.96.0.7"]
    assert look_up(found, "web.shop", "AAAA", resolver).status == "FORWARDED"
    assert look_up(found, "web.shop.svc.cluster.local.", "AAAA", resolver).status == "NODATA"
    assert look_up(found, "nothing.default.svc.cluster.local.", "", resolver).status == "NXDOMAIN"
    nodes = look_up(found, "web", "", resolver_of(pod(hostNetwork=True), "cluster.local"))
    assert [(answer.name, answer.status, answer.rule) for answer in nodes.tried] == [
        ("web.", "FORWARDED", "DNS/resolver/node")
    ]


# -- a whole cluster -------------------------------------------------------------------------------------------------


def test_the_story_of_names() -> None:
    found = Zone.of(read_state(STORY).view)
    pods = {each.metadata.name: each.status.pod_ip for each in found.view.list("Pod")}
    web = sorted(ip for name, ip in pods.items() if name.startswith("web"))
    assert sorted(of(found, "pods")) == [f"A {ip}" for ip in web]
    assert of(found, "db") == of(found, "db-0.db") == [f"A {pods['db-0']}"]
    assert of(found, "db-1.db") == []
    assert sorted(of(found, "peers")) == sorted(f"A {pods[name]}" for name in ("db-0", "db-1"))
    assert of(found, "mainframe") == of(found, "big.mainframe") == ["A 192.0.2.7"]
    assert of(found, "shop")[1:] == of(found, "web")
    assert of(found, "_sql._tcp.db") == ["SRV 0 100 5432 db-0.db.default.svc.cluster.local."]


ADDRESS = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str)


@given(
    ips=st.lists(ADDRESS, min_size=1, max_size=4, unique=True),
    names=st.lists(st.one_of(st.none(), st.sampled_from("abc")), min_size=4, max_size=4),
    ready=st.lists(st.booleans(), min_size=4, max_size=4),
    tolerant=st.booleans(),
)
def test_what_is_published_can_be_looked_up_both_ways(
    ips: list[str], names: list[str | None], ready: list[bool], tolerant: bool
) -> None:
    slices = [
        slice_of(
            endpoint(ip, ready=ready[place], hostname=names[place]), family=f"IPv{ip_address(ip).version}", number=place
        )
        for place, ip in enumerate(ips)
    ]
    found = zone(headless(publishNotReadyAddresses=tolerant), *slices)
    published = [ip for place, ip in enumerate(ips) if ready[place] or tolerant]
    assert {record.split()[1] for record in of(found, "web")} == {str(ip_address(ip)) for ip in published}
    for ip in ips:
        answer = found.ask(ip_address(ip).reverse_pointer)
        assert bool(answer.records) is (ip in published)
        for pointer in answer.records:
            assert str(ip_address(ip)) in {each.data for each in found.ask(pointer.data).records}
