"""Ephemeral containers: added to a Pod that runs, started once, and of no weight for the Pod."""

from __future__ import annotations

import pytest

from k8sfsm.engine.engine import Engine
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.starting import start

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 5
  containers: [{name: app, image: "img:1"}]
"""


def user_with(script, manifests=POD):
    user = start(manifests, nodes=1, scripts={"p": script})
    assert user.await_that("pod/p status.phase is Running")
    return user


def run(engine: Engine, seconds: float) -> None:
    engine.run(until=engine.now + int(seconds * SECOND))


def shown(user, name="debugger"):
    statuses = user.object("pod/p").status.ephemeral_container_statuses
    return next((each for each in statuses if each.name == name), None)


def test_a_debugger_in_a_running_pod():
    user = user_with("")
    reply = user.debug("pod/p", "busybox:1", sees="app")
    assert reply.text == "pod/p debugged by debugger"
    run(user.engine, 5)
    status = shown(user)
    assert status.state.running is not None
    assert (status.ready, status.started, status.restart_count) == (False, None, 0)
    pod = user.object("pod/p")
    assert pod.status.phase == "Running" and "1/1" in user.get("pods")
    paths = [
        event.involved_object.field_path
        for event in user.engine.store.snapshot.series("in", "Event", "default")
        if event.reason == "Started"
    ]
    assert "spec.ephemeralContainers{debugger}" in paths


@pytest.mark.parametrize("ends", ["exit 1 after 1s", "exit 0 after 1s", "oom after 1s"])
@pytest.mark.parametrize("policy", ["Never", "Always", "OnFailure"])
def test_it_is_never_started_again(ends, policy):
    user = start(POD.replace("Never", policy), nodes=1)
    assert user.await_that("pod/p status.phase is Running")
    user.engine.runtime.scripts = (("p", "debugger", ends),)
    user.debug("pod/p", "busybox:1")
    run(user.engine, 60)
    status = shown(user)
    assert status.state.terminated is not None and status.restart_count == 0
    assert user.object("pod/p").status.phase == "Running"


@pytest.mark.parametrize(("code", "phase"), [(0, "Succeeded"), (3, "Failed")])
def test_it_neither_keeps_the_pod_alive_nor_decides_how_it_ends(code, phase):
    user = start(POD, nodes=1, scripts={"p": f"exit {code} after 20s"})
    assert user.await_that("pod/p status.phase is Running")
    user.engine.runtime.scripts = (*user.engine.runtime.scripts, ("p", "debugger", "exit 1 after 100s"))
    user.debug("pod/p", "busybox:1")
    assert user.await_that(f"pod/p status.phase is {phase}", within="30s")
    assert shown(user).state.terminated is not None


def test_its_image_is_pulled_again_after_a_failure():
    user = user_with("")
    user.debug("pod/p", "sim/notfound:1")
    for reason in ("ErrImagePull", "ImagePullBackOff"):
        field = "status.ephemeralContainerStatuses[0].state.waiting.reason"
        assert user.await_that(f"pod/p {field} is {reason}", within="1m")
    assert user.object("pod/p").status.phase == "Running"


def test_it_runs_beside_init_containers():
    slow = POD.replace("  containers:", '  initContainers: [{name: i, image: "img:1"}]\n  containers:')
    user = start(slow, nodes=1)
    run(user.engine, 5)
    user.debug("pod/p", "busybox:1")
    run(user.engine, 5)
    pod = user.object("pod/p")
    assert pod.status.phase == "Pending" and shown(user).state.running is not None


def test_it_is_stopped_with_the_pod_and_holds_nobody_up():
    both = POD.replace(
        "  containers:", '  initContainers: [{name: side, image: "img:1", restartPolicy: Always}]\n  containers:'
    )
    user = start(both, nodes=1)
    assert user.await_that("pod/p status.phase is Running")
    user.engine.runtime.scripts = (("p", "debugger", "slow stop"),)
    user.debug("pod/p", "busybox:1")
    run(user.engine, 3)
    begun = user.engine.now
    user.delete("pod/p")
    assert user.await_that("pod/p is gone", within="20s")
    assert user.engine.now - begun < 8 * SECOND
