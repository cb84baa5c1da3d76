"""`k8sfsm trace`: show, check and convert histories of a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from k8sfsm.trace.reading import read_history
from k8sfsm_cli import main

RECORDING = Path(__file__).resolve().parents[2] / "examples" / "recordings" / "03-rolling-default"


def k8sfsm(*words: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["trace", *map(str, words)])
    assert result.exit_code == code, result.output
    return result.stdout


def rows(*words: str | Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(k8sfsm("show", *words, "-o", "json"))
    return found


def test_show_tells_who_did_what() -> None:
    found = rows(RECORDING)
    assert [row["seconds"] for row in found] == sorted(row["seconds"] for row in found)
    first = next(row for row in found if row["object"] == "Deployment/web")
    assert first["actor"] == "alice"
    assert first["what"].startswith("created: ")
    pod = next(row["object"] for row in found if row["object"].startswith("Pod/"))
    story = [(row["actor"].partition("/")[0], row["what"]) for row in found if row["object"] == pod]
    assert story[0][0] == "replicaset-controller"
    assert story[0][1].startswith("created: Unscheduled")
    assert story[1] == ("kube-scheduler", "Unscheduled -> Scheduled")
    assert ("kubelet", "Scheduled -> Creating") in story
    assert story[-1] == ("kubelet", "gone")
    assert not any(row["object"].startswith(("Event/", "Lease/")) for row in found)


def test_events_are_shown_where_asked_for() -> None:
    found = [row for row in rows(RECORDING, "--events") if row["object"].startswith("Event/")]
    assert any(row["what"].startswith("SuccessfulCreate: Created pod: web-") for row in found)


def test_the_table_has_the_rows() -> None:
    text = k8sfsm("show", RECORDING)
    assert "Unscheduled -> Scheduled" in text
    assert "kube-scheduler" in text


def test_refused_requests_are_shown_with_their_reason() -> None:
    refused = [row["what"] for row in rows(RECORDING) if " refused: " in row["what"]]
    assert refused
    assert all(what.startswith("update refused: 409 Operation cannot be fulfilled") for what in refused)


def test_a_history_converted_to_our_trace_is_the_same_history(tmp_path: Path) -> None:
    out = tmp_path / "trace.jsonl"
    assert k8sfsm("convert", RECORDING, "--to", "k8sfsm", "-O", out) == ""
    before, after = read_history(RECORDING), read_history(out)
    assert [(write.key, write.revision, write.verb) for write in before.writes] == [
        (write.key, write.revision, write.verb) for write in after.writes
    ]
    assert before.last() == after.last()
    again = tmp_path / "again.jsonl"
    k8sfsm("convert", out, "--to", "k8sfsm", "-O", again)
    assert again.read_bytes() == out.read_bytes()
    assert rows(out) == rows(RECORDING)


def test_itf_holds_the_states_of_the_machines() -> None:
    document = json.loads(k8sfsm("convert", RECORDING, "--to", "itf"))
    assert document["#meta"]["format"] == "ITF"
    states = [dict(state["objects"]["#map"]) for state in document["states"]]
    pods = [name for name in states[-1] if name.startswith("Pod/")]
    assert {states[-1][pod]["lifecycle"] for pod in pods} == {"Running"}
    assert {state[pod]["lifecycle"] for pod in pods for state in states if pod in state} >= {"Unscheduled", "Scheduled"}


def test_a_whole_history_has_no_findings() -> None:
    assert k8sfsm("check", RECORDING) == ""
    assert json.loads(k8sfsm("check", RECORDING, "-o", "json")) == {"findings": [], "problems": []}


def test_a_history_with_a_hole_has_findings(tmp_path: Path) -> None:
    whole = tmp_path / "whole.jsonl"
    k8sfsm("convert", RECORDING, "--to", "k8sfsm", "-O", whole)
    lines = whole.read_text("utf-8").splitlines()
    place = next(index for index, line in enumerate(lines) if '"type":"MODIFIED"' in line and '"revision"' in line)
    value = json.loads(lines[place])
    value["revision"] = 1
    holed = tmp_path / "holed.jsonl"
    holed.write_text("\n".join([*lines[:place], json.dumps(value), *lines[place + 1 :]]) + "\n", "utf-8")
    text = k8sfsm("check", holed, code=1)
    assert f"{holed}:{place + 1}: " in text
    assert "revision 1 comes after revision" in text
    found = json.loads(k8sfsm("check", holed, "-o", "json", code=1))["findings"]
    assert found[0]["line"] == place + 1
    assert found[0]["rule"].startswith("trace/")
