"""Facts of the Endpoints machine."""

from __future__ import annotations

from k8sfsm.law import Law
from k8sfsm.objects import Endpoints

law = Law("endpoints")


@law.fact
def ready_addresses(obj: Endpoints) -> int:
    """Ready addresses over all subsets."""
    return sum(len(subset.addresses) for subset in obj.subsets)


@law.fact
def unready_addresses(obj: Endpoints) -> int:
    """Addresses that are not ready, over all subsets."""
    return sum(len(subset.not_ready_addresses) for subset in obj.subsets)
