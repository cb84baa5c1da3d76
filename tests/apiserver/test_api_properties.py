"""What holds for every sequence of requests."""

from __future__ import annotations

import json
from typing import Any

from api_world import World, config_map, pod, service, workload
from attrs import evolve
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.validation import faults
from k8sfsm.objects import from_json, key_of, load_yaml, to_json, to_yaml
from k8sfsm.request import Create, Delete, Patch, Update, Write

MANIFESTS = (
    pod("x", nodeName="n"),
    pod("y", terminationGracePeriodSeconds=0),
    service("x", type="NodePort"),
    service("y", clusterIP="None"),
    workload("Deployment", "x"),
    workload("ReplicaSet", "x", replicas=2),
    config_map("x", finalizers=["x.org/y"]),
    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": {"podCIDRs": ["10.0.0.0/24"]}},
)
KEYS = [key_of(from_json(manifest)) for manifest in MANIFESTS]
BODIES: tuple[Any, ...] = (
    {"metadata": {"labels": {"a": "b"}}},
    {"metadata": {"labels": {"a": None}}},
    {"metadata": {"finalizers": []}},
    {"metadata": {"finalizers": ["x.org/y"]}},
    {"spec": {"replicas": 3}},
    {"spec": {"type": "ClusterIP"}},
    {"metadata": {"annotations": {"c": "d"}}},
)
REPORTS: tuple[Any, ...] = (
    {"status": {"replicas": 2, "readyReplicas": 1}},
    {"status": {"availableReplicas": 1}},
    {"status": {"replicas": -1}},
    {"status": {"podIPs": [{"ip": "10.0.0.7"}], "qosClass": "BestEffort"}},
    {"status": {"podIPs": [{"ip": "nowhere"}]}},
    {"status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}},
    {"status": {"capacity": {"cpu": "-4"}}},
    {"status": {"capacity": {"cpu": "4"}, "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}]}},
)
WRITES: st.SearchStrategy[Write] = st.one_of(
    st.sampled_from(MANIFESTS).map(lambda manifest: Create(object=from_json(manifest))),
    st.builds(
        lambda key, body, how: Patch(key=key, body=body, type=how),
        st.sampled_from(KEYS),
        st.sampled_from(BODIES),
        st.sampled_from(("merge", "strategic")),
    ),
    st.builds(
        lambda key, body: Patch(key=key, body=body, type="merge", subresource="status"),
        st.sampled_from(KEYS),
        st.sampled_from(REPORTS),
    ),
    st.builds(
        lambda key, grace, how: Delete(key=key, grace_seconds=grace, propagation=how),
        st.sampled_from(KEYS),
        st.sampled_from((None, 0, 5)),
        st.sampled_from((None, "Orphan", "Foreground")),
    ),
)


@settings(max_examples=60)
@given(st.lists(WRITES, max_size=12))
def test_revisions_grow_and_what_is_stored_is_stable(writes: list[Write]) -> None:
    world = World()
    for write in writes:
        before = world.store.revision
        outcome = world.send(write)
        revisions = [change.revision for change in world.changes]
        assert revisions == list(range(before + 1, before + 1 + len(revisions)))
        assert world.store.revision == before + len(revisions)
        if not outcome.ok:
            assert not revisions and outcome.reason and outcome.message
    for key, (_, obj) in world.store.snapshot.objects.items():
        assert key_of(obj) == key
        assert defaulted(obj) == obj
        assert from_json(to_json(obj)) == obj
        unchanged = world.send(Update(object=obj))
        assert unchanged.ok and unchanged.object is obj and world.changes == ()


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=20))
def test_no_update_is_lost(moves: list[tuple[int, bool]]) -> None:
    """Three clients count in one annotation, each from the state it read last; those told 409 read again."""
    world = World()
    world.make(config_map())
    read: list[Any] = [world.get("ConfigMap", "c")] * 3
    done = 0
    for client, fresh in moves:
        if fresh:
            read[client] = world.get("ConfigMap", "c")
        mine = read[client]
        count = int(mine.metadata.annotations.get("count", "0")) + 1
        meta = evolve(mine.metadata, annotations={"count": str(count)})
        outcome = world.send(Update(object=evolve(mine, metadata=meta)))
        assert outcome.code in (200, 409)
        done += outcome.ok
        read[client] = outcome.object
    assert int(world.get("ConfigMap", "c").metadata.annotations.get("count", "0")) == done


@settings(max_examples=60)
@given(st.lists(WRITES, max_size=12))
def test_what_is_stored_is_valid(writes: list[Write]) -> None:
    """Nothing comes into the store that an update by itself would be refused for."""
    world = World()
    for write in writes:
        world.send(write)
    for _, obj in world.store.snapshot.objects.values():
        assert faults(obj, obj) == () == faults(obj, obj, subresource="status")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("aé:- #'\"", max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
PLACES: tuple[tuple[str | int, ...], ...] = (
    (),
    ("metadata",),
    ("spec",),
    ("spec", "containers", 0),
    ("spec", "containers", 0, "resources"),
    ("spec", "template", "spec"),
    ("spec", "ports", 0),
)


def _put(part: Any, place: tuple[str | int, ...], unknown: Any) -> bool:
    """Put a field that no type knows somewhere into a document; says whether there is such a place."""
    for step in place:
        listed = isinstance(part, list) and isinstance(step, int) and step < len(part)
        if listed or (isinstance(part, dict) and step in part):
            part = part[step]
        else:
            return False
    part["futureField"] = unknown
    return True


@settings(max_examples=80)
@given(st.sampled_from(MANIFESTS), st.sampled_from(PLACES), JSON_VALUES)
def test_what_nobody_knows_goes_through_unchanged(manifest: Any, place: tuple[str | int, ...], unknown: Any) -> None:
    """JSON, YAML, types, the store and its defaults: none of them loses a field, or makes another of it."""
    document = json.loads(json.dumps(manifest))
    assume(_put(document, place, unknown))
    typed = from_json(document)
    assert from_json(to_json(typed)) == typed
    [again] = load_yaml(to_yaml(typed))
    assert again == typed
    world = World()
    stored = world.make(document)
    assert _at(to_json(stored), place)["futureField"] == unknown
    patched = world.done(Patch(key=key_of(stored), body={"metadata": {"labels": {"a": "b"}}}))
    assert _at(to_json(patched), place)["futureField"] == unknown


def _at(part: Any, place: tuple[str | int, ...]) -> Any:
    for step in place:
        part = part[step]
    return part
