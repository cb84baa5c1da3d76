"""Puts joined changes and requests in their true order, as the writes of a history."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from k8sfsm.objects import evolve
from k8sfsm.request import Key
from k8sfsm.trace.actors import sharing_actor
from k8sfsm.trace.attribution import Unexplained, World, attribute
from k8sfsm.trace.history import Document, RecordedWrite
from k8sfsm.trace.join import Join, Seen
from k8sfsm.trace.requests import Request


def commit_bounds(join: Join) -> list[int]:
    """For each change the tightest upper bound of its commit (ns).

    Commits are ordered by revision, and a change was committed before its request was answered, before the watch
    showed it, and before any later change: the smallest of all those times.
    """
    bounds = [0] * len(join.changes)
    later: int | None = None
    for index in range(len(join.changes) - 1, -1, -1):
        author = join.author[index]
        times = [join.changes[index].time]
        if author is not None:
            times.append(join.requests[author].completed)
        if later is not None:
            times.append(later)
        bounds[index] = later = min(times)
    return bounds


def assemble(join: Join, initial: Iterable[Document]) -> tuple[RecordedWrite, ...]:
    """The writes in order: changes by revision, requests that changed nothing between them by time and revision."""
    bounds = commit_bounds(join)
    waiting = _placed(join, bounds)
    numbers = _Numbers()
    world = World()
    for document in initial:
        world.put(document)
    kinds = frozenset([key[0] for key in world.objects] + [change.key[0] for change in join.changes])
    writes: list[RecordedWrite] = []
    for index in range(len(join.changes) + 1):
        writes += _idle(waiting.get(index, ()), join, world, numbers)
        if index == len(join.changes):
            break
        change = join.changes[index]
        writes.append(_changed(join, index, bounds[index], world, kinds, numbers))
        if change.type == "DELETED":
            world.remove(change.key)
        else:
            world.put(change.document)
    return tuple(writes)


class _Numbers:
    """Numbers requests from 1 in order of their first appearance."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._last = 0

    def of(self, request: int) -> int:
        """The number of a recorded request."""
        if request not in self._known:
            self._known[request] = self.next()
        return self._known[request]

    def next(self) -> int:
        """A number for a request that is not recorded."""
        self._last += 1
        return self._last


def _placed(join: Join, bounds: Sequence[int]) -> dict[int, list[int]]:
    """Requests that changed nothing, by the index of the change that they stand before."""
    revisions: dict[Key, list[tuple[int, int]]] = defaultdict(list)
    for index, change in enumerate(join.changes):
        revisions[change.key].append((change.revision or 0, index))
    placed: dict[int, list[int]] = defaultdict(list)
    for number, request in enumerate(join.requests):
        if join.made[number]:
            continue
        low, high = _limits(request, revisions.get(request.key, ()), len(bounds))
        placed[min(max(bisect_right(bounds, request.completed), low), high)].append(number)
    return placed


def _limits(request: Request, known: Sequence[tuple[int, int]], end: int) -> tuple[int, int]:
    """Between which changes a request stands: after what it saw, or what made it fail; before what it did not see."""
    if request.ok and request.revision is not None and request.verb != "deletecollection":
        low = max((index + 1 for revision, index in known if revision <= request.revision), default=0)
        high = min((index for revision, index in known if revision > request.revision), default=end)
        return low, max(low, high)
    if request.code == 409 and request.precondition is not None:
        return min((index + 1 for revision, index in known if revision > request.precondition), default=0), end
    return 0, end


def _idle(numbers_here: Sequence[int], join: Join, world: World, numbers: _Numbers) -> Iterator[RecordedWrite]:
    for number in sorted(numbers_here, key=lambda n: (join.requests[n].completed, n)):
        request = join.requests[number]
        state = world.objects.get(request.key)
        new = state if request.ok and request.verb != "deletecollection" else None
        yield request.write(request=numbers.of(number), old=state, new=new)


def _changed(
    join: Join, index: int, time: int, world: World, kinds: frozenset[str], numbers: _Numbers
) -> RecordedWrite:
    change = join.changes[index]
    old = world.objects.get(change.key)
    author = join.author[index]
    if author is None:
        return _unrequested(change, old, time, world, kinds, numbers.next())
    request = join.requests[author]
    if request.verb == "deletecollection":
        request = evolve(request, answer=None, revision=None)  # it shows the list, not this object
    itself = change.key[0] == "Endpoints" and request.key[0] == "Service"  # what the API server does on its own
    return request.write(
        actor="apiserver" if itself else _sender(request, change, old),
        answered=None if itself else request.revision,
        reference={} if itself else request.reference,
        answer=None if itself else request.answer,
        shown=change.shown,
        request=numbers.of(author),
        seen=change.line,
        time=time,
        revision=change.revision,
        key=change.key,
        old=old,
        new=change.document,
        type=change.type,
        trimmed=change.trimmed,
    )


def _sender(request: Request, change: Seen, old: Document | None) -> str:
    """The actor of a request; where accounts are shared, and the body is not recorded, what it changed tells."""
    if request.body is not None:
        return request.actor
    before, after = old.json if old is not None else {}, change.document.json
    spec, known = (before.get("spec") or {}), (before.get("status") or {}).get("conditions") or ()
    asked = {
        "reason": after.get("reason"),
        "spec": {name: value for name, value in (after.get("spec") or {}).items() if spec.get(name) != value},
        "status": {"conditions": [c for c in (after.get("status") or {}).get("conditions") or () if c not in known]},
    }
    return sharing_actor(request.actor, request.verb, request.key[0], asked)


def _unrequested(
    change: Seen, old: Document | None, time: int, world: World, kinds: frozenset[str], number: int
) -> RecordedWrite:
    case = Unexplained(type=change.type, old=old, new=change.document, world=world, kinds=kinds)
    found = attribute(case)
    return RecordedWrite(
        line=change.line,
        seen=change.line,
        shown=change.shown,
        request=number,
        time=time,
        revision=change.revision,
        actor=found.actor,
        node=found.node,
        verb=found.verb,
        subresource=found.subresource,
        key=change.key,
        code=201 if change.type == "ADDED" else 200,
        old=old,
        new=change.document,
        type=change.type,
        trimmed=change.trimmed,
        inferred=f"{change.line}: no request is recorded for this change ({found.rule})",
    )
