"""The rows of Services, Endpoints and EndpointSlices.

Source: pkg/printers/internalversion/printers.go: printService, printEndpoints, printEndpointSlice.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.objects import Endpoints, EndpointSlice, EndpointSlicePort, Service
from k8sfsm.printer.cells import NONE, age, labels_text, shortened

law = Law("kubectl")

_BALANCER_WIDTH: Final = 16


@frozen
class ServiceCase:
    """A Service; `wide`: no column is cut."""

    service: Service
    wide: bool

    @property
    def balancer(self) -> str:
        """Addresses of the load balancer. Source: printers.go: loadBalancerStatusStringer."""
        ingress = self.service.status.load_balancer.ingress
        text = ",".join(sorted({each.ip or each.hostname for each in ingress} - {""}))
        if self.wide or len(text) <= _BALANCER_WIDTH:
            return text
        return text[: _BALANCER_WIDTH - 3] + "..."


@law.fact
def service_type(case: ServiceCase) -> str:
    """spec.type."""
    return case.service.spec.type


@law.fact
def external_addresses(case: ServiceCase) -> int:
    """How many external IPs the Service lists."""
    return len(case.service.spec.external_ips)


@law.fact
def balanced(case: ServiceCase) -> bool:
    """The load balancer has an address."""
    return case.balancer != ""


@law.fact
def port_number_known(case: EndpointSlicePort) -> bool:
    """The port has a number."""
    return case.port is not None


@law.fact
def port_named(case: EndpointSlicePort) -> bool:
    """The port has a name, be it empty."""
    return case.name is not None


def service_row(service: Service, now: int, *, wide: bool = True) -> list[object]:
    """The cells of a Service, the last one for `-o wide`; `now`: ns."""
    spec, case = service.spec, ServiceCase(service, wide)
    external = law.decide("service-external-ip", case).outputs["text"]
    return [
        service.metadata.name,
        spec.type,
        spec.cluster_ips[0] if spec.cluster_ips else NONE,
        external.format(balancer=case.balancer, external=",".join(spec.external_ips), alias=spec.external_name),
        _ports(service) or NONE,
        age(service, now),
        labels_text(spec.selector),
    ]


def _ports(service: Service) -> str:
    """Source: printers.go: makePortString."""
    return ",".join(
        f"{each.port}:{each.node_port}/{each.protocol}" if each.node_port > 0 else f"{each.port}/{each.protocol}"
        for each in service.spec.ports
    )


def endpointslice_row(part: EndpointSlice, now: int) -> list[object]:
    """The cells of an EndpointSlice; `now`: ns."""
    ports = [
        law.decide("endpoint-port", each).outputs["text"].format(port=each.port, name=each.name) for each in part.ports
    ]
    addresses = [address for each in part.endpoints for address in each.addresses]
    return [
        part.metadata.name,
        part.address_type,
        shortened(ports, "<unset>"),
        shortened(addresses, "<unset>"),
        age(part, now),
    ]


def endpoints_row(endpoints: Endpoints, now: int) -> list[object]:
    """The cells of an Endpoints; `now`: ns. Source: printers.go: formatEndpoints."""
    texts: list[str] = []
    for subset in endpoints.subsets:
        if not subset.ports:
            texts += [address.ip for address in subset.addresses]
        for port in subset.ports:
            texts += [_host_port(address.ip, port.port) for address in subset.addresses]
    return [endpoints.metadata.name, shortened(texts, NONE), age(endpoints, now)]


def _host_port(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
