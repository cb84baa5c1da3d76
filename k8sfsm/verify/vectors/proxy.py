"""Vectors of kube-proxy: names of chains, and the iptables rules of a whole node."""

from __future__ import annotations

from typing import Any

from k8sfsm.network.proxy.iptables.names import endpoint_chain, port_hash
from k8sfsm.network.proxy.iptables.proxier import IptablesProxier
from k8sfsm.network.proxy.iptables.tables import BUILT_IN, Tables, words
from k8sfsm.network.proxy.node import ZONE, Place, ProxyNode, ProxySettings
from k8sfsm.objects import from_json
from k8sfsm.verify.vectors import target

_MIXED = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
"""Chains in which the order of Services is left to chance."""
_LAST = " -j KUBE-NODEPORTS"


@target("iptables_chain_names")
def iptables_chain_names(given: dict[str, Any]) -> Any:
    """The chains of a port of a Service and of one endpoint."""
    tail = f":{given['portName']}" if given["portName"] else ""
    name, protocol = f"{given['namespace']}/{given['name']}{tail}", given["protocol"].lower()
    own = port_hash(name, protocol)
    return {
        "servicePortName": name,
        "cluster": f"KUBE-SVC-{own}",
        "local": f"KUBE-SVL-{own}",
        "external": f"KUBE-EXT-{own}",
        "firewall": f"KUBE-FW-{own}",
        "endpoint": endpoint_chain(name, protocol, given["endpoint"]),
    }


def _exactly(expected: Any, got: Any) -> bool:
    """Chains without rules count too."""
    return bool(expected == got)


def _place(settings: dict[str, Any]) -> Place:
    labels = settings.get("nodeLabels") or {}
    addresses = (settings["nodeIP"], *settings["nodeInterfaceAddresses"])
    node = ProxyNode(settings["nodeName"], tuple(dict.fromkeys(addresses)), labels.get(ZONE, ""))
    return Place(
        node,
        ProxySettings.for_cidr(
            settings["clusterCIDR"],
            masquerade_all=settings["masqueradeAll"],
            masquerade_bit=settings["masqueradeBit"],
            localhost_node_ports=settings["localhostNodePorts"],
            node_port_addresses=tuple(settings["nodePortAddresses"] or ()),
            fully_random=settings["randomFully"],
            packets_counted=settings["nfacctCounters"],
            conntrack_liberal=settings["conntrackTCPLiberal"],
        ),
    )


@target("iptables_sync", compare=_exactly)
def iptables_sync(given: dict[str, Any]) -> Any:
    """All tables after one full sync; the proxier sees what it is given, whatever the labels say to its informers."""
    proxier = IptablesProxier(_place(given["settings"]), Tables(), watched_only=False)
    for kind, objects in (("Service", given["services"]), ("EndpointSlice", given["endpointSlices"])):
        for obj in objects or ():
            proxier.tracker.see(from_json(obj, kind=kind))
    proxier.sync()
    tables = {table: _shown(table, chains) for table, chains in proxier.tables.tables.items()}
    return {"error": None, "tables": tables, "text": _text(tables)}


def _shown(table: str, chains: dict[str, list[str]]) -> dict[str, list[str]]:
    """A table as the fake that recorded the vectors shows it: without the canary, quotes lost where rules
    are ensured.
    """
    shown: dict[str, list[str]] = {}
    for chain, rules in chains.items():
        if chain == "KUBE-PROXY-CANARY" or table == "mangle":
            continue
        built_in = chain in BUILT_IN[table]
        lines = [f"-A {chain} {' '.join(words(rule)) if built_in else rule}" for rule in rules]
        if chain in _MIXED:
            lines.sort(key=lambda line: (line.endswith(_LAST), line))
        shown[chain] = lines
    return shown


def _text(tables: dict[str, dict[str, list[str]]]) -> str:
    """The tables as the fake prints them: chains in the order of their names."""
    parts = []
    for table in ("nat", "filter", "mangle"):
        chains = tables[table]
        names = sorted(chains)
        heads = [f":{name} - [0:0]" for name in names if name not in BUILT_IN[table]]
        lines = [line for name in names for line in chains[name]]
        parts += [f"*{table}", *heads, *lines, "COMMIT"]
    return "\n".join(parts) + "\n"
