"""Histories that show a part: what began before them, and what they lack, is not judged, and not told as wrong."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lines import json_lines
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.check.check import check
from k8sfsm.verify.check.outset import Outset
from k8sfsm.verify.check.report import KINDS, Found, Report
from tests.check.forging import DATA, forged, position, recording

LOG = DATA / "audit-10.jsonl.zst"


def everything(report: Report) -> list[str]:
    """All findings."""
    return [str(each) for kind in KINDS for each in getattr(report, kind)]


def later(history: Recording, part: float) -> Recording:
    """The history from a later moment on, with all that there was then; a request is not cut in two."""
    at = int(len(history.writes) * part)
    while history.writes[at].request == history.writes[at - 1].request:
        at += 1
    objects = {document.key: document for document in history.initial}
    for write in history.writes[:at]:
        if write.type == "DELETED":
            objects.pop(write.key, None)
        elif write.type is not None and write.new is not None:
            objects[write.key] = write.new
    there = sorted((each for each in objects.values() if each.key[0] != "Event"), key=lambda each: each.revision or 0)
    return evolve(history, initial=tuple(there), writes=history.writes[at:], start=history.writes[at - 1].time)


def audit_log(path: Path, lines: list[Any]) -> Path:
    """A log with these lines."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("name", ["02-scale", "17-drain-pdb"])
def test_a_history_that_begins_amid_the_work(name: str, part: float) -> None:
    report = check(later(recording(name), part))
    assert report.ok, everything(report)
    assert report.counts["explained"] > 10


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
def test_an_audit_log_that_begins_late(tmp_path: Path, part: float) -> None:
    lines = [value for _, value in json_lines(LOG)]
    report = check(read_history(audit_log(tmp_path / "a.log", lines[int(len(lines) * part) :])))
    assert report.ok, everything(report)


@pytest.mark.parametrize("part", [0.3, 0.5, 0.7])
def test_an_audit_log_with_a_gap(tmp_path: Path, part: float) -> None:
    lines = [value for _, value in json_lines(LOG)]
    at = int(len(lines) * part)
    report = check(read_history(audit_log(tmp_path / "a.log", lines[:at] + lines[at + len(lines) // 20 :])))
    assert (report.illegal, report.violated, report.unexplained) == ([], [], []), everything(report)
    assert report.counts["explained"] > 20


def test_a_lie_long_after_the_beginning_is_told() -> None:
    history = later(recording("02-scale"), 0.25)
    at = position(
        history,
        lambda w: w.key[0] == "ReplicaSet" and w.subresource == "status" and w.time > history.writes[0].time,
        -1,
    )
    report = check(forged(history, at, lambda obj: obj["status"].update(replicas=9)))
    assert any(each.line == str(history.writes[at].line) for each in report.unexplained), everything(report)


def pod(made: str, **status: Any) -> Document:
    """A pod that was made at a time."""
    meta = {"name": "p", "namespace": "a", "uid": "u", "creationTimestamp": made}
    return Document({"kind": "Pod", "apiVersion": "v1", "metadata": meta, "status": status})


def node(ready: str, *effects: str) -> Document:
    """A node in a condition, with taints."""
    conditions = [{"type": "Ready", "status": ready, "lastHeartbeatTime": "2026-01-01T00:00:09Z"}]
    taints = [{"key": "k", "effect": effect} for effect in effects]
    meta = {"name": "n", "uid": "n", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return Document({"kind": "Node", "apiVersion": "v1", "metadata": meta, "spec": {"taints": taints},
                     "status": {"conditions": conditions}})  # fmt: skip


START = 1_767_225_610 * SECOND
"""2026-01-01T00:00:10Z"""


def write(at: int, key: tuple[str, str, str] = ("Pod", "a", "p"), **event: Any) -> RecordedWrite:
    """A write some seconds after the beginning."""
    new = Document({"kind": key[0], "metadata": {"name": key[2], "namespace": key[1]}, **event})
    return RecordedWrite(line=None, request=1, time=START + at * SECOND, actor="a", verb="update", key=key, code=200,
                         new=new)  # type: ignore[arg-type]  # fmt: skip


@pytest.mark.parametrize(
    ("document", "astir"),
    [
        (pod("2026-01-01T00:00:00Z"), False),
        (pod("2026-01-01T00:00:08Z"), True),
        (pod("2026-01-01T00:00:00Z", conditions=[{"lastTransitionTime": "2026-01-01T00:00:09Z"}]), True),
        (pod("2026-01-01T00:00:00Z", observedGeneration=1), True),
        (node("True"), False),
    ],
)
def test_whether_something_was_under_way(document: Document, astir: bool) -> None:
    outset = Outset.of(Recording(source="", format="recording", initial=(document,), start=START))
    assert outset.astir(write(2)) is astir
    assert not outset.astir(write(9)) and not outset.astir(write(2, ("Pod", "b", "p")))


@pytest.mark.parametrize(
    ("document", "unwell"),
    [
        (node("True"), ()),
        (node("Unknown"), ("n",)),
        (node("True", "NoExecute"), ("n",)),
        (node("True", "NoSchedule"), ()),
    ],
)
def test_which_nodes_were_unwell(document: Document, unwell: tuple[str, ...]) -> None:
    assert Outset.of(Recording(source="", format="recording", initial=(document,), start=START)).unwell == unwell


@pytest.mark.parametrize(("told", "before"), [("2026-01-01T00:00:05Z", True), ("2026-01-01T00:00:10Z", False)])
def test_whether_an_event_tells_of_what_was_before(told: str, before: bool) -> None:
    outset = Outset(start=START)
    assert outset.told_before(write(3, ("Event", "a", "e"), firstTimestamp=told, lastTimestamp=told)) is before
    assert not outset.told_before(write(3, firstTimestamp=told))


def test_findings_that_cannot_stand_are_withdrawn() -> None:
    report = Report(counts=Counter(unexplained=2, explained=1))
    for at, certain in ((1, False), (3, False)):
        report.add("unexplained", Found(what="w", cause="c", key=("Pod", "a", "p"), line="", at=at))
        report.add("illegal", Found(what="w", cause="i", key=("Pod", "a", "p"), line="", at=at, certain=not certain))
    report.withdraw(2, 4, "b", "gap")
    assert report.counts["unexplained"] == 2
    report.withdraw(2, 4, "a", "gap")
    assert (report.counts["unexplained"], report.counts["unjudged"], len(report.illegal)) == (1, 1, 2)
    assert report.unjudged["gap"] == 1 and report.totals["unexplained", "c"] == 1
    report.withdraw(0, 4, "a", "gap")
    assert report.unexplained == [] and ("unexplained", "c") not in report.totals and len(report.illegal) == 2
