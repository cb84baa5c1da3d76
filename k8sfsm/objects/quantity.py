"""Amounts of a resource: exact decimal numbers with a unit, `500m`, `1.5Gi`, `2e3`.

Source: staging/src/k8s.io/apimachinery/pkg/api/resource/quantity.go, amount.go, math.go, suffix.go

Go keeps a quantity in one of two forms, and a few results depend on which: a 64-bit number with a decimal
scale (`i`), or a decimal of any length (`d`). Both are `unscaled * 10 ** scale` here, and `is_decimal` tells
which one Go would hold.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache, total_ordering
from typing import Final, Literal, NamedTuple, TypeAlias

from attrs import frozen

Format: TypeAlias = Literal["DecimalSI", "BinarySI", "DecimalExponent", ""]

_NANO: Final = -9
_MAX_DIGITS: Final = 18
_INT64_DIGITS: Final = 19
_SMALLEST_FLOAT: Final = -323
_LARGEST_FLOAT: Final = 308
_ENOUGH: Final = 4_000
_MAX_INT64: Final = 2**63 - 1
_MIN_INT64: Final = -(2**63)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}
_BINARY: Final = {"Ki": 10, "Mi": 20, "Gi": 30, "Ti": 40, "Pi": 50, "Ei": 60}
_DECIMAL_SUFFIX: Final = {exponent: suffix for suffix, exponent in _DECIMAL.items()}
_BINARY_SUFFIX: Final = {exponent: suffix for suffix, exponent in _BINARY.items()}
_SHAPE: Final = re.compile(r"([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)", re.ASCII)
_EXPONENT: Final = re.compile(r"[eE][+-]?[0-9]+", re.ASCII)

FORMAT_WRONG: Final = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
NUMERIC_WRONG: Final = "unable to parse numeric part of quantity"
SUFFIX_WRONG: Final = "unable to parse quantity's suffix"


class QuantityError(ValueError):
    """A text is not a quantity; the message is the API server's."""


class Internals(NamedTuple):
    """The fields of Go's struct: what `dump.ForHash` prints of a quantity.

    `value`, `scale`: the 64-bit amount (0, 0 where the decimal is in use). `decimal`: (unscaled, inf.Dec scale,
    that is the number of digits after the point) or None. `s`: the text that Go caches.
    """

    value: int
    scale: int
    decimal: tuple[int, int] | None
    s: str
    format: Format


@total_ordering
@frozen(eq=False, repr=False, weakref_slot=False)
class Quantity:
    """An exact amount. Two quantities are equal when their values are, whatever their notation.

    `text` is what it was read from ("" for a computed one); `cached` the text that Go would keep.
    """

    unscaled: int = 0
    scale: int = 0
    format: Format = "DecimalSI"
    is_decimal: bool = False
    cached: str = ""
    text: str = ""

    @staticmethod
    def parse(text: str) -> Quantity:
        """Read a quantity. Raises QuantityError. Source: resource/quantity.go: ParseQuantity.

        Numbers of more than 4000 digits, which Go would work on for minutes, are refused.
        """
        return _parse(text)

    @staticmethod
    def of(value: int, format: Format = "DecimalSI") -> Quantity:
        """A whole number of units. Source: resource/quantity.go: NewQuantity."""
        return Quantity(value, 0, format)

    @staticmethod
    def of_milli(value: int, format: Format = "DecimalSI") -> Quantity:
        """A whole number of thousandths. Source: resource/quantity.go: NewMilliQuantity."""
        return Quantity(value, -3, format)

    @property
    def internals(self) -> Internals:
        """The values of Go's unexported fields."""
        if self.is_decimal:
            return Internals(0, 0, (self.unscaled, -self.scale), self.cached, self.format)
        return Internals(self.unscaled, self.scale, None, self.cached, self.format)

    @property
    def sign(self) -> int:
        """-1, 0 or 1."""
        return (self.unscaled > 0) - (self.unscaled < 0)

    @property
    def value(self) -> int:
        """Whole units, rounded up. Source: resource/quantity.go: Value."""
        return self.scaled_value(0)

    @property
    def milli_value(self) -> int:
        """Thousandths, rounded up. Source: resource/quantity.go: MilliValue."""
        return self.scaled_value(-3)

    def scaled_value(self, scale: int) -> int:
        """Multiples of 10**scale, rounded up (away from zero in the 64-bit form). Source: quantity.go: ScaledValue."""
        shift = self.scale - scale
        if self.is_decimal:
            return _scaled_decimal(self.unscaled, shift)
        if shift < 0:
            return _away_from_zero(self.unscaled, _pow10(-shift))
        if shift > _MAX_DIGITS:
            return 0
        result = self.unscaled * _pow10(shift)
        return result if _fits(result) else 0

    def approximate_float(self) -> float:
        """The nearest number that Go's arithmetic gives. Source: quantity.go: AsApproximateFloat64."""
        try:
            base = float(self.unscaled)
        except OverflowError:
            base = math.copysign(math.inf, self.unscaled)
        return base * _float_pow10(self.scale) if self.scale else base

    def round_up(self, scale: int) -> tuple[Quantity, bool]:
        """Drop digits below 10**scale, away from zero; True when nothing was lost. Source: quantity.go: RoundUp."""
        if self.scale < scale:
            divisor = _pow10(scale - self.scale)
            rounded = _away_from_zero(self.unscaled, divisor)
            return Quantity(rounded, scale, self.format, self.is_decimal), self.unscaled % divisor == 0
        if not self.is_decimal:
            return self, True
        return Quantity(self.unscaled * _pow10(self.scale - scale), scale, self.format, True), True

    def __add__(self, other: Quantity) -> Quantity:
        """Source: resource/quantity.go: Add."""
        format = other.format if self.unscaled == 0 else self.format
        return _sum(self, other.unscaled, other, format)

    def __sub__(self, other: Quantity) -> Quantity:
        """Source: resource/quantity.go: Sub."""
        format = other.format if self.unscaled == 0 else self.format
        return _sum(self, -other.unscaled, other, format)

    def __neg__(self) -> Quantity:
        """Source: resource/quantity.go: Neg."""
        return Quantity(-self.unscaled, self.scale, self.format, self.is_decimal)

    def cmp(self, other: Quantity) -> int:
        """-1, 0 or 1: less, equal, more. Source: resource/quantity.go: Cmp."""
        scale = min(self.scale, other.scale)
        left = self.unscaled * _pow10(self.scale - scale)
        right = other.unscaled * _pow10(other.scale - scale)
        return (left > right) - (left < right)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quantity):
            return NotImplemented
        if self.scale == other.scale:
            return self.unscaled == other.unscaled
        return self.cmp(other) == 0

    def __lt__(self, other: Quantity) -> bool:
        return self.cmp(other) < 0

    def __hash__(self) -> int:
        return hash(_without_tens(self.unscaled, self.scale))

    def __bool__(self) -> bool:
        """False for zero."""
        return self.unscaled != 0

    def __str__(self) -> str:
        """The canonical text, as the API server writes it. Source: resource/quantity.go: String, CanonicalizeBytes."""
        return self.cached or _canonical(self)

    def __repr__(self) -> str:
        return f"Quantity({str(self)!r})"


ZERO: Final = Quantity(cached="0", text="0")


@lru_cache(maxsize=4096)
def _parse(text: str) -> Quantity:
    if text == "0":
        return ZERO
    match = _SHAPE.fullmatch(text) if text else None
    if match is None:
        raise QuantityError(FORMAT_WRONG)
    sign, digits, fraction, suffix = match.groups(default="")
    base, exponent, format = _interpret(suffix)
    if len(text) > _ENOUGH or abs(exponent) > _ENOUGH:
        raise QuantityError(NUMERIC_WRONG)
    negative = sign == "-"
    whole = digits or "0"
    fast = _parse_fast(whole, fraction, base, exponent, format, negative, text)
    return fast if fast is not None else _parse_slow(text, base, exponent, format)


def _interpret(suffix: str) -> tuple[int, int, Format]:
    """(base, exponent, format) of a suffix. Source: resource/suffix.go: interpret."""
    if suffix in _DECIMAL:
        return 10, _DECIMAL[suffix], "DecimalSI"
    if suffix in _BINARY:
        return 2, _BINARY[suffix], "BinarySI"
    if _EXPONENT.fullmatch(suffix) is None or not _fits(int(suffix[1:])):
        raise QuantityError(SUFFIX_WRONG)
    return 10, _int32(int(suffix[1:])), "DecimalExponent"


def _parse_fast(
    whole: str, fraction: str, base: int, exponent: int, format: Format, negative: bool, text: str
) -> Quantity | None:
    """The 64-bit form, where Go can be sure that the number fits; else None."""
    if base == 2:
        precision = -1 if fraction else 15 - len(whole) - exponent * 3 // 10 - 1
        scale, factor = 0, 2**exponent
    else:
        precision = _MAX_DIGITS - len(whole) - len(fraction)
        scale, factor = exponent - len(fraction), 1
    if precision < 0 or scale < _NANO:
        return None
    shifted = whole + fraction
    number = int(shifted)
    amount = number * factor
    if not _fits(amount):
        return None
    if base == 2:
        canonical = exponent % 10 == 0 and number & 7 != 0
    else:
        canonical = scale % 3 == 0 and not shifted.endswith("000") and shifted[0] != "0"
    cached = text if canonical else ""
    return Quantity(-amount if negative else amount, scale, format, False, cached, text)


def _parse_slow(text: str, base: int, exponent: int, format: Format) -> Quantity:
    """The decimal form: rounded up to nano units, and capped for binary suffixes."""
    match = re.match(r"([+-]?)([0-9]*)(?:\.([0-9]*))?", text, re.ASCII)
    assert match is not None
    sign, digits, fraction = match.groups(default="")
    if not digits and not fraction:
        raise QuantityError(NUMERIC_WRONG)
    unscaled, scale = int(digits + fraction), -len(fraction)
    if base == 10:
        scale += exponent
    else:
        unscaled *= 2**exponent
    if unscaled and scale < _NANO:
        unscaled, scale = _away_from_zero(unscaled, _pow10(_NANO - scale)), _NANO
    elif unscaled:
        unscaled, scale = unscaled * _pow10(scale - _NANO), _NANO
    if format == "BinarySI":
        if unscaled > _MAX_INT64 * _pow10(-scale):
            unscaled, scale = _MAX_INT64, 0
        if 0 < unscaled < _pow10(-scale):
            format = "DecimalSI"
    return Quantity(-unscaled if sign == "-" else unscaled, scale, format, True, "", text)


def _sum(left: Quantity, addend: int, other: Quantity, format: Format) -> Quantity:
    """`left + addend * 10**other.scale` in the form that Go would give it. Source: resource/amount.go: Add."""
    scale = min(left.scale, other.scale)
    if not left.is_decimal and not other.is_decimal:
        if addend == 0:
            return Quantity(left.unscaled, left.scale, format)
        if left.unscaled == 0:
            return Quantity(addend, other.scale, format)
        terms = left.unscaled * _pow10(left.scale - scale), addend * _pow10(other.scale - scale)
        total = sum(terms)
        if _fits(total) and all(map(_fits, terms)):
            return Quantity(total, scale, format)
    total = left.unscaled * _pow10(left.scale - scale) + addend * _pow10(other.scale - scale)
    return Quantity(total, scale, format, True)


def _canonical(quantity: Quantity) -> str:
    if quantity.unscaled == 0:
        return "0"
    format = quantity.format
    amount, exponent = _without_tens(quantity.unscaled, quantity.scale)
    if format == "BinarySI":
        units = amount * _pow10(exponent) if exponent >= 0 else 0
        if abs(units) >= 1024:
            return _canonical_binary(units)
        format = "DecimalSI"
    shift = exponent % 3
    amount, exponent = amount * 10**shift, exponent - shift
    if format == "DecimalSI":
        return f"{amount}{_DECIMAL_SUFFIX.get(exponent, '')}"
    return f"{amount}e{exponent}" if exponent else str(amount)


def _canonical_binary(amount: int) -> str:
    exponent = 0
    while amount % 1024 == 0:
        amount, exponent = amount // 1024, exponent + 10
    return f"{amount}{_BINARY_SUFFIX.get(exponent, '')}"


def _without_tens(unscaled: int, scale: int) -> tuple[int, int]:
    """The same number with all factors of ten in the scale."""
    if unscaled == 0:
        return 0, 0
    while unscaled % 10 == 0:
        unscaled, scale = unscaled // 10, scale + 1
    return unscaled, scale


def _away_from_zero(number: int, divisor: int) -> int:
    return -(-number // divisor) if number > 0 else number // divisor


def _scaled_decimal(unscaled: int, shift: int) -> int:
    """`unscaled * 10**shift` in Go's arithmetic: wrapped to 64 bits, and one more where a remainder is left.

    Source: resource/scale_int.go: scaledValue (numbers below the smallest int64 wrap before the division).
    """
    if shift >= 0:
        return _int64(_int64(unscaled) * _pow10(shift))
    divisor = _pow10(-shift)
    if unscaled < _MAX_INT64 and -shift < _INT64_DIGITS:
        wrapped = _int64(unscaled)
        quotient = abs(wrapped) // divisor * (1 if wrapped >= 0 else -1)
        return quotient + (wrapped % divisor != 0)
    quotient, remainder = divmod(unscaled, divisor)
    return _int64(_int64(quotient) + (remainder != 0))


def _pow10(exponent: int) -> int:
    power: int = 10**exponent
    return power


def _float_pow10(exponent: int) -> float:
    """Go's math.Pow10: a product (or quotient) of two powers out of its tables, 0 and +Inf beyond them."""
    if exponent < _SMALLEST_FLOAT:
        return 0.0
    if exponent > _LARGEST_FLOAT:
        return math.inf
    coarse, fine = divmod(abs(exponent), 32)
    if exponent < 0:
        return float(f"1e-{coarse * 32}") / float(f"1e{fine}")
    return float(f"1e{coarse * 32}") * float(f"1e{fine}")


def _fits(number: int) -> bool:
    return _MIN_INT64 <= number <= _MAX_INT64


def _int64(number: int) -> int:
    return (number + 2**63) % 2**64 - 2**63


def _int32(number: int) -> int:
    return (number + 2**31) % 2**32 - 2**31
