# ruff: noqa: RUF009 (shared defaults are frozen values)
"""Metadata that every object has, and the small types that several kinds share.

Source: staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go, staging/src/k8s.io/api/core/v1/types.go
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from k8sfsm.objects.base import NOTHING, Struct, Time, written


@frozen(kw_only=True, weakref_slot=False, repr=False)
class OwnerReference(Struct):
    """An owner of an object; at most one owner of an object is its controller."""

    api_version: str = written("")
    kind: str = written("")
    name: str = written("")
    uid: str = written("")
    controller: bool | None = None
    block_owner_deletion: bool | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ObjectMeta(Struct):
    """metav1.ObjectMeta. managedFields and selfLink are kept in `extra`."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    deletion_grace_period_seconds: int | None = None
    labels: Mapping[str, str] = NOTHING
    annotations: Mapping[str, str] = NOTHING
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class ObjectReference(Struct):
    """A reference to another object, or to a part of it."""

    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LabelSelectorRequirement(Struct):
    """One expression of a label selector; operator: In, NotIn, Exists or DoesNotExist."""

    key: str = written("")
    operator: str = written("")
    values: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LabelSelector(Struct):
    """All of `match_labels` and `match_expressions` must hold. Empty selects everything; None (no selector) nothing."""

    match_labels: Mapping[str, str] = NOTHING
    match_expressions: tuple[LabelSelectorRequirement, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Condition(Struct):
    """metav1.Condition: the observed state of one aspect of an object."""

    type: str = written("")
    status: str = written("")
    observed_generation: int = 0
    last_transition_time: Time | None = written(None)
    reason: str = written("")
    message: str = written("")


@frozen(kw_only=True, weakref_slot=False, repr=False)
class LocalObjectReference(Struct):
    """An object of the same namespace, by name."""

    name: str = ""
