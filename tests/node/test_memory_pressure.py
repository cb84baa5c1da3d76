"""A node runs short of memory: what it says, whom its kubelet evicts and how, and how long it is said to be short."""

from __future__ import annotations

from itertools import pairwise

import pytest

from k8sfsm.objects.durations import SECOND
from k8sfsm.scenario.model import NodeSetting
from k8sfsm.scenario.starting import start

MI = 1 << 20
NODE = (NodeSetting(name="node-1", memory="2Gi"),)


def pod(name, request="", grace=30):
    resources = f"{{requests: {{memory: {request}}}}}" if request else "{}"
    lines = [
        "apiVersion: v1",
        "kind: Pod",
        f"metadata: {{name: {name}}}",
        "spec:",
        f"  terminationGracePeriodSeconds: {grace}",
        f"  containers: [{{name: app, image: 'img:1', resources: {resources}}}]",
    ]
    return "\n".join(lines) + "\n"


def cluster(pods, scripts):
    lines = []
    user = start("---\n".join(pods), nodes=NODE, scripts=scripts, tracer=lines.append)
    return user, lines


def run(user, seconds):
    user.engine.run(until=user.engine.now + int(seconds * SECOND))


def condition(user, kind="MemoryPressure"):
    return next(each for each in user.object("node/node-1").status.conditions if each.type == kind)


def events(user, reason):
    return [each for each in user.engine.store.snapshot.series("in", "Event", "default") if each.reason == reason]


def test_an_evicted_pod():
    user, _ = cluster(
        [pod("small", "200Mi"), pod("big", "100Mi")],
        {"small": "uses 150Mi", "big": "uses 500Mi, uses 1800Mi after 20s, term after 0.5s with 143"},
    )
    run(user, 15)
    assert condition(user).status == "False"
    assert user.await_that("pod/big status.reason is Evicted", within="40s")
    big = user.object("pod/big")
    assert (big.status.phase, big.status.reason) == ("Failed", "Evicted")
    assert big.status.message == (
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 98Mi. "
        "Container app was using 1800Mi, request is 100Mi, has larger consumption of memory. "
    )
    target = next(each for each in big.status.conditions if each.type == "DisruptionTarget")
    assert (target.status, target.reason, target.message) == ("True", "TerminationByKubelet", big.status.message)
    assert big.status.container_statuses[0].state.terminated.exit_code == 143
    assert user.object("pod/small").status.phase == "Running"
    assert [each.message for each in events(user, "Evicted")] == [big.status.message]
    held = condition(user)
    assert (held.status, held.reason) == ("True", "KubeletHasInsufficientMemory")
    assert held.message == "kubelet has insufficient memory available"


def test_failure_is_kept_back_until_nothing_runs():
    user, _ = cluster([pod("big", "100Mi")], {"big": "uses 2000Mi, slow stop"})
    seen = []
    for _ in range(200):
        run(user, 0.1)
        found = user.object("pod/big")
        running = any(each.state.running for each in found.status.container_statuses)
        seen.append((found.status.phase, running))
    assert ("Running", True) in seen and ("Failed", True) not in seen and seen[-1] == ("Failed", False)


def test_it_gets_a_second_or_rather_two():
    """Hard thresholds leave a second; no container gets less than two."""
    user, lines = cluster([pod("big", grace=60)], {"big": "uses 2000Mi, slow stop"})
    assert user.await_that("pod/big status.reason is Evicted", within="40s")
    told = next(line.at for line in lines if line.verb == "stop-signal")
    ended = next(line.at for line in lines if line.verb == "container-exit")
    assert ended - told == 2 * SECOND


def test_one_pod_a_round_by_the_ranking_until_there_is_enough():
    user, _ = cluster(
        [pod("modest", "700Mi"), pod("first"), pod("second"), pod("third")],
        {
            "modest": "uses 600Mi",
            "first": "uses 400Mi, uses 800Mi after 20s, slow stop",
            "second": "uses 300Mi, uses 500Mi after 20s, slow stop",
            "third": "uses 250Mi, uses 300Mi after 20s",
        },
    )
    assert user.await_that("pod/first status.reason is Evicted", within="1m")
    assert user.object("pod/second").status.phase == "Running"
    run(user, 60)
    assert {name: user.object(f"pod/{name}").status.phase for name in ("modest", "second", "third")} == dict.fromkeys(
        ("modest", "second", "third"), "Running"
    )


def test_the_next_round_begins_when_the_first_is_cleaned_up():
    user, lines = cluster(
        [pod("a"), pod("b"), pod("c")],
        {name: f"uses {use}Mi after 20s, slow stop" for name, use in (("a", 1500), ("b", 1200), ("c", 1100))},
    )
    assert user.await_that("pod/c STATUS is Running", within="10s")
    run(user, 70)
    gone = [line.key[2] for line in lines if line.verb == "container-exit"]
    assert gone == ["a", "b"]
    times = [line.at for line in lines if line.verb == "stop-signal"]
    assert 2 * SECOND < times[1] - times[0] < 6 * SECOND
    assert user.object("pod/c").status.phase == "Running"


def test_pressure_is_said_for_five_minutes_more():
    user, _ = cluster([pod("big")], {"big": "uses 2000Mi, term after 0.1s with 1"})
    assert user.await_that("node/node-1 status.conditions[type=MemoryPressure].status is True", within="30s")
    since = user.engine.now
    assert user.await_that("node/node-1 status.conditions[type=MemoryPressure].status is False", within="10m")
    assert 300 * SECOND <= user.engine.now - since <= 325 * SECOND
    held = condition(user)
    assert (held.reason, held.message) == ("KubeletHasSufficientMemory", "kubelet has sufficient memory available")


def test_a_node_under_pressure_takes_no_best_effort_pods():
    user, _ = cluster([pod("big")], {"big": "uses 2000Mi, term after 0.1s with 1"})
    assert user.await_that("pod/big status.reason is Evicted", within="40s")
    late = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "late"},
        "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": "img:1"}]},
    }
    user.create(late)
    assert user.await_that("pod/late status.reason is Evicted", within="10s")
    assert user.object("pod/late").status.message == ("Pod was rejected: The node had condition: [MemoryPressure]. ")


@pytest.mark.parametrize(("use", "ends"), [(300, True), (200, False)])
def test_more_than_its_own_limit(use, ends):
    """That is the kernel's business: the container is killed, the pod goes on."""
    limited = pod("p").replace("resources: {}", "resources: {limits: {memory: 256Mi}}")
    user, _ = cluster([limited], {"p": f"uses {use}Mi after 5s"})
    run(user, 12)
    status = user.object("pod/p").status.container_statuses[0]
    assert (status.restart_count > 0) is ends
    if ends:
        assert status.last_state.terminated.reason == "OOMKilled" and status.last_state.terminated.exit_code == 137
    assert not events(user, "Evicted")


def test_heartbeats_go_on_as_before():
    """Looks at memory between them neither stop nor double them."""
    user, lines = cluster([pod(name) for name in "abc"], dict.fromkeys("abc", "uses 100Mi, uses 200Mi after 7s"))
    run(user, 5)
    rounds = user.engine.heartbeats
    run(user, 395)
    renewals = [line.at for line in lines if line.key[0] == "Lease" and line.actor == "kubelet"]
    assert 38 <= len(renewals) <= 41
    looks = [each for each in pairwise(renewals) if each[1] - each[0] < 9 * SECOND]
    assert not looks
    assert user.engine.heartbeats == rounds  # of the kubelet, and of all that make rounds


def test_a_pod_that_ends_well_when_it_is_evicted_has_succeeded():
    user, _ = cluster([pod("big")], {"big": "uses 2000Mi, term after 0.1s"})
    assert user.await_that("pod/big status.phase is Succeeded", within="40s")
    assert user.object("pod/big").status.reason == ""
