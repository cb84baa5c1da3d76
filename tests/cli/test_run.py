"""`k8sfsm run`: from files to tables, Lists, traces and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from k8sfsm.objects import load_yaml
from k8sfsm.spec import specs_dir
from k8sfsm.trace.history import RecordedWrite
from k8sfsm.trace.native import read_trace
from k8sfsm_cli import main

HELLO = specs_dir() / "scenarios" / "hello.yaml"
WEB = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: nginx}]}
"""


def run(*arguments: str | Path, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)], input=stdin)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    path = tmp_path / "web.yaml"
    path.write_text(WEB)
    return path


def file(folder: Path, text: str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_manifests_run_on_three_nodes(web: Path) -> None:
    result = run(web)
    assert result.exit_code == 0
    assert "$ apply Deployment/web: deployment.apps/web created" in result.stdout
    assert "ReplicaSet/manage/create-missing" in result.stdout
    lines = result.stdout.splitlines()
    at = lines.index("$ kubectl get deployments")
    assert lines[at + 1].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[at + 2].split()[:4] == ["web", "2/2", "2", "2"]
    assert result.stdout.count("node-") >= 3 and "$ kubectl get services" not in result.stdout
    assert result.stderr.endswith("seed 0, 0 findings\n") and result.stderr.startswith("at rest after ")


def test_options(web: Path) -> None:
    short = run(web, "--until", "5ms", "--nodes", "1", "--no-timeline", "--seed", "9")
    assert short.exit_code == 0
    assert "What happened" not in short.stdout and "node-2" not in short.stdout
    assert "ended by --until or `until` after 16ms" in short.stderr or "after 8ms" in short.stderr
    assert "seed 9" in short.stderr
    one, two = run(web, "--seed", "1"), run(web, "--seed", "2")
    assert one.stdout != two.stdout and one.stdout == run(web, "--seed", "1").stdout


def test_events_are_shown_on_demand(web: Path) -> None:
    assert "SuccessfulCreate: Created pod" in run(web, "--events", "--until", "5s").stdout
    assert "SuccessfulCreate" not in run(web, "--until", "5s").stdout


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_the_final_objects_as_a_list(web: Path, form: str) -> None:
    result = run(web, "-o", form, "--until", "5s")
    assert result.exit_code == 0
    document = json.loads(result.stdout) if form == "json" else None
    if document is not None:
        assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    objects = load_yaml(result.stdout, "stdout")
    assert {obj.kind for obj in objects} == {"Deployment", "Namespace", "Node", "Pod", "ReplicaSet", "ServiceAccount"}
    (deployment,) = [obj for obj in objects if obj.kind == "Deployment"]
    assert deployment.status.ready_replicas == 2


def test_scenarios_and_manifests_together(web: Path, tmp_path: Path) -> None:
    story = file(tmp_path, "until: 5s\nexpect: [deployment/web READY is 2/2]")
    result = run(story, web)
    assert result.exit_code == 0 and "1 expectations, 0 findings" in result.stderr


def test_standard_input() -> None:
    result = run("-", "--until", "1s", "--no-timeline", stdin=WEB)
    assert result.exit_code == 0 and "kubectl get pods" in result.stdout


def test_the_trace_can_be_read_again(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    assert run(HELLO, "--trace", path, "-o", "json").exit_code == 0
    recording = read_trace(path)
    assert recording.about["scenario"] == str(HELLO) and recording.about["seed"] == 1
    assert recording.about["kubernetes"] == "v1.36"
    assert recording.final is not None and ("Deployment", "default", "web") in recording.final
    assert {document.key for document in recording.initial} >= {("Node", "", "node-1"), ("Namespace", "", "default")}
    again = tmp_path / "again.jsonl"
    run(HELLO, "--trace", again)
    assert again.read_bytes() == path.read_bytes()
    itf = tmp_path / "trace.itf.json"
    assert run(HELLO, "--trace", itf).exit_code == 0
    assert len(json.loads(itf.read_text())["states"]) > 20


def test_other_namespaces_are_made_with_a_note(tmp_path: Path) -> None:
    path = file(tmp_path, WEB.replace("name: web\n", "name: web\n  namespace: shop\n", 1))
    result = run(path, "--until", "5s")
    assert result.exit_code == 0
    assert result.stderr.startswith("note: namespace shop does not exist, created before the start\n")
    assert "$ kubectl get deployments --all-namespaces" in result.stdout


DEFINITION = """apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
"""


def test_kinds_are_known_when_they_are_defined(tmp_path: Path) -> None:
    widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: w}\nspec: {size: 3}\n"
    early = run(file(tmp_path, widget), "-o", "json", "--until", "1s")
    assert early.exit_code == 1 and 'no matches for kind "Widget" in version "example.com/v1"' in early.stderr
    result = run(file(tmp_path, DEFINITION + widget), "-o", "json", "--until", "1s")
    assert result.exit_code == 0, result.stderr
    (found,) = [item for item in json.loads(result.stdout)["items"] if item["kind"] == "Widget"]
    assert found["spec"] == {"size": 3}


def test_generated_names_are_created(tmp_path: Path) -> None:
    pod = "apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\nspec: {containers: [{name: a, image: i}]}\n"
    result = run(file(tmp_path, pod), "--until", "5s", "--no-timeline")
    assert result.exit_code == 0 and "create Pod/a-: pod/a-" in result.stdout


def test_a_failed_expectation_is_a_finding(web: Path, tmp_path: Path) -> None:
    result = run(web, file(tmp_path, "until: 5s\nexpect:\n  - deployment/web READY is 9/9\n"))
    assert result.exit_code == 1
    assert f"{tmp_path}/a.yaml:3:5: expected deployment/web READY is 9/9 at the end, found 2/2" in result.stderr


def test_a_refused_manifest_of_a_scenario_is_a_finding(tmp_path: Path) -> None:
    file(tmp_path, WEB.replace("replicas: 2", "replicas: -1"), "web.yaml")
    result = run(file(tmp_path, "until: 1s\nmanifests: web.yaml"))
    assert result.exit_code == 1
    assert 'apply Deployment/web was refused: Error from server (Invalid): Deployment.apps "web"' in result.stderr


def test_a_forbidden_manifest_is_a_finding(tmp_path: Path) -> None:
    spec = "{serviceAccountName: nobody, containers: [{name: a, image: i}]}"
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec: {spec}\n"
    result = run(file(tmp_path, pod), "--until", "1s")
    assert result.exit_code == 1 and "Error from server (Forbidden)" in result.stderr


BAD = [
    ("a: 1\n\tb: 2\n", "a.yaml:2:1: found a tab, expected spaces"),
    ("metadata: {name: a}\n", "a.yaml:1:1: kind: found nothing, expected the name of a kind such as Pod"),
    (WEB.replace("replicas: 2", "replicas: -1"), 'a.yaml:1:1: Deployment.apps "web" is invalid: spec.replicas: '),
    (WEB.replace("replicas: 2", "replicas: two"), "a.yaml:6:13: spec.replicas: found the string"),
    (WEB.replace("  name: web\n", "  labels: {}\n", 1), "a.yaml:4:3: Deployment has no name, expected metadata.name"),
    ("actions: [{at: 1s, scal: {object: deployment/web}}]", "a.yaml:1:20: unknown key 'scal', did you mean 'scale'?"),
    ("expects: []\nuntil: 3s", "a.yaml:1:1: unknown key 'expects', did you mean 'expect'?"),
    ("faults: [{at: 1s, stop: node-9}]", "a.yaml:1:10: no component is called 'node-9'"),
    ("", "a.yaml: no objects, expected manifests or a scenario"),
    ("a: [1", "a.yaml:1:6: expected ',' or ']'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), BAD)
def test_bad_input_is_told_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    result = run(file(tmp_path, text))
    assert result.exit_code == 2 and result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"{tmp_path}/{expected}"), line


def test_two_scenarios(tmp_path: Path) -> None:
    result = run(file(tmp_path, "until: 1s"), file(tmp_path, "until: 2s", "b.yaml"))
    assert result.exit_code == 2 and "b.yaml:1:1: this is a second scenario, expected one" in result.stderr


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    missing = run(tmp_path / "no.yaml")
    assert missing.exit_code == 2
    assert missing.stderr == f"k8sfsm: {tmp_path}/no.yaml: no such file or directory, expected a readable file\n"
    binary = tmp_path / "b.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    result = run(binary)
    assert result.exit_code == 2 and "this is no UTF-8 text" in result.stderr


@pytest.mark.parametrize("options", [["--until", "soon"], ["--until", "-1s"], ["--nodes", "-1"], ["--seed", "x"], []])
def test_bad_options(web: Path, options: list[str]) -> None:
    result = run(*([web, *options] if options else []))
    assert result.exit_code == 2 and "Traceback" not in result.stderr


def test_as_a_program(web: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from k8sfsm_cli import main; main()", "run", str(web), "--until", "5s"]
    outputs = set()
    for seed in ("0", "1"):
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={"PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stderr
        outputs.add(done.stdout)
    assert len(outputs) == 1 and "kubectl get deployments" in outputs.pop()
    bad = subprocess.run([*command[:4], "no.yaml"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2 and bad.stderr.count("\n") == 1


def test_what_the_api_server_warns_of_is_printed_as_kubectl_does(tmp_path: Path) -> None:
    manifest = tmp_path / "pod.yaml"
    manifest.write_text(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  nodeSelector: {beta.kubernetes.io/os: linux}\n"
        '  containers: [{name: a, image: "i:1"}]\n',
        "utf-8",
    )
    result = run(manifest, "--until", "1s", "--trace", tmp_path / "t.jsonl")
    text = 'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    assert f"Warning: {text}\n" in result.stderr and "Warning" not in result.stdout
    assert [write.warnings for write in _recorded(tmp_path / "t.jsonl") if write.warnings] == [(text,)]


def _recorded(path: Path) -> tuple[RecordedWrite, ...]:
    return read_trace(path).writes
