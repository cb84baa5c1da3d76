"""What is read of a changed object is what would be read of it alone."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from k8sfsm.objects import changed_from_json, from_json

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a", "namespace": "b", "labels": {"app": "web"}, "resourceVersion": "7"},
    "spec": {
        "nodeName": "node-1",
        "containers": [{"name": "one", "image": "sim/ok:1", "env": [{"name": "X", "value": "1"}]}, {"name": "two"}],
    },
    "status": {
        "phase": "Pending",
        "conditions": [
            {"type": "Ready", "status": "False", "lastTransitionTime": "2026-01-15T12:00:00Z"},
            {"type": "PodScheduled", "status": "True"},
        ],
    },
}


def changed(*path: Any, to: Any) -> dict[str, Any]:
    """The pod with something else at a path (None: nothing), sharing what is beside it."""
    made: Any = copy.copy(POD)
    at = made
    for name in path[:-1]:
        at[name] = copy.copy(at[name])
        at = at[name]
    at[path[-1]] = to
    if to is None:
        del at[path[-1]]
    return made  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    "after",
    [
        POD,
        copy.deepcopy(POD),
        changed("metadata", "resourceVersion", to="8"),
        changed("metadata", "labels", to={"app": "db"}),
        changed("metadata", "labels", to=None),
        changed("spec", "nodeName", to=None),
        changed("spec", "containers", 0, "image", to="sim/ok:2"),
        changed("spec", "containers", 0, "env", to=None),
        changed("spec", "containers", to=POD["spec"]["containers"][:1]),
        changed("spec", "containers", to=[*POD["spec"]["containers"], {"name": "three"}]),
        changed("spec", "containers", to=POD["spec"]["containers"][::-1]),
        changed("spec", "containers", to=()) | {"spec": {"containers": None}},
        changed("status", "conditions", 0, "lastTransitionTime", to="2026-01-15T12:00:09Z"),
        changed("status", "conditions", 0, "lastTransitionTime", to=None),
        changed("status", to=None),
        changed("spec", "securityContext", to={"runAsUser": 1}),
    ],
)
def test_only_what_changed_is_read(after: dict[str, Any]) -> None:
    known = from_json(POD)
    made = changed_from_json(known, POD, after)
    assert made == from_json(after)
    assert known == from_json(POD)


def test_what_did_not_change_is_the_same_value() -> None:
    known = from_json(POD)
    made = changed_from_json(known, POD, changed("status", "conditions", 0, "status", to="True"))
    assert made.spec is known.spec and made.metadata is known.metadata
    assert made.status.conditions[1] is known.status.conditions[1]
    assert made.status.conditions[0].status == "True"


@pytest.mark.parametrize(
    "after",
    [
        changed("status", "phase", to=3),
        changed("spec", "containers", to={}),
        changed("status", "conditions", 0, to="Ready"),
        changed("status", "madeUp", to="x"),
        changed("kind", to="Node"),
    ],
)
def test_what_cannot_be_read_so_is_left_to_the_plain_way(after: dict[str, Any]) -> None:
    assert changed_from_json(from_json(POD), POD, after) is None
