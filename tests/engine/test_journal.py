"""The journal of Events, against a plain dictionary of each state, over random histories that part."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.objects import Event, ObjectMeta, Pod
from k8sfsm.store import Snapshot, Store

NAMES = [f"e{number}" for number in range(6)]
Model = dict[tuple[str, str], str]
"""Namespace and name -> reason, in order of creation."""


def event(namespace: str, name: str, reason: str = "") -> Event:
    return Event(metadata=ObjectMeta(name=name, namespace=namespace), reason=reason)


def is_like(snapshot: Snapshot, model: Model) -> bool:
    """Whether a snapshot answers every question about Events as its model says."""
    spaces = sorted({namespace for namespace, _ in model})
    listed = {space: [each.reason for each in snapshot.series("in", "Event", space)] for space in "ab"}
    found = {key: snapshot.get(("Event", *key)) for key in ((space, name) for space in "ab" for name in NAMES)}
    return (
        listed == {space: [text for key, text in model.items() if key[0] == space] for space in "ab"}
        and {key: obj.reason for key, obj in found.items() if obj is not None} == model
        and all((("Event", *key) in snapshot.events) is (key in model) for key in found)
        and snapshot.namespaces_of("Event") == tuple(spaces) == snapshot.namespaces.get("Event", ())
        and {(key[1], key[2]): obj.reason for key, obj in snapshot.items() if key[0] == "Event"} == model
    )


@given(st.data())
def test_every_state_has_its_events_whoever_goes_on_from_it(data: st.DataObject) -> None:
    states: list[tuple[Store, Model]] = [(Store(), {})]
    for number in range(data.draw(st.integers(1, 25))):
        store, model = data.draw(st.sampled_from(states[-4:] if number % 3 else states))
        key = data.draw(st.sampled_from("ab")), data.draw(st.sampled_from(NAMES))
        do = data.draw(st.sampled_from(["write", "write", "remove", "pod", "look", "compact"]))
        if do == "write":
            store, _ = store.put(event(*key, f"so {number}"))
            model = {**model, key: f"so {number}"}
        elif do == "remove" and key in model:
            store, _ = store.remove(("Event", *key))
            model = {each: text for each, text in model.items() if each != key}
        elif do == "pod":
            store, _ = store.put(Pod(metadata=ObjectMeta(name=f"p{number}", namespace="a")))
        elif do == "look":
            assert is_like(store.snapshot, model)
        elif do == "compact":
            store = store.compact()
        states.append((store, model))
    for store, model in data.draw(st.permutations(states)):
        assert is_like(store.snapshot, model)


def test_states_are_the_same_however_their_events_were_filed() -> None:
    plain, looked = Store(), Store()
    for number in range(5):
        plain, _ = plain.put(event("a", f"e{number}"))
        looked, _ = looked.put(event("a", f"e{number}"))
        assert len(looked.snapshot.series("in", "Event", "a")) == number + 1
        assert plain == looked
    other, _ = looked.put(event("a", "another"))
    assert other.snapshot.events != looked.snapshot.events


def test_time_travel_brings_events_back() -> None:
    store, _ = Store().put(event("a", "e0", "first"))
    store, _ = store.put(event("a", "e1"))
    store, _ = store.put(event("a", "e0", "second"))
    store, _ = store.remove(("Event", "a", "e1"))
    assert is_like(store.at(1), {("a", "e0"): "first"})
    assert is_like(store.at(2), {("a", "e0"): "first", ("a", "e1"): ""})
    assert [change.type for change in store.changes(0)] == ["ADDED", "ADDED", "MODIFIED", "DELETED"]


def test_lines_with_many_notes_share_what_was_filed() -> None:
    store = Store()
    for number in range(1500):
        store, _ = store.put(event("a", f"e{number}"))
    lines = [store.put(event("a", f"line {number}"))[0] for number in range(3)]
    for number, line in enumerate(lines):
        assert [each.metadata.name for each in line.snapshot.series("in", "Event", "a")][1499:] == [
            "e1499",
            f"line {number}",
        ]
        assert line.get("Event", "a", f"line {(number + 1) % 3}") is None
        assert line.get("Event", "a", "e7") is store.get("Event", "a", "e7")


def test_what_is_forgotten_takes_no_events_along() -> None:
    store = Store()
    for number in range(2100):
        store, _ = store.put(event("b", f"e{number}"))
    store = store.forgetting(store.revision)
    store, _ = store.put(event("b", "last"))
    assert len(store.snapshot.series("in", "Event", "b")) == 2101
