"""Whoever owns what, and however owners are deleted: no orphan is left that the policy forbids, and no other goes."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from k8sfsm.engine.engine import Engine
from k8sfsm.engine.standard import standard_engine
from k8sfsm.node.scripted import ScriptedRuntime
from k8sfsm.objects import Namespace, ObjectMeta, from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Delete, Propagation

NAMES = "abcdef"
Owners = list[list[tuple[int, bool]]]
"""For each object, some of those before it, and whether each is to wait for it."""


@st.composite
def ownership(draw: st.DrawFn) -> Owners:
    found: Owners = []
    for number in range(len(NAMES)):
        earlier = draw(st.lists(st.integers(0, number - 1), max_size=2, unique=True)) if number else []
        found.append([(owner, draw(st.booleans())) for owner in earlier])
    return found


def cluster(owners: Owners) -> tuple[Engine, list[str]]:
    engine = standard_engine((), ScriptedRuntime(), limited=False)
    engine.submit(Create(object=Namespace(metadata=ObjectMeta(name="a"))))
    uids: list[str] = []
    for name, own in zip(NAMES, owners, strict=True):
        references = [
            {"apiVersion": "v1", "kind": "ConfigMap", "name": NAMES[at], "uid": uids[at], "blockOwnerDeletion": waits}
            for at, waits in own
        ]
        meta: dict[str, Any] = {"name": name, "namespace": "a", "ownerReferences": references}
        made = engine.submit(Create(object=from_json({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})))
        assert made.ok, made.message
        uids.append(made.object.metadata.uid)
    engine.run(until=engine.now + SECOND)
    return engine, uids


def expected(owners: Owners, deleted: int, policy: Propagation) -> set[int]:
    """Which objects stay: all that have an owner left, or never had one, or whose owner let them go."""
    gone = {deleted}
    for number, own in enumerate(owners):
        left = [at for at, _ in own if at not in gone]
        orphaned = policy == "Orphan" and any(at == deleted for at, _ in own)
        if own and not left and not orphaned:
            gone.add(number)
    return set(range(len(owners))) - gone


@settings(max_examples=25, deadline=None)
@given(ownership(), st.integers(0, len(NAMES) - 1), st.sampled_from(("Background", "Foreground", "Orphan")))
def test_no_orphan_is_left_that_the_policy_forbids(owners: Owners, deleted: int, policy: Propagation) -> None:
    engine, uids = cluster(owners)
    engine.submit(Delete(key=("ConfigMap", "a", NAMES[deleted]), propagation=policy))
    engine.run(until=engine.now + 120 * SECOND)
    left = {NAMES.index(obj.metadata.name) for obj in engine.store.snapshot.series("in", "ConfigMap", "a")}
    assert left == expected(owners, deleted, policy)
    for obj in engine.store.snapshot.series("in", "ConfigMap", "a"):
        meta = obj.metadata
        assert meta.deletion_timestamp is None and not meta.finalizers
        if policy == "Orphan":
            assert all(reference.uid != uids[deleted] for reference in meta.owner_references)
