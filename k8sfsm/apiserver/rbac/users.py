"""Users, their groups, and what they ask for.

Source: staging/src/k8s.io/apiserver/pkg/authentication/user/user.go; .../authorization/authorizer/interfaces.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, Literal

from k8sfsm.apiserver.answer import NODE_PREFIX
from k8sfsm.law import Law
from k8sfsm.table import CompiledTable
from k8sfsm.value import value

law = Law("rbac")

MASTERS: Final = "system:masters"
ADMINISTRATOR: Final = "user"
"""The name of the people of a story that says nothing else: administrators of the cluster."""
APISERVER: Final = "system:apiserver"
ANONYMOUS: Final = "system:anonymous"
ACCOUNT_PREFIX: Final = "system:serviceaccount:"

Form = Literal["apiserver", "administrator", "anonymous", "node", "service-account", "person"]


@value
class User:
    """Somebody who asks: a name, and the groups that it belongs to."""

    name: str
    groups: tuple[str, ...] = ()

    @property
    def node(self) -> str:
        """The node whose kubelet this is, "" for all others. Source: pkg/auth/nodeidentifier/default.go."""
        known = self.name.startswith(NODE_PREFIX) and "system:nodes" in self.groups
        return self.name.removeprefix(NODE_PREFIX) if known else ""


@value
class Asked:
    """What somebody asks for: a verb on a resource, or on a `path` that is none.

    `resource`: the plural; `namespace`: "" for all and for resources that have none; `name`: "" where it is open.
    """

    user: User
    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def combined(self) -> str:
        """`pods`, or `pods/log`."""
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@value
class Named:
    """A user name, to be told by its form."""

    name: str


@value
class Acting:
    """An actor of the cluster."""

    actor: str


@law.fact
def account_form(case: Named) -> Form:
    """What kind of user the name belongs to."""
    known: dict[str, Form] = {APISERVER: "apiserver", ADMINISTRATOR: "administrator", ANONYMOUS: "anonymous"}
    if case.name in known:
        return known[case.name]
    if case.name.startswith(NODE_PREFIX):
        return "node"
    return "service-account" if account_key(case.name) is not None else "person"


@law.fact
def controller(case: Acting) -> str:
    """The name of the controller, which is that of its service account."""
    return case.actor


@law.fact
def acting(case: Acting) -> str:
    """The actor's name."""
    return case.actor


def account_key(name: str) -> tuple[str, str] | None:
    """(namespace, name) of the service account that a user name stands for; None where it stands for none.

    Source: staging/src/k8s.io/apiserver/pkg/authentication/serviceaccount/util.go: SplitUsername.
    """
    if not name.startswith(ACCOUNT_PREFIX):
        return None
    parts = name.removeprefix(ACCOUNT_PREFIX).split(":")
    return (parts[0], parts[1]) if len(parts) == 2 and all(parts) else None


@lru_cache(maxsize=4096)
def user_of(name: str, more: tuple[str, ...] = ()) -> User:
    """The user of that name, with the groups that such a name brings, and `more`. "": the server itself."""
    return _named_user(law.table("groups"), name or APISERVER, more)


@lru_cache(maxsize=8192)
def _named_user(groups: CompiledTable, name: str, more: tuple[str, ...]) -> User:
    key = account_key(name)
    rows = groups.collect(Named(name))
    own = [row.outputs["group"].format(namespace=key[0] if key is not None else "") for row in rows]
    return User(name, tuple(dict.fromkeys((*more, *own))))


def impersonated(name: str, groups: Iterable[str] = ()) -> User:
    """Whom a request with the headers Impersonate-User and Impersonate-Group acts as.

    Groups that are given take the place of those that a service account has; whoever is not anonymous is authenticated.
    Source: staging/src/k8s.io/apiserver/pkg/endpoints/filters/impersonation/impersonation.go.
    """
    given = tuple(dict.fromkeys(groups))
    if not given:
        own = user_of(name)
        return User(name, tuple(each for each in own.groups if each != "system:nodes" and each != MASTERS))
    last = "system:unauthenticated" if name == ANONYMOUS else "system:authenticated"
    return User(name, given if last in given else (*given, last))


def account_of(actor: str, node: str = "") -> str:
    """The user name with which an actor's requests appear in an audit log."""
    found: str = law.decide("accounts", Acting(actor)).outputs["account"]
    return found.format(actor=actor, node=node)


def is_component(actor: str) -> bool:
    """Whether a cluster has such an actor, and so a role for it."""
    decision = law.decide("accounts", Acting(actor))
    known = bool(law.collect("controller-roles", Acting(actor)))
    return known or decision.name != "controller"
