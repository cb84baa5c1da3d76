"""What a kubelet reports about one container: its state, and whether it is started and ready."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Literal, TypeAlias

from attrs import define

from k8sfsm.kinds.container_restarts import RESET, restarts_after
from k8sfsm.law import Law
from k8sfsm.lazy import lazy
from k8sfsm.node.restarts import TEXTS
from k8sfsm.node.runtime_state import Instance
from k8sfsm.objects import Quantity, evolve
from k8sfsm.objects.container import Container, ResourceRequirements
from k8sfsm.objects.pod import (
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    Pod,
    PodSpec,
)
from k8sfsm.value import value

law = Law("kubelet")

Kind: TypeAlias = Literal["init", "sidecar", "regular", "ephemeral"]
Place: TypeAlias = Literal["init", "regular", "ephemeral"]
LOST_EXIT_CODE: Final = 137
_MEMORY: Final[Mapping[str, Mapping[str, Quantity]]] = {"zero": {"memory": Quantity.parse("0")}, "spec": {}}
"""What a container's requests show beside what its spec says."""
_NO_STATE: Final = ContainerState()
_BLANK: Final = ContainerState(waiting=ContainerStateWaiting())
_CREATING: Final = ContainerState(waiting=ContainerStateWaiting(reason="ContainerCreating"))
_RESET: Final = ContainerState(waiting=ContainerStateWaiting(reason=RESET, message=TEXTS["removed"]))
_INITIALIZING: Final = ContainerState(waiting=ContainerStateWaiting(reason="PodInitializing"))


@value
class StartError:
    """Why the last attempt to start a container failed: what the kubelet's reason cache holds."""

    reason: str
    message: str


def kind_of(container: Container, place: Place) -> Kind:
    """What a container is that stands at that place of its pod's spec; a sidecar is an init container that restarts."""
    return "sidecar" if place == "init" and container.restart_policy == "Always" else place


@define(slots=False)
class ContainerCase:
    """One container of a pod, what the runtime knows of its runs, and what was reported before."""

    pod: Pod
    container: Container
    kind: Kind
    runs: tuple[Instance, ...]
    reported: ContainerStatus | None
    start_error: StartError | None
    regular_created: bool
    trusted: bool | None = None
    """What to take for the readiness probe's result instead of the runtime's record; None: the record counts."""
    shown: ContainerState = _NO_STATE
    initialized: bool = True
    restarting: bool = False
    """All containers of the pod are being restarted."""

    @lazy
    def run(self) -> Instance | None:
        """The newest run."""
        return self.runs[-1] if self.runs else None


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def run_state(case: ContainerCase) -> Literal["none", "created", "running", "exited", "unknown"]:
    """The state of the container's newest run; none: the runtime has no run of it."""
    return "none" if case.run is None else case.run.state


@law.fact
def reported_state(case: ContainerCase) -> Literal["none", "waiting", "running", "terminated"]:
    """The state that was reported before; none: nothing was."""
    return "none" if case.reported is None else _name_of(case.reported.state)


@law.fact
def shown_state(case: ContainerCase) -> Literal["waiting", "running", "terminated"]:
    """The state that is reported now."""
    return _name_of(case.shown)


def _name_of(state: ContainerState) -> Literal["waiting", "running", "terminated"]:
    if state.running is not None:
        return "running"
    return "terminated" if state.terminated is not None else "waiting"


@law.fact
def passed_over(case: ContainerCase) -> bool:
    """An init container whose run is gone although a regular container was made: it must have succeeded."""
    return case.kind == "init" and case.regular_created


@law.fact
def all_restart(case: ContainerCase) -> bool:
    """All containers of the pod are being restarted."""
    return case.restarting


@law.fact
def is_ephemeral(case: ContainerCase) -> bool:
    """It was added to the running pod for debugging."""
    return case.kind == "ephemeral"


@law.fact
def pod_deleted(case: ContainerCase) -> bool:
    """The pod has a deletionTimestamp."""
    return case.pod.metadata.deletion_timestamp is not None


@law.fact
def start_due(case: ContainerCase) -> bool:
    """The container is to be started at the next sync."""
    run = case.run
    if run is None or run.state in ("created", "unknown"):
        return True
    if run.state == "running" or (case.kind == "init" and run.exit_code == 0):
        return False
    return restarts_after(case.container, case.pod.spec.restart_policy, run.exit_code)


@law.fact
def is_plain_init(case: ContainerCase) -> bool:
    """An init container that is no sidecar."""
    return case.kind == "init"


@law.fact
def exit_zero(case: ContainerCase) -> bool:
    """The container ended with exit code 0."""
    return case.shown.terminated is not None and case.shown.terminated.exit_code == 0


@law.fact
def startup_passed(case: ContainerCase) -> bool:
    """There is no startup probe, or it has succeeded in this run."""
    return case.container.startup_probe is None or probe_result(case.run, "startup") is True


@law.fact
def readiness_passed(case: ContainerCase) -> bool:
    """There is no readiness probe, or its result is success."""
    if case.container.readiness_probe is None:
        return True
    return probe_result(case.run, "ready") is True if case.trusted is None else case.trusted


@law.fact
def runtime_tells_resources(case: ContainerCase) -> bool:
    """The runtime says what the newest run has been given."""
    return case.run is not None and case.run.resources_known


@law.fact
def requests_without_memory(case: ContainerCase) -> bool:
    """The container requests resources, and memory is not among them."""
    requests = case.container.resources.requests
    return bool(requests) and "memory" not in requests


@law.fact
def was_pod_initialized(case: ContainerCase) -> bool:
    """The pod had got past its init containers; always true for init containers that ran."""
    return case.initialized


def probe_result(run: Instance | None, probe: str) -> bool | None:
    """What a probe of this run has concluded; None: nothing yet."""
    if run is None:
        return None
    probed = run.probes.get(probe)
    return None if probed is None else probed.result


# -- the status -------------------------------------------------------------------------------------------------------


def container_status(case: ContainerCase, waiting: ContainerState) -> ContainerStatus:
    """The whole status of one container; `waiting`: the state of one that has not run."""
    status = _with_state(case, str(law.decide("container_state", case).outputs["state"]), waiting)
    if case.start_error is not None and law.decide("container_start_error", case).outputs["shown"]:
        status = _refused(status, case.start_error)
    case.shown = status.state
    verdict = law.decide("container_ready", case).outputs
    return evolve(status, started=verdict["started"], ready=verdict["ready"])


def default_waiting(spec: PodSpec) -> ContainerState:
    """The state of a container that has not run yet."""
    return _INITIALIZING if spec.init_containers else _CREATING


def _refused(status: ContainerStatus, error: StartError) -> ContainerStatus:
    last = status.state if status.state.terminated is not None else status.last_state
    waiting = ContainerStateWaiting(reason=error.reason, message=error.message)
    return evolve(status, state=ContainerState(waiting=waiting), last_state=last)


def _with_state(case: ContainerCase, state: str, waiting: ContainerState) -> ContainerStatus:
    if case.run is not None:
        return _from_runs(case, state)
    return _WITHOUT_RUN[state](case, _unseen(case, waiting))


def _removed(case: ContainerCase, status: ContainerStatus) -> ContainerStatus:
    return evolve(status, state=_RESET, last_state=_was_reset(), restart_count=status.restart_count + 1)


def _gone(case: ContainerCase, status: ContainerStatus) -> ContainerStatus:
    if status.last_state.terminated is not None:
        return status
    extra = 1 if case.pod.metadata.deletion_timestamp is None else 0
    return evolve(status, last_state=_vanished(), restart_count=status.restart_count + extra)


_WITHOUT_RUN: Final[Mapping[str, Callable[[ContainerCase, ContainerStatus], ContainerStatus]]] = {
    "removed": _removed,
    "kept": lambda case, status: status,
    "passed": lambda case, status: evolve(status, state=_passed()),
    "vanished": _gone,
    "waiting": lambda case, status: status,
}
"""What becomes of the status of a container that the runtime does not know."""


def _unseen(case: ContainerCase, waiting: ContainerState) -> ContainerStatus:
    """The status of a container that the runtime does not know."""
    old = case.reported
    mounts = volume_mounts(case.container) if old is None else old.volume_mounts
    if old is None:
        return ContainerStatus(
            name=case.container.name, image=case.container.image, state=waiting, volume_mounts=mounts
        )
    if old.state.terminated is not None:
        return old
    return ContainerStatus(
        name=case.container.name,
        image=case.container.image,
        state=waiting,
        restart_count=old.restart_count,
        last_state=old.last_state,
        volume_mounts=mounts,
    )


def _from_runs(case: ContainerCase, state: str) -> ContainerStatus:
    run, old, container = case.runs[-1], case.reported, case.container
    return ContainerStatus(
        name=container.name,
        state=_state_of(run, state),
        last_state=_last_state(case),
        restart_count=_restart_count(run, old, state),
        image=run.image,
        image_id=run.image_id,
        container_id=run.id,
        allocated_resources=container.resources.requests,
        resources=_resources(case),
        volume_mounts=volume_mounts(container) if old is None else old.volume_mounts,
    )


def _resources(case: ContainerCase) -> ResourceRequirements:
    """What the container got: its limits and requests, where it runs as the runtime has them."""
    own = case.container.resources
    added: Mapping[str, Quantity] = _MEMORY[law.decide("container_resources", case).outputs["memory"]]
    return ResourceRequirements(limits=own.limits, requests={**own.requests, **added} if added else own.requests)


def _last_state(case: ContainerCase) -> ContainerState:
    """How the run before ended: as the runtime has it, else as it was reported."""
    if len(case.runs) > 1:
        return _state_of(case.runs[-2], case.runs[-2].state)
    old = case.reported
    if old is None:
        return _NO_STATE
    ended = old.state.terminated
    return old.last_state if ended is None or ended.container_id == case.runs[-1].id else old.state


def _restart_count(run: Instance, old: ContainerStatus | None, state: str) -> int:
    """Restarts never get fewer, although the runtime may have forgotten earlier runs."""
    if old is None:
        return run.attempt
    if state in _LOST:
        return old.restart_count + 1
    ended = old.state.terminated
    again = state == "running" and ended is not None and ended.container_id != run.id
    return max(run.attempt, old.restart_count + again)


def _state_of(run: Instance, state: str) -> ContainerState:
    if state == "running":
        return ContainerState(running=ContainerStateRunning(started_at=_whole(run.started_at)))
    if state == "exited":
        ended = ContainerStateTerminated(
            exit_code=run.exit_code,
            reason=run.reason,
            message=run.message,
            started_at=_whole(run.started_at),
            finished_at=_whole(run.finished_at),
            container_id=run.id,
        )
        return ContainerState(terminated=ended)
    return _OTHER_STATES[state]()


def _whole(time: int | None) -> int | None:
    """A time as an object holds it: in whole seconds."""
    return None if time is None else time - time % 1_000_000_000


def lost() -> ContainerState:
    """The end of a container of which nothing is known."""
    message = "The container could not be located when the pod was terminated"
    return ContainerState(
        terminated=ContainerStateTerminated(exit_code=LOST_EXIT_CODE, reason="ContainerStatusUnknown", message=message)
    )


def _lost_in_restart() -> ContainerState:
    ended = lost().terminated
    assert ended is not None
    return ContainerState(terminated=evolve(ended, reason=RESET))


_LOST: Final = {"lost": lost, "lost-in-restart": _lost_in_restart}
_OTHER_STATES: Final[Mapping[str, Callable[[], ContainerState]]] = {
    **_LOST,
    **dict.fromkeys(("blank", "created", "unknown"), lambda: _BLANK),
}
"""The state that is shown of a run that neither goes on nor has ended."""


def _was_reset() -> ContainerState:
    ended = ContainerStateTerminated(exit_code=LOST_EXIT_CODE, reason=RESET, message=TEXTS["removed"])
    return ContainerState(terminated=ended)


def _vanished() -> ContainerState:
    message = "The container could not be located when the pod was deleted.  The container used to be Running"
    return ContainerState(
        terminated=ContainerStateTerminated(exit_code=LOST_EXIT_CODE, reason="ContainerStatusUnknown", message=message)
    )


def _passed() -> ContainerState:
    message = (
        "Unable to get init container status from container runtime and pod has been initialized, "
        "treat it as exited normally"
    )
    return ContainerState(terminated=ContainerStateTerminated(reason="Completed", message=message))


def volume_mounts(container: Container) -> tuple[Mapping[str, object], ...]:
    """The mounts of a container as its status lists them."""
    return tuple(_mount(mount) for mount in container.volume_mounts)


def _mount(mount: Mapping[str, object]) -> Mapping[str, object]:
    shown = {name: mount[name] for name in ("name", "mountPath") if name in mount}
    if mount.get("readOnly"):
        shown |= {"readOnly": True, "recursiveReadOnly": mount.get("recursiveReadOnly", "Disabled")}
    return shown
