"""What counts as agreement: every row of specs/replay/controller.yaml, decided from both of its sides."""

from __future__ import annotations

from typing import Any

import pytest

from k8sfsm.objects.durations import MILLISECOND
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, EnvironmentFact, RecordedWrite
from k8sfsm.verify.replay.compare import FieldPair, Left, MissingState, Record, law
from k8sfsm.verify.replay.environment import PodFacts
from k8sfsm.verify.replay.events import EventSeen
from k8sfsm.verify.replay.evictions import Attempt
from k8sfsm.verify.replay.fragments import Fragment
from k8sfsm.verify.replay.proxying import Answer

LATE = 5_000 * MILLISECOND
SOON = 50 * MILLISECOND
EARLY, LATER = "2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"
COUNTS = ("replicas", "ready_replicas", "available_replicas", "updated_replicas", "unavailable_replicas")
COUNTED = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas", "unavailableReplicas")


def state(
    aspect: str,
    writer: str,
    held: int | None,
    kind: str = "Pod",
    slim: bool = False,
    exact: bool = True,
    stalls: tuple[tuple[int, int], ...] = (),
    in_part: bool = False,
) -> MissingState:
    record = Record(slim=slim, exact=exact, stalls=stalls, pods_in_part=in_part)
    return MissingState(kind, aspect, writer, 0, held, record)


def pair(path: str, recorded: Any = "a", predicted: Any = "b", kind: str = "Pod") -> FieldPair:
    return FieldPair(kind, path, recorded, predicted)


def seen(reason: str, message: str = "", combined: bool = False, logged: bool = True, slim: bool = False) -> EventSeen:
    return EventSeen(reason, message, combined, Record(probes=logged, slim=slim))


def fragment(trimmed: bool, shown: bool, known: bool) -> Fragment:
    meta = {"name": "web-1-abcde", "ownerReferences": [{"kind": "ReplicaSet", "name": "web-1"}] if shown else []}
    write = RecordedWrite(
        line=Line("x"),
        request=1,
        time=0,
        actor="replicaset-controller",
        verb="create",
        key=("Pod", "default", "web-1-abcde"),
        code=201,
        new=Document({"kind": "Pod", "metadata": meta}),
        trimmed=trimmed,
    )
    return Fragment(write, Document({"kind": "ReplicaSet", "metadata": {"name": "web-1"}}) if known else None)


def pod_facts(sandbox: bool, started: bool) -> PodFacts:
    return PodFacts(sandbox, EnvironmentFact(line=Line("x"), time=0, event="container-start") if started else None)


def attempt(deleting: bool, between: int | None) -> Attempt:
    meta = {"name": "web-1-abcde", **({"deletionTimestamp": EARLY} if deleting else {})}
    change = RecordedWrite(
        line=Line("x"),
        request=1,
        time=0,
        actor="user",
        verb="evict",
        key=("Pod", "default", "web-1-abcde"),
        code=201,
        type="MODIFIED",
        new=Document({"kind": "Pod", "metadata": meta}),
    )
    return Attempt(change, between)


def answer(count: int, chance: float, asked: int = 10, kept: bool = False, others: int = 1) -> Answer:
    return Answer(name="web-1", count=count, asked=asked, chance=chance, kept=kept, others=others)


CASES: list[tuple[str, Any, str, Any]] = [
    ("event", seen("NodeHasSufficientMemory"), "kubelet-start", "present"),
    ("event", seen("NodeHasNoDiskPressure"), "kubelet-start", "present"),
    ("event", seen("NodeHasSufficientPID"), "kubelet-start", "present"),
    ("event", seen("NodeReady"), "kubelet-start", "present"),
    ("missing-state", state("spec.replicas", "deployment-controller", 1), "exact", "divergence"),
    ("missing-state", state("lifecycle", "kubelet", 2_999 * MILLISECOND), "kubelet-merges", "merged"),
    ("missing-state", state("readiness", "kubelet", 200 * MILLISECOND), "kubelet-merges", "merged"),
    ("missing-state", state("lifecycle", "kubelet", 3_000 * MILLISECOND), "other", "divergence"),
    *(
        ("missing-state", state(name, writer, 1_000 * held * MILLISECOND, in_part=True), rule, verdict)
        for name, writer, held, rule, verdict in (
            ("lifecycle", "kubelet", 9, "kubelet-backlog", "merged"),
            ("readiness", "kubelet", 9, "kubelet-backlog", "merged"),
            ("lifecycle", "kubelet", 10, "other", "divergence"),
            ("lifecycle", "user", 9, "other", "divergence"),
            ("deletion", "kubelet", 9, "other", "divergence"),
        )
    ),
    ("missing-state", state("lifecycle", "user", 200 * MILLISECOND), "other", "divergence"),
    ("missing-state", state("deletion", "kubelet", 200 * MILLISECOND), "other", "divergence"),
    *(
        ("missing-state", state(f"status.{name}", "replicaset-controller", 1_000 * MILLISECOND), "counts", "merged")
        for name in (*COUNTS, "terminating_replicas", "fully_labeled_replicas", "observed_generation")
    ),
    ("missing-state", state("status.replicas", "replicaset-controller", 1_001 * MILLISECOND), "other", "divergence"),
    ("missing-state", state("availability", "replicaset-controller", 100 * MILLISECOND), "level-triggered", "merged"),
    ("missing-state", state("availability", "replicaset-controller", 101 * MILLISECOND), "other", "divergence"),
    ("missing-state", state("availability", "replicaset-controller", None), "other", "divergence"),
    ("missing-state", state("readiness", "endpoint-controller", None, "Endpoints", slim=True), "left-out", "merged"),
    ("missing-state", state("readiness", "endpoint-controller", None, "Endpoints"), "other", "divergence"),
    ("missing-state", state("readiness", "endpoint-controller", None, "Service", slim=True), "other", "divergence"),
    *(
        ("missing-state", state(name, "endpointslice-controller", None, "EndpointSlice", slim=True), rule, verdict)
        for name, rule, verdict in (
            ("readiness", "counted-only", "merged"),
            ("management", "counted-only", "merged"),
            ("other", "other", "divergence"),
        )
    ),
    ("missing-state", state("readiness", "user", LATE, "EndpointSlice"), "other", "divergence"),
    (
        "missing-state",
        state("status.replicas", "replicaset-controller", 1_900 * MILLISECOND, stalls=((0, 900 * MILLISECOND),)),
        "counts",
        "merged",
    ),
    (
        "missing-state",
        state("status.replicas", "replicaset-controller", 1_900 * MILLISECOND, stalls=((0, 800 * MILLISECOND),)),
        "other",
        "divergence",
    ),
    ("fragment", fragment(False, False, True), "whole", False),
    ("fragment", fragment(True, True, True), "told", False),
    ("fragment", fragment(True, False, True), "made-from-template", True),
    ("fragment", fragment(True, False, False), "unknown", False),
    ("sandbox", pod_facts(True, True), "logged", False),
    ("sandbox", pod_facts(False, True), "proven", True),
    ("sandbox", pod_facts(False, False), "unknown", False),
    ("eviction", attempt(True, None), "granted", "eviction"),
    ("eviction", attempt(True, 2), "granted", "eviction"),
    ("eviction", attempt(False, 2), "overtaken", "condition"),
    ("eviction", attempt(False, 0), "begun", "eviction"),
    ("eviction", attempt(False, None), "begun", "eviction"),
    ("pairing", Left("EndpointSlice", Record(slim=True)), "slices", "service"),
    ("pairing", Left("EndpointSlice", Record()), "other", "name"),
    ("pairing", Left("Pod", Record(slim=True)), "other", "name"),
    ("event", seen("Scheduled", slim=True), "sampled", "recorded"),
    *(
        ("event", seen(reason, slim=True), "sampled-again", "known")
        for reason in ("Pulling", "Failed", "BackOff", "Unhealthy", "FailedScheduling", "FailedCreate")
    ),
    *(
        ("event", seen(reason, slim=True), "sampled-again", "known")
        for reason in ("NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady")
    ),
    ("event", seen("FailedMount", slim=True), "mounts", "ignored"),
    ("missing-state", state("availability", "user", LATE, exact=False), "whole-seconds", "merged"),
    ("missing-state", state("availability", "user", None, exact=False), "other", "divergence"),
    ("missing-state", state("availability", "user", LATE), "other", "divergence"),
    ("missing-state", state("spec.replicas", "user", 0, exact=False), "exact", "divergence"),
    *(
        ("value", pair(f"status.{name}", kind=kind), "counts", "ignored")
        for name in (*COUNTED, "terminatingReplicas", "fullyLabeledReplicas")
        for kind in ("ReplicaSet", "Deployment")
    ),
    ("value", pair("status.replicas", kind="StatefulSet"), "other", "known"),
    ("value", pair("endpoints[].addresses[]", kind="EndpointSlice"), "endpoints", "ignored"),
    ("value", pair("subsets[].addresses[].ip", kind="Endpoints"), "endpoints", "ignored"),
    ("value", pair("metadata.deletionGracePeriodSeconds"), "grace", "ignored"),
    ("value", pair("metadata.deletionTimestamp"), "grace", "ignored"),
    ("value", pair("status.loadBalancer.ingress[].ipMode", kind="Service"), "ingress", "ignored"),
    ("value", pair("status.phase"), "other", "known"),
    ("field", pair("endpoints", kind="EndpointSlice"), "slice-order", "as-a-set"),
    ("field", pair("metadata.generation", kind="EndpointSlice"), "slice-generation", "ignored"),
    ("field", pair("metadata.generation"), "other", "equal"),
    (
        "field",
        pair("metadata.annotations.endpoints.kubernetes.io/last-change-trigger-time", EARLY, LATER),
        "trigger-time",
        "ignored",
    ),
    ("field", pair("metadata.resourceVersion"), "revision", "ignored"),
    ("field", pair("metadata.managedFields"), "revision", "ignored"),
    (
        "field",
        pair("metadata.annotations.kubectl.kubernetes.io/last-applied-configuration"),
        "last-applied",
        "ignored",
    ),
    ("field", pair("status.conditions[].lastHeartbeatTime", EARLY, LATER), "heartbeat", "ignored"),
    ("field", pair("status.images"), "images", "ignored"),
    *(
        ("field", pair(f"status.nodeInfo.{name}", kind="Node"), "node-info", "ignored")
        for name in (
            *("architecture", "bootID", "containerRuntimeVersion", "kernelVersion", "kubeletVersion", "machineID"),
            *("operatingSystem", "osImage", "systemUUID"),
        )
    ),
    ("field", pair("status.nodeInfo.machineID"), "other", "equal"),
    ("field", pair("status.startTime", EARLY, LATER), "time", "close"),
    ("field", pair("status.startTime", EARLY, None), "other", "equal"),
    ("field", pair("status.phase"), "other", "equal"),
    ("event", seen("Unhealthy", logged=False), "probes-unknown", "ignored"),
    ("event", seen("FailedMount"), "mounts", "ignored"),
    ("event", seen("Unhealthy", "probe errored and resulted in unknown state"), "probe-errors", "ignored"),
    ("event", seen("Killing", "probe errored"), "others", "counted"),
    ("event", seen("FailedToCreateEndpoint"), "conflicts", "ignored"),
    ("event", seen("FailedToUpdateEndpoint"), "conflicts", "ignored"),
    ("event", seen("Pulled", combined=True), "combined", "ignored"),
    *(
        ("event", seen(reason), "retries", "present")
        for reason in ("Pulling", "Failed", "BackOff", "Unhealthy", "FailedScheduling", "FailedCreate")
    ),
    ("event", seen("Scheduled"), "others", "counted"),
    ("event", seen("Killing", logged=False), "others", "counted"),
    ("answer", answer(1, 0.0), "impossible", "divergence"),
    ("answer", answer(1, 0.5), "other", "agreement"),
    ("answer", answer(3, 0.5, kept=True, others=2), "wandering", "divergence"),
    ("answer", answer(3, 0.5, kept=True, others=1), "other", "agreement"),
    ("answer", answer(3, 0.5, others=2), "other", "agreement"),
    ("answer", answer(0, 0.5, asked=24), "never", "divergence"),
    ("answer", answer(0, 0.5, asked=22), "other", "agreement"),
    ("answer", answer(0, 0.5, asked=24, kept=True), "other", "agreement"),
]


@pytest.mark.parametrize(("table", "case", "rule", "said"), CASES)
def test_rows(table: str, case: Any, rule: str, said: Any) -> None:
    decision = law.decide(table, case)
    assert decision.rule == f"Replay/{table}/{rule}"
    assert list(decision.outputs.values()) == [said]


def test_every_row_is_tested() -> None:
    [controller] = law.controllers()
    rows = {(name, rule) for name, table in controller.tables.items() for rule in table.rules}
    assert rows - {(table, rule) for table, _, rule, _ in CASES} == set()
