"""What becomes of an object of a kind that somebody has defined, or of the definition itself, when it is written.

Source: staging/src/k8s.io/apiextensions-apiserver/pkg/registry/customresource/strategy.go.
"""

from __future__ import annotations

from typing import Any

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.custom.definitions import CRD, Definition, definition_faults, definition_of
from k8sfsm.apiserver.custom.values import filled, pruned, value_faults
from k8sfsm.apiserver.defaults import defaulted
from k8sfsm.apiserver.valid import Fault, message
from k8sfsm.objects import NOTHING, Unmodelled, evolve, kind_named, to_json
from k8sfsm.store import Snapshot


def is_custom(obj: Any) -> bool:
    """Whether an object is of a kind that Kubernetes itself does not have."""
    return isinstance(obj, Unmodelled) and kind_named(obj.api_version, obj.kind) is None


def with_defaults(obj: Any, snapshot: Snapshot) -> Any:
    """The object with its defaults: those of the API, or of the kind's definition, which knows no other fields."""
    if not is_custom(obj):
        return defaulted(obj)
    definition = definition_of(snapshot, obj.api_version, obj.kind)
    if definition is None:
        return obj
    schema = definition.schema(_version(obj))
    document = filled(pruned(to_json(obj), schema), schema)
    extra = {name: part for name, part in document.items() if name not in ("apiVersion", "kind", "metadata")}
    return evolve(obj, extra=extra or NOTHING)


def refuse_custom(old: Any, new: Any, snapshot: Snapshot) -> None:
    """Raises Refusal (422) for a definition, or an object of a defined kind, that may not be."""
    if not (is_custom(new) or new.kind == CRD):
        return
    faults: tuple[Fault, ...] = ()
    if new.kind == CRD:
        faults = definition_faults(Definition(new.metadata.name, new.extra))
    else:
        definition = definition_of(snapshot, new.api_version, new.kind)
        if definition is not None:
            before = None if old is None else to_json(old)
            faults = tuple(value_faults(to_json(new), definition.schema(_version(new)), before))
    if faults:
        name = f"{new.kind}.{new.api_version.rpartition('/')[0]}"
        raise Refusal(422, "Invalid", f'{name} "{new.metadata.name}" is invalid: {message(faults)}')


def _version(obj: Any) -> str:
    return str(obj.api_version).rpartition("/")[2]
