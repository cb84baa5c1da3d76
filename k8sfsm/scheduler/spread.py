"""Topology spread: how evenly the pods that a selector matches lie over the domains of a node label.

Source: pkg/scheduler/framework/plugins/podtopologyspread/common.go, filtering.go, scoring.go, plugin.go.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from attrs import frozen

from k8sfsm.objects import LabelSelector, Node, Pod, Service, Unmodelled, controller_of, part_from_json
from k8sfsm.scheduler.cluster import Cluster, NodeInfo
from k8sfsm.scheduler.node_selector import match_required
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.selectors import Selector
from k8sfsm.scheduler.tolerations import first_untolerated
from k8sfsm.view import View

HOSTNAME: Final = "kubernetes.io/hostname"
ZONE: Final = "topology.kubernetes.io/zone"
_REPLICATION_CONTROLLER: Final = ("v1", "ReplicationController")
_ASKED: Final = (_REPLICATION_CONTROLLER, ("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"))
Verdict: TypeAlias = Literal["even", "label-missing", "skewed"]


@frozen(kw_only=True)
class Constraint:
    """One constraint with its defaults filled in."""

    topology_key: str
    max_skew: int
    selector: Selector
    min_domains: int = 1
    affinity_policy: str = "Honor"
    taints_policy: str = "Ignore"


@frozen
class Inclusion:
    """A node that may count for a constraint: the case of the table `spread-inclusion`."""

    constraint: Constraint
    pod: Pod
    node: Node


@law.fact
def affinity_policy(inclusion: Inclusion) -> str:
    """The constraint's nodeAffinityPolicy."""
    return inclusion.constraint.affinity_policy


@law.fact
def taints_policy(inclusion: Inclusion) -> str:
    """The constraint's nodeTaintsPolicy."""
    return inclusion.constraint.taints_policy


@law.fact
def affinity_allows(inclusion: Inclusion) -> bool:
    """The node has what the pod's nodeSelector and required node affinity ask for."""
    spec = inclusion.pod.spec
    return match_required(spec.node_selector, spec.affinity, inclusion.node).matches


@law.fact
def taints_allow(inclusion: Inclusion) -> bool:
    """The pod tolerates the node's NoSchedule and NoExecute taints."""
    return first_untolerated(inclusion.node.spec.taints, inclusion.pod.spec.tolerations) is None


def counts(constraint: Constraint, pod: Pod, node: Node) -> bool:
    """Do the pods of this node count for the constraint (common.go: matchNodeInclusionPolicies)?"""
    return bool(law.decide("spread-inclusion", Inclusion(constraint, pod, node)).outputs["counted"])


def own_constraints(pod: Pod, action: str) -> tuple[Constraint, ...]:
    """The pod's constraints with whenUnsatisfiable `action` (common.go: filterTopologySpreadConstraints)."""
    labels = pod.metadata.labels
    found = []
    for each in pod.spec.topology_spread_constraints:
        if each.when_unsatisfiable != action:
            continue
        also = Selector.of_labels({key: labels[key] for key in each.match_label_keys if key in labels})
        found.append(
            Constraint(
                topology_key=each.topology_key,
                max_skew=each.max_skew,
                selector=Selector.of(each.label_selector).plus(also),
                min_domains=1 if each.min_domains is None else each.min_domains,
                affinity_policy=each.node_affinity_policy or "Honor",
                taints_policy=each.node_taints_policy or "Ignore",
            )
        )
    return tuple(found)


def _selects(service: Service, pod: Pod) -> bool:
    return bool(service.spec.selector) and Selector.of_labels(service.spec.selector).matches(pod.metadata.labels)


def controller_selector(controller: Any) -> Selector | None:
    """What a controller's selector asks for; None for a kind of controller that is not asked.

    A controller without a selector adds nothing (it does not select nothing here).
    """
    kind = (controller.api_version, controller.kind)
    if kind not in _ASKED:
        return None
    if isinstance(controller, Unmodelled):
        document = controller.extra.get("spec", {}).get("selector")
        given = document if kind == _REPLICATION_CONTROLLER else part_from_json(LabelSelector, document or {})
    else:
        given = controller.spec.selector
    return Selector.of(given) if isinstance(given, LabelSelector) else Selector.of_labels(given or {})


def default_selector(view: View, pod: Pod) -> Selector:
    """What selects the pod's like: its Services' selectors and that of its controller.

    Source: pkg/scheduler/framework/plugins/helper/spread.go: DefaultSelector.
    """
    labels: dict[str, str] = {}
    for service in view.list("Service", pod.metadata.namespace):
        if _selects(service, pod):
            labels.update(service.spec.selector)
    selector = Selector.of_labels(labels)
    owner = controller_of(pod)
    found = None if owner is None else view.get(owner.kind, pod.metadata.namespace, owner.name)
    if owner is None or found is None or found.api_version != owner.api_version:
        return selector
    own = controller_selector(found)
    return selector if own is None else selector.plus(own)


def default_constraints(view: View, pod: Pod) -> tuple[Constraint, ...]:
    """The system's own constraints, for pods that have none; () where nothing selects the pod's like.

    They are of kind ScheduleAnyway, so they only weigh. Source: plugin.go: systemDefaultConstraints.
    """
    selector = default_selector(view, pod)
    if selector.empty:
        return ()
    return (
        Constraint(topology_key=HOSTNAME, max_skew=law.constant("spread_default_hostname_max_skew"), selector=selector),
        Constraint(topology_key=ZONE, max_skew=law.constant("spread_default_zone_max_skew"), selector=selector),
    )


def matching_pods(pods: Sequence[Pod], selector: Selector, namespace: str) -> int:
    """Pods of the namespace that the selector matches and that are not being deleted; an empty selector counts none.

    Source: common.go: countPodsMatchSelector.
    """
    if selector.empty:
        return 0
    return sum(
        1
        for pod in pods
        if pod.metadata.namespace == namespace
        and pod.metadata.deletion_timestamp is None
        and selector.matches(pod.metadata.labels)
    )


def has_all_keys(labels: Mapping[str, str], constraints: Sequence[Constraint]) -> bool:
    """Does a node have the labels of all constraints?"""
    return all(constraint.topology_key in labels for constraint in constraints)


class HardSpread:
    """The DoNotSchedule constraints of a pod and the pods per domain (filtering.go: calPreFilterState)."""

    def __init__(self, pod: Pod, cluster: Cluster) -> None:
        self.pod = pod
        self.constraints = own_constraints(pod, "DoNotSchedule")
        self.domains: tuple[dict[str, int], ...] = tuple({} for _ in self.constraints)
        if not self.constraints:
            return
        for info in cluster.infos:
            if has_all_keys(info.labels, self.constraints):
                self._count(info)

    def _count(self, info: NodeInfo) -> None:
        namespace = self.pod.metadata.namespace
        for constraint, domains in zip(self.constraints, self.domains, strict=True):
            if not counts(constraint, self.pod, info.node):
                continue
            value = info.labels[constraint.topology_key]
            domains[value] = domains.get(value, 0) + matching_pods(info.pods, constraint.selector, namespace)

    def verdict(self, info: NodeInfo) -> Verdict:
        """What the first constraint that is not met says about a node (filtering.go: Filter)."""
        for constraint, domains in zip(self.constraints, self.domains, strict=True):
            value = info.labels.get(constraint.topology_key)
            if value is None:
                return "label-missing"
            lowest = min(domains.values()) if len(domains) >= constraint.min_domains and domains else 0
            itself = 1 if constraint.selector.matches(self.pod.metadata.labels) else 0
            if domains.get(value, 0) + itself - lowest > constraint.max_skew:
                return "skewed"
        return "even"


class SoftSpread:
    """The ScheduleAnyway constraints of a pod, or the system's own, over the feasible nodes (scoring.go: PreScore)."""

    def __init__(self, pod: Pod, cluster: Cluster, feasible: Sequence[NodeInfo]) -> None:
        self.pod = pod
        own = bool(pod.spec.topology_spread_constraints)
        self.constraints = own_constraints(pod, "ScheduleAnyway") if own else default_constraints(cluster.view, pod)
        self.ignored: set[str] = set()
        if not self.constraints:
            return
        if own:
            self.ignored = {info.name for info in feasible if not has_all_keys(info.labels, self.constraints)}
        considered = [info for info in feasible if info.name not in self.ignored]
        self.domains = tuple(self._domains(constraint, considered) for constraint in self.constraints)
        self.weights = tuple(
            math.log((len(considered) if constraint.topology_key == HOSTNAME else len(domains)) + 2)
            for constraint, domains in zip(self.constraints, self.domains, strict=True)
        )
        for info in cluster.infos:
            if not own or has_all_keys(info.labels, self.constraints):
                self._count(info)

    @staticmethod
    def _domains(constraint: Constraint, considered: Sequence[NodeInfo]) -> dict[str, int]:
        """Domains of the feasible nodes, still without pods. Host names are counted node by node instead."""
        if constraint.topology_key == HOSTNAME:
            return {}
        return {info.labels.get(constraint.topology_key, ""): 0 for info in considered}

    def _count(self, info: NodeInfo) -> None:
        for constraint, domains in zip(self.constraints, self.domains, strict=True):
            value = info.labels.get(constraint.topology_key, "")
            if value in domains and counts(constraint, self.pod, info.node):
                domains[value] += matching_pods(info.pods, constraint.selector, self.pod.metadata.namespace)

    def raw(self, info: NodeInfo) -> int:
        """The more pods of its kind around, the higher (scoring.go: Score, scoreForCount)."""
        if info.name in self.ignored:
            return 0
        score = 0.0
        for constraint, domains, weight in zip(self.constraints, self.domains, self.weights, strict=True):
            value = info.labels.get(constraint.topology_key)
            if value is None:
                continue
            if constraint.topology_key == HOSTNAME:
                count = matching_pods(info.pods, constraint.selector, self.pod.metadata.namespace)
            else:
                count = domains[value]
            score += count * weight + (constraint.max_skew - 1)
        return math.floor(score + 0.5)
