"""Adoption and release."""

from __future__ import annotations

from typing import Any

import pytest
from replicaset_objects import LABELS, NOW, FakeApi, newer, pod, refusal, replica_set

from k8sfsm.controllers.claim import Claimant, Claimed, aggregate, claim
from k8sfsm.controllers.replicaset_pods import traits_of_pods
from k8sfsm.controllers.selector import matcher
from k8sfsm.request import Patch, Plan
from k8sfsm.verify.vectors.replicaset import play

OWNER = replica_set(2)
LOST = pod("lost", OWNER, labels={"app": "none"})
ORPHAN = pod("orphan")


def claimed(candidates: tuple[Any, ...], api: FakeApi | None = None, owner: Any = OWNER) -> tuple[Claimed, list[Any]]:
    """The result of a claim, and the requests it sent: the patched object's name, with - for releases, + adoptions."""
    results: list[Claimed] = []
    api = api or FakeApi(live=owner)

    def then(result: Claimed) -> Plan:
        results.append(result)
        return Plan()

    for traits in ({}, {"traits_of": traits_of_pods}):
        api.writes.clear()
        play(claim(Claimant(owner, matcher(owner.spec.selector)), candidates, then, **traits), api)  # type: ignore[arg-type]
    assert (results[0].objects, results[0].error) == (results[1].objects, results[1].error)
    sent = []
    for write in api.writes:
        assert isinstance(write, Patch)
        owners = write.body.get("metadata", {}).get("ownerReferences", [{"$patch": ""}])
        sent.append({"": "?", "delete": "-"}.get(owners[0].get("$patch", "none"), "+") + write.key[2])
    return results[0], sent


def names(result: Claimed) -> list[str]:
    return [each.metadata.name for each in result.objects]


@pytest.mark.parametrize(
    ("candidate", "kept", "sent"),
    [
        (pod("a", OWNER), ["a"], []),
        (pod("a", replica_set(1, name="other")), [], []),
        (LOST, [], ["-lost"]),
        (ORPHAN, ["orphan"], ["?web", "+orphan"]),
        (pod("a", labels={"app": "none"}), [], []),
        (pod("a", deletion_timestamp=NOW), [], []),
        (pod("a", namespace="elsewhere"), [], []),
    ],
)
def test_what_happens_to_a_candidate(candidate: Any, kept: list[str], sent: list[str]) -> None:
    result, requests = claimed((candidate,))
    assert (names(result), requests, result.error) == (kept, sent, "")


def test_an_owner_being_deleted_keeps_what_it_has_and_changes_nothing() -> None:
    owner = newer(OWNER, deletion_timestamp=NOW)
    result, sent = claimed((pod("a", owner), LOST, ORPHAN), owner=owner)
    assert (names(result), sent) == (["a"], [])


def test_order_is_kept_and_the_live_check_is_made_once() -> None:
    result, sent = claimed((ORPHAN, LOST, pod("a", OWNER), pod("b")))
    assert (names(result), sent) == (["orphan", "a", "b"], ["?web", "+orphan", "-lost", "+b"])


def test_patches() -> None:
    api = FakeApi(live=OWNER)
    claimed((LOST, ORPHAN), api)
    release, _, adopt = api.writes
    assert isinstance(release, Patch) and isinstance(adopt, Patch)
    deleted = {"$patch": "delete", "uid": "uid-web"}
    assert release.body == {"metadata": {"uid": "uid-lost", "ownerReferences": [deleted]}}
    assert (release.type, release.uid, release.why is not None) == ("strategic", "uid-lost", True)
    reference = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "uid-web"}
    controller = {**reference, "controller": True, "blockOwnerDeletion": True}
    assert adopt.body == {"metadata": {"uid": "uid-orphan", "ownerReferences": [controller]}}
    assert adopt.why is not None and adopt.why.rule == "claim/claim/adopt"


@pytest.mark.parametrize(
    ("live", "reason"),
    [
        (
            newer(OWNER, uid="new"),
            "can't recheck DeletionTimestamp: original ReplicaSet default/web is gone: got uid new, wanted uid-web",
        ),
        (newer(OWNER, deletion_timestamp=NOW), "default/web has just been deleted at 2026-01-15 12:00:00 +0000 UTC"),
        (None, "can't recheck DeletionTimestamp: not found"),
    ],
)
def test_live_check_refuses(live: Any, reason: str) -> None:
    refuse = lambda write: refusal(404, "not found") if live is None and write.key[0] == "ReplicaSet" else None  # noqa: E731
    result, sent = claimed((ORPHAN, pod("a", OWNER), pod("b"), LOST), FakeApi(refuse, live=live))
    errors = [f"can't adopt Pod default/{name} (uid-{name}): {reason}" for name in ("orphan", "b")]
    assert result.error == f"[{', '.join(errors)}]"
    assert (names(result), sent) == (["a"], ["?web", "-lost"])


@pytest.mark.parametrize(
    ("code", "adoption_fails", "release_fails"), [(404, False, False), (422, True, False), (409, True, True)]
)
def test_refused_patches(code: int, adoption_fails: bool, release_fails: bool) -> None:
    refuse = lambda write: refusal(code, f"no {write.key[2]}") if write.key[0] == "Pod" else None  # noqa: E731
    result, sent = claimed((ORPHAN, LOST, pod("a", OWNER)), FakeApi(refuse, live=OWNER))
    assert (names(result), sent) == (["a"], ["?web", "+orphan", "-lost"])
    failed = (["no orphan"] if adoption_fails else []) + (["no lost"] if release_fails else [])
    assert result.error == aggregate(failed)


def test_errors_are_named_once() -> None:
    assert [aggregate(each) for each in ((), ("a",), ("a", "a"), ("a", "b", "a"))] == ["", "a", "a", "[a, b]"]


def test_many_refused_adoptions() -> None:
    result, _ = claimed(tuple(pod(f"p{i}") for i in range(3000)), FakeApi(live=newer(OWNER, uid="new")))
    assert result.objects == () and LABELS
