"""The machine of Deployments on recorded writes, its guards, and the invariants."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from deployment_objects import (
    AVAILABLE,
    DESIRED,
    MAXIMUM,
    NOW,
    RECREATE,
    REVISION,
    complete_status,
    deployment,
    owner,
    progressing,
    replica_set,
    template,
    with_paused,
)

from k8sfsm.controllers import rest
from k8sfsm.machine import Machines
from k8sfsm.objects import (
    Deployment,
    DeploymentCondition,
    DeploymentStatus,
    ObjectMeta,
    Pod,
    from_json,
    key_of,
    parse_time,
)
from k8sfsm.view import Change, View

DATA = Path(__file__).parent.parent / "data" / "deployment"
MACHINES = Machines.load()
CONTROLLER = "deployment-controller"
EDGES = {
    "progress": {
        "create": "Absent -> Unreported: user; nothing_reported",
        "start": "Unreported|Complete|CreateFailed|Paused|Resumed -> Progressing: deployment-controller;"
        " spec_unchanged",
        "recover": "Exceeded -> Progressing: deployment-controller; spec_unchanged",
        "complete": "Unreported|Progressing|Exceeded|CreateFailed|Paused|Resumed -> Complete: deployment-controller;"
        " counts_complete",
        "exceed": "Progressing|CreateFailed|Paused|Resumed -> Exceeded: deployment-controller; deadline_over",
        "fail-to-create": "Unreported|Progressing|Complete|Exceeded|Paused|Resumed -> CreateFailed:"
        " deployment-controller; spec_running",
        "pause": "Unreported|Progressing|Complete|CreateFailed|Resumed -> Paused: deployment-controller; spec_paused",
        "resume": "Paused -> Resumed: deployment-controller; spec_running",
        "forget": "Progressing|Complete|Exceeded|CreateFailed|Paused|Resumed -> Unreported: deployment-controller;"
        " no_deadline",
        "remove": "Unreported|Complete|Exceeded|CreateFailed|Paused|Resumed|Progressing -> Absent:"
        " user, garbage-collector, namespace-controller",
    },
    "availability": {
        "create": "Absent -> Unreported: user; nothing_reported",
        "become-available": "Unreported|Unavailable -> Available: deployment-controller; enough_available",
        "become-unavailable": "Unreported|Available -> Unavailable: deployment-controller; too_few_available",
        "remove": "Unreported|Available|Unavailable -> Absent: user, garbage-collector, namespace-controller",
    },
    "failure": {
        "create": "Absent -> Fine: user; nothing_reported",
        "fail": "Fine -> Failing: deployment-controller; spec_unchanged",
        "recover": "Failing -> Fine: deployment-controller; spec_unchanged",
        "remove": "Fine|Failing -> Absent: user, garbage-collector, namespace-controller",
    },
    "observation": {
        "create": "Absent -> Unobserved: user; nothing_reported",
        "change": "Observed -> Unobserved: user, deployment-controller, garbage-collector, namespace-controller;"
        " status_unchanged",
        "observe": "Unobserved -> Observed: deployment-controller; generation_observed_now",
        "remove": "Unobserved|Observed -> Absent: user, garbage-collector, namespace-controller",
    },
    "deletion": {
        "create": "Absent -> Live: user",
        "begin": "Live -> Terminating: user, garbage-collector, namespace-controller",
        "remove": "Live -> Absent: user, garbage-collector, namespace-controller; no_finalizers",
        "finish": "Terminating -> Absent: user, garbage-collector, namespace-controller, apiserver",
    },
}


def test_every_transition_is_meant() -> None:
    machine = MACHINES.of("Deployment")
    assert machine is not None
    told = {
        region: {
            name: f"{'|'.join(edge.from_)} -> {edge.to}: {', '.join(edge.actors)}"
            + (f"; {', '.join(edge.guards)}" if edge.guards else "")
            for name, edge in spec.transitions.items()
        }
        for region, spec in machine.spec.regions.items()
    }
    assert told == EDGES


def recorded() -> Iterator[Any]:
    with gzip.open(DATA / "recorded_writes.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


@pytest.mark.parametrize("write", list(recorded()), ids=lambda write: f"{write['recording']}-{write['moves'][0]}")
def test_recorded_writes_are_legal(write: Any) -> None:
    old, new = (from_json(write[name]) if write[name] else None for name in ("old", "new"))
    verdict = MACHINES.check(old, new, write["actor"], parse_time(write["at"]))
    assert verdict.illegal == ()
    assert [move.rule for move in verdict.moves] == write["moves"]


def told(*conditions: DeploymentCondition, **values: Any) -> Deployment:
    return deployment(status=DeploymentStatus(observed_generation=3, conditions=conditions), **values)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("", "Unreported"),
        ("NewReplicaSetAvailable", "Complete"),
        ("ProgressDeadlineExceeded", "Exceeded"),
        ("ReplicaSetCreateError", "CreateFailed"),
        ("DeploymentPaused", "Paused"),
        ("DeploymentResumed", "Resumed"),
        ("NewReplicaSetCreated", "Progressing"),
        ("FoundNewReplicaSet", "Progressing"),
        ("ReplicaSetUpdated", "Progressing"),
    ],
)
def test_progress_is_read_off_the_reason(reason: str, state: str) -> None:
    assert MACHINES.classify(told(*((progressing(reason),) if reason else ())))["progress"] == state


@pytest.mark.parametrize(
    ("obj", "region", "state"),
    [
        (told(), "availability", "Unreported"),
        (told(AVAILABLE), "availability", "Available"),
        (told(evolve(AVAILABLE, status="False")), "availability", "Unavailable"),
        (told(), "failure", "Fine"),
        (told(DeploymentCondition(type="ReplicaFailure", status="True")), "failure", "Failing"),
        (told(), "observation", "Observed"),
        (deployment(status=DeploymentStatus(observed_generation=2)), "observation", "Unobserved"),
        (told(), "deletion", "Live"),
        (told(metadata={"deletion_timestamp": NOW}), "deletion", "Terminating"),
    ],
)
def test_states(obj: Deployment, region: str, state: str) -> None:
    assert MACHINES.classify(obj)[region] == state


def judged(old: Deployment | None, new: Deployment | None, actor: str = CONTROLLER) -> tuple[str, ...]:
    """The guards that refuse a write."""
    return tuple(found.guard or found.reason for found in MACHINES.check(old, new, actor, NOW).illegal)


LATE = told(progressing("ReplicaSetUpdated", age=601))
IN_TIME = told(progressing("ReplicaSetUpdated", age=600))
EXCEEDED = progressing("ProgressDeadlineExceeded", status="False", age=0)
DONE = deployment(status=complete_status())
SHORT = told(evolve(AVAILABLE, status="False"))


def reported(obj: Deployment, *conditions: DeploymentCondition, **values: Any) -> Deployment:
    return evolve(obj, status=evolve(obj.status, conditions=conditions, **values))


@pytest.mark.parametrize(
    ("old", "new", "guards"),
    [
        (LATE, reported(LATE, EXCEEDED), ()),
        (IN_TIME, reported(IN_TIME, EXCEEDED), ("deadline_over",)),
        (reported(DONE, AVAILABLE, progressing("ReplicaSetUpdated")), DONE, ()),
        (LATE, reported(LATE, progressing("NewReplicaSetAvailable")), ("counts_complete",)),
        (with_paused(IN_TIME), reported(with_paused(IN_TIME), progressing("DeploymentPaused")), ()),
        (IN_TIME, reported(IN_TIME, progressing("DeploymentPaused")), ("spec_paused",)),
        (told(progressing("DeploymentPaused")), told(progressing("DeploymentResumed")), ()),
        (
            with_paused(told(progressing("DeploymentPaused"))),
            with_paused(told(progressing("DeploymentResumed"))),
            ("spec_running",),
        ),
        (IN_TIME, reported(IN_TIME), ("no_deadline",)),
        (told(EXCEEDED, progress_deadline_seconds=None), told(progress_deadline_seconds=None), ()),
        (SHORT, reported(SHORT, AVAILABLE, available_replicas=3), ()),
        (SHORT, reported(SHORT, AVAILABLE, available_replicas=2), ("enough_available",)),
        (reported(SHORT, AVAILABLE), reported(SHORT, *SHORT.status.conditions, available_replicas=2), ()),
        (
            reported(SHORT, AVAILABLE),
            reported(SHORT, *SHORT.status.conditions, available_replicas=3),
            ("too_few_available",),
        ),
        (told(), told(progressing("FoundNewReplicaSet"), replicas=5), ("spec_unchanged",)),
        (None, told(AVAILABLE), ("nothing_reported",)),
    ],
)
def test_guards(old: Deployment | None, new: Deployment, guards: tuple[str, ...]) -> None:
    if old is None:
        assert set(MACHINES.check(old, new, "user", NOW).illegal) and "nothing_reported" in judged(old, new, "user")
        return
    assert judged(old, new) == guards


def test_generations() -> None:
    behind = deployment(status=DeploymentStatus(observed_generation=2))
    assert judged(behind, told()) == ()
    ahead = evolve(behind, status=DeploymentStatus(observed_generation=4))
    assert judged(behind, ahead) == ("generation_observed_now",)
    changed = told(metadata={"generation": 4})
    assert judged(told(), changed, "user") == ()
    assert "status_unchanged" in judged(told(), evolve(changed, status=DeploymentStatus(observed_generation=1)), "user")


def test_a_finalizer_holds_a_deployment_back() -> None:
    held = told(metadata={"finalizers": ("foregroundDeletion",)})
    assert judged(told(), None, "user") == ()
    assert judged(held, None, "user") == ("no_finalizers",)


def test_only_the_controller_tells_of_progress() -> None:
    assert judged(IN_TIME, with_paused(reported(IN_TIME, progressing("DeploymentPaused"))), "kubelet") != ()


# -- invariants -------------------------------------------------------------------------------------------------------

LAW = rest.deployment_law


def broken(name: str, *arguments: Any) -> list[str]:
    invariants = LAW.invariants()
    assert invariants is not None
    return list(LAW.function("invariant", invariants.invariants[name].holds)(*arguments))


def changed(old: Any, new: Any, *others: Any, type: Any = "") -> tuple[Change, View]:
    happened = type or ("ADDED" if old is None else "MODIFIED")
    return Change(9, happened, key_of(new), old, new), View.of([new, *others], now=NOW)


def test_counts_consistent() -> None:
    assert broken("counts-consistent", View.of([DONE])) == []
    for values in (
        {"updated_replicas": 9},
        {"ready_replicas": 9},
        {"available_replicas": 5, "ready_replicas": 4, "replicas": 5},
    ):
        wrong = evolve(DONE, status=evolve(DONE.status, **values))
        assert len(broken("counts-consistent", View.of([wrong]))) == 1


def test_surge_bounded() -> None:
    old = replica_set(1, 4)
    assert broken("surge-bounded", *changed(replica_set(2, 0), replica_set(2, 1), old, deployment())) == []
    assert len(broken("surge-bounded", *changed(replica_set(2, 0), replica_set(2, 2), old, deployment()))) == 1
    assert len(broken("surge-bounded", *changed(None, replica_set(2, 2), old, deployment()))) == 1
    assert broken("surge-bounded", *changed(replica_set(2, 3), replica_set(2, 2), old, deployment())) == []
    assert broken("surge-bounded", *changed(replica_set(2, 0), replica_set(2, 9, owner_references=()), old)) == []
    gone = changed(replica_set(2, 9), replica_set(2, 9), old, deployment(), type="DELETED")
    assert broken("surge-bounded", *gone) == []


def test_availability_bounded() -> None:
    new = replica_set(2, 1, available=0)
    before, after = replica_set(1, 4), replica_set(1, 2, available=4)
    assert len(broken("availability-bounded", *changed(before, after, new, deployment()))) == 1
    ready = replica_set(2, 1)
    assert broken("availability-bounded", *changed(before, after, ready, deployment())) == []
    assert broken("availability-bounded", *changed(before, after, new, deployment(strategy=RECREATE))) == []
    other_size = replica_set(1, 2, available=4, annotations={REVISION: "1", DESIRED: "9", MAXIMUM: "12"})
    assert broken("availability-bounded", *changed(before, other_size, new, deployment())) == []
    unavailable = replica_set(1, 2, available=0)
    assert (
        broken("availability-bounded", *changed(replica_set(1, 4, available=0), unavailable, new, deployment())) == []
    )


def test_revisions_and_collisions_grow() -> None:
    low, high = deployment(annotations={REVISION: "2"}), deployment(annotations={REVISION: "10"})
    assert broken("revision-grows", *changed(low, high)) == []
    assert len(broken("revision-grows", *changed(high, low, replica_set(3)))) == 1
    assert broken("revision-grows", *changed(high, low, replica_set(2))) == []  # the latest were deleted
    none, some = deployment(), deployment(status=DeploymentStatus(collision_count=1))
    assert broken("collisions-grow", *changed(none, some)) == []
    assert len(broken("collisions-grow", *changed(some, none))) == 1


def test_recreate_never_mixes() -> None:
    def pod(phase: str) -> Pod:
        metadata = ObjectMeta(name="p", namespace="default", owner_references=(owner("uid-1", "web-1", "ReplicaSet"),))
        obj = Pod(metadata=metadata)
        return evolve(obj, status=evolve(obj.status, phase=phase))

    grown = (None, replica_set(2, 4), replica_set(1, 0))
    assert len(broken("recreate-never-mixes", *changed(*grown, pod("Running"), deployment(strategy=RECREATE)))) == 1
    assert broken("recreate-never-mixes", *changed(*grown, pod("Failed"), deployment(strategy=RECREATE))) == []
    assert broken("recreate-never-mixes", *changed(*grown, pod("Running"), deployment())) == []


def test_at_rest() -> None:
    rested = deployment(status=complete_status())
    calm = View.of([rested, replica_set(2), replica_set(1, 0)])
    names = ("one-new-replica-set", "observed", "revision-carried", "status-adds-up")
    assert [broken(name, calm) for name in names] == [[], [], [], []]
    assert len(broken("one-new-replica-set", View.of([rested, replica_set(1)]))) == 1
    twin = replica_set(3, template=template("web:2"))
    assert len(broken("one-new-replica-set", View.of([rested, replica_set(2), twin]))) == 1
    assert broken("one-new-replica-set", View.of([with_paused(rested), replica_set(1)])) == []
    ahead = deployment(metadata={"generation": 4})
    assert len(broken("observed", View.of([ahead]))) == 1
    other = deployment(status=complete_status(), annotations={REVISION: "7"})
    assert len(broken("revision-carried", View.of([other, replica_set(2)]))) == 1
    assert len(broken("status-adds-up", View.of([rested, replica_set(2, 3)]))) == 1
    known = replica_set(2, annotations={**replica_set(2).metadata.annotations})
    assert broken("nothing-left-to-do", View.of([rested, known], now=NOW)) == []
    assert len(broken("nothing-left-to-do", View.of([deployment(), known], now=NOW))) == 1
    assert len(broken("nothing-left-to-do", View.of([rested], now=NOW))) == 1


def test_recreate_amid_a_rollout_of_another_size_stands_still() -> None:
    stuck = deployment(6, status=complete_status(), strategy=RECREATE)
    halves = (replica_set(1, 2), replica_set(3, 2))
    assert broken("one-new-replica-set", View.of([stuck, *halves])) == []
    assert len(broken("one-new-replica-set", View.of([deployment(6), *halves]))) == 1
    same_size = deployment(4, strategy=RECREATE)
    assert len(broken("one-new-replica-set", View.of([same_size, *halves]))) == 1
    assert len(broken("one-new-replica-set", View.of([stuck, halves[0]]))) == 1


def test_a_size_is_shared_out_whatever_is_available() -> None:
    """The write of a change of scale is no step of the rolling update."""
    before = replica_set(1, 4, annotations={REVISION: "1", DESIRED: "8", MAXIMUM: "10"})
    change = changed(before, replica_set(1, 2, available=4), replica_set(2, 1, available=0), deployment())
    assert broken("availability-bounded", *change) == []


def test_kinds_of_the_invariants() -> None:
    invariants = LAW.invariants()
    assert invariants is not None
    assert {name: found.type for name, found in invariants.invariants.items()} == {
        "counts-consistent": "safety",
        "surge-bounded": "transition",
        "availability-bounded": "transition",
        "revision-grows": "transition",
        "collisions-grow": "transition",
        "recreate-never-mixes": "transition",
        "one-new-replica-set": "convergence",
        "observed": "convergence",
        "revision-carried": "convergence",
        "status-adds-up": "convergence",
        "nothing-left-to-do": "convergence",
    }
