"""Each invariant of a cluster at rest says what is wrong with one that is damaged, and nothing of one that is well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.objects import ContainerState, ContainerStateWaiting, Taint
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.starting import start
from k8sfsm.store import Store
from k8sfsm.verify.invariants import check_convergence, check_transition
from k8sfsm.view import Change, View

HOUR = 3600 * SECOND
TEMPLATE = "template: {metadata: {labels: {app: %s}}, spec: {containers: [{name: app, image: 'sim/web:1'}]}}"
MANIFESTS = f"""
{{apiVersion: apps/v1, kind: ReplicaSet, metadata: {{name: web}},
  spec: {{replicas: 2, selector: {{matchLabels: {{app: web}}}}, {TEMPLATE % "web"}}}}}
---
{{apiVersion: v1, kind: ReplicationController, metadata: {{name: old}},
  spec: {{replicas: 1, selector: {{app: old}}, {TEMPLATE % "old"}}}}}
---
{{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {{name: web}},
  spec: {{minAvailable: 1, selector: {{matchLabels: {{app: web}}}}}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: job}},
  spec: {{restartPolicy: Never, containers: [{{name: app, image: "sim/exit0-after-1s:1"}}]}}}}
---
{{apiVersion: v1, kind: Pod, metadata: {{name: huge}},
  spec: {{containers: [{{name: app, image: "sim/web:1", resources: {{requests: {{cpu: "100"}}}}}}]}}}}
"""
Damage = Callable[[Any], Any]


@pytest.fixture(scope="module")
def engine() -> Any:
    user = start(MANIFESTS, nodes=2)
    user.engine.run(until=user.engine.now + 60 * SECOND)
    return user.engine


def view_of(store: Store, now: int) -> View:
    return View(now, store.snapshot, store=store)


def one(engine: Any, kind: str, name: str = "") -> Any:
    namespace = "" if kind in ("Node", "Namespace") else "kube-node-lease" if kind == "Lease" else "default"
    found = engine.store.snapshot.series("in", kind, namespace)
    return next(obj for obj in found if name in obj.metadata.name)


def meta(**changes: Any) -> Damage:
    return lambda obj: evolve(obj, metadata=evolve(obj.metadata, **changes))


def spec(**changes: Any) -> Damage:
    return lambda obj: evolve(obj, spec=evolve(obj.spec, **changes))


def status(**changes: Any) -> Damage:
    return lambda obj: evolve(obj, status=evolve(obj.status, **changes))


def condition(kind: str, value: str) -> Damage:
    def damaged(obj: Any) -> Any:
        turned = tuple(evolve(each, status=value) if each.type == kind else each for each in obj.status.conditions)
        return status(conditions=turned)(obj)

    return damaged


def waiting(reason: str) -> Damage:
    def damaged(obj: Any) -> Any:
        (app,) = obj.status.container_statuses
        told = evolve(app, ready=False, state=ContainerState(waiting=ContainerStateWaiting(reason=reason)))
        return status(container_statuses=(told,))(obj)

    return damaged


def lease(ago: int) -> Damage:
    return lambda obj: evolve(obj, spec=evolve(obj.spec, renew_time=obj.spec.renew_time - ago * SECOND))


def drives_away(obj: Any) -> Any:
    return spec(taints=(Taint(key="maintenance", effect="NoExecute", time_added=1),))(obj)


def drives_away_unready(obj: Any) -> Any:
    return spec(taints=(Taint(key="node.kubernetes.io/unreachable", effect="NoExecute", time_added=1),))(obj)


def small(obj: Any) -> Any:
    (app,) = obj.spec.containers
    return spec(containers=(evolve(app, resources=type(app.resources)()),))(obj)


DAMAGES: list[tuple[str, str, Damage, str]] = [
    ("Lease", "node-1", lease(120), "Node/silence-is-noted"),
    ("Node", "node-1", condition("Ready", "False"), "Node/taints-follow-conditions"),
    ("Node", "node-1", spec(unschedulable=True), "Node/taints-follow-conditions"),
    ("Node", "node-1", condition("MemoryPressure", "True"), "Node/taints-follow-conditions"),
    ("Node", "node-1", drives_away_unready, "Node/well-nodes-evict-nothing"),
    ("Node", "node-1", condition("Ready", "Unknown"), "Node/silent-pods-not-ready"),
    ("Node", "node-2", condition("Ready", "Unknown"), "Node/silent-pods-not-ready"),
    ("Pod", "web", waiting("ContainerCreating"), "Pod/containers-started"),
    ("Pod", "web", status(container_statuses=()), "Pod/containers-started"),
    ("Pod", "web", status(phase="Pending"), "Pod/phase-told-truly"),
    ("Pod", "job", status(phase="Failed"), "Pod/phase-told-truly"),
    ("Pod", "web", condition("Ready", "False"), "Pod/ready-with-its-containers"),
    ("Pod", "web", condition("ContainersReady", "False"), "Pod/ready-with-its-containers"),
    ("Pod", "web", condition("PodScheduled", "False"), "Pod/told-of-its-node"),
    ("Pod", "web", meta(deletion_timestamp=1), "Pod/gone-after-its-grace"),
    ("Pod", "huge", small, "Placement/nobody-waits-for-nothing"),
    ("Node", "node-1", drives_away, "TaintEviction/driven-away"),
    ("PodDisruptionBudget", "web", status(current_healthy=1), "PodDisruptionBudget/counts-the-healthy"),
    ("PodDisruptionBudget", "web", status(disruptions_allowed=0), "PodDisruptionBudget/counts-the-healthy"),
    ("PodDisruptionBudget", "web", status(desired_healthy=2), "PodDisruptionBudget/counts-the-healthy"),
    ("PodDisruptionBudget", "web", status(observed_generation=0), "PodDisruptionBudget/counts-the-healthy"),
    ("ReplicaSet", "web", meta(uid="another"), "GarbageCollector/no-dependents-of-the-gone"),
    (
        "ReplicaSet",
        "web",
        meta(deletion_timestamp=1, finalizers=("orphan",)),
        "GarbageCollector/waits-for-dependents-only",
    ),
    ("Pod", "web", spec(node_name="node-9"), "PodGC/no-pods-of-gone-nodes"),
    ("ReplicaSet", "web", status(ready_replicas=1), "ReplicaSet/counts-its-pods"),
    ("ReplicaSet", "web", status(available_replicas=1), "ReplicaSet/counts-its-pods"),
    ("ReplicationController", "old", status(ready_replicas=0), "ReplicationController/counts-its-pods"),
    ("ReplicationController", "old", spec(replicas=2), "ReplicationController/converges"),
    ("Namespace", "default", meta(deletion_timestamp=1), "Namespace/gone-once-deleted"),
    ("Pod", "job", meta(namespace="nowhere"), "Namespace/holds-its-content"),
    ("ServiceAccount", "default", meta(name="other"), "ServiceAccount/every-namespace-has-one"),
]


def test_nothing_is_wrong_with_a_cluster_that_is_well(engine: Any) -> None:
    assert check_convergence(view_of(engine.store, engine.now)) == ()


@pytest.mark.parametrize(("kind", "name", "damage", "invariant"), DAMAGES)
def test_damage_is_found(engine: Any, kind: str, name: str, damage: Damage, invariant: str) -> None:
    obj = one(engine, kind, name)
    worse, store = damage(obj), engine.store
    if worse.metadata.name != obj.metadata.name or worse.metadata.namespace != obj.metadata.namespace:
        store, _ = store.remove((kind, obj.metadata.namespace, obj.metadata.name), obj)
    store, _ = store.put(worse)
    found = check_convergence(view_of(store, engine.now))
    assert invariant in {each.invariant for each in found}, found


def changed(engine: Any, old: Any, new: Any) -> set[str]:
    store = engine.store
    if old is not None:
        store, _ = store.put(old)
    store, change = store.put(new)
    return {each.invariant for each in check_transition(change, view_of(store, engine.now))}


def test_placements_that_may_not_be_are_found(engine: Any) -> None:
    pod, node = one(engine, "Pod", "web"), one(engine, "Pod", "web").spec.node_name
    waits = spec(node_name="")(pod)
    fits = changed(engine, waits, pod)
    assert "Placement/placed-where-it-may" not in fits
    huge = one(engine, "Pod", "huge")
    assert "Placement/placed-where-it-may" in changed(engine, huge, spec(node_name=node)(huge))
    picky = spec(node_selector={"disk": "fast"})
    assert "Placement/placed-where-it-may" in changed(engine, picky(waits), picky(pod))
    assert "Placement/bound-once" in changed(engine, pod, spec(node_name="node-9")(pod))


def test_a_pod_too_many_is_found(engine: Any) -> None:
    pod = one(engine, "Pod", "web")
    more = meta(name="web-more", uid="more")(pod)
    assert "ReplicaSet/makes-what-is-missing" in changed(engine, None, more)
    again = Change(engine.store.revision, "ADDED", ("Pod", "default", pod.metadata.name), None, pod)
    assert not check_transition(again, view_of(engine.store, engine.now))


def test_containers_that_make_no_sense_are_found(engine: Any) -> None:
    pod = one(engine, "Pod", "web")
    (app,) = pod.status.container_statuses
    restarted = status(container_statuses=(evolve(app, restart_count=2),))(pod)
    assert "Pod/restarts-counted" in changed(engine, restarted, pod)
    job = one(engine, "Pod", "job")
    (ended,) = job.status.container_statuses
    runs = status(container_statuses=(evolve(ended, state=app.state),))(job)
    assert "Pod/containers-move-legally" in changed(engine, job, runs)
