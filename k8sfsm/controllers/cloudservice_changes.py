"""Which changes of a Service matter to its load balancer.

Source: staging/src/k8s.io/cloud-provider/controllers/service/controller.go: needsUpdate, needsCleanup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.objects import Service

law = Law("cloudservice")

FINALIZER: Final = "service.kubernetes.io/load-balancer-cleanup"


@frozen
class Changed:
    """A Service, and what it was when it was last looked at; None: never."""

    old: Service | None
    new: Service

    @property
    def before(self) -> Service:
        """What it was."""
        return self.old or self.new


def wants(service: Service) -> bool:
    """It wants a load balancer of the cloud. Source: wantsLoadBalancer."""
    return service.spec.type == "LoadBalancer" and service.spec.load_balancer_class is None


@law.fact
def seen_before(case: Changed) -> bool:
    """It was looked at before."""
    return case.old is not None


@law.fact
def balanced_before(case: Changed) -> bool:
    """It wanted a load balancer of the cloud."""
    return wants(case.before)


@law.fact
def ranges_changed(case: Changed) -> bool:
    """Who may reach the load balancer."""
    return case.before.spec.load_balancer_source_ranges != case.new.spec.load_balancer_source_ranges


@law.fact
def ports_changed(case: Changed) -> bool:
    """A port's name, protocol, number, node port or target; the application protocol does not count."""
    return [_port(each) for each in case.before.spec.ports] != [_port(each) for each in case.new.spec.ports]


def _port(port: Any) -> tuple[Any, ...]:
    return (port.name, port.protocol, port.port, port.node_port, port.target_port)


@law.fact
def affinity_changed(case: Changed) -> bool:
    """The session affinity or its settings."""
    old, new = case.before.spec, case.new.spec
    return (old.session_affinity, old.session_affinity_config) != (new.session_affinity, new.session_affinity_config)


@law.fact
def balancer_ip_changed(case: Changed) -> bool:
    """The address that is asked for."""
    return case.before.spec.load_balancer_ip != case.new.spec.load_balancer_ip


@law.fact
def external_ips_changed(case: Changed) -> bool:
    """ExternalIPs."""
    return case.before.spec.external_ips != case.new.spec.external_ips


@law.fact
def annotations_changed(case: Changed) -> bool:
    """Annotations, in which clouds find their own settings."""
    return case.before.metadata.annotations != case.new.metadata.annotations


@law.fact
def uid_changed(case: Changed) -> bool:
    """It is another object of the same name."""
    return case.before.metadata.uid != case.new.metadata.uid


@law.fact
def traffic_policy_changed(case: Changed) -> bool:
    """The externalTrafficPolicy."""
    return case.before.spec.external_traffic_policy != case.new.spec.external_traffic_policy


@law.fact
def health_port_changed(case: Changed) -> bool:
    """The healthCheckNodePort."""
    return case.before.spec.health_check_node_port != case.new.spec.health_check_node_port


def _listed(texts: tuple[str, ...]) -> str:
    return f"[{' '.join(texts)}]"


def _external(case: Changed) -> str:
    old, new = case.before.spec.external_ips, case.new.spec.external_ips
    if len(old) != len(new):
        return f"Count: {len(old)} -> {len(new)}"
    return "Added: " + next(ip for was, ip in zip(old, new, strict=True) if was != ip)


_FIELDS: Final[Mapping[str, Callable[[Service], Any]]] = {
    "Type": lambda each: each.spec.type,
    "LoadBalancerSourceRanges": lambda each: _listed(each.spec.load_balancer_source_ranges),
    "LoadbalancerIP": lambda each: each.spec.load_balancer_ip,
    "UID": lambda each: each.metadata.uid,
    "ExternalTrafficPolicy": lambda each: each.spec.external_traffic_policy,
    "HealthCheckNodePort": lambda each: each.spec.health_check_node_port,
}


def change_message(case: Changed, event: str) -> str:
    """What an Event of that reason says: the field before and after."""
    if event == "ExternalIP":
        return _external(case)
    shown = _FIELDS[event]
    return f"{shown(case.before)} -> {shown(case.new)}"
