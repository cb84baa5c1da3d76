"""A pod that takes room on a node, and what that comes to."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np
from attrs import define
from numpy.typing import NDArray

from k8sfsm.kinds.pod_resources import PodRequest
from k8sfsm.objects import Pod

Ints: Final = np.int64
IntArray: TypeAlias = NDArray[np.int64]
Load: TypeAlias = tuple[PodRequest, IntArray]
"""What a pod requests, and what that adds to the row of its node (see `Ledger.loads`)."""


@define(eq=False)
class Placed:
    """A pod that takes room: on the node at `index` (NOWHERE: that node is not known), named `node`.

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
    return (old.spec is new.spec or old.spec.containers == new.spec.containers) and _given(old) == _given(new)


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
