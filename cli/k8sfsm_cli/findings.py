"""What `fuzz` and `explore` have found, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from k8sfsm.objects import format_duration
from k8sfsm.scenario.cluster import START
from k8sfsm.scenario.output import write_lines
from k8sfsm.verify.fuzz.run import Failure
from k8sfsm.verify.fuzz.shrink import start_of, told
from k8sfsm_cli.printing import print_table
from k8sfsm_cli.timeline import timeline_rows


def write_finding(failure: Failure, path: Path) -> None:
    """Write the trace of a failure; its notes say what is broken."""
    with path.open("w", encoding="utf-8", newline="\n") as stream:
        write_lines(
            stream,
            failure.lines,
            failure.initial,
            name=failure.story.name,
            seed=failure.chance.seed,
            start=start_of(failure),
            end=failure.at,
            notes=tuple(map(str, failure.violations)),
        )


def print_finding(failure: Failure, path: Path, command: str) -> None:
    """Say what is broken, and how it came to that."""
    for violation in failure.violations:
        click.echo(f"broken: {violation}")
    when = format_duration(failure.at - START)
    click.echo(
        f"after {when}, {failure.steps} steps, seed {failure.chance.seed}, {len(told(failure.lines))} of a trace"
    )
    for drawn in failure.chance.faults or ():
        click.echo(f"fault: {drawn}")
    table = Table("t/s", "actor", "object", "what happened", "rule", title="The last steps")
    for row in timeline_rows(failure.lines, START):
        table.add_row(*row)
    print_table(table)
    click.echo(f"trace: {path}\nagain: {command}")


def finding_json(failure: Failure, path: Path, command: str) -> Mapping[str, Any]:
    """The same as JSON."""
    return {
        "scenario": failure.story.name,
        "seed": failure.chance.seed,
        "broken": [{"invariant": each.invariant, "says": each.says} for each in failure.violations],
        "at": format_duration(failure.at - START),
        "steps": failure.steps,
        "faults": [str(each) for each in failure.chance.faults or ()],
        "trace": str(path),
        "traceSteps": len(told(failure.lines)),
        "command": command,
    }
