"""The order in which the requests of an audit log took effect.

An audit log is written when requests are answered, by several writers, so its lines are out of order. Answers that
carry a revision have their true place. The others (bindings, removals, refusals) are placed by what they caused and
met, and by their time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, Final

from k8sfsm.request import Key
from k8sfsm.trace.lines import Json
from k8sfsm.trace.requests import Request
from k8sfsm.trace.resources import is_deleting


def in_order(requests: Iterable[Request]) -> list[tuple[Request, int]]:
    """Requests in order of effect, each with the upper bound of its commit (ns)."""
    revised, others = list[Request](), list[Request]()
    for request in sorted(requests, key=_by_completion):
        (revised if is_revised(request) else others).append(request)
    revised.sort(key=_by_revision)
    bounds = _bounds(revised)
    placed: dict[int, list[Request]] = defaultdict(list)
    of_key: dict[Key, list[tuple[int, Request]]] = {request.key: [] for request in others}
    for index, request in enumerate(revised):
        if request.key in of_key:
            of_key[request.key].append((index, request))
    for request in others:
        low, high = _limits(request, of_key[request.key], len(revised))
        placed[min(max(bisect_right(bounds, request.completed), low), high)].append(request)
    if not placed:
        return list(zip(revised, bounds, strict=True))
    result: list[tuple[Request, int]] = []
    for index in range(len(revised) + 1):
        if index in placed:
            result += [(request, request.completed) for request in placed[index]]
        if index < len(revised):
            result.append((revised[index], bounds[index]))
    return result


_by_completion: Final = attrgetter("completed", "line.file", "line.number")


def is_revised(request: Request) -> bool:
    """Whether the answer shows an object at a revision (which the request made, or only met)."""
    return request.code < 300 and request.revision is not None and request.verb != "deletecollection"


def _by_revision(request: Request) -> tuple[int, int]:
    """By revision; of several answers with one revision the first is its maker: creations, then by time, in which they
    stand already.
    """
    if request.verb == "create":
        maker = 0
    elif request.unchanging or (request.like is None and request.empties_finalizers):  # no renewal removes anything
        maker = 2
    else:
        maker = 1
    return request.revision or 0, maker


def _bounds(revised: Sequence[Request]) -> list[int]:
    bounds = [request.completed for request in revised]
    for index in range(len(bounds) - 2, -1, -1):
        bounds[index] = min(bounds[index], bounds[index + 1])
    return bounds


def _limits(request: Request, known: Sequence[tuple[int, Request]], end: int) -> tuple[int, int]:
    """Between which revised requests one without a revision stands: [low, high] as indices to stand before."""
    if not request.ok:
        if request.code == 409 and request.precondition is not None:
            beaten = [index + 1 for index, other in known if (other.revision or 0) > request.precondition]
            return min(beaten, default=0), end
        return 0, end
    if request.before is not None:
        high = min((index for index, other in known if (other.revision or 0) >= request.before), default=end)
        return max((index + 1 for index, _ in known if index < high), default=0), high
    same = [(i, r) for i, r in known if not request.uid or not r.uid or r.uid == request.uid]
    if request.verb == "bind":
        return _around(same, lambda obj: bool((obj.get("spec") or {}).get("nodeName")), end)
    if request.verb == "evict" or (request.inferred and is_deleting(request.answer)):
        return _around(same, is_deleting, end)
    if request.verb == "delete" and request.uid:
        return max((index + 1 for index, _ in same), default=0), end
    return 0, end


def _around(known: Sequence[tuple[int, Request]], shows: Any, end: int) -> tuple[int, int]:
    """After the last answer that does not show the effect, before the first that does."""
    high = min(
        (index for index, other in known if other.answer and _is_object(other) and shows(other.answer)), default=end
    )
    low = max((index + 1 for index, _ in known if index < high), default=0)
    return min(low, high), high


def _is_object(request: Request) -> bool:
    answer: Json = request.answer or {}
    return answer.get("kind") == request.key[0]
