"""`k8sfsm replay`: predict a recorded cluster from its inputs, and compare."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from k8sfsm.trace.case import Finding
from k8sfsm.trace.native import TraceWriter
from k8sfsm.trace.reading import FORMATS, read_history
from k8sfsm.trace.recorder import TraceRecorder
from k8sfsm.verify.replay import Verdict
from k8sfsm.verify.replay import replay as judge
from k8sfsm.verify.replay.compare import Divergence
from k8sfsm_cli.printing import print_table, progress_bar
from k8sfsm_cli.timeline import timeline_rows

_SHOWN = 20


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "form", type=click.Choice(FORMATS), help="Format of PATH; told by its content otherwise.")
@click.option("--namespace", "-n", default="", help="Only the part that concerns this namespace.")
@click.option("--timeline/--no-timeline", default=True, help="Print the predicted timeline of transitions and rules.")
@click.option("--events", is_flag=True, help="Show Events in the timeline too.")
@click.option("--trace", "trace", type=click.Path(path_type=Path, dir_okay=False), help="Write the prediction's trace.")
@click.option("-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result.")
def replay(
    path: Path, form: Any, namespace: str, timeline: bool, events: bool, trace: Path | None, output: str
) -> None:
    """Replay PATH: a recording folder, a kube-apiserver audit log, `kubectl get -w` output, or our own trace.

    Only the inputs are taken from it: the users' requests and what the environment did. Everything else is predicted
    and compared with what was recorded. Exit code 0 where they agree, 1 with the first divergence explained.
    """
    recording = read_history(path, format=form, namespace=namespace)
    with progress_bar(f"replay {path.name}", 100) as advance:
        done = 0

        def progress(now: int, total: int) -> None:
            nonlocal done
            percent = now * 100 // total
            advance(percent - done)
            done = percent

        verdict = judge(recording, progress)
    if trace is not None:
        _write_trace(trace, verdict)
    if output == "json":
        click.echo(json.dumps(_as_json(verdict), indent=2, default=str))
    else:
        _print(verdict, timeline, events)
    if not verdict.agrees:
        raise click.exceptions.Exit(1)


def _write_trace(path: Path, verdict: Verdict) -> None:
    recording, prediction = verdict.recording, verdict.prediction
    if prediction is None:
        return
    with path.open("w", encoding="utf-8", newline="\n") as file:
        writer = TraceWriter(file)
        writer.header(kubernetes="v1.36", scenario=Path(recording.source).name)
        for document in recording.initial:
            writer.initial(document.json)
        record = TraceRecorder(writer)
        for line in prediction.lines:
            record(line)
        writer.close()


def _print(verdict: Verdict, timeline: bool, events: bool) -> None:
    if timeline and verdict.prediction is not None:
        table = Table("t/s", "actor", "object", "what happened", "rule", title="Predicted from the inputs alone")
        for row in timeline_rows(verdict.prediction.lines, verdict.recording.start or 0, events):
            table.add_row(*row)
        print_table(table)
    for note in verdict.recording.notes:
        click.echo(f"note: {note}", err=True)
    _list("recording", verdict.findings)
    _list("divergence", verdict.divergences)
    if verdict.prediction is None:
        click.echo("note: so damaged that nothing can be predicted from it", err=True)
    click.echo(_summary(verdict), err=True)


def _list(title: str, entries: Sequence[object]) -> None:
    """The first entries, one line each, and how many there are besides."""
    for entry in entries[:_SHOWN]:
        click.echo(f"{title}: {entry}")
    if len(entries) > _SHOWN:
        click.echo(f"{title}: ... and {len(entries) - _SHOWN} more; -o json shows all")


def _summary(verdict: Verdict) -> str:
    figures = {"writes": len(list(verdict.recording.changes())), "tracks": 0, "objects": 0, **verdict.compared}
    counted = (f"{figures['writes']} recorded writes", f"{figures['tracks']} sequences of states")
    proxied = [f"{figures['proxy']} dumps of and answers through the proxy"] if "proxy" in figures else []
    what = ", ".join((*counted, f"{figures['objects']} final objects", *proxied))
    if verdict.agrees:
        return f"agrees: {what}"
    broken, apart = len(verdict.findings), len(verdict.divergences)
    return f"diverges: {broken} breaches of the API's own laws, {apart} differences to the prediction, in {what}"


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "source": verdict.recording.source,
        "agrees": verdict.agrees,
        "compared": verdict.compared,
        "findings": [_finding(finding) for finding in verdict.findings],
        "divergences": [_divergence(divergence) for divergence in verdict.divergences],
        "notes": list(verdict.recording.notes),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "object": "/".join(part for part in finding.key if part),
        "rule": finding.rule,
        "message": finding.message,
        "line": f"{finding.file}:{finding.line}" if finding.line else finding.file,
        "text": str(finding),
    }


def _divergence(divergence: Divergence) -> dict[str, Any]:
    return {
        "at": divergence.at,
        "object": "/".join(part for part in divergence.key if part),
        "aspect": divergence.aspect,
        "recorded": divergence.recorded,
        "predicted": divergence.predicted,
        "rule": divergence.rule,
        "line": divergence.line,
        "text": str(divergence),
    }
