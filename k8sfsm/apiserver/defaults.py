"""Defaulting: the tables of `specs/apiserver/defaults.yaml`, asked for every part of an object.

Source: pkg/apis/core/v1/defaults.go; pkg/apis/apps/v1/defaults.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, get_args, get_type_hints

from attrs import fields, frozen

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.kinds.service import is_accessible
from k8sfsm.objects import (
    KINDS,
    ClientIPConfig,
    Quantity,
    RollingUpdateDeployment,
    SessionAffinityConfig,
    Struct,
    evolve,
)

NAME_LABEL: Final = "kubernetes.io/metadata.name"


@frozen
class Part:
    """A part of an object that may need defaults. `root`: the kind of the whole object; `parent`: what it is in."""

    value: Any
    root: str
    parent: Any = None


def _read(attribute: str) -> None:
    """Register the fact of that name: what the part has in that field, "" / 0 / None where it is unset."""

    def fact(part: Part) -> Any:
        value = getattr(part.value, attribute)
        return value if value is None or isinstance(value, str | int) else "given"

    fact.__name__ = attribute
    fact.__doc__ = f"`{attribute}` of the part; its zero value where it is not set, `given` where it has parts."
    law.fact(fact)


_READ: Final = (
    "restart_policy",
    "dns_policy",
    "termination_grace_period_seconds",
    "scheduler_name",
    "security_context",
    "enable_service_links",
    "service_account_name",
    "image_pull_policy",
    "termination_message_path",
    "termination_message_policy",
    "name",
    "protocol",
    "timeout_seconds",
    "period_seconds",
    "success_threshold",
    "failure_threshold",
    "path",
    "scheme",
    "replicas",
    "revision_history_limit",
    "progress_deadline_seconds",
    "type",
    "rolling_update",
    "max_unavailable",
    "max_surge",
    "session_affinity",
    "internal_traffic_policy",
    "external_traffic_policy",
    "target_port",
    "allocate_load_balancer_node_ports",
    "service",
)
for _attribute in _READ:
    _read(_attribute)


@law.fact
def of_pod(part: Part) -> bool:
    """Whether the part belongs to a Pod itself, not to a template of Pods."""
    return part.root == "Pod"


_IMAGE: Final = re.compile(
    r"(?:[A-Za-z0-9][A-Za-z0-9.-]*(?::[0-9]+)?/)?[a-z0-9]+(?:(?:[._/]|__|-+)[a-z0-9]+)*"
    r"(?P<tag>:[\w][\w.-]{0,127})?(?P<digest>@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?\Z"
)


@law.fact
def image_floats(part: Part) -> bool:
    """Whether the image's tag may change what it means: no tag and no digest, or the tag `latest`.

    Source: pkg/util/parsers/parsers.go: ParseImageName. What is no image name has no tag either.
    """
    match = _IMAGE.match(part.value.image)
    if match is None or match["digest"]:
        return False
    return match["tag"] in (None, ":latest")


@law.fact
def limits_without_requests(part: Part) -> bool:
    """Whether a resource has a limit and no request."""
    resources = part.value.resources
    return any(name not in resources.requests for name in resources.limits)


@law.fact
def externally_accessible(part: Part) -> bool:
    """Whether the Service can be reached from outside."""
    return is_accessible(part.value)


@law.fact
def affinity_timeout(part: Part) -> int | None:
    """The session affinity's timeout in seconds, None where unset."""
    config = part.value.session_affinity_config
    return None if config is None or config.client_ip is None else config.client_ip.timeout_seconds


@law.fact
def name_label_missing(part: Part) -> bool:
    """Whether the Namespace lacks the label with its own name."""
    return bool(part.value.metadata.labels.get(NAME_LABEL) != part.value.metadata.name)


@law.fact
def affinity_configured(part: Part) -> bool:
    """Whether the Service has a configuration of session affinity."""
    return part.value.session_affinity_config is not None


@law.fact
def parent_type(part: Part) -> str:
    """The `type` of what the part is in: of a rolling update's block, the strategy's."""
    return str(part.parent.type)


@law.fact
def host_network(part: Part) -> bool:
    """Whether the Pod uses its node's network."""
    return bool(part.value.host_network)


@law.fact
def finer_than_milli(part: Part) -> bool:
    """Whether an amount is no whole number of thousandths."""
    resources = part.value
    return any(
        _milli(amount) is not amount
        for amounts in (resources.limits, resources.requests)
        for amount in amounts.values()
    )


@law.fact
def volume_source(part: Part) -> str:
    """Where a volume comes from: the name of its source, "" where it names none."""
    return next((name for name in part.value if name != "name"), "")


@law.fact
def source_mode(part: Part) -> int | None:
    """The defaultMode of the volume's source."""
    found = part.value.get(volume_source(part))
    return found.get("defaultMode") if isinstance(found, Mapping) else None


@law.fact
def source_type(part: Part) -> str | None:
    """The type of the volume's source."""
    found = part.value.get(volume_source(part))
    return found.get("type") if isinstance(found, Mapping) else None


@law.fact
def field_version(part: Part) -> str | None:
    """The API version by which a variable refers to a field; None where it has no such reference."""
    reference = (part.value.get("valueFrom") or {}).get("fieldRef")
    return None if reference is None else reference.get("apiVersion", "")


def _milli(amount: Quantity) -> Quantity:
    """The amount, rounded up to thousandths; the same object where it is a whole number of them."""
    rounded, exact = amount.round_up(-3)
    return amount if exact else rounded


def _whole_milli(name: str) -> Callable[[Any], Any]:
    return lambda resources: {key: _milli(amount) for key, amount in getattr(resources, name).items()}


def _host_ports(name: str) -> Callable[[Any], Any]:
    """Containers, with their own number for ports that name no port of the node.

    Source: pkg/apis/core/v1/defaults.go: defaultHostNetworkPorts.
    """

    def containers(spec: Any) -> Any:
        return tuple(
            evolve(
                container,
                ports=tuple(evolve(port, host_port=port.host_port or port.container_port) for port in container.ports),
            )
            for container in getattr(spec, name)
        )

    return containers


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
    "port": lambda port: port.port,
    "name-label": _with_name_label,
    "containers-with-host-ports": _host_ports("containers"),
    "init-containers-with-host-ports": _host_ports("init_containers"),
    "limits-in-milli": _whole_milli("limits"),
    "requests-in-milli": _whole_milli("requests"),
}
"""Default values that are no literals, by the name that the tables give them."""

_MEMO: Final = Memo()


def defaulted(obj: Any) -> Any:
    """The object with every default that applies. An object that needs none is returned as it is."""
    kind: str = obj.kind
    return _filled(obj, kind) if isinstance(obj, Struct) else obj


def _filled(part: Any, root: str, parent: Any = None) -> Any:
    """A part with its own defaults, then its parts' defaults.

    Pod specs are remembered by identity: thousands of Pods share the one of their template.
    """
    if type(part).__name__ != "PodSpec":
        return _fill(part, root, parent)
    parts = (part, KINDS.get(root), law.table("PodSpec"))
    known = _MEMO.get(parts)
    if known is not None:
        return known
    result = _fill(part, root, parent)
    _MEMO.put(parts, result)
    # Defaulting again changes nothing: what came out of it may come in.
    _MEMO.put((result, *parts[1:]), result)
    return result


def _fill(part: Any, root: str, parent: Any) -> Any:
    cls: Any = type(part)
    table = _table_of(cls)
    if table:
        changes = {
            row.outputs["field"]: _value(row.outputs["value"], part)
            for row in law.collect(table, Part(part, root, parent))
        }
        changes = {field: value for field, value in changes.items() if getattr(part, field) != value}
        if changes:
            part = evolve(part, **changes)
    changed = {}
    for attribute in _worth_a_look(cls):
        value = getattr(part, attribute)
        if isinstance(value, Struct):
            new = _filled(value, root, part)
        elif type(value) is tuple and value:
            fill = _json_filler(attribute) if isinstance(value[0], Mapping) else _filled
            filled = tuple(fill(item, root, part) for item in value)
            new = value if all(a is b for a, b in zip(filled, value, strict=True)) else filled
        else:
            continue
        if new is not value:
            changed[attribute] = new
    return evolve(part, **changed) if changed else part


_JSON_TABLES: Final = {"volumes": "Volume", "env": "EnvVar"}
"""Lists whose items have no type of their own, and the tables of their defaults; fields are paths of names."""


def _json_filler(attribute: str) -> Callable[[Any, str, Any], Any]:
    table = _JSON_TABLES[attribute]

    def fill(item: Mapping[str, Any], root: str, parent: Any) -> Mapping[str, Any]:
        for row in law.collect(table, Part(item, root, parent)):
            item = _with_member(item, row.outputs["field"].split("."), _value(row.outputs["value"], item))
        return item

    return fill


def _with_member(item: Mapping[str, Any], path: list[str], value: Any) -> Mapping[str, Any]:
    name, *rest = path
    return {**item, name: _with_member(item.get(name) or {}, rest, value) if rest else value}


@cache
def _table_of(kind: Any) -> str:
    """The name of the table of a type's defaults (or of the type that it extends); "" where there is none."""
    return next((cls.__name__ for cls in kind.__mro__ if law.has_table(cls.__name__)), "")


@cache
def _worth_a_look(kind: Any) -> tuple[str, ...]:
    """The attributes of a type that hold, somewhere below, a type with a table of defaults."""
    hints = get_type_hints(kind)
    return tuple(
        name.name
        for name in fields(kind)
        if name.name in _JSON_TABLES or any(_has_defaults(found) for found in _structs_in(hints[name.name]))
    )


@cache
def _has_defaults(kind: Any) -> bool:
    return bool(_table_of(kind)) or bool(_worth_a_look(kind))


def _structs_in(hint: Any) -> Iterator[Any]:
    """The API types that a type annotation names."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for inner in get_args(hint):
        yield from _structs_in(inner)


def _value(name: Any, part: Any) -> Any:
    computed = _COMPUTED.get(name) if isinstance(name, str) else None
    return computed(part) if computed is not None else name
