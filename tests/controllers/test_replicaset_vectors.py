"""A sample of what the real functions of Kubernetes gave."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.verify.vectors import targets

DATA = Path(__file__).parent.parent / "data" / "replicaset"
TARGETS = (
    "pod_ready_available",
    "replicaset_claim",
    "replicaset_delete_order",
    "replicaset_slowstart",
    "replicaset_status",
    "replicaset_sync",
)


def lines(name: str) -> Iterator[Any]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


@pytest.mark.parametrize("name", TARGETS)
def test_vectors(name: str) -> None:
    target = targets()[name]
    for number, case in enumerate(lines(name)):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), f"{name} {number}: expected {case['out']}, got {got}"
