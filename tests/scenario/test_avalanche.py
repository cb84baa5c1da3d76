"""The stories of avalanches and clouds: they come true with every switch on and off, and they are sharp."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.scenario.loading import load_story, read_story
from k8sfsm.scenario.play import Play, play
from k8sfsm.spec import specs_dir

FOLDER = specs_dir() / "scenarios"
AVALANCHES = tuple(sorted(path.stem for path in FOLDER.glob("avalanche-*.yaml")))
CLOUDS = tuple(sorted(path.stem for path in FOLDER.glob("cloud-*.yaml")))
SWITCHED = tuple((name, each.name) for name in AVALANCHES for each in load_story(FOLDER / f"{name}.yaml").switches)


@cache
def told(name: str, *off: str) -> Play:
    story = load_story(FOLDER / f"{name}.yaml")
    return play(evolve(story, off=frozenset(off)))


def figures(name: str, *off: str) -> dict[str, Any]:
    return told(name, *off).figures()


@pytest.mark.parametrize(("name", "switch"), SWITCHED)
def test_avalanches_come_true_without_the_damping(name: str, switch: str) -> None:
    assert [str(miss) for miss in told(name, switch).misses] == []


@pytest.mark.parametrize("name", AVALANCHES)
def test_avalanches_come_true_with_the_damping(name: str) -> None:
    story = told(name)
    assert [str(miss) for miss in story.misses] == []
    assert story.story.doc and story.story.figures and "damping" in {each.name for each in story.story.switches}


@pytest.mark.parametrize(("name", "switch"), SWITCHED)
def test_every_switch_shows_in_the_figures(name: str, switch: str) -> None:
    assert figures(name) != figures(name, switch)


def test_switches_leave_nothing_behind() -> None:
    first, _ = figures("avalanche-lost-zone"), figures("avalanche-lost-zone", "damping")
    assert play(load_story(FOLDER / "avalanche-lost-zone.yaml")).figures() == first


SHARP = (
    ("avalanche-lost-zone", "{at: 60s, stop: a-3}", "{at: 60s, stop: b-3}"),
    ("avalanche-lost-zone", "{at: 540s, start: kubelet/a-1}", "{at: 14m, start: kubelet/a-1}"),
    ("avalanche-lost-zone", "zone-rate/partial-small: {rate: normal}", "zone-rate/partial-large: {rate: normal}"),
    ("avalanche-all-zones", "{at: 60s, stop: b-3}", "{at: 7m, stop: b-3}"),
    ("avalanche-all-zones", "{at: 540s, start: b-3}", "{at: 14m, start: b-3}"),
    ("avalanche-all-zones", "disruption/enter: {then: [set_changed_zones]}", "disruption/ordinary: {then: []}"),
    ("avalanche-readiness", "{at: 78s, service", "{at: 90s, service"),
    ("avalanche-readiness", "ready up to 12/s", "ready up to 40/s"),
    ("avalanche-readiness", "rate: 115", "rate: 100"),
    ("avalanche-readiness", "failure: {value: 1}", "failure: {value: 4}"),
    ("avalanche-memory", "uses 900Mi", "uses 700Mi"),
    ("avalanche-memory", "condition-taint/memory-pressure: null", "condition-taint/disk-pressure: null"),
    ("avalanche-memory", "pressure_transition_period: 10", "pressure_transition_period: 300"),
    ("avalanche-quota", 'hard: {pods: "2"}', 'hard: {pods: "3"}'),
    ("avalanche-quota", "max_delay_s: 0.005, retry_qps: 0", "max_delay_s: 0.005"),
    ("avalanche-quota", "max_delay_s: 0.005, retry_qps: 0", "retry_qps: 0"),
    ("cloud-balancer", "balancers: 20s", "balancers: 40s"),
    ("cloud-balancer", "for: 12s, message: quota exceeded", "for: 12s, message: other"),
    ("cloud-balancer", "{name: node-3, joins: 60s}", "{name: node-3}"),
    ("cloud-balancer", 'loadBalancerSourceRanges: ["198.51.100.0/24"]', "sessionAffinity: ClientIP"),
    ("cloud-nodes", "{at: 30s, calls: create-route, for: 15s", "{at: 30s, calls: create-route, for: 1ms"),
    ("cloud-nodes", "{at: 30s, calls: instances, for: 15s}", "{at: 30s, calls: instances, for: 1ms}"),
    ("cloud-nodes", "{at: 200s, started: node-1}", "{at: 300s, started: node-1}"),
    ("cloud-nodes", "{at: 300s, gone: node-2}", "{at: 300s, shutdown: node-2}"),
    ("cloud-volume", "accessModes: [ReadWriteOnce]\n      csi", "accessModes: [ReadWriteMany]\n      csi"),
    ("cloud-volume", "{at: 450s, gone: node-2}", "{at: 500s, gone: node-2}"),
    ("cloud-volume", "volumes: 3s", "volumes: 6s"),
    ("cloud-volume", "for: 1s, message: too many requests", "for: 1s, message: other"),
)
"""A story, something in it, and what stands there instead when it misses, with a switch on or off."""


def missed(text: str, name: str) -> bool:
    story = read_story(text, name, FOLDER)
    without = [frozenset[str](), *(frozenset({switch.name}) for switch in story.switches)]
    return any(play(evolve(story, off=off)).misses for off in without)


@pytest.mark.parametrize(("name", "old", "new"), SHARP, ids=[f"{name}: {new}" for name, _, new in SHARP])
def test_stories_are_sharp(name: str, old: str, new: str) -> None:
    text = (FOLDER / f"{name}.yaml").read_text("utf-8")
    assert text.count(old) == 1
    assert missed(text.replace(old, new), name)


PAGE = Path(__file__).parents[2] / "docs" / "avalanche.md"
ROW = re.compile(r"^\| (?!figure)(.+) \| (\S+) \| (\S+) \|$", re.MULTILINE)


@pytest.mark.parametrize("name", AVALANCHES)
def test_the_figures_of_the_page_are_real(name: str) -> None:
    (section,) = re.findall(rf"^## .*\(`{name}`\)$(.*?)(?=^## )", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    on, off = figures(name), figures(name, "damping")
    assert ROW.findall(section) == [(figure, str(on[figure]), str(off[figure])) for figure in on]


def test_there_are_changes_of_every_story() -> None:
    assert {name for name, _, _ in SHARP} == {*AVALANCHES, *CLOUDS}
