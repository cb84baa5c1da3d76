"""Every write of a real cluster to Pods and Nodes is a legal transition for the actor who made it."""

from __future__ import annotations

from itertools import product

import pytest
from attrs import evolve

from k8sfsm.kinds import node as node_kind
from k8sfsm.kinds import pod as pod_kind
from k8sfsm.machine import Illegal, Machines, Move, Transition
from k8sfsm.objects import PodCondition, Taint, from_json
from k8sfsm.objects.times import parse_time
from k8sfsm.view import View
from tests.node.harness import pod_named
from tests.node.recordings import lines

RECORDINGS = ["01-deploy-create", "03-rolling-default", "11-node-failure", "13a-restart-policies", "14b-sidecar-multi"]
ACTORS = ("kubelet", "apiserver")


@pytest.mark.parametrize("name", RECORDINGS)
def test_recorded_writes_are_legal(name):
    machines, last, states = Machines.load(), {}, set()
    for line in lines(name):
        if line["kind"] != "write":
            continue
        new = from_json(line["object"])
        old = last.get(new.metadata.uid)
        gone = line["type"] == "DELETED"
        last[new.metadata.uid] = new
        if line.get("initial"):
            continue
        now = parse_time(line["ts"])
        actors = (line["actor"],) if line["actor"] else ACTORS
        verdicts = [machines.check(old, None if gone else new, actor, now) for actor in actors]
        assert any(verdict.legal for verdict in verdicts), verdicts
        states |= set(machines.classify(new).values())
        if new.kind == "Pod" and not gone:
            _check_containers(machines, old, new, line["actor"] or "kubelet", now)
    assert {"Unscheduled", "Scheduled", "Creating", "Running"} <= states


def _check_containers(machines, old, new, actor, now):
    known = {} if old is None else {s.name: s for s in _statuses(old)}
    for status in _statuses(new):
        verdict = machines.check_part("Container", known.get(status.name), status, actor, now)
        assert verdict.legal, verdict


def _statuses(pod):
    return (*pod.status.init_container_statuses, *pod.status.container_statuses)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_write_is_judged_as_each_region_judges_it(name):
    machines, last = Machines.load(), {}
    found = set()
    for line in lines(name):
        if line["kind"] != "write":
            continue
        new = from_json(line["object"])
        old = last.get(new.metadata.uid)
        last[new.metadata.uid] = new
        machine = machines.of(new.kind)
        if machine is None:
            continue
        states = {region: each.classify(new) for region, each in machine.regions.items()}
        assert machines.classify(new) == states
        for actor in ("kubelet", "user", "replicaset-controller", "kube-scheduler", "nobody"):
            verdict = machines.check(old, new, actor, 7)
            judged = [_judged(each, old, new, actor) for each in machine.regions.values()]
            assert verdict.moves == tuple(each for each in judged if isinstance(each, Move))
            assert verdict.illegal == tuple(each for each in judged if isinstance(each, Illegal))
            found |= {type(each) for each in judged}
    assert found >= {Move, Illegal}


def test_pods_of_one_reading_are_in_the_same_states():
    machine, pod = Machines.load().of("Pod"), pod_named("p", ("c",))
    conditions = [PodCondition(type=kind, status=status) for kind in ("Other", "Ready") for status in ("True", "False")]
    found = set()
    for phase, node, start, ready, marked, grace in product(
        ("", "Pending", "Running", "Succeeded", "Failed", "Unknown"),
        ("", "n"),
        (None, 7),
        ((), *((each,) for each in conditions), tuple(conditions[1:])),
        (None, 9),
        (None, 0, 30),
    ):
        each = evolve(
            pod,
            metadata=evolve(pod.metadata, deletion_timestamp=marked, deletion_grace_period_seconds=grace),
            spec=evolve(pod.spec, node_name=node),
            status=evolve(pod.status, phase=phase, start_time=start, conditions=ready),
        )
        states = machine.classifiers.states(each)
        assert states == machine.classifiers.asked(each)
        assert states is machine.classifiers.states(evolve(each, status=evolve(each.status, reason="other")))
        found.add(states)
    assert len(found) == 6 * 2 * 3


def _judged(region, old, new, actor):
    was, becomes = region.classify(old), region.classify(new)
    return None if was == becomes else region.judge(was, becomes, Transition(old, new, actor, 7))


def test_only_its_actor_takes_a_transition():
    machines = Machines.load()
    pod = pod_named("a", [])
    unbound = evolve(pod, spec=evolve(pod.spec, node_name=""))
    assert machines.check(unbound, pod, "kube-scheduler", 0).legal
    assert not machines.check(unbound, pod, "replicaset-controller", 0).legal
    ended = evolve(pod, status=evolve(pod.status, phase="Failed"))
    assert machines.check(pod, ended, "pod-garbage-collector", 0).legal
    assert not machines.check(pod, ended, "user", 0).legal
    back = evolve(pod, status=evolve(pod.status, phase="Running"))
    assert not machines.check(ended, back, "kubelet", 0).legal


def test_invariants():
    ready = PodCondition(type="Ready", status="True")
    pod = pod_named("a", [])
    over = evolve(pod, status=evolve(pod.status, phase="Failed", conditions=(ready,)))
    assert list(pod_kind.over_is_not_ready(View.of([over])))
    assert not list(pod_kind.over_is_not_ready(View.of([pod])))
    node = next(from_json(line["object"]) for line in lines("11-node-failure") if line["object"]["kind"] == "Node")
    twice = (Taint(key="a", effect="NoSchedule"), Taint(key="a", effect="NoSchedule"))
    assert not list(node_kind.one_of_each_taint(View.of([node])))
    assert list(node_kind.one_of_each_taint(View.of([evolve(node, spec=evolve(node.spec, taints=twice))])))
    small = evolve(node, status=evolve(node.status, capacity={"cpu": node.status.allocatable["pods"]}))
    assert not list(node_kind.room_within_capacity(View.of([small])))
