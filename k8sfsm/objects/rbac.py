# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Roles and their bindings. Source: staging/src/k8s.io/api/rbac/v1/types.go."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import Struct, written
from k8sfsm.objects.meta import LabelSelector, ObjectMeta


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PolicyRule(Struct):
    """What may be done: verbs on resources of API groups (of some names only, if there are any), or on URLs."""

    verbs: tuple[str, ...] = written(())
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class AggregationRule(Struct):
    """The ClusterRoles of whose rules a ClusterRole is made: those that any of the selectors selects."""

    cluster_role_selectors: tuple[LabelSelector, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Role(Struct):
    """Rules for one namespace."""

    api_version: ClassVar[str] = "rbac.authorization.k8s.io/v1"
    kind: ClassVar[str] = "Role"

    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] = written(())


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ClusterRole(Struct):
    """Rules for the whole cluster, or for any namespace in which the role is bound."""

    api_version: ClassVar[str] = "rbac.authorization.k8s.io/v1"
    kind: ClassVar[str] = "ClusterRole"

    metadata: ObjectMeta = ObjectMeta()
    rules: tuple[PolicyRule, ...] = written(())
    aggregation_rule: AggregationRule | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Subject(Struct):
    """Who gets a role: a User, a Group, or a ServiceAccount of a namespace."""

    kind: str = written("")
    api_group: str = ""
    name: str = written("")
    namespace: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class RoleRef(Struct):
    """The role that is bound: a Role of the same namespace, or a ClusterRole."""

    api_group: str = written("")
    kind: str = written("")
    name: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class RoleBinding(Struct):
    """Gives a role to subjects, in one namespace."""

    api_version: ClassVar[str] = "rbac.authorization.k8s.io/v1"
    kind: ClassVar[str] = "RoleBinding"

    metadata: ObjectMeta = ObjectMeta()
    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef = RoleRef()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ClusterRoleBinding(Struct):
    """Gives a ClusterRole to subjects, in all namespaces."""

    api_version: ClassVar[str] = "rbac.authorization.k8s.io/v1"
    kind: ClassVar[str] = "ClusterRoleBinding"

    metadata: ObjectMeta = ObjectMeta()
    subjects: tuple[Subject, ...] = ()
    role_ref: RoleRef = RoleRef()
