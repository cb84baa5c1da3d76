"""Zones: how disrupted they are, and the queue of nodes that wait for a NoExecute taint.

Source: pkg/controller/nodelifecycle/node_lifecycle_controller.go: ComputeZoneState, setLimiterInZone;
pkg/controller/nodelifecycle/scheduler/rate_limited_queue.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from attrs import frozen
from immutables import Map

from k8sfsm.controllers.nodelifecycle.health import LifecycleSettings, law
from k8sfsm.objects import Node, evolve
from k8sfsm.objects.durations import SECOND
from k8sfsm.value import value

INITIAL: Final = "Initial"
FULL: Final = "FullDisruption"
EXCLUDED: Final = "node.kubernetes.io/exclude-disruption"
_REGIONS: Final = ("failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region")
_ZONES: Final = ("failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone")


def zone_of(node: Node) -> str:
    """The key of the node's zone; "" where it is labelled with neither region nor zone.

    Source: staging/src/k8s.io/component-helpers/node/topology/helpers.go: GetZoneKey
    """
    labels = node.metadata.labels
    region, zone = _first(labels, _REGIONS), _first(labels, _ZONES)
    return f"{region}:\x00:{zone}" if region or zone else ""


def _first(labels: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((labels[name] for name in names if name in labels), "")


@value(kw_only=True)
class Zone:
    """A zone's state and its queue.

    `rate`: nodes per second that get a taint, 0: none; `token_at`: when (ns) the next may; `waiting`: nodes in order,
    each with the time (ns) before which it is not looked at; `members`: nodes that are not queued again.
    """

    state: str = INITIAL
    rate: float
    token_at: int = 0
    waiting: tuple[tuple[str, int], ...] = ()
    members: Map[str, bool] = Map()

    def joined(self, node: str, now: int) -> Zone:
        """With the node at the end of the queue, unless it is a member."""
        if node in self.members:
            return self
        return evolve(self, waiting=_ordered((*self.waiting, (node, now))), members=self.members.set(node, True))

    def left(self, node: str) -> Zone:
        """Without the node; it may join again."""
        if node not in self.members:
            return self
        return evolve(self, waiting=_without(self.waiting, node), members=self.members.delete(node))

    def served(self, node: str) -> Zone:
        """The node is no longer queued, but stays a member."""
        return evolve(self, waiting=_without(self.waiting, node))

    def later(self, node: str, at: int) -> Zone:
        """The node is looked at again at `at` (ns)."""
        return evolve(self, waiting=_ordered((*_without(self.waiting, node), (node, at))))

    def takes_token(self, now: int) -> Zone:
        """After a node was let through, whatever became of it."""
        return evolve(self, token_at=now + round(SECOND / self.rate))

    def limited(self, rate: float, now: int) -> Zone:
        """With another rate: a limit that had no token left hands none to the new one.

        Source: rate_limited_queue.go: SwapLimiter.
        """
        if rate == self.rate:
            return self
        drained = self.rate <= 0 or now < self.token_at
        token_at = now + round(SECOND / rate) if drained and rate > 0 else now
        return evolve(self, rate=rate, token_at=token_at)

    @property
    def due(self) -> int | None:
        """When (ns) the queue is worth a look; None: not before something changes."""
        if not self.waiting or self.rate <= 0:
            return None
        return max(self.token_at, self.waiting[0][1])


def _ordered(waiting: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(waiting, key=lambda entry: entry[1]))


def _without(waiting: tuple[tuple[str, int], ...], node: str) -> tuple[tuple[str, int], ...]:
    return tuple(entry for entry in waiting if entry[0] != node)


@frozen
class Census:
    """The counted nodes of a zone, by whether Ready is True."""

    ready: int
    unready: int
    settings: LifecycleSettings

    @property
    def size(self) -> int:
        """How many nodes are counted."""
        return self.ready + self.unready


@frozen
class Pace:
    """A zone in a state, for which a rate is wanted."""

    state: str
    census: Census


@frozen
class Outage:
    """The states of all zones before and after a look."""

    before: tuple[str, ...]
    after: tuple[str, ...]


@law.fact
def ready_nodes(case: Census) -> int:
    """Counted nodes that are ready."""
    return case.ready


@law.fact
def unready_nodes(case: Census) -> int:
    """Counted nodes that are not."""
    return case.unready


@law.fact
def many_unready(case: Census) -> bool:
    """The share of nodes that are not ready reaches the threshold."""
    return case.size > 0 and case.unready / case.size >= case.settings.unhealthy_zone_threshold


@law.fact
def zone_state(case: Pace) -> Literal["Normal", "PartialDisruption", "FullDisruption"]:
    """The state of the zone."""
    return case.state  # type: ignore[return-value]


@law.fact
def zone_large(case: Pace) -> bool:
    """The zone has more counted nodes than the threshold."""
    return case.census.size > case.census.settings.large_zone_size


@law.fact
def all_disrupted(case: Outage) -> bool:
    """Every zone is fully disrupted now; so it is where there are no zones."""
    return all(state == FULL for state in case.after)


@law.fact
def all_were_disrupted(case: Outage) -> bool:
    """Every zone was fully disrupted at the last look."""
    return all(state == FULL for state in case.before)


def state_of(census: Census) -> str:
    """How disrupted a zone is."""
    return str(law.decide("zone-state", census).outputs["state"])


def rate_of(state: str, census: Census) -> float:
    """How many nodes of a zone in that state get a taint in a second."""
    settings = census.settings
    which = law.decide("zone-rate", Pace(state, census)).outputs["rate"]
    return {"normal": settings.eviction_rate, "secondary": settings.secondary_eviction_rate, "none": 0.0}[which]
