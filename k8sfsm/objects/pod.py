# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Pod and PodTemplateSpec. Source: staging/src/k8s.io/api/core/v1/types.go: Pod, PodSpec, PodStatus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from attrs import frozen

from k8sfsm.objects.base import JSON, NOTHING, Struct, Time, written
from k8sfsm.objects.container import Container, EphemeralContainer, ResourceRequirements
from k8sfsm.objects.meta import ObjectMeta
from k8sfsm.objects.placement import Affinity, Toleration, TopologySpreadConstraint
from k8sfsm.objects.quantity import Quantity


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodReadinessGate(Struct):
    """A condition type that must be True before the Pod is ready."""

    condition_type: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodSchedulingGate(Struct):
    """A reason not to schedule the Pod yet."""

    name: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodSpec(Struct):
    """What is to run and where. Volumes, env and security contexts are kept as JSON."""

    volumes: tuple[JSON, ...] = ()
    init_containers: tuple[Container, ...] = ()
    containers: tuple[Container, ...] = written(())
    ephemeral_containers: tuple[EphemeralContainer, ...] = ()
    restart_policy: str = ""
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    dns_policy: str = ""
    node_selector: Mapping[str, str] = NOTHING
    service_account_name: str = ""
    service_account: str = ""
    automount_service_account_token: bool | None = None
    node_name: str = ""
    host_network: bool = False
    host_pid: bool = False
    host_ipc: bool = False
    share_process_namespace: bool | None = None
    security_context: JSON | None = None
    image_pull_secrets: tuple[JSON, ...] = ()
    hostname: str = ""
    subdomain: str = ""
    affinity: Affinity | None = None
    scheduler_name: str = ""
    tolerations: tuple[Toleration, ...] = ()
    host_aliases: tuple[JSON, ...] = ()
    priority_class_name: str = ""
    priority: int | None = None
    dns_config: JSON | None = None
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    preemption_policy: str | None = None
    overhead: Mapping[str, Quantity] = NOTHING
    topology_spread_constraints: tuple[TopologySpreadConstraint, ...] = ()
    set_hostname_as_fqdn: bool | None = None
    os: JSON | None = None
    host_users: bool | None = None
    scheduling_gates: tuple[PodSchedulingGate, ...] = ()
    resource_claims: tuple[JSON, ...] = ()
    resources: ResourceRequirements | None = None
    hostname_override: str | None = None
    scheduling_group: JSON | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodTemplateSpec(Struct):
    """The Pod that a controller makes."""

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()


DISRUPTION_TARGET: Final = "DisruptionTarget"
"""The condition of a pod that is about to be evicted: kubelets, schedulers, controllers and the API server write it."""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodCondition(Struct):
    """The observed state of one aspect of a Pod."""

    type: str = written("")
    observed_generation: int = 0
    status: str = written("")
    last_probe_time: Time | None = written(None)
    last_transition_time: Time | None = written(None)
    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerStateWaiting(Struct):
    """Not running yet, and why."""

    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerStateRunning(Struct):
    """Running since `started_at`."""

    started_at: Time | None = written(None)


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerStateTerminated(Struct):
    """Ended, and how."""

    exit_code: int = written(0)
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: Time | None = written(None)
    finished_at: Time | None = written(None)
    container_id: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerState(Struct):
    """One of its members is set; none means waiting."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ContainerStatus(Struct):
    """What the kubelet reports about one container."""

    name: str = written("")
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = written(False)
    restart_count: int = written(0)
    image: str = written("")
    image_id: str = written("")
    container_id: str = ""
    started: bool | None = None
    allocated_resources: Mapping[str, Quantity] = NOTHING
    resources: ResourceRequirements | None = None
    volume_mounts: tuple[JSON, ...] = ()
    user: JSON | None = None
    allocated_resources_status: tuple[JSON, ...] = ()
    stop_signal: str | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class HostIP(Struct):
    """An address of the Pod's node."""

    ip: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodIP(Struct):
    """An address of the Pod."""

    ip: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodStatus(Struct):
    """What the kubelet, the scheduler and controllers report about a Pod."""

    observed_generation: int = 0
    phase: str = ""
    conditions: tuple[PodCondition, ...] = ()
    message: str = ""
    reason: str = ""
    nominated_node_name: str = ""
    host_ip: str = ""
    host_ips: tuple[HostIP, ...] = ()
    pod_ip: str = ""
    pod_ips: tuple[PodIP, ...] = ()
    start_time: Time | None = None
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    qos_class: str = ""
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resize: str = ""
    resource_claim_statuses: tuple[JSON, ...] = ()
    extended_resource_claim_status: JSON | None = None
    allocated_resources: Mapping[str, Quantity] = NOTHING
    resources: ResourceRequirements | None = None

    @property
    def of_containers(self) -> tuple[ContainerStatus, ...]:
        """What is reported of all containers: init, regular, then ephemeral ones."""
        return (*self.init_container_statuses, *self.container_statuses, *self.ephemeral_container_statuses)


class Sighted(Struct):
    """The base of what many look at again and again: `sight` is what somebody found out about the object, which follows
    from it alone. It is no part of the value, and no copy has it.
    """

    __slots__ = ("sight",)
    sight: Any


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Pod(Sighted):
    """A group of containers on one node."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Pod"

    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()
