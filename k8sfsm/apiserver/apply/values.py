"""Objects as sets of fields: which fields an object has, how two differ, and how one is merged into another.

Source: sigs.k8s.io/structured-merge-diff/v6/typed: tofieldset.go, compare.go, merge.go, remove.go.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from k8sfsm.apiserver.apply.fields import Fields, Path, item, member, single
from k8sfsm.apiserver.custom.definitions import listed
from k8sfsm.apiserver.custom.definitions import member as member_of
from k8sfsm.apiserver.deletion import law
from k8sfsm.value import value


@value
class Place:
    """A list or map of an object of `kind`: the member that it is, and the one around it."""

    kind: str
    name: str
    parent: str


@law.fact
def list_name(case: Place) -> str:
    """The member's name."""
    return case.name


@law.fact
def list_parent(case: Place) -> str:
    """The name of the member around it, "" at the top."""
    return case.parent


@law.fact
def list_kind(case: Place) -> str:
    """The object's kind."""
    return case.kind


_DEFAULTS: Mapping[str, Any] = {"protocol": "TCP"}
"""Keys that an item may leave out. Source: pkg/apis/core/v1/zz_generated.defaults.go (+default)."""


@value
class ListType:
    """How items are told apart: by `keys` (map), by value (set), or not (atomic)."""

    type: str
    keys: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = _DEFAULTS

    def element(self, entry: Any) -> str | None:
        """What tells the item apart; None where it lacks a key."""
        if self.type == "set":
            return single(entry)
        if self.type == "atomic" or not isinstance(entry, Mapping):
            return None
        found = {key: entry[key] if key in entry else self.defaults.get(key) for key in self.keys}
        return None if None in found.values() else item(found)


@lru_cache(maxsize=4096)
def _list_type(table: Any, place: Place) -> ListType:
    row = law.decide("list-type", place).outputs
    return ListType(row["type"], tuple(str(row.get("keys") or "").split()))


@lru_cache(maxsize=4096)
def _is_atomic(table: Any, place: Place) -> bool:
    return bool(law.decide("map-type", place).outputs["atomic"])


@value
class Declared:
    """What the schema of a kind that people have defined says of one of its lists or maps."""

    body: Mapping[str, Any]


@law.fact
def declared_list_type(case: Declared) -> str | None:
    """`x-kubernetes-list-type`."""
    return case.body.get("x-kubernetes-list-type")


@law.fact
def declared_map_type(case: Declared) -> str | None:
    """`x-kubernetes-map-type`."""
    return case.body.get("x-kubernetes-map-type")


def _declared_list(body: Mapping[str, Any]) -> ListType:
    kind = law.decide("custom-list-type", Declared(body)).outputs["type"]
    fields = member_of(body, "items", "properties") or {}
    keys = tuple(map(str, listed(body.get("x-kubernetes-list-map-keys"))))
    return ListType(kind, keys, {key: member_of(fields, key, "default") for key in keys})


@value
class Schema:
    """How the parts of objects of a kind are merged.

    `own`: the schema of a kind that people have defined; None for Kubernetes' own kinds.
    """

    kind: str
    own: Mapping[str, Any] | None = None

    def list_type(self, path: Path) -> ListType:
        """The type of the list at a path."""
        if self.own is not None and path[:1] != ("f:metadata",):
            return _declared_list(self._declared(self.own, path))
        return _list_type(law.table("list-type"), self._place(path))

    def is_atomic(self, path: Path, found: Any) -> bool:
        """Whether a list or map is owned as a whole."""
        if isinstance(found, list):
            kind = self.list_type(path)
            return kind.type == "atomic" or any(kind.element(entry) is None for entry in found)
        if self.own is not None and path and path[0] != "f:metadata":
            case = Declared(self._declared(self.own, path))
            return bool(law.decide("custom-map-type", case).outputs["atomic"])
        return bool(path) and path[-1].startswith("f:") and _is_atomic(law.table("map-type"), self._place(path))

    @staticmethod
    def _declared(body: Mapping[str, Any], path: Path) -> Mapping[str, Any]:
        """What the schema says of the part at a path; nothing for parts that it does not know."""
        for element in path:
            if element.startswith("f:"):
                found = member_of(body, "properties", element[2:]) or body.get("additionalProperties")
            else:
                found = body.get("items")
            body = found if isinstance(found, Mapping) else {}
        return body

    def _place(self, path: Path) -> Place:
        names = [element[2:] for element in path if element.startswith("f:")]
        return Place(self.kind, names[-1] if names else "", names[-2] if len(names) > 1 else "")


def entries(schema: Schema, found: Any, path: Path) -> Iterator[tuple[str, Any]]:
    """The (element, part) pairs of a map or a list that is merged. A repeated item counts once."""
    if isinstance(found, Mapping):
        for name, part in found.items():
            yield member(name), part
        return
    kind = schema.list_type(path)
    seen: set[str] = set()
    for entry in found:
        element = kind.element(entry)
        if element is not None and element not in seen:
            seen.add(element)
            yield element, entry


def _is_composite(schema: Schema, found: Any, path: Path) -> bool:
    return isinstance(found, Mapping | list) and not schema.is_atomic(path, found)


def field_set(schema: Schema, found: Any, path: Path = ()) -> Fields:
    """The fields that an object names, as whoever applies it owns them."""
    if not _is_composite(schema, found, path) or (not found and path):
        return frozenset((path,)) if path else frozenset()
    result: set[Path] = set()
    for element, part in entries(schema, found, path):
        below = (*path, element)
        result |= field_set(schema, part, below)
        if element[:2] != "f:":
            result.add(below)
    return frozenset(result)


@value
class Difference:
    """How an object differs from another."""

    added: Fields
    modified: Fields
    removed: Fields

    @property
    def written(self) -> Fields:
        """What was added or modified."""
        return self.added | self.modified

    @property
    def is_none(self) -> bool:
        """Both are the same."""
        return not (self.added or self.modified or self.removed)


_ABSENT: Any = object()


def compare(schema: Schema, old: Any, new: Any) -> Difference:
    """What of `new` is not in `old`, differs from it, or is missing."""
    added: set[Path] = set()
    modified: set[Path] = set()
    removed: set[Path] = set()
    _compare(schema, old, new, (), (added, modified, removed))
    return Difference(frozenset(added), frozenset(modified), frozenset(removed))


def _compare(schema: Schema, old: Any, new: Any, path: Path, into: tuple[set[Path], set[Path], set[Path]]) -> None:
    added, modified, removed = into
    if path and old is _ABSENT:
        added.add(path)
    if path and new is _ABSENT:
        removed.add(path)
    plain = [part for part in (old, new) if part is not _ABSENT and part is not None]
    if not all(_is_composite(schema, part, path) for part in plain):
        if old is not _ABSENT and new is not _ABSENT and old != new:
            modified.add(path)
        return
    before = dict(entries(schema, old, path)) if old is not _ABSENT and old is not None else {}
    after = dict(entries(schema, new, path)) if new is not _ABSENT and new is not None else {}
    for element in dict.fromkeys((*before, *after)):
        _compare(schema, before.get(element, _ABSENT), after.get(element, _ABSENT), (*path, element), into)


def merge(schema: Schema, live: Any, wanted: Any, path: Path = ()) -> Any:
    """`live` with all that `wanted` names."""
    mergeable = _is_composite(schema, live, path) and _is_composite(schema, wanted, path)
    if not mergeable or type(live) is not type(wanted):
        return wanted
    if isinstance(live, Mapping):
        result = dict(live)
        for name, part in wanted.items():
            below = (*path, member(name))
            result[name] = merge(schema, live[name], part, below) if name in live else part
        return result
    return _merge_lists(schema, live, wanted, path)


def _merge_lists(schema: Schema, live: Any, wanted: Any, path: Path) -> list[Any]:
    """The items of both: those that both have in the order of `wanted`, the others where they stood.

    Source: typed/merge.go: mergingWalker.visitListItems.
    """
    left, right = list(entries(schema, live, path)), list(entries(schema, wanted, path))
    there, asked = dict(left), dict(right)
    shared = [element for element, _ in right if element in there]
    result: list[Any] = []
    at = 0
    for element, part in right:
        while at < len(left) and not (shared and left[at][0] == shared[0]):
            if left[at][0] not in asked:
                result.append(left[at][1])
            at += 1
        if element in there:
            result.append(merge(schema, there[element], part, (*path, element)))
            at += at < len(left) and left[at][0] == element
            shared = shared[1:]
        else:
            result.append(part)
    result += [part for element, part in left[at:] if element not in asked]
    return result


def without(schema: Schema, found: Any, gone: Fields, path: Path = ()) -> Any:
    """An object without some fields, and all that is below them."""
    if not _is_composite(schema, found, path):
        return found
    kept = [
        (element, without(schema, part, gone, (*path, element)))
        for element, part in entries(schema, found, path)
        if (*path, element) not in gone
    ]
    if isinstance(found, Mapping):
        return {element[2:]: part for element, part in kept}
    return [part for _, part in kept]
