"""Pods that look alike: what the tables say about one of them is cast for the others.

Pods of one template differ in name, uid, node, addresses and labels of their nodes. All else that the tables of
Endpoints and EndpointSlices ask of a pod is its look (`k8sfsm.controllers.pod_sights`). Of each look that a Service
selects one pod is judged, and what it gives is filled in with the parts of the others. What is found for a look is
found again by each sight, and most sights give nothing: of such pods nothing is asked but the sight. Where
K8SFSM_FROZEN is set, as it is in the tests, each cast is compared with what the tables say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from k8sfsm.controllers.endpoints_pods import selection
from k8sfsm.controllers.pod_sights import Sight, sights_of
from k8sfsm.law import LawError
from k8sfsm.objects import Pod, Service

T = TypeVar("T")
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_LIMIT: Final = 4096


class Casts(Generic[T]):
    """What pods give to a Service, by their looks. `judge` asks the tables about a pod, and what they are told besides;
    `cast` makes of what an alike pod gives this pod's. Neither may refer to who keeps these casts.
    """

    __slots__ = ("_by_sight", "_cast", "_judge", "_known", "_selects")

    def __init__(self, service: Service, judge: Callable[[Pod, Any], T | None], cast: Callable[[T, Pod], T]) -> None:
        self._selects = selection(service)
        self._by_sight: dict[Hashable, T | None] = {}
        self._judge = judge
        self._cast = cast
        self._known: dict[Hashable, T | None] = {}

    def of(self, pods: Sequence[Pod], more: Iterable[Hashable]) -> list[tuple[int, T]]:
        """What those of some pods give that give something, each with its place among them. `more`: what the tables are
        told besides, about each of the pods. Raises LawError.
        """
        given, by_sight = [], self._by_sight
        for place, (pod, about) in enumerate(zip(pods, zip(sights_of(pods), more, strict=False), strict=False)):
            known = by_sight.get(about, _UNKNOWN)
            if known is _UNKNOWN:
                known = self._learn(pod, *about)
            found: T | None = None if known is None else self._cast(known, pod)
            if _CHECKED and found != self._judge(pod, about[1]):
                raise LawError(f"pod {pod.metadata.name} gives other endpoints than a pod that is alike")
            if found is not None:
                given.append((place, found))
        return given

    def _learn(self, pod: Pod, sight: Sight, more: Hashable) -> T | None:
        """What some pod of the same look gives: this one, where it is the first."""
        key = (sight.look, self._selects(sight.labels), more)
        if len(self._by_sight) >= _LIMIT:
            self._by_sight.clear()
            self._known.clear()
        if key not in self._known:
            self._known[key] = self._judge(pod, more)
        known = self._by_sight[sight, more] = self._known[key]
        return known


_UNKNOWN: Final[Any] = object()
