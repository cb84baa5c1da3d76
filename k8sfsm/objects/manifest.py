"""Objects from YAML manifests and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from k8sfsm.objects.base import Struct
from k8sfsm.objects.codec import from_json, to_json
from k8sfsm.objects.kinds import KINDS
from k8sfsm.objects.reading import ObjectError, describe
from k8sfsm.objects.yamltext import Document, Steps, YAMLTextError, read_documents, write_documents


class ManifestError(YAMLTextError):
    """A manifest that cannot be read: `file:line:column: what is wrong, what was expected`."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))


def load_yaml(text: str, name: str = "manifest") -> list[Any]:
    """The objects of a YAML text: several documents, and lists (`kind: List`, `kind: PodList`) taken apart.

    `name` is the file's name. Raises ManifestError, one line that begins with `name:line:column:`.
    """
    objects: list[Any] = []
    try:
        for document in read_documents(text, name):
            objects += _objects(document)
    except ManifestError:
        raise
    except YAMLTextError as error:
        raise ManifestError(str(error)) from None
    return objects


def _objects(document: Document) -> list[Any]:
    value = document.value
    kind = value.get("kind") if isinstance(value, dict) else None
    if isinstance(kind, str) and kind.endswith("List") and "items" in value:
        items = value["items"]
        if not isinstance(items, list | None):
            raise _error(document, ("items",), ObjectError("items", describe(items), "a list"))
        item_kind = kind.removesuffix("List") if kind.removesuffix("List") in KINDS else ""
        return [_object(document, item, item_kind, ("items", at)) for at, item in enumerate(items or ())]
    return [_object(document, value, "", ())]


def _object(document: Document, value: Any, kind: str, steps: Steps) -> Any:
    try:
        return from_json(value, kind)
    except ObjectError as error:
        raise _error(document, (*steps, *error.steps), error) from None


def _error(document: Document, steps: Steps, error: ObjectError) -> ManifestError:
    return ManifestError(f"{document.place(steps)}: {error}")


def to_yaml(objects: Struct | Iterable[Struct]) -> str:
    """One object, or several as documents, in YAML. `load_yaml` reads it back to equal objects."""
    several = [objects] if isinstance(objects, Struct) else list(objects)
    return write_documents([to_json(obj) for obj in several])
