"""Dry runs: every verb is answered as if it were done, and changes nothing; and what is warned of."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, config_map, pod, workload

from k8sfsm.objects import evolve, from_json
from k8sfsm.request import Bind, Create, Delete, DeleteCollection, Evict, Patch, PatchStatus, Update

KEY = ("Pod", "a", "p")


def world() -> World:
    found = World()
    found.make(pod())
    found.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    return found


def writes(there: World) -> dict[str, Any]:
    stored = there.get("Pod", "p")
    changed = evolve(stored, metadata=evolve(stored.metadata, labels={"a": "b"}))
    return {
        "create": Create(object=from_json(config_map()), dry_run=True),
        "generated": Create(object=from_json(pod("")), dry_run=True),
        "update": Update(object=changed, dry_run=True),
        "patch": Patch(key=KEY, body={"metadata": {"labels": {"a": "c"}}}, dry_run=True),
        "status": PatchStatus(
            key=KEY, uid=stored.metadata.uid, status=evolve(stored.status, reason="Seen"), dry_run=True
        ),
        "delete": Delete(key=KEY, dry_run=True),
        "collection": DeleteCollection(kind="Pod", namespace="a", dry_run=True),
        "bind": Bind(key=KEY, uid=stored.metadata.uid, node="n", dry_run=True),
        "evict": Evict(key=KEY, dry_run=True),
    }


@pytest.mark.parametrize("verb", sorted(writes(world())))
def test_a_dry_run_is_answered_and_changes_nothing(verb: str) -> None:
    there, twin = world(), world()
    write = writes(there)[verb]
    actor = {"bind": "kube-scheduler", "status": "kubelet"}.get(verb, "user")
    before = there.store
    outcome = there.send(write, actor)
    assert there.store is before and there.changes == () and outcome.request is write
    real = twin.send(evolve(writes(twin)[verb], dry_run=False), actor)
    assert (outcome.code, outcome.reason, outcome.message) == (real.code, real.reason, real.message)
    assert twin.store is not before and twin.changes
    assert there.make(pod("")).metadata.name == _next_name()


def _next_name() -> str:
    return str(world().make(pod("")).metadata.name)


def test_what_is_answered_has_the_version_that_is_stored() -> None:
    there = world()
    assert there.send(writes(there)["create"]).object.metadata.resource_version == ""
    patched = there.send(writes(there)["patch"]).object
    assert patched.metadata.labels == {"a": "c"}
    assert patched.metadata.resource_version == there.get("Pod", "p").metadata.resource_version


def test_a_dry_run_is_refused_as_the_run_would_be() -> None:
    there = world()
    code, reason, _ = there.refused(Create(object=from_json(pod()), dry_run=True))
    assert (code, reason) == (409, "AlreadyExists")
    assert there.refused(Create(object=from_json(pod("", restartPolicy="Never!")), dry_run=True))[0] == 422


def test_quotas_are_asked_and_not_charged() -> None:
    there = World()
    hard = {"pods": "1"}
    manifest = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "a"}}
    stored = there.make({**manifest, "spec": {"hard": hard}})
    status = from_json({**manifest, "spec": {"hard": hard}, "status": {"hard": hard, "used": {"pods": "0"}}}).status
    there.done(Update(object=evolve(stored, status=status), subresource="status"))
    assert there.send(Create(object=from_json(pod()), dry_run=True)).ok
    assert str(there.get("ResourceQuota", "q").status.used["pods"]) == "0"
    there.make(pod())
    assert there.refused(Create(object=from_json(pod("r")), dry_run=True))[0] == 403
    there.make(config_map())
    assert there.send(Create(object=from_json(pod("p")), dry_run=True)).code == 403


def test_people_are_warned_and_components_are_not() -> None:
    old = pod(nodeSelector={"beta.kubernetes.io/os": "linux"})
    text = 'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead'
    assert World().send(Create(object=from_json(old))).warnings == (text,)
    assert World().send(Create(object=from_json(old), dry_run=True)).warnings == (text,)
    assert World().send(Create(object=from_json(old)), "replicaset-controller").warnings == ()
    there = World()
    there.make(workload())
    body = {"spec": {"template": {"spec": {"nodeSelector": {"beta.kubernetes.io/os": "linux"}}}}}
    warned = there.send(Patch(key=("Deployment", "a", "d"), body=body)).warnings
    assert warned == (text.replace("spec.node", "spec.template.spec.node"),)
    again = Patch(key=("Deployment", "a", "d"), body={"status": {"replicas": 1}}, subresource="status")
    assert there.send(again).warnings == ()
