"""What is checked step by step is what a full check finds, on clusters that are well and on such that are damaged."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from k8sfsm.engine.policy import Random
from k8sfsm.objects import ContainerState, Taint, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.starting import start
from k8sfsm.store import Change
from k8sfsm.verify.invariants import Violation, check_safety, check_transition, invariants
from k8sfsm.verify.watch import Watch, broken_by
from k8sfsm.view import View

MANIFESTS = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: "sim/web:1"}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {type: NodePort, selector: {app: web}, ports: [{port: 80}]}
"""


def fully_checked(changes: tuple[Change, ...], view: View) -> set[Violation]:
    found = [violation for change in changes for violation in check_transition(change, view)]
    return {*found, *check_safety(view)}


@pytest.fixture(scope="module")
def engine() -> Any:
    user = start(MANIFESTS, nodes=2)
    user.engine.run(until=user.engine.now + 20 * SECOND)
    return user.engine


def damaged(obj: Any) -> list[Any]:
    """The object as no part of a cluster may leave it."""
    kind, status = obj.kind, getattr(obj, "status", None)
    if kind == "Pod":
        over = evolve(obj, status=evolve(status, phase="Succeeded"))
        lost = evolve(obj, spec=evolve(obj.spec, node_name=""))
        owner = obj.metadata.owner_references[0]
        twice = evolve(obj, metadata=evolve(obj.metadata, owner_references=(owner, evolve(owner, uid="other"))))
        stopped = tuple(evolve(each, state=ContainerState()) for each in status.container_statuses)
        idle = evolve(obj, status=evolve(status, container_statuses=stopped))
        return [over, lost, twice, idle, evolve(obj, status=evolve(status, pod_ip="10.244.0.2"))]
    if kind in ("ReplicaSet", "Deployment"):
        return [evolve(obj, status=evolve(status, ready_replicas=9)), evolve(obj, spec=evolve(obj.spec, replicas=9))]
    if kind == "Service":
        ports = (evolve(obj.spec.ports[0], node_port=0),)
        same = evolve(obj.spec, cluster_ip="10.96.0.9", cluster_ips=("10.96.0.9",))
        return [evolve(obj, spec=evolve(obj.spec, ports=ports)), evolve(obj, spec=same)]
    if kind == "Node":
        taint = Taint(key="a", effect="NoSchedule")
        room = {**status.capacity, "cpu": status.capacity["memory"]}
        return [
            evolve(obj, spec=evolve(obj.spec, taints=(taint, taint))),
            evolve(obj, status=evolve(status, allocatable=room)),
        ]
    return []


def test_damage_of_every_kind_is_found_step_by_step_as_by_a_full_check(engine: Any) -> None:
    found: set[str] = set()
    for kind in ("Pod", "ReplicaSet", "Deployment", "Service", "Node"):
        namespace = "" if kind == "Node" else "default"
        for obj in engine.store.snapshot.series("in", kind, namespace):
            for worse in damaged(obj):
                store, change = engine.store.put(worse)
                view = View(engine.now, store.snapshot, store=store)
                step_by_step = {*broken_by((change,), view)}
                assert step_by_step == fully_checked((change,), view), (kind, obj.metadata.name)
                found |= {each.invariant for each in step_by_step}
    kinds = {"Pod", "ReplicaSet", "Deployment", "Service", "Node", "Placement"}
    assert {name.partition("/")[0] for name in found} == kinds
    judged = {
        each.path for each in invariants("safety") if each.path.partition("/")[0] in ("Pod", "ReplicaSet", "Node")
    }
    assert judged <= found


def test_two_pods_with_one_address_are_found_though_only_one_is_written(engine: Any) -> None:
    first, second, *_ = engine.store.snapshot.series("in", "Pod", "default")
    store, change = engine.store.put(evolve(second, status=evolve(second.status, pod_ip=first.status.pod_ip)))
    found = [*broken_by((change,), View(engine.now, store.snapshot, store=store))]
    assert [each.invariant for each in found] == ["Pod/addresses-differ"]


@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_judged_alike(seed: int) -> None:
    user, policy = start(MANIFESTS, nodes=2, seed=seed), Random(seed)
    engine = user.engine
    watch = Watch(engine)
    user.image("deployment/web", "sim/web:2")
    end, looked = engine.now + 20 * SECOND, 0
    while engine.now < end:
        since = engine.store.revision
        engine.step_of(policy.index)
        changes = tuple(engine.store.changes(since))
        view = View(engine.now, engine.store.snapshot, store=engine.store)
        assert {*watch.look(engine)} == fully_checked(changes, view)
        looked += bool(changes)
    assert looked > 30


def test_what_needs_fresh_views_is_not_judged_where_they_are_stale(engine: Any) -> None:
    found = next(iter(engine.store.snapshot.series("in", "ReplicaSet", "default")))
    store, change = engine.store.put(evolve(found, spec=evolve(found.spec, replicas=9)))
    view = View(engine.now, store.snapshot, store=store)
    assert [each.invariant for each in broken_by((change,), view)] == ["Deployment/surge-bounded"]
    assert [*broken_by((change,), view, blind=True)] == []
    assert key_of(found) == change.key


def test_a_watch_looks_once_at_each_change(engine: Any) -> None:
    twin = engine.fork()
    watch = Watch(twin)
    pod = next(iter(twin.store.snapshot.series("in", "Pod", "default")))
    twin.store, _ = twin.store.put(evolve(pod, spec=evolve(pod.spec, node_name="")))
    assert [each.invariant for each in watch.look(twin)] == ["Placement/bound-once", "Pod/reported-on-its-node"]
    assert watch.look(twin) == ()


def test_a_sandbox_that_comes_back_under_its_number_is_found(engine: Any) -> None:
    twin = engine.fork()
    watch = Watch(twin)
    node, pods = next((name, pods) for name, pods in twin.node_states.items() if any(map(_sandbox, pods.values())))
    uid, runtime = next((uid, runtime) for uid, runtime in pods.items() if _sandbox(runtime) is not None)

    def shown(**changes: Any) -> tuple[Violation, ...]:
        changed = evolve(runtime, sandbox=evolve(runtime.sandbox, **changes))
        twin.put_state(node, twin.node_states[node].set(uid, changed))
        return watch.look(twin)

    assert not watch.is_new(twin) and shown(ready=False) == () and shown(attempt=1) == ()
    shown(ready=False)
    assert [each.invariant for each in shown(ready=True)] == ["Sandbox/moves"]
    assert watch.look(twin) == ()


def _sandbox(runtime: Any) -> Any:
    return getattr(runtime, "sandbox", None)
