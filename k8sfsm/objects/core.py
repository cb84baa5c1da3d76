# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Namespace, ServiceAccount, Event, Lease, Binding, Eviction, and objects of any other kind.

Source: staging/src/k8s.io/api/core/v1/types.go, coordination/v1/types.go, policy/v1/types.go.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import JSON, MicroTime, Struct, Time, written
from k8sfsm.objects.meta import ObjectMeta, ObjectReference


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NamespaceSpec(Struct):
    """Who must agree before the namespace goes."""

    finalizers: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NamespaceCondition(Struct):
    """The observed state of one aspect of a Namespace."""

    type: str = written("")
    status: str = written("")
    last_transition_time: Time | None = written(None)
    reason: str = ""
    message: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NamespaceStatus(Struct):
    """Phase Active or Terminating."""

    phase: str = ""
    conditions: tuple[NamespaceCondition, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Namespace(Struct):
    """A scope for names."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Namespace"

    metadata: ObjectMeta = ObjectMeta()
    spec: NamespaceSpec = NamespaceSpec()
    status: NamespaceStatus = NamespaceStatus()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ServiceAccount(Struct):
    """An identity of Pods."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "ServiceAccount"

    metadata: ObjectMeta = ObjectMeta()
    secrets: tuple[JSON, ...] = ()
    image_pull_secrets: tuple[JSON, ...] = ()
    automount_service_account_token: bool | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EventSource(Struct):
    """Who reported an event, in the old form."""

    component: str = ""
    host: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class EventSeries(Struct):
    """How often an event was seen in a row."""

    count: int = 0
    last_observed_time: MicroTime | None = written(None)


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Event(Struct):
    """A report about an object (core/v1; an events.k8s.io/v1 Event is `Unmodelled`)."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Event"

    metadata: ObjectMeta = ObjectMeta()
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    source: EventSource = EventSource()
    first_timestamp: Time | None = written(None)
    last_timestamp: Time | None = written(None)
    count: int = 0
    type: str = ""
    event_time: MicroTime | None = written(None)
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = written("")
    reporting_instance: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LeaseSpec(Struct):
    """Who holds a lease and since when; duration in seconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: MicroTime | None = None
    renew_time: MicroTime | None = None
    lease_transitions: int | None = None
    strategy: str | None = None
    preferred_holder: str | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Lease(Struct):
    """A heartbeat: of a kubelet, or of a leader."""

    api_version: ClassVar[str] = "coordination.k8s.io/v1"
    kind: ClassVar[str] = "Lease"

    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpec = LeaseSpec()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Binding(Struct):
    """The scheduler's request to assign a Pod to a Node."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "Binding"

    metadata: ObjectMeta = ObjectMeta()
    target: ObjectReference = ObjectReference()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Eviction(Struct):
    """A request to delete a Pod if its disruption budgets allow it."""

    api_version: ClassVar[str] = "policy/v1"
    kind: ClassVar[str] = "Eviction"

    metadata: ObjectMeta = ObjectMeta()
    delete_options: JSON | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Unmodelled(Struct):
    """An object of a kind that has no type here: its metadata, and all the rest in `extra`."""

    api_version: str
    kind: str
    metadata: ObjectMeta = ObjectMeta()
