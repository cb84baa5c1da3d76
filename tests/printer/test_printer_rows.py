"""Rows that the vectors do not have, and whole tables."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.objects import from_json, parse_time
from k8sfsm.printer import columns_of, printed, row_of

NOW = parse_time("2026-01-15T12:00:00Z")
CREATED = "2026-01-15T11:58:00Z"


def made(kind: str, version: str = "v1", **parts: Any) -> Any:
    meta = {"name": "a", "namespace": "default", "creationTimestamp": CREATED, **parts.pop("metadata", {})}
    return from_json({"apiVersion": version, "kind": kind, "metadata": meta, **parts})


def part(ports: list[Any], addresses: list[str]) -> Any:
    endpoints = [{"addresses": [address]} for address in addresses]
    return made("EndpointSlice", "discovery.k8s.io/v1", addressType="IPv4", ports=ports, endpoints=endpoints)


SLICES = [
    ([{"name": "http", "port": 80}], ["10.0.0.1"], "80", "10.0.0.1"),
    ([{"name": "http"}], [], "http", "<unset>"),
    ([{}], ["1", "2", "3"], "*", "1,2,3"),
    ([], ["1", "2", "3", "4", "5"], "<unset>", "1,2,3 + 2 more..."),
    ([{"port": number} for number in range(1, 6)], [], "1,2,3 + 2 more...", "<unset>"),
]


@pytest.mark.parametrize(("ports", "addresses", "shown_ports", "shown_addresses"), SLICES)
def test_endpoint_slices(ports: list[Any], addresses: list[str], shown_ports: str, shown_addresses: str) -> None:
    assert row_of(part(ports, addresses), NOW) == ["a", "IPv4", shown_ports, shown_addresses, "2m"]


def test_endpoints() -> None:
    def row(subsets: Any) -> Any:
        return row_of(made("Endpoints", subsets=subsets), NOW)[1]

    assert row([]) == "<none>"
    assert (
        row([{"addresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}, {"port": 81}]}]) == "10.0.0.1:80,10.0.0.1:81"
    )
    assert row([{"addresses": [{"ip": "::1"}], "ports": [{"port": 80}]}]) == "[::1]:80"
    assert row([{"addresses": [{"ip": "10.0.0.1"}]}]) == "10.0.0.1"
    assert row([{"notReadyAddresses": [{"ip": "10.0.0.1"}], "ports": [{"port": 80}]}]) == "<none>"


def test_replication_controllers_namespaces_and_others() -> None:
    template = {"spec": {"containers": [{"name": "x", "image": "i"}, {"name": "y", "image": "j"}]}}
    spec = {"replicas": 3, "selector": {"b": "1", "a": "2"}, "template": template}
    controller = made("ReplicationController", spec=spec, status={"replicas": 2, "readyReplicas": 1})
    assert row_of(controller, NOW, wide=True) == ["a", 3, 2, 1, "2m", "x,y", "i,j", "a=2,b=1"]
    bare = made("ReplicationController", spec={"replicas": 0})
    assert row_of(bare, NOW, wide=True) == ["a", 0, 0, 0, "2m", "", "", "<none>"]
    assert row_of(made("Namespace", status={"phase": "Active"}), NOW) == ["a", "Active", "2m"]
    assert row_of(made("ConfigMap"), NOW) == ["a", "2m"]
    assert row_of(made("ConfigMap", metadata={"creationTimestamp": None}), NOW) == ["a", "<unknown>"]


def test_tables_are_in_order_and_aligned() -> None:
    maps = [
        made("ConfigMap", metadata={"name": name, "namespace": space})
        for name, space in (("long-name", "b"), ("x", "a"))
    ]
    assert printed("ConfigMap", maps, NOW) == "NAME        AGE\nx           2m\nlong-name   2m\n"
    assert printed("ConfigMap", maps, NOW, namespaces=True).splitlines()[1] == "a           x           2m"
    assert printed("Node", [made("Node", metadata={"namespace": ""})], NOW, namespaces=True).startswith("NAME ")
    assert printed("Pod", [], NOW) == ""


def test_wide_columns_stand_behind_the_others() -> None:
    for kind in ("Pod", "Service", "Node", "Deployment", "Widget"):
        narrow, wide = columns_of(kind), columns_of(kind, wide=True)
        assert wide[: len(narrow)] == narrow and all(column.wide for column in wide[len(narrow) :])
