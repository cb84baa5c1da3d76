"""The shipped histories, read once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from k8sfsm.trace.history import Recording
from k8sfsm.trace.lines import open_bytes
from k8sfsm.trace.reading import read_history

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = {
    "01-deploy-create": ROOT / "tests/data/recordings/01-deploy-create",
    "02-scale": ROOT / "tests/data/recordings/02-scale",
    "03-rolling-default": ROOT / "examples/recordings/03-rolling-default",
}
AUDIT = ROOT / "tests/data/recordings/audit-10.jsonl.zst"
NAMESPACE = "10-delete-release-adopt"


@pytest.fixture(scope="session")
def recordings() -> dict[str, Recording]:
    """The recordings by name."""
    return {name: read_history(folder) for name, folder in FOLDERS.items()}


@pytest.fixture(scope="session")
def audit() -> Recording:
    """The audit log's part about one namespace."""
    return read_history(AUDIT, namespace=NAMESPACE)


@pytest.fixture
def lines_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes values as JSON lines (texts as they are) and gives the file."""

    def write(*values: Any, name: str = "file.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join((v if isinstance(v, str) else json.dumps(v)) + "\n" for v in values), "utf-8")
        return path

    return write


def values_of(path: Path) -> list[Any]:
    """The JSON lines of a data file."""
    with open_bytes(path) as source:
        return [json.loads(line) for line in source.read().splitlines()]
