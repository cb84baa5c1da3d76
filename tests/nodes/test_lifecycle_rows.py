"""The node lifecycle controller's small tables, each row from its side: heartbeats, conditions, taints, labels."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.nodeipam import Sync
from k8sfsm.controllers.nodeipam import law as ipam
from k8sfsm.controllers.nodelifecycle.controller import HEALTH, placed_pod
from k8sfsm.controllers.nodelifecycle.health import Checkup, Health, LifecycleSettings, Suspect, law
from k8sfsm.controllers.nodelifecycle.rounds import NodeCase, Placed, Round, Seen
from k8sfsm.controllers.nodelifecycle.taints import NOT_READY, UNREACHABLE, Answered, LabelPair, Mark
from k8sfsm.objects import NodeCondition, Pod, PodSpec, Taint, from_json
from k8sfsm.request import Outcome
from k8sfsm.view import Change, View

SECOND = 10**9
NOW = 1_700_000_000 * SECOND


def node(ready: str | None = "True", *taints: str, beat: int = 0) -> Any:
    at = f"2023-11-14T22:13:{beat:02}Z"
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": at}] if ready else []
    marks = [{"key": key, "effect": "NoExecute"} for key in taints]
    meta = {"name": "n", "creationTimestamp": "2023-11-14T22:00:00Z"}
    document = {"apiVersion": "v1", "kind": "Node", "metadata": meta}
    return from_json({**document, "spec": {"taints": marks}, "status": {"conditions": conditions}})


def kept(ready: str = "True", beat: int = 0, renewed: int | None = None) -> Health:
    heartbeat = node("True", beat=beat).status.conditions[0].last_heartbeat_time
    return Health(node=node(), heard=NOW - 30 * SECOND, ready=ready, heartbeat=heartbeat, renewed=renewed)


CREATED = 1_699_999_200 * SECOND
KEPT = NOW - 30 * SECOND


@pytest.mark.parametrize(
    ("subject", "saved", "renewed", "rule", "heard"),
    [
        (node(), kept(renewed=5), 6, "renewed", NOW),
        (node(), kept(), 6, "renewed", NOW),
        (node(None), None, None, "never-posted", CREATED),
        (node(None), kept(""), None, "not-posted", KEPT),
        (node(None), kept(), None, "not-posted", KEPT),
        (node(), None, None, "first-posted", NOW),
        (node(), kept(""), None, "first-posted", NOW),
        (node(beat=0), kept("", beat=0), None, "first-posted", NOW),
        (node(beat=9), kept(beat=0), None, "posted", NOW),
        (node(beat=0), kept(beat=0), None, "silent", KEPT),
        (node(beat=0), kept(beat=0, renewed=6), 6, "silent", KEPT),
    ],
)
def test_when_a_node_was_last_heard_from(
    subject: Any, saved: Health | None, renewed: int | None, rule: str, heard: int
) -> None:
    case = Checkup(node=subject, saved=saved, renewed=renewed, now=NOW, settings=LifecycleSettings())
    assert law.decide("heartbeat", case).rule == f"NodeLifecycle/heartbeat/{rule}"
    assert case.heard == heard


@pytest.mark.parametrize(
    ("status", "rule", "becomes", "reason", "message"),
    [
        (None, "never-updated", "added", "NodeStatusNeverUpdated", "Kubelet never posted node status."),
        ("Unknown", "known", "kept", "", ""),
        ("True", "unknown", "unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
        ("False", "unknown", "unknown", "NodeStatusUnknown", "Kubelet stopped posting node status."),
    ],
)
def test_conditions_of_a_lost_node(status: Any, rule: str, becomes: str, reason: str, message: str) -> None:
    known = None if status is None else NodeCondition(type="Ready", status=status, reason="Was")
    case = Suspect(node=node(), kind="Ready", known=known, second=NOW)
    decision = law.decide("lost-condition", case)
    assert decision.rule == f"NodeLifecycle/lost-condition/{rule}"
    assert decision.outputs == {"becomes": becomes, "reason": reason, "message": message}
    found = case.condition()
    assert found.status == "Unknown" and (found.reason, found.message) == (reason or "Was", message)
    assert (found.last_transition_time == NOW) is (rule != "known")


def looked_at(subject: Any, was_ready: bool = True, retry: bool = False) -> NodeCase:
    nothing = Round(view=View.of([], now=NOW), settings=LifecycleSettings(), zones={})
    return NodeCase(seen=Seen(node=subject, was_ready=was_ready, retry=retry), round=nothing)


@pytest.mark.parametrize(
    ("subject", "rule", "then"),
    [
        (node("True", UNREACHABLE), "reachable", ("untaint", "leave_queue")),
        (node("False", UNREACHABLE), "now-answering", ("swap_to_not_ready",)),
        (node("Unknown", NOT_READY), "now-silent", ("swap_to_unreachable",)),
        (node("False", NOT_READY), "marked-not-ready", ("join_queue",)),
        (node("Unknown", UNREACHABLE), "marked-unreachable", ("join_queue",)),
        (node("False"), "not-ready", ("leave_queue", "join_queue")),
        (node("Unknown"), "not-ready", ("leave_queue", "join_queue")),
        (node("False", UNREACHABLE, NOT_READY), "now-answering", ("swap_to_not_ready",)),
        (node(None, NOT_READY), "unposted", ()),
    ],
)
def test_what_a_round_does_about_no_execute_taints(subject: Any, rule: str, then: tuple[str, ...]) -> None:
    decision = law.decide("no-execute", looked_at(subject))
    assert (decision.rule, decision.actions) == (f"NodeLifecycle/no-execute/{rule}", then)


@pytest.mark.parametrize(
    ("ready", "was_ready", "retry", "rule"),
    [
        ("True", True, True, "ready"),
        (None, True, False, "ready"),
        ("Unknown", True, False, "lost"),
        ("False", True, True, "lost"),
        ("Unknown", False, True, "retry"),
        ("Unknown", False, False, "lost-before"),
    ],
)
def test_what_a_round_does_about_a_nodes_pods(ready: Any, was_ready: bool, retry: bool, rule: str) -> None:
    decision = law.decide("turned", looked_at(node(ready), was_ready, retry))
    marks = {"lost": ("announce_not_ready", "mark_pods_not_ready"), "retry": ("mark_pods_not_ready",)}
    assert (decision.rule, decision.actions) == (f"NodeLifecycle/turned/{rule}", marks.get(rule, ()))


@pytest.mark.parametrize(
    ("health", "rule"),
    [
        (None, "unseen"),
        (kept("True"), "on-ready"),
        (kept(""), "on-ready"),
        (kept("False"), "on-lost"),
        (kept("Unknown"), "on-lost"),
    ],
)
def test_a_pod_that_comes_to_a_lost_node_is_marked(health: Health | None, rule: str) -> None:
    case = Placed(Pod(), health, looked_at(node()).round)
    decision = law.decide("placed-pod", case)
    assert decision.rule == f"NodeLifecycle/placed-pod/{rule}"
    assert decision.actions == (("mark_pods_not_ready",) if rule == "on-lost" else ())
    placed, key = Pod(spec=PodSpec(node_name="n")), ("Pod", "a", "p")
    view = View.of([], now=NOW, memory={HEALTH: {"n": health} if health is not None else {}})
    for change in (Change(9, "ADDED", key, None, placed), Change(9, "MODIFIED", key, Pod(), placed)):
        assert placed_pod(change, view) == ((key,) if rule == "on-lost" else ())
    assert placed_pod(Change(9, "MODIFIED", key, placed, placed), view) == ()


@pytest.mark.parametrize(
    ("wanted", "there", "change"),
    [(True, False, "add"), (True, True, "none"), (False, True, "remove"), (False, False, "none")],
)
def test_what_is_done_about_a_taint(wanted: bool, there: bool, change: str) -> None:
    mark = Mark(Taint(key=NOT_READY, effect="NoSchedule"), wanted, there)
    assert law.decide("taint-diff", mark).outputs["change"] == change


@pytest.mark.parametrize(
    ("given", "old", "copied"),
    [(None, None, False), (None, "linux", False), ("linux", "linux", False), ("linux", None, True)],
)
def test_old_labels_follow_new_ones(given: str | None, old: str | None, copied: bool) -> None:
    assert law.decide("label", LabelPair(given, old)).outputs["copied"] is copied


@pytest.mark.parametrize(
    ("code", "tries", "go_on"),
    [
        (200, 0, "next"),
        (201, 3, "next"),
        (409, 1, "again"),
        (409, 0, "give-up"),
        (500, 3, "give-up"),
        (404, 3, "give-up"),
    ],
)
def test_how_a_write_goes_on(code: int, tries: int, go_on: str) -> None:
    outcome = Outcome(request=None, code=code)  # type: ignore[arg-type]
    assert law.decide("answer", Answered(outcome, tries)).outputs["go_on"] == go_on


@pytest.mark.parametrize(
    ("subject", "free", "rule", "again"),
    [
        (None, "10.244.0.0/24", "gone", False),
        ("10.244.3.0/24", "10.244.0.0/24", "given", False),
        ("10.244.3.0/24", None, "given", False),
        ("", "10.244.0.0/24", "allocate", False),
        ("", None, "exhausted", True),
    ],
)
def test_the_network_of_a_node(subject: str | None, free: str | None, rule: str, again: bool) -> None:
    there = None
    if subject is not None:
        spec = {"podCIDR": subject, "podCIDRs": [subject]} if subject else {}
        there = from_json({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}, "spec": spec})
    decision = ipam.decide("network", Sync(there, free))
    assert (decision.rule, decision.outputs["again"]) == (f"NodeIPAM/network/{rule}", again)
