"""What the tables of Deployments, ReplicaSets and ReplicationControllers name.

Source: pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part
from k8sfsm.objects import LabelSelector, SelectorError, part_from_json
from k8sfsm.objects.requirement import Selector

_PERCENT: Final = re.compile(r"[0-9]+%", re.ASCII)
_NUMBER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)


def _labels(part: Part) -> Mapping[str, str]:
    template = part.get("template") or {}
    return (template.get("metadata") or {}).get("labels") or {}


@law.fact
def selector_state(part: Part) -> Literal["missing", "empty", "unreadable", "mismatch", "good"]:
    """What is wrong with the selector, if anything."""
    given = part.get("selector")
    if given is None:
        return "missing"
    try:
        selector = Selector.of(part_from_json(LabelSelector, given))
    except SelectorError:
        return "unreadable"
    if selector.empty:
        return "empty"
    return "good" if selector.matches(_labels(part)) else "mismatch"


@law.fact
def plain_selector_state(part: Part) -> Literal["empty", "mismatch", "good"]:
    """What is wrong with a selector that is a map of labels, if there is a template to select."""
    given: Mapping[str, str] = part.get("selector") or {}
    if not given or part.get("template") is None:
        return "empty"
    labels = _labels(part)
    return "good" if all(labels.get(name) == value for name, value in given.items()) else "mismatch"


@law.fact
def deadline_margin(part: Part) -> int | None:
    """By how many seconds the progress deadline exceeds minReadySeconds; None without a deadline."""
    deadline = part.get("progressDeadlineSeconds")
    return None if deadline is None else deadline - (part.get("minReadySeconds") or 0)


def _count(given: Any) -> int:
    """A number or percentage as a bare number; text that is neither counts as 0. Source: getIntOrPercentValue."""
    if not isinstance(given, str):
        return given or 0
    text = given[:-1] if _PERCENT.fullmatch(given) else given
    return int(text) if _NUMBER.fullmatch(text) else 0


@law.fact
def both_zero(part: Part) -> bool:
    """Whether neither surge nor unavailability is allowed: nothing could ever be replaced."""
    return _count(part.get("maxUnavailable")) == 0 and _count(part.get("maxSurge")) == 0


@law.fact
def unavailable_percent(part: Part) -> int | None:
    """The percentage, where maxUnavailable is one."""
    given = part.get("maxUnavailable")
    return int(given[:-1]) if isinstance(given, str) and _PERCENT.fullmatch(given) else None
