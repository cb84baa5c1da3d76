"""Renders portals as iptables rules: which there are is in `specs/kubeproxy/iptables.yaml`, here the names are filled
in.

A rule is a line as iptables-restore takes it. Source: pkg/proxy/iptables/proxier.go: syncProxyRules
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from attrs import frozen

from k8sfsm.law import Count
from k8sfsm.network.proxy.endpoints import ProxyEndpoint
from k8sfsm.network.proxy.iptables.names import endpoint_chain, port_hash
from k8sfsm.network.proxy.node import Place
from k8sfsm.network.proxy.portal import Portal
from k8sfsm.network.proxy.rules import law
from k8sfsm.value import value

Line: TypeAlias = str
FILTER_CHAINS: Final = (
    "KUBE-SERVICES",
    "KUBE-EXTERNAL-SERVICES",
    "KUBE-FORWARD",
    "KUBE-NODEPORTS",
    "KUBE-PROXY-FIREWALL",
)
NAT_CHAINS: Final = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ")


@frozen
class Turn:
    """An endpoint's turn in load balancing: how many endpoints come after it."""

    after: int


@frozen
class Size:
    """How large the cluster is: the endpoints of all ports of Services together."""

    endpoints: int


@law.fact
def endpoints_after(case: Turn) -> Count:
    """How many endpoints come after this one."""
    return case.after


@law.fact
def total_endpoints(case: Size) -> Count:
    """The endpoints of all ports of Services together."""
    return case.endpoints


@value
class Comments:
    """The comments on the rules of single endpoints, with names to fill in; "" in large clusters."""

    endpoint: str
    service: str

    @classmethod
    def of(cls, endpoints: int) -> Comments:
        """For so many endpoints in the cluster (table iptables-comment)."""
        outputs = law.decide("iptables-comment", Size(endpoints)).outputs
        return cls(outputs["endpoint"], outputs["service"])


@value
class Block:
    """The rules of one portal. `shared`: lines of the chains of all Services, by (table, chain); `chains`: its own
    chains of the nat table; `lines`: the lines in them.
    """

    shared: tuple[tuple[str, str, Line], ...]
    chains: tuple[str, ...]
    lines: tuple[Line, ...]


def fixed_lines(table: str, place: Place) -> Iterator[tuple[str, str, Line]]:
    """(table, chain, line) of rules that belong to no Service. `table`: ``iptables-fixed`` or ``iptables-closing``."""
    values: dict[str, Any] = {"mark": f"{place.mark:#010x}"}
    for decision in law.collect(table, place):
        outputs = decision.outputs
        chosen = outputs.get("each") == "node-address"
        for address in _served(place) if chosen else ("",):
            rule = outputs["rule"].format(address=address, **values)
            yield outputs["table"], outputs["chain"], f"-A {outputs['chain']} {rule}"


def _served(place: Place) -> Sequence[str]:
    """The node's addresses for node ports; loopback only where it is served."""
    return [ip for ip in place.node_port_ips if place.localhost or not ip.startswith(("127.", "::1"))]


def jumps(place: Place) -> Iterator[tuple[str, str, str, str]]:
    """(table, from chain, to chain, rule) of the built-in chains, in the order in which they are ensured."""
    for decision in law.collect("iptables-jumps", place):
        row = decision.outputs
        yield row["table"], row["from"], row["to"], f"{row['match']} -j {row['to']}".strip()


def render(portal: Portal, comments: Comments) -> Block:
    """The rules of a portal."""
    values = _values(portal)
    chains = [row.outputs["prefix"] + values["hash"] for row in law.collect("iptables-chains", portal)]
    lines = list(_own_lines(portal, values))
    lines += _endpoint_rules(portal, values, comments)
    info = portal.info
    chains += [endpoint_chain(info.name, info.protocol, endpoint.text) for endpoint in portal.choice.reachable]
    return Block(tuple(_shared(portal, values)), tuple(chains), tuple(lines))


def _values(portal: Portal) -> dict[str, Any]:
    info = portal.info
    own, words = port_hash(info.name, info.protocol), portal.place.words
    cluster, local = f"KUBE-SVC-{own}", f"KUBE-SVL-{own}"
    named = {"cluster": cluster, "local": local, "none": ""}
    return {
        "hash": own,
        "name": info.name,
        "protocol": info.protocol,
        "port": info.port,
        "node_port": info.node_port,
        "health_port": info.health_port,
        "cluster_ip": info.cluster_ip,
        "seconds": info.sticky_seconds,
        "cluster_chain": cluster,
        "internal_chain": named[portal.internal[1]],
        "policy_chain": named[portal.external[2]],
        "external_chain": f"KUBE-EXT-{own}",
        "firewall_chain": f"KUBE-FW-{own}",
        "local": words["iptables_local"],
        "remote": words["iptables_remote"],
    }


def _addresses(portal: Portal, each: str) -> Sequence[str]:
    info = portal.info
    return {
        "once": ("",),
        "cluster-ip": (info.cluster_ip,),
        "external-ip": info.external_ips,
        "balancer-ip": info.balancer_ips,
        "source-range": info.source_ranges,
    }[each]


def _shared(portal: Portal, values: Mapping[str, Any]) -> Iterator[tuple[str, str, Line]]:
    for decision in law.collect("iptables-dispatch", portal):
        row = decision.outputs
        for address in _addresses(portal, row["each"]):
            yield row["table"], row["chain"], f"-A {row['chain']} " + row["rule"].format(address=address, **values)


def _own_lines(portal: Portal, values: Mapping[str, Any]) -> Iterator[Line]:
    for decision in law.collect("iptables-masquerade", portal):
        yield f"-A {values['internal_chain']} " + decision.outputs["rule"].format(**values)
    for decision in law.collect("iptables-external", portal):
        yield f"-A {values['external_chain']} " + decision.outputs["rule"].format(**values)
    for decision in law.collect("iptables-firewall", portal):
        for address in _addresses(portal, decision.outputs["each"]):
            rule = decision.outputs["rule"].format(address=address, **values)
            yield f"-A {values['firewall_chain']} {rule}"


def _endpoint_rules(portal: Portal, values: Mapping[str, Any], comments: Comments) -> Iterator[Line]:
    """The chains of the cluster's and of this node's endpoints, then one chain for each endpoint."""
    filled = {each.text: _of_endpoint(each, portal, values, comments) for each in portal.choice.reachable}
    affinity = [row.outputs["rule"] for row in law.collect("iptables-affinity", portal)]
    sets = ((f"KUBE-SVC-{values['hash']}", portal.choice.cluster), (f"KUBE-SVL-{values['hash']}", portal.choice.local))
    for chain, endpoints in sets:
        head = f"-A {chain} "
        for template in affinity:
            for each in endpoints:
                yield head + template.format_map(filled[each.text])
        for place, each in enumerate(endpoints):
            after = len(endpoints) - place - 1
            template = law.decide("iptables-balance", Turn(after)).outputs["rule"]
            yield head + template.format(probability=f"{1 / (after + 1):0.10f}", **filled[each.text])
    templates = [row.outputs["rule"] for row in law.collect("iptables-endpoint", portal)]
    said = comments.service.format(**values)
    for own in filled.values():
        own["said"] = said
        for template in templates:
            yield f"-A {own['endpoint_chain']} " + template.format_map(own)


def _of_endpoint(each: ProxyEndpoint, portal: Portal, values: Mapping[str, Any], comments: Comments) -> dict[str, Any]:
    info = portal.info
    return {
        "said": comments.endpoint.format(name=info.name, endpoint=each.text),
        "endpoint": each.text,
        "endpoint_ip": each.ip,
        "endpoint_chain": endpoint_chain(info.name, info.protocol, each.text),
        "protocol": info.protocol,
        "seconds": info.sticky_seconds,
    }
