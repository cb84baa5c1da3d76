"""The commands of kubectl: what they send and say; every row of their tables is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve
from verb_scenes import SCENES, applied_before, manifest, summary

from k8sfsm.law import Law, forget
from k8sfsm.objects import from_json, to_json
from k8sfsm.scenario import verbs
from k8sfsm.scenario.difference import merge_patch, strategic_patch
from k8sfsm.scenario.order import Refused, key_called
from k8sfsm.spec import load_specs, specs_dir
from k8sfsm.spec.loader import ENVIRONMENT
from k8sfsm.spec.mutate import Mutant, mutants, write_mutant


@pytest.mark.parametrize("name", SCENES)
def test_commands(name: str) -> None:
    scene, expected = SCENES[name]
    assert summary(scene) == expected


def test_what_apply_notes() -> None:
    text, noted = verbs.last_applied_of(
        verbs.in_namespace({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}})
    )
    assert text == '{"apiVersion":"v1","kind":"Pod","metadata":{"annotations":{},"name":"a","namespace":"default"}}\n'
    assert verbs.last_applied_of(noted) == (text, noted)


def test_apply_after_somebody_else_has_changed_the_object() -> None:
    store = applied_before()
    stored = store.get("Deployment", "default", "web")
    other = to_json(stored)
    other["spec"]["replicas"] = 8
    other["metadata"]["labels"]["added"] = "by-hand"
    store, _ = store.put(from_json(other))
    order = verbs.apply(store, manifest())
    assert [write.body for write in order.writes] == [{"spec": {"replicas": 3}}]  # type: ignore[union-attr]


def test_kinds_without_a_schema_get_merge_patches() -> None:
    widget = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"ports": [1], "a": 1},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {"group": "example.com", "names": {"kind": "Widget", "plural": "widgets"}, "versions": [version]},
        "status": {"conditions": [{"type": "Established", "status": "True"}]},
    }
    with pytest.raises(Refused, match="no matches for kind"):
        verbs.apply(applied_before(), widget)
    store, _ = applied_before().put(from_json(definition))
    order = verbs.apply(store, widget)
    store, _ = store.put(order.writes[0].object)  # type: ignore[union-attr]
    order = verbs.apply(store, {**widget, "spec": {"ports": [2]}})
    write = order.writes[0]
    assert (write.type, write.body["spec"]) == ("merge", {"ports": [2], "a": None})  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("original", "modified", "current", "patch"),
    [
        ({"a": 1}, {"a": 1}, {"a": 1, "b": 2}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 3}, {"b": None}),
        ({"m": {"x": 1}}, {"m": {"y": 2}}, {"m": {"x": 1}}, {"m": {"y": 2, "x": None}}),
        ({}, {"n": None}, {}, {}),
        ({}, {"n": None}, {"n": 1}, {"n": None}),
        ({"finalizers": ["a", "b"]}, {"finalizers": ["b", "c"]}, {"finalizers": ["a", "b"]},
         {"finalizers": ["c"], "$deleteFromPrimitiveList/finalizers": ["a"]}),
        ({}, {"args": ["x"]}, {"args": ["y"]}, {"args": ["x"]}),
        ({}, {"env": [{"name": "b"}, {"name": "a"}]}, {"env": [{"name": "a"}, {"name": "b"}]},
         {"$setElementOrder/env": [{"name": "b"}, {"name": "a"}]}),
        ({}, {"volumes": [{"name": "v", "emptyDir": {}}]}, {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
         {"$setElementOrder/volumes": [{"name": "v"}],
          "volumes": [{"emptyDir": {}, "$retainKeys": ["emptyDir", "name"], "name": "v"}]}),
    ],
)  # fmt: skip
def test_patches(original: object, modified: object, current: object, patch: object) -> None:
    assert strategic_patch(original, modified, current) == patch  # type: ignore[arg-type]


def test_merge_patches_replace_lists() -> None:
    wanted = {"env": [{"name": "a", "value": "1"}]}
    assert merge_patch({}, wanted, {"env": [{"name": "a"}, {"name": "b"}]}) == wanted


@pytest.mark.parametrize("text", ["web", "deployment/", "a/b/c", "deploymint/web"])
def test_names_of_no_object(text: str) -> None:
    with pytest.raises(Refused):
        key_called(text)


def test_names_of_objects() -> None:
    assert key_called("deploy/web") == key_called("deployments.apps/web") == ("Deployment", "default", "web")
    assert key_called("Node/n1", "shop") == ("Node", "", "n1")
    assert key_called("po/a", "shop") == ("Pod", "shop", "a")


def verb_mutants() -> Iterator[Mutant]:
    for mutant in mutants(evolve(load_specs(specs_dir(), ["kubectl"]), constants={})):
        if mutant.file == "kubectl/verbs.yaml":
            yield mutant


def test_every_cell_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "kubectl").mkdir(parents=True)
    (source / "kubectl" / "verbs.yaml").write_text((specs_dir() / "kubectl" / "verbs.yaml").read_text("utf-8"), "utf-8")
    survivors = []
    every = list(verb_mutants())
    summary(SCENES["status"][0])  # its rules stand elsewhere
    scenes = [scene for name, scene in SCENES.items() if name != "status"]
    try:
        for number, mutant in enumerate(every):
            copy = tmp_path / str(number)
            write_mutant(mutant, source, copy)
            monkeypatch.setenv(ENVIRONMENT, str(copy))
            Law("kubectl").forget()
            forget()
            if all(_same(scene, expected) for scene, expected in scenes):
                survivors.append(mutant.id)
    finally:
        monkeypatch.undo()
        Law("kubectl").forget()
        forget()
    assert survivors == [], "\n".join(survivors)


def _same(scene: object, expected: str) -> bool:
    try:
        return summary(scene) == expected  # type: ignore[arg-type]
    except Exception:
        return False
