"""Containers whose own rules restart them, or all containers of their pod, when they exit in a certain way.

The course of events is that of a v1.36 cluster: Error, RestartingAllContainers with every restart counted, Running.
"""

from __future__ import annotations

import pytest

from k8sfsm.node.kubelet import Kubelet
from k8sfsm.node.runtime_state import pod_of
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.node.status import StatusCase, generate
from k8sfsm.objects import (
    Container,
    ContainerState,
    ContainerStateWaiting,
    EphemeralContainer,
    ExecAction,
    Lifecycle,
    LifecycleHandler,
    evolve,
)
from k8sfsm.objects.container import ContainerRestartRule, ContainerRestartRuleOnExitCodes
from k8sfsm.printer.pod import pod_row
from tests.node.harness import World, key, pod_named


def rule(action, *codes, operator="In"):
    return ContainerRestartRule(
        action=action, exit_codes=ContainerRestartRuleOnExitCodes(operator=operator, values=codes)
    )


def source(name="trigger", policy="Never", **fields):
    """A container whose exit code 42 restarts all."""
    rules = (rule("RestartAllContainers", 42),)
    return Container(name=name, image="img:1", restart_policy=policy, restart_policy_rules=rules, **fields)


def world(pod, *scripts):
    found = World(Kubelet("node-1"), ScriptedRuntime([("*", *script) for script in scripts]))
    found.put(pod)
    return found


def condition(pod, kind):
    return next((each for each in pod.status.conditions if each.type == kind), None)


def statuses(pod):
    return {each.name: each for each in (*pod.status.init_container_statuses, *pod.status.container_statuses)}


def restarted(pod, *scripts, seconds=12):
    """The pod's versions while all containers are restarted once."""
    found = world(pod, *scripts)
    found.run(seconds)
    return found


FIRST_RUN_FAILS = "exit 42 after 5s"


def test_every_container_is_restarted_in_the_same_sandbox():
    pod = pod_named(
        "p",
        [Container(name="main", image="img:1"), source()],
        [Container(name="prepare", image="img:1"), Container(name="side", image="img:1", restart_policy="Always")],
        restart_policy="Never",
    )
    found = restarted(pod, ("trigger", FIRST_RUN_FAILS), ("prepare", "exit 0 after 1s"))
    after = statuses(found.history[-1])
    assert {name: each.restart_count for name, each in after.items()} == dict.fromkeys(after, 1)
    assert after["main"].last_state.terminated.reason == "RestartingAllContainers"
    assert after["trigger"].last_state.terminated.exit_code == 137
    assert after["prepare"].state.terminated.exit_code == 0
    assert len([call for call in found.calls if call.verb == "run-sandbox"]) == 1
    phases = [each.status.phase for each in found.history]
    assert phases == sorted(phases[:4]) + phases[4:] and phases[-1] == "Running"
    assert "Pending" in phases[phases.index("Running") :], "its init container runs again"
    initialized = [condition(each, "Initialized") for each in found.history]
    first = next(place for place, each in enumerate(initialized) if each.status == "True")
    assert {(each.status, each.reason, each.message) for each in initialized[first:]} == {("True", "", "")}


def test_an_init_container_that_asks_for_it():
    """What was never made is left alone."""
    found = world(
        pod_named("p", [Container(name="main", image="img:1")], [source("init")]), ("init", "exit 42 after 2s")
    )
    found.run(12)
    assert set(verbs(found)) == {("remove-container", "init")} and len(verbs(found)) >= 3
    assert {each.status.phase for each in found.history} == {"Pending"}
    assert {condition(each, "Initialized").status for each in found.history} == {"False"}


def test_a_container_that_is_lost_meanwhile():
    """The runtime has lost track of it."""
    pod = pod_named("p", [Container(name="main", image="img:1"), source()])
    found = world(pod)
    found.run(3)
    stored, runtime = found.objects[key("p")], found.state["uid-p"]
    lost = evolve(runtime.containers["main"][-1], state="unknown")
    ended = evolve(runtime.containers["trigger"][-1], state="exited", exit_code=42)
    both = runtime.containers.update({"main": (lost,), "trigger": (ended,)})

    def shown(containers):
        case = StatusCase(
            pod=stored, runtime=evolve(runtime, containers=containers), reported=stored.status, now=found.now
        )
        return next(each for each in generate(case).container_statuses if each.name == "main")

    assert shown(both).state.terminated.reason == "RestartingAllContainers"
    assert shown(both).restart_count == 1
    assert shown(runtime.containers.set("main", (lost,))).state.terminated.reason == "ContainerStatusUnknown"
    waiting = evolve(stored.status.container_statuses[0], state=ContainerState(waiting=ContainerStateWaiting()))
    statuses_before = (waiting, stored.status.container_statuses[1])
    stored = evolve(stored, status=evolve(stored.status, container_statuses=statuses_before))
    assert shown(both).state.waiting is not None


def test_what_the_status_shows_meanwhile():
    found = restarted(pod_named("p", [Container(name="main", image="img:1"), source()]), ("trigger", FIRST_RUN_FAILS))
    shown = []
    for each in found.history:
        row, asked = pod_row(each, found.now), condition(each, "AllContainersRestarting")
        line = (row[1], row[2], str(row[3]).partition(" ")[0], each.status.phase, asked.status)
        if not shown or shown[-1] != line:
            shown.append(line)
    assert shown[-4:] == [
        ("2/2", "Running", "0", "Running", "False"),
        ("1/2", "Error", "0", "Running", "True"),
        ("0/2", "RestartingAllContainers", "2", "Running", "False"),
        ("2/2", "Running", "2", "Running", "False"),
    ]


def verbs(found):
    return [(call.verb, call.container) for call in found.calls if call.verb in ("stop-container", "remove-container")]


def test_others_are_killed_without_hooks_and_removed_first():
    """Regular containers, init containers, then those that asked for it, in the same order. Nothing is waited for."""
    hook = Lifecycle(pre_stop=LifecycleHandler(exec=ExecAction(command=("sleep", "9"))))
    pod = pod_named(
        "p",
        [Container(name="main", image="img:1", lifecycle=hook), source("trigger", "Always"), source("trigger2")],
        [Container(name="prepare", image="img:1"), source("side", "Always")],
    )
    found = world(
        pod,
        ("prepare", "exit 0 after 1s"),
        ("trigger", "exit 42 after 5s"),
        ("trigger2", "exit 42 after 5s"),
        ("side", "exit 42 after 5.2s"),
        ("main", "slow stop"),
    )
    found.run(10.8)
    assert verbs(found) == [
        ("stop-container", "main"),
        ("remove-container", "main"),
        ("remove-container", "prepare"),
        ("remove-container", "trigger"),
        ("remove-container", "trigger2"),
        ("remove-container", "side"),
    ]
    stopped = next(call for call in found.calls if call.verb == "stop-container")
    assert stopped.arguments["grace"] == 0 and stopped.arguments["pre_stop"] is None
    assert not [event for event in found.events if event.reason == "FailedPreStopHook"]


def test_a_running_sidecar_is_killed_after_the_regular_containers():
    pod = pod_named(
        "p",
        [Container(name="main", image="img:1"), source()],
        [Container(name="side", image="img:1", restart_policy="Always")],
    )
    found = world(pod, ("trigger", FIRST_RUN_FAILS))
    found.run(8)
    assert verbs(found)[:4] == [
        ("stop-container", "main"),
        ("remove-container", "main"),
        ("stop-container", "side"),
        ("remove-container", "side"),
    ]


def test_a_pod_of_one_container_is_restarted_at_once_and_never_backs_off():
    found = world(pod_named("p", [source()], restart_policy="Never"), ("*", "exit 42 after 2s"))
    found.run(60)
    counts = [each.status.container_statuses[0].restart_count for each in found.history]
    assert counts == sorted(counts) and counts[-1] >= 12
    assert not [event for event in found.events if event.reason == "BackOff"]
    assert {each.status.phase for each in found.history} == {"Pending", "Running"}


def test_containers_that_had_ended_for_good_run_again():
    pod = pod_named("p", [Container(name="done", image="img:1"), source()], restart_policy="Never")
    found = restarted(pod, ("done", "exit 0 after 1s"), ("trigger", FIRST_RUN_FAILS))
    done = statuses(found.history[-1])["done"]
    assert done.restart_count == 1 and done.state.terminated.exit_code == 0
    assert not [verb for verb, _ in verbs(found) if verb == "stop-container"]


@pytest.mark.parametrize(("code", "policy", "phase"), [(0, "Never", "Succeeded"), (7, "Never", "Failed")])
def test_the_condition_of_a_pod_that_is_over(code, policy, phase):
    found = world(pod_named("p", [source(policy=policy)], restart_policy="Never"), ("*", f"exit {code} after 2s"))
    found.run(10)
    last = found.history[-1]
    asked = condition(last, "AllContainersRestarting")
    assert last.status.phase == phase
    assert (asked.status, asked.reason) == ("False", {"Succeeded": "PodCompleted", "Failed": "PodFailed"}[phase])


def test_the_condition_while_containers_are_removed():
    found = restarted(pod_named("p", [Container(name="main", image="img:1"), source()]), ("trigger", FIRST_RUN_FAILS))
    asked = [condition(each, "AllContainersRestarting") for each in found.history]
    started = next(each for each in asked if each.status == "True")
    assert (started.reason, started.message) == (
        "RestartAllContainersStarted",
        "container exited with restart policy rule",
    )
    assert {(each.reason, each.message) for each in asked if each.status == "False"} == {("", "")}


def test_pods_without_such_a_rule_have_no_such_condition():
    found = world(pod_named("p", [Container(name="main", image="img:1")]))
    found.run(3)
    assert condition(found.history[-1], "AllContainersRestarting") is None


def container(policy, *rules):
    return Container(name="c", image="img:1", restart_policy=policy, restart_policy_rules=rules)


RETRY = rule("Restart", 42, 43)


@pytest.mark.parametrize(
    ("spec", "pod_policy", "code", "restarts"),
    [
        (container(None), "Always", 0, True),
        (container(None), "OnFailure", 0, False),
        (container(None), "OnFailure", 1, True),
        (container(None), "Never", 1, False),
        (container("Never"), "Always", 1, False),
        (container("Always"), "Never", 0, True),
        (container("OnFailure"), "Never", 1, True),
        (container("OnFailure"), "Always", 0, False),
        (container("Never", RETRY), "Never", 43, True),
        (container("Never", RETRY), "Always", 44, False),
        (container(None, RETRY), "Never", 42, False),
        (container("Never", rule("Restart", 1, operator="NotIn")), "Never", 2, True),
        (container("Never", rule("Restart", 1, operator="NotIn")), "Never", 1, False),
        (container("Never", rule("Restart", 5), rule("RestartAllContainers", 5)), "Never", 5, True),
    ],
)
def test_container_policies_and_rules(spec, pod_policy, code, restarts):
    """Its own policy replaces the pod's, its rules go before both and need a policy of its own."""
    found = world(pod_named("p", [spec], restart_policy=pod_policy), ("*", f"exit {code} after 1s"))
    found.run(5)
    last = found.history[-1].status
    assert (last.container_statuses[0].restart_count > 0) is restarts
    if not restarts:
        assert last.phase == ("Failed" if code else "Succeeded")
    assert condition(found.history[-1], "AllContainersRestarting") is None or spec.restart_policy_rules[1:]


def test_restarts_by_a_rule_back_off():
    found = world(pod_named("p", [container("Never", RETRY)], restart_policy="Never"), ("*", "exit 42 after 1s"))
    found.run(20)
    assert [event for event in found.events if event.reason == "BackOff"]
    assert found.history[-1].status.phase == "Running"


def test_an_ephemeral_container_is_killed_and_stays_so():
    pod = pod_named("p", [Container(name="main", image="img:1"), source()])
    debugged = evolve(
        pod,
        metadata=evolve(pod.metadata, generation=2),
        spec=evolve(pod.spec, ephemeral_containers=(EphemeralContainer(name="shell", image="img:1"),)),
    )
    found = world(pod, ("trigger", FIRST_RUN_FAILS))
    found.run(2)
    stored = found.objects[key("p")]
    found.put(evolve(debugged, status=stored.status))
    found.run(10)
    shell = found.history[-1].status.ephemeral_container_statuses[0]
    assert shell.state.terminated is not None and shell.restart_count == 0
    assert ("remove-container", "shell") not in verbs(found)
    assert len(pod_of(found.state, "uid-p").containers["shell"]) == 1
