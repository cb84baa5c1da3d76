"""Recordings of real clusters, as shipped, agree with what is predicted from their inputs; and so do our own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tampering import Files, read_lines

from k8sfsm.trace.errors import Line
from k8sfsm.trace.folder import Restorer
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.replay import replay

ROOT = Path(__file__).parents[2]
RECORDINGS = (
    "tests/data/recordings/01-deploy-create",
    "tests/data/recordings/02-scale",
    "tests/data/recordings/15a-services",
    "tests/data/recordings/15b-headless-manual",
    "examples/recordings/03-rolling-default",
)
EXTRACT = "tests/data/replay/audit-01.jsonl.zst"
NAMESPACE = "01-deploy-create"


def k8sfsm(*words: str | Path, seed: str = "0") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "k8sfsm_cli", *map(str, words)]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False)


SLIM = "tests/data/recordings/random-1"
"""A recording that leaves out changes of Endpoints and the bodies of requests."""


RACED = "tests/data/recordings/random-5"
"""A recording in which an eviction lost a race with a kubelet, and was tried again for a second."""


QUOTA = "tests/data/recordings/18-quota-limits"
"""A recording in which 20 requests are refused, 14 of them retries of a ReplicaSet that a quota bounds."""


@pytest.mark.parametrize("path", (*RECORDINGS, SLIM, RACED, QUOTA))
def test_shipped_recordings_agree(path: str) -> None:
    table = k8sfsm("replay", path)
    assert table.returncode == 0, table.stdout.decode()
    assert b"Predicted from the inputs alone" in table.stdout and b"agrees: " in table.stderr
    result = k8sfsm("replay", path, "-o", "json")
    assert result.returncode == 0
    value = json.loads(result.stdout)
    assert value["agrees"] is True and value["findings"] == [] and value["divergences"] == []
    assert value["compared"]["writes"] > 40


@pytest.mark.parametrize("name", ["11-node-failure", "12-readiness-flip"])
def test_without_a_log_of_the_environment(name: str, tmp_path: Path) -> None:
    """When a kubelet fell silent, came back, and what its probes said, is read off the statuses."""
    for file in (ROOT / "tests/data/recordings" / name).iterdir():
        if file.is_file() and not file.name.startswith("env."):
            shutil.copy(file, tmp_path)
    result = k8sfsm("replay", tmp_path, "--no-timeline")
    assert result.returncode == 0, result.stdout.decode()
    assert b"environment facts are read off" in result.stderr


def test_an_audit_log_agrees() -> None:
    """88 requests of a real API server's log, with the cluster's start before them."""
    result = k8sfsm("replay", EXTRACT, "--namespace", NAMESPACE, "--no-timeline")
    assert result.returncode == 0, result.stdout.decode()


def stream(folder: Path) -> list[dict[str, object]]:
    """What `kubectl get -w -o json --output-watch-events` would have printed, initial objects first."""
    restorer = Restorer()
    values = []
    for number, value in enumerate(read_lines(folder / "watch.jsonl.zst"), 1):
        restorer.restore(Line("watch.jsonl", number), value)
        values.append({"type": value["type"], "object": value["object"]})
    return values


def pretty(values: list[dict[str, object]]) -> str:
    return "".join(json.dumps(value, indent=4) + "\n" for value in values)


@pytest.mark.parametrize("folder", RECORDINGS)
def test_a_watch_agrees(folder: str, tmp_path: Path) -> None:
    """Without requests, environment and times: all inputs are read off the objects."""
    path = tmp_path / "watch.json"
    path.write_text(pretty(stream(ROOT / folder)))
    result = k8sfsm("replay", path, "--no-timeline")
    assert result.returncode == 0, result.stdout.decode()


@pytest.mark.parametrize("folder", RECORDINGS[:2])
@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet", "Deployment"])
def test_a_forged_watch_does_not(kind: str, folder: str, tmp_path: Path) -> None:
    values = stream(ROOT / folder)
    number = [i for i, value in enumerate(values) if value["object"]["kind"] == kind][-1]  # type: ignore[index]
    dropped = values[:number] + values[number + 1 :]
    doubled = [*values[: number + 1], json.loads(json.dumps(values[number])), *values[number + 1 :]]
    altered = json.loads(json.dumps(values))
    status = altered[number]["object"]["status"]
    status["phase" if kind == "Pod" else "readyReplicas"] = "Failed" if kind == "Pod" else 2
    again = doubled[number + 1]["object"]
    again["metadata"]["resourceVersion"] = str(int(again["metadata"]["resourceVersion"]) + 1000)  # type: ignore[index]
    for name, forged in (("dropped", dropped), ("again", doubled), ("altered", altered)):
        path = tmp_path / f"{name}.json"
        path.write_text(pretty(forged))
        assert not replay(read_history(path)).agrees, name


def test_our_own_trace_agrees(tmp_path: Path) -> None:
    manifest = tmp_path / "web.yaml"
    manifest.write_text(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: default}\n"
        "spec:\n  replicas: 3\n  selector: {matchLabels: {app: web}}\n  template:\n"
        "    metadata: {labels: {app: web}}\n    spec: {containers: [{name: app, image: 'sim/ok:1'}]}\n"
    )
    trace = tmp_path / "trace.jsonl"
    assert k8sfsm("run", manifest, "--trace", trace, "--no-timeline").returncode == 0
    result = k8sfsm("replay", trace, "--no-timeline")
    assert result.returncode == 0, result.stdout.decode()


def test_a_deletion_is_prepared_when_its_request_comes() -> None:
    """A pod on no node is deleted at once, although it is bound before the deletion is done."""
    log = ROOT / "tests/data/recordings/audit-10.jsonl.zst"
    found = replay(read_history(log, namespace="10-delete-release-adopt"))
    assert found.agrees, [str(each) for each in found.divergences]


def test_two_replays_print_the_same_bytes() -> None:
    printed = [k8sfsm("replay", RECORDINGS[2], "--events", seed=seed).stdout for seed in ("0", "1", "4711")]
    assert printed[0] == printed[1] == printed[2] and len(printed[0]) > 10_000


def test_a_divergence_is_explained(tmp_path: Path) -> None:
    """The table gives one line each, JSON the parts; the exit code is 1."""
    folder = ROOT / RECORDINGS[2]
    watch, audit = (read_lines(folder / f"{name}.jsonl.zst") for name in ("watch", "audit"))
    names = [v["object"]["metadata"]["name"] for v in watch if v["object"].get("reason") == "ScalingReplicaSet"]
    forged = Files(
        folder=folder,
        watch=tuple(v for v in watch if v["object"]["metadata"]["name"] != names[2]),
        audit=tuple(v for v in audit if v["objectRef"].get("name") != names[2]),
    )
    path = forged.write(tmp_path / "forged")
    table = k8sfsm("replay", path, "--no-timeline")
    assert table.returncode == 1
    [line] = table.stdout.decode().splitlines()
    assert line.startswith("divergence: ") and "Deployment/web: Normal ScalingReplicaSet" in line
    assert b"diverges: 0 breaches of the API's own laws, 1 differences" in table.stderr
    value = json.loads(k8sfsm("replay", path, "-o", "json").stdout)
    assert value["agrees"] is False and value["divergences"][0]["aspect"] == "Normal ScalingReplicaSet"


def test_a_damaged_history_is_a_finding(tmp_path: Path) -> None:
    """An object whose creation is missing, and on which later lines rely, is no bad input: its request tells on it."""
    folder = ROOT / RECORDINGS[0]
    watch, audit = (read_lines(folder / f"{name}.jsonl.zst") for name in ("watch", "audit"))
    number = next(i for i, v in enumerate(watch) if v["object"]["kind"] == "Deployment")
    forged = Files(folder=folder, watch=watch[:number] + watch[number + 1 :], audit=audit)
    result = k8sfsm("replay", forged.write(tmp_path / "forged"), "-o", "json")
    assert result.returncode == 1
    found = json.loads(result.stdout)["findings"]
    assert found[0]["rule"] == "trace/request-has-change" and "Deployment 01-deploy-create/web" in found[0]["text"]
    assert any(entry["object"] == "Deployment/01-deploy-create/web" for entry in found)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.jsonl", b'{"type": "ADDED", "object": {"kind": "Pod", "meta'),
        ("binary.jsonl", b"\x00\x01\x02\xff"),
        ("empty.jsonl", b""),
        ("other.jsonl", b'{"hello": "world"}\n'),
        ("missing.jsonl", None),
    ],
)
def test_bad_input_is_one_line(name: str, content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = k8sfsm("replay", path)
    assert result.returncode == 2 and result.stdout == b""
    assert len(result.stderr.splitlines()) == 1 and name.encode() in result.stderr
