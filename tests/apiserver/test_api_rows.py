"""Rows that nothing else decides: lengths, names that are missing, metadata of rarer kinds."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, config_map, dig, pod, service, workload

from k8sfsm.apiserver.apply.fields import member
from k8sfsm.apiserver.apply.managers import _ownable
from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.validation import faults
from k8sfsm.objects import evolve, from_json, to_json
from k8sfsm.request import Create

ONE = {"name": "app", "image": "nginx:1"}
OTHER_UID = 'metadata.uid: Invalid value: "other": field is immutable'
BAD_NAME = 'metadata.name: Invalid value: "A": a lowercase RFC 1123 subdomain'
RBAC = "rbac.authorization.k8s.io/v1"
META = {"name": "x", "namespace": "a"}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": META,
    "spec": {"selector": {"app": "web"}, "template": workload()["spec"]["template"]},
}
ROLE = {"apiVersion": RBAC, "kind": "Role", "metadata": META, "rules": []}
BINDING = {
    "apiVersion": RBAC,
    "kind": "RoleBinding",
    "metadata": META,
    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
}


def errors(new: Any, old: Any = None, subresource: str = "") -> list[str]:
    return [str(fault) for fault in faults(old, new, subresource=subresource)]


def read(manifest: dict[str, Any]) -> Any:
    return defaulted(from_json(manifest))


CHANGED: list[tuple[dict[str, Any], str]] = [
    (pod(), "ephemeralcontainers"),
    (pod(), "resize"),
    (workload("ReplicaSet"), ""),
    (CONTROLLER, ""),
    (ROLE, ""),
    (BINDING, ""),
]


@pytest.mark.parametrize(("manifest", "subresource"), CHANGED)
def test_the_metadata_of_what_is_changed(manifest: dict[str, Any], subresource: str) -> None:
    old = read(manifest)
    if hasattr(old, "status") and old.kind == "Pod":
        old = evolve(old, status=evolve(old.status, qos_class="BestEffort"))
    new = evolve(old, metadata=evolve(old.metadata, uid="other"))
    assert errors(new, old, subresource) == [OTHER_UID]


@pytest.mark.parametrize("manifest", [CONTROLLER, workload("ReplicaSet")])
def test_the_metadata_of_new_workloads(manifest: dict[str, Any]) -> None:
    [text] = errors(read({**manifest, "metadata": {"name": "A", "namespace": "a"}}))
    assert text.startswith(BAD_NAME)


def test_the_metadata_of_a_new_binding() -> None:
    found = errors(read({**BINDING, "metadata": {"name": "a/b", "namespace": "a"}}))
    assert found == ["metadata.name: Invalid value: \"a/b\": may not contain '/' or '%'"]


@pytest.mark.parametrize("manifest", [workload("ReplicaSet"), CONTROLLER])
def test_the_spec_of_what_is_changed(manifest: dict[str, Any]) -> None:
    old = read(manifest)
    new = evolve(old, spec=evolve(old.spec, replicas=-1))
    assert errors(new, old) == ["spec.replicas: Invalid value: -1: must be greater than or equal to 0"]


def test_the_template_of_a_controller() -> None:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "i"}]}}
    bad = {**CONTROLLER, "spec": {**CONTROLLER["spec"], "template": template}}
    assert errors(read(bad)) == ["spec.template.spec.containers[0].name: Required value"]


def test_keys_of_selectors_have_a_form() -> None:
    selector = {"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "a b", "operator": "Exists"}]}
    text, unreadable = errors(read(workload(selector=selector)))
    assert text.startswith('spec.selector.matchExpressions[0].key: Invalid value: "a b": name part must consist of')
    assert unreadable.endswith(": invalid label selector")


PODS: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"resources": {"limits": {"cpu": "-1"}}},
        ['spec.resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0'],
    ),
    (
        {"containers": [ONE, ONE]},
        ['spec.containers[1].name: Duplicate value: "app"'],
    ),
    (
        {"initContainers": [{"name": "i", "image": "i", "ports": [{"containerPort": 1, "hostPort": 1}] * 2}]},
        ['spec.initContainers[0].ports[1].hostPort: Duplicate value: "TCP//1"'],
    ),
    ({"volumes": [{"emptyDir": {}}]}, ["spec.volumes[0].name: Required value"]),
    (
        {"volumes": [{"name": "v", "nfs": {"server": "s", "path": ""}}]},
        [
            "spec.volumes[0].nfs.path: Required value",
            'spec.volumes[0].nfs.path: Invalid value: "": must be an absolute path',
        ],
    ),
    (
        {"hostname": "h" * 64},
        [f'spec.hostname: Invalid value: "{"h" * 64}": must be no more than 63 characters'],
    ),
    (
        {"nodeName": "n" * 254},
        [f'spec.nodeName: Invalid value: "{"n" * 254}": must be no more than 253 characters'],
    ),
    (
        {"dnsConfig": {"searches": ["s" * 254]}},
        [f'spec.dnsConfig.searches[0]: Invalid value: "{"s" * 254}": must be no more than 253 characters'],
    ),
]


@pytest.mark.parametrize(("spec", "expected"), PODS)
def test_pods(spec: dict[str, Any], expected: list[str]) -> None:
    assert errors(read(pod(**spec))) == expected


def test_gates_have_qualified_names() -> None:
    [text] = errors(read(pod(schedulingGates=[{"name": "x.org/fine"}, {"name": "a b"}])))
    assert text.startswith('spec.schedulingGates[1]: Invalid value: "a b": name part must consist of alphanumeric')


def test_an_init_container_keeps_an_image() -> None:
    """The image is asked for twice: as any container's, and as one that may change."""
    old = read(pod(initContainers=[{"name": "i", "image": "i"}]))
    [init] = old.spec.init_containers
    new = evolve(old, spec=evolve(old.spec, init_containers=(evolve(init, image=""),)))
    assert errors(new, old) == ["spec.initContainers[0].image: Required value"] * 2


def test_a_resize_says_the_class_that_would_change() -> None:
    old = read(pod())
    old = evolve(old, status=evolve(old.status, qos_class="BestEffort"))
    [container] = old.spec.containers
    resources = (
        from_json(pod(containers=[{**ONE, "resources": {"requests": {"cpu": "1"}}}])).spec.containers[0].resources
    )
    new = evolve(old, spec=evolve(old.spec, containers=(evolve(container, resources=resources),)))
    text = 'spec: Invalid value: "BestEffort": Pod QOS Class may not change as a result of resizing'
    assert errors(new, old, "resize") == [text]


def _resized(manifest: dict[str, Any], status: Any = None, **resources: Any) -> list[str]:
    """The errors of a resize to `resources` (by container) of a Burstable pod."""
    old = read(manifest)
    old = evolve(old, status=from_json({**manifest, "status": {"qosClass": "Burstable", **(status or {})}}).status)
    groups = {}
    for group in ("containers", "init_containers"):
        wanted = [
            {"name": each.name, "image": "i", "resources": resources.get(each.name, {})}
            for each in getattr(old.spec, group)
        ]
        made = from_json(pod(containers=wanted)).spec.containers
        groups[group] = tuple(
            evolve(was, resources=now.resources if was.name in resources else was.resources)
            for was, now in zip(getattr(old.spec, group), made, strict=True)
        )
    return errors(evolve(old, spec=evolve(old.spec, **groups)), old, "resize")


HALF = {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}
MORE = {"requests": {"cpu": "2"}, "limits": {"cpu": "2"}}
GPU = {"requests": {"cpu": "1", "x.org/gpu": "1"}, "limits": {"cpu": "2", "x.org/gpu": "1"}}
APP = {"name": "app", "image": "i", "resources": HALF}
SIDE = {"name": "side", "image": "i", "restartPolicy": "Always", "resources": HALF}
INIT = {"name": "init", "image": "i", "resources": HALF}
ALL = pod(containers=[APP], initContainers=[SIDE, INIT])
RUNNING = {"name": "app", "state": {"running": {}}}
MINE = {
    **pod(containers=[APP], nodeName="n"),
    "metadata": {**META, "annotations": {"kubernetes.io/config.mirror": "x"}},
}
GONE = "spec.{}[0].resources.{}: Forbidden: resource {} cannot be removed"


@pytest.mark.parametrize(
    ("manifest", "status", "resources", "expected"),
    [
        (ALL, {}, {"app": MORE, "side": MORE}, []),
        (ALL, {}, {"app": GPU}, ["spec: Forbidden: only cpu and memory resources are mutable"]),
        (ALL, {}, {"side": GPU}, ["spec: Forbidden: only cpu and memory resources for sidecar containers are mutable"]),
        (ALL, {}, {"init": MORE}, ["spec: Forbidden: resources for non-sidecar init containers are immutable"]),
        (
            ALL,
            {},
            {"app": {}, "side": {"limits": {"cpu": "2"}}},
            [
                GONE.format("initContainers", "requests", "requests"),
                GONE.format("containers", "requests", "requests"),
                GONE.format("containers", "limits", "limits"),
            ],
        ),
        (ALL, {"containerStatuses": [{**RUNNING, "resources": {}}]}, {"app": MORE}, []),
        (
            ALL,
            {"containerStatuses": [RUNNING]},
            {"app": MORE},
            ["spec: Forbidden: Pod running on node without support for resize"],
        ),
        (MINE, {}, {"app": {}}, [": Forbidden: static pods cannot be resized"]),
        (
            pod(containers=[APP], os={"name": "windows"}),
            {},
            {"app": {}},
            [": Forbidden: windows pods cannot be resized"],
        ),
    ],
)
def test_resizes(manifest: Any, status: Any, resources: Any, expected: list[str]) -> None:
    assert _resized(manifest, status, **resources) == expected


def test_a_mirror_pod_names_its_node() -> None:
    lost = {**MINE, "spec": {"containers": [APP]}}
    [text] = errors(read(lost))
    head, _, rest = text.partition(": ")
    assert head == "metadata.annotations[kubernetes.io/config.mirror]"
    assert rest == 'Invalid value: "x": must set spec.nodeName if mirror pod annotation is set'


@pytest.mark.parametrize(
    ("manifest", "generation"),
    [
        ({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "p"}, "value": 1}, 1),
        ({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": META, "spec": {}}, 0),
        ({**service(), "metadata": META}, 0),
        (config_map(), 0),
        ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}, 0),
    ],
)
def test_generations_at_the_beginning(manifest: dict[str, Any], generation: int) -> None:
    assert World().make(manifest).metadata.generation == generation


def test_a_new_quota_and_a_new_service_have_no_status() -> None:
    world = World()
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": META, "spec": {"hard": {"pods": "1"}}}
    assert not world.make({**quota, "status": {"used": {"pods": "1"}}}).status.used
    balanced = service(type="LoadBalancer")
    made = world.make({**balanced, "status": {"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}}})
    assert made.status.load_balancer.ingress == ()


def test_nobody_owns_what_is_the_servers() -> None:
    names = ("creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid", "clusterName")
    whole = {
        ("f:apiVersion",),
        ("f:kind",),
        *((member("metadata"), member(name)) for name in (*names, "name", "namespace")),
    }
    free = {(member("metadata"), member("labels")), (member("metadata"), member("uids"))}
    assert _ownable(frozenset(whole | free), "") == free
    parts = frozenset({("f:spec", "f:x"), ("f:status", "f:x")})
    assert _ownable(parts, "main") == {("f:spec", "f:x")}
    assert _ownable(parts, "status") == {("f:status", "f:x")}


def test_defaults_of_tokens_and_keys() -> None:
    sources = [{"serviceAccountToken": {"path": "t"}}]
    env = [
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c"}}},
        {"name": "B", "valueFrom": {"secretKeyRef": {"name": "s"}}},
    ]
    made = to_json(
        read(pod(volumes=[{"name": "v", "projected": {"sources": sources}}], containers=[{**ONE, "env": env}]))
    )
    assert dig(made, "spec.volumes.0.projected.sources.0.serviceAccountToken.expirationSeconds") == 3600
    assert dig(made, "spec.containers.0.env.0.valueFrom.configMapKeyRef.key") == ""
    assert dig(made, "spec.containers.0.env.1.valueFrom.secretKeyRef.key") == ""


def test_a_limit_below_the_least() -> None:
    world = World()
    limits = [{"type": "Pod", "min": {"cpu": "500m"}}]
    world.make({"apiVersion": "v1", "kind": "LimitRange", "metadata": META, "spec": {"limits": limits}})
    low = {"name": "low", "image": "i", "resources": {"limits": {"cpu": "100m"}}}
    free = {**ONE, "resources": {"requests": {"cpu": "1"}}}
    text = world.refused(Create(object=from_json(pod(containers=[free, low]))))[2]
    assert text == 'pods "p" is forbidden: minimum cpu usage per Pod is 500m, but limit is 100m'
