"""The addresses that a node gives to its pods' sandboxes, as the host-local plugin does."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network
from typing import TYPE_CHECKING, Final

from k8sfsm.objects import evolve

if TYPE_CHECKING:
    from k8sfsm.node.runtime import NodeRuntime


@lru_cache(maxsize=1024)
def ip_network(cidr: str) -> IPv4Network:
    """A network from its text."""
    return IPv4Network(cidr)


_FIRST: Final = 12 * 256
"""Networks of 256 addresses from 10.244.0.0 to the end of 10.0.0.0/8."""
_FURTHER: Final = 64 * 256
"""Those of 100.64.0.0/10, the shared address space of RFC 6598, which are for the nodes after them."""


def pod_network(number: int) -> str:
    """The network of the pods on the node of that number, from 0 on; a cluster of 5,000 nodes has 5,000 of them."""
    if number < _FIRST:
        return f"10.{244 + number // 256}.{number % 256}.0/24"
    further = (number - _FIRST) % _FURTHER
    return f"100.{64 + further // 256}.{further % 256}.0/24"


def take_address(node: NodeRuntime, cidr: str, uid: str) -> tuple[NodeRuntime, str]:
    """The next free address of the node's network `cidr`, round and round, now in use by the pod `uid`."""
    network = ip_network(cidr)
    last, size = node.last_address, network.num_addresses
    ip = ""
    for _ in range(size):
        last = last + 1 if last + 2 < size else 2
        ip = str(network.network_address + last)
        if ip not in node.addresses:
            break
    return evolve(node, last_address=last, addresses=node.addresses.set(ip, uid)), ip


def free_address(node: NodeRuntime, ip: str, uid: str) -> NodeRuntime:
    """The node without that use of an address; as it was where another pod has it."""
    return node if node.addresses.get(ip) != uid else evolve(node, addresses=node.addresses.delete(ip))
