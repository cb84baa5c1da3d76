"""What a write makes of a Service before anything is allocated: what it keeps, infers and drops.

Source: pkg/registry/core/service/storage/storage.go: patchAllocatedValues, normalizeClusterIPs;
pkg/registry/core/service/strategy.go: dropTypeDependentFields.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sfsm.kinds.service import law
from k8sfsm.objects import LoadBalancerStatus, Service, ServicePort, ServiceSpec, evolve
from k8sfsm.value import value

PORT_TYPES: Final = ("NodePort", "LoadBalancer")


@value
class Revision:
    """A write of a Service: what is stored (None: it is created), and what is to be.

    `families`: the IP families that the cluster has cluster IPs of, the default one first.
    """

    old: Service | None
    new: Service
    families: tuple[str, ...] = ("IPv4",)

    @property
    def before(self) -> ServiceSpec:
        """The stored spec; an empty one where there is none."""
        return ServiceSpec() if self.old is None else self.old.spec

    @property
    def now(self) -> ServiceSpec:
        """The spec that is to be."""
        return self.new.spec

    def with_spec(self, **changes: Any) -> Revision:
        """The same write with another spec."""
        return evolve(self, new=evolve(self.new, spec=evolve(self.now, **changes)))


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def type_before(case: Revision) -> str:
    """The stored Service's type; "" where the Service is created."""
    return "" if case.old is None else case.before.type or "ClusterIP"


@law.fact
def type_now(case: Revision) -> str:
    """The Service's type."""
    return case.now.type or "ClusterIP"


@law.fact
def cluster_ip_given(case: Revision) -> bool:
    """The write names a cluster IP, or "None"."""
    return bool(case.now.cluster_ip)


@law.fact
def cluster_ips_given(case: Revision) -> bool:
    """The write names cluster IPs."""
    return bool(case.now.cluster_ips)


@law.fact
def same_cluster_ip(case: Revision) -> bool:
    """The write names the stored cluster IP."""
    return case.now.cluster_ip == case.before.cluster_ip


@law.fact
def same_cluster_ips(case: Revision) -> bool:
    """The write names the stored cluster IPs."""
    return case.now.cluster_ips == case.before.cluster_ips


@law.fact
def same_families(case: Revision) -> bool:
    """The write names the stored IP families."""
    return case.now.ip_families == case.before.ip_families


@law.fact
def same_policy(case: Revision) -> bool:
    """The write names the stored policy of IP families."""
    return (case.now.ip_family_policy or "") == (case.before.ip_family_policy or "")


@law.fact
def new_node_ports(case: Revision) -> bool:
    """The write names a node port that the stored Service has not."""
    return not _node_ports(case.now) <= _node_ports(case.before)


def _node_ports(spec: ServiceSpec) -> frozenset[int]:
    return frozenset(port.node_port for port in spec.ports if port.node_port)


def needs_health_checks(spec: ServiceSpec) -> bool:
    """Is there a load balancer that asks nodes for their health?"""
    return spec.type == "LoadBalancer" and spec.external_traffic_policy == "Local"


@law.fact
def health_checked_before(case: Revision) -> bool:
    """The stored Service has a load balancer that asks nodes for their health."""
    return needs_health_checks(case.before)


@law.fact
def health_checked(case: Revision) -> bool:
    """The Service has a load balancer that asks nodes for their health."""
    return needs_health_checks(case.now)


@law.fact
def health_port_given(case: Revision) -> bool:
    """The write names a port for health checks."""
    return bool(case.now.health_check_node_port)


@law.fact
def same_health_port(case: Revision) -> bool:
    """The write names the stored port for health checks."""
    return case.now.health_check_node_port == case.before.health_check_node_port


@law.fact
def same_port_allocation(case: Revision) -> bool:
    """The write says as the stored Service does whether its load balancer needs node ports."""
    return case.now.allocate_load_balancer_node_ports == case.before.allocate_load_balancer_node_ports


@law.fact
def same_class(case: Revision) -> bool:
    """The write names the stored class of load balancers."""
    return case.now.load_balancer_class == case.before.load_balancer_class


def is_accessible(spec: ServiceSpec) -> bool:
    """Can the Service be reached from outside? Source: pkg/api/service/util.go: ExternallyAccessible."""
    return spec.type in PORT_TYPES or (spec.type in ("", "ClusterIP") and bool(spec.external_ips))


@law.fact
def accessible_before(case: Revision) -> bool:
    """The stored Service can be reached from outside."""
    return case.old is not None and is_accessible(case.before)


@law.fact
def accessible(case: Revision) -> bool:
    """The Service can be reached from outside."""
    return is_accessible(case.now)


@law.fact
def same_external_policy(case: Revision) -> bool:
    """The write names the stored policy for traffic from outside."""
    return case.now.external_traffic_policy == case.before.external_traffic_policy


# -- what is kept ----------------------------------------------------------------------------------------------------


def _with_old_ports(case: Revision) -> tuple[ServicePort, ...]:
    """The ports, with the node ports that ports of the same names had and that no other port asks for now."""
    known = {port.name: port.node_port for port in case.before.ports}
    used = _node_ports(case.before) & _node_ports(case.now)

    def kept(port: ServicePort) -> int:
        found = known.get(port.name, 0)
        return 0 if found in used else found

    return tuple(port if port.node_port else evolve(port, node_port=kept(port)) for port in case.now.ports)


_KEPT: Final[dict[str, Callable[[Revision], dict[str, Any]]]] = {
    "cluster-ip": lambda case: {"cluster_ip": case.before.cluster_ip},
    "cluster-ips": lambda case: {"cluster_ips": case.before.cluster_ips},
    "node-ports": lambda case: {"ports": _with_old_ports(case)},
    "health-port": lambda case: {"health_check_node_port": case.before.health_check_node_port},
}
_LINKED: Final[dict[str, Callable[[Revision], tuple[str, ...]]]] = {
    "given": lambda case: case.now.cluster_ips,
    "single": lambda case: (case.now.cluster_ip,),
    "old": lambda case: case.before.cluster_ips,
    "none": lambda case: (),
}


def completed(case: Revision) -> Revision:
    """The write with what was allocated and is not mentioned, and with cluster IPs that follow the cluster IP."""
    kept: dict[str, Any] = {}
    for row in law.collect("patched", case):
        kept |= _KEPT[row.outputs["keep"]](case)
    case = case.with_spec(**kept) if kept else case
    linked = _LINKED[law.decide("linked", case).outputs["cluster_ips"]](case)
    return case if linked == case.now.cluster_ips else case.with_spec(cluster_ips=linked)


# -- what is dropped -------------------------------------------------------------------------------------------------

_DROPPED: Final[dict[str, Callable[[ServiceSpec], dict[str, Any]]]] = {
    "cluster-ips": lambda spec: {"cluster_ip": "", "cluster_ips": ()},
    "families": lambda spec: {"ip_families": ()},
    "family-policy": lambda spec: {"ip_family_policy": None},
    "node-ports": lambda spec: {"ports": tuple(evolve(port, node_port=0) for port in spec.ports)},
    "health-port": lambda spec: {"health_check_node_port": 0},
    "port-allocation": lambda spec: {"allocate_load_balancer_node_ports": None},
    "class": lambda spec: {"load_balancer_class": None},
    "external-policy": lambda spec: {"external_traffic_policy": ""},
}


def without_needless(old: Service, new: Service) -> Service:
    """The Service that replaces `old`, without what its type has no use for."""
    drops = [row.outputs["drop"] for row in law.collect("dropped", Revision(old, new))]
    changes: dict[str, Any] = {}
    for drop in drops:
        if drop in _DROPPED:
            changes |= _DROPPED[drop](new.spec)
    if "balancer" in drops and new.status.load_balancer.ingress:
        new = evolve(new, status=evolve(new.status, load_balancer=LoadBalancerStatus()))
    same = all(getattr(new.spec, name) == changed for name, changed in changes.items())
    return new if same else evolve(new, spec=evolve(new.spec, **changes))
