"""Faults: what each does to requests, informers, nodes and clocks, and where it may strike."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from clusters import NODES, SECOND, WEB, create, deployment, manifest, new_image, view_of

from k8sfsm.engine.action import (
    Boot,
    Compact,
    Crash,
    Cut,
    Disturb,
    Fail,
    Fault,
    Flap,
    Join,
    Kill,
    Lag,
    Part,
    Skew,
    Start,
    Stop,
    Strike,
    Tell,
)
from k8sfsm.engine.cluster import MANAGER
from k8sfsm.engine.engine import Engine
from k8sfsm.engine.line import Line
from k8sfsm.engine.offer import KINDS, faults_of, usual_allowance
from k8sfsm.request import Delete, Patch
from k8sfsm.scenario.starting import start
from k8sfsm.verify.invariants import check_convergence, check_safety

KUBELET = f"kubelet/{NODES[0]}"


def at_once(engine: Engine, action: Any) -> None:
    engine.schedule(action, engine.now)
    engine.step(action)


def passes(engine: Engine, seconds: float) -> None:
    engine.run(until=engine.now + int(seconds * SECOND))


def pods(engine: Engine) -> list[Any]:
    return list(engine.store.snapshot.series("in", "Pod", "default"))


def cluster() -> Engine:
    return start(nodes=2).engine


def web() -> Engine:
    engine = cluster()
    create(engine, deployment())
    passes(engine, 20)
    assert [pod.status.phase for pod in pods(engine)] == ["Running"] * 3
    return engine


def well(engine: Engine) -> None:
    """Everything is as it should be, with three Pods that run."""
    assert check_safety(view_of(engine)) == () and check_convergence(view_of(engine)) == ()
    assert engine.store.get(*WEB).status.available_replicas == 3


# -- requests ---------------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_a_write_that_was_made_and_is_tried_again() -> None:
    engine = cluster()
    at_once(engine, Disturb("deployment-controller", "lost"))
    lines: list[Line] = []
    engine.tracer = lines.append
    create(engine, deployment())
    passes(engine, 20)
    made = [line for line in lines if line.actor == "deployment-controller" and line.key[0] == "ReplicaSet"]
    assert [line.code for line in made if line.verb == "create"] == [201]
    well(engine)


def test_a_request_that_timed_out_is_not_made_and_is_tried_again() -> None:
    engine = cluster()
    at_once(engine, Disturb("deployment-controller", "timeout"))
    create(engine, deployment())
    while not engine.actors["deployment-controller"].queue.failures:
        engine.step()
    assert not list(engine.store.snapshot.series("in", "ReplicaSet", "default"))
    passes(engine, 20)
    well(engine)


def test_a_conflict_waits_for_an_update() -> None:
    engine = cluster()
    at_once(engine, Disturb("deployment-controller", "conflict"))
    create(engine, deployment())
    passes(engine, 20)
    assert not engine.trouble.requests
    well(engine)


def test_a_partition_keeps_requests_and_news_away_until_it_is_healed() -> None:
    engine = web()
    at_once(engine, Part(KUBELET))
    seen = engine.informers.snapshots(KUBELET)["Pod"].revision
    mine = next(pod for pod in pods(engine) if pod.spec.node_name == NODES[0])
    engine.submit(Delete(key=("Pod", "default", mine.metadata.name)))
    at_once(engine, Kill(("Pod", "default", mine.metadata.name), "app"))
    passes(engine, 20)
    assert engine.informers.snapshots(KUBELET)["Pod"].revision == seen
    kept = engine.store.get("Pod", "default", mine.metadata.name)
    assert kept.metadata.deletion_timestamp is not None and kept.status == mine.status
    at_once(engine, Join(KUBELET))
    passes(engine, 60)
    assert engine.store.get("Pod", "default", mine.metadata.name) is None
    well(engine)


def test_a_kubelet_that_starts_in_a_partition_lists_when_it_is_over() -> None:
    engine = web()
    for action in (Part(KUBELET), Stop(KUBELET), Start(KUBELET)):
        at_once(engine, action)
    passes(engine, 20)
    assert not engine.informers.snapshots(KUBELET)
    at_once(engine, Join(KUBELET))
    passes(engine, 20)
    assert engine.informers.snapshots(KUBELET)["Pod"].revision > 0
    well(engine)


# -- informers --------------------------------------------------------------------------------------------------------


def test_after_a_compaction_an_informer_sees_the_difference_only() -> None:
    engine = web()
    lost = pods(engine)[0].metadata.name
    at_once(engine, Lag(MANAGER, "Pod", 5 * SECOND))
    engine.submit(Delete(key=("Pod", "default", lost), grace_seconds=0))
    for label in ("a", "b"):
        engine.submit(
            Patch(key=("Pod", "default", pods(engine)[0].metadata.name), body={"metadata": {"labels": {"x": label}}})
        )
    at_once(engine, Compact())
    with pytest.raises(LookupError):
        tuple(engine.store.changes(0))
    found = engine.fork().informers.catch_up(MANAGER, "Pod", engine.store)
    assert [(change.type, change.key[2]) for change in found] == [
        ("MODIFIED", pods(engine)[0].metadata.name),
        ("DELETED", lost),
    ]
    assert found[0].new.metadata.labels["x"] == "b" and "x" not in found[0].old.metadata.labels
    passes(engine, 60)
    well(engine)


def test_an_object_made_anew_meanwhile_is_one_update_with_another_uid() -> None:
    engine = cluster()
    pod = manifest("Pod", "a", spec={"containers": [{"name": "app", "image": "sim/web:1"}]})
    pod["metadata"]["namespace"] = "default"
    first = create(engine, pod)
    passes(engine, 10)
    at_once(engine, Lag(MANAGER, "Pod", 5 * SECOND))
    engine.submit(Delete(key=("Pod", "default", "a"), grace_seconds=0))
    second = create(engine, pod)
    at_once(engine, Compact())
    change = engine.fork().informers.catch_up(MANAGER, "Pod", engine.store)[0]
    assert (change.type, change.old.metadata.uid, change.new.metadata.uid) == (
        "MODIFIED",
        first.metadata.uid,
        second.metadata.uid,
    )


def test_duplicate_events_change_nothing() -> None:
    engine = web()
    revision = engine.store.revision
    for kind in engine.informers.kinds_of(MANAGER):
        at_once(engine, Tell(MANAGER, kind))
    changes = engine.informers.told_again(MANAGER, "Pod")
    assert [change.old is change.new for change in changes] == [True] * 3
    passes(engine, 5)
    assert {change.key[0] for change in engine.store.changes(revision)} <= {"Lease", "Node"}


# -- nodes ------------------------------------------------------------------------------------------------------------


def test_a_node_that_goes_off_and_on_again_starts_its_containers_anew() -> None:
    engine = web()
    at_once(engine, Fail(NODES[0]))
    at_once(engine, Start(KUBELET))
    assert KUBELET in engine.stopped
    passes(engine, 20)
    at_once(engine, Boot(NODES[0]))
    passes(engine, 60)
    restarted = [pod for pod in pods(engine) if pod.spec.node_name == NODES[0]]
    assert restarted
    for pod in restarted:
        status = pod.status.container_statuses[0]
        assert status.restart_count == 1 and status.last_state.terminated.exit_code == 255
    well(engine)


def test_nothing_happens_on_a_node_that_is_off() -> None:
    engine = cluster()
    create(engine, deployment(replicas=6))
    passes(engine, 0.5)
    at_once(engine, Fail(NODES[0]))
    before = engine.node_states[NODES[0]]
    passes(engine, 20)
    assert engine.node_states[NODES[0]] == before
    at_once(engine, Boot(NODES[1]))


def test_a_lost_node_is_given_up_and_its_pods_are_replaced() -> None:
    engine = web()
    at_once(engine, Fault("node-loss", ((0, Fail(NODES[0])), (500 * SECOND, Boot(NODES[0])))))
    passes(engine, 450)
    alive = [pod for pod in pods(engine) if pod.metadata.deletion_timestamp is None]
    assert [pod.spec.node_name for pod in alive] == [NODES[1]] * 3
    passes(engine, 120)
    well(engine)


@pytest.mark.parametrize("offset", [-20, 20])
def test_a_node_with_another_clock_reports_its_own_times(offset: int) -> None:
    engine = cluster()
    at_once(engine, Skew(KUBELET, offset * SECOND))
    create(engine, deployment())
    passes(engine, 30)
    there = next(pod for pod in pods(engine) if pod.spec.node_name == NODES[0])
    started = there.status.container_statuses[0].state.running.started_at
    assert abs(started - there.metadata.creation_timestamp - offset * SECOND) < 5 * SECOND
    passes(engine, 120)
    ready = [
        each for node in NODES for each in engine.store.get("Node", "", node).status.conditions if each.type == "Ready"
    ]
    assert [each.status for each in ready] == ["True", "True"]
    well(engine)


@pytest.mark.parametrize(("oom", "code", "reason"), [(True, 137, "OOMKilled"), (False, 1, "Error")])
def test_a_container_that_is_killed_is_started_again(oom: bool, code: int, reason: str) -> None:
    engine = web()
    at_once(engine, Strike("web-*", "oom" if oom else "kill"))
    passes(engine, 60)
    for pod in pods(engine):
        status = pod.status.container_statuses[0]
        ended = status.last_state.terminated
        assert (status.restart_count, ended.exit_code, ended.reason) == (1, code, reason)
    well(engine)


def test_a_strike_is_for_the_pods_and_the_container_that_it_names() -> None:
    engine = web()
    at_once(engine, Strike("db-*", "kill"))
    at_once(engine, Strike("web-*", "kill", "sidecar"))
    at_once(engine, Kill(("Pod", "default", "nobody"), "app"))
    passes(engine, 30)
    assert {pod.status.container_statuses[0].restart_count for pod in pods(engine)} == {0}


def test_no_image_comes_while_registries_are_out_of_reach() -> None:
    engine = web()
    for node in NODES:
        at_once(engine, Cut(node, 30 * SECOND))
    new_image(engine, "sim/web:2")
    passes(engine, 20)
    waiting = [pod.status.container_statuses[0].state.waiting for pod in pods(engine)]
    assert {each.reason for each in waiting if each is not None} <= {"ErrImagePull", "ImagePullBackOff"}
    assert any(waiting)
    passes(engine, 120)
    well(engine)


def test_a_readiness_probe_flaps() -> None:
    engine = cluster()
    document = deployment(replicas=1)
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1}
    document["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    create(engine, document)
    passes(engine, 20)
    lines: list[Line] = []
    engine.tracer = lines.append
    at_once(engine, Strike("web-*", "flap", duration=10 * SECOND))
    assert isinstance(next(iter(engine.trouble.flaps.items()))[0], tuple)
    passes(engine, 40)
    answers = [line.detail["ok"] for line in lines if line.verb == "probe" and line.detail["probe"] == "ready"]
    changes = sum(a != b for a, b in itertools.pairwise(answers))
    assert 8 <= changes <= 11 and answers[-1]
    assert pods(engine)[0].status.container_statuses[0].ready


# -- what is offered --------------------------------------------------------------------------------------------------


def test_faults_are_offered_as_often_as_they_are_allowed() -> None:
    engine = web()
    assert engine.offers() == () and not any(isinstance(each, Fault) for each in engine.enabled())
    engine.allowance = {"container-crash": 1, "oom": 0}
    names = [pod.metadata.name for pod in pods(engine)]
    assert [fault.parts for fault in engine.offers()] == [
        ((0, Kill(("Pod", "default", name), "app")),) for name in names
    ]
    assert engine.enabled() == (*engine.due(), *engine.offers())
    other = engine.fork()
    engine.step(engine.offers()[0])
    assert engine.offers() == () and len(other.offers()) == 3
    passes(engine, 60)
    assert sorted(pod.status.container_statuses[0].restart_count for pod in pods(engine)) == [0, 0, 1]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_of_fault_can_strike_and_the_cluster_recovers(kind: str) -> None:
    engine = cluster()
    document = deployment()
    probe = {"exec": {"command": ["check"]}, "periodSeconds": 1}
    document["spec"]["template"]["spec"]["containers"][0]["readinessProbe"] = probe
    create(engine, document)
    passes(engine, 20)
    new_image(engine, "sim/web:2")
    struck = 0
    for _ in range(400):
        found = faults_of(engine, kind)
        if found and struck < 2:
            engine.step(found[-1])
            struck += 1
        engine.step()
    assert struck
    passes(engine, 900)
    well(engine)


def test_what_is_stopped_or_cut_off_is_not_struck_again() -> None:
    engine = web()
    for action in (Stop(MANAGER), Part(KUBELET)):
        at_once(engine, action)
    struck = [part for kind in KINDS for fault in faults_of(engine, kind) for _, part in fault.parts]
    named = {getattr(part, "component", "") for part in struck}
    assert MANAGER not in named and KUBELET not in named and f"kubelet/{NODES[1]}" in named
    assert not any(isinstance(part, Crash) and part.actor != "kube-scheduler" for part in struck)


def test_the_usual_allowance_has_every_kind() -> None:
    assert usual_allowance().keys() == KINDS.keys() and min(usual_allowance().values()) > 0


def test_flapping_is_of_one_pod() -> None:
    engine = web()
    at_once(engine, Flap(("Pod", "default", "a"), SECOND))
    assert engine.trouble.flaps.get(("Pod", "default", "a")) == engine.now + SECOND
