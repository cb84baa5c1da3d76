"""YAML text to nodes, by libyaml where it is safe to: it is about eight times as fast as PyYAML's own reader."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml
from yaml.nodes import Node

_DEEPEST: Final = 300
"""libyaml's composer calls itself for every level, and takes the process down where the stack ends."""
_BRACKET: Final = re.compile(r"[\[\]{}]")
_NESTED_IN_LINE: Final = re.compile(rf"(?:[-?] +){{{_DEEPEST}}}")


def nodes(text: str, fast: Any, plain: Any) -> list[Node]:
    """The documents of a text. `fast` and `plain`: two loaders that read alike, the first one libyaml's.

    Raises yaml.YAMLError as `plain` does, whose errors say more, also where values are nested too deeply.
    """
    if not _is_deep(text):
        try:
            return list(yaml.compose_all(text, fast))
        except (yaml.YAMLError, UnicodeEncodeError):
            pass
    try:
        return list(yaml.compose_all(text, plain))
    except RecursionError:
        raise yaml.YAMLError("values are nested too deeply") from None


def _is_deep(text: str) -> bool:
    """Whether values may be nested deeply. Brackets in texts are counted too: then the plain loader is asked."""
    depth = 0
    for bracket in _BRACKET.finditer(text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        if depth > _DEEPEST:
            return True
    return _NESTED_IN_LINE.search(text) is not None
