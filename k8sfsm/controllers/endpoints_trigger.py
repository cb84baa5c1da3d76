"""When the change happened that a write of endpoints answers to: the trigger time, an annotation of both kinds.

Source: staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final

from immutables import Map

from k8sfsm.controllers.endpoints_pods import law, selection
from k8sfsm.controllers.following import Difference, Memo, difference
from k8sfsm.controllers.pod_sights import sights_of
from k8sfsm.index import NO_SERIES, Series
from k8sfsm.law import LawError
from k8sfsm.objects import Service
from k8sfsm.objects.durations import SECOND
from k8sfsm.objects.times import format_time
from k8sfsm.request import Remember
from k8sfsm.value import value

_CHECKED: Final = "K8SFSM_FROZEN" in os.environ
ANNOTATION: Final = "endpoints.kubernetes.io/last-change-trigger-time"


@value
class Seen:
    """What a controller remembers of a Service: its creation, and when each pod's readiness last changed (by name)."""

    service: int
    pods: Map[str, int]


@value
class Trigger:
    """The pods' times at a sync against those of the sync before (`before` None: the first sync of the Service)."""

    service: Service
    before: Seen | None
    after: Seen
    changed: Mapping[str, int]


@law.fact
def known(trigger: Trigger) -> bool:
    """The controller has synced the Service before."""
    return trigger.before is not None


@law.fact
def news(trigger: Trigger) -> bool:
    """A pod's readiness changed since the last sync, or the Service was created anew."""
    return _earliest(trigger) is not None


def _earliest(trigger: Trigger) -> int | None:
    before = trigger.before or Seen(0, Map())
    times = [time for name, time in trigger.changed.items() if time > before.pods.get(name, 0)]
    if trigger.after.service > before.service:
        times.append(trigger.after.service)
    return min(times, default=None)


def trigger_time(trigger: Trigger, memory_key: tuple[str, str, str]) -> tuple[int | None, tuple[Remember, ...]]:
    """The trigger time in nanoseconds, None where nothing that counts has changed, and what is to be remembered."""
    decision = law.decide("trigger-time", trigger)
    remember = (
        () if trigger.after is trigger.before else (Remember(key=memory_key, value=trigger.after, why=decision.why),)
    )
    time = decision.outputs["time"]
    if time == "creation":
        return trigger.after.service or None, remember
    return (_earliest(trigger) if time == "earliest" else None), remember


def annotated(annotations: Mapping[str, str], time: int | None) -> dict[str, str]:
    """Annotations with the trigger time set, or taken away where there is none."""
    kept = {name: value for name, value in annotations.items() if name != ANNOTATION}
    return kept if time is None else {**kept, ANNOTATION: _rfc3339_nano(time)}


def _rfc3339_nano(time: int) -> str:
    fraction = f"{time % SECOND:09d}".rstrip("0")
    text = format_time(time)
    return f"{text[:-1]}.{fraction}Z" if fraction else text


class ReadinessTimes:
    """Follows the readiness of a Service's pods from sync to sync, at the cost of the pods that changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._selects = selection(service)
        self._known: Memo[Series] = Memo(16)

    def look(self, listed: Series, before: Seen | None) -> Trigger:
        """Compare the pods of the Service (`listed`: all of its namespace) with what was seen before."""
        known = None if before is None else self._known.get(before)
        created = self._service.metadata.creation_timestamp or 0
        if before is None or known is None:
            changed = self._times(difference(NO_SERIES, listed))
            after = self._shared(listed, Seen(created, Map()), changed, ())
            after = before if before is not None and before == after else after
        else:
            pods, names = difference(known, listed), before.pods
            now = self._times(pods)
            changed = {name: time for name, time in now.items() if names.get(name) != time}
            gone = [pod.metadata.name for pod in pods.gone]
            lost = [name for name in gone if name not in now and name in names]
            after = before
            if changed or lost or created != before.service:
                after = self._shared(listed, Seen(created, names), changed, lost)
        self._known.put(after, listed)
        return Trigger(self._service, before, after, changed)

    def _shared(self, listed: Series, before: Seen, changed: Mapping[str, int], lost: Iterable[str]) -> Seen:
        """What is seen in a list of pods: `before` with the times that changed, without the pods that were lost.

        It follows from the list, the selector and the creation alone, and the controllers of both kinds ask for it in
        turn. Where K8SFSM_FROZEN is set, as it is in the tests, what one of them found is compared with the other's.
        """
        selector = self._service.spec.selector
        for series, asked, found in _LATEST:
            if series is listed and found.service == before.service and asked == selector:
                if _CHECKED and found != _changed(before, changed, lost):
                    raise LawError(f"two controllers saw different pods of Service {self._service.metadata.name}")
                return found
        after = _changed(before, changed, lost)
        _LATEST.insert(0, (listed, selector, after))
        del _LATEST[_KEPT:]
        return after

    def _times(self, pods: Difference) -> dict[str, int]:
        """When the readiness of the pods that came last changed, by name."""
        seen = sights_of(pods.come)
        selected = {sight for sight in set(seen) if sight.since is not None and self._selects(sight.labels)}
        if not selected:
            return {}
        return {
            pod.metadata.name: sight.since
            for pod, sight in zip(pods.come, seen, strict=True)
            if sight in selected and sight.since is not None
        }


def _changed(before: Seen, changed: Mapping[str, int], lost: Iterable[str]) -> Seen:
    pods = before.pods.mutate()
    for name in lost:
        pods.pop(name, None)
    for name, time in changed.items():
        pods[name] = time
    return Seen(before.service, pods.finish())


_LATEST: Final[list[tuple[Series, Mapping[str, str], Seen]]] = []
_KEPT: Final = 4
"""How many are kept: few Services of a namespace are looked at before both controllers have asked."""
