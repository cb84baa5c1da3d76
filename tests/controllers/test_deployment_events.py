"""Which Deployments a change wakes."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from deployment_objects import KEY, NOW, RECREATE, deployment, owner, replica_set

from k8sfsm.controllers.deployment.keys import deployments_of_replica_set, recreated_deployment
from k8sfsm.law import Law
from k8sfsm.objects import Deployment, LabelSelector, LabelSelectorRequirement, ObjectMeta, Pod, ReplicaSet, key_of
from k8sfsm.view import Change, View

OTHER = ("Deployment", "default", "other")
MINE = replica_set(1)
ORPHAN = replica_set(1, owner_references=())


def other(selector: LabelSelector | None) -> Deployment:
    plain = deployment(selector=selector)
    return evolve(plain, metadata=evolve(plain.metadata, name="other", uid="uid-other"))


def change(type: Any, old: Any, new: Any) -> Change:
    return Change(9, type, key_of(new), old, new)


def woken(made: Change, *objects: Any) -> list[Any]:
    return list(deployments_of_replica_set(made, View.of(objects, now=NOW)))


def relabeled(rs: ReplicaSet, **labels: str) -> ReplicaSet:
    return evolve(rs, metadata=evolve(rs.metadata, labels={**rs.metadata.labels, **labels}))


def given_to(rs: ReplicaSet, uid: str, name: str) -> ReplicaSet:
    return evolve(rs, metadata=evolve(rs.metadata, owner_references=(owner(uid, name),)))


GOING = evolve(ORPHAN, metadata=evolve(ORPHAN.metadata, deletion_timestamp=NOW))
GOING_MINE = evolve(MINE, metadata=evolve(MINE.metadata, deletion_timestamp=NOW))
THEIRS = given_to(MINE, "uid-other", "other")


@pytest.mark.parametrize(
    ("type", "old", "new", "keys"),
    [
        ("ADDED", None, MINE, [KEY]),
        ("MODIFIED", MINE, relabeled(MINE, a="b"), [KEY]),
        ("MODIFIED", MINE, MINE, [KEY]),
        ("DELETED", MINE, MINE, [KEY]),
        ("ADDED", None, GOING_MINE, [KEY]),
        ("ADDED", None, ORPHAN, [KEY, OTHER]),
        ("ADDED", None, GOING, []),
        ("MODIFIED", ORPHAN, ORPHAN, []),
        ("MODIFIED", ORPHAN, relabeled(ORPHAN, a="b"), [KEY, OTHER]),
        ("MODIFIED", MINE, ORPHAN, [KEY, KEY, OTHER]),
        ("MODIFIED", MINE, relabeled(ORPHAN, a="b"), [KEY, KEY, OTHER]),
        ("MODIFIED", MINE, THEIRS, [KEY, OTHER]),
        ("MODIFIED", ORPHAN, MINE, [KEY]),
        ("DELETED", ORPHAN, ORPHAN, []),
        ("ADDED", None, given_to(MINE, "uid-gone", "web"), []),
    ],
)
def test_replica_sets_wake(type: str, old: Any, new: Any, keys: list[Any]) -> None:
    same = deployment().spec.selector
    assert woken(change(type, old, new), deployment(), other(same)) == keys


@pytest.mark.parametrize(
    "selector",
    [
        None,
        LabelSelector(),
        LabelSelector(match_labels={"app": "x"}),
        LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Like"),)),
    ],
)
def test_an_orphan_does_not_wake_what_does_not_select_it(selector: LabelSelector | None) -> None:
    assert woken(change("ADDED", None, ORPHAN), other(selector)) == []


def pod(revision: int, name: str = "p") -> Pod:
    reference = owner(f"uid-{revision}", f"web-{revision}", "ReplicaSet")
    return Pod(metadata=ObjectMeta(name=name, namespace="default", uid=name, owner_references=(reference,)))


GONE = pod(1)


@pytest.mark.parametrize(
    ("type", "old", "objects", "keys"),
    [
        ("DELETED", GONE, [deployment(strategy=RECREATE), MINE], [KEY]),
        ("DELETED", GONE, [deployment(strategy=RECREATE), MINE, pod(1, "q")], []),
        ("DELETED", GONE, [deployment(strategy=RECREATE), MINE, replica_set(2), pod(2, "q")], []),
        ("DELETED", GONE, [deployment(), MINE], []),
        ("DELETED", GONE, [deployment(strategy=RECREATE)], []),
        ("DELETED", GONE, [deployment(strategy=RECREATE), replica_set(1, uid="uid-else")], []),
        ("MODIFIED", GONE, [deployment(strategy=RECREATE), MINE], []),
        ("ADDED", None, [deployment(strategy=RECREATE), MINE], []),
    ],
)
def test_the_last_pod_wakes_a_recreated_deployment(type: str, old: Any, objects: list[Any], keys: list[Any]) -> None:
    made = change(type, old, GONE)
    assert list(recreated_deployment(made, View.of(objects, now=NOW))) == keys


def test_pods_of_nobody_wake_nobody() -> None:
    lonely = evolve(GONE, metadata=evolve(GONE.metadata, owner_references=()))
    assert list(recreated_deployment(change("DELETED", lonely, lonely), View.of([deployment()], now=NOW))) == []


def test_the_watches_and_the_queue() -> None:
    controller = Law("deployment").controller()
    watched = [(watch.kind, watch.key) for watch in controller.watches]
    assert watched == [
        ("Deployment", "self"),
        ("ReplicaSet", "deployments_of_replica_set"),
        ("Pod", "recreated_deployment"),
    ]
    queue = controller.queue
    assert (queue.workers, queue.base_delay_ms, queue.max_delay_s, queue.max_retries) == (5, 5, 1000, 15)
