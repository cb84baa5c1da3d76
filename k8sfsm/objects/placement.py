"""Where a Pod may run: affinity, tolerations, topology spread.

Source: staging/src/k8s.io/api/core/v1/types.go: Affinity, Toleration, TopologySpreadConstraint.
"""

from __future__ import annotations

from attrs import frozen

from k8sfsm.objects.base import Struct, written
from k8sfsm.objects.meta import LabelSelector


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeSelectorRequirement(Struct):
    """One expression about a node; operator: In, NotIn, Exists, DoesNotExist, Gt or Lt."""

    key: str = written("")
    operator: str = written("")
    values: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeSelectorTerm(Struct):
    """All expressions on labels and on fields must hold; an empty term selects nothing."""

    match_expressions: tuple[NodeSelectorRequirement, ...] = ()
    match_fields: tuple[NodeSelectorRequirement, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeSelector(Struct):
    """One of the terms must hold."""

    node_selector_terms: tuple[NodeSelectorTerm, ...] = written(())


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PreferredSchedulingTerm(Struct):
    """A node that matches `preference` is worth `weight` (1 to 100) more."""

    weight: int = written(0)
    preference: NodeSelectorTerm = NodeSelectorTerm()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class NodeAffinity(Struct):
    """Nodes that a Pod must have, and those it would like."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: tuple[PreferredSchedulingTerm, ...] = ()

    @property
    def required(self) -> NodeSelector | None:
        """`required_during_scheduling_ignored_during_execution`."""
        return self.required_during_scheduling_ignored_during_execution

    @property
    def preferred(self) -> tuple[PreferredSchedulingTerm, ...]:
        """`preferred_during_scheduling_ignored_during_execution`."""
        return self.preferred_during_scheduling_ignored_during_execution


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodAffinityTerm(Struct):
    """Pods (by labels and namespaces) to be near to or far from, in one domain of `topology_key`."""

    label_selector: LabelSelector | None = None
    namespaces: tuple[str, ...] = ()
    topology_key: str = written("")
    namespace_selector: LabelSelector | None = None
    match_label_keys: tuple[str, ...] = ()
    mismatch_label_keys: tuple[str, ...] = ()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class WeightedPodAffinityTerm(Struct):
    """A wish about other Pods, worth `weight` (1 to 100)."""

    weight: int = written(0)
    pod_affinity_term: PodAffinityTerm = PodAffinityTerm()


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodAffinity(Struct):
    """Other Pods that a Pod must be with, and those it would like to be with."""

    required_during_scheduling_ignored_during_execution: tuple[PodAffinityTerm, ...] = ()
    preferred_during_scheduling_ignored_during_execution: tuple[WeightedPodAffinityTerm, ...] = ()

    @property
    def required(self) -> tuple[PodAffinityTerm, ...]:
        """`required_during_scheduling_ignored_during_execution`."""
        return self.required_during_scheduling_ignored_during_execution

    @property
    def preferred(self) -> tuple[WeightedPodAffinityTerm, ...]:
        """`preferred_during_scheduling_ignored_during_execution`."""
        return self.preferred_during_scheduling_ignored_during_execution


@frozen(kw_only=True, weakref_slot=False, repr=False)
class PodAntiAffinity(PodAffinity):
    """Other Pods that a Pod must not be with, and those it would rather not be with."""


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Affinity(Struct):
    """All scheduling affinities of a Pod."""

    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class Toleration(Struct):
    """Taints that a Pod puts up with; operator "" means Equal; seconds None: for ever."""

    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


@frozen(kw_only=True, weakref_slot=False, repr=False)
class TopologySpreadConstraint(Struct):
    """How evenly matching Pods must be spread over the domains of `topology_key`."""

    max_skew: int = written(0)
    topology_key: str = written("")
    when_unsatisfiable: str = written("")
    label_selector: LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: tuple[str, ...] = ()
