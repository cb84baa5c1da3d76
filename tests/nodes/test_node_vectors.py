"""Samples of the vectors of node failure and disruption budgets; the full sets are run by `k8sfsm vectors`."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sfsm.verify.vectors.runner import run_file

TARGETS = ("node_condition_taints", "node_monitor", "node_zone_state", "taint_eviction", "pdb_status")


@pytest.mark.parametrize("name", TARGETS)
def test_sample(name: str, data: Path) -> None:
    score = run_file(data / "nodes" / f"{name}.jsonl.gz", keep=1)
    assert score.cases > 20
    assert (score.failed, score.unsupported) == (0, 0), score.failures
