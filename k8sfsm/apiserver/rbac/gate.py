"""The first door of the write path: who sends a request, and may he?

What a component of the cluster does a million times is judged once: its role is the same whatever the object's name and
namespace. Source: staging/src/k8s.io/apiserver/pkg/endpoints/filters/authorization.go: WithAuthorization.
"""

from __future__ import annotations

from typing import Any, Final, Literal, cast

from k8sfsm.apiserver.answer import Sender
from k8sfsm.apiserver.custom.definitions import CRD, resource_of
from k8sfsm.apiserver.rbac.authorizer import Verdict, forbidden, judge
from k8sfsm.apiserver.rbac.escalation import GUARDED, Granting, refuse_escalation
from k8sfsm.apiserver.rbac.node import LEASES, is_general, is_nameless
from k8sfsm.apiserver.rbac.policy import policy_of
from k8sfsm.apiserver.rbac.restriction import Kept, refuse_restricted
from k8sfsm.apiserver.rbac.users import Asked, User, law, user_of
from k8sfsm.objects import Pod, key_of
from k8sfsm.request import Create, Delete, DeleteCollection, Patch, PatchStatus, Update, Write
from k8sfsm.store import Snapshot, Store
from k8sfsm.value import value

Form = Literal["Create", "Update", "Patch", "PatchStatus", "Delete", "DeleteCollection", "Bind", "Evict"]
_PEOPLE: Final = "user"


@value
class Sent:
    """A request, by its form."""

    write: Any


@law.fact
def request_form(case: Sent) -> Form:
    """The class of the request."""
    return cast(Form, type(case.write).__name__)


@law.fact
def asks_for_nothing(case: Sent) -> bool:
    """It is a patch without content: it only reads."""
    return isinstance(case.write, Patch) and case.write.body == {}


class Gate:
    """Judges senders. `people`: whether those outside of the cluster need a role too."""

    def __init__(self, people: bool = False) -> None:
        self.people = people
        self._open: set[tuple[Any, ...]] = set()

    def knows(self, sender: Sender, write: Write) -> bool:
        """Whether the same was judged before, and will always be answered yes.

        The server itself (no account) is let in, and so are people where they are not judged.
        """
        if not sender.account or sender.trusted or (sender.actor == _PEOPLE and not self.people):
            return True
        return _form_of(sender, write) in self._open

    def pass_by(self, sender: Sender, write: Write, store: Store) -> None:
        """Let a request in. Raises Refusal (403) where its sender has no right to it.

        Costs a look-up for what the components of the cluster do all the time.
        """
        if self.knows(sender, write):
            return
        user = user_of(sender.account, sender.groups)
        asked = asked_by(user, write, store.snapshot)
        verdict = judge(policy_of(store.snapshot, asked.namespace), asked, store.snapshot)
        if not verdict.allowed:
            raise forbidden(asked, verdict.reason)
        if sender.actor != _PEOPLE and _always(verdict, asked, isinstance(sender.role, tuple)):
            self._open.add(_form_of(sender, write))

    def is_open(self, sender: Sender, write: Write, old: Any) -> bool:
        """Whether a request is let in, and nobody looks at the object of which it changes a part."""
        role, node = sender.role, sender.node
        if write.__class__ is PatchStatus and node and role.__class__ is tuple and old.__class__ is Pod:
            # What kubelets report: `_on_own_node`, `knows` and `_form_of`, written out
            kind, namespace, name = write.key
            form = role, PatchStatus, kind, "", False, namespace == "", namespace == LEASES, name == "", name == node
            if form in self._open and old.spec.node_name == node:
                return True
        own = _on_own_node(sender, write, old) if sender.node else old.kind not in GUARDED
        return own and self.knows(sender, write)

    def look_at(self, sender: Sender, write: Write, old: Any, new: Any, snapshot: Snapshot) -> None:
        """Look at the objects of a write: a kubelet's own, and rights that are granted. Raises Refusal (403, 404)."""
        granting = new is not None and new.kind in GUARDED
        if not (granting or sender.node) or not sender.account or sender.trusted:
            return
        if sender.node and not _on_own_node(sender, write, old):
            asked = asked_by(user_of(sender.account, sender.groups), write, snapshot)
            refuse_restricted(Kept(asked, old, new, snapshot))
        if granting and (self.people or sender.actor != _PEOPLE):
            user = user_of(sender.account, sender.groups)
            refuse_escalation(Granting(user, old, new, policy_of(snapshot, new.metadata.namespace), snapshot))


_WHOLE: Final = frozenset((Create, Update))
_PARTS: Final = frozenset((Update, Patch))


def _form_of(sender: Sender, write: Any) -> tuple[Any, ...]:
    """What requests have in common that are judged alike, whatever the object's name and namespace.

    To kubelets all that the Node authorizer looks at of names belongs to it, where it does not ask which pods are on a
    node: so their requests are judged alike for all nodes.
    """
    form, role = write.__class__, sender.role
    kind, namespace, name = write.key if form is PatchStatus else _target(write)
    part = write.subresource if form in _PARTS else ""
    reads = form is Patch and write.body == {}
    if role.__class__ is str:
        return role, form, kind, part, reads
    return role, form, kind, part, reads, namespace == "", namespace == LEASES, name == "", name == sender.node


def _always(verdict: Verdict, asked: Asked, of_kubelet: bool) -> bool:
    """Whether the answer is the same for all requests of a form, and for ever.

    So it is where a bootstrap role says it, which the server makes anew, or a row of the Node authorizer: to a kubelet,
    all of whose forms are told by what such rows look at; to others, one without a look at names. A role is not given
    to all kubelets.
    """
    grant, rule = verdict.grant, verdict.rule
    if grant is None or rule is None:
        by_node = verdict.by == "Node" and (is_general(asked) if of_kubelet else is_nameless(asked))
        return by_node or (verdict.by == "system:masters" and not of_kubelet)
    bootstrapped = not of_kubelet and not grant.binding.metadata.resource_version
    return bootstrapped and not rule.resource_names and not grant.binding.metadata.namespace


_REPORTS: Final = frozenset((PatchStatus, Delete))


def _on_own_node(sender: Sender, write: Write, old: Any) -> bool:
    """Whether a kubelet reports on a Pod of its node, or removes it: what it does most, and is never refused."""
    return write.__class__ in _REPORTS and old.__class__ is Pod and bool(old.spec.node_name == sender.node)


def asked_by(user: User, write: Write, snapshot: Snapshot) -> Asked:
    """What a request asks for, as authorizers see it. A new object's name is not looked at."""
    row = law.decide("verbs", Sent(write)).outputs
    subresource = row["subresource"]
    if subresource == "given":
        subresource = getattr(write, "subresource", "")
    kind, namespace, name = _target(write)
    group, resource = resource_of(kind, snapshot.series("in", CRD, ""))
    return Asked(user, row["verb"], group, resource, subresource, namespace, name)


def _target(write: Any) -> tuple[str, str, str]:
    form = write.__class__
    if form in _WHOLE:
        kind, namespace, name = key_of(write.object)
        return kind, namespace, "" if form is Create else name
    if form is DeleteCollection:
        return write.kind, write.namespace, ""
    key: tuple[str, str, str] = write.key
    return key
