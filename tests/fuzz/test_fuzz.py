"""Campaigns: the same seed, the same run; what is broken is found, made small, written down, and can be made again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner
from defects import CHECKOUT, with_defect

from k8sfsm.engine.offer import KINDS, usual_allowance
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.model import Story
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.fuzz import Chance, run_once, shrunk
from k8sfsm.verify.fuzz.campaign import Task, campaign, tasks
from k8sfsm.verify.fuzz.run import chosen_faults
from k8sfsm.verify.fuzz.shrink import SHORT, told
from k8sfsm_cli import main

HELLO = str(CHECKOUT / "specs" / "scenarios" / "hello.yaml")
STORY = """
cluster: {nodes: 2}
manifests:
  - {apiVersion: v1, kind: Pod, metadata: {name: lonely}, spec: {containers: [{name: app, image: "sim/web:1"}]}}
  - apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      replicas: 4
      selector: {matchLabels: {app: web}}
      template:
        metadata: {labels: {app: web}}
        spec: {containers: [{name: app, image: "sim/web:1"}]}
actions:
  - {at: 10s, image: {object: deployment/web, image: "sim/web:2"}}
  - {at: 20s, scale: {object: deployment/web, replicas: 3}}
"""


def story(properties: str = "") -> Story:
    return read_story(STORY + properties, "s.yaml")


def test_the_same_seed_makes_the_same_run() -> None:
    chance = Chance(seed=6, allow=usual_allowance())
    first, second = run_once(story(), chance), run_once(story(), chance)
    assert first == second and first.failure is None and first.judged
    assert run_once(story(), evolve(chance, seed=7)).steps != first.steps


def test_a_run_with_the_faults_of_another_is_that_run_again() -> None:
    for seed in range(20):
        found = run_once(story(), Chance(seed=seed, allow=usual_allowance()))
        if len(found.drawn) > 1:
            break
    again = run_once(story(), Chance(seed=seed, faults=found.drawn))
    assert (again.steps, again.drawn) == (found.steps, found.drawn) and len(found.drawn) > 1


def test_every_kind_of_fault_is_drawn_in_some_run() -> None:
    kinds = {kind for seed in range(60) for kind in chosen_faults(seed, usual_allowance())}
    assert kinds == KINDS.keys()
    assert chosen_faults(3, {}) == {} and all(
        0 < count <= usual_allowance()[kind]
        for seed in range(60)
        for kind, count in chosen_faults(seed, usual_allowance()).items()
    )


@pytest.mark.parametrize(
    ("properties", "invariant"),
    [
        ("properties: [{always: deployment/web spec.replicas at most 3}]", "property always"),
        ("properties: [{finally: deployment/web spec.replicas is 4}]", "property finally"),
        ("properties: [{finally: pod/lonely is gone}]", "property finally"),
    ],
)
def test_properties_of_a_story_are_judged(properties: str, invariant: str) -> None:
    found = run_once(story(properties), Chance(seed=1)).failure
    assert found is not None and found.invariant.startswith(invariant)


def test_a_property_need_not_hold_before_its_time() -> None:
    late = "properties: [{always: deployment/web spec.replicas is 3, from: 25s}]"
    assert run_once(story(late), Chance(seed=1)).failure is None


def test_a_failure_is_made_small() -> None:
    broken = story("properties: [{finally: pods where app=web STATUS is Pending}]")
    failure = run_once(broken, Chance(seed=3, allow={"oom": 2, "container-crash": 2})).failure
    assert failure is not None
    small = shrunk(failure, 60)
    assert small.invariant == failure.invariant and small.chance.calm and small.chance.faults == ()
    assert not small.story.actions and len(small.story.manifests) == 1 and len(small.story.nodes) == 1
    assert 0 < len(told(small.lines)) <= SHORT
    assert run_once(small.story, small.chance).failure is not None


def test_a_long_trace_begins_with_what_was_there(tmp_path: Path) -> None:
    scenario, trace = tmp_path / "s.yaml", tmp_path / "t.jsonl"
    scenario.write_text(STORY + "properties: [{finally: deployment/web spec.replicas is 4}]", "utf-8")
    result = CliRunner().invoke(main, ["fuzz", str(scenario), "--runs", "1", "--shrink", "0", "--trace", str(trace)])
    assert result.exit_code == 1, result.output
    history = read_history(trace)
    assert history.notes == ("property finally: deployment/web spec.replicas is 4: found 3",)
    steps = [write for write in history.writes if write.key[0] not in ("Event", "Lease")]
    assert 0 < len(steps) + len(history.environment) <= SHORT
    assert {key[0] for key in {document.key for document in history.initial}} > {"Node", "Pod", "Deployment"}
    for command in (["replay", str(trace)], ["explain", str(trace), "deployment/web"]):
        answer = CliRunner().invoke(main, command)
        assert answer.exit_code in (0, 1) and answer.output, answer.output


# -- a story as it stands ---------------------------------------------------------------------------------------------


def test_a_story_as_it_stands_must_come_as_it_expects() -> None:
    expects = "expect: [{by: 9s, that: deployment/web spec.replicas is 5}, deployment/web READY is 3/3]"
    found = run_once(story(expects), Chance.none())
    assert found.failure is not None and found.drawn == ()
    assert [str(each) for each in found.failure.violations] == [
        "story: expected deployment/web spec.replicas is 5 by 9s, found 3"
    ]
    small = shrunk(found.failure)
    assert small.story is found.failure.story and 0 < len(told(small.lines)) <= SHORT
    assert run_once(story(expects), Chance(seed=1)).failure is None
    assert run_once(story("expect: [deployment/web READY is 3/3]"), Chance.none()).failure is None


def test_every_scenario_comes_first_as_it_stands(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(STORY + "expect: [deployment/web READY is 4/4]", "utf-8")
    result = CliRunner().invoke(main, ["fuzz", HELLO, "s.yaml", "-o", "json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 1 and answer["runs"] == 2 and answer["faults"] == {}
    failure = answer["failure"]
    assert failure["command"] == "k8sfsm fuzz s.yaml --runs 1" and Path(failure["trace"]).name == "fuzz-s-plain.jsonl"
    assert "s.yaml as it stands fails: story: expected deployment/web READY is 4/4" in result.stderr
    assert CliRunner().invoke(main, ["fuzz", "s.yaml", "--seed", "0", "--runs", "1"]).exit_code == 0


def test_what_python_raises_is_a_finding(monkeypatch: Any) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("x")

    monkeypatch.setattr("k8sfsm.controllers.replicaset.ReplicaSetController.reconcile", broken)
    found = run_once(story(), Chance(seed=1)).failure
    assert found is not None and str(found.violations[0]) == "error: KeyError: 'x'"


# -- the command ------------------------------------------------------------------------------------------------------


def test_a_campaign_that_finds_nothing() -> None:
    result = CliRunner().invoke(main, ["fuzz", HELLO, "--runs", "3"])
    assert result.exit_code == 0, result.output
    assert "nothing found" in result.stdout and "4 runs came to rest as they should" in result.stdout
    assert "steps/s on one core" in result.stderr


def test_a_campaign_goes_on_until_enough_steps_are_made() -> None:
    result = CliRunner().invoke(main, ["fuzz", HELLO, "--steps", "2000", "-o", "json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 0 and answer["steps"] >= 2000 and answer["failure"] is None
    assert answer["runs"] == 2 and answer["stepsPerSecond"] > 0


def test_a_finding_is_told_with_its_seed_and_the_command_that_makes_it_again(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    Path("s.yaml").write_text(STORY + "properties: [{always: deployment/web spec.replicas at most 3}]", "utf-8")
    result = CliRunner().invoke(main, ["fuzz", "s.yaml", "--seed", "4", "--faults", "oom", "-o", "json"])
    assert result.exit_code == 1
    failure = json.loads(result.stdout)["failure"]
    assert failure["command"] == "k8sfsm fuzz s.yaml --seed 4 --runs 1 --faults oom"
    assert failure["traceSteps"] <= SHORT and Path(failure["trace"]).name == "fuzz-s-4.jsonl"
    again = CliRunner().invoke(main, [*failure["command"].split()[1:], "--shrink", "1"])
    assert again.exit_code == 1 and "broken: property always: deployment/web spec.replicas at most 3" in again.stdout


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["no.yaml"], "no.yaml"),
        ([HELLO, "--faults", "fire"], "no kind of fault is called 'fire'"),
        ([HELLO, "--jobs", "0"], "jobs"),
        ([str(CHECKOUT / "pyproject.toml")], "pyproject.toml"),
    ],
)
def test_input_that_cannot_be_used(arguments: list[str], expected: str) -> None:
    result = CliRunner().invoke(main, ["fuzz", *arguments])
    assert result.exit_code == 2 and expected in result.output, result.output


def test_processes_make_the_same_runs() -> None:
    given = [*tasks([HELLO], lambda _: usual_allowance(), 0, 4)]
    alone = [done.result for done in campaign(iter(given))]
    assert [done.result for done in campaign(iter(given), jobs=2)] == alone
    assert [task.seed for task in given] == [0, 1, 2, 3] and isinstance(given[0], Task)


def test_a_dask_cluster_makes_the_same_runs() -> None:
    distributed = pytest.importorskip("distributed")
    given = [*tasks([HELLO], lambda _: usual_allowance(), 0, 3)]
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None, protocol="tcp"
    ) as cluster:
        found = [done.result for done in campaign(iter(given), dask=cluster.scheduler_address)]
    assert found == [done.result for done in campaign(iter(given))]


# -- defects ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("defect", "invariant"),
    [
        (
            "drop-action:ReplicaSet/manage/create-missing:tables/manage/rules/create-missing/then/1",
            "replicaset-converges",
        ),
        ("delete-row:ReplicaSet/manage/delete-surplus:tables/manage/rules/delete-surplus", "law"),
    ],
)
def test_a_defect_in_the_specs_is_found(defect: str, invariant: str, tmp_path: Path) -> None:
    environment = {**os.environ, "K8SFSM_SPECS": str(with_defect(defect, tmp_path))}
    scenario = str(CHECKOUT / "specs" / "scenarios" / "rolling-update.yaml")
    command = [sys.executable, "-m", "k8sfsm_cli", "fuzz", scenario, "--runs", "3", "--shrink", "20", "-o", "json"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    failure = json.loads(done.stdout)["failure"]
    assert invariant in failure["broken"][0]["invariant"] and failure["traceSteps"] <= SHORT
