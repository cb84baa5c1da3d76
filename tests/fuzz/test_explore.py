"""Exploration: proofs, shortest ways to harm, symmetry, what never rests, and the pitfalls of the scenarios."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from attrs import evolve
from click.testing import CliRunner
from defects import CHECKOUT

from k8sfsm.scenario.loading import load_story, read_story
from k8sfsm.scenario.model import Story
from k8sfsm.scenario.play import Play
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.explore import Bound, explore
from k8sfsm.verify.explore.fingerprint import Fingerprints
from k8sfsm.verify.explore.state import State, first_state
from k8sfsm_cli import main

SCENARIOS = CHECKOUT / "specs" / "scenarios"
PITFALLS = {
    "spread-conflict": "property finally: deployment/web READY is 6/6",
    "replicas-left-out": "property always: deployment/web spec.replicas at least 3",
    "noexecute-cycle": "never-rests",
    "drain-skew": "property finally: pods where app=web skew over kubernetes.io/hostname at most 1",
    "drain-blocked": "property finally: pods where app=web status.phase is not Running",
}


def story(replicas: int = 1, rest: str = "") -> Story:
    return read_story(
        f"""
cluster: {{nodes: 2}}
manifests:
  - apiVersion: apps/v1
    kind: ReplicaSet
    metadata: {{name: web}}
    spec:
      replicas: {replicas}
      selector: {{matchLabels: {{app: web}}}}
      template:
        metadata: {{labels: {{app: web}}}}
        spec: {{terminationGracePeriodSeconds: 1, containers: [{{name: app, image: "sim/web:1"}}]}}
actions: [{{at: 10s, scale: {{object: replicaset/web, replicas: {replicas + 1}}}}}]
{rest}
""",
        "s.yaml",
    )


def first(of: Story) -> State:
    return first_state(Play.of(of, prompt=True), started=True)


def test_every_order_of_a_small_story_is_looked_at() -> None:
    found = explore(story(), {})
    assert found.whole and found.failure is None and found.ends >= 1
    assert found.unique <= found.states + 1 and found.merged == found.states + 1 - found.unique and found.merged > 0
    few = explore(story(), {}, Bound(turns=0))
    assert few.whole and few.unique == few.depth + 1 < found.unique
    some = explore(story(), {}, Bound(turns=1))
    assert few.unique < some.unique <= found.unique


def test_bounds_end_a_search_without_a_proof() -> None:
    assert explore(story(), {}, Bound(depth=5)).depth == 5
    found = explore(story(), {}, Bound(states=10))
    assert not found.whole and found.unique <= 20 and not explore(story(), {}, Bound(depth=5)).whole


def test_faults_and_finer_steps_make_more_states() -> None:
    plain = explore(story(), {}, Bound(turns=0))
    crash = explore(story(), {"container-crash": 1}, Bound(turns=0))
    stale = explore(story(), {"stale-view": 1}, Bound(turns=0))
    fine = explore(story(), {}, Bound(turns=1), fine=True)
    assert all(each.whole and each.failure is None for each in (crash, stale, fine))
    assert crash.unique > 2 * plain.unique and stale.unique > 2 * plain.unique
    assert fine.unique > explore(story(), {}, Bound(turns=1)).unique


def test_the_shortest_way_to_harm_is_found_and_can_be_gone_again() -> None:
    broken = story(1, "properties: [{always: pods where app=web status.phase is not Running, from: 9900ms}]")
    found = explore(broken, {})
    assert found.failure is not None and found.failure.steps == 0
    later = story(1, "properties: [{always: replicaset/web status.replicas is 1}]")
    failure = explore(later, {}).failure
    in_turn = explore(later, {}, Bound(turns=0)).failure
    assert failure is not None and in_turn is not None and 1 < failure.steps < in_turn.steps
    assert failure.lines[-1].key == ("ReplicaSet", "default", "web") and failure.lines[-1].after.status.replicas == 2


def test_states_that_differ_in_names_only_are_one() -> None:
    """Which of two Pods alike, on two nodes alike, is reported first makes no difference."""
    state = first_state(Play.of(evolve(story(2), actions=()), prompt=True), started=False)
    prints = Fingerprints(state.engine)
    for _ in range(40):
        after = list(state.successors())
        reports = [each for each in after if "Send(actor='kubelet/" in each.says]
        if len(reports) > 1:
            break
        state = after[0]
    assert len(reports) == 2 and reports[0].says != reports[1].says
    assert prints.of(reports[0].engine) == prints.of(reports[1].engine) != prints.of(state.engine)


def test_a_state_is_told_from_one_with_another_status_queue_or_memory() -> None:
    state = first(story(2))
    prints = Fingerprints(state.engine)
    marks = {prints.of(state.engine)}
    (after,) = state.successors()
    engine = after.engine
    marks.add(prints.of(engine))
    while engine.due() and engine.now == state.engine.now:
        engine.step()
        marks.add(prints.of(engine))
    assert len(marks) > 10


@pytest.mark.parametrize("name", sorted(PITFALLS))
def test_pitfalls_are_found_with_a_short_trace(name: str, tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    scenario = SCENARIOS / f"pitfall-{name}.yaml"
    command = ["explore", str(scenario), "--turns", "0", "--trace", str(trace), "-o", "json"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1, result.output
    failure = json.loads(result.stdout)["failure"]
    assert failure["broken"][0]["invariant"] == PITFALLS[name] and failure["traceSteps"] <= 30
    history = read_history(trace)
    assert history.notes and history.notes[0].startswith(PITFALLS[name])


@pytest.mark.campaign
def test_the_rolling_update_is_proven() -> None:
    found = explore(load_story(SCENARIOS / "explore-rolling-update.yaml"), bound=Bound(turns=0))
    assert found.whole and found.failure is None


@pytest.mark.campaign
@pytest.mark.parametrize("faults", [{"container-crash": 1}, {"stale-view": 1}])
def test_the_rolling_update_is_proven_with_one_fault(faults: dict[str, int]) -> None:
    found = explore(load_story(SCENARIOS / "explore-rolling-update.yaml"), faults, Bound(turns=0))
    assert found.whole and found.failure is None and found.unique > 1000


# -- the command ------------------------------------------------------------------------------------------------------


def test_the_command_tells_of_a_proof(tmp_path: Path) -> None:
    scenario = str(SCENARIOS / "explore-rolling-update.yaml")
    result = CliRunner().invoke(main, ["explore", scenario, "--turns", "0", "--faults", "none"])
    assert result.exit_code == 0, result.output
    assert "unique" in result.stdout and "proven with up to 0 things out of turn" in result.stdout
    result = CliRunner().invoke(main, ["explore", scenario, "--faults", "none", "--depth", "3", "-o", "json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 0 and answer["depth"] == 3 and not answer["whole"] and answer["failure"] is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--turns", "x"], "'x' is no number"),
        (["--faults", "fire"], "no kind of fault is called 'fire'"),
        (["--faults", "oom=x"], "'x' is no number, expected oom=1"),
    ],
)
def test_input_that_cannot_be_used(arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, ["explore", str(SCENARIOS / "hello.yaml"), *arguments])
    assert result.exit_code == 2 and expected in result.output, result.output
