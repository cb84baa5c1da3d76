"""`k8sfsm explain pod/NAME`: where a pod could go, in whatever a person has of a cluster."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sfsm.trace.reading import read_history
from k8sfsm_cli import main

ROOT = Path(__file__).parents[2]
CLUSTER = """
apiVersion: v1
kind: Node
metadata: {name: free}
status: {allocatable: {cpu: "2", memory: 4Gi, pods: "10"}}
---
apiVersion: v1
kind: Node
metadata: {name: tainted}
spec: {taints: [{key: gpu, effect: NoSchedule}]}
status: {allocatable: {cpu: "2", memory: 4Gi, pods: "10"}}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec: {containers: [{name: c, image: x, resources: {requests: {cpu: "1"}}}]}
---
apiVersion: v1
kind: Pod
metadata: {name: big, namespace: default}
spec: {containers: [{name: c, image: x, resources: {requests: {cpu: "9"}}}]}
"""
BIG = (
    "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s). no new claims to deallocate, "
    "preemption: 0/2 nodes are available: 2 Preemption is not helpful for scheduling."
)


def k8sfsm(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(main, list(words), input=given)


@pytest.fixture
def manifests(tmp_path: Path) -> str:
    file = tmp_path / "cluster.yaml"
    file.write_text(CLUSTER)
    return str(file)


def test_of_manifests(manifests: str) -> None:
    result = k8sfsm("explain", manifests, "pod/web")
    assert result.exit_code == 0, result.stderr
    assert "TaintToleration: node(s) had untolerated taint(s)" in result.stdout
    assert "0 -> 100 x 3" in result.stdout and "chosen: free (it has no node)" in result.stdout
    assert BIG in k8sfsm("explain", manifests, "pod/default/big").stdout


@pytest.mark.parametrize("words", [["pod/big"], ["-", "pod/big"], ["-", "po/default/big"]])
def test_of_standard_input(words: list[str]) -> None:
    result = k8sfsm("explain", *words, "-o", "json", given=CLUSTER)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["placement"]
    assert (found["message"], found["chosen"], found["assigned"]) == (BIG, "", "")
    reasons = {each["node"]: (each["refusal"]["plugin"], each["refusal"]["reasons"]) for each in found["nodes"]}
    assert reasons == {
        "free": ("NodeResourcesFit", ["Insufficient cpu"]),
        "tainted": ("TaintToleration", ["node(s) had untolerated taint(s)"]),
    }


def test_of_a_recording_before_the_binding() -> None:
    history = ROOT / "examples/recordings/03-rolling-default"
    recording = read_history(history)
    bound = next(write for write in recording.writes if write.verb == "bind")
    name = bound.key[2]
    result = k8sfsm("explain", str(history), f"pod/{name}", "-o", "json")
    assert result.exit_code == 0, result.stderr
    answer = json.loads(result.stdout)
    assert answer["because"] and answer["placement"]["assigned"] == ""
    assert answer["placement"]["chosen"] and len(answer["placement"]["nodes"]) == 4
    later = k8sfsm("explain", str(history), f"pod/{name}", "-o", "json", "--at", str(bound.revision))
    assert json.loads(later.stdout)["placement"]["assigned"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("pod/nope", "no pod 'nope' there, expected one of: web, big"),
        ("pod/other/web", "no pod 'web' there, expected a state with pods"),
    ],
)
def test_what_is_not_there(manifests: str, name: str, said: str) -> None:
    result = k8sfsm("explain", manifests, name)
    assert result.exit_code == 2 and said in result.stderr
