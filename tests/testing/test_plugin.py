"""The plugin, the fixture and the strategies, as somebody uses them who tests a controller of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from k8sfsm.request import Update
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.model import NodeSetting, Story
from k8sfsm.testing import BrokenInvariants, Cluster, ControllerUnderTest, owner_keys, self_keys
from k8sfsm.testing import strategies as ours
from k8sfsm.trace.history import Recording

CHECKOUT = Path(__file__).resolve().parents[2]
FAST = settings(max_examples=15, database=None, deadline=None, suppress_health_check=list(HealthCheck))
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "a"},
    "spec": {"containers": [{"name": "app", "image": "sim/web:1"}]},
}
WEB = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": POD["spec"]},
    },
}


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    command = [sys.executable, "-m", "pytest", "-p", "k8sfsm.testing.plugin", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_example_of_the_page_passes(tmp_path: Path) -> None:
    blocks = re.findall(r"```python\n(.*?)```", (CHECKOUT / "docs" / "testing.md").read_text("utf-8"), re.DOTALL)
    for block, name in zip(blocks, ("expose.py", "test_expose.py", "test_any.py"), strict=True):
        (tmp_path / name).write_text(block, "utf-8")
    done = run_pytest(tmp_path, "--strict-markers", "-q")
    assert done.returncode == 0 and "10 passed" in done.stdout, done.stdout


def test_a_failure_shows_what_happened_in_the_cluster(tmp_path: Path) -> None:
    steps = (f"cluster.apply({POD!r})", "cluster.advance('5s')", "assert cluster.holds('pod/a is gone')")
    (tmp_path / "test_it.py").write_text("\n    ".join(("def test_it(cluster):", *steps)), "utf-8")
    done = run_pytest(tmp_path, "-q")
    assert done.returncode == 1
    assert "k8sfsm: what happened in the cluster" in done.stdout and "bind Pod/default/a" in done.stdout


# -- the cluster ------------------------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Cluster:
    return Cluster(nodes=2)


def test_a_step_that_breaks_an_invariant_is_told_at_once(cluster: Cluster) -> None:
    cluster.apply(WEB)
    cluster.settle()
    assert cluster.holds("deployment/web READY is 2/2") and cluster.age.endswith("s")
    cluster.engine.store, _ = cluster.engine.store.put(_ready_beyond(cluster))
    with pytest.raises(BrokenInvariants, match="counts-consistent") as caught:
        cluster.check()
    assert [each.invariant for each in caught.value.violations] == ["Deployment/counts-consistent"]
    assert "deployment-controller update Deployment/default/web" in str(caught.value)


def _ready_beyond(cluster: Cluster) -> object:
    found = cluster.get("deployment/web")
    return evolve(found, status=evolve(found.status, ready_replicas=9))


def test_eventually_and_always(cluster: Cluster) -> None:
    cluster.apply(WEB)
    cluster.eventually("deployment/web READY is 2/2", within="30s")
    cluster.always("deployment/web READY is 2/2", during="1m")
    with pytest.raises(AssertionError, match=r"not within 5s: .* READY is 3/3; found 2/2"):
        cluster.eventually("deployment/web READY is 3/3", within="5s")
    cluster.kill("web-*")
    with pytest.raises(AssertionError, match="no longer: deployment/web READY is 2/2"):
        cluster.always("deployment/web READY is 2/2", during="1m")
    with pytest.raises(AssertionError, match=r"spec\.containers: Required value"):
        cluster.apply({**POD, "spec": {"containers": []}})


def test_what_does_not_come_to_rest_is_told(cluster: Cluster) -> None:
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1}
    cluster.apply({**POD, "spec": {"containers": [{**POD["spec"]["containers"][0], "readinessProbe": probe}]}})  # type: ignore[index]
    with pytest.raises(AssertionError, match="not at rest within 1m"):
        cluster.settle("1m")


def test_faults_begin_and_end(cluster: Cluster) -> None:
    cluster.apply(WEB)
    cluster.settle()
    cluster.stop("kube-controller-manager", "30s")
    cluster.user.scale("deployment/web", 3)
    cluster.advance("20s")
    assert len(cluster.list("Pod")) == 2
    cluster.advance("20s")
    assert len(cluster.list("Pod")) == 3
    cluster.partition("kubelet/node-1", "10s")
    assert "kubelet/node-1" in cluster.engine.trouble.parted
    cluster.advance("11s")
    assert not cluster.engine.trouble.parted
    cluster.fail_node("node-1")
    cluster.lag("Pod", "5s")
    cluster.advance("2m")
    assert cluster.holds("node/node-1 STATUS is NotReady")
    cluster.kill("web-*", oom=True)
    cluster.advance("10s")
    assert {pod.status.container_statuses[0].restart_count for pod in cluster.list("Pod")} == {0, 1}


def test_a_shaken_cluster_recovers_and_the_same_seed_does_the_same() -> None:
    ends = []
    for _ in range(2):
        cluster = Cluster(nodes=2)
        cluster.apply(WEB)
        cluster.shake("1m", seed=5, faults={"container-crash": 2, "controller-crash": 1})
        assert cluster.engine.allowance == {}
        cluster.advance("10m")
        cluster.converged()
        assert cluster.holds("deployment/web READY is 2/2")
        ends.append(cluster.engine.store.revision)
    assert ends[0] == ends[1]


def test_a_loose_cluster_is_not_judged() -> None:
    cluster = Cluster(strict=False)
    cluster.apply(WEB)
    cluster.settle()
    cluster.engine.store, _ = cluster.engine.store.put(_ready_beyond(cluster))
    cluster.advance("1s")


# -- controllers ------------------------------------------------------------------------------------------------------


def test_a_controller_tries_again_after_an_exception_and_after_a_refusal(cluster: Cluster) -> None:
    seen: list[int] = []

    def reconcile(view: object, key: object) -> list[object]:
        seen.append(view.now)  # type: ignore[attr-defined]
        if len(seen) == 1:
            raise KeyError("at first")
        pod = view.get(*key)  # type: ignore[attr-defined]
        version = "1" if len(seen) == 2 else pod.metadata.resource_version
        marked = evolve(pod.metadata, labels={"seen": "yes"}, resource_version=version)
        return [] if pod.metadata.labels else [Update(object=evolve(pod, metadata=marked))]

    controller = ControllerUnderTest("marker", reconcile, {"Pod": self_keys})  # type: ignore[arg-type]
    cluster.add(controller)
    cluster.apply(POD)
    cluster.settle()
    assert [type(error) for error in controller.errors] == [KeyError]
    assert cluster.get("pod/a").metadata.labels == {"seen": "yes"}
    refused = [line for line in cluster.lines if line.account.endswith(":marker") and line.code == 409]
    assert refused and {line.account for line in refused} == {"system:serviceaccount:kube-system:marker"}


def test_changes_lead_to_the_owner(cluster: Cluster) -> None:
    keys: set[object] = set()

    def reconcile(view: object, key: object) -> list[object]:
        keys.add(key)
        return []

    cluster.add(ControllerUnderTest("sets", reconcile, {"Pod": owner_keys("ReplicaSet")}))  # type: ignore[arg-type]
    cluster.apply(POD)
    cluster.apply(WEB)
    cluster.settle()
    (owner,) = {pod.metadata.owner_references[0].name for pod in cluster.list("Pod") if pod.metadata.owner_references}
    assert keys == {("ReplicaSet", "default", owner)}


# -- strategies -------------------------------------------------------------------------------------------------------


@FAST
@given(ours.manifests(broken=True))
def test_manifests_are_taken_by_the_api_server(manifest: dict[str, object]) -> None:
    Cluster(strict=False).apply(manifest)


@FAST
@given(ours.stories(broken=True))
def test_stories_can_be_read_again(story: Story) -> None:
    again = read_story(story.doc, "again.yaml")
    for parts in ("nodes", "actions", "faults", "manifests"):
        assert len(getattr(again, parts)) == len(getattr(story, parts))
    assert [node.name for node in again.nodes] == [node.name for node in story.nodes]


@settings(FAST, max_examples=3)
@given(ours.traces())
def test_traces_are_histories(trace: Recording) -> None:
    assert trace.format == "k8sfsm" and trace.initial and trace.about["seed"] is not None


def test_strategies_give_every_fault_and_kind() -> None:
    kinds: set[object] = set()
    faults: set[str] = set()
    nodes: list[NodeSetting] = []

    @settings(FAST, max_examples=200)
    @given(ours.manifests(), ours.faults(3), ours.clusters(2, 3), st.none())
    def collect(manifest: dict[str, object], fault: dict[str, str], cluster: tuple[NodeSetting, ...], _: None) -> None:
        kinds.add(manifest["kind"])
        faults.update(fault)
        nodes.extend(cluster)

    collect()
    assert kinds == {"Deployment", "ReplicaSet", "Service", "Pod", "PodDisruptionBudget"}
    assert {
        "stop",
        "crash",
        "lag",
        "compact",
        "disturb",
        "partition",
        "fail",
        "skew",
        "kill",
        "oom",
        "cut",
        "flap",
    } < faults
    assert {node.name for node in nodes} == {"node-1", "node-2", "node-3"}
