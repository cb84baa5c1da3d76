"""What holds for every pod, whatever its containers do and whenever it is deleted.

Every write goes through the API server, which refuses what the machine of the Pod does not allow.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8sfsm.engine.action import Start, Stop, Submit
from k8sfsm.engine.line import Line
from k8sfsm.engine.standard import standard_engine
from k8sfsm.machine import Machines
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import Container, ExecAction, Namespace, ObjectMeta, Pod, Probe, evolve
from k8sfsm.objects.container import ContainerRestartRule, ContainerRestartRuleOnExitCodes
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Patch
from tests.node.harness import pod_named

START = 1_700_000_000 * SECOND
MINUTES = 12
CHECK = ExecAction(command=("probe", "ready"))
KEY = ("Pod", "default", "a")
TERMINAL = ("Succeeded", "Failed")
MACHINES = Machines.load()

ENDS = st.sampled_from(["", "exit 0 after 1s", "exit 3 after 2s", "exit 1 after 0.2s", "exit 0 after 70s"])
HEALTH = st.sampled_from(["", "never ready", "ready after 2s", "unhealthy after 5s", "never started"])
STOPS = st.sampled_from(["", "slow stop", "term after 2s with 3", "term after 0.1s"])
TROUBLES = st.sampled_from(["", "", "", "pull fails", "start fails"])
PHRASES = st.tuples(ENDS, HEALTH, STOPS, TROUBLES).map(lambda parts: ", ".join(filter(None, parts)))
PROBE = st.sampled_from([None, Probe(exec=CHECK, period_seconds=1, failure_threshold=2)])
LIVENESS = st.sampled_from([None, Probe(exec=ExecAction(command=("probe", "live")), period_seconds=2)])
STARTUP = st.sampled_from([None, Probe(exec=ExecAction(command=("probe", "startup")), period_seconds=1)])


OWN_RULES = st.sampled_from([(), (), ("Restart", 3), ("RestartAllContainers", 3), ("RestartAllContainers", 1)])
WHEN = st.sampled_from([0.05, 0.3, 0.5, 1.1, 3.0, 20.0, 100.0])


@frozen
class Life:
    """A pod, how its containers behave, and when (s) its deletion is asked for with how much time.

    `restarted`: when (s) its kubelet stops, and for how long; `debugged`: when an ephemeral container is added.
    """

    pod: Pod
    scripts: tuple[tuple[str, str, str], ...]
    deleted: tuple[float, int] | None
    restarted: tuple[float, float] | None = None
    debugged: float | None = None


@st.composite
def containers(draw: Any, prefix: str, policies: tuple[str | None, ...], most: int, least: int = 0) -> list[Container]:
    found = []
    for number in range(draw(st.integers(least, most))):
        policy = draw(st.sampled_from(policies))
        plain_init = prefix == "i" and policy != "Always"
        probes = (
            {}
            if plain_init
            else {"readiness_probe": draw(PROBE), "liveness_probe": draw(LIVENESS), "startup_probe": draw(STARTUP)}
        )
        rules = draw(OWN_RULES) if policy is not None else ()
        own = tuple(rule_of(*each) for each in ([rules] if rules else []))
        found.append(
            Container(
                name=f"{prefix}{number}", image="img:1", restart_policy=policy, restart_policy_rules=own, **probes
            )
        )
    return found


def rule_of(action: str, code: int) -> ContainerRestartRule:
    codes = ContainerRestartRuleOnExitCodes(operator="In", values=(code,))
    return ContainerRestartRule(action=action, exit_codes=codes)


@st.composite
def lives(draw: Any) -> Life:
    inits = draw(containers("i", (None, None, "Always", "Never"), 2))
    regular = draw(containers("c", (None, None, "Always", "OnFailure", "Never"), 2, 1))
    policy = draw(st.sampled_from(["Always", "OnFailure", "Never"]))
    grace = draw(st.sampled_from([0, 1, 5]))
    pod = pod_named("a", regular, inits, restart_policy=policy, termination_grace_period_seconds=grace)
    scripts = tuple(("a", each.name, draw(PHRASES)) for each in (*inits, *regular))
    deleted = draw(st.none() | st.tuples(WHEN, st.integers(0, 5)))
    restarted = draw(st.none() | st.tuples(WHEN, st.sampled_from([0.1, 2.0, 30.0])))
    return Life(pod, scripts, deleted, restarted, draw(st.none() | WHEN))


def lived(life: Life) -> tuple[list[Pod], list[Line], Pod | None]:
    """Every version of the pod, every line, and what is left of the pod at the end."""
    lines: list[Line] = []
    engine = standard_engine(["node-1"], ScriptedRuntime(life.scripts), now=START, tracer=lines.append)
    engine.submit(Create(object=Namespace(metadata=ObjectMeta(name="default"))))
    engine.run(until=START + 5 * SECOND)
    meta = evolve(life.pod.metadata, namespace="default", uid="")
    engine.submit(Create(object=evolve(life.pod, metadata=meta)))
    begun = engine.now
    for after, action in _plan(life):
        engine.schedule(action, begun + int(after * SECOND))
    engine.run(until=begun + MINUTES * 60 * SECOND)
    versions = [line.after for line in lines if line.key == KEY and line.change in ("ADDED", "MODIFIED")]
    return versions, lines, engine.store.get(*KEY)


def _plan(life: Life) -> Iterator[tuple[float, Any]]:
    """What is done to the pod and its kubelet, and when (s)."""
    if life.deleted is not None:
        yield life.deleted[0], Submit(Delete(key=KEY, grace_seconds=life.deleted[1]))
    if life.restarted is not None:
        at, down = life.restarted
        yield at, Stop("kubelet/node-1")
        yield at + down, Start("kubelet/node-1")
    if life.debugged is not None:
        body = {"spec": {"ephemeralContainers": [{"name": "debugger", "image": "img:1"}]}}
        yield life.debugged, Submit(Patch(key=KEY, body=body, type="strategic", subresource="ephemeralcontainers"))


def statuses(pod: Pod) -> dict[str, Any]:
    return {each.name: each for each in (*pod.status.init_container_statuses, *pod.status.container_statuses)}


def no_illegal_transition(versions: list[Pod], lines: list[Line]) -> None:
    refused = [line for line in lines if line.key == KEY and line.actor == "kubelet" and line.code >= 400]
    assert all(line.code in (404, 409) for line in refused), refused
    for old, new in pairwise(versions):
        before = statuses(old)
        for name, status in statuses(new).items():
            verdict = MACHINES.check_part("Container", before.get(name), status, "kubelet", 0)
            assert verdict.legal, (verdict, before.get(name), status)


def restarts_never_fall(versions: list[Pod]) -> None:
    for old, new in pairwise(versions):
        for name, status in statuses(old).items():
            assert statuses(new)[name].restart_count >= status.restart_count


def ready_implies_running(versions: list[Pod]) -> None:
    for pod in versions:
        inits = {each.name for each in pod.spec.init_containers if each.restart_policy != "Always"}
        for name, status in statuses(pod).items():
            if status.ready and name not in inits:
                assert status.state.running is not None and status.started
        conditions = {each.type: each.status for each in pod.status.conditions}
        if conditions.get("Ready") == "True":
            assert pod.status.phase == "Running" and conditions["ContainersReady"] == "True"
            assert all(status.ready for name, status in statuses(pod).items() if name not in inits)


def terminal_phase_is_final(versions: list[Pod]) -> None:
    phases = [pod.status.phase for pod in versions]
    ends = [at for at, phase in enumerate(phases) if phase in TERMINAL]
    assert not ends or set(phases[ends[0] :]) == {phases[ends[0]]}
    for at in ends:
        assert all(each.state.running is None for each in statuses(versions[at]).values())


def sidecar_decides_nothing(versions: list[Pod]) -> None:
    """The phase of a pod that is over follows from its regular containers and its init containers alone."""
    last = versions[-1]
    if last.status.phase not in TERMINAL or last.status.reason:
        return
    sidecars = {each.name for each in last.spec.init_containers if each.restart_policy == "Always"}
    others = {name: each for name, each in statuses(last).items() if name not in sidecars}
    ends = [each.state.terminated for each in others.values()]
    succeeded = all(end is not None and end.exit_code == 0 for end in ends)
    assert (last.status.phase == "Succeeded") == succeeded


def comes_to_rest(life: Life, left: Pod | None) -> None:
    """A pod that was deleted is gone; any other is over, runs, or waits for something that will not come soon."""
    if life.deleted is not None:
        assert left is None
        return
    assert left is not None
    if left.status.phase in TERMINAL:
        return
    assert left.status.phase in ("Running", "Pending")
    policies = {each.restart_policy or left.spec.restart_policy for each in left.spec.containers}
    ruled = any(each.restart_policy_rules for each in (*left.spec.init_containers, *left.spec.containers))
    if policies == {"Never"} and not ruled and left.status.phase == "Running":
        assert any(each.state.running is not None for each in statuses(left).values())


def debugger_runs_once(versions: list[Pod]) -> None:
    shown = [each for pod in versions for each in pod.status.ephemeral_container_statuses]
    assert all(each.restart_count == 0 and not each.ready and each.started is None for each in shown)
    ended = [each.state.terminated is not None for each in shown]
    assert ended == sorted(ended)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(lives())
def test_any_script_leads_to_a_legal_end(life):
    versions, lines, left = lived(life)
    assert versions
    no_illegal_transition(versions, lines)
    restarts_never_fall(versions)
    ready_implies_running(versions)
    terminal_phase_is_final(versions)
    sidecar_decides_nothing(versions)
    debugger_runs_once(versions)
    comes_to_rest(life, left)


@pytest.mark.parametrize("policy", ["Always", "OnFailure", "Never"])
@pytest.mark.parametrize("sidecar", ["exit 3 after 1s", "slow stop", "term after 1s with 3"])
def test_sidecar_that_fails_does_not_fail_the_pod(policy, sidecar):
    pod = pod_named(
        "a",
        [Container(name="c0", image="img:1")],
        [Container(name="i0", image="img:1", restart_policy="Always")],
        restart_policy=policy,
        termination_grace_period_seconds=3,
    )
    ends = "exit 0 after 8s" if policy != "Always" else ""
    life = Life(pod, (("a", "c0", ends), ("a", "i0", sidecar)), (30.0, 3) if policy == "Always" else None)
    versions, _, _ = lived(life)
    assert versions[-1].status.phase == "Succeeded"
