"""How many endpoints each zone should have by its share of the nodes' CPU, and how hints are moved between zones.

Source: staging/src/k8s.io/endpointslice/topologycache/topologycache.go: SetNodes, getAllocations;
staging/src/k8s.io/endpointslice/topologycache/utils.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

from k8sfsm.controllers.endpointslice_members import ZONE, law
from k8sfsm.controllers.following import Block, Blocks, blocks_of
from k8sfsm.objects import Endpoint, EndpointHints, ForZone, Node, Quantity, evolve
from k8sfsm.value import value
from k8sfsm.view import View

_CONTROL_PLANE: Final = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")


@value
class Share:
    """How many endpoints a zone should have, and how many it must and may have."""

    minimum: int
    maximum: int
    desired: float


def node_ready(node: Node) -> bool:
    """True when the node's Ready condition is True."""
    return next((found.status == "True" for found in node.status.conditions if found.type == "Ready"), False)


def _cpu_of_block(block: Block) -> dict[str, Quantity] | None:
    """The allocatable CPU of each zone; None where a node lacks its zone or CPU."""
    found: dict[str, Quantity] = {}
    nodes: tuple[Node, ...] = block
    for node in nodes:
        labels = node.metadata.labels
        if any(label in labels for label in _CONTROL_PLANE) or not node_ready(node):
            continue
        cpu = node.status.allocatable.get("cpu")
        zone = labels.get(ZONE, "")
        if cpu is None or not cpu.sign or not zone:
            return None
        found[zone] = found[zone] + cpu if zone in found else cpu
    return found


class Ratios:
    """Each zone's share of the CPU of all ready nodes that are no control plane."""

    def __init__(self) -> None:
        self._blocks: Blocks[tuple[dict[str, Quantity] | None]] = Blocks()

    def of(self, view: View) -> Mapping[str, float] | None:
        """The shares by zone, in the order of their names; None where nodes or zones do not suffice."""
        total = Quantity.of(0)
        zones: dict[str, Quantity] = {}
        for (part,) in self._blocks.of(blocks_of(view, "Node"), lambda block: (_cpu_of_block(block),)):
            if part is None:
                return None
            for zone, cpu in part.items():
                total = total + cpu
                zones[zone] = zones[zone] + cpu if zone in zones else cpu
        if len(zones) < 2:
            return None
        return {zone: zones[zone].milli_value / total.milli_value for zone in sorted(zones)}


def overload() -> float:
    """What fraction of its share a zone may be overloaded by."""
    return float(law.constant("topology_overload_percent")) / 100


def allocate(ratios: Mapping[str, float], endpoints: int) -> dict[str, Share]:
    """The share of each zone in a number of endpoints."""
    desired = {zone: ratio * float(endpoints) for zone, ratio in ratios.items()}
    minimum = {zone: ceil(wanted * (1 / (1 + overload()))) for zone, wanted in desired.items()}
    spare = endpoints - sum(minimum.values())
    return {zone: Share(least, least + spare, max(desired[zone], float(least))) for zone, least in minimum.items()}


def giving_and_receiving(
    shares: Mapping[str, Share], hints: Mapping[str, int]
) -> tuple[dict[str, int], dict[str, int]]:
    """How many endpoints each zone gives to others, and how many each gets, one at a time from the most to the least.

    It ends when both have less than one left, or one of them less than half.
    """
    over = {zone: hints.get(zone, 0) - share.desired for zone, share in shares.items()}
    under = {zone: -surplus for zone, surplus in over.items()}
    giving: dict[str, int] = {}
    receiving: dict[str, int] = {}
    while True:
        giver, surplus = _most(over)
        taker, need = _most(under)
        if not giver or not taker or (surplus < 1 and need < 1) or surplus < 0.5 or need < 0.5:
            return giving, receiving
        giving[giver] = giving.get(giver, 0) + 1
        receiving[taker] = receiving.get(taker, 0) + 1
        over[giver] -= 1
        under[taker] -= 1


def _most(zones: Mapping[str, float]) -> tuple[str, float]:
    """The zone with the greatest number above 0, the first by name of equals."""
    best = ("", 0.0)
    for zone in sorted(zones):
        if zones[zone] > best[1]:
            best = (zone, zones[zone])
    return best


def move_hints(lists: list[list[Endpoint]], giving: dict[str, int], receiving: dict[str, int]) -> dict[str, int]:
    """Let zones use endpoints of others, endpoint by endpoint; returns by how much the hints of each zone change."""
    moved: dict[str, int] = {}
    for endpoints in lists:
        for place, endpoint in enumerate(endpoints):
            giver = endpoint.zone or ""
            if not endpoint.conditions.ready or not giving.get(giver):
                continue
            taker = next((zone for zone in sorted(receiving) if receiving[zone] > 0), "")
            if not taker:
                return moved
            endpoints[place] = evolve(endpoint, hints=EndpointHints(for_zones=(ForZone(name=taker),)))
            giving[giver] -= 1
            receiving[taker] -= 1
            moved[taker] = moved.get(taker, 0) + 1
            moved[giver] = moved.get(giver, 0) - 1
    return moved


def overloaded(hints: Mapping[str, int], ratios: Mapping[str, float] | None) -> bool:
    """Does some zone have fewer endpoints than it needs? Source: utils.go: serviceOverloaded."""
    if not hints:
        return False
    if not ratios:
        return True
    total = float(sum(hints.values()))
    return any(
        zone not in hints or hints[zone] < ceil(total * ratio * (1 / (1 + overload())))
        for zone, ratio in ratios.items()
    )
