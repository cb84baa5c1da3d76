"""What of recorded objects may be printed: never what may be secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

HIDDEN: Final = "(not shown)"
_SECRET: Final = frozenset(
    {"data", "stringData", "binaryData", "env", "value", "args", "command", "token", "password", "annotations"}
)
"""Fields of which no value is shown: those of Secrets and ConfigMaps, environments, command lines, tokens."""
_PUBLIC: Final = re.compile(r"annotations\.(?!kubectl)[a-z0-9.-]*kubernetes\.io/")
"""Annotations that components write; not kubectl's, which holds whole objects."""
_SEGMENT: Final = re.compile(r"[A-Za-z]+")


def shown(path: str, value: Any) -> Any:
    """A value as it may be printed; `path`: where it stands (`spec.containers[0].env`)."""
    if value is None or isinstance(value, bool):
        return value
    if _is_secret(path):
        return HIDDEN
    if isinstance(value, Mapping):
        return {name: shown(f"{path}.{name}", each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown(path, each) for each in value]
    return value


def _is_secret(path: str) -> bool:
    if _PUBLIC.search(path):
        return False
    return any(segment in _SECRET or "token" in segment.lower() for segment in _SEGMENT.findall(path))
