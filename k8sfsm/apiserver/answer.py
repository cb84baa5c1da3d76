"""Who asks the API server, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import field

from k8sfsm.machine import Move
from k8sfsm.objects import KINDS
from k8sfsm.request import Outcome
from k8sfsm.store import Change, Store
from k8sfsm.value import value

NODE_PREFIX: Final = "system:node:"
"""How the user names of kubelets begin."""
NO_ASIDES: Final[Mapping[int, str]] = MappingProxyType({})


@value
class Sender:
    """Who sends a request. `actor`: the name that transitions list; `account`: the user name; `node`: of a kubelet.

    `groups`: those beside the ones that the user name brings. `trusted`: needs no role. `manager`: the name under which
    the fields that it writes are noted, "" for the actor's usual one.
    """

    actor: str
    account: str = ""
    node: str = ""
    groups: tuple[str, ...] = ()
    trusted: bool = False
    manager: str = ""
    role: str | tuple[str, ...] = field(init=False, eq=False, repr=False)
    """What senders have in common who are judged alike: the account; of kubelets on their nodes, the groups."""

    @role.default
    def _role(self) -> str | tuple[str, ...]:
        return self.groups if self.node and self.account == NODE_PREFIX + self.node else self.account


@value
class Answer:
    """The store after a request, what the sender is told, what changed, and the transitions that were taken.

    `asides`: the revisions at which the server wrote something of its own on the way, each with the rule for it.
    """

    store: Store
    outcome: Outcome
    changes: tuple[Change, ...] = ()
    moves: tuple[Move, ...] = ()
    asides: Mapping[int, str] = NO_ASIDES


class Refusal(Exception):
    """A request that the API server refuses: HTTP `code`, machine-readable `reason`, text for people."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message


def not_found(plural: str, name: str) -> Refusal:
    """404."""
    return Refusal(404, "NotFound", f'{plural} "{name}" not found')


def conflict(plural: str, name: str, why: str = "") -> Refusal:
    """409 on a write whose preconditions do not hold.

    Source: staging/src/k8s.io/apiserver/pkg/registry/generic/registry/store.go: OptimisticLockErrorMsg.
    """
    text = why or ("the object has been modified; please apply your changes to the latest version and try again")
    return Refusal(409, "Conflict", f'Operation cannot be fulfilled on {plural} "{name}": {text}')


def plural(kind: str) -> str:
    """The kind's resource in error texts: `pods`, `deployments.apps`."""
    known = KINDS.get(kind)
    if known is None:
        return kind.lower()
    return f"{known.resource}.{known.group}" if known.group else known.resource
