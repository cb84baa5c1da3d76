"""The row of a Pod: `specs/kubectl/printer.yaml` decides its STATUS and RESTARTS.

Source: pkg/printers/internalversion/printers.go: printPod.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from k8sfsm.law import Law
from k8sfsm.objects import Container, ContainerStatus, Pod, human_duration
from k8sfsm.printer.cells import NONE, age

law = Law("kubectl")

TERMINAL: Final = ("Succeeded", "Failed")
NODE_LOST: Final = "NodeLost"
NEVER: Final = 0


@frozen
class ContainerCase:
    """The status of a container of `pod`: the `index`-th of its list. `spec`: the container, where the Pod has it."""

    pod: Pod
    status: ContainerStatus
    index: int
    spec: Container | None

    @property
    def values(self) -> dict[str, object]:
        """What the texts of the tables may name."""
        terminated = self.status.state.terminated
        return {
            "index": self.index,
            "init_containers": len(self.pod.spec.init_containers),
            "waiting_for": waiting_for(self),
            "end_reason": terminated.reason if terminated is not None else "",
            "end_signal": end_signal(self),
            "exit_code": exit_code(self),
        }


@frozen(kw_only=True)
class PodCase:
    """A Pod on its way through the tables.

    `said`: the STATUS so far; `failure`: what the first failed container says; `asked`: the statuses that were looked
    at; `up`, `ready`: regular containers, and containers of all sorts, that are ready.
    """

    pod: Pod
    now: int
    said: str = ""
    failure: str = ""
    initializing: bool = False
    up: int = 0
    ready: int = 0
    asked: tuple[ContainerStatus, ...] = ()

    @property
    def restarts(self) -> int:
        """How often the containers that were looked at were restarted."""
        return sum(status.restart_count for status in self.asked)

    @property
    def last_restart(self) -> int:
        """When one of them ended last before a restart (ns); `NEVER` where none says so."""
        ends = (each.last_state.terminated for each in self.asked)
        return max((end.finished_at or NEVER for end in ends if end is not None), default=NEVER)


# -- facts about a container ------------------------------------------------------------------------------------------


@law.fact
def ended(case: ContainerCase) -> bool:
    """The container has terminated."""
    return case.status.state.terminated is not None


@law.fact
def exit_code(case: ContainerCase) -> int:
    """Its exit code; 0 where it has not terminated."""
    terminated = case.status.state.terminated
    return terminated.exit_code if terminated is not None else 0


@law.fact
def end_signal(case: ContainerCase) -> int:
    """The signal that ended it; 0 for none."""
    terminated = case.status.state.terminated
    return terminated.signal if terminated is not None else 0


@law.fact
def end_reason_told(case: ContainerCase) -> bool:
    """The status says why the container terminated."""
    terminated = case.status.state.terminated
    return terminated is not None and terminated.reason != ""


@law.fact
def waiting_for(case: ContainerCase) -> str:
    """The reason why the container waits; "" where it does not, or does not say."""
    waiting = case.status.state.waiting
    return waiting.reason if waiting is not None else ""


@law.fact
def running(case: ContainerCase) -> bool:
    """The container runs."""
    return case.status.state.running is not None


@law.fact
def ready(case: ContainerCase) -> bool:
    """The container is ready."""
    return case.status.ready


@law.fact
def sidecar_started(case: ContainerCase) -> bool:
    """An init container that restarts always has started."""
    return is_sidecar(case.spec) and case.status.started is True


# -- facts about a Pod ------------------------------------------------------------------------------------------------


@law.fact
def scheduling_gated(case: PodCase) -> bool:
    """The condition PodScheduled names scheduling gates as its reason."""
    return any(each.type == "PodScheduled" and each.reason == "SchedulingGated" for each in case.pod.status.conditions)


@law.fact
def own_reason(case: PodCase) -> bool:
    """The status of the Pod itself has a reason."""
    return case.pod.status.reason != ""


@law.fact
def initializing(case: PodCase) -> bool:
    """An init container is not passed yet."""
    return case.initializing


@law.fact
def initialized_condition(case: PodCase) -> bool:
    """The condition Initialized is True."""
    return _condition(case.pod, "Initialized")


@law.fact
def ready_condition(case: PodCase) -> bool:
    """The condition Ready is True."""
    return _condition(case.pod, "Ready")


@law.fact
def said_completed(case: PodCase) -> bool:
    """The STATUS would be Completed."""
    return case.said == "Completed"


@law.fact
def any_up(case: PodCase) -> bool:
    """A container runs and is ready."""
    return case.up > 0


@law.fact
def any_failed(case: PodCase) -> bool:
    """A container terminated with an exit code that is not 0."""
    return case.failure != ""


@law.fact
def marked_for_deletion(case: PodCase) -> bool:
    """The Pod has a deletion timestamp."""
    return case.pod.metadata.deletion_timestamp is not None


@law.fact
def node_lost(case: PodCase) -> bool:
    """The Pod's reason says that its node is unreachable."""
    return case.pod.status.reason == NODE_LOST


@law.fact
def over(case: PodCase) -> bool:
    """The phase is Succeeded or Failed."""
    return case.pod.status.phase in TERMINAL


@law.fact
def restarted(case: PodCase) -> bool:
    """A container was restarted."""
    return case.restarts != 0


@law.fact
def last_restart_known(case: PodCase) -> bool:
    """A status says when a container ended last before it was restarted."""
    return case.last_restart > NEVER


def _condition(pod: Pod, kind: str) -> bool:
    found = next((each for each in pod.status.conditions if each.type == kind), None)
    return found is not None and found.status == "True"


def is_sidecar(container: Container | None) -> bool:
    """An init container that is restarted whenever it ends."""
    return container is not None and container.restart_policy == "Always"


# -- the row ----------------------------------------------------------------------------------------------------------


def pod_row(pod: Pod, now: int) -> list[object]:
    """The cells of a Pod, those of `-o wide` included; `now`: ns."""
    case = _looked_at(pod, now)
    restarts = law.decide("pod-restarts", case).outputs["text"]
    sidecars = sum(map(is_sidecar, pod.spec.init_containers))
    ip = pod.status.pod_ips[0].ip if pod.status.pod_ips else ""
    return [
        pod.metadata.name,
        f"{case.ready}/{len(pod.spec.containers) + sidecars}",
        case.said,
        restarts.format(restarts=case.restarts, ago=human_duration(now - case.last_restart)),
        age(pod, now),
        ip or NONE,
        pod.spec.node_name or NONE,
        pod.status.nominated_node_name or NONE,
        _gates(pod),
    ]


def pod_status(pod: Pod, now: int = 0) -> str:
    """The STATUS column of a Pod."""
    return _looked_at(pod, now).said


def _looked_at(pod: Pod, now: int) -> PodCase:
    """The Pod after all tables about its STATUS have been asked."""
    case = PodCase(pod=pod, now=now)
    text = law.decide("pod-first", case).outputs["status"]
    case = _init_containers(evolve(case, said=text.format(reason=pod.status.reason, phase=pod.status.phase)))
    if law.decide("pod-containers-count", case).outputs["counts"]:
        case = _containers(case)
        text = law.decide("pod-completed", case).outputs["status"]
        case = evolve(case, said=text.format(said=case.said, failure=case.failure))
    text = law.decide("pod-last", case).outputs["status"]
    return evolve(case, said=text.format(said=case.said))


def _init_containers(case: PodCase) -> PodCase:
    """The init containers, as far as the first that the Pod waits for."""
    pod, specs = case.pod, {container.name: container for container in case.pod.spec.init_containers}
    for index, status in enumerate(pod.status.init_container_statuses):
        one = ContainerCase(pod, status, index, specs.get(status.name))
        outputs = law.decide("pod-init-container", one).outputs
        case = evolve(case, asked=(*case.asked, status), ready=case.ready + (outputs["up"] and status.ready))
        if outputs["status"]:
            return evolve(case, said=outputs["status"].format(**one.values), initializing=True)
    return case


def _containers(case: PodCase) -> PodCase:
    """The regular containers, from the last to the first. Of the init containers only sidecars count from here on."""
    pod, said, failure, up = case.pod, case.said, "", 0
    statuses = pod.status.container_statuses
    for index in range(len(statuses) - 1, -1, -1):
        one = ContainerCase(pod, statuses[index], index, None)
        outputs = law.decide("pod-container", one).outputs
        said = outputs["status"].format(**one.values) or said
        failure = said if exit_code(one) and not waiting_for(one) else failure
        up += outputs["up"]
    sidecars = {container.name for container in pod.spec.init_containers if is_sidecar(container)}
    asked = (*(status for status in case.asked if status.name in sidecars), *statuses)
    return evolve(case, said=said, failure=failure, up=up, ready=case.ready + up, asked=asked)


def _gates(pod: Pod) -> str:
    gates = [gate.condition_type for gate in pod.spec.readiness_gates]
    return f"{sum(_condition(pod, gate) for gate in gates)}/{len(gates)}" if gates else NONE
