"""Expectations and the guard against stale caches."""

from __future__ import annotations

from typing import Any

import pytest
from replicaset_objects import KEY, NOW, pod, replica_set, view

from k8sfsm.controllers.expectations import (
    Consistency,
    Expectations,
    Expected,
    Met,
    Written,
    expect_creations,
    expect_deletions,
    give_up,
    law,
    remember_written,
)
from k8sfsm.law import usable
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Outcome

LIMIT = 300 * SECOND


def met(expected: Expected | None, seen: Met | None = None, given_up: Met | None = None, waited: int = 0) -> bool:
    entries = {("expected", KEY): expected, ("seen", KEY): seen, ("given up", KEY): given_up}
    memory = {key: value for key, value in entries.items() if value is not None}
    return Expectations.of(memory, KEY, NOW + waited).met


def test_rooms_bind() -> None:
    assert [usable(room) for room in ("expectations", "claim", "replicaset", "replicationcontroller")] == [()] * 4


CREATIONS = Expected(2, (), NOW)
DELETIONS = Expected(0, ("default/a", "default/b"), NOW)


@pytest.mark.parametrize(
    ("case", "wanted"),
    [
        ((None,), True),
        ((None, Met(1)), True),
        ((CREATIONS,), False),
        ((CREATIONS, Met(1)), False),
        ((CREATIONS, Met(2)), True),
        ((CREATIONS, Met(3)), True),
        ((CREATIONS, Met(1), Met(1)), True),
        ((CREATIONS, None, Met(2)), True),
        ((CREATIONS, None, None, LIMIT), False),
        ((CREATIONS, None, None, LIMIT + 1), True),
        ((DELETIONS,), False),
        ((DELETIONS, Met(0, ("default/a",))), False),
        ((DELETIONS, Met(0, ("default/a",)), Met(0, ("default/a",))), False),
        ((DELETIONS, Met(0, ("default/a",)), Met(0, ("default/b",))), True),
        ((DELETIONS, Met(0, ("default/a", "default/b"))), True),
        ((DELETIONS, Met(5)), False),
        ((DELETIONS, None, None, LIMIT), False),
        ((DELETIONS, None, None, LIMIT + 1), True),
        ((Expected(1, ("default/a",), NOW), Met(1)), False),
    ],
)
def test_when_expectations_are_met(case: tuple[Any, ...], wanted: bool) -> None:
    assert met(*case) is wanted


def test_new_expectations_replace_all_others() -> None:
    for steps in (expect_creations(KEY, 2, NOW), expect_deletions(KEY, ["default/a"], NOW)):
        assert {step.key for step in steps} == {("expected", KEY), ("seen", KEY), ("given up", KEY)}
    assert expect_creations(KEY, 2, NOW)[0].value == CREATIONS
    assert give_up(KEY) == ()


@pytest.mark.parametrize(("revision", "ready"), [(2, True), (3, False), (1, True)])
def test_consistency(revision: int, ready: bool) -> None:
    seen = view(replica_set(1), pod("a"), memory={("wrote", KEY): Written("uid-web", (("Pod", revision),))})
    outputs = law.decide("consistency", Consistency.of(seen, KEY)).outputs
    assert (outputs["ready"], outputs["forget"]) == (ready, ready)
    assert law.decide("consistency", Consistency.of(view(), KEY)).outputs == {"ready": True, "forget": False}


def test_only_the_newest_write_of_an_owner_counts() -> None:
    made = pod("a", resource_version="40")
    answers = [Outcome(request=Create(object=made), code=201, object=made)]
    assert remember_written(None, "u", answers) == Written("u", (("Pod", 40),))
    assert remember_written(Written("u", (("Pod", 50),)), "u", answers) == Written("u", (("Pod", 50),))
    assert remember_written(Written("old", (("Pod", 50),)), "u", answers) == Written("u", (("Pod", 40),))
    refused = [Outcome(request=Create(object=made), code=409, object=made)]
    assert remember_written(None, "u", refused) is None
