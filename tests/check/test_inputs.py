"""Everything that check reads: recordings, audit logs in any number of files, watch output, dumps, traces, stdin."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from k8sfsm.trace import portions
from k8sfsm.trace.folder import member, read_watch
from k8sfsm.trace.lines import json_lines, text_lines
from k8sfsm.trace.reading import read_portions
from k8sfsm.verify.check.check import check_portions
from k8sfsm.verify.check.report import Report
from k8sfsm_cli.app import main
from tests.check.forging import DATA, ROOT

LOG = DATA / "audit-10.jsonl.zst"


def run(*arguments: str | Path) -> Result:
    """`k8sfsm check` with these arguments."""
    return CliRunner().invoke(main, ["check", *map(str, arguments)])


def told(*arguments: str | Path) -> dict[str, Any]:
    """Its report in JSON form."""
    found: dict[str, Any] = json.loads(run(*arguments, "-o", "json").stdout)
    return found


def lines_of(path: Path) -> list[str]:
    """The lines of a compressed file."""
    return [text for _, text in text_lines(path)]


def objects_of(name: str) -> list[tuple[str, dict[str, Any]]]:
    """(type, object) of what a watch showed, whole."""
    watch = member(DATA / name, "watch.jsonl")
    assert watch is not None
    return [(seen.type, seen.document.json) for _, seen in read_watch(watch)]


@pytest.mark.parametrize("path", ["tests/data/recordings/01-deploy-create", "examples/recordings/03-rolling-default"])
def test_a_recording(path: str) -> None:
    report = told(ROOT / path)
    assert (report["ok"], report["unexplained"], report["illegal"]) == (True, [], [])
    assert report["explained"] > 30


def test_rotated_files_in_any_order(tmp_path: Path) -> None:
    lines = lines_of(LOG)
    parts = [tmp_path / "audit-2.log.gz", tmp_path / "audit-1.log.gz", tmp_path / "audit.log"]
    middle, late = len(lines) // 3, 2 * len(lines) // 3
    parts[1].write_bytes(gzip.compress("".join(lines[:middle]).encode()))
    parts[0].write_bytes(gzip.compress("".join(lines[middle:late]).encode()))
    parts[2].write_text("".join(lines[late:]))
    assert {**told(*parts), "source": ""} == {**told(LOG), "source": ""}


def test_logs_of_several_servers(tmp_path: Path) -> None:
    lines = lines_of(LOG)
    first, second = tmp_path / "a.log", tmp_path / "b.log"
    first.write_text("".join(lines[0::2]))
    second.write_text("".join(lines[1::2]))
    report = told(second, first)
    assert (report["ok"], report["explained"]) == (True, told(LOG)["explained"])


def test_a_log_in_portions_is_judged_like_a_whole_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portions, "_LATE", 1_000_000_000)
    parts = list(portions.audit_portions([LOG], size=16))
    whole = check_portions(read_portions(LOG))
    report = check_portions(parts)
    assert len(parts) > 3
    assert report.ok
    by_the_clock = report.unjudged["what it did depends on times that are not in the history"]
    assert report.counts["explained"] + by_the_clock == whole.counts["explained"] and by_the_clock == 9


def test_a_log_that_begins_late_is_not_guessed_about(tmp_path: Path) -> None:
    late = tmp_path / "late.log"
    late.write_text("".join(lines_of(LOG)[120:]))
    report = told(late)
    assert (report["unexplained"], report["illegal"], report["undone"]) == ([], [], [])
    assert report["unjudged"] > 0 and report["why_unjudged"]


def test_a_log_without_objects_cannot_be_judged(tmp_path: Path) -> None:
    bare = tmp_path / "metadata.log"
    dropped = ("requestObject", "responseObject")
    with bare.open("w") as file:
        for _, value in json_lines(LOG):
            kept = {name: each for name, each in value.items() if name not in dropped}
            file.write(json.dumps({**kept, "level": "Metadata"}) + "\n")
    report = told(bare)
    assert (report["ok"], report["explained"]) == (True, 0)
    assert report["unjudged"] > 100


@pytest.mark.parametrize("events", [True, False])
def test_watch_output(tmp_path: Path, events: bool) -> None:
    path = tmp_path / "watch.json"
    shown = [{"type": kind, "object": obj} if events else obj for kind, obj in objects_of("02-scale")]
    path.write_text("\n".join(json.dumps(each, indent=4) for each in shown))
    report = told(path)
    assert (report["ok"], report["unexplained"]) == (True, [])
    assert report["explained"] > 100


def test_watch_output_of_pods_alone(tmp_path: Path) -> None:
    path = tmp_path / "pods.json"
    path.write_text("\n".join(json.dumps(obj) for _, obj in objects_of("02-scale") if obj["kind"] == "Pod"))
    report = told(path)
    assert (report["ok"], report["explained"] > 30) == (True, True)
    assert report["why_unjudged"] == {"what its component worked on is not in the history": 18}


def test_a_node_is_lost_in_watch_output(tmp_path: Path) -> None:
    path = tmp_path / "watch.json"
    shown = [{"type": kind, "object": obj} for kind, obj in objects_of("11-node-failure")]
    path.write_text("\n".join(map(json.dumps, shown)))
    assert len(told(path)["unexplained"]) <= 1  # its times are whole seconds


def dump(tmp_path: Path, change: Any = None) -> Path:
    """What there was in the middle of a recording, as `kubectl get -o json` prints it."""
    there: dict[tuple[str, str], dict[str, Any]] = {}
    for kind, obj in objects_of("02-scale")[:60]:
        if obj["kind"] == "Event":
            continue
        there[obj["kind"], obj["metadata"]["name"]] = obj
        if kind == "DELETED":
            del there[obj["kind"], obj["metadata"]["name"]]
    for obj in there.values():
        if change is not None:
            change(obj)
    path = tmp_path / "dump.json"
    path.write_text(json.dumps({"kind": "List", "apiVersion": "v1", "items": list(there.values())}))
    return path


def test_a_dump_whose_invariants_are_broken(tmp_path: Path) -> None:
    def over(obj: dict[str, Any]) -> None:
        if obj["kind"] == "Pod" and obj["status"].get("phase") == "Running":
            obj["status"]["phase"] = "Succeeded"

    report = told(dump(tmp_path, over))
    assert {each["cause"] for each in report["violated"]} >= {"Pod/over-is-not-ready", "Pod/nothing-runs-after-success"}


def test_a_dump_with_something_left_to_do(tmp_path: Path) -> None:
    def more(obj: dict[str, Any]) -> None:
        if obj["kind"] in ("ReplicaSet", "Deployment"):
            obj["spec"]["replicas"] = 7

    assert "ReplicaSet/manage/create-missing" in {each["cause"] for each in told(dump(tmp_path, more))["undone"]}


def test_our_own_trace(tmp_path: Path) -> None:
    trace = tmp_path / "run.jsonl"
    scenario = ROOT / "specs/scenarios/hello.yaml"
    assert CliRunner().invoke(main, ["run", str(scenario), "--trace", str(trace)]).exit_code == 0
    report = told(trace)
    assert (report["ok"], report["explained"] > 10) == (True, True)


def piped(text: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`k8sfsm check - ...` in a process of its own."""
    command = [sys.executable, "-m", "k8sfsm_cli", "check", "-", *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'cli'}"}
    done = subprocess.run(command, input=text, capture_output=True, env=environment, check=False)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def test_standard_input() -> None:
    done = piped(LOG.read_bytes(), "-o", "json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["explained"] == told(LOG)["explained"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"", "-: the file is empty"),
        (b"hello", "-:1: not JSON at column 1"),
        (b'{"a": 1}', "-:1: expected a recording's folder, a kube-apiserver audit log"),
        (b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"crea', "truncated"),
        (b"\x1f\x8bxxxxxxxxxxxxxxxxxxx", "the compressed data is damaged"),
    ],
)
def test_bad_input_is_one_line(text: bytes, says: str) -> None:
    done = piped(text)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1 and says in done.stderr


@pytest.mark.parametrize("arguments", [["no-such-file"], ["tests"], []])
def test_bad_arguments(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


def test_only_some_actors() -> None:
    report = told(LOG, "--actors", "kube-scheduler, replicaset-controller")
    assert 0 < report["explained"] < told(LOG)["explained"]
    assert report["left_out"] > 50


def test_refusals_retries_and_other_components_are_named() -> None:
    result = run(LOG)
    assert result.exit_code == 0
    assert "refused: 409 Conflict (8)" in result.stdout
    assert "tried again and granted: 7" in result.stdout
    assert "another component's: ttl-controller (8)" in result.stdout


def test_the_report_is_the_same_every_time() -> None:
    reports = [_summary(check_portions(read_portions(LOG))) for _ in range(2)]
    assert reports[0] == reports[1]


def _summary(report: Report) -> list[Any]:
    return [report.counts, report.unjudged, report.refusals, report.totals, list(report.notes)]
