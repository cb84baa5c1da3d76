"""The cloud node lifecycle controller: Nodes whose machines are gone or shut down.

Source: staging/src/k8s.io/cloud-provider/controllers/nodelifecycle/node_lifecycle_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

from attrs import frozen

from k8sfsm.cloud.instances import Machine, machine_of
from k8sfsm.controllers.nodelifecycle.health import ready_of
from k8sfsm.law import Decision, Law, constant
from k8sfsm.node.registration import UNINITIALIZED
from k8sfsm.objects import Node, Taint, to_json
from k8sfsm.objects.durations import SECOND
from k8sfsm.request import Delete, Key, Patch, Plan, Record, Step, regardless
from k8sfsm.view import Change, View

law = Law("cloudnodelifecycle")

ROUND: Final[Key] = ("CloudNodeLifecycle", "", "round")
SHUTDOWN: Final = Taint(key="node.cloudprovider.kubernetes.io/shutdown", effect="NoSchedule")


@frozen
class Monitored:
    """A Node in a round."""

    view: View
    node: Node


@law.key
def nothing(change: Change, view: View) -> tuple[Key, ...]:
    """No key: rounds come at their time."""
    return ()


# -- facts ------------------------------------------------------------------------------------------------------------


@law.fact
def ready_status(case: Monitored) -> Literal["True", "False", "Unknown"]:
    """The status of its condition Ready; without one it is unknown."""
    ready = ready_of(case.node)
    return "Unknown" if ready is None else ready.status  # type: ignore[return-value]


@law.fact
def shutdown_tainted(case: Monitored) -> bool:
    """It has the taint of machines that are shut down."""
    return any(_is_shutdown(each) for each in case.node.spec.taints)


@law.fact
def newly_registered(case: Monitored) -> bool:
    """The cloud has not told of it, and it is not old."""
    node, delay = case.node, int(constant("cloud_uninitialized_delay")) * SECOND
    untold = not node.spec.provider_id and any(
        (each.key, each.effect) == (UNINITIALIZED.key, UNINITIALIZED.effect) for each in node.spec.taints
    )
    return untold and case.view.now - (node.metadata.creation_timestamp or 0) < delay


@law.fact
def machine_told(case: Monitored) -> Machine:
    """What the cloud says of the machine."""
    return machine_of(case.view, case.node)


def _is_shutdown(taint: Taint) -> bool:
    return (taint.key, taint.effect) == (SHUTDOWN.key, SHUTDOWN.effect)


# -- actions ----------------------------------------------------------------------------------------------------------


def _taints(node: Node, taints: Iterable[Taint]) -> Patch:
    """Source: staging/src/k8s.io/cloud-provider/node/helpers/taints.go: PatchNodeTaints."""
    body = {
        "metadata": {"resourceVersion": node.metadata.resource_version},
        "spec": {"taints": [to_json(each) for each in taints] or None},
    }
    return Patch(key=("Node", "", node.metadata.name), body=body)


@law.action
def untaint_shutdown(case: Monitored, decision: Decision) -> Iterable[Step]:
    """Take the taint off."""
    yield _taints(case.node, [each for each in case.node.spec.taints if not _is_shutdown(each)])


@law.action
def taint_shutdown(case: Monitored, decision: Decision) -> Iterable[Step]:
    """Put the taint on."""
    yield _taints(case.node, (*case.node.spec.taints, SHUTDOWN))


@law.action
def announce_deleting(case: Monitored, decision: Decision) -> Iterable[Step]:
    """Tell why the Node is deleted."""
    text = f"Deleting node {case.node.metadata.name} because it does not exist in the cloud provider"
    yield Record(regarding=case.node, type="Normal", reason="DeletingNode", message=text)


@law.action
def delete_node(case: Monitored, decision: Decision) -> Iterable[Step]:
    """Delete the Node."""
    yield Delete(key=("Node", "", case.node.metadata.name))


# -- the controller ---------------------------------------------------------------------------------------------------


class CloudNodeLifecycleController:
    """Looks at all Nodes, round after round."""

    name = "cloud-node-lifecycle-controller"
    law = law
    first_keys: tuple[Key, ...] = (ROUND,)

    def reconcile(self, view: View, key: Key) -> Plan:
        """A round, and when the next one comes; what fails is tried again then."""
        period = int(constant("node_monitor_period")) * SECOND
        plan = Plan(requeue_after=period, periodic=True)
        for node in reversed(view.list("Node")):
            case = Monitored(view, node)
            steps = law.perform(law.decide("monitor", case), case)
            if steps:
                plan = regardless(steps, plan)
        return plan
