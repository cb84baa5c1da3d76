"""What pods of one template have in common to the scheduler, kept as arrays over nodes from decision to decision."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np

from k8sfsm.kinds.pod_resources import PodRequest, scheduler_request
from k8sfsm.objects import Pod, controller_of
from k8sfsm.scheduler.cluster import Cluster, NodeInfo, has_pod_affinity, host_ports
from k8sfsm.scheduler.filters import Refusal, Wanted, judge
from k8sfsm.scheduler.ledger import COLUMNS, Group, Ledger
from k8sfsm.scheduler.node_selector import names_asked_for, preferred_error
from k8sfsm.scheduler.placed import IntArray, Ints, Load
from k8sfsm.scheduler.plain import num_feasible_to_find
from k8sfsm.scheduler.ring import Indices, Relative, Ring, Spreading
from k8sfsm.scheduler.rules import law
from k8sfsm.scheduler.scores import MAX, RAW, Rating, balanced_score, image_points, images_of, least_requested
from k8sfsm.scheduler.selectors import NOTHING
from k8sfsm.scheduler.spread import HOSTNAME, ZONE, Constraint, counts, default_constraints
from k8sfsm.scheduler.verdicts import Kinds, lacking
from k8sfsm.view import View

_ANY_ZONE: Final = Constraint(topology_key=ZONE, max_skew=1, selector=NOTHING)
"""A constraint with the policies of the system's own ones."""
_DYNAMIC: Final = ("least_allocated", "balanced_allocation", "soft_spread", "attraction")
_IMAGES: Final = "image_locality"
_LOADS: Final = 4096
"""So many different loads of nodes are known before they are forgotten."""


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
    """What pods of one template have in common: per node, all that does not depend on the other nodes found.

    `fixed`: the part of a node's total that other pods do not change, `own`: the part that the pods on it change;
    `relative`: what depends on the highest score found; `open`: nodes that can take the pod, in a ring.
    """

    def __init__(self, pod: Pod, ledger: Ledger, view: View) -> None:
        self.pod = pod
        self.request = scheduler_request(pod, incoming=True)
        self.usable = _has_arrays_for(pod, self.request)
        self.epoch = ledger.epoch
        self._affinity_seen: tuple[int, bool] = (-1, True)
        self._origin: tuple[Any, Any] = (None, None)
        self._origin_seen: tuple[Any, Any] = (None, None)
        self._shown: tuple[Any, Any] = (None, None)
        self.constraints: tuple[Constraint, ...] = ()
        self._images = -1
        self._load: Load | None = None
        self.refused: dict[int, Refusal] = {}
        self.kinds: Kinds = {}
        if not self.usable:
            return
        self._owner = controller_of(pod)
        self._read_selectors(view)
        count = len(ledger.nodes)
        self.enough = num_feasible_to_find(count)
        self.allowed = np.zeros(count, bool)
        self.wanted = np.zeros(count, bool)
        self._ring: Ring | None = None
        self._read_labels(ledger)
        self._read_nodes(ledger, view, range(count))
        self._rate_all(ledger)
        self._altered = len(ledger.altered)

    # -- what changes seldom --------------------------------------------------------------------------------------

    def _read_selectors(self, view: View) -> bool:
        """The system's spread constraints for this pod; True where what they are made of has changed."""
        self._shown = (view.snapshots, view.store)
        namespace, owner = self.pod.metadata.namespace, self._owner
        seen = (view.snapshot("Service"), None if owner is None else view.snapshot(owner.kind))
        if seen[0] is self._origin_seen[0] and seen[1] is self._origin_seen[1]:
            return False
        self._origin_seen = seen
        controller = None if owner is None else view.get(owner.kind, namespace, owner.name)
        services = seen[0].series("in", "Service", namespace)
        selector = getattr(getattr(controller, "spec", controller), "selector", controller)
        if self._origin[0] is services and self._origin[1] is selector:
            return False
        self._origin = (services, selector)
        before, self.constraints = self.constraints, default_constraints(view, self.pod)
        return before != self.constraints

    def _read_labels(self, ledger: Ledger) -> None:
        labels = [node.metadata.labels for node in ledger.nodes]
        zones = {zone: number for number, zone in enumerate(dict.fromkeys(each.get(ZONE, "") for each in labels))}
        self._zone = np.array([zones[each.get(ZONE, "")] for each in labels], np.intp)
        self._zones = len(zones)
        has_host, has_zone = (np.array([key in each for each in labels], bool) for key in (HOSTNAME, ZONE))
        self._has_host = None if has_host.all() else has_host
        self._has_zone = None if has_zone.all() else has_zone

    def _read_nodes(self, ledger: Ledger, view: View, indices: range | list[int]) -> None:
        """Filters on the node alone, and ratings that do not depend on other pods: from the rules themselves. Of nodes
        that the rules cannot tell apart one is judged.
        """
        infos = [NodeInfo(node, ()) for node in ledger.nodes]
        cluster = Cluster(view, infos)
        wanted = Wanted(self.pod, cluster)
        judged: dict[object, tuple[Refusal | None, bool]] = {}
        for index in indices:
            kind = self._told_apart_by(ledger, index)
            if kind not in judged:
                judged[kind] = judge(wanted, infos[index]), counts(_ANY_ZONE, self.pod, infos[index].node)
            refusal, self.wanted[index] = judged[kind]
            self.allowed[index] = refusal is None
            if refusal is None:
                self.refused.pop(index, None)
            else:
                self.refused[index] = refusal
        rating = Rating(wanted, infos)
        plugins = [dict(decision.outputs) for decision in law.collect("score", rating)]
        if self.constraints and not any(plugin["raw"] == "soft_spread" for plugin in plugins):
            self.constraints = ()
        self.weights = {plugin["raw"]: plugin["weight"] for plugin in plugins}
        self._static: dict[str, Relative] = {
            plugin["raw"]: (plugin["normalize"], plugin["weight"], self._image_points(ledger))
            if plugin["raw"] == _IMAGES
            else (plugin["normalize"], plugin["weight"], np.array(RAW[plugin["raw"]](rating), Ints))
            for plugin in plugins
            if plugin["raw"] not in _DYNAMIC
        }

    def _told_apart_by(self, ledger: Ledger, index: int) -> object:
        """What the rules ask of an empty node: labels and names only where the pod chooses by them."""
        spec, asked = ledger.nodes[index].spec, self.pod.spec
        if asked.node_selector or asked.affinity is not None:
            return index
        taints = tuple([(each.key, each.value, each.effect) for each in spec.taints])
        return (spec.unschedulable, taints, ledger.rooms[index].tobytes())

    def _image_points(self, ledger: Ledger) -> IntArray:
        """Points for the images that the nodes have already; few nodes differ in that."""
        self._images = ledger.images.version
        names = images_of(self.pod)
        totals, places = np.unique(ledger.images.bytes_of(names), return_inverse=True)
        return np.array([image_points(total, len(names)) for total in totals.tolist()], Ints)[places]

    def _read_images(self, ledger: Ledger) -> bool:
        """Take over which nodes have the pod's images; True where that makes a difference."""
        if _IMAGES not in self._static:
            return False
        normalize, weight, before = self._static[_IMAGES]
        points = self._image_points(ledger)
        self._static[_IMAGES] = (normalize, weight, points)
        return not np.array_equal(before, points)

    def load_of(self, ledger: Ledger, pod: Pod) -> Load | None:
        """What a pod of this kind comes to on its node; None where its status, or what it says of others, matters."""
        status = pod.status
        if not self.usable or status.container_statuses or status.init_container_statuses or status.conditions:
            return None
        if self._load is None:
            self._load = ledger.load_of(pod)
        return self._load

    # -- what changes with every placement ------------------------------------------------------------------------

    def _rate_all(self, ledger: Ledger) -> None:
        """Read all of what the pods on the nodes come to."""
        rooms = [room.tobytes() for room in ledger.rooms]
        rated: dict[bytes, dict[bytes, tuple[int, bool]]] = {room: {} for room in rooms}
        self._rated = [rated[room] for room in rooms]
        self._moves = ledger.moves
        count = len(ledger.nodes)
        rates = [self._rate(ledger, index) for index in range(count)]
        self.own = np.fromiter((own for own, _ in rates), Ints, count)
        self.fits = np.fromiter((fits for _, fits in rates), bool, count) & self.allowed
        self._spreading = self._count_all(ledger) if self.constraints else None
        self._sum()

    def _sum(self) -> None:
        """What totals do not owe to the other nodes found, and what they do."""
        self.fixed = np.zeros(len(self.own), Ints)
        self.relative = []
        for normalize, weight, raw in self._static.values():
            if normalize == "as_is":
                self.fixed += raw * weight
            elif raw.any():
                self.relative.append((normalize, weight, raw))
            elif normalize == "reversed_share_of_highest":
                self.fixed += weight * MAX
        self.base = self.fixed + self.own
        self._ring = None

    def _count_all(self, ledger: Ledger) -> Spreading:
        host, zone = self.constraints
        self._group = ledger.group(Group(self.pod.metadata.namespace, host.selector))
        known = self._group.copy()
        in_zone = np.bincount(self._zone, weights=known * self.wanted, minlength=self._zones)
        return Spreading(
            weight=self.weights["soft_spread"],
            host_skew=host.max_skew,
            zone_skew=zone.max_skew,
            counts=known,
            zone=self._zone,
            in_zone=in_zone.tolist(),
            has_host=self._has_host,
            has_zone=self._has_zone,
        )

    def _rate(self, ledger: Ledger, index: int) -> tuple[int, bool]:
        """Points for the free share and the balance of a node with the pod on it, and whether there is room for it.

        It is the same for all nodes of that size which are as full.
        """
        load, rated = ledger.loads[index], self._rated[index]
        key = load.tobytes()
        known = rated.get(key)
        if known is None:
            if len(rated) >= _LOADS:
                rated.clear()
            known = rated[key] = self._points(load.tolist(), ledger.rooms[index].tolist())
        return known

    def _points(self, load: list[int], room: list[int]) -> tuple[int, bool]:
        request = self.request
        _, used_cpu, used_memory, _, scoring_cpu, scoring_memory = load
        _, cpu, memory, _ = room
        shares = []
        if cpu:
            shares.append(least_requested(scoring_cpu + request.scoring_cpu, cpu))
        if memory:
            shares.append(least_requested(scoring_memory + request.scoring_memory, memory))
        points: int = (sum(shares) // len(shares) if shares else 0) * self.weights.get("least_allocated", 0)
        if "balanced_allocation" in self.weights:
            before = (used_cpu, used_memory)
            after = (used_cpu + request.cpu, used_memory + request.memory)
            points += balanced_score(before, after, (cpu, memory)) * self.weights["balanced_allocation"]
        lacks = lacking(request, dict(zip(COLUMNS, room, strict=True)), dict(zip(COLUMNS, load, strict=False)))
        return points, not lacks

    def catch_up(self, ledger: Ledger, view: View) -> None:
        """Take over what happened to nodes since this signature was last used."""
        shown = self._shown
        renewed = (view.snapshots is not shown[0] or view.store is not shown[1]) and self._read_selectors(view)
        if len(ledger.altered) > self._altered:
            self._read_labels(ledger)
            self._read_nodes(ledger, view, ledger.altered[self._altered :])
            self._altered = len(ledger.altered)
            self._rate_all(ledger)
            return
        if renewed:
            self._read_nodes(ledger, view, [])
            self._rate_all(ledger)
        elif self._images != ledger.images.version and self._read_images(ledger):
            self._sum()
        moves = ledger.moves
        if moves == self._moves:
            return
        moved = ledger.moved_since(self._moves)
        self._moves = moves
        if moved is None:
            self._rate_all(ledger)
        else:
            self._move(ledger, moved if len(moved) == 1 else dict.fromkeys(moved))

    def _move(self, ledger: Ledger, indices: Iterable[int]) -> None:
        """Read what the pods on these nodes come to now."""
        spreading = self._spreading
        for index in indices:
            own, room = self._rate(ledger, index)
            self.own[index] = own
            base = self.base[index] = self.fixed.item(index) + own
            if spreading is not None:
                now = self._group.item(index)
                if more := now - spreading.counts.item(index):
                    spreading.counts[index] = now
                    if self.wanted.item(index):
                        spreading.in_zone[self._zone.item(index)] += more
            fits = room and self.allowed.item(index)
            if fits != self.fits.item(index):
                self.fits[index] = fits
                self._ring = None
            elif fits and self._ring is not None:
                self._ring.update(index, base)

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

    # -- the nodes that can take the pod --------------------------------------------------------------------------

    def ring(self, ledger: Ledger) -> Ring:
        """All of them."""
        if self._ring is None:
            self._ring = self.ring_of(ledger, np.flatnonzero(self.fits))
        return self._ring

    def ring_beside(self, ledger: Ledger, full: tuple[int, ...]) -> Ring:
        """Those that pods for which room is kept there do not fill."""
        found = np.flatnonzero(self.fits)
        return self.ring_of(ledger, found[~np.isin(found, full)])

    def ring_of(self, ledger: Ledger, members: Indices) -> Ring:
        """These nodes, given by ascending index."""
        return Ring(members, ledger.names, self.enough, self.base, self.relative, self._spreading)
