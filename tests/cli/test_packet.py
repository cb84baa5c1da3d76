"""`k8sfsm packet` and `k8sfsm proxy`: questions that have answers, and those that have none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from k8sfsm_cli import main

ROOT = Path(__file__).parents[2]
STORY = str(ROOT / "specs/scenarios/hello.yaml")
RECORDING = str(ROOT / "tests/data/recordings/15a-services")


def k8sfsm(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def answer(*words: str) -> dict[str, Any]:
    result = k8sfsm("packet", *words, "-o", "json")
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def dump(tmp_path: Path, **service: Any) -> str:
    """What `kubectl get -o json` would print of a small cluster."""
    labels = {"kubernetes.io/service-name": "web"}
    pods = [("a", "node-1", "10.244.0.5"), ("b", "node-2", "10.244.1.5")]
    items: list[dict[str, Any]] = [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"type": "NodePort", "clusterIP": "10.96.0.7", "ports": [{"name": "http", "port": 80, "nodePort": 30080, "protocol": "TCP"}], **service},  # noqa: E501
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "shop", "labels": labels},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [ip], "nodeName": node, "conditions": {"ready": True}} for _, node, ip in pods],
        },
        *(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
                "status": {"podIP": ip, "hostIP": f"192.168.7.{number}", "phase": "Running"},
            }
            for number, (name, node, ip) in enumerate(pods, start=1)
        ),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "new", "namespace": "shop"}, "spec": {"containers": [{"name": "c", "image": "i"}]}},  # noqa: E501
    ]  # fmt: skip
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    return str(path)


@pytest.mark.parametrize("backend", ["iptables", "nftables", "ipvs", "ebpf"])
def test_a_story_is_played_to_its_end(backend: str) -> None:
    found = answer(STORY, "--from", "node/node-2", "--to", "web:80", "--backend", backend)
    assert found["node"] == "node-2" and found["backend"] == backend
    assert [round(chance, 4) for chance in found["backends"].values()] == [0.3333] * 3
    assert all(each["pod"].startswith("default/web-") for each in found["outcomes"])
    assert found["service"] == "default/web by its cluster-ip" and found["difference"] == ""


def test_a_recording() -> None:
    """At its end all Services are gone, so an address of one is one like any other."""
    found = answer(RECORDING, "--from", "node/node-1", "--to", "10.96.11.93:80")
    assert found["backends"] == {"passed": 1.0} and found["service"] == ""
    outside = answer(RECORDING, "--from", "8.8.8.8", "--to", "10.10.0.13:30000")
    assert outside["node"] == "node-3"


def test_a_dump_without_nodes(tmp_path: Path) -> None:
    path = dump(tmp_path)
    found = answer(path, "--from", "pod/a", "-n", "shop", "--to", "web:http")
    assert found["packet"]["source"] == "10.244.0.5" and found["node"] == "node-1"
    assert found["backends"] == {"10.244.0.5:8080": 0.5, "10.244.1.5:8080": 0.5}
    assert [each["masqueraded"] for each in found["outcomes"]] == [True, False]
    assert answer(path, "--from", "pod/shop/b", "--to", "web:80")["node"] == "node-2"
    assert answer(path, "--from", "10.244.1.5", "--to", "shop/web:80")["node"] == "node-2"
    assert answer(path, "--from", "8.8.8.8", "--to", "192.168.7.2:30080")["node"] == "node-2"
    assert answer(path, "--from", "8.8.8.8", "--to", "node/node-2:30080")["node"] == "node-2"
    assert answer(path, "--from", "192.168.7.2", "--to", "svc/shop/web:80")["packet"]["origin"] == "node"
    assert answer(path, "--from", "8.8.8.8", "--node", "node-2", "--to", "svc/shop/web:80")["node"] == "node-2"
    assert answer(path, "--from", "8.8.8.8", "--to", "10.96.0.7:81", "--backend", "nftables")["backends"] == {
        "reject": 1.0
    }


def test_policies_and_affinity(tmp_path: Path) -> None:
    path = dump(tmp_path, externalTrafficPolicy="Local", sessionAffinity="ClientIP")
    found = answer(path, "--from", "8.8.8.8", "--to", "192.168.7.1:30080")
    assert found["backends"] == {"10.244.0.5:8080": 1.0} and not found["outcomes"][0]["masqueraded"]
    assert found["affinity_seconds"] == 10800
    kept = answer(path, "--from", "8.8.8.8", "--to", "shop/web:80", "--seen", "10.244.1.5:8080")
    assert kept["backends"] == {"10.244.1.5:8080": 1.0}
    by_cidr = answer(path, "--from", "pod/shop/a", "--to", "192.168.7.1:30080", "--cluster-cidr", "10.244.0.0/16")
    assert len(by_cidr["backends"]) == 2
    unknown = answer(path, "--from", "pod/shop/a", "--to", "192.168.7.1:30080")
    assert len(unknown["backends"]) == 1
    apart = answer(path, "--from", "pod/shop/a", "--to", "192.168.7.1:30080", "--backend", "ebpf")
    assert apart["difference"] == "kube-proxy/difference/known-by-socket"


def test_the_table(tmp_path: Path) -> None:
    result = k8sfsm("packet", dump(tmp_path), "--from", "pod/shop/a", "--to", "web:80")
    assert result.exit_code == 0
    for word in (
        "PREROUTING",
        "KUBE-SERVICES",
        "KUBE-MARK-MASQ",
        "DNAT",
        "1/2 (50.0%)",
        "becomes the node's (SNAT)",
        "shop/b",
    ):
        assert word in result.stdout
    assert "enters shop/web:http by its cluster-ip" in result.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--from", "pod/x", "--to", "web:80", "-n", "shop"), "no pod shop/x"),
        (("--from", "pod/a", "--to", "web:80"), "no pod default/a, expected one of: shop/a, shop/b"),
        (("--from", "pod/shop/new", "--to", "web:80"), "has no address yet"),
        (("--from", "node/x", "--to", "shop/web:80"), "no node x"),
        (("--from", "somewhere", "--to", "shop/web:80"), "expected pod/NAME, node/NAME or an IP address"),
        (("--from", "node/node-1", "--to", "web"), "expected SERVICE:PORT"),
        (("--from", "node/node-1", "--to", "web:80"), "no Service default/web, expected one of: shop/web"),
        (("--from", "node/node-1", "--to", "shop/web:nope"), "has no port nope"),
        (("--from", "node/node-1", "--to", "10.0.0.1:99999"), "99999 is no port"),
        (("--from", "node/node-1", "--to", "node/x:80"), "no node x"),
        (("--from", "8.8.8.8", "--to", "10.0.0.1:80", "--node", "x"), "no node x"),
        (("--from", "node/node-1", "--to", "10.0.0.1:80", "--node", "node-2"), "is on node-1"),
        (("--from", "node/node-1", "--to", "10.0.0.1:80", "--backend", "magic"), "'magic'"),
    ],
)
def test_questions_without_an_answer(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    result = k8sfsm("packet", dump(tmp_path), *words)
    assert result.exit_code == 2 and result.stdout == ""
    assert says in result.stderr and len(result.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({"clusterIP": "None", "type": "ClusterIP"}, "is headless"),
        ({"type": "ExternalName", "externalName": "a.example", "clusterIP": ""}, "is an alias for a.example"),
    ],
)
def test_services_without_an_address(spec: dict[str, Any], says: str, tmp_path: Path) -> None:
    result = k8sfsm("packet", dump(tmp_path, **spec), "--from", "8.8.8.8", "--to", "shop/web:80")
    assert result.exit_code == 2 and says in result.stderr


def test_a_state_without_nodes(tmp_path: Path) -> None:
    path = tmp_path / "empty.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": []}))
    result = k8sfsm("packet", str(path), "--from", "8.8.8.8", "--to", "1.2.3.4:80")
    assert result.exit_code == 2 and "no nodes" in result.stderr


@pytest.mark.parametrize(
    ("backend", "first"),
    [
        ("iptables", "*filter"),
        ("nftables", "table ip kube-proxy {"),
        ("ipvs", "IP Virtual Server version"),
        ("ebpf", "services"),
    ],
)
def test_rules_of_a_node(backend: str, first: str, tmp_path: Path) -> None:
    result = k8sfsm("proxy", dump(tmp_path), "--node", "node-2", "--backend", backend)
    assert result.exit_code == 0 and result.stdout.startswith(first) and "10.244.1.5" in result.stdout
    assert k8sfsm("proxy", dump(tmp_path), "--node", "x").exit_code == 2
