"""Names of the chains that belong to ports of Services and to their endpoints.

Source: pkg/proxy/iptables/proxier.go: portProtoHash, servicePortEndpointChainName
"""

from __future__ import annotations

from base64 import b32encode
from hashlib import sha256
from typing import Final

SERVICE_CHAINS: Final = ("KUBE-SVC-", "KUBE-SVL-", "KUBE-SEP-", "KUBE-FW-", "KUBE-EXT-", "KUBE-XLB-")
"""How chains begin that the proxy removes when nothing needs them; XLB is from older versions."""


def _hash(text: str) -> str:
    return b32encode(sha256(text.encode()).digest()[:10]).decode()


def port_hash(name: str, protocol: str) -> str:
    """The 16 characters that stand for a port of a Service. `name`: namespace/service:port; `protocol`:
    in lower case.
    """
    return _hash(name + protocol)


def endpoint_chain(name: str, protocol: str, endpoint: str) -> str:
    """The chain of one endpoint (``ip:port``) of a port of a Service."""
    return "KUBE-SEP-" + _hash(name + protocol + endpoint)


def is_service_chain(chain: str) -> bool:
    """Whether a chain belongs to a Service, by its name."""
    return chain.startswith(SERVICE_CHAINS)
