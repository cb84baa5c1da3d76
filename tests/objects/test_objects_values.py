"""Quantities, selectors, percentages, times and durations: real cases, and properties."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from objects_files import json_lines

from k8sfsm.objects import (
    ZERO,
    FieldSelector,
    FieldTerm,
    LabelSelector,
    LabelSelectorRequirement,
    PercentError,
    Quantity,
    QuantityError,
    Selector,
    SelectorError,
    format_duration,
    format_label_selector,
    format_micro_time,
    format_time,
    human_duration,
    label_key_errors,
    label_value_errors,
    parse_duration,
    parse_field_selector,
    parse_selector,
    parse_time,
    scaled_value,
)
from k8sfsm.objects.durations import SECOND
from k8sfsm.verify.vectors import targets

NAMES = [
    "quantity",
    "quantity_arith",
    "intstr_percent",
    "label_selector_parse",
    "label_selector_object",
    "field_selector_parse",
    "human_duration",
]
SUFFIXES = ["", "n", "u", "m", "k", "M", "G", "Ki", "Mi", "Gi", "Ti", "e3", "E-2", "e0"]
numbers = st.decimals(min_value=-(10**9), max_value=10**9, places=3, allow_nan=False, allow_infinity=False)
quantities = st.builds(lambda number, suffix: f"{number:f}{suffix}", numbers, st.sampled_from(SUFFIXES))
words = st.text("abcxyz019", min_size=1, max_size=5)
labels = st.dictionaries(st.sampled_from(["app", "tier", "example.com/zone"]), st.sampled_from(["", "a", "b", "7"]))


@pytest.mark.parametrize("name", NAMES)
def test_real_cases(name: str) -> None:
    target = targets()[name]
    for case in json_lines(name):
        got = target.adapter(case["in"])
        assert target.compare(case["out"], got), (case, got)


@pytest.mark.parametrize("case", json_lines("quantity_internals"), ids=lambda case: case["in"])
def test_internals_are_those_of_go(case: dict[str, Any]) -> None:
    internals = Quantity.parse(case["in"]).internals
    value, scale, is_decimal, cached, format = case["out"]
    assert internals[:2] == (value, scale)
    assert (internals.decimal is not None) is is_decimal
    assert internals[3:] == (cached, format)


def exact(text: str) -> Fraction:
    quantity = Quantity.parse(text)
    return Fraction(quantity.unscaled) * Fraction(10) ** quantity.scale


@given(quantities)
def test_the_canonical_text_is_the_same_quantity(text: str) -> None:
    quantity = Quantity.parse(text)
    again = Quantity.parse(str(quantity))
    assert again == quantity
    assert str(again) == str(quantity)
    assert hash(again) == hash(quantity)
    assert quantity.text == text


@given(quantities, quantities)
def test_arithmetic_is_exact(a: str, b: str) -> None:
    left, right = Quantity.parse(a), Quantity.parse(b)
    assert (left + right) - right == left
    assert left - left == ZERO
    negative = -left
    assert -negative == left
    assert (left < right) is (exact(a) < exact(b))
    assert (left == right) is (exact(a) == exact(b))
    assert left.cmp(right) == -right.cmp(left)
    total = left + right
    assert Fraction(total.unscaled) * Fraction(10) ** total.scale == exact(a) + exact(b)


@given(st.integers(0, 10**15), st.sampled_from(["", "m", "k", "Ki", "Mi"]))
def test_values_round_up(number: int, suffix: str) -> None:
    quantity = Quantity.parse(f"{number}{suffix}")
    assert quantity.value == -(-exact(f"{number}{suffix}") // 1)
    assert bool(quantity) is (number != 0)
    assert Quantity.of(quantity.value).value == quantity.value
    assert Quantity.of_milli(number).milli_value == number


@given(st.text("0123456789.+-eEinumkKMGTP", max_size=12))
def test_any_text_is_a_quantity_or_refused(text: str) -> None:
    try:
        quantity = Quantity.parse(text)
    except QuantityError:
        return
    assert quantity.cmp(quantity) == 0
    str(quantity)


@pytest.mark.parametrize("text", ["1e99999999", "1e-99999999", "1" * 5000, "0." + "1" * 5000])
def test_enormous_quantities_are_refused_at_once(text: str) -> None:
    with pytest.raises(QuantityError):
        Quantity.parse(text)


def test_equal_quantities_in_other_notations() -> None:
    assert Quantity.parse("1Gi") == Quantity.parse("1073741824") != Quantity.parse("1G")
    assert Quantity.parse("0.5") == Quantity.parse("500m")
    assert Quantity.parse("1") != 1
    assert len({Quantity.parse("1000m"), Quantity.parse("1"), Quantity.parse("0.001k")}) == 1


requirements = st.one_of(
    st.builds("{}={}".format, words, words),
    st.builds("{}!={}".format, words, words),
    st.builds("{} in ({})".format, words, st.lists(words, min_size=1).map(",".join)),
    st.builds("{} notin ({})".format, words, st.lists(words, min_size=1).map(",".join)),
    st.builds("!{}".format, words),
    words,
    st.builds("{}>{}".format, words, st.integers(0, 99)),
)


@given(st.lists(requirements, max_size=4), labels)
def test_canonical_selectors_are_stable(parts: list[str], having: dict[str, str]) -> None:
    selector = parse_selector(",".join(parts))
    again = parse_selector(str(selector))
    assert again == selector
    assert again.matches(having) is selector.matches(having)
    assert selector.matches(having) is all(parse_selector(part).matches(having) for part in parts)


@given(labels, labels)
def test_selectors_of_labels(wanted: dict[str, str], having: dict[str, str]) -> None:
    selector = Selector.of_labels(wanted)
    assert selector.matches(having) is all(having.get(key) == value for key, value in wanted.items())
    assert selector == Selector.of(LabelSelector(match_labels=wanted))
    assert selector.empty is (not wanted)


@given(st.text("abin(),=!<> \tot", max_size=14))
def test_any_text_is_a_selector_or_refused(text: str) -> None:
    try:
        selector = parse_selector(text)
    except SelectorError as error:
        assert "\n" not in str(error)
        return
    assert parse_selector(str(selector)) == selector


def test_none_selects_nothing_and_empty_everything() -> None:
    assert not Selector.of(None).matches({})
    assert not Selector.of(None).empty
    assert Selector.of(LabelSelector()).matches({"a": "b"})
    wrong = LabelSelector(match_expressions=(LabelSelectorRequirement(key="a/b/c", operator="Exists"),))
    with pytest.raises(SelectorError, match='key: Invalid value: "a/b/c"'):
        Selector.of(wrong)
    assert format_label_selector(wrong) == "<error>"
    assert format_label_selector(None) == "<none>"


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        ("", "name part must be non-empty"),
        ("/x", "prefix part must be non-empty"),
        ("UP/x", "prefix part a lowercase RFC 1123 subdomain"),
        ("a/b/c", "a valid label key must consist"),
        ("x" * 64, "name part must be no more than 63 bytes"),
        ("d" * 254 + "/x", "prefix part must be no more than 253 bytes"),
        ("-x", "name part must consist of alphanumeric"),
        ("x\n", "name part must consist of alphanumeric"),
    ],
)
def test_wrong_label_keys(key: str, complaint: str) -> None:
    assert any(error.startswith(complaint) for error in label_key_errors(key))


def test_right_labels() -> None:
    assert label_key_errors("example.com/My-name_1.x") == []
    assert label_value_errors("") == label_value_errors("a" * 63) == []
    assert label_value_errors("a" * 64) == ["must be no more than 63 bytes"]


@given(st.lists(st.tuples(words, st.text("ab\\,=", max_size=4), st.booleans()), max_size=3))
def test_field_selectors_come_back(terms: list[tuple[str, str, bool]]) -> None:
    selector = FieldSelector(tuple(FieldTerm(*term) for term in terms))
    again = parse_field_selector(str(selector))
    assert sorted(map(str, again.terms)) == sorted(map(str, selector.terms))
    assert parse_field_selector(str(again)) == again


@pytest.mark.parametrize("text", ["a=\\x", "a=b\\", "a"])
def test_wrong_field_selectors(text: str) -> None:
    with pytest.raises(SelectorError, match="invalid"):
        parse_field_selector(text)


@given(st.integers(0, 100), st.integers(0, 10_000))
def test_percentages_round_apart_by_one_at_most(percent: int, total: int) -> None:
    up = scaled_value(f"{percent}%", total, round_up=True)
    down = scaled_value(f"{percent}%", total, round_up=False)
    assert 0 <= up - down <= 1
    assert down <= percent * total / 100 <= up
    assert scaled_value(percent, total, round_up=True) == percent


@pytest.mark.parametrize("value", [None, "5", "x%", "99999999999999999999%"])
def test_wrong_percentages(value: str | None) -> None:
    with pytest.raises(PercentError):
        scaled_value(value, 10, round_up=True)


@given(st.integers(-(10**18), 10**19))
def test_times_come_back(time: int) -> None:
    assert parse_time(format_time(time)) == time // SECOND * SECOND
    assert parse_time(format_micro_time(time)) == time // 1000 * 1000


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1970-01-01T00:00:00.000000001Z", 1),
        ("2026-01-15T12:00:00Z", 1_768_478_400 * SECOND),
        ("2024-02-29T23:59:59.5Z", 1_709_251_199 * SECOND + SECOND // 2),
    ],
)
def test_times(text: str, time: int) -> None:
    assert parse_time(text) == time


@pytest.mark.parametrize(
    "text", ["", "2026-01-15", "2026-01-15T12:00:00", "2026-13-01T00:00:00Z", "2026-01-15 12:00:00Z"]
)
def test_wrong_times(text: str) -> None:
    with pytest.raises(ValueError, match=r"RFC 3339|month"):
        parse_time(text)


@given(st.integers(-(2**62), 2**62))
def test_durations_come_back(duration: int) -> None:
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (2_000_000, "2ms"),
        (90 * SECOND, "1m30s"),
        (3600 * SECOND, "1h0m0s"),
        (-SECOND // 2, "-500ms"),
        (3601 * SECOND + SECOND // 4, "1h0m1.25s"),
    ],
)
def test_durations(duration: int, text: str) -> None:
    assert format_duration(duration) == text
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "invalid duration"),
        ("3", "missing unit"),
        ("3x", "unknown unit"),
        ("1.5.5s", "missing unit|invalid"),
        (".s", "invalid"),
        ("9999999999h", "invalid"),
    ],
)
def test_wrong_durations(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_duration(text)


@given(st.integers(-1, 10**10))
def test_ages_are_never_rounded_up(seconds: int) -> None:
    assume(seconds >= 0)
    shown = human_duration(seconds * SECOND)
    units = {"y": 365 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
    total, number = 0, ""
    for character in shown:
        if character.isdigit():
            number += character
        else:
            total, number = total + int(number) * units[character], ""
    assert total <= seconds
    assert Decimal(seconds - total) <= max(59, seconds // 2)


def test_ages_in_the_future() -> None:
    assert human_duration(-SECOND) == "0s"
    assert human_duration(-SECOND * 3 // 2) == "0s"
    assert human_duration(-2 * SECOND) == "<invalid>"
