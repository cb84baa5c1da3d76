"""Vectors of the garbage collector: one look at an object, its owners and its dependents."""

from __future__ import annotations

import json
from typing import Any

from k8sfsm.controllers.garbagecollector import GarbageCollector, Item, law
from k8sfsm.objects import KINDS, from_json, key_of
from k8sfsm.request import Delete, Look, Patch
from k8sfsm.store import Snapshot, Store
from k8sfsm.verify.vectors import target
from k8sfsm.view import View

_PATCH_TYPES = {"merge": "application/merge-patch+json", "strategic": "application/strategic-merge-patch+json"}


def _snapshot(objects: list[dict[str, Any]]) -> Snapshot:
    """The objects in the order given, each with the resourceVersion that it has."""
    snapshot = Snapshot()
    for number, obj in enumerate(map(from_json, objects), start=1):
        snapshot = snapshot.put(number, key_of(obj), obj)
    return snapshot


def _same(expected: Any, got: Any) -> bool:
    """Equality, where the patches are JSON texts and dependents are queued in any order."""
    for action in (actions := [dict(action) for action in expected["actions"]]):
        if "patch" in action:
            action["patch"] = json.loads(action["patch"])
    return bool(
        got == {**expected, "actions": actions, "dependentsQueued": sorted(expected.get("dependentsQueued") or ())}
    )


@target("gc_decision", compare=_same)
def gc_decision(given: dict[str, Any]) -> Any:
    """attemptToDeleteItem: `item` and `dependents` are the graph, `liveObjects` what the API server has."""
    graph = _snapshot([given["item"], *given["dependents"]])
    view = View(0, graph, store=Store(_snapshot(given["liveObjects"])))
    key = key_of(from_json(given["item"]))
    item = Item(view.get(*key), view)
    plan = GarbageCollector().reconcile(view, key)
    result = {"result": "virtualDelete"} if law.decide("item", item).rule.endswith("/virtual") else {}
    names = {
        state: [owner.name for owner, its in item.references if its == state]
        for state in ("solid", "dangling", "waiting")
    }
    return {
        "actions": [_action(step) for step in plan.steps if not isinstance(step, Look)],
        "dependentsQueued": sorted(step.key[2] for step in plan.steps if isinstance(step, Look)),
        "solid": names["solid"],
        "dangling": names["dangling"],
        "waitingForDependentsDeletion": names["waiting"],
        **result,
    }


def _action(step: Any) -> dict[str, Any]:
    assert isinstance(step, Patch | Delete)
    kind, _, name = step.key
    action = {"name": name, "resource": KINDS[kind].resource}
    if isinstance(step, Delete):
        preconditions = {"resourceVersion": step.resource_version, "uid": step.uid}
        return {**action, "verb": "delete", "preconditions": preconditions, "propagationPolicy": step.propagation}
    return {**action, "verb": "patch", "patch": step.body, "patchType": _PATCH_TYPES[step.type]}
