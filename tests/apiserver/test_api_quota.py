"""ResourceQuota admission: what requests add, what quotas refuse, what they count afterwards."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import NOW, World, config_map, pod, service, workload

from k8sfsm.apiserver import Options, Sender
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.quota_admission import Covered, Measured
from k8sfsm.apiserver.quota_usage import custom_count, in_scopes, object_count, tracked, usage_of
from k8sfsm.objects import ResourceQuota, evolve, from_json, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Bind, Create, Delete, Patch, PatchStatus, Update


def quota(name: str = "q", scopes: Any = None, **hard: str) -> dict[str, Any]:
    """The manifest of a quota; "_" in names stands for a dot, "__" for a slash."""
    limits = {
        key.replace("__", "/").replace("_", ".").replace("ephemeral.", "ephemeral-"): amount
        for key, amount in hard.items()
    }
    spec: dict[str, Any] = {"hard": limits}
    if isinstance(scopes, list):
        spec["scopes"] = scopes
    elif scopes:
        spec["scopeSelector"] = {"matchExpressions": [scopes]}
    return {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name, "namespace": "a"}, "spec": spec}


def limited(*manifests: dict[str, Any], used: str = "0") -> World:
    """A world with quotas that are enforced; `used`: of everything."""
    world = World()
    for manifest in manifests:
        enforce(world, manifest, used)
    return world


def enforce(world: World, manifest: dict[str, Any], used: str = "0") -> None:
    hard = manifest["spec"]["hard"]
    stored = world.make(manifest)
    status = {"hard": hard, "used": dict.fromkeys(hard, used)}
    world.done(Update(object=from_json({**to_json(stored), "status": status}), subresource="status"))


def used(world: World, name: str = "q") -> dict[str, str]:
    return {key: str(amount) for key, amount in world.get("ResourceQuota", name).status.used.items()}


def create(manifest: dict[str, Any]) -> Create:
    return Create(object=from_json(manifest))


def sized(name: str = "p", requests: Any = None, limits: Any = None, **spec: Any) -> dict[str, Any]:
    resources = {key: amounts for key, amounts in (("requests", requests), ("limits", limits)) if amounts}
    return pod(name, containers=[{"name": "app", "image": "nginx:1", "resources": resources}], **spec)


def test_a_pod_is_counted_before_it_is_stored() -> None:
    world = limited(quota(pods="2", requests_cpu="1", limits_memory="1Gi", count__pods="9"))
    world.make(sized("p1", {"cpu": "250m"}, {"cpu": "500m", "memory": "128Mi"}))
    assert used(world) == {"pods": "1", "requests.cpu": "250m", "limits.memory": "128Mi", "count/pods": "1"}
    assert [change.key[0] for change in world.changes] == ["ResourceQuota", "Pod"]
    assert world.changes[1].new.metadata.resource_version == str(world.store.revision)
    world.make(sized("p2", {"cpu": "250m"}, {"memory": "128Mi"}))
    assert used(world) == {"pods": "2", "requests.cpu": "500m", "limits.memory": "256Mi", "count/pods": "2"}


def test_what_exceeds_a_quota_is_refused_with_all_that_is_too_much() -> None:
    world = limited(quota(pods="1", requests_cpu="1", requests_memory="1Gi"), used="1")
    code, reason, text = world.refused(create(sized("", {"cpu": "500m", "memory": "1Mi"})))
    assert (code, reason) == (403, "Forbidden")
    name, _, rest = text.partition(" is forbidden: ")
    assert name.startswith('pods "p-') and len(name) == len('pods "p-12345"'), "the name is made before"
    assert rest == (
        "exceeded quota: q, requested: pods=1,requests.cpu=500m, used: pods=1,requests.cpu=1, "
        "limited: pods=1,requests.cpu=1"
    )


def test_other_resources_may_be_exceeded() -> None:
    world = limited(quota(services="1", pods="5"), used="5")
    assert (
        'services "s" is forbidden: exceeded quota: q, requested: services=1, used: services=5'
        in (world.refused(create(service()))[2])
    )
    world.make(workload())
    world.make(config_map())
    enforced = limited(quota(requests_nvidia_com__gpu="0", pods="9"), used="3")
    enforced.make(pod())


def test_all_quotas_have_to_allow_it_and_none_counts_what_one_refuses() -> None:
    world = limited(quota("one", pods="5"), quota("two", pods="0"))
    assert "exceeded quota: two, requested: pods=1, used: pods=0, limited: pods=0" in world.refused(create(pod()))[2]
    assert used(world, "one") == {"pods": "0"}


def test_containers_have_to_say_what_is_counted_of_cpu_and_memory() -> None:
    world = limited(quota(requests_cpu="4", limits_memory="1Gi", memory="1Gi", requests_ephemeral_storage="1"))
    assert world.refused(create(pod(initContainers=[{"name": "a", "image": "b:1"}])))[2] == (
        'pods "p" is forbidden: failed quota: q: must specify limits.memory for: a,app; memory for: a,app; '
        "requests.cpu for: a,app"
    )
    whole = pod(resources={"requests": {"cpu": "1", "memory": "1Mi"}, "limits": {"memory": "1Mi"}})
    world.make(whole)
    assert used(world) == {
        "requests.cpu": "1",
        "limits.memory": "1Mi",
        "memory": "1Mi",
        "requests.ephemeral-storage": "0",
    }


def test_what_is_not_worked_out_yet_is_not_enforced_or_refuses() -> None:
    world = World()
    world.make(quota(pods="0"))
    world.make(pod())
    half = from_json({**to_json(world.get("ResourceQuota", "q")), "status": {"hard": {"pods": "9", "services": "1"}}})
    world.done(Update(object=half, subresource="status"))
    assert world.refused(create(pod("r")))[2] == ('pods "r" is forbidden: status unknown for quota: q, resources: pods')
    half = from_json({**to_json(half), "status": {"hard": {"pods": "9", "services": "1"}, "used": {"pods": "1"}}})
    world.done(Update(object=evolve(half, metadata=evolve(half.metadata, resource_version="")), subresource="status"))
    world.make(pod("r"))


def test_a_quota_counts_no_events() -> None:
    world = limited(quota(count__events="0"))
    event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "a"}}
    event |= {"involvedObject": {"kind": "Pod", "name": "p", "namespace": "a"}, "reason": "Seen"}
    world.make(event)
    made = from_json({**event, "metadata": {"name": "f", "namespace": "a"}})
    answer = world.api.record(world.store, Create(object=made), Sender("x"), NOW, world.chance)
    assert answer.outcome.ok and len(answer.changes) == 1
    assert tracked("Event", ("count/events",)) == ()


REPLICATING = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": {"name": "r", "namespace": "a"},
    "spec": {
        "selector": {"a": "b"},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
    },
}


@pytest.mark.parametrize(
    ("manifest", "name", "counts"),
    [
        (workload(), "count/deployments.apps", "1"),
        (workload("ReplicaSet"), "count/replicasets.apps", "1"),
        (config_map(), "configmaps", "1"),
        (config_map(), "count/configmaps", "1"),
        (config_map(), "secrets", "0"),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "a"}}, "secrets", "1"),
        (quota("r"), "resourcequotas", "1"),
        (pod(), "replicationcontrollers", "0"),
        (REPLICATING, "replicationcontrollers", "1"),
        (service(), "services", "1"),
        (service(), "count/services", "1"),
        (service(), "services.nodeports", "0"),
        (service(type="NodePort"), "services.nodeports", "1"),
        (service(type="NodePort"), "services.loadbalancers", "0"),
        (service(type="LoadBalancer"), "services.loadbalancers", "1"),
        (service(type="LoadBalancer"), "services.nodeports", "1"),
        (service(type="LoadBalancer", allocateLoadBalancerNodePorts=False), "services.nodeports", "0"),
        (sized(limits={"nvidia.com/gpu": "2"}), "requests.nvidia.com/gpu", "2"),
        (sized(limits={"nvidia.com/gpu": "2"}), "limits.nvidia.com/gpu", "0"),
        (sized(limits={"hugepages-2Mi": "4Mi", "cpu": "1"}), "hugepages-2Mi", "4Mi"),
        (sized(limits={"hugepages-2Mi": "4Mi", "cpu": "1"}), "requests.hugepages-2Mi", "4Mi"),
        (sized(requests={"ephemeral-storage": "1Gi"}), "ephemeral-storage", "1Gi"),
        (sized(requests={"ephemeral-storage": "1Gi"}), "requests.ephemeral-storage", "1Gi"),
        (sized(limits={"ephemeral-storage": "1Gi"}), "limits.ephemeral-storage", "1Gi"),
        (sized(limits={"cpu": "1"}), "cpu", "1"),
        (sized(limits={"cpu": "1"}), "limits.cpu", "1"),
        (sized(limits={"memory": "1Gi"}), "requests.memory", "1Gi"),
    ],
)
def test_what_counts_under_which_name(manifest: dict[str, Any], name: str, counts: str) -> None:
    field = quota()
    field["spec"]["hard"] = {name: "10Gi"}
    world = limited(field)
    world.make(manifest)
    assert used(world) == {name: counts}


def claim(size: str = "1Gi", name: str = "c", **spec: Any) -> dict[str, Any]:
    fields = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    meta = {"name": name, "namespace": "a"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": meta, "spec": fields}


def test_claims_count_by_size_and_class() -> None:
    names = ("persistentvolumeclaims", "count/persistentvolumeclaims", "requests.storage")
    of_class = tuple(
        f"gold.storageclass.storage.k8s.io/{name}" for name in ("persistentvolumeclaims", "requests.storage")
    )
    manifest = quota()
    manifest["spec"]["hard"] = dict.fromkeys((*names, *of_class), "10Gi")
    world = limited(manifest)
    world.make(claim("1Gi"))
    assert used(world) == {**dict.fromkeys(names, "1"), "requests.storage": "1Gi", **dict.fromkeys(of_class, "0")}
    world.make(claim("1.5", "d", storageClassName="gold"))
    assert used(world)[of_class[1]] == "2" and used(world)[of_class[0]] == "1"
    noted = claim("1Gi", "e")
    noted["metadata"]["annotations"] = {"volume.beta.kubernetes.io/storage-class": "gold"}
    world.make(noted)
    assert used(world)[of_class[0]] == "2"


def test_a_claim_that_grows_counts_its_growth() -> None:
    world = limited(quota(requests_storage="3Gi"))
    world.make(claim("1Gi"))
    key = ("PersistentVolumeClaim", "a", "c")
    world.done(Patch(key=key, body={"spec": {"resources": {"requests": {"storage": "2Gi"}}}}))
    assert used(world) == {"requests.storage": "2Gi"}
    world.done(Patch(key=key, body={"spec": {"resources": {"requests": {"storage": "1Gi"}}}}))
    assert used(world) == {"requests.storage": "2Gi"}, "only the controller takes away"
    grown = {"status": {"allocatedResources": {"storage": "9Gi"}}}
    assert world.refused(Patch(key=key, body=grown, subresource="status"))[2] == (
        'persistentvolumeclaims "c" is forbidden: exceeded quota: q, requested: requests.storage=8Gi, '
        "used: requests.storage=2Gi, limited: requests.storage=3Gi"
    )
    world.done(Patch(key=key, body={"status": {"phase": "Bound"}}, subresource="status"))


def test_a_service_that_changes_its_type_counts_more() -> None:
    world = limited(quota(services_nodeports="2", services="1"))
    world.make(service(ports=[{"name": "a", "port": 1}, {"name": "b", "port": 2}]))
    world.done(Patch(key=("Service", "a", "s"), body={"spec": {"type": "NodePort"}}))
    assert used(world) == {"services.nodeports": "2", "services": "1"}
    ports = [{"name": name, "port": port} for port, name in enumerate("abc", 1)]
    code, _, text = world.refused(Patch(key=("Service", "a", "s"), body={"spec": {"ports": ports}}))
    assert code == 403 and "requested: services.nodeports=1, used: services.nodeports=2" in text


def test_a_balancer_without_ports_of_its_own_counts_those_that_it_is_given() -> None:
    ports = [{"name": "a", "port": 1, "nodePort": 30001}, {"name": "b", "port": 2}]
    given = from_json(service(type="LoadBalancer", allocateLoadBalancerNodePorts=False, ports=ports))
    found = usage_of(given, NOW, ("services.nodeports", "services.loadbalancers", "count/services", "pods"))
    assert {name: str(amount) for name, amount in found.items()} == {
        "services.nodeports": "1",
        "services.loadbalancers": "1",
        "count/services": "1",
    }


def test_a_pod_counts_again_where_its_deadline_changes_its_scope() -> None:
    world = limited(quota("t", ["Terminating"], pods="9"), quota("n", ["NotTerminating"], pods="9"))
    world.make(pod())
    assert (used(world, "t"), used(world, "n")) == ({"pods": "0"}, {"pods": "1"})
    deadline = {"spec": {"activeDeadlineSeconds": 5}}
    world.done(Patch(key=("Pod", "a", "p"), body=deadline))
    assert used(world, "t") == {"pods": "0"}, "a pod that was there adds nothing to the number of pods"


def test_other_writes_to_a_pod_count_nothing() -> None:
    world = limited(quota(pods="1"))
    made = world.make(pod())
    world.make({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    world.done(Bind(key=("Pod", "a", "p"), uid=made.metadata.uid, node="n"), "kube-scheduler")
    world.done(Patch(key=("Pod", "a", "p"), body={"metadata": {"labels": {"a": "b"}}}))
    running = evolve(world.get("Pod", "p").status, phase="Running")
    world.done(PatchStatus(key=("Pod", "a", "p"), uid=made.metadata.uid, status=running), "kubelet")
    assert used(world) == {"pods": "1"}


def test_usage_stays_counted_where_the_creation_fails_after_all() -> None:
    world = limited(quota(count__configmaps="9"))
    world.make(config_map())
    outcome = world.send(create(config_map()))
    assert (outcome.code, outcome.reason) == (409, "AlreadyExists")
    assert used(world) == {"count/configmaps": "2"}
    assert [change.key[0] for change in world.changes] == ["ResourceQuota"]
    outcome = world.send(Delete(key=("ConfigMap", "a", "none")))
    assert outcome.code == 404 and world.changes == ()


def test_namespaces_without_quotas_and_servers_without_admission_count_nothing() -> None:
    world = limited(quota(pods="0"))
    world.make({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}})
    world.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "b"}})
    world.make({**pod(), "metadata": {"name": "p", "namespace": "b"}})
    open_world = World(Options(admission=False))
    enforce(open_world, quota(pods="0"))
    open_world.make(pod())


def term(operator: str, *values: str, scope: str = "PriorityClass") -> dict[str, Any]:
    return {"scopeName": scope, "operator": operator, **({"values": list(values)} if values else {})}


ELSEWHERE = {"labelSelector": {}, "topologyKey": "zone", "namespaces": ["b"]}
HERE = {"labelSelector": {}, "topologyKey": "zone"}
ANYWHERE = {**HERE, "namespaceSelector": {}}


@pytest.mark.parametrize(
    ("scope", "spec", "within"),
    [
        (["Terminating"], {"activeDeadlineSeconds": 5}, True),
        (["Terminating"], {}, False),
        (["NotTerminating"], {"activeDeadlineSeconds": 5}, False),
        (["NotTerminating"], {}, True),
        (["BestEffort"], {}, True),
        (["NotBestEffort"], {}, False),
        (["BestEffort", "Terminating"], {}, False),
        (["BestEffort", "NotTerminating"], {}, True),
        (["PriorityClass"], {"priorityClassName": "high"}, True),
        (["PriorityClass"], {}, False),
        (term("Exists"), {"priorityClassName": "high"}, True),
        (term("Exists"), {}, False),
        (term("DoesNotExist"), {"priorityClassName": "high"}, False),
        (term("DoesNotExist"), {}, True),
        (term("In", "high", "low"), {"priorityClassName": "high"}, True),
        (term("In", "low"), {"priorityClassName": "high"}, False),
        (term("In", "low"), {}, False),
        (term("NotIn", "low"), {"priorityClassName": "high"}, True),
        (term("NotIn", "high"), {"priorityClassName": "high"}, False),
        (term("NotIn", "high"), {}, True),
        (["CrossNamespacePodAffinity"], {}, False),
        (["CrossNamespacePodAffinity"], {"affinity": {"nodeAffinity": {}}}, False),
        (
            ["CrossNamespacePodAffinity"],
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [HERE]}}},
            False,
        ),
        (
            ["CrossNamespacePodAffinity"],
            {"affinity": {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [HERE, ELSEWHERE]}}},
            True,
        ),
        (
            ["CrossNamespacePodAffinity"],
            {
                "affinity": {
                    "podAntiAffinity": {
                        "preferredDuringSchedulingIgnoredDuringExecution": [
                            {"weight": 1, "podAffinityTerm": ANYWHERE},
                        ]
                    }
                }
            },
            True,
        ),
        (term("Exists", scope="VolumeAttributesClass"), {"priorityClassName": "high"}, False),
        (term("DoesNotExist", scope="VolumeAttributesClass"), {}, False),
        (["Unknown"], {}, False),
    ],
)
def test_scopes_of_pods(scope: Any, spec: dict[str, Any], within: bool) -> None:
    found: ResourceQuota = from_json(quota(scopes=scope, pods="1"))
    assert in_scopes(found, from_json(pod(**spec))) is within


def test_best_effort_goes_by_the_class_that_is_stored() -> None:
    stored = from_json(pod())
    burstable = evolve(stored, status=evolve(stored.status, qos_class="Burstable"))
    for scope, within in (("BestEffort", False), ("NotBestEffort", True)):
        assert in_scopes(from_json(quota(scopes=[scope], pods="1")), burstable) is within


@pytest.mark.parametrize("scope", ["BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "PriorityClass"])
def test_no_scope_of_pods_holds_other_objects(scope: str) -> None:
    assert not in_scopes(from_json(quota(scopes=[scope], services="1")), from_json(service()))
    assert not in_scopes(from_json(quota(scopes=term("DoesNotExist", scope=scope))), from_json(service()))


def test_claims_have_a_scope_too() -> None:
    scope = quota(scopes=term("In", "fast", scope="VolumeAttributesClass"), requests_storage="1")
    assert not in_scopes(from_json(scope), from_json(claim()))
    assert in_scopes(from_json(scope), from_json(claim(volumeAttributesClassName="fast")))
    moving = {**claim(volumeAttributesClassName="slow"), "status": {"currentVolumeAttributesClassName": "fast"}}
    assert in_scopes(from_json(scope), from_json(moving))
    without = quota(scopes=term("NotIn", "fast", scope="VolumeAttributesClass"), requests_storage="1")
    assert in_scopes(from_json(without), from_json(moving))
    target = {**claim(), "status": {"modifyVolumeStatus": {"targetVolumeAttributesClassName": "fast"}}}
    assert in_scopes(from_json(scope), from_json(target))


def test_a_quota_that_is_out_of_scope_has_no_say() -> None:
    world = limited(quota(scopes=["NotBestEffort"], pods="0"))
    world.make(pod())
    assert "exceeded quota" in world.refused(create(sized("r", {"cpu": "1"})))[2]


def test_a_pod_that_is_over_or_overdue_counts_as_an_object_alone() -> None:
    stored = from_json(pod())
    done = evolve(stored, status=evolve(stored.status, phase="Failed"))
    going = evolve(stored, metadata=evolve(stored.metadata, deletion_timestamp=NOW, deletion_grace_period_seconds=30))
    of = ("pods", "count/pods")
    assert set(usage_of(done, NOW, of)) == {"count/pods"}
    assert set(usage_of(going, NOW + 30 * SECOND, of)) == set(of)
    assert set(usage_of(going, NOW + 31 * SECOND, of)) == {"count/pods"}


def test_kinds_that_people_define_are_counted_by_their_own_plural() -> None:
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "w"},
    }
    spec = {"group": "x.org", "names": {"kind": "Wish", "plural": "wishes"}}
    assert custom_count("Wish", [from_json({**definition, "spec": spec})]) == "count/wishes.x.org"
    assert object_count("Wish") == "" == custom_count("Widget", [])
    assert object_count("Deployment") == "count/deployments.apps" and object_count("Pod") == "count/pods"


def resized(requests: dict[str, str], limits: dict[str, str] | None = None) -> Patch:
    resources = {"requests": requests, **({"limits": limits} if limits is not None else {})}
    body = {"spec": {"containers": [{"name": "app", "resources": resources}]}}
    return Patch(key=("Pod", "a", "p"), body=body, type="strategic", subresource="resize")


def test_a_pod_that_is_resized_counts_more() -> None:
    world = limited(quota(requests_cpu="1"))
    world.make(sized("p", {"cpu": "250m"}))
    world.done(resized({"cpu": "750m"}))
    assert used(world) == {"requests.cpu": "750m"}
    code, _, text = world.refused(resized({"cpu": "1250m"}))
    assert code == 403 and "requested: requests.cpu=500m, used: requests.cpu=750m, limited: requests.cpu=1" in text


def test_a_service_is_no_other_object() -> None:
    """What turns a pod's scope is asked of pods alone: other objects count when they are made."""
    world = limited(quota(count__replicationcontrollers="1"))
    world.make(REPLICATING)
    world.done(Patch(key=("ReplicationController", "a", "r"), body={"spec": {"replicas": 3}}))
    assert used(world) == {"count/replicationcontrollers": "1"}


def test_a_quota_that_enforces_nothing_of_a_kind_counts_nothing_of_it() -> None:
    world = limited(quota(services="1"))
    world.make(pod())
    assert [change.key[0] for change in world.changes] == ["Pod"]
    found = quota(services="1")
    covered = Covered(
        from_json({**found, "status": {"hard": {"services": "1"}}}), Measured(from_json(pod()), None, "", NOW)
    )
    assert law.decide("match", covered).outputs == {"concerned": False}
    assert law.decide(
        "measured", Measured(from_json(pod()), from_json(pod(activeDeadlineSeconds=5)), "", NOW)
    ).rule == ("quota/measured/pod-changes-scope")
    assert law.decide("measured", Measured(from_json(service()), from_json(service()), "", NOW)).rule == (
        "quota/measured/service"
    )


def test_limits_count_as_limits_and_requests_as_requests() -> None:
    world = limited(quota(limits_cpu="9", requests_cpu="9"))
    world.make(sized("p", {"cpu": "250m"}, {"cpu": "500m"}))
    assert used(world) == {"limits.cpu": "500m", "requests.cpu": "250m"}


def test_which_writes_are_measured() -> None:
    bounded = from_json(pod(activeDeadlineSeconds=5))
    assert law.decide("measured", Measured(bounded, from_json(pod()), "", NOW)).outputs == {"measured": True}
    assert law.decide("measured", Measured(bounded, bounded, "", NOW)).outputs == {"measured": False}
