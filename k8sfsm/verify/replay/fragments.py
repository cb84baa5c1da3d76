"""What a recording that shows only parts of objects lets one infer of the rest.

A trimmed line of a new pod has neither labels nor owner. Where a controller made the pod, both are those that its
owner's template and the controller's law give it, and the owner is in the name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve, frozen

from k8sfsm.law import Law
from k8sfsm.request import Key
from k8sfsm.trace.history import Document, RecordedWrite, Recording
from k8sfsm.trace.lines import Json

law = Law("replay")

SUFFIX: Final = 5
"""Length of the random end of a generated name (staging/src/k8s.io/apiserver/pkg/storage/names/generate.go)."""
_OWNERS: Final[Mapping[str, str]] = {
    "replicaset-controller": "ReplicaSet",
    "replication-controller": "ReplicationController",
}
"""Controllers that make pods from a template, and the kind of the pods' owner."""


@frozen
class Fragment:
    """A new object as it is recorded: the case of the table `fragment`. `owner`: who must have made it, if known."""

    write: RecordedWrite
    owner: Document | None


@law.fact
def shown_in_part(fragment: Fragment) -> bool:
    """The recording shows the object without what does not change."""
    return fragment.write.trimmed


@law.fact
def owner_known(fragment: Fragment) -> bool:
    """A controller made it, and the owner after which it is named is in the recording."""
    return fragment.owner is not None


@law.fact
def owner_shown(fragment: Fragment) -> bool:
    """The recording says whose it is."""
    return fragment.write.new is not None and bool(fragment.write.new.json["metadata"].get("ownerReferences"))


class Mending:
    """Goes through the writes of a recording and completes what they show."""

    def __init__(self, recording: Recording) -> None:
        self._owners: dict[Key, Document] = {document.key: document for document in recording.initial}
        self._inferred: dict[str, Json] = {}
        self._documents: dict[int, Document] = {}

    def write(self, write: RecordedWrite) -> RecordedWrite:
        """The write with whole metadata."""
        if write.new is not None and write.type == "ADDED":
            self._learn(write)
        if write.new is not None and write.key[0] in _OWNERS.values():
            self._owners[write.key] = write.new
        old, new = self._document(write.old), self._document(write.new)
        if old is write.old and new is write.new:
            return write
        return evolve(write, old=old, new=new)

    def _learn(self, write: RecordedWrite) -> None:
        kind, namespace, name = write.key
        owner = (
            self._owners.get((_OWNERS.get(write.actor, ""), namespace, name[: -SUFFIX - 1])) if kind == "Pod" else None
        )
        decision = law.decide("fragment", Fragment(write, owner))
        if decision.outputs["infer"] and owner is not None:
            self._inferred[write.uid] = _metadata(owner.json, name)

    def _document(self, document: Document | None) -> Document | None:
        """The document with what was inferred about its object; the same one for the same one."""
        if document is None or document.uid not in self._inferred:
            return document
        known = self._documents.get(id(document))
        if known is None:
            meta = {**self._inferred[document.uid], **document.json["metadata"]}
            status = _with_addresses(document.json.get("status", {}))
            known = self._documents[id(document)] = Document({**document.json, "metadata": meta, "status": status})
        return known


def _with_addresses(status: Json) -> Json:
    """A status that tells a pod's first address also tells its addresses (pkg/apis/core/v1/conversion.go:
    Convert_v1_PodStatus_To_core_PodStatus).
    """
    return {"podIPs": [{"ip": status["podIP"]}], **status} if status.get("podIP") else status


def _metadata(owner: Json, name: str) -> Json:
    """What a controller gives to a pod that it makes from a template (pkg/controller/controller_utils.go:
    GetPodFromTemplate).
    """
    template: dict[str, Any] = owner.get("spec", {}).get("template", {}).get("metadata") or {}
    reference = {
        "apiVersion": owner.get("apiVersion", ""),
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"].get("uid", ""),
        "controller": True,
        "blockOwnerDeletion": True,
    }
    found: Json = {"generateName": name[:-SUFFIX], "ownerReferences": [reference]}
    return found | {part: template[part] for part in ("labels", "annotations") if template.get(part)}


def mended(recording: Recording) -> Recording:
    """The recording with whole metadata, as far as it can be inferred."""
    if not any(write.trimmed for write in recording.writes):
        return recording
    mending = Mending(recording)
    return evolve(recording, writes=tuple(mending.write(write) for write in recording.writes))
