"""What a container's environment refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from k8sfsm.node.session import Session


def missing_reference(session: Session) -> tuple[str, str] | None:
    """Kind and name of the first object that is missing."""
    namespace = session.pod.metadata.namespace
    for kind, name in _references(session):
        if session.view.get(kind, namespace, name) is None:
            return kind, name
    return None


def _references(session: Session) -> Iterator[tuple[str, str]]:
    for source in session.current.env_from:
        yield from _named(source, "configMapRef", "secretRef")
    for variable in session.current.env:
        yield from _named(variable.get("valueFrom") or {}, "configMapKeyRef", "secretKeyRef")


def _named(source: Mapping[str, Any], config_map: str, secret: str) -> Iterator[tuple[str, str]]:
    for field, kind in ((config_map, "ConfigMap"), (secret, "Secret")):
        reference = source.get(field)
        if reference and not reference.get("optional"):
            yield kind, reference.get("name", "")
