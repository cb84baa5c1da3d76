"""kube-scheduler: chooses a node for every pod that has none.

Memory: (ASSUMED, uid) -> node of a pod that is placed but not yet seen bound; (WAITING, uid) -> why a pod waits;
WAITING -> True where a pod ever had to wait; START -> at which node the next search starts; (FORGOTTEN, namespace,
name) -> a pod of which others have not yet heard that it is not placed after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias

from k8sfsm.objects import Pod
from k8sfsm.request import DONE, Key, Outcome, Plan, Record, Remember
from k8sfsm.scheduler.attempt import Attempt, failure_event
from k8sfsm.scheduler.cluster import ASSUMED, NOMINATED, Cluster, is_terminal
from k8sfsm.scheduler.eviction import Evictions, is_evicting, key_of_pod
from k8sfsm.scheduler.fast import Cache
from k8sfsm.scheduler.plain import Placement, decide
from k8sfsm.scheduler.precedent import Precedents
from k8sfsm.scheduler.queue import FLUSH, SERIES, WAITING, count_events, flush, rank_of
from k8sfsm.scheduler.rules import NAME, PROFILE, law
from k8sfsm.scheduler.victims import Candidate
from k8sfsm.scheduler.wake import tell_others
from k8sfsm.table import Decision
from k8sfsm.value import value
from k8sfsm.view import Change, View

Choose: TypeAlias = Callable[[Sequence[str], Pod], str]
"""Picks one of several equally good nodes."""


def first_found(candidates: Sequence[str], pod: Pod) -> str:
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
    yield failure_event(turn.pod, f"skip schedule deleting pod: {namespace}/{name}")


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
    first_keys: tuple[Key, ...] = (FLUSH, SERIES)
    rank = staticmethod(rank_of)

    def __init__(self, choose: Choose = first_found, fast: bool = True) -> None:
        self.choose = choose
        self.cache: Cache | None = Cache() if fast else None
        self._precedents = Precedents()

    def decide(self, view: View, pod: Pod) -> Placement:
        """Where the pod can go, with scores and refusals: the plain way. Raises ValueError, see `plain.decide`."""
        return decide(view, pod)

    def reconcile(self, view: View, key: Key) -> Plan:
        """Place one pod, or look after those that wait."""
        if key == FLUSH:
            return flush(view)
        if key == SERIES:
            return count_events()
        if key[0] == FLUSH[0]:
            return tell_others(view, key)
        return self._place(view, key)

    def _place(self, view: View, key: Key) -> Plan:
        pod = view.get(*key)
        if pod is None or not self._precedents.admits(view, pod):
            turn = Turn(view, key, pod)
            admission = law.decide("admit", turn)
            if pod is None or not admission.outputs["place"]:
                return Plan(steps=law.perform(admission, turn))
            self._precedents.admitted(admission, pod)
        attempt = self._attempt(view, pod)
        if attempt.host:
            if self.cache is not None:
                self.cache.expect(pod, attempt.host)
            steps = self._precedents.placing(attempt)
            return Plan(steps=steps, then=partial(self._bound, attempt), detached=True)
        attempt.pick = lambda best: self._sacrificed(view, best, pod)
        steps = law.perform(law.decide("outcome", attempt), attempt)
        if not attempt.evicts:
            return Plan(steps=steps)
        evictions = Evictions(view, pod, attempt.nominee, DONE)
        return Plan(steps=steps, then=lambda _: evictions.start(), detached=True, overlapping=True)

    def _attempt(self, view: View, pod: Pod) -> Attempt:
        cluster = Cluster(view)  # as `Cluster.of`: nothing is read yet
        placement = self.cache.place(view, pod, cluster=cluster) if self.cache is not None else None
        if placement is None:
            placement = decide(view, pod, cluster)
        host = self._choice(view, placement.best, pod) if placement.best else ""
        return Attempt(view, pod, placement, host, cluster)

    def _choice(self, view: View, best: Sequence[str], pod: Pod) -> str:
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
        if attempt.answer.ok:
            return Plan(steps=self._precedents.bound(attempt))
        if self.cache is not None:
            self.cache.expect(attempt.pod)
        return Plan(steps=law.perform(law.decide("binding", attempt), attempt))

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
