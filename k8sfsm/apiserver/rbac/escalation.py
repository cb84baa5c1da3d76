"""Nobody grants what he does not have: the check of roles and bindings that are written.

Source: pkg/registry/rbac/validation/rule.go: ConfirmNoEscalation, Covers; pkg/registry/rbac/escalation_check.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Final, Literal

from attrs import evolve, frozen

from k8sfsm.apiserver.answer import Refusal, not_found
from k8sfsm.apiserver.rbac.authorizer import judge
from k8sfsm.apiserver.rbac.bootstrap import GROUP
from k8sfsm.apiserver.rbac.policy import Policy, rules_for
from k8sfsm.apiserver.rbac.users import MASTERS, Asked, User, law
from k8sfsm.objects import KINDS, ClusterRole, PolicyRule, Role, RoleRef
from k8sfsm.objects.gotext import quote
from k8sfsm.store import Snapshot
from k8sfsm.value import value

GUARDED: Final = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_EVERYTHING: Final = (
    PolicyRule(verbs=("*",), api_groups=("*",), resources=("*",)),
    PolicyRule(verbs=("*",), non_resource_urls=("*",)),
)


@frozen(slots=False)
class Granting:
    """A role or binding that somebody writes. `old`: what it replaces, None where it is new."""

    user: User
    old: Any
    new: Any
    policy: Policy
    snapshot: Snapshot

    @property
    def namespace(self) -> str:
        """The namespace in which rights are granted, "" for all."""
        return str(self.new.metadata.namespace)

    @cached_property
    def rules(self) -> tuple[PolicyRule, ...] | None:
        """The rules that are granted: those of the role, or of the role that is bound; None where there is none."""
        if isinstance(self.new, Role | ClusterRole):
            return self.new.rules
        return self.policy.rules_of(self.new.role_ref, self.namespace)

    @cached_property
    def uncovered(self) -> tuple[Right, ...]:
        """What is granted and not held."""
        return missing(rules_for(self.policy, self.user, self.namespace), self.rules or ())

    def may(self, verb: str, kind: str, name: str) -> bool:
        """Whether the user has a verb on a role."""
        space = "" if kind == "ClusterRole" else self.namespace
        asked = Asked(self.user, verb, GROUP, KINDS[kind].resource, "", space, name)
        if kind == "ClusterRole" and self.namespace:
            asked = evolve(asked, namespace=self.namespace)
        return judge(self.policy, asked, self.snapshot).allowed


@law.fact
def may_escalate_all(case: Granting) -> bool:
    """The user belongs to system:masters."""
    return bool(MASTERS in case.user.groups)


@law.fact
def grants_same(case: Granting) -> bool:
    """An update grants nothing else than before: only other fields change."""
    if case.old is None:
        return False
    return bool(_content(case.old) == _content(case.new))


@law.fact
def granting(case: Granting) -> Literal["role", "binding"]:
    """Whether a role is written or a binding."""
    return "role" if isinstance(case.new, Role | ClusterRole) else "binding"


@law.fact
def may_escalate(case: Granting) -> bool:
    """The user has the verb `escalate` on the role."""
    return case.may("escalate", case.new.kind, case.new.metadata.name)


@law.fact
def may_bind(case: Granting) -> bool:
    """The user has the verb `bind` on the role that is bound."""
    ref: RoleRef = case.new.role_ref
    return ref.kind in ("Role", "ClusterRole") and case.may("bind", ref.kind, ref.name)


@law.fact
def aggregates_anew(case: Granting) -> bool:
    """The role gets an aggregation rule, so that it may come to hold anything."""
    return isinstance(case.new, ClusterRole) and case.new.aggregation_rule is not None


@law.fact
def holds_everything(case: Granting) -> bool:
    """The user may do everything, everywhere."""
    return not missing(rules_for(case.policy, case.user, case.namespace), _EVERYTHING)


@law.fact
def role_missing(case: Granting) -> bool:
    """The role that is bound does not exist."""
    return case.rules is None


@law.fact
def holds_granted(case: Granting) -> bool:
    """The user holds all that is granted."""
    return not case.uncovered


def _content(obj: Any) -> Any:
    if isinstance(obj, Role):
        return obj.rules
    if isinstance(obj, ClusterRole):
        return obj.rules, obj.aggregation_rule
    return obj.subjects, obj.role_ref


def refuse_escalation(case: Granting) -> None:
    """Raises Refusal (403, or 404 for a role that is not there) where somebody grants what he does not have."""
    answer = law.decide("escalation", case).outputs["answer"]
    if answer == "allow":
        return
    if answer == "not-found":
        ref = case.new.role_ref
        raise not_found(f"{KINDS[ref.kind].resource if ref.kind in KINDS else ref.kind.lower()}.{GROUP}", ref.name)
    lacking = case.uncovered
    if answer == "refuse-everything":
        lacking = missing(rules_for(case.policy, case.user, case.namespace), _EVERYTHING)
    told = "\n".join(sorted({compact_string(rule) for rule in compacted(lacking)}))
    groups = " ".join(quote(group) for group in case.user.groups)
    who = f"user {quote(case.user.name)} (groups=[{groups}])"
    text = f"{who} is attempting to grant RBAC permissions not currently held:\n"
    resource = f"{KINDS[case.new.kind].resource}.{GROUP}"
    raise Refusal(403, "Forbidden", f'{resource} "{case.new.metadata.name}" is forbidden: {text}{told}')


# -- what rules cover -------------------------------------------------------------------------------------------------


@value
class Right:
    """The smallest part of a rule: one verb, on one resource of one group (and one name, if any), or on one URL."""

    verb: str
    group: str = ""
    resource: str = ""
    name: str = ""
    url: str = ""


def missing(held: Iterable[PolicyRule], wanted: Iterable[PolicyRule]) -> tuple[Right, ...]:
    """The rights of `wanted` that no single rule of `held` covers, in order."""
    owner = tuple(held)
    rights = dict.fromkeys(right for rule in wanted for right in broken_down(rule))
    return tuple(right for right in rights if not any(_covers(rule, right) for rule in owner))


def broken_down(rule: PolicyRule) -> Iterator[Right]:
    """The rights of a rule.

    Source: staging/src/k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go: BreakdownRule.
    """
    for group in rule.api_groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                for name in rule.resource_names or ("",):
                    yield Right(verb, group, resource, name)
    for url in rule.non_resource_urls:
        for verb in rule.verbs:
            yield Right(verb, url=url)


def _covers(rule: PolicyRule, right: Right) -> bool:
    """Source: policy_comparator.go: ruleCovers."""
    if not _has(rule.verbs, right.verb):
        return False
    if right.url:
        return any(_url_covers(url, right.url) for url in rule.non_resource_urls)
    named = not rule.resource_names or right.name in rule.resource_names
    return _has(rule.api_groups, right.group) and _resource_covers(rule, right.resource) and named


def _has(listed: tuple[str, ...], wanted: str) -> bool:
    return "*" in listed or wanted in listed


def _resource_covers(rule: PolicyRule, wanted: str) -> bool:
    _, slash, subresource = wanted.partition("/")
    return _has(rule.resources, wanted) or (bool(slash) and f"*/{subresource}" in rule.resources)


def _url_covers(held: str, wanted: str) -> bool:
    return held in ("*", wanted) or (held.endswith("*") and wanted.startswith(held.rstrip("*")))


def compacted(rights: Iterable[Right]) -> tuple[PolicyRule, ...]:
    """Rules that hold all rights, one per resource and name. Source: .../rbac/validation/policy_compact.go."""
    found: dict[Right, list[str]] = {}
    for right in rights:
        # URLs are not joined: upstream joins rules of resources only.
        found.setdefault(right if right.url else evolve(right, verb=""), []).append(right.verb)
    return tuple(_rule_of(right, tuple(verbs)) for right, verbs in found.items())


def _rule_of(right: Right, verbs: tuple[str, ...]) -> PolicyRule:
    if right.url:
        return PolicyRule(verbs=verbs, non_resource_urls=(right.url,))
    names = (right.name,) if right.name else ()
    return PolicyRule(verbs=verbs, api_groups=(right.group,), resources=(right.resource,), resource_names=names)


def compact_string(rule: PolicyRule) -> str:
    """A rule as errors show it. Source: pkg/apis/rbac/v1/evaluation_helpers.go: CompactString."""
    parts = {
        "APIGroups": rule.api_groups,
        "Resources": rule.resources,
        "NonResourceURLs": rule.non_resource_urls,
        "ResourceNames": rule.resource_names,
        "Verbs": rule.verbs,
    }
    texts = [f"{name}:[{' '.join(map(quote, words))}]" for name, words in parts.items() if words]
    return "{" + ", ".join(texts) + "}"
