"""The subresource `resize`: other resources for a pod's containers, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from api_world import World, pod

from k8sfsm.request import Patch

KEY = ("Pod", "a", "p")
SIZED = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m"}}


def world(resources: dict[str, Any] | None = None) -> World:
    there = World()
    container = {"name": "app", "image": "i:1", "resources": SIZED if resources is None else resources}
    there.make(pod(containers=[container]))
    return there


def patch(resources: Any, **spec: Any) -> Patch:
    body = {"spec": {"containers": [{"name": "app", "resources": resources}], **spec}}
    return Patch(key=KEY, body=body, type="strategic", subresource="resize")


def test_resources_change_and_the_generation_grows() -> None:
    there = world()
    pod_ = there.done(patch({"requests": {"cpu": "150m"}, "limits": {"cpu": "300m"}}))
    [container] = pod_.spec.containers
    assert {name: str(amount) for name, amount in container.resources.requests.items()} == {
        "cpu": "150m",
        "memory": "64Mi",
    }
    assert str(container.resources.limits["cpu"]) == "300m" and pod_.metadata.generation == 2
    policy = {
        "spec": {
            "containers": [{"name": "app", "resizePolicy": [{"resourceName": "cpu", "restartPolicy": "NotRequired"}]}]
        }
    }
    changed = there.done(Patch(key=KEY, body=policy, type="strategic", subresource="resize"))
    assert changed.spec.containers[0].resize_policy[0].resource_name == "cpu"


def test_everything_else_is_dropped() -> None:
    there = world()
    before = there.get("Pod", "p")
    other = {
        "metadata": {"labels": {"a": "b"}},
        "spec": {"activeDeadlineSeconds": 5, "containers": [{"name": "app", "image": "j:1"}]},
    }
    assert there.done(Patch(key=KEY, body=other, type="strategic", subresource="resize")) is before
    added = {"spec": {"containers": [{"name": "more", "image": "j:1"}]}}
    assert there.done(Patch(key=KEY, body=added, type="strategic", subresource="resize")) is before


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"requests": {"cpu": None}, "limits": {"cpu": "100m"}}, ""),
        ({"limits": {"cpu": None}}, "resources.limits: Forbidden: resource limits cannot be removed"),
        ({"requests": {"memory": None}}, "[0].resources.requests: Forbidden: resource requests cannot be removed"),
        ({"requests": {"ephemeral-storage": "1Gi"}}, "spec: Forbidden: only cpu and memory resources are mutable"),
        ({"limits": {"memory": "64Mi", "cpu": "100m"}}, "Pod QOS Class may not change as a result of resizing"),
        ({"requests": {"cpu": "1"}}, "must be less than or equal to cpu limit of 200m"),
    ],
)
def test_what_may_not_change(resources: dict[str, Any], said: str) -> None:
    there = world()
    if not said:
        there.done(patch(resources))
        return
    code, _, text = there.refused(patch(resources))
    assert code == 422 and said in text


def test_a_pod_without_resources_stays_so() -> None:
    code, _, text = world({}).refused(patch({"requests": {"cpu": "1"}}))
    assert code == 422 and "Pod QOS Class may not change" in text
