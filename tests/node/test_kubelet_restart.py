"""A kubelet stops and starts again: containers go on, and what it knew only itself is gone."""

from __future__ import annotations

import pytest

from k8sfsm.engine.action import Start, Stop
from k8sfsm.node.runtime_state import NODE, node_of, pod_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.starting import start

KUBELET = "kubelet/node-1"
POD = """
apiVersion: v1
kind: Pod
metadata: {name: p}
spec:
  terminationGracePeriodSeconds: 5
  containers:
  - name: app
    image: img:1
    readinessProbe: {exec: {command: [probe, ready]}, periodSeconds: 2, failureThreshold: 3}
    startupProbe: {exec: {command: [probe, startup]}, periodSeconds: 1, failureThreshold: 20}
"""


def running(script="", manifest=POD, *, ready=True):
    lines = []
    user = start(manifest, nodes=1, scripts={"p": script}, tracer=lines.append)
    if ready:
        assert user.await_that("pod/p status.conditions[type=Ready].status is True")
    return user, lines


def run(user, seconds):
    user.engine.run(until=user.engine.now + int(seconds * SECOND))


def stop(user, seconds):
    """The kubelet is down for so long."""
    user.engine.schedule(Stop(KUBELET), user.engine.now)
    run(user, seconds)
    user.engine.schedule(Start(KUBELET), user.engine.now)


def runtime(user):
    return user.engine.node_states["node-1"]


def of_pod(user):
    return pod_of(runtime(user), user.object("pod/p").metadata.uid)


def test_containers_run_on_and_nothing_is_written():
    user, lines = running()
    before = user.object("pod/p")
    run_before = of_pod(user).containers["app"]
    count = len(lines)
    stop(user, 5)
    run(user, 20)
    after = of_pod(user).containers["app"]
    assert [each.id for each in after] == [each.id for each in run_before]
    assert user.object("pod/p") == before
    assert not [line for line in lines[count:] if line.key == ("Pod", "default", "p") and line.change]
    assert not [line for line in lines[count:] if "start-container" in str(line.key)]


def test_ready_until_probes_say_otherwise():
    """The first bad answers after the start count anew: three are needed."""
    user, _ = running()
    stop(user, 1)
    user.engine.runtime.scripts = (("p", "*", "never ready"),)
    run(user, 3)
    assert user.object("pod/p").status.container_statuses[0].ready
    assert user.object("pod/p").status.container_statuses[0].started
    run(user, 5)
    assert not user.object("pod/p").status.container_statuses[0].ready
    assert user.object("pod/p").status.container_statuses[0].started


def test_bad_answers_from_before_do_not_count():
    user, _ = running()
    user.engine.runtime.scripts = (("p", "*", "never ready"),)
    while (
        of_pod(user).containers["app"][-1].probes["ready"].run < 2
        or of_pod(user).containers["app"][-1].probes["ready"].ok
    ):
        run(user, 0.1)
    stop(user, 1)
    run(user, 2.2)
    assert user.object("pod/p").status.container_statuses[0].ready
    run(user, 6)
    assert not user.object("pod/p").status.container_statuses[0].ready


def test_what_had_not_started_up_is_asked_again():
    user, _ = running("started after 30s", ready=False)
    run(user, 5)
    stop(user, 1)
    run(user, 3)
    status = user.object("pod/p").status.container_statuses[0]
    assert (status.started, status.ready) == (False, False)
    assert of_pod(user).containers["app"][-1].probes["startup"].run <= 4
    user.engine.runtime.scripts = ()
    assert user.await_that("pod/p status.conditions[type=Ready].status is True", within="5s")


def test_crash_loop_back_off_is_forgotten():
    user, _ = running("exit 1 after 1s", ready=False)
    assert user.await_that("pod/p status.containerStatuses[0].restartCount is 2", within="2m")
    run(user, 4)
    assert user.object("pod/p").status.container_statuses[0].restart_count == 2, "20 s are to go"
    stop(user, 0.5)
    run(user, 1)
    assert user.object("pod/p").status.container_statuses[0].restart_count == 3


def test_what_ended_meanwhile_is_reported_and_restarted():
    user, _ = running("exit 3 after 10s")
    stop(user, 15)
    assert user.object("pod/p").status.container_statuses[0].state.running is not None
    run(user, 3)
    status = user.object("pod/p").status.container_statuses[0]
    assert status.restart_count == 1 and status.last_state.terminated.exit_code == 3


def test_a_pod_deleted_meanwhile_is_stopped_and_handed_back():
    user, _ = running()
    user.engine.schedule(Stop(KUBELET), user.engine.now)
    run(user, 1)
    user.delete("pod/p")
    run(user, 30)
    assert user.object("pod/p").metadata.deletion_timestamp is not None
    user.engine.schedule(Start(KUBELET), user.engine.now)
    assert user.await_that("pod/p is gone", within="10s")


@pytest.mark.parametrize("script", ["", "slow stop"])
def test_a_pod_that_vanished_meanwhile_is_stopped(script):
    user, lines = running(script)
    uid = user.object("pod/p").metadata.uid
    user.engine.schedule(Stop(KUBELET), user.engine.now)
    run(user, 1)
    user.delete("pod/p", force=True)
    run(user, 5)
    assert uid in runtime(user) and pod_of(runtime(user), uid).containers["app"][-1].state == "running"
    user.engine.schedule(Start(KUBELET), user.engine.now)
    run(user, 12)
    assert set(runtime(user)) == {NODE} and not node_of(runtime(user)).addresses
    facts = [line.verb for line in lines if line.actor == "environment"]
    begun = facts.index("component-start")
    assert facts[begun + 1 :] == ["stop-signal", "container-exit", "sandbox-stop", "pod-removed"]
    [told] = [line.after for line in lines if line.key[0] == "Event" and line.after.reason == "Killing"]
    about = told.involved_object
    assert (about.name, about.uid, about.field_path) == ("p", uid, "spec.containers{app}")
    assert told.message == "Stopping container app"


def test_a_pod_that_is_not_admitted_again_is_stopped():
    """A node that lost the label that the pod selects."""
    wanted = POD.replace("spec:\n", "spec:\n  nodeSelector: {disk: fast}\n")
    user = start("", nodes=1)
    user.label("node/node-1", {"disk": "fast"})
    user.create(_document(wanted))
    assert user.await_that("pod/p status.conditions[type=Ready].status is True")
    user.label("node/node-1", {"disk": None})
    stop(user, 1)
    run(user, 10)
    pod = user.object("pod/p")
    assert (pod.status.phase, pod.status.reason) == ("Failed", "NodeAffinity")
    assert not [run for run in of_pod(user).containers.get("app", ()) if run.state == "running"]


def _document(text):
    from k8sfsm.scenario.manifests import read_manifests

    return read_manifests(text, "manifest")[0].document
