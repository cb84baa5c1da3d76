"""The taint eviction controller: deletes Pods from nodes with NoExecute taints that they do not tolerate for ever.

Source: pkg/controller/tainteviction/taint_eviction.go, timed_workers.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from attrs import field, frozen

from k8sfsm.controllers.pod_changes import asked_of_sorts
from k8sfsm.law import Count, Decision, Law, constant
from k8sfsm.lazy import lazy
from k8sfsm.objects import Node, ObjectMeta, Pod, Taint, Toleration, evolve, format_time
from k8sfsm.objects.durations import MILLISECOND, SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import DONE, Delete, Key, Look, Outcome, Patch, Plan, Record, Remember, Step
from k8sfsm.scheduler.tolerations import tolerates
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("tainteviction")

NO_EXECUTE: Final = "NoExecute"
TIMER: Final = "TaintEviction"
"""The kind of the keys of timers: (TIMER, namespace, name of the Pod)."""
_CONDITION: Final = {
    "type": DISRUPTION_TARGET,
    "status": "True",
    "reason": "DeletionByTaintManager",
    "message": "Taint manager: deleting due to NoExecute taint",
}


def execute_taints_of(node: Node | None) -> tuple[Taint, ...]:
    """The NoExecute taints of a node. Source: taint_eviction.go: getNoExecuteTaints."""
    return () if node is None else tuple(each for each in node.spec.taints if each.effect == NO_EXECUTE)


@law.key
def node_with_other_taints(change: Change, view: View) -> tuple[Key, ...]:
    """The node, when it came or went or its NoExecute taints are others."""
    there = change.type == "MODIFIED"
    return () if there and execute_taints_of(change.old) == execute_taints_of(change.new) else (change.key,)


def _may_be_other(change: Change, view: View) -> bool:
    """Whether the Pod came or went, was placed, or has other tolerations, while there is anything that this can mean.

    While no taints are kept of any node, and no Pod has a timer, the table `pod` lets all Pods be.
    """
    if not view.memory:
        return False
    if change.type != "MODIFIED" or change.old is None:
        return True
    old, new = change.old.spec, change.new.spec
    return bool((old.tolerations, old.node_name) != (new.tolerations, new.node_name))


@law.key
@asked_of_sorts(_may_be_other)
def pod_with_other_tolerations(change: Change, view: View) -> tuple[Key, ...]:
    """The Pod, when it came or went, was placed, or its tolerations are others, unless it would be let be.

    A node of which taints are kept later looks at all Pods that are on it then.
    """
    if not _may_be_other(change, view):
        return ()
    case = PodCase(change.key, None if change.type == "DELETED" else change.new, view)
    return (change.key,) if law.decide("pod", case).actions else ()


@value(kw_only=True)
class Timer:
    """When a Pod's deletion was ordered and when it is due (ns). `armed`: its time is kept; `done`: it was deleted."""

    since: int
    due: int
    armed: bool = False
    done: bool = False
    tries: int = 0


@frozen(slots=False)
class Sentence:
    """A Pod on a node with these NoExecute taints; `timer`: the one that it has."""

    pod: Pod
    taints: tuple[Taint, ...]
    timer: Timer | None
    now: int

    @lazy
    def matching(self) -> tuple[bool, tuple[Toleration, ...]]:
        """Whether all taints are tolerated, and the first toleration that fits each.

        Source: pkg/apis/core/v1/helper/helpers.go: GetMatchingTolerations
        """
        used = []
        for taint in self.taints:
            found = next((each for each in self.pod.spec.tolerations if tolerates(each, taint)), None)
            if found is None:
                return False, ()
            used.append(found)
        return True, tuple(used)


@frozen
class NodeCase:
    """A node (None: gone) and its Pods."""

    name: str
    node: Node | None
    view: View


@value
class PodCase:
    """A Pod (None: gone) by its key, and the taints that are kept of its node."""

    key: Key
    pod: Pod | None
    view: View

    @property
    def taints(self) -> tuple[Taint, ...]:
        """The NoExecute taints that are kept of the Pod's node."""
        return () if self.pod is None else self.view.memory.get(("taints", self.pod.spec.node_name), ())


@frozen
class TimerCase:
    """The timer of a Pod, looked at now."""

    key: Key
    timer: Timer | None
    now: int


@frozen
class Attempt:
    """The answers to the requests that delete a Pod; `tries`: how many more there may be."""

    outcomes: tuple[Outcome, ...] = field(factory=tuple)
    tries: int = 0


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_gone(case: NodeCase) -> bool:
    """The node is not in the API."""
    return case.node is None


@law.fact
def execute_taints(case: NodeCase) -> Count:
    """How many NoExecute taints the node has."""
    return len(execute_taints_of(case.node))


@law.fact
def pod_gone(case: PodCase) -> bool:
    """The Pod is not in the API."""
    return case.pod is None


@law.fact
def pod_placed(case: PodCase) -> bool:
    """The Pod is on a node."""
    return case.pod is not None and bool(case.pod.spec.node_name)


@law.fact
def taints_kept(case: PodCase) -> Count:
    """How many NoExecute taints are kept of its node."""
    return len(case.taints)


@law.fact
def taints_on_node(case: Sentence) -> Count:
    """How many NoExecute taints the node has."""
    return len(case.taints)


@law.fact
def all_tolerated(case: Sentence) -> bool:
    """Every taint is tolerated, if only for a time."""
    return case.matching[0]


@law.fact
def tolerated_for(case: Sentence) -> int | None:
    """The shortest of the used tolerations' tolerationSeconds, at least 0; None: for ever.

    Source: taint_eviction.go: getMinTolerationTime
    """
    given = [each.toleration_seconds for each in case.matching[1] if each.toleration_seconds is not None]
    return max(0, min(given)) if given else None


@law.fact
def timer_since(case: Sentence) -> Literal["none", "earlier", "now"]:
    """Whether a timer runs for the Pod, and whether it was started before now."""
    if case.timer is None or case.timer.done:
        return "none"
    return "earlier" if case.timer.since < case.now else "now"


@law.fact
def timer_state(case: TimerCase) -> Literal["none", "new", "armed", "due", "done"]:
    """Whether the Pod has a timer, and how far it is; done: the Pod was deleted."""
    timer = case.timer
    if timer is None:
        return "none"
    if timer.done:
        return "done"
    if timer.due <= case.now:
        return "due"
    return "armed" if timer.armed else "new"


@law.fact
def deletion_done(case: Attempt) -> bool:
    """Every request was granted."""
    return all(outcome.ok for outcome in case.outcomes)


@law.fact
def deletion_tries(case: Attempt) -> Count:
    """How often it may be tried again."""
    return case.tries


# -- actions ----------------------------------------------------------------------------------------------------------


def _timer_key(pod: Key) -> Key:
    return (TIMER, pod[1], pod[2])


def _timer_of(view: View, key: Key) -> Timer | None:
    found: Timer | None = view.memory.get(_timer_key(key))
    return found


def _cancel(key: Key, view: View) -> Iterable[Step]:
    case = TimerCase(_timer_key(key), _timer_of(view, key), view.now)
    return law.perform(law.decide("cancel", case), case)  # type: ignore[return-value]


@law.action
def forget_taints(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """The node counts as untainted."""
    yield Remember(key=("taints", case.name), value=None)


@law.action
def keep_taints(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Keep the node's NoExecute taints for Pods that come later."""
    yield Remember(key=("taints", case.name), value=execute_taints_of(case.node))


@law.action
def cancel_all(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Cancel the timers of the node's Pods."""
    for pod in case.view.on_node(case.name):
        yield from _cancel(("Pod", pod.metadata.namespace, pod.metadata.name), case.view)


@law.action
def judge_all(case: NodeCase, decision: Decision) -> Iterable[Step]:
    """Decide about every Pod of the node."""
    for pod in case.view.on_node(case.name):
        yield from _judged(pod, execute_taints_of(case.node), case.view)


@law.action
def judge(case: PodCase, decision: Decision) -> Iterable[Step]:
    """Decide about the Pod."""
    assert case.pod is not None
    return _judged(case.pod, case.taints, case.view)


def _judged(pod: Pod, taints: tuple[Taint, ...], view: View) -> Iterable[Step]:
    key = ("Pod", pod.metadata.namespace, pod.metadata.name)
    case = Sentence(pod, taints, _timer_of(view, key), view.now)
    return law.perform(law.decide("verdict", case), case)  # type: ignore[return-value]


@law.action
def cancel_timer(case: Sentence | PodCase, decision: Decision) -> Iterable[Step]:
    """Cancel the Pod's timer, if it has one."""
    key, timer, now = _subject(case)
    asked = TimerCase(_timer_key(key), timer, now)
    return law.perform(law.decide("cancel", asked), asked)  # type: ignore[return-value]


def _subject(case: Sentence | PodCase) -> tuple[Key, Timer | None, int]:
    if isinstance(case, PodCase):
        return case.key, _timer_of(case.view, case.key), case.view.now
    meta = case.pod.metadata
    return ("Pod", meta.namespace, meta.name), case.timer, case.now


@law.action
def delete_now(case: Sentence, decision: Decision) -> Iterable[Step]:
    """Order the Pod's deletion for this moment."""
    return _started(case, 0)


@law.action
def start_timer(case: Sentence, decision: Decision) -> Iterable[Step]:
    """Order the Pod's deletion for when its tolerations end; not where it was deleted for these taints already."""
    if case.timer is not None and case.timer.done:
        return ()
    return _started(case, (tolerated_for(case) or 0) * SECOND)


def _started(case: Sentence, delay: int) -> Iterable[Step]:
    meta = case.pod.metadata
    key = (TIMER, meta.namespace, meta.name)
    yield Remember(key=key, value=Timer(since=case.now, due=case.now + delay, tries=constant("taint_eviction_tries")))
    yield Look(key=key)


@law.action
def arm_timer(case: TimerCase, decision: Decision) -> Iterable[Step]:
    """Wait for the timer's time."""
    assert case.timer is not None
    yield Remember(key=case.key, value=evolve(case.timer, armed=True))


@law.action
def forget_timer(case: TimerCase, decision: Decision) -> Iterable[Step]:
    """The Pod has no timer any more."""
    yield Remember(key=case.key, value=None)


@law.action
def announce_cancelled(case: TimerCase, decision: Decision) -> Iterable[Step]:
    """Tell that the Pod may stay."""
    yield _event(case.key, f"Cancelling deletion of Pod {case.key[1]}/{case.key[2]}")


def _event(key: Key, message: str) -> Record:
    pod = Pod(metadata=ObjectMeta(namespace=key[1], name=key[2]))
    return Record(regarding=pod, type="Normal", reason="TaintManagerEviction", message=message)


@law.action
def evict_pod(case: TimerCase, decision: Decision) -> Iterable[Step]:
    """Tell it, note the reason in the Pod's conditions, and delete it with its own grace period."""
    assert case.timer is not None
    if case.timer.tries == constant("taint_eviction_tries"):
        yield _event(case.key, f"Marking for deletion Pod {case.key[1]}/{case.key[2]}")


# -- the controller ---------------------------------------------------------------------------------------------------


class TaintEvictionController:
    """Reconciles nodes, Pods, and the timers of Pods."""

    name = "taint-eviction-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about a node, a Pod or a timer."""
        if key[0] == TIMER:
            return self._timer(view, key)
        if key[0] == "Node":
            node = NodeCase(key[2], view.get(*key), view)
            return Plan(steps=law.perform(law.decide("node", node), node))
        pod = PodCase(key, view.get(*key), view)
        decision = law.decide("pod", pod)
        return Plan(steps=law.perform(decision, pod)) if decision.actions else DONE

    def _timer(self, view: View, key: Key) -> Plan:
        timer: Timer | None = view.memory.get(key)
        case = TimerCase(key, timer, view.now)
        decision = law.decide("timer", case)
        steps = law.perform(decision, case)
        if timer is None or not decision.actions:
            return DONE
        if decision.actions == ("arm_timer",):
            return Plan(steps=steps, requeue_after=timer.due - view.now)
        pod: Any = ("Pod", key[1], key[2])
        writes = _deletion(view, pod, decision)
        tries = timer.tries - 1

        def answered(outcomes: tuple[Outcome, ...]) -> Plan:
            how = law.decide("deletion", Attempt(outcomes, tries)).outputs["go_on"]
            left = {"done": evolve(timer, done=True), "again": evolve(timer, tries=tries), "forget": None}[how]
            wait = constant("taint_eviction_retry") * MILLISECOND if how == "again" else None
            return Plan(steps=(Remember(key=key, value=left),), requeue_after=wait)

        return Plan(steps=(*steps, *writes), then=answered)


def _deletion(view: View, key: Key, decision: Decision) -> tuple[Patch | Delete, ...]:
    """The condition and the deletion. Source: taint_eviction.go: addConditionAndDeletePod."""
    pod: Pod | None = view.get(*key)
    delete = Delete(key=key, why=decision.why)
    if pod is None or _noted(pod):
        return (delete,)
    changed = view.now - view.now % SECOND
    condition: dict[str, Any] = {**_CONDITION, "lastTransitionTime": format_time(changed)}
    if pod.metadata.generation:
        condition["observedGeneration"] = pod.metadata.generation
    body = {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
    return (Patch(key=key, body=body, type="strategic", subresource="status", why=decision.why), delete)


def _noted(pod: Pod) -> bool:
    """The Pod has the condition already. Source: pkg/api/v1/pod/util.go: UpdatePodCondition."""
    return any(all(getattr(each, name) == text for name, text in _CONDITION.items()) for each in pod.status.conditions)
