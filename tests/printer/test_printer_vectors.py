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
from test_printer_rows import SLICES, part

from k8sfsm.law import Law, forget
from k8sfsm.printer import row_of
from k8sfsm.spec import load_specs, specs_dir
from k8sfsm.spec.loader import ENVIRONMENT
from k8sfsm.spec.mutate import Mutant, mutants, write_mutant
from k8sfsm.verify.vectors import targets

DATA = Path(__file__).parent.parent / "data" / "printer"
TARGETS = ("printer_deployment", "printer_node", "printer_pod", "printer_replicaset", "printer_service")
UNKNOWN_TYPE = {
    "in": {"now": "2026-01-15T12:00:00Z", "service": {"metadata": {"name": "a"}, "spec": {"clusterIPs": ["10.0.0.1"]}}},
    "out": {
        "narrow": {"cells": ["a", "", "10.0.0.1", "<unknown>", "<none>", "<unknown>"]},
        "wide": {"cells": ["a", "", "10.0.0.1", "<unknown>", "<none>", "<unknown>", "<none>"]},
    },
}
"""A type that the API server does not let through, which the vectors lack."""

NOW = "2026-01-15T12:00:00Z"


def pod(ready: str, status: str, restarts: str, **parts: Any) -> Any:
    """A case that the vectors lack: a Pod with an init container `i` and the container statuses given."""
    spec = {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]}
    statuses = {f"{part}Statuses": [_container(**each) for each in found] for part, found in parts.items()}
    cells = ["p", ready, status, restarts, "<unknown>", "<none>", "<none>", "<none>", "<none>"]
    given = {"metadata": {"name": "p"}, "spec": spec, "status": {"phase": "Running", **statuses}}
    return {"in": {"now": NOW, "pod": given}, "out": {"cells": cells}}


def _container(name: str, restarts: int = 0, ready: bool = False, **state: Any) -> Any:
    return {"name": name, "restartCount": restarts, "ready": ready, "state": state}


KILLED = {"exitCode": 137, "signal": 9}
UNSEEN_PODS = (
    pod(
        "0/2",
        "Init:Error",
        "0",
        initContainer=[{"name": "i", "ready": True, "terminated": {"exitCode": 1, "reason": "Error"}}],
    ),
    pod("0/2", "Init:Signal:9", "0", initContainer=[{"name": "i", "ready": True, "terminated": KILLED}]),
    pod("0/2", "Init:ExitCode:3", "0", initContainer=[{"name": "i", "ready": True, "terminated": {"exitCode": 3}}]),
    pod(
        "0/2",
        "Init:Late",
        "2",
        initContainer=[{"name": "i", "ready": True, "restarts": 2, "waiting": {"reason": "Late"}}],
    ),
    pod("0/2", "Init:0/1", "0", initContainer=[{"name": "i", "waiting": {"reason": "PodInitializing"}}]),
    pod(
        "0/2",
        "Signal:9",
        "0",
        container=[
            {"name": "a", "terminated": {"exitCode": 0, "reason": "Completed"}},
            {"name": "b", "terminated": KILLED},
        ],
    ),
    pod("1/2", "Running", "4", container=[{"name": "a", "restarts": 4, "ready": True, "running": {}}]),
)


@cache
def cases(name: str) -> tuple[Any, ...]:
    with gzip.open(DATA / f"{name}.jsonl.gz", "rt") as file:
        found = tuple(map(json.loads, file))
    return found + {"printer_service": (UNKNOWN_TYPE,), "printer_pod": UNSEEN_PODS}.get(name, ())


@pytest.mark.parametrize("name", TARGETS)
def test_vectors(name: str) -> None:
    target = targets()[name]
    for number, case in enumerate(cases(name)):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), f"{name} {number}: expected {case['out']}, got {got}"


def _changes_something(name: str) -> bool:
    if name == "printer_endpoint":
        return any(not _slice_as_expected(*row) for row in SLICES)
    target = targets()[name]
    for case in cases(name):
        try:
            if not target.compare(case["out"], target.adapter(case["in"])):
                return True
        except Exception:
            return True
    return False


def _slice_as_expected(ports: Any, addresses: Any, *shown: str) -> bool:
    try:
        return row_of(part(ports, addresses), 0)[2:4] == list(shown)
    except Exception:
        return False


def _target(mutant: Mutant) -> str:
    table = mutant.rule.split("/")[1]
    return "printer_" + table.split("-")[0]


def _printer_mutants() -> Iterator[Mutant]:
    specs = load_specs(specs_dir(), ["kubectl"])
    for mutant in mutants(evolve(specs, constants={})):
        if mutant.file == "kubectl/printer.yaml":
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
    assert survivors == [], "\n".join(survivors)
