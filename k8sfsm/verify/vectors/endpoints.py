"""Vectors of Endpoints and EndpointSlices, run through the controllers that the engine uses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve

from k8sfsm.controllers.endpoints import EndpointController
from k8sfsm.controllers.endpoints_pods import Candidate, Target, is_published, port_number, publishes_hostname
from k8sfsm.controllers.endpoints_subsets import repack
from k8sfsm.controllers.endpointslice import EndpointSliceController
from k8sfsm.objects import (
    Endpoints,
    EndpointSlice,
    EndpointSubset,
    ObjectMeta,
    Pod,
    Service,
    ServicePort,
    from_json,
    part_from_json,
    to_json,
)
from k8sfsm.request import Create, Delete, Outcome, Plan, Remember, Update
from k8sfsm.verify.vectors import same, target
from k8sfsm.view import View


@target("endpoints")
def endpoints(given: dict[str, Any]) -> Any:
    """One sync of the Endpoints controller that sees the Service for the first time."""
    service = from_json(given["service"], kind="Service")
    objects = [service, *map(from_json, given["pods"] or ())]
    if given["endpoints"] is not None:
        objects.append(from_json(given["endpoints"], kind="Endpoints"))
    meta = service.metadata
    plan = EndpointController().reconcile(View.of(objects), ("Service", meta.namespace, meta.name))
    writes = [step for step in plan.steps if not isinstance(step, Remember)]
    if not writes:
        return {"verb": "none", "error": plan.error or None}
    (write,) = writes
    assert isinstance(write, Create | Update)
    written = to_json(write.object)
    return {
        "verb": "create" if isinstance(write, Create) else "update",
        "error": None,
        "labels": written["metadata"].get("labels"),
        "annotations": written["metadata"].get("annotations"),
        "subsets": written.get("subsets"),
    }


@target("endpoints_repack")
def endpoints_repack(given: dict[str, Any]) -> Any:
    """Subsets in canonical form."""
    subsets = [part_from_json(EndpointSubset, subset) for subset in given["subsets"] or ()]
    return {"subsets": to_json(Endpoints(subsets=repack(subsets))).get("subsets")}


def _same_port(expected: Any, got: Any) -> bool:
    """The vector names the Service in its output; we say which Service would publish the host name."""
    published = expected["serviceName"] in got["hostnameFor"]
    rest = {name: value for name, value in expected.items() if name not in ("serviceName", "shouldSetHostname")}
    return published == expected["shouldSetHostname"] and same(
        rest, {k: v for k, v in got.items() if k != "hostnameFor"}
    )


@target("find_port", compare=_same_port)
def find_port(given: dict[str, Any]) -> Any:
    """One port of a Service looked up in a pod, and whether the pod is published."""
    pod: Pod = from_json(given["pod"])
    number = port_number(Target(pod, part_from_json(ServicePort, given["servicePort"])))
    missing = None if number is not None else f"no suitable port for manifest: {pod.metadata.uid}"
    base = Service()

    def named(name: str) -> Service:
        return Service(metadata=ObjectMeta(name=name, namespace=pod.metadata.namespace))

    names = [pod.spec.subdomain] if publishes_hostname(Candidate(pod, named(pod.spec.subdomain))) else []
    return {
        "port": number or 0,
        "error": missing,
        "shouldPodBeInEndpoints": is_published(Candidate(pod, base)),
        "shouldPodBeInEndpointsIncludeTerminatingFalse": is_published(Candidate(pod, base, takes_terminating=False)),
        "hostnameFor": names,
    }


# -- EndpointSlices --------------------------------------------------------------------------------------------------


def _applied(plan: Plan, stored: dict[str, EndpointSlice]) -> Iterator[tuple[str, str]]:
    """Carry out a plan on stored slices by name, every write being accepted; yields (verb, name)."""
    created = 0
    while True:
        outcomes = []
        for step in plan.steps:
            if isinstance(step, Create):
                created += 1
                name = f"{step.object.metadata.generate_name}{created:05d}"
                meta = evolve(step.object.metadata, name=name, uid=name, generation=1)
                stored[name] = evolve(step.object, metadata=meta)
                outcomes.append(Outcome(request=step, code=201, object=stored[name]))
                yield "create", name
            elif isinstance(step, Update):
                name = step.object.metadata.name
                stored[name] = step.object
                outcomes.append(Outcome(request=step, code=200, object=step.object))
                yield "update", name
            elif isinstance(step, Delete):
                del stored[step.key[2]]
                outcomes.append(Outcome(request=step, code=200))
                yield "delete", step.key[2]
        if plan.then is None:
            yield "error", plan.error
            return
        plan = plan.then(tuple(outcomes))


def _grouped(slices: Iterable[EndpointSlice], count_zones: bool) -> list[dict[str, Any]]:
    """Slices by address type and ports, as the vectors list them; `count_zones`: hints by zone are left out."""
    groups: dict[str, dict[str, Any]] = {}
    for stored in slices:
        document = to_json(stored)
        ports = sorted(document.get("ports") or [], key=_text)
        group = groups.setdefault(
            _text([stored.address_type, ports]),
            {
                "addressType": stored.address_type,
                "ports": ports,
                "endpoints": [],
                "sliceSizes": [],
                "labels": dict(stored.metadata.labels),
            },
        )
        endpoints = [
            {name: value for name, value in endpoint.items() if not (count_zones and name == "hints")}
            for endpoint in document.get("endpoints") or ()
        ]
        group["endpoints"] += endpoints
        group["sliceSizes"].append(len(endpoints))
    for group in groups.values():
        group["endpoints"].sort(key=_text)
        group["sliceSizes"].sort()
    return [groups[name] for name in sorted(groups)]


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _sorted_slices(output: dict[str, Any]) -> dict[str, Any]:
    slices = [
        {
            **group,
            "ports": sorted(group.get("ports") or [], key=_text),
            "endpoints": sorted(group.get("endpoints") or [], key=_text),
        }
        for group in output.get("slices") or ()
    ]
    return {**output, "slices": sorted(slices, key=lambda group: _text([group["addressType"], group["ports"]]))}


def _same_slices(expected: Any, got: Any) -> bool:
    return same(_sorted_slices(expected), _sorted_slices(got))


@target("endpointslices", compare=_same_slices)
def endpointslices(given: dict[str, Any]) -> Any:
    """One sync of the EndpointSlice controller that sees the Service for the first time."""
    service: Service = from_json(given["service"], kind="Service")
    existing = [from_json(found, kind="EndpointSlice") for found in given["existingSlices"] or ()]
    nodes = [from_json(found, kind="Node") for found in given["nodes"] or ()]
    pods = [from_json(found, kind="Pod") for found in given["pods"] or ()]
    view = View.of([service, *nodes, *pods, *existing])
    controller = EndpointSliceController(limit=given["maxEndpointsPerSlice"])
    stored = {found.metadata.name: found for found in existing}
    plan = controller.reconcile(view, ("Service", service.metadata.namespace, service.metadata.name))
    done = list(_applied(plan, stored))
    by_zone = "service.kubernetes.io/topology-mode" in service.metadata.annotations
    output: dict[str, Any] = {
        "created": sum(1 for verb, _ in done if verb == "create"),
        "updated": sorted(name for verb, name in done if verb == "update"),
        "deleted": sorted(name for verb, name in done if verb == "delete"),
        "hasError": any(verb == "error" and text for verb, text in done),
        "slices": _grouped(stored.values(), by_zone),
    }
    if by_zone:
        hints = [e.hints for found in stored.values() for e in found.endpoints if e.hints is not None]
        zones = [zone.name for hint in hints for zone in hint.for_zones]
        output["hintsPerZone"] = {zone: zones.count(zone) for zone in sorted(zones)}
    return output
