"""A recording in which one write was dropped, doubled or altered does not agree, and the message says where."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from campaign import Report, everything, run
from tampering import Files, Forgery, forgeries, read_files, read_lines

SHIPPED = {
    "01": "tests/data/recordings/01-deploy-create",
    "02": "tests/data/recordings/02-scale",
    "03": "examples/recordings/03-rolling-default",
}
ROOT = Path(__file__).parents[2]
NAMESPACE = "01-deploy-create"
WHOLE = ("drop", "double", "repeat")
HEARTBEATS = ("Node", "nodes")
"""Kinds whose pure heartbeats recordings leave out: one write more or less tells nothing."""


def files_of(name: str) -> Files:
    if name == "raw":
        lines = read_lines(ROOT / "tests/data/replay/audit-01.jsonl.zst")
        return Files(folder=ROOT / "no such folder", namespace=NAMESPACE, audit=lines)
    return read_files(ROOT / SHIPPED[name])


def judged(name: str, made: list[Forgery], folder: Path) -> Report:
    said: list[tuple[Forgery, str]] = []
    report = run(made, folder, NAMESPACE if name == "raw" else "", lambda forgery, text: said.append((forgery, text)))
    assert report.refused == []
    return report


def every(forgery: Forgery, step: int, offset: int = 0) -> bool:
    return (forgery.number + offset) % step == 0


@pytest.mark.parametrize(("name", "step"), [("01", 6), ("02", 29), ("03", 53), ("raw", 11)])
def test_whole_writes(name: str, step: int, tmp_path: Path) -> None:
    """Writes dropped, told twice, or repeated as a new revision."""
    made = [
        forgery
        for forgery in forgeries(files_of(name), random.Random(1), 0)
        if every(forgery, step) and forgery.subject[0] not in HEARTBEATS
    ]
    report = judged(name, made, tmp_path)
    assert len(made) >= 15
    assert [str(forgery) for forgery in report.missed if not _untold(name, forgery)] == []


def _untold(name: str, forgery: Forgery) -> bool:
    """In an audit log: a kubelet's status that the next one repeats, and an Event that is told once."""
    return name == "raw" and forgery.deed == "drop"


@pytest.mark.parametrize(
    ("name", "step", "least"), [("01", 7, 0.95), ("02", 40, 0.95), ("03", 60, 0.95), ("raw", 12, 0.9)]
)
def test_altered_fields(name: str, step: int, least: float, tmp_path: Path) -> None:
    made = [
        forgery
        for forgery in forgeries(files_of(name), random.Random(2), 4)
        if forgery.deed == "alter" and every(forgery, step, 3)
    ]
    report = judged(name, made, tmp_path)
    assert report.told.total() >= least * report.made.total(), [str(forgery) for forgery in report.missed]


@pytest.mark.parametrize("deed", ["drop", "double", "repeat", "alter"])
def test_the_message_names_the_object(deed: str, tmp_path: Path) -> None:
    """Some line names the object that was forged; of an Event, the object that it is about."""
    files = read_files(ROOT / SHIPPED["01"])
    made = [
        forgery
        for forgery in forgeries(files, random.Random(3), 1)
        if forgery.deed == deed and forgery.path[-1:] != ("name",)
    ]
    told = 0
    for number, forgery in enumerate(made[::9]):
        said = everything(forgery.files.write(tmp_path / str(number)))
        if not said:
            continue
        told += 1
        name = forgery.subject[1]
        about = name.rpartition(".")[0] if forgery.subject[0] in ("Event", "events") else name
        assert any(f"/{name}: " in line or f" {name}: " in line or f"/{about}: " in line for line in said), (
            str(forgery),
            said[:3],
        )
    assert told >= 5


@pytest.mark.campaign
@pytest.mark.parametrize("name", ["01", "02", "03", "raw"])
def test_campaign(name: str, tmp_path: Path) -> None:
    """Every write in every way; `pytest -m campaign -s tests/replay` prints the rates."""
    report = judged(name, list(forgeries(files_of(name), random.Random(1), 6)), tmp_path)
    print(f"\n{name}\n{report}")
    for missed in report.missed:
        print(f"  not told: {missed}")
    assert report.told.total() >= 0.95 * report.made.total()
