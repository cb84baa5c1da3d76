"""Draws a region's graph as SVG, without any program outside Python."""

from __future__ import annotations

from html import escape
from itertools import pairwise

from k8sfsm.spec.graph import END, START, Arc, Graph
from k8sfsm.spec.layout import Box, Layout, Route, place

STATE_FONT = 15.0
LABEL_FONT = 12.0
DETAIL_FONT = 10.5
LINE = 14.0
NARROW = "fijlrtI.,:;|![]()'"
WIDE = "mwMW"

STYLE = """
  text { font-family: Helvetica, Arial, sans-serif; text-anchor: middle; fill: #1f2937; }
  .state { fill: #eef2ff; stroke: #4f46e5; stroke-width: 1.5; }
  .name { font-size: 15px; font-weight: bold; }
  .transition { font-size: 12px; font-weight: bold; fill: #111827; }
  .detail { font-size: 10.5px; fill: #4b5563; }
  .edge { fill: none; stroke: #6b7280; stroke-width: 1.3; }
  .end { fill: none; stroke: #111827; stroke-width: 1.5; }
  .dot { fill: #111827; }
  .paper { fill: #ffffff; }
"""


def text_width(text: str, size: float, bold: bool = False) -> float:
    """An estimate of a text's width in Helvetica, rather too wide than too narrow."""
    units = sum(0.32 if c in NARROW else 0.9 if c in WIDE else 0.72 if c.isupper() else 0.58 for c in text)
    return units * size * (1.06 if bold else 1.0)


def _label_box(arc: Arc) -> Box:
    widths = [text_width(label.name, LABEL_FONT, bold=True) for label in arc.labels]
    widths += [text_width(line, DETAIL_FONT) for label in arc.labels for line in label.details]
    lines = sum(1 + len(label.details) for label in arc.labels)
    return Box(max(widths) + 8, lines * LINE + (len(arc.labels) - 1) * 6 + 8)


def _boxes(graph: Graph) -> dict[str, Box]:
    """Boxes in the order of a walk from START, so that the drawing runs from creation to removal."""
    labels = {f"#{number}": arc for number, arc in enumerate(graph.arcs)}
    boxes: dict[str, Box] = {START: Box(16, 16)}
    waiting = [START]
    for node in waiting:
        for name, arc in labels.items():
            if node in arc.sources and name not in boxes:
                boxes[name] = _label_box(arc)
                if arc.target not in boxes:
                    boxes[arc.target] = _state_box(arc.target)
                    waiting.append(arc.target)
    for state in graph.states:
        boxes.setdefault(state, _state_box(state))
    for name, arc in labels.items():
        boxes.setdefault(name, _label_box(arc))
        boxes.setdefault(arc.target, _state_box(arc.target))
    return boxes


def _state_box(state: str) -> Box:
    return Box(20, 20) if state == END else Box(max(text_width(state, STATE_FONT, bold=True) + 28, 70), 38)


def _path(route: Route, arrow: bool) -> str:
    """Curves between layers, straight lines through them; every piece leaves and enters upright."""
    (x, y), *_ = route.points
    parts = [f"M {x:.1f} {y:.1f}"]
    for (left, top), (right, bottom) in pairwise(route.points):
        if abs(left - right) < 0.5:
            parts.append(f"L {right:.1f} {bottom:.1f}")
            continue
        middle = (top + bottom) / 2
        parts.append(f"C {left:.1f} {middle:.1f} {right:.1f} {middle:.1f} {right:.1f} {bottom:.1f}")
    marker = ' marker-end="url(#arrow)"' if arrow else ""
    return f'  <path class="edge" d="{" ".join(parts)}"{marker}/>'


def _texts(arc: Arc, box: Box, x: float, y: float) -> list[str]:
    lines: list[str] = []
    at = y - box.height / 2 + 4 + LINE * 0.8
    for label in arc.labels:
        lines.append(f'  <text class="transition" x="{x:.1f}" y="{at:.1f}">{escape(label.name)}</text>')
        for detail in label.details:
            at += LINE
            lines.append(f'  <text class="detail" x="{x:.1f}" y="{at:.1f}">{escape(detail)}</text>')
        at += LINE + 6
    return lines


def _node(state: str, box: Box, x: float, y: float) -> list[str]:
    if state == START:
        return [f'  <circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="8"/>']
    if state == END:
        return [
            f'  <circle class="end" cx="{x:.1f}" cy="{y:.1f}" r="9.5"/>',
            f'  <circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>',
        ]
    left, top = x - box.width / 2, y - box.height / 2
    return [
        f'  <rect class="state" x="{left:.1f}" y="{top:.1f}" width="{box.width:.1f}" height="{box.height:.1f}"'
        ' rx="12"/>',
        f'  <text class="name" x="{x:.1f}" y="{y + 5:.1f}">{escape(state)}</text>',
    ]


def layout(graph: Graph) -> tuple[dict[str, Box], Layout]:
    """The boxes of states and labels (labels are called ``#0``, ``#1``...) and where they lie."""
    boxes = _boxes(graph)
    edges: list[tuple[str, str]] = []
    upward: list[bool] = []
    for number, arc in enumerate(graph.arcs):
        edges += [*((source, f"#{number}") for source in arc.sources), (f"#{number}", arc.target)]
        upward += [arc.back] * (len(arc.sources) + 1)
    return boxes, place(boxes, edges, upward)


def svg(graph: Graph) -> str:
    """The graph as an SVG document: rounded boxes for states, transitions as labels on their edges."""
    boxes, laid = layout(graph)
    width, height = f"{laid.width:.0f}", f"{laid.height:.0f}"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        ' role="img">',
        f"  <title>{escape(graph.name)}</title>",
        f"  <style>{STYLE}  </style>",
        '  <defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8"'
        ' orient="auto"><path d="M 0 1 L 10 5 L 0 9 z" fill="#6b7280"/></marker></defs>',
        f'  <rect class="paper" width="{width}" height="{height}"/>',
    ]
    lines += [_path(route, not route.target.startswith("#")) for route in laid.routes]
    for name, (x, y) in laid.places.items():
        if name.startswith("#"):
            lines += _texts(graph.arcs[int(name[1:])], boxes[name], x, y)
        else:
            lines += _node(name, boxes[name], x, y)
    return "\n".join([*lines, "</svg>"]) + "\n"
