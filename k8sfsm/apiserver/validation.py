"""Validation: the tables of `specs/apiserver/validation.yaml`.

Source: pkg/apis/core/validation/validation.go; pkg/apis/apps/validation/validation.go.
"""

from __future__ import annotations

import re
from typing import Any, Final, Literal

from k8sfsm.apiserver.deletion import COLLECTOR_FINALIZERS, law
from k8sfsm.objects import KINDS, Deployment, Pod, ReplicaSet, Service, Struct, dns_label_errors, evolve
from k8sfsm.objects.requirement import Selector
from k8sfsm.value import value

_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z")
_NAME_MAX: Final = 253
_LABEL_NAMED: Final = ("Namespace", "Service")


@value
class Write:
    """An object that is to be stored, and the stored one that it replaces (None: it is new).

    `subresource`: what the request writes; "" for the object itself.
    """

    old: Any
    new: Any
    subresource: str = ""


@law.fact
def name_problem(case: Write) -> bool:
    """Whether the name is no DNS-1123 subdomain of at most 253 characters."""
    name = case.new.metadata.name
    return len(name) > _NAME_MAX or _SUBDOMAIN.match(name) is None


@law.fact
def controllers(case: Write) -> int:
    """How many owner references are marked as controller."""
    return sum(owner.controller is True for owner in case.new.metadata.owner_references)


@law.fact
def replica_count(case: Write) -> int | None:
    """spec.replicas."""
    return case.new.spec.replicas  # type: ignore[no-any-return]


@law.fact
def min_ready(case: Write) -> int:
    """spec.minReadySeconds."""
    return case.new.spec.min_ready_seconds  # type: ignore[no-any-return]


@law.fact
def selector_state(case: Write) -> Literal["missing", "empty", "mismatch", "good"]:
    """What is wrong with the selector, if anything."""
    selector = case.new.spec.selector
    if selector is None:
        return "missing"
    if not selector.match_labels and not selector.match_expressions:
        return "empty"
    labels = case.new.spec.template.metadata.labels
    return "good" if Selector.of(selector).matches(labels) else "mismatch"


@law.fact
def selector_changed(case: Write) -> bool:
    """Whether an update changes the selector."""
    return case.old is not None and case.old.spec.selector != case.new.spec.selector


@law.fact
def template_restart_policy(case: Write) -> str:
    """The restart policy of the template's Pods."""
    return case.new.spec.template.spec.restart_policy  # type: ignore[no-any-return]


@law.fact
def template_containers(case: Write) -> int:
    """How many containers the template has."""
    return len(case.new.spec.template.spec.containers)


@law.fact
def strategy_type(case: Write) -> str:
    """spec.strategy.type."""
    return case.new.spec.strategy.type  # type: ignore[no-any-return]


@law.fact
def rolling_block(case: Write) -> bool:
    """Whether spec.strategy.rollingUpdate is given."""
    return case.new.spec.strategy.rolling_update is not None


def _is_zero(value: Any) -> bool:
    return value in (0, "0%")


@law.fact
def no_surge(case: Write) -> bool:
    """Whether maxSurge is 0 or 0%."""
    rolling = case.new.spec.strategy.rolling_update
    return rolling is not None and _is_zero(rolling.max_surge)


@law.fact
def no_unavailable(case: Write) -> bool:
    """Whether maxUnavailable is 0 or 0%."""
    rolling = case.new.spec.strategy.rolling_update
    return rolling is not None and _is_zero(rolling.max_unavailable)


@law.fact
def unavailable_percent(case: Write) -> int | None:
    """The percentage, where maxUnavailable is one."""
    rolling = case.new.spec.strategy.rolling_update
    value = rolling.max_unavailable if rolling is not None else None
    return int(value[:-1]) if isinstance(value, str) and value[:-1].isdigit() else None


@law.fact
def deadline_margin(case: Write) -> int | None:
    """By how many seconds the progress deadline exceeds minReadySeconds; None without a deadline."""
    deadline = case.new.spec.progress_deadline_seconds
    return None if deadline is None else deadline - case.new.spec.min_ready_seconds


@law.fact
def history_limit(case: Write) -> int | None:
    """spec.revisionHistoryLimit."""
    return case.new.spec.revision_history_limit  # type: ignore[no-any-return]


@law.fact
def containers(case: Write) -> int:
    """How many regular containers the Pod has."""
    return len(case.new.spec.containers)


@law.fact
def duplicate_container(case: Write) -> bool:
    """Whether two containers have one name."""
    spec = case.new.spec
    names = [each.name for each in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)]
    return len(names) != len(set(names))


@law.fact
def unnamed_container(case: Write) -> bool:
    """Whether a container has no name."""
    return any(not container.name for container in case.new.spec.containers)


@law.fact
def imageless_container(case: Write) -> bool:
    """Whether a container has no image."""
    return any(not container.image for container in case.new.spec.containers)


@law.fact
def request_over_limit(case: Write) -> bool:
    """Whether a container requests more of a resource than its limit."""
    return any(
        name in container.resources.limits and amount > container.resources.limits[name]
        for container in case.new.spec.containers
        for name, amount in container.resources.requests.items()
    )


@law.fact
def grace_period(case: Write) -> int | None:
    """spec.terminationGracePeriodSeconds."""
    return case.new.spec.termination_grace_period_seconds  # type: ignore[no-any-return]


@law.fact
def service_type(case: Write) -> str:
    """spec.type."""
    return case.new.spec.type  # type: ignore[no-any-return]


@law.fact
def portless(case: Write) -> bool:
    """Whether the Service has no ports and is not headless."""
    return not case.new.spec.ports and case.new.spec.cluster_ip != "None"


@law.fact
def bad_port(case: Write) -> bool:
    """Whether a port number is out of range."""
    return any(not 1 <= port.port <= 65535 for port in case.new.spec.ports)


@law.fact
def unnamed_port(case: Write) -> bool:
    """Whether one of several ports has no name."""
    ports = case.new.spec.ports
    return len(ports) > 1 and any(not port.name for port in ports)


@law.fact
def label_name_problem(case: Write) -> bool:
    """Whether the name is no DNS-1123 label, of a kind whose names have to be (Namespace, Service)."""
    return case.new.kind in _LABEL_NAMED and bool(dns_label_errors(case.new.metadata.name))


@law.fact
def collector_finalizers(case: Write) -> int:
    """How many of the garbage collector's finalizers the object has."""
    return sum(name in case.new.metadata.finalizers for name in COLLECTOR_FINALIZERS)


@law.fact
def finalizers_added(case: Write) -> bool:
    """Whether an update gives new finalizers to an object that is being deleted."""
    if case.old is None or case.old.metadata.deletion_timestamp is None:
        return False
    return not set(case.new.metadata.finalizers) <= set(case.old.metadata.finalizers)


@law.fact
def frozen_spec_changed(case: Write) -> bool:
    """Whether an update of a Pod changes more than images, deadline, a negative grace period, gates and tolerations.

    Source: pkg/apis/core/validation/validation.go: ValidatePodUpdate.
    """
    if case.old is None:
        return False
    old, new = case.old.spec, case.new.spec
    free = {
        "containers": _with_images(new.containers, old.containers),
        "init_containers": _with_images(new.init_containers, old.init_containers),
        "active_deadline_seconds": old.active_deadline_seconds,
    }
    if new.tolerations[: len(old.tolerations)] == old.tolerations:
        free["tolerations"] = old.tolerations
    if all(gate in old.scheduling_gates for gate in new.scheduling_gates):
        free["scheduling_gates"] = old.scheduling_gates
    if case.subresource == "ephemeralcontainers":
        free["ephemeral_containers"] = old.ephemeral_containers
    if (old.termination_grace_period_seconds or 0) < 0 and new.termination_grace_period_seconds == 1:
        free["termination_grace_period_seconds"] = old.termination_grace_period_seconds
    return bool(evolve(new, **free) != old)


@law.fact
def born_with_debuggers(case: Write) -> bool:
    """Whether a new Pod has ephemeral containers."""
    return case.old is None and bool(case.new.spec.ephemeral_containers)


@law.fact
def debugger_changed(case: Write) -> bool:
    """Whether an ephemeral container that is there is changed or taken away.

    Source: pkg/apis/core/validation/validation.go: ValidatePodEphemeralContainersUpdate
    """
    if case.old is None:
        return False
    return any(each not in case.new.spec.ephemeral_containers for each in case.old.spec.ephemeral_containers)


@law.fact
def debug_target_missing(case: Write) -> bool:
    """Whether an ephemeral container is to see the processes of a container that is not there."""
    spec = case.new.spec
    names = {"", *(each.name for each in (*spec.init_containers, *spec.containers))}
    return any(each.target_container_name not in names for each in spec.ephemeral_containers)


def _with_images(containers: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(containers) != len(others):
        return containers
    return tuple(evolve(mine, image=other.image) for mine, other in zip(containers, others, strict=True))


@law.fact
def cluster_ip_changed(case: Write) -> bool:
    """Whether an update gives a Service that has a cluster IP another one."""
    if case.old is None or not case.old.spec.cluster_ip or "ExternalName" in (case.old.spec.type, case.new.spec.type):
        return False
    return bool(case.new.spec.cluster_ip != case.old.spec.cluster_ip)


_TABLES: Final[dict[type[Any], tuple[str, ...]]] = {
    Deployment: ("workload-errors", "rollout-errors"),
    ReplicaSet: ("workload-errors",),
    Pod: ("pod-errors",),
    Service: ("service-errors",),
}


def invalid(old: Any, new: Any, subresource: str = "") -> list[str]:
    """The errors of an object as the API server words them: `field: error: detail`. Empty for a valid one.

    An update that leaves the spec alone has nothing that the kinds' rules judge.
    """
    kind: str = new.kind
    if kind not in KINDS or not isinstance(new, Struct):
        return []
    case = Write(old, new, subresource)
    same_spec = old is not None and getattr(new, "spec", None) is getattr(old, "spec", None)
    tables = () if same_spec else _TABLES.get(type(new), ())
    found = [row for name in ("metadata-errors", *tables) for row in law.collect(name, case)]
    return [_text(row.outputs) for row in found]


def _text(outputs: Any) -> str:
    parts = (outputs["field"], outputs["error"], outputs["detail"])
    return ": ".join(part for part in parts if part)
