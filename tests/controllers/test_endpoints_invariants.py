"""At rest, every pod that a Service selects stands in its Endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.endpoints_invariants import pods_have_addresses
from k8sfsm.objects import from_json
from k8sfsm.view import View

NAMESPACE: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}
LEAVING = {**NAMESPACE, "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}}
SERVICE: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Service",
    "metadata": {"name": "web", "namespace": "a"},
    "spec": {"selector": {"app": "web"}, "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ports": [{"port": 80}]},
}
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web-1", "namespace": "a", "uid": "u", "labels": {"app": "web"}},
    "spec": {"nodeName": "n", "containers": [{"name": "app", "image": "x"}]},
    "status": {
        "phase": "Running",
        "podIP": "10.1.0.5",
        "podIPs": [{"ip": "10.1.0.5"}],
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}
OTHER = {**POD, "metadata": {**POD["metadata"], "labels": {"app": "db"}}}


def endpoints(ip: str) -> dict[str, Any]:
    subset = {"addresses": [{"ip": ip}], "ports": [{"port": 80, "protocol": "TCP"}]}
    return {"apiVersion": "v1", "kind": "Endpoints", "metadata": SERVICE["metadata"], "subsets": [subset]}


def found(*documents: dict[str, Any]) -> list[str]:
    return list(pods_have_addresses(View.of([from_json(document) for document in documents], now=0)))


def test_a_pod_that_is_selected_must_be_listed() -> None:
    missing = "Service a/web selects the pod web-1, its Endpoints do not have 10.1.0.5"
    assert found(NAMESPACE, SERVICE, POD) == [missing]
    assert found(NAMESPACE, SERVICE, POD, endpoints("10.1.0.6")) == [missing]
    assert found(NAMESPACE, SERVICE, POD, endpoints("10.1.0.5")) == []


@pytest.mark.parametrize(
    "documents",
    [
        (NAMESPACE, SERVICE, OTHER),
        (LEAVING, SERVICE, POD),
        (SERVICE, POD),
        (NAMESPACE, {**SERVICE, "spec": {**SERVICE["spec"], "type": "ExternalName", "externalName": "b.example"}}, POD),
        (NAMESPACE, {**SERVICE, "spec": {"ports": [{"port": 80}]}}, POD),
    ],
    ids=["not selected", "namespace leaves", "namespace gone", "external", "no selector"],
)
def test_nobody_lists_it_where_nobody_has_to(documents: tuple[dict[str, Any], ...]) -> None:
    assert found(*documents) == []


def test_what_has_no_room_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("k8sfsm.law._values", {"endpoints_capacity": 0})
    assert found(NAMESPACE, SERVICE, POD) == []
