"""Objects from JSON and back: the doors of the codec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

from k8sfsm.objects.base import NOTHING, Struct
from k8sfsm.objects.core import Unmodelled
from k8sfsm.objects.kinds import KINDS, kind_named
from k8sfsm.objects.meta import ObjectMeta
from k8sfsm.objects.reading import Mismatch, ObjectError, describe, read
from k8sfsm.objects.rereading import NewMembers, reread
from k8sfsm.objects.shape import copy_json
from k8sfsm.objects.writing import write

Part = TypeVar("Part", bound=Struct)

_TYPE_FIELDS: Final = frozenset({"apiVersion", "kind"})
_MODELLED: Final = frozenset({"apiVersion", "kind", "metadata"})
_NO_METADATA: Final = ObjectMeta()
_HEADS: Final[dict[type[Struct], dict[str, Any]]] = {
    kind.type: {"apiVersion": kind.api_version, "kind": kind.kind} for kind in KINDS.values() if kind.type
}


def part_from_json(cls: type[Part], document: Mapping[str, Any], path: str = "") -> Part:
    """Read a part of an object, such as a `PodSpec`. Raises ObjectError; `path` is put before the place in it."""
    part: Part = read(cls, document, path)
    return part


def from_json(document: Mapping[str, Any], kind: str = "") -> Any:
    """Read an object: of the class that its apiVersion and kind name, or `Unmodelled`.

    `kind` names the kind of a document that does not say it, such as an item of a list. Raises ObjectError.
    """
    if not isinstance(document, dict):
        raise ObjectError("", describe(document), "an object")
    name = document.get("kind") or kind
    if not isinstance(name, str) or not name.isalnum():
        raise ObjectError("kind", _found(document, "kind"), "the name of a kind such as Pod", ("kind",))
    version = document.get("apiVersion") or _version_of(name, kind)
    if not isinstance(version, str) or not version:
        found = _found(document, "apiVersion")
        raise ObjectError("apiVersion", found, "a version such as v1 or apps/v1", ("apiVersion",))
    known = kind_named(version, name)
    if known is not None and known.type is not None:
        return read(known.type, document)
    return _unmodelled(version, name, document)


def changed_from_json(known: Any, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """As `from_json(after)`, where `known` was read from `before`: only what is not the same value is read.

    None where that cannot be done.
    """
    if isinstance(known, Unmodelled) or any(before.get(name) != after.get(name) for name in _TYPE_FIELDS):
        return None
    try:
        return reread(known, before, after)
    except (NewMembers, Mismatch):  # `from_json` says what is wrong
        return None


def _found(document: Mapping[str, Any], name: str) -> str:
    return describe(document[name]) if name in document else "nothing"


def _version_of(name: str, kind: str) -> str:
    """The apiVersion of a document that has none: known only where the caller has named its kind."""
    return KINDS[name].api_version if name == kind and name in KINDS else ""


def _unmodelled(version: str, kind: str, document: Mapping[str, Any]) -> Unmodelled:
    metadata = read(ObjectMeta, document.get("metadata"), "metadata")
    known = _MODELLED if document.get("metadata") else _TYPE_FIELDS
    rest = {name: copy_json(item) for name, item in document.items() if name not in known}
    return Unmodelled(api_version=version, kind=kind, metadata=metadata, extra=rest or NOTHING)


def to_json(value: Struct) -> dict[str, Any]:
    """The JSON form of an object (with apiVersion and kind) or of a part of one. Nothing in it is shared."""
    if isinstance(value, Unmodelled):
        head = {"apiVersion": value.api_version, "kind": value.kind}
        metadata = {} if value.metadata == _NO_METADATA else {"metadata": write(value.metadata)}
        return {**head, **metadata, **copy_json(value.extra)}
    return {**_HEADS.get(type(value), NOTHING), **write(value)}
