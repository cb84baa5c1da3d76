"""Validation: every error, by itself, and that valid objects have none."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, config_map, pod, service, workload
from attrs import evolve

from k8sfsm.objects import Toleration, from_json
from k8sfsm.request import Create, Delete, Patch, Update

ONE = {"name": "app", "image": "nginx:1"}
OTHER = {"matchLabels": {"app": "other"}}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}}
ROLLING = {"type": "RollingUpdate"}


def template(**spec: Any) -> dict[str, Any]:
    return {**TEMPLATE, "spec": {"containers": [ONE], **spec}}


def rolling(**block: Any) -> dict[str, Any]:
    return {**ROLLING, "rollingUpdate": block}


def named(manifest: dict[str, Any], name: str) -> dict[str, Any]:
    return {**manifest, "metadata": {**manifest["metadata"], "name": name}}


def owned(count: int) -> dict[str, Any]:
    owners = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": f"o{number}", "uid": f"u{number}", "controller": True}
        for number in range(count)
    ]
    return config_map(ownerReferences=owners)


SUBDOMAIN = "metadata.name: Invalid value: a lowercase RFC 1123 subdomain"
LABEL = "metadata.name: Invalid value: a lowercase RFC 1123 label"
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "capitals in the name": (named(config_map(), "A"), SUBDOMAIN),
    "name too long": (named(config_map(), "a" * 254), SUBDOMAIN),
    "namespace is no label": ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a.b"}}, LABEL),
    "service is no label": (named(service(), "a.b"), LABEL),
    "two controllers": (owned(2), "metadata.ownerReferences: Invalid value: Only one reference can have Controller"),
    "both finalizers": (
        config_map(finalizers=["orphan", "foregroundDeletion"]),
        "metadata.finalizers: Invalid value: finalizer orphan and foregroundDeletion cannot be both set",
    ),
    "replicas": (workload(replicas=-1), "spec.replicas: Invalid value: must be greater than or equal to 0"),
    "min ready": (workload(minReadySeconds=-1), "spec.minReadySeconds: Invalid value: must be greater than or equal"),
    "no selector": (workload("ReplicaSet", selector=None), "spec.selector: Required value"),
    "empty selector": (workload("ReplicaSet", selector={}), "spec.selector: Invalid value: empty selector is invalid"),
    "other selector": (workload("ReplicaSet", selector=OTHER), "spec.template.metadata.labels: Invalid value: `sel"),
    "restart policy": (
        workload(template=template(restartPolicy="Never")),
        'spec.template.spec.restartPolicy: Unsupported value: supported values: "Always"',
    ),
    "no containers in the template": (
        workload(template=template(containers=[])),
        "spec.template.spec.containers: Required value",
    ),
    "strategy": (workload(strategy={"type": "Foo"}), "spec.strategy.type: Unsupported value: supported values"),
    "recreate with a block": (
        workload(strategy={"type": "Recreate", "rollingUpdate": {}}),
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ),
    "both zero": (
        workload(strategy=rolling(maxSurge=0, maxUnavailable="0%")),
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: may not be 0 when `maxSurge` is 0",
    ),
    "more than all": (
        workload(strategy=rolling(maxUnavailable="101%")),
        "spec.strategy.rollingUpdate.maxUnavailable: Invalid value: must not be greater than 100%",
    ),
    "deadline": (
        workload(progressDeadlineSeconds=5, minReadySeconds=5),
        "spec.progressDeadlineSeconds: Invalid value: must be greater than minReadySeconds",
    ),
    "history": (
        workload(revisionHistoryLimit=-1),
        "spec.revisionHistoryLimit: Invalid value: must be greater than or equal to 0",
    ),
    "no containers": (pod(containers=[]), "spec.containers: Required value"),
    "twice": (pod(containers=[ONE], initContainers=[ONE]), "spec.containers: Duplicate value"),
    "no container name": (pod(containers=[{"image": "x"}]), "spec.containers[].name: Required value"),
    "no image": (pod(containers=[{"name": "x"}]), "spec.containers[].image: Required value"),
    "request over limit": (
        pod(containers=[{**ONE, "resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}}]),
        "spec.containers[].resources.requests: Invalid value: must be less than or equal to the limit",
    ),
    "grace": (
        pod(terminationGracePeriodSeconds=-1),
        "spec.terminationGracePeriodSeconds: Invalid value: must be greater than or equal to 0",
    ),
    "service type": (service(type="Foo"), "spec.type: Unsupported value: supported values"),
    "no ports": (service(ports=[]), "spec.ports: Required value"),
    "port 0": (service(ports=[{"port": 0}]), "spec.ports[].port: Invalid value: must be between 1 and 65535"),
    "port too high": (service(ports=[{"port": 65536}]), "spec.ports[].port: Invalid value"),
    "unnamed ports": (service(ports=[{"port": 1, "name": "a"}, {"port": 2}]), "spec.ports[].name: Required value"),
}
GOOD: dict[str, dict[str, Any]] = {
    "dots and digits": named(config_map(), "1a.b-c"),
    "longest name": named(config_map(), "a" * 253),
    "one controller": owned(1),
    "one finalizer": config_map(finalizers=["orphan", "x.org/y"]),
    "none": workload(replicas=0, minReadySeconds=0, revisionHistoryLimit=0),
    "all at once": workload(strategy=rolling(maxUnavailable="100%", maxSurge=0)),
    "surge alone": workload(strategy=rolling(maxUnavailable=0, maxSurge=1)),
    "recreate": workload(strategy={"type": "Recreate"}),
    "short deadline": workload(progressDeadlineSeconds=6, minReadySeconds=5),
    "expression": workload(selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}),
    "limit": pod(containers=[{**ONE, "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1000m"}}}]),
    "no grace": pod(terminationGracePeriodSeconds=0),
    "headless": service(clusterIP="None", ports=[]),
    "external": service(type="ExternalName", externalName="x", ports=[]),
    "top port": service(ports=[{"port": 65535}]),
    "first port": service(ports=[{"port": 1}]),
    "service with a digit": named(service(), "1s"),
}


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_object_is_refused(name: str) -> None:
    manifest, error = BAD[name]
    code, reason, text = World().refused(Create(object=from_json(manifest)))
    assert (code, reason) == (422, "Invalid")
    group = {"Deployment": ".apps", "ReplicaSet": ".apps"}.get(manifest["kind"], "")
    head = f'{manifest["kind"]}{group} "{manifest["metadata"]["name"]}" is invalid: '
    assert text.startswith(head + error)
    assert not error.endswith(("Required value", "Duplicate value")) or text == head + error


@pytest.mark.parametrize("name", GOOD)
def test_a_valid_object_is_stored(name: str) -> None:
    World().make(GOOD[name])


def test_several_errors_are_told_together() -> None:
    text = World().refused(Create(object=from_json(workload(replicas=-1, minReadySeconds=-1))))[2]
    assert text == (
        'Deployment.apps "d" is invalid: [spec.replicas: Invalid value: must be greater than or equal to 0, '
        "spec.minReadySeconds: Invalid value: must be greater than or equal to 0]"
    )


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_selectors_are_fixed(kind: str) -> None:
    world = World()
    made = world.make(workload(kind))
    changed = from_json(workload(kind, selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}))
    error = "spec.selector: Invalid value: field is immutable"
    assert world.refused(Update(object=changed))[2] == f'{kind}.apps "d" is invalid: {error}'
    assert world.done(Update(object=evolve(made, spec=evolve(made.spec, replicas=3)))).spec.replicas == 3


def test_no_finalizer_comes_to_what_is_being_deleted() -> None:
    world = World()
    world.make(config_map(finalizers=["x.org/y", "x.org/z"]))
    key = ("ConfigMap", "a", "c")
    world.done(Patch(key=key, body={"metadata": {"finalizers": ["x.org/y", "x.org/z", "x.org/w"]}}))
    world.done(Delete(key=key))
    text = world.refused(Patch(key=key, body={"metadata": {"finalizers": ["x.org/y", "x.org/new"]}}))[2]
    error = "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted"
    assert text == f'ConfigMap "c" is invalid: {error}'
    assert world.done(Patch(key=key, body={"metadata": {"finalizers": ["x.org/y"]}})).metadata.finalizers == (
        "x.org/y",
    )


def spec_of(world: World, **changes: Any) -> Any:
    made = world.get("Pod", "p")
    return Update(object=evolve(made, spec=evolve(made.spec, **changes)))


def test_a_pods_spec_is_fixed_but_for_a_few_fields() -> None:
    world = World()
    made = world.make(pod(schedulingGates=[{"name": "g"}], initContainers=[{"name": "i", "image": "i:1"}]))
    container, init = made.spec.containers[0], made.spec.init_containers[0]
    more = Toleration(key="k", operator="Exists")
    for changes in (
        {"node_name": "n"},
        {"termination_grace_period_seconds": 1},
        {"tolerations": made.spec.tolerations[:1]},
        {"containers": (evolve(container, command=("x",)),)},
        {"containers": (container, evolve(container, name="two"))},
        {
            "scheduling_gates": (
                *made.spec.scheduling_gates,
                *from_json(pod(schedulingGates=[{"name": "h"}])).spec.scheduling_gates,
            )
        },
    ):
        code, _, text = world.refused(spec_of(world, **changes))
        start = (
            'Pod "p" is invalid: spec: Forbidden: pod updates may not change fields other than `spec.containers[*].im'
        )
        assert code == 422 and text.startswith(start)
    world.done(spec_of(world, containers=(evolve(container, image="nginx:2"),)))
    world.done(spec_of(world, init_containers=(evolve(init, image="i:2"),)))
    world.done(spec_of(world, tolerations=(*made.spec.tolerations, more)))
    world.done(spec_of(world, active_deadline_seconds=5))
    assert world.done(spec_of(world, scheduling_gates=())).metadata.generation == 6


def test_a_cluster_ip_stays() -> None:
    world = World()
    made = world.make(service())
    other = evolve(made, spec=evolve(made.spec, cluster_ip="10.96.0.200", cluster_ips=("10.96.0.200",)))
    code, _, text = world.refused(Update(object=other))
    assert (code, text) == (422, 'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: may not change once set')
