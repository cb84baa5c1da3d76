"""What a request takes for granted, and its refusal where that is not so.

Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: create, Update, Delete.
"""

from __future__ import annotations

from typing import Any

from k8sfsm.apiserver.answer import Refusal, conflict, not_found
from k8sfsm.apiserver.custom.definitions import CRD, qualified_resource
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.strategy import StrategyCase
from k8sfsm.objects import KINDS
from k8sfsm.request import Delete, Key
from k8sfsm.store import Snapshot


def resource_text(kind: str, snapshot: Snapshot) -> str:
    """The kind's resource in error texts: `pods`, `deployments.apps`."""
    return qualified_resource(kind, () if kind in KINDS else snapshot.series("in", CRD, ""))


def stored(snapshot: Snapshot, key: Key) -> Any:
    """The stored object. Raises Refusal (404) where there is none."""
    found = snapshot.get(key)
    if found is None:
        raise not_found(resource_text(key[0], snapshot), key[2])
    return found


def already_exists(existing: Any, snapshot: Snapshot) -> Refusal:
    """409 on the creation of an object whose name is taken."""
    head = "object is being deleted: " if existing.metadata.deletion_timestamp is not None else ""
    resource = resource_text(existing.kind, snapshot)
    return Refusal(409, "AlreadyExists", f'{head}{resource} "{existing.metadata.name}" already exists')


def _version(obj: Any) -> str:
    return str(obj.metadata.resource_version)


def refuse_other_uid(old: Any, wanted: str, snapshot: Snapshot, resource: str = "") -> None:
    """409 where a request is about another object of that name."""
    uid = old.metadata.uid
    if wanted and wanted != uid:
        text = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {uid}"
        raise conflict(resource or resource_text(old.kind, snapshot), old.metadata.name, text)


def refuse_other_version(old: Any, new: Any, snapshot: Snapshot) -> None:
    """409 where a changed object was made from another revision than the stored one, or from another object."""
    if _version(new) and _version(new) != _version(old):
        raise conflict(resource_text(old.kind, snapshot), old.metadata.name)
    refuse_other_uid(old, new.metadata.uid, snapshot)


def refuse_other_state(old: Any, write: Delete, snapshot: Snapshot) -> None:
    """409 where a deletion is about another object of that name, or about another revision of it."""
    refuse_other_uid(old, write.uid, snapshot)
    if write.resource_version and write.resource_version != _version(old):
        text = f"ResourceVersion in precondition: {write.resource_version}, ResourceVersion in object meta: "
        why = f"Precondition failed: {text}{_version(old)}"
        raise conflict(resource_text(old.kind, snapshot), old.metadata.name, why)


def refuse_unconditional(new: Any) -> None:
    """422 where a kind may only be replaced by those who say which revision they saw."""
    if not _version(new) and not law.decide("unconditional-update", StrategyCase(new.kind)).outputs["allowed"]:
        refuse_invalid(new, "metadata.resourceVersion: Invalid value: 0: must be specified for an update")


def refuse_invalid(new: Any, errors: str) -> None:
    """422 where there are errors."""
    if errors:
        known = KINDS.get(new.kind)
        group = known.group if known is not None else str(new.api_version).rpartition("/")[0]
        kind = f"{new.kind}.{group}" if group else new.kind
        raise Refusal(422, "Invalid", f'{kind} "{new.metadata.name}" is invalid: {errors}')
