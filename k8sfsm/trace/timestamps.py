"""Times as nanoseconds since the Unix epoch, read from and written to RFC 3339, without floating point."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.times import second_of

_FORM: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:[Zz]|([+-])(\d\d):(\d\d))"
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def parse_time(text: str) -> int:
    """Nanoseconds since the epoch of an RFC 3339 text; ValueError where it is not one."""
    second, rest = second_of(text)
    return _parsed(second) + rest


@lru_cache(maxsize=4096)
def _parsed(text: str) -> int:
    match = _FORM.fullmatch(text)
    if match is None:
        raise ValueError(f"not an RFC 3339 time: {text!r}")
    *parts, fraction, sign, hours, minutes = match.groups()
    moment = datetime(*(int(part) for part in parts), tzinfo=UTC)  # type: ignore[misc,arg-type]
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        try:
            moment = moment - offset if sign == "+" else moment + offset
        except OverflowError:
            raise ValueError(f"a time out of range: {text!r}") from None
    since = moment - _EPOCH
    nanos = int((fraction or "").ljust(9, "0") or 0)
    return (since.days * 86_400 + since.seconds) * SECOND + nanos


def format_time(nanos: int, digits: int = 6) -> str:
    """RFC 3339 in UTC with `digits` decimals of the second (0: none); what is finer is cut off."""
    seconds, fraction = divmod(nanos, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    decimals = f".{fraction:09d}"[: digits + 1] if digits else ""
    return f"{text}{decimals}Z"
