"""What holds of Namespaces at rest: each has what every namespace has, and one that was deleted is gone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from k8sfsm.law import Law
from k8sfsm.view import View

namespace_law: Final = Law("namespace")
account_law: Final = Law("serviceaccount")
_CONTENT: Final = ("Pod", "ReplicaSet", "Deployment", "ReplicationController", "Service", "ConfigMap", "ServiceAccount")


@account_law.invariant
def every_namespace_has_its_account(view: View) -> Iterator[str]:
    """At rest each active namespace has the account `default`."""
    for namespace in view.list("Namespace"):
        name = namespace.metadata.name
        if namespace.status.phase == "Active" and view.get("ServiceAccount", name, "default") is None:
            yield f"Namespace {name} has no account default"


@namespace_law.invariant
def deleted_namespaces_are_gone(view: View) -> Iterator[str]:
    """At rest a namespace that was deleted is gone, unless a finalizer keeps something in it."""
    for namespace in view.list("Namespace"):
        if namespace.metadata.deletion_timestamp is None:
            continue
        name = namespace.metadata.name
        left = [obj for kind in _CONTENT for obj in view.list(kind, name)]
        if not any(obj.metadata.finalizers for obj in left):
            yield f"Namespace {name} was deleted and is there, with {len(left)} objects"


@namespace_law.invariant
def no_namespace_for_content(view: View) -> Iterator[str]:
    """Nothing is in a namespace that is not there."""
    for kind in _CONTENT:
        for obj in view.list(kind):
            if view.get("Namespace", "", obj.metadata.namespace) is None:
                yield f"{kind} {obj.metadata.namespace}/{obj.metadata.name} is in no namespace"
