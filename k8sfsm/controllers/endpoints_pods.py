"""Which pods belong to a Service, what of them is published, and which Services a change of a pod concerns.

Shared by the controllers of Endpoints and EndpointSlices.
Source: staging/src/k8s.io/endpointslice/util/controller_utils.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.memo import Memo
from k8sfsm.controllers.pod_changes import asked_by_sort, labelled_sorts_of
from k8sfsm.kinds.pod_readiness import is_pod_ready
from k8sfsm.law import Law
from k8sfsm.objects import Container, Pod, Service, ServicePort
from k8sfsm.request import Key
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("service")

ALL_INTERFACES: Literal["None"] = "None"


@value
class Candidate:
    """A pod that may be published for a Service; `takes_terminating`: also while it is being deleted."""

    pod: Pod
    service: Service
    takes_terminating: bool = True


@value
class Target:
    """A pod, and the port of a Service that is looked up in it."""

    pod: Pod
    port: ServicePort


@value
class PodChange:
    """A watch event of a pod: `old` None when it appeared, `gone` when it was removed."""

    old: Pod | None
    new: Pod
    gone: bool


# -- facts of pods ---------------------------------------------------------------------------------------------------


@law.fact
def terminal(candidate: Candidate) -> bool:
    """The pod's phase is Succeeded or Failed."""
    return candidate.pod.status.phase in ("Succeeded", "Failed")


@law.fact
def addressed(candidate: Candidate) -> bool:
    """The pod has an IP address."""
    status = candidate.pod.status
    return bool(status.pod_ip or status.pod_ips)


@law.fact
def terminating(candidate: Candidate) -> bool:
    """The pod is being deleted."""
    return candidate.pod.metadata.deletion_timestamp is not None


@law.fact
def takes_terminating(candidate: Candidate) -> bool:
    """Pods that are being deleted are published too."""
    return candidate.takes_terminating


@law.fact
def named_itself(candidate: Candidate) -> bool:
    """The pod has a host name of its own."""
    return bool(candidate.pod.spec.hostname)


@law.fact
def in_subdomain(candidate: Candidate) -> bool:
    """The pod's subdomain is the Service's name, in the same namespace."""
    pod, service = candidate.pod, candidate.service
    return pod.spec.subdomain == service.metadata.name and pod.metadata.namespace == service.metadata.namespace


def is_published(candidate: Candidate) -> bool:
    """Is the pod one of the Service's endpoints? It must be selected already."""
    return bool(law.decide("eligible", candidate).outputs["published"])


def publishes_hostname(candidate: Candidate) -> bool:
    """Is the pod's host name published with its address?"""
    return bool(law.decide("hostname", candidate).outputs["named"])


# -- ports -----------------------------------------------------------------------------------------------------------


def _declared(containers: Iterable[Container], port: ServicePort) -> int | None:
    """The number of the first container port of that name and protocol."""
    for container in containers:
        for candidate in container.ports:
            if candidate.name == port.target_port and candidate.protocol == port.protocol:
                return candidate.container_port
    return None


def _sidecars(pod: Pod) -> Iterable[Container]:
    return (container for container in pod.spec.init_containers if container.restart_policy == "Always")


@law.fact
def numeric(target: Target) -> bool:
    """The target port is a number, not a name."""
    return isinstance(target.port.target_port, int)


@law.fact
def in_container(target: Target) -> bool:
    """A container declares a port of the name and protocol."""
    return _declared(target.pod.spec.containers, target.port) is not None


@law.fact
def in_sidecar(target: Target) -> bool:
    """A sidecar (an init container that is always restarted) declares a port of the name and protocol."""
    return _declared(_sidecars(target.pod), target.port) is not None


def port_number(target: Target) -> int | None:
    """The number that the Service's port has on this pod; None where the pod does not have it.

    Source: staging/src/k8s.io/endpointslice/utils.go: FindPort.
    """
    where = law.decide("target-port", target).outputs["port"]
    if where == "target":
        return int(target.port.target_port)
    if where == "container":
        return _declared(target.pod.spec.containers, target.port)
    return _declared(_sidecars(target.pod), target.port) if where == "sidecar" else None


# -- addresses -------------------------------------------------------------------------------------------------------


def has_address(service: Service) -> bool:
    """The Service has a cluster IP (and is not headless)."""
    return service.spec.cluster_ip not in ("", ALL_INTERFACES)


@law.fact
def has_cluster_ip(service: Service) -> bool:
    """The Service has a cluster IP."""
    return has_address(service)


def is_headless(service: Service) -> bool:
    """Is the headless label put on what is published for the Service?"""
    return bool(law.decide("addressing", service).outputs["headless"])


# -- which Services --------------------------------------------------------------------------------------------------


def selects(service: Service, labels: Mapping[str, str]) -> bool:
    """Does the Service's selector match? Without a selector it matches nothing."""
    selector = service.spec.selector
    if not selector:
        return False
    return selector.items() <= labels.items()


def selection(service: Service) -> Callable[[Mapping[str, str]], bool]:
    """Whether a Service selects labels, found once for labels that pods share."""
    known: dict[int, tuple[Mapping[str, str], bool]] = {}

    def selected(labels: Mapping[str, str]) -> bool:
        found = known.get(id(labels))
        if found is None:
            if len(known) >= _LABELS:
                known.clear()
            found = known[id(labels)] = (labels, selects(service, labels))
        return found[1]

    return selected


_LABELS: Final = 1024


@law.fact
def updated(change: PodChange) -> bool:
    """The pod was there before and is still there."""
    return change.old is not None and not change.gone


@law.fact
def same_version(change: PodChange) -> bool:
    """Both states of the pod have the same resourceVersion."""
    return change.old is not None and change.old.metadata.resource_version == change.new.metadata.resource_version


@law.fact
def ever_terminating(change: PodChange) -> bool:
    """The pod is being deleted, or was."""
    pods = (change.new,) if change.old is None else (change.old, change.new)
    return any(pod.metadata.deletion_timestamp is not None for pod in pods)


@law.fact
def readiness_changed(change: PodChange) -> bool:
    """The pod became ready, or ceased to be."""
    return change.old is not None and is_pod_ready(change.old) != is_pod_ready(change.new)


@law.fact
def addresses_changed(change: PodChange) -> bool:
    """The list of the pod's IP addresses is not what it was."""
    return change.old is not None and change.old.status.pod_ips != change.new.status.pod_ips


@law.fact
def endpoint_changed(change: PodChange) -> bool:
    """What is published of the pod may have changed (table `pod-endpoint-change`)."""
    return bool(law.decide("pod-endpoint-change", change).outputs["changed"])


@law.fact
def relabelled(change: PodChange) -> bool:
    """Labels, host name or subdomain changed: other Services may select or name the pod."""
    old, new = change.old, change.new
    if old is None:
        return False
    return (
        old.metadata.labels != new.metadata.labels
        or old.spec.hostname != new.spec.hostname
        or old.spec.subdomain != new.spec.subdomain
    )


@asked_by_sort(labelled_sorts_of)
def services_of_pod(change: Change, view: View) -> tuple[Key, ...]:
    """The Services whose endpoints a change of a pod may change.

    Both controllers ask about every change, and most changes are like others: what is found is kept for all of them.
    Source: staging/src/k8s.io/endpointslice/util/controller_utils.go: GetServicesToUpdate.
    """
    parts = (*_read(change), view.snapshot("Service"), law.table("pod-change"), law.table("pod-endpoint-change"))
    known: tuple[Key, ...] | None = _FOUND.get(parts)
    if known is None:
        known = _services_of_pod(change, view)
        _FOUND.put(parts, known)
    return known


_FOUND: Final = Memo()


def _read(change: Change) -> tuple[Any, ...]:
    """Whatever the facts of a change of a pod depend on, and which Services select it: each the very object."""
    old, new = change.old, change.new
    meta, status = new.metadata, new.status
    if old is None:
        return (change.type, meta.namespace, meta.labels, meta.deletion_timestamp is None)
    before = old.metadata
    return (
        change.type,
        meta.namespace,
        meta.labels,
        before.labels,
        before.resource_version == meta.resource_version,
        before.deletion_timestamp is None and meta.deletion_timestamp is None,
        old.status is status or is_pod_ready(old) == is_pod_ready(new),
        old.status.pod_ips == status.pod_ips,
        old.spec.hostname == new.spec.hostname and old.spec.subdomain == new.spec.subdomain,
    )


def _services_of_pod(change: Change, view: View) -> tuple[Key, ...]:
    case = PodChange(change.old, change.new, change.type == "DELETED")
    wanted = law.decide("pod-change", case).outputs["services"]
    if wanted == "none":
        return ()
    new_labels = case.new.metadata.labels
    old_labels = new_labels if case.old is None or wanted == "current" else case.old.metadata.labels
    found = []
    for service in view.list("Service", case.new.metadata.namespace):
        now, before = selects(service, new_labels), selects(service, old_labels)
        if (now != before) if wanted == "differing" else (now or before):
            found.append(("Service", service.metadata.namespace, service.metadata.name))
    return tuple(found)
