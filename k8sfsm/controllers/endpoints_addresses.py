"""IP addresses as the controllers of Endpoints and EndpointSlices read them."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv6Address
from typing import Literal


@lru_cache(maxsize=65536)
def normal_ip(text: str) -> tuple[Literal["IPv4", "IPv6"], str]:
    """The family and the normal form of an IP address; IPv4 in IPv6 counts as IPv4, as in Go's net package."""
    if ":" not in text:
        return "IPv4", text
    try:
        parsed = IPv6Address(text)
    except ValueError:
        return "IPv4", text
    mapped = parsed.ipv4_mapped
    return ("IPv6", str(parsed)) if mapped is None else ("IPv4", str(mapped))


def family_of(text: str) -> Literal["IPv4", "IPv6"]:
    """The family of an IP address; IPv4 for what is no address."""
    return normal_ip(text)[0]
