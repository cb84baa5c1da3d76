"""Reads kube-apiserver audit logs (audit.k8s.io/v1, one event per line), several files as one.

Reads are left out, lines may be in any order. What answers do not show is derived; requests that the audit policy
left out, and that later answers prove, are inferred.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import define, field

from k8sfsm.objects import changer_of, evolve
from k8sfsm.request import Key
from k8sfsm.trace.attribution import Unexplained, World, attribute
from k8sfsm.trace.audit_lines import read_requests
from k8sfsm.trace.derive import at_revision, bound, deleted, evicted, scaled, without_bookkeeping
from k8sfsm.trace.errors import Line
from k8sfsm.trace.history import Document, RecordedWrite, Recording, WatchType, began
from k8sfsm.trace.inference import infer
from k8sfsm.trace.lines import Json, Progress
from k8sfsm.trace.parts import concerns, cut, numbered
from k8sfsm.trace.renewal import Renewal, RenewedLease, RenewedWrite
from k8sfsm.trace.requests import Request
from k8sfsm.trace.resources import is_deleting, metadata
from k8sfsm.trace.sequence import in_order
from k8sfsm.trace.sharing import sharing
from k8sfsm.trace.statuses import facts_from_statuses

_SEEN: Final = 20_000
"""So many revisions back an answer may show a change again."""
_APART: Final = 1024
"""So many requests apart it is kept what was known, to go on from there."""
_NEVER_TYPED: Final = ("Event", "Lease")
_bare_again: Final = changer_of(
    RecordedWrite, "line", "request", "time", "received", "completed", "reference", "old", "new"
)


def read_audit(paths: Sequence[Path], namespace: str = "", progress: Progress | None = None) -> Recording:
    """Read audit logs as one recording; with `namespace` only the part that concerns it. Raises TraceError."""
    requests = [r for path in paths for r in read_requests(path, progress)]
    if namespace:
        requests = [request for request in requests if concerns(request.key, namespace)]
    writes, initial, guessed = _derived(requests)
    older = len(initial)
    if namespace:
        initial, writes = cut(initial, writes, namespace)
    writes = numbered(writes)
    return Recording(
        source=" ".join(str(path) for path in paths),
        format="audit",
        initial=initial,
        writes=writes,
        environment=facts_from_statuses(writes, initial),
        start=began(writes),
        end=writes[-1].time if writes else None,
        namespaces=(namespace,) if namespace else (),
        notes=tuple(notes_of(writes, guessed, older)),
    )


def notes_of(writes: Sequence[RecordedWrite], guessed: int, older: int) -> Iterator[str]:
    """What a reader of a history should know. `guessed`: inferred requests; `older`: objects older than it."""
    yield "environment facts are read off the kubelets' status writes and Events"
    derived = sum(1 for write in writes if write.derived and not write.inferred)
    if derived:
        yield f"{derived} changes are derived from requests whose answers do not show the object"
    if guessed:
        yield f"{guessed} requests are inferred: later answers prove them, but the log does not have them"
    if older:
        yield f"{older} objects are older than the log; their state at the start is that of their first appearance"
    blind = sum(
        1 for write in writes if write.ok and write.type is None and write.new is None and _should_change(write)
    )
    if blind:
        yield f"{blind} successful writes were logged without objects (audit level Metadata or Request)"


def _should_change(write: RecordedWrite) -> bool:
    return write.verb != "deletecollection" or write.body is None


def _derived(requests: list[Request]) -> tuple[tuple[RecordedWrite, ...], tuple[Document, ...], int]:
    """(writes, objects older than the log, number of inferred requests)."""
    begin = Derivation(kinds=frozenset(request.key[0] for request in requests))
    writes, derivation, guesses = derive(requests, begin)
    return tuple(writes), tuple(derivation.appeared), guesses


def derive(requests: list[Request], begin: Derivation) -> tuple[list[RecordedWrite], Derivation, int]:
    """(writes, what is known after them, number of inferred requests) of a log, or of the next portion of one.

    Requests that must have been made unlogged are put in where they were made, and what follows is derived again.
    """
    derivation, guesses, writes, at = begin, list[Request](), list[RecordedWrite](), 0
    order = in_order(requests)
    saved = [(0, begin.copy(), 0)]
    while True:
        first = len(order)
        for index in range(at, len(order)):
            if index - saved[-1][0] >= _APART and not derivation.missing:
                saved.append((index, derivation.copy(), len(writes)))
            request, time = order[index]
            again = None if request.like is None else derivation.again(request, time)
            if again is None:
                writes.extend(derivation.apply(request, time))
            else:
                writes.append(again)
            if derivation.missing and index < first:
                first = index
        if not derivation.missing:
            return writes, derivation, len(guesses)
        guesses += derivation.missing
        before, order = order, in_order([*requests, *guesses])
        same = next((i for i, (old, new) in enumerate(zip(before, order, strict=False)) if old != new), len(before))
        while saved[-1][0] > min(same, first):
            saved.pop()
        at, known, count = saved[-1]
        told, derivation = derivation.told, known.copy()
        derivation.told |= told
        del writes[count:]


@define
class Derivation:
    """Applies requests in order to a world of objects; collects the requests that must have been made unlogged."""

    kinds: frozenset[str]
    world: World = field(factory=World)
    missing: list[Request] = field(factory=list)
    appeared: list[Document] = field(factory=list)
    """Objects that existed before the log begins, as they first appear in it."""
    seen: set[int] = field(factory=set)
    told: set[tuple[Key, str, Line]] = field(factory=set)
    """Object and evidence of everything inferred in this and earlier rounds."""
    count: int = 0
    renewed: dict[Key, RecordedWrite] = field(factory=dict)
    """The last renewal of each lease that was logged with it."""
    bare: dict[Key, RecordedWrite] = field(factory=dict)
    """The last one that was logged without it."""

    def go_on(self, kinds: frozenset[str]) -> None:
        """Another portion of the log begins: what is long past is forgotten."""
        self.kinds = kinds
        self.appeared = []
        if len(self.seen) > 2 * _SEEN:
            newest = max(self.seen)
            self.seen = {revision for revision in self.seen if revision > newest - _SEEN}

    def copy(self) -> Derivation:
        """The same, to go on apart."""
        return Derivation(
            self.kinds,
            self.world.copy(),
            list(self.missing),
            list(self.appeared),
            set(self.seen),
            set(self.told),
            self.count,
            dict(self.renewed),
            dict(self.bare),
        )

    def apply(self, request: Request, time: int) -> Iterator[RecordedWrite]:
        """The writes of one request, committed no later than `time`."""
        self.count += 1
        if request.ok and not request.inferred:
            self._infer(request)
        any_change = False
        for key, kind, state, revision, derived in self._changes(request, time):
            any_change = True
            yield self._write(request, time, key, kind, self._document(key, state), revision, derived)
        if not any_change:
            state_now = self.world.objects.get(request.key)
            unchanged = state_now if request.ok and request.verb != "deletecollection" else None
            write = request.write(request=self.count, time=time, old=state_now, new=unchanged, answer=None)
            if request.like is not None and request.answer is None:
                self.bare[request.key] = write
            yield write

    def again(self, request: Request, time: int) -> RecordedWrite | None:
        """The write of a renewal that follows one like it, of which it proves no more than that did; else None."""
        if type(request) is not Renewal:
            return self._bare_again(request, time) if request.answer is None else None
        key, revision = request.key, request.revision
        last, known = self.renewed.get(key), self.world.objects.get(key)
        if last is None or last.like is not request.like or last.new is not known or revision in self.seen:
            return None
        assert revision is not None and known is not None
        self.count += 1
        self.seen.add(revision)
        new = RenewedLease(request)
        self.world.renew(key, new)
        first = last.first if type(last) is RenewedWrite else last
        write = self.renewed[key] = RenewedWrite(first, request, self.count, time, known, new)
        return write

    def _bare_again(self, request: Request, time: int) -> RecordedWrite | None:
        """The same of a renewal that was logged without objects: it shows no change."""
        last = self.bare.get(request.key)
        if last is None or last.like is not request.like:
            return None
        self.count += 1
        known = self.world.objects.get(request.key)
        return _bare_again(
            last, request.line, self.count, time, request.received, request.completed, request.reference, known, known
        )

    def _document(self, key: Key, state: Json) -> Document:
        """A state that is typed with what the state before has of it."""
        known = self.world.objects.get(key) if key[0] not in _NEVER_TYPED else None
        return Document(state) if known is None else Document(state, before=known)

    def _infer(self, request: Request) -> None:
        known = {(guess.key, guess.uid) for guess in self.missing}
        for guess in infer(request, self.world):
            if (guess.key, guess.uid) in known or (guess.key, guess.uid, guess.line) in self.told:
                continue
            self.missing.append(guess)
            self.told.add((guess.key, guess.uid, guess.line))

    def _write(
        self, request: Request, time: int, key: Key, kind: WatchType, new: Document, revision: int | None, derived: bool
    ) -> RecordedWrite:
        old = self.world.objects.get(key)
        write = request.write(
            request=self.count,
            time=time,
            key=key,
            old=old,
            new=new,
            type=kind,
            revision=revision,
            derived=derived,
            answer=request.answer if (request.answer or {}).get("kind") == "Status" else None,
        )
        if key != request.key and key[0] == "Endpoints" and request.key[0] == "Service":
            write = evolve(write, actor="apiserver")
        elif request.inferred:
            case = Unexplained(type=kind, old=old, new=new, world=self.world, kinds=self.kinds)
            found = attribute(case)
            write = evolve(write, actor=found.actor, node=found.node, verb=found.verb, subresource=found.subresource)
        if kind == "DELETED":
            self.world.remove(key)
        else:
            self.world.put(new)
        if request.like is not None:
            self.renewed[key] = write
        return write

    def _changes(self, request: Request, time: int) -> Iterator[tuple[Key, WatchType, Json, int | None, bool]]:
        """(key, watch type, state, revision, derived) of each change that the request made."""
        if not request.ok:
            return
        known = self.world.objects.get(request.key)
        if _hides(request, known):
            return
        if request.verb == "deletecollection":
            yield from self._collection(request, time)
        elif (
            request.inferred or request.verb in ("bind", "evict") or (request.verb == "delete" and not _shows(request))
        ):
            if known is not None:
                yield from self._hidden(request, known, time)
        elif request.answer is None or request.revision is None:
            return
        elif request.subresource == "scale" and known is not None and not _shows(request):
            if request.revision != known.revision:
                yield request.key, "MODIFIED", scaled(known.json, request.answer), request.revision, True
        elif request.answer.get("kind") == "PartialObjectMetadata" and known is not None:
            state = {**known.json, "metadata": metadata(without_bookkeeping(request.answer))}
            if request.revision > (known.revision or 0):
                yield request.key, "MODIFIED", state, request.revision, True
            elif request.empties_finalizers:
                yield request.key, "DELETED", state, None, True
        elif _shows(request):
            yield from self._shown(request, known)

    def _hidden(
        self, request: Request, known: Document, time: int
    ) -> Iterator[tuple[Key, WatchType, Json, int | None, bool]]:
        """The answer is only a Status."""
        if request.verb == "bind":
            target = (
                str((request.body or {}).get("target", {}).get("name") or "") if isinstance(request.body, dict) else ""
            )
            node = self.world.objects.get(("Node", "", target))
            yield (
                request.key,
                "MODIFIED",
                bound(known.json, request.body, node.json if node else None, time),
                None,
                True,
            )
            return
        if request.verb == "evict":
            for kind, state in evicted(known.json, request.body, time):
                yield request.key, _watch_type(kind), state, None, True
            return
        if request.uid and known.uid and request.uid != known.uid:
            return
        if request.inferred and request.verb == "patch":
            yield request.key, "MODIFIED", request.answer or known.json, None, True
            return
        if request.inferred and is_deleting(request.answer):
            yield request.key, "MODIFIED", _marked(known.json, request.answer or {}), None, True
            return
        yield request.key, "DELETED", known.json, None, True
        yield from self._endpoints(request.key)

    def _endpoints(self, service: Key) -> Iterator[tuple[Key, WatchType, Json, int | None, bool]]:
        """The Endpoints go with their Service (pkg/registry/core/service/storage/storage.go: afterDelete)."""
        key: Key = ("Endpoints", *service[1:])
        document = self.world.objects.get(key) if service[0] == "Service" else None
        if document is not None:
            yield key, "DELETED", document.json, None, True

    def _shown(
        self, request: Request, known: Document | None
    ) -> Iterator[tuple[Key, WatchType, Json, int | None, bool]]:
        """The answer is the object."""
        assert request.answer is not None and request.revision is not None
        state = without_bookkeeping(request.answer)
        state = state if known is None else sharing(known.json, state)
        ends = request.verb == "delete" and _is_gone(state)
        if known is not None and request.empties_finalizers and request.revision <= (known.revision or 0):
            yield request.key, "DELETED", state, None, True
        elif request.revision in self.seen:
            return
        elif ends:
            self.seen.add(request.revision)
            if known is not None and _deletion(known.json) != _deletion(state):
                yield request.key, "MODIFIED", at_revision(state, known.revision), None, True
            yield request.key, "DELETED", state, request.revision, False
            yield from self._endpoints(request.key)
        else:
            self.seen.add(request.revision)
            created = request.verb == "create" or request.code == 201
            if known is None and not created:
                self.appeared.append(Document(state))
            yield request.key, "ADDED" if created else "MODIFIED", state, request.revision, False

    def _collection(self, request: Request, time: int) -> Iterator[tuple[Key, WatchType, Json, int | None, bool]]:
        """The answer is the list of what was there when the deletion of each began."""
        items = (request.answer or {}).get("items")
        kind, space, _ = request.key
        if items is None:
            return
        for item in items:
            key: Key = (kind, space, str(metadata(item).get("name") or ""))
            known = self.world.objects.get(key)
            if known is None or known.uid != metadata(item).get("uid"):
                continue
            for change, state in deleted({**known.json, "kind": kind}, request.body, time):
                yield key, _watch_type(change), state, None, True
                yield from self._endpoints(key)


def _hides(request: Request, known: Document | None) -> bool:
    """Whether a line without objects (audit levels Metadata and Request) leaves open what the request did."""
    if request.inferred or request.answer is not None:
        return False
    if request.verb in ("bind", "evict"):
        return request.body is None
    return request.verb == "delete" and known is not None and known.key[0] in _LINGERS


_LINGERS: Final = ("Pod", "Namespace")
"""Kinds whose objects stay for a while after their deletion."""


def _watch_type(text: str) -> WatchType:
    return "DELETED" if text == "DELETED" else "MODIFIED"


def _marked(obj: Json, answer: Json) -> Json:
    """The object with the deletion that a later answer shows."""
    shown = metadata(answer)
    names = ("deletionTimestamp", "deletionGracePeriodSeconds", "finalizers", "generation")
    meta = {**metadata(obj), **{name: shown[name] for name in names if name in shown}}
    status = obj.get("status") or {}
    if obj.get("kind") == "Namespace":
        return {**obj, "metadata": meta, "status": {**status, "phase": "Terminating"}}
    return {**obj, "metadata": meta}


def _shows(request: Request) -> bool:
    return request.answer is not None and request.answer.get("kind") == request.key[0]


def _is_gone(state: Json) -> bool:
    """Whether a DELETE that answers with this object removed it (otherwise it only began the deletion)."""
    meta = metadata(state)
    if meta.get("finalizers") or state.get("kind") == "Namespace":
        return False
    return state.get("kind") != "Pod" or meta.get("deletionGracePeriodSeconds") == 0 or not is_deleting(state)


def _deletion(obj: Json) -> tuple[object, object]:
    return metadata(obj).get("deletionTimestamp"), metadata(obj).get("deletionGracePeriodSeconds")
