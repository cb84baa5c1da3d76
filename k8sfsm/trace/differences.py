"""Where two JSON values differ, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from k8sfsm.trace.masking import shown

Same: TypeAlias = Callable[[Any, Any], bool]


def difference(was: Any, now: Any, *, path: str = "") -> str:
    """The first field in which two values differ, with both values; "" where they do not. Absent is empty."""
    if was == now or _empty(was, now):
        return ""
    if isinstance(was, dict | None) and isinstance(now, dict | None):
        left, right = was or {}, now or {}
        for name in sorted(name for name in {*left, *right} if left.get(name) != right.get(name)):
            if found := difference(left.get(name), right.get(name), path=f"{path}.{name}" if path else name):
                return found
        return ""
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        for position, (left, right) in enumerate(zip(was, now, strict=True)):
            if found := difference(left, right, path=f"{path}[{position}]"):
                return found
        return ""
    return f"{path or 'it'} is {short(shown(path, now))}, was {short(shown(path, was))}"


def missing(asked: Any, stored: Any, path: str = "") -> str:
    """The first field of `asked` that `stored` has not, with both values; what `stored` has beside is not looked at."""
    if asked == stored or asked in _EMPTY:
        return ""
    if isinstance(asked, str):
        return _unlike(asked, stored, path)
    if isinstance(asked, dict) and isinstance(stored, dict | None):
        known = stored or {}
        for name, value in asked.items():
            other = known.get(name)
            if value == other:
                continue
            if found := missing(value, other, f"{path}.{name}" if path else name):
                return found
        return ""
    if isinstance(asked, list) and isinstance(stored, list) and len(asked) <= len(stored):
        for position, (left, right) in enumerate(zip(asked, stored, strict=False)):
            if found := missing(left, right, f"{path}[{position}]"):
                return found
        return ""
    return _unlike(asked, stored, path)


def _unlike(asked: Any, stored: Any, path: str) -> str:
    return f"{path or 'it'} is {short(shown(path, stored))}, asked for {short(shown(path, asked))}"


def _empty(was: Any, now: Any) -> bool:
    return was in _EMPTY and now in _EMPTY


_EMPTY: Final[tuple[Any, ...]] = (None, "", [], {})


def short(value: Any) -> str:
    """A value in at most 80 characters."""
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
