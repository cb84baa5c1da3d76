"""`kubectl drain` in virtual time, with the words of kubectl: those of a real drain are recorded (17-drain-pdb)."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

import k8sfsm
from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.loading import read_story
from k8sfsm.scenario.play import Play, play
from k8sfsm.scenario.user import Reply, User
from k8sfsm.spec.mistakes import SpecError

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {kubernetes.io/hostname: node-1}
      containers: [{name: c, image: web}]
"""
BUDGET = """
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: MIN, selector: {matchLabels: {app: web}}}
"""


def pod(name: str, spec: str = "", owner: str = "") -> dict[str, Any]:
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "c", "image": "x"}], "restartPolicy": "Never"},
    }
    if owner:
        reference = {"apiVersion": "apps/v1", "kind": owner, "name": "o", "uid": "u", "controller": True}
        document["metadata"]["ownerReferences"] = [reference]
    if spec == "emptyDir":
        document["spec"]["volumes"] = [{"name": "data", "emptyDir": {}}]
    return document


def cluster(*manifests: str, scripts: dict[str, str] | None = None) -> User:
    user: User = k8sfsm.start("---".join(manifests), nodes=1, scripts=scripts or {})
    user.engine.run(until=user.engine.now + 10 * SECOND)
    return user


def drain(user: User, **options: Any) -> tuple[list[str], Reply]:
    reply = user.drain("node-1", **options)
    return reply.text.splitlines(), reply


def names(user: User) -> list[str]:
    return [each.metadata.name for each in user.engine.store.snapshot.on_node("node-1")]


def test_a_drain_ends_when_all_pods_are_gone() -> None:
    user = cluster(WEB)
    before, begun = names(user), user.engine.now
    said, reply = drain(user)
    assert not reply.refused and not names(user)
    evicted = [f"evicting pod default/{name}" for name in before]
    assert said[:3] == ["node/node-1 cordoned", *evicted] and said[-1] == "node/node-1 drained"
    assert sorted(said[3:5]) == sorted(f"pod/{name} evicted" for name in before)
    assert user.engine.now - begun >= SECOND and user.object("node/node-1").spec.unschedulable
    assert user.uncordon("node-1").text == "node/node-1 uncordoned"


def test_a_budget_delays_it_and_evictions_are_tried_again_every_five_seconds() -> None:
    user = cluster(WEB, BUDGET.replace("MIN", "1"))
    refused = (
        'error when evicting pods/"{}" -n "default" (will retry after 5s): Cannot evict pod as it would violate the'
    )
    first, second = names(user)
    begun = user.engine.now
    said, reply = drain(user, timeout="12s")
    assert said[:5] == [
        "node/node-1 cordoned",
        f"evicting pod default/{first}",
        f"evicting pod default/{second}",
        refused.format(second) + " pod's disruption budget.",
        f"pod/{first} evicted",
    ]
    assert said.count(f"evicting pod default/{second}") == 4  # at 0, 5 and 10 s, and when the time is up
    assert reply.refused and user.engine.now - begun == 15 * SECOND + user.engine.latencies.request
    late = f'error when evicting pods/"{second}" -n "default": global timeout reached: 12s'
    assert said[-6:] == [
        f'There are pending pods in node "node-1" when an error occurred: {late}',
        f"pod/{second}",
        f'error: unable to drain node "node-1" due to error: {late}, continuing command...',
        "There are pending nodes to be drained:",
        " node-1",
        late,
    ]
    assert names(user) == [second] and user.object("node/node-1").spec.unschedulable


def test_a_pod_that_does_not_end_in_time() -> None:
    user = cluster(WEB.replace("replicas: 2", "replicas: 1"), scripts={"web-*": "slow stop"})
    (name,) = names(user)
    said, reply = drain(user, timeout="3s")
    late = f'error when waiting for pod "{name}" in namespace "default" to terminate: global timeout reached: 3s'
    assert reply.refused and said[-1] == late
    assert drain(user)[0][-1] == "node/node-1 drained"


DAEMON = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/ds"
LOCAL = "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/local"
ALONE = "cannot delete Pods that declare no controller (use --force to override): default/bare"


@pytest.mark.parametrize(
    ("pods", "options", "problems"),
    [
        ([pod("ds", owner="DaemonSet")], {}, [DAEMON]),
        ([pod("bare")], {}, [ALONE]),
        ([pod("local", "emptyDir", "ReplicaSet")], {}, [LOCAL]),
        ([pod("local", "emptyDir")], {"force": True}, [LOCAL]),
        ([pod("ds", owner="DaemonSet"), pod("bare"), pod("local", "emptyDir", "Job")], {}, [DAEMON, ALONE, LOCAL]),
        ([pod("ds", owner="DaemonSet"), pod("bare")], {"ignore_daemonsets": True}, [ALONE]),
        ([pod("ds", owner="DaemonSet"), pod("bare")], {"force": True}, [DAEMON]),
    ],
)
def test_what_is_in_the_way(pods: list[Any], options: dict[str, bool], problems: list[str]) -> None:
    user = cluster(WEB)
    for each in pods:
        assert not user.create(each).refused
    before = names(user)
    said, reply = drain(user, **options)
    listed = problems[0] if len(problems) == 1 else f"[{', '.join(problems)}]"
    assert reply.refused and said == [
        "node/node-1 cordoned",
        f'error: unable to drain node "node-1" due to error: {listed}, continuing command...',
        "There are pending nodes to be drained:",
        " node-1",
        *problems,
    ]
    assert names(user) == before and user.object("node/node-1").spec.unschedulable


def test_a_node_that_is_not_there() -> None:
    reply = cluster(WEB).drain("node/no")
    assert reply.refused and reply.text == 'Error from server (NotFound): nodes "no" not found'


def test_a_drain_without_an_end_is_given_up() -> None:
    user = cluster(WEB, BUDGET.replace("MIN", "2"))
    begun = user.engine.now
    said, reply = drain(user)
    assert reply.refused and "drained" not in said[-1] and user.engine.now - begun <= 3600 * SECOND


def in_json(manifest: str) -> str:
    return json.dumps(yaml.safe_load(manifest))


STORY = f"""
cluster: {{nodes: 1}}
manifests: [{in_json(WEB)}, {in_json(BUDGET.replace("MIN", "1"))}]
actions:
  - {{at: 10s, drain: {{node: node-1, TIMEOUT}}}}
  - {{at: 20s, uncordon: node-1}}
"""


def told(timeout: str) -> Play:
    text = STORY.replace("TIMEOUT", f"timeout: {timeout}")
    return play(read_story(text, "story"))


def test_a_story_goes_on_while_a_node_is_drained() -> None:
    played = told("2m")
    commands = [(each.command, (each.at - played.told[0].at) // SECOND) for each in played.told[2:]]
    assert [name for name, _ in commands] == ["uncordon node-1", "drain node-1"]
    assert not played.misses and commands[1][1] > commands[0][1] == 20
    assert played.told[-1].reply.text.endswith("node/node-1 drained")


def test_a_drain_that_fails_is_a_miss() -> None:
    played = told("4s")
    assert [each.text.splitlines()[0] for each in played.misses] == ["drain node-1 was refused: node/node-1 cordoned"]
    assert "global timeout reached: 4s" in played.misses[0].text


def test_a_timeout_is_a_duration() -> None:
    with pytest.raises(SpecError, match="expected a duration"):
        told("soon")
