"""Pods that look alike: what the tables say about one of them is cast for the others.

Pods of one template differ in name, uid, node, addresses and labels of their nodes. All else that the tables of
Endpoints and EndpointSlices ask of a pod is its look (`k8sfsm.controllers.pod_sights`). Of each look that a Service
selects one pod is judged, and what it gives is filled in with the parts of the others. Where K8SFSM_FROZEN is set, as
it is in the tests, each cast is compared with what the tables say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from k8sfsm.controllers.endpoints_pods import selection
from k8sfsm.controllers.pod_sights import sight_of
from k8sfsm.law import LawError
from k8sfsm.objects import Pod, Service

T = TypeVar("T")
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_LIMIT: Final = 4096


class Casts(Generic[T]):
    """What pods give to a Service, by their looks. `judge` asks the tables; `cast` makes of what an alike pod gives
    this pod's. Neither may refer to who keeps these casts.
    """

    __slots__ = ("_cast", "_judge", "_known", "_selects")

    def __init__(self, service: Service, judge: Callable[..., T | None], cast: Callable[[T, Pod], T]) -> None:
        self._selects = selection(service)
        self._judge = judge
        self._cast = cast
        self._known: dict[Hashable, T | None] = {}

    def of(self, pod: Pod, *more: Hashable) -> T | None:
        """What a pod gives; None: nothing. `more`: what the tables are told besides. Raises LawError."""
        sight = sight_of(pod)
        key = (sight.look, self._selects(sight.labels), *more)
        known = self._known.get(key, _UNKNOWN)
        if known is _UNKNOWN:
            if len(self._known) >= _LIMIT:
                self._known.clear()
            found = self._known[key] = self._judge(pod, *more)
            return found
        given: T | None = None if known is None else self._cast(known, pod)
        if _CHECKED and given != self._judge(pod, *more):
            raise LawError(f"pod {pod.metadata.name} gives other endpoints than a pod that is alike")
        return given


_UNKNOWN: Final[Any] = object()
