"""What watch events wake and which expectations they meet."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from replicaset_objects import KEY, LABELS, NOW, change, newer, pod, reference, replica_set, view

from k8sfsm.controllers.expectations import Expected, Met
from k8sfsm.controllers.replicaset import ReplicaSetController
from k8sfsm.controllers.replicaset_events import pod_owners
from k8sfsm.objects import LabelSelector, LabelSelectorRequirement
from k8sfsm.objects.durations import SECOND

OWNER = replica_set(2)
OTHER = replica_set(2, name="other", selector=LabelSelector(match_labels={"app": "other"}))
OTHER_KEY = ("ReplicaSet", "default", "other")
MEMORY = {
    ("expected", KEY): Expected(2, ("default/a",), NOW),
    ("expected", OTHER_KEY): Expected(1, ("default/a",), NOW),
}


def woken(old: Any, new: Any, *owners: Any) -> list[Any]:
    return list(pod_owners(change(old, new), view(*(owners or (OWNER, OTHER)))))


def seen(old: Any, new: Any, memory: Any = None) -> dict[Any, Any]:
    known = view(OWNER, OTHER, memory=MEMORY if memory is None else memory)
    return {step.key: step.value for step in ReplicaSetController().observe(change(old, new), known)}


MINE = pod("a", OWNER)
LEAVING = newer(MINE, deletion_timestamp=NOW)


def test_a_new_pod_is_a_creation_seen() -> None:
    assert woken(None, MINE) == [KEY]
    assert seen(None, MINE) == {("seen", KEY): Met(creations=1)}


def test_a_new_pod_that_is_terminating_is_a_deletion_seen() -> None:
    assert woken(None, LEAVING) == [KEY]
    assert seen(None, LEAVING) == {("seen", KEY): Met(deletions=("default/a",))}


def test_a_new_orphan_wakes_who_matches_and_meets_nothing() -> None:
    assert woken(None, pod("a")) == [KEY]
    assert woken(None, pod("a", labels={"app": "none"})) == []
    assert woken(None, pod("a", labels={})) == []
    assert woken(None, pod("a", deletion_timestamp=NOW)) == []
    assert seen(None, pod("a")) == {}


def test_selectors_that_are_empty_or_cannot_be_read_are_never_woken() -> None:
    bad = LabelSelector(match_expressions=(LabelSelectorRequirement(key="app", operator="Like"),))
    owners = [replica_set(1, name=f"rs{i}", selector=each) for i, each in enumerate((LabelSelector(), None, bad))]
    assert woken(None, pod("a"), *owners) == []
    exists = LabelSelector(match_expressions=(LabelSelectorRequirement(key="app", operator="Exists"),))
    assert woken(None, pod("a"), replica_set(1, selector=exists)) == [KEY]


def test_a_resync_is_no_event() -> None:
    assert woken(MINE, evolve(MINE)) == [] and seen(MINE, evolve(MINE)) == {}
    assert woken(LEAVING, evolve(LEAVING)) == []
    same = evolve(pod("a"), metadata=evolve(pod("a").metadata, labels={"app": "none"}))
    assert woken(same, pod("a")) == []
    assert woken(MINE, pod("a")) == []
    unready = pod("a", OWNER, ready=None)
    assert woken(unready, MINE, replica_set(2, min_ready_seconds=5)) == []
    assert seen(evolve(LEAVING, metadata=evolve(LEAVING.metadata, labels={})), LEAVING) == {}


def test_an_update_wakes_the_owner() -> None:
    assert woken(MINE, newer(MINE)) == [KEY]
    assert seen(MINE, newer(MINE)) == {}


def test_a_graceful_deletion_counts_when_it_begins() -> None:
    assert woken(MINE, LEAVING) == [KEY]
    assert seen(MINE, LEAVING) == {("seen", KEY): Met(deletions=("default/a",))}


def test_a_deletion_counts_once() -> None:
    memory = MEMORY | {("seen", KEY): Met(1, ("default/a",))}
    assert seen(LEAVING, None, memory) == {}
    assert seen(LEAVING, None, {}) == {}
    assert seen(pod("b", OWNER), None) == {}
    assert seen(LEAVING, None, MEMORY | {("seen", KEY): Met(1)}) == {("seen", KEY): Met(1, ("default/a",))}


def test_a_relabelled_pod_that_terminates_concerns_the_former_owner_too() -> None:
    former = pod("a", OTHER, labels={"app": "other"})
    assert woken(former, LEAVING) == [KEY, OTHER_KEY]
    met = Met(deletions=("default/a",))
    assert seen(former, LEAVING) == {("seen", KEY): met, ("seen", OTHER_KEY): met}
    assert woken(newer(former, labels=LABELS), newer(LEAVING, resource_version="9")) == [KEY]


def test_a_pod_that_changes_hands_wakes_both_owners() -> None:
    former = pod("a", OTHER)
    assert woken(former, newer(MINE)) == [OTHER_KEY, KEY]
    assert woken(pod("a", replica_set(1, name="gone")), newer(MINE)) == [KEY]


def test_a_pod_that_becomes_ready_wakes_the_owner_again_when_it_is_available() -> None:
    owner = replica_set(2, min_ready_seconds=5)
    unready, ready = pod("a", owner, ready=None), newer(pod("a", owner))
    assert woken(unready, ready, owner) == [KEY, (KEY, 5 * SECOND)]
    assert woken(unready, ready) == [KEY]
    assert woken(pod("a", owner), ready, owner) == [KEY]
    assert woken(unready, newer(unready), owner) == [KEY]
    assert woken(unready, newer(ready, deletion_timestamp=NOW), owner) == [KEY]


def test_an_orphan_wakes_who_matches_only_when_labels_or_owner_changed() -> None:
    orphan = pod("a")
    assert woken(orphan, newer(orphan)) == []
    assert woken(newer(orphan, labels={"app": "none"}, resource_version="6"), newer(orphan)) == [KEY]
    assert woken(MINE, newer(orphan)) == [KEY, KEY]
    stranger = newer(orphan, owner_references=(reference(replica_set(1, name="gone")),))
    assert woken(stranger, newer(orphan, resource_version="9")) == [KEY]
    assert woken(orphan, newer(orphan, deletion_timestamp=NOW, labels={"app": "web", "a": "b"})) == []
    assert woken(newer(MINE, labels={"app": "x"}), newer(orphan, resource_version="9")) == [KEY, KEY]
    assert woken(MINE, newer(orphan, deletion_timestamp=NOW)) == []


def test_a_removed_pod_wakes_its_owner() -> None:
    assert woken(MINE, None) == [KEY]
    assert seen(MINE, None) == {("seen", KEY): Met(deletions=("default/a",))}
    assert woken(pod("a"), None) == [] and seen(pod("a"), None) == {}


@pytest.mark.parametrize("change_of_reference", [{"kind": "Job"}, {"uid": "another"}, {"name": "gone"}])
def test_references_to_others_wake_nobody(change_of_reference: dict[str, str]) -> None:
    stranger = pod("a", owner_references=(evolve(reference(OWNER), **change_of_reference),))
    for old, new in ((None, stranger), (stranger, newer(stranger)), (stranger, None)):
        assert woken(old, new) == [] and seen(old, new) == {}


FORGOTTEN = {("expected", KEY): None, ("seen", KEY): None, ("given up", KEY): None, ("wrote", KEY): None}


def test_an_owner_that_is_gone_or_made_anew_is_forgotten() -> None:
    assert seen(OWNER, None) == FORGOTTEN
    assert seen(OWNER, newer(OWNER, uid="new")) == FORGOTTEN
    assert seen(OWNER, newer(OWNER)) == {} and seen(None, OWNER) == {}
