"""JSON patches, merge patches and strategic merge patches, on documents and through the server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from api_world import World, config_map, pod, workload
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.patch import json_patch, merge, strategic_merge
from k8sfsm.objects import to_json
from k8sfsm.request import Patch

DOCUMENT = {"a": {"b": [1, 2, 3], "c/d": "e", "f~g": 4}}


@pytest.mark.parametrize(
    ("operations", "result"),
    [
        ([{"op": "add", "path": "/a/x", "value": 1}], {"a": {**DOCUMENT["a"], "x": 1}}),
        ([{"op": "add", "path": "/a/b/1", "value": 9}], {"a": {**DOCUMENT["a"], "b": [1, 9, 2, 3]}}),
        ([{"op": "add", "path": "/a/b/-", "value": 9}], {"a": {**DOCUMENT["a"], "b": [1, 2, 3, 9]}}),
        ([{"op": "replace", "path": "/a/b/0", "value": 9}], {"a": {**DOCUMENT["a"], "b": [9, 2, 3]}}),
        ([{"op": "remove", "path": "/a/b/2"}], {"a": {**DOCUMENT["a"], "b": [1, 2]}}),
        ([{"op": "remove", "path": "/a/c~1d"}], {"a": {"b": [1, 2, 3], "f~g": 4}}),
        ([{"op": "remove", "path": "/a/f~0g"}], {"a": {"b": [1, 2, 3], "c/d": "e"}}),
        ([{"op": "replace", "path": "", "value": {"z": 1}}], {"z": 1}),
        ([{"op": "move", "from": "/a/b", "path": "/b"}], {"a": {"c/d": "e", "f~g": 4}, "b": [1, 2, 3]}),
        ([{"op": "copy", "from": "/a/b/0", "path": "/b"}], {**DOCUMENT, "b": 1}),
        ([{"op": "test", "path": "/a/b/0", "value": 1}], DOCUMENT),
        ([], DOCUMENT),
    ],
)
def test_json_patches(operations: list[Any], result: Any) -> None:
    assert json_patch(copy.deepcopy(DOCUMENT), operations) == result


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({"op": "add"}, 400),
        ([{"op": "add"}], 400),
        ([{"op": "twist", "path": "/a"}], 400),
        ([{"op": "add", "path": "a", "value": 1}], 400),
        ([{"op": "test", "path": "/a/b/0", "value": 2}], 422),
        ([{"op": "remove", "path": "/x"}], 422),
        ([{"op": "replace", "path": "/a/b/3", "value": 1}], 422),
        ([{"op": "add", "path": "/a/b/4", "value": 1}], 422),
        ([{"op": "add", "path": "/a/b/x", "value": 1}], 422),
        ([{"op": "add", "path": "/a/c~1d/x", "value": 1}], 422),
        ([{"op": "remove", "path": "/a/b/9/x"}], 422),
    ],
)
def test_bad_json_patches(operations: Any, code: int) -> None:
    with pytest.raises(Refusal) as refusal:
        json_patch(copy.deepcopy(DOCUMENT), operations)
    assert refusal.value.code == code


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": [1]}, {"a": [2, 3]}, {"a": [2, 3]}),
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}, {"a": {"c": 2}}),
        ({"a": 1}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"a": 1}, ["x"], ["x"]),
    ],
)
def test_merge_patches(target: Any, patch: Any, result: Any) -> None:
    assert merge(target, patch) == result


def items(*names: str, **more: Any) -> list[dict[str, Any]]:
    return [{"name": name, **more} for name in names]


STRATEGIC: dict[str, tuple[Any, Any, Any]] = {
    "items are merged by key": (
        {"containers": [{"name": "a", "image": "1", "env": items("X", value="1")}, {"name": "b"}]},
        {"containers": [{"name": "a", "image": "2", "env": items("Y", value="2")}]},
        {
            "containers": [
                {"name": "a", "image": "2", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
                {"name": "b"},
            ]
        },
    ),
    "new items come last": ({"containers": items("a")}, {"containers": items("b")}, {"containers": items("a", "b")}),
    "null deletes": ({"a": 1, "b": 2}, {"a": None}, {"b": 2}),
    "an item is deleted": (
        {"containers": items("a", "b")},
        {"containers": [{"name": "a", "$patch": "delete"}]},
        {"containers": items("b")},
    ),
    "a list is replaced": (
        {"containers": items("a", "b")},
        {"containers": [{"name": "c"}, {"$patch": "replace"}]},
        {"containers": items("c")},
    ),
    "a map is replaced": ({"m": {"a": 1, "b": 2}}, {"m": {"c": 3, "$patch": "replace"}}, {"m": {"c": 3}}),
    "a map is deleted": ({"m": {"a": 1}, "n": 1}, {"m": {"$patch": "delete"}}, {"n": 1}),
    "other lists are replaced": ({"command": ["a", "b"]}, {"command": ["c"]}, {"command": ["c"]}),
    "lists of unknown items are replaced": ({"things": items("a")}, {"things": items("b")}, {"things": items("b")}),
    "the order is set": (
        {"containers": items("a", "b", "c")},
        {"$setElementOrder/containers": items("c", "a"), "containers": [{"name": "a", "image": "1"}]},
        {"containers": [{"name": "c"}, {"name": "a", "image": "1"}, {"name": "b"}]},
    ),
    "the order of plain values": (
        {"finalizers": ["a", "b"]},
        {"$setElementOrder/finalizers": ["c", "b", "a"], "finalizers": ["c"]},
        {"finalizers": ["c", "b", "a"]},
    ),
    "the order of what is not there": ({}, {"$setElementOrder/containers": items("a")}, {}),
    "keys are retained": (
        {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}},
        {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}},
        {"strategy": {"type": "Recreate"}},
    ),
    "plain values are added": ({"finalizers": ["a"]}, {"finalizers": ["b", "a"]}, {"finalizers": ["a", "b"]}),
    "plain values are deleted": (
        {"finalizers": ["a", "b"]},
        {"$deleteFromPrimitiveList/finalizers": ["a"]},
        {"finalizers": ["b"]},
    ),
    "ports of containers": (
        {"ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2}]},
        {"ports": [{"containerPort": 1, "hostPort": 5}]},
        {"ports": [{"containerPort": 1, "name": "a", "hostPort": 5}, {"containerPort": 2}]},
    ),
    "ports of services": (
        {"ports": [{"port": 1, "name": "a"}]},
        {"ports": [{"port": 1, "nodePort": 5}, {"port": 2}]},
        {"ports": [{"port": 1, "name": "a", "nodePort": 5}, {"port": 2}]},
    ),
    "directives of new items are not kept": (
        {"containers": []},
        {"containers": [{"name": "a", "$setElementOrder/env": items("X"), "env": items("X")}]},
        {"containers": [{"name": "a", "env": items("X")}]},
    ),
}


@pytest.mark.parametrize("name", STRATEGIC)
def test_strategic_patches(name: str) -> None:
    target, patch, result = STRATEGIC[name]
    assert strategic_merge(target, patch) == result


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("volumes", "name"), ("volumeMounts", "mountPath"), ("env", "name"), ("hostAliases", "ip"),
        ("imagePullSecrets", "name"), ("topologySpreadConstraints", "topologyKey"), ("ownerReferences", "uid"),
        ("conditions", "type"), ("podIPs", "ip"), ("addresses", "type"), ("secrets", "name"),
        ("initContainers", "name"), ("ephemeralContainers", "name"), ("volumeDevices", "devicePath"),
        ("hostIPs", "ip"), ("schedulingGates", "name"), ("resourceClaims", "name"),
    ],
)  # fmt: skip
def test_merge_keys(name: str, key: str) -> None:
    merged = strategic_merge({name: [{key: "a", "x": 1}, {key: "b"}]}, {name: [{key: "a", "y": 2}]})
    assert merged == {name: [{key: "a", "x": 1, "y": 2}, {key: "b"}]}


DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_nulls(item) for name, item in value.items() if item is not None}
    return value


@given(DOCUMENTS, DOCUMENTS)
def test_merge_patches_are_idempotent_and_leave_their_input_alone(target: Any, patch: Any) -> None:
    kept = copy.deepcopy((target, patch))
    once = merge(target, patch)
    assert merge(once, patch) == once and (target, patch) == kept
    assert merge(None, patch) == without_nulls(patch)


# -- through the server -----------------------------------------------------------------------------------------------

KEY = ("Deployment", "a", "d")


def test_patches_change_the_stored_object() -> None:
    world = World()
    world.make(workload())
    world.done(Patch(key=KEY, body=[{"op": "replace", "path": "/spec/replicas", "value": 4}], type="json"))
    world.done(Patch(key=KEY, body={"spec": {"paused": True}}))
    body = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}}}
    spec = world.done(Patch(key=KEY, body=body, type="strategic")).spec
    (container,) = spec.template.spec.containers
    assert (spec.replicas, spec.paused, container.image, container.image_pull_policy) == (
        4,
        True,
        "nginx:2",
        "IfNotPresent",
    )


def test_kubectls_switch_to_recreate() -> None:
    world = World()
    world.make(workload())
    body = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    strategy = world.done(Patch(key=KEY, body=body, type="strategic")).spec.strategy
    assert (strategy.type, strategy.rolling_update) == ("Recreate", None)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"metadata": {"uid": "other", "labels": {"a": "b"}}}, "UID in precondition: other"),
        ({"metadata": {"resourceVersion": "1", "labels": {"a": "b"}}}, "the object has been modified"),
    ],
)
def test_identity_in_a_patch_is_a_precondition(body: Any, text: str) -> None:
    world = World()
    world.make(workload())
    code, reason, message = world.refused(Patch(key=KEY, body=body))
    assert (code, reason) == (409, "Conflict") and text in message
    assert world.refused(Patch(key=KEY, body={}, uid="other"))[0] == 409


def test_a_patch_on_the_stored_revision_is_done() -> None:
    world = World()
    meta = world.make(workload()).metadata
    body = {"metadata": {"resourceVersion": meta.resource_version, "uid": meta.uid, "labels": {"a": "b"}}}
    assert world.done(Patch(key=KEY, body=body)).metadata.labels == {"a": "b"}


def test_a_patch_cannot_make_another_kind_or_nonsense() -> None:
    world = World()
    world.make(workload())
    assert world.done(Patch(key=KEY, body={"kind": "Pod", "apiVersion": "v1"})).kind == "Deployment"
    code, reason, text = world.refused(Patch(key=KEY, body={"spec": {"replicas": "many"}}))
    assert (code, reason) == (400, "BadRequest") and "the patch does not give a valid Deployment" in text


def test_custom_resources_have_no_strategic_patch() -> None:
    world = World()
    meta = {"name": "x", "namespace": "a"}
    world.make({"apiVersion": "x.org/v1", "kind": "Widget", "metadata": meta, "spec": {"a": 1}})
    key = ("Widget", "a", "x")
    assert world.refused(Patch(key=key, body={}, type="strategic"))[:2] == (415, "UnsupportedMediaType")
    assert to_json(world.done(Patch(key=key, body={"spec": {"b": 2}})))["spec"] == {"a": 1, "b": 2}


def test_ports_of_one_number_and_two_protocols_stay_apart() -> None:
    world = World()
    ports = [{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53, "protocol": "TCP"}]
    world.make(pod(containers=[{"name": "app", "image": "x:1", "ports": ports}]))
    body = {"metadata": {"labels": {"a": "b"}}}
    made = world.done(Patch(key=("Pod", "a", "p"), body=body, type="strategic"))
    assert len(made.spec.containers[0].ports) == 2


def test_finalizers_are_a_set_to_strategic_patches_and_a_list_to_others() -> None:
    world = World()
    world.make(config_map(finalizers=["x.org/a"]))
    key = ("ConfigMap", "a", "c")
    add = {"metadata": {"finalizers": ["x.org/b"]}}
    assert world.done(Patch(key=key, body=add, type="strategic")).metadata.finalizers == ("x.org/a", "x.org/b")
    assert world.done(Patch(key=key, body=add)).metadata.finalizers == ("x.org/b",)


def test_a_patch_that_leaves_no_object_is_refused() -> None:
    world = World()
    world.make(pod())
    patch = Patch(key=("Pod", "a", "p"), body=[{"op": "add", "path": "", "value": "x"}], type="json")
    code, reason, text = world.refused(patch)
    assert (code, reason) == (400, "BadRequest") and text.startswith("the patch does not give a valid Pod")
