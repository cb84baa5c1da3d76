"""Affinity and anti-affinity between pods.

Source: pkg/scheduler/framework/plugins/interpodaffinity/filtering.go, scoring.go;
pkg/scheduler/framework/types.go: AffinityTerm.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from attrs import frozen

from k8sfsm.objects import Pod, PodAffinity, PodAffinityTerm, WeightedPodAffinityTerm
from k8sfsm.scheduler.cluster import Cluster, NodeInfo, has_pod_affinity
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.selectors import NOTHING, Selector
from k8sfsm.view import View

Pair: TypeAlias = tuple[str, str]
"""(node label, value): a domain."""
Labels: TypeAlias = Mapping[str, str]


@frozen
class Term:
    """An affinity term of one pod, with the namespaces that it is about."""

    topology_key: str
    selector: Selector
    namespaces: tuple[str, ...]
    namespace_selector: Selector
    weight: int = 0

    @classmethod
    def of(cls, pod: Pod, term: PodAffinityTerm, weight: int = 0) -> Term:
        """The term as it stands in `pod` (types.go: newAffinityTerm). Without any namespaces: the pod's own."""
        own = not term.namespaces and term.namespace_selector is None
        return cls(
            term.topology_key,
            Selector.of(term.label_selector),
            (pod.metadata.namespace,) if own else term.namespaces,
            Selector.of(term.namespace_selector),
            weight,
        )

    def resolved(self, view: View) -> Term:
        """The term of the incoming pod: its namespace selector replaced by the namespaces that exist.

        Source: interpodaffinity/plugin.go: mergeAffinityTermNamespacesIfNotEmpty.
        """
        if self.namespace_selector.empty:
            return self
        found = tuple(
            each.metadata.name
            for each in view.list("Namespace")
            if self.namespace_selector.matches(each.metadata.labels)
        )
        return Term(self.topology_key, self.selector, (*self.namespaces, *found), NOTHING, self.weight)

    def matches(self, pod: Pod, namespace_labels: Labels) -> bool:
        """Is the term about `pod`, whose namespace has these labels?"""
        if pod.metadata.namespace in self.namespaces or self.namespace_selector.matches(namespace_labels):
            return self.selector.matches(pod.metadata.labels)
        return False


def _required(pod: Pod, side: PodAffinity | None) -> tuple[Term, ...]:
    return () if side is None else tuple(Term.of(pod, term) for term in side.required)


def _preferred(pod: Pod, side: PodAffinity | None) -> tuple[Term, ...]:
    terms: Sequence[WeightedPodAffinityTerm] = () if side is None else side.preferred
    return tuple(Term.of(pod, term.pod_affinity_term, term.weight) for term in terms)


@frozen
class Terms:
    """All terms of one pod."""

    near: tuple[Term, ...] = ()
    apart: tuple[Term, ...] = ()
    rather_near: tuple[Term, ...] = ()
    rather_apart: tuple[Term, ...] = ()

    @classmethod
    def of(cls, pod: Pod) -> Terms:
        """The pod's required and preferred terms."""
        affinity = pod.spec.affinity
        if affinity is None:
            return NO_TERMS
        near, apart = affinity.pod_affinity, affinity.pod_anti_affinity
        return cls(_required(pod, near), _required(pod, apart), _preferred(pod, near), _preferred(pod, apart))

    def resolved(self, view: View) -> Terms:
        """The same terms for an incoming pod."""
        groups = (self.near, self.apart, self.rather_near, self.rather_apart)
        return Terms(*(tuple(term.resolved(view) for term in group) for group in groups))


NO_TERMS = Terms()


def matches_all(terms: Sequence[Term], pod: Pod) -> bool:
    """filtering.go: podMatchesAllAffinityTerms."""
    return bool(terms) and all(term.matches(pod, {}) for term in terms)


def _raise(counts: dict[Pair, int], key: str, labels: Labels, amount: int) -> None:
    if key in labels:
        pair = (key, labels[key])
        counts[pair] = counts.get(pair, 0) + amount


class HardAffinity:
    """What required terms, the pod's own and those of placed pods, say about domains (filtering.go: PreFilter)."""

    def __init__(self, pod: Pod, cluster: Cluster) -> None:
        self.pod = pod
        self.terms = Terms.of(pod).resolved(cluster.view)
        self.near: dict[Pair, int] = {}
        self.apart: dict[Pair, int] = {}
        self.resented: dict[Pair, int] = {}
        self._namespace_labels = cluster.namespace_labels(pod.metadata.namespace)
        for info in cluster.infos:
            for existing in info.pods:
                self._count(existing, info.labels)

    def _count(self, existing: Pod, labels: Labels) -> None:
        if matches_all(self.terms.near, existing):
            for term in self.terms.near:
                _raise(self.near, term.topology_key, labels, 1)
        for term in self.terms.apart:
            if term.matches(existing, {}):
                _raise(self.apart, term.topology_key, labels, 1)
        for term in Terms.of(existing).apart:
            if term.matches(self.pod, self._namespace_labels):
                _raise(self.resented, term.topology_key, labels, 1)

    def near_enough(self, info: NodeInfo) -> bool:
        """The pods that it must be near to are in the node's domains; the first of its kind may be alone."""
        pairs = [(term.topology_key, info.labels.get(term.topology_key)) for term in self.terms.near]
        if any(value is None for _, value in pairs):
            return False
        if all(self.near.get((key, str(value)), 0) > 0 for key, value in pairs):
            return True
        return not self.near and matches_all(self.terms.near, self.pod)

    def far_enough(self, info: NodeInfo) -> bool:
        """No pod that it must be apart from is in the node's domains."""
        keys = {term.topology_key for term in self.terms.apart}
        return not any(self.apart.get((key, value)) for key, value in info.labels.items() if key in keys)

    def welcome(self, info: NodeInfo) -> bool:
        """No pod in the node's domains must be apart from this one."""
        return not any(self.resented.get(pair) for pair in info.labels.items())


class SoftAffinity:
    """What preferred terms are worth, by domain (scoring.go: PreScore)."""

    def __init__(self, pod: Pod, cluster: Cluster) -> None:
        self.pod = pod
        self.terms = Terms.of(pod).resolved(cluster.view)
        self.worth: dict[Pair, int] = {}
        self._namespace_labels = cluster.namespace_labels(pod.metadata.namespace)
        wishes = bool(self.terms.rather_near or self.terms.rather_apart)
        for info in cluster.infos:
            for existing in info.pods:
                if wishes or has_pod_affinity(existing):
                    self._count(existing, info.labels)

    def _count(self, existing: Pod, labels: Labels) -> None:
        self._add(self.terms.rather_near, existing, {}, labels, 1)
        self._add(self.terms.rather_apart, existing, {}, labels, -1)
        theirs = Terms.of(existing)
        hard = law.constant("hard_pod_affinity_weight")
        for term in theirs.near:
            if term.matches(self.pod, self._namespace_labels):
                _raise(self.worth, term.topology_key, labels, hard)
        self._add(theirs.rather_near, self.pod, self._namespace_labels, labels, 1)
        self._add(theirs.rather_apart, self.pod, self._namespace_labels, labels, -1)

    def _add(self, terms: Iterable[Term], pod: Pod, namespace_labels: Labels, labels: Labels, sign: int) -> None:
        for term in terms:
            if term.matches(pod, namespace_labels):
                _raise(self.worth, term.topology_key, labels, sign * term.weight)

    def raw(self, info: NodeInfo) -> int:
        """The worth of all the node's domains (scoring.go: Score)."""
        return sum(self.worth.get(pair, 0) for pair in info.labels.items())
