"""Which requests a policy, or a binding of one, is about.

Source: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/matching/matching.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import frozen

from k8sfsm.apiserver.custom.definitions import listed, member
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.rbac.users import Asked
from k8sfsm.objects import KINDS, LabelSelector, ObjectError, Selector, SelectorError, part_from_json
from k8sfsm.store import Snapshot


@frozen
class AdmissionRequest:
    """A request that is admitted. `operation`: CREATE, UPDATE or DELETE; `old`, `new`: the object before and after."""

    asked: Asked
    operation: str
    old: Any
    new: Any
    snapshot: Snapshot

    @property
    def object(self) -> Any:
        """The object that is written, or deleted."""
        return self.new if self.new is not None else self.old

    @property
    def version(self) -> str:
        """The API version, without its group."""
        return str(self.object.api_version).rpartition("/")[2]

    @property
    def namespaced(self) -> bool:
        """Whether the object is in a namespace."""
        return bool(self.object.metadata.namespace)

    @property
    def name(self) -> str:
        """The object's name."""
        return str(self.object.metadata.name)


@frozen
class Ruled:
    """A rule of resources, and a request."""

    rule: Mapping[str, Any]
    request: AdmissionRequest

    def lists(self, name: str, *wanted: str) -> bool:
        """Whether the rule lists one of these, or a star."""
        found = listed(self.rule.get(name))
        return "*" in found or any(each in found for each in wanted)


@frozen
class Constrained:
    """Constraints of a policy or a binding, and a request. `open`: without rules they are about everything."""

    constraints: Mapping[str, Any]
    request: AdmissionRequest
    open: bool


@law.fact
def rule_operation(case: Ruled) -> bool:
    """The rule has the operation."""
    return case.lists("operations", case.request.operation)


@law.fact
def rule_group(case: Ruled) -> bool:
    """The rule has the API group."""
    return case.lists("apiGroups", case.request.asked.group)


@law.fact
def rule_version(case: Ruled) -> bool:
    """The rule has the API version."""
    return case.lists("apiVersions", case.request.version)


@law.fact
def rule_resource(case: Ruled) -> bool:
    """The rule has the resource: `pods`, `pods/status`, `pods/*`, `*/scale`, `*` (without subresources) or `*/*`."""
    asked = case.request.asked
    found = listed(case.rule.get("resources"))
    if not asked.subresource:
        return any(each in ("*", "*/*", asked.resource) for each in found)
    sub = asked.subresource
    return any(each in ("*/*", f"*/{sub}", f"{asked.resource}/*", asked.combined) for each in found)


@law.fact
def rule_scope(case: Ruled) -> bool:
    """The rule is about objects in namespaces, about others, or about all."""
    wanted = {"Namespaced": True, "Cluster": False}.get(str(case.rule.get("scope")))
    return wanted is None or wanted is case.request.namespaced


@law.fact
def rule_name(case: Ruled) -> bool:
    """The rule is about all names, or about this one."""
    names = listed(case.rule.get("resourceNames"))
    return not names or case.request.name in names


@law.fact
def namespace_selected(case: Constrained) -> bool:
    """The object's namespace (or the Namespace itself) has the labels; what is in none is selected."""
    request = case.request
    selector = case.constraints.get("namespaceSelector")
    if not selector:
        return True
    if request.object.kind == "Namespace":
        return _selects(selector, request.object.metadata.labels)
    if not request.namespaced:
        return True
    namespace = request.snapshot.get(("Namespace", "", request.object.metadata.namespace))
    return namespace is not None and _selects(selector, namespace.metadata.labels)


@law.fact
def object_selected(case: Constrained) -> bool:
    """The object has the labels, before or after."""
    selector = case.constraints.get("objectSelector")
    found = [each for each in (case.request.new, case.request.old) if each is not None]
    return not selector or any(_selects(selector, each.metadata.labels) for each in found)


@law.fact
def rule_excluded(case: Constrained) -> bool:
    """A rule of excludeResourceRules is about the request."""
    return _any_rule(case, "excludeResourceRules")


@law.fact
def rule_included(case: Constrained) -> bool:
    """A rule of resourceRules is about the request; a binding without any is about all."""
    if case.open and not listed(case.constraints.get("resourceRules")):
        return True
    return _any_rule(case, "resourceRules")


def _any_rule(case: Constrained, name: str) -> bool:
    rules = [each for each in listed(case.constraints.get(name)) if isinstance(each, Mapping)]
    return any(law.decide("rule-matches", Ruled(each, case.request)).outputs["matches"] for each in rules)


def _selects(selector: Any, labels: Mapping[str, str]) -> bool:
    """Whether a selector in JSON form selects what has these labels; one that makes no sense selects nothing."""
    try:
        return Selector.of(part_from_json(LabelSelector, selector)).matches(labels)
    except (ObjectError, SelectorError):
        return False


def concerns(constraints: Any, request: AdmissionRequest, *, open: bool = False) -> bool:
    """Whether constraints are about a request."""
    if not isinstance(constraints, Mapping):
        return open
    return bool(law.decide("constraints-match", Constrained(constraints, request, open)).outputs["matches"])


def params_of(policy: Any, binding: Any, request: AdmissionRequest) -> tuple[Any, ...]:
    """The objects that a binding gives a policy as its parameters."""
    kind = str(member(policy.extra, "spec", "paramKind", "kind") or "")
    reference = member(binding.extra, "spec", "paramRef")
    if not kind or not isinstance(reference, Mapping):
        return ()
    known = KINDS.get(kind)
    own = str(reference.get("namespace") or "")
    spaces = [own] if own else [request.object.metadata.namespace, ""] if known is None or known.namespaced else [""]
    found = [each for space in spaces for each in request.snapshot.series("in", kind, space)]
    if reference.get("name"):
        return tuple(each for each in found if each.metadata.name == reference["name"])
    return tuple(each for each in found if _selects(reference.get("selector"), each.metadata.labels))
