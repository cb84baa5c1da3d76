"""Our own property suite: every invariant of every kind, in stories that nobody wrote, under every kind of fault.

A short run belongs to the tests; `make properties` makes a long one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from attrs import evolve
from defects import CHECKOUT
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8sfsm.engine.offer import KINDS
from k8sfsm.scenario.loading import load_story
from k8sfsm.scenario.model import Story
from k8sfsm.testing.strategies import allowances, stories
from k8sfsm.verify.fuzz import Chance, run_once
from k8sfsm.verify.fuzz.run import chosen_faults

EVERYTHING = load_story(CHECKOUT / "specs" / "scenarios" / "everything.yaml")
LONG = int(os.environ.get("PROPERTY_RUNS", "2000"))
"""Stories of a long run."""
CHECKS = {"database": None, "deadline": None, "suppress_health_check": list(HealthCheck)}


def holds(story: Story, allow: Mapping[str, int], seed: int) -> None:
    """The story keeps every invariant, at every step and at the end, whatever chance adds."""
    failure = run_once(story, Chance(seed=seed, allow=allow)).failure
    assert failure is None, f"seed {seed}, {dict(allow)}: {failure.violations[0]}\n{story.doc}"


@pytest.mark.parametrize("kind", KINDS)
def test_all_invariants_hold_under_each_kind_of_fault(kind: str) -> None:
    story = evolve(EVERYTHING, actions=EVERYTHING.actions[:11], faults=())  # up to the end of what never rests
    seed = next(seed for seed in range(100, 200) if chosen_faults(seed, {kind: 3}).get(kind, 0) > 1)
    found = run_once(story, Chance(seed=seed, allow={kind: 3}))
    assert found.failure is None and found.judged, found.failure
    assert {drawn.fault.kind for drawn in found.drawn} == {kind}


@settings(max_examples=15, derandomize=True, **CHECKS)
@given(stories(), allowances(), st.integers(0, 999))
def test_all_invariants_hold_in_any_story(story: Story, allow: Mapping[str, int], seed: int) -> None:
    holds(story, allow, seed)


@pytest.mark.campaign
def test_all_invariants_hold_in_many_stories() -> None:
    settings(max_examples=LONG, **CHECKS)(
        given(stories(12, 5, broken=True), allowances(6), st.integers(0, 1 << 30))(holds)
    )()
