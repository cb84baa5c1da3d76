"""Vectors of what `kubectl get` prints."""

from __future__ import annotations

from typing import Any

from k8sfsm.objects import from_json, parse_time
from k8sfsm.printer import row_of
from k8sfsm.verify.vectors import target

_CONDITIONS = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}
"""Conditions of rows, by phase; kubectl itself does not look at them."""


def _cells(given: dict[str, Any], name: str, kind: str, *, wide: bool = True) -> dict[str, Any]:
    return {"cells": row_of(from_json(given[name], kind), parse_time(given["now"]), wide=wide)}


@target("printer_pod")
def printer_pod(given: dict[str, Any]) -> Any:
    """The row of a Pod."""
    phase = given["pod"].get("status", {}).get("phase", "")
    condition = {"type": "Completed", "status": "True", "reason": phase, "message": _CONDITIONS.get(phase)}
    return {**_cells(given, "pod", "Pod"), "rowConditions": [condition] if phase in _CONDITIONS else None}


@target("printer_deployment")
def printer_deployment(given: dict[str, Any]) -> Any:
    """The row of a Deployment."""
    return _cells(given, "deployment", "Deployment")


@target("printer_replicaset")
def printer_replicaset(given: dict[str, Any]) -> Any:
    """The row of a ReplicaSet."""
    return _cells(given, "replicaSet", "ReplicaSet")


@target("printer_service")
def printer_service(given: dict[str, Any]) -> Any:
    """The rows of a Service."""
    return {
        "narrow": _cells(given, "service", "Service", wide=False),
        "wide": _cells(given, "service", "Service", wide=True),
    }


@target("printer_node")
def printer_node(given: dict[str, Any]) -> Any:
    """The row of a Node."""
    return _cells(given, "node", "Node")
