"""Server-side apply to kinds that people have defined: their schema says how lists and maps are merged."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World

from k8sfsm.apiserver.apply.values import Schema
from k8sfsm.objects import from_json, to_json
from k8sfsm.request import Create, Patch

GROUP = "x.org"
PORT = {
    "type": "object",
    "required": ["port"],
    "properties": {
        "port": {"type": "integer"},
        "protocol": {"type": "string", "default": "TCP"},
        "name": {"type": "string"},
    },
}
LISTS = {
    "ports": {
        "type": "array",
        "items": PORT,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["port", "protocol"],
    },
    "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
    "steps": {"type": "array", "items": {"type": "string"}},
    "box": {"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}},
    "bag": {"type": "object", "additionalProperties": {"type": "string"}},
}
SCHEMA = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": LISTS}},
}
KEY = ("Widget", "a", "w")


def world(schema: Any = SCHEMA) -> World:
    there = World()
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    there.make(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"widgets.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
            "status": {"conditions": [{"type": "Established", "status": "True"}]},
        }
    )
    return there


def apply(manager: str, spec: dict[str, Any], force: bool = False) -> Patch:
    body = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}
    return Patch(key=KEY, body=body, type="apply", manager=manager, force=force)


def spec_after(first: dict[str, Any], second: dict[str, Any]) -> Any:
    """The spec after two managers have applied."""
    there = world()
    there.done(apply("one", first))
    return to_json(there.done(apply("two", second)))["spec"]


def test_items_with_keys_are_merged() -> None:
    found = spec_after({"ports": [{"port": 1, "name": "a"}]}, {"ports": [{"port": 2}, {"port": 1, "protocol": "UDP"}]})
    assert {(each["port"], each.get("protocol"), each.get("name")) for each in found["ports"]} == {
        (1, "TCP", "a"),
        (2, "TCP", None),
        (1, "UDP", None),
    }


def test_a_manager_takes_away_its_own_items_alone() -> None:
    there = world()
    there.done(apply("one", {"ports": [{"port": 1}], "tags": ["x"]}))
    there.done(apply("two", {"ports": [{"port": 2}], "tags": ["y"]}))
    left = to_json(there.done(apply("two", {"tags": []})))["spec"]
    assert [each["port"] for each in left["ports"]] == [1] and left["tags"] == ["x"]


def test_sets_are_merged() -> None:
    assert sorted(spec_after({"tags": ["x"]}, {"tags": ["y", "x"]})["tags"]) == ["x", "y"]


def test_maps_are_merged() -> None:
    assert spec_after({"bag": {"a": "1"}}, {"bag": {"b": "2"}})["bag"] == {"a": "1", "b": "2"}


@pytest.mark.parametrize(("name", "first", "second"), [("steps", ["x"], ["y"]), ("box", {"a": "1"}, {"b": "2"})])
def test_what_is_atomic_has_one_owner(name: str, first: Any, second: Any) -> None:
    there = world()
    there.done(apply("one", {name: first}))
    code, reason, text = there.refused(apply("two", {name: second}))
    assert (code, reason) == (409, "Conflict") and text.endswith(f'conflict with "one": .spec.{name}')
    assert to_json(there.done(apply("two", {name: second}, force=True)))["spec"][name] == second


def test_writers_of_items_are_noted() -> None:
    there = world()
    there.done(apply("one", {"ports": [{"port": 1}]}))
    body = {"spec": {"ports": [{"port": 1, "name": "n"}]}}
    made = there.done(Patch(key=KEY, body=body, type="merge", manager="two"))
    fields = {each["manager"]: each["fieldsV1"] for each in made.metadata.extra["managedFields"]}
    assert fields["two"] == {"f:spec": {"f:ports": {'k:{"port":1,"protocol":"TCP"}': {"f:name": {}}}}}


def test_parts_that_a_schema_does_not_know_belong_together() -> None:
    schema = Schema("Widget", SCHEMA)
    assert schema.list_type(("f:spec", "f:ports")).type == "map"
    assert schema.list_type(("f:spec", "f:other")).type == "atomic"
    assert schema.list_type(("f:metadata", "f:finalizers")).type == "set"
    inner = {"properties": {"a": {"items": {"properties": {"b": LISTS["tags"]}}}}}
    assert Schema("Widget", inner).list_type(("f:a", "k:{}", "f:b")).type == "set"
    assert not schema.is_atomic((), {}) and schema.is_atomic(("f:spec", "f:box"), {"a": "b"})


def test_texts_name_the_plural_of_the_definition() -> None:
    there = world()
    made = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "a"}, "spec": {}}
    there.make(made)
    assert there.refused(Create(object=from_json(made)))[2] == 'widgets.x.org "w" already exists'
    missing = Patch(key=("Widget", "a", "none"), body={})
    assert there.refused(missing) == (404, "NotFound", 'widgets.x.org "none" not found')
    bad = {**made, "metadata": {"name": "W", "namespace": "a"}}
    assert there.refused(Create(object=from_json(bad)))[2].startswith('Widget.x.org "W" is invalid: metadata.name')


def test_a_quota_counts_by_the_plural_of_the_definition() -> None:
    there = world()
    hard = {"count/widgets.x.org": "1"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "a"}}
    there.make({**quota, "spec": {"hard": hard}})
    body = {"status": {"hard": hard, "used": {"count/widgets.x.org": "0"}}}
    there.done(Patch(key=("ResourceQuota", "a", "q"), body=body, subresource="status"))
    made = {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "a"}, "spec": {}}
    there.make(made)
    other = {**made, "metadata": {"name": "v", "namespace": "a"}}
    code, _, text = there.refused(Create(object=from_json(other)))
    assert code == 403 and "exceeded quota: q, requested: count/widgets.x.org=1, used: count/widgets.x.org=1" in text
