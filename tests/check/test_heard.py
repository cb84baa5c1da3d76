"""Kubelets that have fallen silent are named, with what they owe, and whether the node controller has noticed."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from k8sfsm.objects import Node, NodeCondition, NodeStatus, ObjectMeta
from k8sfsm.objects.durations import SECOND
from k8sfsm.store import Store
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import EnvironmentFact, RecordedWrite, Recording
from k8sfsm.verify.check.check import check
from k8sfsm.verify.check.heard import Heard, Owing, law
from tests.check.forging import recording


def node(ready: str = "True") -> Node:
    """A node in a condition."""
    return Node(
        metadata=ObjectMeta(name="n"), status=NodeStatus(conditions=(NodeCondition(type="Ready", status=ready),))
    )


@pytest.mark.parametrize(
    ("owed", "waited", "there", "stopped", "row"),
    [
        ("lease", 90, True, False, "lease"),
        ("report", 90, True, False, "report"),
        ("end", 90, True, False, "end"),
        ("lease", 30, True, False, "in-time"),
        ("lease", 90, True, True, "stopped"),
        ("lease", 90, False, False, "node-gone"),
    ],
)
def test_what_a_silent_kubelet_owes(owed: Any, waited: int, there: bool, stopped: bool, row: str) -> None:
    decision = law.decide("silence", Owing(owed, waited * SECOND, node() if there else None, stopped))
    assert decision.rule == f"Check/silence/{row}"
    assert decision.outputs["undone"] is (row == owed) is bool(decision.outputs["says"])
    assert str(decision.outputs["rule"]).startswith("kubelet/") is (row == owed)


def undone(history: Recording) -> list[str]:
    """What is said of kubelets."""
    return [str(each) for each in check(history).undone if each.actor == "kubelet"]


def ending_after(history: Recording, seconds: int) -> Recording:
    """The history, followed for longer."""
    return evolve(history, end=(history.writes[-1].time) + seconds * SECOND)


def without_reports(history: Recording) -> Recording:
    """The history as if kubelets had done nothing, and nobody had stopped them."""
    left = tuple(w for w in history.writes if w.actor != "kubelet" and w.key[0] != "Event")
    return evolve(history, writes=left, environment=(), final=None)


def test_a_pod_that_is_never_reported() -> None:
    history = without_reports(recording("01-deploy-create"))
    assert undone(ending_after(history, 20)) == []
    said = undone(ending_after(history, 120))
    assert len(said) == 3 and all("has reported nothing of a pod" in each for each in said)
    assert all("the node controller has not found the node lost" in each for each in said)


def test_a_lease_that_is_not_renewed_any_more() -> None:
    heard, snapshot = Heard(), Store.starting_at(0).put(node())[0].snapshot
    lease = RecordedWrite(
        line=Line("a"), request=1, time=0, actor="kubelet", node="n", verb="update", code=200, type="MODIFIED",
        key=("Lease", "kube-node-lease", "n"),
    )  # fmt: skip
    for at in (10, 20, 30):
        heard.take(evolve(lease, time=at * SECOND))
    assert not list(heard.left(snapshot, 60 * SECOND, ()))
    said = [str(each) for each in heard.left(snapshot, 100 * SECOND, ())]
    assert len(said) == 1 and "the kubelet of n has not renewed its lease for 70 s" in said[0]
    lost = Store.starting_at(0).put(node("Unknown"))[0].snapshot
    assert "the node controller has found the node lost" in str(next(heard.left(lost, 100 * SECOND, ())))


def test_a_stop_that_is_told_leaves_nothing_undone() -> None:
    history = ending_after(without_reports(recording("01-deploy-create")), 120)
    nodes = [document.key[2] for document in history.initial if document.key[0] == "Node"]
    stops = tuple(
        EnvironmentFact(line=Line("a"), time=history.start or 0, event="kubelet-killed", node=name) for name in nodes
    )
    assert undone(evolve(history, environment=stops)) == []
    inferred = tuple(evolve(stop, source="status") for stop in stops)
    assert len(undone(evolve(history, environment=inferred))) == 3
