"""Results of mutants: kept between runs, and shown."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from rich.table import Table

from k8sfsm.spec.mutate import Mutant

JUDGED_BY = ("specs", "tests", "k8sfsm", "cli", "examples", "benchmarks/mutation")
"""What a result depends on."""


def fingerprint(checkout: Path) -> str:
    """A hash of specs, tests and code."""
    digest = hashlib.sha256()
    for folder in JUDGED_BY:
        for file in sorted((checkout / folder).rglob("*")):
            if file.is_file() and "__pycache__" not in file.parts:
                digest.update(f"{file.relative_to(checkout)}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


@define
class Results:
    """The results so far, in a file of JSON lines: one per mutant, the last one counts."""

    file: Path
    tree: str
    known: dict[str, dict[str, Any]] = field(factory=dict)
    killers: dict[str, str] = field(factory=dict)

    @classmethod
    def open(cls, file: Path, tree: str) -> Results:
        """Read what is there; results for another tree only tell which test to ask first."""
        results = cls(file, tree)
        lines = file.read_text("utf-8").splitlines() if file.is_file() else []
        last = {row["id"]: row for row in map(json.loads, filter(_whole, lines))}
        for row in last.values():
            if row["by"] == "test":
                results.killers[row["id"]] = row["what"]
            if row["tree"] == tree:
                results.known[row["key"]] = row
        file.write_text("".join(json.dumps(row) + "\n" for row in last.values()), "utf-8")
        return results

    def key(self, mutant: Mutant) -> str:
        """A hash of mutant and tree."""
        return hashlib.sha256(f"{self.tree} {mutant.id} {mutant.value!r}".encode()).hexdigest()

    def of(self, mutant: Mutant) -> dict[str, Any] | None:
        """The result for this tree, if known."""
        return self.known.get(self.key(mutant))

    def add(self, mutant: Mutant, result: Mapping[str, Any]) -> None:
        """Keep a result at once, so that a run that is broken off goes on from there."""
        row = {"id": mutant.id, "key": self.key(mutant), "tree": self.tree, **result}
        self.known[row["key"]] = row
        with self.file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _whole(line: str) -> bool:
    return line.startswith("{") and line.endswith("}")


@define
class Score:
    """Counts of one room."""

    by_lint: int = 0
    by_tests: int = 0
    survived: int = 0

    @property
    def mutants(self) -> int:
        return self.killed + self.survived

    @property
    def killed(self) -> int:
        return self.by_lint + self.by_tests

    @property
    def percent(self) -> float:
        """Killed of all, in percent; 100 where there are none."""
        return 100.0 * self.killed / self.mutants if self.mutants else 100.0

    def count(self, result: Mapping[str, Any]) -> None:
        """Add one result."""
        self.by_lint += result["by"] == "lint"
        self.by_tests += result["by"] in ("test", "error")
        self.survived += result["by"] == ""

    def as_json(self) -> dict[str, Any]:
        return {
            "mutants": self.mutants,
            "killed": self.killed,
            "killed_by_lint": self.by_lint,
            "killed_by_tests": self.by_tests,
            "survived": self.survived,
            "score": round(self.percent, 2),
        }


@define
class Report:
    """All results of a run."""

    pairs: Sequence[tuple[Mutant, Mapping[str, Any]]]
    rooms: dict[str, Score] = field(factory=dict)
    total: Score = field(factory=Score)

    def __attrs_post_init__(self) -> None:
        for mutant, result in self.pairs:
            self.rooms.setdefault(room_of(mutant), Score()).count(result)
            self.total.count(result)

    def survivors(self) -> Iterable[str]:
        """One line each: where, what, and why nobody noticed."""
        for mutant, result in self.pairs:
            if not result["by"]:
                yield f"{mutant} ({result['what']})"

    def table(self) -> Table:
        """Figures by room and in total."""
        table = Table("room", "mutants", "killed", "by lint", "by tests", "survived", "score")
        for room, score in sorted(self.rooms.items()):
            table.add_row(room, *_cells(score))
        table.add_section()
        table.add_row("all", *_cells(self.total), style="bold")
        return table

    def as_json(self) -> dict[str, Any]:
        return {
            "total": self.total.as_json(),
            "rooms": {room: score.as_json() for room, score in sorted(self.rooms.items())},
            "mutants": [
                {"id": mutant.id, "at": str(mutant.at), "rule": mutant.rule, "says": mutant.says, **_shown(result)}
                for mutant, result in self.pairs
            ],
        }


def _shown(result: Mapping[str, Any]) -> dict[str, Any]:
    return {"killed": bool(result["by"]), **{name: result[name] for name in ("by", "what", "seconds")}}


def _cells(score: Score) -> list[str]:
    figures = (score.mutants, score.killed, score.by_lint, score.by_tests, score.survived)
    return [*map(str, figures), f"{score.percent:.1f} %"]


def room_of(mutant: Mutant) -> str:
    """The room of a mutant's file; `constants` for the constants."""
    return mutant.file.partition("/")[0].removesuffix(".yaml")
