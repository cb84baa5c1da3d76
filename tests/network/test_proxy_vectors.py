"""A sample of what the real proxier of Kubernetes wrote: each rule of the tables and each set of rules occurs in it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

from k8sfsm.verify.vectors import targets

DATA = Path(__file__).parent.parent / "data" / "proxy"
TARGETS = ("iptables_chain_names", "iptables_sync")


def cases(name: str) -> Iterator[dict[str, Any]]:
    with (DATA / f"{name}.jsonl.zst").open("rb") as file:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        yield from map(json.loads, text)


@pytest.mark.parametrize("name", TARGETS)
def test_vectors(name: str) -> None:
    target = targets()[name]
    for number, case in enumerate(cases(name)):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), f"{name} {number}"


@pytest.mark.parametrize("name", TARGETS)
def test_comparison_notices_a_difference(name: str) -> None:
    target = targets()[name]
    first, second = list(cases(name))[:2]
    assert not target.compare(first["out"], target.adapter(second["in"]))


def test_a_chain_too_many_is_noticed() -> None:
    target = targets()["iptables_sync"]
    case = next(cases("iptables_sync"))
    got = target.adapter(case["in"])
    got["tables"]["nat"]["KUBE-SVC-AAAAAAAAAAAAAAAA"] = []
    assert not target.compare(case["out"], got)
