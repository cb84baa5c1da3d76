"""POST pods/binding: a pod gets its node.

Source: pkg/registry/core/pod/storage/storage.go: BindingREST.setPodNodeAndMetadata;
plugin/pkg/admission/podtopologylabels.
"""

from __future__ import annotations

from typing import Any, Final

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.deletion import law
from k8sfsm.objects import Node, Pod, PodCondition, evolve
from k8sfsm.value import value

TOPOLOGY_LABELS: Final = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


@value
class BindCase:
    """A pod that is to be bound."""

    object: Pod


@law.fact
def gated(case: BindCase) -> bool:
    """Whether the pod still has scheduling gates."""
    return bool(case.object.spec.scheduling_gates)


def bound(pod: Pod, node_name: str, node: Node | None, second: int) -> Pod:
    """The pod on its node: nodeName, condition PodScheduled, the node's topology labels.

    Raises Refusal (409) where it may not be bound.
    """
    refusal = law.decide("bind", BindCase(pod)).outputs["refusal"]
    if refusal:
        name = pod.metadata.name
        text = refusal.format(name=name, node=pod.spec.node_name)
        raise Refusal(409, "Conflict", f'Operation cannot be fulfilled on pods/binding "{name}": {text}')
    others = tuple(condition for condition in pod.status.conditions if condition.type != "PodScheduled")
    was = next((condition for condition in pod.status.conditions if condition.type == "PodScheduled"), None)
    since = was.last_transition_time if was is not None and was.status == "True" else second
    scheduled = PodCondition(type="PodScheduled", status="True", last_transition_time=since)
    status = evolve(pod.status, conditions=(*others, scheduled), nominated_node_name="")
    labels = topology_labels(node)
    metadata = evolve(pod.metadata, labels={**pod.metadata.labels, **labels}) if labels else pod.metadata
    return evolve(pod, metadata=metadata, spec=evolve(pod.spec, node_name=node_name), status=status)


def topology_labels(node: Any) -> dict[str, str]:
    """The labels that a pod takes over from its node."""
    if node is None:
        return {}
    return {name: node.metadata.labels[name] for name in TOPOLOGY_LABELS if name in node.metadata.labels}
