"""The token controller: fills Secrets that ask for the token of a service account, and removes those of accounts gone.

Source: pkg/controller/serviceaccount/tokens_controller.go.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any, Final, Literal

from k8sfsm.apiserver.tokens import law, legacy_token
from k8sfsm.controllers.rootca import BUNDLE
from k8sfsm.law import Decision
from k8sfsm.objects import ServiceAccount, evolve, key_of
from k8sfsm.request import Delete, Key, Plan, Step, Update
from k8sfsm.value import value
from k8sfsm.view import Change, View

TYPE: Final = "kubernetes.io/service-account-token"
NAME: Final = "kubernetes.io/service-account.name"
UID: Final = "kubernetes.io/service-account.uid"


@value
class Sync:
    """One look at a Secret (None: it is gone) and at the account that it names."""

    secret: Any
    account: ServiceAccount | None


@law.key
def its_secrets(change: Change, view: View) -> Iterable[Key]:
    """The Secrets that name the account."""
    _, namespace, name = change.key
    found = view.list("Secret", namespace)
    return [key_of(each) for each in found if each.metadata.annotations.get(NAME) == name and _is_token(each)]


def _is_token(secret: Any) -> bool:
    return bool(secret.extra.get("type") == TYPE)


@law.fact
def secret_state(sync: Sync) -> Literal["gone", "other", "token"]:
    """Whether the Secret is there, and whether it is to hold a token."""
    if sync.secret is None:
        return "gone"
    return "token" if _is_token(sync.secret) else "other"


@law.fact
def account_of_secret(sync: Sync) -> Literal["missing", "another", "there"]:
    """The account that the Secret names: not there, another one of that name, or there."""
    if sync.account is None:
        return "missing"
    uid = sync.secret.metadata.annotations.get(UID)
    return "another" if uid and uid != sync.account.metadata.uid else "there"


@law.fact
def token_complete(sync: Sync) -> bool:
    """Whether the Secret has token, namespace and CA, and the uid of its account."""
    data = sync.secret.extra.get("data")
    whole = isinstance(data, dict) and all(data.get(name) for name in ("token", "namespace", "ca.crt"))
    return whole and bool(sync.secret.metadata.annotations.get(UID))


@law.action
def delete_secret(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Delete the Secret, in the state in which it was seen."""
    meta = sync.secret.metadata
    yield Delete(key=key_of(sync.secret), uid=meta.uid, resource_version=meta.resource_version)


@law.action
def fill_secret(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Write token, namespace and CA into the Secret, and the account's uid beside its name."""
    assert sync.account is not None
    secret = sync.secret
    texts = {
        "ca.crt": BUNDLE,
        "namespace": secret.metadata.namespace,
        "token": legacy_token(sync.account, secret),
    }
    data = secret.extra.get("data")
    known = {name: text for name, text in data.items() if text} if isinstance(data, dict) else {}
    made = {name: base64.b64encode(text.encode()).decode() for name, text in texts.items()}
    annotations = {**secret.metadata.annotations, UID: sync.account.metadata.uid}
    meta = evolve(secret.metadata, annotations=annotations)
    yield Update(object=evolve(secret, metadata=meta, extra={**secret.extra, "data": {**made, **known}}))


class TokenController:
    """Reconciles Secrets of service accounts."""

    name = "serviceaccount-token-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Fill or remove a Secret."""
        secret = view.get(*key)
        name = secret.metadata.annotations.get(NAME, "") if secret is not None else ""
        sync = Sync(secret, view.get("ServiceAccount", key[1], name))
        return Plan(steps=law.perform(law.decide("secret", sync), sync))
