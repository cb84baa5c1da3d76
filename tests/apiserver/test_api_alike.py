"""Pods that are alike: what is cast is what the plain way gives, and what only looks alike is not cast."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, pod

from benchmarks.rollout import START, cluster_nodes, manifests
from k8sfsm.apiserver import Options, alike
from k8sfsm.apiserver.own_rules import OwnRules
from k8sfsm.apiserver.server import ApiServer
from k8sfsm.engine.standard import standard_engine
from k8sfsm.law import LawError, amended
from k8sfsm.mould import Mould
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import OwnerReference, Quantity, ResourceQuotaStatus, evolve, from_json
from k8sfsm.request import Create, Delete, Update
from k8sfsm.spec.amendment import Amendment

MAKER = "replicaset-controller"


def template(**spec: Any) -> Any:
    return from_json(pod("", **spec))


def likenesses(world: World) -> list[Any]:
    return list(world.api.creations._by_parts.values())


def born(world: World, new: Any, count: int = 1) -> list[Any]:
    return [world.done(Create(object=new), MAKER) for _ in range(count)]


def plainly(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(world.api, "is_like_others", lambda new: False)
    return world


def make(world: World, kind: str, name: str = "x", **fields: Any) -> Any:
    return world.make({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "a"}, **fields})


def limit(world: World) -> None:
    make(world, "LimitRange", spec={"limits": [{"type": "Container", "defaultRequest": {"cpu": "1"}}]})


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"automountServiceAccountToken": False},
        {"initContainers": [{"name": "first", "image": "busybox"}], "priorityClassName": "high"},
        {"schedulingGates": [{"name": "example.com/wait"}]},
        {"containers": [{"name": "app", "image": "a", "resources": {"limits": {"memory": "2Pi", "cpu": "100u"}}}]},
        {"volumes": [{"name": "v", "emptyDir": {}}], "nodeSelector": {"a": "b"}, "hostNetwork": True},
    ],
)
def test_casts_are_what_the_plain_way_gives(spec: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    worlds = World(), plainly(World(), monkeypatch)
    named = {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}}
    for world in worlds:
        world.make({**named, "value": 7})
        new = template(**spec)
        for moment in range(4):
            world.now += moment * 700_000_000
            born(world, new, 2)
    assert worlds[0].store == worlds[1].store
    assert worlds[0].store.snapshot.objects == worlds[1].store.snapshot.objects


def test_a_rollout_is_the_same_with_and_without_casts(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = []
    for cast in (True, False):
        if not cast:
            monkeypatch.setattr(ApiServer, "is_like_others", lambda self, new: False)
        names = ["node-0", "node-1"]
        engine = standard_engine(names, ScriptedRuntime(), store=cluster_nodes(2), now=START, limited=False)
        for manifest in manifests(20):
            assert engine.submit(Create(object=from_json(manifest))).ok
        engine.run(until=START + 10_000_000_000)
        known = list(engine.api.creations._by_parts.values())
        assert any(each.compared for each in known) is cast
        stores.append(engine.store)
    assert stores[0] == stores[1]


def test_what_is_cast_shares_what_others_have() -> None:
    world = World()
    made = born(world, template(), 4)
    assert likenesses(world)[0].compared
    assert made[2].spec.tolerations is made[3].spec.tolerations and made[2].status is made[3].status
    volumes = {each.spec.volumes[-1]["name"] for each in made}
    assert len(volumes) == 4
    assert all(each.spec.containers[0].volume_mounts[-1]["name"] in volumes for each in made)
    assert all(each.metadata.resource_version == str(at) for at, each in enumerate(made, world.store.revision - 3))


def test_each_keeps_the_owner_that_it_came_with() -> None:
    world, first = World(), template()
    for uid in ("u-1", "u-1", "u-1", "u-2"):
        owner = OwnerReference(api_version="apps/v1", kind="ReplicaSet", name="r", uid=uid, controller=True)
        new = evolve(first, metadata=evolve(first.metadata, owner_references=(owner,)))
        [made] = born(world, new)
        assert made.metadata.owner_references is new.metadata.owner_references
    assert len({id(each) for each in likenesses(world)}) == 1
    assert not likenesses(world)[0].compared, "the other owner began anew"


def test_what_the_plain_way_reads_may_change() -> None:
    world, new = World(), template()
    born(world, new, 4)
    limit(world)
    assert [made.spec.containers[0].resources.requests["cpu"].value for made in born(world, new, 3)] == [1, 1, 1]
    world.done(Delete(key=("LimitRange", "a", "x")))
    assert not any(made.spec.containers[0].resources.requests for made in born(world, new, 3))


def test_what_becomes_forbidden_is_refused() -> None:
    world, new = World(), template()
    born(world, new, 4)
    world.done(Delete(key=("ServiceAccount", "a", "default")))
    assert world.refused(Create(object=new), MAKER)[0] == 403


def test_a_namespace_that_ends_takes_no_more() -> None:
    world, new = World(), template()
    born(world, new, 4)
    world.done(Delete(key=("Namespace", "", "a")))
    assert "being terminated" in world.refused(Create(object=new), MAKER)[2]


def test_pods_that_a_quota_counts_are_not_cast() -> None:
    world, new = World(), template()
    quota = make(world, "ResourceQuota", spec={"hard": {"pods": "4"}})
    none = {"pods": Quantity.parse("0")}
    known = evolve(quota, status=ResourceQuotaStatus(hard=quota.spec.hard, used=none))
    world.done(Update(object=known, subresource="status"), "resourcequota-controller")
    assert [world.send(Create(object=new), MAKER).code for _ in range(5)] == [201, 201, 201, 201, 403]
    assert all(each.hopeless for each in likenesses(world))


def test_where_people_have_rules_pods_are_not_cast() -> None:
    world = World()
    world.api.rules = OwnRules({"Pod": ()})
    born(world, template(), 4)
    assert not likenesses(world)


def test_policies_are_asked_as_soon_as_there_are_any() -> None:
    world, new = World(), template()
    born(world, new, 4)
    assert likenesses(world)[0].compared
    version = "admissionregistration.k8s.io/v1"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    constraints = {"resourceRules": [rule]}
    validations = [{"expression": "false"}]
    spec = {"matchConstraints": constraints, "validations": validations, "failurePolicy": "Fail"}
    world.make({"apiVersion": version, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "no"}, "spec": spec})
    bound = {"policyName": "no", "validationActions": ["Deny"]}
    kind = "ValidatingAdmissionPolicyBinding"
    world.make({"apiVersion": version, "kind": kind, "metadata": {"name": "no"}, "spec": bound})
    assert "failed expression: false" in world.refused(Create(object=new), MAKER)[2]


def test_fields_whose_owners_are_noted_are_not_cast() -> None:
    world = World(Options(managed_fields=True))
    born(world, template(), 4)
    assert not likenesses(world)


def test_other_tables_make_other_pods() -> None:
    world, new = World(), template()
    born(world, new, 4)
    with amended([Amendment("constants.yaml", ("default_toleration_seconds", "value"), 7)]):
        made = born(world, new, 3)
    assert [each.spec.tolerations[0].toleration_seconds for each in made] == [7, 7, 7]
    assert born(world, new)[0].spec.tolerations[0].toleration_seconds == 300


def test_a_dry_run_leaves_nothing() -> None:
    world, new = World(), template()
    born(world, new, 4)
    before = world.store
    assert world.done(Create(object=new, dry_run=True), MAKER).metadata.name.startswith("p-")
    assert world.store is before


def _nothing(parts: object) -> None:
    """A cast that comes to nothing."""


def test_a_first_cast_that_the_plain_way_contradicts_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mould, "__init__", lambda self, value, parts: setattr(self, "bound", lambda moments: _nothing))
    world = World()
    assert all(made.metadata.uid for made in born(world, template(), 4))
    assert likenesses(world)[0].hopeless


def test_a_trusted_cast_that_the_plain_way_contradicts_is_an_error() -> None:
    world, new = World(), template()
    born(world, new, 4)
    [likeness] = likenesses(world)
    likeness.mould = _nothing
    with pytest.raises(LawError, match="is not alike with others"):
        born(world, new)


def test_what_reads_something_new_each_time_is_not_followed_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    world, new = World(), template()
    for _ in range(30):
        born(world, new)
        account = world.get("ServiceAccount", "default")
        meta = evolve(account.metadata, annotations={"seen": str(world.store.revision)})
        world.done(Update(object=evolve(account, metadata=meta)))
    assert likenesses(world)[0].hopeless
    assert alike._RELEARNT < 30
