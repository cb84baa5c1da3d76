"""What wakes pods that wait."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from scheduler_clusters import APART, HOST, ZONE, namespace, node, pod

from k8sfsm.objects import PodSchedulingGate
from k8sfsm.request import Look, Remember
from k8sfsm.scheduler import Scheduler
from k8sfsm.scheduler.queue import FORGOTTEN, WAITING, Waiting
from k8sfsm.scheduler.wake import own_events, pods_that_may_fit_now, pods_to_place
from k8sfsm.view import Change, View

KEY = ("Pod", "default", "p")


def modified(old: Any, new: Any, type: str = "MODIFIED") -> Change:
    key = (new.kind, new.metadata.namespace, new.metadata.name)
    return Change(1, type, key, old, new)


def waits_for(*plugins: str) -> dict[Any, Any]:
    return {(WAITING, "uid-p"): Waiting(key=KEY, plugins=plugins, since=0, attempts=1), WAITING: True}


def woken(plugin: str, change: Change, **given: Any) -> bool:
    view = View.of([pod("p", **given), namespace("default", team="a")], memory=waits_for(plugin))
    return list(pods_that_may_fit_now(change, view)) == [KEY]


WEB = {"requests": {"cpu": "2"}, "ports": [("", 80)]}
PLACED = modified(pod("q", **WEB), pod("q", on="n", **WEB))
GONE = modified(pod("q", on="n", **WEB), pod("q", on="n", **WEB), "DELETED")
FINISHED = modified(pod("q", on="n", **WEB), pod("q", on="n", phase="Succeeded", **WEB))
RELABELLED = modified(pod("q", on="n", **WEB), pod("q", on="n", **WEB, labels={"app": "db"}))
LESS = modified(pod("q", on="n", requests={"cpu": "2"}), pod("q", on="n", requests={"cpu": "1"}))
UNPLACED_GONE = modified(pod("q"), pod("q"), "DELETED")
ADDED = modified(None, node("n"), "ADDED")
REMOVED = modified(node("n"), node("n"), "DELETED")
GROWN = modified(node("n"), node("n", cpu="8"))
SHRUNK = modified(node("n", cpu="8"), node("n"))
LABELLED = modified(node("n"), node("n", labels={"disk": "ssd"}))
UNTAINTED = modified(node("n", taints=[("a", "", "NoSchedule")]), node("n"))
UNCORDONED = modified(node("n", unschedulable=True), node("n"))
SAME = modified(node("n"), node("n"))
CHANGES = {
    "placed": PLACED,
    "gone": GONE,
    "finished": FINISHED,
    "relabelled": RELABELLED,
    "less": LESS,
    "unplaced-gone": UNPLACED_GONE,
    "added": ADDED,
    "removed": REMOVED,
    "grown": GROWN,
    "shrunk": SHRUNK,
    "labelled": LABELLED,
    "untainted": UNTAINTED,
    "uncordoned": UNCORDONED,
    "same": SAME,
}


def spread(app: str = "web", key: str = HOST, **given: Any) -> dict[str, Any]:
    """A pod with one hard constraint on pods with this label."""
    constraint = {"topologyKey": key, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule", **given}
    return {"topologySpreadConstraints": [{**constraint, "labelSelector": {"matchLabels": {"app": app}}}]}


def near(app: str, kind: str = "podAffinity", key: str = HOST, **given: Any) -> dict[str, Any]:
    """A pod with a required term about pods with this label."""
    term = {"topologyKey": key, "labelSelector": {"matchLabels": {"app": app}}, **given}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


@pytest.mark.parametrize(
    ("plugin", "given", "wakes"),
    [
        ("NodeResourcesFit", {"requests": {"cpu": "3"}}, "gone finished less added grown"),
        ("NodeResourcesFit", {"requests": {"cpu": "9"}}, "gone finished less"),
        ("NodeResourcesFit", {"requests": {"memory": "1"}}, "gone finished added"),
        ("TaintToleration", {}, "added untainted"),
        ("NodeAffinity", {"nodeSelector": {"disk": "ssd"}}, "labelled"),
        ("NodeAffinity", {}, "added"),
        ("NodeUnschedulable", {}, "added uncordoned"),
        ("NodePorts", {"ports": [("", 80)]}, "gone finished added"),
        ("NodePorts", {"ports": [("", 81)]}, "added"),
        ("NodeName", {}, "added"),
        ("PodTopologySpread", spread(), "placed gone finished relabelled added removed untainted"),
        ("PodTopologySpread", spread("db"), "relabelled added removed untainted"),
        ("PodTopologySpread", spread("none"), "added removed untainted"),
        ("PodTopologySpread", spread("none", "disk"), "labelled"),
        ("InterPodAffinity", near("web"), "placed added labelled"),
        ("InterPodAffinity", near("web", key="disk"), "placed labelled"),
        ("InterPodAffinity", near("web", "podAntiAffinity", "disk"), "gone finished relabelled labelled"),
        ("InterPodAffinity", near("db", key=ZONE), "relabelled"),
        ("InterPodAffinity", near("web", namespaces=["other"], key=ZONE), ""),
        ("InterPodAffinity", {}, ""),
    ],
)
def test_what_wakes_a_pod(plugin: str, given: dict[str, Any], wakes: str) -> None:
    assert [name for name, change in CHANGES.items() if woken(plugin, change, **given)] == wakes.split()


def test_spreading_looks_at_the_pods_own_namespace() -> None:
    elsewhere = modified(pod("q", namespace="other"), pod("q", on="n", namespace="other"))
    assert woken("PodTopologySpread", PLACED, **spread()) and not woken("PodTopologySpread", elsewhere, **spread())


def test_a_node_that_moves_to_another_domain_wakes() -> None:
    moved = modified(node("n", zone="a"), node("n", zone="b"))
    stayed = modified(node("n", zone="a"), node("n", zone="a", cpu="8"))
    given = spread("none", ZONE)
    assert woken("PodTopologySpread", moved, **given) and not woken("PodTopologySpread", stayed, **given)


def test_a_pod_that_shunned_others_wakes_them_when_it_goes() -> None:
    shy = pod(
        "q",
        on="n",
        affinity=near("db", "podAntiAffinity", namespaceSelector={"matchLabels": {"team": "a"}})["affinity"],
    )
    gone, placed = modified(shy, shy, "DELETED"), modified(evolve(shy, spec=evolve(shy.spec, node_name="")), shy)
    assert woken("InterPodAffinity", gone, labels={"app": "db"})
    assert not woken("InterPodAffinity", gone, labels={"app": "web"})
    assert not woken("InterPodAffinity", placed, labels={"app": "db"})


TOLERANT = {"tolerations": [{"key": "gpu", "operator": "Exists"}]}
GATED = {"schedulingGates": [{"name": "wait"}]}


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        ({}, {}, []),
        ({}, TOLERANT, ["own-tolerations"]),
        ({}, {"labels": {"app": "db"}}, ["own-labels"]),
        ({"requests": {"cpu": "2"}}, {"requests": {"cpu": "1"}}, ["own-requests"]),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, []),
        (GATED, {}, ["own-gates"]),
        ({}, GATED, []),
        ({}, {"affinity": APART}, []),
    ],
)
def test_what_happens_to_a_pod_itself(before: Any, after: Any, events: list[str]) -> None:
    assert list(own_events(pod("p", **before), pod("p", **after))) == events


@pytest.mark.parametrize(
    ("plugin", "before", "after", "wakes"),
    [
        ("TaintToleration", {}, TOLERANT, True),
        ("NodeUnschedulable", {}, TOLERANT, True),
        ("NodeAffinity", {}, TOLERANT, False),
        ("TaintToleration", {}, {"labels": {"app": "db"}}, False),
        ("NodeResourcesFit", {"requests": {"cpu": "2"}}, {"requests": {"cpu": "1"}}, True),
        ("NodeResourcesFit", {}, TOLERANT, False),
        ("PodTopologySpread", spread(), {**spread(), "labels": {"app": "db"}}, True),
        ("PodTopologySpread", spread(), {**spread(), **TOLERANT}, False),
        ("PodTopologySpread", spread(), {**spread(nodeTaintsPolicy="Honor"), **TOLERANT}, True),
        ("InterPodAffinity", near("web"), {**near("web"), "labels": {"app": "db"}}, False),
    ],
)
def test_a_pods_own_change_wakes_it(plugin: str, before: Any, after: Any, wakes: bool) -> None:
    new = pod("p", **after)
    view = View.of([new], memory=waits_for(plugin))
    assert list(pods_to_place(modified(pod("p", **before), new), view)) == [KEY] * wakes


def test_pods_to_place() -> None:
    view = View.of([pod("p")], memory=waits_for("NodeResourcesFit"))
    new, placed = pod("p"), pod("p", on="n")
    assert list(pods_to_place(modified(None, new, "ADDED"), view)) == [KEY]
    assert list(pods_to_place(modified(new, evolve(new, status=placed.status)), view)) == []
    assert list(pods_to_place(modified(new, new, "DELETED"), view)) == []
    assert list(pods_to_place(GONE, view)) == [KEY]
    gated = evolve(new, spec=evolve(new.spec, scheduling_gates=(PodSchedulingGate(name="wait"),)))
    assert list(pods_to_place(modified(gated, new), View.of([new]))) == [KEY]


def test_others_hear_that_a_pod_is_not_placed_after_all() -> None:
    assumed = pod("q", on="n")
    memory = {**waits_for("NodeResourcesFit"), (FORGOTTEN, "default", "q"): assumed}
    scheduler, key = Scheduler(), ("SchedulingQueue", "default", "q")
    plan = scheduler.reconcile(View.of([pod("p"), pod("q")], memory=memory), key)
    assert plan.steps == (Remember(key=(FORGOTTEN, "default", "q"), value=None), Look(key=KEY))
    itself = {**waits_for("NodeResourcesFit"), (FORGOTTEN, "default", "p"): pod("p", on="n")}
    plan = scheduler.reconcile(View.of([pod("p")], memory=itself), ("SchedulingQueue", "default", "p"))
    assert plan.steps == (Remember(key=(FORGOTTEN, "default", "p"), value=None),)
    assert scheduler.reconcile(View.of([]), key).steps == ()
