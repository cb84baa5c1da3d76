"""The node that a proxy runs on, and how the proxy is set up there."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from k8sfsm.law import Count
from k8sfsm.lazy import lazy
from k8sfsm.network.proxy.address import Family, contains, family_of, is_loopback, network
from k8sfsm.network.proxy.rules import law
from k8sfsm.objects import Node

ZONE = "topology.kubernetes.io/zone"


@frozen(slots=False)
class ProxyNode:
    """A node as its proxy knows it. `addresses`: those of its interfaces, loopback aside; the first is its own."""

    name: str
    addresses: tuple[str, ...] = ()
    zone: str = ""

    @classmethod
    def of(cls, node: Node, more: tuple[str, ...] = ()) -> ProxyNode:
        """From the API's Node: its InternalIPs and ExternalIPs, and `more` addresses that only the machine knows."""
        own = tuple(entry.address for entry in node.status.addresses if entry.type in ("InternalIP", "ExternalIP"))
        return cls(
            node.metadata.name, (*own, *(ip for ip in more if ip not in own)), node.metadata.labels.get(ZONE, "")
        )

    def of_family(self, family: Family) -> tuple[str, ...]:
        """The addresses of one family."""
        return tuple(ip for ip in self.addresses if family_of(ip) == family)

    def has(self, ip: str) -> bool:
        """Whether packets to an address stay on this node."""
        return ip in self.addresses or is_loopback(ip)


@frozen(kw_only=True, slots=False)
class ProxySettings:
    """The proxy's configuration. The defaults are those of kube-proxy v1.36.

    `detection` and `detected`: how the traffic of pods is told from other traffic (``cidr`` and the cluster's CIDR,
    ``bridge`` and an interface, ``prefix`` and the beginning of interface names, ``none``). `node_port_addresses`:
    CIDRs; none: all
    addresses.
    `service_cidrs`: ranges of cluster IPs, for nftables. `packets_counted`: the kernel has nfacct.
    Source: pkg/proxy/apis/config/v1alpha1/defaults.go; cmd/kube-proxy/app/options.go
    """

    family: Family = "IPv4"
    detection: Literal["none", "cidr", "bridge", "prefix"] = "none"
    detected: str = ""
    masquerade_all: bool = False
    masquerade_bit: int = 14
    localhost_node_ports: bool = True
    node_port_addresses: tuple[str, ...] = ()
    fully_random: bool = True
    packets_counted: bool = False
    conntrack_liberal: bool = False
    service_cidrs: tuple[str, ...] = ()

    @classmethod
    def for_cidr(cls, cidr: str, **others: object) -> ProxySettings:
        """With detection by the cluster's CIDR; "": without detection."""
        return cls(detection="cidr" if cidr else "none", detected=cidr, **others)  # type: ignore[arg-type]


@frozen(slots=False)
class Place:
    """A proxy on its node: what all Services there have in common."""

    node: ProxyNode
    settings: ProxySettings = ProxySettings()

    @lazy
    def port_networks(self) -> tuple[str, ...]:
        """CIDRs of the own family that node ports are served on; texts that are none are left out."""
        return tuple(text for text in self.settings.node_port_addresses if family_of(text) == self.settings.family)

    @lazy
    def node_port_ips(self) -> tuple[str, ...]:
        """The node's addresses that node ports are served on, where they are chosen: loopback is one as well."""
        loopback = "127.0.0.1" if self.settings.family == "IPv4" else "::1"
        candidates = (loopback, *self.node.of_family(self.settings.family))
        return tuple(ip for ip in candidates if any(contains(cidr, ip) for cidr in self.port_networks))

    def serves_node_ports(self, ip: str) -> bool:
        """Whether packets to an address of the node may be for node ports."""
        if is_loopback(ip) and not self.localhost:
            return False
        return ip in self.node_port_ips if self.port_networks else self.node.has(ip)

    @lazy
    def localhost(self) -> bool:
        """Whether node ports are served on 127/8 too."""
        return bool(law.decide("localhost", self).outputs["served"])

    @lazy
    def words(self) -> dict[str, str]:
        """How each back end names the traffic of pods (outputs of the table `detection`), filled in."""
        outputs = law.decide("detection", self).outputs
        ip = "ip" if self.settings.family == "IPv4" else "ip6"
        texts = {name: value for name, value in outputs.items() if isinstance(value, str)}
        return {name: text.format(detected=self.settings.detected, ip=ip) for name, text in texts.items()}

    @lazy
    def detects(self) -> bool:
        """Whether the traffic of pods is told from other traffic."""
        return bool(law.decide("detection", self).outputs["detects"])

    @lazy
    def masquerade_whose(self) -> str:
        """Whose packets to cluster IPs get a new source: ``all``, ``remote`` or ``none``."""
        return str(law.decide("internal-masquerade", self).outputs["whose"])

    @property
    def mark(self) -> int:
        """The bit that marks packets for masquerading."""
        return 1 << self.settings.masquerade_bit


@law.fact
def detection(case: Place) -> Literal["none", "cidr", "bridge", "prefix"]:
    """How the traffic of pods is recognised."""
    return case.settings.detection


@law.fact
def masquerades_all(case: Place) -> bool:
    """Whether every packet to a cluster IP gets a new source (masqueradeAll)."""
    return case.settings.masquerade_all


@law.fact
def localhost_wished(case: Place) -> bool:
    """Whether node ports on localhost are wished (localhostNodePorts), where the kernel has them at all: IPv4."""
    return case.settings.localhost_node_ports and case.settings.family == "IPv4"


@law.fact
def loopback_included(case: Place) -> bool:
    """Whether loopback is among the addresses for node ports."""
    nets = [network(cidr) for cidr in case.port_networks]
    return not nets or any(net is not None and (net.is_loopback or contains(str(net), "127.0.0.1")) for net in nets)


@law.fact
def address_version(case: Place) -> Literal[4, 6]:
    """4 or 6."""
    return 4 if case.settings.family == "IPv4" else 6


@law.fact
def localhost_served(case: Place) -> bool:
    """Whether node ports are served on 127/8 too (table localhost)."""
    return case.localhost


@law.fact
def fully_random(case: Place) -> bool:
    """Whether the kernel can choose source ports fully at random."""
    return case.settings.fully_random


@law.fact
def everywhere(case: Place) -> bool:
    """Whether node ports are served on all addresses of the node."""
    return not case.port_networks


@law.fact
def conntrack_liberal(case: Place) -> bool:
    """Whether connection tracking takes TCP packets out of the window for valid (nf_conntrack_tcp_be_liberal)."""
    return case.settings.conntrack_liberal


@law.fact
def packets_counted(case: Place) -> bool:
    """Whether the kernel has nfacct, to count packets by name."""
    return case.settings.packets_counted


@law.fact
def masquerades(case: Place) -> Literal["all", "remote", "none"]:
    """Whose packets to cluster IPs get a new source (table internal-masquerade)."""
    return case.masquerade_whose  # type: ignore[return-value]


@law.fact
def service_ranges(case: Place) -> Count:
    """How many ranges of cluster IPs are known."""
    return len(case.settings.service_cidrs)
