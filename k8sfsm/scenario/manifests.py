"""Manifests as users write them: JSON documents, each with its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8sfsm.objects import KINDS, ManifestError, ObjectError, from_json
from k8sfsm.objects.reading import describe
from k8sfsm.objects.yamltext import Document, Steps, YAMLTextError, read_documents
from k8sfsm.scenario.model import Manifest


def read_manifests(text: str, name: str) -> tuple[Manifest, ...]:
    """The manifests of a YAML or JSON text; lists (`kind: List`) are taken apart.

    `name` is the file's. Raises ManifestError, one line that begins with `name:line:column:`.
    """
    try:
        documents = tuple(read_documents(without_tabs(text), name))
    except YAMLTextError as error:
        raise ManifestError(str(error)) from None
    return tuple(manifest for document in documents for manifest in manifests_in(document, ()))


def without_tabs(text: str) -> str:
    """JSON may be indented by tabs, which YAML forbids; a tab inside of a JSON string is written as an escape."""
    return text.replace("\t", " ") if text.lstrip().startswith("{") else text


def manifests_in(document: Document, steps: Steps) -> Iterator[Manifest]:
    """The manifests at a path of a document. Raises ManifestError where a value is no object."""
    value: Any = document.value
    for step in steps:
        value = value[step]
    kind = value.get("kind") if isinstance(value, dict) else None
    if not (isinstance(kind, str) and kind.endswith("List") and "items" in value):
        yield _manifest(document, value, steps)
        return
    items = value["items"]
    if not isinstance(items, list | None):
        raise ManifestError(f"{document.place((*steps, 'items'))}: items: found {describe(items)}, expected a list")
    known = KINDS.get(kind.removesuffix("List"))
    head = {"apiVersion": known.api_version, "kind": known.kind} if known is not None else {}
    for number, item in enumerate(items or ()):
        yield _manifest(document, {**head, **item} if isinstance(item, dict) else item, (*steps, "items", number))


def _manifest(document: Document, value: Any, steps: Steps) -> Manifest:
    try:
        obj = from_json(value)
    except ObjectError as error:
        raise ManifestError(f"{document.place((*steps, *error.steps))}: {error}") from None
    if not (obj.metadata.name or obj.metadata.generate_name):
        place = document.place((*steps, "metadata"))
        raise ManifestError(f"{place}: {obj.kind} has no name, expected metadata.name")
    return Manifest(document=value, place=document.place(steps))
