"""Unary tests: the cells of decision tables.

A cell is a value (equality), a list (any of), ``"-"`` (anything) or a text with an operator: ``"< 0"``, ``"<= 3"``,
``"> 1"``, ``">= 2"``, ``"!= x"``, ``"not [A, B]"``, ``"[1..5]"`` (round brackets leave the end out). As in DMN a
number in quotes is the number; a text in quotes inside the quotes (``'"0"'``) stays a text.
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

from attrs import frozen

Number: TypeAlias = int | float

_NUMBER = re.compile(r"[-+]?\d+(\.\d+)?\Z")
_COMPARISON = re.compile(r"(<=|>=|<|>|!=|==|=)\s*(.*)\Z", re.DOTALL)
_INTERVAL = re.compile(r"([\[(])\s*(.+?)\s*\.\.\s*(.+?)\s*([\])])\Z")
_NOT_LIST = re.compile(r"not\s*\[(.*)\]\Z", re.DOTALL)


def is_number(value: object) -> bool:
    """True for ints and floats that are no bools."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@frozen
class Anything:
    """Holds for every value: ``-``."""

    def holds(self, value: Any) -> bool:
        """Whether the test holds for `value`."""
        return True

    def points(self) -> tuple[Any, ...]:
        """The values that the test names."""
        return ()

    def bounds(self) -> tuple[Number, ...]:
        """The numbers where the test may change its mind."""
        return ()

    def __str__(self) -> str:
        return "-"


@frozen
class Is:
    """Holds for values equal to `value`."""

    value: Any

    def holds(self, value: Any) -> bool:
        """Whether the test holds for `value`."""
        return bool(value == self.value)

    def points(self) -> tuple[Any, ...]:
        """The values that the test names."""
        return (self.value,)

    def bounds(self) -> tuple[Number, ...]:
        """The numbers where the test may change its mind."""
        return (self.value,) if is_number(self.value) else ()

    def __str__(self) -> str:
        return literal_text(self.value)


@frozen
class Compares:
    """Holds for numbers on one side of `bound`; never for None or a text."""

    operator: str
    bound: Number

    def holds(self, value: Any) -> bool:
        """Whether the test holds for `value`."""
        if not isinstance(value, int | float):
            return False
        match self.operator:
            case "<":
                return value < self.bound
            case "<=":
                return value <= self.bound
            case ">":
                return value > self.bound
            case _:
                return value >= self.bound

    def points(self) -> tuple[Any, ...]:
        """The values that the test names."""
        return ()

    def bounds(self) -> tuple[Number, ...]:
        """The numbers where the test may change its mind."""
        return (self.bound,)

    def __str__(self) -> str:
        return f"{self.operator} {self.bound}"


@frozen
class Within:
    """Holds for numbers from `low` to `high`, with or without each end."""

    low: Number
    high: Number
    with_low: bool
    with_high: bool

    def holds(self, value: Any) -> bool:
        """Whether the test holds for `value`."""
        if not isinstance(value, int | float):
            return False
        above = value > self.low or (self.with_low and value == self.low)
        below = value < self.high or (self.with_high and value == self.high)
        return above and below

    def points(self) -> tuple[Any, ...]:
        """The values that the test names."""
        return ()

    def bounds(self) -> tuple[Number, ...]:
        """The numbers where the test may change its mind."""
        return (self.low, self.high)

    def __str__(self) -> str:
        return f"{'[' if self.with_low else '('}{self.low}..{self.high}{']' if self.with_high else ')'}"


@frozen
class OneOf:
    """Holds where any of `tests` holds."""

    tests: tuple[Test, ...]

    def holds(self, value: Any) -> bool:
        """Whether the test holds for `value`."""
        return any(test.holds(value) for test in self.tests)

    def points(self) -> tuple[Any, ...]:
        """The values that the test names."""
        return tuple(point for test in self.tests for point in test.points())

    def bounds(self) -> tuple[Number, ...]:
        """The numbers where the test may change its mind."""
        return tuple(bound for test in self.tests for bound in test.bounds())

    def __str__(self) -> str:
        return "[" + ", ".join(map(str, self.tests)) + "]"


@frozen
class Not:
    """Holds where `test` does not."""

    test: Test

    def holds(self, value: Any) -> bool:
        """Whether the test holds for `value`."""
        return not self.test.holds(value)

    def points(self) -> tuple[Any, ...]:
        """The values that the test names."""
        return self.test.points()

    def bounds(self) -> tuple[Number, ...]:
        """The numbers where the test may change its mind."""
        return self.test.bounds()

    def __str__(self) -> str:
        return f"!= {self.test}" if isinstance(self.test, Is) else f"not {self.test}"


Test: TypeAlias = Anything | Is | Compares | Within | OneOf | Not
ANYTHING = Anything()


def literal_text(value: Any) -> str:
    """A value as it is written in a cell."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and (value == "" or value == "-" or _NUMBER.match(value)):
        return f'"{value}"'
    return str(value)


def _number(text: str) -> Number | None:
    if not _NUMBER.match(text):
        return None
    return float(text) if "." in text else int(text)


def _operand(text: str) -> Any:
    """The value that a word inside an operator text stands for."""
    words = {"null": None, "true": True, "false": False}
    if text in words:
        return words[text]
    if len(text) >= 2 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    number = _number(text)
    return text if number is None else number


def _comparison(operator: str, rest: str) -> Test:
    if not rest:
        raise ValueError(f"nothing after '{operator}', expected a value")
    if operator == "!=":
        return Not(Is(_operand(rest)))
    if operator in ("=", "=="):
        raise ValueError(f"'{operator} {rest}' is no test, expected just the value: {rest}")
    number = _number(rest)
    if number is None:
        raise ValueError(f"'{rest}' after '{operator}' is no number, expected for example \"{operator} 0\"")
    return Compares(operator, number)


def _interval(match: re.Match[str]) -> Test:
    low, high = _number(match[2]), _number(match[3])
    if low is None or high is None:
        raise ValueError(f"'{match[0]}' is no interval of numbers, expected for example \"[1..5]\"")
    if low > high:
        raise ValueError(f"the interval '{match[0]}' is empty, expected the lower number first")
    return Within(low, high, match[1] == "[", match[4] == "]")


def _text_test(text: str) -> Test:
    if text == "-":
        return ANYTHING
    if match := _INTERVAL.match(text):
        return _interval(match)
    if match := _NOT_LIST.match(text):
        words = [word.strip() for word in match[1].split(",")]
        if words == [""] or "" in words:
            raise ValueError(f"'{text}' has an empty place in its list, expected for example \"not [A, B]\"")
        return Not(OneOf(tuple(Is(_operand(word)) for word in words)))
    if match := _COMPARISON.match(text):
        return _comparison(match[1], match[2].strip())
    if text.startswith("["):
        raise ValueError(f"'{text}' is no interval; expected \"[1..5]\", or a YAML list without quotes")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return Is(text[1:-1])
    number = _number(text)
    return Is(text if number is None else number)


def parse_test(raw: Any) -> Test:
    """The test that a cell's YAML value means.

    Raises ValueError whose text says what is wrong and what was expected.
    """
    if isinstance(raw, str):
        return _text_test(raw)
    if isinstance(raw, list):
        if not raw:
            raise ValueError("an empty list holds for nothing, expected at least one value")
        return OneOf(tuple(parse_test(item) for item in raw))
    if isinstance(raw, dict):
        raise ValueError("a mapping is no test, expected a value, a list of values or an operator text")
    return Is(raw)
