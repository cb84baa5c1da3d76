"""Validation: every error, word for word, and that valid objects have none.

What `breaches.jsonl` expects was read from the validation of Kubernetes v1.36; `test_api_vectors.py` has what it said.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from api_world import World, config_map, pod, service, workload
from attrs import evolve

from k8sfsm.apiserver import own_rules
from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.valid import CONSTRAINTS, formats
from k8sfsm.apiserver.validation import faults, invalid, warnings
from k8sfsm.law import Law
from k8sfsm.objects import Toleration, from_json
from k8sfsm.request import Create, Delete, Patch, Update

BREACHES = [json.loads(line) for line in (Path(__file__).parent.parent / "data/apiserver/breaches.jsonl").open()]
ONE = {"name": "app", "image": "nginx:1"}


def read(manifest: dict[str, Any] | None) -> Any:
    return None if manifest is None else defaulted(from_json(manifest))


@pytest.mark.parametrize("case", BREACHES, ids=[case["name"] for case in BREACHES])
def test_breaches(case: dict[str, Any]) -> None:
    assert [str(fault) for fault in faults(read(case.get("old")), read(case["new"]))] == case["errors"]


@pytest.mark.parametrize("name", ["deployment", "pod", "service"])
def test_a_valid_object_is_stored(name: str) -> None:
    World().make({"deployment": workload(), "pod": pod(), "service": service()}[name])


def test_several_errors_are_told_together_and_each_once() -> None:
    owner = {"apiVersion": "v1", "kind": "X", "name": "", "uid": ""}
    manifest = config_map(ownerReferences=[owner, owner])
    text = World().refused(Create(object=from_json(manifest)))
    says = 'metadata.ownerReferences.{}: Invalid value: "": must not be empty'
    assert text == (422, "Invalid", f'ConfigMap "c" is invalid: [{says.format("name")}, {says.format("uid")}]')
    text = World().refused(Create(object=from_json(workload(replicas=-1))))
    error = "spec.replicas: Invalid value: -1: must be greater than or equal to 0"
    assert text == (422, "Invalid", f'Deployment.apps "d" is invalid: {error}')


def test_annotations_are_limited() -> None:
    limit = 256 * 1024
    assert faults(None, from_json(config_map(annotations={"a": "x" * (limit - 1)}))) == ()
    found = faults(None, from_json(config_map(annotations={"a": "x" * limit})))
    assert list(map(str, found)) == [f"metadata.annotations: Too long: may not be more than {limit} bytes"]
    assert found[0].type == "FieldValueTooLong"


def test_a_service_without_affinity_has_no_settings_of_it() -> None:
    made = read(service())
    client = from_json(service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 1}}))
    odd = evolve(made, spec=evolve(made.spec, session_affinity_config=client.spec.session_affinity_config))
    text = "spec.sessionAffinityConfig: Forbidden: must not be set when session affinity is None"
    assert list(map(str, faults(None, odd))) == [text]
    bare = evolve(made, spec=evolve(made.spec, session_affinity="ClientIP"))
    text = "spec.sessionAffinityConfig: Required value: when session affinity type is ClientIP"
    assert list(map(str, faults(None, bare))) == [text]
    client = evolve(client.spec.session_affinity_config, client_ip=None)
    half = evolve(made, spec=evolve(made.spec, session_affinity="ClientIP", session_affinity_config=client))
    text = "spec.sessionAffinityConfig.clientIP: Required value: when session affinity type is ClientIP"
    assert list(map(str, faults(None, half))) == [text]


UNDEFAULTED = {
    "pod": (
        pod(),
        [
            "spec.terminationGracePeriodSeconds: Required value",
            "spec.containers[0].terminationMessagePolicy: Required value",
            "spec.containers[0].imagePullPolicy: Required value",
            "spec.restartPolicy: Required value",
            "spec.dnsPolicy: Required value",
        ],
    ),
    "service": (
        service(type="LoadBalancer", ports=[{"port": 1, "targetPort": 1}]),
        [
            "spec.ports[0].protocol: Required value",
            "spec.sessionAffinity: Required value",
            "spec.allocateLoadBalancerNodePorts: Required value",
            "spec.externalTrafficPolicy: Required value",
            "spec.internalTrafficPolicy: Required value",
        ],
    ),
    "typeless service": (
        service(sessionAffinity="None", ports=[{"port": 1, "targetPort": 1, "protocol": "TCP"}]),
        ["spec.type: Required value"],
    ),
    "deployment": (
        workload(strategy={"type": "RollingUpdate"}, template={"metadata": {"labels": {"app": "web"}}}),
        [
            "spec.template.spec.terminationGracePeriodSeconds: Required value",
            "spec.template.spec.containers: Required value",
            "spec.template.spec.restartPolicy: Required value",
            "spec.template.spec.dnsPolicy: Required value",
            "spec.strategy.rollingUpdate: Required value: this should be defaulted and never be nil",
        ],
    ),
    "volume": (
        pod(volumes=[{"name": "v"}], containers=[]),
        ["spec.volumes[0]: Required value: must specify a volume type"],
    ),
    "path": (
        pod(containers=[{**ONE, "livenessProbe": {"httpGet": {"port": 1}, "successThreshold": 1}}]),
        ["spec.containers[0].livenessProbe.httpGet.path: Required value"],
    ),
    "port": (
        pod(containers=[{**ONE, "ports": [{"containerPort": 1}]}]),
        ["spec.containers[0].ports[0].protocol: Required value"],
    ),
    "field": (
        pod(containers=[{**ONE, "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]}]),
        ["spec.containers[0].env[0].valueFrom.fieldRef.apiVersion: Required value"],
    ),
    "file": (
        pod(
            volumes=[
                {"name": "v", "downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "metadata.uid"}}]}}
            ]
        ),
        ["spec.volumes[0].downwardAPI.items[0].fieldRef.apiVersion: Required value"],
    ),
}


@pytest.mark.parametrize("name", UNDEFAULTED)
def test_what_defaults_fill_in_is_required(name: str) -> None:
    manifest, errors = UNDEFAULTED[name]
    found = [str(fault) for fault in faults(None, from_json(manifest))]
    assert [error for error in found if error in errors] == errors


def test_rows_name_constraints_formats_and_tables_that_there_are() -> None:
    law = Law("apiserver")
    files = [file for file in law.controllers() if file.prefix in ("validation", "warnings")]
    tables = {name: table for file in files for name, table in file.tables.items()}
    rows = [rule.outputs for table in tables.values() for rule in table.rules.values()]
    named = {row.get("must") or "never" for row in rows}
    own = {name for name, check in CONSTRAINTS.items() if check.__module__ == own_rules.__name__}
    assert named == set(CONSTRAINTS) - own and len(own) == 2
    for row in rows:
        of = row.get("of")
        if row.get("must") in ("be", "each", "amounts", "unique-sound"):
            assert of in tables
        if row.get("must") in ("format", "strict-format", "strict-optional", "joined-format", "prefix"):
            assert formats.is_format(of)


def test_what_was_sound_once_is_not_judged_again_unless_it_changes() -> None:
    made = read(pod(name="a"))
    assert invalid(None, made) == "" == invalid(None, evolve(made, metadata=evolve(made.metadata, name="b")))
    bad = evolve(made, metadata=evolve(made.metadata, name="B"))
    assert invalid(None, bad).startswith("metadata.name: Invalid value")
    bad = evolve(made, metadata=evolve(made.metadata, namespace="B"))
    assert invalid(None, bad).startswith("metadata.namespace: Invalid value")
    assert invalid(None, evolve(made, metadata=evolve(made.metadata, name=""))).startswith("metadata.name: Required")
    assert invalid(made, made) == ""
    other = evolve(made, metadata=evolve(made.metadata, name="b"))
    assert invalid(made, other) == 'metadata.name: Invalid value: "b": field is immutable'


def port(**fields: Any) -> dict[str, Any]:
    return {"containerPort": 80, **fields}


def ports(*groups: Any) -> dict[str, Any]:
    return pod(containers=[{"name": f"c{n}", "image": "x:1", "ports": group} for n, group in enumerate(groups)])


NO_SELECTOR = {"topologyKey": "k"}
SPREAD = {"maxSkew": 1, "topologyKey": "beta.kubernetes.io/arch", "whenUnsatisfiable": "ScheduleAnyway"}
NODE_TERM = {"matchExpressions": [{"key": "beta.kubernetes.io/os", "operator": "Exists"}]}
WANTED = "requiredDuringSchedulingIgnoredDuringExecution"
WISHED = "preferredDuringSchedulingIgnoredDuringExecution"
NULL = "a null labelSelector results in matching no pod"
P0, P1 = "spec.containers[0].ports[0]", "spec.containers[1].ports[0]"
WARNED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "labels of nodes": (
        pod(
            nodeSelector={
                "beta.kubernetes.io/instance-type": "x",
                "failure-domain.beta.kubernetes.io/zone": "x",
                "failure-domain.beta.kubernetes.io/region": "x",
                "kubernetes.io/os": "linux",
            }
        ),
        [
            "spec.nodeSelector[beta.kubernetes.io/instance-type]: deprecated since v1.17; "
            'use "node.kubernetes.io/instance-type" instead',
            "spec.nodeSelector[failure-domain.beta.kubernetes.io/zone]: deprecated since v1.17; "
            'use "topology.kubernetes.io/zone" instead',
            "spec.nodeSelector[failure-domain.beta.kubernetes.io/region]: deprecated since v1.17; "
            'use "topology.kubernetes.io/region" instead',
        ],
    ),
    "node affinity": (
        pod(
            affinity={
                "nodeAffinity": {
                    WANTED: {"nodeSelectorTerms": [NODE_TERM]},
                    WISHED: [{"weight": 1, "preference": NODE_TERM}],
                }
            }
        ),
        [
            f"spec.affinity.nodeAffinity.{where}.matchExpressions[0].key: beta.kubernetes.io/os is deprecated since "
            'v1.14; use "kubernetes.io/os" instead'
            for where in (f"{WANTED}.nodeSelectorTerms[0]", f"{WISHED}[0].preference")
        ],
    ),
    "spread": (
        pod(topologySpreadConstraints=[SPREAD]),
        [
            "spec.topologySpreadConstraints[0].topologyKey: beta.kubernetes.io/arch is deprecated since v1.14; "
            'use "kubernetes.io/arch" instead',
            f"spec.topologySpreadConstraints[0].labelSelector: {NULL}",
        ],
    ),
    "pod affinity": (
        pod(
            affinity={
                kind: {WANTED: [NO_SELECTOR], WISHED: [{"weight": 1, "podAffinityTerm": NO_SELECTOR}]}
                for kind in ("podAffinity", "podAntiAffinity")
            }
        ),
        [
            f"spec.affinity.{where}.labelSelector: {NULL}"
            for kind in ("podAffinity", "podAntiAffinity")
            for where in (f"{kind}.{WANTED}[0]", f"{kind}.{WISHED}[0].podAffinityTerm")
        ],
    ),
    "volumes": (
        pod(
            volumes=[
                {"name": "v", name: {}}
                for name in [
                    "photonPersistentDisk",
                    "gitRepo",
                    "scaleIO",
                    "flocker",
                    "storageos",
                    "quobyte",
                    "glusterfs",
                    "cephfs",
                    "rbd",
                    "emptyDir",
                ]
            ]
        ),
        [
            "spec.volumes[0].photonPersistentDisk: deprecated in v1.11, non-functional in v1.16+",
            "spec.volumes[1].gitRepo: deprecated in v1.11, and disabled by default in v1.33+",
            "spec.volumes[2].scaleIO: deprecated in v1.16, non-functional in v1.22+",
            "spec.volumes[3].flocker: deprecated in v1.22, non-functional in v1.25+",
            "spec.volumes[4].storageos: deprecated in v1.22, non-functional in v1.25+",
            "spec.volumes[5].quobyte: deprecated in v1.22, non-functional in v1.25+",
            "spec.volumes[6].glusterfs: deprecated in v1.25, non-functional in v1.26+",
            "spec.volumes[7].cephfs: deprecated in v1.28, non-functional in v1.31+",
            "spec.volumes[8].rbd: deprecated in v1.28, non-functional in v1.31+",
        ],
    ),
    "twice": (
        pod(
            hostAliases=[{"ip": "1.1.1.1"}, {"ip": "1.1.1.1"}],
            imagePullSecrets=[{"name": "s"}, {"name": "s"}, {}],
        ),
        [
            'spec.hostAliases[1].ip: duplicate ip "1.1.1.1"',
            'spec.imagePullSecrets[1].name: duplicate name "s"',
            'spec.imagePullSecrets[2].name: invalid empty name ""',
        ],
    ),
    "bytes": (
        pod(
            overhead={"memory": "100m"},
            initContainers=[
                {"name": "i", "image": "x:1", "resources": {"limits": {"ephemeral-storage": "1m"}}},
                {"name": "j", "image": "x:1", "resources": {"requests": {"memory": "1m", "cpu": "1m"}}},
            ],
        ),
        [
            f"{where}: fractional byte value {amount} is invalid, must be an integer"
            for where, amount in (
                ("spec.overhead[memory]", '"100m"'),
                ("spec.initContainers[0].resources.limits[ephemeral-storage]", '"1m"'),
                ("spec.initContainers[0].resources.requests[ephemeral-storage]", '"1m"'),
                ("spec.initContainers[1].resources.requests[memory]", '"1m"'),
            )
        ],
    ),
    "variables": (
        pod(
            initContainers=[
                {"name": "i", "image": "x:1", "env": [{"name": "A", "value": "1"}, {"name": "A", "value": "$(A)"}]}
            ],
            containers=[
                {
                    **ONE,
                    "env": [
                        {"name": "A", "value": "1"},
                        {"name": "A", "value": "$(A)2"},
                        {"name": "A", "value": "3"},
                        {"name": "A", "value": "$(A)x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    ],
                }
            ],
        ),
        [
            f'spec.{where}: hides previous definition of "A", which may be dropped when using apply'
            for where in ("initContainers[0].env[1]", "containers[0].env[2]", "containers[0].env[3]")
        ],
    ),
    "address without port": (
        ports([port(hostIP="1.1.1.1", name="x")]),
        [f"{P0}: hostIP set without hostPort: {{Name:x HostPort:0 ContainerPort:80 Protocol:TCP HostIP:1.1.1.1}}"],
    ),
    "same port": (ports([port()], [port()]), [f"{P1}: duplicate port definition with {P0}"]),
    "other protocol": (ports([port()], [port(protocol="UDP")]), []),
    "overlap": (ports([port()], [port(hostPort=1)]), [f"{P1}: overlapping port definition with {P0}"]),
    "ambiguous": (
        ports([port(hostPort=1)], [port(hostPort=1, hostIP="1.1.1.1")]),
        [f"{P1}: dangerously ambiguous port definition with {P0}"],
    ),
    "other address": (ports([port(hostPort=1, hostIP="1.1.1.1")], [port(hostPort=1, hostIP="1.1.1.2")]), []),
    "other host port": (ports([port(hostPort=1)], [port(hostPort=2)]), []),
    "port name": (
        ports([port(name="x")], [port(name="x", containerPort=81)]),
        [
            f'{P1}: duplicate port name "x" with {P0}, services and probes that select ports by name will use {P0}',
        ],
    ),
    "name": (
        pod(name="a.b"),
        [
            "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label "
            "is recommended: [must not contain dots]"
        ],
    ),
}


@pytest.mark.parametrize("name", WARNED)
def test_warnings(name: str) -> None:
    manifest, said = WARNED[name]
    assert list(warnings(read(manifest))) == said


def test_warnings_of_annotations_templates_and_what_a_kubelet_cannot_do() -> None:
    old = {
        "scheduler.alpha.kubernetes.io/critical-pod": 'v1.16+; use the "priorityClassName"',
        "security.alpha.kubernetes.io/sysctls": 'v1.11+; use the "sysctls"',
        "security.alpha.kubernetes.io/unsafe-sysctls": 'v1.11+; use the "sysctls"',
    }
    manifest = pod()
    manifest["metadata"]["annotations"] = dict.fromkeys(old, "")
    assert list(warnings(read(manifest))) == [
        f"metadata.annotations[{name}]: non-functional in {said} field instead" for name, said in old.items()
    ]
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [ONE], "hostAliases": [{}, {}]}}
    for kind in ("Deployment", "ReplicaSet"):
        said = warnings(read(workload(kind, template=template)))
        assert said == ('spec.template.spec.hostAliases[1].ip: duplicate ip ""',)
    made = read(pod())
    negative = evolve(made, spec=evolve(made.spec, termination_grace_period_seconds=-1))
    assert warnings(negative) == (
        "spec.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1",
    )
    assert warnings(read(service())) == ()


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet"])
def test_selectors_are_fixed(kind: str) -> None:
    world = World()
    made = world.make(workload(kind))
    changed = from_json(workload(kind, selector={"matchExpressions": [{"key": "app", "operator": "Exists"}]}))
    given = '{"matchExpressions":[{"key":"app","operator":"Exists"}]}'
    error = f"spec.selector: Invalid value: {given}: field is immutable"
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
    error += ', found new finalizers []string{"x.org/new"}'
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
        {"containers": (evolve(container, command=("x",)),)},
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
    assert (code, text) == (
        422,
        'Service "s" is invalid: spec.clusterIPs[0]: Invalid value: ["10.96.0.200"]: may not change once set',
    )
