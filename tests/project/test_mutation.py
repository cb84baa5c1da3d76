"""The mutation tool: notices what tests notice, and remembers it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.mutation.__main__ import main as tool
from benchmarks.mutation.report import Results
from k8sfsm.spec import load_specs
from k8sfsm.spec.mutate import mutants

CHECKOUT = Path(__file__).resolve().parents[2]
TESTS = "tests/controllers/test_replicaset_sync.py"


def mutate(store: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    command = [sys.executable, "-m", "benchmarks.mutation", "--store", str(store), "--jobs", "1", "-o", "json", *words]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks for every mutant")
def test_a_rule_that_is_tested(tmp_path: Path) -> None:
    words = ("--rule", "ReplicaSet/manage/create-missing", "--tests", TESTS)
    status, found, said = mutate(tmp_path, *words)
    total = found["total"]
    assert status == int(total["score"] < 95)
    assert total["mutants"] == total["killed"] + total["survived"]
    assert total["killed_by_tests"] > 0
    assert total["killed_by_lint"] > 0
    killers = [row["what"] for row in found["mutants"] if row["by"] == "test"]
    assert all(test.startswith(f"{TESTS}::") for test in killers)
    assert "survived" in said


def test_results_are_kept_for_the_same_tree_only(tmp_path: Path) -> None:
    first, second, *_ = mutants(load_specs())
    file = tmp_path / "results.jsonl"
    results = Results.open(file, "tree")
    results.add(first, {"by": "test", "what": "a test", "seconds": 0.1})
    results.add(second, {"by": "", "what": "no test reaches it", "seconds": 0.1})
    again = Results.open(file, "tree")
    found = again.of(first), again.of(second)
    assert [row and row["by"] for row in found] == ["test", ""]
    other = Results.open(file, "another tree")
    assert (other.of(first), other.of(second)) == (None, None)
    assert other.killers == {first.id: "a test"}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks for every mutant")
def test_a_rule_that_no_chosen_test_reaches(tmp_path: Path) -> None:
    words = ("--rule", "ReplicaSet/manage/create-unlabelled", "--tests", "tests/spec/test_spec_unary.py")
    status, found, _ = mutate(tmp_path, *words)
    assert status == 1
    survivors = [row for row in found["mutants"] if not row["killed"]]
    assert {row["what"] for row in survivors} == {"no test reaches it"}
    assert all(row["at"].startswith("specs/replicaset/controller.yaml:") for row in survivors)


def test_a_mutant_can_be_written(tmp_path: Path) -> None:
    out = tmp_path / "mutated"
    result = CliRunner().invoke(tool, ["--rule", "ServiceAccount/ensure", "--write", str(out)])
    assert result.exit_code != 0
    assert "expected one: use --rule" in result.output
    one = ["--sample", "1", "--rooms", "replicaset", "--write", str(out)]
    assert CliRunner().invoke(tool, one).exit_code == 0
    assert load_specs(out) != load_specs()
