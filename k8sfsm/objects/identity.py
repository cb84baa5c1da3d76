"""Who an object is, and who owns it."""

from __future__ import annotations

from typing import Any

from k8sfsm.objects.meta import OwnerReference


def key_of(obj: Any) -> tuple[str, str, str]:
    """(kind, namespace, name) of an object; namespace is "" for cluster-scoped ones."""
    metadata = obj.metadata
    return (obj.kind, metadata.namespace, metadata.name)


def controller_of(obj: Any) -> OwnerReference | None:
    """The owner reference that is marked as controller. Source: apimachinery/pkg/apis/meta/v1: GetControllerOf."""
    for owner in obj.metadata.owner_references:
        if owner.controller:
            return owner  # type: ignore[no-any-return]
    return None
