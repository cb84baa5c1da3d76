"""The kinds that the ReplicaSet controller's rules work for: ReplicaSets, and through adapters ReplicationControllers.

Source: pkg/controller/replicaset/replica_set.go: NewReplicaSetController;
pkg/controller/replication/replication_controller.go: NewReplicationManager; pkg/controller/replication/conversion.go
"""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.objects import (
    LabelSelector,
    PodTemplateSpec,
    ReplicaSetCondition,
    ReplicationControllerCondition,
)
from k8sfsm.value import value

_NO_TEMPLATE: Final = PodTemplateSpec()


@value(kw_only=True)
class Flavour:
    """A kind with its differences.

    `counts_terminating`: the status tells terminating Pods; `guards_cache`: a sync waits until the cache has the
    controller's own writes.
    """

    kind: str
    condition: type[Any]
    counts_terminating: bool
    guards_cache: bool

    def selector(self, obj: Any) -> LabelSelector | None:
        """The selector as a ReplicaSet has it; None selects nothing."""
        selector = obj.spec.selector
        if selector is None or isinstance(selector, LabelSelector):
            return selector
        return LabelSelector(match_labels=selector) if selector else None

    def template(self, obj: Any) -> PodTemplateSpec:
        """The Pod template."""
        template: PodTemplateSpec | None = obj.spec.template
        return _NO_TEMPLATE if template is None else template

    def replicas(self, obj: Any) -> int:
        """How many Pods are wanted."""
        wanted: int | None = obj.spec.replicas
        return 1 if wanted is None else wanted


REPLICA_SETS: Final = Flavour(
    kind="ReplicaSet", condition=ReplicaSetCondition, counts_terminating=True, guards_cache=True
)
REPLICATION_CONTROLLERS: Final = Flavour(
    kind="ReplicationController",
    condition=ReplicationControllerCondition,
    counts_terminating=False,
    guards_cache=False,
)
