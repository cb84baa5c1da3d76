"""The scheduling decision for common pods in large clusters, by arrays.

It gives what `plain.decide` gives: the same feasible nodes in the same order, the same totals, the same best nodes; and
where there are none, the same refusals. A pod that it has no arrays for (host ports, own constraints between pods or on
spreading, extended resources, affinity to node names) is left to the plain layer.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from k8sfsm.apiserver.memo import Memo
from k8sfsm.objects import Pod, controller_of
from k8sfsm.scheduler.cluster import NOMINATED, Cluster
from k8sfsm.scheduler.ledger import Ledger
from k8sfsm.scheduler.plain import NOTHING_KNOWN, START, Placement
from k8sfsm.scheduler.ring import Ring, Tied
from k8sfsm.scheduler.shape import made_alike, same_shape, shape_of
from k8sfsm.scheduler.signature import Signature
from k8sfsm.scheduler.verdicts import Verdicts, nominated_beside
from k8sfsm.view import View

_SIGNATURES: Final = 256
_FEW: Final = 8
"""So many signatures of one owner's pods are kept."""


class Cache:
    """Decides by arrays, and keeps them between decisions."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self._signatures: dict[tuple[str, str], list[Signature]] = {}
        self._known = Memo()
        self._last: Signature | None = None
        self._last_pod = Pod()

    def advance(self, view: View) -> None:
        """Bring the arrays to the state of `view`."""
        self.ledger.advance(view)

    def expect(self, pod: Pod, node: str = "") -> None:
        """The pod is about to be assumed on a node ("": about to be assumed no longer, or seen bound)."""
        signature = self._last
        load = signature.load_of(self.ledger, pod) if node and signature and self._last_pod is pod else None
        if load is None:
            self.ledger.expect(pod)
        else:
            self.ledger.expect_on(pod, node, load)

    def _signature(self, view: View, pod: Pod) -> Signature:
        last, last_pod = self._last, self._last_pod
        self._last_pod = pod
        if last is None or last.epoch != self.ledger.epoch or not made_alike(pod, last_pod):
            last = self._last = self._known_signature(view, pod)
        return last

    def _known_signature(self, view: View, pod: Pod) -> Signature:
        meta = pod.metadata
        parts = (meta.namespace, meta.owner_references, *shape_of(pod))
        known: Signature | None = self._known.get(parts)
        if known is None or known.epoch != self.ledger.epoch:
            known = self._like(view, pod)
            self._known.put(parts, known)
        return known

    def _like(self, view: View, pod: Pod) -> Signature:
        """The signature of pods with the same owner that look the same; a new one where there is none."""
        owner = controller_of(pod)
        key = (pod.metadata.namespace, "" if owner is None else owner.uid)
        known = self._signatures.get(key, [])
        for signature in known:
            if signature.epoch == self.ledger.epoch and same_shape(pod, signature.pod):
                return signature
        if len(self._signatures) >= _SIGNATURES:
            self._signatures.clear()
            self._known.forget()
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
            ring = signature.ring_of(ledger, np.array([nominated], np.intp))
        else:
            start %= len(ledger.nodes)
            ring = signature.ring_beside(ledger, full) if full else signature.ring(ledger)
        return self._chosen(ring, start, with_totals) if ring.found else verdicts().nowhere(start)

    def _chosen(self, ring: Ring, start: int, with_totals: bool) -> Placement:
        window = ring.window(start)
        totals = ring.totals(window)
        return Placement(
            node_count=len(self.ledger.nodes),
            feasible=window.feasible,
            totals=dict(zip(window.feasible, totals.tolist(), strict=True)) if with_totals else NOTHING_KNOWN,
            best=Tied(window.feasible, ring.best(totals)),
            next_start=window.next_start,
        )
