from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from k8sfsm.spec.unary import ANYTHING, Is, parse_test


@pytest.mark.parametrize(
    ("raw", "holds", "fails"),
    [
        (True, [True], [False, None, "true"]),
        (False, [False], [True, None]),
        (None, [None], [False, 0, ""]),
        ("Failed", ["Failed"], ["failed", None, 0]),
        ("True", ["True"], [True, "true"]),
        ("not found", ["not found"], ["found"]),
        (3, [3], [4, None, "3"]),
        ("3", [3], [4, None, "3"]),
        ('"3"', ["3"], [3]),
        ("", [""], [None, "x"]),
        ("-", [1, None, "x"], []),
        ("< 0", [-1, -0.5], [0, 1, None, "x"]),
        ("<0", [-1], [0]),
        ("<= 3", [3, 2], [4, None]),
        ("> 1", [2], [1, None]),
        (">= 2", [2, 3], [1, None]),
        ("!= x", ["y", None, 1], ["x"]),
        ("!= null", [0, ""], [None]),
        ("!= 5", [4, None], [5]),
        ("!= true", [False, None], [True]),
        ("not [A, B]", ["C", None], ["A", "B"]),
        ("not [1, null]", [2, "1"], [1, None]),
        ("[1..5]", [1, 3, 5], [0, 6, None]),
        ("(1..5]", [2, 5], [1, 6]),
        ("[1..5)", [1, 4], [5]),
        ("[-2..0]", [-2, 0], [1]),
        (["A", "B"], ["A", "B"], ["C", None]),
        (["A", "> 5", None], ["A", 6, None], ["B", 5]),
    ],
)
def test_cells_hold(raw: Any, holds: list[Any], fails: list[Any]) -> None:
    test = parse_test(raw)
    assert [value for value in holds if not test.holds(value)] == []
    assert [value for value in fails if test.holds(value)] == []


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("< x", "'x' after '<' is no number, expected for example \"< 0\""),
        (">=", "nothing after '>=', expected a value"),
        ("== 3", "'== 3' is no test, expected just the value: 3"),
        ("[5..1]", "the interval '[5..1]' is empty, expected the lower number first"),
        ("[a..b]", "'[a..b]' is no interval of numbers, expected for example \"[1..5]\""),
        ("[A, B]", "'[A, B]' is no interval; expected \"[1..5]\", or a YAML list without quotes"),
        ("not []", "'not []' has an empty place in its list, expected for example \"not [A, B]\""),
        ([], "an empty list holds for nothing, expected at least one value"),
        ({}, "a mapping is no test, expected a value, a list of values or an operator text"),
    ],
)
def test_bad_cells_say_what_was_expected(raw: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_test(raw)
    assert str(caught.value) == message


@given(st.one_of(st.none(), st.booleans(), st.integers(), st.text()))
def test_anything_holds_for_everything(value: Any) -> None:
    assert ANYTHING.holds(value)


@given(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-20, 20),
        st.sampled_from(["A", "", "-x", "< 3", "[1..5]", "not [A, B]", "!= x", "(0..2)"]),
    )
)
def test_a_test_reads_back_from_its_text(raw: Any) -> None:
    test = parse_test(raw)
    if isinstance(test, Is) and not isinstance(test.value, str):
        assert parse_test(raw) == test
    else:
        assert parse_test(str(test)) == test
