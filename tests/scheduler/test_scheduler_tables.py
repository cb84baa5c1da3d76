"""Every row of the scheduler's tables, where the sampled vectors do not reach it."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_clusters import APART, HOST, ZONE, namespace, node, pod, replicaset, service

from k8sfsm.law import usable
from k8sfsm.objects import NodeSelectorRequirement, NodeSelectorTerm, Taint, Toleration, from_json
from k8sfsm.scheduler.cluster import Cluster, in_zone_order
from k8sfsm.scheduler.filters import Wanted
from k8sfsm.scheduler.node_selector import match_terms
from k8sfsm.scheduler.plain import Placement, decide, fit_error, num_feasible_to_find
from k8sfsm.scheduler.preemption import preemption_message
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.scores import Rating
from k8sfsm.scheduler.tolerations import tolerates
from k8sfsm.view import View

NEEDS_DB = {
    "podAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}}}
        ]
    }
}
SHUNS_WEB = {
    "podAntiAffinity": {
        "requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}}
        ]
    }
}


def names(*values: str) -> dict[str, Any]:
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [value]} for value in values]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}


def spread(key: str = ZONE, action: str = "DoNotSchedule", **given: Any) -> list[dict[str, Any]]:
    constraint = {"maxSkew": 1, "topologyKey": key, "whenUnsatisfiable": action}
    return [{**constraint, "labelSelector": {"matchLabels": {"app": "web"}}, **given}]


def place(wanted: Any, *objects: Any) -> Placement:
    return decide(View.of([*objects, wanted]), wanted)


def test_the_room_binds() -> None:
    assert usable("scheduler") == ()


@pytest.mark.parametrize(
    ("wanted", "objects", "plugin", "code", "reasons"),
    [
        (
            pod("p"),
            [node("n", unschedulable=True)],
            "NodeUnschedulable",
            "UnschedulableAndUnresolvable",
            ["node(s) were unschedulable"],
        ),
        (
            pod("p", on="other"),
            [node("n")],
            "NodeName",
            "UnschedulableAndUnresolvable",
            ["node(s) didn't match the requested node name"],
        ),
        (
            pod("p"),
            [node("n", taints=[("a", "", "NoExecute")])],
            "TaintToleration",
            "UnschedulableAndUnresolvable",
            ["node(s) had untolerated taint(s)"],
        ),
        (
            pod("p", nodeSelector={"disk": "ssd"}),
            [node("n")],
            "NodeAffinity",
            "UnschedulableAndUnresolvable",
            ["node(s) didn't match Pod's node affinity/selector"],
        ),
        (
            pod("p", ports=[("10.0.0.1", 80)]),
            [node("n"), pod("q", on="n", ports=[("", 80)])],
            "NodePorts",
            "Unschedulable",
            ["node(s) didn't have free ports for the requested pod ports"],
        ),
        (
            pod("p", requests={"cpu": "5", "memory": "7Gi"}),
            [node("n", pods="1"), pod("q", on="n", requests={"memory": "2Gi"})],
            "NodeResourcesFit",
            "UnschedulableAndUnresolvable",
            ["Too many pods", "Insufficient cpu", "Insufficient memory"],
        ),
        (
            pod("p", requests={"ephemeral-storage": "6Gi"}),
            [node("n"), pod("q", on="n", requests={"ephemeral-storage": "6Gi"})],
            "NodeResourcesFit",
            "Unschedulable",
            ["Insufficient ephemeral-storage"],
        ),
        (
            pod("p", requests={"example.com/gpu": "1"}),
            [node("n")],
            "NodeResourcesFit",
            "UnschedulableAndUnresolvable",
            ["Insufficient example.com/gpu"],
        ),
        (
            pod("p", topologySpreadConstraints=spread()),
            [node("n")],
            "PodTopologySpread",
            "UnschedulableAndUnresolvable",
            ["node(s) didn't match pod topology spread constraints (missing required label)"],
        ),
        (
            pod("p", topologySpreadConstraints=spread(minDomains=2)),
            [node("n", zone="a"), pod("q", on="n")],
            "PodTopologySpread",
            "Unschedulable",
            ["node(s) didn't match pod topology spread constraints"],
        ),
        (
            pod("p", affinity=NEEDS_DB),
            [node("n"), pod("q", on="n")],
            "InterPodAffinity",
            "UnschedulableAndUnresolvable",
            ["node(s) didn't match pod affinity rules"],
        ),
        (
            pod("p", affinity=APART),
            [node("n"), pod("q", on="n", labels={"app": "db"})],
            "InterPodAffinity",
            "Unschedulable",
            ["node(s) didn't match pod anti-affinity rules"],
        ),
        (
            pod("p"),
            [node("n"), pod("q", on="n", labels={"app": "db"}, affinity=SHUNS_WEB)],
            "InterPodAffinity",
            "Unschedulable",
            ["node(s) didn't satisfy existing pods anti-affinity rules"],
        ),
        (
            pod("p", affinity=names("m")),
            [node("n")],
            "",
            "UnschedulableAndUnresolvable",
            ["node(s) didn't satisfy plugin(s) [NodeAffinity]"],
        ),
        (
            pod("p", affinity=names("m", "n")),
            [node("n")],
            "NodeAffinity",
            "UnschedulableAndUnresolvable",
            ["pod affinity terms conflict"],
        ),
    ],
)
def test_refusals(wanted: Any, objects: list[Any], plugin: str, code: str, reasons: list[str]) -> None:
    placement = place(wanted, *objects)
    refusal = placement.refusals["n"]
    assert (refusal.plugin, refusal.code, list(refusal.reasons)) == (plugin, code, reasons)
    assert not placement.feasible
    assert placement.plugins == (plugin or "NodeAffinity",)


def test_the_first_plugin_that_refuses_decides() -> None:
    bad = node("n", unschedulable=True, taints=[("a", "", "NoSchedule")], pods="0")
    assert place(pod("p"), bad).refusals["n"].plugin == "NodeUnschedulable"


def test_a_full_node_takes_pods_that_request_nothing() -> None:
    assert place(pod("p"), node("n"), pod("q", on="n", requests={"cpu": "9"})).feasible == ("n",)
    assert place(pod("p", requests={"cpu": "0"}), node("n"), pod("q", on="n", requests={"cpu": "9"})).best == ("n",)


def test_messages_count_reasons() -> None:
    small, full = node("a", cpu="1"), node("b", memory="1Gi")
    placement = place(pod("p", requests={"cpu": "2", "memory": "2Gi"}), small, full, node("c", cpu="1", memory="1"))
    assert placement.message == "0/3 nodes are available: 2 Insufficient cpu, 2 Insufficient memory."
    assert fit_error(2, ()) == "0/2 nodes are available:"
    assert place(pod("p")).message == "no nodes available to schedule pods"
    conflict = place(pod("p", affinity=names("m", "n")), node("n"))
    assert conflict.message == "0/1 nodes are available: pod affinity terms conflict."
    assert conflict.prefilter_message == "pod affinity terms conflict"


@pytest.mark.parametrize(
    ("policies", "skewed"),
    [
        ({}, False),
        ({"nodeAffinityPolicy": "Ignore"}, True),
        ({"nodeTaintsPolicy": "Honor"}, False),
        ({"nodeAffinityPolicy": "Ignore", "nodeTaintsPolicy": "Honor"}, False),
    ],
)
def test_spread_inclusion(policies: dict[str, str], skewed: bool) -> None:
    """Zone b has one node that the pod neither wants nor tolerates: as an empty domain it makes zone a skewed."""
    ssd = {"disk": "ssd"}
    there = node("a", zone="a", labels=ssd)
    other = node("b", zone="b", taints=[("x", "", "NoSchedule")])
    wanted = pod("p", nodeSelector=ssd, topologySpreadConstraints=spread(**policies))
    assert (place(wanted, there, other, pod("q", on="a")).refusals.get("a") is not None) == skewed


def test_taints_policy_alone() -> None:
    tainted = node("b", zone="b", taints=[("x", "", "NoSchedule")])
    for policy, skewed in (("Ignore", True), ("Honor", False)):
        wanted = pod("p", topologySpreadConstraints=spread(nodeTaintsPolicy=policy))
        assert (place(wanted, node("a", zone="a"), tainted, pod("q", on="a")).refusals.get("a") is not None) == skewed


@pytest.mark.parametrize(
    ("toleration", "tolerated"),
    [
        (Toleration(), False),
        (Toleration(operator="Exists"), True),
        (Toleration(key="a", value="1"), True),
        (Toleration(key="a", operator="Equal", value="1"), True),
        (Toleration(key="a", value="2"), False),
        (Toleration(key="b", operator="Exists"), False),
        (Toleration(operator="Exists", effect="NoExecute"), False),
        (Toleration(operator="Exists", effect="NoSchedule"), True),
        (Toleration(key="a", operator="Lt", value="1"), False),
    ],
)
def test_tolerates(toleration: Toleration, tolerated: bool) -> None:
    assert tolerates(toleration, Taint(key="a", value="1", effect="NoSchedule")) == tolerated


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [
        ("In", ("5", "6"), True),
        ("In", ("6",), False),
        ("NotIn", ("6",), True),
        ("NotIn", ("5",), False),
        ("Exists", (), True),
        ("DoesNotExist", (), False),
        ("Gt", ("4",), True),
        ("Gt", ("5",), False),
        ("Lt", ("6",), True),
        ("Lt", ("5",), False),
    ],
)
def test_node_requirements(operator: str, values: tuple[str, ...], matches: bool) -> None:
    term = NodeSelectorTerm(match_expressions=(NodeSelectorRequirement(key="gen", operator=operator, values=values),))
    assert match_terms([term], node("n", labels={"gen": "5"})).matches == matches
    without = match_terms([term], node("n"))
    assert without.matches == (operator in ("NotIn", "DoesNotExist"))


def weights(**given: Any) -> dict[str, int]:
    wanted = pod("p", **given)
    objects = (node("n", zone="a"), node("m", zone="b"), pod("q", on="m"), service(), namespace(), replicaset())
    return dict(place(wanted, *objects).scores["n"])


def test_plugins_that_score() -> None:
    assert weights(labels={"app": "x"}) == {
        "TaintToleration": 300,
        "NodeResourcesFit": 97,
        "DynamicResources": 0,
        "ImageLocality": 0,
    }
    assert weights(requests={"cpu": "1"})["NodeResourcesBalancedAllocation"] == 68
    assert weights()["PodTopologySpread"] == 200
    assert weights(owned=True, labels={"app": "web", "x": "y"})["PodTopologySpread"] == 200
    ssd = {"matchExpressions": [{"key": HOST, "operator": "In", "values": ["n"]}]}
    prefers = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "preference": ssd}]}
    assert weights(affinity={"nodeAffinity": prefers})["NodeAffinity"] == 200
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "web"}}}
    apart = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 5, "podAffinityTerm": term}]}
    assert weights(affinity={"podAntiAffinity": apart})["InterPodAffinity"] == 200


def test_weights() -> None:
    """Dynamic resources give 0 to all nodes, so their weight shows nowhere else."""
    wanted = Wanted(pod("p"), Cluster.of(View.of([node("n")])))
    rows = law.collect("score", Rating(wanted, wanted.cluster.infos))
    assert {row.outputs["plugin"]: row.outputs["weight"] for row in rows} == {
        "TaintToleration": 3,
        "NodeResourcesFit": 1,
        "DynamicResources": 2,
        "ImageLocality": 1,
    }


def test_image_locality_and_taints() -> None:
    here = node("n", images={"web:1": 600 << 20}, taints=[("x", "", "PreferNoSchedule")])
    scores = place(pod("p"), here, node("m")).scores
    assert scores["n"]["ImageLocality"] == 100 * ((300 << 20) - (23 << 20)) // ((1000 << 20) - (23 << 20))
    assert (scores["n"]["TaintToleration"], scores["m"]["TaintToleration"]) == (0, 300)


def test_the_default_spread_allows_some_skew() -> None:
    """Three on the same host weigh ln(size + 2) each, beside (maxSkew - 1) of 2 and 4."""
    objects = [node("n", zone="a"), node("m", zone="b"), service()]
    scores = place(pod("p"), *objects, *(pod(f"q{number}", on="n") for number in range(3))).scores
    assert scores["n"]["PodTopologySpread"] == 2 * (100 * (14 + 6 - 14) // 14)
    assert scores["m"]["PodTopologySpread"] == 200


def test_required_affinity_of_others_attracts() -> None:
    needy = pod("q", on="n", affinity={"podAffinity": NEEDS_DB["podAffinity"]})
    scores = place(pod("p", labels={"app": "db"}), node("n"), node("m"), needy).scores
    assert (scores["n"]["InterPodAffinity"], scores["m"]["InterPodAffinity"]) == (200, 0)


def test_required_affinity_of_others_is_worth_one() -> None:
    term = {"topologyKey": HOST, "labelSelector": {"matchLabels": {"app": "db"}}}
    wish = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 2, "podAffinityTerm": term}]}
    needy, wishful = pod("q", on="n", affinity=NEEDS_DB), pod("r", on="m", affinity={"podAffinity": wish})
    scores = place(pod("p", labels={"app": "db"}), node("n"), node("m"), node("o"), needy, wishful).scores
    assert [scores[name]["InterPodAffinity"] for name in "nmo"] == [100, 200, 0]


def test_num_feasible() -> None:
    found = [num_feasible_to_find(count) for count in (50, 99, 100, 250, 1000, 5000, 6000)]
    assert found == [50, 99, 100, 120, 420, 500, 300]


def test_nodes_alternate_between_zones() -> None:
    nodes = [node(name, zone=zone) for name, zone in zip("abcde", "xxyxz", strict=True)]
    assert [each.metadata.name for each in in_zone_order(nodes)] == ["a", "c", "e", "b", "d"]


def message(wanted: Any, *objects: Any) -> str:
    view = View.of([*objects, wanted])
    cluster = Cluster.of(view)
    return preemption_message(wanted, cluster, decide(view, wanted, cluster))


HEAD = "no new claims to deallocate, preemption: "


def test_preemption_messages() -> None:
    big = {"requests": {"cpu": "3"}}
    low = pod("low", on="n", priority=1, **big)
    assert message(pod("p", priority=5, **big), node("n"), low) == ""
    none = "0/1 nodes are available: 1 No preemption victims found for incoming pod."
    assert message(pod("p", priority=1, **big), node("n"), low) == HEAD + none
    useless = "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    assert message(pod("p", priority=5, requests={"cpu": "5"}), node("n"), low) == HEAD + useless
    still = "0/1 nodes are available: 1 Insufficient cpu."
    high = pod("high", on="n", priority=9, requests={"cpu": "2"})
    assert message(pod("p", priority=5, **big), node("n"), low, high) == HEAD + still
    never = "not eligible due to preemptionPolicy=Never."
    assert message(pod("p", priority=5, preemptionPolicy="Never", **big), node("n"), low) == HEAD + never


def test_a_preemptor_waits_for_its_victims() -> None:
    victim = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}
    leaving = from_json(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "v", "namespace": "default", "uid": "v", "deletionTimestamp": "2026-01-15T12:00:00Z"},
            "spec": {"nodeName": "n", "containers": [{"name": "a", "resources": {"requests": {"cpu": "4"}}}]},
            "status": {"phase": "Running", "conditions": [victim]},
        }
    )
    wanted = pod("p", priority=5, nominated="n", requests={"cpu": "3"})
    assert message(wanted, node("n"), leaving) == HEAD + "not eligible due to a terminating pod on the nominated node."


def test_nominated_pods_keep_their_room() -> None:
    nominated = pod("nominated", nominated="n", priority=5, requests={"cpu": "3"})
    wanted = {"requests": {"cpu": "2"}}
    assert place(pod("p", priority=5, **wanted), node("n"), nominated).refusals["n"].reasons == ("Insufficient cpu",)
    assert place(pod("p", priority=6, **wanted), node("n"), nominated).feasible == ("n",)
    assert place(nominated, node("m"), node("n")).feasible == ("n",)
