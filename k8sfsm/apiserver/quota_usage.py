"""What objects count against the ResourceQuotas of their namespace, and which quotas have a say about them.

Source: pkg/quota/v1/evaluator/core: pods.go, services.go, persistent_volume_claims.go;
staging/src/k8s.io/apiserver/pkg/quota/v1/generic/evaluator.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.apiserver.custom.definitions import resource_of
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.quota import pod_usage
from k8sfsm.apiserver.valid.resources import amount_of, is_extended
from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.objects import Pod, Quantity, ResourceQuota, Service
from k8sfsm.table import CompiledTable
from k8sfsm.value import value

Evaluator: TypeAlias = Literal["pod", "service", "claim", "object", "none"]
Usage: TypeAlias = Mapping[str, Quantity]
_ONE: Final = Quantity.parse("1")
_BY_CLASS: Final = ".storageclass.storage.k8s.io/"
_OF_CLASSES: Final = ("persistentvolumeclaims", "requests.storage")


@value
class Kind:
    """A kind whose objects may be counted."""

    kind: str


@value
class Tracked:
    """A resource that a quota names, and a kind. `counted`: the resource that stands for the number of its objects."""

    kind: str
    resource: str
    pod: Pod | None = None
    counted: str = ""


@frozen
class Scoped:
    """A scope of a quota, and an object.

    `value`: the class that the object names, "" where it names none; None where the scope is not about such classes.
    """

    kind: str
    object: Any
    scope: str
    operator: str = "Exists"
    values: tuple[str, ...] = ()
    value: str | None = None


@frozen(slots=False)
class ChargedService:
    """A Service that is counted."""

    service: Service

    @property
    def amounts(self) -> dict[str, int]:
        """How much each word of the table stands for."""
        ports = self.service.spec.ports
        return {"one": 1, "ports": len(ports), "numbered-ports": sum(bool(port.node_port) for port in ports)}


@frozen(slots=False)
class ChargedClaim:
    """A PersistentVolumeClaim that is counted."""

    spec: Mapping[str, Any]
    status: Mapping[str, Any]
    annotations: Mapping[str, str]

    @cached_property
    def storage_class(self) -> str:
        """The class that it asks for: by the old annotation, or by its field."""
        noted = self.annotations.get("volume.beta.kubernetes.io/storage-class")
        return str(noted if noted is not None else self.spec.get("storageClassName") or "")

    @cached_property
    def size(self) -> Quantity | None:
        """What it asks for, or what is being allocated where that is more; in whole bytes."""
        wanted = ((self.spec.get("resources") or {}).get("requests") or {}).get("storage")
        if wanted is None:
            return None
        sizes = [amount_of(wanted), *map(amount_of, allocated_storage(self.status))]
        return max(sizes).round_up(0)[0]


def allocated_storage(status: Mapping[str, Any]) -> tuple[Any, ...]:
    """status.allocatedResources.storage of a claim, if any."""
    allocated = (status.get("allocatedResources") or {}).get("storage")
    return () if allocated is None else (allocated,)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def quota_kind(case: Kind | Tracked) -> str:
    """The kind that is counted."""
    return case.kind


@law.fact
def quota_evaluator(case: Any) -> Evaluator:
    """How objects of that kind are counted."""
    return evaluator_of(case.kind)


@law.fact
def names_objects(case: Tracked) -> bool:
    """Whether the resource is the number of all stored objects of the kind."""
    return case.resource == (case.counted or object_count(case.kind))


@law.fact
def quota_resource(case: Tracked) -> str:
    """The resource that a quota names; families of them by what they have in common, "*" in place of the rest."""
    name = case.resource
    if name.startswith(("hugepages-", "requests.hugepages-")):
        return "hugepages-*"
    if name.startswith("requests.") and is_extended(name.removeprefix("requests.")):
        return "requests.*"
    if name.endswith(tuple(_BY_CLASS + each for each in _OF_CLASSES)):
        return "*.storageclass.storage.k8s.io"
    return name


@law.fact
def pod_level_resources(case: Tracked) -> bool:
    """Whether the pod says itself what it wants, for all its containers."""
    resources = case.pod.spec.resources if case.pod is not None else None
    return resources is not None and bool(resources.requests or resources.limits)


@law.fact
def scope_name(case: Scoped) -> str:
    """The scope's name."""
    return case.scope


@law.fact
def scope_operator(case: Scoped) -> str:
    """How its values are meant."""
    return case.operator


@law.fact
def scope_value(case: Scoped) -> Literal["other", "nothing", "listed", "unlisted"]:
    """Whether the class that the object names is one of the scope's values; `other`: the scope is about others."""
    if not case.value:
        return "other" if case.value is None else "nothing"
    return "listed" if case.value in case.values else "unlisted"


@law.fact
def has_deadline(case: Scoped) -> bool:
    """Whether a pod has activeDeadlineSeconds."""
    return isinstance(case.object, Pod) and deadline_set(case.object)


@law.fact
def best_effort(case: Scoped) -> bool:
    """Whether a pod asks for nothing that is reserved."""
    return isinstance(case.object, Pod) and (case.object.status.qos_class or qos_class(case.object)) == "BestEffort"


@law.fact
def crosses_namespaces(case: Scoped) -> bool:
    """Whether a pod's affinity looks into other namespaces."""
    affinity = case.object.spec.affinity if isinstance(case.object, Pod) else None
    if affinity is None:
        return False
    return any(
        term.namespaces or term.namespace_selector is not None
        for part in (affinity.pod_affinity, affinity.pod_anti_affinity)
        if part is not None
        for term in (
            *part.required_during_scheduling_ignored_during_execution,
            *(each.pod_affinity_term for each in part.preferred_during_scheduling_ignored_during_execution),
        )
    )


@law.fact
def charged_type(case: ChargedService) -> str:
    """The Service's type."""
    return case.service.spec.type


@law.fact
def node_ports_wanted(case: ChargedService) -> bool:
    """Whether a balanced Service gets node ports."""
    return case.service.spec.allocate_load_balancer_node_ports is not False


@law.fact
def claim_has_class(case: ChargedClaim) -> bool:
    """Whether the claim names a storage class."""
    return bool(case.storage_class)


@law.fact
def claim_has_size(case: ChargedClaim) -> bool:
    """Whether the claim asks for storage."""
    return case.size is not None


def deadline_set(pod: Pod) -> bool:
    """Whether a pod has activeDeadlineSeconds. Source: pods.go: isTerminating."""
    deadline = pod.spec.active_deadline_seconds
    return deadline is not None and deadline >= 0


# -- what counts ------------------------------------------------------------------------------------------------------


def evaluator_of(kind: str) -> Evaluator:
    """How objects of a kind are counted."""
    return _evaluator(law.table("evaluator"), kind)


@lru_cache(maxsize=256)
def _evaluator(table: CompiledTable, kind: str) -> Evaluator:
    return table.decide(Kind(kind)).outputs["evaluator"]  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def object_count(kind: str) -> str:
    """The resource that stands for the number of stored objects of a kind: ``count/deployments.apps``.

    "" for kinds that people define: see `custom_count`.
    """
    return _count(*resource_of(kind, ()))


def custom_count(kind: str, definitions: Iterable[Any]) -> str:
    """The same for a kind that one of the CustomResourceDefinitions defines."""
    return _count(*resource_of(kind, definitions))


def _count(group: str, plural: str) -> str:
    if not plural:
        return ""
    return f"count/{plural}.{group}" if group else f"count/{plural}"


def tracked(kind: str, resources: Iterable[str], counted: str = "") -> tuple[str, ...]:
    """Those of a quota's resources that objects of a kind count for, sorted. `counted`: of a custom kind its count."""
    return _tracked(law.table("tracked"), kind, tuple(resources), counted)


@lru_cache(maxsize=1024)
def _tracked(table: CompiledTable, kind: str, resources: tuple[str, ...], counted: str) -> tuple[str, ...]:
    cases = {name: Tracked(kind, name, counted=counted) for name in resources}
    return tuple(sorted(name for name, case in cases.items() if table.decide(case).outputs["tracked"]))


def usage_of(obj: Any, now: int, of: Iterable[str]) -> dict[str, Quantity]:
    """What an object counts at `now` (ns) for the resources `of` a quota that its kind is tracked for."""
    found = _USAGE[evaluator_of(obj.kind)](obj, now, of)
    return {name: found[name] for name in of if name in found}


def _service_usage(service: Service, now: int, of: Iterable[str]) -> dict[str, Quantity]:
    case = ChargedService(service)
    rows = (row.outputs for row in law.collect("service-usage", case))
    return {object_count("Service"): _ONE, **{row["name"]: Quantity.of(case.amounts[row["amount"]]) for row in rows}}


def _claim_usage(claim: Any, now: int, of: Iterable[str]) -> dict[str, Quantity]:
    case = ChargedClaim(claim.extra.get("spec") or {}, claim.extra.get("status") or {}, claim.metadata.annotations)
    amounts = {"one": _ONE, "size": case.size}
    rows = (row.outputs for row in law.collect("claim-usage", case))
    found = {row["name"].format(case.storage_class): amounts[row["amount"]] for row in rows}
    return {object_count(claim.kind): _ONE, **{name: amount for name, amount in found.items() if amount is not None}}


_USAGE: Final[Mapping[Evaluator, Any]] = {
    "pod": lambda pod, now, of: pod_usage(pod, now),
    "service": _service_usage,
    "claim": _claim_usage,
    "object": lambda obj, now, of: dict.fromkeys(of, _ONE),
    "none": lambda obj, now, of: {},
}


# -- scopes -----------------------------------------------------------------------------------------------------------


def in_scopes(quota: ResourceQuota, obj: Any) -> bool:
    """Whether an object is in all scopes of a quota; what has none is for every object."""
    spec = quota.spec
    if not spec.scopes and spec.scope_selector is None:
        return True
    return all(any(_within(case) for case in cases) for cases in _scopes(quota, obj))


def _within(case: Scoped) -> bool:
    return bool(law.decide("scope", case).outputs["within"])


def _scopes(quota: ResourceQuota, obj: Any) -> Iterator[tuple[Scoped, ...]]:
    """Per scope of the quota, one case for each class that the object names."""
    for name in quota.spec.scopes:
        yield tuple(Scoped(obj.kind, obj, name, value=named) for named in _classes(obj, name))
    selector = quota.spec.scope_selector
    for term in selector.match_expressions if selector is not None else ():
        yield tuple(
            Scoped(obj.kind, obj, term.scope_name, term.operator, term.values, named)
            for named in _classes(obj, term.scope_name)
        )


def _classes(obj: Any, scope: str) -> tuple[str | None, ...]:
    """The classes that an object names for a scope that is about classes; ("",) for none, (None,) for other scopes."""
    if scope == "PriorityClass" and isinstance(obj, Pod):
        return (obj.spec.priority_class_name,)
    if scope != "VolumeAttributesClass" or obj.kind != "PersistentVolumeClaim":
        return (None,)
    return attributes_classes(obj) or ("",)


def attributes_classes(claim: Any) -> tuple[str, ...]:
    """The VolumeAttributesClasses that a claim wants, has, or is about to get, sorted."""
    spec, status = claim.extra.get("spec") or {}, claim.extra.get("status") or {}
    target = (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName")
    found = (spec.get("volumeAttributesClassName"), status.get("currentVolumeAttributesClassName"), target)
    return tuple(sorted({name for name in found if name}))
