"""The scheduler's decision laid open, node by node."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from scheduler_clusters import node, nodes, pod, pods, service

from k8sfsm.scheduler.placement import placement_of
from k8sfsm.scheduler.plain import decide
from k8sfsm.view import View


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_it_is_what_the_scheduler_decides(data: st.DataObject) -> None:
    objects = [data.draw(nodes(f"n{number}")) for number in range(data.draw(st.integers(0, 5)))]
    objects += [pod(f"on{number}", on="n0", requests={"cpu": "500m"}) for number in range(data.draw(st.integers(0, 3)))]
    wanted = data.draw(pods("p"))
    view = View.of([*objects, service(), wanted])
    report, placement = placement_of(view, wanted), decide(view, wanted)
    assert {each.node for each in report.nodes} == {each.metadata.name for each in view.list("Node")}
    assert tuple(each.node for each in report.nodes if each.feasible) == tuple(
        each.node for each in report.nodes if each.node in placement.feasible
    )
    assert {each.node: each.total for each in report.nodes if each.feasible} == dict(placement.totals)
    assert {each.node: each.refusal for each in report.nodes if each.refusal} == dict(placement.refusals)
    assert report.ties == placement.best and report.chosen == (placement.best[0] if placement.best else "")
    assert report.message.startswith(placement.message)


def test_scores_add_up() -> None:
    view = View.of([node("a", taints=[("old", "", "PreferNoSchedule")]), node("b"), pod("p", requests={"cpu": "1"})])
    report = placement_of(view, view.get("Pod", "default", "p"))
    by_plugin = {each.node: {score.plugin: score for score in each.scores} for each in report.nodes}
    taint = by_plugin["a"]["TaintToleration"]
    assert (taint.raw, taint.normalized, taint.weight, taint.weighted) == (1, 0, 3, 0)
    assert taint.rule == "Placement/score/taint-toleration"
    assert by_plugin["b"]["TaintToleration"].weighted == 300
    assert [each.total for each in report.nodes] == [sum(s.weighted for s in each.scores) for each in report.nodes]
    assert (report.chosen, report.ties, report.message, report.assigned) == ("b", ("b",), "", "")


def test_a_bound_pod_is_judged_as_if_it_were_not() -> None:
    bound = pod("p", on="b", requests={"cpu": "3"})
    report = placement_of(View.of([node("a"), node("b"), bound]), bound)
    assert report.assigned == "b" and report.ties == ("a", "b") and report.pod == ("Pod", "default", "p")


def test_what_preemption_would_remove() -> None:
    low = pod("low", on="n", priority=1, requests={"cpu": "3"})
    wanted = pod("p", priority=5, requests={"cpu": "3"})
    report = placement_of(View.of([node("n"), node("small", cpu="1"), low, wanted]), wanted)
    by_name = {each.node: each for each in report.nodes}
    assert by_name["n"].victims == (("Pod", "default", "low"),) and not by_name["small"].victims
    assert report.nominated == ("n",) and report.chosen == ""
    assert report.message == "0/2 nodes are available: 2 Insufficient cpu."


@pytest.mark.parametrize("wanted", [pod("p"), pod("p", nodeSelector={"a": "b"})])
def test_a_cluster_without_nodes(wanted: object) -> None:
    report = placement_of(View.of([wanted]), wanted)  # type: ignore[arg-type]
    assert (report.message, report.nodes) == ("no nodes available to schedule pods", ())


def test_nodes_that_the_search_did_not_come_to() -> None:
    many = [evolve(node("x"), metadata=evolve(node("x").metadata, name=f"n{number}")) for number in range(120)]
    wanted = pod("p")
    report = placement_of(View.of([*many, wanted]), wanted)
    assert sum(each.feasible for each in report.nodes) == 100
    assert [each.looked_at for each in report.nodes] == [True] * 100 + [False] * 20
