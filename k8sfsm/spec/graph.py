"""Regions as graphs: what the diagrams draw, and their text forms (Mermaid, DOT)."""

from __future__ import annotations

import json
import re

from attrs import frozen

from k8sfsm.spec.model import ABSENT, Region

START = "start"
END = "end"


@frozen
class Label:
    """A transition as a diagram names it: its name in bold, and lines for actors and guards."""

    name: str
    details: tuple[str, ...]


@frozen
class Arc:
    """Transitions with the same states to come from and the same state to go to, drawn together.

    `back`: they lead back towards the start.
    """

    sources: tuple[str, ...]
    target: str
    labels: tuple[Label, ...]
    back: bool = False


@frozen
class Graph:
    """A region to draw. `Absent` is two nodes: START, where objects come from, and END, where they go to."""

    name: str
    states: tuple[str, ...]
    arcs: tuple[Arc, ...]


def _label(name: str, actors: tuple[str, ...], guards: tuple[str, ...]) -> Label:
    details = [", ".join(actors[place : place + 2]) for place in range(0, len(actors), 2)]
    details = [line + "," for line in details[:-1]] + details[-1:]
    details += [f"[{guard}]" for guard in guards]
    return Label(name, tuple(details))


def _ranks(region: Region) -> dict[str, int]:
    """An order of the states from creation to removal: that of a depth-first walk, in which only cycles lead back."""
    finished: list[str] = []
    seen: set[str] = set()

    def visit(state: str) -> None:
        seen.add(state)
        for transition in region.transitions.values():
            if state in transition.from_ and transition.to not in seen:
                visit(transition.to)
        finished.append(state)

    for state in (ABSENT, *region.states):
        if state not in seen:
            visit(state)
    return {state: rank for rank, state in enumerate(reversed(finished))}


def graph(name: str, region: Region) -> Graph:
    """The graph of a region; transitions back towards the start are kept apart from those that lead on."""
    ranks = _ranks(region)
    arcs: dict[tuple[str, tuple[str, ...], bool], list[Label]] = {}
    for edge, transition in region.transitions.items():
        target = END if transition.to == ABSENT else transition.to
        label = _label(edge, transition.actors, transition.guards)
        back = [state for state in transition.from_ if target != END and ranks[state] >= ranks[transition.to]]
        forth = [state for state in transition.from_ if state not in back]
        for group, backward in ((forth, False), (back, True)):
            if group:
                sources = tuple(START if state == ABSENT else state for state in group)
                arcs.setdefault((target, sources, backward), []).append(label)
    made = tuple(Arc(sources, target, tuple(labels), back) for (target, sources, back), labels in arcs.items())
    return Graph(name, tuple(region.states), made)


def _identifier(state: str) -> str:
    return re.sub(r"\W", "_", state)


def mermaid(drawn: Graph) -> str:
    """A Mermaid state diagram."""
    lines = ["stateDiagram-v2"]
    for state in drawn.states:
        name = _identifier(state)
        lines.append(f'    state "{state}" as {name}' if name != state else f"    {state}")
    for arc in drawn.arcs:
        target = "[*]" if arc.target == END else _identifier(arc.target)
        for source in arc.sources:
            start = "[*]" if source == START else _identifier(source)
            for label in arc.labels:
                text = "<br>".join((label.name, *label.details))
                lines.append(f"    {start} --> {target}: {text}")
    return "\n".join(lines) + "\n"


def dot(drawn: Graph) -> str:
    """A Graphviz digraph."""

    def quote(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    lines = [
        f"digraph {quote(drawn.name)} {{",
        '    node [shape=box, style="rounded,filled", fillcolor="#eef2ff", fontname="Helvetica"];',
        '    edge [fontname="Helvetica", fontsize=10];',
        f"    {START} [shape=point, width=0.2];",
    ]
    if any(arc.target == END for arc in drawn.arcs):
        lines.append(f'    {END} [shape=doublecircle, label="", width=0.15, style=filled, fillcolor=black];')
    lines += [f"    {quote(state)};" for state in drawn.states]
    for arc in drawn.arcs:
        target = END if arc.target == END else quote(arc.target)
        for source in arc.sources:
            start = START if source == START else quote(source)
            for label in arc.labels:
                lines.append(f"    {start} -> {target} [label={quote(chr(10).join((label.name, *label.details)))}];")
    return "\n".join([*lines, "}"]) + "\n"
