"""Ephemeral containers: a subresource of a Pod, to which containers can be added and nothing else be done."""

from __future__ import annotations

import pytest

from k8sfsm.request import Patch
from tests.apiserver.api_world import World, pod

KEY = ("Pod", "a", "p")


def debugged(*containers, **more):
    body = {"spec": {"ephemeralContainers": list(containers), **more.pop("spec", {})}, **more}
    return Patch(key=KEY, body=body, type="strategic", subresource="ephemeralcontainers")


SHELL = {"name": "shell", "image": "busybox"}


def test_adding_one():
    world = World()
    born = world.make(pod())
    changed = world.done(debugged(SHELL, spec={"nodeName": "n"}, metadata={"labels": {"x": "y"}}))
    assert [each.name for each in changed.spec.ephemeral_containers] == ["shell"]
    assert changed.spec.ephemeral_containers[0].image_pull_policy == "Always"
    assert changed.metadata.generation == born.metadata.generation + 1
    assert changed.metadata.labels == {} and changed.spec.node_name == ""
    both = world.done(debugged({"name": "shell2", "image": "busybox", "targetContainerName": "app"}))
    assert {each.name for each in both.spec.ephemeral_containers} == {"shell", "shell2"}


@pytest.mark.parametrize(
    ("container", "text"),
    [
        ({"name": "shell", "image": "other"}, 'existing ephemeral containers "shell" may not be changed'),
        ({"$patch": "delete", "name": "shell"}, 'existing ephemeral containers "shell" may not be removed'),
        ({"name": "app", "image": "busybox"}, "Duplicate value"),
        ({"name": "x", "image": "busybox", "targetContainerName": "no"}, "targetContainerName: Not found"),
    ],
)
def test_refusals(container, text):
    world = World()
    world.make(pod())
    world.done(debugged(SHELL))
    assert text in world.refused(debugged(container))[2]


def test_only_in_its_own_way():
    world = World()
    world.make(pod())
    plain = Patch(key=KEY, body={"spec": {"ephemeralContainers": [SHELL]}}, type="strategic")
    assert "pod updates may not change fields other than" in world.refused(plain)[2]


def test_not_at_creation():
    world = World()
    with pytest.raises(AssertionError, match="cannot be set on create"):
        world.make(pod(ephemeralContainers=[SHELL]))
