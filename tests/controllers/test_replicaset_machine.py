"""The machines and invariants of ReplicaSets and ReplicationControllers."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from replicaset_objects import KEY, NOW, newer, pod, reference, replica_set, replication_controller, view

from k8sfsm.controllers import rest
from k8sfsm.kinds import replicas_invariants, replicaset
from k8sfsm.law import Law
from k8sfsm.machine import Machines
from k8sfsm.objects import ReplicaSet, ReplicaSetCondition, ReplicaSetStatus, from_json

DATA = Path(__file__).parent.parent / "data" / "replicaset"
MACHINES = Machines.load()
SPEC = "user deployment-controller"
STATUS = "replicaset-controller"
ANY = "user deployment-controller replicaset-controller garbage-collector namespace-controller apiserver"
DELETE = "user deployment-controller garbage-collector namespace-controller"
GENERATION = "user deployment-controller apiserver garbage-collector namespace-controller"

EDGES = {
    "scale": {
        "create Absent ScalingUp": SPEC,
        "create-empty Absent Empty": SPEC,
        "want-more Empty|AtScale|ScalingDown ScalingUp": SPEC,
        "want-fewer AtScale|ScalingUp ScalingDown": SPEC,
        "want-what-there-is ScalingUp|ScalingDown AtScale": SPEC,
        "want-none ScalingUp Empty": SPEC,
        "reach ScalingUp|ScalingDown AtScale": STATUS,
        "empty ScalingDown Empty": STATUS,
        "lose-pods AtScale|ScalingDown ScalingUp": STATUS,
        "gain-pods Empty|AtScale|ScalingUp ScalingDown": STATUS,
        "remove Empty|AtScale|ScalingUp|ScalingDown Absent": ANY,
    },
    "availability": {
        "create Absent Unavailable": SPEC,
        "create-empty Absent NoneWanted": SPEC,
        "want-none Available|Unavailable|Partial NoneWanted": SPEC,
        "want-unavailable NoneWanted Unavailable": SPEC,
        "want-more NoneWanted|Available Partial": SPEC,
        "want-what-there-is NoneWanted|Partial Available": SPEC,
        "become-available Unavailable|Partial Available": STATUS,
        "become-partial Unavailable|Available Partial": STATUS,
        "become-unavailable Partial|Available Unavailable": STATUS,
        "remove NoneWanted|Available|Unavailable|Partial Absent": ANY,
    },
    "observation": {
        "create Absent Unobserved": SPEC,
        "observe Unobserved|Stale Observed": STATUS,
        "observe-too-late Unobserved Stale": STATUS,
        "change Observed Stale": GENERATION,
        "remove Unobserved|Observed|Stale Absent": ANY,
    },
    "failure": {
        "create Absent Healthy": SPEC,
        "fail Healthy Failing": STATUS,
        "recover Failing Healthy": STATUS,
        "remove Healthy|Failing Absent": ANY,
    },
    "deletion": {
        "create Absent Live": SPEC,
        "delete Live Deleting": DELETE,
        "remove-at-once Live Absent": DELETE,
        "remove Deleting Absent": ANY,
    },
}
OLDER = {
    "user deployment-controller": "user",
    "deployment-controller ": "",
    "replicaset-controller": "replication-controller",
}


def edges(kind: str) -> dict[str, set[tuple[str, str, str, str]]]:
    found: dict[str, set[tuple[str, str, str, str]]] = {}
    for region in MACHINES.regions(kind):
        for (old, new), rows in MACHINES.region(kind, region).index.items():
            for row in rows:
                name = row.rule.rpartition("/")[2]
                found.setdefault(region, set()).update((name, old, new, actor) for actor in row.actors)
    return found


def wanted(text: dict[str, str]) -> set[tuple[str, str, str, str]]:
    rows = set()
    for path, actors in text.items():
        name, sources, target = path.split()
        rows |= {(name, old, target, actor) for old in sources.split("|") for actor in actors.split()}
    return rows


@pytest.mark.parametrize("region", EDGES)
def test_transitions(region: str) -> None:
    assert edges("ReplicaSet")[region] == wanted(EDGES[region])


@pytest.mark.parametrize("region", ["scale", "observation", "deletion"])
def test_transitions_of_the_older_kind(region: str) -> None:
    rows = EDGES[region]
    for new, old in OLDER.items():
        rows = {path: actors.replace(new, old) for path, actors in rows.items()}
    assert edges("ReplicationController")[region] == wanted(rows)


def status(replicas: int = 0, available: int = 0, generation: int = 1, **values: Any) -> ReplicaSetStatus:
    return ReplicaSetStatus(replicas=replicas, available_replicas=available, observed_generation=generation, **values)


FAILURE = ReplicaSetCondition(type="ReplicaFailure", status="True")


@pytest.mark.parametrize(
    ("obj", "states"),
    [
        (replica_set(0, status=status()), "Empty NoneWanted Observed Healthy Live"),
        (replica_set(0, status=status(1, 1)), "ScalingDown NoneWanted Observed Healthy Live"),
        (replica_set(2, status=status(generation=0)), "ScalingUp Unavailable Unobserved Healthy Live"),
        (replica_set(2, status=status(2)), "AtScale Unavailable Observed Healthy Live"),
        (replica_set(2, status=status(2, 1)), "AtScale Partial Observed Healthy Live"),
        (replica_set(2, status=status(3, 1), generation=2), "ScalingDown Partial Stale Healthy Live"),
        (replica_set(2, status=status(2, 2, conditions=(FAILURE,))), "AtScale Available Observed Failing Live"),
        (
            replica_set(2, status=status(3, 3), deletion_timestamp=NOW),
            "ScalingDown Available Observed Healthy Deleting",
        ),
        (
            replica_set(2, status=status(2, 2, conditions=(evolve(FAILURE, status="False"),))),
            "AtScale Available Observed Healthy Live",
        ),
    ],
)
def test_states(obj: ReplicaSet, states: str) -> None:
    assert list(MACHINES.classify(obj).values()) == states.split()
    older = replication_controller(obj.spec.replicas or 0, deletion_timestamp=obj.metadata.deletion_timestamp)
    older = evolve(older, metadata=evolve(older.metadata, generation=obj.metadata.generation))
    counts = {"replicas": obj.status.replicas, "observed_generation": obj.status.observed_generation}
    older = evolve(older, status=evolve(older.status, **counts))
    scale, _, observation, _, deletion = states.split()
    assert list(MACHINES.classify(older).values()) == [scale, observation, deletion]


def test_recorded_writes_are_legal() -> None:
    with gzip.open(DATA / "writes.jsonl.gz", "rt") as file:
        cases = [json.loads(line) for line in file]
    for case in cases:
        old, new = (from_json(case[side]) if case[side] else None for side in ("old", "new"))
        verdict = MACHINES.check(old, new, case["actor"], NOW)
        assert verdict.moves and not verdict.illegal, (case["recording"], verdict)


def guards(old: Any, new: Any, actor: str) -> set[str]:
    return {each.guard for each in MACHINES.check(old, new, actor, NOW).illegal}


def scaled(obj: Any, replicas: int, **metadata: Any) -> Any:
    return newer(evolve(obj, spec=evolve(obj.spec, replicas=replicas)), **metadata)


def reported(obj: Any, **values: Any) -> Any:
    return newer(evolve(obj, status=evolve(obj.status, **values)))


STATES = {
    "Empty": (0, 0, 0),
    "AtScale": (2, 2, 0),
    "ScalingUp": (2, 1, 0),
    "ScalingDown": (2, 3, 0),
    "NoneWanted": (0, 2, 2),
    "Available": (2, 2, 2),
    "Unavailable": (2, 2, 0),
    "Partial": (2, 2, 1),
}
GUARDS = {
    **{f"want-{what}": ("spec_changed", "status_unchanged") for what in ("more", "fewer", "what-there-is", "none")},
    "want-unavailable": ("spec_changed", "status_unchanged"),
    "create": ("nothing_reported",),
    "create-empty": ("nothing_reported",),
    "remove-at-once": ("no_finalizers",),
    **{f"become-{what}": ("replicas_unchanged",) for what in ("available", "partial", "unavailable")},
    **dict.fromkeys(
        ("reach", "empty", "lose-pods", "gain-pods", "observe", "observe-too-late"), ("replicas_unchanged",)
    ),
    **dict.fromkeys(("fail", "recover"), ("replicas_unchanged",)),
    **dict.fromkeys(("remove", "change", "delete"), ()),
}


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController"])
def test_guards_stand_at_their_transitions(kind: str) -> None:
    for region in MACHINES.regions(kind):
        for rows in MACHINES.region(kind, region).index.values():
            for row in rows:
                name = row.rule.rpartition("/")[2]
                expected = () if (region, name) == ("deletion", "create") else GUARDS[name]
                assert tuple(guard for guard, _ in row.guards) == expected, row.rule


def test_guards_refuse() -> None:
    steady = replica_set(2, status=status(2, 2))
    assert guards(steady, scaled(steady, 3, generation=2), "user") == set()
    assert guards(steady, scaled(steady, 3), "user") == {"spec_changed"}
    cheat = reported(scaled(steady, 3, generation=2), available_replicas=1)
    assert "status_unchanged" in guards(steady, cheat, "user")
    assert guards(steady, reported(steady, replicas=1), STATUS) == set()
    assert "replicas_unchanged" in guards(steady, reported(scaled(steady, 3), replicas=1), STATUS)
    assert guards(None, replica_set(2, status=status(generation=0)), "user") == set()
    for bad in (status(1, generation=0), status(), status(generation=0, conditions=(FAILURE,))):
        refused = MACHINES.check(None, replica_set(2, status=bad), "user", NOW).illegal
        assert refused, bad
    held = replica_set(2, status=status(2, 2), finalizers=("x/y",))
    assert guards(held, None, "user") == {"no_finalizers"}
    assert guards(steady, None, "user") == set()


def violations(name: str, *objects: Any) -> list[str]:
    found = Law("replicaset").invariants()
    assert found is not None
    function = Law("replicaset").function("invariant", found.invariants[name].holds)
    return list(function(view(*objects)))


def test_invariants() -> None:
    owner = replica_set(1, status=status(1, 1, ready_replicas=1, fully_labeled_replicas=1))
    healthy = (owner, pod("a", owner))
    found = Law("replicaset").invariants()
    assert found is not None
    states = {name: row.type for name, row in found.invariants.items() if row.type != "transition"}
    others = [name for name in states if name != "nothing-left-to-do"]
    assert [violations(name, *healthy) for name in others] == [[]] * len(others)
    assert list(states.values()) == ["safety"] * 2 + ["convergence"] * 5
    assert replicas_invariants.law.room == "replicaset"
    twice = pod("a", owner_references=(reference(owner), reference(replica_set(1, name="other"))))
    assert len(violations("at-most-one-controller", twice)) == 1
    second = reference(replica_set(1, name="other"), controller=False)
    assert violations("at-most-one-controller", newer(twice, owner_references=(reference(owner), second))) == []
    assert len(violations("counts-consistent", replica_set(1, status=status(1, 2)))) == 1
    assert len(violations("counts-consistent", replica_set(1, status=status(2, 2, ready_replicas=1)))) == 1
    assert len(violations("generation-not-ahead", replica_set(1, status=status(generation=2)))) == 1
    leaving = pod("b", owner, deletion_timestamp=NOW)
    done = pod("c", owner, phase="Succeeded")
    assert len(violations("replicaset-converges", owner, leaving, done)) == 1
    assert violations("replicaset-converges", replica_set(1, status=status(conditions=(FAILURE,)))) == []
    assert violations("replicaset-converges", replica_set(1, deletion_timestamp=NOW)) == []
    assert len(violations("status-converges", owner)) == 1
    assert len(violations("nothing-left-to-do", owner)) == 1 and rest.replica_set_law.room == "replicaset"
    assert violations("nothing-left-to-do", replica_set(0)) == []
    assert len(violations("status-converges", newer(owner, generation=2), pod("a", owner))) == 1
    assert KEY[0] == "ReplicaSet" and replicaset.wanted(evolve(owner, spec=evolve(owner.spec, replicas=None))) == 1
