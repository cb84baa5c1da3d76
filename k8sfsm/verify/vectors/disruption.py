"""Vectors of PodDisruptionBudgets."""

from __future__ import annotations

from typing import Any

from k8sfsm.controllers.disruption import Look
from k8sfsm.objects import from_json, parse_time, to_json
from k8sfsm.verify.vectors import target
from k8sfsm.view import View


@target("pdb_status")
def pdb_status(given: dict[str, Any]) -> Any:
    """DisruptionController.trySync: the status that is written; none where it is as it should be."""
    budget = from_json(given["pdb"])
    objects = [from_json(each) for kind in ("pods", "replicaSets", "deployments") for each in given[kind] or ()]
    look = Look(budget, View.of((budget, *objects), now=parse_time(given["now"])))
    if look.status == budget.status:
        return {"status": None, "conditions": None, "error": None}
    status = to_json(look.status)
    conditions = {
        each["type"]: {name: each[name] for name in ("status", "reason", "observedGeneration")}
        for each in status.pop("conditions")
    }
    return {"status": status, "conditions": conditions, "error": None}
