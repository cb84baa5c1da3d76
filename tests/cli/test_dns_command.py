"""`k8sfsm dns`: what people see, and the exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sfsm.spec import specs_dir
from k8sfsm_cli import main

STORY = specs_dir() / "scenarios" / "service-names.yaml"
SERVICE = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "default"},
    "spec": {"clusterIP": "10.96.0.7", "clusterIPs": ["10.96.0.7"], "ports": [{"name": "http", "port": 80}]},
}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "default"}, "spec": {"containers": []}}
NAME = "web.default.svc.cluster.local"


def dns(*words: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["dns", *map(str, words)], input=stdin)


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    path = tmp_path / "dump.json"
    host = {**POD, "metadata": {**POD["metadata"], "name": "host"}, "spec": {"hostNetwork": True}}  # type: ignore[dict-item]
    alone = {**host, "metadata": {**host["metadata"], "name": "alone"}, "spec": {"dnsPolicy": "None"}}  # type: ignore[dict-item]
    path.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": [SERVICE, POD, host, alone]}), "utf-8")
    return path


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("│") if cell.strip()]


def test_records_with_their_rules(dump: Path) -> None:
    result = dns(NAME, dump)
    assert result.exit_code == 0, result.output
    rows = [cells(line) for line in result.stdout.splitlines() if "│" in line]
    assert rows == [[f"{NAME}.", "30", "A", "10.96.0.7", "DNS/service/address"]]
    assert result.stderr == ""


def test_an_address_stands_for_its_reverse_name(dump: Path) -> None:
    result = dns("10.96.0.7", dump)
    assert result.exit_code == 0
    assert "7.0.96.10.in-addr.arpa." in result.stdout and f"{NAME}." in result.stdout


def test_no_answer_is_a_finding(dump: Path) -> None:
    missing = dns(f"x.{NAME}", dump)
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert missing.stderr.splitlines() == [
        f"x.{NAME}. NXDOMAIN (DNS/answer/no-name)",
        "NXDOMAIN: there is no such name",
    ]
    assert dns(NAME, dump, "--type", "aaaa").exit_code == 1
    outside = dns("example.org", dump)
    assert outside.exit_code == 0
    assert "no name of the cluster" in outside.stderr


def test_as_a_pod(dump: Path) -> None:
    found = dns("web", dump, "--from", "default/a", "-o", "json")
    assert found.exit_code == 0, found.output
    said = json.loads(found.stdout)
    assert said["status"] == "NOERROR"
    assert said["resolver"] == {
        "asks": "cluster",
        "searches": ["default.svc.cluster.local", "svc.cluster.local", "cluster.local"],
        "ndots": 5,
        "nameservers": [],
    }
    assert said["tried"] == [{"name": f"{NAME}.", "status": "NOERROR", "rule": "DNS/answer/found"}]
    record = {"name": f"{NAME}.", "ttl": 30, "type": "A", "data": "10.96.0.7", "rule": "DNS/service/address"}
    assert said["answers"] == [record]
    assert "asks its node's resolver by its DNS policy" in dns("web", dump, "--from", "default/host").stderr
    assert "asks nobody by its dnsConfig" in dns("web", dump, "--from", "default/alone").stderr


def test_of_a_story_at_a_moment() -> None:
    assert dns("db.default.svc.cluster.local", STORY).exit_code == 0
    assert dns("db.default.svc.cluster.local", STORY, "--at", "50ms").exit_code == 1


def test_of_another_zone_and_from_standard_input() -> None:
    result = dns("web.default.svc.example.org", "-", "--zone", "example.org", stdin=json.dumps(SERVICE))
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--from", "a"), "--from 'a' is no pod, expected NAMESPACE/POD"),
        (("--from", "default/b"), "has no pod default/b, found there: a, alone, host"),
        (("--from", "other/b"), "found there: none"),
        (("--type", "MX"), "'MX' is not one of"),
        (("--at", "soon"), "'soon' is no duration"),
        (("--at", "5s"), "this is the state of one moment"),
    ],
)
def test_bad_input_is_one_line(dump: Path, words: tuple[str, ...], said: str) -> None:
    result = dns(NAME, dump, *words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


@pytest.mark.parametrize("content", ["", "{}", "\x00", "a: [1\n", '{"kind": "List", "items": [3]}'])
def test_what_is_no_state(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state"
    path.write_text(content, "utf-8")
    for given in (path, tmp_path / "missing", tmp_path):
        result = dns(NAME, given)
        assert (result.exit_code, result.stdout) == (2, ""), result.output
        assert len(result.stderr.splitlines()) == 1
