"""Whole syncs: what the plan sends, records, remembers and ends with."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from replicaset_objects import (
    KEY,
    LABELS,
    NOW,
    FakeApi,
    newer,
    pod,
    pods,
    reference,
    refusal,
    replica_set,
    view,
)

from k8sfsm.controllers.expectations import Expected, Met, Written
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.objects import (
    LabelSelector,
    LabelSelectorRequirement,
    ObjectMeta,
    PodTemplateSpec,
    ReplicaSetCondition,
    ReplicaSetStatus,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Patch, Plan, Remember, Update
from k8sfsm.verify.vectors.replicaset import Played, play
from k8sfsm.view import View

TERMINATING = 'pods "x" is forbidden: unable to create new content in namespace a because it is being terminated'


def sync(seen: View, api: Any = None) -> Played:
    return play(ReplicaSetController().reconcile(seen, KEY), api or FakeApi())


def kinds(played: Played) -> list[str]:
    return [type(outcome.request).__name__ for outcome in played.outcomes]


def events(played: Played) -> list[tuple[str, str, str]]:
    return [(record.type, record.reason, record.message) for record in played.records]


def status(played: Played) -> ReplicaSetStatus:
    found: ReplicaSetStatus = list(played.sent(Update))[-1].object.status
    return found


def observed(replicas: int, **values: Any) -> ReplicaSetStatus:
    counts = {
        "replicas": replicas,
        "fully_labeled_replicas": replicas,
        "ready_replicas": replicas,
        "available_replicas": replicas,
        "terminating_replicas": 0,
        "observed_generation": 1,
    }
    return ReplicaSetStatus(**{**counts, **values})


def remembered(played: Played) -> dict[Any, Any]:
    memory: dict[Any, Any] = {}
    for step in played.remembered:
        memory[step.key] = step.value
    return memory


# -- before anything is done ----------------------------------------------------------------------------------------


def test_steady_sends_nothing() -> None:
    owner = replica_set(2, status=observed(2))
    played = sync(view(owner, *pods(2, owner)))
    assert (kinds(played), played.error, played.requeue_after) == ([], "", None)


def test_deleted_owner_is_forgotten() -> None:
    plan = ReplicaSetController().reconcile(view(), KEY)
    forgotten = {("expected", KEY), ("seen", KEY), ("given up", KEY), ("wrote", KEY)}
    assert {step.key for step in plan.steps if isinstance(step, Remember) and step.value is None} == forgotten
    assert (plan.error, plan.then) == ("", None)


def test_selector_that_cannot_be_read_ends_the_sync_without_error() -> None:
    bad = LabelSelector(match_expressions=(LabelSelectorRequirement(key="app", operator="Like", values=("x",)),))
    assert ReplicaSetController().reconcile(view(replica_set(2, selector=bad)), KEY) == Plan()


def test_stale_cache_is_an_error_and_nothing_else() -> None:
    memory = {("wrote", KEY): Written("uid-web", (("Pod", 900),))}
    plan = ReplicaSetController().reconcile(view(replica_set(2), memory=memory), KEY)
    assert plan.steps == () and plan.then is None
    assert plan.error == "read version: 1 is not as new as written version: 900 for Pod"


def test_cache_that_caught_up_is_not_waited_for_again() -> None:
    owner = replica_set(0)
    memory = {("wrote", KEY): Written("uid-web", (("ReplicaSet", 1),))}
    assert remembered(sync(view(owner, memory=memory))) == {("wrote", KEY): None}


def test_writes_are_remembered_but_not_deletions() -> None:
    owner = replica_set(2, generation=2)
    written = remembered(sync(view(owner)))[("wrote", KEY)]
    assert written == Written("uid-web", (("Pod", 102), ("ReplicaSet", 103)))
    owner = replica_set(0)
    written = remembered(sync(view(owner, pod("a", owner))))[("wrote", KEY)]
    assert written == Written("uid-web", (("ReplicaSet", 102),))


def test_an_adoption_is_remembered() -> None:
    owner = replica_set(1, status=observed(1))
    orphan = pod("a")
    played = sync(view(owner, orphan), FakeApi(live=owner))
    assert kinds(played) == ["Patch", "Patch"]
    assert remembered(played)[("wrote", KEY)].revisions[0][0] in ("Pod", "ReplicaSet")


# -- creating -------------------------------------------------------------------------------------------------------


def test_missing_pods_are_created_from_the_template_and_awaited_first() -> None:
    template = PodTemplateSpec(metadata=ObjectMeta(labels=LABELS, annotations={"a": "b"}, finalizers=("x/y",)))
    owner = replica_set(3, template=template)
    plan = ReplicaSetController().reconcile(view(owner, pod("a", owner)), KEY)
    assert plan.steps[0] == evolve(
        plan.steps[0], key=("expected", KEY), value=Expected(creations=2, deletions=(), since=NOW)
    )
    played = play(plan, FakeApi())
    assert kinds(played) == ["Create", "Create", "Update"]
    created = next(played.sent(Create))
    assert created.object.metadata == ObjectMeta(
        generate_name="web-",
        namespace="default",
        labels=LABELS,
        annotations={"a": "b"},
        finalizers=("x/y",),
        owner_references=(reference(owner),),
    )
    assert created.why.rule == "ReplicaSet/manage/create-missing"
    assert events(played)[0] == ("Normal", "SuccessfulCreate", "Created pod: web-101")
    # The status tells what was there before.
    assert status(played).replicas == 1


def test_a_burst_creates_500() -> None:
    played = sync(view(replica_set(1200)))
    assert sum(1 for _ in played.sent(Create)) == 500
    assert remembered(played)[("expected", KEY)].creations == 500


def test_a_template_without_labels_creates_nothing() -> None:
    played = sync(view(replica_set(1, template=PodTemplateSpec())))
    assert kinds(played) == ["Update"]
    assert played.error == "unable to create pods, no labels"
    assert status(played).conditions[0].message == played.error


def test_refused_creations_end_the_slow_start_and_are_not_awaited() -> None:
    sent = 0

    def refuse(write: Any) -> Any:
        nonlocal sent
        sent += isinstance(write, Create)
        return refusal(403, "exceeded quota") if isinstance(write, Create) and sent >= 3 else None

    played = sync(view(replica_set(10)), FakeApi(refuse))
    assert kinds(played) == ["Create"] * 3 + ["Update"]
    assert remembered(played)[("given up", KEY)] == Met(creations=8)
    assert played.error == "exceeded quota"
    assert events(played)[-1] == ("Warning", "FailedCreate", "Error creating: exceeded quota")
    condition = ReplicaSetCondition(
        type="ReplicaFailure",
        status="True",
        reason="FailedCreate",
        message="exceeded quota",
        last_transition_time=NOW,
    )
    assert status(played).conditions == (condition,)


def test_a_terminating_namespace_is_no_error_and_does_not_end_the_slow_start() -> None:
    refuse = lambda write: refusal(403, TERMINATING) if isinstance(write, Create) else None  # noqa: E731
    played = sync(view(replica_set(5)), FakeApi(refuse))
    assert kinds(played) == ["Create"] * 5
    assert (played.error, events(played), remembered(played)[("given up", KEY)]) == ("", [], None)


@pytest.mark.parametrize(("code", "message"), [(403, "quota"), (500, TERMINATING)])
def test_other_refusals_are_no_terminating_namespace(code: int, message: str) -> None:
    refuse = lambda write: refusal(code, message) if isinstance(write, Create) else None  # noqa: E731
    assert sync(view(replica_set(5)), FakeApi(refuse)).error == message


def test_a_name_too_long_for_a_dash() -> None:
    owner = replica_set(1, name="a" * 254)
    plan = ReplicaSetController().reconcile(view(owner), ("ReplicaSet", "default", "a" * 254))
    created = next(play(plan, FakeApi()).sent(Create))
    assert created.object.metadata.generate_name == "a" * 254


# -- deleting -------------------------------------------------------------------------------------------------------


def test_surplus_pods_are_deleted_and_awaited_first() -> None:
    owner = replica_set(1)
    unready = pod("unready", owner, ready=None)
    plan = ReplicaSetController().reconcile(view(owner, pod("a", owner), unready), KEY)
    memory = plan.steps[0]
    assert isinstance(memory, Remember)
    assert memory.value == Expected(creations=0, deletions=("default/unready",), since=NOW)
    played = play(plan, FakeApi())
    delete = next(played.sent(Delete))
    assert (delete.key, delete.uid, delete.grace_seconds) == (("Pod", "default", "unready"), "", None)
    assert delete.why.rule == "ReplicaSet/manage/delete-surplus"
    assert events(played) == [("Normal", "SuccessfulDelete", "Deleted pod: unready")]
    assert status(played).replicas == 2


def test_all_pods_are_deleted_as_they_come() -> None:
    owner = replica_set(0)
    assert sum(1 for _ in sync(view(owner, *pods(3, owner))).sent(Delete)) == 3


def test_a_burst_deletes_500() -> None:
    owner = replica_set(0)
    assert sum(1 for _ in sync(view(owner, *pods(700, owner))).sent(Delete)) == 500


def test_refused_deletions_are_not_awaited() -> None:
    owner = replica_set(0)
    answers = {"p0": refusal(500, "cannot"), "p1": refusal(404, "gone")}
    refuse = lambda write: answers.get(write.key[2]) if isinstance(write, Delete) else None  # noqa: E731
    played = sync(view(owner, *pods(3, owner)), FakeApi(refuse))
    assert remembered(played)[("given up", KEY)] == Met(deletions=("default/p0", "default/p1"))
    assert played.error == "unable to delete pods: cannot"
    assert events(played) == [
        ("Warning", "FailedDelete", "Error deleting: cannot"),
        ("Normal", "SuccessfulDelete", "Deleted pod: p2"),
    ]
    assert status(played).conditions[0].reason == "FailedDelete"


def test_only_pods_of_siblings_crowd_a_node() -> None:
    deployment = replica_set(0, name="deployment")
    owner = replica_set(1, owner_references=(reference(deployment),))
    sibling = replica_set(
        1, name="old", owner_references=(reference(deployment),), selector=LabelSelector(match_labels={"app": "old"})
    )
    # Equal but for their nodes and uids: without ranks the smaller uid, a, would go.
    mine = (pod("a", owner, node="n1"), pod("b", owner, node="n2"))
    other = pod("c", sibling, node="n2", labels={"app": "old"})
    played = sync(view(owner, sibling, *mine, other))
    assert [delete.key[2] for delete in played.sent(Delete)] == ["b"]
    stranger = newer(sibling, owner_references=())
    played = sync(view(owner, stranger, *mine, other))
    assert [delete.key[2] for delete in played.sent(Delete)] == ["a"]
    bare = newer(owner, owner_references=())
    played = sync(view(bare, sibling, *mine, other))
    assert [delete.key[2] for delete in played.sent(Delete)] == ["a"]


def test_terminating_pods_do_not_crowd_a_node() -> None:
    deployment = replica_set(0, name="deployment")
    owner = replica_set(1, owner_references=(reference(deployment),))
    mine = (pod("a", owner, node="n1"), pod("b", owner, node="n2"))
    leaving = pod("c", owner, node="n2", deletion_timestamp=NOW)
    played = sync(view(owner, *mine, leaving))
    assert [delete.key[2] for delete in played.sent(Delete)] == ["a"]


# -- when not to act ------------------------------------------------------------------------------------------------


def test_pending_expectations_leave_pods_alone_but_not_the_status() -> None:
    memory = {("expected", KEY): Expected(1, (), NOW)}
    owner = replica_set(3)
    played = sync(view(owner, pod("a", owner), memory=memory))
    assert kinds(played) == ["Update"] and status(played).replicas == 1 and played.error == ""


def test_an_owner_being_deleted_reports_only() -> None:
    owner = replica_set(3, deletion_timestamp=NOW)
    played = sync(view(owner, pod("a", owner)))
    assert kinds(played) == ["Update"] and played.error == ""


def test_a_failed_claim_ends_the_sync() -> None:
    owner = replica_set(3)
    refuse = lambda write: refusal(500, "broken") if isinstance(write, Patch) and write.key[0] == "Pod" else None  # noqa: E731
    played = sync(view(owner, pod("a")), FakeApi(refuse, live=owner))
    assert kinds(played) == ["Patch", "Patch"] and played.error == "broken"


def test_an_adopted_pod_counts_at_once() -> None:
    owner = replica_set(1)
    played = sync(view(owner, pod("a", owner), pod("b", ready=None)), FakeApi(live=owner))
    assert [delete.key[2] for delete in played.sent(Delete)] == ["b"]
    assert status(played).replicas == 2


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_finished_pods_are_replaced_and_never_claimed(phase: str) -> None:
    owner = replica_set(1)
    finished = pod("a", owner, phase=phase, labels={"app": "other"}), pod("b", phase=phase)
    assert kinds(sync(view(owner, *finished))) == ["Create"]


@pytest.mark.parametrize("phase", ["Pending", "Running", "Unknown", ""])
def test_pods_of_other_phases_are_active(phase: str) -> None:
    owner = replica_set(1, status=observed(1))
    assert kinds(sync(view(owner, pod("a", owner, phase=phase)))) == []


# -- status ---------------------------------------------------------------------------------------------------------


def test_every_count() -> None:
    template = PodTemplateSpec(metadata=ObjectMeta(labels={**LABELS, "new": "yes"}))
    owner = replica_set(5, template=template, min_ready_seconds=10)
    full = {**LABELS, "new": "yes"}
    seen = (
        pod("a", owner, ready=10, labels=full),
        pod("b", owner, ready=9, labels=full),
        pod("c", owner, ready=11),
        pod("d", owner, ready=None),
        pod("e", owner, ready=None, labels=full),
        pod("f", owner, deletion_timestamp=NOW),
        pod("g", owner, deletion_timestamp=NOW, labels={"app": "other"}),
        pod("h", deletion_timestamp=NOW),
        pod("i", owner, deletion_timestamp=NOW, phase="Failed"),
        pod("j", replica_set(1, name="other"), deletion_timestamp=NOW),
    )
    played = sync(view(owner, *seen))
    assert kinds(played) == ["Update"]
    assert status(played) == ReplicaSetStatus(
        replicas=5,
        fully_labeled_replicas=3,
        ready_replicas=3,
        available_replicas=2,
        terminating_replicas=1,
        observed_generation=1,
    )
    assert played.requeue_after == SECOND


@pytest.mark.parametrize(
    ("ready", "after"), [((3, 8), 2 * SECOND), ((10, 30), None), ((None, None), None), ((0, 0), 10 * SECOND)]
)
def test_the_next_availability_is_waited_for(ready: tuple[int | None, ...], after: int | None) -> None:
    owner = replica_set(2, min_ready_seconds=10)
    seen = tuple(pod(f"p{i}", owner, ready=since) for i, since in enumerate(ready))
    assert sync(view(owner, *seen)).requeue_after == after


def test_ready_pods_of_unknown_times_are_looked_at_after_min_ready_seconds() -> None:
    owner = replica_set(1, min_ready_seconds=10)
    ready = pod("a", owner)
    condition = evolve(ready.status.conditions[0], last_transition_time=None)
    timeless = evolve(ready, status=evolve(ready.status, conditions=(condition,)))
    assert sync(view(owner, timeless)).requeue_after == 10 * SECOND


def test_an_error_is_not_also_waited_for() -> None:
    owner = replica_set(3, min_ready_seconds=10)
    refuse = lambda write: refusal(500, "broken") if isinstance(write, Create) else None  # noqa: E731
    played = sync(view(owner, pod("a", owner, ready=3)), FakeApi(refuse))
    assert (played.error, played.requeue_after) == ("broken", None)


def test_a_new_generation_is_reported_though_nothing_else_changed() -> None:
    owner = replica_set(2, status=observed(2), generation=2)
    played = sync(view(owner, *pods(2, owner)))
    assert kinds(played) == ["Update"] and status(played) == observed(2, observed_generation=2)


FAILURE = ReplicaSetCondition(type="ReplicaFailure", status="True", reason="FailedCreate", message="old")
OTHER = ReplicaSetCondition(type="Other", status="True")


def test_a_failure_is_taken_back_by_the_first_sync_without_one() -> None:
    owner = replica_set(3, status=observed(1, conditions=(FAILURE, OTHER)))
    memory = {("expected", KEY): Expected(2, (), NOW)}
    assert status(sync(view(owner, *pods(1, owner), memory=memory))).conditions == (OTHER,)


def test_a_failure_that_stands_is_not_refreshed() -> None:
    owner = replica_set(3, status=observed(1, conditions=(FAILURE,)))
    refuse = lambda write: refusal(500, "new") if isinstance(write, Create) else None  # noqa: E731
    played = sync(view(owner, *pods(1, owner)), FakeApi(refuse))
    assert kinds(played) == ["Create"] and played.error == "new"


def test_a_conflict_is_tried_once_more_on_the_stored_object() -> None:
    owner = replica_set(1)
    stored = newer(owner, resource_version="50", generation=4, annotations={"new": "yes"})
    conflicts = [refusal(409, "conflict", stored)]
    refuse = lambda write: conflicts.pop() if isinstance(write, Update) and conflicts else None  # noqa: E731
    played = sync(view(owner, pod("a", owner)), FakeApi(refuse))
    first, second = played.sent(Update)
    assert played.error == ""
    assert first.object.metadata == owner.metadata and second.object.metadata == stored.metadata
    assert first.object.status == second.object.status == observed(1)
    assert second.why.rule == "ReplicaSet/status-answer/retry"


def test_a_second_conflict_is_an_error() -> None:
    owner = replica_set(1)
    refuse = lambda write: refusal(409, "conflict", owner) if isinstance(write, Update) else None  # noqa: E731
    played = sync(view(owner, pod("a", owner)), FakeApi(refuse))
    assert kinds(played) == ["Update", "Update"] and played.error == "conflict"


def test_a_status_of_nothing_is_an_error_that_hides_others() -> None:
    def refuse(write: Any) -> Any:
        return refusal(404, "not found") if isinstance(write, Update) else refusal(500, "broken")

    played = sync(view(replica_set(1)), FakeApi(refuse))
    assert kinds(played) == ["Create", "Update"] and played.error == "not found"


def test_the_plan_is_the_same_whatever_was_synced_before() -> None:
    owner = replica_set(5, min_ready_seconds=5)
    seen = [pod("a", owner, ready=3), pod("b", owner, ready=None), pod("c", owner, node="")]
    first = sync(view(owner, *seen))
    relabelled = [newer(each, labels={"app": "web", "x": "y"}) for each in seen]
    sync(view(owner, *relabelled))
    again = sync(view(owner, *[evolve(each) for each in seen]))
    assert status(first) == status(again)


def test_uid_of_a_former_object_of_the_name_does_not_count() -> None:
    owner = replica_set(1, status=observed(0))
    former = replica_set(1, uid="uid-former")
    assert kinds(sync(view(owner, pod("a", former)))) == ["Create"]
