"""Facts read off statuses and Events are the ones that the runtime itself recorded."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import pytest

from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, EnvironmentFact, RecordedWrite, Recording
from k8sfsm.trace.statuses import event_time, facts_from_statuses, made_at

SECOND = 10**9
# Milliseconds by which a fact that is read off may differ from the runtime's own record: (earlier, later).
TOLERANCE = {
    "sandbox-run": (0, 60), "sandbox-stop": (0, 200), "pull-start": (800, 20), "pull-done": (0, 20),
    "container-start": (0, 20), "container-exit": (0, 300), "stop-signal": (20, 20),
}  # fmt: skip
NAMES = ("01-deploy-create", "02-scale", "03-rolling-default")


def by_thing(facts: tuple[EnvironmentFact, ...]) -> dict[tuple[str, str], list[EnvironmentFact]]:
    found: dict[tuple[str, str], list[EnvironmentFact]] = defaultdict(list)
    for fact in facts:
        if fact.event != "probe":
            found[fact.event, fact.uid].append(fact)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_statuses_tell_what_the_runtime_did(recordings: dict[str, Recording], name: str) -> None:
    recording = recordings[name]
    told = by_thing(recording.environment)
    read = by_thing(facts_from_statuses(recording.writes, recording.initial))
    assert {key: len(facts) for key, facts in read.items()} == {key: len(facts) for key, facts in told.items()}
    for key, facts in told.items():
        for real, mine in zip(facts, read[key], strict=True):
            early, late = TOLERANCE[key[0]]
            assert -early * 10**6 <= mine.time - real.time <= late * 10**6, (key, mine.time - real.time)
            assert (mine.node, mine.pod, mine.code) == (real.node, real.pod, real.code)
            if key[0] in ("sandbox-run", "container-start"):
                assert (mine.attempt, mine.ip) == (real.attempt, real.ip)
            if key[0] == "container-start":
                assert (mine.container_id, mine.image_id, mine.image) == (real.container_id, real.image_id, real.image)
                assert mine.source == "event" and mine.more["startedAt"]
            if key[0] == "container-exit":
                assert mine.reason == real.reason and mine.source == "status"


def test_readiness_flips(recordings: dict[str, Recording]) -> None:
    recording = recordings["03-rolling-default"]
    flips = [f for f in facts_from_statuses(recording.writes) if f.event == "probe"]
    assert len(flips) == 8 and all(f.probe == "ready" and f.ok for f in flips)
    first = {f.uid: f.time for f in reversed(recording.environment) if f.event == "probe" and f.ok}
    assert all(0 <= flip.time - first[flip.uid] < SECOND for flip in flips)


def pod(*statuses: dict[str, Any], ready: str = "True", ip: str = "10.0.0.1", **meta: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "s", "uid": "u", **meta},
        "spec": {"nodeName": "n", "containers": [{"name": "app", "image": "i", "readinessProbe": {}}]},
        "status": {
            "podIP": ip,
            "conditions": [{"type": "PodReadyToStartContainers", "status": ready}],
            "containerStatuses": list(statuses),
        },
    }


def status(identity: str, *, ready: bool = False, restarts: int = 0, last: str = "", **state: Any) -> dict[str, Any]:
    last_state = {"terminated": {"exitCode": 1, "reason": "Error", "containerID": last}} if last else {}
    return {
        "name": "app", "containerID": identity, "image": "docker.io/i", "imageID": "i@sha256:1", "ready": ready,
        "restartCount": restarts, "state": state, "lastState": last_state,
    }  # fmt: skip


def writes(*objects: dict[str, Any], actor: str = "kubelet") -> list[RecordedWrite]:
    """Writes one second after the other."""
    result: list[RecordedWrite] = []
    last: dict[tuple[str, str, str], Document] = {}
    for number, obj in enumerate(objects, start=1):
        document = Document(obj)
        old = last.get(document.key)
        result.append(
            RecordedWrite(
                line=Line("f", number), request=number, time=number * SECOND, actor=actor, node="n", verb="patch",
                key=document.key, code=200, old=old, new=document, type="MODIFIED" if old else "ADDED",
            )
        )  # fmt: skip
        last[document.key] = document
    return result


def story(facts: tuple[EnvironmentFact, ...]) -> list[tuple[int, str, str]]:
    return [(fact.time // SECOND, fact.event, fact.container_id or fact.ip or fact.reason) for fact in facts]


def test_restarts_between_two_statuses() -> None:
    """A container that ran and ended unseen is told by lastState; both its start and its end are."""
    found = facts_from_statuses(
        writes(
            pod(status("", waiting={"reason": "ContainerCreating"}), ready="False", ip=""),
            pod(status("", waiting={"reason": "ContainerCreating"}), ip=""),
            pod(status("c1", restarts=1, last="c0", running={})),
            pod(status("c1", restarts=1, last="c0", running={}, ready=True)),
            pod(
                status("c1", restarts=1, terminated={"exitCode": 137, "reason": "OOMKilled", "containerID": "c1"}),
                ready="False",
            ),
        )
    )
    assert story(found) == [
        (2, "sandbox-run", "10.0.0.1"), (3, "container-start", "c0"), (3, "container-exit", "c0"),
        (3, "container-start", "c1"), (4, "probe", "c1"), (5, "sandbox-stop", "10.0.0.1"), (5, "container-exit", "c1"),
    ]  # fmt: skip
    assert [f.attempt for f in found if f.event == "container-start"] == [0, 1]
    assert (found[-1].code, found[-1].reason) == (137, "OOMKilled")


def test_a_new_ip_is_a_new_sandbox() -> None:
    found = facts_from_statuses(writes(pod(), pod(ip="10.0.0.2")))
    assert [(f.event, f.ip, f.attempt) for f in found] == [
        ("sandbox-run", "10.0.0.1", 0), ("sandbox-stop", "10.0.0.1", None), ("sandbox-run", "10.0.0.2", 1),
    ]  # fmt: skip


def test_start_and_pull_errors() -> None:
    waiting = pod(status("", waiting={"reason": "ErrImagePull"}))
    backing = pod(status("", waiting={"reason": "ImagePullBackOff"}))
    failed = {"exitCode": 128, "reason": "StartError", "containerID": "c0"}
    found = facts_from_statuses(writes(waiting, waiting, backing, waiting, pod(status("c0", terminated=failed))))
    assert story(found)[1:] == [
        (1, "pull-failed", "ErrImagePull"),
        (4, "pull-failed", "ErrImagePull"),
        (5, "container-start-error", "c0"),
    ]


def kubelet_event(reason: str, message: str, second: float, name: str = "p") -> dict[str, Any]:
    return {
        "kind": "Event",
        "metadata": {"name": f"{name}.{10**18 + int(second * SECOND):x}", "namespace": "s"},
        "involvedObject": {
            "kind": "Pod", "name": "p", "namespace": "s", "uid": "u", "fieldPath": "spec.containers{app}",
        },
        "reason": reason, "message": message, "source": {"component": "kubelet", "host": "n"},
    }  # fmt: skip


def test_events_tell_pulls_stops_and_failed_probes() -> None:
    late = [
        kubelet_event("Pulling", 'Pulling image "i"', 1),
        kubelet_event("Pulled", 'Successfully pulled image "i" in 1s', 2),
        kubelet_event("Pulled", 'Container image "i" already present on machine', 3, "q"),
        kubelet_event("Failed", 'Failed to pull image "i": no', 4),
        kubelet_event("Killing", "Stopping container app", 5),
        kubelet_event("Unhealthy", "Liveness probe failed: no", 6),
        kubelet_event("Unhealthy", "Startup probe failed: no", 7),
        kubelet_event("Scheduled", "", 8),
    ]
    moved = [RecordedWrite(**{**_fields(w), "time": 2 * 10**18}) for w in writes(*late)]
    found = facts_from_statuses(moved)
    assert [((f.time - 10**18) // SECOND, f.event, f.image or f.probe or f.container) for f in found] == [
        (1, "pull-start", "i"), (2, "pull-done", "i"), (4, "pull-failed", "i"), (5, "stop-signal", "app"),
        (6, "probe", "live"), (7, "probe", "started"),
    ]  # fmt: skip
    assert all(f.source == "event" and f.container == "app" and f.node == "n" and f.uid == "u" for f in found)


def _fields(write: RecordedWrite) -> dict[str, Any]:
    return {
        name: getattr(write, name)
        for name in ("line", "request", "actor", "node", "verb", "key", "code", "old", "new", "type")
    }


def test_the_time_of_an_event() -> None:
    event = kubelet_event("Started", "", 1)
    [write] = writes(event)
    assert made_at(event) == 10**18 + SECOND and made_at({"kind": "Event", "metadata": {"name": "x.zz"}}) == 0
    assert event_time(event, write) == SECOND  # never later than the write
    assert event_time({"kind": "Event", "metadata": {"name": "mine"}}, write) == SECOND


def node(ready: str) -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": "n"}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}


def test_a_kubelet_that_falls_silent() -> None:
    found = facts_from_statuses(
        [*writes(pod(), node("True")), *writes(node("True"), node("Unknown"), actor="node-controller")]
    )
    assert [(f.event, f.node, f.time // SECOND, dict(f.more)) for f in found if f.event != "sandbox-run"] == [
        ("kubelet-killed", "n", 2, {"noticed": 2 * SECOND})
    ]
    back = facts_from_statuses(writes(node("Unknown"), node("True")), ())
    assert [f.event for f in back] == ["kubelet-killed", "kubelet-started"]


def test_what_is_there_at_the_start_is_not_told_again() -> None:
    running = pod(status("c0", ready=True, running={}))
    assert facts_from_statuses([], [Document(running)]) == ()
    [first] = writes(pod(status("c0", ready=True, running={}), phase="Running"))
    assert facts_from_statuses([first], [Document(running), Document(node("True"))]) == ()


def test_a_lost_kubelet_is_back_with_its_first_write() -> None:
    running = pod(status("c0", ready=True, running={}))
    [first] = writes(pod(status("c0", ready=True, running={}), phase="Running"))
    [back] = facts_from_statuses([first], [Document(running), Document(node("Unknown"))])
    assert (back.event, back.node, back.time) == ("kubelet-started", "n", first.time)


def test_a_kubelet_that_says_that_it_starts_was_killed_before() -> None:
    starting = {**kubelet_event("Starting", "Starting kubelet.", 9), "involvedObject": {"kind": "Node", "name": "n"}}
    heard, said = writes(node("True"), starting)
    later = RecordedWrite(**{**_fields(said), "time": 9 * SECOND})
    found = facts_from_statuses([heard, later])
    told = [(fact.event, fact.time // SECOND) for fact in found]
    assert told == [("kubelet-killed", 2), ("kubelet-started", 9)]
    assert facts_from_statuses([later]) == ()  # a kubelet that nobody has heard of before


def test_a_kubelet_that_has_just_written_lives_on_for_a_second() -> None:
    [lost] = writes(node("Unknown"), actor="node-controller")
    later = RecordedWrite(**{**_fields(lost), "time": 9 * SECOND})
    [killed] = facts_from_statuses([*writes(node("True")), later])
    assert (killed.event, killed.time, killed.more) == ("kubelet-killed", 2 * SECOND, {"noticed": 9 * SECOND})


def test_answers_of_probes_belong_to_a_run() -> None:
    probed = {"spec": {"containers": [{"name": "app", "image": "i", "readinessProbe": {}, "startupProbe": {}}]}}
    states = [
        status(f"c{run}", restarts=run, ready=ready, running={}) for run, ready in ((0, True), (0, False), (1, True))
    ]
    shown = [{**pod({**state, "started": True}), **probed} for state in states]
    early = {**kubelet_event("Unhealthy", "Readiness probe failed: no", 0.5)}
    found = facts_from_statuses(writes(early, *shown))
    assert [(f.probe, f.attempt, f.ok, f.source) for f in found if f.event == "probe"] == [
        ("started", 0, True, "status"),
        ("ready", 0, True, "status"),
        ("ready", 0, False, "status"),  # that it failed before it was ready is another story
        ("started", 1, True, "status"),
        ("ready", 1, True, "status"),
    ]
