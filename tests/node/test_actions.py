"""What a pod's containers need, in cases that the vectors do not have: sidecars with probes, lost runs."""

from __future__ import annotations

import pytest
from immutables import Map

from k8sfsm.node.actions import ActionsCase, Kill, compute
from k8sfsm.node.runtime_state import Instance, PodRuntime, Probed, Sandbox
from k8sfsm.objects import Container, ExecAction, Probe
from tests.node.harness import pod_named

PROBE = Probe(exec=ExecAction(command=("probe",)))
SIDECAR = Container(name="s", image="sim/ok:1", restart_policy="Always", startup_probe=PROBE, liveness_probe=PROBE)
PLAIN = Container(name="s", image="sim/ok:1")
APP = Container(name="app", image="sim/ok:1")
SANDBOX = Sandbox(0, "10.0.0.1", True, 0)


def run(state, code=0, **probes):
    results = {kind: Probed(ok, 3, ok, 1) for kind, ok in probes.items()}
    return (Instance(id="x", attempt=0, state=state, exit_code=code, started_at=1, probes=Map(results)),)


def needs(inits, runs, policy="Always", sandbox=SANDBOX):
    pod = pod_named("a", [APP], inits, restart_policy=policy)
    return compute(ActionsCase(pod, PodRuntime(sandbox=sandbox, containers=Map(runs))))


def test_sidecar_that_is_gone_is_started_again():
    assert needs([SIDECAR], {"app": run("running")}).init_starts == ("s",)
    assert needs([PLAIN], {"app": run("running")}).init_starts == ()


def test_sidecar_whose_startup_probe_fails_is_restarted():
    actions = needs([SIDECAR], {"s": run("running", startup=False)})
    assert actions.init_starts == ("s",) and actions.starts == ()
    assert actions.kills == (Kill("s", "Init container s failed startup probe", "StartupProbe"),)


def test_sidecar_that_starts_up_holds_the_others_back():
    actions = needs([SIDECAR], {"s": run("running")})
    assert actions.idle


def test_started_sidecar_lets_the_others_start():
    assert needs([SIDECAR], {"s": run("running", startup=True)}).starts == ("app",)


@pytest.mark.parametrize("others", [{"app": run("running")}, {}])
def test_unhealthy_sidecar_is_restarted(others):
    actions = needs([SIDECAR], {"s": run("running", startup=True, live=False), **others})
    assert actions.init_starts == ("s",)
    assert actions.kills == (Kill("s", "Init container s failed liveness probe", "LivenessProbe"),)
    assert actions.starts == (() if others else ("app",))


def test_unhealthy_sidecar_of_a_running_pod_starts_no_other_init_container():
    later = Container(name="later", image="sim/ok:1")
    runs = {"s": run("running", startup=True, live=False), "app": run("running")}
    assert needs([SIDECAR, later], runs).init_starts == ("s",)


def test_sidecar_of_unknown_state_is_killed_and_started():
    actions = needs([SIDECAR], {"s": run("unknown"), "app": run("running")})
    assert actions.init_starts == ("s",) and [kill.reason for kill in actions.kills] == ["Unknown"]
    never = needs([SIDECAR], {"s": run("unknown")}, policy="Never")
    assert never.init_starts == ("s",) and not never.kill_pod


def test_init_container_of_unknown_state():
    assert needs([PLAIN], {"s": run("unknown")}).init_starts == ("s",)
    assert needs([PLAIN], {"s": run("unknown")}, policy="Never").kill_pod


def test_init_container_that_failed():
    assert needs([PLAIN], {"s": run("exited", 1)}).init_starts == ("s",)
    assert needs([PLAIN], {"s": run("exited", 1)}, policy="Never").kill_pod
    assert needs([PLAIN], {"s": run("exited", 0)}, policy="Never").starts == ("app",)


def test_regular_container_whose_startup_probe_fails():
    app = {"app": run("running", startup=False)}
    assert needs([], app).starts == ("app",)
    never = needs([], app, policy="Never")
    assert [kill.reason for kill in never.kills] == ["StartupProbe"] and never.starts == ()


def test_lost_sandbox():
    gone = Sandbox(0, "10.0.0.1", False, 0, 1)
    again = needs([], {"app": run("exited", 1)}, sandbox=gone)
    assert (again.create_sandbox, again.attempt, again.starts) == (True, 1, ("app",))
    assert not needs([], {"app": run("exited", 1)}, policy="Never", sandbox=gone).create_sandbox
    assert not needs([], {"app": run("exited", 0)}, policy="OnFailure", sandbox=gone).create_sandbox
    assert needs([PLAIN], {}, sandbox=None).init_starts == ("s",)


def test_sidecar_that_is_gone_starts_no_other_init_container():
    later = Container(name="later", image="sim/ok:1")
    assert needs([SIDECAR, later], {"app": run("running")}).init_starts == ("s",)
