"""Whether two values of a class say the same in some of their attributes.

Objects that come from one template share most of what they hold, so that nearly all attributes are the very same. The
functions are written out, one comparison for each attribute: that is several times faster than to take them all out of
both values first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import attrs

Sameness: TypeAlias = Callable[[Any, Any], bool]


def same_in(*names: str) -> Sameness:
    """Whether two values are the same in these attributes."""
    asked = " and ".join(f"(one.{name} is other.{name} or one.{name} == other.{name})" for name in names)
    scope: dict[str, Any] = {}
    exec(f"def same(one, other):\n    return {asked or True}", scope)
    made: Sameness = scope["same"]
    return made


def same_but(cls: type[Any], *names: str) -> Sameness:
    """Whether two values of the class are the same in all attributes but these. Raises TypeError for one that it has
    not.
    """
    known = [each.name for each in attrs.fields(cls)]
    strange = sorted(set(names) - set(known))
    if strange:
        raise TypeError(f"{cls.__name__} has no attribute {strange[0]}")
    return same_in(*(name for name in known if name not in names))
