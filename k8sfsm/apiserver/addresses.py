"""Cluster IPs and node ports of Services: given on create, kept while the Service needs them.

Source: pkg/registry/core/service/storage/alloc.go; pkg/registry/core/service/ipallocator/bitmap.go,
portallocator/allocator.go: calculateRangeOffset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Final

from attrs import frozen

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.options import Options
from k8sfsm.law import constant
from k8sfsm.objects import Service, ServicePort, evolve, key_of
from k8sfsm.store import Store

HEADLESS: Final = "None"
_PORT_TYPES: Final = ("NodePort", "LoadBalancer")


def with_addresses(service: Service, store: Store, options: Options, chance: Chance) -> Service:
    """The Service with the addresses that its type needs and that it has not. Raises Refusal (422, 500)."""
    if service.spec.type == "ExternalName":
        return service
    others = [other for other in _services(store) if key_of(other) != key_of(service)]
    spec = service.spec
    if not spec.cluster_ip:
        address = _free_address(service, others, options, chance)
        spec = evolve(spec, cluster_ip=address, cluster_ips=(address,))
    elif spec.cluster_ip != HEADLESS:
        _refuse_taken(service, others, options)
        spec = evolve(spec, cluster_ips=spec.cluster_ips or (spec.cluster_ip,))
    else:
        spec = evolve(spec, cluster_ips=spec.cluster_ips or (HEADLESS,))
    if spec.type in _PORT_TYPES and spec.allocate_load_balancer_node_ports is not False:
        spec = evolve(spec, ports=_with_node_ports(service, spec.ports, others, options, chance))
    return evolve(service, spec=spec)


@frozen
class Replacement:
    """A Service that is to replace the stored one."""

    old: Service
    new: Service


@law.fact
def type_before(case: Replacement) -> str:
    """The stored Service's type."""
    return case.old.spec.type


@law.fact
def type_now(case: Replacement) -> str:
    """The new Service's type."""
    return case.new.spec.type or "ClusterIP"


@law.fact
def same_cluster_ip(case: Replacement) -> bool:
    """Whether the new Service has the stored one's address."""
    return case.new.spec.cluster_ip == case.old.spec.cluster_ip


@law.fact
def cluster_ip_given(case: Replacement) -> bool:
    """Whether the new Service has an address."""
    return bool(case.new.spec.cluster_ip)


def _with_old_ports(case: Replacement) -> tuple[ServicePort, ...]:
    """The ports, with the node ports that ports of the same number and protocol had."""
    known = {(port.port, port.protocol): port.node_port for port in case.old.spec.ports}
    return tuple(
        port if port.node_port else evolve(port, node_port=known.get((port.port, port.protocol or "TCP"), 0))
        for port in case.new.spec.ports
    )


def _without_old_ports(case: Replacement) -> tuple[ServicePort, ...]:
    """The ports without node ports, unless the update asks for others than there were."""
    known = {port.node_port for port in case.old.spec.ports}
    return tuple(evolve(port, node_port=0) if port.node_port in known else port for port in case.new.spec.ports)


_KEPT: Final[dict[str, Callable[[Replacement], dict[str, Any]]]] = {
    "keep-cluster-ip": lambda case: {
        "cluster_ip": case.old.spec.cluster_ip,
        "cluster_ips": case.old.spec.cluster_ips,
    },
    "release-cluster-ip": lambda case: {"cluster_ip": "", "cluster_ips": ()},
    "keep-node-ports": lambda case: {"ports": _with_old_ports(case)},
    "release-node-ports": lambda case: {"ports": _without_old_ports(case)},
}


def with_kept_addresses(old: Service, new: Service) -> Service:
    """The new Service with the addresses of the stored one that it still needs, and without those that it does not."""
    case = Replacement(old, new)
    changes: dict[str, Any] = {}
    for row in law.collect("kept-addresses", case):
        changes |= _KEPT[row.outputs["change"]](case)
    return evolve(new, spec=evolve(new.spec, **changes)) if changes else new


def _services(store: Store) -> Iterable[Service]:
    for namespace in store.snapshot.namespaces.get("Service", ()):
        yield from store.snapshot.series("in", "Service", namespace)


def band(size: int, share: int, most: int) -> int:
    """How many of the first addresses of a range are left to those who ask for one."""
    least: int = constant("static_band_least")
    return 0 if size <= least else min(max(least, size // share), most)


def _free_address(service: Service, others: list[Service], options: Options, chance: Chance) -> str:
    network = IPv4Network(options.service_cidr)
    taken = {address for other in others for address in (other.spec.cluster_ips or (other.spec.cluster_ip,))}
    wanted = chance.recorded("clusterIP", key_of(service))
    if wanted and wanted not in taken:
        return wanted
    first, size = int(network.network_address) + 1, network.num_addresses - 2
    static = band(network.num_addresses, constant("cluster_ip_band_share"), constant("cluster_ip_band_most"))
    for number in _dynamic_first(size, static, chance):
        address = str(IPv4Address(first + number))
        if address not in taken:
            return address
    raise Refusal(500, "InternalError", "failed to allocate a serviceIP: range is full")


def _dynamic_first(size: int, static: int, chance: Chance) -> Iterable[int]:
    """The numbers of a range in the order in which they are tried: the upper band from anywhere, then the lower one."""
    upper = size - static
    start = chance.index(upper)
    yield from (static + (start + step) % upper for step in range(upper))
    yield from range(static)


def _refuse_taken(service: Service, others: list[Service], options: Options) -> None:
    address = service.spec.cluster_ip
    if IPv4Address(address) not in IPv4Network(options.service_cidr):
        why = f"failed to allocate IP {address}: the provided IP is not in the valid range"
    elif any(address in (other.spec.cluster_ips or (other.spec.cluster_ip,)) for other in others):
        why = f"failed to allocate IP {address}: provided IP is already allocated"
    else:
        return
    name = service.metadata.name
    raise Refusal(422, "Invalid", f'Service "{name}" is invalid: spec.clusterIPs: Invalid value: ["{address}"]: {why}')


def _with_node_ports(
    service: Service, ports: tuple[ServicePort, ...], others: list[Service], options: Options, chance: Chance
) -> tuple[ServicePort, ...]:
    """Ports with node ports; ports of one number but different protocols share theirs."""
    taken = {port.node_port for other in others for port in other.spec.ports if port.node_port}
    shared: dict[int, int] = {port.port: port.node_port for port in ports if port.node_port}
    given = []
    for number, port in enumerate(ports):
        if not port.node_port and port.port not in shared:
            shared[port.port] = _free_port(service, port, {*taken, *shared.values()}, options, chance)
        elif port.node_port:
            _refuse_port(service, number, port.node_port, taken, options)
        given.append(evolve(port, node_port=port.node_port or shared[port.port]))
    return tuple(given)


def _refuse_port(service: Service, number: int, port: int, taken: set[int], options: Options) -> None:
    """Refuse a node port that is asked for, where it is not to be had."""
    first, size = options.node_ports
    if port not in range(first, first + size):
        why = f"provided port is not in the valid range. The range of valid ports is {first}-{first + size - 1}"
    elif port in taken:
        why = "provided port is already allocated"
    else:
        return
    name, place = service.metadata.name, f"spec.ports[{number}].nodePort"
    raise Refusal(422, "Invalid", f'Service "{name}" is invalid: {place}: Invalid value: {port}: {why}')


def _free_port(service: Service, port: ServicePort, taken: set[int], options: Options, chance: Chance) -> int:
    wanted = chance.recorded(f"nodePort/{port.port}", key_of(service))
    if wanted and int(wanted) not in taken:
        return int(wanted)
    first, size = options.node_ports
    static = band(size, constant("node_port_band_share"), constant("node_port_band_most"))
    for number in _dynamic_first(size, static, chance):
        if first + number not in taken:
            return first + number
    raise Refusal(500, "InternalError", "failed to allocate a nodePort: range is full")
