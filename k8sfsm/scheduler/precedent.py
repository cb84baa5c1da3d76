"""Precedents: what the tables said of a pod that was placed holds for the next one of which the facts read the same.

A rollout places thousands of pods of which `admit`, `outcome` and `binding` ask nothing but what they were told of the
first one. A precedent keeps the cause that the tables gave then, and orders the same steps for another pod and another
node. It is set only where it gives the very steps that the tables ordered, and where they asked no other facts than
those that it looks at, so an amended table sets another one, or none. Where K8SFSM_FROZEN is set, as it is in the
tests, whatever follows from a precedent is compared with what the tables say.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from k8sfsm.law import LawError
from k8sfsm.objects import Pod
from k8sfsm.request import Bind, Record, Remember, Why
from k8sfsm.scheduler.attempt import Attempt
from k8sfsm.scheduler.cluster import ASSUMED
from k8sfsm.scheduler.eviction import PREEMPTING, key_of_pod
from k8sfsm.scheduler.plain import START
from k8sfsm.scheduler.queue import WAITING
from k8sfsm.scheduler.rules import law
from k8sfsm.table import Decision
from k8sfsm.view import View

Steps: TypeAlias = tuple[Any, ...]
_COUNTS: Final = 256
"""For so many counts of feasible nodes there is a precedent."""
_ADMISSION: Final = frozenset(
    (
        *("is_known", "is_assigned", "is_finished", "asks_for_this_profile", "is_assumed", "is_gated", "is_deleting"),
        *("has_gates", "eviction_under_way"),
    )
)
_OUTCOME: Final = frozenset(("feasible_nodes", "victims_found", "status_told"))
_BINDING: Final = frozenset(("bind_accepted",))
"""The facts that precedents look at."""
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ


def _has_waited(memory: Mapping[Any, Any], uid: str) -> bool:
    """Did the pod have to wait, or does it displace others? Where no pod ever had to, WAITING is not there."""
    return (WAITING, uid) in memory or (PREEMPTING, uid) in memory


def _placed(attempt: Attempt, why: Why) -> Steps:
    """What `placed` orders for a pod that did not wait."""
    pod, host, start = attempt.pod, attempt.host, attempt.placement.next_start
    uid = pod.metadata.uid
    assumed = Remember(key=(ASSUMED, uid), value=host, why=why)
    bind = Bind(key=key_of_pod(pod), uid=uid, node=host, why=why)
    if start == attempt.view.memory.get(START, 0):
        return (assumed, bind)
    return (assumed, Remember(key=START, value=start, why=why), bind)


def _bound(attempt: Attempt, why: Why) -> Steps:
    """What `bound` orders."""
    meta = attempt.pod.metadata
    message = f"Successfully assigned {meta.namespace}/{meta.name} to {attempt.host}"
    return (
        Record(regarding=attempt.pod, type="Normal", reason="Scheduled", message=message, action="Binding", why=why),
    )


class Precedents:
    """What was decided about pods that were placed: the last one that was let in, and the causes of what followed."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._edition = law.edition
        self._admitted: Pod | None = None
        self._placed: dict[int, Why] = {}
        self._bound: Why | None = None

    def admits(self, view: View, pod: Pod) -> bool:
        """Is the pod let in as the last one was? Every fact of its admission reads as it did then."""
        if self._edition is not law.edition:
            self._forget()
        last, spec, uid = self._admitted, pod.spec, pod.metadata.uid
        return (
            last is not None
            and not spec.node_name
            and not spec.scheduling_gates
            and spec.scheduler_name == last.spec.scheduler_name
            and pod.status.phase == last.status.phase
            and pod.metadata.deletion_timestamp is None
            and (ASSUMED, uid) not in view.memory
            and not (WAITING in view.memory and _has_waited(view.memory, uid))
        )

    def admitted(self, decision: Decision, pod: Pod) -> None:
        """The tables have let the pod in."""
        asked = {*decision.facts, *(each.name for each in law.table("pre-enqueue").graph.columns)}
        self._admitted = pod if asked <= _ADMISSION and not pod.spec.scheduling_gates else None

    def placing(self, attempt: Attempt) -> Steps:
        """What follows from the node that was found for a pod."""
        found = len(attempt.placement.feasible)
        why = self._placed.get(found)
        if (
            why is None
            or self._edition is not law.edition
            or (WAITING in attempt.view.memory and _has_waited(attempt.view.memory, attempt.pod.metadata.uid))
        ):
            return self._place(attempt, found)
        steps = _placed(attempt, why)
        if _CHECKED:
            _compare(steps, _ordered("outcome", attempt)[1])
        return steps

    def _place(self, attempt: Attempt, found: int) -> Steps:
        decision, steps = _ordered("outcome", attempt)
        if decision.facts.keys() <= _OUTCOME and steps == _placed(attempt, decision.why):
            if len(self._placed) >= _COUNTS:
                self._placed.clear()
            self._placed[found] = decision.why
        return steps

    def bound(self, attempt: Attempt) -> Steps:
        """What follows from the binding of a pod, which was accepted."""
        if self._bound is None or self._edition is not law.edition:
            decision, steps = _ordered("binding", attempt)
            if decision.facts.keys() <= _BINDING and steps == _bound(attempt, decision.why):
                self._bound = decision.why
            return steps
        steps = _bound(attempt, self._bound)
        if _CHECKED:
            _compare(steps, _ordered("binding", attempt)[1])
        return steps


def _ordered(table: str, attempt: Attempt) -> tuple[Decision, Steps]:
    """The plain way."""
    decision = law.decide(table, attempt)
    return decision, law.perform(decision, attempt)


def _compare(steps: Steps, ordered: Steps) -> None:
    if steps != ordered:
        raise LawError(f"the precedent gives {steps}, but the tables order {ordered}")
