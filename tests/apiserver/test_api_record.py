"""The short way of a recorder's Event gives what the long way of every object gives."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.apiserver.options import Options
from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.cluster import EventSource
from k8sfsm.engine.recorder import event_write
from k8sfsm.machine import Machines
from k8sfsm.objects import Event, ObjectMeta, Pod, from_json, key_of
from k8sfsm.request import Create, Record
from k8sfsm.store import Store

NOW = 1_700_000_000_123_456_789
SENDER = Sender("kubelet", "system:node:n", "n")
SO = {"type": "Normal", "reason": "So"}
NAMESPACES = {
    "active": {"name": "a"},
    "terminating": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]},
}


def store_with(namespace: str) -> Store:
    store = Store.starting_at(0)
    if namespace in NAMESPACES:
        meta = NAMESPACES[namespace]
        store, _ = store.put(from_json({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))
    return store


@given(
    namespace=st.sampled_from(["active", "terminating", "missing"]),
    admission=st.booleans(),
    component=st.sampled_from(["kubelet", "default-scheduler", "replicaset-controller"]),
    name=st.sampled_from(["p", "P", "p" * 254]),
    message=st.text(max_size=5),
)
def test_both_ways_give_the_same_answer(
    namespace: str, admission: bool, component: str, name: str, message: str
) -> None:
    server = ApiServer(Machines.load(), Options(admission=admission))
    source = EventSource(component, "n")
    about = Pod(metadata=ObjectMeta(name="p", namespace="a", uid="u", resource_version="7"))
    store = store_with(namespace)
    for number in range(2):  # a gate that has not seen the like does not say what it will always say
        _, write = event_write(Map(), Record(regarding=about, **SO, message="first"), source, store, NOW + number)
        store = server.record(store, write, SENDER, NOW, Seeded(7)).store
    way = server.events.way(store, "a", SENDER)
    assert (way is not None) == (namespace == "active" or (not admission and way is not None))
    record = Record(regarding=evolve(about, metadata=evolve(about.metadata, name=name)), **SO, message=message)
    chance = Seeded(1)
    admit = None if way is None else partial(way.metadata, store, NOW, chance)
    short_memory, short = event_write(Map(), record, source, store, NOW, admit)
    long_memory, long = event_write(Map(), record, source, store, NOW)
    answer = server.handle(store, long, SENDER, NOW, Seeded(1))
    if isinstance(short, Create):
        assert short == long and chance.uid(("", "", "")) == Seeded(1).uid(("", "", ""))
        return
    after, change = store.add(key_of(short), short, NOW)
    assert (after, (change,), short) == (answer.store, answer.changes, answer.outcome.object)
    if component != "default-scheduler":
        assert short_memory == long_memory


def test_the_short_way_is_closed_with_its_namespace() -> None:
    server, store = ApiServer(Machines.load()), store_with("active")
    event = Event(metadata=ObjectMeta(name="p.1", namespace="a"))
    for _ in range(2):
        server.record(store, Create(object=event), SENDER, NOW, Seeded(1))
    assert server.events.way(store, "a", SENDER) is not None
    assert server.events.way(store, "b", SENDER) is None
    assert server.events.way(store, "a", Sender("x", "system:serviceaccount:x")) is None
    other, _ = store.put(store.get("Namespace", "", "a"))
    assert server.events.way(other, "a", SENDER) is None


@pytest.mark.parametrize(("namespace", "code"), [("active", 201), ("terminating", 403), ("missing", 404)])
def test_events_are_refused_where_other_objects_are(namespace: str, code: int) -> None:
    event = Event(metadata=ObjectMeta(name="p.2", namespace="a"))
    answer = ApiServer(Machines.load()).record(store_with(namespace), Create(object=event), SENDER, NOW, Seeded(1))
    assert answer.outcome.code == code
