"""The store: revisions, history, watch, time travel, indexes; against a plain model."""

from __future__ import annotations

from itertools import chain

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.controllers.following import difference
from k8sfsm.index import GONE, Series, is_seldom
from k8sfsm.objects import Event, ObjectMeta, OwnerReference, Pod, PodSpec, ServiceAccount, controller_of
from k8sfsm.store import Snapshot, Store
from k8sfsm.view import View


def pod(name: str, node: str = "", owner: str = "") -> Pod:
    owners = (OwnerReference(kind="ReplicaSet", name="rs", uid=owner, controller=True),) if owner else ()
    return Pod(metadata=ObjectMeta(name=name, namespace="a", owner_references=owners), spec=PodSpec(node_name=node))


@given(st.lists(st.dictionaries(st.integers(0, 400), st.booleans(), max_size=200), max_size=8))
def test_series_is_a_sorted_map(batches: list[dict[int, bool]]) -> None:
    series, model = Series(), {}
    for number, batch in enumerate(batches):
        series = series.updated({ordinal: f"v{ordinal}-{number}" if keep else GONE for ordinal, keep in batch.items()})
        for ordinal, keep in batch.items():
            if keep:
                model[ordinal] = f"v{ordinal}-{number}"
            else:
                model.pop(ordinal, None)
        assert len(series) == len(model) and bool(series) == bool(model)
        assert list(series) == [model[ordinal] for ordinal in sorted(model)]
        assert all(series.blocks) and all(
            [each[0] for each in stretch.ordinals] == list(stretch.firsts) for stretch in series.stretches
        )
        assert list(zip(chain(*series.ordinals), series, strict=True)) == sorted(model.items())


def test_a_block_that_did_not_change_is_the_same() -> None:
    series = Series().updated({ordinal: ordinal for ordinal in range(1000)})
    changed = series.updated({5: "five", 1000: 1000})
    same = [one is two for one, two in zip(series.blocks, changed.blocks, strict=True)]
    assert same == [False, *[True] * (len(same) - 2), False]


def test_a_long_series_is_a_sorted_map_whose_stretches_stay() -> None:
    model: dict[int, object] = {ordinal: ordinal for ordinal in range(20_000)}
    series = Series().updated(model)
    assert len(series.stretches) > 3 and all(0 < len(stretch.blocks) <= 32 for stretch in series.stretches)
    for changes in (
        {7: "seven"},
        {9_000: GONE, 20_000: "new"},
        dict.fromkeys(range(5_000, 13_000), GONE),
        {6_000: "again", 19_999: "last"},
        dict.fromkeys(range(20_001, 30_000), "more"),
    ):
        before, series = series, series.updated(changes)
        model = {ordinal: obj for ordinal, obj in {**model, **changes}.items() if obj is not GONE}
        assert list(zip(chain(*series.ordinals), series, strict=True)) == sorted(model.items())
        same = {id(stretch) for stretch in before.stretches} & {id(stretch) for stretch in series.stretches}
        assert len(same) >= min(len(before.stretches) - len(changes), 2)
        found = difference(before, series)
        assert sorted(map(str, found.come)) == sorted(str(obj) for obj in changes.values() if obj is not GONE)
    assert list(series.updated(dict.fromkeys(model, GONE))) == []


def test_each_write_gets_the_next_revision_and_its_watch_event() -> None:
    store, first = Store().put(pod("x"), at=7)
    store, second = store.put(pod("x", node="n"))
    store, third = store.remove(("Pod", "a", "x"))
    assert [change.type for change in store.changes(0)] == ["ADDED", "MODIFIED", "DELETED"]
    assert (first.revision, second.revision, third.revision) == (1, 2, 3)
    assert first.at == 7 and first.old is None
    assert second.old.metadata.resource_version == "1" and second.new.metadata.resource_version == "2"
    assert third.new.metadata.resource_version == "3" and third.new.spec.node_name == "n"
    assert [change.revision for change in store.changes(1, "Pod")] == [2, 3]
    assert list(store.changes(0, "Node")) == []


def test_removing_what_is_not_there_is_an_error() -> None:
    with pytest.raises(LookupError, match="Pod/a/x is not stored"):
        Store().remove(("Pod", "a", "x"))


def test_old_states_and_forks_share_and_do_not_disturb_each_other() -> None:
    store, _ = Store().put(pod("x"))
    left, _ = store.put(pod("left"))
    right, _ = store.put(pod("right"))
    assert [change.key[2] for change in left.changes(0)] == ["x", "left"]
    assert [change.key[2] for change in right.changes(0)] == ["x", "right"]
    assert left.get("Pod", "a", "right") is None and right.get("Pod", "a", "right") is not None
    assert list(store.changes(0))[-1].key[2] == "x"


def test_history_longer_than_a_chunk_is_whole() -> None:
    store = Store()
    for number in range(2500):
        store, _ = store.put(pod("x", node=str(number)))
    assert [change.revision for change in store.changes(1020)] == list(range(1021, 2501))
    assert store.at(1500).get(("Pod", "a", "x")).spec.node_name == "1499"


def test_time_travel_restores_objects_and_indexes() -> None:
    store, _ = Store().put(pod("x", owner="u"))
    store, _ = store.put(pod("y", node="n", owner="u"))
    store, _ = store.remove(("Pod", "a", "x"))
    then = store.at(1)
    assert [entry.metadata.name for entry in then.series("owned", "Pod", "u")] == ["x"]
    assert then.get(("Pod", "a", "y")) is None
    assert [entry.metadata.name for entry in store.snapshot.series("owned", "Pod", "u")] == ["y"]


def test_compaction_forgets_and_says_so() -> None:
    store, _ = Store().put(pod("x"))
    store = store.compact()
    store, _ = store.put(pod("y"))
    assert [change.key[2] for change in store.changes(1)] == ["y"]
    with pytest.raises(LookupError, match=r"too old resource version: 0 \(1\)"):
        list(store.changes(0))


def test_indexes_follow_the_object() -> None:
    store, _ = Store().put(pod("x"))
    assert [entry.metadata.name for entry in store.snapshot.series("orphans", "Pod", "a")] == ["x"]
    store, _ = store.put(pod("x", node="n", owner="u"))
    view = View(0, store.snapshot, store=store)
    assert [entry.metadata.name for entry in view.on_node("n")] == ["x"]
    assert [entry.metadata.name for entry in view.owned("Pod", "u")] == ["x"]
    assert view.orphans("Pod", "a") == ()
    store, _ = store.put(pod("x", node="m", owner="v"))
    view = View(0, store.snapshot, store=store)
    assert view.on_node("n") == () and view.owned("Pod", "u") == ()
    assert [entry.metadata.name for entry in view.list("Pod")] == ["x"]


def _filed(model: dict[str, Pod], index: str, value: str) -> list[str]:
    """Names of the pods in a list, by looking at all of them."""
    facts = {
        "in": lambda each: each.metadata.namespace,
        "node": lambda each: each.spec.node_name,
        "owned": lambda each: next((owner.uid for owner in each.metadata.owner_references), None),
        "orphans": lambda each: None if each.metadata.owner_references else each.metadata.namespace,
    }
    return [name for name, each in model.items() if facts[index](each) == value]


@given(
    st.lists(
        st.tuples(st.integers(0, 30), st.sampled_from(["", "n", "m"]), st.sampled_from(["", "u", "v"]), st.booleans()),
        max_size=120,
    ),
    st.integers(1, 40),
)
def test_indexes_worked_in_at_any_time_are_those_of_all_objects(
    writes: list[tuple[int, str, str, bool]], seldom: int
) -> None:
    store, model = Store(), {}
    lists = (("in", "a"), ("node", "n"), ("node", "m"), ("owned", "u"), ("owned", "v"), ("orphans", "a"))
    for turn, (number, node, owner, there) in enumerate(writes, start=1):
        name = f"pod-{number}"
        if there:
            store, _ = store.put(pod(name, node, owner))
            model[name] = pod(name, node, owner)
        elif name in model:
            store, _ = store.remove(("Pod", "a", name))
            del model[name]
        for index, value in lists if turn % seldom == 0 or turn == len(writes) else ():
            if index == "node":
                names = [key[2] for key in store.snapshot.index.on_node(value)]
            else:
                names = [each.metadata.name for each in store.snapshot.series(index, "Pod", value)]
            assert names == _filed(model, index, value)


def test_pods_of_a_namespace_with_one_owner_are_one_series() -> None:
    store = Store()
    for number in range(300):
        store, _ = store.put(pod(f"pod-{number}", owner="u"))
    assert store.snapshot.series("in", "Pod", "a") is store.snapshot.series("owned", "Pod", "u")
    store, _ = store.put(pod("another"))
    assert (
        len(store.snapshot.series("in", "Pod", "a")) == 301 and len(store.snapshot.series("owned", "Pod", "u")) == 300
    )


def test_namespaces_are_those_with_objects() -> None:
    store = Store()
    for space in ("b", "a", "c"):
        store, _ = store.put(Pod(metadata=ObjectMeta(name="x", namespace=space)))
    early = store.snapshot
    assert early.namespaces_of("Pod") == ("a", "b", "c")
    store, _ = store.remove(("Pod", "b", "x"))
    assert store.snapshot.namespaces_of("Pod") == ("a", "c") and early.namespaces_of("Pod") == ("a", "b", "c")
    for space in ("a", "c"):
        store, _ = store.remove(("Pod", space, "x"))
    assert store.snapshot.namespaces_of("Pod") == () and "Pod" in store.snapshot.namespaces
    assert "Event" not in store.snapshot.namespaces


def test_what_came_and_went_is_known_however_writes_are_worked_in() -> None:
    for looked in (False, True):
        store, _ = Store().put(pod("x"))
        if looked:
            assert store.snapshot.namespaces_of("Pod") == ("a",)
        store, _ = store.remove(("Pod", "a", "x"))
        assert dict(store.snapshot.namespaces) == {"Pod": ()}


def test_lists_are_in_order_of_creation() -> None:
    store = Store()
    for name in ("c", "a", "b"):
        store, _ = store.put(pod(name))
    store, _ = store.put(evolve(pod("c"), spec=PodSpec(node_name="n")))
    view = View(0, store.snapshot, store=store)
    assert [entry.metadata.name for entry in view.list("Pod", "a")] == ["c", "a", "b"]


def test_a_view_knows_what_changed_up_to_its_revision() -> None:
    store, _ = Store().put(pod("x"))
    seen = store.snapshot
    store, _ = store.put(pod("y"))
    view = View(0, {"Pod": seen}, store=store)
    assert view.revision("Pod") == 1 and view.get("Pod", "a", "y") is None
    changes = view.changes_since("Pod", 0)
    assert changes is not None and [change.key[2] for change in changes] == ["x"]
    assert view.changes_since("Pod", 5) is None
    assert View.of([pod("x")]).changes_since("Pod", 0) is None


def found_plainly(snapshot: Snapshot, index: str, kind: str, value: str) -> list[str]:
    """What a list has, by a look at all objects."""
    objects = snapshot.events.objects if kind == "Event" else snapshot.objects
    there = [(ordinal, obj) for key, (ordinal, obj) in objects.items() if key[0] == kind]
    owner = {name: controller_of(obj) for name, obj in ((obj.metadata.name, obj) for _, obj in there)}
    holds = {
        "in": lambda obj: obj.metadata.namespace == value,
        "orphans": lambda obj: obj.metadata.namespace == value and owner[obj.metadata.name] is None,
        "owned": lambda obj: getattr(owner[obj.metadata.name], "uid", None) == value,
        "on": lambda obj: obj.spec.node_name == value,
    }[index]
    return [obj.metadata.name for _, obj in sorted(there, key=lambda pair: pair[0]) if holds(obj)]


@given(st.data())
def test_lists_are_what_a_look_at_all_objects_finds(data: st.DataObject) -> None:
    store, kept = Store(), [Store()]
    for _ in range(data.draw(st.integers(1, 30))):
        kind, name = data.draw(st.sampled_from(["Pod", "Event", "ServiceAccount"])), data.draw(st.sampled_from("xyz"))
        if store.get(kind, "a", name) is not None and data.draw(st.booleans()):
            store, _ = store.remove((kind, "a", name))
        elif kind == "Pod":
            node, owner = data.draw(st.sampled_from(["", "n", "m"])), data.draw(st.sampled_from(["", "u", "v"]))
            store, _ = store.put(pod(name, node, owner))
        else:
            store, _ = store.put({"Event": Event, "ServiceAccount": ServiceAccount}[kind](metadata=pod(name).metadata))
        kept.append(store)
    for each in data.draw(st.permutations(kept)):  # whoever asks first, and for whichever state
        snapshot = each.snapshot
        for node in ("n", "m"):
            assert [x.metadata.name for x in snapshot.on_node(node)] == found_plainly(snapshot, "on", "Pod", node)
        for index, kind, value in [
            *(("in", kind, "a") for kind in ("Pod", "Event", "ServiceAccount")),
            *(("owned", "Pod", owner) for owner in "uv"),
            *(("orphans", kind, "a") for kind in ("Pod", "ServiceAccount")),
        ]:
            listed = [x.metadata.name for x in snapshot.series(index, kind, value)]
            assert listed == found_plainly(snapshot, index, kind, value)


def test_links_are_worked_in_before_they_are_too_many() -> None:
    store = Store()
    for number in range(2500):
        store, _ = store.put(pod(f"p{number % 700}", node=str(number % 9)))
    assert len(store.snapshot.series("in", "Pod", "a")) == 700
    assert [x.metadata.name for x in store.snapshot.on_node("7")] == found_plainly(store.snapshot, "on", "Pod", "7")


def test_what_is_written_seldom_is_the_same_until_it_is_written() -> None:
    store, _ = Store().put(ServiceAccount(metadata=ObjectMeta(name="s", namespace="a")))
    seldom = store.snapshot.index.seldom()
    for obj in (pod("x"), Event(metadata=ObjectMeta(name="e", namespace="a")), pod("x", node="n")):
        assert not is_seldom(obj.kind)
        store, _ = store.put(obj)
        assert store.snapshot.index.seldom() is seldom
    assert is_seldom("ServiceAccount")
    written, _ = store.put(ServiceAccount(metadata=ObjectMeta(name="t", namespace="a")))
    after, _ = written.put(pod("y"))
    assert written.snapshot.index.seldom() is after.snapshot.index.seldom()
    for changed in (
        store.put(ServiceAccount(metadata=ObjectMeta(name="s", namespace="a", uid="u")))[0],
        store.put(ServiceAccount(metadata=ObjectMeta(name="t", namespace="b")))[0],
        store.remove(("ServiceAccount", "a", "s"))[0],
    ):
        assert changed.snapshot.index.seldom() is not seldom
