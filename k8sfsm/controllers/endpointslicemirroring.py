"""The EndpointSlice mirroring controller: slices for the Endpoints that users keep by hand.

Source: pkg/controller/endpointslicemirroring/endpointslicemirroring_controller.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from k8sfsm.controllers.endpoints_service import selecting, service_exists
from k8sfsm.controllers.endpointslice_tracker import (
    Managed,
    cache_is_stale,
    changed_services,
    observe,
    slice_key,
    slices_key,
    tracked_slices,
)
from k8sfsm.controllers.endpointslicemirroring_copies import MANAGER, Copying
from k8sfsm.controllers.endpointslicemirroring_writes import Progress, SliceWrite, law, next_plan
from k8sfsm.law import Decision
from k8sfsm.objects import Endpoints, Service
from k8sfsm.request import Key, Plan, Remember, Step
from k8sfsm.value import value
from k8sfsm.view import Change, View

NAME: Final = "endpointslicemirroring-controller"
SKIP: Final = "endpointslice.kubernetes.io/skip-mirror"
LEADER: Final = "control-plane.alpha.kubernetes.io/leader"

law.fact(service_exists)
law.fact(selecting)


@value
class Sync:
    """The case of `sync`: a key of the queue, what is of its name, and whether the cache of its slices is old."""

    key: Key
    endpoints: Endpoints | None
    service: Service | None
    is_stale: Callable[[], bool]
    uids: tuple[str, ...]


@value
class EndpointsEvent:
    """The case of `endpoints-event`."""

    change: Change


@value
class ServiceEvent:
    """The case of `service-event`."""

    change: Change


def mirrored(view: View, namespace: str, name: str) -> bool:
    """Are the Endpoints of that name to be copied?"""
    service: Service | None = view.get("Service", namespace, name)
    wanted = service is not None and not service.spec.selector
    return wanted and _mirrorable(view.get("Endpoints", namespace, name))


# -- facts -----------------------------------------------------------------------------------------------------------


@law.fact
def opted_out(endpoints: Endpoints) -> bool:
    """A label says that the Endpoints are not to be mirrored."""
    return endpoints.metadata.labels.get(SKIP) == "true"


@law.fact
def elects_leader(endpoints: Endpoints) -> bool:
    """The Endpoints serve the election of a leader."""
    return LEADER in endpoints.metadata.annotations


def _mirrorable(endpoints: Endpoints | None) -> bool:
    return endpoints is not None and bool(law.decide("mirrorable", endpoints).outputs["mirrorable"])


@law.fact
def endpoints_exist(sync: Sync) -> bool:
    """There are Endpoints of that name."""
    return sync.endpoints is not None


@law.fact
def is_mirrorable(case: Sync | EndpointsEvent) -> bool:
    """The Endpoints are to be mirrored (table `mirrorable`); of those that were deleted: as they were."""
    return _mirrorable(case.endpoints if isinstance(case, Sync) else case.change.new)


@law.fact
def was_mirrorable(case: EndpointsEvent) -> bool:
    """The Endpoints were to be mirrored before the change."""
    return _mirrorable(case.change.old) if case.change.type == "MODIFIED" else False


@law.fact
def cache_stale(sync: Sync) -> bool:
    """The cache shows a slice older than this controller made it (table `EndpointSlice/slice-cache`)."""
    return sync.is_stale()


@law.fact
def updated(case: ServiceEvent) -> bool:
    """The Service was there before and is still there."""
    return case.change.type == "MODIFIED"


@law.fact
def selects_now(case: ServiceEvent) -> bool:
    """The Service has a selector."""
    return bool(case.change.new.spec.selector)


@law.fact
def selected_before(case: ServiceEvent) -> bool:
    """The Service had a selector before the change."""
    return case.change.old is not None and bool(case.change.old.spec.selector)


# -- actions and keys ------------------------------------------------------------------------------------------------


@law.action
def forget_slices(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Forget what is remembered of the slices."""
    forgotten = (slices_key(sync.key), *(slice_key(uid) for uid in sync.uids))
    return tuple(Remember(key=key, value=None) for key in forgotten)


@law.key
def mirrored_endpoints(change: Change, view: View) -> tuple[Key, ...]:
    """The Endpoints themselves, where the table `endpoints-event` says so."""
    return (change.key,) if law.decide("endpoints-event", EndpointsEvent(change)).outputs["queue"] else ()


@law.key
def endpoints_of_service(change: Change, view: View) -> tuple[Key, ...]:
    """The Endpoints of the Service's name, where the table `service-event` says so."""
    if not law.decide("service-event", ServiceEvent(change)).outputs["queue"]:
        return ()
    return (("Endpoints", change.key[1], change.key[2]),)


@law.key
def endpoints_of_slice(change: Change, view: View) -> tuple[Key, ...]:
    """The Endpoints whose copy somebody else changed (table `EndpointSlice/slice-event`)."""
    return tuple(("Endpoints", namespace, name) for namespace, name in changed_services(change, view, MANAGER))


# -- the controller --------------------------------------------------------------------------------------------------


class EndpointSliceMirroringController:
    """Reconciles Endpoints: keys are ("Endpoints", namespace, name). `limit`: most addresses copied of one subset."""

    name = NAME
    law = law

    def __init__(self, limit: int | None = None) -> None:
        self._limit = int(law.constant("mirrored_addresses_per_subset")) if limit is None else limit
        self._managed = Managed(MANAGER)

    def observe(self, change: Change, view: View) -> tuple[Remember, ...]:
        """What a change that the informer shows does to the controller's memory."""
        return observe(change, view, MANAGER)

    def reconcile(self, view: View, key: Key) -> Plan:
        """What to do about the copies of one Endpoints object."""
        _, namespace, name = key
        slices, tracked = self._managed.of(view, key), tracked_slices(view.memory, key)
        sync = Sync(
            key=key,
            endpoints=view.get("Endpoints", namespace, name),
            service=view.get("Service", namespace, name),
            is_stale=lambda: cache_is_stale(
                view.memory, tracked, {stored.metadata.uid: stored.metadata.generation for stored in slices}
            ),
            uids=tuple(tracked),
        )
        decision = law.decide("sync", sync)
        if decision.outputs["error"]:
            return Plan(error="EndpointSlice informer cache is out of date")
        if not decision.outputs["mirror"] or sync.endpoints is None:
            writes = tuple(SliceWrite("delete", stored, sync.endpoints, decision.why) for stored in slices)
            steps = law.perform(decision, sync)
            return next_plan(Progress(key, (), writes, steps=steps, cleaning=True))
        copying = Copying(sync.endpoints, slices, self._limit)
        return next_plan(Progress(key, sync.uids, copying.writes(), steps=copying.events()))
