"""What a pod that fits nowhere does to pods of lower priority."""

from __future__ import annotations

from typing import Any

import pytest
from scheduler_clusters import node, pod

from k8sfsm.objects import evolve, from_json
from k8sfsm.request import Delete, Look, Outcome, Parallel, Patch, Plan, Record, Remember
from k8sfsm.scheduler import Scheduler
from k8sfsm.scheduler.attempt import Attempt
from k8sfsm.scheduler.cluster import NOMINATED
from k8sfsm.scheduler.eviction import PREEMPTING, Victim, is_evicting
from k8sfsm.scheduler.filters import Refusal
from k8sfsm.scheduler.plain import NO_NODES, Placement
from k8sfsm.scheduler.preemption import candidates_wanted
from k8sfsm.scheduler.queue import WAITING
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.scheduler import Turn
from k8sfsm.scheduler.victims import Budget, Candidate, least_harmful, violating
from k8sfsm.view import Change, View

KEY = ("Pod", "default", "p")
SECOND = 10**9
NOW = 1_700_000_000 * SECOND
WANTED = pod("p", requests={"cpu": "3"}, priority=1000)


def victim(name: str, priority: int = 0, **given: Any) -> Any:
    return pod(name, on="n", requests={"cpu": "2"}, priority=priority, **given)


def steps_of(plan: Plan, *answers: int) -> list[Any]:
    """All steps of a plan to its end; writes are answered in order with the codes, then with 200."""
    codes, done = list(answers), []
    while True:
        outcomes = []
        for step in plan.steps:
            writes = step.writes if isinstance(step, Parallel) else (step,)
            done.extend(writes)
            asked = [write for write in writes if isinstance(write, Patch | Delete)]
            outcomes.extend(Outcome(request=write, code=codes.pop(0) if codes else 200) for write in asked)
        if plan.then is None:
            assert plan.requeue_after is None
            return done
        plan = plan.then(tuple(outcomes))


def run(*objects: Any, wanted: Any = WANTED, answers: tuple[int, ...] = ()) -> list[Any]:
    view = View.of([*objects, wanted], now=NOW, memory={WAITING: True})
    plan = Scheduler().reconcile(view, KEY)
    assert plan.detached
    return steps_of(plan, *answers)


def words(steps: list[Any]) -> list[str]:
    return [
        f"{type(step).__name__} {step.key[2] if isinstance(step, Patch | Delete | Look) else ''}".strip()
        for step in steps
        if not isinstance(step, Remember)
    ]


def test_victims_are_marked_deleted_and_reported_the_last_one_alone() -> None:
    steps = run(node("n"), victim("a"), victim("b"))
    assert words(steps) == ["Record", "Patch p", "Patch a", "Delete a", "Record", "Patch b", "Delete b", "Record"]
    told = next(step for step in steps if isinstance(step, Patch))
    assert told.body["status"]["nominatedNodeName"] == "n"
    mark = next(step for step in steps if isinstance(step, Patch) and step.key[2] == "a")
    (condition,) = mark.body["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("DisruptionTarget", "True")
    assert condition["reason"] == "PreemptionByScheduler"
    assert condition["message"] == "default-scheduler: preempting to accommodate a higher priority pod"
    record = [step for step in steps if isinstance(step, Record)][-1]
    assert (record.type, record.reason) == ("Normal", "Preempted")
    assert (record.regarding.metadata.name, record.message) == ("b", "Preempted by pod uid-p on node n")
    removal = next(step for step in steps if isinstance(step, Delete))
    assert removal.grace_seconds is None
    memory = [(step.key, step.value) for step in steps if isinstance(step, Remember)]
    assert (NOMINATED, {"uid-p": "n"}) in memory
    marks = [value for key, value in memory if key == (PREEMPTING, "uid-p")]
    assert marks == [(), ("Pod", "default", "b"), None]


def test_who_is_leaving_already_is_left_alone() -> None:
    assert words(run(node("n"), victim("a", deleting=True))) == ["Record", "Patch p"]


@pytest.mark.parametrize(
    ("answers", "after"),
    [
        ((200, 404), ["Patch a"]),
        ((200, 200, 404), ["Patch a", "Delete a"]),
        ((200, 500), ["Patch a", "Look p"]),
        ((200, 200, 500), ["Patch a", "Delete a", "Look p"]),
    ],
)
def test_a_victim_that_is_gone_is_fine_and_an_error_tries_the_pod_again(answers: Any, after: list[str]) -> None:
    assert words(run(node("n"), victim("a"), answers=answers)) == ["Record", "Patch p", *after]


def test_pods_of_lower_priority_lose_their_nomination_to_the_node() -> None:
    below, above = pod("low", priority=1, nominated="n"), pod("same", priority=1000, nominated="m")
    steps = run(node("n"), victim("a"), below, above)
    patches = [step for step in steps if isinstance(step, Patch)]
    assert [patch.key[2] for patch in patches] == ["p", "low", "a"]
    assert patches[1].body["status"] == {"nominatedNodeName": None}


def test_a_preemptor_is_held_until_the_last_deletion_shows() -> None:
    mark, last = (PREEMPTING, "uid-p"), ("Pod", "default", "a")
    for value, there, held in (((), victim("a"), True), (last, victim("a"), True)):
        view = View.of([there, WANTED], memory={mark: value})
        assert is_evicting(view, WANTED) is held
        assert Scheduler().reconcile(view, KEY).steps == ()
    assert not is_evicting(View.of([victim("a", deleting=True)], memory={mark: last}), WANTED)
    assert not is_evicting(View.of([], memory={mark: last}), WANTED)
    assert not is_evicting(View.of([]), WANTED)


def test_a_nomination_reserves_room_before_the_status_shows_it() -> None:
    other = pod("other", requests={"cpu": "3"}, priority=1000)
    view = View.of([node("n"), other, WANTED], now=NOW, memory={NOMINATED: {"uid-other": "n"}, WAITING: True})
    assert not Scheduler().reconcile(view, KEY).detached
    shown = evolve(other, status=evolve(other.status, nominated_node_name="n"))
    key = ("Pod", "default", "other")
    (seen,) = Scheduler().observe(Change(1, "MODIFIED", key, other, shown), view)
    assert (seen.key, seen.value) == (NOMINATED, None)
    assert list(Scheduler().observe(Change(1, "MODIFIED", key, other, other), view)) == []


@pytest.mark.parametrize(
    ("given", "violates"),
    [
        ({}, True),
        ({"allowed": 1}, False),
        ({"namespace": "other"}, False),
        ({"selector": {}}, False),
        ({"selector": {"matchLabels": {"app": "db"}}}, False),
        ({"disrupted": {"a": "2026-01-15T12:00:00Z"}}, False),
    ],
)
def test_what_a_budget_protects(given: dict[str, Any], violates: bool) -> None:
    budget = from_json(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "b", "namespace": given.get("namespace", "default")},
            "spec": {"selector": given.get("selector", {"matchLabels": {"app": "web"}})},
            "status": {"disruptionsAllowed": given.get("allowed", 0), "disruptedPods": given.get("disrupted", {})},
        }
    )
    assert violating([victim("a")], [Budget.of(budget)]) == (violates,)


def test_a_pod_without_labels_is_not_protected() -> None:
    exists = {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}
    budget = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"namespace": "default"}}
    found = Budget.of(from_json({**budget, "spec": {"selector": exists}}))
    assert violating([victim("a", labels={})], [found]) == (False,)
    assert violating([victim("a", labels={"x": "y"})], [found]) == (True,)


def started(name: str, priority: int, at: int | None) -> Any:
    made = victim(name, priority)
    return evolve(made, status=evolve(made.status, start_time=at))


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (([("a", 5, 0)], 0), ([("b", 1, 0)], 1)),
        (([("a", 1, 0), ("a2", 1, 0)], 0), ([("b", 2, 0)], 0)),
        (([("a", 2, 0), ("a2", 0, 0)], 0), ([("b", 2, 0), ("b2", 1, 0)], 0)),
        (([("a", 2, 9), ("a2", 0, 0)], 0), ([("b", 2, 3), ("b2", 0, 5)], 0)),
        (([("a", 2, 3)], 0), ([("b", 2, 3), ("b2", -(2**31), 3)], 0)),  # the lowest priority there is adds nothing
    ],
)
def test_where_preemption_does_the_least_harm(better: Any, worse: Any) -> None:
    made = [
        Candidate(node=str(at), victims=tuple(started(*each) for each in victims), violations=violations)
        for at, (victims, violations) in enumerate((worse, better))
    ]
    assert least_harmful(made, View.of([], now=NOW)) == (made[1],)


def test_how_many_nodes_are_tried() -> None:
    assert [candidates_wanted(count) for count in (0, 50, 100, 500, 5000)] == [0, 50, 100, 100, 500]


@pytest.mark.parametrize(
    ("verdict", "nomination"),
    [
        ("no-nodes", "withdrawn"),
        ("error", "withdrawn"),
        ("ineligible", "kept"),
        ("hopeless", "withdrawn"),
        ("found", "given"),
    ],
)
def test_what_becomes_of_a_nomination(verdict: str, nomination: str) -> None:
    attempt = attempt_of(verdict)
    assert law.decide("nomination", attempt).outputs["nomination"] == nomination


def attempt_of(verdict: str) -> Attempt:
    """An attempt that ended so, by what makes it end so."""
    message = NO_NODES if verdict == "no-nodes" else "0/1 nodes are available: 1 Insufficient cpu."
    wanted = evolve(WANTED, spec=evolve(WANTED.spec, preemption_policy="Never" if verdict == "ineligible" else None))
    there = [node("n"), *([victim("a"), victim("b")] if verdict == "found" else [pod("c", on="n", priority=2000)])]
    view = View.of([*there, wanted], now=NOW)
    short = Refusal(plugin="NodeResourcesFit", code="Unschedulable", reasons=("Insufficient cpu",), rule="")
    attempt = Attempt(view, wanted, Placement(node_count=1, refusals={"n": short}, message=message), "")
    if verdict == "error":
        attempt.answer = Outcome(request=None, code=500)  # type: ignore[arg-type]
    return attempt


@pytest.mark.parametrize(
    ("given", "stage", "code", "rule", "gives_up", "then"),
    [
        ({"deleting": True}, "chosen", 200, "leaving-already", False, ()),
        ({}, "chosen", 200, "chosen", False, ("mark_victim",)),
        ({}, "marked", 200, "marked", False, ("remove_victim",)),
        ({}, "removed", 200, "removed", False, ("record_preempted",)),
        ({}, "marked", 404, "gone", False, ()),
        ({}, "removed", 404, "gone", False, ()),
        ({}, "marked", 500, "failed", True, ()),
    ],
)
def test_what_is_done_to_a_victim_next(
    given: dict[str, Any], stage: Any, code: int, rule: str, gives_up: bool, then: tuple[str, ...]
) -> None:
    outcome = Outcome(request=None, code=code)  # type: ignore[arg-type]
    case = Victim(pod=victim("a", **given), preemptor=WANTED, node="n", now=NOW, stage=stage, outcome=outcome)
    decision = law.decide("eviction", case)
    assert (decision.rule, decision.outputs["gives_up"]) == (f"Preemption/eviction/{rule}", gives_up)
    assert decision.actions == then


@pytest.mark.parametrize(
    ("given", "memory", "gate"),
    [
        ({"schedulingGates": [{"name": "wait"}]}, {}, "SchedulingGates"),
        ({}, {(PREEMPTING, "uid-p"): ()}, "DefaultPreemption"),
        ({}, {}, None),
    ],
)
def test_who_keeps_a_pod_out_of_the_queue(given: dict[str, Any], memory: dict[Any, Any], gate: str | None) -> None:
    wanted = pod("p", **given)
    turn = Turn(View.of([wanted], now=NOW, memory=memory), KEY, wanted)
    assert law.decide("pre-enqueue", turn).outputs["gate"] == gate
