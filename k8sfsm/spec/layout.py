"""Layered drawing of small directed graphs (Sugiyama's method), the same on every machine.

Boxes are put into layers from top to bottom, edges that run against that order are turned around, long edges get a
point in every layer that they cross, the order within layers is found by barycenters with as few crossings as may be,
and the horizontal places by least squares. No library that pip offers does this with box sizes, labels and nothing
else to install, and graphs of a machine are small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from attrs import define, field, frozen

SWEEPS = 40
GAP = 26.0
LAYER_GAP = 32.0
POINT = 10.0


@frozen
class Box:
    """A rectangle to place, by its size."""

    width: float
    height: float


@frozen
class Route:
    """An edge as placed: its points from the source's border to the target's, going down or up."""

    source: str
    target: str
    points: tuple[tuple[float, float], ...]


@frozen
class Layout:
    """Where boxes' centres and edges lie; the drawing is `width` by `height`, its left upper corner at 0, 0."""

    places: Mapping[str, tuple[float, float]]
    routes: tuple[Route, ...]
    width: float
    height: float


@define
class _Net:
    """The graph while it is being laid out: all edges lead one layer down. Names of points start with a blank."""

    boxes: dict[str, Box]
    layers: list[list[str]] = field(factory=list)
    below: dict[str, list[str]] = field(factory=dict)
    above: dict[str, list[str]] = field(factory=dict)
    chains: list[list[str]] = field(factory=list)
    x: dict[str, float] = field(factory=dict)


def _forward(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """The edges with those turned around that close a cycle, seen in a depth-first walk in the given order."""
    following: dict[str, list[str]] = {node: [] for node in nodes}
    for source, target in edges:
        following[source].append(target)
    done: set[str] = set()
    open_nodes: list[str] = []
    turned: set[tuple[str, str]] = set()

    def visit(node: str) -> None:
        open_nodes.append(node)
        for target in following[node]:
            if target in open_nodes:
                turned.add((node, target))
            elif target not in done:
                visit(target)
        open_nodes.pop()
        done.add(node)

    for node in nodes:
        if node not in done:
            visit(node)
    return [(target, source) if (source, target) in turned else (source, target) for source, target in edges]


def _layers(nodes: Sequence[str], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """The layer of every node: the longest path from above, then pulled down where that shortens edges."""
    layer = dict.fromkeys(nodes, 0)
    for _ in nodes:
        for source, target in edges:
            layer[target] = max(layer[target], layer[source] + 1)
    for _ in nodes:
        for node in reversed(nodes):
            below = [layer[target] for source, target in edges if source == node]
            above = [source for source, target in edges if target == node]
            if below and len(below) > len(above):
                layer[node] = max(layer[node], min(below) - 1)
    return layer


def _net(boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], upward: Sequence[bool]) -> _Net:
    net = _Net(boxes=dict(boxes))
    down = [edge[::-1] if up else edge for edge, up in zip(edges, upward, strict=True)]
    forward = _forward(list(boxes), down)
    layer = _layers(list(boxes), forward)
    net.layers = [[] for _ in range(max(layer.values(), default=0) + 1)]
    for node in boxes:
        net.layers[layer[node]].append(node)
    for number, (source, target) in enumerate(forward):
        chain = [source]
        for depth in range(layer[source] + 1, layer[target]):
            point = f" {number}.{depth}"
            net.boxes[point] = Box(POINT, 0)
            net.layers[depth].append(point)
            chain.append(point)
        net.chains.append([*chain, target])
    for node in net.boxes:
        net.below[node], net.above[node] = [], []
    for chain in net.chains:
        for upper, lower in pairwise(chain):
            net.below[upper].append(lower)
            net.above[lower].append(upper)
    return net


def _crossings(net: _Net, layers: Sequence[Sequence[str]]) -> int:
    count = 0
    for upper, lower in pairwise(layers):
        place = {node: index for index, node in enumerate(lower)}
        ends = [place[target] for node in upper for target in sorted(net.below[node], key=place.__getitem__)]
        count += sum(1 for index, end in enumerate(ends) for later in ends[index + 1 :] if later < end)
    return count


def _sweep(net: _Net, layers: list[list[str]], down: bool) -> None:
    order = range(1, len(layers)) if down else range(len(layers) - 2, -1, -1)
    neighbours = net.above if down else net.below
    for depth in order:
        place = {node: index for index, node in enumerate(layers[depth - 1 if down else depth + 1])}
        own = {node: float(index) for index, node in enumerate(layers[depth])}
        for node in layers[depth]:
            near = [place[other] for other in neighbours[node]]
            if near:
                own[node] = sum(near) / len(near)
        layers[depth].sort(key=own.__getitem__)


def _gain(neighbours: Mapping[str, list[str]], place: Mapping[str, int], left: str, right: str) -> int:
    """How many crossings with one layer beside theirs go away when `left` and `right` change places."""
    return sum(
        (place[one] > place[other]) - (place[one] < place[other])
        for one in neighbours[left]
        for other in neighbours[right]
    )


def _transpose(net: _Net, layers: list[list[str]]) -> None:
    """Exchange neighbours in a layer while that takes crossings away."""
    place = {node: index for layer in layers for index, node in enumerate(layer)}
    improved = True
    while improved:
        improved = False
        for layer in layers:
            for index in range(len(layer) - 1):
                left, right = layer[index], layer[index + 1]
                if _gain(net.above, place, left, right) + _gain(net.below, place, left, right) > 0:
                    layer[index], layer[index + 1] = right, left
                    place[left], place[right] = index + 1, index
                    improved = True


def _order(net: _Net) -> None:
    best = [list(layer) for layer in net.layers]
    fewest = _crossings(net, best)
    current = [list(layer) for layer in net.layers]
    for sweep in range(16):
        _sweep(net, current, sweep % 2 == 0)
        candidate = [list(layer) for layer in current]
        _transpose(net, candidate)
        count = _crossings(net, candidate)
        if count < fewest:
            fewest, best = count, candidate
        if fewest == 0:
            break
    net.layers = best


def _spread(wanted: Sequence[float], weights: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """The places nearest to `wanted` (least squares) that keep the distances of `offsets`: pooled violators."""
    pools: list[list[float]] = []
    for want, weight, offset in zip(wanted, weights, offsets, strict=True):
        pools.append([want - offset, weight, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, mass, size = pools.pop()
            before = pools[-1]
            total = before[1] + mass
            before[0] = (before[0] * before[1] + mean * mass) / total
            before[1], before[2] = total, before[2] + size
    flat = [pool[0] for pool in pools for _ in range(int(pool[2]))]
    return [place + offset for place, offset in zip(flat, offsets, strict=True)]


def _offsets(net: _Net, layer: Sequence[str]) -> list[float]:
    offsets = [0.0]
    for left, right in pairwise(layer):
        gap = GAP if not (left.startswith(" ") and right.startswith(" ")) else GAP / 2
        offsets.append(offsets[-1] + net.boxes[left].width / 2 + gap + net.boxes[right].width / 2)
    return offsets


def _horizontal(net: _Net) -> None:
    offsets = [_offsets(net, layer) for layer in net.layers]
    for layer, own in zip(net.layers, offsets, strict=True):
        for node, offset in zip(layer, own, strict=True):
            net.x[node] = offset - own[-1] / 2
    depths = list(range(len(net.layers)))
    for sweep in range(SWEEPS):
        for depth in depths if sweep % 2 == 0 else reversed(depths):
            layer = net.layers[depth]
            wanted, weights = [], []
            for node in layer:
                near = net.above[node] + net.below[node]
                heavy = [8.0 if other.startswith(" ") and node.startswith(" ") else 1.0 for other in near]
                total = sum(heavy)
                pull = sum(net.x[other] * weight for other, weight in zip(near, heavy, strict=True))
                wanted.append(pull / total if total else net.x[node])
                weights.append(max(total, 0.1))
            for node, place in zip(layer, _spread(wanted, weights, offsets[depth]), strict=True):
                net.x[node] = place


def _ports(net: _Net, node: str, others: Sequence[str]) -> dict[str, float]:
    """Where on a box's side the edges to `others` start: spread in their order, none beyond the box."""
    box = net.boxes[node]
    if node.startswith(" ") or len(others) < 2:
        return dict.fromkeys(others, net.x[node])
    ordered = sorted(others, key=lambda other: net.x[other])
    width = min(box.width * 0.7, 30.0 * (len(ordered) - 1))
    step = width / (len(ordered) - 1)
    return {other: net.x[node] - width / 2 + step * index for index, other in enumerate(ordered)}


def place(
    boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], upward: Sequence[bool], margin: float = 20.0
) -> Layout:
    """Place `boxes` (in the order in which they should be met) and route `edges` between them.

    `upward` says of every edge whether it should lead up; an edge may be listed once only. Boxes do not overlap, and
    edges pass beside boxes.
    """
    net = _net(boxes, edges, upward)
    _order(net)
    _horizontal(net)
    return _drawn(net, boxes, edges, margin)


def _drawn(net: _Net, boxes: Mapping[str, Box], edges: Sequence[tuple[str, str]], margin: float) -> Layout:
    """The layout from a net whose points have found their layers and places."""
    heights = [max((net.boxes[node].height for node in layer), default=0.0) for layer in net.layers]
    middles: list[float] = []
    top = margin
    for height in heights:
        middles.append(top + height / 2)
        top += height + LAYER_GAP
    left = min((net.x[node] - net.boxes[node].width / 2 for node in net.boxes), default=0.0) - margin
    right = max((net.x[node] + net.boxes[node].width / 2 for node in net.boxes), default=0.0) + margin
    depth = {node: index for index, layer in enumerate(net.layers) for node in layer}
    down = {node: _ports(net, node, net.below[node]) for node in net.boxes}
    up = {node: _ports(net, node, net.above[node]) for node in net.boxes}
    routes = []
    for (source, target), chain in zip(edges, net.chains, strict=True):
        points: list[tuple[float, float]] = []
        for index, node in enumerate(chain):
            half = (heights[depth[node]] if node.startswith(" ") else net.boxes[node].height) / 2
            if index > 0:
                points.append((up[node][chain[index - 1]] - left, middles[depth[node]] - half))
            if index < len(chain) - 1:
                points.append((down[node][chain[index + 1]] - left, middles[depth[node]] + half))
        routes.append(Route(source, target, tuple(points if chain[0] == source else points[::-1])))
    places = {node: (net.x[node] - left, middles[depth[node]]) for node in boxes}
    return Layout(places, tuple(routes), right - left, top - LAYER_GAP + margin)
