"""Events of the API events.k8s.io that come again: as recorded in 16f-preemption."""

from __future__ import annotations

from typing import Any

from immutables import Map

import k8sfsm
from k8sfsm.engine.series import Memory, finished, series_write
from k8sfsm.objects import Event, ObjectMeta, Pod
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Create, Patch, Record
from k8sfsm.scenario.model import NodeSetting
from k8sfsm.store import Store


class Recorder:
    def __init__(self) -> None:
        self.memory: Memory = Map()
        self.store = Store.starting_at(0)
        self.number = 0

    def tell(self, at: int, message: str = "no room", revision: str = "1", **more: Any) -> Create | Patch | None:
        pod = Pod(metadata=ObjectMeta(name="p", namespace="default", uid="u", resource_version=revision))
        fields: dict[str, Any] = {"type": "Warning", "reason": "FailedScheduling", "action": "Scheduling", **more}
        record = Record(regarding=pod, message=message, **fields)
        self.memory, write = series_write(
            self.memory, record, lambda: Create(object=self.event(at, message)), at * SECOND
        )
        if isinstance(write, Create):
            self.store, _ = self.store.put(write.object)
        return write

    def event(self, at: int, message: str) -> Event:
        self.number += 1
        meta = ObjectMeta(name=f"p.{self.number}", namespace="default")
        return Event(metadata=meta, message=message, event_time=at * SECOND)

    def look(self, at: int) -> list[Create | Patch]:
        self.memory, writes = finished(self.memory, self.store, at * SECOND)
        return list(writes)


def counted(write: Any) -> tuple[str, int, str]:
    assert isinstance(write, Patch)
    series = write.body["series"]
    return write.key[2], series["count"], series["lastObservedTime"]


def test_the_second_one_makes_a_series_and_the_others_are_counted() -> None:
    recorder = Recorder()
    assert isinstance(recorder.tell(1), Create)
    assert counted(recorder.tell(2, "another reason")) == ("p.1", 2, "1970-01-01T00:00:02.000000Z")
    assert recorder.tell(3) is None and recorder.tell(4) is None
    assert recorder.look(300) == []
    assert [counted(each) for each in recorder.look(365)] == [("p.1", 4, "1970-01-01T00:00:04.000000Z")]
    assert isinstance(recorder.tell(400), Create)


def test_what_makes_another_event() -> None:
    recorder = Recorder()
    assert isinstance(recorder.tell(1), Create)
    for other in ({"revision": "2"}, {"type": "Normal"}, {"reason": "Other"}, {"action": "Binding"}):
        assert isinstance(recorder.tell(1, **other), Create)
    assert isinstance(recorder.tell(1), Patch)


def test_single_events_are_forgotten_in_time() -> None:
    recorder = Recorder()
    recorder.tell(1)
    assert recorder.look(361) == [] and isinstance(recorder.tell(361), Patch)
    recorder = Recorder()
    recorder.tell(1)
    assert recorder.look(362) == [] and isinstance(recorder.tell(362), Create)


def test_series_are_written_again_every_half_hour() -> None:
    recorder = Recorder()
    recorder.tell(0)
    written = []
    for round in range(11):
        now = 360 * round
        recorder.tell(now)
        if recorder.look(now):
            written.append(now)
    assert written == [1800, 3600]


def test_a_series_whose_event_is_gone_is_made_anew() -> None:
    recorder = Recorder()
    recorder.tell(1)
    recorder.tell(2)
    recorder.store, _ = recorder.store.remove(("Event", "default", "p.1"))
    (write,) = recorder.look(400)
    assert isinstance(write, Create) and write.object.series is not None and write.object.series.count == 2


def test_a_pod_that_is_refused_again_and_again() -> None:
    """Refused at first, it is told so in its status; from then on nothing changes but the count."""
    big = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "big"}}
    spec = {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "2"}}}]}
    small = {"containers": [{"name": "c", "image": "x", "resources": {"requests": {"cpu": "500m"}}}]}
    user = k8sfsm.start([], nodes=[NodeSetting(name="n", cpu="1")])
    assert not user.create({**big, "spec": spec}).refused
    for number in range(4):
        user.engine.run(until=user.engine.now + 20 * SECOND)
        user.create({**big, "metadata": {"name": f"s{number}"}, "spec": small})
        user.engine.run(until=user.engine.now + 20 * SECOND)
        user.delete(f"pod/s{number}", force=True)
    start = user.engine.now - 160 * SECOND
    user.engine.run(until=start + 1790 * SECOND)
    events = user.engine.store.snapshot.series("in", "Event", "default")
    told = [each for each in events if each.involved_object.name == "big"]
    assert {(each.reason, each.action) for each in told} == {("FailedScheduling", "Scheduling")}
    assert [each.series and each.series.count for each in told] == [None, 2]
    assert {each.action for each in events if each.reason == "Scheduled"} == {"Binding"}
    user.engine.run(until=start + 1810 * SECOND)
    [_, series] = [
        each for each in user.engine.store.snapshot.series("in", "Event", "default") if each in told or each.series
    ]
    assert series.series.count == 8  # after four deletions, and whenever it had waited for five minutes
