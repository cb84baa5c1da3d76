# ruff: noqa: E501 (one case per line)
"""CustomResourceDefinitions, and the objects of the kinds that they define."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from api_world import World

from k8sfsm.apiserver.custom.definitions import Definition, definition_faults, is_established
from k8sfsm.apiserver.custom.values import filled, pruned, value_faults
from k8sfsm.controllers.crdnames import CrdController
from k8sfsm.objects import evolve, from_json, to_json
from k8sfsm.request import Create, Patch, Update
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.play import play
from k8sfsm.view import View

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "required": ["cronSpec"],
            "properties": {
                "cronSpec": {"type": "string", "pattern": "^[0-9*/ ]+$"},
                "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
                "mode": {"type": "string", "enum": ["fast", "slow"], "default": "slow"},
                "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
            },
        },
        "status": {"type": "object", "properties": {"runs": {"type": "integer"}}},
    },
}


def crd(**changes: Any) -> dict[str, Any]:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        **changes.pop("version", {}),
    }
    names = {"plural": "crontabs", "singular": "crontab", "kind": "CronTab", **changes.pop("names", {})}
    spec = {"group": "stable.example.com", "scope": "Namespaced", "names": names, "versions": [version], **changes}
    meta = {"name": "crontabs.stable.example.com"}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": meta, "spec": spec}


def tab(name: str = "t", **spec: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "a"}
    return {
        "apiVersion": "stable.example.com/v1",
        "kind": "CronTab",
        "metadata": meta,
        "spec": {"cronSpec": "* *", **spec},
    }


def established(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "status": {"conditions": [{"type": "Established", "status": "True"}]}}


def world(**changes: Any) -> World:
    found = World()
    found.make(established(crd(**changes)))
    return found


def faults_of(**changes: Any) -> list[str]:
    return [str(each) for each in definition_faults(Definition("crontabs.stable.example.com", crd(**changes)))]


WRONG = [
    (
        {"group": "x.org"},
        'metadata.name: Invalid value: "crontabs.stable.example.com": must be spec.names.plural+"."+spec.group',
    ),
    ({"group": ""}, "spec.group: Required value"),
    ({"scope": "Planet"}, 'spec.scope: Unsupported value: "Planet": supported values: "Cluster", "Namespaced"'),
    ({"names": {"plural": ""}}, "spec.names.plural: Required value"),
    ({"names": {"kind": ""}}, "spec.names.kind: Required value"),
    ({"versions": []}, "spec.versions: Required value: must have at least one version"),
    ({"version": {"storage": False}}, "must have exactly one version marked as storage version"),
    ({"version": {"schema": {}}}, "spec.versions[0].schema.openAPIV3Schema: Required value: schemas are required"),
    (
        {"version": {"schema": {"openAPIV3Schema": {"type": "string"}}}},
        'spec.versions[0].schema.openAPIV3Schema.type: Invalid value: "string": must be object at the root',
    ),
]
PARTS = [
    ({"a": {}}, "properties[a].type: Required value: must not be empty for specified object fields"),
    (
        {"a": {"type": "text"}},
        'properties[a].type: Unsupported value: "text": supported values: "array", "boolean", "integer", "number", "object", "string"',
    ),
    ({"a": {"type": "array"}}, "properties[a].items: Required value: must be specified"),
    (
        {"a": {"type": "array", "items": {}}},
        "properties[a].items.type: Required value: must not be empty for specified array items",
    ),
    ({"a": {"type": "object", "additionalProperties": {}}}, "properties[a].additionalProperties.type: Required value"),
    ({"a": 7}, "properties[a]: Invalid value: 7: must be an object"),
]


@pytest.mark.parametrize(("changes", "text"), WRONG)
def test_definitions_that_are_none(changes: dict[str, Any], text: str) -> None:
    found = faults_of(**copy.deepcopy(changes))
    assert any(
        each == text or re.fullmatch(rf"spec.versions: Invalid value: .*: {re.escape(text)}", each) for each in found
    )
    code, reason, message = World().refused(Create(object=from_json(crd(**changes))))
    assert (code, reason) == (422, "Invalid") and text in message
    assert message.startswith(
        'CustomResourceDefinition.apiextensions.k8s.io "crontabs.stable.example.com" is invalid: '
    )


@pytest.mark.parametrize(("properties", "text"), PARTS)
def test_schemas_that_are_not_structural(properties: dict[str, Any], text: str) -> None:
    schema = {"type": "object", "properties": properties}
    found = faults_of(version={"schema": {"openAPIV3Schema": schema}})
    assert len(found) == 1 and text in found[0]


def test_a_sound_definition() -> None:
    assert faults_of() == []
    for open_ in ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields"):
        schema = {"type": "object", "properties": {"a": {open_: True}}}
        assert faults_of(version={"schema": {"openAPIV3Schema": schema}}) == []


def test_objects_are_pruned_and_filled() -> None:
    made = to_json(world().make(tab(unknown=1, tags=["x"])))
    assert made["spec"] == {"cronSpec": "* *", "tags": ["x"], "replicas": 1, "mode": "slow"}


def test_what_is_kept_and_what_is_not() -> None:
    known = {"type": "object", "properties": {"a": {"type": "string"}}}
    value = {"apiVersion": "v1", "a": "x", "b": "y"}
    assert pruned(value, known) == {"apiVersion": "v1", "a": "x"}
    assert pruned({"c": value}, {"type": "object", "additionalProperties": known}) == {"c": {"a": "x"}}
    assert pruned([value], {"type": "array", "items": known}, False) == [{"a": "x"}]
    kept = {**known, "x-kubernetes-preserve-unknown-fields": True}
    assert pruned(value, kept) == value
    nullable = {"properties": {"a": {"default": 1, "nullable": True}, "b": {"default": [1]}}}
    assert filled({"a": None, "b": None}, nullable) == {"a": None, "b": [1]}
    assert filled([{}], {"items": {"properties": {"a": {"default": 1}}}}) == [{"a": 1}]
    assert filled({"c": {}}, {"additionalProperties": {"properties": {"a": {"default": 1}}}}) == {"c": {"a": 1}}


FAULTS = [
    ({"type": "integer"}, "x", 'Invalid value: "string": f in body must be of type integer: "string"'),
    ({"type": "string"}, None, 'Invalid value: "null": f in body must be of type string: "null"'),
    ({"x-kubernetes-int-or-string": True}, True, 'f in body must be of type integer or string: "boolean"'),
    ({"type": "integer"}, True, 'f in body must be of type integer: "boolean"'),
    ({"type": "string", "enum": ["b", "a"]}, "x", 'Unsupported value: "x": supported values: "a", "b"'),
    ({"type": "integer", "enum": [1]}, 2, "Unsupported value: 2: supported values: 1"),
    ({"type": "string", "maxLength": 2}, "abc", "Too long: may not be more than 2 bytes"),
    ({"type": "string", "minLength": 2}, "a", 'Invalid value: "a": f in body should be at least 2 chars long'),
    ({"type": "string", "pattern": "^a$"}, "b", "Invalid value: \"b\": f in body should match '^a$'"),
    ({"type": "integer", "minimum": 2}, 1, "Invalid value: 1: f in body should be greater than or equal to 2"),
    ({"type": "integer", "minimum": 2, "exclusiveMinimum": True}, 2, "f in body should be greater than 2"),
    ({"type": "number", "maximum": 2}, 2.5, "Invalid value: 2.5: f in body should be less than or equal to 2"),
    ({"type": "number", "maximum": 2, "exclusiveMaximum": True}, 2, "f in body should be less than 2"),
    ({"type": "integer", "multipleOf": 3}, 4, "f in body should be a multiple of 3"),
    ({"type": "array", "items": {"type": "string"}, "maxItems": 1}, ["a", "b"], "Too many: must have at most 1 items"),
    ({"type": "array", "items": {"type": "string"}, "minItems": 1}, [], "f in body should have at least 1 items"),
    (
        {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
        ["a", "a"],
        "f in body shouldn't contain duplicates",
    ),
    ({"type": "object", "maxProperties": 1}, {"a": 1, "b": 1}, "Too many: must have at most 1 items"),
    ({"type": "object", "minProperties": 1}, {}, "f in body should have at least 1 properties"),
    ({"type": "object", "required": ["a"]}, {}, "f.a: Required value"),
    (
        {"type": "array", "items": {"type": "integer"}},
        [1, "x"],
        'f[1]: Invalid value: "string": f[1] in body must be of type integer: "string"',
    ),
    (
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"a": "x"},
        'f.a: Invalid value: "string": f.a in body must be of type integer: "string"',
    ),
]
SOUND = [
    ({"type": "string", "nullable": True}, None),
    ({"type": "number"}, 1),
    ({"x-kubernetes-int-or-string": True}, "25%"),
    ({"type": "string", "pattern": "("}, "x"),
    ({"type": "integer", "minimum": 2, "maximum": 2, "multipleOf": 2}, 2),
    ({"type": "string", "minLength": 1, "maxLength": 1, "enum": ["a"]}, "a"),
    ({"type": "array", "items": {"type": "string"}}, ["a", "a"]),
    ({}, {"anything": [1]}),
]


@pytest.mark.parametrize(("schema", "value", "text"), FAULTS)
def test_values_that_do_not_fit(schema: dict[str, Any], value: Any, text: str) -> None:
    (fault,) = value_faults({"f": value}, {"type": "object", "properties": {"f": schema}})
    head, found, tail = str(fault).partition(text)
    assert found and not tail and re.fullmatch(r"(f: )?(Invalid value: .*: )?", head)


@pytest.mark.parametrize(("schema", "value"), SOUND)
def test_values_that_fit(schema: dict[str, Any], value: Any) -> None:
    assert list(value_faults({"f": value}, {"type": "object", "properties": {"f": schema}})) == []


def test_an_object_is_judged_when_it_is_made_and_changed() -> None:
    found = world()
    found.make(tab())
    text = 'CronTab.stable.example.com "t" is invalid: spec.replicas: Invalid value: 50: spec.replicas in body should be less than or equal to 10'
    assert found.refused(Create(object=from_json(tab("t", replicas=50)))) == (422, "Invalid", text)
    assert found.refused(Patch(key=("CronTab", "a", "t"), body={"spec": {"replicas": 50}}))[2] == text
    stored = found.get("CronTab", "t")
    assert found.refused(Update(object=evolve(stored, extra={"spec": {}})))[2].endswith("spec.cronSpec: Required value")


RULES = [
    ({"rule": "self.a < self.b"}, {"a": 2, "b": 1}, None, 'f: Invalid value: "object": failed rule: self.a < self.b'),
    (
        {"rule": "self.a < self.b", "message": "a before b"},
        {"a": 2, "b": 1},
        None,
        'f: Invalid value: "object": a before b',
    ),
    (
        {"rule": "false", "messageExpression": "'a is ' + string(self.a)"},
        {"a": 2},
        None,
        'f: Invalid value: "object": a is 2',
    ),
    (
        {"rule": "false", "message": "m", "messageExpression": "self.none"},
        {"a": 2},
        None,
        'f: Invalid value: "object": m',
    ),
    (
        {"rule": "self.a == oldSelf.a", "message": "fixed", "fieldPath": ".a"},
        {"a": 2},
        {"a": 1},
        'f.a: Invalid value: "object": fixed',
    ),
    ({"rule": "self.none"}, {"a": 2}, None, 'f: Invalid value: "object": no such key: none evaluating rule: self.none'),
]


@pytest.mark.parametrize(("rule", "value", "old", "text"), RULES)
def test_rules_in_cel(rule: dict[str, str], value: Any, old: Any, text: str) -> None:
    schema = {"type": "object", "properties": {"f": {"x-kubernetes-validations": [rule]}}}
    before = None if old is None else {"f": old}
    assert [str(each) for each in value_faults({"f": value}, schema, before)] == [text]


def test_rules_that_hold_or_are_not_asked() -> None:
    rules = [{"rule": "self.a > 1"}, {"rule": "self.a == oldSelf.a"}, {"rule": ""}]
    schema = {"type": "object", "properties": {"f": {"x-kubernetes-validations": rules}}}
    assert list(value_faults({"f": {"a": 2}}, schema)) == []


# -- the controller ---------------------------------------------------------------------------------------------------


def status_of(*stored: Any) -> Any:
    view = View.of([from_json(each) for each in stored], now=1_700_000_000_000_000_000)
    plan = CrdController().reconcile(view, ("CustomResourceDefinition", "", "crontabs.stable.example.com"))
    return plan.steps[0].object.extra["status"] if plan.steps else None


def test_names_are_accepted_and_the_kind_is_served() -> None:
    told = status_of(crd())
    assert [(each["type"], each["status"], each["reason"], each["message"]) for each in told["conditions"]] == [
        ("NamesAccepted", "True", "NoConflicts", "no conflicts found"),
        ("Established", "True", "InitialNamesAccepted", "the initial names have been accepted"),
    ]
    assert told["acceptedNames"]["kind"] == "CronTab" and told["storedVersions"] == ["v1"]
    assert status_of({**crd(), "status": told}) is None and is_established({"status": told})
    assert status_of() is None


def test_names_that_another_has_are_not_accepted() -> None:
    other = {**crd(names={"plural": "others", "singular": "other"}), "status": {"acceptedNames": {"kind": "CronTab"}}}
    other["metadata"] = {"name": "others.stable.example.com"}
    told = status_of(crd(), other)
    assert [(each["status"], each["reason"], each["message"]) for each in told["conditions"]] == [
        ("False", "KindConflict", '"CronTab" is already in use'),
        ("False", "NotAccepted", "not all names are accepted"),
    ]
    assert status_of({**crd(), "status": told}, other) is None and not is_established({"status": told})
    elsewhere = copy.deepcopy(other)
    elsewhere["spec"]["group"] = "x.org"
    assert status_of(crd(), elsewhere)["conditions"][0]["status"] == "True"


STORY = """
manifests:
- {apiVersion: stable.example.com/v1, kind: CronTab, metadata: {name: t}, spec: {cronSpec: "*"}}
"""


def test_a_kind_that_nobody_defines_is_unknown_to_kubectl() -> None:
    played = play(read_story(STORY, "story.yaml", Path(".")))
    text = 'error: resource mapping not found for name: "t" namespace: "": no matches for kind "CronTab" in version "stable.example.com/v1"; ensure CRDs are installed first'
    assert [text in str(each) for each in played.misses] == [True]


def test_a_story_with_a_kind_of_its_own() -> None:
    definition, own = json.dumps(crd()), json.dumps({**tab(), "metadata": {"name": "t"}})
    wrong = json.dumps({**tab(mode="odd"), "metadata": {"name": "u"}})
    name = "customresourcedefinition/crontabs.stable.example.com"
    text = f"""
manifests: [{definition}, {own}]
actions: [{{at: 5s, apply: {wrong}, refused: supported values}}]
expect: ["{name} status.conditions[type=Established].status is True"]
"""
    played = play(read_story(text, "story.yaml", Path(".")))
    assert not played.misses, [str(each) for each in played.misses]
    assert played.engine.store.get("CronTab", "default", "t").extra["spec"]["replicas"] == 1
