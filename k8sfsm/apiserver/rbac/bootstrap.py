"""The roles and bindings that every cluster has from its first start, as objects.

Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.rbac.users import Acting, law
from k8sfsm.objects import (
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    ObjectMeta,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from k8sfsm.spec.loader import load_tables
from k8sfsm.value import value

GROUP: Final = "rbac.authorization.k8s.io"
SYSTEM: Final = "kube-system"
CONTROLLER: Final = "system:controller:"
LABEL: Final = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_ANNOTATION: Final = {"rbac.authorization.kubernetes.io/autoupdate": "true"}
_CORE: Final = "core"


@value
class Entitled:
    """A bootstrap role, by name."""

    name: str


@law.fact
def role(case: Entitled) -> str:
    """The role's name; with its namespace before a slash where it has one."""
    return case.name


_OBJECTS: Final = Memo()


def bootstrap_objects() -> tuple[Any, ...]:
    """All ClusterRoles, Roles and bindings of the bootstrap policy, in the order of the tables."""
    parts = tuple(law.table(name) for name in ("cluster-roles", "controller-roles", "cluster-bindings"))
    found: tuple[Any, ...] | None = _OBJECTS.get(parts)
    if found is None:
        found = (*_cluster_roles(), *_controller_roles(), *_namespace_roles())
        _OBJECTS.put(parts, found)
    return found


def _names(table: str, column: str) -> tuple[str, ...]:
    """The names that the rows of a table test for, in order, each once."""
    found: list[str] = []
    for file in load_tables("rbac").values():
        if table in file.tables:
            for rule in file.tables[table].rules.values():
                cell: Any = rule.cells.get(column)
                found += cell if isinstance(cell, list | tuple) else [cell]
    return tuple(dict.fromkeys(str(each) for each in found))


def _rule(cells: Mapping[str, Any]) -> PolicyRule:
    words = {name: tuple(str(cells.get(name) or "").split()) for name in cells}
    return PolicyRule(
        verbs=words.get("verbs", ()),
        api_groups=tuple("" if group == _CORE else group for group in words.get("groups", ())),
        resources=words.get("resources", ()),
        resource_names=words.get("names", ()),
        non_resource_urls=words.get("urls", ()),
    )


def _rules(table: str, name: str) -> tuple[PolicyRule, ...]:
    return tuple(_rule(row.outputs) for row in law.collect(table, Entitled(name)))


def _meta(name: str, namespace: str = "", labels: Mapping[str, str] = LABEL) -> ObjectMeta:
    return ObjectMeta(name=name, namespace=namespace, labels={**LABEL, **labels}, annotations=_ANNOTATION)


def _subjects(kind: str, names: str) -> tuple[Subject, ...]:
    if kind != "ServiceAccount":
        return tuple(Subject(kind=kind, api_group=GROUP, name=name) for name in names.split())
    parts = [name.partition(":") for name in names.split()]
    return tuple(Subject(kind=kind, name=name, namespace=namespace) for namespace, _, name in parts)


def _cluster_roles() -> Iterator[Any]:
    bound = _names("cluster-bindings", "role")
    for name in dict.fromkeys((*_names("aggregated-roles", "role"), *_names("cluster-roles", "role"), *bound)):
        marks = [row.outputs for row in law.collect("aggregated-roles", Entitled(name))]
        labels = {row["label"]: "true" for row in marks if row.get("label")}
        takes = tuple(LabelSelector(match_labels={row["takes"]: "true"}) for row in marks if row.get("takes"))
        yield ClusterRole(
            metadata=_meta(name, labels=labels),
            rules=_rules("cluster-roles", name),
            aggregation_rule=AggregationRule(cluster_role_selectors=takes) if takes else None,
        )
    for name in bound:
        rows = [row.outputs for row in law.collect("cluster-bindings", Entitled(name))]
        subjects = tuple(each for row in rows for each in _subjects(row["subject"], row["name"]))
        yield _cluster_binding(name, subjects)


def _controller_roles() -> Iterator[Any]:
    for name in _names("controller-roles", "controller"):
        rules = tuple(_rule(row.outputs) for row in law.collect("controller-roles", Acting(name)))
        yield ClusterRole(metadata=_meta(CONTROLLER + name), rules=rules)
        yield _cluster_binding(CONTROLLER + name, _subjects("ServiceAccount", f"{SYSTEM}:{name}"))


def _cluster_binding(name: str, subjects: tuple[Subject, ...]) -> ClusterRoleBinding:
    ref = RoleRef(api_group=GROUP, kind="ClusterRole", name=name)
    return ClusterRoleBinding(metadata=_meta(name), subjects=subjects, role_ref=ref)


def _namespace_roles() -> Iterator[Any]:
    for place in _names("namespace-roles", "role"):
        namespace, _, name = place.partition("/")
        yield Role(metadata=_meta(name, namespace), rules=_rules("namespace-roles", place))
    for place in _names("namespace-bindings", "role"):
        namespace, _, name = place.partition("/")
        rows = [row.outputs for row in law.collect("namespace-bindings", Entitled(place))]
        called = next((str(row["binding"]) for row in rows if row.get("binding")), name)
        yield RoleBinding(
            metadata=_meta(called, namespace),
            subjects=tuple(each for row in rows for each in _subjects(row["subject"], row["name"])),
            role_ref=RoleRef(api_group=GROUP, kind="Role", name=name),
        )
