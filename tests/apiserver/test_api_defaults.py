"""Every default of the tables, on real manifests; and defaulting as a whole against the real API server's."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from api_world import config_map, dig, pod, service, workload

from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.memo import Memo
from k8sfsm.objects import from_json, to_json


def defaults_of(manifest: dict[str, Any]) -> dict[str, Any]:
    return dict(to_json(defaulted(from_json(manifest))))


def container(**fields: Any) -> list[dict[str, Any]]:
    return [{"name": "app", "image": "nginx:1", **fields}]


C = "spec.containers.0"
HTTP = {"httpGet": {"port": 80}}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "pod": (
        pod(),
        {
            "spec.restartPolicy": "Always",
            "spec.dnsPolicy": "ClusterFirst",
            "spec.terminationGracePeriodSeconds": 30,
            "spec.schedulerName": "default-scheduler",
            "spec.securityContext": {},
            "spec.enableServiceLinks": True,
            "spec.serviceAccount": None,
            f"{C}.imagePullPolicy": "IfNotPresent",
            f"{C}.terminationMessagePath": "/dev/termination-log",
            f"{C}.terminationMessagePolicy": "File",
        },
    ),
    "pod with everything set": (
        pod(
            restartPolicy="Never",
            dnsPolicy="Default",
            terminationGracePeriodSeconds=0,
            schedulerName="mine",
            securityContext={"runAsUser": 1},
            enableServiceLinks=False,
            serviceAccountName="me",
            containers=container(
                imagePullPolicy="Never", terminationMessagePath="/x", terminationMessagePolicy="FallbackToLogsOnError"
            ),
        ),
        {
            "spec.restartPolicy": "Never",
            "spec.dnsPolicy": "Default",
            "spec.terminationGracePeriodSeconds": 0,
            "spec.schedulerName": "mine",
            "spec.securityContext": {"runAsUser": 1},
            "spec.enableServiceLinks": False,
            "spec.serviceAccount": "me",
            f"{C}.imagePullPolicy": "Never",
            f"{C}.terminationMessagePath": "/x",
            f"{C}.terminationMessagePolicy": "FallbackToLogsOnError",
        },
    ),
    "image without a tag": (pod(containers=container(image="reg:5000/a/nginx")), {f"{C}.imagePullPolicy": "Always"}),
    "image latest": (pod(containers=container(image="nginx:latest")), {f"{C}.imagePullPolicy": "Always"}),
    "image latest with a digest": (
        pod(containers=container(image=f"nginx:latest@sha256:{'a' * 64}")),
        {f"{C}.imagePullPolicy": "IfNotPresent"},
    ),
    "no image name": (pod(containers=container(image=" x")), {f"{C}.imagePullPolicy": "IfNotPresent"}),
    "limits become requests": (
        pod(containers=container(resources={"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}})),
        {f"{C}.resources.requests": {"cpu": "100m", "memory": "1Gi"}},
    ),
    "amounts in milli": (
        pod(containers=container(resources={"limits": {"cpu": "100u"}, "requests": {"cpu": "1100u"}})),
        {f"{C}.resources": {"limits": {"cpu": "1m"}, "requests": {"cpu": "2m"}}},
    ),
    "port": (
        pod(containers=container(ports=[{"containerPort": 1}, {"containerPort": 2, "protocol": "UDP"}])),
        {f"{C}.ports.0.protocol": "TCP", f"{C}.ports.0.hostPort": None, f"{C}.ports.1.protocol": "UDP"},
    ),
    "host network": (
        pod(
            hostNetwork=True,
            containers=container(ports=[{"containerPort": 1}, {"containerPort": 2, "hostPort": 3}]),
            initContainers=[{"name": "i", "image": "nginx:1", "ports": [{"containerPort": 4}]}],
        ),
        {
            f"{C}.ports.0.hostPort": 1,
            f"{C}.ports.1.hostPort": 3,
            "spec.initContainers.0.ports.0.hostPort": 4,
            "spec.initContainers.0.imagePullPolicy": "IfNotPresent",
        },
    ),
    "probe": (
        pod(containers=container(livenessProbe=HTTP, readinessProbe={"grpc": {"port": 1}})),
        {
            f"{C}.livenessProbe": {
                "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
                "timeoutSeconds": 1,
                "periodSeconds": 10,
                "successThreshold": 1,
                "failureThreshold": 3,
            },
            f"{C}.readinessProbe.grpc.service": "",
        },
    ),
    "probe with everything set": (
        pod(
            containers=container(
                livenessProbe={
                    "httpGet": {"port": 80, "path": "/x", "scheme": "HTTPS"},
                    "timeoutSeconds": 2,
                    "periodSeconds": 3,
                    "successThreshold": 4,
                    "failureThreshold": 5,
                }
            )
        ),
        {
            f"{C}.livenessProbe": {
                "httpGet": {"port": 80, "path": "/x", "scheme": "HTTPS"},
                "timeoutSeconds": 2,
                "periodSeconds": 3,
                "successThreshold": 4,
                "failureThreshold": 5,
            }
        },
    ),
    "volumes": (
        pod(
            volumes=[
                {"name": "0"},
                {"name": "1", "configMap": {"name": "c"}},
                {"name": "2", "secret": {"secretName": "s"}},
                {"name": "3", "downwardAPI": {}},
                {"name": "4", "projected": {"sources": []}},
                {"name": "5", "hostPath": {"path": "/x"}},
                {"name": "6", "configMap": {"name": "c", "defaultMode": 256}},
                {"name": "7", "hostPath": {"path": "/x", "type": "File"}},
            ]
        ),
        {
            "spec.volumes.0.emptyDir": {},
            "spec.volumes.1.configMap.defaultMode": 420,
            "spec.volumes.2.secret.defaultMode": 420,
            "spec.volumes.3.downwardAPI.defaultMode": 420,
            "spec.volumes.4.projected.defaultMode": 420,
            "spec.volumes.5.hostPath": {"path": "/x", "type": ""},
            "spec.volumes.6.configMap.defaultMode": 256,
            "spec.volumes.6.emptyDir": None,
            "spec.volumes.7.hostPath.type": "File",
        },
    ),
    "variables": (
        pod(
            containers=container(
                env=[
                    {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v2"}}},
                    {"name": "C", "value": "x"},
                ]
            )
        ),
        {
            f"{C}.env.0.valueFrom.fieldRef": {"fieldPath": "metadata.name", "apiVersion": "v1"},
            f"{C}.env.1.valueFrom.fieldRef.apiVersion": "v2",
            f"{C}.env.2": {"name": "C", "value": "x"},
        },
    ),
    "deployment": (
        workload(),
        {
            "spec.replicas": 1,
            "spec.revisionHistoryLimit": 10,
            "spec.progressDeadlineSeconds": 600,
            "spec.strategy": {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"},
            },
            "spec.template.spec.restartPolicy": "Always",
            "spec.template.spec.enableServiceLinks": None,
        },
    ),
    "deployment with everything set": (
        workload(
            replicas=0,
            revisionHistoryLimit=0,
            progressDeadlineSeconds=5,
            strategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}},
        ),
        {
            "spec.replicas": 0,
            "spec.revisionHistoryLimit": 0,
            "spec.progressDeadlineSeconds": 5,
            "spec.strategy.rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0},
        },
    ),
    "rolling update without a block": (
        workload(strategy={"type": "RollingUpdate"}),
        {"spec.strategy.rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
    ),
    "recreate": (workload(strategy={"type": "Recreate"}), {"spec.strategy": {"type": "Recreate"}}),
    "recreate with a block": (
        workload(strategy={"type": "Recreate", "rollingUpdate": {}}),
        {"spec.strategy.rollingUpdate": {}},
    ),
    "templates": (
        workload(
            template={
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "hostNetwork": True,
                    "containers": container(resources={"limits": {"cpu": "1"}}, ports=[{"containerPort": 1}]),
                    "initContainers": [{"name": "i", "image": "x:1", "ports": [{"containerPort": 1}]}],
                },
            }
        ),
        {
            "spec.template.spec.containers.0.resources": {"limits": {"cpu": "1"}},
            "spec.template.spec.containers.0.ports.0.hostPort": None,
            "spec.template.spec.initContainers.0.ports.0.hostPort": None,
        },
    ),
    "replica set": (workload("ReplicaSet"), {"spec.replicas": 1}),
    "replica set of none": (workload("ReplicaSet", replicas=0), {"spec.replicas": 0}),
    "replication controller": (
        {"apiVersion": "v1", "kind": "ReplicationController", "metadata": {"name": "r"}, "spec": {}},
        {"spec.replicas": 1},
    ),
    "service": (
        service(),
        {
            "spec.type": "ClusterIP",
            "spec.sessionAffinity": "None",
            "spec.sessionAffinityConfig": None,
            "spec.internalTrafficPolicy": "Cluster",
            "spec.externalTrafficPolicy": None,
            "spec.ipFamilyPolicy": None,
            "spec.ipFamilies": None,
            "spec.allocateLoadBalancerNodePorts": None,
            "spec.ports.0": {"port": 80, "protocol": "TCP", "targetPort": 80},
        },
    ),
    "node port": (service(type="NodePort"), {"spec.externalTrafficPolicy": "Cluster"}),
    "external ips": (service(externalIPs=["1.2.3.4"]), {"spec.externalTrafficPolicy": "Cluster"}),
    "load balancer": (
        service(type="LoadBalancer"),
        {"spec.allocateLoadBalancerNodePorts": True, "spec.externalTrafficPolicy": "Cluster"},
    ),
    "affinity": (
        service(sessionAffinity="ClientIP"),
        {"spec.sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}}},
    ),
    "affinity with a timeout": (
        service(sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}}),
        {"spec.sessionAffinityConfig.clientIP.timeoutSeconds": 5},
    ),
    "affinity config for nothing": (
        service(sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}}),
        {"spec.sessionAffinityConfig": None, "spec.sessionAffinity": "None"},
    ),
    "affinity config, none asked": (
        service(sessionAffinity="None", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}}),
        {"spec.sessionAffinityConfig": None},
    ),
    "service with everything set": (
        service(
            type="LoadBalancer",
            internalTrafficPolicy="Local",
            externalTrafficPolicy="Local",
            ipFamilyPolicy="PreferDualStack",
            ipFamilies=["IPv6"],
            allocateLoadBalancerNodePorts=False,
            ports=[{"port": 80, "protocol": "UDP", "targetPort": "web"}],
        ),
        {
            "spec.internalTrafficPolicy": "Local",
            "spec.externalTrafficPolicy": "Local",
            "spec.ipFamilyPolicy": "PreferDualStack",
            "spec.ipFamilies": ["IPv6"],
            "spec.allocateLoadBalancerNodePorts": False,
            "spec.ports.0": {"port": 80, "protocol": "UDP", "targetPort": "web"},
        },
    ),
    "external name": (
        service(type="ExternalName", externalName="x.org"),
        {"spec.internalTrafficPolicy": None, "spec.ipFamilyPolicy": None, "spec.ipFamilies": None},
    ),
    "namespace": (
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "labels": {"a": "b"}}},
        {"metadata.labels": {"a": "b", "kubernetes.io/metadata.name": "n"}},
    ),
    "other kinds": (config_map(), {"spec": None, "data": None}),
}


@pytest.mark.parametrize("name", CASES)
def test_defaults(name: str) -> None:
    manifest, expected = CASES[name]
    found = defaults_of(manifest)
    assert {path: dig(found, path) for path in expected} == expected


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer", "ClusterIP"])
def test_types_of_services_have_traffic_policies(kind: str) -> None:
    assert defaults_of(service(type=kind))["spec"]["internalTrafficPolicy"] == "Cluster"


def test_ports_of_endpoints_and_slices_are_tcp() -> None:
    meta = {"name": "s", "namespace": "a"}
    ports = [{"port": 80}, {"name": "dns", "port": 53, "protocol": "UDP"}]
    endpoints = {"apiVersion": "v1", "kind": "Endpoints", "metadata": meta, "subsets": [{"ports": ports}]}
    (subset,) = defaults_of(endpoints)["subsets"]
    assert subset["ports"] == [{"port": 80, "protocol": "TCP"}, ports[1]]
    cut = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4"}
    found = defaults_of({**cut, "endpoints": [], "ports": ports})["ports"]
    assert found == [{"name": "", "port": 80, "protocol": "TCP"}, ports[1]]


@pytest.mark.parametrize("name", CASES)
def test_defaulting_again_changes_nothing(name: str) -> None:
    once = defaulted(from_json(CASES[name][0]))
    assert defaulted(once) is once


def recorded(data: Path) -> list[Any]:
    with gzip.open(data / "apiserver" / "defaulted.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def test_defaults_of_the_real_api_server(data: Path) -> None:
    cases = recorded(data)
    assert len(cases) > 300
    for case in cases:
        found = defaults_of(case["in"])
        for spec in (found["spec"], found["spec"].get("template", {}).get("spec", {})):
            spec.pop("serviceAccount", None)  # not a default: the stored form names the account twice
        assert found == case["out"]


def test_a_memo_is_bounded_and_goes_by_identity() -> None:
    memo = Memo()
    parts = [(str(number) + "x",) for number in range(5000)]
    for number, part in enumerate(parts):
        memo.put(part, number)
    assert len(memo) <= 4096
    assert memo.get(parts[-1]) == 4999
    assert memo.get(("".join(["4999", "x"]),)) is None
