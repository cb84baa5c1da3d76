"""A run of changes of pods means the same to the scheduler, whether it looks at them together or one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from attrs import evolve
from immutables import Map

from k8sfsm.objects import ObjectMeta, Pod, PodSpec, PodStatus
from k8sfsm.request import Key
from k8sfsm.scheduler.cluster import ASSUMED, NOMINATED
from k8sfsm.scheduler.queue import WAITING
from k8sfsm.scheduler.scheduler import Scheduler
from k8sfsm.scheduler.wake import notice, pods_to_place
from k8sfsm.store import Change, Store
from k8sfsm.view import View, remembered


def _history(chance: random.Random) -> tuple[list[Change], Store]:
    """Pods come, are bound, report, and go."""
    store, changes = Store(), []
    for _ in range(60):
        name = f"pod-{chance.randrange(12)}"
        old: Pod | None = store.get("Pod", "default", name)
        if old is None:
            new = Pod(metadata=ObjectMeta(name=name, namespace="default", uid=f"{name}-{store.revision}"))
            new = evolve(new, spec=PodSpec(node_name=chance.choice(("", "", "node"))))
            store, change = store.put(new)
        elif chance.random() < 0.1:
            store, change = store.remove(("Pod", "default", name))
        elif old.spec.node_name or chance.random() < 0.1:
            store, change = store.put(evolve(old, status=PodStatus(phase=f"phase-{store.revision}")))
        else:
            store, change = store.put(evolve(old, spec=PodSpec(node_name="node")))
        changes.append(change)
    return changes, store


def _one_by_one(scheduler: Scheduler, changes: list[Change], view: View) -> tuple[Map[Any, Any], list[tuple[Key, int]]]:
    keys = []
    for change in changes:
        for step in scheduler.observe(change, view):
            view = evolve(view, memory=remembered(view.memory, step))
        keys += [(key, change.revision) for key in pods_to_place(change, view)]
    return view.memory, keys


@pytest.mark.parametrize("seed", range(20))
def test_a_run_of_changes_is_seen_as_its_changes_are(seed: int) -> None:
    chance = random.Random(seed)
    changes, store = _history(chance)
    bare = [each for each in changes if each.new.spec.node_name or each.type != "MODIFIED"]
    uids = sorted({each.new.metadata.uid for each in changes})
    memory = Map({(ASSUMED, uid): "node" for uid in chance.sample(uids, len(uids) // 2)})
    view = View(0, store.snapshot, memory, store=store)
    found = notice(bare, view)
    assert found is not None
    for step in found.steps:
        memory = remembered(memory, step)
    assert (memory, list(found.keys)) == _one_by_one(Scheduler(), bare, view)


def test_who_waits_is_asked_about_each_change() -> None:
    changes, store = _history(random.Random(1))
    for memory in ({WAITING: True}, {NOMINATED: {"uid": "node"}}):
        assert notice(changes, View(0, store.snapshot, Map(memory), store=store)) is None
    unplaced = next(each for each in changes if each.type == "ADDED" and not each.new.spec.node_name)
    moved = Change(0, "MODIFIED", unplaced.key, unplaced.new, unplaced.new)
    assert notice([unplaced, moved], View(0, store.snapshot, Map(), store=store)) is None
