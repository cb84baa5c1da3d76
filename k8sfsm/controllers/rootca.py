"""The root CA publisher: every namespace has the certificates by which pods know the API server.

Source: pkg/controller/certificates/rootcacertpublisher/publisher.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

from k8sfsm.law import Decision, Law
from k8sfsm.objects import Namespace, ObjectMeta, Unmodelled, evolve
from k8sfsm.request import Create, Key, Plan, Step, Update
from k8sfsm.value import value
from k8sfsm.view import Change, View

law = Law("rootca")

NAME: Final = "kube-root-ca.crt"
BUNDLE: Final = "-----BEGIN CERTIFICATE-----\na3ViZXJuZXRlcy1jYQ==\n-----END CERTIFICATE-----\n"
"""The cluster's own CA. Nothing is signed here, so that it is a name more than a certificate."""
_ABOUT: Final = {
    "kubernetes.io/description": "Contains a CA bundle that can be used to verify the kube-apiserver when using "
    "internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across "
    "distributions of Kubernetes clusters."
}


@value
class Sync:
    """One look at a namespace (None: it is gone) and at its ConfigMap."""

    namespace: Namespace | None
    bundle: Any


@law.key
def namespace_of_bundle(change: Change, view: View) -> Iterable[Key]:
    """The namespace of a ConfigMap of that name."""
    return (("Namespace", "", change.key[1]),) if change.key[2] == NAME else ()


@law.fact
def namespace_open(sync: Sync) -> bool:
    """Whether the namespace exists and its phase is Active."""
    return sync.namespace is not None and sync.namespace.status.phase == "Active"


@law.fact
def bundle(sync: Sync) -> Literal["missing", "changed", "published"]:
    """Whether the ConfigMap is there, with the right data and description."""
    if sync.bundle is None:
        return "missing"
    right = sync.bundle.extra.get("data") == {"ca.crt": BUNDLE}
    return "published" if right and _ABOUT.items() <= sync.bundle.metadata.annotations.items() else "changed"


def bundle_of(namespace: str) -> Unmodelled:
    """The ConfigMap of a namespace."""
    meta = ObjectMeta(name=NAME, namespace=namespace, annotations=_ABOUT)
    return Unmodelled(api_version="v1", kind="ConfigMap", metadata=meta, extra={"data": {"ca.crt": BUNDLE}})


@law.action
def create_bundle(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Create the ConfigMap."""
    assert sync.namespace is not None
    yield Create(object=bundle_of(sync.namespace.metadata.name))


@law.action
def restore_bundle(sync: Sync, decision: Decision) -> Iterable[Step]:
    """Write the data and the description anew."""
    annotations = {**sync.bundle.metadata.annotations, **_ABOUT}
    right = evolve(sync.bundle, extra={**sync.bundle.extra, "data": {"ca.crt": BUNDLE}})
    yield Update(object=evolve(right, metadata=evolve(right.metadata, annotations=annotations)))


class RootCAPublisher:
    """Reconciles namespaces."""

    name = "root-ca-cert-publisher"
    law = law

    def reconcile(self, view: View, key: Key) -> Plan:
        """Create or restore the ConfigMap of a namespace."""
        _, _, namespace = key
        sync = Sync(view.get("Namespace", "", namespace), view.get("ConfigMap", namespace, NAME))
        return Plan(steps=law.perform(law.decide("publish", sync), sync))
