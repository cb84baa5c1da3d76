# ruff: noqa: E501 (a case is a line)
"""Rules of one's own: a folder of YAML, and Python beside it, as somebody writes them who knows nothing of this house."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_world import World, config_map, pod, workload

from k8sfsm.apiserver import Sender
from k8sfsm.apiserver.own_rules import OwnRules, read_rules
from k8sfsm.law import Law, LawError
from k8sfsm.objects import from_json
from k8sfsm.request import Create, Patch
from k8sfsm.spec import SpecError

ROOT = Path(__file__).parents[2]
RULES = ROOT / "examples" / "rules"
FIRST = "# yaml-language-server: $schema=../schema/controller.schema.json\n"
HEAD = """controller: team
reconciles: team
source: "our handbook"
tables:
  Pod:
    hit: collect
"""


@pytest.fixture(autouse=True, scope="module")
def _afterwards_unknown() -> Iterator[None]:
    """What somebody's rules register is no part of our law: the lint of other tests does not ask for its specs."""
    yield
    Law._rooms.pop("admission", None)


def world(folder: Path = RULES) -> World:
    there = World()
    there.api.rules = read_rules(folder)
    return there


def deployment(replicas: int = 2, **labels: str) -> Create:
    manifest = workload(replicas=replicas)
    manifest["metadata"]["labels"] = labels
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/web:1"
    return Create(object=from_json(manifest))


def test_what_a_rule_refuses_is_forbidden_and_names_the_rule() -> None:
    assert world().refused(deployment()) == (
        403,
        "Forbidden",
        'deployments.apps "d" is forbidden: metadata.labels.owner: Required value: say who looks after it '
        "(rule team/Deployment/owner)",
    )
    assert world().send(deployment(owner="me")).warnings == ()


def test_a_rule_may_only_warn() -> None:
    text = "spec.replicas: Invalid value: 1: one replica is no high availability"
    assert world().send(deployment(1, owner="me")).warnings == (text,)


def test_rules_ask_facts_of_their_own_and_the_verb() -> None:
    there = world()
    there.done(deployment(owner="me"))
    key = ("Deployment", "a", "d")
    foreign = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "docker.io/web:1"}]}}}}
    code, _, text = there.refused(Patch(key=key, body=foreign, type="strategic"))
    assert code == 403
    assert "spec.template.spec.containers[0].image: Invalid value" in text and "(rule team/Deployment/registry)" in text
    other = {"metadata": {"labels": {"owner": "you"}}}
    assert "metadata.labels.owner: Invalid value" in there.refused(Patch(key=key, body=other))[2]
    there.done(Patch(key=key, body={"spec": {"replicas": 1}}, subresource="scale"))


def test_facts_of_a_module_decide() -> None:
    there = world()
    huge = config_map()
    huge["data"] = {"a": "x" * 2000}
    assert "(rule team/ConfigMap/large)" in there.refused(Create(object=from_json(huge)))[2]
    answer = there.api.handle(
        there.store, Create(object=from_json(huge)), Sender("user", "admin"), there.now, there.chance
    )
    assert answer.outcome.ok, "the rule makes an exception for this account"
    there.make(pod())


def folder_with(path: Path, text: str, first: str = FIRST + HEAD) -> Path:
    folder = path / "mine"
    folder.mkdir()
    (folder / "rules.yaml").write_text(first + text, "utf-8")
    return folder


def rules(path: Path, **row: Any) -> OwnRules:
    cells = ", ".join(f"{name}: {cell}" for name, cell in row.items())
    text = f"    inputs: [namespace]\n    outputs: [at, must, of, detail]\n    rules:\n      one: {{{cells}}}\n"
    return read_rules(folder_with(path, text))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"at": "spec.nodeName", "must": "among", "of": "[n, m]"}, 'spec.nodeName: Invalid value: "o": must be one of n, m'),
        ({"at": "spec.nodeName", "must": "matches", "of": "n.*"}, 'spec.nodeName: Invalid value: "o": must match n.*'),
        ({"at": "spec.nodeName", "must": "matches", "of": "o"}, ""),
        ({"at": "spec.hostname", "must": "matches", "of": "n"}, ""),
        ({"at": "spec.hostname", "must": "among", "of": "[n]"}, ""),
        ({"at": "spec.nodeName", "detail": "never"}, 'spec.nodeName: Invalid value: "o": never'),
        ({"namespace": "b", "at": "spec.nodeName", "detail": "never"}, ""),
        ({"namespace": "a", "at": "spec.nodeName", "must": "absent"}, "spec.nodeName: Forbidden"),
    ],
)  # fmt: skip
def test_constraints(tmp_path: Path, row: dict[str, Any], said: str) -> None:
    found = rules(tmp_path, **row).objections(from_json(pod(nodeName="o")), None, "me")
    assert [each.text for _, each in found] == ([said] if said else [])


def test_mistakes_are_told_with_their_places(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"mine/rules.yaml:11:\d+: unknown constraint 'amongst', did you mean 'among'"):
        rules(tmp_path, at="spec", must="amongst")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({}, "mine: no rules, expected YAML files"),
        ({"a.py": "import nothing_like_that"}, "a.py: ModuleNotFoundError: No module named 'nothing_like_that'"),
        (
            {"a.yaml": FIRST + HEAD + "    inputs: [mood]\n    outputs: [at]\n    rules: {a: {mood: x}}\n"},
            "unknown fact 'mood'",
        ),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, files: dict[str, str], said: str) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    with pytest.raises((LawError, SpecError), match=said):
        read_rules(folder)


def k8sfsm(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "k8sfsm_cli", *words]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_the_command_line_takes_them(tmp_path: Path) -> None:
    manifest = "examples/rules/manifests/web.yaml"
    plain = k8sfsm("run", manifest, "--no-timeline", "--until", "1s")
    assert plain.returncode == 0
    ruled = k8sfsm("run", manifest, "--no-timeline", "--until", "1s", K8SFSM_RULES="examples/rules")
    assert ruled.returncode == 1
    assert "(rule team/Deployment/owner)" in ruled.stderr
    option = k8sfsm("run", manifest, "--no-timeline", "--until", "1s", "--rules", "examples/rules")
    assert (option.returncode, option.stderr) == (1, ruled.stderr)
    missing = k8sfsm("run", manifest, K8SFSM_RULES=str(tmp_path / "none"))
    assert missing.returncode == 2 and "no folder of rules" in missing.stderr and "Traceback" not in missing.stderr
