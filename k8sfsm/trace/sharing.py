"""Consecutive states of an object share what did not change: they take less room, and comparing them costs less."""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.trace.lines import Json

_DEEP: Final = frozenset({"metadata", "status", "spec"})
"""Members of which parts are shared where the whole has changed."""


def sharing(known: Json, state: Json) -> Json:
    """`state` with the parts of `known` in place of its own ones that are equal. Neither is changed."""
    shared = dict(state)
    for name, value in state.items():
        other = known.get(name)
        if type(value) is not dict and type(value) is not list:
            continue
        if other == value:
            shared[name] = other
        elif name in _DEEP and type(other) is dict and type(value) is dict:
            shared[name] = _members_shared(other, value)
    return shared


def _members_shared(known: Json, state: Json) -> Json:
    shared: Json = {}
    for name, value in state.items():
        other: Any = known.get(name)
        if type(value) is list and type(other) is list and other != value:
            shared[name] = _items_shared(other, value)
        else:
            shared[name] = other if other == value and type(other) is type(value) else value
    return shared


def _items_shared(known: list[Any], state: list[Any]) -> list[Any]:
    """The items that stand where equal ones stood are those."""
    count = len(known)
    return [known[at] if at < count and known[at] == item else item for at, item in enumerate(state)]
