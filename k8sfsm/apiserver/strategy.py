"""What the API server itself sets in an object that is created or changed.

Source: staging/src/k8s.io/apiserver/pkg/registry/rest/create.go: BeforeCreate; update.go: BeforeUpdate; the kinds'
strategy.go files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Literal

from k8sfsm.apiserver.daemonset import NO_STATUS, with_template_generation
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.job import template_labels, with_selector
from k8sfsm.apiserver.service_revision import without_needless
from k8sfsm.kinds.pod_qos import qos_class
from k8sfsm.objects import (
    NamespaceStatus,
    PodCondition,
    PodSpec,
    PodStatus,
    Service,
    Unmodelled,
    evolve,
)
from k8sfsm.table import CompiledTable
from k8sfsm.value import value

GrowsWith = Literal["spec", "spec-or-annotations", "content-or-labels", "nothing"]


@value
class StrategyCase:
    """An object of `kind`, and the subresource that is written."""

    kind_name: str
    subresource_name: str = ""


@law.fact
def kind(case: StrategyCase) -> str:
    """The object's kind."""
    return case.kind_name


@law.fact
def subresource(case: StrategyCase) -> str:
    """The subresource that the request writes; "" for the object itself."""
    return case.subresource_name


def _strategy(kind_name: str) -> Mapping[str, Any]:
    """The outputs of the strategy table for a kind."""
    return _strategy_of(law.table("strategy"), kind_name)


@lru_cache(maxsize=256)
def _strategy_of(table: CompiledTable, kind_name: str) -> Mapping[str, Any]:
    return table.decide(StrategyCase(kind_name)).outputs


def _empty(obj: Any) -> Any:
    return None if isinstance(obj, Unmodelled) else type(obj.status)()


def _pending(pod: Any, second: int) -> PodStatus:
    """Source: pkg/registry/core/pod/strategy.go: PrepareForCreate, applySchedulingGatedCondition"""
    gated = PodCondition(
        type="PodScheduled",
        status="False",
        last_transition_time=second,
        reason="SchedulingGated",
        message="Scheduling is blocked due to non-empty scheduling gates",
    )
    if not pod.spec.scheduling_gates:
        return _ungated(qos_class(pod))
    return PodStatus(phase="Pending", qos_class=qos_class(pod), conditions=(gated,))


@lru_cache(maxsize=8)
def _ungated(qos: str) -> PodStatus:
    """A status that all new pods share."""
    return PodStatus(phase="Pending", qos_class=qos)


_INITIAL: dict[str, Callable[[Any, int], Any]] = {
    "pending": _pending,
    "empty": lambda obj, second: _empty(obj),
    "active": lambda namespace, second: NamespaceStatus(phase="Active"),
    "given": lambda obj, second: getattr(obj, "status", None),
}
"""The status of a new object, by the name that the strategy table gives it."""


def prepared_for_create(obj: Any, name: str, uid: str, second: int, version: str = "") -> Any:
    """A new object with the fields that only the server sets.

    `second`: now (ns, a whole second); `version`: the resourceVersion that it will get, where that is known.
    """
    strategy = _strategy(obj.kind)
    metadata = evolve(
        obj.metadata,
        name=name,
        uid=uid,
        creation_timestamp=second,
        generation=strategy["generation"],
        resource_version=version,
        deletion_timestamp=None,
        deletion_grace_period_seconds=None,
    )
    changes: dict[str, Any] = {"metadata": metadata}
    initial = _INITIAL[strategy["initial_status"]]
    if isinstance(obj, Unmodelled):
        if strategy["initial_status"] == "empty":
            changes["extra"] = {field: value for field, value in obj.extra.items() if field != "status"}
        if obj.kind == "Job":
            changes["extra"] = with_selector(changes.get("extra", obj.extra), name, uid)
            changes["metadata"] = evolve(metadata, labels=metadata.labels or template_labels(changes["extra"]))
        if obj.kind == "DaemonSet":
            changes["metadata"] = with_template_generation(metadata, None, obj)
            changes["extra"] = {**changes.get("extra", obj.extra), "status": NO_STATUS}
    elif hasattr(obj, "status"):
        changes["status"] = initial(obj, second)
    if strategy["own_finalizer"] and strategy["own_finalizer"] not in obj.spec.finalizers:
        changes["spec"] = evolve(obj.spec, finalizers=(*obj.spec.finalizers, strategy["own_finalizer"]))
    return evolve(obj, **changes)


def generation_of(kind: str) -> int:
    """The generation with which objects of a kind begin."""
    return int(_strategy(kind)["generation"])


def prepared_for_update(old: Any, new: Any, subresource_name: str) -> Any:
    """What a write of `new` to an object or subresource makes of `old`, its generation included."""
    part = law.decide("update-part", StrategyCase(old.kind, subresource_name)).outputs
    metadata = evolve(
        old.metadata,
        labels=new.metadata.labels if part["labels"] else old.metadata.labels,
        annotations=new.metadata.annotations if part["annotations"] else old.metadata.annotations,
        finalizers=new.metadata.finalizers if part["finalizers"] else old.metadata.finalizers,
        owner_references=new.metadata.owner_references if not subresource_name else old.metadata.owner_references,
        generate_name=new.metadata.generate_name,
        extra=new.metadata.extra,
    )
    if isinstance(new, Unmodelled):
        result: Any = _merged_extra(old, new, part, metadata)
    else:
        kept = {name: getattr(old, name) for name in ("spec", "status") if hasattr(old, name) and not part[name]}
        if part["replicas"] and not part["spec"]:
            kept["spec"] = evolve(old.spec, replicas=new.spec.replicas)
        if part["resources"]:
            kept["spec"] = _resized(old.spec, new.spec)
        if part["debuggers"]:
            kept["spec"] = evolve(old.spec, ephemeral_containers=new.spec.ephemeral_containers)
        result = evolve(new, metadata=metadata, **kept)
        if isinstance(result, Service) and part["spec"]:
            result = without_needless(old, result)
    if not part["generation"]:
        return result
    if old.kind == "DaemonSet":
        metadata = with_template_generation(metadata, old, result)
        result = evolve(result, metadata=metadata)
    if _GROWS[_strategy(old.kind)["grows_with"]](old, result) and old.metadata.generation:
        return evolve(result, metadata=evolve(metadata, generation=old.metadata.generation + 1))
    return result


def _resized(old: PodSpec, new: PodSpec) -> PodSpec:
    """The spec with the resources of another one, where that has the same containers; all else is dropped.

    Source: pkg/registry/core/pod/strategy.go: dropNonResizeUpdates.
    """
    groups = {}
    for group in ("containers", "init_containers"):
        before, after = getattr(old, group), getattr(new, group)
        if [each.name for each in before] == [each.name for each in after]:
            pairs = zip(before, after, strict=True)
            groups[group] = tuple(
                evolve(was, resources=now.resources, resize_policy=now.resize_policy) for was, now in pairs
            )
    return evolve(old, **groups)


def _merged_extra(old: Unmodelled, new: Unmodelled, part: Mapping[str, Any], metadata: Any) -> Unmodelled:
    extra = {name: value for name, value in new.extra.items() if part.get(name, True)}
    extra |= {name: value for name, value in old.extra.items() if not part.get(name, True)}
    if part["replicas"]:
        extra["spec"] = {**old.extra.get("spec", {}), "replicas": new.extra.get("spec", {}).get("replicas")}
    return evolve(new, metadata=metadata, extra=extra)


def _spec_changed(old: Any, new: Any) -> bool:
    if isinstance(new, Unmodelled):
        return bool(new.extra.get("spec") != old.extra.get("spec"))
    return bool(new.spec != old.spec)


def _content_changed(old: Any, new: Any) -> bool:
    return bool(evolve(new, metadata=old.metadata) != old or new.metadata.labels != old.metadata.labels)


_GROWS: dict[GrowsWith, Callable[[Any, Any], bool]] = {
    "nothing": lambda old, new: False,
    "spec": _spec_changed,
    "spec-or-annotations": lambda old, new: (
        new.metadata.annotations != old.metadata.annotations or _spec_changed(old, new)
    ),
    "content-or-labels": _content_changed,
}
"""Whether a change makes the generation grow, by the name that the strategy table gives it."""
