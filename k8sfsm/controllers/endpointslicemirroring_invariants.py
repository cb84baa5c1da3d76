"""What holds of copies of Endpoints, at rest."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.controllers.endpoints_invariants import addresses_of
from k8sfsm.controllers.endpointslice_tracker import is_managed
from k8sfsm.controllers.endpointslicemirroring import mirrored
from k8sfsm.controllers.endpointslicemirroring_copies import MANAGER, parsed
from k8sfsm.controllers.endpointslicemirroring_writes import law
from k8sfsm.kinds.endpointslice import SERVICE_NAME
from k8sfsm.objects import EndpointSlice
from k8sfsm.view import View


def _copies(view: View) -> dict[tuple[str, str], list[EndpointSlice]]:
    """The copies by the namespace and name of their Endpoints."""
    copies: dict[tuple[str, str], list[EndpointSlice]] = {}
    for stored in view.list("EndpointSlice"):
        if is_managed(stored, MANAGER):
            name = stored.metadata.labels.get(SERVICE_NAME, "")
            copies.setdefault((stored.metadata.namespace, name), []).append(stored)
    return copies


@law.invariant
def copies_agree(view: View) -> Iterator[str]:
    """The copies of Endpoints have their addresses, as ready as these say; too many addresses are not judged."""
    copies, room = _copies(view), int(law.constant("mirrored_addresses_per_subset"))
    for endpoints in view.list("Endpoints"):
        key = (endpoints.metadata.namespace, endpoints.metadata.name)
        full = any(len(each.addresses) + len(each.not_ready_addresses) >= room for each in endpoints.subsets)
        if full or not mirrored(view, *key):
            continue
        given = {(str(ip), ready) for address, ready in addresses_of(endpoints) if (ip := parsed(address.ip))}
        found = {
            (endpoint.addresses[0], endpoint.conditions.ready)
            for stored in copies.get(key, ())
            for endpoint in stored.endpoints
        }
        if given != found:
            only = sorted({address for address, _ in given ^ found})
            yield f"Endpoints {'/'.join(key)}: the copies do not agree on {', '.join(only)}"


@law.invariant
def copies_of_something(view: View) -> Iterator[str]:
    """There are copies only of what is to be copied."""
    for (namespace, name), found in _copies(view).items():
        if not mirrored(view, namespace, name):
            names = ", ".join(stored.metadata.name for stored in found)
            yield f"{names} in {namespace}: nothing is to be copied there"
