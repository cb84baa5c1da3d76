"""Figures and switches: what they count, what they change, and what is wrong in them."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from k8sfsm.engine.line import Line
from k8sfsm.law import Law, constant
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.figures import Told, read_figure
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.model import Figure, Which
from k8sfsm.scenario.play import Play, play
from k8sfsm.spec import SpecError


def pod(name: str, phase: str = "Running", app: str = "web", namespace: str = "default") -> Any:
    meta = {"name": name, "namespace": namespace, "labels": {"app": app}}
    return from_json({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "status": {"phase": phase}})


def line(at: float, obj: Any, change: str = "MODIFIED", **more: Any) -> Line:
    key = (obj.kind, obj.metadata.namespace, obj.metadata.name)
    given = {"number": 0, "actor": "a", "verb": "patch", **more}
    after = None if change == "DELETED" else obj
    return Line(at=int(at * SECOND), key=key, change=change, after=after, **given)


LINES = (
    line(1, pod("a", "Pending"), "ADDED", verb="create", actor="x", request=1, code=201, rule="R/t/r"),
    line(2, pod("a"), request=2),
    line(2, pod("other", app="db"), request=2),
    line(2.5, pod("b"), "ADDED", verb="create", actor="y", request=3, code=201),
    line(4, pod("b", "Failed"), request=4),
    line(4, pod("c"), "ADDED", request=5),
    line(6, pod("a"), "DELETED", verb="delete", request=6),
    line(7, pod("z", namespace="else"), "ADDED", request=7),
    Line(number=0, at=7 * SECOND, actor="y", verb="create", key=("Pod", "default", ""), code=403, reason="Forbidden"),
    Line(
        number=0,
        at=8 * SECOND,
        actor="environment",
        verb="container-exit",
        key=("Pod", "default", "c"),
        detail={"reason": "OOMKilled"},
    ),
)
TOLD = Told(LINES, {("Pod", "default", "old"): pod("old")}, 0, 10 * SECOND)
RUNNING = "pods where app=web status.phase is Running"
FIGURES: list[tuple[dict[str, Any], float, Any]] = [
    ({"count": Which()}, 0, 9),
    ({"count": Which(kind="pods", by="y")}, 0, 2),
    ({"count": Which(verb="create", by="y")}, 3, 1),
    ({"count": Which(code=403)}, 0, 1),
    ({"count": Which(reason="Forbidden")}, 0, 1),
    ({"count": Which(reason="OOMKilled")}, 0, 1),
    ({"count": Which(verb="container-exit")}, 9, 0),
    ({"count": Which(rule="R/t/r")}, 0, 1),
    ({"count": Which(name="o*")}, 0, 1),
    ({"count": Which(kind="nodes")}, 0, 0),
    ({"peak": Which()}, 0, 3),
    ({"peak": Which()}, 7.5, 1),
    ({"least": RUNNING}, 0, 1),
    ({"least": RUNNING}, 2, 2),
    ({"most": RUNNING}, 0, 3),
    ({"most": RUNNING}, 6, 2),
    ({"most": "pods status.phase is Running"}, 0, 4),
    ({"most": RUNNING, "namespace": "else"}, 0, 1),
    ({"time": "pod/a status.phase is Running"}, 0, 4),
    ({"time": "pod/a status.phase is Running"}, 3.5, 2.5),
    ({"time": "pod/b status.phase is Failed"}, 0, 6),
    ({"until": "pod/a status.phase is Running"}, 0, "never"),
    ({"until": "pod/c status.phase is Running"}, 1, 3),
    ({"until": "pod/old status.phase is Running"}, 1, 0),
]


@pytest.mark.parametrize(("form", "since", "value"), FIGURES)
def test_figures(form: dict[str, Any], since: float, value: Any) -> None:
    assert read_figure(Figure(name="f", **form), 2 * SECOND, int(since * SECOND))(TOLD) == value


CONTAINER = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: i}]}}"
STORY = f"""
cluster: {{nodes: 1}}
manifests: [{CONTAINER}]
switches:
  - name: tolerance
    off:
      constants: {{default_toleration_seconds: 7}}
      rules: {{defaults/PodSpec/dns-policy: {{value: Default}}, defaults/PodSpec/scheduler: null}}
      queues: {{deployment-controller: {{workers: 9}}}}
figures: [{{name: Pods, count: {{verb: create, kind: pods}}}}]
expect:
  - {{that: figure Pods is 1}}
  - {{that: pod/a spec.dnsPolicy is ClusterFirst, when: tolerance on}}
  - {{that: pod/a spec.dnsPolicy is Default, when: tolerance off}}
until: 1s
"""


def told(*off: str) -> Play:
    return play(evolve(read_story(STORY, "s"), off=frozenset(off)))


def test_a_switch_changes_constants_rows_and_queues() -> None:
    on, off = told(), told("tolerance")
    assert on.misses == off.misses == [] and on.figures() == off.figures() == {"Pods": 1}
    seconds = [
        [each.toleration_seconds for each in story.engine.store.get("Pod", "default", "a").spec.tolerations]
        for story in (on, off)
    ]
    assert seconds == [[300, 300], [7, 7]]
    schedulers = [story.engine.store.get("Pod", "default", "a").spec.scheduler_name for story in (on, off)]
    assert schedulers == ["default-scheduler", ""]
    workers = [story.engine.actors["deployment-controller"].wiring.settings.workers for story in (on, off)]
    assert workers == [5, 9]
    assert constant("default_toleration_seconds") == 300 and Law("deployment").controller().queue.workers == 5


def test_expectations_about_figures_may_fail() -> None:
    story = play(read_story(STORY.replace("Pods is 1", "Pods is 2"), "s"))
    assert [str(miss) for miss in story.misses] == ["s:12:5: expected figure Pods is 2 at the end, found 1"]


FIGURE = "figures: [{name: f, count: {}}]\n"
WRONG = [
    ("switches: [{name: a, off: {}}]", "switch 'a' changes nothing, expected constants, rules or queues under `off`"),
    ("switches: [{name: a, off: {constants: {nod_monitor_period: 1}}}]", "no constant is called 'nod_monitor_period'"),
    ("switches: [{name: a, off: {rules: {A/b/c: null}}}]", "no rule is called 'A/b/c', "),
    (
        "switches: [{name: a, off: {rules: {defaults/Probe/failure: 3}}}]",
        "has no changes, expected a mapping of timeout",
    ),
    (
        "switches: [{name: a, off: {rules: {defaults/Probe/failure: {x: 3}}}}]",
        "'defaults/Probe/failure' has no column 'x'",
    ),
    ("switches: [{name: a, off: {queues: {x: {workers: 1}}}}]", "no controller is called 'x'"),
    ("switches: [{name: a, off: {queues: {job: {workers: 1}}}}]", "no controller is called 'job'"),
    ("switches: [{name: a, off: {queues: {garbage-collector: {work: 1}}}}]", "has no column 'work', did you mean"),
    ("figures: [{name: f}]", "figure 'f' is one of count, peak, least, most, time, until, found none"),
    ("figures: [{name: f, least: x, most: y}]", "found least and most"),
    ("figures: [{name: f, least: pods count is 3}]", "'pods count is 3' cannot be asked of an object, expected"),
    ("figures: [{name: f, least: widgets a is 3}]", 'the server doesn\'t have a resource type "widgets"'),
    ("figures: [{name: f, count: {kind: widgets}}]", 'the server doesn\'t have a resource type "widgets"'),
    ("figures: [{name: f, peak: {}, per: 3}]", "the number 3 stands here, expected a duration"),
    ("figures: [{name: f, count: {}}, {name: f, count: {}}]", "figure 'f' stands twice, expected each name once"),
    (f"{FIGURE}expect: [figure g is 1]", "no figure is called 'g'"),
    (f"{FIGURE}expect: [{{at: 1s, that: figure f is 1}}]", "figures are known at the end, expected no time"),
    ("expect: [{that: node/a exists, when: x on}]", "no switch is called 'x'"),
    (
        "expect: [{that: node/a exists, when: x}]",
        "'when': 'x' stands here, expected the name of a switch and on or off",
    ),
    ("load: [{service: web, rate: -1}]", "'rate': -1 stands here, expected a number that is not negative"),
    ("load: [{service: web}]", "key 'rate' is missing, expected a number"),
    ("cloud: {balancers: soon}", "the text 'soon' stands here, expected a duration"),
    ("cloud: {outages: [{calls: x, for: 1s}]}", "'calls': the text 'x' stands here, expected one of: instances"),
    ("cloud: {outages: [{calls: routes, for: 1}]}", "the number 1 stands here, expected a duration"),
    ("cloud: {machines: [{at: 1s}]}", "a machine is one of gone, shutdown, started, found none"),
    ("cluster: {nodes: [{name: a, joins: x}]}", "the text 'x' stands here, expected a duration"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_story(text, "s")
    assert message in str(caught.value)
