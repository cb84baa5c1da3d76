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
