"""LimitRanges: pods that pass the server with and without them."""

from __future__ import annotations

from typing import Any

from api_world import World, dig, pod

from k8sfsm.objects import from_json, to_json
from k8sfsm.request import Create

NOTE = "kubernetes.io/limit-ranger"


def limit_range(*limits: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "limits", "namespace": "a"}
    return {"apiVersion": "v1", "kind": "LimitRange", "metadata": meta, "spec": {"limits": list(limits)}}


def test_a_pod_gets_what_it_leaves_out() -> None:
    world = World()
    world.make(limit_range({"type": "Container", "max": {"cpu": "2"}, "min": {"memory": "1Mi"}}))
    made = to_json(
        world.make(pod(containers=[{"name": "app", "image": "x:1", "resources": {"limits": {"memory": "2Mi"}}}]))
    )
    assert dig(made, "spec.containers.0.resources") == {
        "limits": {"cpu": "2", "memory": "2Mi"},
        "requests": {"cpu": "2", "memory": "2Mi"},
    }
    said = "LimitRanger plugin set: cpu request for container app; cpu limit for container app"
    assert made["metadata"]["annotations"] == {NOTE: said}
    assert NOTE not in (to_json(World().make(pod()))["metadata"].get("annotations") or {})


def test_a_request_comes_from_the_least_where_nothing_else_says_one() -> None:
    world = World()
    world.make(limit_range({"type": "Container", "min": {"memory": "1Mi"}}))
    made = to_json(world.make(pod()))
    assert dig(made, "spec.containers.0.resources") == {"requests": {"memory": "1Mi"}}


def test_a_pod_that_breaks_bounds_is_refused() -> None:
    world = World()
    world.make(
        limit_range(
            {"type": "Container", "default": {"cpu": "3"}, "max": {"cpu": "2"}}, {"type": "Pod", "max": {"cpu": "1"}}
        )
    )
    one = "maximum cpu usage per Container is 2, but limit is 3"
    two = "maximum cpu usage per Pod is 1, but limit is 3"
    refused = world.refused(Create(object=from_json(pod())))
    assert refused == (403, "Forbidden", f'pods "p" is forbidden: [{one}, {two}]')
    world = World()
    world.make(limit_range({"type": "Pod", "min": {"cpu": "1"}}))
    text = "minimum cpu usage per Pod is 1.  No request is specified"
    assert world.refused(Create(object=from_json(pod())))[2] == f'pods "p" is forbidden: {text}'
    low = pod(
        containers=[{"name": "app", "image": "x:1", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}}]
    )
    world.make(low)
