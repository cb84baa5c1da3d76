# ruff: noqa: E501 (a case is a line)
"""Events go by themselves, an hour after they were last written."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.controllers.eventexpiry import ROUND, EventExpiry, Kept
from k8sfsm.engine.standard import standard_engine
from k8sfsm.law import usable
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import Namespace, ObjectMeta, from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Update
from k8sfsm.view import View

HOUR = 3600 * SECOND
EARLY, LATE = "2026-01-01T00:00:00Z", "2026-01-01T00:30:00Z"
START = 1_767_225_600 * SECOND


def event(api: str = "v1", name: str = "e", **fields: Any) -> Any:
    meta = {"name": name, "namespace": "a", "creationTimestamp": EARLY, "resourceVersion": "7"}
    return from_json({"apiVersion": api, "kind": "Event", "metadata": meta, **fields})


@pytest.mark.parametrize(
    ("seen", "due"),
    [
        (event(), START + HOUR),
        (event(lastTimestamp=LATE), START + HOUR + HOUR // 2),
        (event(lastTimestamp=EARLY, series={"count": 2, "lastObservedTime": "2026-01-01T00:30:00.000000Z"}), START + 3 * HOUR // 2),
        (event("events.k8s.io/v1", deprecatedLastTimestamp=LATE), START + 3 * HOUR // 2),
        (event("events.k8s.io/v1", series={"count": 2, "lastObservedTime": LATE}), START + 3 * HOUR // 2),
        (event("events.k8s.io/v1"), START + HOUR),
    ],
)  # fmt: skip
def test_every_write_starts_the_hour_anew(seen: Any, due: int) -> None:
    assert Kept(seen, 0).due == due


def plan(now: int, *events: Any) -> Any:
    return EventExpiry().reconcile(View.of(events, now=now), ROUND)


def test_what_is_due_goes_and_the_next_is_waited_for() -> None:
    assert usable("eventexpiry") == ()
    both = (event(), event(name="f", lastTimestamp=LATE))
    before = plan(START, *both)
    assert before.steps == () and before.requeue_after == HOUR and before.periodic
    at = plan(START + HOUR, *both)
    assert [type(step) for step in at.steps] == [Delete]
    assert at.steps[0].key == ("Event", "a", "e") and at.steps[0].resource_version == "7"
    assert at.then(()).requeue_after == HOUR // 2
    assert plan(START + HOUR - SECOND, event()).requeue_after == 60 * SECOND, "leases are that coarse"
    assert plan(START).requeue_after == HOUR


def test_a_cluster_forgets_events() -> None:
    engine = standard_engine((), ScriptedRuntime(), now=START)
    engine.submit(Create(object=Namespace(metadata=ObjectMeta(name="a"))))
    made = engine.submit(Create(object=event(involvedObject={"kind": "Pod", "name": "p", "namespace": "a"})))
    assert made.ok
    engine.run(until=START + HOUR // 2)
    touched = from_json({"apiVersion": "v1", "kind": "Event", "count": 2, "lastTimestamp": LATE,
                         "metadata": {"name": "e", "namespace": "a"},
                         "involvedObject": {"kind": "Pod", "name": "p", "namespace": "a"}})  # fmt: skip
    assert engine.submit(Update(object=touched)).ok
    engine.run(until=START + HOUR + HOUR // 4)
    assert engine.store.get("Event", "a", "e") is not None
    engine.run(until=START + 2 * HOUR)
    assert engine.store.get("Event", "a", "e") is None


def test_the_api_server_asks_under_its_own_name() -> None:
    lines: list[Any] = []
    engine = standard_engine((), ScriptedRuntime(), now=START, tracer=lines.append)
    engine.submit(Create(object=Namespace(metadata=ObjectMeta(name="a"))))
    engine.submit(Create(object=event(involvedObject={"kind": "Pod", "name": "p", "namespace": "a"})))
    engine.run(until=START + 2 * HOUR)
    [gone] = [line for line in lines if line.key[0] == "Event" and line.change == "DELETED"]
    assert (gone.actor, gone.account, gone.rule) == ("apiserver", "system:apiserver", "EventExpiry/expiry/expired")
