"""Which request made which change: joins the audit lines of a recording with its watch lines.

A request whose answer carries a resourceVersion made the change with that revision, if it made one at all; answers
to bindings, evictions and removals carry none, and are matched by object and order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final

from attrs import frozen

from k8sfsm.law import constant
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.pod import DISRUPTION_TARGET
from k8sfsm.request import Key
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, WatchType
from k8sfsm.trace.requests import Request
from k8sfsm.trace.resources import is_deleting, metadata


@frozen(kw_only=True)
class Seen:
    """A watch line: a change of an object, and the object's state before it."""

    line: Line
    time: int
    """ns; when the watch's client received it."""
    type: WatchType
    key: Key
    document: Document
    old: Document | None
    trimmed: bool = False
    """Whether the line carries only part of the object."""
    torn: bool = False
    """Whether it does because it refers to a line that is not there."""
    shown: int | None = None
    """ns; `time`, where the line says it."""

    @property
    def revision(self) -> int | None:
        """The resourceVersion of the change."""
        return self.document.revision

    @property
    def binds(self) -> bool:
        """Whether this change assigned a pod to a node."""
        before = self.old.json.get("spec", {}).get("nodeName") if self.old else None
        return self.type == "MODIFIED" and not before and bool(self.document.json.get("spec", {}).get("nodeName"))

    @property
    def touches_deletion(self) -> bool:
        """Whether the deletion began, moved or came to its end."""
        return self.type == "DELETED" or _deletion(self.old) != _deletion(self.document)

    @property
    def ends_grace(self) -> bool:
        """Whether the grace period was set to 0: what the API server writes before it removes a pod."""
        if self.type != "MODIFIED" or not is_deleting(self.document.json):
            return False
        return _deletion(self.old) != _deletion(self.document) and _deletion(self.document)[1] == 0


def _deletion(document: Document | None) -> tuple[Any, Any]:
    meta = metadata(document.json) if document else {}
    return (meta.get("deletionTimestamp"), meta.get("deletionGracePeriodSeconds"))


class Join:
    """Changes (in order of revision) with the requests that made them.

    `author[i]` is the index of the request that made change i, or None; `made[r]` the changes of request r.
    """

    def __init__(self, changes: Sequence[Seen], requests: Sequence[Request]) -> None:
        self.changes = changes
        self.requests = requests
        self.author: list[int | None] = [None] * len(changes)
        self.made: list[list[int]] = [[] for _ in requests]
        self._of_key: dict[Key, list[int]] = defaultdict(list)
        for index, change in enumerate(changes):
            self._of_key[change.key].append(index)
        self._by_revision()
        self._by_object()
        self._by_collection()

    def _claim(self, request: int, indices: Iterable[int]) -> None:
        for index in indices:
            self.author[index] = request
            self.made[request].append(index)
        self.made[request].sort()

    def _by_revision(self) -> None:
        at: dict[int, int] = {}
        for index, change in enumerate(self.changes):
            if change.revision is not None:
                at.setdefault(change.revision, index)
        for number, request in enumerate(self.requests):
            if not request.ok or request.revision is None or request.verb == "deletecollection":
                continue
            found = at.get(request.revision)
            if found is None or self.author[found] is not None or request.unchanging:
                continue
            if fits(request, self.changes[found]):
                self._claim(number, [found])

    def _by_object(self) -> None:
        for number, request in enumerate(self.requests):
            if not request.ok or request.verb == "deletecollection":
                continue
            self._claim(number, self._further(number, request))

    def _free(self, key: Key, start: int = 0) -> list[int]:
        """The changes of an object from one on that have no request yet."""
        return [index for index in self._of_key.get(key, ()) if index >= start and self.author[index] is None]

    def _free_for(self, request: Request) -> list[int]:
        """The changes of its object that a request can have made: a watch showed them not before, and soon after."""
        since, until = request.received or 0, request.completed + int(constant("trace_watch_lag")) * SECOND
        return [index for index in self._free(request.key) if since <= self.changes[index].time <= until]

    def _further(self, number: int, request: Request) -> list[int]:
        """Changes that the request made beside (or instead of) the one with its answer's revision."""
        if request.verb == "bind":
            return [i for i in self._free_for(request) if self.changes[i].binds][:1]
        if request.verb == "evict":
            return self._eviction(request)
        if request.verb == "delete":
            bare = request.answer is None and request.body is None and not self.made[number]
            return (self._unanswered(request) if bare else []) or self._removal(number, request)
        if request.key[0] == "Event" and not self.made[number]:
            return self._event(request)
        if self.made[number]:
            return []
        return self._unanswered(request) if request.answer is None else self._emptied(request)

    def _event(self, request: Request) -> list[int]:
        wanted = "ADDED" if request.verb == "create" else "MODIFIED"
        free = self._free_for(request)
        return [index for index in free if self.changes[index].type == wanted][:1]

    def _unanswered(self, request: Request) -> list[int]:
        """The first change that a request can have made whose line has no answer (audit level Metadata or Request)."""
        key = request.key
        since, until = request.received or 0, request.completed + LATE
        if key[2]:
            free = self._free(key)
        else:
            free = [i for i, change in enumerate(self.changes) if change.key[:2] == key[:2] and self.author[i] is None]
        free = [i for i in free if since <= self.changes[i].time <= until]
        found = [i for i in free if fits(request, self.changes[i]) and _may_be_of(request, self.changes[i])][:1]
        if found and self.changes[found[0]].ends_grace:
            found += [i for i in free if i > found[0] and self.changes[i].type == "DELETED"][:1]
        return found

    def _eviction(self, request: Request) -> list[int]:
        """The DisruptionTarget condition, where it is a write of its own, and the deletion."""
        free = self._free_for(request)
        ending = next((index for index in free if self.changes[index].touches_deletion), None)
        if ending is None:
            return []
        found = [index for index in free if index <= ending and announces_eviction(self.changes[index])] + [ending]
        if self.changes[ending].ends_grace:
            found += [index for index in free if index > ending and self.changes[index].type == "DELETED"][:1]
        return sorted(set(found))

    def _removal(self, number: int, request: Request) -> list[int]:
        """The DELETED line where the answer is only a Status, and the rewritten deletionTimestamp before it."""
        own = list(self.made[number])
        found: list[int] = []
        if not own and request.revision is None:
            free = self._free_for(request)
            ends = [i for i in free if self.changes[i].type == "DELETED" and self._same(request, i)]
            own = found = ends[:1]
        if not own or self.changes[own[0]].type != "DELETED":
            return found
        if request.key[0] == "Service":
            return found + self._with_service(own[0])
        before = [i for i in self._of_key[self.changes[own[0]].key] if i < own[0]][-1:]
        if before and before[0] in self._free_for(request) and self.changes[before[0]].ends_grace:
            found = [before[0], *found]
        return found

    def _with_service(self, removed: int) -> list[int]:
        """The Endpoints of a Service, which the API server deletes with it.

        Source: pkg/registry/core/service/storage/storage.go: afterDelete.
        """
        key: Key = ("Endpoints", *self.changes[removed].key[1:])
        ends = [index for index in self._free(key, removed) if self.changes[index].type == "DELETED"]
        return ends[:1]

    def _same(self, request: Request, index: int) -> bool:
        return not request.uid or request.uid == self.changes[index].document.uid

    def _emptied(self, request: Request) -> list[int]:
        """The removal that follows when an update takes away the last finalizer: its answer has the old revision.

        The request may have judged a cached object while another write was under way: such writes stand between.
        """
        if request.revision is None or not (is_deleting(request.answer) or request.unchanging):
            return []
        began = request.completed if request.received is None else request.received
        until = request.completed + int(constant("trace_watch_lag")) * SECOND
        for index in self._of_key.get(request.key, ()):
            change = self.changes[index]
            if change.revision is None or change.revision <= request.revision:
                continue
            if change.type == "DELETED":
                return [index] if self.author[index] is None and change.time <= until else []
            if change.time < began:
                return []
        return []

    def _by_collection(self) -> None:
        collections = [
            n for n, request in enumerate(self.requests) if request.verb == "deletecollection" and request.ok
        ]
        for index, change in enumerate(self.changes):
            if self.author[index] is not None or not change.touches_deletion:
                continue
            fitting = [n for n in collections if self._in_collection(self.requests[n], change)]
            if fitting:
                self._claim(fitting[0], [index])
        for index, change in enumerate(self.changes):  # a pod that had never run goes at once: rewritten, then removed
            if self.author[index] is None and change.ends_grace:
                following = [i for i in self._of_key[change.key] if i > index][:1]
                author = self.author[following[0]] if following else None
                if author is not None and self.requests[author].verb == "deletecollection":
                    self._claim(author, [index])

    def _in_collection(self, request: Request, change: Seen) -> bool:
        kind, space, _ = request.key
        if change.key[:2] != (kind, space):
            return False
        received = request.completed if request.received is None else request.received
        return received <= change.time <= request.completed + LATE


LATE: Final = 100_000_000
"""ns. How long after the answer to a deletecollection a watch line may be seen and still count as its work."""


def announces_eviction(change: Seen) -> bool:
    """Whether a pod got the DisruptionTarget condition in this change."""
    return _disrupted(change.document) and not _disrupted(change.old)


def _disrupted(document: Document | None) -> bool:
    status = document.json.get("status") or {} if document else {}
    conditions = status.get("conditions") or ()
    return any(c.get("type") == DISRUPTION_TARGET and c.get("status") == "True" for c in conditions)


def fits(request: Request, change: Seen) -> bool:
    """Whether a request can have made the change that has the revision of its answer, or only met it."""
    if request.key[0] != change.key[0] or (request.key[2] and request.key[2] != change.key[2]):
        return False
    if is_deleting(change.document.json) and change.time < (request.received or 0):
        return False  # a removal is answered with the state before, which somebody else may have made
    if request.verb == "create":
        return change.type == "ADDED"
    if request.verb in ("delete", "evict"):
        return change.type != "ADDED" and change.touches_deletion
    if request.subresource == "status":
        return change.type == "MODIFIED" and not _starts_deletion(change)
    return change.type != "DELETED" or not request.unchanging


def _may_be_of(request: Request, change: Seen) -> bool:
    """Whether a change is of the state that the request's reference names, and of the part that it writes."""
    if change.type != "MODIFIED" or change.old is None or request.verb not in ("update", "patch"):
        return True
    named = str(request.reference.get("resourceVersion") or "")
    if named and named != str(change.old.revision):
        return False
    told = change.old.json.get("status") != change.document.json.get("status")
    return told if request.subresource == "status" else not (told and request.subresource == "")


def _starts_deletion(change: Seen) -> bool:
    return is_deleting(change.document.json) and not is_deleting(change.old.json if change.old else None)
