# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Service, Endpoints, EndpointSlice.

Source: staging/src/k8s.io/api/core/v1/types.go: Service, Endpoints; staging/src/k8s.io/api/discovery/v1/types.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import JSON, NOTHING, IntOrString, Struct, written
from k8sfsm.objects.meta import Condition, ObjectMeta, ObjectReference


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ServicePort(Struct):
    """One port of a Service. `target_port` 0 or "" before defaulting: the same as `port`."""

    name: str = ""
    protocol: str = ""
    app_protocol: str | None = None
    port: int = written(0)
    target_port: IntOrString = written(0)
    node_port: int = 0


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ClientIPConfig(Struct):
    """How long a client stays with its endpoint, in seconds."""

    timeout_seconds: int | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class SessionAffinityConfig(Struct):
    """Settings of session affinity."""

    client_ip: ClientIPConfig | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ServiceSpec(Struct):
    """The wanted state of a Service. An empty selector means none: its endpoints are managed by someone else."""

    ports: tuple[ServicePort, ...] = ()
    selector: Mapping[str, str] = NOTHING
    cluster_ip: str = ""
    cluster_ips: tuple[str, ...] = ()
    type: str = ""
    external_ips: tuple[str, ...] = ()
    session_affinity: str = ""
    load_balancer_ip: str = ""
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_name: str = ""
    external_traffic_policy: str = ""
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    session_affinity_config: SessionAffinityConfig | None = None
    ip_families: tuple[str, ...] = ()
    ip_family_policy: str | None = None
    allocate_load_balancer_node_ports: bool | None = None
    load_balancer_class: str | None = None
    internal_traffic_policy: str | None = None
    traffic_distribution: str | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LoadBalancerIngress(Struct):
    """An address at which a load balancer takes traffic."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[JSON, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LoadBalancerStatus(Struct):
    """Addresses of a load balancer."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ServiceStatus(Struct):
    """The observed state of a Service."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[Condition, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Service(Struct):
    """A stable name and address for a set of Pods."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Service"

    metadata: ObjectMeta = ObjectMeta()
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointAddress(Struct):
    """One address of an Endpoints subset."""

    ip: str = written("")
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointPort(Struct):
    """One port of an Endpoints subset."""

    name: str = ""
    port: int = written(0)
    protocol: str = ""
    app_protocol: str | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointSubset(Struct):
    """Every address offers every port."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Endpoints(Struct):
    """Addresses of a Service, in one object."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Endpoints"

    metadata: ObjectMeta = ObjectMeta()
    subsets: tuple[EndpointSubset, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointConditions(Struct):
    """State of an endpoint; None: unknown (ready and serving count as true then)."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ForZone(Struct):
    """A zone whose clients should use this endpoint."""

    name: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ForNode(Struct):
    """A node whose clients should use this endpoint."""

    name: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointHints(Struct):
    """Which clients should use this endpoint."""

    for_zones: tuple[ForZone, ...] = ()
    for_nodes: tuple[ForNode, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Endpoint(Struct):
    """One endpoint of an EndpointSlice."""

    addresses: tuple[str, ...] = written(())
    conditions: EndpointConditions = EndpointConditions()
    hostname: str | None = None
    target_ref: ObjectReference | None = None
    deprecated_topology: Mapping[str, str] = NOTHING
    node_name: str | None = None
    zone: str | None = None
    hints: EndpointHints | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointSlicePort(Struct):
    """One port of an EndpointSlice (in Go: discovery/v1 EndpointPort)."""

    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    app_protocol: str | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EndpointSlice(Struct):
    """A part of the endpoints of a Service."""

    api_version: ClassVar[str] = "discovery.k8s.io/v1"
    kind: ClassVar[str] = "EndpointSlice"

    metadata: ObjectMeta = ObjectMeta()
    address_type: str = written("")
    endpoints: tuple[Endpoint, ...] = written(())
    ports: tuple[EndpointSlicePort, ...] = written(())
