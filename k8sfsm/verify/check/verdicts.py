"""What comes of looking for the rule behind a write: an explanation, or the order that is nearest."""

from __future__ import annotations

from typing import Any, Final

from attrs import frozen

from k8sfsm.request import Key
from k8sfsm.trace.masking import shown
from k8sfsm.verify.check.course import Course

_SECRET: Final = ("Secret", "ConfigMap")


@frozen
class Explanation:
    """Why a write was made. `cause`: revision of the change that woke the actor; `seen`: that of its view."""

    rule: str
    facts: dict[str, Any]
    key: Key
    seen: int
    cause: int
    course: Course | None = None


@frozen
class Nearest:
    """The order that comes closest to a write that no rule explains."""

    rule: str = ""
    facts: dict[str, Any] | None = None
    differs: str = ""


def apart(kind: str, path: str, recorded: Any, ordered: Any) -> str:
    """A difference in words; values that may be secret are not shown."""
    left, right = shown(path, recorded), shown(path, ordered)
    if kind in _SECRET or left == right:
        return f"{path}: recorded and ordered values differ (not shown)"
    return f"{path}: recorded {left!r}, the rule orders {right!r}"
