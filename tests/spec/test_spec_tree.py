"""The specs themselves: nothing for lint to find."""

from __future__ import annotations

from click.testing import CliRunner

from k8sfsm.spec import load_specs, specs_dir
from k8sfsm_cli import main


def test_lint_finds_nothing() -> None:
    result = CliRunner().invoke(main, ["spec", "lint"])
    assert result.stdout == ""
    assert result.exit_code == 0


def test_every_file_is_read() -> None:
    specs = load_specs(specs_dir())
    assert len(specs.rooms) > 15
    assert len(specs.constants) > 30
