"""The cloud node controller: tells Nodes what the cloud knows of their machines.

Source: staging/src/k8s.io/cloud-provider/controllers/node/node_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from attrs import frozen

from k8sfsm.cloud.instances import instance_of, machine_of
from k8sfsm.cloud.state import Instance
from k8sfsm.law import Decision, Law, constant
from k8sfsm.node.registration import UNINITIALIZED
from k8sfsm.objects import Node, NodeAddress, evolve, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Key, Patch, Plan, Record, Step, Update
from k8sfsm.view import Change, View

law = Law("cloudnode")

ROUND: Final[Key] = ("CloudNode", "", "round")
OLD_LABELS: Final = (
    ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"),
    ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"),
    ("beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"),
)
"""Old and new names of the labels that the cloud gives."""


@frozen
class Sync:
    """One look at a Node; None: it is gone."""

    view: View
    node: Node | None

    @property
    def instance(self) -> Instance | None:
        """Its machine."""
        return None if self.node is None else instance_of(self.view, self.node)

    @property
    def addresses(self) -> tuple[NodeAddress, ...]:
        """The addresses that the cloud knows; the host name that the kubelet gave stays."""
        if self.instance is None or self.node is None:
            return ()
        told = self.instance.addresses
        own = tuple(each for each in self.node.status.addresses if each.type == "Hostname")
        return told if any(each.type == "Hostname" for each in told) or not told else (*told, *own)


@frozen
class LabelPair:
    """An old label of a Node and the new one that means the same; None: it has none."""

    old: str | None
    new: str | None


@law.key
def node_there(change: Change, view: View) -> tuple[Key, ...]:
    """A Node that was added or has changed."""
    return () if change.type == "DELETED" else (change.key,)


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def node_found(case: Sync) -> bool:
    """The Node is there."""
    return case.node is not None


@law.fact
def awaits_cloud(case: Sync) -> bool:
    """It has the taint of Nodes that the cloud has not told of."""
    return case.node is not None and any(each.key == UNINITIALIZED.key for each in case.node.spec.taints)


@law.fact
def instance_told(case: Sync) -> Literal["unreachable", "missing", "known"]:
    """What the cloud says of the machine."""
    found = "missing" if case.node is None else machine_of(case.view, case.node)
    return found if found == "unreachable" or found == "missing" else "known"


@law.fact
def addresses_known(case: Sync) -> bool:
    """The cloud knows addresses of it."""
    return bool(case.addresses)


@law.fact
def addresses_changed(case: Sync) -> bool:
    """They are others than the Node's."""
    return case.node is not None and case.addresses != case.node.status.addresses


@law.fact
def old_label_given(case: LabelPair) -> bool:
    """The Node has the old label."""
    return case.old is not None


@law.fact
def labels_agree(case: LabelPair) -> bool:
    """The new label has the same value."""
    return case.new == case.old


# -- actions ----------------------------------------------------------------------------------------------------------


@law.action
def copy_old_labels(case: Sync, decision: Decision) -> Iterable[Step]:
    """Write the new labels where they differ from the old ones."""
    assert case.node is not None
    labels = case.node.metadata.labels
    pairs = [(new, LabelPair(labels.get(old), labels.get(new))) for old, new in OLD_LABELS]
    copied = {new: pair.old for new, pair in pairs if law.decide("old-label", pair).outputs["copied"]}
    if copied:
        yield Patch(key=("Node", "", case.node.metadata.name), body={"metadata": {"labels": copied}}, type="strategic")


@law.action
def initialise_node(case: Sync, decision: Decision) -> Iterable[Step]:
    """Set providerID and labels, take the taint off, then write the addresses."""
    node, instance = case.node, case.instance
    assert node is not None and instance is not None
    told = (instance.zone, instance.region, instance.type)
    labels = {name: value for names, value in zip(OLD_LABELS, told, strict=True) if value for name in names}
    spec = evolve(
        node.spec,
        provider_id=node.spec.provider_id or instance.provider_id,
        taints=tuple(each for each in node.spec.taints if each.key != UNINITIALIZED.key),
    )
    metadata = evolve(node.metadata, labels={**node.metadata.labels, **labels})
    yield Update(object=evolve(node, metadata=metadata, spec=spec))
    if addresses_known(case) and addresses_changed(case):
        yield from write_addresses(case, decision)


@law.action
def write_addresses(case: Sync, decision: Decision) -> Iterable[Step]:
    """Write the addresses that the cloud knows."""
    assert case.node is not None
    body = {"status": {"addresses": [to_json(each) for each in case.addresses]}}
    yield Patch(key=("Node", "", case.node.metadata.name), body=body, subresource="status")


@law.action
def announce_synced(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that the cloud has told."""
    assert case.node is not None
    yield Record(regarding=case.node, type="Normal", reason="Synced", message="Node synced successfully")


# -- the controller ---------------------------------------------------------------------------------------------------


class CloudNodeController:
    """Initialises Nodes, and goes through all of them every few minutes."""

    name = "cloud-node-controller"
    law = law
    first_keys: tuple[Key, ...] = (ROUND,)

    def reconcile(self, view: View, key: Key) -> Plan:
        """One Node, or a round."""
        if key == ROUND:
            return _round(view)
        case = Sync(view, view.get(*key))
        decision = law.decide("initialise", case)
        if decision.outputs["again"]:
            return Plan(error=f"failed to get instance metadata for node {key[2]}: {instance_told(case)}")
        return Plan(steps=law.perform(decision, case))


def _round(view: View) -> Plan:
    period = int(constant("cloud_node_status_period")) * SECOND
    cases = [Sync(view, node) for node in view.list("Node")]
    steps = [step for case in cases for step in law.perform(law.decide("refresh", case), case)]
    return Plan(steps=tuple(steps), then=lambda _: Plan(requeue_after=period, periodic=True))
