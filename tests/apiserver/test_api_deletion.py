"""DELETE: grace periods, finalizers, preconditions, propagation; namespaces."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import NOW, World, config_map, pod
from attrs import evolve

from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Delete, Patch, PatchStatus, Update

KEY = ("Pod", "a", "p")
WHOLE = NOW - NOW % SECOND


def running(world: World, name: str = "p", **meta: Any) -> Any:
    manifest = pod(name, nodeName="n")
    manifest["metadata"] |= meta
    return world.make(manifest)


def deleted(world: World, **options: Any) -> tuple[int | None, int | None]:
    """Seconds from now to the deletionTimestamp, and the grace period; (None, None) where the Pod is gone."""
    world.done(Delete(key=KEY, **options), options.pop("actor", "user"))
    left = world.get("Pod", "p")
    if left is None:
        return None, None
    return (left.metadata.deletion_timestamp - WHOLE) // SECOND, left.metadata.deletion_grace_period_seconds


@pytest.mark.parametrize(("asked", "grace"), [(None, 30), (5, 5), (300, 300), (-1, 1), (1, 1)])
def test_grace(asked: int | None, grace: int) -> None:
    world = World()
    made = running(world)
    assert deleted(world, grace_seconds=asked) == (grace, grace)
    assert world.get("Pod", "p").metadata.generation == made.metadata.generation + 1


def test_no_grace_removes_at_once() -> None:
    world = World()
    running(world)
    assert deleted(world, grace_seconds=0) == (None, None)
    marked, removed = world.changes
    assert (marked.type, marked.new.metadata.deletion_grace_period_seconds) == ("MODIFIED", 0)
    assert removed.type == "DELETED" and removed.revision == marked.revision + 1


def test_a_pod_without_a_node_needs_no_grace() -> None:
    world = World()
    world.make(pod())
    assert deleted(world) == (None, None)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_pod_that_is_over_needs_no_grace(phase: str) -> None:
    world = World()
    made = running(world)
    world.done(PatchStatus(key=KEY, uid="", status=evolve(made.status, phase=phase)), "kubelet")
    assert deleted(world, grace_seconds=20) == (None, None)


def test_a_grace_period_is_only_shortened() -> None:
    world = World()
    running(world)
    assert deleted(world, grace_seconds=20) == (20, 20)
    generation = world.get("Pod", "p").metadata.generation
    for same in ({"grace_seconds": 20}, {"grace_seconds": 25}, {}):
        assert deleted(world, **same) == (20, 20) and world.changes == ()
    world.now += 4 * SECOND
    assert deleted(world, grace_seconds=5) == (5, 5)
    assert world.get("Pod", "p").metadata.generation == generation
    assert deleted(world, grace_seconds=0) == (None, None)


def test_finalizers_hold_a_pod_whose_grace_is_over() -> None:
    world = World()
    running(world, finalizers=["x.org/y"])
    assert deleted(world, grace_seconds=0) == (0, 0)
    assert deleted(world, grace_seconds=0) == (0, 0)
    world.done(Patch(key=KEY, body={"metadata": {"finalizers": None}}))
    assert world.get("Pod", "p") is None


def test_finalizers_that_go_before_the_kubelet_is_done_do_not_remove_a_pod() -> None:
    world = World()
    running(world, finalizers=["x.org/y"])
    deleted(world)
    world.done(Patch(key=KEY, body={"metadata": {"finalizers": None}}))
    assert world.get("Pod", "p") is not None
    assert deleted(world, grace_seconds=0, uid=world.get("Pod", "p").metadata.uid) == (None, None)


def test_preconditions() -> None:
    world = World()
    meta = running(world).metadata
    assert world.refused(Delete(key=KEY, uid="other"))[2].endswith(
        f"Precondition failed: UID in precondition: other, UID in object meta: {meta.uid}"
    )
    assert world.refused(Delete(key=KEY, resource_version="1"))[2].endswith(
        f"ResourceVersion in precondition: 1, ResourceVersion in object meta: {meta.resource_version}"
    )
    assert deleted(world, uid=meta.uid, resource_version=meta.resource_version) == (30, 30)


def test_other_kinds_go_at_once_unless_finalizers_hold_them() -> None:
    world = World()
    key = ("ConfigMap", "a", "c")
    world.make(config_map())
    world.done(Delete(key=key, grace_seconds=30))
    assert world.get("ConfigMap", "c") is None and [change.type for change in world.changes] == ["DELETED"]
    world.make(config_map(finalizers=["x.org/y", "x.org/z"]))
    held = world.done(Delete(key=key)).metadata
    assert (held.deletion_timestamp, held.deletion_grace_period_seconds, held.generation) == (WHOLE, 0, 0)
    assert world.done(Delete(key=key)).metadata.finalizers == held.finalizers and world.changes == ()
    world.done(Patch(key=key, body={"metadata": {"finalizers": ["x.org/z"]}}))
    assert world.get("ConfigMap", "c") is not None
    world.done(Patch(key=key, body={"metadata": {"finalizers": []}}))
    assert world.get("ConfigMap", "c") is None
    assert [(change.type, change.new.metadata.finalizers) for change in world.changes] == [("DELETED", ("x.org/z",))]


def test_a_workloads_generation_grows_with_its_deletion() -> None:
    world = World()
    manifest = {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x", "namespace": "a"}, "spec": {}}
    world.make(manifest)
    held = world.done(Delete(key=("StatefulSet", "a", "x"), propagation="Foreground"))
    assert held.metadata.generation == 2


ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"


@pytest.mark.parametrize(
    ("kind", "has", "asked", "gets"),
    [
        ("ConfigMap", [], None, []),
        ("ConfigMap", [], "Orphan", [ORPHAN]),
        ("ConfigMap", [], "Foreground", [FOREGROUND]),
        ("ConfigMap", [FOREGROUND], "Orphan", [ORPHAN]),
        ("ConfigMap", [ORPHAN], "Foreground", [FOREGROUND]),
        ("ConfigMap", [ORPHAN], "Background", []),
        ("ConfigMap", [FOREGROUND], "Background", []),
        ("ConfigMap", [ORPHAN], None, [ORPHAN]),
        ("ConfigMap", [FOREGROUND], None, [FOREGROUND]),
        ("ConfigMap", ["x.org/y", FOREGROUND], "Orphan", ["x.org/y", ORPHAN]),
        ("Job", [], None, [ORPHAN]),
        ("ReplicationController", [], None, [ORPHAN]),
        ("Job", [], "Background", []),
        ("Job", [FOREGROUND], None, [FOREGROUND]),
    ],
)
def test_propagation(kind: str, has: list[str], asked: Any, gets: list[str]) -> None:
    world = World()
    meta = {"name": "x", "namespace": "a", "finalizers": has}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "app", "image": "x:1"}]}}
    spec = {"selector": {"a": "b"}, "template": template} if kind == "ReplicationController" else {}
    made = world.make({"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec})
    held = made
    world.done(Delete(key=(kind, "a", "x"), propagation=asked))
    held = world.get(kind, "x")
    assert list(held.metadata.finalizers if held is not None else ()) == gets


def test_a_second_delete_may_change_the_collectors_finalizer_of_a_held_object() -> None:
    world = World()
    world.make(config_map(finalizers=["x.org/y"]))
    key = ("ConfigMap", "a", "c")
    world.done(Delete(key=key, propagation="Foreground"))
    assert world.get("ConfigMap", "c").metadata.finalizers == ("x.org/y", FOREGROUND)


def test_a_namespace_goes_when_both_lists_of_finalizers_are_empty() -> None:
    world = World()
    key = ("Namespace", "", "a")
    world.done(Delete(key=key))
    namespace = world.get("Namespace", "a", "")
    assert (namespace.status.phase, namespace.metadata.deletion_grace_period_seconds) == ("Terminating", None)
    held = evolve(namespace, metadata=evolve(namespace.metadata, finalizers=()))
    world.done(
        Update(object=evolve(held, spec=evolve(held.spec, finalizers=())), subresource="finalize"),
        "namespace-controller",
    )
    assert world.get("Namespace", "a", "") is None


def test_a_namespace_without_finalizers_goes_at_once() -> None:
    world = World()
    namespace = world.get("Namespace", "a", "")
    world.done(Update(object=evolve(namespace, spec=evolve(namespace.spec, finalizers=())), subresource="finalize"))
    assert world.get("Namespace", "a", "") is not None
    world.done(Delete(key=("Namespace", "", "a")))
    assert world.get("Namespace", "a", "") is None


def test_a_namespaces_own_finalizers_hold_it_too() -> None:
    world = World()
    world.done(Patch(key=("Namespace", "", "a"), body={"metadata": {"finalizers": ["x.org/y"]}}))
    world.done(Delete(key=("Namespace", "", "a")))
    namespace = world.get("Namespace", "a", "")
    world.done(Update(object=evolve(namespace, spec=evolve(namespace.spec, finalizers=())), subresource="finalize"))
    assert world.get("Namespace", "a", "") is not None
    world.done(Patch(key=("Namespace", "", "a"), body={"metadata": {"finalizers": None}}))
    assert world.get("Namespace", "a", "") is None


def test_a_deletion_timestamp_is_not_taken_back() -> None:
    world = World()
    running(world)
    deleted(world)
    new = world.done(Patch(key=KEY, body={"metadata": {"deletionTimestamp": None, "labels": {"a": "b"}}}))
    assert new.metadata.deletion_timestamp is not None and new.metadata.labels == {"a": "b"}


def test_a_pods_grace_counts_from_the_first_request() -> None:
    world = World()
    world.make(pod("q", nodeName="n", terminationGracePeriodSeconds=60))
    meta = world.done(Delete(key=("Pod", "a", "q"))).metadata
    assert (meta.deletion_timestamp, meta.deletion_grace_period_seconds) == (WHOLE + 60 * SECOND, 60)
    assert from_json(pod()).metadata.deletion_timestamp is None
