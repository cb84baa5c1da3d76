"""What the controllers of Endpoints, of EndpointSlices and of mirrored slices ask about the Service of a key."""

from __future__ import annotations

from typing import Protocol

from k8sfsm.law import Law
from k8sfsm.objects import Service


class Sync(Protocol):
    """A key of a controller's queue, and the Service of its namespace and name."""

    @property
    def service(self) -> Service | None:
        """The Service; None where there is none."""


def service_exists(sync: Sync) -> bool:
    """There is a Service of that name."""
    return sync.service is not None


def external(sync: Sync) -> bool:
    """The Service is of type ExternalName."""
    return sync.service is not None and sync.service.spec.type == "ExternalName"


def selecting(sync: Sync) -> bool:
    """The Service has a selector."""
    return sync.service is not None and bool(sync.service.spec.selector)


def ask_about_services(law: Law) -> None:
    """Let the tables of a room ask whether there is a Service, whether it is external, and whether it selects pods."""
    for fact in (service_exists, external, selecting):
        law.fact(fact)
