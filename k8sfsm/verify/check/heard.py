"""Kubelets that have fallen silent: leases that are not renewed, and pods that are not reported or not ended.

What stopped a kubelet comes from outside. Where the history tells of it, nothing is left undone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, Literal, TypeAlias

from attrs import define, field, frozen

from k8sfsm.controllers.nodelifecycle.health import ready_of
from k8sfsm.law import constant
from k8sfsm.objects import Node, Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key
from k8sfsm.store import Snapshot
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite
from k8sfsm.verify.check.judging import KUBELET, law
from k8sfsm.verify.check.report import Found
from k8sfsm.verify.replay.kubelets import STOPS

_STARTS: Final = ("kubelet-started", "node-up")
_SHOWN: Final = 2
"""A lease that was renewed so often is one of which the history shows renewals."""
Owed: TypeAlias = Literal["lease", "report", "end"]


@frozen
class Owing:
    """Something that a kubelet owes; the case of the table `silence`. `waited`: for how long (ns); `node`: None where
    it is gone.
    """

    owed: Owed
    waited: int
    node: Node | None
    stopped: bool


@law.fact
def owed_thing(case: Owing) -> Literal["lease", "report", "end"]:
    """A renewal of its lease, the first status of a pod, or the end of a pod that is to go."""
    return case.owed


@law.fact
def stop_told(case: Owing) -> bool:
    """The history tells that the kubelet or its machine was stopped."""
    return case.stopped


@law.fact
def node_there(case: Owing) -> bool:
    """The node exists."""
    return case.node is not None


@law.fact
def waited_too_long(case: Owing) -> bool:
    """It has waited for longer than a lease lasts."""
    return case.waited > int(constant("node_lease_duration")) * SECOND


def found_lost(case: Owing) -> bool:
    """The node controller has found the node lost: its Ready condition is Unknown."""
    ready = None if case.node is None else ready_of(case.node)
    return ready is not None and ready.status == "Unknown"


@define
class Heard:
    """When kubelets were heard of last, as far as the history shows that."""

    renewed: dict[str, int] = field(factory=dict)
    """Node -> when (ns) its lease was renewed last."""
    renewals: dict[str, int] = field(factory=dict)
    stopped: dict[str, bool] = field(factory=dict)
    """Nodes whose kubelets are known to have been stopped, and whether they still are."""

    def learn(self, facts: Iterable[EnvironmentFact]) -> None:
        """What the environment did to kubelets and machines, where it says so itself."""
        for fact in facts:
            if fact.source == "runtime" and fact.event in (*STOPS, *_STARTS):
                self.stopped[fact.node] = fact.event in STOPS

    def take(self, write: RecordedWrite) -> None:
        """A lease was written."""
        if write.actor != KUBELET or not write.ok or write.type is None:
            return
        node = write.key[2]
        if write.type == "DELETED":
            self.renewed.pop(node, None)
            return
        self.renewed[node] = write.time
        self.renewals[node] = self.renewals.get(node, 0) + 1

    def left(self, now: Snapshot, end: int, scripted: Collection[str]) -> Iterator[Found]:
        """What kubelets owe at the end (ns) of a history."""
        for node, at in self.renewed.items():
            if self.renewals[node] > _SHOWN:
                yield from self._owes("lease", ("Node", "", node), node, now, end, at)
        for node in [each.metadata.name for each in now.series("in", "Node", "")]:
            for pod in now.on_node(node) if node not in scripted else ():
                for owed, since in _awaited(pod):
                    yield from self._owes(
                        owed, ("Pod", pod.metadata.namespace, pod.metadata.name), node, now, end, since
                    )

    def _owes(self, owed: Owed, key: Key, node: str, now: Snapshot, end: int, since: int) -> Iterator[Found]:
        case = Owing(owed, end - since, now.get(("Node", "", node)), self.stopped.get(node, False))
        decision = law.decide("silence", case)
        if not decision.outputs["undone"]:
            return
        rule = str(decision.outputs["rule"])
        seen = "has found the node lost" if found_lost(case) else "has not found the node lost"
        says = f"{decision.outputs['says']} for {case.waited // SECOND} s"
        what = f"the kubelet of {node} {says}; the node controller {seen}"
        yield Found(what=what, cause=rule, key=key, line="", actor=KUBELET, at=end, nearest=rule,
                    facts={"found_lost": found_lost(case)})  # fmt: skip


def _awaited(pod: Pod) -> Iterator[tuple[Owed, int]]:
    """What a kubelet is to do about a pod, and since when (ns)."""
    meta, status = pod.metadata, pod.status
    bound: Any = next((each.last_transition_time for each in status.conditions if each.type == "PodScheduled"), None)
    if bound is not None and status.start_time is None and status.phase == "Pending":
        yield "report", bound
    if meta.deletion_timestamp is not None and status.phase == "Running":
        yield "end", meta.deletion_timestamp
