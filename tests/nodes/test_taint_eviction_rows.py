"""The taint eviction controller: what a Pod's look, a node's taints, a timer and an answer come to, row by row."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.tainteviction import (
    TIMER,
    Attempt,
    PodCase,
    Sentence,
    TaintEvictionController,
    Timer,
    TimerCase,
    law,
    pod_with_other_tolerations,
)
from k8sfsm.objects import Pod, Taint, from_json
from k8sfsm.request import Delete, Look, Outcome, Patch, Record, Remember
from k8sfsm.view import Change, View

SECOND = 10**9
NOW = 1_700_000_000 * SECOND
KEY = ("Pod", "a", "p")
TAINT = Taint(key="gone", effect="NoExecute")
OTHER = Taint(key="slow", effect="NoExecute")


def pod(on: str = "n", **tolerated: int | None) -> Pod:
    tolerations: list[dict[str, Any]] = [
        {"key": key, "operator": "Exists", **({} if seconds is None else {"tolerationSeconds": seconds})}
        for key, seconds in tolerated.items()
    ]
    meta = {"namespace": "a", "name": "p", "uid": "u"}
    spec = {"nodeName": on, "tolerations": tolerations}
    found: Pod = from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    return found


def timer(since: int = 0, due: int = 60, **given: Any) -> Timer:
    return Timer(since=NOW + since * SECOND, due=NOW + due * SECOND, **{"tries": 5, **given})


@pytest.mark.parametrize(
    ("subject", "taints", "rule"),
    [
        (None, (TAINT,), "gone"),
        (None, (), "gone"),
        (pod(on=""), (TAINT,), "unplaced"),
        (pod(), (), "untainted"),
        (pod(), (TAINT,), "tainted"),
    ],
)
def test_a_pod_that_changed(subject: Pod | None, taints: tuple[Taint, ...], rule: str) -> None:
    memory = {("taints", "n"): taints, ("taints", ""): taints, (TIMER, "a", "p"): timer(-5)}
    view = View.of([subject] if subject is not None else [], now=NOW, memory=memory)
    decision = law.decide("pod", PodCase(KEY, subject, view))
    assert decision.rule == f"TaintEviction/pod/{rule}"
    done = {"gone": ("cancel_timer",), "tainted": ("judge",)}
    assert decision.actions == done.get(rule, ())


@pytest.mark.parametrize(
    ("type", "old", "new", "remembered", "looks"),
    [
        ("ADDED", None, pod(), {("taints", "n"): (TAINT,)}, True),
        ("ADDED", None, pod(), {("taints", "m"): (TAINT,)}, False),
        ("ADDED", None, pod(), {}, False),
        ("ADDED", None, pod(on=""), {("taints", ""): (TAINT,)}, False),
        ("MODIFIED", pod(on=""), pod(), {("taints", "n"): (TAINT,)}, True),
        ("MODIFIED", pod(), pod(gone=5), {("taints", "n"): (TAINT,)}, True),
        ("MODIFIED", pod(), pod(), {("taints", "n"): (TAINT,)}, False),
        ("DELETED", pod(), pod(), {(TIMER, "a", "p"): timer()}, True),
        ("DELETED", pod(), pod(), {}, False),
    ],
)
def test_a_pod_is_looked_at_where_that_can_come_to_anything(
    type: Any, old: Pod | None, new: Pod, remembered: dict[Any, Any], looks: bool
) -> None:
    view = View.of([new] if type != "DELETED" else [], now=NOW, memory=remembered)
    assert pod_with_other_tolerations(Change(9, type, KEY, old, new), view) == ((KEY,) if looks else ())
    if not looks and old is None:
        assert not TaintEvictionController().reconcile(view, KEY).steps


@pytest.mark.parametrize(
    ("subject", "taints", "running", "rule", "then"),
    [
        (pod(), (), None, "untainted", ("cancel_timer",)),
        (pod(), (), timer(-5), "untainted", ("cancel_timer",)),
        (pod(slow=None), (TAINT,), timer(-5), "untolerated", ("cancel_timer", "delete_now")),
        (pod(gone=None), (TAINT,), timer(-5), "for-ever", ("cancel_timer",)),
        (pod(gone=30), (TAINT,), timer(-5), "runs", ()),
        (pod(gone=3), (TAINT,), timer(-5), "runs", ()),
        (pod(gone=30), (TAINT,), timer(0), "restart", ("cancel_timer", "start_timer")),
        (pod(gone=30), (TAINT,), None, "start", ("start_timer",)),
        (pod(gone=30), (TAINT,), timer(-5, done=True), "start", ("start_timer",)),
        (pod(gone=30, slow=None), (TAINT, OTHER), None, "start", ("start_timer",)),
    ],
)
def test_what_taints_mean_for_a_pod(
    subject: Pod, taints: tuple[Taint, ...], running: Timer | None, rule: str, then: tuple[str, ...]
) -> None:
    decision = law.decide("verdict", Sentence(subject, taints, running, NOW))
    assert (decision.rule, decision.actions) == (f"TaintEviction/verdict/{rule}", then)


@pytest.mark.parametrize(
    ("given", "after"),
    [
        ({"gone": 30, "slow": 50}, 30),
        ({"gone": 50, "slow": None}, 50),
        ({"gone": -3, "slow": 50}, 0),
        ({"slow": 50}, 0),
    ],
)
def test_the_shortest_toleration_says_when(given: dict[str, int | None], after: int) -> None:
    node = from_json(
        {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": "n"},
            "spec": {"taints": [{"key": each.key, "effect": each.effect} for each in (TAINT, OTHER)]},
        }
    )
    plan = TaintEvictionController().reconcile(View.of([node, pod(**given)], now=NOW), ("Node", "", "n"))
    kept, remembered, look = plan.steps
    assert isinstance(kept, Remember) and kept.value == (TAINT, OTHER)
    assert isinstance(remembered, Remember) and remembered.value == timer(0, after)
    assert isinstance(look, Look) and look.key == (TIMER, "a", "p")


@pytest.mark.parametrize(
    ("running", "looked", "cancelled"),
    [
        (None, "none", "none"),
        (timer(), "new", "running"),
        (timer(armed=True), "early", "running"),
        (timer(-60, 0, armed=True), "due", "running"),
        (timer(-60, 0, armed=True, done=True), "done", "done"),
    ],
)
def test_a_timer_that_is_looked_at_or_cancelled(running: Timer | None, looked: str, cancelled: str) -> None:
    case = TimerCase((TIMER, "a", "p"), running, NOW)
    assert law.decide("timer", case).rule == f"TaintEviction/timer/{looked}"
    decision = law.decide("cancel", case)
    assert decision.rule == f"TaintEviction/cancel/{cancelled}"
    done = {"running": ("forget_timer", "announce_cancelled"), "done": ("forget_timer",)}
    assert decision.actions == done.get(cancelled, ())


@pytest.mark.parametrize(
    ("codes", "tries", "rule", "go_on"),
    [
        ((200, 200), 0, "deleted", "done"),
        ((200, 200), 4, "deleted", "done"),
        ((200, 500), 4, "again", "again"),
        ((500,), 1, "again", "again"),
        ((200, 500), 0, "failed", "forget"),
    ],
)
def test_what_the_answers_to_a_deletion_come_to(codes: tuple[int, ...], tries: int, rule: str, go_on: str) -> None:
    outcomes = tuple(Outcome(request=None, code=code) for code in codes)  # type: ignore[arg-type]
    decision = law.decide("deletion", Attempt(outcomes, tries))
    assert (decision.rule, decision.outputs["go_on"]) == (f"TaintEviction/deletion/{rule}", go_on)


def test_a_deletion_is_tried_five_times_and_announced_once() -> None:
    memory: dict[Any, Any] = {(TIMER, "a", "p"): timer(-60, 0, armed=True)}
    announced, waits = 0, []
    while memory[TIMER, "a", "p"] is not None:
        view = View.of([pod()], now=NOW, memory=memory)
        plan = TaintEvictionController().reconcile(view, (TIMER, "a", "p"))
        announced += sum(isinstance(step, Record) for step in plan.steps)
        writes = [step for step in plan.steps if isinstance(step, Patch | Delete)]
        assert [type(write) for write in writes] == [Patch, Delete] and plan.then is not None
        end = plan.then(tuple(Outcome(request=write, code=500) for write in writes))
        (left,) = end.steps
        assert isinstance(left, Remember)
        memory[left.key] = left.value
        waits.append(end.requeue_after)
    assert (announced, waits) == (1, [10_000_000] * 4 + [None])
