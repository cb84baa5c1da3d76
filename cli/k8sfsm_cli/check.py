"""`k8sfsm check`: judge a real cluster's history against the law."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from k8sfsm.trace.reading import FORMATS, read_history
from k8sfsm.verify.check.check import Found, Report, grouped
from k8sfsm.verify.check.check import check as judge
from k8sfsm_cli.printing import progress_bar

_SHOWN = 3


@click.command()
@click.argument("paths", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--format", "form", type=click.Choice(FORMATS), help="Format of the input; told by its content otherwise."
)
@click.option("--namespace", "-n", default="", help="Only the part that concerns this namespace.")
@click.option("--actors", default="", help="Only the writes of these actors, separated by commas, need explanations.")
@click.option("-o", "output", type=click.Choice(["text", "json"]), default="text", help="Form of the report.")
def check(paths: tuple[Path, ...], form: Any, namespace: str, actors: str, output: str) -> None:
    """Judge PATHS: a recording folder, audit logs (one or several), `kubectl get -w` output, a dump, our own trace.

    Every write: is it a legal transition, does a rule of its actor order it, does it keep the invariants; and what was
    left undone. Exit code 0 where all is well, 1 with findings, 2 where the input cannot be used.
    """
    recording = read_history(*paths, format=form, namespace=namespace)
    wanted = tuple(name.strip() for name in actors.split(",") if name.strip())
    with progress_bar(f"check {paths[0].name}", 100) as advance:
        done = 0

        def progress(number: int, total: int) -> None:
            nonlocal done
            percent = number * 100 // max(total, 1)
            advance(percent - done)
            done = percent

        report = judge(recording, wanted, progress)
    if output == "json":
        click.echo(json.dumps(as_json(report), indent=2, default=str))
    else:
        _print(report)
    if not report.ok:
        raise click.exceptions.Exit(1)


def as_json(report: Report) -> dict[str, Any]:
    """The report in JSON form."""
    counts = report.counts
    return {
        "source": report.recording.source,
        "writes": sum(counts.values()),
        "explained": counts["explained"],
        "unexplained": [_found(each) for each in report.unexplained],
        "illegal": [_found(each) for each in report.illegal],
        "violated": [_found(each) for each in report.violated],
        "undone": [_found(each) for each in report.undone],
        "unmodelled": counts["unmodelled"],
        "given": counts["given"],
        "refused": counts["refused"],
        "unjudged": counts["unjudged"],
        "left_out": counts["left-out"],
        "notes": list(report.recording.notes),
        "ok": report.ok,
    }


def _found(found: Found) -> dict[str, Any]:
    return {
        "object": "/".join(part for part in found.key if part),
        "actor": found.actor,
        "at": found.at,
        "what": found.what,
        "cause": found.cause,
        "nearest": found.nearest,
        "facts": sorted(found.facts),
        "line": found.line,
    }


def _print(report: Report) -> None:
    for title in ("unexplained", "illegal", "violated", "undone"):
        for cause, found in grouped(getattr(report, title)).items():
            click.echo(f"{title}: {cause} ({len(found)})")
            for each in found[:_SHOWN]:
                click.echo(f"  {each}")
            if len(found) > _SHOWN:
                click.echo(f"  ... and {len(found) - _SHOWN} more; -o json shows all")
    for note in report.recording.notes:
        click.echo(f"note: {note}", err=True)
    counts = report.counts
    parts = ("explained", "unexplained", "given", "refused", "unmodelled", "unjudged", "left-out")
    said = ", ".join(f"{counts[part]} {part}" for part in parts if counts[part])
    click.echo(f"{'ok' if report.ok else 'findings'}: {sum(counts.values())} requests: {said}", err=True)
