# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Deployment, ReplicaSet, ReplicationController.

Source: staging/src/k8s.io/api/apps/v1/types.go, staging/src/k8s.io/api/core/v1/types.go: ReplicationController.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import NOTHING, IntOrString, Struct, Time, written
from k8sfsm.objects.meta import LabelSelector, ObjectMeta
from k8sfsm.objects.pod import PodTemplateSpec


@frozen(kw_only=True, weakref_slot=False, repr=False)
class RollingUpdateDeployment(Struct):
    """Bounds of a rolling update: numbers of Pods, or percentages of the replicas."""

    max_unavailable: IntOrString | None = None
    max_surge: IntOrString | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class DeploymentStrategy(Struct):
    """How old Pods are replaced; type: RollingUpdate or Recreate."""

    type: str = ""
    rolling_update: RollingUpdateDeployment | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class DeploymentSpec(Struct):
    """The wanted state of a Deployment."""

    replicas: int | None = None
    selector: LabelSelector | None = written(None)
    template: PodTemplateSpec = PodTemplateSpec()
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class DeploymentCondition(Struct):
    """The observed state of one aspect of a Deployment."""

    type: str = written("")
    status: str = written("")
    last_update_time: Time | None = written(None)
    last_transition_time: Time | None = written(None)
    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class DeploymentStatus(Struct):
    """The observed state of a Deployment."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    conditions: tuple[DeploymentCondition, ...] = ()
    collision_count: int | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Deployment(Struct):
    """Declarative updates for Pods, by way of ReplicaSets."""

    api_version: ClassVar[str] = "apps/v1"
    kind: ClassVar[str] = "Deployment"

    metadata: ObjectMeta = ObjectMeta()
    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicaSetSpec(Struct):
    """The wanted state of a ReplicaSet."""

    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: LabelSelector | None = written(None)
    template: PodTemplateSpec = PodTemplateSpec()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicaSetCondition(Struct):
    """The observed state of one aspect of a ReplicaSet."""

    type: str = written("")
    status: str = written("")
    last_transition_time: Time | None = written(None)
    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicaSetStatus(Struct):
    """The observed state of a ReplicaSet."""

    replicas: int = written(0)
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: tuple[ReplicaSetCondition, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicaSet(Struct):
    """A number of equal Pods."""

    api_version: ClassVar[str] = "apps/v1"
    kind: ClassVar[str] = "ReplicaSet"

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicationControllerSpec(Struct):
    """The wanted state of a ReplicationController."""

    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: Mapping[str, str] = NOTHING
    template: PodTemplateSpec | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicationControllerCondition(Struct):
    """The observed state of one aspect of a ReplicationController."""

    type: str = written("")
    status: str = written("")
    last_transition_time: Time | None = written(None)
    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicationControllerStatus(Struct):
    """The observed state of a ReplicationController."""

    replicas: int = written(0)
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: tuple[ReplicationControllerCondition, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ReplicationController(Struct):
    """The ancestor of ReplicaSet; its selector is a plain map."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "ReplicationController"

    metadata: ObjectMeta = ObjectMeta()
    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicationControllerStatus = ReplicationControllerStatus()
