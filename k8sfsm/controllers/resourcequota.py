"""The resource quota controller: works out what the objects of a namespace use.

Admission adds what new objects use at once (`k8sfsm.apiserver.quota_admission`); this controller sets the limits that
are enforced, and takes away what is used no longer.

Source: pkg/controller/resourcequota/resource_quota_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any, Final

from attrs import frozen

from k8sfsm.apiserver.custom.definitions import CRD, Definition
from k8sfsm.apiserver.quota import Charged, is_charged
from k8sfsm.apiserver.quota_usage import (
    allocated_storage,
    attributes_classes,
    custom_count,
    deadline_set,
    in_scopes,
    tracked,
    usage_of,
)
from k8sfsm.controllers.pod_changes import asked_in_bulk
from k8sfsm.kinds.pod_resources import add
from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import KINDS, ZERO, Pod, Quantity, ResourceQuota, ResourceQuotaStatus, Service, evolve, key_of
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import DONE, Key, Look, Noticed, Plan, Rank, Step, Update
from k8sfsm.view import Change, View

law = Law("resourcequota")

RESYNC: Final[Key] = ("ResourceQuota", "", "")
"""Stands for all quotas: every so often each is looked at."""
COUNTED: Final = tuple(kind.kind for kind in KINDS.values() if kind.namespaced)
_BALANCED: Final = ("NodePort", "LoadBalancer")


@frozen
class Turn:
    """A change at a time (ns)."""

    change: Change
    now: int


@frozen(slots=False)
class Sync:
    """One look at a quota."""

    quota: ResourceQuota
    view: View

    @cached_property
    def used(self) -> dict[str, Quantity]:
        """What is used of everything that the quota limits, as far as it is known how to count it."""
        hard, meta = self.quota.spec.hard, self.quota.metadata
        found = {name: amount for name, amount in self.quota.status.used.items() if name in hard}
        for kind, count in self.counts:
            names = tracked(kind, hard, count)
            if names:
                found |= self._of_kind(kind, meta.namespace, names)
        return found

    @cached_property
    def counts(self) -> tuple[tuple[str, str], ...]:
        """The kinds that quotas may count: Kubernetes' own, and with what stands for their number, those of people."""
        definitions = self.view.list(CRD)
        own = (Definition(each.metadata.name, each.extra) for each in definitions)
        custom = tuple((each.kind, custom_count(each.kind, definitions)) for each in own if each.namespaced)
        return (*((kind, "") for kind in COUNTED), *custom)

    def _of_kind(self, kind: str, namespace: str, names: tuple[str, ...]) -> dict[str, Quantity]:
        total = dict.fromkeys(names, ZERO)
        for obj in self.view.list(kind, namespace):
            if in_scopes(self.quota, obj):
                add(total, usage_of(obj, self.view.now, names))
        return total


# -- keys -------------------------------------------------------------------------------------------------------------


@law.key
def changed_quota(change: Change, view: View) -> tuple[Key, ...]:
    """The quota itself, where the change concerns its limits."""
    return (change.key,) if law.decide("seen", Turn(change, view.now)).outputs["looks"] else ()


def _where_no_quotas_are(changes: Sequence[Change], view: View) -> Noticed | None:
    quotas = view.snapshot("ResourceQuota")
    namespaces = {change.key[1] for change in changes}
    return None if any(quotas.series("in", "ResourceQuota", each) for each in namespaces) else Noticed()


@law.key
@asked_in_bulk(_where_no_quotas_are)
def replenished_quotas(change: Change, view: View) -> Iterable[Key]:
    """The quotas of the namespace that count such objects, where the change leaves more room in them."""
    kind, namespace, _ = change.key
    quotas = view.snapshot("ResourceQuota").series("in", "ResourceQuota", namespace)
    if not quotas or not law.decide("replenish", Turn(change, view.now)).outputs["replenishes"]:
        return ()
    return [key_of(quota) for quota in quotas if tracked(kind, quota.status.hard)]


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def change_type(case: Turn) -> str:
    """Whether the object is new, changed or gone."""
    return case.change.type


@law.fact
def limits_turn(case: Turn) -> bool:
    """Whether the quota's spec.hard changed."""
    return bool(case.change.old.spec.hard != case.change.new.spec.hard)


@law.fact
def charge_ends(case: Turn) -> bool:
    """Whether a pod was charged before, and is no longer."""
    old, new = case.change.old, case.change.new
    return (
        isinstance(new, Pod)
        and old is not None
        and is_charged(Charged(old, case.now))
        and not is_charged(Charged(new, case.now))
    )


@law.fact
def resources_turn(case: Turn) -> bool:
    """Whether a pod's containers want other resources than before, or have others allocated."""
    old, new = case.change.old, case.change.new
    if not isinstance(new, Pod) or old is None:
        return False
    return _wanted(old) != _wanted(new) or _allocated(old) != _allocated(new)


def _wanted(pod: Pod) -> tuple[Any, ...]:
    return tuple(each.resources for each in pod.spec.containers)


def _allocated(pod: Pod) -> tuple[Any, ...]:
    return tuple((each.name, each.allocated_resources) for each in pod.status.container_statuses)


@law.fact
def deadline_turns(case: Turn) -> bool:
    """Whether a pod got a deadline, or lost it."""
    old, new = case.change.old, case.change.new
    return isinstance(new, Pod) and old is not None and deadline_set(old) != deadline_set(new)


@law.fact
def service_type_turns(case: Turn) -> bool:
    """Whether a Service is of another type than before, as far as that counts."""
    old, new = case.change.old, case.change.new
    if not isinstance(new, Service) or old is None:
        return False
    types = [each.spec.type if each.spec.type in _BALANCED else "" for each in (old, new)]
    return types[0] != types[1]


@law.fact
def claim_turns(case: Turn) -> bool:
    """Whether a claim has other storage allocated, or names other attributes, than before."""
    old, new = case.change.old, case.change.new
    if new is None or new.kind != "PersistentVolumeClaim" or old is None:
        return False
    return _claimed(old) != _claimed(new)


def _claimed(claim: Any) -> tuple[Any, ...]:
    return allocated_storage(claim.extra.get("status") or {}), attributes_classes(claim)


@law.fact
def limits_enforced(case: Sync) -> bool:
    """Whether the status has the limits of the spec."""
    return case.quota.spec.hard == case.quota.status.hard


@law.fact
def usage_missing(case: Sync) -> bool:
    """Whether nothing is told of the use of something that is limited and can be counted."""
    status = case.quota.status
    missing = tuple(name for name in status.hard if name not in status.used)
    return any(tracked(kind, missing, count) for kind, count in case.counts)


@law.fact
def usage_told(case: Sync) -> bool:
    """Whether the status tells of limits and of what is used."""
    return bool(case.quota.status.hard) and bool(case.quota.status.used)


@law.fact
def usage_right(case: Sync) -> bool:
    """Whether the status tells what is used."""
    return case.used == case.quota.status.used


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def write_usage(case: Sync, decision: Decision) -> Iterable[Step]:
    """Write the limits and what is used."""
    status = ResourceQuotaStatus(hard=case.quota.spec.hard, used=case.used)
    yield Update(object=evolve(case.quota, status=status), subresource="status")


class ResourceQuotaController:
    """Reconciles quotas; `RESYNC` looks at all of them, again and again."""

    name = "resourcequota-controller"
    law = law
    first_keys: tuple[Key, ...] = (RESYNC,)

    def rank(self, view: View, key: Key) -> Rank:
        """A quota that is not enforced as it should be has its turn before those that are only looked at again."""
        quota: ResourceQuota | None = view.get(*key)
        urgent = quota is not None and law.decide("queue", Sync(quota, view)).outputs["urgent"]
        return Rank(order=(0 if urgent else 1,))

    def reconcile(self, view: View, key: Key) -> Plan:
        """Work out what is used, and write it where the status tells something else."""
        if key == RESYNC:
            period = constant("resource_quota_resync") * SECOND
            looks = tuple(Look(key=key_of(quota)) for quota in view.list("ResourceQuota"))
            return Plan(steps=looks, requeue_after=period, periodic=True)
        quota: ResourceQuota | None = view.get(*key)
        if quota is None:
            return DONE
        sync = Sync(quota, view)
        return Plan(steps=law.perform(law.decide("sync", sync), sync))
