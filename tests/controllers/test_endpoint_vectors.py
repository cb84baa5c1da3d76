"""A sample of what the real functions of Kubernetes gave."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.verify.vectors import targets

DATA = Path(__file__).parent.parent / "data" / "endpoints"
TARGETS = ("endpoints", "endpoints_repack", "endpointslices", "find_port")


def cases(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        yield from map(json.loads, file)


@pytest.mark.parametrize("name", TARGETS)
def test_vectors(name: str) -> None:
    target = targets()[name]
    for number, case in enumerate(cases(name)):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), f"{name} {number}: expected {case['out']}, got {got}"


@pytest.mark.parametrize("name", TARGETS)
def test_comparison_notices_a_difference(name: str) -> None:
    target = targets()[name]
    first, second = list(cases(name))[:2]
    assert not target.compare(first["out"], target.adapter(second["in"]))
