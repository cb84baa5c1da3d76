"""How a kubelet starts a pod: volumes first; and what a deletion interrupts."""

from __future__ import annotations

import pytest

from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.session import Settings
from k8sfsm.objects import (
    Container,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    ObjectMeta,
    Quantity,
    ResourceRequirements,
    Unmodelled,
)
from k8sfsm.objects.durations import SECOND
from tests.node.harness import World, key, pod_named

OK = Container(name="app", image="sim/ok:1")


def world(*scripts, **settings):
    return World(Kubelet("node-1", Settings(node="node-1", host_ip="10.10.0.11", **settings)), ScriptedRuntime(scripts))


def started(container=OK, seconds=3.0, **spec):
    place = world()
    place.put(pod_named("a", [container], **spec))
    place.run(seconds)
    return place


def test_deletion_ends_the_wait_for_volumes():
    place = started(OK, 0.1)
    place.delete(key("a"), 30)
    place.run(3)
    assert place.deletes and [c.verb for c in place.calls][:2] == ["mount-volumes", "clean-up-pod"]


def test_sync_under_way_goes_on_after_a_deletion():
    place = started(OK, 0.3)
    place.delete(key("a"), 30)
    place.run(3)
    assert place.deletes
    verbs = [call.verb for call in place.calls]
    assert verbs[:5] == ["mount-volumes", "run-sandbox", "pull-image", "start-container", "stop-container"]


def secret_volume(**source):
    return {"name": "s", "secret": {"secretName": "absent", **source}}


def waiting_for_a_secret(seconds):
    place = world()
    place.put(pod_named("a", [OK], volumes=(secret_volume(),)))
    place.run(seconds)
    return place


def test_missing_volume_is_tried_after_longer_and_longer_times():
    place = waiting_for_a_secret(10)
    reasons = [(record.reason, record.message) for record in place.events]
    text = 'MountVolume.SetUp failed for volume "s" : secret "absent" not found'
    assert reasons == [("FailedMount", text)] * 5
    assert place.history[-1].status.phase == "Pending" and not place.calls


def test_pod_starts_once_its_volume_can_be_mounted():
    place = waiting_for_a_secret(10)
    place.objects["Secret", "test", "absent"] = Unmodelled(
        api_version="v1", kind="Secret", metadata=ObjectMeta(name="absent", namespace="test")
    )
    place.run(8)
    assert place.history[-1].status.phase == "Running"


def test_sync_gives_up_waiting_for_volumes_and_begins_anew():
    place = waiting_for_a_secret(150)
    messages = [record.message for record in place.events]
    given_up = [message for message in messages if message.startswith("Unable to attach or mount volumes: unmounted")]
    assert len(given_up) == 1 and messages[-1] not in given_up


def test_deletion_ends_the_wait_for_a_missing_volume():
    place = waiting_for_a_secret(10)
    place.delete(key("a"), 30)
    place.run(2)
    assert place.deletes and not any(call.verb == "mount-volumes" for call in place.calls)


def test_optional_volume_is_not_waited_for():
    place = world()
    place.put(pod_named("a", [OK], volumes=(secret_volume(optional=True),)))
    place.run(3)
    assert place.history[-1].status.phase == "Running"


def hooked(seconds):
    hook = Lifecycle(pre_stop=LifecycleHandler(exec=ExecAction(command=("sleep", str(seconds)))))
    place = started(Container(name="app", image="sim/ok:1", lifecycle=hook), 3)
    place.delete(key("a"), 4)
    place.run(10)
    assert place.deletes
    return [record.reason for record in place.events][4:]


def test_hook_that_outlives_the_grace_period_has_failed():
    assert hooked(30) == ["Killing", "FailedPreStopHook"]
    assert hooked(3) == ["Killing"]


def test_retries_happen_when_they_are_recorded():
    settings = Settings(node="node-1", tries={"u": (12 * SECOND, 40 * SECOND)})
    assert settings.next_try("u", 0, 10 * SECOND) == 12 * SECOND
    assert settings.next_try("u", 20 * SECOND, 10 * SECOND) == 35 * SECOND
    assert settings.next_try("other", 0, 10 * SECOND) == 10 * SECOND


@pytest.mark.parametrize(
    ("requests", "shown"),
    [({"cpu": "1"}, {"cpu": "1", "memory": "0"}), ({"memory": "1Mi"}, {"memory": "1Mi"}), ({}, {})],
)
def test_running_container_shows_what_memory_it_has_been_given(requests, shown):
    wanted = {name: Quantity.parse(amount) for name, amount in requests.items()}
    resources = ResourceRequirements(requests=wanted)
    place = started(Container(name="app", image="sim/ok:1", resources=resources))
    found = place.history[-1].status.container_statuses[0].resources.requests
    assert {name: str(amount) for name, amount in found.items()} == shown
    place.delete(key("a"), 5)
    place.run(3)
    found = place.history[-1].status.container_statuses[0].resources.requests
    assert {name: str(amount) for name, amount in found.items()} == requests
