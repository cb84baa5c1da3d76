"""What wakes pods that wait: the changes that may make a plugin which refused a pod think otherwise (queueing hints).

Source: pkg/scheduler/backend/queue/scheduling_queue.go: isPodWorthRequeuing, Update; plugins/*: EventsToRegister and
the functions that it names; pkg/scheduler/framework/events.go: PodSchedulingPropertiesChange.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Final, Literal, TypeAlias

from k8sfsm.controllers.pod_changes import Changes, asked_in_bulk
from k8sfsm.kinds.pod_resources import PODS, PodRequest, scheduler_request
from k8sfsm.objects import Node, Pod
from k8sfsm.request import DONE, Key, Look, Noticed, Plan, Remember
from k8sfsm.scheduler.cluster import (
    ASSUMED,
    NOMINATED,
    Cluster,
    NodeInfo,
    allocatable,
    counted_resources,
    host_ports,
    is_terminal,
)
from k8sfsm.scheduler.eviction import key_of_pod
from k8sfsm.scheduler.filters import (
    Candidate,
    Wanted,
    cordoned,
    node_matches,
    ports_conflict,
    shortages,
    untolerated_taint,
)
from k8sfsm.scheduler.inter_pod import Terms, matches_all
from k8sfsm.scheduler.queue import FORGOTTEN, WAITING, waiting_in
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.spread import Constraint, own_constraints
from k8sfsm.view import Change, View

Event: TypeAlias = Literal[
    "pod-placed",
    "pod-relabelled",
    "pod-shrunk",
    "pod-gone",
    "node-added",
    "node-changed",
    "node-gone",
    "own-tolerations",
    "own-labels",
    "own-requests",
    "own-gates",
]
"""What happened: to another pod that has (or had) a node, to a node, or to the waiting pod itself."""
_NODE_EVENTS: Final[Mapping[str, Event]] = {
    "ADDED": "node-added",
    "MODIFIED": "node-changed",
    "DELETED": "node-gone",
}


def events_of(change: Change) -> tuple[Event, ...]:
    """What a change of a node, or of a pod that has or had one, means to pods that wait."""
    if isinstance(change.new, Node):
        return (_NODE_EVENTS[change.type],)
    if not isinstance(change.new, Pod):
        return ()
    old = change.old
    before = isinstance(old, Pod) and bool(old.spec.node_name) and not is_terminal(old)
    after = change.type != "DELETED" and bool(change.new.spec.node_name) and not is_terminal(change.new)
    if not (before and after):
        return ("pod-placed",) if after else ("pod-gone",) if before else ()
    relabelled: tuple[Event, ...] = () if old.metadata.labels == change.new.metadata.labels else ("pod-relabelled",)
    return (*relabelled, "pod-shrunk") if _shrank(old, change.new) else relabelled


def own_events(old: Pod, new: Pod) -> tuple[Event, ...]:
    """What an update of a pod without a node means to it (framework/events.go: PodSchedulingPropertiesChange)."""
    found: list[Event] = []
    if old.metadata.labels != new.metadata.labels:
        found.append("own-labels")
    if old.spec.tolerations != new.spec.tolerations:
        found.append("own-tolerations")
    if old.spec.scheduling_gates and not new.spec.scheduling_gates:
        found.append("own-gates")
    if _shrank(old, new):
        found.append("own-requests")
    return tuple(found)


def _less(before: PodRequest, after: PodRequest, resource: str) -> bool:
    return after.of(resource) < before.of(resource)


def _shrank(old: Pod, new: Pod) -> bool:
    """Does the pod request less of anything?"""
    if old.spec is new.spec or (
        old.spec.containers == new.spec.containers and old.spec.resources == new.spec.resources
    ):
        return False
    before, after = scheduler_request(old), scheduler_request(new)
    return any(_less(before, after, resource) for resource in counted_resources(before))


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

    @cached_property
    def other(self) -> tuple[Pod | None, Pod | None]:
        """The other pod as it was and as it is, while it has a node."""
        old, new = self.change.old, self.change.new
        return (
            old if self.event != "pod-placed" else None,
            new if self.event != "pod-gone" else None,
        )

    @cached_property
    def constraints(self) -> tuple[Constraint, ...]:
        """The pod's DoNotSchedule constraints."""
        return own_constraints(self.pod, "DoNotSchedule")

    @cached_property
    def terms(self) -> Terms:
        """The pod's terms about other pods."""
        return Terms.of(self.pod).resolved(self.view)


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
        allocatable(wake.change.new, name) > allocatable(old, name)
        for name in counted_resources(request)
        if name == PODS or request.of(name) > 0
    )


@law.fact
def frees_requested(wake: Wake) -> bool:
    """Another pod requests less than before of something that the pod requests (isSchedulableAfterPodScaleDown)."""
    wanted = scheduler_request(wake.pod, incoming=True)
    before, after = scheduler_request(wake.change.old), scheduler_request(wake.change.new)
    return any(
        wanted.of(name) > 0 and _less(before, after, name) for name in counted_resources(wanted) if name != "pods"
    )


@law.fact
def frees_ports(wake: Wake) -> bool:
    """The pod that is gone had a host port that this one needs (node_ports.go: isSchedulableAfterPodDeleted)."""
    taken = host_ports(wake.change.old)
    return any(ports_conflict(port, other) for port in host_ports(wake.pod) for other in taken)


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
def changes_spread(wake: Wake) -> bool:
    """The other pod is counted by one of the pod's constraints, or is so no longer (isSchedulableAfterPodChange)."""
    old, new = wake.other
    if wake.change.new.metadata.namespace != wake.pod.metadata.namespace:
        return False
    return any(
        (old is not None and each.selector.matches(old.metadata.labels))
        != (new is not None and each.selector.matches(new.metadata.labels))
        for each in wake.constraints
    )


@law.fact
def changes_domains(wake: Wake) -> bool:
    """The node, as it was or is, has all the labels that the pod's constraints name, and they or its taints changed.

    Source: podtopologyspread/plugin.go: isSchedulableAfterNodeChange.
    """
    keys = [each.topology_key for each in wake.constraints]
    old, new = wake.change.old, None if wake.event == "node-gone" else wake.change.new
    had, has = (each is not None and all(key in each.metadata.labels for key in keys) for each in (old, new))
    if old is None or new is None or had != has:
        return had or has
    moved = any(old.metadata.labels.get(key) != new.metadata.labels.get(key) for key in keys)
    return has and (moved or old.spec.taints != new.spec.taints)


@law.fact
def honours_taints(wake: Wake) -> bool:
    """One of the pod's constraints leaves out nodes whose taints it does not tolerate."""
    return any(each.taints_policy == "Honor" for each in wake.constraints)


@law.fact
def pods_closer(wake: Wake) -> bool:
    """The other pod is now one that this one must be near to, or is no longer one that it must be apart from.

    Source: interpodaffinity/plugin.go: isSchedulableAfterPodChange.
    """
    old, new = wake.other
    near, apart = wake.terms.near, wake.terms.apart
    if new is not None and matches_all(near, new) and not (old is not None and matches_all(near, old)):
        return True
    if old is None:
        return False
    return matches_all(apart, old) and not (new is not None and matches_all(apart, new))


@law.fact
def pods_less_shy(wake: Wake) -> bool:
    """The pod that is gone had to be apart from this one."""
    old, _ = wake.other
    namespace = wake.view.get("Namespace", "", wake.pod.metadata.namespace)
    labels = {} if namespace is None else namespace.metadata.labels
    return old is not None and any(term.matches(wake.pod, labels) for term in Terms.of(old).apart)


@law.fact
def relabelled(wake: Wake) -> bool:
    """The node is new, or its labels have changed."""
    return wake.change.old is None or wake.change.old.metadata.labels != wake.change.new.metadata.labels


@law.fact
def in_wanted_domain(wake: Wake) -> bool:
    """The node has a label that one of the pod's required terms about other pods names."""
    return any(term.topology_key in wake.change.new.metadata.labels for term in (*wake.terms.near, *wake.terms.apart))


def _wakes(pod: Pod, plugins: Iterable[str], change: Change, events: Iterable[Event], view: View) -> bool:
    """May any of the plugins think otherwise after any of the events?"""
    wakes = (Wake(pod, plugin, change, each, view) for each in events for plugin in plugins)
    return any(law.decide("wake", wake).outputs["wake"] for wake in wakes)


@law.key
def pods_that_may_fit_now(change: Change, view: View) -> Iterable[Key]:
    """Waiting pods of which a plugin that refused them may think otherwise after the change."""
    if WAITING not in view.memory:
        return
    events = events_of(change)
    if not events:
        return
    for waiting in waiting_in(view.memory):
        pod = view.get(*waiting.key)
        if isinstance(pod, Pod) and _wakes(pod, waiting.plugins, change, events, view):
            yield waiting.key


def notice(changes: Changes, view: View) -> Noticed | None:
    """What a run of changes of pods means while no pod waits or is nominated; None: they are looked at one by one.

    Most are about pods that are placed already: these are of interest once, where they are still assumed.
    """
    memory = view.memory
    if WAITING in memory or NOMINATED in memory:
        return None
    bound: dict[tuple[str, str], None] = {}
    keys: list[tuple[Key, int]] = []
    for change in changes:
        pod = change.new
        if pod.spec.node_name or change.type == "DELETED":
            assumed = (ASSUMED, pod.metadata.uid)
            if assumed in memory:
                bound[assumed] = None
        elif change.old is not None:
            return None
        else:
            keys.append((change.key, change.revision))
    return Noticed(steps=tuple([Remember(key=key, value=None) for key in bound]), keys=keys)


@law.key
@asked_in_bulk(notice)
def pods_to_place(change: Change, view: View) -> Iterable[Key]:
    """The pod itself where it has no node and is new, or changed in a way that may help it; and waiting pods that the
    change concerns.
    """
    pod = change.new
    if pod.spec.node_name:
        yield from pods_that_may_fit_now(change, view)
    elif change.type == "ADDED" or change.old is None:
        yield change.key
    elif change.type == "MODIFIED":
        events = own_events(change.old, pod)
        refused = next((each.plugins for each in waiting_in(view.memory) if each.key == change.key), None)
        if events and (refused is None or _wakes(pod, refused, change, events, view)):
            yield change.key


@law.key
def no_pods(change: Change, view: View) -> Iterable[Key]:
    """None: the kind is only looked at when a pod is placed."""
    return ()


def tell_others(view: View, key: Key) -> Plan:
    """Pods that wait hear that a pod is not placed after all, as if it had been deleted (handleBindingCycleError)."""
    memory = (FORGOTTEN, *key[1:])
    pod = view.memory.get(memory)
    if pod is None:
        return DONE
    change = Change(0, "DELETED", key_of_pod(pod), pod, pod)
    woken = [Look(key=each) for each in pods_that_may_fit_now(change, view) if each != change.key]
    return Plan(steps=(Remember(key=memory, value=None), *woken))
