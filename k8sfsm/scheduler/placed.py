"""A pod that takes room on a node, and what that comes to."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from attrs import define
from numpy.typing import NDArray

from k8sfsm.kinds.pod_resources import PodRequest
from k8sfsm.objects import Pod
from k8sfsm.scheduler.cluster import TERMINAL
from k8sfsm.store import Change

Ints: Final = np.int64
IntArray: TypeAlias = NDArray[np.int64]
Load: TypeAlias = tuple[PodRequest, IntArray]
"""What a pod requests, and what that adds to the row of its node (see `Ledger.loads`)."""


@define(eq=False)
class Placed:
    """A pod that takes room, as it was when that last mattered: on the node at `index` (NOWHERE: it is not known),
    named `node`.

    `weight`: what it adds to the row of its node (see `Ledger.loads`).
    """

    pod: Pod
    node: str
    index: int
    request: PodRequest
    weight: IntArray

    @property
    def counted(self) -> bool:
        """Does it count for topology spread (it is not being deleted)?"""
        return self.pod.metadata.deletion_timestamp is None


def same_room(old: Pod, new: Pod) -> bool:
    """Is all the same that a pod's requests are made of?"""
    if old.spec is not new.spec and old.spec.containers != new.spec.containers:
        return False
    before, now = old.status, new.status
    if not (before.container_statuses or now.container_statuses) and not (
        before.init_container_statuses or now.init_container_statuses
    ):
        return True
    return _given(old) == _given(new)


def weighs_on(change: Change) -> bool:
    """May a change of a pod make a difference to any node? A report about one that runs on makes none."""
    old, new = change.old, change.new
    if old is None or old.spec is not new.spec or change.type == "DELETED" or not new.spec.node_name:
        return True
    before, now = old.metadata, new.metadata
    return (
        before.labels is not now.labels
        or before.deletion_timestamp != now.deletion_timestamp
        or old.status.phase in TERMINAL
        or new.status.phase in TERMINAL
        or not same_room(old, new)
    )


def _given(pod: Pod) -> list[Any]:
    """What the kubelet reports to have given to the containers: it counts too, while a pod is resized."""
    status = pod.status
    given: list[Any] = []
    for each in status.init_container_statuses:
        if each.resources is not None:
            given += (each.resources, each.allocated_resources)
    for each in status.container_statuses:
        if each.resources is not None:
            given += (each.resources, each.allocated_resources)
    if given:
        given += [condition.reason for condition in status.conditions if condition.type == "PodResizePending"]
    return given


def weight_of(request: PodRequest) -> IntArray:
    """What a pod adds to the row of its node."""
    amounts = (1, request.cpu, request.memory, request.ephemeral_storage)
    return np.array((*amounts, request.scoring_cpu, request.scoring_memory), Ints)
