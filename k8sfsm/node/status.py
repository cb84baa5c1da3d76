"""The status of a pod as its kubelet generates it, and as its status manager sends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define

from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.kinds.pod_resources import pod_limits, pod_requests
from k8sfsm.law import Law
from k8sfsm.lazy import lazy
from k8sfsm.node.conditions import (
    OWNED,
    ConditionCase,
    condition_of,
    containers_ready_condition,
    owned_conditions,
    ready_condition,
    shared_condition,
)
from k8sfsm.node.container_status import (
    ContainerCase,
    Place,
    StartError,
    container_status,
    default_waiting,
    kind_of,
    lost,
)
from k8sfsm.node.phase import TERMINAL, FinalPhaseCase, phase_of
from k8sfsm.node.restarts import all_removed, restart_wanted
from k8sfsm.node.runtime_state import NO_ENTRIES, PodRuntime
from k8sfsm.objects import Quantity, evolve
from k8sfsm.objects.container import Container, ResourceRequirements
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET, ContainerStatus, HostIP, Pod, PodCondition, PodIP, PodStatus

law = Law("kubelet")


@define(slots=False, kw_only=True)
class StatusCase:
    """What a status is generated from. `reported`: the status that the kubelet last generated, if any."""

    pod: Pod
    runtime: PodRuntime
    reported: PodStatus | None
    now: int
    over: bool = False
    start_errors: Mapping[str, StartError] = NO_ENTRIES
    host_ips: tuple[HostIP, ...] = ()
    trusted: Mapping[str, bool] | None = None
    active: bool | None = None
    """Whether a regular container exists in the current sandbox; None: read off the runtime."""
    reads_cgroups: bool = True
    seen_phase: str = ""
    """The phase in the API when the pod's worker got the pod; empty: as it is in `pod`."""

    @lazy
    def restarting(self) -> bool:
        """All containers of the pod are being restarted."""
        return restart_wanted(self.pod, self.runtime, self.old)

    @property
    def old(self) -> PodStatus:
        """The status to go on from."""
        return self.pod.status if self.reported is None else self.reported


def generate(case: StatusCase) -> PodStatus:
    """The pod's status; the times of conditions are left open. Source: kubelet_pods.go: generateAPIPodStatus"""
    pod, runtime, old = case.pod, case.runtime, case.old
    regular_created = any(runtime.containers.get(each.name) for each in pod.spec.containers)
    inits = _statuses(case, pod.spec.init_containers, old.init_container_statuses, "init", regular_created)
    regular = _statuses(case, pod.spec.containers, old.container_statuses, "regular", regular_created)
    debuggers = _statuses(case, pod.spec.ephemeral_containers, old.ephemeral_container_statuses, "ephemeral", False)
    by_name = {status.name: status for status in (*inits, *regular)}
    active = regular_created and runtime.sandbox is not None if case.active is None else case.active
    computed = phase_of(pod.spec, _as_started_before(by_name, old), over=case.over, active=active)
    phase, reason, message = _final_phase(case, computed)
    ip = runtime.sandbox.ip if runtime.sandbox is not None else ""
    status = evolve(
        pod.status,
        observed_generation=pod.metadata.generation,
        phase=phase,
        reason=reason,
        message=message,
        host_ip=case.host_ips[0].ip if case.host_ips else "",
        host_ips=case.host_ips,
        init_container_statuses=inits,
        container_statuses=tuple(sorted(regular, key=_name)) if len(regular) > 1 else regular,
        ephemeral_container_statuses=tuple(sorted(debuggers, key=_name)),
        pod_ip=ip,
        pod_ips=(PodIP(ip=ip),) if ip else (),
        start_time=old.start_time,
        qos_class=pod.status.qos_class or qos_class(pod),
        allocated_resources=pod_requests(pod, overhead=False),
        resources=pod_resources(case),
    )
    return evolve(status, conditions=_conditions(case, by_name, phase))


def _as_started_before(statuses: dict[str, ContainerStatus], old: PodStatus) -> Mapping[str, ContainerStatus]:
    """What the phase is computed from: sidecars count as started when that has been reported before."""
    if not old.init_container_statuses:
        return statuses if not any(each.started for each in statuses.values()) else _never_started(statuses)
    return _never_started(statuses) | {
        each.name: evolve(statuses[each.name], started=each.started)
        for each in old.init_container_statuses
        if each.name in statuses
    }


def _never_started(statuses: dict[str, ContainerStatus]) -> dict[str, ContainerStatus]:
    return {name: evolve(each, started=False) for name, each in statuses.items()}


def _name(status: ContainerStatus) -> str:
    return status.name


def _statuses(
    case: StatusCase, containers: Sequence[Container], old: Sequence[ContainerStatus], place: Place, created: bool
) -> tuple[ContainerStatus, ...]:
    if not containers:
        return ()
    known = {status.name: status for status in old}
    first = default_waiting(case.pod.spec)
    runs = case.runtime.containers
    return tuple(
        container_status(
            ContainerCase(
                case.pod,
                container,
                kind_of(container, place),
                runs.get(container.name, ()),
                known.get(container.name),
                case.start_errors.get(container.name),
                created,
                None if case.trusted is None else case.trusted.get(container.name),
                restarting=case.restarting,
            ),
            first,
        )
        for container in containers
    )


def pod_resources(case: StatusCase) -> ResourceRequirements:
    """Pod-level resources: of a pod that runs what its cgroup says, else what its spec asks for."""
    pod = case.pod
    verdict = law.decide("pod_resources", case).outputs["resources"]
    requests = pod_requests(pod, overhead=False)
    return _RESOURCES[verdict](pod, requests, case.old.resources or _NOTHING)


def _memory_alone(pod: Pod, requests: Mapping[str, Quantity], old: ResourceRequirements) -> ResourceRequirements:
    return ResourceRequirements(requests={name: each for name, each in requests.items() if name == "memory"})


def _as_reported(pod: Pod, requests: Mapping[str, Quantity], old: ResourceRequirements) -> ResourceRequirements:
    others = {name: each for name, each in requests.items() if name == "memory"}
    cpu = {name: each for name, each in old.requests.items() if name == "cpu"}
    return ResourceRequirements(requests={**cpu, **others}, limits=old.limits)


def _as_asked(pod: Pod, requests: Mapping[str, Quantity], old: ResourceRequirements) -> ResourceRequirements:
    return ResourceRequirements(requests=requests, limits=pod_limits(pod, overhead=False))


_NOTHING: Final = ResourceRequirements()
_RESOURCES: Final = {"memory": _memory_alone, "spec": _as_asked, "kept": _as_reported}


@law.fact
def seen_running(case: StatusCase) -> bool:
    """The phase in the API was Running when the pod's worker got the pod."""
    return (case.seen_phase or case.pod.status.phase) == "Running"


@law.fact
def reported_before(case: StatusCase) -> str:
    """The phase that the kubelet came to last."""
    return case.old.phase


@law.fact
def cgroups_readable(case: StatusCase) -> bool:
    """The kubelet can read the pod's own cgroup (it cannot with cgroupsPerQOS off)."""
    return case.reads_cgroups


def _final_phase(case: StatusCase, computed: str) -> tuple[str, str, str]:
    """Phase, reason and message."""
    stored, reported = case.pod.status, case.old
    verdict = law.decide("final_phase", FinalPhaseCase(computed, stored.phase, reported.phase, past_deadline(case)))
    chosen = {"computed": computed, "stored": stored.phase, "reported": reported.phase, "failed": "Failed"}
    phase = chosen[verdict.outputs["phase"]]
    kept = (reported.reason or stored.reason, reported.message or stored.message)
    reason, message = {
        "deadline": ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline"),
        "dropped": ("", ""),
        "carried": kept if phase == reported.phase else ("", ""),
    }[verdict.outputs["reason"]]
    return phase, reason, message


def past_deadline(case: StatusCase) -> bool:
    """The pod has been active for its `activeDeadlineSeconds`. Source: active_deadline.go: pastActiveDeadline"""
    limit, start = case.pod.spec.active_deadline_seconds, case.old.start_time
    return limit is not None and start is not None and case.now - start >= limit * SECOND


def _conditions(case: StatusCase, statuses: Mapping[str, ContainerStatus], phase: str) -> tuple[PodCondition, ...]:
    stored = case.pod.status.conditions
    sandbox = case.runtime.sandbox
    facts = ConditionCase(
        case.pod,
        phase,
        statuses,
        stored,
        sandbox=sandbox is not None and sandbox.ready and bool(sandbox.ip),
        before=case.old.conditions,
        restarting=case.restarting,
        removed=case.restarting and all_removed(case.pod, case.runtime),
    )
    others = [each for each in stored if each.type not in OWNED]
    shared = condition_of(case.old.conditions, DISRUPTION_TARGET)
    if shared is not None and condition_of(others, DISRUPTION_TARGET) is None:
        others.append(shared)
    elif shared is not None:
        others = [shared if each.type == DISRUPTION_TARGET else each for each in others]
    return (*others, *owned_conditions(facts))


# -- the status manager -----------------------------------------------------------------------------------------------


def settle(status: PodStatus, before: PodStatus, now: int) -> PodStatus:
    """The status with its times: startTime once, lastTransitionTime where a condition's status differs from `before`.

    Source: pkg/kubelet/status/status_manager.go: updateStatusInternal, updateLastTransitionTime
    """
    whole = now - now % SECOND
    known = {each.type: each for each in before.conditions}
    conditions = tuple(_timed(each, known.get(each.type), whole) for each in status.conditions)
    return evolve(status, conditions=conditions, start_time=before.start_time or status.start_time or whole)


def _timed(condition: PodCondition, before: PodCondition | None, now: int) -> PodCondition:
    if condition.type not in OWNED:
        return condition
    since = now
    if before is not None and before.status == condition.status and before.last_transition_time is not None:
        since = before.last_transition_time
    return shared_condition(
        condition.type, condition.observed_generation, condition.status, since, condition.reason, condition.message
    )


@define
class ReportCase:
    """A generated status on its way to the API, and what is stored there."""

    pod: Pod
    status: PodStatus
    may_run: bool


@law.fact
def new_phase_terminal(case: ReportCase) -> bool:
    """The generated phase is Succeeded or Failed."""
    return case.status.phase in TERMINAL


@law.fact
def stored_phase_terminal(case: ReportCase) -> bool:
    """The phase in the API is Succeeded or Failed."""
    return case.pod.status.phase in TERMINAL


@law.fact
def containers_may_run(case: ReportCase) -> bool:
    """The kubelet has not ended the pod yet: a container of it may still run."""
    return case.may_run


def merged(case: ReportCase, now: int) -> PodStatus:
    """The status as it is sent; what others own is the stored one's. Source: status_manager.go: mergePodStatus"""
    verdict = law.decide("report_phase", case).outputs
    status, stored = case.status, case.pod.status
    conditions = tuple(each for each in status.conditions if each.type != DISRUPTION_TARGET or verdict["disruption"])
    if not verdict["disruption"]:
        held = condition_of(stored.conditions, DISRUPTION_TARGET)
        conditions = conditions if held is None else (held, *conditions)
    source = {"stored": stored, "new": status}[verdict["phase"]]
    if source is not status:
        status = evolve(status, phase=source.phase, reason=source.reason, message=source.message)
    if status.phase in TERMINAL:
        conditions = _unready(case.pod, status.phase, conditions, now)
    return status if conditions == status.conditions else evolve(status, conditions=conditions)


def _unready(pod: Pod, phase: str, conditions: tuple[PodCondition, ...], now: int) -> tuple[PodCondition, ...]:
    """A pod that is over is never Ready."""
    kinds = ("Ready", "ContainersReady")
    if not any(each.type in kinds and each.status == "True" for each in conditions):
        return conditions
    statuses = {each.name: each for each in pod.status.container_statuses}
    facts = ConditionCase(pod, phase, statuses, conditions)
    containers = containers_ready_condition(facts)
    forced = {"ContainersReady": containers, "Ready": ready_condition(facts, containers)}
    known = {each.type: each for each in conditions}
    whole = now - now % SECOND
    return tuple(
        _timed(forced[each.type], known[each.type], whole) if each.type in forced else each for each in conditions
    )


def ended_status(pod: Pod, status: PodStatus) -> PodStatus:
    """The last status of a pod that is over: containers without an end are lost, and the phase is terminal.

    Source: pkg/kubelet/status/status_manager.go: TerminatePod
    """
    initialized = _has_initialized(pod, status)
    inits = tuple(_ended(pod, each, True) for each in status.init_container_statuses)
    regular = tuple(_ended(pod, each, initialized) for each in status.container_statuses)
    phase = status.phase if status.phase in TERMINAL else "Failed"
    return evolve(status, init_container_statuses=inits, container_statuses=regular, phase=phase)


def _ended(pod: Pod, status: ContainerStatus, initialized: bool) -> ContainerStatus:
    case = ContainerCase(pod, Container(name=status.name), "regular", (), status, None, False)
    case.shown, case.initialized = status.state, initialized
    if law.decide("lost_containers", case).outputs["ended"]:
        return status
    return evolve(status, state=lost())


def _has_initialized(pod: Pod, status: PodStatus) -> bool:
    """Source: status_manager.go: hasPodInitialized"""
    if not pod.spec.init_containers:
        return True
    held = condition_of(status.conditions, "Initialized")
    return held is not None and held.status == "True"
