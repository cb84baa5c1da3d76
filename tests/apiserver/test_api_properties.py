"""What holds for every sequence of requests."""

from __future__ import annotations

from typing import Any

from api_world import World, config_map, pod, service, workload
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.objects import from_json, key_of, to_json
from k8sfsm.request import Create, Delete, Patch, Update, Write

MANIFESTS = (
    pod("x", nodeName="n"),
    pod("y", terminationGracePeriodSeconds=0),
    service("x", type="NodePort"),
    service("y", clusterIP="None"),
    workload("Deployment", "x"),
    workload("ReplicaSet", "x", replicas=2),
    config_map("x", finalizers=["x.org/y"]),
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
WRITES: st.SearchStrategy[Write] = st.one_of(
    st.sampled_from(MANIFESTS).map(lambda manifest: Create(object=from_json(manifest))),
    st.builds(
        lambda key, body, how: Patch(key=key, body=body, type=how),
        st.sampled_from(KEYS),
        st.sampled_from(BODIES),
        st.sampled_from(("merge", "strategic")),
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
