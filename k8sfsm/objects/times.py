"""Points in time as the API writes them; here a time is a number of nanoseconds since the Unix epoch.

Source: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/time.go, micro_time.go
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from k8sfsm.objects.durations import SECOND

_MICROSECOND: Final = 1_000
_MICRO_LENGTH: Final = len("2026-01-15T12:00:00.123456Z")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(r"(\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2})(?:\.(\d{1,9})\d*)?(Z|[+-]\d{2}:\d{2})", re.ASCII)


def parse_time(text: str) -> int:
    """RFC 3339 text to nanoseconds since the Unix epoch. Raises ValueError when it is not such a text."""
    second, rest = second_of(text)
    return _parsed(second) + rest


def second_of(text: str) -> tuple[str, int]:
    """The text of the second of a moment that is written with microseconds, as most are, and the nanoseconds since; any
    other text as it is. Many moments are of one second, which then is read once.
    """
    if len(text) == _MICRO_LENGTH and text[19] == "." and text[26] == "Z":
        fraction = text[20:26]
        if fraction.isascii() and fraction.isdigit():
            return text[:19] + "Z", int(fraction) * _MICROSECOND
    return text, 0


@lru_cache(maxsize=8192)
def _parsed(text: str) -> int:
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not an RFC 3339 time such as 2026-01-15T12:00:00Z")
    seconds, fraction, zone = match.groups()
    moment = datetime.fromisoformat(seconds + zone) - _EPOCH
    return (moment.days * 86_400 + moment.seconds) * SECOND + int((fraction or "").ljust(9, "0"))


@lru_cache(maxsize=8192)
def _format_second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).replace(tzinfo=None).isoformat()


def format_time(time: int) -> str:
    """Nanoseconds to RFC 3339 in whole seconds, UTC, as metav1.Time is written (the fraction is cut off)."""
    return _format_second(time // SECOND) + "Z"


def format_micro_time(time: int) -> str:
    """Nanoseconds to RFC 3339 with six digits of the second, UTC, as metav1.MicroTime is written."""
    second, rest = divmod(time, SECOND)
    return f"{_format_second(second)}.{rest // _MICROSECOND:06d}Z"
