"""What comes of looking for the rule behind a write: an explanation, or the order that is nearest."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from k8sfsm.request import Key
from k8sfsm.verify.check.course import Course


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
    if kind == "Secret" or ".env" in path or "token" in path.lower():
        return f"{path}: recorded and ordered values differ (not shown)"
    return f"{path}: recorded {recorded!r}, the rule orders {ordered!r}"
