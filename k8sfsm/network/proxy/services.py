"""Services as a proxy sees them: one entry for each port of a Service that has a virtual address."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

from attrs import frozen

from k8sfsm.law import Count
from k8sfsm.lazy import lazy
from k8sfsm.network.proxy.address import Family, family_of, network
from k8sfsm.network.proxy.rules import law
from k8sfsm.objects import LoadBalancerIngress, Service, ServicePort

OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
HEADLESS = "service.kubernetes.io/headless"
PortKey: TypeAlias = tuple[str, str, str, str]
"""(namespace, Service, port name, protocol in lower case)."""


@frozen(kw_only=True, slots=False)
class ServicePortInfo:
    """One port of a Service, for one IP family. `sticky_seconds` 0: no affinity; `protocol` in lower case.

    Source: pkg/proxy/serviceport.go: BaseServicePortInfo
    """

    namespace: str
    service: str
    port_name: str
    protocol: str
    port: int
    cluster_ip: str
    node_port: int = 0
    external_ips: tuple[str, ...] = ()
    balancer_ips: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    sticky_seconds: int = 0
    internal_local: bool = False
    external_local: bool = False
    health_port: int = 0

    @lazy
    def key(self) -> PortKey:
        """What it is known by."""
        return (self.namespace, self.service, self.port_name, self.protocol)

    @lazy
    def name(self) -> str:
        """``namespace/service:port``, or without a colon where the port has no name."""
        tail = f":{self.port_name}" if self.port_name else ""
        return f"{self.namespace}/{self.service}{tail}"

    @lazy
    def reachable_from_outside(self) -> bool:
        """Whether it has a node port, an external IP or a load balancer's IP."""
        return bool(self.node_port or self.balancer_ips or self.external_ips)

    @lazy
    def firewalled(self) -> bool:
        """Whether source ranges guard a load balancer's address."""
        return bool(self.balancer_ips and self.source_ranges)


@frozen(slots=False)
class ServiceCase:
    """A Service, looked at for one family."""

    service: Service
    family: Family

    @lazy
    def ranges(self) -> tuple[str, ...]:
        """LoadBalancerSourceRanges of the family, as networks."""
        nets = [network(text) for text in self.service.spec.load_balancer_source_ranges]
        return tuple(str(net) for net in nets if net is not None and family_of(str(net)) == self.family)

    @lazy
    def externals(self) -> tuple[str, ...]:
        """ExternalIPs of the family."""
        return tuple(ip for ip in self.service.spec.external_ips if family_of(ip) == self.family)


@frozen
class IngressCase:
    """An address of a Service's load balancer, looked at for one family."""

    ingress: LoadBalancerIngress
    family: Family


def _label(case: Any, name: str) -> bool:
    return name in case.metadata.labels


@law.fact
def other_proxy(case: Any) -> bool:
    """Whether a label leaves the object to another proxy."""
    return _label(case, OTHER_PROXY)


@law.fact
def marked_headless(case: Any) -> bool:
    """Whether a label says that it is about a headless Service."""
    return _label(case, HEADLESS)


@law.fact
def external_name(case: Service) -> bool:
    """Whether the Service is an alias for a DNS name."""
    return case.spec.type == "ExternalName"


@law.fact
def cluster_address(case: Service) -> bool:
    """Whether it has a cluster IP."""
    return case.spec.cluster_ip not in ("", "None")


@law.fact
def address_given(case: IngressCase) -> bool:
    """Whether the load balancer tells an IP, not a host name alone."""
    return bool(case.ingress.ip)


@law.fact
def ip_mode(case: IngressCase) -> Literal["VIP", "Proxy"]:
    """How the load balancer sends; nothing said is VIP."""
    return "VIP" if case.ingress.ip_mode in (None, "VIP") else "Proxy"


@law.fact
def address_family(case: IngressCase) -> bool:
    """Whether the address is of the proxy's family."""
    return family_of(case.ingress.ip) == case.family


@law.fact
def ranges_given(case: ServiceCase) -> Count:
    """How many source ranges of the family the Service names."""
    return len(case.ranges)


@law.fact
def open_to_all(case: ServiceCase) -> bool:
    """Whether one of the ranges is the whole family (/0)."""
    return any(text.endswith("/0") for text in case.ranges)


@law.fact
def local_asked(case: ServiceCase) -> bool:
    """Whether externalTrafficPolicy is Local."""
    return case.service.spec.external_traffic_policy == "Local"


@law.fact
def service_type(case: ServiceCase) -> str:
    """The Service's type."""
    return case.service.spec.type


@law.fact
def external_addresses(case: ServiceCase) -> Count:
    """How many externalIPs the Service names, of any family."""
    return len(case.service.spec.external_ips)


@law.fact
def affinity_type(case: ServiceCase) -> str:
    """The Service's sessionAffinity."""
    return case.service.spec.session_affinity


@law.fact
def timeout_given(case: ServiceCase) -> bool:
    """Whether the Service says how long affinity lasts."""
    return _timeout(case) is not None


def _timeout(case: ServiceCase) -> int | None:
    config = case.service.spec.session_affinity_config
    return None if config is None or config.client_ip is None else config.client_ip.timeout_seconds


def is_watched(obj: Any) -> bool:
    """Whether the proxy's informers show it an object (Service or EndpointSlice): labels may say otherwise."""
    return bool(law.decide("watched", obj).outputs["watched"])


def ports_of(service: Service, family: Family = "IPv4") -> tuple[ServicePortInfo, ...]:
    """The entries of a Service, in the order of its ports; none where it needs no proxy, or not for this family.

    Source: pkg/proxy/servicechangetracker.go: serviceToServiceMap
    """
    if not law.decide("service", service).outputs["proxied"]:
        return ()
    ips = service.spec.cluster_ips or (service.spec.cluster_ip,)
    own = next((ip for ip in ips if family_of(ip) == family), None)
    if own is None:
        return ()
    case = ServiceCase(service, family)
    return tuple(_info(case, own, port) for port in service.spec.ports)


def _info(case: ServiceCase, cluster_ip: str, port: ServicePort) -> ServicePortInfo:
    spec = case.service.spec
    checked = law.decide("health-check", case).outputs["checked"]
    return ServicePortInfo(
        namespace=case.service.metadata.namespace,
        service=case.service.metadata.name,
        port_name=port.name,
        protocol=(port.protocol or "TCP").lower(),
        port=port.port,
        cluster_ip=cluster_ip,
        node_port=port.node_port,
        external_ips=case.externals,
        balancer_ips=tuple(_balancer_ips(case)),
        source_ranges=case.ranges if law.decide("source-ranges", case).outputs["enforced"] else (),
        sticky_seconds=_sticky(case),
        internal_local=spec.internal_traffic_policy == "Local",
        external_local=bool(law.decide("external-policy", case).outputs["local"]),
        health_port=spec.health_check_node_port if checked else 0,
    )


def _sticky(case: ServiceCase) -> int:
    seconds = law.decide("affinity", case).outputs["seconds"]
    return _timeout(case) or 0 if seconds == "given" else int(seconds)


def _balancer_ips(case: ServiceCase) -> Iterator[str]:
    for ingress in case.service.status.load_balancer.ingress:
        if law.decide("balancer-address", IngressCase(ingress, case.family)).outputs["taken"]:
            yield ingress.ip
