"""ResourceQuota admission: what a request adds, whether every quota has room for it, and what they count afterwards.

Source: staging/src/k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go: CheckRequest, checkQuotas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Literal, TypeAlias

from attrs import frozen

from k8sfsm.apiserver.answer import Refusal, plural
from k8sfsm.apiserver.custom.definitions import CRD
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.quota import amounts_of
from k8sfsm.apiserver.quota_usage import (
    Tracked,
    Usage,
    allocated_storage,
    custom_count,
    deadline_set,
    in_scopes,
    tracked,
    usage_of,
)
from k8sfsm.objects import Container, Pod, Quantity, ResourceQuota, evolve
from k8sfsm.store import Store

Verb: TypeAlias = Literal["create", "update"]


@frozen(slots=False)
class Measured:
    """A write of `object` over `old` (None: a creation) at `now` (ns), which quotas may have a say in.

    `counted`: what stands for the number of such objects, of a kind that people define.
    """

    object: Any
    old: Any
    subresource: str
    now: int
    counted: str = ""

    @property
    def kind(self) -> str:
        """The object's kind."""
        return str(self.object.kind)

    def adds(self, resources: Iterable[str]) -> dict[str, Quantity]:
        """What the write adds to each resource, where that is more than nothing."""
        found = usage_of(self.object, self.now, resources)
        if self.old is None:
            return {name: amount for name, amount in found.items() if amount}
        before = usage_of(self.old, self.now, found)
        more = {name: amount - before[name] if name in before else amount for name, amount in found.items()}
        return {name: amount for name, amount in more.items() if amount.sign > 0}


@frozen(slots=False)
class Covered:
    """A quota, and a write that it may have a say in."""

    quota: ResourceQuota
    write: Measured

    @cached_property
    def resources(self) -> tuple[str, ...]:
        """What the quota enforces for objects of that kind, sorted."""
        return tracked(self.write.kind, self.quota.status.hard, self.write.counted)

    @cached_property
    def missing(self) -> dict[str, list[str]]:
        """The resources that containers have to ask for and do not, with the names of the containers; both sorted."""
        pod = self.write.object
        if not isinstance(pod, Pod):
            return {}
        wanted = [name for name in self.resources if _must(pod, name)]
        containers = (*pod.spec.containers, *pod.spec.init_containers)
        silent = {name: [each.name for each in containers if name not in _said(each)] for name in wanted}
        return {name: sorted(set(names)) for name, names in silent.items() if names}

    @cached_property
    def adds(self) -> dict[str, Quantity]:
        """What the write adds to what the quota counts."""
        return self.write.adds(self.resources)

    @cached_property
    def after(self) -> dict[str, Quantity]:
        """What is used of those resources after the write."""
        used = self.quota.status.used
        return {name: used[name] + amount if name in used else amount for name, amount in self.adds.items()}

    @cached_property
    def exceeded(self) -> tuple[str, ...]:
        """Those of which there is not enough."""
        hard = self.quota.status.hard
        return tuple(name for name, amount in self.after.items() if amount > hard[name])

    def words(self) -> dict[str, str]:
        """What the texts of refusals name."""
        status = self.quota.status
        return {
            "quota": self.quota.metadata.name,
            "missing": "; ".join(f"{name} for: {','.join(names)}" for name, names in self.missing.items()),
            "resources": ",".join(self.resources),
            "requested": _listed(self.adds, self.exceeded),
            "used": _listed(status.used, self.exceeded),
            "limited": _listed(status.hard, self.exceeded),
        }


def _must(pod: Pod, resource: str) -> bool:
    return bool(law.decide("must-specify", Tracked("Pod", resource, pod)).outputs["must"])


def _said(container: Container) -> Mapping[str, Quantity]:
    return amounts_of(container.resources.requests, container.resources.limits)


def _listed(amounts: Usage, names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names if name in amounts)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def quota_verb(case: Measured) -> Verb:
    """What is done with the object."""
    return "create" if case.old is None else "update"


@law.fact
def quota_subresource(case: Measured) -> str:
    """The subresource that is written; "" for the object itself."""
    return case.subresource


@law.fact
def deadline_turns(case: Measured) -> bool:
    """Whether a pod gets a deadline, or loses it."""
    pod = case.object
    return isinstance(pod, Pod) and case.old is not None and deadline_set(pod) != deadline_set(case.old)


@law.fact
def storage_turns(case: Measured) -> bool:
    """Whether another amount of storage is allocated to a claim than before."""
    if case.kind != "PersistentVolumeClaim" or case.old is None:
        return False
    new, old = (allocated_storage(each.extra.get("status") or {}) for each in (case.object, case.old))
    return new != old


@law.fact
def enforces_any(case: Covered) -> bool:
    """Whether the quota enforces anything that objects of the kind count for."""
    return bool(case.resources)


@law.fact
def scopes_hold(case: Covered) -> bool:
    """Whether the object is in all scopes of the quota."""
    return in_scopes(case.quota, case.write.object)


@law.fact
def unspecified(case: Covered) -> bool:
    """Whether a container leaves open how much it wants of something that it has to specify."""
    return bool(case.missing)


@law.fact
def usage_unknown(case: Covered) -> bool:
    """Whether it is not known yet how much is used of something that the quota enforces."""
    return any(name not in case.quota.status.used for name in case.resources)


@law.fact
def exceeds(case: Covered) -> bool:
    """Whether more would be used of something than the quota allows."""
    return bool(case.exceeded)


# -- the plugin -------------------------------------------------------------------------------------------------------


def charged(store: Store, obj: Any, old: Any, subresource: str, now: int) -> tuple[tuple[ResourceQuota, str], ...]:
    """The quotas of the object's namespace that count more after a write, each as it is then, and by which rule.

    Raises Refusal (403).
    """
    namespace = obj.metadata.namespace
    quotas = store.snapshot.series("in", "ResourceQuota", namespace) if namespace else ()
    if not quotas:
        return ()
    counted = custom_count(obj.kind, store.snapshot.series("in", CRD, ""))
    write = Measured(obj, old, subresource, now, counted)
    if not law.decide("measured", write).outputs["measured"]:
        return ()
    concerned = [each for each in (Covered(quota, write) for quota in quotas) if _concerned(each)]
    for covered in concerned:
        _agreed("objection", covered)
    rules = [_agreed("sum", covered) for covered in concerned]
    return tuple((_counting(each), rule) for each, rule in zip(concerned, rules, strict=True) if each.adds)


def _concerned(covered: Covered) -> bool:
    return bool(law.decide("match", covered).outputs["concerned"])


def _agreed(table: str, covered: Covered) -> str:
    """The rule by which a quota has nothing against the write. Raises Refusal where it has."""
    decision = law.decide(table, covered)
    text = decision.outputs["text"]
    if text is None:
        return decision.rule
    obj = covered.write.object
    words = text.format(**covered.words())
    raise Refusal(403, "Forbidden", f'{plural(obj.kind)} "{obj.metadata.name}" is forbidden: {words}')


def _counting(covered: Covered) -> ResourceQuota:
    quota = covered.quota
    return evolve(quota, status=evolve(quota.status, used={**quota.status.used, **covered.after}))
