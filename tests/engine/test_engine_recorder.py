"""The Event recorder: what is created, counted up, combined, and dropped."""

from __future__ import annotations

from typing import Any

from immutables import Map

from k8sfsm.engine.choices import Seeded
from k8sfsm.engine.cluster import EventSource
from k8sfsm.engine.recorder import COMBINED, Memory, event_write
from k8sfsm.objects import from_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Record
from k8sfsm.store import Store

START = 1_700_000_000 * SECOND + 5
POD = from_json({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a", "uid": "u"}})


class Recorder:
    """A recorder whose writes succeed. `sent`: (verb, count, message) of each."""

    def __init__(self, component: str = "kubelet") -> None:
        self.memory: Memory = Map()
        self.store = Store.starting_at(0)
        self.source = EventSource(component, "n")
        self.sent: list[tuple[str, int, str]] = []

    def record(self, message: str = "it is so", at: float = 0, regarding: Any = POD, **fields: Any) -> Any:
        record = Record(**{"regarding": regarding, "type": "Normal", "reason": "So", "message": message, **fields})
        now = START + int(at * SECOND)
        self.memory, write = event_write(self.memory, record, self.source, self.store, now, Seeded())
        if write is None:
            return None
        self.store, change = self.store.put(write.object)
        self.sent.append(("create" if isinstance(write, Create) else "update", change.new.count, change.new.message))
        return change.new


def test_a_new_event() -> None:
    event = Recorder().record(field_path="spec.containers{app}")
    assert event.metadata.name == f"p.{START:x}" and event.metadata.namespace == "a"
    about = event.involved_object
    assert (about.kind, about.name, about.uid, about.field_path) == ("Pod", "p", "u", "spec.containers{app}")
    assert (event.source.component, event.source.host, event.count) == ("kubelet", "n", 1)
    assert event.first_timestamp == event.last_timestamp == START - 5 and event.event_time is None


def test_the_schedulers_events_are_of_the_new_kind() -> None:
    event = Recorder("default-scheduler").record()
    assert (event.event_time, event.first_timestamp, event.count, event.source.component) == (START, None, 0, "")
    assert event.reporting_component == "default-scheduler"


def test_the_same_event_is_counted_up() -> None:
    recorder = Recorder()
    recorder.record()
    again = recorder.record(at=7)
    assert recorder.sent == [("create", 1, "it is so"), ("update", 2, "it is so")]
    assert again.last_timestamp == START - 5 + 7 * SECOND and again.first_timestamp == START - 5
    for other in ({"reason": "Other"}, {"type": "Warning"}, {"field_path": "x"}, {"message": "other"}):
        recorder.record(at=8, **other)
    assert [verb for verb, _, _ in recorder.sent[2:]] == ["create"] * 4


def test_an_event_that_is_gone_is_made_anew() -> None:
    recorder = Recorder()
    event = recorder.record()
    recorder.store, _ = recorder.store.remove(("Event", "a", event.metadata.name))
    recorder.record(at=1)
    assert recorder.sent[-1][:2] == ("create", 1)


def test_ten_similar_events_in_ten_minutes_are_combined() -> None:
    recorder = Recorder()
    for number in range(12):
        recorder.record(f"message {number}", at=number)
    assert [message for _, _, message in recorder.sent[:9]] == [f"message {number}" for number in range(9)]
    assert [message for _, _, message in recorder.sent[9:]] == [f"{COMBINED}message {n}" for n in (9, 10, 11)]
    recorder.record("message 12", at=12 + 601)
    assert recorder.sent[-1][2] == "message 12"


def test_ten_minutes_are_ten_minutes() -> None:
    recorder = Recorder()
    for number in range(9):
        recorder.record(f"message {number}")
    recorder.record("last", at=600)
    assert recorder.sent[-1][2] == f"{COMBINED}last"


def test_a_source_may_send_25_events_about_an_object_and_one_more_every_five_minutes() -> None:
    recorder = Recorder()
    other = from_json({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "q", "namespace": "a", "uid": "v"}})
    sent = [recorder.record() is not None for _ in range(27)]
    assert sent == [True] * 25 + [False] * 2
    assert recorder.record(regarding=other) is not None
    assert recorder.record(at=299) is None
    assert recorder.record(at=301) is not None
    assert recorder.record(at=302) is None


def test_names_of_events_differ() -> None:
    recorder = Recorder()
    names = {recorder.record(f"message {number}").metadata.name for number in range(3)}
    assert len(names) == 3
