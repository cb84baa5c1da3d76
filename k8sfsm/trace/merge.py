"""JSON merge patches (RFC 7386): made by the trace writer, applied by the reader."""

from __future__ import annotations

from typing import Any


def merge_patch(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The patch that makes `new` of `old`; it cannot tell nulls in `new`: see with `apply_merge` whether it does."""
    patch: dict[str, Any] = {}
    for name, value in new.items():
        if name not in old:
            patch[name] = value
        elif isinstance(value, dict) and isinstance(old[name], dict):
            if inner := merge_patch(old[name], value):
                patch[name] = inner
        elif value != old[name] or type(value) is not type(old[name]):
            patch[name] = value
    patch |= {name: None for name in old if name not in new}
    return patch


def apply_merge(old: Any, patch: Any) -> Any:
    """`old` with a merge patch applied; unchanged parts are shared with `old`."""
    if not isinstance(patch, dict):
        return patch
    result = dict(old) if isinstance(old, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = apply_merge(result.get(name), value)
    return result
