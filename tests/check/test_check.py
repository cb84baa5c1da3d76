"""`check` and `explain` on recordings of a real cluster, sound and forged."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from click.testing import CliRunner

from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.reading import read_history
from k8sfsm.verify.check.check import check
from k8sfsm.verify.check.report import Report
from k8sfsm.verify.check.verdicts import apart
from k8sfsm_cli.app import main

ROOT = Path(__file__).parents[2]
SOUND = (
    "tests/data/recordings/01-deploy-create",
    "tests/data/recordings/02-scale",
    "examples/recordings/03-rolling-default",
)


@pytest.mark.parametrize("path", SOUND)
def test_every_write_is_explained(path: str) -> None:
    result = CliRunner().invoke(main, ["check", str(ROOT / path), "-o", "json"])
    report = json.loads(result.stdout)
    assert (result.exit_code, report["ok"], report["unexplained"]) == (0, True, [])
    assert report["explained"] > 20


def test_why_a_container_runs() -> None:
    folder = ROOT / SOUND[0]
    report = CliRunner().invoke(main, ["explain", str(folder), "Deployment/web", "-o", "json"])
    caused = json.loads(report.stdout)
    assert report.exit_code == 0
    assert caused["because"][0]["actor"] == "user"


def test_an_unknown_object_is_bad_input() -> None:
    result = CliRunner().invoke(main, ["explain", str(ROOT / SOUND[0]), "Pod/nobody"])
    assert result.exit_code == 2


def test_a_missing_file_is_bad_input() -> None:
    assert CliRunner().invoke(main, ["check", "no-such-file"]).exit_code == 2


def test_values_that_may_be_secret_are_not_shown() -> None:
    assert "hunter2" not in apart("Pod", "spec.containers[0].env[0].value", "hunter2", "x")
    assert "hunter2" not in apart("Secret", "data.key", "hunter2", "x")


def _forged(choose: Callable[[RecordedWrite], bool], change: Callable[[dict[str, Any]], None]) -> Report:
    recording = read_history(ROOT / SOUND[1])
    at = next(i for i, write in enumerate(recording.writes) if write.new is not None and choose(write))
    write = recording.writes[at]
    assert write.new is not None
    made = copy.deepcopy(write.new.json)
    change(made)
    forged = evolve(write, new=Document(made))
    return check(evolve(recording, writes=(*recording.writes[:at], forged, *recording.writes[at + 1 :])))


def test_a_forged_count_is_unexplained() -> None:
    report = _forged(
        lambda write: write.key[0] == "ReplicaSet" and write.subresource == "status",
        lambda obj: obj["status"].update(replicas=9),
    )
    assert any("status.replicas: recorded 9" in str(found) for found in report.unexplained)


def test_a_set_beyond_max_surge_is_unexplained() -> None:
    report = _forged(
        lambda write: write.key[0] == "ReplicaSet" and write.verb == "update" and not write.subresource,
        lambda obj: obj["spec"].update(replicas=12),
    )
    assert any(found.actor == "deployment-controller" and "12" in found.what for found in report.unexplained)
