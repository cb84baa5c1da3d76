"""kube-scheduler: chooses a node for every pod that has none.

Memory: (ASSUMED, uid) -> node of a pod that is placed but not yet seen bound; (WAITING, uid) -> why a pod waits;
WAITING -> True where a pod ever had to wait; START -> at which node the next search starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from k8sfsm.lazy import lazy
from k8sfsm.objects import Pod, PodCondition, evolve, to_json
from k8sfsm.request import Bind, Key, Outcome, Patch, Plan, Record, Remember
from k8sfsm.scheduler.cluster import ASSUMED, NOMINATED, Cluster, is_terminal
from k8sfsm.scheduler.eviction import Evictions, is_evicting, key_of_pod
from k8sfsm.scheduler.fast import Cache
from k8sfsm.scheduler.plain import NO_NODES, START, Placement, decide
from k8sfsm.scheduler.preemption import Preemption, Verdict, preempt
from k8sfsm.scheduler.queue import WAITING, Waiting
from k8sfsm.scheduler.rules import NAME, PROFILE, law
from k8sfsm.scheduler.victims import Candidate
from k8sfsm.table import Decision
from k8sfsm.value import value
from k8sfsm.view import Change, View

SECOND: Final = 1_000_000_000
NOTE_LIMIT: Final = 1024
"""Bytes of an event's message (pkg/apis/core/validation/events.go: NoteLengthLimit)."""

Choose: TypeAlias = Callable[[tuple[str, ...], Pod], str]
"""Picks one of several equally good nodes."""


def first_found(candidates: tuple[str, ...], pod: Pod) -> str:
    """The first of the best nodes, in the order in which they were found."""
    return candidates[0]


@value
class Turn:
    """A key at the head of the queue: the case of the table `admit`."""

    view: View
    key: Key
    pod: Pod | None


@law.fact
def is_known(turn: Turn) -> bool:
    """The pod exists."""
    return turn.pod is not None


@law.fact
def is_assigned(turn: Turn) -> bool:
    """The pod has a node."""
    return turn.pod is not None and bool(turn.pod.spec.node_name)


@law.fact
def is_finished(turn: Turn) -> bool:
    """The pod's phase is Succeeded or Failed."""
    return turn.pod is not None and is_terminal(turn.pod)


@law.fact
def asks_for_this_profile(turn: Turn) -> bool:
    """The pod's schedulerName is that of the default profile, or empty; nothing is known against a pod that is gone."""
    return turn.pod is None or turn.pod.spec.scheduler_name in ("", PROFILE)


@law.fact
def is_assumed(turn: Turn) -> bool:
    """The pod is placed already, and its binding is on the way."""
    return turn.pod is not None and (ASSUMED, turn.pod.metadata.uid) in turn.view.memory


@law.fact
def is_gated(turn: Turn) -> bool:
    """A plugin keeps the pod out of the queue."""
    return law.decide("pre-enqueue", turn).outputs["gate"] is not None


@law.fact
def has_gates(turn: Turn) -> bool:
    """The pod has scheduling gates."""
    return turn.pod is not None and bool(turn.pod.spec.scheduling_gates)


@law.fact
def eviction_under_way(turn: Turn) -> bool:
    """The pod is removing others, and the deletion of the last one does not show yet."""
    return turn.pod is not None and is_evicting(turn.view, turn.pod)


@law.fact
def is_deleting(turn: Turn) -> bool:
    """The pod is marked for deletion."""
    return turn.pod is not None and turn.pod.metadata.deletion_timestamp is not None


@law.action
def record_skipped(turn: Turn, _decision: Decision) -> Iterable[Record]:
    """Say that a pod under deletion is not placed."""
    namespace, name = turn.key[1:]
    yield _failure(turn.pod, f"skip schedule deleting pod: {namespace}/{name}")


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


def _failure(pod: Any, message: str) -> Record:
    text = message.encode()
    note = message if len(text) <= NOTE_LIMIT else text[: NOTE_LIMIT - 4].decode(errors="ignore") + " ..."
    return Record(regarding=pod, type="Warning", reason="FailedScheduling", message=note)


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
def record_scheduled(attempt: Attempt, _decision: Decision) -> Iterable[Record]:
    """Say where the pod went."""
    pod = attempt.pod
    message = f"Successfully assigned {pod.metadata.namespace}/{pod.metadata.name} to {attempt.host}"
    yield Record(regarding=pod, type="Normal", reason="Scheduled", message=message)


@law.action
def forget(attempt: Attempt, _decision: Decision) -> Iterable[Remember]:
    """Count the pod on its node no longer."""
    yield Remember(key=(ASSUMED, attempt.pod.metadata.uid), value=None)


@law.action
def wait(attempt: Attempt, _decision: Decision) -> Iterable[Remember]:
    """Remember who refused the pod, to know what may wake it."""
    uid = attempt.pod.metadata.uid
    before = attempt.view.memory.get((WAITING, uid))
    entry = Waiting(
        key=key_of_pod(attempt.pod),
        plugins=attempt.placement.plugins,
        since=attempt.view.now,
        attempts=1 if before is None else before.attempts + 1,
    )
    yield Remember(key=(WAITING, uid), value=entry)
    if WAITING not in attempt.view.memory:
        yield Remember(key=WAITING, value=True)


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
    yield _failure(attempt.pod, attempt.failure)


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


def _nomination_seen(pod: Pod, over: bool, view: View) -> Iterable[Remember]:
    """Forget a nomination that the pod's status shows now, or that has come to an end."""
    known: dict[str, str] = dict(view.memory[NOMINATED])
    uid = pod.metadata.uid
    if uid in known and (over or known[uid] == pod.status.nominated_node_name):
        del known[uid]
        yield Remember(key=NOMINATED, value=known or None)


class Scheduler:
    """The default scheduler.

    `choose` picks among equally good nodes; upstream leaves that to chance. `cache`: what makes common decisions fast;
    it is derived from views and memory alone, and may be dropped (None: always decide the plain way).
    """

    name = NAME
    law = law

    def __init__(self, choose: Choose = first_found, fast: bool = True) -> None:
        self.choose = choose
        self.cache: Cache | None = Cache() if fast else None

    def decide(self, view: View, pod: Pod) -> Placement:
        """Where the pod can go, with scores and refusals: the plain way. Raises ValueError, see `plain.decide`."""
        return decide(view, pod)

    def reconcile(self, view: View, key: Key) -> Plan:
        """Place one pod."""
        turn = Turn(view, key, view.get(*key))
        admission = law.decide("admit", turn)
        if not admission.outputs["place"]:
            return Plan(steps=law.perform(admission, turn))
        pod = turn.pod
        assert pod is not None
        attempt = self._attempt(view, pod)
        attempt.pick = lambda best: self._sacrificed(view, best, pod)
        if attempt.host and self.cache is not None:
            self.cache.expect(pod)
        decision = law.decide("outcome", attempt)
        steps = law.perform(decision, attempt)
        if attempt.host:
            return Plan(steps=steps, then=lambda outcomes: self._bound(attempt, outcomes), detached=True)
        last = Plan(requeue_after=law.constant("scheduler_unschedulable_flush") * SECOND, periodic=True)
        if not attempt.evicts:
            return evolve(last, steps=steps)
        evictions = Evictions(view, pod, attempt.nominee, last)
        return Plan(steps=steps, then=lambda _: evictions.start(), detached=True)

    def _attempt(self, view: View, pod: Pod) -> Attempt:
        if self.cache is not None:
            found = self.cache.place(view, pod)
            if found is not None:
                return Attempt(view, pod, found, self._choice(view, found.best, pod))
        cluster = Cluster.of(view)
        placement = decide(view, pod, cluster)
        host = self._choice(view, placement.best, pod) if placement.best else ""
        return Attempt(view, pod, placement, host, cluster)

    def _choice(self, view: View, best: tuple[str, ...], pod: Pod) -> str:
        """One of the best nodes: as the view's policy says, where it has one."""
        if view.choose_node is not None:
            return view.choose_node(best, key_of_pod(pod))
        return self.choose(best, pod)

    def _sacrificed(self, view: View, best: tuple[Candidate, ...], pod: Pod) -> Candidate:
        """One of the candidates that do the least harm."""
        node = self._choice(view, tuple(each.node for each in best), pod)
        return next(each for each in best if each.node == node)

    def _bound(self, attempt: Attempt, outcomes: tuple[Outcome, ...]) -> Plan:
        """How to go on when the API server has answered."""
        attempt.answer = outcomes[-1]
        decision = law.decide("binding", attempt)
        steps = law.perform(decision, attempt)
        if self.cache is not None and not outcomes[-1].ok:
            self.cache.expect(attempt.pod)
        return Plan(steps=steps, error="" if outcomes[-1].ok else attempt.failure)

    def observe(self, change: Change, view: View) -> Iterable[Remember]:
        """Forget what the cluster itself shows now: bound pods are no longer assumed, gone pods wait no longer."""
        pod = change.new
        if not isinstance(pod, Pod):
            return
        if NOMINATED in view.memory:
            yield from _nomination_seen(pod, change.type == "DELETED" or bool(pod.spec.node_name), view)
        if change.type != "DELETED" and not pod.spec.node_name:
            return
        uid = pod.metadata.uid
        if (ASSUMED, uid) in view.memory:
            if self.cache is not None:
                self.cache.expect(pod)
            yield Remember(key=(ASSUMED, uid), value=None)
        if WAITING in view.memory and (WAITING, uid) in view.memory:
            yield Remember(key=(WAITING, uid), value=None)
