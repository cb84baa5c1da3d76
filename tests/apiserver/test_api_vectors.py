"""Samples of what the real API server makes of objects; the full sets are run by `k8sfsm vectors`."""

from __future__ import annotations

from pathlib import Path

import pytest

from k8sfsm.verify.vectors.runner import run_file

SAMPLES = {
    "api_create_deployment": 133,
    "api_create_pod": 169,
    "api_create_replicaset": 94,
    "api_create_service": 106,
    "api_update_deployment": 131,
    "api_update_pod": 171,
    "api_update_service": 77,
    "limitrange_pod": 300,
    "quota_pod_usage": 200,
}


@pytest.mark.parametrize("name", SAMPLES)
def test_vectors(name: str, data: Path) -> None:
    score = run_file(data / "apiserver" / f"{name}.jsonl.gz", keep=1)
    assert score.cases == SAMPLES[name] and score.good, score.failures
