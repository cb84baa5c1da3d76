"""Facts and guards of the Service machine, and its invariant."""

from __future__ import annotations

from collections.abc import Iterator

from k8sfsm.law import Law, Transition
from k8sfsm.objects import Service
from k8sfsm.view import View

law = Law("service")


@law.fact
def type_given(obj: Service) -> str:
    """The type ("" before defaulting: the same as ClusterIP)."""
    return obj.spec.type


@law.fact
def address_given(obj: Service) -> str:
    """The cluster IP: "" (none), "None" (headless) or an address."""
    return obj.spec.cluster_ip


@law.guard
def alias_given(write: Transition) -> bool:
    """The Service is an ExternalName, and names something."""
    spec = write.new.spec
    return spec.type == "ExternalName" and bool(spec.external_name)


@law.guard
def own_pods(write: Transition) -> bool:
    """The Service is no ExternalName."""
    return bool(write.new.spec.type != "ExternalName")


@law.invariant
def addresses_unique(view: View) -> Iterator[str]:
    """No two Services have the same cluster IP."""
    owners: dict[str, str] = {}
    for service in view.list("Service"):
        name = f"{service.metadata.namespace}/{service.metadata.name}"
        for address in service.spec.cluster_ips or (service.spec.cluster_ip,):
            if address in ("", "None"):
                continue
            if address in owners:
                yield f"Services {owners[address]} and {name} have the address {address}"
            owners.setdefault(address, name)
