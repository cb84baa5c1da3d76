"""Test vectors: inputs and outputs of the real Kubernetes functions, run through the rules that the engine uses.

An adapter turns a vector's input into facts, asks the rules, and returns the output in the vector's JSON form:

    @target("replicaset_status")
    def replicaset_status(given: dict[str, Any]) -> Any: ...
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any, TypeAlias

from attrs import frozen

Adapter: TypeAlias = Callable[[dict[str, Any]], Any]
Compare: TypeAlias = Callable[[Any, Any], bool]


class Unsupported(Exception):
    """Raised by an adapter for a case that no rule covers yet."""


@frozen
class Target:
    """A named kind of vector: how to compute its output, and how to compare it."""

    name: str
    adapter: Adapter
    compare: Compare


_TARGETS: dict[str, Target] = {}


def _without_empties(value: Any) -> Any:
    """The value with null members and empty lists and maps taken out: Kubernetes does not tell them apart."""
    if isinstance(value, dict):
        cleaned = {name: _without_empties(item) for name, item in value.items()}
        return {name: item for name, item in cleaned.items() if item not in (None, [], {})}
    if isinstance(value, (list, tuple)):
        return [_without_empties(item) for item in value]
    return value


def same(expected: Any, got: Any) -> bool:
    """Deep equality, where an absent member, null and an empty list or map are the same."""
    return bool(_without_empties(expected) == _without_empties(got))


def target(name: str, compare: Compare = same) -> Callable[[Adapter], Adapter]:
    """Register the adapter of a target. `compare(expected, got)` says whether an output is right."""

    def register(adapter: Adapter) -> Adapter:
        if name in _TARGETS and _TARGETS[name].adapter.__module__ != adapter.__module__:
            raise ValueError(f"two adapters for the vector target {name}")
        _TARGETS[name] = Target(name, adapter, compare)
        return adapter

    return register


def targets() -> dict[str, Target]:
    """All registered targets by name. Imports every module of this package."""
    for module in pkgutil.iter_modules(__path__):
        if module.name != "runner":
            importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(_TARGETS.items()))
