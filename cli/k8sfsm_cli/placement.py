"""The placement section of `k8sfsm explain pod/NAME`: which filter refused each node, or what each plugin gave it."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from k8sfsm.objects import parse_time
from k8sfsm.scenario.placed import NoSuchPodError, is_pod_name, placement_in
from k8sfsm.scenario.state import STANDARD_INPUT
from k8sfsm.scheduler.placement import NodePlacement, PlacementReport
from k8sfsm.trace.errors import TraceError
from k8sfsm.trace.reading import read_history
from k8sfsm_cli.printing import print_table


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """The path; for standard input (-) that of a file with all that stands there, which can be read twice."""
    if str(path) != STANDARD_INPUT:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stdin"
        copy.write_bytes(sys.stdin.buffer.read())
        yield copy


def is_history(path: Path) -> bool:
    """Can writes be read from it, and not only a state?"""
    try:
        return bool(read_history(path).writes)
    except TraceError:
        return False


def placement_section(path: Path, obj: str, at: str) -> PlacementReport | None:
    """The scheduler's decision about a pod in whatever stands at `path`; None where `obj` is no pod, or where a
    history does not have it at that time: it began later, or lacks what was before.

    `at`: an RFC 3339 time or a resourceVersion of a history. Raises UsageError where a state has no such pod.
    """
    if not is_pod_name(obj):
        return None
    try:
        return placement_in(path, obj, _since_start(path, at) if at else None)[0]
    except NoSuchPodError as error:
        if is_history(path):
            return None
        raise click.UsageError(str(error)) from None


def _since_start(path: Path, at: str) -> int:
    """How long after the start of a history (ns) a time or a resourceVersion is."""
    recording = read_history(path)
    start = recording.start or 0
    if at.isdigit():
        return max((write.time - start for write in recording.changes() if (write.revision or 0) <= int(at)), default=0)
    try:
        return parse_time(at) - start
    except ValueError:
        raise click.UsageError(f"'{at}' is no time, expected RFC 3339 or a resourceVersion") from None


def print_section(report: PlacementReport, output: str) -> None:
    """The decision alone: all that can be said about a pod whose history is not known."""
    if output == "json":
        click.echo(json.dumps({"placement": placement_json(report)}, indent=2))
    else:
        print_placement(report)


def print_placement(report: PlacementReport) -> None:
    """The decision as a table, one row per node, and in a sentence."""
    plugins = tuple(dict.fromkeys(score.plugin for node in report.nodes for score in node.scores))
    table = Table(title=f"Where pod {'/'.join(report.pod[1:])} can go")
    for title in ("node", "verdict", *plugins, *(("total",) if plugins else ())):
        table.add_column(title)
    for node in report.nodes:
        table.add_row(*_row(node, plugins))
    print_table(table)
    if plugins:
        click.echo("scores: raw -> 0..100 x weight")
    click.echo(_sentence(report))


def _row(node: NodePlacement, plugins: tuple[str, ...]) -> tuple[str, ...]:
    given = {score.plugin: f"{score.raw} -> {score.normalized} x {score.weight}" for score in node.scores}
    total = (str(node.total) if node.scores else "",) if plugins else ()
    return (node.node, _verdict(node), *(given.get(plugin, "") for plugin in plugins), *total)


def _verdict(node: NodePlacement) -> str:
    if not node.looked_at:
        return "not looked at: enough others were found"
    if node.refusal is None:
        return "feasible"
    victims = ", ".join("/".join(key[1:]) for key in node.victims)
    by = f"{node.refusal.plugin}: " if node.refusal.plugin else ""
    return f"{by}{', '.join(node.refusal.reasons)}{f'; preemption would remove {victims}' if victims else ''}"


def _sentence(report: PlacementReport) -> str:
    where = f"it is on {report.assigned}" if report.assigned else "it has no node"
    if not report.chosen:
        room = f"; preemption would make room on {' or '.join(report.nominated)}" if report.nominated else ""
        return f"{report.message}{room} ({where})"
    others = f", one of {len(report.ties)} equals ({', '.join(report.ties)})" if len(report.ties) > 1 else ""
    return f"chosen: {report.chosen}{others} ({where})"


def placement_json(report: PlacementReport) -> dict[str, Any]:
    """The decision as JSON."""
    return {
        "pod": "/".join(report.pod[1:]),
        "assigned": report.assigned,
        "chosen": report.chosen,
        "ties": list(report.ties),
        "message": report.message,
        "nominated": list(report.nominated),
        "nodes": [_node_json(node) for node in report.nodes],
    }


def _node_json(node: NodePlacement) -> dict[str, Any]:
    refusal = node.refusal
    return {
        "node": node.node,
        "lookedAt": node.looked_at,
        "feasible": node.feasible,
        "refusal": None
        if refusal is None
        else {"plugin": refusal.plugin, "code": refusal.code, "reasons": list(refusal.reasons), "rule": refusal.rule},
        "scores": [
            {
                "plugin": score.plugin,
                "raw": score.raw,
                "normalized": score.normalized,
                "weight": score.weight,
                "weighted": score.weighted,
                "rule": score.rule,
            }
            for score in node.scores
        ],
        "total": node.total if node.scores else None,
        "victims": ["/".join(key[1:]) for key in node.victims],
    }
