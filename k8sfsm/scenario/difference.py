"""The patches that kubectl works out from documents: what a user changed between two of them, or among three.

Source: staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go: CreateTwoWayMergePatch,
CreateThreeWayMergePatch; util/jsonmergepatch/patch.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from k8sfsm.apiserver.patch import MERGE_KEYS, PRIMITIVE_SETS

RETAINED: Final = ("strategy", "volumes")
"""Unions: where one of them changes, its other members go (patch strategy retainKeys)."""

Json = Mapping[str, Any]


def merge_patch(original: Json, modified: Json, current: Json) -> dict[str, Any]:
    """A merge patch (RFC 7386) with what `modified` wants of `current`, and no longer wants of `original`."""
    return _map(original, modified, current, strategic=False)


def strategic_patch(original: Json, modified: Json, current: Json) -> dict[str, Any]:
    """The same as a strategic merge patch. Empty where there is nothing to change."""
    return _map(original, modified, current, strategic=True)


def _map(original: Json, modified: Json, current: Json, *, strategic: bool) -> dict[str, Any]:
    patch: dict[str, Any] = {}
    for name, wanted in modified.items():
        known = current.get(name)
        if isinstance(wanted, Mapping) and isinstance(known, Mapping):
            before = original.get(name)
            inner = _map(before if isinstance(before, Mapping) else {}, wanted, known, strategic=strategic)
            if inner and strategic and name in RETAINED:
                inner["$retainKeys"] = sorted(wanted)
            patch |= {name: inner} if inner else {}
        elif isinstance(wanted, Sequence) and not isinstance(wanted, str) and isinstance(known, Sequence) and strategic:
            patch |= _list(name, original.get(name) or (), wanted, known)
        elif wanted != known and not (wanted is None and name not in current):
            patch[name] = wanted
    return patch | {name: None for name in original if name not in modified}


def _list(name: str, original: Sequence[Any], wanted: Sequence[Any], known: Sequence[Any]) -> dict[str, Any]:
    """What of a list is to be patched, and in which order it is to be."""
    if name in PRIMITIVE_SETS:
        return _set(name, original, wanted, known)
    key = _key(name, [*original, *wanted, *known])
    if key is None:
        return {name: list(wanted)} if list(wanted) != list(known) else {}
    before = {item[key]: item for item in original}
    there = {item[key]: item for item in known}
    items = [_item(before.get(item[key], {}), item, there.get(item[key]), key, name) for item in wanted]
    kept = {item[key] for item in wanted}
    changed = [item for item in items if item]
    changed += [{"$patch": "delete", key: value} for value in before if value not in kept]
    order = [item[key] for item in wanted]
    if not changed and order == [value for value in there if value in kept]:
        return {}
    return {f"$setElementOrder/{name}": [{key: value} for value in order]} | ({name: changed} if changed else {})


def _item(before: Json, wanted: Json, known: Json | None, key: str, name: str) -> dict[str, Any]:
    if known is None:
        return dict(wanted)
    inner = _map(before, wanted, known, strategic=True)
    if inner and name in RETAINED:
        inner["$retainKeys"] = sorted(wanted)
    return {**inner, key: wanted[key]} if inner else {}


def _set(name: str, original: Sequence[Any], wanted: Sequence[Any], known: Sequence[Any]) -> dict[str, Any]:
    new = [item for item in wanted if item not in known]
    gone = [item for item in original if item not in wanted]
    patch: dict[str, Any] = {name: new} if new else {}
    return patch | ({f"$deleteFromPrimitiveList/{name}": gone} if gone else {})


def _key(name: str, items: Sequence[Any]) -> str | None:
    """The member that tells the items of this list apart; None where the list is replaced as a whole."""
    if not all(isinstance(item, Mapping) for item in items):
        return None
    return next((key for key in MERGE_KEYS.get(name, ()) if all(key in item for item in items)), None)
