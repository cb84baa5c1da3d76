"""A short run of `make fuzz-input`: a spoilt file is read, or refused in one line."""

from __future__ import annotations

import random

import pytest

from benchmarks.fuzz_input.__main__ import Tally, campaign, one_case
from benchmarks.fuzz_input.mutate import spoilt_text, spoilt_value
from benchmarks.fuzz_input.targets import TARGETS


@pytest.mark.parametrize("name", list(TARGETS))
def test_spoilt_input_ends_in_no_traceback(name: str) -> None:
    tally = campaign(60, (name,), seed=1_000_000, limit=25)[name]
    assert tally.findings == {}
    assert tally.read + tally.refused == 25


FOUND = [("patches", 1961), ("scenarios", 670), ("audit", 537), ("watch", 297), ("traces", 835)]
FOUND += [
    ("manifests", 3290),
    ("manifests", 3637),
    ("manifests", 7326),
    ("patches", 2111),
    ("specs", 5944),
    ("watch", 4351),
]
"""Cases that ended in a traceback, or in more than a line, once."""


@pytest.mark.parametrize(("name", "case"), FOUND)
def test_what_was_found_is_read_or_refused(name: str, case: int) -> None:
    tally = Tally()
    one_case(name, case, tally)
    assert tally.findings == {} and tally.read + tally.refused == 1


def test_the_same_seed_spoils_alike() -> None:
    text, value = "a: 1\nb: [x, y]\n", {"a": [1, {"b": "c"}], "d": None}
    once, again = (random.Random(7), random.Random(7))
    assert [spoilt_text(once, text, [text]) for _ in range(50)] == [spoilt_text(again, text, [text]) for _ in range(50)]
    assert repr([spoilt_value(once, value) for _ in range(50)]) == repr([spoilt_value(again, value) for _ in range(50)])
    assert value == {"a": [1, {"b": "c"}], "d": None}


def test_what_is_no_clear_line_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(chance: random.Random) -> None:
        raise KeyError("x")

    def silent(chance: random.Random) -> None:
        raise OSError(1, "a\nb", "file")

    tally = Tally()
    for target in (broken, silent):
        monkeypatch.setitem(TARGETS, "manifests", target)
        one_case("manifests", 1, tally)
    assert [title.partition(" at")[0] for title in tally.findings] == ["KeyError", "no line: PermissionError"]
