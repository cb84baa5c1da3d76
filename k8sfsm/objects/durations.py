"""Durations in nanoseconds, in Go's notation (`1h30m`, `1.5s`) and as kubectl shows ages (`3d16h`).

Source: Go time.ParseDuration, time.Duration.String; staging/src/k8s.io/apimachinery/pkg/util/duration/duration.go
"""

from __future__ import annotations

import re
from typing import Final

from k8sfsm.objects.gotext import quote

_MICROSECOND: Final = 1_000
MILLISECOND: Final = 1_000_000
"""ns in a millisecond."""
SECOND: Final = 1_000_000_000
"""ns in a second."""
_MINUTE: Final = 60 * SECOND
_HOUR: Final = 60 * _MINUTE
_UNITS: Final = {
    "ns": 1,
    "us": _MICROSECOND,
    "µs": _MICROSECOND,
    "μs": _MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": _MINUTE,
    "h": _HOUR,
}
_TERM: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^0-9.]*)", re.ASCII)
_SECONDS_PER: Final = {"y": 365 * 86_400, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
_AGES: Final = (
    (120, "s", ""),
    (10 * 60, "m", "s"),
    (180 * 60, "m", ""),
    (8 * 3_600, "h", "m"),
    (48 * 3_600, "h", ""),
    (8 * 86_400, "d", "h"),
    (2 * 365 * 86_400, "d", ""),
    (8 * 365 * 86_400, "y", "d"),
)
"""Below so many seconds: the unit shown, and the smaller one behind it."""


def human_duration(duration: int) -> str:
    """A duration as kubectl shows ages; less than a second ago in the future counts as now.

    Source: util/duration/duration.go: HumanDuration.
    """
    seconds = abs(duration) // SECOND * (-1 if duration < 0 else 1)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    for limit, unit, rest in _AGES:
        if seconds < limit:
            return _age(seconds, unit, rest)
    return _age(seconds, "y", "")


def _age(seconds: int, unit: str, rest: str) -> str:
    count, left = divmod(seconds, _SECONDS_PER[unit])
    smaller = left // _SECONDS_PER[rest] if rest else 0
    return f"{count}{unit}" + (f"{smaller}{rest}" if smaller else "")


def parse_duration(text: str) -> int:
    """Go's duration notation to nanoseconds (a fraction of one is cut off). Raises ValueError with Go's message."""
    sign = -1 if text.startswith("-") else 1
    body = text[1:] if text[:1] in ("-", "+") else text
    if body == "0":
        return 0
    total, at = 0, 0
    while at < len(body):
        match = _TERM.match(body, at)
        assert match is not None
        digits, fraction, unit = match.groups(default="")
        if not digits and not fraction:
            raise ValueError(f"time: invalid duration {quote(text)}")
        if unit not in _UNITS:
            problem = f"unknown unit {quote(unit)} in" if unit else "missing unit in"
            raise ValueError(f"time: {problem} duration {quote(text)}")
        total += int(digits or "0") * _UNITS[unit] + int(fraction or "0") * _UNITS[unit] // 10 ** len(fraction)
        at = match.end()
    if at == 0 or total > 2**63 - (sign > 0):
        raise ValueError(f"time: invalid duration {quote(text)}")
    return sign * total


def format_duration(duration: int) -> str:
    """Nanoseconds in Go's duration notation: `1h0m5s`, `1.5s`, `200ms`, `0s`."""
    if duration == 0:
        return "0s"
    sign, rest = ("-" if duration < 0 else ""), abs(duration)
    for unit, size in (("ns", 1), ("µs", _MICROSECOND), ("ms", MILLISECOND)):
        if rest < size * 1_000:
            return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, rest = divmod(rest, _MINUTE)
    hours, minutes = divmod(minutes, 60)
    shown = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{shown}{_decimal(rest, SECOND)}s"


def _decimal(amount: int, size: int) -> str:
    """`amount / size` without trailing zeros; `size` is a power of ten."""
    whole, rest = divmod(amount, size)
    digits = str(rest).rjust(len(str(size)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else str(whole)
