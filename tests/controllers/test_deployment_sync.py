"""What the Deployment controller does where no vector goes: refusals of the API server, deadlines, forks."""

from __future__ import annotations

import pytest
from attrs import evolve
from deployment_objects import (
    AVAILABLE,
    DESIRED,
    KEY,
    MAXIMUM,
    NOW,
    RECREATE,
    REVISION,
    SECOND,
    Played,
    complete_status,
    deployment,
    owner,
    progressing,
    refuse,
    replica_set,
    sync,
    template,
    with_paused,
)

from k8sfsm.controllers.deployment import DeploymentController
from k8sfsm.controllers.deployment.rolling import clean_up_unhealthy
from k8sfsm.controllers.deployment.template_hash import replica_set_name, template_hash
from k8sfsm.controllers.deployment.working import Working
from k8sfsm.kinds import deployment_rollout
from k8sfsm.kinds.deployment_bounds import max_surge, max_unavailable
from k8sfsm.law import usable
from k8sfsm.objects import (
    DeploymentStatus,
    DeploymentStrategy,
    LabelSelector,
    LabelSelectorRequirement,
    ObjectMeta,
    Pod,
    PodStatus,
    to_json,
)
from k8sfsm.request import Create, Delete, Outcome, Update
from k8sfsm.view import View

HASH = template_hash(to_json(template()), None)
NAME = replica_set_name("web", HASH)


def test_tables_load_and_bind() -> None:
    assert deployment_rollout.law.room == "deployment"
    assert usable("deployment") == ()


def test_nothing_is_done_for_a_deployment_that_is_gone() -> None:
    assert sync(replica_set(1)).told == []


# -- selectors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("observed", "told"), [(3, []), (2, ["status web"])])
def test_a_deployment_that_selects_everything_is_refused(observed: int, told: list[str]) -> None:
    status = DeploymentStatus(observed_generation=observed)
    played = sync(deployment(selector=LabelSelector(), status=status), replica_set(2, owner_references=()))
    assert played.events == [
        "Warning SelectingAll This deployment is selecting all pods. A non-empty selector is required."
    ]
    assert played.told == told and played.error == ""


def test_a_failure_to_note_the_generation_does_not_matter() -> None:
    wrong = deployment(selector=LabelSelector(), status=DeploymentStatus(observed_generation=2))
    assert sync(wrong, answer=refuse(Update, 409)).error == ""


def test_a_selector_that_cannot_be_read_ends_the_sync() -> None:
    selector = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a", operator="Like"),))
    played = sync(deployment(selector=selector), replica_set(2))
    assert played.told == [] and "Like" in played.error


def test_an_unknown_strategy_ends_the_sync() -> None:
    played = sync(deployment(strategy=DeploymentStrategy(type="Yolo"), status=complete_status()), replica_set(2))
    assert played.error == "unexpected deployment strategy type: Yolo"


def test_a_failed_adoption_ends_the_sync() -> None:
    played = sync(
        deployment(), replica_set(2, owner_references=()), answer=lambda write: Outcome(request=write, code=500)
    )
    assert played.error != ""
    assert "status web" not in played.told


# -- creating the new ReplicaSet --------------------------------------------------------------------------------------


def test_creation_and_its_status_write() -> None:
    played = sync(deployment(annotations={}, status=DeploymentStatus()))
    assert played.told == [f"create {NAME} to 4", "status web", "status web"]
    created = played.writes[0].object
    assert created.metadata.annotations == {REVISION: "1", DESIRED: "4", MAXIMUM: "5"}
    assert (
        created.metadata.labels["pod-template-hash"] == HASH == created.spec.selector.match_labels["pod-template-hash"]
    )
    early, late = (write.object for write in played.writes[1:])
    assert early.metadata.annotations[REVISION] == "1"
    assert [item.reason for item in early.status.conditions] == ["NewReplicaSetCreated"]
    assert early.status.conditions[0].message == f'Created new replica set "{NAME}"'
    assert late.metadata.resource_version == "7", "the answer to the early write is dropped, so this one meets a 409"
    assert played.events == [f"Normal ScalingReplicaSet Scaled up replica set {NAME} from 0 to 4"]


def test_the_second_status_write_meets_a_conflict_and_the_key_is_tried_again() -> None:
    writes = iter([False, True])

    def answer(write: object) -> Outcome | None:
        if isinstance(write, Update) and next(writes):
            return Outcome(request=write, code=409, reason="Conflict", message="modified")
        return None

    assert sync(deployment(), answer=answer).error == "modified"


def test_a_creation_without_deadline_or_pods_tells_nothing() -> None:
    played = sync(deployment(0, progress_deadline_seconds=2**31 - 1, annotations={REVISION: "1"}))
    assert played.events == []
    assert played.told == [f"create {NAME} to 0", "status web"]


@pytest.mark.parametrize("deadline", [600, None])
def test_a_refused_creation_is_told(deadline: int | None) -> None:
    told = ["create", "status"] if deadline else ["create"]
    played = sync(deployment(progress_deadline_seconds=deadline), answer=refuse(Create, 403, "Forbidden", "no quota"))
    assert [text.split()[0] for text in played.told] == told
    assert played.error == "no quota"
    text = f'Failed to create new replica set "{NAME}": no quota'
    assert played.events == [f"Warning ReplicaSetCreateError {text}"]
    if deadline:
        written = played.writes[1].object.status.conditions[-1]
        assert (written.status, written.reason, written.message) == ("False", "ReplicaSetCreateError", text)


def test_the_status_of_a_refused_creation_may_be_refused_too() -> None:
    def answer(write: object) -> Outcome:
        return Outcome(request=write, code=403, message="no " + type(write).__name__)  # type: ignore[arg-type]

    assert sync(deployment(), answer=answer).error == "no Create"


def test_a_terminating_namespace_is_given_up() -> None:
    text = "unable to create new content in namespace default because it is being terminated"
    played = sync(deployment(), answer=refuse(Create, 403, "Forbidden", text))
    assert played.told == [f"create {NAME} to 4"] and played.events == []
    assert played.error == "", "the key is not tried again"


EXISTS = refuse(Create, 409, "AlreadyExists", "exists")


def test_a_name_that_is_taken_counts_as_a_collision() -> None:
    taken = replica_set(9, name=NAME, owner_references=(owner("uid-other", "other"),))
    played = sync(deployment(), taken, answer=EXISTS)
    assert played.told == [f"create {NAME} to 4", "status web"]
    assert played.writes[1].object.status.collision_count == 1
    assert played.error == "exists" and played.events == []


def test_a_second_collision_counts_on() -> None:
    status = DeploymentStatus(observed_generation=3, collision_count=1)
    name = replica_set_name("web", template_hash(to_json(template()), 1))
    taken = replica_set(9, name=name, owner_references=(owner("uid-other", "other"),))
    assert sync(deployment(status=status), taken, answer=EXISTS).writes[1].object.status.collision_count == 2


def test_a_name_that_is_taken_by_something_unseen_is_an_error() -> None:
    played = sync(deployment(), answer=EXISTS)
    assert played.error == f'replicaset.apps "{NAME}" not found'
    assert played.told == [f"create {NAME} to 4"]


def test_a_replica_set_that_an_earlier_sync_made_is_taken() -> None:
    # Its labels do not match, so it is not claimed and not found; but it is ours and has our template.
    plain = template(**{"pod-template-hash": HASH})
    mine = replica_set(9, name=NAME, template=plain, labels={"app": "strange"})

    def answer(write: object) -> Outcome | None:
        released = getattr(write, "type", "") == "strategic"
        return Outcome(request=write, code=200) if released else EXISTS(write)  # type: ignore[arg-type]

    played = sync(deployment(annotations={}), mine, answer=answer)
    assert played.error == "" and played.events == []
    first = next(write.object for write in played.writes if getattr(write, "subresource", "") == "status")
    assert first.metadata.annotations[REVISION] == "1"
    assert [item for item in first.status.conditions if item.type == "Progressing"] == []


# -- the new ReplicaSet that is there ---------------------------------------------------------------------------------


def test_a_found_replica_set_is_noted() -> None:
    played = sync(deployment(annotations={}), replica_set(2))
    first = played.writes[0].object
    assert first.metadata.annotations[REVISION] == "2"
    assert (first.status.conditions[0].reason, first.status.conditions[0].message) == (
        "FoundNewReplicaSet",
        'Found new replica set "web-2"',
    )


def test_new_min_ready_seconds_are_passed_on() -> None:
    played = sync(deployment(min_ready_seconds=5, status=complete_status()), replica_set(2))
    assert played.told[0] == "update web-2 to 4"
    assert played.writes[0].object.spec.min_ready_seconds == 5


def test_the_oldest_of_equal_replica_sets_is_the_new_one_then_the_first_by_name() -> None:
    same = template("web:2", **{"pod-template-hash": "x"})
    twins = [replica_set(2, name=name, uid=name, template=same, creation_timestamp=NOW) for name in ("b", "a")]
    played = sync(deployment(annotations={REVISION: "0"}), *twins)
    assert played.told[0].startswith("update a")


def test_a_refused_update_of_annotations_ends_the_sync() -> None:
    played = sync(
        deployment(annotations={"team": "x"}), replica_set(2), answer=refuse(Update, 409, "Conflict", "modified")
    )
    assert played.told == ["update web-2 to 4"] and played.error == "modified"


# -- rolling ----------------------------------------------------------------------------------------------------------

HALF = DeploymentStatus(
    observed_generation=3, replicas=5, updated_replicas=1, conditions=(AVAILABLE, progressing("ReplicaSetUpdated"))
)


def test_errors_while_old_pods_go_are_swallowed() -> None:
    old, new = replica_set(1, 4), replica_set(2, 1)
    played = sync(deployment(status=HALF), old, new, answer=refuse(Update, 409, "Conflict", "modified", subresource=""))
    assert played.told[0] == "update web-1 to 2"
    assert played.told[1:] == ["status web"] and played.error == "" and played.events == []


def test_a_lagging_status_stops_the_scale_down() -> None:
    old, new = replica_set(1, 2, available=4), replica_set(2, 3)
    assert [text for text in sync(deployment(status=HALF), old, new).told if text.startswith("update")] == []


def test_of_equally_old_replica_sets_the_first_by_name_shrinks_first() -> None:
    when = {"creation_timestamp": NOW - SECOND}
    olds = [
        replica_set(1, 2, name="b", uid="b", **when),
        replica_set(1, 2, name="a", uid="a", template=template("web:0"), **when),
    ]
    played = sync(deployment(status=HALF), *olds, replica_set(2, 1))
    assert played.told[0] == "update a to 0"


def test_a_conflict_on_the_new_replica_set_ends_the_sync() -> None:
    played = sync(
        deployment(status=HALF), replica_set(1, 2), replica_set(2, 1), answer=refuse(Update, 409, "", "modified")
    )
    assert played.told == ["update web-2 to 3"] and played.error == "modified"


# -- recreate ---------------------------------------------------------------------------------------------------------


def pod(phase: str, revision: int) -> Pod:
    reference = owner(f"uid-{revision}", f"web-{revision}", "ReplicaSet")
    metadata = ObjectMeta(name="p", namespace="default", uid="p", owner_references=(reference,))
    return Pod(metadata=metadata, status=PodStatus(phase=phase))


@pytest.mark.parametrize(
    ("phase", "waits"), [("Running", True), ("Unknown", True), ("Failed", False), ("Succeeded", False)]
)
def test_recreate_waits_for_old_pods(phase: str, waits: bool) -> None:
    played = sync(deployment(strategy=RECREATE), replica_set(1, 0), pod(phase, 1))
    assert played.told[0] == ("status web" if waits else f"create {NAME} to 4")


def test_recreate_waits_for_what_old_replica_sets_report() -> None:
    assert sync(deployment(strategy=RECREATE), replica_set(1, 0, replicas_told=1)).told == ["status web"]


def test_recreate_does_not_mind_its_own_pods() -> None:
    noted = {REVISION: "2", DESIRED: "4", MAXIMUM: "4"}
    small = replica_set(2, 3, annotations=noted)
    status = complete_status(3)
    played = sync(deployment(strategy=RECREATE, status=status), small, pod("Running", 2))
    assert played.told[0] == "update web-2 to 4"


def test_an_update_of_annotations_is_sent_again_by_the_second_look() -> None:
    # Both looks work on the ReplicaSet as cached: on a real API server the second one meets a 409.
    noted = {REVISION: "2", "team": "x"}
    played = sync(deployment(strategy=RECREATE, annotations=noted, status=complete_status()), replica_set(2))
    assert played.told[:2] == ["update web-2 to 4"] * 2
    assert [write.object.metadata.resource_version for write in played.writes[:2]] == ["7", "7"]


def test_an_empty_old_replica_set_has_nothing_to_clean_up() -> None:
    case = Working(View.of([], now=NOW), deployment(), (), replica_set(2))
    phase = clean_up_unhealthy(case, (replica_set(1, 0, available=2),), 5)
    with pytest.raises(StopIteration) as end:
        next(phase)
    assert end.value.value.cut == 0


def test_a_recreated_deployment_has_no_bounds_even_with_a_rolling_block() -> None:
    strategy = DeploymentStrategy(type="Recreate", rolling_update=deployment().spec.strategy.rolling_update)
    obj = deployment(8, strategy=strategy)
    assert (max_surge(obj), max_unavailable(obj)) == (0, 0)
    assert (max_surge(deployment(8)), max_unavailable(deployment(8))) == (2, 2)


# -- scaling ----------------------------------------------------------------------------------------------------------


def test_shares_of_equal_replica_sets_by_age_then_name() -> None:
    when = {"creation_timestamp": NOW - SECOND}
    twins = [replica_set(2, 2, name="a", uid="a", **when), replica_set(1, 2, name="b", uid="b", **when)]
    up = sync(deployment(9), *twins)
    assert next(text.split()[1] for text in up.told if text.startswith("update")) == "b"
    down = sync(deployment(2), *twins)
    assert next(text.split()[1] for text in down.told if text.startswith("update")) == "a"


@pytest.mark.parametrize(("name", "age", "first"), [("c", 1, "c"), ("a", 0, "a")])
def test_of_equally_large_replica_sets_the_newer_grows_first(name: str, age: int, first: str) -> None:
    """Both as old: the last by name; else the newer."""
    new = replica_set(2, 2, name=name, uid=name, creation_timestamp=NOW - age * SECOND)
    old = replica_set(1, 2, name="b", uid="b", creation_timestamp=NOW - SECOND)
    assert next(text.split()[1] for text in sync(deployment(9), old, new).told if text.startswith("update")) == first


def test_a_paused_deployment_with_a_rollback_is_scaled() -> None:
    noted = {REVISION: "2", "deprecated.deployment.rollback.to": "1"}
    status = DeploymentStatus(conditions=(progressing("DeploymentPaused"),))
    paused = with_paused(deployment(6, annotations=noted, status=status))
    assert sync(paused, replica_set(2)).told[0] == "update web-2 to 6"


def test_the_history_of_a_paused_deployment_goes_by_name_too() -> None:
    when = {"creation_timestamp": NOW - 9000 * SECOND}
    twins = [replica_set(1, 0, name=name, uid=name, template=template(name), **when) for name in ("b", "a")]
    status = complete_status(4, AVAILABLE, progressing("DeploymentPaused"))
    paused = with_paused(deployment(status=status, revision_history_limit=1))
    assert sync(paused, *twins, replica_set(2)).told == ["delete a"]


def test_the_newest_then_the_last_by_name_takes_a_change_when_none_is_active() -> None:
    when = {"creation_timestamp": NOW - SECOND}
    olds = [replica_set(1, 0, name=name, uid=name, template=template(name), **when) for name in ("a", "b")]
    older = replica_set(1, 0, name="c", uid="c")
    paused = with_paused(deployment(3, status=DeploymentStatus(conditions=(progressing("DeploymentPaused"),))))
    assert sync(paused, older, *olds).told[0] == "update b to 3"


def test_a_paused_deployment_cleans_up_unless_a_rollback_is_asked_for() -> None:
    status = complete_status(4, AVAILABLE, progressing("DeploymentPaused"))
    for more, told in (({}, ["delete web-1"]), ({"deprecated.deployment.rollback.to": "1"}, [])):
        noted = {REVISION: "2", **more}
        paused = with_paused(deployment(status=status, revision_history_limit=0, annotations=noted))
        assert sync(paused, replica_set(1, 0), replica_set(2)).told == told


# -- history ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "error"), [(200, ""), (404, ""), (403, "no"), (409, "no"), (300, "no"), (500, "no")])
def test_deletions_from_the_history(code: int, error: str) -> None:
    done = deployment(status=complete_status(), revision_history_limit=0)
    played = sync(done, replica_set(1, 0), replica_set(2), answer=refuse(Delete, code, message="no"))
    assert played.told == ["delete web-1"] and played.error == error


def test_of_equal_revisions_the_oldest_goes_then_the_first_by_name() -> None:
    done = deployment(status=complete_status(), revision_history_limit=2, annotations={REVISION: "5"})
    new = replica_set(2, annotations={REVISION: "5", DESIRED: "4", MAXIMUM: "5"})
    when = {"creation_timestamp": NOW - 9000 * SECOND}
    twins = [replica_set(1, 0, name=name, uid=name, template=template(name), **when) for name in ("b", "a")]
    young = replica_set(1, 0, name="0", uid="0", creation_timestamp=NOW)
    assert sync(done, young, *twins, new).told == ["delete a"]
    lowest = replica_set(0, 0, name="z", uid="z", template=template("z"), creation_timestamp=NOW)
    assert sync(done, lowest, twins[0], young, new).told == ["delete z"]


# -- deadline ---------------------------------------------------------------------------------------------------------


def stuck(reason: str, age: int, told: str = "True", **values: object) -> Played:
    """A rollout in which nothing changed since `age` seconds."""
    status = DeploymentStatus(
        observed_generation=3,
        replicas=5,
        updated_replicas=2,
        ready_replicas=3,
        available_replicas=3,
        unavailable_replicas=2,
        terminating_replicas=0,
        conditions=(AVAILABLE, *((progressing(reason, status=told, age=age),) if reason else ())),
    )
    old = replica_set(1, 3)
    new = replica_set(2, 2, available=0)
    return sync(deployment(status=status, **values), old, new)  # type: ignore[arg-type]


def test_a_stuck_rollout_is_looked_at_a_second_after_its_deadline() -> None:
    played = stuck("ReplicaSetUpdated", 60)
    assert played.told == [] and played.requeue_after == 541 * SECOND


def test_at_the_deadline_the_queue_tries_again_soon() -> None:
    assert stuck("ReplicaSetUpdated", 600).requeue_after == 5_000_000
    assert stuck("ReplicaSetUpdated", 600).plans[-1].limited and not stuck("ReplicaSetUpdated", 599).plans[-1].limited
    assert stuck("ReplicaSetUpdated", 599).requeue_after == 2 * SECOND


def test_past_the_deadline_the_rollout_has_failed() -> None:
    played = stuck("ReplicaSetUpdated", 601)
    assert played.told == ["status web"] and played.reason == "ProgressDeadlineExceeded"


def test_nothing_is_awaited_of_a_late_rollout() -> None:
    played = stuck("ProgressDeadlineExceeded", 60, told="False")
    assert played.told == [] and played.requeue_after is None


def test_nothing_is_awaited_where_no_progress_is_told() -> None:
    status = DeploymentStatus(
        observed_generation=3, replicas=1, terminating_replicas=0, conditions=(evolve(AVAILABLE, status="False"),)
    )
    status = evolve(status, conditions=(evolve(status.conditions[0], reason="MinimumReplicasUnavailable"),))
    played = sync(deployment(strategy=RECREATE, status=status), replica_set(1, 0, replicas_told=1))
    assert played.told == [] and played.requeue_after is None


def test_nothing_is_awaited_without_a_deadline() -> None:
    played = stuck("", 60, progress_deadline_seconds=None)
    assert played.told == [] and played.requeue_after is None


def test_nothing_is_awaited_of_a_complete_rollout() -> None:
    played = sync(deployment(status=complete_status()), replica_set(2))
    assert played.told == [] and played.requeue_after is None


# -- deletion, failures, forks ----------------------------------------------------------------------------------------


def test_a_deployment_that_is_being_deleted_only_has_its_status_kept_up() -> None:
    going = deployment(6, metadata={"deletion_timestamp": NOW})
    played = sync(going, replica_set(1), replica_set(2))
    assert played.told == ["status web", "status web"]


def test_a_plan_can_be_continued_twice() -> None:
    plan = DeploymentController().reconcile(View.of([deployment()], now=NOW), KEY)
    assert plan.then is not None
    made = Outcome(request=plan.steps[0], code=201, object=plan.steps[0].object)  # type: ignore[union-attr,arg-type]
    refused = Outcome(request=plan.steps[0], code=403, message="no")  # type: ignore[arg-type]
    first, second, third = plan.then((made,)), plan.then((refused,)), plan.then((made,))
    assert first.steps == third.steps != second.steps
    assert first.then is not None and third.then is not None
    stored = Outcome(request=first.steps[-1], code=200)  # type: ignore[arg-type]
    assert first.then((stored,)).steps == third.then((stored,)).steps == first.then((stored,)).steps


def test_a_stateful_set_that_was_never_observed() -> None:
    document = {
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {"updateStrategy": {"type": "RollingUpdate"}},
    }
    said = deployment_rollout.rollout_status(document, 0)
    assert (said.message, said.done, said.error) == (
        "Waiting for statefulset spec update to be observed...\n",
        False,
        "",
    )
