"""What holds of EndpointSlices: of each, and at rest for the pods and the Endpoints of their Service."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.controllers.endpoints_invariants import addresses_of, published
from k8sfsm.controllers.endpointslice_members import (
    AddressType,
    Member,
    Resident,
    Zones,
    address_types,
    law,
    member_of,
    same_beyond_identity,
)
from k8sfsm.controllers.endpointslice_tracker import is_managed
from k8sfsm.kinds.endpointslice import SERVICE_NAME
from k8sfsm.objects import Endpoint, EndpointSlice, Pod, Service, controller_of
from k8sfsm.view import View


def _name(stored: EndpointSlice) -> str:
    return f"EndpointSlice {stored.metadata.namespace}/{stored.metadata.name}"


def _controlled(view: View) -> Iterator[tuple[Service, EndpointSlice]]:
    """The slices that the controller keeps, with their Services."""
    for stored in view.list("EndpointSlice"):
        name = stored.metadata.labels.get(SERVICE_NAME, "")
        service = view.get("Service", stored.metadata.namespace, name)
        if service is not None and is_managed(stored) and service.spec.selector and service.spec.type != "ExternalName":
            yield service, stored


def _too_full(view: View, limit: int, every: bool) -> Iterator[str]:
    for stored in view.list("EndpointSlice"):
        if len(stored.endpoints) > limit and (every or is_managed(stored)):
            yield f"{_name(stored)} has {len(stored.endpoints)} endpoints"


@law.invariant
def within_limit(view: View) -> Iterator[str]:
    """No slice has more endpoints than the API accepts."""
    return _too_full(view, int(law.constant("endpoint_slice_limit")), every=True)


@law.invariant
def within_packing(view: View) -> Iterator[str]:
    """No slice of the controller has more endpoints than it may put into one."""
    return _too_full(view, int(law.constant("endpoints_per_slice")), every=False)


@law.invariant
def endpoints_of_pods(view: View) -> Iterator[str]:
    """Each endpoint is that of a live pod that the Service selects, with its node, zone and conditions."""
    zones = Zones().of(view)
    for service, stored in _controlled(view):
        family: AddressType = "IPv6" if stored.address_type == "IPv6" else "IPv4"
        for endpoint in stored.endpoints:
            pod = _pod_of(view, endpoint)
            if pod is None:
                yield f"{_name(stored)}: {', '.join(endpoint.addresses)} belongs to no pod"
                continue
            member = member_of(Resident(pod, service, zones.get(pod.spec.node_name)), family)
            if not _agrees(member, endpoint):
                yield f"{_name(stored)}: the endpoint of pod {pod.metadata.name} does not tell the truth about it"


def _pod_of(view: View, endpoint: Endpoint) -> Pod | None:
    reference = endpoint.target_ref
    if reference is None:
        return None
    pod: Pod | None = view.get("Pod", reference.namespace, reference.name)
    return pod if pod is not None and pod.metadata.uid == reference.uid else None


def _agrees(member: Member | None, endpoint: Endpoint) -> bool:
    if member is None or member.endpoint is None:
        return False
    return member.endpoint.addresses == endpoint.addresses and same_beyond_identity(member.endpoint, endpoint)


@law.invariant
def of_a_service(view: View) -> Iterator[str]:
    """Each slice of the controller is owned by the Service that its label names."""
    for stored in view.list("EndpointSlice"):
        if not is_managed(stored):
            continue
        service = view.get("Service", stored.metadata.namespace, stored.metadata.labels.get(SERVICE_NAME, ""))
        owner = controller_of(stored)
        if service is None or owner is None or owner.uid != service.metadata.uid:
            yield f"{_name(stored)} has no Service"


@law.invariant
def placed_once(view: View) -> Iterator[str]:
    """No pod stands in two slices of one Service and family."""
    placed: dict[tuple[str, str, str], str] = {}
    for service, stored in _controlled(view):
        for endpoint in stored.endpoints:
            uid = "" if endpoint.target_ref is None else endpoint.target_ref.uid
            place = (service.metadata.uid, stored.address_type, uid)
            if uid and place in placed:
                yield f"{_name(stored)}: a pod of it is in {placed[place]} too ({uid})"
            placed.setdefault(place, stored.metadata.name)


@law.invariant
def agrees_with_endpoints(view: View) -> Iterator[str]:
    """The ready addresses of a Service's Endpoints are those of its slices of the same family that have ports.

    Truncated Endpoints list fewer. A pod that is being deleted is listed by neither unless unready addresses are
    published; one whose node does not exist is not compared.
    """
    nodes = Zones().of(view)
    slices: dict[tuple[str, str], list[EndpointSlice]] = {}
    for service, stored in _controlled(view):
        if stored.address_type == (*service.spec.ip_families, *address_types(service))[0]:
            slices.setdefault((service.metadata.namespace, service.metadata.name), []).append(stored)
    for service, endpoints in published(view):
        if "endpoints.kubernetes.io/over-capacity" in endpoints.metadata.annotations:
            continue
        key = (service.metadata.namespace, service.metadata.name)
        listed = {a.ip for a, ready in addresses_of(endpoints) if ready and (a.node_name or "") in nodes}
        sliced = {
            address
            for stored in slices.get(key, ())
            if stored.ports or not service.spec.ports
            for endpoint in stored.endpoints
            if endpoint.conditions.ready and (endpoint.node_name or "") in nodes
            for address in endpoint.addresses[:1]
        }
        if listed != sliced:
            only = sorted(listed ^ sliced)
            yield f"Service {key[0]}/{key[1]}: Endpoints and slices do not agree on {', '.join(only)}"
