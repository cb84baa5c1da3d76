"""`value`: the decorator of the classes whose instances a running cluster makes by the thousand.

For type checkers it is `attrs.frozen`. At run time such values are not guarded against changes, which makes them three
times as fast to fill; where the environment variable K8SFSM_FROZEN is set, as it is in the tests, they are.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from attrs import frozen as value
else:

    def value(cls: Any = None, **options: Any) -> Any:
        """Like `attrs.frozen`."""
        options.setdefault("weakref_slot", False)
        if "K8SFSM_FROZEN" in os.environ:
            return attrs.frozen(cls, **options)
        options.setdefault("unsafe_hash", True if options.get("eq", True) else None)
        return attrs.define(cls, **options)


__all__ = ["value"]
