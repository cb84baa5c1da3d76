"""The conditions of a pod that a kubelet owns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from attrs import define

from k8sfsm.kinds.container_restarts import may_restart_together
from k8sfsm.law import Law
from k8sfsm.lazy import lazy
from k8sfsm.node.restarts import RESTARTING, TEXTS
from k8sfsm.objects.pod import ContainerStatus, Pod, PodCondition

law = Law("kubelet")

OWNED: Final = frozenset(
    {
        "PodScheduled",
        "Ready",
        "Initialized",
        "ContainersReady",
        "PodResizeInProgress",
        "PodResizePending",
        "PodReadyToStartContainers",
        RESTARTING,
    }
)
"""Conditions that only the kubelet writes. Source: pkg/kubelet/types/pod_status.go: PodConditionsByKubelet"""


@define(slots=False)
class ConditionCase:
    """A pod, its phase and the statuses of its containers by name; `missing`: there are no statuses at all.

    `before`: the conditions that were reported last. `restarting`: all containers are to be started anew; `removed`:
    the runtime has none any more.
    """

    pod: Pod
    phase: str
    statuses: Mapping[str, ContainerStatus]
    conditions: Sequence[PodCondition]
    missing: bool = False
    sandbox: bool = False
    containers_ready: str = ""
    before: Sequence[PodCondition] = ()
    restarting: bool = False
    removed: bool = False

    @lazy
    def lasting(self) -> tuple[str, ...]:
        """Names of the containers that must be ready: sidecars, then regular containers."""
        spec = self.pod.spec
        sidecars = [each.name for each in spec.init_containers if each.restart_policy == "Always"]
        return (*sidecars, *(each.name for each in spec.containers))

    @lazy
    def without_status(self) -> tuple[str, ...]:
        """Containers that must be ready and have no status."""
        return tuple(name for name in self.lasting if name not in self.statuses)

    @lazy
    def unready(self) -> tuple[str, ...]:
        """Containers that must be ready and are not."""
        return tuple(name for name in self.lasting if name in self.statuses and not self.statuses[name].ready)

    @lazy
    def inits_without_status(self) -> tuple[str, ...]:
        """Init containers (sidecars too) without a status."""
        return tuple(each.name for each in self.pod.spec.init_containers if each.name not in self.statuses)

    @lazy
    def incomplete(self) -> tuple[str, ...]:
        """Init containers that have not succeeded, and sidecars that have not started."""
        found = []
        for each in self.pod.spec.init_containers:
            status = self.statuses.get(each.name)
            if status is None:
                continue
            done = status.started if each.restart_policy == "Always" else status.ready
            if not done:
                found.append(each.name)
        return tuple(found)

    @lazy
    def closed_gates(self) -> tuple[str, ...]:
        """What the readiness gates that are not open lack, one text each."""
        found = []
        for gate in self.pod.spec.readiness_gates:
            held = condition_of(self.conditions, gate.condition_type)
            if held is None:
                found.append(f'corresponding condition of pod readiness gate "{gate.condition_type}" does not exist.')
            elif held.status != "True":
                found.append(
                    f'the status of pod readiness gate "{gate.condition_type}" is not "True", but {held.status}'
                )
        return tuple(found)


@lru_cache(maxsize=16384)
def shared_condition(
    kind: str, generation: int, status: str, since: int | None, reason: str, message: str
) -> PodCondition:
    """A condition that all pods with an equal one share: thousands of pods start in the same way."""
    return PodCondition(
        type=kind,
        observed_generation=generation,
        status=status,
        last_transition_time=since,
        reason=reason,
        message=message,
    )


def condition_of(conditions: Sequence[PodCondition], kind: str) -> PodCondition | None:
    """The condition of that type."""
    for condition in conditions:
        if condition.type == kind:
            return condition
    return None


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def statuses_missing(case: ConditionCase) -> bool:
    """No status of any container is known."""
    return case.missing


@law.fact
def condition_phase(case: ConditionCase) -> str:
    """The pod's phase."""
    return case.phase


@law.fact
def containers_unknown(case: ConditionCase) -> bool:
    """A sidecar or regular container has no status."""
    return bool(case.without_status)


@law.fact
def containers_unready(case: ConditionCase) -> bool:
    """A sidecar or regular container is not ready."""
    return bool(case.unready)


@law.fact
def containers_are_ready(case: ConditionCase) -> bool:
    """The condition ContainersReady is True."""
    return case.containers_ready == "True"


@law.fact
def gates_closed(case: ConditionCase) -> bool:
    """A readiness gate's condition is missing or not True."""
    return bool(case.closed_gates)


@law.fact
def has_inits(case: ConditionCase) -> bool:
    """The pod has init containers."""
    return bool(case.pod.spec.init_containers)


@law.fact
def inits_unknown(case: ConditionCase) -> bool:
    """An init container has no status."""
    return bool(case.inits_without_status)


@law.fact
def inits_to_do(case: ConditionCase) -> bool:
    """An init container is not known to have succeeded, or a sidecar to have started."""
    return bool(case.inits_without_status or case.incomplete)


@law.fact
def inits_incomplete(case: ConditionCase) -> bool:
    """An init container has not succeeded, or a sidecar has not started."""
    return bool(case.incomplete)


@law.fact
def regular_started(case: ConditionCase) -> bool:
    """A regular container runs or has run."""
    for each in case.pod.spec.containers:
        status = case.statuses.get(each.name)
        if status is not None and (status.state.running is not None or status.state.terminated is not None):
            return True
    return False


@law.fact
def initialized_before(case: ConditionCase) -> bool:
    """The condition Initialized was True."""
    held = condition_of(case.before, "Initialized")
    return held is not None and held.status == "True"


@law.fact
def may_restart_all(case: ConditionCase) -> bool:
    """A container of the pod has a rule that restarts all of them."""
    return may_restart_together(case.pod.spec)


@law.fact
def restart_asked(case: ConditionCase) -> bool:
    """A container ended in the way that restarts all, or they are being restarted already."""
    return case.restarting


@law.fact
def containers_removed(case: ConditionCase) -> bool:
    """The runtime has no container of the pod any more."""
    return case.removed


@law.fact
def sandbox_usable(case: ConditionCase) -> bool:
    """The newest sandbox is ready."""
    return case.sandbox


# -- conditions -------------------------------------------------------------------------------------------------------


def owned_conditions(case: ConditionCase) -> tuple[PodCondition, ...]:
    """The kubelet's conditions in the order in which it reports them; times are left open."""
    generation = case.pod.metadata.generation
    containers = containers_ready_condition(case)
    sandbox = law.decide("sandbox_ready", case).outputs
    restarting = law.decide("all_restarting", case).outputs
    last = () if restarting["status"] == "absent" else (_condition(case, RESTARTING, restarting),)
    return (
        shared_condition("PodReadyToStartContainers", generation, sandbox["status"], None, "", ""),
        initialized_condition(case),
        ready_condition(case, containers),
        containers,
        shared_condition("PodScheduled", generation, "True", None, "", ""),
        *last,
    )


def containers_ready_condition(case: ConditionCase) -> PodCondition:
    """The condition ContainersReady."""
    return _condition(case, "ContainersReady", law.decide("containers_ready", case).outputs)


def initialized_condition(case: ConditionCase) -> PodCondition:
    """The condition Initialized."""
    return _condition(case, "Initialized", law.decide("initialized", case).outputs)


def ready_condition(case: ConditionCase, containers: PodCondition) -> PodCondition:
    """The condition Ready, given ContainersReady."""
    case.containers_ready = containers.status
    return _condition(case, "Ready", law.decide("pod_ready", case).outputs, containers)


def _condition(
    case: ConditionCase, kind: str, verdict: Mapping[str, str], base: PodCondition | None = None
) -> PodCondition:
    generation = case.pod.metadata.generation
    reason, message = verdict["reason"], verdict["message"]
    if reason == "inherited" and base is not None:
        reason, text = base.reason, base.message
    else:
        text = _TEXTS[message](case)
    return shared_condition(kind, generation, verdict["status"], None, reason, text)


def _containers_text(case: ConditionCase) -> str:
    return _lists(("unknown", case.without_status), ("unready", case.unready))


def _inits_text(case: ConditionCase) -> str:
    return _lists(("unknown", case.inits_without_status), ("incomplete", case.incomplete))


def _lists(*parts: tuple[str, tuple[str, ...]]) -> str:
    return ", ".join(f"containers with {word} status: [{' '.join(names)}]" for word, names in parts if names)


_TEXTS: Final[Mapping[str, Callable[[ConditionCase], str]]] = {
    "none": lambda case: "",
    "containers": _containers_text,
    "inits": _inits_text,
    "gates": lambda case: ", ".join(case.closed_gates),
    "restart": lambda case: TEXTS["condition"],
}
