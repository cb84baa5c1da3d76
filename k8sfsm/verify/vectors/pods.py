"""Vectors of the kubelet: phase, conditions and status of a pod, and crash-loop back-off."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from immutables import Map

from k8sfsm.node.actions import ActionsCase, compute
from k8sfsm.node.backoff import Backoff, backoff_text, start_now
from k8sfsm.node.conditions import ConditionCase, containers_ready_condition, initialized_condition, ready_condition
from k8sfsm.node.phase import phase_counts_for, phase_of
from k8sfsm.node.runtime_state import Instance, PodRuntime, Sandbox
from k8sfsm.node.status import StatusCase, generate
from k8sfsm.objects import HostIP, Pod, PodCondition, from_json, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.times import parse_time
from k8sfsm.verify.vectors import target


def _pod(given: dict[str, Any]) -> Pod:
    found = from_json(given["pod"])
    assert isinstance(found, Pod)
    return found


@target("pod_phase")
def pod_phase(given: dict[str, Any]) -> Any:
    """The phase from the statuses that the pod holds."""
    pod = _pod(given)
    statuses = phase_counts_for(pod)
    return {"phase": phase_of(pod.spec, statuses, over=given["podIsTerminal"], active=given["podHasInitialized"])}


@target("pod_conditions")
def pod_conditions(given: dict[str, Any]) -> Any:
    """The conditions Initialized, ContainersReady and Ready."""
    pod = _pod(given)
    statuses = {} if given["containerStatusesNil"] else phase_counts_for(pod)
    known = pod.status.conditions
    missing = given["containerStatusesNil"]
    case = ConditionCase(pod, pod.status.phase, statuses, known, missing=missing, before=known)
    containers = containers_ready_condition(case)
    found = (initialized_condition(case), containers, ready_condition(case, containers))
    return {each.type: _condition(each) for each in found}


def _condition(condition: PodCondition) -> Any:
    return to_json(condition)


@target("pod_api_status")
def pod_api_status(given: dict[str, Any]) -> Any:
    """The whole status, from what the runtime knows."""
    pod = _pod(given)
    regular = {each.name for each in pod.spec.containers}
    trusted = {each.name: each.name not in given["readinessFailing"] for each in pod.spec.containers}
    trusted |= {each.name: each.name not in given["readinessFailing"] for each in pod.spec.init_containers}
    case = StatusCase(
        pod=pod,
        runtime=_runtime(given["runtime"]),
        reported=None,
        now=0,
        over=given["podIsTerminal"],
        host_ips=(HostIP(ip="127.0.0.1"), HostIP(ip="::1")),
        trusted=trusted,
        active=any(each["state"] == "running" and each["name"] in regular for each in given["runtime"]["containers"]),
        reads_cgroups=False,
    )
    return {"status": to_json(evolve(generate(case), observed_generation=0))}


def _runtime(given: dict[str, Any]) -> PodRuntime:
    ips = given.get("podIPs") or [""]
    kept = Sandbox(0, ips[0], given.get("sandbox") == "SANDBOX_READY", 0) if given.get("podIPs") else None
    runs: dict[str, list[dict[str, Any]]] = {}
    for each in given["containers"]:
        runs.setdefault(each["name"], []).append(each)
    containers = {name: tuple(_run(each) for each in reversed(found)) for name, found in runs.items()}
    return PodRuntime(sandbox=kept, containers=Map(containers))


def _run(given: dict[str, Any]) -> Instance:
    def when(name: str) -> int | None:
        return parse_time(given[name]) if given.get(name) else None

    return Instance(
        id=given["id"],
        attempt=given["restartCount"],
        state=given["state"],
        image=given["image"],
        image_id=given["imageRef"],
        started_at=when("startedAt"),
        finished_at=when("finishedAt"),
        exit_code=given.get("exitCode", 0),
        reason=given.get("reason", ""),
    )


@target("crashloop_backoff")
def crashloop_backoff(given: dict[str, Any]) -> Any:
    """When each restart of a crashing container happens; looked at every second."""
    now, backoff, restarts = 0, None, []
    for seconds in given["runSeconds"]:
        now += seconds * SECOND
        finished, waiting = now, ""
        entry: Backoff | None = start_now(backoff, finished, now, given["initialSeconds"], given["maxSeconds"])
        while entry is None:
            assert backoff is not None
            waiting = backoff_text(backoff.delay)
            now += SECOND
            entry = start_now(backoff, finished, now, given["initialSeconds"], given["maxSeconds"])
        backoff = evolve(entry)
        restarts.append(
            {
                "waitedSeconds": (now - finished) // SECOND,
                "backoffWhileWaiting": waiting,
                "backoffAfter": backoff_text(backoff.delay),
            }
        )
    return {"restarts": restarts}


@target("pod_actions")
def pod_actions(given: dict[str, Any]) -> Any:
    """What a pod's sandbox and containers need."""
    pod = _pod(given)
    sandbox = given["sandbox"]
    kept = None
    if sandbox.get("exists"):
        kept = Sandbox(sandbox.get("attempt", 0), sandbox.get("ip", ""), sandbox["state"] == "SANDBOX_READY", 0)
    runs = {
        each["name"]: (Instance(id=each["id"], attempt=0, state=each["state"], exit_code=each.get("exitCode", 0)),)
        for each in given["containers"]
    }
    case = ActionsCase(
        pod,
        PodRuntime(sandbox=kept, containers=Map(runs)),
        frozenset(each["name"] for each in given["containers"] if each.get("definitionChanged")),
        {
            each["name"]: {"live": each.get("liveness", ""), "startup": each.get("startup", "")}
            for each in given["containers"]
        },
    )
    actions = compute(case)
    kills = [{"name": each.name, "message": each.message, "reason": each.reason} for each in actions.kills]
    return {
        "killPod": actions.kill_pod,
        "createSandbox": actions.create_sandbox,
        "attempt": actions.attempt,
        "initContainersToStart": list(actions.init_starts),
        "containersToStart": list(actions.starts),
        "containersToKill": sorted(kills, key=lambda each: str(each["name"])),
    }
