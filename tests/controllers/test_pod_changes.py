"""Runs of changes of pods mean the same to every controller, whether it looks at them together or one by one."""

from __future__ import annotations

import random
from typing import Any

import pytest
from attrs import evolve
from replicaset_objects import LABELS, NOW, meta, reference, replica_set, replication_controller

from k8sfsm.controllers.expectations import Expected
from k8sfsm.controllers.nodelifecycle.controller import HEALTH
from k8sfsm.controllers.nodelifecycle.health import Health
from k8sfsm.controllers.pod_changes import bulk_of, labelled_sorts_of, sorts_of
from k8sfsm.engine.cluster import MANAGER, Component, Watch, Wiring
from k8sfsm.engine.queue import WorkQueue
from k8sfsm.engine.standard import manager_controllers
from k8sfsm.engine.wiring import wire
from k8sfsm.objects import (
    Deployment,
    DeploymentSpec,
    DeploymentStrategy,
    LabelSelector,
    Node,
    Pod,
    PodCondition,
    PodDisruptionBudget,
    PodDisruptionBudgetSpec,
    PodIP,
    PodSpec,
    PodStatus,
    Quantity,
    ResourceQuota,
    ResourceQuotaSpec,
    ResourceQuotaStatus,
    Service,
    ServiceSpec,
    Taint,
    Toleration,
    key_of,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Remember
from k8sfsm.store import Change, Store
from k8sfsm.view import View, remembered

RECREATED = Deployment(
    metadata=meta("web"),
    spec=DeploymentSpec(selector=LabelSelector(match_labels=LABELS), strategy=DeploymentStrategy(type="Recreate")),
)
OWNERS = (
    replica_set(2, owner_references=(reference(RECREATED),)),
    replica_set(2, name="slow", min_ready_seconds=5, selector=LabelSelector(match_labels={"app": "slow"})),
    replication_controller(2),
)
BUDGET = PodDisruptionBudget(
    metadata=meta("budget"), spec=PodDisruptionBudgetSpec(selector=LabelSelector(match_labels=LABELS))
)
QUOTA = ResourceQuota(
    metadata=meta("quota"),
    spec=ResourceQuotaSpec(hard={"pods": Quantity("9")}),
    status=ResourceQuotaStatus(hard={"pods": Quantity("9")}),
)
OTHERS = (
    RECREATED,
    *OWNERS,
    Service(metadata=meta("web"), spec=ServiceSpec(selector=LABELS)),
    Service(metadata=meta("zone"), spec=ServiceSpec(selector={"zone": "a"})),
)
REFERENCES = [(reference(owner),) for owner in OWNERS] + [(), (evolve(reference(OWNERS[0]), uid="gone"),)]
LABELLED = ({}, LABELS, {**LABELS, "zone": "a"}, {**LABELS, "zone": "b"}, {"app": "slow"})


REMEMBERED: dict[Any, Any] = {
    **{("expected", key_of(owner)): Expected(9, ("default/pod-1",), NOW) for owner in OWNERS[:2]},
    ("taints", "node-0"): (Taint(key="gone", effect="NoExecute"),),
    HEALTH: {"node-0": Health(node=Node(), heard=NOW, ready="False"), "node-1": Health(node=Node(), heard=NOW)},
}


TURNS = ("ready", "unready", "addressed", "bound", "labels", "owner", "going", "target", "host", "none")


def _condition(type: str, status: str) -> PodCondition:
    return PodCondition(type=type, status=status, last_transition_time=NOW)


def _turned(pod: Pod, chance: random.Random) -> Pod:
    """The pod with one thing changed, or nothing."""
    what = chance.choice(
        ("ready", "unready", "addressed", "bound", "labels", "owner", "going", "target", "host", "none")
    )
    if what in ("ready", "unready", "target"):
        condition = _condition("DisruptionTarget" if what == "target" else "Ready", str(what != "unready"))
        return evolve(pod, status=evolve(pod.status, conditions=(condition,)))
    if what == "addressed":
        return evolve(pod, status=evolve(pod.status, pod_ips=(PodIP(ip=f"10.0.0.{chance.randrange(3)}"),)))
    if what == "bound":
        tolerations = chance.choice(((), (Toleration(operator="Exists"),)))
        return evolve(pod, spec=evolve(pod.spec, node_name=f"node-{chance.randrange(2)}", tolerations=tolerations))
    if what == "host":
        return evolve(pod, spec=evolve(pod.spec, hostname=chance.choice(("", "one"))))
    changes: dict[str, dict[str, Any]] = {
        "labels": {"labels": chance.choice(LABELLED)},
        "owner": {"owner_references": chance.choice(REFERENCES)},
        "going": {"deletion_timestamp": NOW},
    }
    return evolve(pod, metadata=evolve(pod.metadata, **changes.get(what, {})))


def _run(chance: random.Random, store: Store) -> tuple[Store, tuple[Change, ...]]:
    """What happens to some pods, many of them alike."""
    found: list[Change] = []
    for _ in range(chance.randrange(2, 60)):
        name = f"pod-{chance.randrange(25)}"
        pod = store.get("Pod", "default", name)
        if pod is None:
            metadata = meta(name, labels=chance.choice(LABELLED), owner_references=chance.choice(REFERENCES))
            pod = Pod(metadata=metadata, spec=PodSpec(), status=PodStatus(phase="Pending"))
        elif chance.random() < 0.1:
            store, change = store.remove(("Pod", "default", name))
            found.append(change)
            continue
        else:
            pod = _turned(pod, chance)
        store, change = store.put(pod)
        found.append(change)
    return store, tuple(found)


class Seer:
    """An actor that sees changes: its queue, its memory, and what is to be queued later."""

    def __init__(self, wiring: Wiring, watch: Watch, view: View) -> None:
        self.wiring, self.watch, self.view = wiring, watch, view
        self.queue = WorkQueue(wiring.settings)
        self.later: list[Any] = []

    def _take(self, steps: Any) -> None:
        for step in steps:
            self.view = evolve(self.view, memory=remembered(self.view.memory, step))

    def _wake(self, found: Any, cause: int) -> None:
        if len(found) == 2:
            self.later.append(found)
        else:
            self.queue.add(found, cause)

    def one_by_one(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            if self.wiring.observe is not None:
                self._take(self.wiring.observe(change, self.view))
            for found in self.watch.keys(change, self.view):
                self._wake(found, change.revision)

    def together(self, changes: tuple[Change, ...]) -> bool:
        bulk = bulk_of(self.watch.keys)
        noticed = None if bulk is None else bulk(changes, self.view)
        if noticed is None:
            return False
        self._take(noticed.steps)
        for found, cause in noticed.keys:
            self._wake(found, cause)
        return True

    def taken(self) -> Any:
        """All keys in their turn, with their causes; what is remembered; what comes later."""
        keys = []
        while found := self.queue.get():
            keys.append(found)
            self.queue.done(found[0])
        return keys, self.view.memory, self.later


def _watchers() -> list[tuple[Wiring, Watch]]:
    component = Component(name=MANAGER, controllers=manager_controllers())
    return [(wiring, watch) for wiring in wire(component) for watch in wiring.watches if watch.kind == "Pod"]


@pytest.mark.parametrize("besides", [(), (BUDGET,), (QUOTA,)], ids=["", "budget", "quota"])
@pytest.mark.parametrize("seed", range(8))
def test_a_run_of_changes_means_the_same_as_one_change_after_the_other(seed: int, besides: tuple[Any, ...]) -> None:
    chance = random.Random(seed)
    store = Store.starting_at(0)
    for each in (*OTHERS, *besides):
        store, _ = store.put(each)
    together = dict.fromkeys((wiring.actor for wiring, _ in _watchers()), 0)
    for _ in range(6):
        store, changes = _run(chance, store)
        view = _view(store, REMEMBERED)
        for wiring, watch in _watchers():
            plain, bulk = Seer(wiring, watch, view), Seer(wiring, watch, view)
            if bulk.together(changes):
                together[wiring.actor] += 1
                plain.one_by_one(changes)
                assert bulk.taken() == plain.taken(), wiring.actor
    quiet = {"resourcequota-controller"} if QUOTA in besides else set()
    assert {actor for actor, times in together.items() if not times} == quiet


def _view(store: Store, memory: dict[Any, Any]) -> View:
    view = View(NOW + SECOND, store.snapshot, store=store)
    for key, value in memory.items():
        view = evolve(view, memory=remembered(view.memory, Remember(key=key, value=value)))
    return view


def test_pods_of_one_template_are_of_one_sort_and_those_of_other_zones_have_other_labels() -> None:
    references = REFERENCES[0]
    store, changes = Store.starting_at(0), []
    for number in range(9):
        labels = {**LABELS, "zone": "abc"[number % 3]}
        pod = Pod(metadata=meta(f"pod-{number}", labels=labels, owner_references=references))
        store, change = store.put(pod)
        changes.append(change)
    run = tuple(changes)
    assert sorts_of(run) == (list(range(9)),)
    assert labelled_sorts_of(run) == ([0, 3, 6], [1, 4, 7], [2, 5, 8])
