"""The phase of a pod, decided from the statuses of its containers."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define

from k8sfsm.kinds.container_restarts import restarts_after
from k8sfsm.law import Law
from k8sfsm.node.container_status import kind_of
from k8sfsm.objects.container import Container
from k8sfsm.objects.pod import ContainerStatus, Pod, PodSpec

law = Law("kubelet")

TERMINAL = ("Succeeded", "Failed")


@define
class PhaseCase:
    """A pod's containers, counted by what they mean for the phase."""

    over: bool
    active: bool
    failed_for_good: int = 0
    pending_inits: int = 0
    pending_sidecars: int = 0
    waiting_ones: int = 0
    running_ones: int = 0
    unknown_ones: int = 0
    stopped_ones: int = 0
    succeeded_ones: int = 0
    done_for_good: int = 0


@define
class FinalPhaseCase:
    """The phase that the containers give, and those that were stored and reported before."""

    computed: str
    stored: str
    reported: str
    past_deadline: bool


def phase_of(spec: PodSpec, statuses: Mapping[str, ContainerStatus], *, over: bool, active: bool) -> str:
    """The phase; `over`: the pod was ended by the kubelet; `active`: a regular container exists in its sandbox."""
    case = PhaseCase(over, active)
    policy = spec.restart_policy
    for container in spec.init_containers:
        if kind_of(container, "init") == "sidecar":
            _count_sidecar(case, statuses.get(container.name))
        else:
            _count_init(case, container, statuses.get(container.name), policy)
    for container in spec.containers:
        _count_regular(case, container, statuses.get(container.name), policy)
    return str(law.decide("phase", case).outputs["phase"])


def phase_counts_for(pod: Pod) -> dict[str, ContainerStatus]:
    """The statuses of a stored pod by name, as `phase_of` wants them."""
    return {status.name: status for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)}


def _count_init(case: PhaseCase, container: Container, status: ContainerStatus | None, policy: str) -> None:
    ended = None
    if status is not None and status.state.running is None:
        ended = status.state.terminated
        if ended is None and status.state.waiting is not None:
            ended = status.last_state.terminated
    if ended is None:
        case.pending_inits += 1
    elif ended.exit_code != 0 and not restarts_after(container, policy, ended.exit_code, ended.reason):
        case.failed_for_good += 1


def _count_sidecar(case: PhaseCase, status: ContainerStatus | None) -> None:
    if status is None:
        case.unknown_ones += 1
    elif status.state.running is not None:
        case.running_ones += 1
        if not status.started:
            case.pending_sidecars += 1
    elif status.state.terminated is not None:
        return
    elif status.state.waiting is None:
        case.pending_sidecars += 1
        case.unknown_ones += 1
    elif status.last_state.terminated is None:
        case.pending_sidecars += 1
        case.waiting_ones += 1


def _count_regular(case: PhaseCase, container: Container, status: ContainerStatus | None, policy: str) -> None:
    if status is None:
        case.unknown_ones += 1
        return
    state = status.state
    if state.running is not None:
        case.running_ones += 1
        return
    ended = state.terminated
    if ended is None:
        if state.waiting is None:
            case.unknown_ones += 1
            return
        ended = status.last_state.terminated
        if ended is None:
            case.waiting_ones += 1
            return
    case.stopped_ones += 1
    if state.terminated is not None and ended.exit_code == 0:
        case.succeeded_ones += 1
    if not restarts_after(container, policy, ended.exit_code, ended.reason):
        case.done_for_good += 1


@law.fact
def inits_failed_for_good(case: PhaseCase) -> int:
    """Init containers that failed and will not be started again."""
    return case.failed_for_good


@law.fact
def inits_pending(case: PhaseCase) -> int:
    """Init containers that have not ended."""
    return case.pending_inits


@law.fact
def sidecars_pending(case: PhaseCase) -> int:
    """Sidecars that have not started."""
    return case.pending_sidecars


@law.fact
def regular_active(case: PhaseCase) -> bool:
    """A regular container exists in the pod's sandbox."""
    return case.active


@law.fact
def waiting(case: PhaseCase) -> int:
    """Containers (init containers aside) that wait for their first start."""
    return case.waiting_ones


@law.fact
def running(case: PhaseCase) -> int:
    """Running containers, init containers aside."""
    return case.running_ones


@law.fact
def unknown(case: PhaseCase) -> int:
    """Containers (init containers aside) without a known state."""
    return case.unknown_ones


@law.fact
def stopped(case: PhaseCase) -> int:
    """Regular containers that have ended, or that wait to be started again."""
    return case.stopped_ones


@law.fact
def pod_is_over(case: PhaseCase) -> bool:
    """The kubelet has ended the pod: nothing will be started again."""
    return case.over


@law.fact
def will_restart(case: PhaseCase) -> bool:
    """One of the stopped containers will be started again."""
    return case.stopped_ones != case.done_for_good


@law.fact
def all_succeeded(case: PhaseCase) -> bool:
    """Every stopped container ended with exit code 0."""
    return case.stopped_ones == case.succeeded_ones


@law.fact
def stored_phase(case: FinalPhaseCase) -> str:
    """The phase in the API."""
    return case.stored


@law.fact
def reported_phase(case: FinalPhaseCase) -> str:
    """The phase that the kubelet has reported to its status manager."""
    return case.reported


@law.fact
def computed_phase(case: FinalPhaseCase) -> str:
    """The phase that the containers give."""
    return case.computed


@law.fact
def deadline_exceeded(case: FinalPhaseCase) -> bool:
    """The pod has been active for longer than activeDeadlineSeconds."""
    return case.past_deadline


@law.fact
def computed_anew(case: FinalPhaseCase) -> bool:
    """The containers give another phase than the kubelet has reported."""
    return case.computed != case.reported
