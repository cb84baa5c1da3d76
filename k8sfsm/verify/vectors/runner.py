"""Runs vector files through their adapters."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import zstandard
from attrs import define, field, frozen

from k8sfsm.trace.errors import Line, TraceError
from k8sfsm.verify.vectors import Target, Unsupported, targets

_ENDINGS: Final = (".jsonl", ".jsonl.gz", ".jsonl.zst")


@frozen
class Failure:
    """A case whose output is wrong. `got`: what was computed, or the error that came instead."""

    place: str
    given: Any
    expected: Any
    got: Any


@define
class Score:
    """What became of the cases of one target. `unsupported`: no adapter, or none for that case."""

    cases: int = 0
    passed: int = 0
    failed: int = 0
    unsupported: int = 0
    failures: list[Failure] = field(factory=list)

    @property
    def good(self) -> bool:
        """Whether every case passed."""
        return self.passed == self.cases

    def as_json(self) -> dict[str, int]:
        """The four figures."""
        return {"cases": self.cases, "passed": self.passed, "failed": self.failed, "unsupported": self.unsupported}


def vector_files(path: Path) -> tuple[Path, ...]:
    """The vector files of a folder (or the file itself), by name. Raises TraceError where there are none."""
    if path.is_file():
        return (path,)
    found = tuple(sorted(entry for entry in path.glob("*") if entry.name.endswith(_ENDINGS)))
    if not found:
        raise TraceError(
            Line(str(path)), "the folder has no vector files (*.jsonl, .jsonl.gz, .jsonl.zst)", "name another folder"
        )
    return found


def target_name(path: Path) -> str:
    """The target that a file is about: its name without endings."""
    return path.name.partition(".")[0]


def run_file(path: Path, keep: int = 0, progress: Callable[[int], None] | None = None) -> Score:
    """Run all cases of a file. `keep`: how many failures to keep. Raises TraceError where it is no vector file."""
    adapter = targets().get(target_name(path))
    score = Score()
    for number, case in _cases(path):
        score.cases += 1
        _run_case(adapter, case, f"{path.name}:{number}", score, keep)
        if progress is not None:
            progress(score.cases)
    return score


def _run_case(target: Target | None, case: dict[str, Any], place: str, score: Score, keep: int) -> None:
    if target is None:
        score.unsupported += 1
        return
    try:
        got = target.adapter(case["in"])
        good = target.compare(case["out"], got)
    except Unsupported:
        score.unsupported += 1
        return
    except Exception as error:  # a crash is a failed case, told like any other
        got, good = f"{type(error).__name__}: {error}", False
    if good:
        score.passed += 1
        return
    score.failed += 1
    if len(score.failures) < keep:
        score.failures.append(Failure(place, case["in"], case["out"], got))


def _cases(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open(path) as lines:
        try:
            for number, text in enumerate(lines, start=1):
                if text.strip():
                    yield number, _case(text, path, number)
        except (OSError, EOFError, UnicodeDecodeError, zstandard.ZstdError) as error:
            raise TraceError(
                Line(str(path)), f"expected text lines, the file cannot be read ({error})", "check the file"
            ) from error


def _case(text: str, path: Path, number: int) -> dict[str, Any]:
    try:
        case = json.loads(text)
    except json.JSONDecodeError as error:
        raise TraceError(Line(str(path), number), f"expected a JSON object, {error}", "repair the line") from None
    if not isinstance(case, dict) or "in" not in case or "out" not in case:
        raise TraceError(Line(str(path), number), "expected a JSON object with `in` and `out`", "repair the line")
    return case


def _open(path: Path) -> io.TextIOBase:
    if path.name.endswith(".gz"):
        return io.TextIOWrapper(gzip.open(path), encoding="utf-8")
    if path.name.endswith(".zst"):
        stream = zstandard.ZstdDecompressor().stream_reader(path.open("rb"), closefd=True)
        return io.TextIOWrapper(io.BufferedReader(stream), encoding="utf-8")
    return path.open(encoding="utf-8")
