"""A sample of what the real printers of Kubernetes gave; and every row of the tables is needed for it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from k8sfsm.law import Law, forget
from k8sfsm.spec import load_specs, specs_dir
from k8sfsm.spec.loader import ENVIRONMENT
from k8sfsm.spec.mutate import Mutant, mutants, write_mutant
from k8sfsm.verify.vectors import targets

DATA = Path(__file__).parent.parent / "data" / "printer"
TARGETS = ("printer_deployment", "printer_node", "printer_pod", "printer_replicaset", "printer_service")
SAME = {
    "drop-value:kubectl/service-external-ip/inside:0": "a service of an unknown type is told by the last row",
}


@cache
def cases(name: str) -> tuple[Any, ...]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        return tuple(map(json.loads, file))


@pytest.mark.parametrize("name", TARGETS)
def test_vectors(name: str) -> None:
    target = targets()[name]
    for number, case in enumerate(cases(name)):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), f"{name} {number}: expected {case['out']}, got {got}"


def _changes_something(name: str) -> bool:
    target = targets()[name]
    for case in cases(name):
        try:
            if not target.compare(case["out"], target.adapter(case["in"])):
                return True
        except Exception:
            return True
    return False


def _target(mutant: Mutant) -> str:
    table = mutant.rule.split("/")[1]
    return "printer_" + table.split("-")[0]


def _printer_mutants() -> Iterator[Mutant]:
    specs = load_specs(specs_dir(), ["kubectl"])
    for mutant in mutants(evolve(specs, constants={})):
        if mutant.file == "kubectl/printer.yaml" and not mutant.rule.startswith("kubectl/endpoint-port"):
            yield mutant


def test_every_cell_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    (source / "kubectl").mkdir(parents=True)
    for file in ("printer.yaml", "verbs.yaml"):
        (source / "kubectl" / file).write_text((specs_dir() / "kubectl" / file).read_text("utf-8"), "utf-8")
    survivors = []
    every = list(_printer_mutants())
    targets()
    try:
        for number, mutant in enumerate(every):
            copy = tmp_path / str(number)
            write_mutant(mutant, source, copy)
            monkeypatch.setenv(ENVIRONMENT, str(copy))
            Law("kubectl").forget()
            forget()
            if not _changes_something(_target(mutant)):
                survivors.append(mutant.id)
    finally:
        monkeypatch.undo()
        Law("kubectl").forget()
        forget()
    assert survivors == []
