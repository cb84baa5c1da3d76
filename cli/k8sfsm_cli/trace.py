"""`k8sfsm trace`: look at a history, check it, and write it in another form."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import click
from rich.table import Table

from k8sfsm.request import Key
from k8sfsm.trace.history import EnvironmentFact, Format, RecordedWrite, Recording
from k8sfsm.trace.integrity import check_integrity
from k8sfsm.trace.itf import write_itf
from k8sfsm.trace.native import write_trace
from k8sfsm.trace.reading import FORMATS, read_history
from k8sfsm.trace.states import StateReader
from k8sfsm.trace.timestamps import format_time
from k8sfsm_cli.errors import BadInput
from k8sfsm_cli.printing import print_table

FINDINGS = 1
_HIDDEN = ("Event", "Lease")
_paths = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
_format = click.option(
    "--format", "form", type=click.Choice(FORMATS), help="What PATH is; told by its content otherwise."
)
_namespace = click.option("--namespace", "-n", default="", help="Only the part that concerns this namespace.")
_output = click.option(
    "-o", "output", type=click.Choice(["table", "json"]), default="table", help="Form of the result."
)


@click.group()
def trace() -> None:
    """Look at the recorded history of a cluster, check it, convert it.

    A history is a recording's folder, a kube-apiserver audit log, what `kubectl get KIND -w -o json` printed, or a
    trace that k8sfsm wrote; plain, gzip or zstd.
    """


@trace.command()
@_paths
@_format
@_namespace
@click.option(
    "--to", type=click.Choice(["k8sfsm", "itf"]), required=True, help="itf: for Apalache, Quint and ITF viewers."
)
@click.option("-O", "out", type=click.Path(path_type=Path, dir_okay=False), help="File to write; else standard output.")
def convert(paths: tuple[Path, ...], form: Format | None, namespace: str, to: str, out: Path | None) -> None:
    """Write the history of PATH... in another form.

    The same history gives the same bytes.
    """
    recording = read_history(*paths, format=form, namespace=namespace)
    try:
        if out is None:
            _write(recording, to, sys.stdout)
            return
        with out.open("w", encoding="utf-8", newline="\n") as stream:
            _write(recording, to, stream)
    except ValueError as error:
        raise BadInput(f"{recording.source}: {error}") from None


def _write(recording: Recording, to: str, stream: TextIO) -> None:
    if to == "itf":
        write_itf(recording, stream, StateReader().outlined)
    else:
        write_trace(recording, stream)


@trace.command()
@_paths
@_format
@_namespace
@_output
@click.option("--events", is_flag=True, help="Show Events too.")
def show(paths: tuple[Path, ...], form: Format | None, namespace: str, output: str, events: bool) -> None:
    """Show what happened in PATH..., in order: who did what to which object, and which states it left."""
    recording = read_history(*paths, format=form, namespace=namespace)
    rows = list(_rows(recording, events))
    if output == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = Table("t/s", "actor", "object", "what happened", "rule", title=recording.source)
    for row in rows:
        table.add_row(f"{row['seconds']:.3f}", row["actor"], row["object"], row["what"], row.get("rule", ""))
    print_table(table)
    for note in (*recording.problems, *recording.notes):
        click.echo(f"note: {note}", err=True)


@trace.command()
@_paths
@_format
@_namespace
@_output
def check(paths: tuple[Path, ...], form: Format | None, namespace: str, output: str) -> None:
    """Check that PATH... is whole: whether it keeps the laws that every cluster's history keeps.

    Exit code 0: it does; 1: findings, which say that the history is damaged or incomplete.
    """
    recording = read_history(*paths, format=form, namespace=namespace)
    findings = list(check_integrity(recording))
    if output == "json":
        found = [
            {
                "rule": each.rule,
                "file": each.file,
                "line": each.line,
                "object": _name(each.key),
                "message": each.message,
            }
            for each in findings
        ]
        click.echo(json.dumps({"findings": found, "problems": list(recording.problems)}, indent=2, ensure_ascii=False))
    else:
        for line in (*recording.problems, *findings):
            click.echo(line)
        count = len(findings) + len(recording.problems)
        click.echo(f"{count} findings in {len(recording.writes)} writes" if count else "nothing found", err=True)
    if findings or recording.problems:
        raise click.exceptions.Exit(FINDINGS)


def _finding(found: Any) -> dict[str, Any]:
    where = {"file": found.file, "line": found.line, "object": _name(found.key)}
    return {"rule": found.rule, **where, "message": found.message}


def _name(key: Key) -> str:
    kind, _, name = key
    return f"{kind}/{name}" if name else kind


def _rows(recording: Recording, events: bool) -> Iterator[dict[str, Any]]:
    """Writes and facts in order of time, as rows; without leases, and Events only where asked for."""
    reader = StateReader()
    moments: list[tuple[int, int, RecordedWrite | EnvironmentFact]] = [
        *((fact.time, 0, fact) for fact in recording.environment),
        *((write.time, 1, write) for write in recording.writes),
    ]
    start = recording.start if recording.start is not None else min((time for time, _, _ in moments), default=0)
    for time, _, moment in sorted(moments, key=lambda each: each[:2]):
        row = _fact(moment) if isinstance(moment, EnvironmentFact) else _change(moment, reader, events)
        if row is not None:
            yield {"seconds": (time - start) / 1e9, "time": format_time(time, 9), **row}


def _fact(fact: EnvironmentFact) -> dict[str, Any]:
    parts = (fact.event, fact.container, fact.image, fact.probe, fact.ip, fact.reason)
    return {
        "actor": f"environment/{fact.node}" if fact.node else "environment",
        "object": _name(fact.pod) if fact.pod else fact.node,
        "what": " ".join(part for part in parts if part) + (f" code {fact.code}" if fact.code is not None else ""),
    }


def _change(write: RecordedWrite, reader: StateReader, events: bool) -> dict[str, Any] | None:
    if write.key[0] in _HIDDEN and not (events and write.key[0] == "Event"):
        return None
    what = _what(write, reader)
    if not what:
        return None
    actor = write.account or write.actor if write.actor == "user" else write.actor
    row = {"actor": f"{actor}/{write.node}" if write.node else actor, "object": _name(write.key), "what": what}
    return {**row, "rule": write.rule} if write.rule else row


def _what(write: RecordedWrite, reader: StateReader) -> str:
    if not write.ok:
        return f"{write.verb} refused: {write.code} {write.message or write.reason}".strip()
    if write.key[0] == "Event" and write.new is not None:
        event = write.new.json
        return f"{event.get('reason', '')}: {event.get('message') or event.get('note') or ''}"
    moves = reader.moves(write)
    if write.type == "ADDED":
        return "created: " + ", ".join(new for _, new in moves.values()) if moves else "created"
    if write.type == "DELETED":
        return "gone"
    if write.type is None:
        return ""
    changes = [f"{old} -> {new}" for old, new in moves.values()]
    return ", ".join([*changes, *_counts(write)])


def _counts(write: RecordedWrite) -> Iterator[str]:
    """The numbers of replicas that changed."""
    if write.old is None or write.new is None:
        return
    for part, name, word in (("spec", "replicas", "replicas"), ("status", "readyReplicas", "ready")):
        old, new = ((document.json.get(part) or {}).get(name) or 0 for document in (write.old, write.new))
        if old != new:
            yield f"{word} {old} -> {new}"
