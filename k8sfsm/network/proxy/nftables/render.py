"""Renders portals as an nftables ruleset: what there is stands in `specs/kubeproxy/nftables.yaml`, here names are
filled in.

Source: pkg/proxy/nftables/proxier.go: setupNFTables, syncProxyRules
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

from k8sfsm.network.proxy.endpoints import ProxyEndpoint
from k8sfsm.network.proxy.nftables.ruleset import Base, Ruleset, Set
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.rules import law

_LONGEST: Final = 240
"""Characters of a chain's name without its prefix; longer ones are cut."""


def hashed(name: str) -> str:
    """A name with a hash of itself before it, cut where it is too long. Source: hashAndTruncate."""
    text = f"{b32encode(sha256(name.encode()).digest()).decode()[:8]}-{name}"
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def port_base(portal: Portal) -> str:
    """What the chains of a port of a Service are called after their prefix. Source: servicePortChainNameBase."""
    info = portal.info
    return hashed(f"{info.namespace}/{info.service}/{info.protocol}/{info.port_name}")


def endpoint_base(portal: Portal, endpoint: ProxyEndpoint) -> str:
    """What an endpoint's chain and set are called after their prefix. Source: servicePortEndpointChainNameBase."""
    info = portal.info
    place = f"{endpoint.ip.replace(':', '.')}/{endpoint.port}"
    return hashed(f"{info.namespace}/{info.service}/{info.protocol}/{info.port_name}__{place}")


def ruleset_of(portals: Iterable[Portal], place: Place) -> Ruleset:
    """The whole ruleset of a node."""
    ip = "ip" if place.settings.family == "IPv4" else "ip6"
    rules = Ruleset(ip)
    common = {"ip": ip, "family": place.settings.family.lower(), "mark": f"{place.mark:#010x}"}
    for decision in law.collect("nft-base", place):
        row = decision.outputs
        rules.bases[row["chain"]] = Base(row["type"], row["hook"], str(row["priority"]), row["order"])
    for decision in law.collect("nft-sets", place):
        row = decision.outputs
        rules.sets[row["set"]] = Set(row["kind"], row["type"].format(**common), row["comment"])
    words = {"remote": place.words["nft_remote"], "service_cidrs": ", ".join(place.settings.service_cidrs)}
    for decision in law.collect("nft-fixed", place):
        rules.add(decision.outputs["chain"], decision.outputs["rule"].format(**common, **words))
    if "nodeport-ips" in rules.sets:
        served = [address for address in place.node_port_ips if not address.startswith(("127.", "::1"))]
        rules.sets["nodeport-ips"].elements = dict.fromkeys(served, "")
    for portal in portals:
        _render(rules, portal, common)
    return rules


def _render(rules: Ruleset, portal: Portal, common: dict[str, Any]) -> None:
    values = {**common, **_values(portal)}
    for decision in law.collect("nft-elements", portal):
        row = decision.outputs
        for address, port in _places(portal, row["each"]):
            filled = {**values, "address": address, "endpoint_port": port}
            rules.sets[row["set"]].elements[row["key"].format(**filled)] = row["verdict"].format(**values)
    for table, chain in (("nft-external", "external_chain"), ("nft-firewall", "firewall_chain")):
        for decision in law.collect(table, portal):
            rules.add(values[chain], decision.outputs["rule"].format(**values))
    for chain, endpoints in (
        (values["cluster_chain"], portal.choice.cluster),
        (values["local_chain"], portal.choice.local),
    ):
        if endpoints:
            _balance(rules, chain, endpoints, portal, values)
    for decision in law.collect("nft-endpoint", portal):
        for endpoint in portal.choice.reachable:
            own = {**values, **_of_endpoint(portal, endpoint)}
            rules.sets.setdefault(
                own["affinity_set"], Set("set", f"{common['family']}_addr", timeout=portal.info.sticky_seconds)
            )
            rules.add(own["endpoint_chain"], decision.outputs["rule"].format(**own))


def _places(portal: Portal, each: str) -> Sequence[tuple[str, int]]:
    info = portal.info
    if each == "own-endpoint":
        here = portal.place.node.name
        return [(found.ip, found.port) for found in portal.choice.reachable if found.node == here]
    addresses = {
        "once": ("",),
        "cluster-ip": (info.cluster_ip,),
        "external-ip": info.external_ips,
        "balancer-ip": info.balancer_ips,
    }
    return [(address, 0) for address in addresses[each]]


def _balance(
    rules: Ruleset, chain: str, endpoints: Sequence[ProxyEndpoint], portal: Portal, values: dict[str, Any]
) -> None:
    outputs = law.decide("nft-balance", portal).outputs
    own = [_of_endpoint(portal, endpoint) for endpoint in endpoints]
    for each in own if outputs["first"] else ():
        rules.add(chain, outputs["first"].format(**values, **each))
    targets = ", ".join(f"{n} : {each.ip} . {each.port}" for n, each in enumerate(endpoints))
    jumps = ", ".join(f"{n} : goto {each['endpoint_chain']}" for n, each in enumerate(own))
    rules.add(chain, outputs["rule"].format(**values, count=len(endpoints), targets=targets, jumps=jumps))


def _of_endpoint(portal: Portal, endpoint: ProxyEndpoint) -> dict[str, str]:
    base = endpoint_base(portal, endpoint)
    return {"endpoint_chain": f"endpoint-{base}", "affinity_set": f"affinity-{base}", "endpoint": endpoint.text}


def _values(portal: Portal) -> dict[str, Any]:
    info, base = portal.info, port_base(portal)
    named = {"cluster": f"service-{base}", "local": f"local-{base}", "none": ""}
    return {
        "protocol": info.protocol,
        "port": info.port,
        "node_port": info.node_port,
        "cluster_chain": named["cluster"],
        "local_chain": named["local"],
        "internal_chain": named[portal.internal[1]],
        "policy_chain": named[portal.external[2]],
        "external_chain": f"external-{base}",
        "firewall_chain": f"firewall-{base}",
        "local": portal.place.words["nft_local"],
        "ranges": ", ".join(info.source_ranges),
        "balancer_ips": ", ".join(info.balancer_ips),
    }
