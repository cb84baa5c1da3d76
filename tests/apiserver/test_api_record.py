"""The short way of a recorder's Event gives what the long way of every object gives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.apiserver.options import Options
from k8sfsm.engine.choices import Seeded
from k8sfsm.machine import Machines
from k8sfsm.objects import Event, ObjectMeta, ObjectReference, from_json
from k8sfsm.request import Create
from k8sfsm.store import Store

NOW = 1_700_000_000_123_456_789
SENDER = Sender("kubelet", "system:node:n", "n")
NAMESPACES = {
    "active": {"name": "a"},
    "terminating": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["x"]},
}


def store_with(namespace: str, taken: bool) -> Store:
    store = Store.starting_at(0)
    if namespace in NAMESPACES:
        meta = NAMESPACES[namespace]
        store, _ = store.put(from_json({"apiVersion": "v1", "kind": "Namespace", "metadata": meta}))
    if taken:
        store, _ = store.put(Event(metadata=ObjectMeta(name="p.1", namespace="a", uid="known")))
    return store


@given(
    namespace=st.sampled_from(["active", "terminating", "missing"]),
    taken=st.booleans(),
    admission=st.booleans(),
    name=st.sampled_from(["p.1", "p.2", "P.1", "p" * 254]),
    message=st.text(max_size=5),
)
def test_both_ways_give_the_same_answer(namespace: str, taken: bool, admission: bool, name: str, message: str) -> None:
    store = store_with(namespace, taken)
    event = Event(
        metadata=ObjectMeta(name=name, namespace="a"), involved_object=ObjectReference(kind="Pod"), message=message
    )
    server = ApiServer(Machines.load(), Options(admission=admission))
    write = Create(object=event)
    short = server.record(store, write, SENDER, NOW, Seeded(1))
    long = server.handle(store, write, SENDER, NOW, Seeded(1))
    assert short == long


@pytest.mark.parametrize(("namespace", "code"), [("active", 201), ("terminating", 403), ("missing", 404)])
def test_events_are_refused_where_other_objects_are(namespace: str, code: int) -> None:
    event = Event(metadata=ObjectMeta(name="p.2", namespace="a"))
    answer = ApiServer(Machines.load()).record(
        store_with(namespace, False), Create(object=event), SENDER, NOW, Seeded(1)
    )
    assert answer.outcome.code == code
