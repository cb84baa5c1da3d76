# ruff: noqa: RUF009 (shared defaults are frozen values)
"""ResourceQuota. Source: staging/src/k8s.io/api/core/v1/types.go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import frozen

from k8sfsm.objects.base import NOTHING, Struct, written
from k8sfsm.objects.meta import ObjectMeta
from k8sfsm.objects.quantity import Quantity


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ScopedResourceSelectorRequirement(Struct):
    """A scope, and for which of its values a quota counts (operator: In, NotIn, Exists or DoesNotExist)."""

    scope_name: str = written("")
    operator: str = written("")
    values: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ScopeSelector(Struct):
    """Scopes that an object must be in, all of them."""

    match_expressions: tuple[ScopedResourceSelectorRequirement, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ResourceQuotaSpec(Struct):
    """How much of each resource the objects of a namespace may use, and which objects count."""

    hard: Mapping[str, Quantity] = NOTHING
    scopes: tuple[str, ...] = ()
    scope_selector: ScopeSelector | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ResourceQuotaStatus(Struct):
    """The limits that are enforced, and what is used."""

    hard: Mapping[str, Quantity] = NOTHING
    used: Mapping[str, Quantity] = NOTHING


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ResourceQuota(Struct):
    """A limit on what the objects of a namespace use together."""

    api_version: ClassVar[str] = "v1"
    kind: ClassVar[str] = "ResourceQuota"

    metadata: ObjectMeta = ObjectMeta()
    spec: ResourceQuotaSpec = ResourceQuotaSpec()
    status: ResourceQuotaStatus = ResourceQuotaStatus()
