"""Facts of roles and bindings. Source: pkg/apis/rbac/validation/validation.go."""

from __future__ import annotations

from typing import Literal

from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.parts import Part, field_of


@law.fact
def rule_about(part: Part) -> Literal["urls", "both", "resources"]:
    """What a rule of a role is about: URLs that are no resources, resources, or both, which it may not."""
    if not part.get("nonResourceURLs"):
        return "resources"
    return "both" if any(part.get(name) for name in ("apiGroups", "resources", "resourceNames")) else "urls"


@law.fact
def bound_kind(part: Part) -> Literal["User", "Group", "ServiceAccount", "other"]:
    """The kind of a binding's subject."""
    kinds: tuple[Literal["User", "Group", "ServiceAccount"], ...] = ("User", "Group", "ServiceAccount")
    return next((kind for kind in kinds if field_of(part, "kind") == kind), "other")
