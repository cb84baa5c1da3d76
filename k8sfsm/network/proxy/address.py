"""Addresses and networks as text, understood once and remembered."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Literal, TypeAlias

Family: TypeAlias = Literal["IPv4", "IPv6"]
Network: TypeAlias = IPv4Network | IPv6Network


@lru_cache(maxsize=65536)
def address(text: str) -> IPv4Address | IPv6Address | None:
    """The address that a text is; None where it is none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def network(text: str) -> Network | None:
    """The network that a text names (``10.0.0.0/8``, or a single address); host bits are cut off. None: it is none."""
    try:
        return ip_network(text.strip(), strict=False)
    except ValueError:
        return None


@lru_cache(maxsize=65536)
def contains(cidr: str, ip: str) -> bool:
    """Whether a network holds an address; never where one of them is none, or of the other family."""
    net, place = network(cidr), address(ip)
    return net is not None and place is not None and net.version == place.version and place in net


def family_of(text: str) -> Family | None:
    """The family of an address or network; None where the text is neither."""
    found = network(text)
    if found is None:
        return None
    return "IPv4" if found.version == 4 else "IPv6"


def host_port(ip: str, port: int) -> str:
    """``ip:port``, with brackets round an IPv6 address."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def is_loopback(text: str) -> bool:
    """Whether an address is one of 127/8 or ::1."""
    found = address(text)
    return found is not None and found.is_loopback
