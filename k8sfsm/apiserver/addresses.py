"""Cluster IPs, node ports and health check ports of Services: who gets which, and what is refused.

Source: pkg/registry/core/service/storage/alloc.go; pkg/registry/core/service/ipallocator/ipallocator.go,
portallocator/allocator.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from attrs import define, field

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.names import Chance
from k8sfsm.apiserver.options import Options
from k8sfsm.apiserver.service_families import invalid, is_sound, listed, with_families
from k8sfsm.apiserver.service_revision import Revision, completed
from k8sfsm.kinds.service import HEADLESS, PORT_TYPES, law, needs_health_checks
from k8sfsm.law import constant
from k8sfsm.objects import Service, ServicePort, evolve, key_of
from k8sfsm.store import Store
from k8sfsm.value import value

_INTERNAL: Final = "Internal error occurred: "


def with_allocations(old: Service | None, new: Service, store: Store, options: Options, chance: Chance) -> Service:
    """The Service that is created, or that replaces `old`, with all that the cluster gives to it.

    What contradicts itself is left as it is: validation refuses it. Raises Refusal: 422 where what is asked for cannot
    be had, 500 where a range is full.
    """
    case = completed(Revision(old, new, tuple(f"IPv{network.version}" for network in networks(options))))
    if not is_sound(case):
        return case.new
    case = with_families(case)
    allocator = Allocator(case, store, options, chance)
    return allocator.with_health_port(allocator.with_node_ports(allocator.with_cluster_ips()))


def networks(options: Options) -> tuple[IPv4Network | IPv6Network, ...]:
    """Where cluster IPs come from: one range, or one of each family."""
    return tuple(ip_network(text.strip()) for text in options.service_cidr.split(","))


@value
class Wish:
    """A cluster IP that is asked for: the case of `address-refusal`."""

    address: str
    network: IPv4Network | IPv6Network
    taken: frozenset[str]


@value
class PortWish:
    """A node port that is asked for: the case of `port-refusal`."""

    number: int
    numbers: range
    taken: frozenset[int]


@value
class NodePort:
    """A port of a Service: the case of `node-port`. `shares`: by port number what earlier ports have got.

    `own`: node ports that are the Service's already.
    """

    revision: Revision
    port: ServicePort
    shares: dict[int, int]
    own: frozenset[int]


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def without_address(case: Revision) -> bool:
    """The Service is headless: clients find its pods themselves."""
    return case.now.cluster_ip == HEADLESS


@law.fact
def in_range(wish: Wish) -> bool:
    """The address is one that the cluster gives out."""
    first, size = _extent(wish.network)
    return int(ip_address(wish.address)) in range(first, first + size)


@law.fact
def address_taken(wish: Wish) -> bool:
    """Another Service has the address."""
    return wish.address in wish.taken


@law.fact
def port_in_range(wish: PortWish) -> bool:
    """The port is one that the cluster gives out."""
    return wish.number in wish.numbers


@law.fact
def port_taken(wish: PortWish) -> bool:
    """Another Service, or another use of this one, has the port."""
    return wish.number in wish.taken


@law.fact
def exposed(case: NodePort) -> bool:
    """The Service's type has node ports."""
    return case.revision.now.type in PORT_TYPES


@law.fact
def created(case: NodePort) -> bool:
    """The Service is created."""
    return case.revision.old is None


@law.fact
def number_given(case: NodePort) -> bool:
    """The port has a node port."""
    return bool(case.port.node_port)


@law.fact
def allocates_ports(case: NodePort) -> bool:
    """The Service's ports get node ports: not, where its load balancer needs none."""
    spec = case.revision.now
    return spec.type == "NodePort" or bool(spec.allocate_load_balancer_node_ports)


@law.fact
def shared(case: NodePort) -> bool:
    """An earlier port of that number has a node port."""
    return case.port.port in case.shares


@law.fact
def held(case: NodePort) -> bool:
    """The port's node port is the Service's already, or on creation that of an earlier port of the same number."""
    if case.revision.old is None:
        return bool(case.port.node_port) and case.shares.get(case.port.port) == case.port.node_port
    return case.port.node_port in case.own


@law.fact
def number_wished(case: NodePort) -> bool:
    """A port of that number asks for a node port."""
    return bool(_wished(case))


def _wished(case: NodePort) -> int:
    same = (port.node_port for port in case.revision.now.ports if port.port == case.port.port)
    return next(filter(None, same), 0)


# -- ranges ----------------------------------------------------------------------------------------------------------


def band(size: int, share: int, most: int) -> int:
    """How many of the first addresses of a range are left to those who ask for one."""
    least: int = constant("static_band_least")
    return 0 if size <= least else min(max(least, size // share), most)


def _extent(network: IPv4Network | IPv6Network) -> tuple[int, int]:
    """The first address that is given out, and how many are: of IPv6 the last one, too.

    Source: pkg/registry/core/service/ipallocator/ipallocator.go: NewIPAllocator.
    """
    reserved = 2 if network.version == 4 else 1
    return int(network.network_address) + 1, network.num_addresses - reserved


def _dynamic_first(size: int, static: int, chance: Chance) -> Iterable[int]:
    """The numbers of a range in the order in which they are tried: the upper band from anywhere, then the lower one."""
    upper = size - static
    start = chance.index(upper)
    yield from (static + (start + step) % upper for step in range(upper))
    yield from range(static)


# -- the allocator ---------------------------------------------------------------------------------------------------


@define
class Allocator:
    """Gives a Service what it needs, and knows what the others have, and what itself has been given already."""

    case: Revision
    store: Store
    options: Options
    chance: Chance
    _given: set[int] = field(factory=set)

    def _others(self) -> list[Service]:
        """The stored Services, with the one that is replaced: what it gives up is free only afterwards."""
        namespaces = self.store.snapshot.namespaces_of("Service")
        return [service for name in namespaces for service in self.store.snapshot.series("in", "Service", name)]

    # -- cluster IPs -------------------------------------------------------------------------------------------------

    def with_cluster_ips(self) -> Revision:
        """The write with its cluster IPs."""
        case = self.case
        which = law.decide("cluster-ips", case).outputs["allocate"]
        if which == "none":
            return case
        addresses = list(case.now.cluster_ips)
        taken = frozenset(
            address
            for service in self._others()
            for address in service.spec.cluster_ips or (service.spec.cluster_ip,)
            if address not in ("", HEADLESS)
        )
        for place, family in enumerate(case.now.ip_families):
            if place >= len(addresses):
                addresses.append("")
            if which == "all" or place == 1:
                addresses[place] = self._address(place, addresses, family, taken)
        return case.with_spec(cluster_ip=addresses[0], cluster_ips=tuple(addresses))

    def _address(self, place: int, addresses: list[str], family: str, taken: frozenset[str]) -> str:
        network = next(network for network in networks(self.options) if f"IPv{network.version}" == family)
        if not addresses[place]:
            return self._free_address(place, network, taken)
        why = law.decide("address-refusal", Wish(addresses[place], network, taken)).outputs["why"]
        if why is not None:
            given = listed(self.case.now.cluster_ips)
            text = f"spec.clusterIPs: Invalid value: {given}: failed to allocate IP {addresses[place]}: {why}"
            raise invalid(self.case.new, [text])
        return addresses[place]

    def _free_address(self, place: int, network: IPv4Network | IPv6Network, taken: frozenset[str]) -> str:
        purpose = "clusterIP" if place == 0 else f"clusterIPs/{place}"
        wanted = self.chance.recorded(purpose, key_of(self.case.new))
        if wanted and wanted not in taken:
            return wanted
        first, size = _extent(network)
        static = band(network.num_addresses, constant("cluster_ip_band_share"), constant("cluster_ip_band_most"))
        for number in _dynamic_first(size, static, self.chance):
            address = str(type(network.network_address)(first + number))
            if address not in taken:
                return address
        raise Refusal(500, "InternalError", f"{_INTERNAL}failed to allocate a serviceIP: range is full")

    # -- ports -------------------------------------------------------------------------------------------------------

    def _taken_ports(self) -> frozenset[int]:
        """Node ports that are not free, whatever their protocol."""
        found = set(self._given)
        for service in self._others():
            found.update(port.node_port for port in service.spec.ports if port.node_port)
            if needs_health_checks(service.spec) and service.spec.health_check_node_port:
                found.add(service.spec.health_check_node_port)
        return frozenset(found)

    def with_node_ports(self, case: Revision) -> Revision:
        """The write with the node ports that its type needs."""
        own = frozenset(port.node_port for port in case.before.ports if port.node_port)
        shares: dict[int, int] = {}
        ports: list[ServicePort] = []
        for place, port in enumerate(case.now.ports):
            take = law.decide("node-port", found := NodePort(case, port, shares, own)).outputs["take"]
            number = self._node_port(found, take, place)
            if take in ("wished", "reserved", "free"):
                self._given.add(number)
                own |= {number}
            if number:
                shares.setdefault(port.port, number)
            ports.append(port if number == port.node_port else evolve(port, node_port=number))
        return case.with_spec(ports=tuple(ports)) if tuple(ports) != case.now.ports else case

    def _node_port(self, found: NodePort, take: str, place: int) -> int:
        if take == "given":
            return found.port.node_port
        if take == "shared":
            return found.shares[found.port.port]
        if take == "free":
            return self._free_port(f"nodePort/{found.port.port}", "a nodePort")
        number = _wished(found) if take == "wished" else found.port.node_port
        why = self._refusal(number)
        if why:
            raise invalid(self.case.new, [f"spec.ports[{place}].nodePort: Invalid value: {number}: {why}"])
        return number

    def with_health_port(self, case: Revision) -> Service:
        """The Service with the port at which nodes tell their health, where it needs one."""
        take = law.decide("health-port", case).outputs["take"]
        if take == "given":
            return case.new
        if take == "free":
            number = self._free_port("healthCheckNodePort", "a HealthCheck NodePort 0")
            return case.with_spec(health_check_node_port=number).new
        asked = case.now.health_check_node_port
        why = self._refusal(asked)
        if why:
            text = f"failed to allocate requested HealthCheck NodePort {asked}: {why}"
            raise Refusal(500, "InternalError", f"{_INTERNAL}{text}")
        return case.new

    def _refusal(self, number: int) -> str:
        """Why a node port is not to be had; "" where it is."""
        first, size = self.options.node_ports
        wish = PortWish(number, range(first, first + size), self._taken_ports())
        why = law.decide("port-refusal", wish).outputs["why"]
        return "" if why is None else str(why.format(first=first, last=first + size - 1))

    def _free_port(self, purpose: str, what: str) -> int:
        taken = self._taken_ports()
        wanted = self.chance.recorded(purpose, key_of(self.case.new))
        if wanted and int(wanted) not in taken:
            return int(wanted)
        first, size = self.options.node_ports
        static = band(size, constant("node_port_band_share"), constant("node_port_band_most"))
        for number in _dynamic_first(size, static, self.chance):
            if first + number not in taken:
                return first + number
        raise Refusal(500, "InternalError", f"{_INTERNAL}failed to allocate {what}: range is full")
