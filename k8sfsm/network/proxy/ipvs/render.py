"""Renders portals for IPVS: virtual servers with their real servers, ipsets, and a fixed number of iptables rules.

What there is stands in `specs/kubeproxy/ipvs.yaml`. Source: pkg/proxy/ipvs/proxier.go: syncProxyRules,
writeIptablesRules
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from attrs import define, field, frozen

from k8sfsm.network.proxy.address import host_port
from k8sfsm.network.proxy.endpoints import Choice
from k8sfsm.network.proxy.iptables.tables import Tables, words
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.rules import law

DEVICE = "kube-ipvs0"
SCHEDULER = "rr"
_INTERNAL = {"internal": True, "external": False}


@frozen
class VirtualServer:
    """An address and port whose connections IPVS gives to real servers (``ip:port``), in turn;
    `persistent`: seconds.
    """

    protocol: str
    ip: str
    port: int
    real: tuple[str, ...]
    persistent: int = 0


@define
class Ipvs:
    """What IPVS has on a node. `servers`: by (protocol, ip, port); `sets`: ipsets, entries in order; `bound`:
    addresses of the dummy device.
    """

    tables: Tables
    servers: dict[tuple[str, str, int], VirtualServer] = field(factory=dict)
    types: dict[str, str] = field(factory=dict)
    sets: dict[str, dict[str, None]] = field(factory=dict)
    bound: dict[str, None] = field(factory=dict)

    def dangling(self) -> Iterator[str]:
        """Rules that jump to chains, or look into ipsets, that do not exist."""
        yield from self.tables.dangling()
        for table in self.tables.tables:
            for line in self.tables.lines(table):
                parts = words(line)
                name = parts[parts.index("--match-set") + 1] if "--match-set" in parts else ""
                if name and name not in self.sets:
                    yield f"{table}: {line}: there is no set {name}"

    def text(self) -> str:
        """The virtual servers as `ipvsadm -Ln` prints them."""
        lines = ["IP Virtual Server version 1.2.1 (size=4096)", "Prot LocalAddress:Port Scheduler Flags"]
        lines.append("  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn")
        for key in sorted(self.servers):
            server = self.servers[key]
            kept = f" persistent {server.persistent}" if server.persistent else ""
            lines.append(f"{server.protocol.upper():<4} {host_port(server.ip, server.port)} {SCHEDULER}{kept}")
            lines += [f"  -> {real:<28} Masq    1      0          0         " for real in server.real]
        return "\n".join(lines) + "\n"


@frozen
class Traffic:
    """Traffic to a portal: `internal` to the cluster IP, or from outside."""

    portal: Portal
    internal: bool

    @property
    def choice(self) -> Choice:
        """The endpoints that the node uses."""
        return self.portal.choice


@law.fact
def stays_local(case: Traffic) -> bool:
    """Whether this traffic must stay on the node, by its policy."""
    return case.portal.info.internal_local if case.internal else case.portal.info.external_local


@law.fact
def port_protocol(case: Portal) -> str:
    """The protocol, in lower case."""
    return case.info.protocol


def ipvs_of(portals: Iterable[Portal], place: Place) -> Ipvs:
    """Everything that IPVS has on a node."""
    found = Ipvs(Tables(("nat", "filter")))
    for decision in law.collect("ipvs-sets", place):
        found.types[decision.outputs["set"]] = decision.outputs["type"]
        found.sets[decision.outputs["set"]] = {}
    values = {"mark": f"{place.mark:#x}", "remote": place.words["iptables_remote"]}
    rows = [decision.outputs for decision in law.collect("ipvs-rules", place)]
    for row in rows:
        found.tables.ensure_chain(row["table"], row["chain"])
    for row in rows:
        found.tables.tables[row["table"]][row["chain"]].append(row["rule"].format(**values))
    for portal in portals:
        _render(found, portal)
    found.sets["KUBE-IPVS-IPS"].update(found.bound)
    return found


def _render(found: Ipvs, portal: Portal) -> None:
    info = portal.info
    values = {
        "protocol": info.protocol,
        "port": info.port,
        "node_port": info.node_port,
        "health_port": info.health_port,
    }
    for decision in law.collect("ipvs-entries", portal):
        row = decision.outputs
        for each in _places(portal, row["each"]):
            found.sets[row["set"]][row["entry"].format(**values, **each)] = None
    for decision in law.collect("ipvs-servers", portal):
        row = decision.outputs
        which = law.decide("ipvs-endpoints", Traffic(portal, _INTERNAL[row["traffic"]])).outputs["endpoints"]
        real = tuple(each.text for each in portal.chosen(which))
        for each in _places(portal, row["each"]):
            server = VirtualServer(info.protocol, each["address"], values[row["port"]], real, info.sticky_seconds)  # type: ignore[arg-type]
            found.servers[server.protocol, server.ip, server.port] = server
            if row["bound"] and not portal.place.node.has(server.ip):
                found.bound[server.ip] = None


def _places(portal: Portal, each: str) -> Iterator[Mapping[str, Any]]:
    info, place = portal.info, portal.place
    if each == "own-endpoint":
        for found in portal.choice.reachable:
            if found.node == place.node.name:
                yield {"address": found.ip, "endpoint_port": found.port}
        return
    if each == "range-of-balancer":
        yield from ({"address": ip, "range": cidr} for ip in info.balancer_ips for cidr in info.source_ranges)
        return
    own = [ip for ip in place.node.of_family(place.settings.family) if place.serves_node_ports(ip)]
    addresses = {
        "once": ("",),
        "cluster-ip": (info.cluster_ip,),
        "external-ip": info.external_ips,
        "balancer-ip": info.balancer_ips,
        "node-address": own,
    }
    yield from ({"address": address} for address in addresses[each])
