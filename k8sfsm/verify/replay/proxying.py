"""Is what a recording holds of its node's proxy predicted: the rules in iptables dumps, and who answered requests?

How the proxy was configured is no part of a recording: it is read off the first dump, and holds for all. Which node it
ran on is told by which node's rules the dumps are.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import Law
from k8sfsm.network.proxy.address import host_port
from k8sfsm.network.proxy.iptables.matching import parse
from k8sfsm.network.proxy.iptables.proxier import CANARY, rules_of
from k8sfsm.network.proxy.iptables.saved import saved_lines
from k8sfsm.network.proxy.iptables.tables import Tables, read_tables
from k8sfsm.network.proxy.iptables.walk import walk
from k8sfsm.network.proxy.node import Place, ProxyNode, ProxySettings
from k8sfsm.network.proxy.packet import Packet, Walk, visit
from k8sfsm.network.proxy.tracker import portals_of
from k8sfsm.trace.history import Recording
from k8sfsm.trace.proxied import Dump, Sent, read_dumps, read_traffic
from k8sfsm.verify.replay.compare import Divergence
from k8sfsm.verify.replay.tracks import Version

law = Law("replay")
SHARED: Final = ("KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-EXTERNAL-SERVICES", "KUBE-PROXY-FIREWALL")
"""Chains in which the order of Services is the proxy's chance."""
KUBELET: Final = "KUBE-KUBELET-CANARY"
_NAMED: Final = re.compile(
    r'--comment "?(?:(?:masquerade|pod|route)?(?: LOCAL)? ?traffic (?:not accepted|for) )?([a-z0-9.-]+)/'
)


@frozen
class Answer:
    """Somebody's answers to a number of requests: `name` is a pod's, or how it failed. `chance`: how likely each was;
    `kept`: the Service has session affinity; `others`: how many gave answers, this one counted.
    """

    name: str
    count: int
    asked: int
    chance: float
    kept: bool = False
    others: int = 0


@law.fact
def answered(case: Answer) -> bool:
    """Whether there was such an answer."""
    return case.count > 0


@law.fact
def possible(case: Answer) -> bool:
    """Whether the rules can lead there."""
    return case.chance > 0


@law.fact
def client_kept(case: Answer) -> bool:
    """Whether the Service keeps a client with its endpoint."""
    return case.kept


@law.fact
def answerers(case: Answer) -> int:
    """How many gave an answer to these requests."""
    return case.others


@law.fact
def expected_answers(case: Answer) -> float:
    """How many such answers there should have been on average."""
    return case.chance * case.asked


@frozen
class _Proxy:
    """A proxy as the dumps show it: where it may have run, how it is set up, and whose Services are recorded."""

    places: tuple[Place, ...]
    namespaces: tuple[str, ...]


def compare_proxy(recording: Recording, versions: Sequence[Version]) -> tuple[list[Divergence], int]:
    """Where dumps and answers are not as predicted from `versions`; and how many dumps and requests were compared."""
    dumps, traffic = read_dumps(recording), read_traffic(recording)
    if not dumps and not traffic:
        return [], 0
    settings = settings_of(read_tables(dumps[0].texts["nat"] + dumps[0].texts.get("filter", ""))) if dumps else None
    proxy = _Proxy(_places(versions, settings or ProxySettings()), recording.namespaces)
    found: list[Divergence] | None = None
    for place in proxy.places:
        here = [each for dump in dumps for each in _compare_dump(dump, place, proxy, versions)]
        here += [each for sent in traffic for each in _compare_sent(sent, place, versions)]
        if found is None or len(here) < len(found):
            found = here
        if not found:
            break
    return found or [], len(dumps) + sum(sum(sent.counts.values()) for sent in traffic)


def _places(versions: Iterable[Version], settings: ProxySettings) -> tuple[Place, ...]:
    nodes = {version.key: version.object for version in versions if version.key[0] == "Node" and version.object}
    return tuple(Place(ProxyNode.of(node), settings) for node in nodes.values())


def settings_of(tables: Tables) -> ProxySettings:
    """A proxy's configuration, read off the rules that it wrote."""
    nat = [parse(rule) for rules in tables.tables["nat"].values() for rule in rules]
    filters = [rule for rules in tables.tables.get("filter", {}).values() for rule in rules]
    marking = next((rule for rule in nat if rule.target == "MARK" and rule.bits == rule.mask), None)
    internal = [
        parse(rule)
        for chain, rules in tables.tables["nat"].items()
        if chain.startswith(("KUBE-SVC-", "KUBE-SVL-"))
        for rule in rules
        if parse(rule).target == "KUBE-MARK-MASQ"
    ]
    sources = [test.value for rule in internal for test in rule.tests if test.name == "-s" and test.negated]
    doors = [rule for rule in nat if rule.target == "KUBE-NODEPORTS" and rule.destination]
    return ProxySettings.for_cidr(
        sources[0] if sources else "",
        masquerade_all=bool(internal) and not sources,
        masquerade_bit=marking.bits.bit_length() - 1 if marking else 14,
        fully_random=any("--random-fully" in rule.text for rule in nat),
        packets_counted=any("nfacct" in text for text in (*filters, *(rule.text for rule in nat))),
        conntrack_liberal=bool(filters) and not any("INVALID" in text for text in filters),
        localhost_node_ports=not any(rule.destination and rule.destination.negated for rule in doors),
        node_port_addresses=tuple(
            rule.destination.value for rule in doors if rule.destination and not rule.destination.negated
        ),
    )


def objects_at(versions: Iterable[Version], at: int, *kinds: str) -> dict[Any, Any]:
    """The objects of some kinds as they were at a moment, by key."""
    found: dict[Any, Any] = {}
    for version in versions:
        if version.at > at or version.key[0] not in kinds:
            continue
        if version.object is None:
            found.pop(version.key, None)
        else:
            found[version.key] = version.object
    return found


def predicted_tables(versions: Iterable[Version], at: int, place: Place) -> Tables:
    """The rules that the proxy of a node should have at a moment; a kubelet was there before it."""
    tables = Tables(("nat", "filter"))
    tables.ensure_chain("filter", "KUBE-FIREWALL")
    for chain in ("INPUT", "OUTPUT"):
        tables.ensure_rule("filter", chain, "-j KUBE-FIREWALL")
    portals = portals_of(objects_at(versions, at, "Service", "EndpointSlice").values(), place)
    return rules_of(portals, place, tables)


# -- dumps ------------------------------------------------------------------------------------------------------------


def _compare_dump(dump: Dump, place: Place, proxy: _Proxy, versions: Iterable[Version]) -> Iterator[Divergence]:
    predicted = predicted_tables(versions, dump.at, place)
    for table, text in dump.texts.items():
        recorded = _chains(read_tables(text), table, proxy.namespaces)
        ours = _chains(predicted, table, proxy.namespaces)
        for chain in sorted(recorded.keys() | ours.keys()):
            left, right = recorded.get(chain), ours.get(chain)
            if left != right:
                yield Divergence(
                    at=dump.at,
                    key=("Iptables", place.node.name, f"{dump.checkpoint}-{table}"),
                    aspect=chain,
                    recorded=_difference(left, right),
                    predicted=_difference(right, left),
                )


def _difference(lines: Sequence[str] | None, others: Sequence[str] | None) -> str:
    """What a chain has that the other has not; its order where that is all."""
    if lines is None:
        return "no such chain"
    only = [line for line in lines if line not in (others or ())]
    if only or not lines:
        return "; ".join(only) or "an empty chain"
    return "the same rules in another order" if sorted(lines) == sorted(others or ()) else "the other rules only"


def _chains(tables: Tables, table: str, namespaces: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The rules of a table by chain, as iptables-save prints them, of Services in these namespaces (none: all)."""
    found: dict[str, list[str]] = {chain: [] for chain in tables.tables[table] if chain not in (CANARY, KUBELET)}
    for line in saved_lines(tables, table) if _written(tables) else tables.lines(table):
        chain = line.split(" ", 2)[1]
        named = _NAMED.search(line)
        if named is not None and namespaces and named.group(1) not in namespaces:
            if chain not in SHARED:
                found.pop(chain, None)
        elif chain in found:
            found[chain].append(line)
    doors = " -j KUBE-NODEPORTS"
    return {
        chain: tuple(sorted(lines, key=lambda line: (line.endswith(doors), line)) if chain in SHARED else lines)
        for chain, lines in found.items()
    }


def _written(tables: Tables) -> bool:
    """Whether these are rules as the proxy writes them, not as iptables-save prints them."""
    return any("--or-mark" in rule for rule in tables.tables.get("nat", {}).get("KUBE-MARK-MASQ", ()))


# -- traffic ----------------------------------------------------------------------------------------------------------

_FAILURES: Final = {"reject": "curl-exit-7", "drop": "curl-exit-28", "passed": "curl-exit-28"}
"""How curl ends where a packet is refused, or nobody answers it."""


def packet_of(sent: Sent, place: Place) -> Packet:
    """The first packet of such a request, from a process on the node."""
    own = place.node.of_family(place.settings.family)
    return Packet(source=sent.source or (own[0] if own else ""), destination=sent.host, port=sent.port, origin="node")


def chances(sent: Sent, way: Walk, pods: Mapping[str, str]) -> dict[str, float]:
    """How likely each answer is, by the name that the recording gives it. `pods`: IP -> name."""
    found: dict[str, float] = {}
    names = {host_port(ip, sent.targets[name]): name for ip, name in pods.items() if name in sent.targets}
    for backend, chance in way.backends().items():
        name = names.get(backend) or _FAILURES.get(backend) or pods.get(backend.rpartition(":")[0], backend)
        found[name] = found.get(name, 0.0) + float(chance)
    return found


def _compare_sent(sent: Sent, place: Place, versions: Sequence[Version]) -> Iterator[Divergence]:
    packet = packet_of(sent, place)
    way = walk(predicted_tables(versions, sent.at, place), packet, place.node)
    pods = {
        pod.status.pod_ip: pod.metadata.name
        for pod in objects_at(versions, sent.at, "Pod").values()
        if pod.status.pod_ip
    }
    likely, asked = chances(sent, way, pods), sum(sent.counts.values())
    entered = visit(portals_of(objects_at(versions, sent.at, "Service", "EndpointSlice").values(), place), packet)
    kept = entered is not None and entered.info.sticky_seconds > 0
    for name in sorted({*likely, *sent.counts}):
        answer = Answer(name, sent.counts.get(name, 0), asked, likely.get(name, 0.0), kept, len(sent.counts))
        if law.decide("answer", answer).outputs["verdict"] == "divergence":
            yield Divergence(
                at=sent.at,
                key=("Traffic", place.node.name, f"{sent.host}:{sent.port}"),
                aspect=name,
                recorded=f"{answer.count} of {asked} answers",
                predicted=f"one in {1 / answer.chance:.0f}" if answer.chance else "no answer from there",
                line=str(sent.line),
            )
