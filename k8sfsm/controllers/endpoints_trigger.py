"""When the change happened that a write of endpoints answers to: the trigger time, an annotation of both kinds.

Source: staging/src/k8s.io/endpointslice/util/trigger_time_tracker.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from immutables import Map

from k8sfsm.controllers.endpoints_memo import Block, Blocks, Memo
from k8sfsm.controllers.endpoints_pods import law, selects
from k8sfsm.kinds.pod_readiness import ready_condition
from k8sfsm.objects import Pod, Service
from k8sfsm.objects.times import SECOND, format_time
from k8sfsm.request import Remember
from k8sfsm.value import value

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
    """Follows the readiness of a Service's pods from sync to sync, at the cost of the blocks that changed."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._times: Blocks[dict[str, int]] = Blocks()
        self._pods: Memo[tuple[str, int | None]] = Memo(1024)
        self._known: Memo[tuple[Seen, tuple[dict[str, int], ...]]] = Memo(16)

    def look(self, blocks: tuple[Block, ...], before: Seen | None) -> Trigger:
        """Compare the pods of the Service (all pods of its namespace are in `blocks`) with what was seen before."""
        self._pods.limit = max(1024, 2 * sum(map(len, blocks)))
        times = tuple(self._times.of(blocks, self._of_block))
        known = None if before is None else self._known.get(before)
        created = self._service.metadata.creation_timestamp or 0
        if before is None or known is None:
            changed = {name: time for block in times for name, time in block.items()}
            after = Seen(created, Map(changed))
            after = before if before is not None and before == after else after
        else:
            changed, after = _advance(before, known[1], times, created)
        self._known.put(after, (after, times))
        return Trigger(self._service, before, after, changed)

    def _of_block(self, block: Block) -> dict[str, int]:
        return {name: time for name, time in self._pods.each(block, self._of_pod) if time is not None}

    def _of_pod(self, pod: Pod) -> tuple[str, int | None]:
        counts = selects(self._service, pod.metadata.labels)
        return pod.metadata.name, _readiness_time(pod) if counts else None


def _readiness_time(pod: Pod) -> int | None:
    condition = ready_condition(pod)
    return None if condition is None else condition.last_transition_time


def _advance(
    before: Seen, old: tuple[dict[str, int], ...], new: tuple[dict[str, int], ...], created: int
) -> tuple[dict[str, int], Seen]:
    """The times of changed blocks, and the state after; all other blocks are as they were."""
    kept = {id(block) for block in old}
    fresh = {id(block) for block in new}
    was: dict[str, int] = {}
    for block in old:
        if id(block) not in fresh:
            was.update(block)
    now: dict[str, int] = {}
    for block in new:
        if id(block) not in kept:
            now.update(block)
    changed = {name: time for name, time in now.items() if was.get(name) != time}
    gone = [name for name in was if name not in now]
    if not changed and not gone and created == before.service:
        return changed, before
    pods = before.pods.mutate()
    for name in gone:
        pods.pop(name, None)
    for name, time in changed.items():
        pods[name] = time
    return changed, Seen(created, pods.finish())
