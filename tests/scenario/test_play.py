"""Stories: those that come with k8sfsm, and what may go wrong in one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import k8sfsm
from k8sfsm.objects import ManifestError
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.expect import read_expectation
from k8sfsm.scenario.loading import load_story, read_story
from k8sfsm.scenario.model import NodeSetting
from k8sfsm.scenario.output import final_objects
from k8sfsm.scenario.play import Play, play
from k8sfsm.spec import SpecError, specs_dir

STORIES = sorted(path for path in (specs_dir() / "scenarios").glob("*.yaml") if not path.stem.startswith("pitfall-"))
"""Pitfalls are there to fail: `tests/fuzz` finds how."""
WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: app, image: nginx}]}
"""
INLINE = (
    "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, "
    "selector: {matchLabels: {app: web}}, "
    "template: {metadata: {labels: {app: web}}, spec: {containers: [{name: app, image: nginx}]}}}}"
)


def played(text: str) -> Play:
    return play(read_story(text, "s"))


def test_there_are_stories() -> None:
    assert {"hello", "rolling-update", "readiness-gap", "node-loss-light"} <= {path.stem for path in STORIES}


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_stories_come_true(path: Path) -> None:
    story = load_story(path)
    assert story.doc and (story.expect or story.properties)
    assert [str(miss) for miss in play(story).misses] == []


def test_the_same_seed_gives_the_same_run() -> None:
    path = specs_dir() / "scenarios" / "hello.yaml"
    one, two = play(load_story(path)), play(load_story(path))
    assert one.lines == two.lines
    assert one.engine.store.revision == two.engine.store.revision


def test_misses_name_their_place() -> None:
    text = f"""manifests: [{INLINE}]
until: 10s
expect:
  - deployment/web READY is 3/3
  - {{at: 1ms, that: pods where app=web count is 2}}
  - {{by: 500ms, that: deployment/web status.readyReplicas is 2}}
  - {{by: 5s, that: deployment/web status.readyReplicas is 2}}
  - deployment/none status.replicas is 1
  - deployment/none exists
  - deployment/web is gone
  - no event ScalingReplicaSet
  - event Nothing about deployment/web
"""
    assert [str(miss) for miss in played(text).misses] == [
        "s:5:5: expected pods where app=web count is 2 at 1ms, found 1",
        "s:6:5: expected deployment/web status.readyReplicas is 2 by 500ms, found 2",
        "s:4:5: expected deployment/web READY is 3/3 at the end, found 2/2",
        "s:8:5: expected deployment/none status.replicas is 1 at the end, found no deployment/none",
        "s:9:5: expected deployment/none exists at the end, found deployment/none does not exist",
        "s:10:5: expected deployment/web is gone at the end, found deployment/web exists",
        "s:11:5: expected no event ScalingReplicaSet at the end, found event ScalingReplicaSet",
    ] + [miss for miss in map(str, played(text).misses) if miss.startswith("s:12:5: expected event Nothing")]


def test_refusals_are_findings_unless_they_are_expected() -> None:
    text = f"""manifests: [{INLINE}]
until: 2s
actions:
  - {{at: 1s, scale: {{object: deployment/web, replicas: -1}}}}
  - {{at: 1s, scale: {{object: deployment/web, replicas: -1}}, refused: must be greater than or equal to 0}}
  - {{at: 1s, restart: deployment/web, refused: never}}
  - {{at: 1s, patch: {{object: deployment/web, body: {{spec: {{replicas: -1}}}}}}}}
"""
    misses = [str(miss) for miss in played(text).misses]
    assert len(misses) == 3
    assert misses[0].startswith("s:4:5: scale deployment/web was refused: error: The --replicas=COUNT flag")
    assert misses[1].startswith(
        "s:6:5: expected restart deployment/web to be refused with 'never', found: deployment.apps/web"
    )
    assert 'Deployment.apps "web" is invalid: spec.replicas: Invalid value: ' in misses[2]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("stop: kubelet/node-9", "no component is called 'kubelet/node-9'"),
        ("crash: deploymnt-controller", "did you mean 'deployment-controller'?"),
        ("lag: kube-scheduler, for: 1s, kind: Pot", "did you mean 'Pod'?"),
    ],
)
def test_faults_name_parts_of_the_cluster(fault: str, expected: str) -> None:
    with pytest.raises(SpecError) as caught:
        played(f"faults: [{{at: 1s, {fault}}}]")
    assert str(caught.value).startswith("s:1:10: ") and expected in str(caught.value)


def test_a_stopped_component_does_nothing() -> None:
    text = f"""manifests: [{INLINE}]
until: 20s
faults: [{{at: 0s, stop: kube-scheduler}}, {{at: 10s, start: kube-scheduler}}]
expect:
  - {{at: 9s, that: pods where app=web STATUS is Pending}}
  - {{at: 9s, that: pods where app=web count is 2}}
  - {{by: 15s, that: deployment/web status.readyReplicas is 2}}
"""
    assert played(text).misses == []


def test_a_lagging_controller_is_late() -> None:
    text = f"""manifests: [{INLINE}]
until: 20s
faults: [{{at: 0s, lag: kube-controller-manager, for: 5s}}]
expect: [{{at: 4s, that: replicasets count is 0}}, {{by: 8s, that: deployment/web status.readyReplicas is 2}}]
"""
    assert played(text).misses == []


def pod(name: str, metadata: str = "", container: str = "") -> str:
    head = f"apiVersion: v1, kind: Pod, metadata: {{name: {name}{metadata}}}"
    return f"{{{head}, spec: {{containers: [{{name: a, image: i{container}}}]}}}}"


def test_namespaces_of_manifests_exist_before() -> None:
    found = played(f"until: 3s\nmanifests: [{pod('a', ', namespace: shop')}]")
    assert found.made == ("shop",) and found.misses == []
    assert found.engine.store.get("ServiceAccount", "shop", "default") is not None


def test_crash_loops_end_after_an_hour() -> None:
    text = """environment: [{pods: loop, script: exit 1 after 1s}]
manifests: [{apiVersion: v1, kind: Pod, metadata: {name: loop}, spec: {containers: [{name: a, image: i}]}}]
expect:
  - {by: 1m, that: pod/loop STATUS is CrashLoopBackOff}
  - "pod/loop status.containerStatuses[0].restartCount at least 10"
"""
    found = played(text)
    assert found.misses == [] and found.ending == "longest"


def test_probes_alone_do_not_keep_a_story_going() -> None:
    found = played(f"manifests: [{pod('a', container=', readinessProbe: {exec: {command: [a]}, periodSeconds: 5}')}]")
    assert found.ending == "quiet" and found.engine.now - START < 1000 * SECOND


@pytest.mark.parametrize(
    ("sentence", "holds"),
    [
        ("node/n STATUS is Ready", True),
        ("node/n status.conditions[type=Ready].status is True", True),
        ("node/n status.conditions[3].type is Ready", True),
        ("node/n status.conditions[9].type is nothing", True),
        ("node/n metadata.labels[kubernetes.io/hostname] is n", True),
        ("node/n metadata.labels[no] is ''", True),
        ("node/n status.capacity.pods at least 110", True),
        ("node/n status.capacity.pods at most 109", False),
        ("node/n status.capacity.pods is not 110", False),
        ("node/n spec.unschedulable is false", True),
        ("node/n spec.taints contains x", False),
        ("nodes count is 1", True),
        ("nodes where a=b count is 0", True),
        ("nodes where a=b STATUS is Ready", False),
        ("nodes metadata.name contains n", True),
        ("node/n nothing.there.at.all is null", True),
        ("node/n metadata.name.deeper[0] is nothing", True),
    ],
)
def test_sentences(sentence: str, holds: bool) -> None:
    user = k8sfsm.start(nodes=[NodeSetting(name="n")])
    assert read_expectation(sentence)(user.engine.store, user.engine.now).holds is holds


def test_the_python_interface() -> None:
    lines: list[Any] = []
    user = k8sfsm.start(WEB, nodes=2, seed=3, tracer=lines.append)
    assert user.await_that("deployment/web status.readyReplicas is 2", within="10s")
    assert user.get("deploy").splitlines()[1].split()[:2] == ["web", "2/2"]
    assert user.get("pods", wide=True).count("Running") == 2 and user.get("services") == ""
    assert user.scale("deployment/web", 3).text == "deployment.apps/web scaled"
    assert not user.await_that("deployment/web status.readyReplicas is 9", within="3s")
    assert user.object("deployment/web").spec.replicas == 3 and user.object("deployment/no") is None
    for reply in (
        user.image("deploy/web", "nginx:2"),
        user.annotate("deploy/web", {"a": "b"}),
        user.label("deploy/web", {"a": "b"}),
        user.pause("deploy/web"),
        user.resume("deploy/web"),
        user.restart("deploy/web"),
        user.status("deploy/web"),
        user.history("deploy/web"),
        user.taint("node-1", ["a:NoSchedule"]),
        user.cordon("node-1"),
        user.uncordon("node-1"),
        user.drain("node-2"),
        user.delete("deploy/web", "Foreground"),
    ):
        assert not reply.refused, reply
    assert user.scale("deploy/no", 1).text == 'Error from server (NotFound): deployments.apps "no" not found'
    user.engine.run(until=user.engine.now + 60 * SECOND)
    assert user.get("pods") == "" and lines
    assert [obj.metadata.name for obj in final_objects(user.engine.store) if obj.kind == "Node"] == ["node-1", "node-2"]


def test_what_start_refuses() -> None:
    with pytest.raises(
        RuntimeError, match=r'Deployment.apps "web" is invalid: spec.replicas: Invalid value: .*must be'
    ):
        k8sfsm.start(WEB.replace("replicas: 2", "replicas: -1"))
    with pytest.raises(ManifestError, match="manifest:1:1: kind: found nothing"):
        k8sfsm.start("a: 1")
    with pytest.raises(ValueError, match="unknown phrase 'sing'"):
        k8sfsm.start(WEB, scripts={"web-*": "sing"})


def test_the_public_names() -> None:
    for name in k8sfsm.__all__:
        assert getattr(k8sfsm, name) is not None
    assert "start" in dir(k8sfsm)
    with pytest.raises(AttributeError, match="module 'k8sfsm' has no attribute 'nothing'"):
        k8sfsm.nothing  # noqa: B018
