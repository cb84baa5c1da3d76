"""One attempt to place a pod: what was found, and what follows from it.

Source: pkg/scheduler/schedule_one.go: schedulingCycle, bindingCycle, handleSchedulingFailure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from k8sfsm.lazy import lazy
from k8sfsm.objects import Pod, PodCondition, evolve, to_json
from k8sfsm.request import Bind, Look, Outcome, Patch, Record, Remember
from k8sfsm.scheduler.cluster import ASSUMED, NOMINATED, Cluster
from k8sfsm.scheduler.eviction import key_of_pod
from k8sfsm.scheduler.plain import NO_NODES, START, Placement
from k8sfsm.scheduler.preemption import Preemption, Verdict, preempt
from k8sfsm.scheduler.queue import FLUSH, FORGOTTEN, WAITING, Waiting
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.victims import Candidate
from k8sfsm.table import Decision
from k8sfsm.view import View

NOTE_LIMIT: Final = 1024
"""Bytes of an event's message (pkg/apis/core/validation/events.go: NoteLengthLimit)."""


def _first_candidate(best: tuple[Candidate, ...]) -> Candidate:
    return best[0]


class Attempt:
    """One scheduling attempt: the case of the tables `outcome` and `binding`.

    `host`: the node chosen, "" where none is feasible; `feasible`, `nodes`: how many nodes can take the pod, and how
    many there are; `plugins`: who refused; `failure`: the text of the failure; `next_start`: see `Placement`.
    """

    def __init__(self, view: View, pod: Pod, placement: Placement, host: str, cluster: Cluster | None = None) -> None:
        self.view = view
        self.pod = pod
        self.placement = placement
        self.host = host
        self.cluster = cluster
        self.answer: Outcome | None = None
        self.evicts = False
        self.pick: Callable[[tuple[Candidate, ...]], Candidate] = _first_candidate

    @lazy
    def failure(self) -> str:
        """Why the attempt failed, in the words of the event and the condition."""
        if self.answer is not None:
            return f'running Bind plugin "DefaultBinder": {self.answer.message}'
        message = self.placement.message
        if message == NO_NODES:
            return message
        second = self.preemption.message
        return f"{message} {second}" if second else message

    @lazy
    def preemption(self) -> Preemption:
        """What preemption finds. Ask only where nodes were found wanting."""
        return preempt(self.pod, self.cluster or Cluster.of(self.view), self.placement)

    @lazy
    def nominee(self) -> Candidate:
        """The node on which pods are removed: one of those where that does the least harm."""
        return self.pick(self.preemption.best)

    @lazy
    def nomination(self) -> str | None:
        """The node that is kept for the pod from now on ("": none); None: as before."""
        outcome = law.decide("nomination", self).outputs["nomination"]
        return {"kept": None, "withdrawn": ""}.get(outcome, self.nominee.node if outcome == "given" else None)

    @property
    def waited(self) -> Waiting | None:
        """What is known of the pod's last attempt in vain."""
        found: Waiting | None = self.view.memory.get((WAITING, self.pod.metadata.uid))
        return found

    @lazy
    def condition(self) -> PodCondition:
        """The condition PodScheduled=False that tells the failure."""
        known = next((c for c in self.pod.status.conditions if c.type == "PodScheduled"), None)
        same = known is not None and known.status == "False"
        return PodCondition(
            type="PodScheduled",
            status="False",
            reason="Unschedulable" if self.answer is None else "SchedulerError",
            message=self.failure,
            observed_generation=self.pod.metadata.generation,
            last_transition_time=known.last_transition_time if known is not None and same else self.view.now,
        )


@law.fact
def feasible_nodes(attempt: Attempt) -> int:
    """How many nodes can take the pod."""
    return len(attempt.placement.feasible)


@law.fact
def preemption_verdict(attempt: Attempt) -> Verdict:
    """How preemption ended."""
    if attempt.answer is not None:
        return "error"
    return "no-nodes" if attempt.placement.message == NO_NODES else attempt.preemption.verdict


@law.fact
def victims_found(attempt: Attempt) -> bool:
    """Preemption has found pods to remove; not asked where a node is feasible."""
    return not attempt.placement.feasible and preemption_verdict(attempt) == "found"


@law.fact
def status_told(attempt: Attempt) -> bool:
    """The pod's status says all that there is to say already; not asked where a node is feasible."""
    if attempt.placement.feasible or attempt.condition not in attempt.pod.status.conditions:
        return False
    return attempt.nomination in (None, attempt.pod.status.nominated_node_name)


@law.fact
def bind_accepted(attempt: Attempt) -> bool:
    """The API server has bound the pod."""
    return attempt.answer is not None and attempt.answer.ok


def failure_event(pod: Any, message: str) -> Record:
    """The Event that tells why a pod is not placed; a long message is cut."""
    text = message.encode()
    note = message if len(text) <= NOTE_LIMIT else text[: NOTE_LIMIT - 4].decode(errors="ignore") + " ..."
    return Record(regarding=pod, type="Warning", reason="FailedScheduling", message=note, action="Scheduling")


@law.action
def assume(attempt: Attempt, decision: Decision) -> Iterable[Remember]:
    """Count the pod on its node from now on, and let it wait no longer."""
    uid = attempt.pod.metadata.uid
    yield Remember(key=(ASSUMED, uid), value=attempt.host, why=decision.why)
    if (WAITING, uid) in attempt.view.memory:
        yield Remember(key=(WAITING, uid), value=None)


@law.action
def advance_start(attempt: Attempt, decision: Decision) -> Iterable[Remember]:
    """Let the next search start where this one ended."""
    if attempt.placement.next_start != attempt.view.memory.get(START, 0):
        yield Remember(key=START, value=attempt.placement.next_start, why=decision.why)


@law.action
def bind(attempt: Attempt, decision: Decision) -> Iterable[Bind]:
    """Ask the API server to assign the pod to the node."""
    yield Bind(key=key_of_pod(attempt.pod), uid=attempt.pod.metadata.uid, node=attempt.host, why=decision.why)


@law.action
def record_scheduled(attempt: Attempt, decision: Decision) -> Iterable[Record]:
    """Say where the pod went."""
    pod = attempt.pod
    message = f"Successfully assigned {pod.metadata.namespace}/{pod.metadata.name} to {attempt.host}"
    yield Record(regarding=pod, type="Normal", reason="Scheduled", message=message, action="Binding", why=decision.why)


@law.action
def forget(attempt: Attempt, _decision: Decision) -> Iterable[Remember | Look]:
    """Count the pod on its node no longer, and let pods that waited for room hear of that."""
    pod, (_, namespace, name) = attempt.pod, key_of_pod(attempt.pod)
    yield Remember(key=(ASSUMED, pod.metadata.uid), value=None)
    placed = evolve(pod, spec=evolve(pod.spec, node_name=attempt.host))
    yield Remember(key=(FORGOTTEN, namespace, name), value=placed)
    yield Look(key=(FLUSH[0], namespace, name))


def _waits(attempt: Attempt, plugins: tuple[str, ...], attempts: int, errors: int) -> Iterable[Remember]:
    entry = Waiting(
        key=key_of_pod(attempt.pod), plugins=plugins, since=attempt.view.now, attempts=attempts, errors=errors
    )
    yield Remember(key=(WAITING, attempt.pod.metadata.uid), value=entry)
    if WAITING not in attempt.view.memory:
        yield Remember(key=WAITING, value=True)


@law.action
def wait(attempt: Attempt, _decision: Decision) -> Iterable[Remember]:
    """Remember who refused the pod, to know what may wake it."""
    before = attempt.waited
    return _waits(attempt, attempt.placement.plugins, 1 if before is None else before.attempts + 1, 0)


@law.action
def back_off(attempt: Attempt, _decision: Decision) -> Iterable[Remember | Look]:
    """Try the pod again when it has backed off, whatever happens."""
    before = attempt.waited
    attempts, errors = (0, 0) if before is None else (before.attempts, before.errors)
    yield from _waits(attempt, (), attempts, errors + 1)
    yield Look(key=key_of_pod(attempt.pod))


@law.action
def nominate(attempt: Attempt, _decision: Decision) -> Iterable[Remember]:
    """Keep the nominated node for the pod at once, before its status says so."""
    nomination, uid = attempt.nomination, attempt.pod.metadata.uid
    known: dict[str, str] = dict(attempt.view.memory.get(NOMINATED) or {})
    if nomination is not None and nomination != known.get(uid, attempt.pod.status.nominated_node_name):
        yield Remember(key=NOMINATED, value={**known, uid: nomination})


@law.action
def begin_evictions(attempt: Attempt, _decision: Decision) -> Iterable[Remember]:
    """Let the removal of the victims go on behind the scheduler's back."""
    attempt.evicts = True
    return ()


@law.action
def record_failure(attempt: Attempt, _decision: Decision) -> Iterable[Record]:
    """Say why the pod could not be placed."""
    yield failure_event(attempt.pod, attempt.failure)


@law.action
def report_failure(attempt: Attempt, _decision: Decision) -> Iterable[Patch]:
    """Write the condition PodScheduled=False, and withdraw a nomination."""
    status: dict[str, Any] = {"conditions": [to_json(attempt.condition)]}
    if attempt.nomination is not None and attempt.nomination != attempt.pod.status.nominated_node_name:
        status["nominatedNodeName"] = attempt.nomination or None
    pod = attempt.pod
    yield Patch(
        key=key_of_pod(pod),
        uid=pod.metadata.uid,
        type="strategic",
        subresource="status",
        body={"metadata": {"uid": pod.metadata.uid}, "status": status},
    )
