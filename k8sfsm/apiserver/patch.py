"""PATCH documents: JSON patch (RFC 6902), merge patch (RFC 7386), strategic merge patch.

Source: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go;
staging/src/k8s.io/apimachinery/pkg/util/strategicpatch/patch.go.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.objects import KINDS, ObjectError, changed_from_json, from_json, to_json
from k8sfsm.request import PatchType

MERGE_KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "env": ("name",),
    "ports": ("containerPort", "port"),
    "hostAliases": ("ip",),
    "imagePullSecrets": ("name",),
    "topologySpreadConstraints": ("topologyKey",),
    "ownerReferences": ("uid",),
    "conditions": ("type",),
    "podIPs": ("ip",),
    "hostIPs": ("ip",),
    "addresses": ("type",),
    "secrets": ("name",),
    "schedulingGates": ("name",),
    "resourceClaims": ("name",),
}
"""Lists that are merged item by item, and the member that tells the items apart (the first one that they have)."""
PRIMITIVE_SETS: Final = ("finalizers", "podCIDRs")
"""Lists of plain values that are merged as sets."""
_KEEPING: Final = ("merge", "strategic")
"""Types of patches that make a new document, in which what they do not change is the same value."""
_DIRECTIVE: Final = "$patch"
_ORDER: Final = "$setElementOrder/"
_DELETE: Final = "$deleteFromPrimitiveList/"
_RETAIN: Final = "$retainKeys"


def patched(obj: Any, how: PatchType, body: Any) -> Any:
    """The object that the patch makes of `obj`. Raises Refusal (400, 415 or 422) where it cannot be applied."""
    if how == "strategic" and obj.kind not in KINDS:
        text = "the body of the request was in an unknown format - accepted media types include: "
        types = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        raise Refusal(415, "UnsupportedMediaType", text + types)
    document = to_json(obj)
    head = {name: document[name] for name in ("apiVersion", "kind")}
    try:
        result = _APPLY[how](document, body)
        if isinstance(result, dict):
            result |= head
        made = changed_from_json(obj, document, result) if how in _KEEPING and isinstance(result, dict) else None
        return from_json(result) if made is None else made
    except ObjectError as error:
        raise Refusal(400, "BadRequest", f"the patch does not give a valid {obj.kind}: {error}") from error


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386: maps are merged, null deletes, everything else replaces."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = merge(result.get(name), value)
    return result


def strategic_merge(target: Any, patch: Any, name: str = "") -> Any:
    """Kubernetes' merge: known lists are merged by the key of their items, `$` directives are obeyed."""
    if isinstance(patch, str):
        return patch
    if isinstance(patch, list):
        return _merge_list(target if isinstance(target, list) else [], patch, name)
    if _is_map(patch):
        return _merge_map(target if _is_map(target) else {}, patch)
    return patch


def _is_map(value: Any) -> bool:
    return type(value) is dict or isinstance(value, Mapping)


def _merge_map(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    if patch.get(_DIRECTIVE) == "replace":
        return {name: value for name, value in patch.items() if name != _DIRECTIVE}
    result = dict(target)
    if _RETAIN in patch:
        result = {name: value for name, value in result.items() if name in patch[_RETAIN]}
    for name, value in patch.items():
        if name.startswith(_DELETE):
            field = name[len(_DELETE) :]
            result[field] = [item for item in result.get(field, []) if item not in value]
        elif name.startswith("$"):
            continue
        elif value is None or (type(value) is not str and _is_map(value) and value.get(_DIRECTIVE) == "delete"):
            result.pop(name, None)
        else:
            result[name] = strategic_merge(result.get(name), value, name)
    for name, order in patch.items():
        if name.startswith(_ORDER) and name[len(_ORDER) :] in result:
            field = name[len(_ORDER) :]
            result[field] = _ordered(result[field], order, field)
    return result


def _merge_list(target: list[Any], patch: list[Any], name: str) -> list[Any]:
    if name in PRIMITIVE_SETS:
        return [*target, *(item for item in patch if item not in target)]
    if any(_is_map(item) and item.get(_DIRECTIVE) == "replace" for item in patch):
        return [item for item in patch if _DIRECTIVE not in item]
    key = _key_of(name, [*target, *patch])
    if key is None:
        return patch
    result = list(target)
    for item in patch:
        at = next((place for place, known in enumerate(result) if known.get(key) == item.get(key)), None)
        if item.get(_DIRECTIVE) == "delete":
            result = [known for known in result if known.get(key) != item.get(key)]
        elif at is None:
            result.append({member: value for member, value in item.items() if not member.startswith("$")})
        else:
            result[at] = strategic_merge(result[at], item)
    return result


def _key_of(name: str, items: list[Any]) -> str | None:
    keys = MERGE_KEYS.get(name)
    if keys is None:
        return None
    for item in items:
        if not _is_map(item):
            return None
    for key in keys:
        for item in items:
            if key not in item:
                break
        else:
            return key
    return None


def _ordered(items: Any, order: list[Any], name: str) -> Any:
    """The items in the order that the sender has; items that it does not know stay behind those before them."""
    if not isinstance(items, list):
        return items
    key = _key_of(name, [*items, *order]) if order and isinstance(order[0], Mapping) else None
    wanted = [item[key] for item in order] if key else list(order)
    rank = {str(value): place for place, value in enumerate(wanted)}
    last = -1
    ranked = []
    for place, item in enumerate(items):
        value = str(item.get(key) if key else item)
        last = rank.get(value, last)
        ranked.append((last, value not in rank, place, item))
    return [entry[3] for entry in sorted(ranked, key=lambda entry: entry[:3])]


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902. Raises Refusal (400 for a bad document, 422 where an operation fails)."""
    if not isinstance(operations, list):
        raise Refusal(400, "BadRequest", "a JSON patch is a list of operations")
    for operation in operations:
        if not isinstance(operation, Mapping) or "op" not in operation or "path" not in operation:
            raise Refusal(400, "BadRequest", f"a JSON patch operation has op and path, not {operation!r}")
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    op, path = operation["op"], _pointer(operation["path"])
    if op == "test":
        if _find(document, path) != operation.get("value"):
            raise Refusal(422, "Invalid", f"the test of {operation['path']} failed")
        return document
    if op == "remove":
        return _change(document, path, None, "remove")
    if op in ("add", "replace"):
        return _change(document, path, copy.deepcopy(operation.get("value")), op)
    if op in ("move", "copy"):
        source = _pointer(operation.get("from", ""))
        value = copy.deepcopy(_find(document, source))
        if op == "move":
            document = _change(document, source, None, "remove")
        return _change(document, path, value, "add")
    raise Refusal(400, "BadRequest", f"unknown JSON patch operation {op!r}")


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise Refusal(400, "BadRequest", f"{path!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _find(document: Any, path: list[str]) -> Any:
    for part in path:
        document = _member(document, part)
    return document


def _member(document: Any, part: str) -> Any:
    try:
        return document[int(part)] if isinstance(document, list) else document[part]
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise Refusal(422, "Invalid", f"the patch names {part!r}, which is not there") from error


def _change(document: Any, path: list[str], value: Any, op: str) -> Any:
    if not path:
        return value
    parent, last = _find(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        at = len(parent) if last == "-" else _position(last)
        if at > len(parent) or (op != "add" and at >= len(parent)):
            raise Refusal(422, "Invalid", f"the patch names item {last}, which is not there")
        parent[at : at + (op != "add")] = [] if op == "remove" else [value]
    elif isinstance(parent, dict):
        if op != "add":
            _member(parent, last)
        parent.pop(last) if op == "remove" else parent.__setitem__(last, value)
    else:
        raise Refusal(422, "Invalid", f"the patch names {last!r} in a plain value")
    return document


def _position(text: str) -> int:
    if not text.isdigit():
        raise Refusal(422, "Invalid", f"the patch names item {text!r} of a list")
    return int(text)


_APPLY: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "json": json_patch,
    "merge": merge,
    "strategic": strategic_merge,
}
