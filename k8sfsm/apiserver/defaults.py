"""Defaulting: the tables of `specs/apiserver/defaults.yaml`, asked for every part of an object.

Source: pkg/apis/core/v1/defaults.go; pkg/apis/apps/v1/defaults.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal, TypeAlias, get_args, get_type_hints

from attrs import fields

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.parts import Part, field_of
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
    """Whether the Service can be reached from outside. Source: pkg/api/service/util.go: ExternallyAccessible."""
    kind = field_of(part, "type") or "ClusterIP"
    return kind in ("NodePort", "LoadBalancer") or (kind == "ClusterIP" and bool(field_of(part, "external_ips")))


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
    """Where a volume comes from: the name of a source, "" where it names none. Each source is a part of its own."""
    return part.path


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


def _reference(part: Part, name: str) -> Mapping[str, Any] | None:
    source = part.value.get("valueFrom")
    found = source.get(name) if isinstance(source, Mapping) else None
    return found if isinstance(found, Mapping) else None


@law.fact
def field_version(part: Part) -> str | None:
    """The API version by which a variable refers to a field; None where it has no such reference."""
    reference = _reference(part, "fieldRef")
    return None if reference is None else reference.get("apiVersion") or ""


@law.fact
def keyless_reference(part: Part) -> Literal["none", "secret", "config-map"]:
    """Whether a variable refers to a Secret or ConfigMap without saying to which key."""
    kinds: tuple[tuple[str, Literal["secret", "config-map"]], ...] = (
        ("secretKeyRef", "secret"),
        ("configMapKeyRef", "config-map"),
    )
    for name, kind in kinds:
        reference = _reference(part, name)
        if reference is not None and reference.get("key") is None:
            return kind
    return "none"


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
    "nothing": lambda _: None,
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


Stages: TypeAlias = tuple[str, ...]
_CONVERTED: Final[Stages] = (".converted",)
_STORED: Final[Stages] = (*_CONVERTED, ".stored")
"""Endings of the names of tables that are asked after a type's own one."""


def defaulted(obj: Any) -> Any:
    """The object with every default, and what the server adds before it stores it.

    An object that needs none is returned as it is.
    """
    return _whole(obj, _STORED)


def reported(obj: Any) -> Any:
    """The object with the defaults of its status, as they are where nothing else of it is written."""
    status = getattr(obj, "status", None)
    cls: Any = type(status)
    if not isinstance(status, Struct) or not _has_defaults(cls):
        return obj
    filled = _filled(status, obj.kind, obj, _STORED)
    return obj if filled is status else evolve(obj, status=filled)


def scheme_defaulted(obj: Any) -> Any:
    """The object with the defaults of the API alone, as a decoder leaves it."""
    return _whole(obj, ())


def converted(obj: Any) -> Any:
    """The object with the defaults of the API, and what its conversion to the server's own version changes."""
    return _whole(obj, _CONVERTED)


def _whole(obj: Any, stages: Stages) -> Any:
    kind: str = obj.kind
    return _filled(obj, kind, None, stages) if isinstance(obj, Struct) else obj


def _filled(part: Any, root: str, parent: Any, stages: Stages) -> Any:
    """A part with its own defaults, then its parts' defaults. `stages`: and with what the server adds to them.

    Pod specs are remembered by identity: thousands of Pods share the one of their template.
    """
    if type(part).__name__ != "PodSpec":
        return _fill(part, root, parent, stages)
    parts = (part, KINDS.get(root), law.table("PodSpec"), stages)
    known = _MEMO.get(parts)
    if known is not None:
        return known
    result = _fill(part, root, parent, stages)
    _MEMO.put(parts, result)
    # Defaulting again changes nothing: what came out of it may come in.
    _MEMO.put((result, *parts[1:]), result)
    return result


def _fill(part: Any, root: str, parent: Any, stages: Stages) -> Any:
    cls: Any = type(part)
    for table in _tables_of(cls, stages):
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
            new = _filled(value, root, part, stages)
        elif type(value) is tuple and value:
            new = _filled_list(attribute, value, root, part, stages)
        else:
            continue
        if new is not value:
            changed[attribute] = new
    return evolve(part, **changed) if changed else part


def _filled_list(attribute: str, items: tuple[Any, ...], root: str, parent: Any, stages: Stages) -> tuple[Any, ...]:
    if attribute in _JSON_TABLES:
        filled = tuple(_fill_json(_JSON_TABLES[attribute], item, root) for item in items)
    else:
        filled = tuple(_filled(item, root, parent, stages) for item in items)
    return items if all(a is b for a, b in zip(filled, items, strict=True)) else filled


_JSON_TABLES: Final = {"volumes": "Volume", "env": "EnvVar", "image_pull_secrets": "LocalObjectReference"}
"""Lists whose items have no type of their own, and the tables of their defaults; fields are paths of names."""


def _fill_json(table: str, item: Any, root: str) -> Any:
    if not isinstance(item, Mapping):
        return item
    sources = [name for name in item if name != "name"] if table == "Volume" else []
    for source in sources or [""]:
        for row in law.collect(table, Part(item, root, path=source)):
            path = row.outputs["field"].split(".")
            item = _with_member(item, path, _value(row.outputs["value"], item))
    return item


def _with_member(item: Any, path: list[str], value: Any) -> Any:
    """The item with a value where the path leads, unless it has one there; None takes the field out.

    `name[]` leads to each entry of a list. What is not there is not made, but for the field itself.
    """
    if not isinstance(item, Mapping):
        return item
    name, rest = path[0].removesuffix("[]"), path[1:]
    found = item.get(name)
    if path[0].endswith("[]"):
        new = [_with_member(entry, rest, value) for entry in found] if isinstance(found, list | tuple) else found
        return item if new == found else {**item, name: new}
    if rest:
        new = _with_member(found, rest, value)
        return item if new is found else {**item, name: new}
    if value is None:
        return {key: entry for key, entry in item.items() if key != name}
    return item if found not in (None, "") or found == value else {**item, name: value}


@cache
def _tables_of(kind: Any, stages: Stages) -> tuple[str, ...]:
    """The tables of a type's defaults (or of the type that it extends), and of what the server adds."""
    found = ([cls.__name__ + end for cls in kind.__mro__ if law.has_table(cls.__name__ + end)] for end in ("", *stages))
    return tuple(name for names in found for name in names[:1])


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
    return bool(_tables_of(kind, _STORED)) or bool(_worth_a_look(kind))


def _structs_in(hint: Any) -> Iterator[Any]:
    """The API types that a type annotation names."""
    if isinstance(hint, type) and issubclass(hint, Struct):
        yield hint
    for inner in get_args(hint):
        yield from _structs_in(inner)


def _value(name: Any, part: Any) -> Any:
    computed = _COMPUTED.get(name) if isinstance(name, str) else None
    return computed(part) if computed is not None else name
