"""What nodes say to a pod of the common kind, by arrays: for one that fits nowhere, and for one that displaces others.

Nodes that a filter on the node alone refuses alike, and that lack the same resources, say the same. So the rules judge
one node of each kind; arrays tell of which kind the others are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from k8sfsm.kinds.pod_resources import CPU, EPHEMERAL_STORAGE, MEMORY, PODS, PodRequest, scheduler_request
from k8sfsm.objects import Pod
from k8sfsm.scheduler.cluster import (
    ASSUMED,
    NOMINATED,
    Cluster,
    NodeInfo,
    has_pod_affinity,
    is_terminal,
    nomination_of,
    priority_of,
)
from k8sfsm.scheduler.filters import Refusal, Wanted, judge
from k8sfsm.scheduler.ledger import Ledger
from k8sfsm.scheduler.plain import Placement, fit_error
from k8sfsm.scheduler.queue import WAITING
from k8sfsm.view import View

COUNTED: Final = (CPU, MEMORY, EPHEMERAL_STORAGE)
Kind: TypeAlias = tuple[Refusal | None, int]
"""What a node says when it is empty, and what it lacks (see `lacking`)."""
Kinds: TypeAlias = dict[Kind, Refusal | None]
"""What the nodes of each kind say; None: the pod may run there."""


def lacking(request: PodRequest, capacity: Mapping[str, Any], used: Mapping[str, Any]) -> Any:
    """Which resources do not suffice, as bits: two for each, beside the other pods and on the empty node.

    Of one node, where the mappings have numbers; of all nodes, where they have arrays. 0: none is lacking.
    """
    bits = (used[PODS] + 1 > capacity[PODS]) + 2 * (capacity[PODS] < 1)
    for place, name in enumerate(COUNTED, 1):
        if amount := request.of(name):
            bits = bits + 4**place * ((amount > capacity[name] - used[name]) + 2 * (amount > capacity[name]))
    return bits


def nominated_beside(view: View, ledger: Ledger, pod: Pod) -> Mapping[int, Sequence[Pod]] | None:
    """Pods of the same or higher priority for which room is kept, by the index of their node; None: that is not enough.

    The same as `cluster.nominated_pods`, found without a look at every pod. One that says something about other pods
    takes more than room.
    """
    known: dict[str, Pod | None] = dict(ledger.nominated)
    for uid in view.memory.get(NOMINATED) or {}:
        if uid in known:
            continue
        entry = view.memory.get((WAITING, uid))
        if entry is None:
            return None
        known[uid] = view.get(*entry.key)
    found: dict[int, list[Pod]] = {}
    for uid, each in known.items():
        if each is None or not _waits(each, uid, view) or priority_of(each) < priority_of(pod):
            continue
        index = ledger.index.get(nomination_of(each, view.memory))
        if index is None or uid == pod.metadata.uid:
            continue
        if has_pod_affinity(each):
            return None
        found.setdefault(index, []).append(each)
    return found


def _waits(pod: Pod, uid: str, view: View) -> bool:
    """Whether the pod is still the one of that uid, and neither placed nor at its end."""
    placed = pod.spec.node_name or (ASSUMED, uid) in view.memory
    return pod.metadata.uid == uid and not placed and not is_terminal(pod)


class Verdicts:
    """What the nodes of a ledger say to one pod.

    `refused`: what nodes say when they are empty, by index; `kinds`: what is known already, and is added to. `beside`:
    pods for which room is kept, by index.
    """

    def __init__(
        self,
        pod: Pod,
        request: PodRequest,
        ledger: Ledger,
        cluster: Cluster,
        refused: Mapping[int, Refusal],
        kinds: Kinds,
        beside: Mapping[int, Sequence[Pod]],
    ) -> None:
        self._pod = pod
        self._request = request
        self._ledger = ledger
        self._cluster = cluster
        self._refused = refused
        self._kinds = kinds
        self._beside = beside

    def full(self) -> tuple[int, ...]:
        """Indices of nodes that lack something beside the pods for which room is kept there."""
        return tuple(index for index in self._beside if self._lacking_beside(index, self._used(index)))

    def nowhere(self, start: int) -> Placement:
        """The placement of a pod that fits nowhere, with what each node says, from `start` on and round."""
        ledger = self._ledger
        lacks = lacking(self._request, ledger.capacity, ledger.used)
        for index in self._beside:
            lacks[index] = self._lacking_beside(index, self._used(index))
        bits: list[int] = lacks.tolist()
        refusals: dict[str, Refusal] = {}
        for index in np.roll(np.arange(len(bits)), -start).tolist():
            name = ledger.names[index]
            refusal = self._of(index, bits[index], lambda name=name: self._fuller(self._cluster.by_name[name]))
            assert refusal is not None
            refusals[name] = refusal
        return Placement(
            node_count=len(bits),
            refusals=refusals,
            plugins=tuple(sorted({refusal.plugin for refusal in refusals.values()})),
            message=fit_error(len(bits), refusals.values()),
            next_start=start,
            judge=self.judge,
        )

    def judge(self, info: NodeInfo) -> Refusal | None:
        """What a node says with these pods on it; the same as `plain.Search.refusal_changed`."""
        index = self._ledger.index[info.name]
        used = self._sum(info.pods)
        bits = self._lacking_beside(index, used)
        if index in self._beside and bits:
            return self._of(index, bits, lambda: self._fuller(info))
        return self._of(index, bits, lambda: info)

    def _of(self, index: int, bits: int, info: Any) -> Refusal | None:
        """What a node of this kind says; where no such node was asked yet, `info()` is."""
        kind = (self._refused.get(index), bits)
        if kind not in self._kinds:
            asked: NodeInfo = info()
            self._kinds[kind] = judge(Wanted(self._pod, self._cluster.changed(asked)), asked)
        return self._kinds[kind]

    def _fuller(self, info: NodeInfo) -> NodeInfo:
        """The node with the pods for which room is kept."""
        others = self._beside.get(self._ledger.index[info.name])
        return NodeInfo(info.node, (*info.pods, *others)) if others else info

    def _lacking_beside(self, index: int, used: Mapping[str, int]) -> int:
        """What a node lacks where so much of it is used, and room is kept for others."""
        kept = self._sum(self._beside.get(index, ()))
        capacity = {name: int(amounts[index]) for name, amounts in self._ledger.capacity.items()}
        return int(lacking(self._request, capacity, {name: used[name] + kept[name] for name in used}))

    def _used(self, index: int) -> Mapping[str, int]:
        return {name: int(amounts[index]) for name, amounts in self._ledger.used.items()}

    def _sum(self, pods: Iterable[Pod]) -> Mapping[str, int]:
        """What pods request together."""
        total = {PODS: 0, CPU: 0, MEMORY: 0, EPHEMERAL_STORAGE: 0}
        for pod in pods:
            placed = self._ledger.placed.get(pod.metadata.uid)
            request = placed.request if placed is not None else scheduler_request(pod)
            total[PODS] += 1
            for name in COUNTED:
                total[name] += request.of(name)
        return total
