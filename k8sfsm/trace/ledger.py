"""Sums over the pods of each ReplicaSet, and over the ReplicaSets of each Deployment, now and shortly before."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, TypeAlias

from attrs import define, field

from k8sfsm.request import Key
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.lines import Json
from k8sfsm.trace.resources import is_deleting, metadata

Tally: TypeAlias = tuple[int, ...]
_REMEMBERED: Final = 256
"""So many earlier sums of an owner are kept in a history that comes in portions."""
_POD_OWNERS: Final = ("ReplicaSet", "ReplicationController")
OF_PODS: Final = ("replicas", "fullyLabeledReplicas", "readyReplicas", "terminatingReplicas")
OF_SETS: Final = ("replicas", "readyReplicas", "availableReplicas", "terminatingReplicas", "spec.replicas")


@define
class Ledger:
    """What the parts of each owner (uid) added up to: now, and from when to when before."""

    parts: dict[str, dict[Key, Tally]] = field(factory=dict)
    spans: dict[str, list[tuple[int | None, Tally]]] = field(factory=dict)
    """Per owner (end in ns, sum) of sums that are no more, oldest first."""
    singles: dict[str, list[tuple[int, int]]] = field(factory=dict)
    """Per owner (end in ns, first count) of parts as they are no more, oldest first."""
    unsure: dict[str, None] = field(factory=dict)
    """Owners of parts that are recorded only in part."""

    def take(self, write: RecordedWrite) -> None:
        """Count a change of a Pod or ReplicaSet."""
        kind = write.key[0]
        if kind not in ("Pod", "ReplicaSet") or write.type is None or write.new is None:
            return
        for document in (write.old, write.new):
            owner = _controller(document, ("Deployment",) if kind == "ReplicaSet" else _POD_OWNERS)
            if owner and write.trimmed:
                self.unsure[owner] = None
            if owner:
                self._put(owner, write, document is write.new and write.type != "DELETED")

    def start(self, documents: Mapping[Key, Document]) -> None:
        """Count what was there at the start."""
        for key, document in documents.items():
            kinds = {"Pod": _POD_OWNERS, "ReplicaSet": ("Deployment",)}.get(key[0])
            owner = _controller(document, kinds) if kinds else ""
            if owner:
                self.parts.setdefault(owner, {})[key] = _tally(document.json)

    def forget(self, alive: Collection[str]) -> None:
        """Keep only owners that there are, or that still have parts, and the sums of late."""
        for owner in {**self.spans, **self.singles, **self.unsure}:
            if owner not in alive and not self.parts.get(owner):
                self.spans.pop(owner, None)
                self.singles.pop(owner, None)
                self.unsure.pop(owner, None)
        for spans in self.spans.values():
            del spans[:-_REMEMBERED]
        for singles in self.singles.values():
            del singles[:-_REMEMBERED]
        for owner in [owner for owner, parts in self.parts.items() if not parts and owner not in alive]:
            self.parts.pop(owner)

    def _put(self, owner: str, write: RecordedWrite, present: bool) -> None:
        parts = self.parts.setdefault(owner, {})
        before = self.sum_of(owner)
        if write.key in parts:
            self.singles.setdefault(owner, []).append((write.time, parts[write.key][0]))
        if present and write.new is not None:
            parts[write.key] = _tally(write.new.json)
        else:
            parts.pop(write.key, None)
        spans = self.spans.setdefault(owner, [])
        if self.sum_of(owner) != before:
            spans.append((write.time, before))

    def sum_of(self, owner: str) -> Tally:
        """What the owner's parts add up to now."""
        return tuple(map(sum, zip(*self.parts.get(owner, {}).values(), strict=True))) or (0,) * len(OF_SETS)

    def recent_singles(self, owner: str, since: int) -> set[int]:
        """The first counts that single parts had from `since` (ns) on."""
        now = {tally[0] for tally in self.parts.get(owner, {}).values()}
        return now | {count for end, count in self.singles.get(owner, ()) if end >= since}

    def recent(self, owner: str, since: int) -> Iterator[Tally]:
        """The sums that were true at some time from `since` (ns) on, the newest first."""
        yield self.sum_of(owner)
        for end, tally in reversed(self.spans.get(owner, [])):
            if end is not None and end < since:
                return
            yield tally


def _controller(document: Document | None, kinds: tuple[str, ...]) -> str:
    if document is None:
        return ""
    for reference in metadata(document.json).get("ownerReferences") or ():
        if reference.get("controller") and reference.get("kind") in kinds:
            return str(reference.get("uid") or "")
    return ""


def _tally(obj: Json) -> Tally:
    status = obj.get("status") or {}
    if obj.get("kind") == "ReplicaSet":
        wanted = (obj.get("spec") or {}).get("replicas")
        return (*(int(status.get(name) or 0) for name in OF_SETS[:4]), 1 if wanted is None else int(wanted))
    if status.get("phase") in ("Succeeded", "Failed"):
        return (0, 0, 0, 0, 0)
    if is_deleting(obj):
        return (0, 0, 0, 1, 0)
    ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
    return (1, 1, int(ready), 0, 0)
