"""The addresses that a node gives to its pods' sandboxes, as the host-local plugin does."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network
from typing import Final

from k8sfsm.node.runtime_state import NodeRuntime
from k8sfsm.objects import changer_of, evolve

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


@lru_cache(maxsize=8192)
def _extent(cidr: str) -> tuple[int, int]:
    """A network's first address as a number, and how many it has."""
    network = IPv4Network(cidr)
    return int(network.network_address), network.num_addresses


def _dotted(number: int) -> str:
    """The text of an address that is given as a number."""
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def take_address(node: NodeRuntime, cidr: str, uid: str) -> tuple[NodeRuntime, str]:
    """The next free address of the node's network `cidr`, round and round, now in use by the pod `uid`."""
    first, size = _extent(cidr)
    last, ip = node.last_address, ""
    for _ in range(size):
        last = last + 1 if last + 2 < size else 2
        ip = _dotted(first + last)
        if ip not in node.addresses:
            break
    return _taken(node, last, node.addresses.set(ip, uid)), ip


_taken: Final = changer_of(NodeRuntime, "last_address", "addresses")


def free_address(node: NodeRuntime, ip: str, uid: str) -> NodeRuntime:
    """The node without that use of an address; as it was where another pod has it."""
    return node if node.addresses.get(ip) != uid else evolve(node, addresses=node.addresses.delete(ip))
