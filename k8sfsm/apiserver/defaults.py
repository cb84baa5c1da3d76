"""Defaulting: the tables of `specs/apiserver/defaults.yaml`, asked for every part of an object.

Source: pkg/apis/core/v1/defaults.go; pkg/apis/apps/v1/defaults.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Final, get_args, get_type_hints

from attrs import evolve, fields, frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.objects import ClientIPConfig, RollingUpdateDeployment, SessionAffinityConfig, Struct

NAME_LABEL: Final = "kubernetes.io/metadata.name"
_MEMO_SIZE: Final = 4096


@frozen
class Part:
    """A part of an object that may need defaults. `root`: the kind of the whole object."""

    value: Any
    root: str


def _read(attribute: str) -> None:
    """Register the fact of that name: what the part has in that field, "" / 0 / None where it is unset."""

    def fact(part: Part) -> Any:
        value = getattr(part.value, attribute)
        return value if value is None or isinstance(value, str | int) else "given"

    fact.__name__ = attribute
    fact.__doc__ = f"`{attribute}` of the part; its zero value where it is not set, `given` where it has parts."
    law.fact(fact)


for _attribute in (
    "restart_policy dns_policy termination_grace_period_seconds scheduler_name security_context enable_service_links "
    "service_account_name image_pull_policy termination_message_path termination_message_policy protocol "
    "timeout_seconds period_seconds success_threshold failure_threshold path scheme replicas revision_history_limit "
    "progress_deadline_seconds type rolling_update max_unavailable max_surge session_affinity internal_traffic_policy "
    "ip_family_policy external_traffic_policy target_port"
).split():
    _read(_attribute)


@law.fact
def of_pod(part: Part) -> bool:
    """Whether the part belongs to a Pod itself, not to a template of Pods."""
    return part.root == "Pod"


@law.fact
def image_floats(part: Part) -> bool:
    """Whether the image's tag may change what it means: no tag and no digest, or the tag `latest`.

    Source: pkg/util/parsers/parsers.go: ParseImageName.
    """
    name, _, digest = part.value.image.partition("@")
    if digest:
        return False
    _, colon, tag = name.rpartition("/")[2].partition(":")
    return not colon or tag == "latest"


@law.fact
def limits_without_requests(part: Part) -> bool:
    """Whether a resource has a limit and no request."""
    resources = part.value.resources
    return any(name not in resources.requests for name in resources.limits)


@law.fact
def ip_families(part: Part) -> int:
    """How many IP families the Service names."""
    return len(part.value.ip_families)


@law.fact
def externally_accessible(part: Part) -> bool:
    """Whether the Service can be reached from outside. Source: pkg/api/service/util.go: ExternallyAccessible."""
    spec = part.value
    return spec.type in ("NodePort", "LoadBalancer") or (spec.type in ("", "ClusterIP") and bool(spec.external_ips))


@law.fact
def affinity_timeout(part: Part) -> int | None:
    """The session affinity's timeout in seconds, None where unset."""
    config = part.value.session_affinity_config
    return None if config is None or config.client_ip is None else config.client_ip.timeout_seconds


@law.fact
def name_label_missing(part: Part) -> bool:
    """Whether the Namespace lacks the label with its own name."""
    return part.value.metadata.labels.get(NAME_LABEL) != part.value.metadata.name


def _limits_as_requests(container: Any) -> Any:
    resources = container.resources
    return evolve(resources, requests={**resources.limits, **resources.requests})


def _with_name_label(namespace: Any) -> Any:
    meta = namespace.metadata
    return evolve(meta, labels={**meta.labels, NAME_LABEL: meta.name})


_COMPUTED: Final[dict[str, Callable[[Any], Any]]] = {
    "empty-json": lambda _: {},
    "empty-rolling-update": lambda _: RollingUpdateDeployment(),
    "limits-as-requests": _limits_as_requests,
    "service-account-name": lambda spec: spec.service_account_name,
    "three-hours": lambda _: SessionAffinityConfig(client_ip=ClientIPConfig(timeout_seconds=10800)),
    "ipv4": lambda _: ("IPv4",),
    "port": lambda port: port.port,
    "name-label": _with_name_label,
}
"""Default values that are no literals, by the name that the tables give them."""

_MEMO: dict[tuple[int, str], tuple[Any, Any]] = {}


def defaulted(obj: Any) -> Any:
    """The object with every default that applies. An object that needs none is returned as it is."""
    return _filled(obj, obj.kind) if isinstance(obj, Struct) else obj


def _filled(part: Any, root: str) -> Any:
    """A part with its own defaults, then its parts' defaults.

    Pod specs are remembered by identity: thousands of Pods share the one of their template.
    """
    if type(part).__name__ != "PodSpec":
        return _fill(part, root)
    known = _MEMO.get((id(part), root))
    if known is not None and known[0] is part:
        return known[1]
    if len(_MEMO) > _MEMO_SIZE:
        _MEMO.clear()
    result = _fill(part, root)
    _MEMO[id(part), root] = (part, result)
    return result


def _fill(part: Any, root: str) -> Any:
    name = type(part).__name__
    if law.has_table(name):
        changes = {
            row.outputs["field"]: _value(row.outputs["value"], part) for row in law.collect(name, Part(part, root))
        }
        changes = {field: value for field, value in changes.items() if getattr(part, field) != value}
        if changes:
            part = evolve(part, **changes)
    changed = {}
    for attribute in _worth_a_look(type(part)):
        value = getattr(part, attribute)
        if isinstance(value, Struct):
            new = _filled(value, root)
        elif type(value) is tuple and value and isinstance(value[0], Struct):
            filled = tuple(_filled(item, root) for item in value)
            new = value if all(a is b for a, b in zip(filled, value, strict=True)) else filled
        else:
            continue
        if new is not value:
            changed[attribute] = new
    return evolve(part, **changed) if changed else part


@cache
def _worth_a_look(kind: type[Any]) -> tuple[str, ...]:
    """The attributes of a type that hold, somewhere below, a type with a table of defaults."""
    hints = get_type_hints(kind)
    return tuple(name.name for name in fields(kind) if any(map(_has_defaults, _structs_in(hints[name.name]))))


@cache
def _has_defaults(kind: type[Any]) -> bool:
    return law.has_table(kind.__name__) or bool(_worth_a_look(kind))


def _structs_in(hint: Any) -> Iterator[type[Any]]:
    """The API types that a type annotation names."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for inner in get_args(hint):
        yield from _structs_in(inner)


def _value(name: Any, part: Any) -> Any:
    computed = _COMPUTED.get(name) if isinstance(name, str) else None
    return computed(part) if computed is not None else name

