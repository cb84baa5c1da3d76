"""Pods that look alike: what the tables say about one of them is cast for the others.

Pods of one template differ in name, uid, node, addresses and labels of their nodes. All else that the tables of
Endpoints and EndpointSlices ask of a pod is its look. Of each look that a Service selects one pod is judged, and what
it gives is filled in with the parts of the others. Where K8SFSM_FROZEN is set, as it is in the tests, each cast is
compared with what the tables say.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from k8sfsm.controllers.endpoints_pods import family_of, selection
from k8sfsm.controllers.following import Difference, Memo
from k8sfsm.controllers.pod_changes import readiness_of
from k8sfsm.law import LawError
from k8sfsm.objects import Pod, Service
from k8sfsm.value import value

T = TypeVar("T")
_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
_LIMIT: Final = 4096


@value(eq=False)
class Look:
    """What pods have in common that are alike; `pod`: the first of them, which keeps alive what they share."""

    pod: Pod


_LOOKS: Final[dict[tuple[Any, ...], Look]] = {}
_SEEN: Final[Memo[list[tuple[Look, int | None]]]] = Memo(8)
_BY_POD: Final[Memo[tuple[Look, int | None]]] = Memo(2048)
"""Who follows the pods of a namespace asks about the same ones, but seldom about as many at one time."""


def looks_of(pods: Difference) -> list[tuple[Look, int | None]]:
    """The looks of the pods that came, and when the readiness of each last changed (ns). Found once for all who ask."""
    return _SEEN.of(pods, _seen)


def look_of(pod: Pod) -> Look:
    """The look of a pod."""
    return _BY_POD.of(pod, _look_and_time)[0]


def _seen(pods: Difference) -> list[tuple[Look, int | None]]:
    return [_BY_POD.get(pod) or _BY_POD.put(pod, _look_and_time(pod)) for pod in pods.come]


def _look_and_time(pod: Pod) -> tuple[Look, int | None]:
    """Whatever the tables ask of a pod but its name, uid, node, addresses and labels; lists of ports by identity."""
    meta, spec, status = pod.metadata, pod.spec, pod.status
    condition, containers, ips = readiness_of(pod), spec.containers, status.pod_ips
    facts = (
        id(containers[0].ports) if len(containers) == 1 else tuple([id(each.ports) for each in containers]),
        tuple([(id(each.ports), each.restart_policy) for each in spec.init_containers]) if spec.init_containers else (),
        spec.hostname,
        spec.subdomain,
        meta.namespace,
        meta.deletion_timestamp is None,
        status.phase,
        None if condition is None else condition.status,
        family_of(status.pod_ip) if status.pod_ip else "",
        tuple([family_of(each.ip) if each.ip else "" for each in ips]) if ips else (),
    )
    look = _LOOKS.get(facts)
    if look is None:
        if len(_LOOKS) >= _LIMIT:
            _LOOKS.clear()
        look = _LOOKS[facts] = Look(pod)
    return look, None if condition is None else condition.last_transition_time


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

    def of(self, pod: Pod, look: Look, *more: Hashable) -> T | None:
        """What a pod of this look gives; None: nothing. `more`: what the tables are told besides. Raises LawError."""
        key = (look, self._selects(pod.metadata.labels), *more)
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
