# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Node. Source: staging/src/k8s.io/api/core/v1/types.go: Node, NodeSpec, NodeStatus, Taint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import JSON, NOTHING, Struct, Time, written
from k8sfsm.objects.meta import ObjectMeta
from k8sfsm.objects.quantity import Quantity


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Taint(Struct):
    """A reason for Pods to stay away; effect: NoSchedule, PreferNoSchedule or NoExecute."""

    key: str = written("")
    value: str = ""
    effect: str = written("")
    time_added: Time | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeSpec(Struct):
    """The wanted state of a Node."""

    pod_cidr: str = ""
    pod_cidrs: tuple[str, ...] = ()
    provider_id: str = ""
    unschedulable: bool = False
    taints: tuple[Taint, ...] = ()
    config_source: JSON | None = None
    external_id: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeCondition(Struct):
    """The observed state of one aspect of a Node."""

    type: str = written("")
    status: str = written("")
    last_heartbeat_time: Time | None = written(None)
    last_transition_time: Time | None = written(None)
    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeAddress(Struct):
    """An address of a Node; type: InternalIP, ExternalIP, Hostname, InternalDNS or ExternalDNS."""

    type: str = written("")
    address: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class DaemonEndpoint(Struct):
    """The port of a daemon. Its JSON name has a capital."""

    port: int = written(0, name="Port")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeDaemonEndpoints(Struct):
    """Ports of the daemons on a Node."""

    kubelet_endpoint: DaemonEndpoint = DaemonEndpoint()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeSystemInfo(Struct):
    """Identity and software of a Node."""

    machine_id: str = written("")
    system_uuid: str = written("")
    boot_id: str = written("")
    kernel_version: str = written("")
    os_image: str = written("")
    container_runtime_version: str = written("")
    kubelet_version: str = written("")
    kube_proxy_version: str = written("")
    operating_system: str = written("")
    architecture: str = written("")
    swap: JSON | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeStatus(Struct):
    """The observed state of a Node."""

    capacity: Mapping[str, Quantity] = NOTHING
    allocatable: Mapping[str, Quantity] = NOTHING
    phase: str = ""
    conditions: tuple[NodeCondition, ...] = ()
    addresses: tuple[NodeAddress, ...] = ()
    daemon_endpoints: NodeDaemonEndpoints = NodeDaemonEndpoints()
    node_info: NodeSystemInfo = NodeSystemInfo()
    images: tuple[JSON, ...] = ()
    volumes_in_use: tuple[str, ...] = ()
    volumes_attached: tuple[JSON, ...] = ()
    config: JSON | None = None
    runtime_handlers: tuple[JSON, ...] = ()
    features: JSON | None = None
    declared_features: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Node(Struct):
    """A machine that runs Pods."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Node"

    metadata: ObjectMeta = ObjectMeta()
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()
