"""The DNS of a cluster: the records of its Services and pods, and the answers to questions about names.

Source: Kubernetes DNS-Based Service Discovery (github.com/kubernetes/dns, docs/specification.md).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Final, Literal

from attrs import field, frozen

from k8sfsm.apiserver.service_families import family_of
from k8sfsm.kinds.endpointslice import SERVICE_NAME
from k8sfsm.kinds.service import HEADLESS
from k8sfsm.law import Law, constant
from k8sfsm.objects import Endpoint, EndpointSlice, EndpointSlicePort, Service
from k8sfsm.value import value
from k8sfsm.view import View

law = Law("dns")

Status = Literal["NOERROR", "NODATA", "NXDOMAIN", "FORWARDED"]
_REVERSE: Final = (".in-addr.arpa", ".ip6.arpa")
_PREFERENCE: Final = 100


@value
class Record:
    """One resource record. `name` ends with a dot; `ttl`: seconds; `data`: as zone files have it; `rule`: why it is."""

    name: str
    type: str
    data: str
    rule: str
    ttl: int = field(factory=lambda: int(constant("dns_ttl")))


@value
class Answer:
    """What is answered to a question. FORWARDED: the name is none of the cluster's. `rule`: why."""

    name: str
    status: Status
    records: tuple[Record, ...]
    rule: str


# -- cases -----------------------------------------------------------------------------------------------------------


@value
class Published:
    """An endpoint of a headless Service: the case of `endpoint` and `endpoint-name`."""

    endpoint: Endpoint
    service: Service


@value
class PodName:
    """A name below pod.ZONE: the case of `pod`."""

    address: IPv4Address | IPv6Address | None
    namespace_known: bool


@value
class Question:
    """What there is of a name: the case of `answer`."""

    records: tuple[Record, ...]
    aliases: tuple[Record, ...]
    known: bool


@value
class Name:
    """A name and the zone of the cluster, both without the dot at the end: the case of `zone`."""

    text: str
    zone: str


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def external(service: Service) -> bool:
    """The Service is of type ExternalName."""
    return service.spec.type == "ExternalName"


@law.fact
def headless(service: Service) -> bool:
    """The Service's cluster IP is "None"."""
    return service.spec.cluster_ip == HEADLESS


@law.fact
def addressed(service: Service) -> bool:
    """The Service has a cluster IP."""
    return bool(service.spec.cluster_ip)


@law.fact
def family(address_type: str) -> Literal["IPv4", "IPv6", "FQDN"]:
    """The family of an address, or of the addresses of a slice."""
    return address_type  # type: ignore[return-value]


@law.fact
def ready(case: Published) -> bool:
    """The endpoint is ready, or does not say."""
    return case.endpoint.conditions.ready is not False


@law.fact
def publishes_unready(case: Published) -> bool:
    """The Service publishes addresses of pods that are not ready."""
    return case.service.spec.publish_not_ready_addresses


@law.fact
def named(case: Published) -> bool:
    """The endpoint has a host name."""
    return bool(case.endpoint.hostname)


@law.fact
def port_named(port: EndpointSlicePort) -> bool:
    """The port has a name."""
    return bool(port.name)


@law.fact
def spells_address(case: PodName) -> bool:
    """The first label spells an IP address, with dashes for dots or colons."""
    return case.address is not None


@law.fact
def namespace_exists(case: PodName) -> bool:
    """The namespace exists."""
    return case.namespace_known


@law.fact
def records_found(case: Question) -> bool:
    """The name has records of the type that is asked for."""
    return bool(case.records)


@law.fact
def alias_found(case: Question) -> bool:
    """The name stands for another one."""
    return bool(case.aliases)


@law.fact
def name_exists(case: Question) -> bool:
    """The name has records of any type, or is part of a name that has."""
    return case.known


@law.fact
def in_zone(name: Name) -> bool:
    """The name is in the cluster's zone."""
    return name.text == name.zone or name.text.endswith(f".{name.zone}")


@law.fact
def reverse(name: Name) -> bool:
    """The name stands for an address."""
    return name.text.endswith(_REVERSE)


# -- records ---------------------------------------------------------------------------------------------------------


def reverse_name(address: str) -> str:
    """The name under which an IP address is looked up. Raises ValueError where the text is no address."""
    return f"{ip_address(address).reverse_pointer}."


def _addresses(name: str, addresses: Iterable[str], address_type: str, rule: str) -> Iterator[Record]:
    """The records of a name with addresses of one family."""
    kind = law.decide("address", address_type).outputs["type"]
    if kind is not None:
        yield from (Record(name, kind, address, rule) for address in addresses)


def _pointers(addresses: Iterable[str], address_type: str, name: str, rule: str) -> Iterator[Record]:
    """The records that lead from addresses to a name."""
    if law.decide("address", address_type).outputs["type"] is not None:
        yield from (Record(reverse_name(address), "PTR", name, rule) for address in addresses)


def _port_name(port: EndpointSlicePort, name: str) -> str:
    return f"_{port.name}._{(port.protocol or 'TCP').lower()}.{name}"


def _with_address(service: Service, name: str, rule: str) -> Iterator[Record]:
    """The records of a Service with cluster IPs."""
    for address in service.spec.cluster_ips or (service.spec.cluster_ip,):
        yield from _addresses(name, (address,), family_of(address), rule)
        yield from _pointers((address,), family_of(address), name, rule)
    for given in service.spec.ports:
        port = EndpointSlicePort(name=given.name, protocol=given.protocol, port=given.port)
        decision = law.decide("port", port)
        if decision.outputs["published"]:
            yield Record(_port_name(port, name), "SRV", f"0 {_PREFERENCE} {port.port} {name}", decision.rule)


_LABELS: Final[dict[str, Callable[[Endpoint], str]]] = {
    "hostname": lambda endpoint: str(endpoint.hostname),
    "address": lambda endpoint: endpoint.addresses[0].replace(".", "-").replace(":", "-"),
}
"""The first label of an endpoint's name, by what the table `endpoint-name` says."""


def _of_endpoints(service: Service, slices: Iterable[EndpointSlice], name: str) -> Iterator[Record]:
    """The records of a headless Service."""
    ports: dict[str, dict[str, str]] = {}
    for found in slices:
        for endpoint in found.endpoints:
            case = Published(endpoint, service)
            decision = law.decide("endpoint", case)
            if not decision.outputs["published"] or not endpoint.addresses:
                continue
            own = f"{_LABELS[law.decide('endpoint-name', case).outputs['name']](endpoint)}.{name}"
            for owner in (name, own):
                yield from _addresses(owner, endpoint.addresses, found.address_type, decision.rule)
            yield from _pointers(endpoint.addresses, found.address_type, own, decision.rule)
            for port in found.ports:
                served = law.decide("port", port)
                if served.outputs["published"]:
                    ports.setdefault(_port_name(port, name), {})[f"{port.port} {own}"] = served.rule
    for port_name, targets in ports.items():
        weight = _PREFERENCE // len(targets)
        yield from (Record(port_name, "SRV", f"0 {weight} {target}", rule) for target, rule in targets.items())


def _of_service(service: Service, slices: Iterable[EndpointSlice], zone: str) -> Iterable[Record]:
    """All records of one Service."""
    name = f"{service.metadata.name}.{service.metadata.namespace}.svc.{zone}."
    decision = law.decide("service", service)
    stands_for: dict[str, Callable[[], Iterable[Record]]] = {
        "alias": lambda: (Record(name, "CNAME", f"{service.spec.external_name.rstrip('.')}.", decision.rule),),
        "address": lambda: _with_address(service, name, decision.rule),
        "endpoints": lambda: _of_endpoints(service, slices, name),
        "nothing": lambda: (),
    }
    return stands_for[decision.outputs["stands_for"]]()


# -- the zone --------------------------------------------------------------------------------------------------------


@frozen
class Zone:
    """The names of a cluster. `records`: by name, in lower case and with a dot at the end."""

    view: View
    domain: str
    records: dict[str, tuple[Record, ...]]
    names: frozenset[str]
    """Names that have records, and the names that these are below of."""

    @classmethod
    def of(cls, view: View, domain: str = "") -> Zone:
        """The names of the cluster in a view. `domain`: that of the cluster; the usual one where it is empty."""
        domain = (domain or str(constant("dns_zone"))).strip(".").lower()
        records: dict[str, dict[tuple[str, str], Record]] = {}
        for record in _all_records(view, domain):
            records.setdefault(record.name.lower(), {}).setdefault((record.type, record.data), record)
        names = {name.split(".", count)[-1] for name in records for count in range(name.count("."))}
        return cls(view, domain, {name: tuple(found.values()) for name, found in records.items()}, frozenset(names))

    def ask(self, name: str, kind: str = "") -> Answer:
        """The answer to a question about a name. `kind`: the type of records; "": any."""
        return self._ask(name, kind, int(constant("dns_alias_limit")))

    def _ask(self, name: str, kind: str, aliases: int) -> Answer:
        text = f"{name.rstrip('.')}."
        decision = law.decide("zone", Name(text.rstrip(".").lower(), self.domain))
        if not decision.outputs["answers"]:
            return Answer(text, "FORWARDED", (), decision.rule)
        found = self._found(text.lower())
        case = Question(
            records=tuple(record for record in found if record.type == kind or (not kind and record.type != "CNAME")),
            aliases=tuple(record for record in found if record.type == "CNAME"),
            known=bool(found) or text.lower() in self.names,
        )
        decision = law.decide("answer", case)
        answer = decision.outputs["answer"]
        records = {"records": case.records, "alias": case.aliases, "nothing": ()}[answer]
        if answer == "alias" and aliases:
            records = (*records, *self._ask(case.aliases[0].data, kind, aliases - 1).records)
        return Answer(text, decision.outputs["status"], records, decision.rule)

    def _found(self, name: str) -> tuple[Record, ...]:
        """The records of a name, those that are made up when they are asked for included."""
        return self.records.get(name, ()) or tuple(self._of_pod_name(name))

    def _of_pod_name(self, name: str) -> Iterator[Record]:
        head, found, _ = name.partition(f".pod.{self.domain}.")
        labels = head.split(".")
        if not found or len(labels) != 2:
            return
        case = PodName(_spelled(labels[0]), self._has_namespace(labels[1]))
        decision = law.decide("pod", case)
        if decision.outputs["answered"]:
            address = str(case.address)
            yield from _addresses(name, (address,), family_of(address), decision.rule)

    def _has_namespace(self, namespace: str) -> bool:
        """Is there such a namespace? A dump need not show it: what is in it tells."""
        kinds = ("Pod", "Service")
        return self.view.get("Namespace", "", namespace) is not None or any(self.view.list(k, namespace) for k in kinds)


def _all_records(view: View, domain: str) -> Iterator[Record]:
    version: Any = constant("dns_schema_version")
    yield Record(f"dns-version.{domain}.", "TXT", f'"{version}"', "")
    slices: dict[tuple[str, str], list[EndpointSlice]] = {}
    for found in view.list("EndpointSlice"):
        owner = found.metadata.labels.get(SERVICE_NAME, "")
        slices.setdefault((found.metadata.namespace, owner), []).append(found)
    for service in view.list("Service"):
        meta = service.metadata
        yield from _of_service(service, slices.get((meta.namespace, meta.name), ()), domain)


def _spelled(label: str) -> IPv4Address | IPv6Address | None:
    """The address that a label spells with dashes; None where it spells none."""
    for separator in (".", ":"):
        try:
            return ip_address(label.replace("-", separator))
        except ValueError:
            continue
    return None
