"""The roles and bindings that hold in a namespace: those that are stored, and those that every cluster has.

Source: plugin/pkg/auth/authorizer/rbac/rbac.go; pkg/registry/rbac/validation/rule.go: DefaultRuleResolver.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import intern
from typing import Any, Final

from attrs import field

from k8sfsm.apiserver.memo import Memo
from k8sfsm.apiserver.rbac.bootstrap import bootstrap_objects
from k8sfsm.apiserver.rbac.users import Asked, User, account_key, law
from k8sfsm.objects import (
    ClusterRole,
    ClusterRoleBinding,
    LabelSelector,
    PolicyRule,
    RoleBinding,
    RoleRef,
    Selector,
    SelectorError,
    Subject,
    evolve,
)
from k8sfsm.store import Snapshot
from k8sfsm.value import value

KINDS_OF_POLICY: Final = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@value
class Policy:
    """Roles by (kind, namespace, name), and bindings: those of the whole cluster first."""

    roles: Mapping[tuple[str, str, str], Any] = field(factory=dict)
    bindings: tuple[Any, ...] = ()

    def rules_of(self, ref: RoleRef, namespace: str) -> tuple[PolicyRule, ...] | None:
        """The rules of the role that a binding of that namespace names; None where there is no such role."""
        found = self.roles.get((ref.kind, namespace if ref.kind == "Role" else "", ref.name))
        return None if found is None else found.rules


@value
class Grant:
    """A role that a binding gives to a user. `rules` None: there is no such role."""

    binding: Any
    subject: Subject
    rules: tuple[PolicyRule, ...] | None


@value
class Applied:
    """A subject of a binding, and the user that it may mean."""

    subject: Subject
    user: User
    namespace: str


@value
class Looked:
    """A rule, and what is asked."""

    rule: PolicyRule
    asked: Asked


@value
class Stored:
    """The roles of a store."""

    objects: tuple[Any, ...]


@law.fact
def complete(case: Stored) -> bool:
    """The role cluster-admin is among what is stored, and with it all others."""
    return any(each.kind == "ClusterRole" and each.metadata.name == "cluster-admin" for each in case.objects)


@law.fact
def subject_kind(case: Applied) -> str:
    """User, Group or ServiceAccount."""
    return case.subject.kind


@law.fact
def named_so(case: Applied) -> bool:
    """The user has the subject's name."""
    return case.user.name == case.subject.name


@law.fact
def in_group(case: Applied) -> bool:
    """The user belongs to the group of that name."""
    return case.subject.name in case.user.groups


@law.fact
def that_account(case: Applied) -> bool:
    """The user is the service account of that name and namespace (or of the binding's)."""
    namespace = case.subject.namespace or case.namespace
    return bool(namespace) and account_key(case.user.name) == (namespace, case.subject.name)


@law.fact
def about_url(case: Looked) -> bool:
    """What is asked is no resource but a path."""
    return bool(case.asked.path)


@law.fact
def verb_listed(case: Looked) -> bool:
    """The rule has the verb, or all."""
    return case.asked.verb in case.rule.verbs or "*" in case.rule.verbs


@law.fact
def group_listed(case: Looked) -> bool:
    """The rule has the API group, or all."""
    return case.asked.group in case.rule.api_groups or "*" in case.rule.api_groups


@law.fact
def resource_listed(case: Looked) -> bool:
    """The rule has the resource with its subresource, that subresource of all resources, or everything.

    Source: pkg/apis/rbac/v1/evaluation_helpers.go: ResourceMatches.
    """
    listed, asked = case.rule.resources, case.asked
    of_any = bool(asked.subresource) and f"*/{asked.subresource}" in listed
    return "*" in listed or asked.combined in listed or of_any


@law.fact
def name_listed(case: Looked) -> bool:
    """The rule is about every name, or about this one."""
    return not case.rule.resource_names or case.asked.name in case.rule.resource_names


@law.fact
def url_listed(case: Looked) -> bool:
    """The rule has the path, a beginning of it followed by a star, or all.

    Source: pkg/apis/rbac/v1/evaluation_helpers.go: NonResourceURLMatches.
    """
    for url in case.rule.non_resource_urls:
        if url in ("*", case.asked.path):
            return True
        if url.endswith("*") and case.asked.path.startswith(url.rstrip("*")):
            return True
    return False


def covers(rule: PolicyRule, asked: Asked) -> bool:
    """Whether a rule allows what is asked."""
    return bool(law.decide("covers", Looked(rule, asked)).outputs["covers"])


def grants_to(policy: Policy, user: User, namespace: str) -> Iterator[Grant]:
    """The roles that a user has: those of the whole cluster, and of a namespace, if one is given."""
    for binding in policy.bindings:
        if binding.metadata.namespace not in ("", namespace):
            continue
        own = binding.metadata.namespace
        for subject in binding.subjects:
            if law.decide("subject", Applied(subject, user, own)).outputs["applies"]:
                yield Grant(binding, subject, policy.rules_of(binding.role_ref, own))
                break


def rules_for(policy: Policy, user: User, namespace: str) -> tuple[PolicyRule, ...]:
    """All rules that a user has in a namespace."""
    return tuple(rule for grant in grants_to(policy, user, namespace) for rule in grant.rules or ())


def aggregated(role: ClusterRole, others: Iterable[ClusterRole]) -> tuple[PolicyRule, ...]:
    """The rules that a role with an aggregation rule takes from others, by their names; each once.

    Source: pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go: syncClusterRole.
    """
    rule = role.aggregation_rule
    if rule is None:
        return role.rules
    found: dict[str, ClusterRole] = {}
    pool = sorted(others, key=lambda each: each.metadata.name)
    for selector in rule.cluster_role_selectors:
        selected = matcher_of(selector)
        for other in pool:
            if other.metadata.name != role.metadata.name and selected(other.metadata.labels):
                found.setdefault(other.metadata.name, other)
    rules: list[PolicyRule] = []
    for name in sorted(found):
        rules += [each for each in found[name].rules if each not in rules]
    return tuple(rules)


def matcher_of(selector: LabelSelector) -> Callable[[Mapping[str, str]], bool]:
    """Whether a selector selects what has some labels; one that makes no sense selects nothing."""
    try:
        return Selector.of(selector).matches
    except SelectorError:
        return lambda labels: False


_POLICIES: Final = Memo()


def policy_of(snapshot: Snapshot, namespace: str) -> Policy:
    """The policy that counts for requests about a namespace ("": about none). Found again while nothing changes."""
    series = tuple(
        snapshot.series("in", kind, "" if kind.startswith("Cluster") else namespace) for kind in KINDS_OF_POLICY
    )
    parts = (*series, intern(namespace), law.table("cluster-roles"), law.table("controller-roles"), law.table("covers"))
    known: Policy | None = _POLICIES.get(parts)
    if known is None:
        known = policy_from(tuple(obj for each in series for obj in each), namespace)
        _POLICIES.put(parts, known)
    return known


def policy_from(objects: tuple[Any, ...], namespace: str | None = None) -> Policy:
    """The policy of these roles and bindings, and of the bootstrap ones where they are not complete.

    `namespace` None: with the Roles of all namespaces.
    """
    add = law.decide("bootstrap", Stored(objects)).outputs["add"] == "bootstrap"
    first = bootstrap_objects() if add else ()
    found = {(each.kind, each.metadata.namespace, each.metadata.name): each for each in (*first, *objects)}
    kept = [each for each in found.values() if namespace is None or each.metadata.namespace in ("", namespace)]
    given = {(each.kind, each.metadata.namespace, each.metadata.name) for each in objects}
    roles = {
        (each.kind, each.metadata.namespace, each.metadata.name): each
        for each in _complete_roles([each for each in kept if each.kind in ("Role", "ClusterRole")], given)
    }
    bindings = [each for each in kept if isinstance(each, ClusterRoleBinding | RoleBinding)]
    return Policy(roles, tuple(sorted(bindings, key=lambda each: each.metadata.namespace != "")))


def _complete_roles(roles: list[Any], given: set[tuple[str, str, str]]) -> Iterator[Any]:
    """The roles; those of bootstrap that others make up get their rules, which no controller has written.

    A part may itself be made up of others (admin of edit, edit of view), so that it takes some rounds.
    """
    cluster = {each.metadata.name: each for each in roles if isinstance(each, ClusterRole)}
    made = [name for name, each in cluster.items() if each.aggregation_rule and (each.kind, "", name) not in given]
    for _ in made:
        for name in made:
            cluster[name] = evolve(cluster[name], rules=aggregated(cluster[name], cluster.values()))
    for each in roles:
        yield cluster[each.metadata.name] if isinstance(each, ClusterRole) else each
