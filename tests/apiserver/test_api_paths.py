"""Creation, updates, subresources, binding: what each request does to an object and its metadata."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import NOW, World, config_map, dig, pod, service, workload
from attrs import evolve

from k8sfsm.apiserver.binding import bound
from k8sfsm.apiserver.strategy import prepared_for_update
from k8sfsm.objects import KINDS, Node, Pod, from_json, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Bind, Create, Delete, DeleteCollection, Evict, Patch, PatchStatus, Update

KEY = ("Pod", "a", "p")


class Suffixes:
    """Chance with given name suffixes."""

    def __init__(self, *suffixes: str) -> None:
        self.suffixes = list(suffixes)
        self.uids = 0

    def suffix(self, kind: str, namespace: str, base: str) -> str:
        return "vvvvv" if kind == "Volume" else self.suffixes.pop(0)

    def uid(self, key: Any) -> str:
        self.uids += 1
        return f"uid-{self.uids}"

    def index(self, count: int) -> int:
        return 0

    def recorded(self, purpose: str, key: Any) -> str:
        return ""


# -- creation ---------------------------------------------------------------------------------------------------------


def test_the_server_alone_sets_identity() -> None:
    world = World()
    meta = {
        "uid": "mine",
        "resourceVersion": "77",
        "generation": 9,
        "creationTimestamp": "2020-01-01T00:00:00Z",
        "deletionTimestamp": "2020-01-01T00:00:00Z",
        "deletionGracePeriodSeconds": 3,
    }
    made = world.make(config_map(**meta)).metadata
    assert made.uid not in ("mine", "") and made.resource_version == str(world.store.revision)
    assert made.creation_timestamp == NOW - NOW % SECOND
    assert (made.generation, made.deletion_timestamp, made.deletion_grace_period_seconds) == (0, None, None)


def test_names_are_generated_until_one_is_free() -> None:
    world = World()
    world.chance = Suffixes("bbbbb", "bbbbb", "bbbbb", "ccccc")
    assert world.make(pod("")).metadata.name == "p-bbbbb"
    assert world.make(pod("")).metadata.name == "p-ccccc"


def test_eight_taken_names_are_enough() -> None:
    world = World()
    world.chance = Suffixes(*["bbbbb"] * 9)
    world.make(pod(""))
    assert world.refused(Create(object=from_json(pod("")))) == (
        409,
        "AlreadyExists",
        'pods "p-bbbbb" already exists, the server was not able to generate a unique name for the object',
    )
    assert world.chance.suffixes == []


def test_long_bases_are_cut() -> None:
    world = World()
    world.chance = Suffixes("bbbbb")
    manifest = pod("")
    manifest["metadata"]["generateName"] = "x" * 70
    assert world.make(manifest).metadata.name == "x" * 58 + "bbbbb"


def test_an_object_needs_a_name() -> None:
    manifest = config_map()
    del manifest["metadata"]["name"]
    assert World().refused(Create(object=from_json(manifest)))[:2] == (422, "Invalid")


def test_a_taken_name_is_refused_after_all_other_reasons() -> None:
    world = World()
    world.make(config_map(finalizers=["x.org/y"]))
    outcome = world.send(Create(object=from_json(config_map())))
    assert (outcome.code, outcome.reason, outcome.message) == (409, "AlreadyExists", 'configmaps "c" already exists')
    assert outcome.object is world.get("ConfigMap", "c")
    world.done(Delete(key=("ConfigMap", "a", "c")))
    text = world.refused(Create(object=from_json(config_map())))[2]
    assert text == 'object is being deleted: configmaps "c" already exists'
    world.make(pod())
    assert world.refused(Create(object=from_json(pod(containers=[]))))[0] == 422
    world.chance = Suffixes()
    assert world.refused(Create(object=from_json(pod())))[0] == 409
    assert world.chance.uids == 0


@pytest.mark.parametrize(
    ("manifest", "generation", "status"),
    [
        (pod(status_ignored=1), 1, {"phase": "Pending", "qosClass": "BestEffort"}),
        (workload(), 1, {}),
        (workload("ReplicaSet"), 1, {"replicas": 0}),
        (service(), 0, {"loadBalancer": {}}),
        (config_map(), 0, None),
    ],
)
def test_the_first_status_and_generation(manifest: dict[str, Any], generation: int, status: Any) -> None:
    made = World().make({**manifest, "status": {"replicas": 5, "phase": "Running", "loadBalancer": {"x": 1}}})
    assert made.metadata.generation == generation
    found = to_json(made).get("status")
    assert found == (
        status if made.kind != "ConfigMap" else {"replicas": 5, "phase": "Running", "loadBalancer": {"x": 1}}
    )


@pytest.mark.parametrize(
    "kind", ["StatefulSet", "DaemonSet", "Job", "CronJob", "PodDisruptionBudget", "ReplicationController"]
)
def test_generations_of_other_workloads(kind: str) -> None:
    world = World()
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "app", "image": "x:1"}]}}
    budget = kind == "PodDisruptionBudget"
    spec = {"minAvailable": 1} if budget else {"replicas": 1, "selector": {"a": "b"}, "template": template}
    more = {"minAvailable": 2} if budget else {"replicas": 2}
    manifest = {
        "apiVersion": KINDS[kind].api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "a"},
        "spec": spec,
    }
    made = world.make({**manifest, "status": {"replicas": 3}})
    assert made.metadata.generation == 1 and not dig(to_json(made), "status.replicas")
    changed = world.done(Patch(key=(kind, "a", "x"), body={"spec": more}))
    assert changed.metadata.generation == 2
    assert world.done(Patch(key=(kind, "a", "x"), body={"metadata": {"labels": {"a": "b"}}})).metadata.generation == 2


def test_quality_of_service_comes_from_defaulted_requests() -> None:
    resources = {"limits": {"cpu": "1", "memory": "1Gi"}}
    made = World().make(pod(containers=[{"name": "app", "image": "x:1", "resources": resources}]))
    assert made.status.qos_class == "Guaranteed"


def test_a_namespace_is_active_and_has_the_finalizer() -> None:
    world = World(bare=True)
    made = world.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}})
    assert (made.status.phase, made.spec.finalizers, made.metadata.generation) == ("Active", ("kubernetes",), 0)
    own = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "m"}, "spec": {"finalizers": ["kubernetes"]}}
    assert world.make(own).spec.finalizers == ("kubernetes",)


# -- updates ----------------------------------------------------------------------------------------------------------


def test_an_update_from_an_old_revision_is_refused_and_told_the_new_state() -> None:
    world = World()
    old = world.make(workload())
    new = world.done(Update(object=evolve(old, spec=evolve(old.spec, replicas=2))))
    outcome = world.send(Update(object=evolve(old, spec=evolve(old.spec, replicas=3))))
    assert (outcome.code, outcome.reason) == (409, "Conflict") and outcome.object is new
    assert outcome.message == (
        'Operation cannot be fulfilled on deployments.apps "d": the object has been modified; please apply your '
        "changes to the latest version and try again"
    )
    unconditional = evolve(old, metadata=evolve(old.metadata, resource_version=""), spec=evolve(old.spec, replicas=3))
    assert world.done(Update(object=unconditional)).spec.replicas == 3


def test_an_update_of_another_object_of_that_name_is_refused() -> None:
    world = World()
    old = world.make(config_map())
    other = evolve(old, metadata=evolve(old.metadata, uid="other"))
    code, reason, text = world.refused(Update(object=other))
    assert (code, reason) == (409, "Conflict")
    uid = old.metadata.uid
    assert text.endswith(f"Precondition failed: UID in precondition: other, UID in object meta: {uid}")


@pytest.mark.parametrize(
    "kind",
    [
        "PodDisruptionBudget", "Lease", "RuntimeClass", "CSIDriver", "CSINode", "CSIStorageCapacity",
        "VolumeAttachment", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
    ],
)  # fmt: skip
def test_some_kinds_are_only_updated_from_a_known_revision(kind: str) -> None:
    world = World()
    place = {"namespace": "a"} if kind in KINDS and KINDS[kind].namespaced else {}
    version = KINDS[kind].api_version if kind in KINDS else "x/v1"
    made = world.make({"apiVersion": version, "kind": kind, "metadata": {"name": "x", **place}})
    blind = evolve(made, metadata=evolve(made.metadata, resource_version="", labels={"a": "b"}))
    code, _, text = world.refused(Update(object=blind))
    assert code == 422 and text.endswith("must be specified for an update")
    assert world.send(Update(object=evolve(made, metadata=evolve(made.metadata, labels={"a": "b"})))).ok


def test_what_is_not_there_is_not_found() -> None:
    world = World()
    assert world.refused(Patch(key=("Deployment", "a", "x"), body={})) == (
        404,
        "NotFound",
        'deployments.apps "x" not found',
    )
    assert world.refused(Delete(key=("Widget", "a", "x")))[2] == 'widget "x" not found'


def test_writes_that_change_nothing_make_no_revision() -> None:
    world = World()
    made = world.make(pod())
    for write in (
        Update(object=made),
        Update(object=made, subresource="status"),
        Patch(key=KEY, body={}),
        Patch(key=KEY, body={"metadata": {"labels": {}}}, type="strategic"),
        PatchStatus(key=KEY, uid=made.metadata.uid, status=made.status),
    ):
        assert world.done(write) is made and world.changes == ()
    assert world.done(PatchStatus(key=KEY, uid="", status=evolve(made.status, message="x"))).status.message == "x"
    assert world.refused(PatchStatus(key=KEY, uid="other", status=made.status))[0] == 409


PARTS = {
    "": {"spec", "labels", "annotations", "finalizers", "owners"},
    "status": {"status", "labels", "annotations", "finalizers"},
    "scale": {"replicas"},
    "finalize": {"spec", "finalizers"},
    "other": {"spec", "labels", "annotations", "finalizers"},
}


def touched(old: Any, new: Any) -> set[str]:
    found = {
        name
        for name in ("labels", "annotations", "finalizers")
        if getattr(old.metadata, name) != getattr(new.metadata, name)
    }
    found |= {"owners"} if old.metadata.owner_references != new.metadata.owner_references else set()
    found |= {"status"} if old.status != new.status else set()
    if old.spec != new.spec:
        found |= {"replicas"} if old.spec == evolve(new.spec, replicas=old.spec.replicas) else {"spec"}
    return found


def all_changed(old: Any) -> Any:
    changed = to_json(old)
    changed["metadata"] |= {
        "labels": {"a": "b"},
        "annotations": {"c": "d"},
        "finalizers": ["x.org/y"],
        "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "o", "uid": "u"}],
    }
    changed["spec"] |= {"replicas": 7, "minReadySeconds": 1}
    changed["status"] = {"replicas": 4, "observedGeneration": 1}
    return from_json(changed)


@pytest.mark.parametrize("subresource", PARTS)
@pytest.mark.parametrize("kind", ["ReplicaSet", "Deployment"])
def test_each_subresource_changes_its_part(kind: str, subresource: str) -> None:
    world = World()
    old = world.make(workload(kind))
    actor = f"{kind.lower()}-controller" if subresource == "status" else "user"
    if subresource in ("finalize", "other"):  # which these kinds do not have
        new = prepared_for_update(old, all_changed(old), subresource)
    else:
        new = world.done(Update(object=all_changed(old), subresource=subresource), actor)
    labels_too = {"labels"} if (kind, subresource) == ("Deployment", "status") else set()
    assert touched(old, new) == PARTS[subresource] - labels_too
    grows = subresource in ("", "scale")
    assert new.metadata.generation == (2 if grows else 1)


def test_the_scale_of_an_unmodelled_kind() -> None:
    world = World()
    world.make(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "x", "namespace": "a"},
            "spec": {"replicas": 1, "b": 2},
        }
    )
    body = {"spec": {"replicas": 5, "b": 3}}
    new = world.done(Patch(key=("StatefulSet", "a", "x"), body=body, subresource="scale"))
    assert to_json(new)["spec"] == {"replicas": 5, "b": 2} and new.metadata.generation == 2
    status = world.done(
        Patch(key=("StatefulSet", "a", "x"), body={"status": {"x": 1}, "spec": {"b": 9}}, subresource="status")
    )
    assert to_json(status)["spec"]["b"] == 2 and to_json(status)["status"] == {"x": 1}
    main = world.done(Patch(key=("StatefulSet", "a", "x"), body={"status": {"x": 2}}))
    assert to_json(main)["status"] == {"x": 1}


@pytest.mark.parametrize(("kind", "grown"), [("Deployment", 2), ("ReplicaSet", 1)])
def test_annotations_grow_only_deployments(kind: str, grown: int) -> None:
    world = World()
    world.make(workload(kind))
    key = (kind, "a", "d")
    assert world.done(Patch(key=key, body={"metadata": {"annotations": {"a": "b"}}})).metadata.generation == grown
    assert world.done(Patch(key=key, body={"metadata": {"labels": {"a": "b"}}})).metadata.generation == grown
    assert world.done(Patch(key=key, body={"spec": {"replicas": 3}})).metadata.generation == grown + 1


def test_slices_grow_with_content_and_labels_and_services_never() -> None:
    world = World()
    meta = {"name": "x", "namespace": "a"}
    world.make(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": meta,
            "addressType": "IPv4",
            "endpoints": [],
        }
    )
    key = ("EndpointSlice", "a", "x")
    bodies = (
        {"metadata": {"labels": {"a": "b"}}},
        {"endpoints": [{"addresses": ["1.2.3.4"]}]},
        {"metadata": {"annotations": {"a": "b"}}},
    )
    assert [world.done(Patch(key=key, body=body)).metadata.generation for body in bodies] == [2, 3, 3]
    world.make(service())
    assert (
        world.done(Patch(key=("Service", "a", "s"), body={"spec": {"selector": {"a": "b"}}})).metadata.generation == 0
    )


def test_a_pods_generation_grows_with_its_spec() -> None:
    world = World()
    world.make(pod())
    body = {"spec": {"containers": [{"name": "app", "image": "nginx:2"}]}}
    assert world.done(Patch(key=KEY, body=body, type="strategic")).metadata.generation == 2


# -- binding, eviction, collections -----------------------------------------------------------------------------------


def test_binding_sets_node_condition_and_labels() -> None:
    world = World()
    labels = {"topology.kubernetes.io/zone": "z", "x": "y"}
    world.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": labels}})
    made = world.make(pod())
    bound = world.done(Bind(key=KEY, uid=made.metadata.uid, node="n"), "kube-scheduler")
    assert bound.spec.node_name == "n" and bound.metadata.generation == 1
    assert bound.metadata.labels == {"topology.kubernetes.io/zone": "z"}
    (condition,) = bound.status.conditions
    assert (condition.type, condition.status, condition.last_transition_time) == (
        "PodScheduled",
        "True",
        NOW - NOW % SECOND,
    )
    text = world.refused(Bind(key=KEY, uid="", node="m"), "kube-scheduler")[2]
    assert text.endswith('pods/binding "p": pod p is already assigned to node "n"')


def test_pods_of_a_template_on_nodes_of_a_zone_have_the_very_same_labels() -> None:
    def place(name: str, zone: str) -> Node:
        labels = {"topology.kubernetes.io/zone": zone, "kubernetes.io/hostname": name}
        made: Node = from_json({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
        return made

    template: Pod = from_json(pod())
    some, others, far = (
        bound(template, name, place(name, zone), 0, "1").metadata.labels
        for name, zone in (("a", "x"), ("b", "x"), ("c", "y"))
    )
    assert some is others and some == {**template.metadata.labels, "topology.kubernetes.io/zone": "x"}
    assert far == {**template.metadata.labels, "topology.kubernetes.io/zone": "y"}


def test_what_may_not_be_bound() -> None:
    world = World()
    world.make(pod(schedulingGates=[{"name": "g"}]))
    assert world.refused(Bind(key=KEY, uid="", node="n"), "kube-scheduler") == (
        409,
        "Conflict",
        'Operation cannot be fulfilled on pods/binding "p": pod p has non-empty .spec.schedulingGates',
    )
    assert "UID in precondition: other" in world.refused(Bind(key=KEY, uid="other", node="n"), "kube-scheduler")[2]
    meta = {"name": "q", "namespace": "a", "finalizers": ["x.org/y"]}
    world.make({**pod("q"), "metadata": meta})
    world.done(Delete(key=("Pod", "a", "q")))
    text = world.refused(Bind(key=("Pod", "a", "q"), uid="", node="n"), "kube-scheduler")[2]
    assert text.endswith('pods/binding "q": pod q is being deleted, cannot be assigned to a host')


def test_an_actor_may_only_do_what_its_transitions_allow() -> None:
    world = World()
    world.make(pod())
    code, reason, text = world.refused(Bind(key=KEY, uid="", node="n"), "replicaset-controller")
    assert (code, reason) == (422, "IllegalTransition") and "Pod/" in text


def test_collections_and_evictions() -> None:
    world = World()
    for name in ("p", "q"):
        world.make(pod(name, nodeName="n" if name == "p" else ""))
    left = world.done(DeleteCollection(kind="Pod", namespace="a"), "namespace-controller")
    assert [obj.metadata.name for obj in left] == ["p"] and left[0].metadata.deletion_timestamp is not None
    world.make(pod("r", nodeName="n"))
    assert world.done(Evict(key=("Pod", "a", "r"))).metadata.deletion_grace_period_seconds == 30
