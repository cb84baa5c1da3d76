"""The garbage collector against the real one's decisions."""

from __future__ import annotations

from pathlib import Path

from k8sfsm.verify.vectors.runner import run_file


def test_decisions_of_the_real_garbage_collector(data: Path) -> None:
    score = run_file(data / "garbagecollector" / "gc_decision.jsonl.gz", keep=1)
    assert score.cases == 800 and score.good, score.failures
