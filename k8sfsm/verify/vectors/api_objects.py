"""Adapters for what the API server makes of objects: defaults, errors and warnings, limits and quotas."""

from __future__ import annotations

from typing import Any

from k8sfsm.apiserver.defaults import converted, scheme_defaulted
from k8sfsm.apiserver.limits import limit_errors, with_limits
from k8sfsm.apiserver.quota import pod_usage
from k8sfsm.apiserver.service_revision import without_needless
from k8sfsm.apiserver.strategy import prepared_for_create, prepared_for_update
from k8sfsm.apiserver.valid import Fault
from k8sfsm.apiserver.validation import faults, warnings
from k8sfsm.objects import Pod, Service, evolve, from_json, parse_time, to_json
from k8sfsm.verify.vectors import same, target


def _told(found: tuple[Fault, ...]) -> list[dict[str, str]]:
    told = [
        {"type": each.type, "field": each.field, "detail": each.detail or "", "message": str(each)} for each in found
    ]
    return sorted(told, key=lambda each: each["message"])


def _created(given: dict[str, Any]) -> dict[str, Any]:
    read = scheme_defaulted(from_json(given["object"]))
    obj = converted(read)
    # The cluster of the vectors allows no privileged containers.
    found = faults(None, obj, allow_privileged=False)
    out = {"defaulted": to_json(read), "errors": _told(found)}
    if isinstance(obj, Pod) and not found:
        out["preparedStatus"] = to_json(prepared_for_create(obj, obj.metadata.name, "", 0).status)
        out["warnings"] = list(warnings(obj))
    return out


def _updated(given: dict[str, Any]) -> tuple[Any, Any, tuple[Fault, ...]]:
    old, new = converted(from_json(given["old"])), converted(from_json(given["new"]))
    judged = without_needless(old, new) if isinstance(new, Service) else new
    found = faults(old, judged, allow_privileged=False)
    return old, prepared_for_update(old, new, ""), found


def _by_message(error: Any) -> str:
    return error if isinstance(error, str) else str(error["message"])


def _with_order(expected: Any, got: Any) -> bool:
    """Deep equality; the order of errors does not count: in Go it is that of a sort by the message's bytes."""
    return same(
        {**expected, "errors": sorted(expected["errors"], key=_by_message)},
        {**got, "errors": sorted(got["errors"], key=_by_message)},
    )


def _without_times(expected: Any, got: Any) -> bool:
    """The same, and times of conditions, which the vectors do not have, are left out."""
    status = got.get("preparedStatus")
    if status is not None:
        bare = [{**each, "lastTransitionTime": None} for each in status.get("conditions", ())]
        got = {**got, "preparedStatus": {**status, "conditions": bare}}
    return _with_order(expected, got)


@target("api_create_pod", compare=_without_times)
def api_create_pod(given: dict[str, Any]) -> Any:
    """A new Pod: its defaults, its errors; without errors its status and warnings."""
    return _created(given)


@target("api_create_deployment", compare=_with_order)
def api_create_deployment(given: dict[str, Any]) -> Any:
    """A new Deployment: its defaults, its errors."""
    return _created(given)


@target("api_create_replicaset", compare=_with_order)
def api_create_replicaset(given: dict[str, Any]) -> Any:
    """A new ReplicaSet: its defaults, its errors."""
    return _created(given)


@target("api_create_service", compare=_with_order)
def api_create_service(given: dict[str, Any]) -> Any:
    """A new Service: its defaults, its errors."""
    return _created(given)


@target("api_update_deployment", compare=_with_order)
def api_update_deployment(given: dict[str, Any]) -> Any:
    """A changed Deployment: its errors, its generation, and whether its status stays as it is."""
    _, new, found = _updated(given)
    return {
        "errors": _told(found),
        "generation": new.metadata.generation,
        "statusReplicas": new.status.replicas,
    }


@target("api_update_pod", compare=_with_order)
def api_update_pod(given: dict[str, Any]) -> Any:
    """A changed Pod: the types and fields of its errors, and its generation."""
    _, new, found = _updated(given)
    return {"errors": sorted(f"{each.type} {each.field}" for each in found), "generation": new.metadata.generation}


@target("api_update_service", compare=_with_order)
def api_update_service(given: dict[str, Any]) -> Any:
    """A changed Service: its errors."""
    return {"errors": _told(_updated(given)[2])}


@target("limitrange_pod")
def limitrange_pod(given: dict[str, Any]) -> Any:
    """What a LimitRange makes of a pod, and what it refuses."""
    pod, limits = from_json(given["pod"]), (from_json(given["limitRange"]),)
    spec, said = with_limits(pod.spec, limits)
    resources = {each.name: to_json(each.resources) for each in (*spec.containers, *spec.init_containers)}
    out = {"resources": resources, "errors": sorted(limit_errors(evolve(pod, spec=spec), limits))}
    return {**out, "annotationPresent": True} if said else out


@target("quota_pod_usage")
def quota_pod_usage(given: dict[str, Any]) -> Any:
    """What a pod counts against a ResourceQuota."""
    usage = pod_usage(from_json(given["pod"]), parse_time(given["now"]))
    return {"error": None, "usage": {name: str(amount) for name, amount in usage.items()}}
