"""What the scheduler orders, and what wakes pods that wait."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve
from scheduler_clusters import node, pod

from k8sfsm.objects import PodSchedulingGate, from_json, to_json
from k8sfsm.request import Bind, Outcome, Patch, Plan, Record, Remember
from k8sfsm.scheduler import Scheduler
from k8sfsm.scheduler.attempt import NOTE_LIMIT
from k8sfsm.scheduler.cluster import ASSUMED
from k8sfsm.scheduler.plain import START
from k8sfsm.scheduler.queue import WAITING, Waiting
from k8sfsm.view import Change, View

KEY = ("Pod", "default", "p")
NOW = 1_700_000_000_000_000_000


def run(wanted: Any, *objects: Any, memory: Any = None, scheduler: Scheduler | None = None) -> Plan:
    view = View.of([*objects, wanted], now=NOW, memory={WAITING: True, **(memory or {})})
    return (scheduler or Scheduler()).reconcile(view, KEY)


def test_a_pod_is_assumed_bound_and_reported() -> None:
    wanted = pod("p")
    plan = run(wanted, node("n"))
    assume, bind = plan.steps
    assert isinstance(assume, Remember) and (assume.key, assume.value) == ((ASSUMED, "uid-p"), "n")
    assert isinstance(bind, Bind) and (bind.key, bind.uid, bind.node) == (KEY, "uid-p", "n")
    assert bind.why is not None and bind.why.rule == "Placement/outcome/placed"
    assert plan.detached and plan.then is not None
    (record,) = plan.then((Outcome(request=bind, code=201),)).steps
    assert isinstance(record, Record)
    assert (record.type, record.reason) == ("Normal", "Scheduled")
    assert record.message == "Successfully assigned default/p to n"
    assert record.why is not None and record.why.rule == "Placement/binding/bound"


def test_a_refused_binding_is_forgotten_and_reported() -> None:
    plan = run(pod("p"), node("n"))
    assert plan.then is not None and isinstance(plan.steps[1], Bind)
    after = plan.then((Outcome(request=plan.steps[1], code=409, reason="Conflict", message="already assigned"),))
    forget, _, others, wait, again, record, patch = after.steps
    text = 'running Bind plugin "DefaultBinder": already assigned'
    assert [step.key for step in (others, again)] == [("SchedulingQueue", "default", "p"), KEY]  # type: ignore[union-attr]
    assert isinstance(wait, Remember) and wait.value.errors == 1
    assert isinstance(forget, Remember) and (forget.key, forget.value) == ((ASSUMED, "uid-p"), None)
    assert isinstance(record, Record) and (record.reason, record.message) == ("FailedScheduling", text)
    assert isinstance(patch, Patch) and patch.body["status"]["conditions"][0]["reason"] == "SchedulerError"


def test_a_pod_that_fits_nowhere_waits_and_tells() -> None:
    plan = run(pod("p", requests={"cpu": "9"}), node("n"))
    wait, record, patch = plan.steps
    text = (
        "0/1 nodes are available: 1 Insufficient cpu. no new claims to deallocate, "
        "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    assert isinstance(wait, Remember) and wait.key == (WAITING, "uid-p")
    assert wait.value == Waiting(key=KEY, plugins=("NodeResourcesFit",), since=NOW, attempts=1)
    assert isinstance(record, Record)
    assert (record.type, record.reason, record.message) == ("Warning", "FailedScheduling", text)
    assert isinstance(patch, Patch) and (patch.subresource, patch.type) == ("status", "strategic")
    (condition,) = patch.body["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert condition["message"] == text
    assert condition["lastTransitionTime"] == "2023-11-14T22:13:20Z"


def test_the_first_pod_that_waits_leaves_a_mark() -> None:
    view = View.of([pod("p", requests={"cpu": "9"}), node("n")], now=NOW)
    wait, mark, *_ = Scheduler().reconcile(view, KEY).steps
    assert isinstance(wait, Remember) and wait.key == (WAITING, "uid-p")
    assert isinstance(mark, Remember) and (mark.key, mark.value) == (WAITING, True)


def test_what_is_told_is_not_written_again() -> None:
    wanted = pod("p", requests={"cpu": "9"})
    first = run(wanted, node("n"))
    assert isinstance(first.steps[2], Patch)
    (condition,) = first.steps[2].body["status"]["conditions"]
    told = from_json({**to_json(wanted), "status": {"phase": "Pending", "conditions": [condition]}})
    assert isinstance(first.steps[0], Remember)
    again = run(told, node("n"), memory={first.steps[0].key: first.steps[0].value})
    assert [type(step) for step in again.steps] == [Remember, Record]
    assert isinstance(again.steps[0], Remember) and again.steps[0].value.attempts == 2
    nominated = evolve(told, status=evolve(told.status, nominated_node_name="gone"))
    patch = run(nominated, node("n")).steps[-1]
    assert isinstance(patch, Patch) and patch.body["status"]["nominatedNodeName"] is None


def starts(plan: Plan) -> list[int]:
    return [step.value for step in plan.steps if isinstance(step, Remember) and step.key == START]


def test_the_next_search_starts_where_this_one_ended() -> None:
    """In a search narrowed to a named node only that node counts as looked at, as it does upstream."""
    assert starts(run(pod("p"), *(node(f"n{number}") for number in range(130)))) == [100]
    assert starts(run(pod("p"), node("a"), node("b"))) == []
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}
    wanted = pod("p", affinity=affinity, requests={"cpu": "9"})
    plan = run(wanted, node("a"), node("b"))
    assert starts(plan) == [1]
    patch = plan.steps[-1]
    assert isinstance(patch, Patch)
    told = from_json({**to_json(wanted), "status": patch.body["status"]})
    assert starts(run(told, node("a"), node("b"))) == [1]


def test_without_nodes_there_is_no_talk_of_preemption() -> None:
    record = run(pod("p")).steps[1]
    assert isinstance(record, Record) and record.message == "no nodes available to schedule pods"


def test_long_messages_are_cut_in_events_only() -> None:
    gpus = {f"example.com/some-long-resource-name-{number:02}": "1" for number in range(40)}
    record, patch = run(pod("p", requests=gpus), node("n")).steps[1:]
    assert isinstance(record, Record) and len(record.message) == NOTE_LIMIT and record.message.endswith(" ...")
    assert isinstance(patch, Patch) and len(patch.body["status"]["conditions"][0]["message"]) > NOTE_LIMIT


def test_waiting_ends_with_placing() -> None:
    waiting = Waiting(key=KEY, plugins=("NodeResourcesFit",), since=0, attempts=1)
    plan = run(pod("p"), node("n"), memory={(WAITING, "uid-p"): waiting, WAITING: True})
    assert [step.key for step in plan.steps if isinstance(step, Remember)] == [(ASSUMED, "uid-p"), (WAITING, "uid-p")]


def test_assumed_pods_take_room() -> None:
    first = pod("first", requests={"cpu": "3"})
    wanted = pod("p", requests={"cpu": "2"})
    memory = {(ASSUMED, "uid-first"): "n"}
    for fast in (True, False):
        plan = run(wanted, node("n"), first, memory=memory, scheduler=Scheduler(fast=fast))
        assert not any(isinstance(step, Bind) for step in plan.steps)


def test_the_choice_among_equals_is_the_policys() -> None:
    seen: list[tuple[str, ...]] = []

    def last(candidates: Sequence[str], wanted: Any) -> str:
        seen.append(tuple(candidates))
        return candidates[-1]

    plan = run(pod("p"), node("a"), node("b"), node("c"), scheduler=Scheduler(choose=last))
    assert seen == [("a", "b", "c")]
    assert isinstance(plan.steps[1], Bind) and plan.steps[1].node == "c"
    first = run(pod("p"), node("a"), node("b"))
    assert isinstance(first.steps[1], Bind) and first.steps[1].node == "a"


GATED = evolve(pod("p"), spec=evolve(pod("p").spec, scheduling_gates=(PodSchedulingGate(name="g"),)))


@pytest.mark.parametrize(
    ("wanted", "memory"),
    [
        (pod("other"), {}),
        (pod("p", on="n"), {}),
        (pod("p", phase="Failed"), {}),
        (pod("p", schedulerName="mine"), {}),
        (pod("p"), {(ASSUMED, "uid-p"): "n"}),
        (GATED, {}),
    ],
)
def test_pods_that_are_not_to_be_placed(wanted: Any, memory: Any) -> None:
    assert run(wanted, node("n"), memory=memory).steps == ()


def test_unknown_pods_are_passed_over() -> None:
    assert Scheduler().reconcile(View.of([node("n")]), KEY).steps == ()


def test_pods_under_deletion_are_skipped() -> None:
    (record,) = run(pod("p", deleting=True), node("n")).steps
    assert isinstance(record, Record) and record.message == "skip schedule deleting pod: default/p"


def modified(old: Any, new: Any, type: Any = "MODIFIED") -> Change:
    key = (new.kind, new.metadata.namespace, new.metadata.name)
    return Change(1, type, key, old, new)


def test_what_is_seen_bound_or_gone_is_forgotten() -> None:
    memory = {(ASSUMED, "uid-p"): "n", (WAITING, "uid-p"): object(), WAITING: True}
    view = View.of([], memory=memory)
    scheduler = Scheduler()
    for change in (modified(pod("p"), pod("p", on="n")), modified(pod("p"), pod("p"), "DELETED")):
        assert [step.key for step in scheduler.observe(change, view)] == list(memory)[:2]
    assert list(scheduler.observe(modified(pod("p"), pod("p")), view)) == []
    assert list(scheduler.observe(modified(None, node("n")), view)) == []


def test_decide_tells_everything() -> None:
    view = View.of([node("n"), node("m", unschedulable=True)])
    placement = Scheduler().decide(view, pod("p"))
    assert placement.best == ("n",) and placement.totals["n"] == sum(placement.scores["n"].values())
    assert placement.refusals["m"].rule == "Placement/filter/unschedulable"
