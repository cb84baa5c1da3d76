"""Facts and guards of the Service machine, and its invariants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from k8sfsm.law import Law, Transition
from k8sfsm.objects import Service, ServiceSpec
from k8sfsm.view import View

law = Law("service")

HEADLESS: Final = "None"
"""The cluster IP of a Service without one, whose clients find its pods themselves."""
PORT_TYPES: Final = ("NodePort", "LoadBalancer")
"""Types whose ports are open on every node."""


def needs_health_checks(spec: ServiceSpec) -> bool:
    """Does a load balancer ask nodes for their health? Source: pkg/api/v1/service/util.go: NeedsHealthCheck."""
    return spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"


def is_accessible(spec: ServiceSpec) -> bool:
    """Can the Service be reached from outside? Source: pkg/api/service/util.go: ExternallyAccessible."""
    return spec.type in PORT_TYPES or (spec.type in ("", "ClusterIP") and bool(spec.external_ips))


@law.fact
def type_given(obj: Service) -> str:
    """The type ("" before defaulting: the same as ClusterIP)."""
    return obj.spec.type


@law.fact
def address_given(obj: Service) -> str:
    """The cluster IP: "" (none), "None" (headless) or an address."""
    return obj.spec.cluster_ip


@law.guard
def alias_given(write: Transition) -> bool:
    """The Service is an ExternalName, and names something."""
    spec = write.new.spec
    return spec.type == "ExternalName" and bool(spec.external_name)


@law.guard
def own_pods(write: Transition) -> bool:
    """The Service is no ExternalName."""
    return bool(write.new.spec.type != "ExternalName")


@law.invariant
def addresses_unique(view: View) -> Iterator[str]:
    """No two Services have the same cluster IP."""
    owners: dict[str, str] = {}
    for service in view.list("Service"):
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        for address in service.spec.cluster_ips or (service.spec.cluster_ip,):
            if address in ("", HEADLESS):
                continue
            if address in owners:
                yield f"Services {owners[address]} and {name} have the address {address}"
            owners.setdefault(address, name)


def _ports_of_nodes(spec: ServiceSpec) -> frozenset[int]:
    """The node ports of a Service, that of its health checks included."""
    health = (spec.health_check_node_port,) if needs_health_checks(spec) else ()
    return frozenset(filter(None, (*(port.node_port for port in spec.ports), *health)))


@law.invariant
def node_ports_unique(view: View) -> Iterator[str]:
    """No two Services have the same node port, whatever the protocols; nor have ports and health checks of one."""
    owners: dict[int, str] = {}
    for service in view.list("Service"):
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        health = service.spec.health_check_node_port
        if health and any(port.node_port == health for port in service.spec.ports):
            yield f"Service {name} has the node port {health} for traffic and for health checks"
        for number in sorted(_ports_of_nodes(service.spec)):
            if number in owners:
                yield f"Services {owners[number]} and {name} have the node port {number}"
            owners.setdefault(number, name)


@law.invariant
def allocated(view: View) -> Iterator[str]:
    """A Service has the addresses and ports that its type needs, and no others."""
    for service in view.list("Service"):
        spec, name = service.spec, f"{service.metadata.namespace}/{service.metadata.name}"
        first = spec.cluster_ips[0] if spec.cluster_ips else spec.cluster_ip
        if (spec.type == "ExternalName") == bool(spec.cluster_ip) or spec.cluster_ip != first:
            yield f"Service {name} of type {spec.type} has the cluster IPs {', '.join(spec.cluster_ips) or 'none'}"
        spared = spec.allocate_load_balancer_node_ports is False
        for port in spec.ports:
            if not spared and bool(port.node_port) != (spec.type in PORT_TYPES):
                has = port.node_port or "none"
                yield f"Service {name} of type {spec.type}: port {port.port} has the node port {has}"
        if bool(spec.health_check_node_port) != needs_health_checks(spec):
            yield f"Service {name} has the port {spec.health_check_node_port or 'none'} for health checks"
