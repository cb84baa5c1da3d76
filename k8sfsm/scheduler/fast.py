"""The scheduling decision for common pods in large clusters, by arrays.

It gives what `plain.decide` gives: the same feasible nodes in the same order, the same totals, the same best nodes; and
where there are none, the same refusals. A pod that it has no arrays for (host ports, own constraints between pods or on
spreading, extended resources, affinity to node names) is left to the plain layer.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from k8sfsm.kinds.pod_resources import CPU, MEMORY, PODS, PodRequest, scheduler_request
from k8sfsm.objects import Container, Pod, controller_of
from k8sfsm.scheduler.cluster import NOMINATED, Cluster, NodeInfo, has_pod_affinity, host_ports
from k8sfsm.scheduler.filters import Refusal, Wanted, judge
from k8sfsm.scheduler.ledger import Group, IntArray, Ints, Ledger
from k8sfsm.scheduler.node_selector import names_asked_for, preferred_error
from k8sfsm.scheduler.plain import START, Placement, num_feasible_to_find
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.scores import MAX, RAW, Rating, balanced_score, least_requested
from k8sfsm.scheduler.selectors import NOTHING
from k8sfsm.scheduler.spread import HOSTNAME, ZONE, Constraint, counts, default_constraints
from k8sfsm.scheduler.verdicts import COUNTED, Kinds, Verdicts, nominated_beside
from k8sfsm.view import View

_SIGNATURES: Final = 256
_FEW: Final = 8
"""Up to so many changed nodes are rated one by one."""
_ANY_ZONE: Final = Constraint(topology_key=ZONE, max_skew=1, selector=NOTHING)
"""A constraint with the policies of the system's own ones."""
_DYNAMIC: Final = ("least_allocated", "balanced_allocation", "soft_spread", "attraction")


def _same_containers(some: tuple[Container, ...], others: tuple[Container, ...]) -> bool:
    """Are the containers equal in what is scheduled by? Token volumes have a name of their own in every pod."""
    return len(some) == len(others) and all(
        one.image == two.image
        and one.resources == two.resources
        and one.ports == two.ports
        and one.restart_policy == two.restart_policy
        for one, two in zip(some, others, strict=True)
    )


def _same_shape(pod: Pod, other: Pod) -> bool:
    """Is everything equal that the decision looks at?"""
    one, two = pod.spec, other.spec
    return (
        pod.metadata.labels == other.metadata.labels
        and _same_containers(one.containers, two.containers)
        and _same_containers(one.init_containers, two.init_containers)
        and one.tolerations == two.tolerations
        and one.node_selector == two.node_selector
        and one.affinity == two.affinity
        and one.overhead == two.overhead
        and one.resources == two.resources
        and one.topology_spread_constraints == two.topology_spread_constraints
    )


def _has_arrays_for(pod: Pod, request: PodRequest) -> bool:
    """Can this layer decide about the pod at all?"""
    affinity = pod.spec.affinity
    if pod.spec.topology_spread_constraints or pod.spec.node_name:
        return False
    if has_pod_affinity(pod) or host_ports(pod) or any(amount for _, amount in request.scalars):
        return False
    if affinity is None or affinity.node_affinity is None:
        return True
    return names_asked_for(affinity) is None and not preferred_error(affinity.node_affinity.preferred)


class Signature:
    """What pods of one template have in common: per node, all that does not depend on the moment."""

    def __init__(self, pod: Pod, ledger: Ledger, view: View) -> None:
        self.pod = pod
        self.request = scheduler_request(pod, incoming=True)
        self.usable = _has_arrays_for(pod, self.request)
        self.epoch = ledger.epoch
        self._affinity_seen: tuple[int, bool] = (-1, True)
        self._origin: tuple[Any, Any] = (None, None)
        self.constraints: tuple[Constraint, ...] = ()
        self.refused: dict[int, Refusal] = {}
        self.kinds: Kinds = {}
        if not self.usable:
            return
        self._read_selectors(view)
        count = len(ledger.nodes)
        self.allowed = np.zeros(count, bool)
        self.wanted = np.zeros(count, bool)
        self.fits = np.zeros(count, bool)
        self.base = np.zeros(count, Ints)
        self.least = np.zeros(count, Ints)
        self.balance = np.zeros(count, Ints)
        self._read_labels(ledger)
        self._read_nodes(ledger, view, range(count))
        self._rate_all(ledger)
        self._moved, self._altered = len(ledger.moved), len(ledger.altered)
        self._images = ledger.images

    # -- what changes seldom --------------------------------------------------------------------------------------

    def _read_selectors(self, view: View) -> bool:
        """The system's spread constraints for this pod; True where what they are made of has changed."""
        namespace, owner = self.pod.metadata.namespace, controller_of(self.pod)
        controller = None if owner is None else view.get(owner.kind, namespace, owner.name)
        services = view.snapshot("Service").series("in", "Service", namespace)
        selector = getattr(getattr(controller, "spec", controller), "selector", controller)
        if self._origin[0] is services and self._origin[1] is selector:
            return False
        self._origin = (services, selector)
        before, self.constraints = self.constraints, default_constraints(view, self.pod)
        return before != self.constraints

    def _read_labels(self, ledger: Ledger) -> None:
        labels = [node.metadata.labels for node in ledger.nodes]
        zones = {zone: number for number, zone in enumerate(dict.fromkeys(each.get(ZONE, "") for each in labels))}
        self.zone = np.array([zones[each.get(ZONE, "")] for each in labels], np.intp)
        self.zones = len(zones)
        self.has_zone = np.array([ZONE in each for each in labels], bool)
        self.has_host = np.array([HOSTNAME in each for each in labels], bool)
        self.all_labelled = bool(self.has_zone.all() and self.has_host.all())

    def _read_nodes(self, ledger: Ledger, view: View, indices: range | list[int]) -> None:
        """Filters on the node alone, and ratings that do not depend on other pods: from the rules themselves."""
        infos = [NodeInfo(node, ()) for node in ledger.nodes]
        cluster = Cluster(view, infos)
        wanted = Wanted(self.pod, cluster)
        for index in indices:
            refusal = judge(wanted, infos[index])
            self.allowed[index] = refusal is None
            if refusal is None:
                self.refused.pop(index, None)
            else:
                self.refused[index] = refusal
            self.wanted[index] = counts(_ANY_ZONE, self.pod, infos[index].node)
        self.all_wanted = bool(self.wanted.all())
        rating = Rating(wanted, infos)
        self.plugins = [dict(decision.outputs) for decision in law.collect("score", rating)]
        if self.constraints and not any(plugin["raw"] == "soft_spread" for plugin in self.plugins):
            self.constraints = ()
        self.static = [
            (plugin["normalize"], plugin["weight"], np.array(RAW[plugin["raw"]](rating), Ints))
            for plugin in self.plugins
            if plugin["raw"] not in _DYNAMIC
        ]
        self.weights = {plugin["raw"]: plugin["weight"] for plugin in self.plugins}

    # -- what changes with every placement ------------------------------------------------------------------------

    def _rate_all(self, ledger: Ledger) -> None:
        request, used, capacity = self.request, ledger.used, ledger.capacity
        self.fits = self.allowed & (used[PODS] + 1 <= capacity[PODS])
        for name in COUNTED:
            if amount := request.of(name):
                self.fits &= amount <= capacity[name] - used[name]
        for index in range(len(ledger.nodes)):
            self._rate(ledger, index)
        self._sum_base()
        self._open = np.flatnonzero(self.fits)

    def _rate(self, ledger: Ledger, index: int) -> None:
        """Free share and balance of one node with the pod on it."""
        request = self.request
        cpu, memory = int(ledger.capacity[CPU][index]), int(ledger.capacity[MEMORY][index])
        shares = []
        if cpu:
            shares.append(least_requested(int(ledger.scoring[CPU][index]) + request.scoring_cpu, cpu))
        if memory:
            shares.append(least_requested(int(ledger.scoring[MEMORY][index]) + request.scoring_memory, memory))
        self.least[index] = sum(shares) // len(shares) if shares else 0
        if "balanced_allocation" in self.weights:
            used = (int(ledger.used[CPU][index]), int(ledger.used[MEMORY][index]))
            after = (used[0] + request.cpu, used[1] + request.memory)
            self.balance[index] = balanced_score(used, after, (cpu, memory))

    def _fits(self, ledger: Ledger, index: int) -> bool:
        request, used, capacity = self.request, ledger.used, ledger.capacity
        if not self.allowed[index] or used[PODS][index] + 1 > capacity[PODS][index]:
            return False
        return all(
            not (amount := request.of(name)) or amount <= capacity[name][index] - used[name][index] for name in COUNTED
        )

    def _sum_base(self) -> None:
        """The part of the totals that needs no look at the other feasible nodes."""
        self.base = self.least * self.weights.get("least_allocated", 0)
        self.base += self.balance * self.weights.get("balanced_allocation", 0)
        self.relative = []
        for normalize, weight, raw in self.static:
            if normalize == "as_is":
                self.base += raw * weight
            elif not raw.any():
                self.base += weight * MAX if normalize == "reversed_share_of_highest" else 0
            else:
                self.relative.append((normalize, weight, raw))
        self._fixed = self.base - self.least * self.weights.get("least_allocated", 0)
        self._fixed -= self.balance * self.weights.get("balanced_allocation", 0)

    def catch_up(self, ledger: Ledger, view: View) -> None:
        """Take over what happened to nodes since this signature was last used."""
        images, self._images = self._images, ledger.images
        if len(ledger.altered) > self._altered:
            self._read_labels(ledger)
            self._read_nodes(ledger, view, ledger.altered[self._altered :])
            self._altered, self._moved = len(ledger.altered), len(ledger.moved)
            self._rate_all(ledger)
            return
        if self._read_selectors(view):
            self._read_nodes(ledger, view, [])
            self._rate_all(ledger)
        elif images != ledger.images:
            self._read_nodes(ledger, view, [])
            self._sum_base()
        if len(ledger.moved) == self._moved:
            return
        indices = set(ledger.moved[self._moved :])
        self._moved = len(ledger.moved)
        reopened = False
        for index in sorted(indices):
            self._rate(ledger, index)
            self.base[index] = (
                self._fixed[index]
                + self.least[index] * self.weights.get("least_allocated", 0)
                + self.balance[index] * self.weights.get("balanced_allocation", 0)
            )
            fits = self._fits(ledger, index)
            if fits != self.fits[index]:
                self.fits[index] = fits
                reopened = True
        if reopened:
            self._open = np.flatnonzero(self.fits)

    def untouched_by_others(self, ledger: Ledger, view: View) -> bool:
        """Does no term of a placed pod concern this one?"""
        version, free = self._affinity_seen
        if version == ledger.terms_version:
            return free
        namespace = view.get("Namespace", "", self.pod.metadata.namespace)
        labels = {} if namespace is None else namespace.metadata.labels
        free = not any(
            term.matches(self.pod, labels)
            for terms in ledger.terms.values()
            for group in (terms.near, terms.apart, terms.rather_near, terms.rather_apart)
            for term in group
        )
        self._affinity_seen = (ledger.terms_version, free)
        return free

    # -- the decision ---------------------------------------------------------------------------------------------

    def search(self, start: int, full: tuple[int, ...]) -> tuple[NDArray[np.intp], int]:
        """Indices of feasible nodes from `start` on, as many as are looked for; and where the next search starts.

        `full`: nodes that pods for which room is kept there fill.
        """
        count = len(self.fits)
        enough = num_feasible_to_find(count)
        found = self._open[~np.isin(self._open, full)] if full else self._open
        if start:
            cut = int(np.searchsorted(found, start))
            found = np.concatenate((found[cut:], found[:cut]))
        if len(found) < enough:
            return found, start
        found = found[:enough]
        return found, (int(found[-1]) + 1) % count if enough < count else start

    def totals(self, ledger: Ledger, chosen: NDArray[np.intp]) -> IntArray:
        """Total scores of the chosen nodes."""
        total: IntArray = self.base[chosen]
        for normalize, weight, raw in self.relative:
            scores = raw[chosen]
            highest = int(scores.max())
            if normalize == "reversed_share_of_highest":
                total += weight * (MAX - MAX * scores // highest if highest else np.full(len(chosen), MAX, Ints))
            elif highest:
                total += weight * (MAX * scores // highest)
        if self.constraints:
            total += self.weights["soft_spread"] * self._spread(ledger, chosen)
        return total

    def _spread(self, ledger: Ledger, chosen: NDArray[np.intp]) -> IntArray:
        host, zone = self.constraints
        group = Group(self.pod.metadata.namespace, host.selector)
        counts = ledger.group(group)
        zones = self.zone[chosen]
        weights = counts if self.all_wanted else counts * self.wanted
        in_zone = np.bincount(self.zone, weights=weights, minlength=self.zones)
        domains = int(np.count_nonzero(np.bincount(zones, minlength=self.zones)))
        by_host = counts[chosen] * math.log(len(chosen) + 2) + (host.max_skew - 1)
        by_zone = in_zone[zones] * math.log(domains + 2) + (zone.max_skew - 1)
        if not self.all_labelled:
            by_host = np.where(self.has_host[chosen], by_host, 0.0)
            by_zone = np.where(self.has_zone[chosen], by_zone, 0.0)
        score = by_host + by_zone
        raw: IntArray = np.floor(score + 0.5).astype(Ints)
        highest, lowest = int(raw.max()), int(raw.min())
        return MAX * (highest + lowest - raw) // highest if highest else np.full(len(chosen), MAX, Ints)


class Cache:
    """Decides by arrays, and keeps them between decisions."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._signatures: dict[tuple[str, str], list[Signature]] = {}

    def advance(self, view: View) -> None:
        """Bring the arrays to the state of `view`."""
        self.ledger.advance(view)

    def expect(self, pod: Pod) -> None:
        """The pod is about to be assumed on a node, or about to be assumed no longer."""
        self.ledger.expect(pod)

    def _signature(self, view: View, pod: Pod) -> Signature:
        owner = controller_of(pod)
        key = (pod.metadata.namespace, "" if owner is None else owner.uid)
        known = self._signatures.get(key, [])
        for signature in known:
            if signature.epoch == self.ledger.epoch and _same_shape(pod, signature.pod):
                return signature
        if len(self._signatures) >= _SIGNATURES:
            self._signatures.clear()
        signature = Signature(pod, self.ledger, view)
        kept = [each for each in known if each.epoch == self.ledger.epoch][-_FEW:]
        self._signatures[key] = [*kept, signature]
        return signature

    def place(
        self, view: View, pod: Pod, with_totals: bool = False, cluster: Cluster | None = None
    ) -> Placement | None:
        """Where the pod can go and is best off, without scores by plugin; None: ask the plain layer.

        `with_totals`: fill in the totals too; `cluster`: what `view` shows, where it is at hand already.
        """
        self.advance(view)
        ledger = self.ledger
        if not ledger.nodes:
            return None
        beside = nominated_beside(view, ledger, pod) if ledger.nominated or NOMINATED in view.memory else {}
        signature = self._signature(view, pod)
        if beside is None or not signature.usable or not signature.untouched_by_others(ledger, view):
            return None
        signature.catch_up(ledger, view)

        def verdicts() -> Verdicts:
            return Verdicts(
                pod=pod,
                request=signature.request,
                ledger=ledger,
                cluster=cluster or Cluster.of(view),
                refused=signature.refused,
                kinds=signature.kinds,
                beside=beside,
            )

        full, start = verdicts().full() if beside else (), view.memory.get(START, 0)
        nominated = ledger.index.get(pod.status.nominated_node_name)
        if nominated is not None and signature.fits[nominated] and nominated not in full:
            chosen, next_start = np.array([nominated], np.intp), start
        else:
            start %= len(ledger.nodes)
            chosen, next_start = signature.search(start, full)
        return self._chosen(signature, chosen, next_start, with_totals) if len(chosen) else verdicts().nowhere(start)

    def _chosen(self, signature: Signature, chosen: NDArray[np.intp], next_start: int, with_totals: bool) -> Placement:
        ledger = self.ledger
        totals = signature.totals(ledger, chosen)
        best = chosen[totals == totals.max()]
        names = tuple(ledger.names[chosen].tolist())
        return Placement(
            node_count=len(ledger.nodes),
            feasible=names,
            totals=dict(zip(names, totals.tolist(), strict=True)) if with_totals else {},
            best=tuple(ledger.names[best].tolist()),
            next_start=next_start,
        )
