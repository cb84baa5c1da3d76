"""POST pods/binding: a pod gets its node.

Source: pkg/registry/core/pod/storage/storage.go: BindingREST.setPodNodeAndMetadata;
plugin/pkg/admission/podtopologylabels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from k8sfsm.apiserver.answer import Refusal
from k8sfsm.apiserver.deletion import law
from k8sfsm.apiserver.memo import Memo
from k8sfsm.objects import Node, Pod, PodCondition, PodStatus, changer_of, evolve
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


def bound(pod: Pod, node_name: str, node: Node | None, second: int, version: str) -> Pod:
    """The pod on its node: nodeName, condition PodScheduled, the node's topology labels.

    `version`: the resourceVersion that it will get. Raises Refusal (409) where it may not be bound.
    """
    refusal = law.decide("bind", BindCase(pod)).outputs["refusal"]
    if refusal:
        name = pod.metadata.name
        text = refusal.format(name=name, node=pod.spec.node_name)
        raise Refusal(409, "Conflict", f'Operation cannot be fulfilled on pods/binding "{name}": {text}')
    return _placed(pod, _labels(pod.metadata.labels, node), version, node_name, _scheduled(pod.status, second))


_placed: Final = changer_of(Pod, "metadata.labels", "metadata.resource_version", "spec.node_name", "status")


_STATUSES: Final = Memo()
"""Statuses of bound pods by second: those that are one object before are one afterwards."""
_SECONDS: Final = 64
_LABELS: Final = Memo()
"""Labels of bound pods by what their nodes add: thousands of nodes are in a few zones."""


def _scheduled(status: PodStatus, second: int) -> PodStatus:
    """The status with the condition PodScheduled."""
    known: dict[int, PodStatus] | None = _STATUSES.get((status,))
    if known is None or len(known) >= _SECONDS:
        known = {}
        _STATUSES.put((status,), known)
    if second not in known:
        others = tuple(condition for condition in status.conditions if condition.type != "PodScheduled")
        was = next((condition for condition in status.conditions if condition.type == "PodScheduled"), None)
        since = was.last_transition_time if was is not None and was.status == "True" else second
        scheduled = PodCondition(type="PodScheduled", status="True", last_transition_time=since)
        known[second] = evolve(status, conditions=(*others, scheduled), nominated_node_name="")
    return known[second]


def _labels(labels: Mapping[str, str], node: Node | None) -> Mapping[str, str]:
    """The pod's labels with those that it takes over from its node."""
    if node is None:
        return labels
    known: dict[tuple[str | None, ...], Mapping[str, str]] | None = _LABELS.get((labels,))
    if known is None:
        known = {}
        _LABELS.put((labels,), known)
    place = tuple(map(node.metadata.labels.get, TOPOLOGY_LABELS))
    found = known.get(place)
    if found is None:
        added = topology_labels(node)
        found = known[place] = {**labels, **added} if added else labels
    return found


def topology_labels(node: Any) -> dict[str, str]:
    """The labels that a pod takes over from its node."""
    if node is None:
        return {}
    return {name: node.metadata.labels[name] for name in TOPOLOGY_LABELS if name in node.metadata.labels}
