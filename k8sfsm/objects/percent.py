"""Numbers that may be percentages of a total.

Source: staging/src/k8s.io/apimachinery/pkg/util/intstr/intstr.go: GetScaledValueFromIntOrPercent
"""

from __future__ import annotations

import math
import re
from typing import Final

from k8sfsm.objects.gotext import quote
from k8sfsm.objects.requirement import parse_int64

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)


class PercentError(ValueError):
    """Neither a number nor a percentage; the message is Kubernetes' own."""


def scaled_value(value: int | str | None, total: int, *, round_up: bool) -> int:
    """`value` itself, or that percentage of `total`, rounded. Raises PercentError."""
    if value is None:
        raise PercentError("nil value for IntOrString")
    if isinstance(value, int):
        return value
    share = float(_percentage(value)) * float(total) / 100
    return math.ceil(share) if round_up else math.floor(share)


def _percentage(text: str) -> int:
    if not text.endswith("%"):
        raise PercentError("invalid value for IntOrString: invalid type: string is not a percentage")
    digits = text[:-1]
    number = parse_int64(digits)
    if number is None:
        reason = "value out of range" if _INTEGER.fullmatch(digits) else "invalid syntax"
        raise PercentError(
            f"invalid value for IntOrString: invalid value {quote(text)}: "
            f"strconv.Atoi: parsing {quote(digits)}: {reason}"
        )
    return number
