"""The ServiceAccount controller: every active namespace has an account `default`.

Source: pkg/controller/serviceaccount/serviceaccounts_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from k8sfsm.law import Decision, Law
from k8sfsm.objects import Namespace, ObjectMeta, ServiceAccount
from k8sfsm.request import Create, Key, Plan, Step
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("serviceaccount")

DEFAULT: Final = "default"


@value
class Sync:
    """One look at a namespace (None: it is gone) and at its default account."""

    namespace: Namespace | None
    account: ServiceAccount | None


@law.key
def own_namespace(change: Change, view: View) -> Iterable[Key]:
    """The namespace that the account is in."""
    return (("Namespace", "", change.key[1]),)


@law.fact
def namespace_active(sync: Sync) -> bool:
    """Whether the namespace exists and its phase is Active."""
    return sync.namespace is not None and sync.namespace.status.phase == "Active"


@law.fact
def default_exists(sync: Sync) -> bool:
    """Whether the account is there."""
    return sync.account is not None


@law.action
def create_default(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Create the account `default`."""
    assert sync.namespace is not None
    yield Create(object=ServiceAccount(metadata=ObjectMeta(name=DEFAULT, namespace=sync.namespace.metadata.name)))


class ServiceAccountController:
    """Reconciles namespaces."""

    name = "service-account-controller"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Create the default account where it is missing."""
        _, _, namespace = key
        sync = Sync(view.get("Namespace", "", namespace), view.get("ServiceAccount", namespace, DEFAULT))
        decision = law.decide("ensure", sync)
        return Plan(steps=law.perform(decision, sync))
