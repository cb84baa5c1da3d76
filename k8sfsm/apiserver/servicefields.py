"""What a Service that changes its type loses: fields that only its old type needed.

Source: pkg/registry/core/service/strategy.go: PrepareForUpdate, dropTypeDependentFields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects import Service, ServicePort, evolve
from k8sfsm.value import value


@value
class ServiceField:
    """A field of a Service's spec."""

    spec: Any
    field: str


@law.fact
def service_field(case: ServiceField) -> str:
    """The field's name."""
    return case.field


@law.fact
def type_of_service(case: ServiceField) -> str:
    """The Service's type."""
    return str(case.spec.type)


@law.fact
def reachable_from_outside(case: ServiceField) -> bool:
    """Whether clients outside the cluster reach the Service. Source: pkg/api/service/util.go: ExternallyAccessible."""
    kind = case.spec.type
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(case.spec.external_ips))


@law.fact
def checks_health(case: ServiceField) -> bool:
    """Whether a load balancer asks each node for its health. Source: pkg/api/service/util.go: NeedsHealthCheck."""
    return bool(case.spec.type == "LoadBalancer" and case.spec.external_traffic_policy == "Local")


def _same(field: str) -> Callable[[Any, Any], bool]:
    return lambda old, new: bool(getattr(old, field) == getattr(new, field))


def _same_addresses(old: Any, new: Any) -> bool:
    return bool(old.cluster_ip == new.cluster_ip and old.cluster_ips == new.cluster_ips)


def _same_node_ports(old: Any, new: Any) -> bool:
    return {port.node_port for port in old.ports} >= {port.node_port for port in new.ports}


def _without_node_ports(new: Any) -> tuple[ServicePort, ...]:
    return tuple(evolve(port, node_port=0) for port in new.ports)


_DROPPED: Final[dict[str, tuple[Callable[[Any, Any], bool], Callable[[Any], dict[str, Any]]]]] = {
    "cluster_ips": (_same_addresses, lambda new: {"cluster_ip": "", "cluster_ips": ()}),
    "ip_families": (_same("ip_families"), lambda new: {"ip_families": ()}),
    "ip_family_policy": (_same("ip_family_policy"), lambda new: {"ip_family_policy": None}),
    "ports": (_same_node_ports, lambda new: {"ports": _without_node_ports(new)}),
    "health_check_node_port": (_same("health_check_node_port"), lambda new: {"health_check_node_port": 0}),
    "allocate_load_balancer_node_ports": (
        _same("allocate_load_balancer_node_ports"),
        lambda new: {"allocate_load_balancer_node_ports": None},
    ),
    "load_balancer_class": (_same("load_balancer_class"), lambda new: {"load_balancer_class": None}),
    "external_traffic_policy": (_same("external_traffic_policy"), lambda new: {"external_traffic_policy": ""}),
}
"""For each field: whether an update left it alone, and what becomes of it when nobody needs it."""


def without_old_fields(old: Service, new: Service) -> Service:
    """The new Service without what only the stored one needed, as far as the update did not touch it."""
    if old.spec is new.spec:
        return new
    changes: dict[str, Any] = {}
    for field, (same, dropped) in _DROPPED.items():
        if same(old.spec, new.spec) and _needed(old.spec, field) and not _needed(new.spec, field):
            changes |= dropped(new.spec)
    return evolve(new, spec=evolve(new.spec, **changes)) if changes else new


def _needed(spec: Any, field: str) -> bool:
    return bool(law.decide("service-field", ServiceField(spec, field)).outputs["needed"])
