"""The stories of rollouts that people get wrong: they come true, they are sharp, and their page says what happens."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.controllers.replicaset_flavour import REPLICA_SETS
from k8sfsm.engine.line import Line
from k8sfsm.law import Decision, Law
from k8sfsm.objects import controller_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.loading import load_story, read_story
from k8sfsm.scenario.play import Play, play
from k8sfsm.spec import load_specs, specs_dir
from k8sfsm_cli.timeline import timeline_rows

FOLDER = specs_dir() / "scenarios"
EXPIRE = "expectations-expire"
STORIES = (*sorted(path.stem for path in FOLDER.glob("rollout-*.yaml")), EXPIRE)
PAGE = Path(__file__).parents[2] / "docs" / "stories.md"
CREATE = "ReplicaSet/manage/create-missing"
RULE = re.compile(r"`(\w+(?:/[\w-]+){2})`")

BLUNT = (
    ("rollout-max-surge-0", "maxSurge: 0, maxUnavailable: 1", "maxSurge: 1, maxUnavailable: 0"),
    ("rollout-max-surge-0", "maxSurge: 0, maxUnavailable: 1", "maxSurge: 0, maxUnavailable: 2"),
    ("rollout-max-surge-0", "term after 5s", "term after 1s"),
    ("rollout-unready-pod-max-unavailable-0", "maxUnavailable: 0}", "maxUnavailable: 1}"),
    ("rollout-unready-pod-max-unavailable-0", "maxSurge: 1", "maxSurge: 2"),
    ("rollout-unready-pod-max-unavailable-0", "progressDeadlineSeconds: 60", "progressDeadlineSeconds: 55"),
    ("rollout-unready-pod-max-unavailable-0", 'value: "100000"', 'value: "1"'),
    ("rollout-bad-image", "sim/notfound:2}", "sim/web:2}"),
    ("rollout-bad-image", "progressDeadlineSeconds: 120", "progressDeadlineSeconds: 115"),
    ("rollout-bad-image", "progressDeadlineSeconds: 120", "strategy: {type: Recreate}"),
    ("rollout-undo", "{at: 2m, undo: deployment/web}", "{at: 2m, restart: deployment/web}"),
    ("rollout-undo", "sim/notfound:2}}", "sim/web:2}}"),
    ("rollout-undo", "progressDeadlineSeconds: 60", "revisionHistoryLimit: 0"),
    ("rollout-rollover", "at: 33s", "at: 80s"),
    ("rollout-rollover", "maxSurge: 2, maxUnavailable: 0", "maxSurge: 1, maxUnavailable: 1"),
    ("rollout-rollover", "ready after 5s", "ready after 0s"),
    ("rollout-scale-in-the-middle", "maxSurge: 3", "maxSurge: 4"),
    ("rollout-scale-in-the-middle", "maxUnavailable: 2", "maxUnavailable: 3"),
    ("rollout-scale-in-the-middle", "sim/notfound:2", "sim/web:2"),
    ("rollout-scale-in-the-middle", "at: 60s, scale", "at: 29500ms, scale"),
    ("rollout-recreate-stuck-pod", "{type: Recreate}", "{type: RollingUpdate}"),
    ("rollout-recreate-stuck-pod", "at: 25s, stop: kubelet/node-2", "at: 40s, stop: kubelet/node-2"),
    ("rollout-recreate-stuck-pod", "at: 75s, start", "at: 60s, start"),
    (EXPIRE, "for: 6m", "for: 5m"),
    (EXPIRE, "kind: Pod, for", "kind: Node, for"),
    (EXPIRE, "{at: 310s, annotate: {object: replicationcontroller/old", "{at: 300s, annotate: {object: rc/old"),
)
"""A story, something in it, and what stands there instead when it misses."""


def played(name: str) -> Play:
    return _recorded(name)[0]


def decided(name: str) -> frozenset[str]:
    """The rules that decided something in a story."""
    return _recorded(name)[1]


@cache
def _recorded(name: str) -> tuple[Play, frozenset[str]]:
    rules: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        decide, collect = Law.decide, Law.collect

        def decide_and_note(law: Law, table: str, case: Any) -> Decision:
            decision = decide(law, table, case)
            rules.add(decision.rule)
            return decision

        def collect_and_note(law: Law, table: str, case: Any) -> tuple[Decision, ...]:
            decisions = collect(law, table, case)
            rules.update(decision.rule for decision in decisions)
            return decisions

        patch.setattr(Law, "decide", decide_and_note)
        patch.setattr(Law, "collect", collect_and_note)
        return play(load_story(FOLDER / f"{name}.yaml")), frozenset(rules)


@pytest.mark.parametrize("name", STORIES)
def test_stories_come_true(name: str) -> None:
    assert played(name).story.doc and [str(miss) for miss in played(name).misses] == []


def test_there_are_changes_of_every_story() -> None:
    assert {name for name, _, _ in BLUNT} == set(STORIES)


@pytest.mark.parametrize(("name", "old", "new"), BLUNT, ids=[f"{name}: {new}" for name, _, new in BLUNT])
def test_stories_are_sharp(name: str, old: str, new: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text("utf-8").replace('"sim/notfound:2"', "sim/notfound:2")
    assert text.count(old) == 1
    assert play(read_story(text.replace(old, new), name, FOLDER)).misses != []


# -- expectations that expire -----------------------------------------------------------------------------------------


def pods_made(story: Play, owner: str) -> list[Line]:
    made = [line for line in story.lines if line.change == "ADDED" and line.key[0] == "Pod"]
    owners = [controller_of(line.after) for line in made]
    return [line for line, found in zip(made, owners, strict=True) if found is not None and found.name == owner]


def test_expired_expectations_make_more_pods_after_300_seconds() -> None:
    made = pods_made(played(EXPIRE), "old")
    assert [(line.rule, line.at - START > 300 * SECOND) for line in made] == [(CREATE, False)] * 3 + [
        (CREATE, True)
    ] * 3
    extra = {line.key for line in made[3:]}
    gone = [line for line in played(EXPIRE).lines if line.rule == "ReplicaSet/manage/delete-surplus"]
    assert {line.key for line in gone} == extra
    assert all(line.at - START > 360 * SECOND for line in gone)


def test_the_trace_tells_why() -> None:
    facts = [line.facts for line in pods_made(played(EXPIRE), "old")]
    assert [(fact["expectations_met"], fact["surplus"]) for fact in facts] == [(True, -3)] * 6


def test_replica_sets_wait_for_their_cache() -> None:
    assert [line.rule for line in pods_made(played(EXPIRE), "new")] == [CREATE] * 3


def test_replica_sets_without_that_wait_make_more_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ReplicaSetController, "flavour", evolve(REPLICA_SETS, guards_cache=False))
    story = play(load_story(FOLDER / f"{EXPIRE}.yaml"))
    made = pods_made(story, "new")
    assert [line.rule for line in made] == [CREATE] * 6
    assert [line.at - START > 300 * SECOND for line in made] == [False] * 3 + [True] * 3
    assert any("pods where app=new count is 3 at 5m20s, found 6" in str(miss) for miss in story.misses)


# -- the page ---------------------------------------------------------------------------------------------------------


def sections() -> dict[str, str]:
    """The page's text per story."""
    parts = re.split(r"^## .*\(`([\w-]+)`\)$", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_the_page_has_every_story() -> None:
    assert sorted(sections()) == sorted(STORIES)
    assert [name for name, text in sections().items() if f"$ k8sfsm run specs/scenarios/{name}.yaml" not in text] == []


def test_the_rules_of_the_page_exist() -> None:
    tables = [table for room in load_specs().rooms.values() for table in room.tables.values()]
    known = {f"{of.prefix}/{name}/{rule}" for of in tables for name, table in of.tables.items() for rule in table.rules}
    for name, text in sections().items():
        cited = RULE.findall(text)
        assert cited and [rule for rule in cited if rule not in known] == [], name


@pytest.mark.parametrize("name", STORIES)
def test_the_rules_of_the_page_decide_in_the_story(name: str) -> None:
    assert [rule for rule in RULE.findall(sections()[name]) if rule not in decided(name)] == []


@pytest.mark.parametrize("name", STORIES)
def test_the_excerpts_of_the_page_are_real(name: str) -> None:
    (excerpt,) = re.findall(r"```text\n(.*?)```", sections()[name], re.DOTALL)
    rows = {" ".join(" ".join(row).split()) for row in timeline_rows(played(name).lines, START)}
    assert [line for line in excerpt.splitlines() if " ".join(line.split()) not in rows] == []
