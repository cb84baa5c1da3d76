"""Walks a packet through IPVS: the rules before it, the virtual server, and the rules after it.

Packets from elsewhere meet the virtual server after the filter of INPUT; those of the node itself already in OUTPUT.
Source: net/netfilter/ipvs/ip_vs_core.c: ip_vs_ops4
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from attrs import evolve

from k8sfsm.network.proxy.iptables.walk import End, Walker
from k8sfsm.network.proxy.ipvs.render import Ipvs
from k8sfsm.network.proxy.node import ProxyNode
from k8sfsm.network.proxy.packet import Packet, State, Step, Walk

__all__ = ["walk"]


class _IpvsWalker(Walker):
    """An iptables walk with a stop at the virtual servers."""

    def __init__(self, ipvs: Ipvs, packet: Packet, node: ProxyNode) -> None:
        here = ProxyNode(
            node.name, (*node.addresses, *ipvs.bound), node.zone
        )  # the dummy device makes them the node's own
        super().__init__(ipvs.tables, packet, here, ipvs.sets)
        self.ipvs = ipvs

    def travel(self, start: State) -> Iterator[tuple[State, End]]:
        """Marks, then the filter, the virtual server, and what comes after."""
        node = self.packet.origin == "node"
        first = (("OUTPUT", "nat"),) if node else (("PREROUTING", "nat"), ("INPUT", "filter"))
        key = (self.packet.protocol, start.destination, start.port)
        if not self.node.has(start.destination):
            first = first[:1]
        for state, end in self.through(start, first):
            if end != "accept":
                yield state, end
            elif key not in self.ipvs.servers:
                yield from self.through(state, self._unserved(state))
            else:
                yield from self._served(state, key)

    def _unserved(self, state: State) -> tuple[tuple[str, str], ...]:
        if self.packet.origin == "node":
            loop = (("INPUT", "filter"),) if self.node.has(state.destination) else ()
            return (("OUTPUT", "filter"), ("POSTROUTING", "nat"), *loop)
        return () if self.node.has(state.destination) else (("FORWARD", "filter"), ("POSTROUTING", "nat"))

    def _served(self, state: State, key: tuple[str, str, int]) -> Iterator[tuple[State, End]]:
        server = self.ipvs.servers[key]
        name = f"{server.protocol.upper()} {server.ip}:{server.port}"
        kept = [real for real in server.real if real == self.packet.seen and server.persistent]
        chosen = kept or server.real
        says = f"to {', '.join(chosen)}" if chosen else "no real server"
        self.steps.append(
            Step(hook="IPVS", table="ipvs", chain=name, rule=f"rr {name}", effect=says, chance=state.chance)
        )
        if not chosen:
            yield state, "reject"
        for real in chosen:
            ip, _, port = real.rpartition(":")
            part = evolve(
                state,
                destination=ip.strip("[]"),
                port=int(port),
                translated=True,
                chance=state.chance * Fraction(1, len(chosen)),
            )
            yield from self.through(part, (("POSTROUTING", "nat"),))


def walk(ipvs: Ipvs, packet: Packet, node: ProxyNode) -> Walk:
    """The way of a packet through IPVS on a node. Raises ValueError where a rule has a match that is not known."""
    return _IpvsWalker(ipvs, packet, node).run()
