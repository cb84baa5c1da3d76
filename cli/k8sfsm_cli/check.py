"""`k8sfsm check`: judge a real cluster's history against the law."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from k8sfsm.trace.reading import FORMATS, read_portions
from k8sfsm.verify.check.check import check_portions
from k8sfsm.verify.check.report import KINDS, Found, Report, grouped
from k8sfsm_cli.printing import counter

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
    left undone. `-` is standard input. Exit code 0: all is well. 1: findings. 2: the input cannot be used.
    """
    wanted = tuple(name.strip() for name in actors.split(",") if name.strip())
    portions = read_portions(*paths, format=form, namespace=namespace)
    with counter(f"check {paths[0].name or paths[0]}") as seen:
        report = check_portions(portions, wanted, lambda number, _: seen(number))
    if output == "json":
        click.echo(json.dumps(as_json(report), indent=2, default=str))
    else:
        _print(report)
    if not report.ok:
        raise click.exceptions.Exit(1)


def as_json(report: Report) -> dict[str, Any]:
    """The report in JSON form."""
    counts = report.counts
    findings: dict[str, Any] = {kind: [_found(each) for each in getattr(report, kind)] for kind in KINDS}
    return {
        "source": report.source,
        "writes": sum(counts.values()),
        "explained": counts["explained"],
        **findings,
        "unmodelled": counts["unmodelled"],
        "components": dict(report.others),
        "given": counts["given"],
        "refused": counts["refused"],
        "refusals": dict(report.refusals),
        "retried": report.retried,
        "unjudged": counts["unjudged"],
        "why_unjudged": dict(report.unjudged),
        "left_out": counts["left-out"],
        "notes": list(report.notes),
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
    for title in KINDS:
        for cause, found in grouped(getattr(report, title)).items():
            total = report.totals[title, cause]
            click.echo(f"{title}: {cause} ({total})")
            for each in found[:_SHOWN]:
                click.echo(f"  {each}")
            if total > _SHOWN:
                click.echo(f"  ... and {total - _SHOWN} more; -o json shows them")
    for reason, number in report.unjudged.items():
        click.echo(f"not judged: {reason} ({number})")
    for reason, number in report.refusals.items():
        click.echo(f"refused: {reason} ({number})")
    if report.retried:
        click.echo(f"tried again and granted: {report.retried}")
    for name, number in report.others.items():
        click.echo(f"another component's: {name} ({number})")
    for note in report.notes:
        click.echo(f"note: {note}", err=True)
    counts = report.counts
    parts = ("explained", "unexplained", "given", "refused", "unmodelled", "unjudged", "left-out")
    said = ", ".join(f"{counts[part]} {part}" for part in parts if counts[part])
    click.echo(f"{'ok' if report.ok else 'findings'}: {sum(counts.values())} requests: {said}", err=True)
