"""Which kinds have which parts that are written by themselves; a version that is not served."""

from __future__ import annotations

import pytest
from api_world import World, config_map, pod, workload

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.strategy import StrategyCase
from k8sfsm.objects import from_json
from k8sfsm.request import Create, Patch, Update

NOT_SERVED = (404, "NotFound", "the server could not find the requested resource")
STATELESS = [
    "ConfigMap",
    "Secret",
    "ServiceAccount",
    "Endpoints",
    "EndpointSlice",
    "Event",
    "Lease",
    "LimitRange",
    "PodTemplate",
    "ControllerRevision",
    "PriorityClass",
    "StorageClass",
    "RuntimeClass",
    "IngressClass",
    "CSIDriver",
    "CSINode",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
]
SERVED = [
    ("Deployment", "scale"),
    ("ReplicaSet", "scale"),
    ("StatefulSet", "scale"),
    ("ReplicationController", "scale"),
    ("Pod", "ephemeralcontainers"),
    ("Namespace", "finalize"),
    ("Pod", "status"),
    ("Job", "status"),
    ("Pod", ""),
]
OTHERS = [
    ("Pod", "scale"),
    ("Namespace", "scale"),
    ("Deployment", "ephemeralcontainers"),
    ("Pod", "finalize"),
    ("Pod", "nonsense"),
    *((kind, "status") for kind in STATELESS),
]


def served(kind: str, subresource: str) -> bool:

    return bool(law.decide("subresources", StrategyCase(kind, subresource)).outputs["served"])


@pytest.mark.parametrize(("kind", "subresource"), SERVED)
def test_parts_that_are_served(kind: str, subresource: str) -> None:
    assert served(kind, subresource)


@pytest.mark.parametrize(("kind", "subresource"), OTHERS)
def test_parts_that_are_not(kind: str, subresource: str) -> None:
    assert not served(kind, subresource)


def test_a_part_that_is_not_served_is_not_found() -> None:
    world = World()
    world.make(pod())
    world.make(config_map())
    assert world.refused(Patch(key=("Pod", "a", "p"), body={}, subresource="scale")) == NOT_SERVED
    assert world.refused(Update(object=from_json(config_map()), subresource="status")) == NOT_SERVED
    world.make(workload())
    assert world.send(Patch(key=("Deployment", "a", "d"), body={"spec": {"replicas": 3}}, subresource="scale")).ok


def test_a_version_that_is_not_served_is_not_found() -> None:
    world = World()
    for version in ("v2", "apps/v1"):
        document = {**pod(), "apiVersion": version}
        assert world.refused(Create(object=from_json(document))) == NOT_SERVED
    event = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "a"}}
    assert world.send(Create(object=from_json(event))).ok
