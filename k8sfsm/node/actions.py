"""What a pod's sandbox and containers need: which to create, start and kill."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal

from attrs import define

from k8sfsm.kinds.container_restarts import restarts_after
from k8sfsm.law import Law
from k8sfsm.node.container_status import probe_result
from k8sfsm.node.runtime_state import Instance, PodRuntime
from k8sfsm.objects.container import Container
from k8sfsm.objects.pod import Pod
from k8sfsm.value import value

law = Law("kubelet")

UNKNOWN_STATE: Final = "unknown"


@value
class Kill:
    """A container to be stopped, the message of the event about it, and why."""

    name: str
    message: str
    reason: str


@define
class Actions:
    """What to do with a pod, in this order: kill, create the sandbox, start ephemeral, init and regular containers."""

    kill_pod: bool = False
    create_sandbox: bool = False
    attempt: int = 0
    ephemeral_starts: tuple[str, ...] = ()
    init_starts: tuple[str, ...] = ()
    starts: tuple[str, ...] = ()
    kills: tuple[Kill, ...] = ()

    @property
    def idle(self) -> bool:
        """Nothing is to be done."""
        return not (self.kill_pod or self.create_sandbox or self.queue or self.kills)

    @property
    def queue(self) -> tuple[str, ...]:
        """The containers to be started, in order."""
        return (*self.ephemeral_starts, *self.init_starts, *self.starts)


@define(slots=False)
class ActionsCase:
    """A pod and what the runtime knows of it. `verdicts`: results of probes by container, instead of the runtime's."""

    pod: Pod
    runtime: PodRuntime
    changed: frozenset[str] = frozenset()
    verdicts: Mapping[str, Mapping[str, str]] | None = None
    keeping: int = 0
    to_start: int = 0

    def newest(self, name: str) -> Instance | None:
        """The newest run of a container."""
        runs = self.runtime.containers.get(name)
        return runs[-1] if runs else None


@define(slots=False)
class OneCase:
    """One container of a pod. `passed`: a later init container, or the pod, has got further."""

    case: ActionsCase
    container: Container
    run: Instance | None
    passed: bool = False
    policy: str = ""
    is_init: bool = False


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def sandbox_usable_now(case: ActionsCase) -> bool:
    """There is a ready sandbox that has an address (or needs none)."""
    sandbox = case.runtime.sandbox
    return sandbox is not None and sandbox.ready and (bool(sandbox.ip) or case.pod.spec.host_network)


@law.fact
def sandbox_lost(case: ActionsCase) -> bool:
    """The pod has had a sandbox before."""
    return case.runtime.sandbox is not None


@law.fact
def pod_restarts(case: ActionsCase) -> bool:
    """The pod's restart policy is not Never, or a container's own is not."""
    own = any(each.restart_policy not in (None, "Never") for each in case.pod.spec.containers)
    return case.pod.spec.restart_policy != "Never" or own


@law.fact
def has_runs(case: ActionsCase) -> bool:
    """A container of the pod has run."""
    return any(case.runtime.containers.values())


@law.fact
def anything_to_start(case: ActionsCase) -> bool:
    """A regular container is to be started in a new sandbox."""
    return bool(_to_start_anew(case))


@law.fact
def regular_made(case: ActionsCase) -> bool:
    """A regular container has been made before."""
    return any(case.newest(each.name) is not None for each in case.pod.spec.containers)


@law.fact
def has_init_containers(case: ActionsCase) -> bool:
    """The pod has init containers."""
    return bool(case.pod.spec.init_containers)


@law.fact
def kept(case: ActionsCase) -> int:
    """Running regular containers that are left alone."""
    return case.keeping


@law.fact
def starting(case: ActionsCase) -> int:
    """Regular containers that are to be started."""
    return case.to_start


@law.fact
def own_state(one: OneCase) -> Literal["none", "created", "running", "exited", "unknown"]:
    """The state of the container's newest run; none: the runtime has no run of it."""
    return "none" if one.run is None else one.run.state


@law.fact
def passed(one: OneCase) -> bool:
    """The pod has got past this init container."""
    return one.passed


@law.fact
def is_sidecar(one: OneCase) -> bool:
    """The init container is a sidecar."""
    return one.container.restart_policy == "Always"


@law.fact
def startup_result(one: OneCase) -> Literal["passed", "unknown", "failed"]:
    """What the startup probe has found; passed where there is none."""
    found = _verdict(one, "startup")
    if found is None:
        return "passed" if one.container.startup_probe is None else "unknown"
    return "passed" if found else "failed"


@law.fact
def liveness_failed(one: OneCase) -> bool:
    """The liveness probe's result is failure."""
    return _verdict(one, "live") is False


@law.fact
def init_failed(one: OneCase) -> bool:
    """The init container ended with an exit code other than 0."""
    return one.run is not None and one.run.exit_code != 0


@law.fact
def init_restarts(one: OneCase) -> bool:
    """The init container is started again after it has failed."""
    code = one.run.exit_code if one.run is not None else 1
    return restarts_after(one.container, one.policy, code or 1)


@law.fact
def due(one: OneCase) -> bool:
    """The container that does not run is to be started."""
    run = one.run
    if one.case.pod.metadata.deletion_timestamp is not None:
        return False
    if run is None or run.state in ("created", "unknown"):
        return True
    return run.state == "exited" and restarts_after(one.container, one.policy, run.exit_code)


@law.fact
def definition_changed(one: OneCase) -> bool:
    """The container runs another image than the pod now asks for."""
    if one.container.name in one.case.changed:
        return True
    return one.run is not None and one.run.wanted_image not in ("", one.container.image)


@law.fact
def restarts_when_killed(one: OneCase) -> bool:
    """The container is started again after the kubelet has killed it."""
    return (one.container.restart_policy or one.policy) != "Never"


def _verdict(one: OneCase, probe: str) -> bool | None:
    given = one.case.verdicts
    asked = one.container.startup_probe if probe == "startup" else one.container.liveness_probe
    if one.is_init and asked is None:
        return None
    if given is None:
        return probe_result(one.run, probe)
    return {"success": True, "failure": False}.get(given.get(one.container.name, {}).get(probe, ""))


def _to_start_anew(case: ActionsCase) -> tuple[str, ...]:
    """Regular containers for a new sandbox: all, except those that must not run again."""
    found = []
    for each in case.pod.spec.containers:
        run = case.newest(each.name)
        policy = case.pod.spec.restart_policy
        if run is None or run.state != "exited" or restarts_after(each, policy, run.exit_code):
            found.append(each.name)
    return tuple(found)


# -- the actions ------------------------------------------------------------------------------------------------------


def compute(case: ActionsCase) -> Actions:
    """What the pod needs. Source: pkg/kubelet/kuberuntime/kuberuntime_manager.go: computePodActions"""
    sandbox = case.runtime.sandbox
    verdict = law.decide("sandbox", case).outputs
    actions = Actions(kill_pod=verdict["kill_pod"], create_sandbox=verdict["create"])
    if verdict["start"] == "as-needed":
        actions.attempt = sandbox.attempt if sandbox is not None else 0
        return _in_place(case, actions)
    actions.attempt = sandbox.attempt + 1 if sandbox is not None else 0
    _START_ANEW[verdict["start"]](case, actions)
    return actions


def _start_first(case: ActionsCase, actions: Actions) -> None:
    actions.init_starts = (case.pod.spec.init_containers[0].name,)


def _start_all(case: ActionsCase, actions: Actions) -> None:
    actions.starts = _to_start_anew(case)


_START_ANEW: Final[Mapping[str, Callable[[ActionsCase, Actions], None]]] = {
    "first": _start_first,
    "all": _start_all,
    "none": lambda case, actions: None,
}
"""What is started in a new sandbox."""


def _in_place(case: ActionsCase, actions: Actions) -> Actions:
    ephemeral = [OneCase(case, each, case.newest(each.name)) for each in case.pod.spec.ephemeral_containers]
    acts = ((one.container.name, _ACTS[law.decide("ephemeral_container", one).outputs["act"]]) for one in ephemeral)
    actions.ephemeral_starts = tuple(name for name, act in acts if act.starts)
    initialized = _inits(case, actions)
    if actions.kill_pod or not initialized:
        return actions
    policy = case.pod.spec.restart_policy
    starts = []
    for container in case.pod.spec.containers:
        act = law.decide("regular_container", OneCase(case, container, case.newest(container.name), policy=policy))
        what = _ACTS[act.outputs["act"]]
        case.keeping += what.keeps
        if what.starts:
            starts.append(container.name)
        if what.reason:
            actions.kills = (*actions.kills, _kill(container, what, "Container"))
    actions.starts = tuple(starts)
    case.to_start = len(starts)
    if law.decide("pod_work", case).outputs["kill_pod"]:
        actions.kill_pod, actions.init_starts = True, ()
    return actions


def _inits(case: ActionsCase, actions: Actions) -> bool:
    """Set what init containers need; returns whether the pod is initialized."""
    containers = case.pod.spec.init_containers
    initialized = not containers or any(
        run is not None and run.state in ("created", "running")
        for run in (case.newest(each.name) for each in case.pod.spec.containers)
    )
    seen, starts, policy = initialized, [], case.pod.spec.restart_policy
    for place in range(len(containers) - 1, -1, -1):
        container = containers[place]
        one = OneCase(case, container, case.newest(container.name), seen, policy, True)
        verdict = law.decide("init_container", one).outputs
        what = _ACTS[verdict["act"]]
        if what.ends_pod:
            actions.kill_pod, actions.init_starts = True, ()
            return False
        if verdict["next"] and place + 1 < len(containers):
            starts.append(containers[place + 1].name)
        initialized = initialized or (verdict["next"] and place + 1 == len(containers))
        if what.starts:
            starts.append(container.name)
        if what.reason:
            actions.kills = (*actions.kills, _kill(container, what, "Init container"))
        seen = seen or verdict["seen"]
    if not seen:
        starts.append(containers[0].name)
    actions.init_starts = tuple(reversed(starts))
    return initialized


@value(kw_only=True)
class Act:
    """What a row orders for a container: to start it, to keep it, to kill it for a `reason`; or to end the pod."""

    starts: bool = False
    keeps: bool = False
    ends_pod: bool = False
    reason: str = ""


_ACTS: Final[Mapping[str, Act]] = {
    "none": Act(),
    "keep": Act(keeps=True),
    "start": Act(starts=True),
    "kill-pod": Act(ends_pod=True),
    **{
        f"restart-{reason}": Act(starts=True, reason=reason) for reason in ("changed", "liveness", "startup", "unknown")
    },
    **{f"kill-{reason}": Act(reason=reason) for reason in ("liveness", "startup")},
}
"""What the tables' acts mean."""


def _kill(container: Container, act: Act, noun: str) -> Kill:
    reason = act.reason
    if reason == "unknown":
        return Kill(container.name, f'{noun} is in "{UNKNOWN_STATE}" state, try killing it before restart', "Unknown")
    what = {
        "changed": "definition changed",
        "liveness": "failed liveness probe",
        "startup": "failed startup probe",
    }[reason]
    message = f"{noun} {container.name} {what}"
    if act.starts and noun == "Container":
        message += ", will be restarted"
    return Kill(container.name, message, {"liveness": "LivenessProbe", "startup": "StartupProbe"}.get(reason, ""))
