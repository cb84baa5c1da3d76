"""Pods that are counted from view to view are as many as a count of all of them finds."""

from __future__ import annotations

import random
from collections import Counter

from replicaset_objects import LABELS, NOW, meta, reference, replica_set

from k8sfsm.controllers.replicaset_pods import by_role, candidates_of, forget_pods, role_of, traits_of_pods
from k8sfsm.objects import Pod, PodCondition, PodSpec, PodStatus
from k8sfsm.store import Store
from k8sfsm.view import View

OWNER = replica_set(2)
OTHER = replica_set(2, name="other")
PHASES = ("Pending", "Running", "Running", "Failed")


def _pod(number: int, chance: random.Random) -> Pod:
    owner = chance.choice((OWNER, OWNER, OWNER, OTHER, None))
    metadata = meta(
        f"pod-{number}",
        labels=chance.choice((LABELS, LABELS, {"app": "other"})),
        owner_references=() if owner is None else (reference(owner),),
        deletion_timestamp=NOW if chance.random() < 0.1 else None,
    )
    condition = PodCondition(type="Ready", status=chance.choice(("True", "False")), last_transition_time=NOW)
    return Pod(
        metadata=metadata, spec=PodSpec(), status=PodStatus(phase=chance.choice(PHASES), conditions=(condition,))
    )


def _turned(store: Store, chance: random.Random) -> Store:
    for number in chance.sample(range(400), 12):
        known = store.get("Pod", "default", f"pod-{number}")
        if known is not None and chance.random() < 0.3:
            store, _ = store.remove(("Pod", "default", f"pod-{number}"))
        else:
            store, _ = store.put(_pod(number, chance))
    return store


def test_pods_are_counted_as_they_are_whichever_of_two_histories_is_looked_at() -> None:
    chance = random.Random(5)
    stores = [Store.starting_at(0), Store.starting_at(0)]
    for round in range(60):
        which = chance.randrange(2)
        store = stores[which] = _turned(stores[which], chance)
        if round == 40:
            stores[0] = stores[1] = store
            forget_pods()
        view = View(NOW, store.snapshot)
        for owner in (OWNER, OTHER):
            plain = (*view.owned("Pod", owner.metadata.uid), *view.orphans("Pod", "default"))
            found = candidates_of(view, owner)
            assert tuple(found) == plain
            assert (len(found), found.counts) == (len(plain), Counter(traits_of_pods(plain)))
            assert list(traits_of_pods(found)) == list(traits_of_pods(plain))
            _compare_roles(found, plain)


def _compare_roles(found: object, plain: tuple[Pod, ...]) -> None:
    parts = by_role(found)  # type: ignore[arg-type]
    for role, pods in parts.items():
        alike = [pod for pod, traits in zip(plain, traits_of_pods(plain), strict=True) if role_of(traits) == role]
        assert (list(pods), len(pods)) == (alike, len(alike))
