"""A kubelet's eviction rounds: how much memory is left, what the node says of it, and which pod has to go."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from attrs import define

from k8sfsm.law import Decision, Law
from k8sfsm.lazy import lazy
from k8sfsm.node.eviction import Usage, evicted
from k8sfsm.node.memory import Eviction, PressureMemory, eviction_key
from k8sfsm.node.runtime_state import PodRuntime, newest, node_of, pod_of
from k8sfsm.objects import Container, Node, Pod, Quantity, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Look, Record, Remember, Step
from k8sfsm.view import View

law = Law("kubelet")

KEY: Final = "pressure"
"""Under which key a kubelet remembers its last round."""
_TERMINAL: Final = ("Succeeded", "Failed")
_ZERO: Final = Quantity.parse("0")


@define(slots=False)
class Round:
    """One look of a kubelet at its node's memory. `wait` (ns): until the next, where one is to come soon."""

    node: Node
    view: View
    memory: PressureMemory
    wait: int | None = None

    @property
    def now(self) -> int:
        """The time of this look (ns)."""
        return self.view.now

    @lazy
    def pods(self) -> tuple[Pod, ...]:
        """The pods of the node that are not over."""
        pods = self.view.on_node(self.node.metadata.name)
        return tuple(pod for pod in pods if pod.status.phase not in _TERMINAL)

    def runtime(self, pod: Pod) -> PodRuntime:
        """What the runtime knows of a pod."""
        return pod_of(self.view.runtime, pod.metadata.uid)

    @lazy
    def left(self) -> int:
        """Bytes of memory that are available."""
        capacity = self.node.status.capacity.get("memory", _ZERO).value
        return capacity - sum(used_by(self.runtime(pod), each) for pod in self.pods for each in containers_of(pod))


def containers_of(pod: Pod) -> tuple[Container, ...]:
    """All containers of a pod."""
    return (*pod.spec.init_containers, *pod.spec.containers, *pod.spec.ephemeral_containers)


def used_by(runtime: PodRuntime, container: Container) -> int:
    """Bytes that a container uses now."""
    run = newest(runtime, container.name)
    return run.memory if run is not None and run.state == "running" else 0


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def usage_known(case: Round) -> bool:
    """The runtime has said of a container how much memory it uses."""
    return node_of(case.view.runtime).measured


@law.fact
def awaits_clean_up(case: Round) -> bool:
    """The pod that was evicted last is not cleaned up yet, and there is still time."""
    memory = case.memory
    if not memory.evicted or memory.evicted not in case.view.runtime:
        return False
    until = memory.evicted_at + int(law.constant("eviction_clean_up_timeout")) * SECOND
    return case.now < until and not pod_of(case.view.runtime, memory.evicted).cleaned


@law.fact
def round_due(case: Round) -> bool:
    """The last round was long enough ago, or it ended with an eviction."""
    period = int(law.constant("eviction_monitoring_period")) * SECOND
    return bool(case.memory.evicted) or case.now - case.memory.looked_at >= period


@law.fact
def memory_short(case: Round) -> bool:
    """Less memory is available than the hard threshold."""
    return case.left < int(law.constant("eviction_memory_threshold"))


@law.fact
def short_lately(case: Round) -> bool:
    """Memory was short in the last minutes."""
    since = case.memory.short_at
    return since is not None and case.now - since < law.constant("pressure_transition_period") * SECOND


# -- actions ----------------------------------------------------------------------------------------------------------


def _keep(case: Round, wait: int | None, **changes: Any) -> Iterable[Step]:
    """Remember the round; look again after `wait` (ns), unless that is going to happen anyway."""
    memory = evolve(case.memory, **changes)
    if wait is not None and not case.now < memory.wake_at <= case.now + wait:
        case.wait, memory = wait, evolve(memory, wake_at=case.now + wait)
    case.memory = memory
    return (Remember(key=KEY, value=memory),)


def _period() -> int:
    return int(law.constant("eviction_monitoring_period")) * SECOND


@law.action
def wait_for_clean_up(case: Round, decision: Decision) -> Iterable[Step]:
    """Look again soon."""
    return _keep(case, int(law.constant("eviction_clean_up_poll")) * SECOND)


@law.action
def wait_for_round(case: Round, decision: Decision) -> Iterable[Step]:
    """Look again when the next round is due."""
    return _keep(case, case.memory.looked_at + _period() - case.now)


@law.action
def note_enough(case: Round, decision: Decision) -> Iterable[Step]:
    """There is enough memory. While the node is said to be short, that is to change."""
    return _keep(case, _period() if short_lately(case) else None, looked_at=case.now, evicted="")


@law.action
def note_shortage(case: Round, decision: Decision) -> Iterable[Step]:
    """Memory is short now."""
    text = "Attempting to reclaim memory"
    record = Record(regarding=case.node, type="Warning", reason="EvictionThresholdMet", message=text)
    return (*_keep(case, _period(), looked_at=case.now, short_at=case.now, evicted=""), record)


@law.action
def evict_first(case: Round, decision: Decision) -> Iterable[Step]:
    """Evict the first of the ranking that may be evicted. Source: eviction_manager.go: synchronize, evictPod"""
    known = case.view.memory
    usages = [
        Usage(pod=pod, pressure="memory", used=sum(used_by(case.runtime(pod), each) for each in containers_of(pod)))
        for pod in case.pods
        if eviction_key(pod.metadata.uid) not in known
    ]
    found = evicted(usages, "memory")
    if found is None:
        return ()
    pod, grace = found
    message = eviction_message(case, pod)
    poll = int(law.constant("eviction_clean_up_poll")) * SECOND
    return (
        *_keep(case, poll, evicted=pod.metadata.uid, evicted_at=case.now),
        Remember(key=eviction_key(pod.metadata.uid), value=Eviction(grace, message)),
        Record(regarding=pod, type="Warning", reason="Evicted", message=message),
        Look(key=("Pod", pod.metadata.namespace, pod.metadata.name)),
    )


def eviction_message(case: Round, pod: Pod) -> str:
    """Why the pod is evicted. Source: pkg/kubelet/eviction/helpers.go: evictionMessage"""
    threshold = Quantity.of(int(law.constant("eviction_memory_threshold")), "BinarySI")
    available = Quantity.of(case.left, "BinarySI")
    text = f"The node was low on resource: memory. Threshold quantity: {threshold}, available: {available}. "
    for container in containers_of(pod):
        used = Quantity.of(used_by(case.runtime(pod), container), "BinarySI")
        asked = container.resources.requests.get("memory", _ZERO)
        if used > asked:
            text += (
                f"Container {container.name} was using {used}, request is {asked}, has larger consumption of memory. "
            )
    return text


def look_at_memory(view: View, node: Node | None) -> tuple[Round | None, list[Any]]:
    """The round, and its steps; None where there is no Node to look at."""
    if node is None:
        return None, []
    case = Round(node, view, view.memory.get(KEY, PressureMemory()))
    return case, list(law.perform(law.decide("eviction_round", case), case))


def memory_row(case: Round | None) -> tuple[str, str, str, str]:
    """The condition MemoryPressure: type, status, reason, message."""
    told = law.decide("memory_condition", case or _CALM).outputs
    return ("MemoryPressure", told["status"], told["reason"], told["message"])


_CALM: Final = Round(Node(), View.of(()), PressureMemory())
