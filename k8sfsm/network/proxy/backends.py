"""The four back ends side by side: each renders the same portals, and walks packets through what it has rendered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import frozen

from k8sfsm.network.proxy.ebpf import maps as ebpf
from k8sfsm.network.proxy.iptables import walk as iptables_walk
from k8sfsm.network.proxy.iptables.proxier import rules_of
from k8sfsm.network.proxy.iptables.saved import saved_text
from k8sfsm.network.proxy.ipvs import walk as ipvs_walk
from k8sfsm.network.proxy.ipvs.render import ipvs_of
from k8sfsm.network.proxy.nftables import walk as nftables_walk
from k8sfsm.network.proxy.nftables.render import ruleset_of
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.packet import Packet, Walk
from k8sfsm.network.proxy.portal import Portal


@frozen
class Rendered:
    """What a back end has on a node. `text`: as its own tool prints it; `dangling`: what refers to nothing."""

    backend: str
    walk: Callable[[Packet], Walk]
    text: Callable[[], str]
    dangling: Callable[[], Iterator[str]]


def _iptables(portals: Iterable[Portal], place: Place) -> Rendered:
    tables = rules_of(portals, place)
    return Rendered(
        "iptables",
        lambda packet: iptables_walk.walk(tables, packet, place.node),
        lambda: saved_text(tables),
        tables.dangling,
    )


def _nftables(portals: Iterable[Portal], place: Place) -> Rendered:
    rules = ruleset_of(portals, place)
    return Rendered(
        "nftables", lambda packet: nftables_walk.walk(rules, packet, place.node), rules.text, rules.dangling
    )


def _ipvs(portals: Iterable[Portal], place: Place) -> Rendered:
    found = ipvs_of(portals, place)
    return Rendered("ipvs", lambda packet: ipvs_walk.walk(found, packet, place.node), found.text, found.dangling)


def _ebpf(portals: Iterable[Portal], place: Place) -> Rendered:
    maps = ebpf.maps_of(portals, place)
    return Rendered("ebpf", lambda packet: ebpf.walk(maps, packet), maps.text, maps.dangling)


BACKENDS: Final[dict[str, Callable[[Iterable[Portal], Place], Rendered]]] = {
    "iptables": _iptables,
    "nftables": _nftables,
    "ipvs": _ipvs,
    "ebpf": _ebpf,
}
"""Back ends by name, as kube-proxy's --proxy-mode has them, and ours."""


def render(backend: str, portals: Iterable[Portal], place: Place) -> Rendered:
    """What a back end has on a node for these portals. Raises KeyError for a name that is not in `BACKENDS`."""
    return BACKENDS[backend](portals, place)


def chances(way: Walk) -> dict[str, Any]:
    """How likely each end of a way is, as fractions in text (``1/3``)."""
    return {name: str(chance) for name, chance in way.backends().items()}
