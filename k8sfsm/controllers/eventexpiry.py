"""Events go by themselves: the store keeps them for an hour after they were last written.

A real API server writes them with a lease of etcd. Here its own actor looks when the next one is due.
Source: pkg/controlplane/apiserver/options/options.go: EventTTL; storage/etcd3/lease_manager.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import frozen

from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import Event, Unmodelled, key_of, parse_time
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Delete, Key, Plan, Step, regardless
from k8sfsm.view import View

law = Law("eventexpiry")

ROUND: Final[Key] = ("EventExpiry", "", "round")


@frozen
class Kept:
    """An Event in the store at a time (ns)."""

    event: Event | Unmodelled
    now: int

    @property
    def due(self) -> int:
        """When (ns) it goes."""
        return _last_written(self.event) + int(constant("event_ttl")) * SECOND


def _last_written(event: Event | Unmodelled) -> int:
    """When (ns) the Event was written last, by the times in it."""
    times = [event.metadata.creation_timestamp]
    if isinstance(event, Event):
        seen = event.series.last_observed_time if event.series is not None else None
        times += [event.last_timestamp, seen]
    else:
        noted = (event.extra.get("deprecatedLastTimestamp"), (event.extra.get("series") or {}).get("lastObservedTime"))
        times += [parse_time(text) for text in noted if text]
    return max(time for time in (*times, 0) if time is not None)


@law.fact
def event_expired(case: Kept) -> bool:
    """Whether its time is over."""
    return case.due <= case.now


@law.action
def remove_event(case: Kept, decision: Decision) -> Iterable[Step]:
    """Take the Event out of the store, unless it was written meanwhile."""
    yield Delete(key=key_of(case.event), resource_version=case.event.metadata.resource_version)


class EventExpiry:
    """Looks at all Events when the first of them is due."""

    name = "apiserver"
    law = law
    first_keys: tuple[Key, ...] = (ROUND,)

    def reconcile(self, view: View, key: Key) -> Plan:
        """Remove what is due, and look again when the next one is, or might be."""
        kept = [Kept(event, view.now) for event in view.list("Event")]
        steps = [step for case in kept for step in law.perform(law.decide("expiry", case), case)]
        left = [case.due for case in kept if case.due > view.now]
        pause = min(left, default=view.now + constant("event_ttl") * SECOND) - view.now
        again = Plan(requeue_after=max(pause, constant("event_ttl_precision") * SECOND), periodic=True)
        return regardless(steps, again) if steps else again
