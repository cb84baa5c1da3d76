"""What holds of Endpoints: for each Service, and at rest for its pods."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.controllers.endpoints import MANAGED_BY, NAME
from k8sfsm.controllers.endpoints_members import member_of
from k8sfsm.controllers.endpoints_subsets import Load, capacity, law
from k8sfsm.objects import EndpointAddress, Endpoints, Service
from k8sfsm.view import View


def is_controlled(endpoints: Endpoints) -> bool:
    """Does the Endpoints controller keep the object?"""
    return endpoints.metadata.labels.get(MANAGED_BY) == NAME


def addresses_of(endpoints: Endpoints) -> Iterator[tuple[EndpointAddress, bool]]:
    """All addresses, and whether they are ready."""
    for subset in endpoints.subsets:
        for address in subset.addresses:
            yield address, True
        for address in subset.not_ready_addresses:
            yield address, False


def has_own(service: Service) -> bool:
    """Does the controller keep Endpoints for the Service?"""
    return bool(service.spec.selector) and service.spec.type != "ExternalName"


def published(view: View) -> Iterator[tuple[Service, Endpoints]]:
    """Services whose Endpoints the controller keeps, with them."""
    for endpoints in view.list("Endpoints"):
        service = view.get("Service", endpoints.metadata.namespace, endpoints.metadata.name)
        if service is not None and has_own(service):
            yield service, endpoints


@law.invariant
def within_capacity(view: View) -> Iterator[str]:
    """What the controller writes has no more addresses than it may."""
    room = capacity()
    for endpoints in filter(is_controlled, view.list("Endpoints")):
        load = Load.of(endpoints.subsets)
        if load.ready + load.unready > room:
            meta = endpoints.metadata
            yield f"Endpoints {meta.namespace}/{meta.name} have {load.ready + load.unready} addresses"


@law.invariant
def addresses_of_pods(view: View) -> Iterator[str]:
    """Each address is that of a live pod that the Service selects, and is ready if the pod is."""
    for service, endpoints in published(view):
        for address, ready in addresses_of(endpoints):
            found = _problem(view, service, address, ready)
            if found:
                yield f"Endpoints {endpoints.metadata.namespace}/{endpoints.metadata.name}: {address.ip} {found}"


@law.invariant
def pods_have_addresses(view: View) -> Iterator[str]:
    """Each pod that a Service selects and may publish stands in its Endpoints, as far as they have room."""
    room = capacity()
    for service in view.list("Service"):
        meta = service.metadata
        namespace = view.get("Namespace", "", meta.namespace)
        leaving = namespace is None or namespace.metadata.deletion_timestamp is not None
        if leaving or not has_own(service):
            continue
        found = {pod.metadata.name: member_of(service, pod) for pod in view.list("Pod", meta.namespace)}
        wanted = {name: member.address.ip for name, member in found.items() if member is not None}
        endpoints = view.get("Endpoints", meta.namespace, meta.name)
        listed = set() if endpoints is None else {address.ip for address, _ in addresses_of(endpoints)}
        for name, ip in wanted.items() if len(wanted) <= room else ():
            if ip not in listed:
                yield f"Service {meta.namespace}/{meta.name} selects the pod {name}, its Endpoints do not have {ip}"


def _problem(view: View, service: Service, address: EndpointAddress, ready: bool) -> str:
    reference = address.target_ref
    pod = None if reference is None else view.get("Pod", reference.namespace, reference.name)
    if pod is None or reference is None or pod.metadata.uid != reference.uid:
        return "belongs to no pod"
    member = member_of(service, pod)
    if member is None or member.address.ip != address.ip:
        return f"belongs to the pod {reference.name}, which is not published there"
    return "" if member.ready == ready else f"is listed as {'ready' if ready else 'not ready'}, which the pod is not"
