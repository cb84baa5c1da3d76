"""`authorizer` in CEL: `authorizer.group('apps').resource('deployments').namespace('a').check('create').allowed()`.

An authorizer is a map of what is asked so far; each function gives it with one thing more.
Source: staging/src/k8s.io/apiserver/pkg/cel/library/authz.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from k8sfsm.apiserver.rbac.authorizer import judge
from k8sfsm.apiserver.rbac.policy import policy_of
from k8sfsm.apiserver.rbac.users import ACCOUNT_PREFIX, Asked, User, user_of
from k8sfsm.store import Snapshot

AUTHORIZER: Final[Mapping[str, str]] = {"authorizer": "request"}
_STEPS: Final = ("group", "resource", "subresource", "namespace", "name", "path")


def _step(name: str) -> Callable[..., dict[str, Any]]:
    return lambda so_far, value: {**so_far, name: value}


def authorizer_functions(user: User, snapshot: Snapshot) -> Mapping[str, Callable[..., Any]]:
    """The functions that ask the authorizers about a user."""

    def check(so_far: Mapping[str, Any], verb: str) -> dict[str, Any]:
        who = user_of(so_far["account"]) if "account" in so_far else user
        parts = {name: str(so_far[name]) for name in _STEPS if name in so_far}
        asked = Asked(who, verb, **parts)
        verdict = judge(policy_of(snapshot, asked.namespace), asked, snapshot)
        return {"allowed": verdict.allowed, "reason": verdict.reason}

    steps = {name: _step(name) for name in _STEPS}
    return {
        **steps,
        "serviceAccount": lambda so_far, namespace, name: {**so_far, "account": f"{ACCOUNT_PREFIX}{namespace}:{name}"},
        "check": check,
        "allowed": lambda decision: decision["allowed"],
        "reason": lambda decision: decision["reason"],
    }
