"""Sets of fields, and their form in managedFields (FieldsV1).

A field is a path of elements: `f:` and a member, `k:` and the keys of an item, `v:` and the value of an item. A set of
fields is a set of paths; a path that is in it may go on in others, as a list item and its own members do.
Source: sigs.k8s.io/structured-merge-diff/v6/fieldpath: PathElement, Set, serialize.go.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

Path: TypeAlias = tuple[str, ...]
Fields: TypeAlias = frozenset[Path]
NONE: Final[Fields] = frozenset()


def member(name: str) -> str:
    """The element of a member."""
    return f"f:{name}"


def item(keys: Mapping[str, Any]) -> str:
    """The element of an item that its keys tell apart."""
    return "k:" + json.dumps(dict(sorted(keys.items())), separators=(",", ":"), ensure_ascii=False)


def single(value: Any) -> str:
    """The element of an item that its value tells apart."""
    return "v:" + json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def fields_v1(fields: Iterable[Path]) -> dict[str, Any]:
    """The set as managedFields has it: nested, and "." for a field that has others below it."""
    tree: dict[str, Any] = {}
    for path in sorted(fields):
        at = tree
        for element in path:
            at = at.setdefault(element, {})
        at["."] = {}
    return _ordered(tree)


def _ordered(tree: dict[str, Any]) -> dict[str, Any]:
    """Without the mark where there is nothing below, and the mark first where there is."""
    below = {name: _ordered(part) for name, part in sorted(tree.items()) if name != "."}
    return {".": {}, **below} if "." in tree and below else below


def read_fields(tree: Any) -> Fields:
    """The set that managedFields holds. What is no such tree is an empty set."""
    found: set[Path] = set()
    _collect(tree, (), found)
    return frozenset(found)


def _collect(tree: Any, path: Path, found: set[Path]) -> None:
    if not isinstance(tree, Mapping):
        return
    if path and (not tree or "." in tree):
        found.add(path)
    for element, inner in tree.items():
        if isinstance(element, str) and element[:2] in ("f:", "k:", "v:", "i:"):
            _collect(inner, (*path, element), found)


def shown(path: Path) -> str:
    """A field as conflicts name it: `.spec.containers[name="app"].image`. Source: fieldpath/path.go: Path.String."""
    return "".join(map(_shown, path))


def _shown(element: str) -> str:
    form, text = element[:2], element[2:]
    if form == "f:":
        return f".{text}"
    if form == "k:":
        keys = json.loads(text)
        return "[" + ",".join(f"{name}={json.dumps(keys[name], ensure_ascii=False)}" for name in sorted(keys)) + "]"
    return f"[={text}]" if form == "v:" else f"[{text}]"


def with_parents(fields: Fields) -> Fields:
    """The set with every member that has a field of the set below it.

    Source: fieldpath/set.go: Set.EnsureNamedFieldsAreMembers.
    """
    parents = {path[:length] for path in fields for length in range(1, len(path)) if path[length - 1].startswith("f:")}
    return fields | parents
