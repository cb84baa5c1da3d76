"""`check` and `explain` on recordings of a real cluster, sound and forged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from k8sfsm_cli.app import main

from k8sfsm.verify.check.explaining import apart

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
