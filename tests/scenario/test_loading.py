"""Scenario files: what is wrong in them is told with its place, all of it at once."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from k8sfsm.objects import ManifestError
from k8sfsm.scenario import model, model_actions, model_outside
from k8sfsm.scenario.loading import is_scenario, read_story
from k8sfsm.scenario.manifests import read_manifests
from k8sfsm.scenario.model import FAULTS
from k8sfsm.spec import SpecError, specs_dir
from k8sfsm.spec.structure import keys_of

POD = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: i}]}}"

WRONG = [
    ("cluster: {nodes: -1}", "s:1:18: -1 nodes, expected a number from 0 to 5000"),
    ("cluster: {nodes: many}", "s:1:18: the text 'many' stands here, expected a number of nodes or a list of them"),
    ("cluster: {nods: 2}", "s:1:11: unknown key 'nods', did you mean 'nodes'?"),
    (
        "cluster: 3",
        "s:1:1: the number 3 stands here, expected a mapping with the keys nodes, seed, limits, rbac, root_ca,"
        " latencies",
    ),
    ("cluster: {nodes: [{name: a, cpu: x}]}", "s:1:19: 'cpu': "),
    ("cluster: {nodes: [{name: a}, {name: a}]}", "s:1:19: node 'a' stands twice, expected each name once"),
    ("cluster: {nodes: [{cpu: 1}]}", "s:1:19: key 'name' is missing, expected a text"),
    ("cluster: {nodes: [{name: a, taints: [x]}]}", "s:1:19: 'taints': 'x' is no taint, expected KEY=VALUE:EFFECT"),
    ("cluster: {latencies: {watch: soon}}", "s:1:11: the text 'soon' stands here, expected a duration such as 30s"),
    ("until: 5", "s:1:8: the number 5 stands here, expected a duration such as 30s or 1m30s"),
    ("until: -5s", "s:1:8: the text '-5s' stands here, expected a duration that is not negative"),
    ("untl: 5s", "s:1:1: unknown key 'untl', did you mean 'until'?"),
    ("actions: {at: 1s}", "s:1:10: 'actions': a mapping stands here, expected a list"),
    ("actions: [x]", "s:1:11: the text 'x' stands here, expected an action: a time `at` and a verb"),
    ("actions: [{at: 1s}]", "s:1:11: an action has one verb, found none; expected one of: apply, create"),
    ("actions: [{cordon: a, uncordon: a}]", "s:1:11: an action has one verb, found cordon and uncordon;"),
    ("actions: [{scal: {object: deploy/a}}]", "s:1:12: unknown key 'scal', did you mean 'scale'?"),
    ("actions: [{scale: {object: deploy/a}}]", "s:1:12: key 'replicas' is missing, expected a whole number"),
    ("actions: [{scale: {object: deploy/a, replicas: x}}]", "s:1:48: 'replicas': the text 'x' stands here"),
    ("actions: [{restart: web}]", "s:1:12: 'web' names no object, expected KIND/NAME such as deployment/web"),
    ("actions: [{restart: deploymnt/web}]", "s:1:12: the server doesn't have a resource type \"deploymnt\","),
    ("actions: [{at: 1x, restart: deploy/web}]", "s:1:16: the text '1x' stands here, expected a duration"),
    ("actions: [{apply: no.yaml}]", "s:1:11: no.yaml: no such file or directory, expected a readable file"),
    ("actions: [{apply: {kind: Pod}}]", "s:1:19: apiVersion: found nothing, expected a version such as v1 or apps/v1"),
    (f"actions: [{{at: 9s, apply: {POD}}}]\nuntil: 5s", "s:1:11: this is due after `until`, expected a time before it"),
    ("manifests: [{apiVersion: v1, kind: Pod}]", "s:1:13: Pod has no name, expected metadata.name"),
    ("manifests:\n  - apiVersion: v1\n    kind: Pod\n    metadata: {name: 3}", "s:4:22: metadata.name: found"),
    ("environment: [{pods: a, script: sing}]", "s:1:15: unknown phrase 'sing' in a container's script"),
    ("environment: [{script: never ready}]", "s:1:15: key 'pods' is missing, expected a text"),
    ("faults: [{at: 1s}]", "s:1:10: a fault is one of stop, start, crash, lag, resync, "),
    (
        "faults: [{at: 1s, stop: a, crash: b}]",
        "s:1:10: a fault is one of " + ", ".join(FAULTS) + ", found stop and crash",
    ),
    ("faults: [{at: 1s, lag: a}]", "s:1:10: null stands here, expected a duration such as 30s or 1m30s"),
    ("faults: [{at: 1s, skew: a, by: x}]", "s:1:10: the text 'x' stands here, expected a duration such as 30s or"),
    ("properties: [{always: node/a exists, finally: node/a exists}]", "s:1:14: a property is one of always, finally"),
    ("properties: [{always: hm}]", "s:1:14: 'hm' is no expectation"),
    ("allow: {oomm: 1}", "s:1:9: no kind of fault is called 'oomm', did you mean 'oom'"),
    ("allow: {oom: many}", "s:1:14: the text 'many' stands here, expected how many faults of the kind"),
    ("allow: 3", "s:1:8: the number 3 stands here, expected kinds of faults and numbers"),
    ("expect: [nothing at all]", "s:1:10: 'nothing at all' is no expectation, expected 'KIND/NAME FIELD is VALUE'"),
    ("expect: [{at: 1s, by: 2s, that: node/a exists}]", "s:1:10: `at` and `by` stand together, expected one of them"),
    ("expect: [deploy/a status.replicas at least many]", "s:1:10: 'many' stands behind 'at least', expected a number"),
    ("expect: ['pods where a=(b count is 1']", "s:1:10: 'a=(b' is no label selector"),
    ("expect: [widget/a exists]", "s:1:10: the server doesn't have a resource type \"widget\","),
    ("a: [1", "s:1:6: no valid YAML"),
    ("until: 5s\n\tdoc: x", "s:2:1: a tab in the indentation, expected spaces"),
    ("doc: a\ndoc: b", "s:2:1: key 'doc' stands twice (first in line 1), expected it once"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_mistakes(text: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_story(text, "s", Path("."))
    assert any(line.startswith(expected) for line in str(caught.value).splitlines()), str(caught.value)


def test_all_mistakes_are_told() -> None:
    text = "until: x\nactions: [{restart: web}]\nexpect: [hm]\nfaults: [{at: 1s}]"
    with pytest.raises(SpecError) as caught:
        read_story(text, "s")
    assert [str(mistake.at) for mistake in caught.value.mistakes] == ["s:1:8", "s:2:12", "s:3:10", "s:4:10"]


def test_an_empty_scenario_is_a_cluster_of_three() -> None:
    story = read_story("", "s")
    assert [node.name for node in story.nodes] == ["node-1", "node-2", "node-3"]


def test_files_are_relative_to_the_scenario(tmp_path: Path) -> None:
    (tmp_path / "pod.yaml").write_text(POD + "\n---\n" + POD.replace("name: a}, s", "name: b}, s"))
    story = read_story("manifests: [pod.yaml]\nactions: [{at: 1s, create: pod.yaml}]", "s", tmp_path)
    assert [manifest.document["metadata"]["name"] for manifest in story.manifests] == ["a", "b"]
    assert len(story.actions[0].manifests) == 2
    (tmp_path / "pod.yaml").write_text("kind: Pod\napiVersion: 3\n")
    with pytest.raises(SpecError) as caught:
        read_story("manifests: pod.yaml", "s", tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'pod.yaml'}:2:13: apiVersion: found the number 3")


def test_what_is_a_scenario() -> None:
    assert is_scenario("until: 3s") and is_scenario("cluster: {nodes: 1}")
    for text in (POD, "", "a: 1", "- until", "kind: Pod\nuntil: 3s", "until: 3s\n---\nuntil: 4s", "a: [", "\tuntil: 3"):
        assert not is_scenario(text)


def test_lists_and_json_are_manifests() -> None:
    pods = {"apiVersion": "v1", "kind": "PodList", "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]}
    text = json.dumps(pods, indent="\t")
    assert [each.document["kind"] for each in read_manifests(text, "m")] == ["Pod", "Pod"]
    assert read_manifests("kind: List\napiVersion: v1\nitems:\n", "m") == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1", "m:1:1: kind: found nothing, expected the name of a kind such as Pod"),
        ("- 1", "m:1:1: the object: found a list, expected an object"),
        ("kind: List\napiVersion: v1\nitems: 3", "m:3:8: items: found the number 3, expected a list"),
        ("a: 1\n\tb: 2", "m:2:1: found a tab, expected spaces (YAML forbids tabs in indentation)"),
    ],
)
def test_mistakes_in_manifests(text: str, expected: str) -> None:
    with pytest.raises(ManifestError) as caught:
        read_manifests(text, "m")
    assert str(caught.value) == expected


NAMED = {**vars(model), **vars(model_actions), **vars(model_outside)}
CLASSES = [cls for cls in NAMED.values() if isinstance(cls, type) and attrs.has(cls)]
READ = {"Manifest", "Timed", "Wanted", "Promise", "Story", "Option", "Measure", "Amendment", "Position", "Place"}


def test_schema_and_model_have_the_same_fields() -> None:
    described = json.loads((specs_dir() / "schema" / "scenario.schema.json").read_text("utf-8"))["$defs"]
    names = {cls.__name__ for cls in CLASSES} - READ
    assert names == set(described) - {"Manifest", "Manifests"}
    for cls in CLASSES:
        if cls.__name__ in names:
            assert sorted(described[cls.__name__]["properties"]) == sorted(keys_of(cls)), cls
            required = [part.name.rstrip("_") for part in attrs.fields(cls) if part.default is attrs.NOTHING]
            assert sorted(described[cls.__name__]["required"]) == sorted(required), cls
