"""Pods that wait: what the scheduler remembers of a failed attempt, and what wakes it.

Memory: (WAITING, pod uid) -> Waiting, and WAITING -> True from the first one on. A pod in it is in Kubernetes'
unschedulable pool; it is tried again when a change in the cluster may make a plugin that refused it think otherwise.
The back-off queue holds no pod back in an idle scheduler (SchedulerPopFromBackoffQ): pods that one change wakes are
queued at once, those first that do not back off any more.
Source: pkg/scheduler/backend/queue/scheduling_queue.go: isPodWorthRequeuing; plugins/*: EventsToRegister.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.objects import Node, Pod, evolve
from k8sfsm.request import Key
from k8sfsm.scheduler.cluster import Cluster, NodeInfo, allocatable, counted_resources, is_terminal
from k8sfsm.scheduler.filters import Candidate, Wanted, cordoned, node_matches, shortages, untolerated_taint
from k8sfsm.scheduler.rules import PROFILE, law
from k8sfsm.view import Change, View

SECOND: Final = 1_000_000_000
WAITING: Final = "waiting"
Event: TypeAlias = Literal[
    "pod-placed", "pod-relabelled", "pod-gone", "node-added", "node-changed", "node-gone", "other"
]
_NODE_EVENTS: Final[Mapping[str, Event]] = {
    "ADDED": "node-added",
    "MODIFIED": "node-changed",
    "DELETED": "node-gone",
}


@frozen(kw_only=True)
class Waiting:
    """A pod that no node could take. `since`: when it was tried last (ns); `attempts`: how often in vain."""

    key: Key
    plugins: tuple[str, ...]
    since: int
    attempts: int


def waiting_in(memory: Mapping[Any, Any]) -> Iterator[Waiting]:
    """All pods that wait; none where no pod ever had to: memories of assumed pods can be large."""
    if WAITING not in memory:
        return iter(())
    return (value for key, value in memory.items() if isinstance(key, tuple) and key[0] == WAITING)


def event_of(change: Change) -> Event:
    """What a change means to pods that wait."""
    if isinstance(change.new, Node):
        return _NODE_EVENTS[change.type]
    if not isinstance(change.new, Pod):
        return "other"
    before = isinstance(change.old, Pod) and bool(change.old.spec.node_name) and not is_terminal(change.old)
    after = change.type != "DELETED" and bool(change.new.spec.node_name) and not is_terminal(change.new)
    if before and after:
        return "other" if change.old.metadata.labels == change.new.metadata.labels else "pod-relabelled"
    return "pod-placed" if after else "pod-gone" if before else "other"


class Wake:
    """A waiting pod, one plugin that refused it, and a change: the case of the table `wake`."""

    def __init__(self, pod: Pod, plugin: str, change: Change, event: Event, view: View) -> None:
        self.pod = pod
        self.plugin = plugin
        self.change = change
        self.event = event
        self.view = view

    def candidate(self, node: Node) -> Candidate:
        """The node of the change, empty, for the pod."""
        info = NodeInfo(node, ())
        return Candidate(Wanted(self.pod, Cluster(self.view, [info])), info)

    @cached_property
    def now(self) -> Candidate:
        """The node as it is now."""
        return self.candidate(self.change.new)

    @cached_property
    def before(self) -> Candidate | None:
        """The node as it was; None for a new one."""
        return self.candidate(self.change.old) if isinstance(self.change.old, Node) else None


@law.fact
def rejected_by(wake: Wake) -> str:
    """The plugin that refused the pod."""
    return wake.plugin


@law.fact
def event(wake: Wake) -> Event:
    """What happened."""
    return wake.event


@law.fact
def node_has_enough_now(wake: Wake) -> bool:
    """The node, if empty, could take the pod, and has more of something it requests than before (fit.go: isFit)."""
    request = wake.now.wanted.request
    if shortages(request, wake.now.info):
        return False
    old = wake.change.old
    return old is None or any(
        allocatable(wake.change.new, name) > allocatable(old, name) for name in counted_resources(request)
    )


@law.fact
def newly_tolerated(wake: Wake) -> bool:
    """The pod tolerates the node's taints now, and did not before."""
    return not untolerated_taint(wake.now) and (wake.before is None or untolerated_taint(wake.before))


@law.fact
def newly_matching(wake: Wake) -> bool:
    """The node has what the pod asks for now, and had not before."""
    return node_matches(wake.now) and (wake.before is None or not node_matches(wake.before))


@law.fact
def newly_schedulable(wake: Wake) -> bool:
    """The node is no longer marked unschedulable."""
    return not cordoned(wake.now) and (wake.before is None or cordoned(wake.before))


@law.fact
def relabelled(wake: Wake) -> bool:
    """The node's labels have changed."""
    return wake.change.old is None or wake.change.old.metadata.labels != wake.change.new.metadata.labels


def _spec_changed(old: Pod, new: Pod) -> bool:
    """Has anything changed but the status (scheduling_queue.go: isPodUpdated)?"""
    ignored: dict[str, Any] = {"resource_version": "", "generation": 0, "finalizers": (), "extra": {}}
    return old.spec != new.spec or evolve(old.metadata, **ignored) != evolve(new.metadata, **ignored)


@law.key
def pods_that_may_fit_now(change: Change, view: View) -> Iterable[Key]:
    """Waiting pods of which a plugin that refused them may think otherwise after the change."""
    happened = event_of(change)
    if happened == "other":
        return
    known = {waiting.key: waiting for waiting in waiting_in(view.memory)}
    pods = [pod for pod in (view.get(*key) for key in known) if isinstance(pod, Pod)]
    for pod in law.order("queue-order", pods, view):
        key = ("Pod", pod.metadata.namespace, pod.metadata.name)
        wakes = (Wake(pod, plugin, change, happened, view) for plugin in known[key].plugins)
        if any(law.decide("wake", wake).outputs["wake"] for wake in wakes):
            yield key


@law.key
def pods_to_place(change: Change, view: View) -> Iterable[Key]:
    """The pod itself where it has no node and is new or changed, and waiting pods that the change concerns."""
    pod = change.new
    if not pod.spec.node_name:
        if change.type != "DELETED" and (change.old is None or _spec_changed(change.old, pod)):
            yield change.key
        return
    yield from pods_that_may_fit_now(change, view)


@law.key
def no_pods(change: Change, view: View) -> Iterable[Key]:
    """None: the kind is only looked at when a pod is placed."""
    return ()


def backoff(attempts: int) -> int:
    """How long a pod backs off after so many attempts in vain (ns; backoff_queue.go: calculateBackoffDuration)."""
    shortest, longest = law.constant("scheduler_backoff_initial"), law.constant("scheduler_backoff_max")
    return int(min(shortest << min(attempts - 1, 62), longest)) * SECOND


@law.fact
def backoff_ends(pod: Pod, view: View) -> int:
    """The second in which the pod's back-off ends (ns); 0 where it has ended, or there was none.

    Source: pkg/scheduler/backend/queue/backoff_queue.go: getBackoffTime, isPodBackingoff.
    """
    waiting = view.memory.get((WAITING, pod.metadata.uid))
    if waiting is None:
        return 0
    end: int = waiting.since + backoff(waiting.attempts)
    return 0 if end // SECOND < view.now // SECOND else end - end % SECOND


@law.fact
def queued_at(pod: Pod, view: View) -> int:
    """When the pod was queued: after its last attempt, or at its creation (ns)."""
    waiting = view.memory.get((WAITING, pod.metadata.uid))
    return pod.metadata.creation_timestamp or 0 if waiting is None else waiting.since


def in_queue_order(view: View) -> tuple[Pod, ...]:
    """All pods to place, in the order in which the active queue gives them."""
    pending = [pod for pod in view.list("Pod") if not pod.spec.node_name and pod.spec.scheduler_name in ("", PROFILE)]
    return law.order("queue-order", pending, view)
