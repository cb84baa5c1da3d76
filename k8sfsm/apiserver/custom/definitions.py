"""CustomResourceDefinitions: what they define, and what they may not be.

Source: staging/src/k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.valid.faults import Fault, shown
from k8sfsm.objects import KINDS, kind_named
from k8sfsm.store import Snapshot
from k8sfsm.value import value

CRD: Final = "CustomResourceDefinition"
_TYPES: Final = ("array", "boolean", "integer", "number", "object", "string")


def member(found: Any, *names: str) -> Any:
    """What stands in a JSON value under these names, one in the other; None where there is nothing."""
    for name in names:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def listed(found: Any) -> list[Any]:
    """A list, or an empty one for anything else."""
    return list(found) if isinstance(found, list | tuple) else []


@value
class Definition:
    """A CustomResourceDefinition, in JSON form but for its metadata."""

    name: str
    body: Mapping[str, Any]

    @property
    def spec(self) -> Mapping[str, Any]:
        """The spec."""
        return member(self.body, "spec") or {}

    @property
    def group(self) -> str:
        """The API group."""
        return str(self.spec.get("group") or "")

    @property
    def versions(self) -> tuple[Mapping[str, Any], ...]:
        """The versions that are objects."""
        return tuple(each for each in listed(self.spec.get("versions")) if isinstance(each, Mapping))

    @property
    def kind(self) -> str:
        """The kind that it defines."""
        return str(member(self.spec, "names", "kind") or "")

    @property
    def plural(self) -> str:
        """The resource's plural."""
        return str(member(self.spec, "names", "plural") or "")

    @property
    def namespaced(self) -> bool:
        """Whether objects of the kind are in namespaces."""
        return self.spec.get("scope") == "Namespaced"

    def schema(self, version: str) -> Mapping[str, Any] | None:
        """The schema of a version that is served; None where there is no such version."""
        for each in self.versions:
            if each.get("name") == version and each.get("served"):
                return member(each, "schema", "openAPIV3Schema") or {}
        return None

    def has_status(self, version: str) -> bool:
        """Whether the version's status is a part that is written by itself."""
        return any(
            each.get("name") == version and member(each, "subresources", "status") is not None for each in self.versions
        )


@value
class Version:
    """A version of a CustomResourceDefinition."""

    body: Mapping[str, Any]


@value
class Part:
    """A part of a schema. `within`: the root, a field, or the items of a list."""

    schema: Mapping[str, Any]
    within: Literal["root", "field", "items"]


@law.fact
def crd_named(case: Definition) -> bool:
    """The name is that of the resource and its group."""
    return case.name == f"{case.plural}.{case.group}"


@law.fact
def crd_group(case: Definition) -> bool:
    """There is a group."""
    return bool(case.group)


@law.fact
def crd_scope(case: Definition) -> bool:
    """The scope is one."""
    return case.spec.get("scope") in ("Namespaced", "Cluster")


@law.fact
def crd_plural(case: Definition) -> bool:
    """There is a plural."""
    return bool(case.plural)


@law.fact
def crd_kind(case: Definition) -> bool:
    """There is a kind."""
    return bool(case.kind)


@law.fact
def crd_versions(case: Definition) -> int:
    """How many versions there are."""
    return len(case.versions)


@law.fact
def crd_storages(case: Definition) -> int:
    """How many versions are stored."""
    return sum(1 for each in case.versions if each.get("storage"))


@law.fact
def schema_given(case: Version) -> bool:
    """The version has a schema."""
    return isinstance(member(case.body, "schema", "openAPIV3Schema"), Mapping)


@law.fact
def root_type(case: Version) -> str:
    """The type of the whole object, by the schema."""
    return str(member(case.body, "schema", "openAPIV3Schema", "type") or "")


@law.fact
def part_type(case: Part) -> Literal["none", "plain", "array-without-items", "other"]:
    """The type that a part of a schema says."""
    found = case.schema.get("type")
    if not found:
        return "none"
    if found not in _TYPES:
        return "other"
    return "array-without-items" if found == "array" and not isinstance(case.schema.get("items"), Mapping) else "plain"


@law.fact
def part_open(case: Part) -> bool:
    """The part may be anything: numbers and texts, or fields that nobody knows."""
    names = ("x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields")
    return any(case.schema.get(name) is True for name in names)


@law.fact
def part_within(case: Part) -> Literal["root", "field", "items"]:
    """Whether the part is the root, a field, or the items of a list."""
    return case.within


def definition_faults(definition: Definition) -> tuple[Fault, ...]:
    """The errors of a CustomResourceDefinition."""
    return tuple(_faults(definition))


def _faults(definition: Definition) -> Iterator[Fault]:
    for row in law.collect("definition", definition):
        out = row.outputs
        found = (
            definition.name if out["field"] == "metadata.name" else member(definition.body, *out["field"].split("."))
        )
        yield Fault(out["field"], out["error"], shown("" if found is None else found), out.get("text") or "")
    for number, each in enumerate(definition.versions):
        path = f"spec.versions[{number}]"
        for row in law.collect("version", Version(each)):
            out = row.outputs
            found = member(each, *out["field"].split("."))
            yield Fault(f"{path}.{out['field']}", out["error"], shown("" if found is None else found), out["text"])
        schema = member(each, "schema", "openAPIV3Schema")
        if isinstance(schema, Mapping):
            yield from _part_faults(schema, f"{path}.schema.openAPIV3Schema", "root")


def _part_faults(schema: Any, path: str, within: Literal["root", "field", "items"]) -> Iterator[Fault]:
    if not isinstance(schema, Mapping):
        yield Fault(path, "Invalid value", shown(schema), "must be an object")
        return
    for row in law.collect("structural", Part(schema, within)):
        out = row.outputs
        found = schema.get(out["field"])
        yield Fault(f"{path}.{out['field']}", out["error"], shown("" if found is None else found), out["text"])
    properties = schema.get("properties")
    for name, inner in properties.items() if isinstance(properties, Mapping) else ():
        yield from _part_faults(inner, f"{path}.properties[{name}]", "field")
    for name, inside in (("items", "items"), ("additionalProperties", "field")):
        inner = schema.get(name)
        if isinstance(inner, Mapping):
            yield from _part_faults(inner, f"{path}.{name}", "items" if inside == "items" else "field")


def definition_of(snapshot: Snapshot, api_version: str, kind: str) -> Definition | None:
    """The stored definition that serves a kind in a version, whose names are accepted; None where there is none."""
    group, _, version = api_version.rpartition("/")
    for obj in snapshot.series("in", CRD, ""):
        found = Definition(obj.metadata.name, obj.extra)
        if (
            (found.group, found.kind) == (group, kind)
            and found.schema(version) is not None
            and is_established(obj.extra)
        ):
            return found
    return None


def custom_schema(head: Any, kind: str, snapshot: Snapshot) -> Mapping[str, Any] | None:
    """The schema of a kind that people have defined, in the version that a document's head says; None without one."""
    version = member(head, "apiVersion")
    if kind in KINDS or not isinstance(version, str):
        return None
    found = definition_of(snapshot, version, kind)
    return None if found is None else found.schema(version.rpartition("/")[2])


def resource_of(kind: str, definitions: Iterable[Any]) -> tuple[str, str]:
    """The API group and the plural of a kind: Kubernetes' own, or of the CustomResourceDefinitions given.

    ("", "") for a kind that nobody knows.
    """
    known = KINDS.get(kind)
    if known is not None:
        return known.group, known.resource
    found = (Definition(each.metadata.name, each.extra) for each in definitions)
    return next(((each.group, each.plural) for each in found if each.kind == kind), ("", ""))


def qualified_resource(kind: str, definitions: Iterable[Any]) -> str:
    """The kind's resource in error texts: `pods`, `deployments.apps`, `crontabs.stable.example.com`."""
    group, plural = resource_of(kind, definitions)
    return f"{plural}.{group}" if group else plural or kind.lower()


def is_established(body: Mapping[str, Any]) -> bool:
    """Whether the condition Established is True."""
    conditions = listed(member(body, "status", "conditions"))
    return any(member(each, "type") == "Established" and member(each, "status") == "True" for each in conditions)


def served_kind(snapshot: Snapshot, api_version: str, kind: str) -> bool:
    """Whether the API server serves a kind in a version: its own, or one that somebody has defined."""
    return kind_named(api_version, kind) is not None or definition_of(snapshot, api_version, kind) is not None
