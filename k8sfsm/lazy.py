"""`lazy`: an attribute that is computed when it is first asked for.

It is `functools.cached_property` without the lock that Python 3.11 takes for every first look; we have no threads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from functools import cached_property as lazy
else:

    class lazy:
        """Computes the attribute of an object with a `__dict__`, and keeps it there under the same name."""

        def __init__(self, compute: Any) -> None:
            self.compute = compute
            self.__doc__ = compute.__doc__

        def __set_name__(self, owner: type[Any], name: str) -> None:
            self.name = name

        def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
            if instance is None:
                return self
            found = instance.__dict__[self.name] = self.compute(instance)
            return found


__all__ = ["lazy"]
