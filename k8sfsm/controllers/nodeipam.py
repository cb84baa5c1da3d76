"""The node IPAM controller: a network for the Pods of every node.

Source: pkg/controller/nodeipam/ipam/range_allocator.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network
from itertools import chain
from typing import Final

from attrs import frozen

from k8sfsm.law import Decision, Law, constant
from k8sfsm.objects import Node
from k8sfsm.request import Key, Patch, Plan, Record, Step
from k8sfsm.view import View

law = Law("nodeipam")

CLUSTER: Final = IPv4Network("10.244.0.0/14")
"""The default range of the Pods' addresses of a cluster."""


@frozen
class Sync:
    """One look at a Node (None: it is gone); `free`: the lowest network that no Node has, None: there is none."""

    node: Node | None
    free: str | None


@law.fact
def node_found(case: Sync) -> bool:
    """The Node is there."""
    return case.node is not None


@law.fact
def network_given(case: Sync) -> bool:
    """It has a network."""
    return case.node is not None and bool(case.node.spec.pod_cidrs)


@law.fact
def network_free(case: Sync) -> bool:
    """There is a network that no Node has."""
    return case.free is not None


@law.action
def give_network(case: Sync, decision: Decision) -> Iterable[Step]:
    """Write podCIDR and podCIDRs."""
    assert case.node is not None
    body = {"spec": {"podCIDR": case.free, "podCIDRs": [case.free]}}
    yield Patch(key=("Node", "", case.node.metadata.name), body=body, type="strategic")


@law.action
def announce_exhausted(case: Sync, decision: Decision) -> Iterable[Step]:
    """Tell that there is none. Source: pkg/controller/util/node/controller_utils.go: RecordNodeStatusChange."""
    assert case.node is not None
    text = f"Node {case.node.metadata.name} status is now: CIDRNotAvailable"
    yield Record(regarding=case.node, type="Normal", reason="CIDRNotAvailable", message=text)


class NodeIPAMController:
    """Gives parts of `networks`, as large as the constant node_network_bits says."""

    name = "node-ipam-controller"
    law = law

    def __init__(self, networks: IPv4Network = CLUSTER) -> None:
        self.networks = networks

    def reconcile(self, view: View, key: Key) -> Plan:
        """One Node. The API server itself is asked which networks are taken, as the controller's own bit map knows."""
        nodes: Iterable[Node] = view.store.snapshot.series("in", "Node", "") if view.store else view.list("Node")
        taken = frozenset(chain.from_iterable(node.spec.pod_cidrs for node in nodes))
        free = (str(each) for each in self.networks.subnets(new_prefix=int(constant("node_network_bits"))))
        case = Sync(view.get(*key), next((each for each in free if each not in taken), None))
        decision = law.decide("network", case)
        error = "no networks are left" if decision.outputs["again"] else ""
        return Plan(steps=law.perform(decision, case), error=error)
