"""Facts of the EndpointSlice machine."""

from __future__ import annotations

from typing import Final

from k8sfsm.law import Law
from k8sfsm.objects import EndpointSlice

law = Law("endpointslice")

SERVICE_NAME: Final = "kubernetes.io/service-name"
"""The label that names the Service of a slice."""
MANAGED_BY: Final = "endpointslice.kubernetes.io/managed-by"
"""The label that names who keeps a slice."""


@law.fact
def ready_endpoints(obj: EndpointSlice) -> int:
    """Endpoints that are ready; one that does not say counts as ready."""
    return sum(1 for endpoint in obj.endpoints if endpoint.conditions.ready is not False)


@law.fact
def unready_endpoints(obj: EndpointSlice) -> int:
    """Endpoints that are not ready."""
    return len(obj.endpoints) - ready_endpoints(obj)


@law.fact
def manager(obj: EndpointSlice) -> str:
    """Who keeps the slice, as its label says; "" where it does not."""
    return obj.metadata.labels.get(MANAGED_BY, "")
