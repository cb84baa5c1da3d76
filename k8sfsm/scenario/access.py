"""Who may do what in a cluster: the questions of `kubectl auth can-i`.

Source: staging/src/k8s.io/kubectl/pkg/cmd/auth/cani.go.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import frozen

from k8sfsm.apiserver.rbac.authorizer import Verdict, impersonations, judge
from k8sfsm.apiserver.rbac.policy import KINDS_OF_POLICY, Policy, grants_to, policy_from
from k8sfsm.apiserver.rbac.users import ADMINISTRATOR, Asked, User, impersonated, user_of
from k8sfsm.objects import KINDS, PolicyRule, kind_of_resource, to_json
from k8sfsm.scenario.order import DEFAULT_NAMESPACE, Refused, kind_called
from k8sfsm.scenario.state import State
from k8sfsm.store import Snapshot


@frozen
class Access:
    """The roles and bindings of a cluster, and what is in it."""

    state: State | None
    policy: Policy

    @classmethod
    def of(cls, state: State | None) -> Access:
        """The access rules of a state; None: of a new cluster."""
        objects = () if state is None else tuple(obj for kind in KINDS_OF_POLICY for obj in state.view.list(kind))
        return cls(state, policy_from(objects))

    def judge(self, asked: Asked) -> Verdict:
        """What the authorizers say."""
        return judge(self.policy, asked, Snapshot() if self.state is None else self.state.view.snapshot("Pod"))

    def granted(self, user: User, namespace: str) -> Iterator[tuple[Any, PolicyRule]]:
        """All rules that a user has in a namespace, each with the binding that gives it."""
        for grant in grants_to(self.policy, user, namespace):
            for rule in grant.rules or ():
                yield grant, rule


def who(name: str, groups: tuple[str, ...], real: str = "") -> tuple[User, tuple[Asked, ...]]:
    """The user of a question, and what `real` must be allowed to act as that user."""
    if not name:
        if groups:
            raise Refused("groups are given without a user, expected --as with --as-group")
        return user_of(real or ADMINISTRATOR), ()
    user = user_of(name) if not groups else impersonated(name, groups)
    return user, impersonations(user_of(real or ADMINISTRATOR), name, groups)


def asked_by_words(user: User, verb: str, resource: str, name: str, namespace: str, everywhere: bool) -> Asked:
    """What the words of a command ask: a resource with its subresource (`pods/log`, `deployments.apps`), or a path.

    `everywhere`: in all namespaces. A resource that nobody knows is asked about as it stands.
    """
    if resource.startswith("/"):
        return Asked(user, verb, path=resource)
    word, _, subresource = resource.partition("/")
    plural, group, namespaced = _resource(word)
    space = "" if everywhere or not namespaced else namespace or DEFAULT_NAMESPACE
    return Asked(user, verb, group, plural, subresource, space, name)


def _resource(word: str) -> tuple[str, str, bool]:
    """(plural, API group, namespaced) of what a person calls a resource."""
    plural, dot, group = word.partition(".")
    known = kind_of_resource(plural, group) if dot else kind_of_resource(plural)
    if known is None and not dot:
        try:
            known = KINDS[kind_called(word)]
        except Refused:
            known = None
    if known is None:
        return plural, group, True
    return known.resource, known.group, known.namespaced


def answer_json(asked: Asked, verdict: Verdict) -> dict[str, Any]:
    """A verdict in JSON form: what was asked, the answer, the rule and the binding that allow it."""
    grant = verdict.grant
    said: dict[str, Any] = {
        "user": asked.user.name,
        "groups": list(asked.user.groups),
        "verb": asked.verb,
        "group": asked.group,
        "resource": asked.resource,
        "subresource": asked.subresource,
        "namespace": asked.namespace,
        "name": asked.name,
        "path": asked.path,
        "allowed": verdict.allowed,
        "by": verdict.by if verdict.allowed else None,
        "reason": verdict.reason,
        "law": verdict.law,
    }
    if grant is not None and verdict.rule is not None:
        said["rule"] = to_json(verdict.rule)
        said["binding"] = binding_json(grant)
    return said


def binding_json(grant: Any) -> dict[str, Any]:
    """A binding as people name it, with its role and the subject that it means."""
    meta, ref = grant.binding.metadata, grant.binding.role_ref
    return {
        "kind": grant.binding.kind,
        "name": meta.name,
        "namespace": meta.namespace,
        "role": {"kind": ref.kind, "name": ref.name},
        "subject": to_json(grant.subject),
    }
