"""What follows from a precedent is what the tables order; who is not like the pod of the precedent is asked about."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from scheduler_clusters import node, pod

from k8sfsm.law import amended
from k8sfsm.request import Outcome, Plan
from k8sfsm.scheduler import Scheduler
from k8sfsm.scheduler.cluster import ASSUMED
from k8sfsm.scheduler.eviction import PREEMPTING
from k8sfsm.scheduler.plain import START
from k8sfsm.scheduler.precedent import Precedents
from k8sfsm.scheduler.queue import WAITING, Waiting
from k8sfsm.scheduler.rules import law
from k8sfsm.spec.amendment import Amendment
from k8sfsm.view import View

KEY = ("Pod", "default", "p")
NODES = (node("a"), node("b"))


def plan_of(scheduler: Scheduler, wanted: Any, memory: Any = None) -> Plan:
    view = View.of([*NODES, wanted], memory=memory or {})
    return scheduler.reconcile(view, ("Pod", "default", wanted.metadata.name))


def seasoned(scheduler: Scheduler | None = None) -> Scheduler:
    """A scheduler that has placed and bound pods."""
    scheduler = scheduler or Scheduler()
    for name in ("first", "second"):
        plan = plan_of(scheduler, pod(name))
        assert plan.then is not None
        plan.then((Outcome(request=plan.steps[-1], code=201),))  # type: ignore[arg-type]
    return scheduler


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """No table may be asked."""
    monkeypatch.setattr("k8sfsm.scheduler.precedent._CHECKED", False)
    monkeypatch.setattr(law, "_tables", {})
    monkeypatch.setattr(law, "_files", lambda: pytest.fail("a table was asked"))


def test_the_next_pod_is_placed_and_bound_without_a_question(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, scheduler, wanted = plan_of(Scheduler(fast=False), pod("p")), seasoned(), pod("p")
    scheduler.cache = None
    attempt = scheduler._attempt(View.of([*NODES, wanted]), wanted)
    monkeypatch.setattr(scheduler, "_attempt", lambda view, pod: attempt)
    forbid(monkeypatch)
    plan = plan_of(scheduler, wanted)
    assert plan.steps == plain.steps and plan.then is not None and plain.then is not None
    outcomes = (Outcome(request=plan.steps[-1], code=201),)  # type: ignore[arg-type]
    bound = plan.then(outcomes)
    monkeypatch.undo()
    assert bound == plain.then(outcomes)


WAITED = Waiting(key=KEY, plugins=(), since=0, attempts=1)


@pytest.mark.parametrize(
    ("wanted", "memory"),
    [
        (pod("p"), {(ASSUMED, "uid-p"): "a"}),
        (pod("p"), {WAITING: True, (WAITING, "uid-p"): WAITED}),
        (pod("p"), {WAITING: True, (PREEMPTING, "uid-p"): ()}),
        (pod("p"), {WAITING: True}),
        (pod("p"), {START: 1}),
        (pod("p", on="a"), {}),
        (pod("p", deleting=True), {}),
        (pod("p", phase="Failed"), {}),
        (pod("p", schedulingGates=[{"name": "gate"}]), {}),
        (evolve(pod("p"), spec=evolve(pod("p").spec, scheduler_name="other")), {}),
        (pod("p", requests={"cpu": "9"}), {}),
    ],
)
def test_precedents_make_no_difference(wanted: Any, memory: Any) -> None:
    assert plan_of(seasoned(), wanted, memory).steps == plan_of(Scheduler(), wanted, memory).steps


def amendment(table: str, rule: str, actions: tuple[str, ...]) -> Amendment:
    return Amendment("scheduler/controller.yaml", ("tables", table, "rules", rule, "then"), actions)


def test_amended_tables_set_precedents_of_their_own() -> None:
    scheduler = seasoned()
    with amended([amendment("outcome", "placed", ("bind",)), amendment("binding", "bound", ())]):
        for name in ("third", "fourth"):
            plan = plan_of(scheduler, pod(name))
            (bind,) = plan.steps
            assert plan.then is not None and plan.then((Outcome(request=bind, code=201),)).steps == ()  # type: ignore[arg-type]
    assert plan_of(scheduler, pod("p")).steps == plan_of(Scheduler(), pod("p")).steps


def test_a_table_that_asks_more_sets_no_precedent() -> None:
    precedents, wanted = Precedents(), pod("p")
    view = View.of([*NODES, wanted])
    decision = law.decide("outcome", Scheduler()._attempt(view, wanted))
    precedents.admitted(decision, wanted)  # it asked of nodes, which `admits` does not look at
    assert not precedents.admits(view, wanted)
