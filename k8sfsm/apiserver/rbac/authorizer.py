"""The chain of authorizers: may this user do that?

Source: pkg/kubeapiserver/authorizer/config.go: New; plugin/pkg/auth/authorizer/rbac/rbac.go: RBACAuthorizer.Authorize.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Literal

from attrs import frozen

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.rbac.node import node_verdict
from k8sfsm.apiserver.rbac.policy import Grant, Policy, covers, grants_to
from k8sfsm.apiserver.rbac.users import MASTERS, Asked, User, account_key, law
from k8sfsm.objects import PolicyRule
from k8sfsm.objects.gotext import quote
from k8sfsm.store import Snapshot
from k8sfsm.value import value


@value
class Verdict:
    """The answer: `by` which authorizer; `reason` for an audit log, or for the one who is refused.

    Where a role allows it, `grant` is the binding that gives the role, `rule` the rule that is about it; `law`: the row
    of the law that decided.
    """

    allowed: bool
    by: str
    reason: str = ""
    grant: Grant | None = None
    rule: PolicyRule | None = None
    law: str = ""


@frozen(slots=False)
class Trial:
    """A request before the authorizers; each is asked at most once."""

    asked: Asked
    policy: Policy
    snapshot: Snapshot

    @cached_property
    def node_answer(self) -> tuple[bool, str]:
        """What the Node authorizer says."""
        return node_verdict(self.asked, self.snapshot, self.policy)

    @cached_property
    def granted(self) -> tuple[Grant, PolicyRule] | None:
        """The first binding and rule that allow it."""
        for grant in grants_to(self.policy, self.asked.user, self.asked.namespace):
            for rule in grant.rules or ():
                if covers(rule, self.asked):
                    return grant, rule
        return None

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """Bindings of the user that name roles which there are not, as errors."""
        grants = grants_to(self.policy, self.asked.user, self.asked.namespace)
        refs = [grant.binding.role_ref for grant in grants if grant.rules is None]
        return tuple(f'{ref.kind.lower()}.rbac.authorization.k8s.io "{ref.name}" not found' for ref in refs)


@law.fact
def privileged(case: Trial) -> bool:
    """The user belongs to system:masters."""
    return MASTERS in case.asked.user.groups


@law.fact
def node_allows(case: Trial) -> bool:
    """The Node authorizer allows it."""
    return case.node_answer[0]


@law.fact
def role_allows(case: Trial) -> bool:
    """Some rule of some role that the user has allows it."""
    return case.granted is not None


def judge(policy: Policy, asked: Asked, snapshot: Snapshot) -> Verdict:
    """Ask the authorizers in order."""
    trial = Trial(asked, policy, snapshot)
    decision = law.decide("chain", trial)
    by, allowed = decision.outputs["by"], decision.outputs["allowed"]
    if not allowed:
        return Verdict(False, by, _denial(trial), law=decision.rule)
    if by != "RBAC" or trial.granted is None:
        return Verdict(True, by, law=decision.rule)
    grant, rule = trial.granted
    return Verdict(True, by, f"RBAC: allowed by {described(grant)}", grant, rule, decision.rule)


def described(grant: Grant) -> str:
    """A binding in words: `ClusterRoleBinding "a" of ClusterRole "b" to User "c"`."""
    binding, ref, subject = grant.binding, grant.binding.role_ref, grant.subject
    space = binding.metadata.namespace
    name = f"{binding.metadata.name}/{space}" if space else binding.metadata.name
    who = f"{subject.name}/{subject.namespace}" if subject.kind == "ServiceAccount" else subject.name
    return f"{binding.kind} {quote(name)} of {ref.kind} {quote(ref.name)} to {subject.kind} {quote(who)}"


def _denial(trial: Trial) -> str:
    """Why nobody allows it. Source: union.go: Authorize, which joins what the authorizers say."""
    missing = trial.missing
    joined = missing[0] if len(missing) == 1 else f"[{', '.join(missing)}]"
    told = (trial.node_answer[1], f"RBAC: {joined}" if missing else "")
    return ", ".join(each for each in told if each)


def forbidden(asked: Asked, reason: str = "") -> Refusal:
    """403 for a request that no authorizer allows.

    Source: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/responsewriters/errors.go: forbiddenMessage;
    staging/src/k8s.io/apimachinery/pkg/api/errors/errors.go: NewForbidden.
    """
    text = refusal_text(asked) + (f": {reason}" if reason else "")
    if asked.path:
        return Refusal(403, "Forbidden", f"forbidden: {text}")
    resource = f"{asked.resource}.{asked.group}" if asked.group else asked.resource
    named = f'{resource} "{asked.name}"' if asked.name else resource
    return Refusal(403, "Forbidden", f"{named} is forbidden: {text}")


def refusal_text(asked: Asked) -> str:
    """`User "bob" cannot create resource "pods" in API group "" in the namespace "default"`."""
    who = f"User {quote(asked.user.name)} cannot {asked.verb}"
    if asked.path:
        return f"{who} path {quote(asked.path)}"
    what = f"{who} resource {quote(asked.combined)} in API group {quote(asked.group)}"
    where = f"in the namespace {quote(asked.namespace)}" if asked.namespace else "at the cluster scope"
    return f"{what} {where}"


Taken = Literal["user", "group", "service-account"]


@value
class Taking:
    """A user or a group as whom somebody wants to act."""

    form: Taken


@law.fact
def taken(case: Taking) -> Taken:
    """user, group or service-account."""
    return case.form


def impersonations(real: User, name: str, groups: tuple[str, ...]) -> tuple[Asked, ...]:
    """What `real` must be allowed, to act under a name and with groups."""
    key = account_key(name)
    wanted: list[tuple[Taken, str, str]] = [("user", "", name)] if key is None else [("service-account", *key)]
    wanted += [("group", "", group) for group in groups]
    found: list[Asked] = []
    for form, namespace, called in wanted:
        row: Any = law.decide("impersonation", Taking(form)).outputs
        found.append(Asked(real, "impersonate", row["group"] or "", row["resource"], "", namespace, called))
    return tuple(found)
