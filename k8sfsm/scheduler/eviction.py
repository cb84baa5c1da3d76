"""The removal of victims: marked, deleted and reported one after the other, while the scheduler goes on.

All victims but the last are removed together. Memory: (PREEMPTING, uid of the pod that displaces them) -> key of the
last victim from the moment that it is its turn, () before that.
Source: pkg/scheduler/framework/preemption/executor.go: prepareCandidateAsync, PreemptPod, IsPodRunningPreemption.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.objects import Pod, PodCondition, evolve, to_json
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import Delete, Key, Look, Outcome, Parallel, Patch, Plan, Record, Remember
from k8sfsm.scheduler.cluster import nominated_pods, priority_of
from k8sfsm.scheduler.rules import PROFILE, law
from k8sfsm.scheduler.victims import Candidate
from k8sfsm.table import Decision
from k8sfsm.view import View

PREEMPTING: Final = "preempting"
Stage: TypeAlias = Literal["chosen", "marked", "removed"]
_NOT_FOUND: Final = 404
_AFTER: Final[Mapping[type[Any], Stage]] = {Patch: "marked", Delete: "removed"}


def key_of_pod(pod: Pod) -> Key:
    """The pod's key."""
    return ("Pod", pod.metadata.namespace, pod.metadata.name)


@frozen(kw_only=True)
class Victim:
    """A pod that has to go: the case of the table `eviction`. `outcome`: the answer to what was done last."""

    pod: Pod
    preemptor: Pod
    node: str
    now: int
    stage: Stage = "chosen"
    outcome: Outcome | None = None


@law.fact
def victim_leaving(victim: Victim) -> bool:
    """The victim was being deleted already when it was chosen."""
    return victim.pod.metadata.deletion_timestamp is not None


@law.fact
def eviction_stage(victim: Victim) -> Stage:
    """What was done to the victim so far."""
    return victim.stage


@law.fact
def eviction_answer(victim: Victim) -> Literal["none", "ok", "gone", "failed"]:
    """What the API server said to it."""
    outcome = victim.outcome
    if outcome is None:
        return "none"
    return "ok" if outcome.ok else "gone" if outcome.code == _NOT_FOUND else "failed"


@law.action
def mark_victim(victim: Victim, _decision: Decision) -> Iterable[Patch]:
    """Write the condition DisruptionTarget."""
    pod = victim.pod
    condition = PodCondition(
        type=DISRUPTION_TARGET,
        status="True",
        reason="PreemptionByScheduler",
        message=f"{victim.preemptor.spec.scheduler_name or PROFILE}: preempting to accommodate a higher priority pod",
        observed_generation=pod.metadata.generation,
        last_transition_time=victim.now,
    )
    yield _status_patch(pod, {"conditions": [to_json(condition)]})


@law.action
def remove_victim(victim: Victim, _decision: Decision) -> Iterable[Delete]:
    """Delete the victim with the grace period that it asks for."""
    yield Delete(key=key_of_pod(victim.pod))


@law.action
def record_preempted(victim: Victim, _decision: Decision) -> Iterable[Record]:
    """Say who took the victim's place."""
    message = f"Preempted by pod {victim.preemptor.metadata.uid} on node {victim.node}"
    yield Record(regarding=victim.pod, type="Normal", reason="Preempted", message=message, action="Preempting")


def _status_patch(pod: Pod, status: Mapping[str, Any]) -> Patch:
    body = {"metadata": {"uid": pod.metadata.uid}, "status": status}
    return Patch(key=key_of_pod(pod), uid=pod.metadata.uid, type="strategic", subresource="status", body=body)


class Evictions:
    """The removal of all victims of one candidate for one pod. `last`: the plan that ends it."""

    def __init__(self, view: View, preemptor: Pod, candidate: Candidate, last: Plan) -> None:
        self.view = view
        self.preemptor = preemptor
        self.last = last
        node, now = candidate.node, view.now
        chosen = [Victim(pod=pod, preemptor=preemptor, node=node, now=now) for pod in candidate.victims]
        self.victims = tuple(each for each in chosen if law.decide("eviction", each).actions)
        self.node = node

    def withdrawals(self) -> tuple[Parallel, ...]:
        """Pods of lower priority lose their nomination to the node (getLowerPriorityNominatedPods)."""
        others = nominated_pods(self.view, self.preemptor).get(self.node, ())
        below = [each for each in others if priority_of(each) < priority_of(self.preemptor)]
        patches = tuple(_status_patch(each, {"nominatedNodeName": None}) for each in below)
        return (Parallel(writes=patches),) if patches else ()

    def start(self) -> Plan:
        """What is done first; nothing where every victim is on its way out already."""
        if not self.victims:
            return self.last
        mark = Remember(key=self._mark, value=())
        return Plan(steps=(mark, *self.withdrawals()), then=lambda _: self._round(self.victims[:-1], self._end))

    def _end(self) -> Plan:
        last = self.victims[-1]
        mark = Remember(key=self._mark, value=key_of_pod(last.pod))
        return Plan(steps=(mark,), then=lambda _: self._round((last,), self._over))

    def _over(self) -> Plan:
        return evolve(self.last, steps=(Remember(key=self._mark, value=None), *self.last.steps))

    def _failed(self) -> Plan:
        """The pod is tried again at once, as no victim's end may come to wake it."""
        over = self._over()
        return evolve(over, steps=(*over.steps, Look(key=key_of_pod(self.preemptor))))

    @property
    def _mark(self) -> tuple[str, str]:
        return (PREEMPTING, self.preemptor.metadata.uid)

    def _round(self, victims: tuple[Victim, ...], after: Callable[[], Plan]) -> Plan:
        """Do to each victim what comes next, until nothing is left to be done to any."""
        steps: list[Any] = []
        sent: list[Victim] = []
        for victim in victims:
            decision = law.decide("eviction", victim)
            if decision.outputs["gives_up"]:
                return self._failed()
            for step in law.perform(decision, victim):
                steps.append(step)
                if not isinstance(step, Record):
                    sent.append(evolve(victim, stage=_AFTER[type(step)]))
        records = tuple(step for step in steps if isinstance(step, Record))
        writes = tuple(step for step in steps if not isinstance(step, Record))
        if not writes:
            return Plan(steps=records, then=lambda _: after())

        def go_on(outcomes: tuple[Outcome, ...]) -> Plan:
            answered = zip(sent, outcomes, strict=True)
            return self._round(tuple(evolve(victim, outcome=outcome) for victim, outcome in answered), after)

        return Plan(steps=(*records, Parallel(writes=writes)), then=go_on)


def is_evicting(view: View, pod: Pod) -> bool:
    """Is the pod still removing others, except for a last one whose deletion shows already?"""
    mark = (PREEMPTING, pod.metadata.uid)
    if mark not in view.memory:
        return False
    last = view.memory[mark]
    if not last:
        return True
    victim = view.get(*last)
    return isinstance(victim, Pod) and victim.metadata.deletion_timestamp is None
