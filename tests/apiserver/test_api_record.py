"""The short way of a recorder's Event gives what the long way of every object gives."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from immutables import Map

from k8sfsm.apiserver import ApiServer, Sender
from k8sfsm.apiserver.options import Options
from k8sfsm.engine.choices import Seeded, uid_of
from k8sfsm.engine.cluster import EventSource
from k8sfsm.engine.recorded import Recorded
from k8sfsm.engine.recorder import Memory, event_write
from k8sfsm.machine import Machines
from k8sfsm.objects import Event, ObjectMeta, Pod, from_json
from k8sfsm.request import Create, Record
from k8sfsm.store import Change, Store

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


SERVER = ApiServer(Machines.load())
LAX = ApiServer(Machines.load(), Options(admission=False))


class World:
    """A recorder and its API server. `short`: its Events go the short way where it is open."""

    def __init__(self, server: ApiServer, component: str, namespace: str, short: bool) -> None:
        self.server, self.source, self.short = server, EventSource(component, "n"), short
        self.memory: Memory = Map()
        self.chance = Seeded(7)
        self.store = store_with(namespace)
        self.went_short = 0

    def tell(self, record: Record, now: int) -> None:
        way = self.server.events.way(self.store, "a", SENDER) if self.short else None
        memory, source = self.memory, self.source
        self.memory, write = event_write(memory, record, source, self.store, now, self.chance, way)
        if isinstance(write, Recorded):
            self.store = self.store.noted(write)
            self.went_short += 1
        elif isinstance(write, Create):
            self.store = self.server.record(self.store, write, SENDER, now, self.chance).store
        elif write is not None:
            self.store = self.server.handle(self.store, write, SENDER, now, self.chance).store


@st.composite
def records(draw: st.DrawFn) -> Record:
    name = draw(st.sampled_from(["p", "q", "P", "p" * 254]))
    version = draw(st.sampled_from("78"))
    about = ObjectMeta(name=name, namespace="a", uid=draw(st.sampled_from([name, ""])), resource_version=version)
    return Record(
        regarding=Pod(metadata=about),
        type=draw(st.sampled_from(["Normal", "Warning"])),
        reason=draw(st.sampled_from(["Pulled", "Started", "So"])),
        message=draw(st.sampled_from(["m", "n", ""])),
        field_path=draw(st.sampled_from(["", "spec.containers{app}"])),
        action=draw(st.sampled_from(["", "Binding"])),
    )


@given(
    namespace=st.sampled_from(["active", "active", "terminating", "missing"]),
    server=st.sampled_from([SERVER, LAX]),
    component=st.sampled_from(["kubelet", "default-scheduler", "replicaset-controller"]),
    told=st.lists(st.tuples(records(), st.sampled_from([0, 1, 400_000_000, 301_000_000_000])), max_size=40),
    looked=st.booleans(),
)
def test_both_ways_give_the_same_events(
    namespace: str, server: ApiServer, component: str, told: list[tuple[Record, int]], looked: bool
) -> None:
    """One of them is looked at after every Event, or at the end only."""
    worlds = [World(server, component, namespace, short) for short in (True, False)]
    now = NOW
    first = Record(regarding=Pod(metadata=ObjectMeta(name="o", namespace="a", uid="o")), **SO, message="first")
    for record, pause in [(first, 1), (evolve(first, message="second"), 1), *told]:
        now += pause
        for world in worlds:
            world.tell(record, now)
        short, long = (world.store for world in worlds)
        assert short.revision == long.revision
        assert not looked or short == long
    assert short == long and tuple(short.changes(0)) == tuple(long.changes(0)) == tuple(short.changes(0))
    assert worlds[0].chance.uid(("", "", "")) == worlds[1].chance.uid(("", "", ""))
    assert worlds[1].went_short == 0


def test_most_events_go_the_short_way() -> None:
    world = World(SERVER, "kubelet", "active", short=True)
    meta = ObjectMeta(name="p", namespace="a", uid="u", resource_version="7")
    for number in range(10):
        about = Pod(metadata=evolve(meta, name=f"p{number}", uid=f"u{number}"))
        world.tell(Record(regarding=about, **SO, message="so"), NOW)
    assert world.went_short >= 8
    assert {each.type for each in world.store.changes(2)} == {"ADDED"}


def test_an_event_is_written_out_when_somebody_looks() -> None:
    world = World(SERVER, "kubelet", "active", short=True)
    about = Pod(metadata=ObjectMeta(name="p", namespace="a", uid="u", resource_version="7"))
    for number in range(3):
        world.tell(Record(regarding=about, type="Normal", reason=f"So{number}", message="so"), NOW)
    *_, last = world.store.changes(0)
    assert isinstance(last, Recorded) and last.record is not None and last.reason == "So2"
    event = world.store.get("Event", "a", last.key[2])
    assert event is last.new is world.store.snapshot.series("in", "Event", "a").blocks[0][-1]
    assert event.metadata.uid == uid_of(last.lot) and last.record is None and last.reason == "So2"
    assert last == Change(last.revision, "ADDED", last.key, None, event, NOW) != Change(0, "ADDED", last.key, None, 1)
    assert (last == "else") is False and "So2" in repr(last)
    with pytest.raises(AttributeError):
        _ = last.newer


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
