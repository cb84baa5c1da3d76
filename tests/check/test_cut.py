"""Recordings that were begun late, cut, or have gaps: what cannot be judged is said, and nobody is accused of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner

from k8sfsm.objects.durations import SECOND
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lacking import Suspect, ends_before, holes_behind, holes_in, in_hole, older_than, within
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.check.check import check
from k8sfsm.verify.check.outset import Outset
from k8sfsm.verify.check.report import KINDS, Report
from k8sfsm.verify.check.silence import with_silence
from k8sfsm.verify.replay.heartbeats import lifecycle_settings
from k8sfsm.verify.replay.kubelets import hollow_nodes
from k8sfsm_cli.app import main
from tests.check.cutting import Cut
from tests.check.forging import forged, inserted, position, recording


def everything(report: Report) -> list[str]:
    """All findings."""
    return [str(each) for kind in KINDS for each in getattr(report, kind)]


def silent(cut: Cut, *, explained: int, unjudged: bool = True) -> Report:
    """The report on a cut recording, which accuses nobody."""
    report = check(read_history(cut.written()))
    assert report.ok, everything(report)[:9]
    assert report.counts["explained"] >= explained
    assert bool(report.counts["unjudged"]) is unjudged
    return report


# -- begun late ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [True, False])
@pytest.mark.parametrize(
    ("name", "part", "explained"),
    [("02-scale", 0.5, 60), ("16f-preemption", 0.25, 150), ("23d-zone-full", 0.5, 200), ("random-1", 0.5, 100)],
)
def test_a_recording_that_begins_amid_the_work(
    tmp_path: Path, name: str, part: float, explained: int, events: bool
) -> None:
    report = check(read_history(Cut(name, tmp_path).begin(part, events=events).written()))
    assert report.ok, everything(report)[:9]
    assert report.counts["explained"] >= explained > report.counts["unjudged"]


def test_a_lie_in_a_recording_that_began_late_is_told(tmp_path: Path) -> None:
    history = read_history(Cut("02-scale", tmp_path).begin(0.25, events=False).written())
    at = position(history, lambda w: w.key[0] == "ReplicaSet" and w.subresource == "status", -1)
    report = check(forged(history, at, lambda obj: obj["status"].update(replicas=9)))
    assert any("status.replicas: recorded 9" in str(each) for each in report.unexplained), everything(report)


@pytest.mark.parametrize("part", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("name", ["02-scale", "13a-restart-policies", "16f-preemption"])
def test_shortened_lines_whose_objects_are_lost(tmp_path: Path, name: str, part: float) -> None:
    report = silent(Cut(name, tmp_path).shorten(part), explained=0)
    assert any("lines refer to lines that are not there" in note for note in report.notes)


def test_what_refers_to_a_lost_line_is_told_apart_from_what_refers_to_none(tmp_path: Path) -> None:
    cut = Cut("02-scale", tmp_path)
    added = next(line for line in cut.watch if line["type"] == "ADDED" and not line.get("initial"))
    added["sameMeta"] = ["labels"]
    assert [each.cause for each in check(read_history(cut.written())).violated].count("trace/readable") == 1


def test_a_spec_that_was_changed_in_a_lost_line_is_not_made_up(tmp_path: Path) -> None:
    cut = Cut("02-scale", tmp_path)

    def scaled(line: dict[str, Any]) -> bool:
        return line["object"]["kind"] == "Deployment" and line["type"] == "MODIFIED" and not line.get("sameSpec")

    lost = next(line for line in cut.watch if scaled(line))
    cut.watch = [line for line in cut.watch if line is not lost]
    history = read_history(cut.written())
    assert history.torn and not history.problems
    torn = [write.key[0] for write in history.writes if write.seen in history.torn]
    assert set(torn) == {"Deployment"}


# -- gaps ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize(
    ("name", "explained"), [("02-scale", 80), ("12-readiness-flip", 60), ("13a-restart-policies", 100)]
)
def test_a_recording_with_a_gap(tmp_path: Path, name: str, explained: int, raw: bool) -> None:
    report = silent(Cut(name, tmp_path).gap(0.45, 0.55, raw=raw), explained=explained)
    assert any("are lacking; what follows is judged in part" in note for note in report.notes)


def test_a_lie_before_a_gap_is_told(tmp_path: Path) -> None:
    history = read_history(Cut("02-scale", tmp_path).gap(0.45, 0.55).written())
    at = position(history, lambda w: w.key[0] == "ReplicaSet" and w.subresource == "status")
    report = check(forged(history, at, lambda obj: obj["status"].update(replicas=9)))
    assert any("status.replicas: recorded 9" in str(each) for each in report.unexplained), everything(report)


def test_one_object_alone_proves_no_gap() -> None:
    history = recording("02-scale")
    at = position(history, lambda w: w.key[0] == "Deployment" and w.subresource == "status")
    write = history.writes[at]
    report = check(
        inserted(history, at + 1, evolve(write, old=write.new, precondition=(write.revision or 0) + 3, revision=None))
    )
    assert not any("are lacking" in note for note in report.notes)
    assert any(each.cause == "trace/precondition-met" for each in report.violated), everything(report)


def suspect(name: str, since: int, until: int) -> Suspect:
    return Suspect(("Pod", "a", name), since, until)


def write(time: int, **more: Any) -> RecordedWrite:
    """A change of a pod that a watch showed."""
    plain: dict[str, Any] = {
        "line": Line("f", time), "seen": Line("f", time), "request": time, "time": time, "actor": "kubelet",
        "verb": "update", "key": ("Pod", "a", "p"), "code": 200, "type": "MODIFIED", "revision": time, "shown": time,
    }  # fmt: skip
    return RecordedWrite(**{**plain, **more})


def pod(revision: int, name: str = "p") -> Document:
    return Document({"kind": "Pod", "metadata": {"namespace": "a", "name": name, "resourceVersion": str(revision)}})


@pytest.mark.parametrize(
    ("suspects", "holes"),
    [
        ([], ()),
        ([suspect("p", 0, 50)], ()),
        ([suspect("p", 0, 50), suspect("p", 10, 50)], ()),
        ([suspect("p", 0, 20), suspect("q", 20, 50)], ()),
        ([suspect("p", 0, 45), suspect("q", 5, 50)], ((20, 40),)),
        ([suspect("p", 0, 12), suspect("q", 8, 30), suspect("r", 35, 50), suspect("s", 41, 60)], ((8, 10), (42, 50))),
    ],
)
def test_where_writes_must_be_lacking(suspects: list[Suspect], holes: Any) -> None:
    assert holes_behind(suspects, [write(at) for at in (10, 20, 40, 42)]) == holes


@pytest.mark.parametrize(
    ("demands", "damaged", "holes"),
    [
        ([], False, ()),
        ([("p", 25)], False, ()),
        ([("p", 25)], True, ((20, 30),)),
        ([("p", 25), ("q", 26)], False, ((20, 30),)),
        ([("p", 25), ("q", 15)], False, ()),
        ([("p", 20), ("q", 20)], True, ()),
    ],
)
def test_requests_that_demanded_what_no_line_shows(demands: Any, damaged: bool, holes: Any) -> None:
    shown = [write(at, key=("Pod", "a", f"x{at}"), new=pod(at)) for at in (10, 20, 30)]
    asked = [
        write(40 + at, key=("Pod", "a", name), old=pod(10, name), new=pod(40 + at, name), precondition=demanded)
        for at, (name, demanded) in enumerate(demands)
    ]
    assert holes_in([*shown, *asked], damaged=damaged) == holes
    beating = [evolve(each, key=("Node", "", each.key[2])) for each in asked]
    assert holes_in([*shown, *beating], damaged=damaged) == ()


def test_which_objects_are_older_than_their_first_line() -> None:
    event = Document({"kind": "Event", "metadata": {"namespace": "a", "name": "e"}})
    writes = [
        write(1, new=pod(1)),
        write(2, new=pod(2)),
        write(3, key=("Pod", "a", "q"), new=pod(3, "q"), type="ADDED"),
        write(4, key=("Pod", "a", "q"), new=pod(4, "q")),
        write(5, key=("Pod", "a", "r"), new=pod(5, "r"), type="DELETED"),
        write(6, key=("Pod", "a", "s"), new=pod(6, "s")),
        write(7, key=("Event", "a", "e"), new=event),
        write(8, key=("Pod", "a", "t"), new=pod(8, "t")),
    ]
    found = older_than([pod(0, "s")], writes, {Line("f", 8)})
    assert [document.json["metadata"] for document in found] == [pod(1).json["metadata"]]


def test_what_lies_near_the_ends_of_a_record() -> None:
    near = SECOND // 20
    assert [within((SECOND, 9 * SECOND), at) for at in (0, SECOND + near, 5 * SECOND, 9 * SECOND - near)] == [
        False, False, True, False,
    ]  # fmt: skip
    assert within((0, 1), None) and not in_hole([(0, SECOND)], None)
    assert in_hole([(SECOND, 2 * SECOND)], 2 * SECOND + near) and not in_hole([(SECOND, 2 * SECOND)], 3 * SECOND)


@pytest.mark.parametrize(("later", "before"), [(0, False), (1, False), (2, True)])
def test_final_objects_of_a_later_time(later: int, before: bool) -> None:
    final = {("Pod", "a", str(at)): pod(9 + (at < later), str(at)) for at in range(3)}
    assert ends_before(Recording(source="", format="recording", writes=(write(9),)), final) is before


# -- bodies, and what a history lacks altogether ------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", ["02-scale", "16f-preemption", "17-drain-pdb"])
def test_requests_at_level_metadata_beside_a_watch(tmp_path: Path, name: str, seed: int) -> None:
    report = check(read_history(Cut(name, tmp_path).bare(0.1, seed).written()))
    assert report.ok, everything(report)[:9]
    whole = check(recording(name)).counts["explained"]
    assert report.counts["explained"] > 0.95 * whole


def test_a_shared_account_whose_bodies_are_not_recorded(tmp_path: Path) -> None:
    report = check(read_history(Cut("23d-zone-full", tmp_path).bare(1.0, 1).written()))
    assert not any(each.actor == "node-ipam-controller" for each in report.unexplained)
    assert report.others["node-ipam-controller"] > 20


def test_without_a_record_of_the_machines_nobody_knows_when_nodes_fell_silent(tmp_path: Path) -> None:
    report = silent(Cut("23d-zone-full", tmp_path).lose("env.jsonl"), explained=300)
    assert report.unjudged["when nodes fell silent is not in the history"] > 20


def test_a_flag_that_stops_of_machines_prove(tmp_path: Path) -> None:
    history = read_history(Cut("23d-zone-full", tmp_path).lose("scenario.yaml").written())
    assert lifecycle_settings(history).monitor_grace == 15
    assert lifecycle_settings(with_silence(history)).monitor_grace == 20
    report = check(history)
    assert report.ok, everything(report)[:9]


def node(name: str, **told: str) -> Document:
    return Document({"kind": "Node", "metadata": {"name": name}, "status": {"nodeInfo": told}})


def test_nodes_that_are_no_machines_have_no_kubelet() -> None:
    real = node("real", kubeletVersion="v1.36.2", bootID="b")
    false, untold = node("false", kubeletVersion="fake", bootID=""), node("untold")
    later = write(1, key=("Node", "", "later"), new=node("later", kubeletVersion="v1"), type="ADDED")
    history = Recording(source="", format="audit", initial=(real, false, untold), writes=(later,))
    assert hollow_nodes(history) == {"false", "later"}
    assert hollow_nodes(evolve(history, format="k8sfsm")) == frozenset()


def test_an_event_about_an_object_of_the_cluster_follows_that_object() -> None:
    meta = {"name": "n", "creationTimestamp": "2026-01-01T00:00:09Z"}
    start = 1_767_225_610 * SECOND
    outset = Outset.of(Recording(source="", format="recording", initial=(Document({"kind": "Node", "metadata": meta}),),
                                 start=start))  # fmt: skip
    about = {"kind": "Event", "metadata": {"namespace": "default", "name": "e"}, "involvedObject": {"kind": "Node"}}
    told = write(start + SECOND, key=("Event", "default", "e"), new=Document(about))
    assert outset.astir(told)
    other = {**about, "involvedObject": {"kind": "Pod", "namespace": "default"}}
    assert not outset.astir(evolve(told, new=Document(json.loads(json.dumps(other)))))


def test_a_pod_whose_placing_is_not_recorded_is_explained(tmp_path: Path) -> None:
    folder = Cut("02-scale", tmp_path).begin(0.5, events=False).written()
    history = read_history(folder)
    gone = next(write.key for write in history.writes if write.key[0] == "Pod" and write.type == "DELETED")
    said = CliRunner().invoke(main, ["explain", str(folder), "/".join(gone)])
    assert said.exit_code == 0 and "kubelet" in said.output and "Where pod" not in said.output
    unknown = CliRunner().invoke(main, ["explain", str(folder), "Pod/02-scale/nobody"])
    assert unknown.exit_code == 2 and "was written in this history" in unknown.output
