"""Pods that look alike to a Service: what the tables say about one of them is cast for the others.

Pods of one template differ in name, uid, node and addresses. All else that the tables of Endpoints and EndpointSlices
ask of a pod is its look; of each look one pod is judged, and what it gives is filled in with the parts of the others.
Where K8SFSM_FROZEN is set, as it is in the tests, each cast is compared with what the tables say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from k8sfsm.controllers.endpoints_pods import family_of
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import LawError
from k8sfsm.objects import Pod

T = TypeVar("T")
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_LIMIT: Final = 4096


def look_of(pod: Pod) -> tuple[Any, ...]:
    """Whatever the tables ask of a pod but its name, uid, node and addresses; what is shared, by identity."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    return (
        id(meta.labels),
        id(spec.containers),
        id(spec.init_containers),
        spec.hostname,
        spec.subdomain,
        meta.namespace,
        meta.deletion_timestamp is None,
        status.phase,
        is_pod_ready(pod),
        family_of(status.pod_ip) if status.pod_ip else "",
        tuple([family_of(each.ip) if each.ip else "" for each in status.pod_ips]),
    )


class Casts(Generic[T]):
    """What pods give, by their looks. `judge` asks the tables; `cast` makes of what an alike pod gives this pod's.

    Neither may refer to who keeps these casts.
    """

    __slots__ = ("_cast", "_judge", "_known")

    def __init__(self, judge: Callable[..., T | None], cast: Callable[[T, Pod], T]) -> None:
        self._judge = judge
        self._cast = cast
        self._known: dict[Hashable, tuple[Pod, T | None]] = {}

    def of(self, pod: Pod, *more: Hashable) -> T | None:
        """What the pod gives; None: nothing. `more`: what the tables are told besides. Raises LawError."""
        look = (*look_of(pod), *more)
        known = self._known.get(look)
        if known is None:
            if len(self._known) >= _LIMIT:
                self._known.clear()
            found = self._judge(pod, *more)
            self._known[look] = (pod, found)  # the pod keeps alive what its look names by identity
            return found
        given = None if known[1] is None else self._cast(known[1], pod)
        if _CHECKED and given != self._judge(pod, *more):
            raise LawError(f"pod {pod.metadata.name} gives other endpoints than {known[0].metadata.name}, alike to it")
        return given
