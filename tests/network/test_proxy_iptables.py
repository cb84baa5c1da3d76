"""The iptables proxier: what a change rewrites, what is removed, and how iptables-save prints it."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_worlds import THERE, endpoint, place, service, slice_of

from k8sfsm.network.proxy.iptables.matching import parse
from k8sfsm.network.proxy.iptables.proxier import IptablesProxier, rules_of
from k8sfsm.network.proxy.iptables.render import Comments
from k8sfsm.network.proxy.iptables.saved import saved, saved_text
from k8sfsm.network.proxy.iptables.tables import Tables, TablesError, read_tables
from k8sfsm.network.proxy.tracker import portals_of
from k8sfsm.objects import EndpointSlice, Service

NODE_PORT = {"type": "NodePort", "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}]}


def plain(objects: list[Any], tables: Tables | None = None) -> dict[str, dict[str, list[str]]]:
    here = place()
    return rules_of(portals_of(objects, here), here, tables).tables


def shared_sorted(tables: dict[str, dict[str, list[str]]]) -> dict[str, dict[str, list[str]]]:
    return {table: {chain: sorted(rules) for chain, rules in chains.items()} for table, chains in tables.items()}


@st.composite
def histories(draw: Any) -> list[tuple[bool, Service | EndpointSlice]]:
    """Objects that come, change and go: (gone, object)."""
    steps: list[tuple[bool, Service | EndpointSlice]] = []
    for _ in range(draw(st.integers(1, 8))):
        number = draw(st.integers(0, 2))
        name = f"s{number}"
        found: Service | EndpointSlice
        if draw(st.booleans()):
            more = draw(st.sampled_from([{}, NODE_PORT | {"externalTrafficPolicy": "Local"}, {"clusterIP": "None"}]))
            found = service(
                name, cluster_ip=f"10.96.0.{number + 1}", **{k: v for k, v in more.items() if k != "clusterIP"}
            )
            if "clusterIP" in more:
                found = evolve(found, spec=evolve(found.spec, cluster_ip="None", cluster_ips=("None",)))
        else:
            some = [endpoint(f"10.244.1.{each}") for each in draw(st.lists(st.integers(1, 4), unique=True))]
            found = slice_of(*some, name=name, suffix=draw(st.sampled_from(["1", "2"])))
        steps.append((draw(st.integers(0, 3)) == 0, found))
    return steps


@given(history=histories())
@settings(max_examples=150)
def test_step_by_step_is_the_same_as_from_nothing(history: list[tuple[bool, Service | EndpointSlice]]) -> None:
    proxier = IptablesProxier(place())
    present: dict[tuple[str, str], Any] = {}
    for gone, obj in history:
        key = (obj.kind, obj.metadata.name)
        if gone:
            present.pop(key, None)
            proxier.tracker.forget(obj)
        else:
            present[key] = obj
            proxier.tracker.see(obj)
        proxier.sync()
        assert shared_sorted(proxier.tables.tables) == shared_sorted(plain(list(present.values())))
        assert list(proxier.tables.dangling()) == []


def test_a_change_rewrites_the_chains_of_its_service_alone() -> None:
    proxier = IptablesProxier(place())
    for number in range(3):
        proxier.tracker.see(service(f"s{number}", cluster_ip=f"10.96.0.{number + 1}"))
        proxier.tracker.see(slice_of(endpoint(f"10.244.1.{number + 1}"), name=f"s{number}"))
    whole = proxier.sync()
    assert proxier.sync() == []
    proxier.tracker.see(slice_of(endpoint("10.244.1.2"), endpoint("10.244.2.2", THERE), name="s1"))
    part = proxier.sync()
    own = [line for line in part if line.startswith((":KUBE-SVC", ":KUBE-SEP"))]
    assert len(own) == 3 and len(part) < len(whole)
    assert sum(1 for line in part if line.startswith("-A KUBE-SERVICES")) == 4
    proxier.tracker.see(slice_of(name="s1"))
    last = proxier.sync()
    assert sorted(line[:12] for line in last if line.startswith("-X")) == [
        "-X KUBE-SEP-",
        "-X KUBE-SEP-",
        "-X KUBE-SVC-",
    ]


def test_chains_of_an_earlier_proxy_are_removed() -> None:
    tables = Tables()
    old = ("KUBE-SVC-AAAAAAAAAAAAAAAA", "KUBE-SEP-AAAAAAAAAAAAAAAA", "KUBE-XLB-AAAAAAAAAAAAAAAA")
    for chain in (*old, "KUBE-MINE"):
        tables.ensure_chain("nat", chain)
    tables.tables["nat"][old[0]].append(f"-j {old[1]}")
    plain([service(), slice_of(endpoint("10.244.1.1"))], tables)
    assert not set(old) & set(tables.tables["nat"]) and "KUBE-MINE" in tables.tables["nat"]


def test_jumps_that_exist_stay_where_they_are() -> None:
    tables = Tables()
    tables.ensure_chain("filter", "KUBE-FIREWALL")
    tables.ensure_rule("filter", "INPUT", "-j KUBE-FIREWALL")
    assert plain([], tables)["filter"]["INPUT"][-1] == "-j KUBE-FIREWALL"
    assert plain([])["filter"]["INPUT"][0] == "-j KUBE-FIREWALL"


def test_the_order_of_the_lines() -> None:
    """filter before nat; chains before rules; the way to node ports after all Services."""
    proxier = IptablesProxier(place())
    proxier.tracker.see(service(**NODE_PORT))
    proxier.tracker.see(slice_of(endpoint("10.244.1.1")))
    lines = proxier.sync()
    assert [line for line in lines if line[0] in "*C"] == ["*filter", "COMMIT", "*nat", "COMMIT"]
    to_services = [line for line in lines if line.startswith("-A KUBE-SERVICES")]
    assert to_services[-1].endswith("--dst-type LOCAL -j KUBE-NODEPORTS") and len(to_services) == 2
    assert "-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000" in lines


def test_comments_go_in_large_clusters() -> None:
    assert Comments.of(1000).service and Comments.of(1000).endpoint
    assert not Comments.of(1001).service and not Comments.of(1001).endpoint
    proxier = IptablesProxier(place())
    some = [endpoint(f"10.244.{each // 250}.{each % 250 + 1}") for each in range(1000)]
    proxier.tracker.see(service())
    proxier.tracker.see(slice_of(*some))
    assert "--comment" in next(line for line in proxier.sync() if line.startswith("-A KUBE-SEP"))
    proxier.tracker.see(slice_of(endpoint("10.245.0.1"), suffix="2"))
    lines = [line for line in proxier.sync() if line.startswith(("-A KUBE-SEP", "-A KUBE-SVC"))]
    assert len(lines) == 1 + 1001 + 2 * 1001 and sum("--comment" in line for line in lines) == 1
    proxier.tracker.forget(slice_of(suffix="2"))
    assert sum("--comment" in line for line in proxier.sync() if line.startswith("-A KUBE-SEP")) == 2000


@pytest.mark.parametrize(
    ("written", "printed"),
    [
        ("-j MARK --or-mark 0x4000", "-j MARK --set-xmark 0x4000/0x4000"),
        ("-j MARK --xor-mark 0x4000", "-j MARK --set-xmark 0x4000/0x0"),
        (
            '-m comment --comment "ns/a cluster IP" -m tcp -p tcp -d 10.96.0.1 --dport 80 ! -s 10.0.0.0/8 -j KUBE-MARK-MASQ',  # noqa: E501
            '! -s 10.0.0.0/8 -d 10.96.0.1/32 -p tcp -m comment --comment "ns/a cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ',  # noqa: E501
        ),
        (
            "-m comment --comment a -m statistic --mode random --probability 0.3333333333 -j X",
            "-m comment --comment a -m statistic --mode random --probability 0.33333333349 -j X",
        ),
        (
            "-m recent --name S --rcheck --seconds 5 --reap -j S",
            "-m recent --rcheck --seconds 5 --reap --name S --mask 255.255.255.255 --rsource -j S",
        ),
        ("-m addrtype --dst-type LOCAL -m udp -p udp --dport 53 -j REJECT", "-p udp -m addrtype --dst-type LOCAL -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable"),  # noqa: E501
        ("-m addrtype --dst-type LOCAL ! -d 127.0.0.0/8 -j X", "! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j X"),
        ("-m conntrack ! --ctstate RELATED,DNAT -j DROP", "-m conntrack ! --ctstate RELATED,DNAT -j DROP"),
        ("-m nfacct --nfacct-name n -j DROP", "-m nfacct --nfacct-name  n -j DROP"),
    ],
)  # fmt: skip
def test_what_is_written_and_what_is_printed(written: str, printed: str) -> None:
    assert saved(written) == printed
    first, second = parse(written), parse(printed)
    assert (first.target, first.port, first.bits, first.to_ip) == (
        second.target,
        second.port,
        second.bits,
        second.to_ip,
    )


def test_what_is_printed_can_be_read() -> None:
    here = place()
    tables = rules_of(portals_of([service(**NODE_PORT), slice_of(endpoint("10.244.1.1"))], here), here)
    text = saved_text(tables)
    again = read_tables(text)
    assert list(again.dangling()) == []
    assert sum(len(rules) for rules in again.tables["nat"].values()) == sum(map(len, tables.tables["nat"].values()))
    assert text.startswith("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]")


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["*mangled"], "unknown table"),
        (["*nat", "-A KUBE-X -j DROP"], "no chain KUBE-X"),
        (["*nat", "-D OUTPUT 1"], "expected -A or -X"),
        (["*nat", "what"], "expected a table"),
    ],
)
def test_lines_that_iptables_would_not_take(lines: list[str], says: str) -> None:
    with pytest.raises(TablesError, match=says):
        Tables().restore(lines)


def test_text_that_is_no_dump() -> None:
    with pytest.raises(TablesError, match="expected iptables-save output"):
        read_tables("hello\n")
    with pytest.raises(TablesError, match="not known"):
        parse("-m owner --uid-owner 0 -j DROP")


def test_a_rule_without_its_chain_is_found() -> None:
    tables = Tables()
    tables.tables["nat"]["OUTPUT"].append("-j KUBE-NOWHERE")
    assert list(tables.dangling()) == ["nat: -A OUTPUT -j KUBE-NOWHERE: there is no chain KUBE-NOWHERE"]
